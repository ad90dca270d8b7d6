//! Errors at start.

use std::{error::Error, io, net::SocketAddr};

use iam_actix::ConfigError;

/// An error at start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A service's configuration is invalid; the message has the file and every problem.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A server that is no service cannot listen.
    #[error(
        "{what}: cannot listen on {address}: {source}; stop the program that uses the port (`ss -ltnp` names it)"
    )]
    Listen {
        /// The server.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Real servers were requested and do not answer.
    #[error(
        "nothing answers on {0}: start the real Ory servers on their usual ports first, or leave `--live` out for the \
         embedded ones"
    )]
    NotRunning(
        /// The addresses and servers.
        String,
    ),
    /// No free port is left.
    #[error("no free port: {0}")]
    Port(#[from] io::Error),
    /// A service does not start.
    #[error("{name}: {source}")]
    Service {
        /// The service.
        name: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The folder for the gateway's keys cannot be created.
    #[error("cannot create a folder for the gateway's keys: {0}")]
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
