//! The port to the network.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;

/// A boxed future that is `Send`.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Sends one request to an upstream and returns the whole response.
///
/// Called for key sets, sessions, permission checks and self-service flows, never on a request whose token has a known key.
/// An error means that there is no response. The caller turns it into a refusal: fails closed.
///
/// Implementations follow no redirects, keep no cookies, add no credentials, and keep every limit of [`CallLimits`].
pub trait HttpClient: fmt::Debug + Send + Sync {
    /// Sends `request` and returns the response, of any status.
    fn send(
        &self,
        request: http::Request<Bytes>,
        limits: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>>;
}

/// The limits of one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CallLimits {
    /// The longest time to establish a connection.
    pub connect_timeout: Duration,
    /// The largest body that is accepted, in bytes.
    pub max_body: usize,
    /// The longest time of the whole exchange, to the last byte of the body.
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

    /// Sets the longest time to establish a connection. Defaults to one second.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }
}

/// Why there is no response. Contains nothing of the request or the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Too many concurrent calls to this upstream.
    #[error("too many calls at once")]
    Busy,
    /// The client stopped before the call ended.
    #[error("the client stopped")]
    Cancel,
    /// No connection: the name does not resolve, or the port is closed.
    #[error("no connection")]
    Connect,
    /// The response is not valid HTTP, or the connection ended early.
    #[error("no valid HTTP response")]
    Protocol,
    /// The response did not arrive in time.
    #[error("no response in time")]
    Timeout,
    /// The TLS handshake failed.
    #[error("no TLS connection")]
    Tls,
    /// The body is larger than allowed.
    #[error("response too large")]
    TooLarge,
}
