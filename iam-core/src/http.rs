//! How does the core ask the network, without having one?

use std::{fmt, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;

/// A boxed future that may travel between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Sends one request to an upstream and returns its whole answer.
///
/// Called for key sets, permission checks and self-service flows, never on a request whose key is known.
/// An error means there is no answer; whoever called makes a refusal of it: fails closed.
///
/// Implementations follow no redirects, keep no cookies, add no credentials, and hold to every limit of [`CallLimits`].
pub trait HttpClient: fmt::Debug + Send + Sync {
    /// Sends `request` and returns the answer, whatever its status.
    fn send(
        &self,
        request: http::Request<Bytes>,
        limits: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>>;
}

/// What one call may cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallLimits {
    /// How long establishing a connection may take.
    pub connect_timeout: Duration,
    /// The largest body that is accepted, in bytes.
    pub max_body: usize,
    /// How long the whole exchange may take, the last byte of the body included.
    pub timeout: Duration,
}

impl CallLimits {
    /// Limits a call to `timeout` for the whole exchange and `max_body` bytes; connecting may take one second.
    pub const fn new(timeout: Duration, max_body: usize) -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            max_body,
            timeout,
        }
    }

    /// Limits how long establishing a connection may take. Defaults to one second.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }
}

/// Why there is no answer. Holds nothing of the request or the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Too many calls to this upstream are under way.
    #[error("too many calls at once")]
    Busy,
    /// The call was given up because the client stopped.
    #[error("the client stopped")]
    Cancel,
    /// No connection: the name does not resolve, or nobody listens.
    #[error("no connection")]
    Connect,
    /// The answer breaks the protocol, or the connection ended early.
    #[error("no valid HTTP answer")]
    Protocol,
    /// The answer did not arrive in time.
    #[error("no answer in time")]
    Timeout,
    /// The other side could not prove who it is.
    #[error("no TLS connection")]
    Tls,
    /// The body is larger than allowed.
    #[error("answer too large")]
    TooLarge,
}
