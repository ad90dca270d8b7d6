//! The configuration of an example service.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use iam_actix::{ConfigError, IamConfig};

use crate::BoxError;

/// The configuration of a service: identity and access from a file, and how it listens.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Identity and access.
    pub iam: IamConfig,
    pub(crate) listen: Listen,
}

/// How a service listens.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) http2: bool,
    pub(crate) keep_alive: Duration,
    pub(crate) workers: usize,
}

impl Config {
    /// Reads the identity and access part from a file. The service has four workers, keeps idle connections for 100 seconds, and
    /// listens on a port of 127.0.0.1 that it chooses itself.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Ok(Self {
            iam: IamConfig::from_file(file)?,
            listen: Listen {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, UNSET)),
                http2: false,
                keep_alive: KEEP_ALIVE,
                workers: 4,
            },
        })
    }

    /// Reads the file, and listens on the address, that are named on the command line: `orders-api [FILE [ADDRESS]]`. Without them
    /// it reads `file`, and leaves the address unset.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed, or the address is invalid.
    pub fn from_args(file: &str) -> Result<Self, BoxError> {
        let mut args = env::args().skip(1);
        let config = Self::from_file(args.next().as_deref().unwrap_or(file))?;
        match args.next() {
            Some(address) => {
                let address = address
                    .parse()
                    .map_err(|err| format!("`{address}` is not an address such as 127.0.0.1:3001: {err}"))?;
                Ok(config.listen(address))
            }
            None => Ok(config),
        }
    }

    /// Listens on a port of 127.0.0.1 unless an address was set.
    #[must_use]
    pub fn or_port(mut self, port: u16) -> Self {
        if self.listen.address.port() == UNSET {
            self.listen.address.set_port(port);
        }
        self
    }

    /// Sets the address to listen on.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen.address = address;
        self
    }

    /// Also takes HTTP/2 without TLS (RFC 9113 §3.3), as the proxies of some meshes speak it.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.listen.http2 = true;
        self
    }

    /// Sets how long an idle connection is kept. Defaults to 100 seconds.
    #[must_use]
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.listen.keep_alive = time;
        self
    }

    /// Sets the number of workers. Defaults to four.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.listen.workers = workers;
        self
    }
}

/// The port of an address that was not set.
const UNSET: u16 = 0;
/// Connections of each worker. Further ones wait to be accepted, so that a service runs out of neither memory nor files.
pub(crate) const MOST_CONNECTIONS: usize = 1_000;
/// How long a client may take over the head of a request.
pub(crate) const REQUEST_HEAD: Duration = Duration::from_secs(5);
/// Longer than a gateway in Go keeps idle connections (90 seconds), so that it never writes on one that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// How long requests in flight may take to finish once the service stops. Orchestrators mostly kill after 30 seconds.
pub(crate) const STOP_SECONDS: u64 = 10;
