//! Why does the scenario not start?

use std::{error::Error, io, net::SocketAddr};

use iam_actix::ConfigError;

/// Why the scenario does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A service's configuration cannot be used: the file, and everything that is wrong with it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something else than a service cannot listen.
    #[error(
        "{what}: cannot listen on {address}: {source}; stop the program that uses the port (`ss -ltnp` names it)"
    )]
    Listen {
        /// What cannot listen.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Real servers were asked for and are not there.
    #[error(
        "nothing answers on {0}: start the real Ory servers on their usual ports first, or leave `--live` out for the \
         embedded ones"
    )]
    NotRunning(
        /// Where, and who should.
        String,
    ),
    /// No free port is left.
    #[error("no free port: {0}")]
    Port(#[from] io::Error),
    /// A service does not start.
    #[error("{name}: {source}")]
    Service {
        /// Which.
        name: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no folder for the gateway's keys.
    #[error("cannot make a folder for the gateway's keys: {0}")]
    State(#[source] io::Error),
    /// The embedded stack does not start.
    #[error(transparent)]
    Stack(#[from] ory_dev::StackError),
}

impl StartError {
    pub(super) fn listen(what: &'static str, address: SocketAddr, source: io::Error) -> Self {
        Self::Listen {
            what,
            address,
            source,
        }
    }

    pub(super) fn service(name: &'static str, source: Box<dyn Error + Send + Sync>) -> Self {
        Self::Service { name, source }
    }
}
