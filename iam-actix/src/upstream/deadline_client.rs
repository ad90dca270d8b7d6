//! Deadlines for clients that keep none.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use iam_core::http::{BoxFuture, CallLimits, HttpClient, TransportError};
use tokio::{runtime::Handle, time};

/// Ends the calls of a foreign client soon after their deadline.
#[derive(Debug)]
pub(crate) struct DeadlineClient(pub(crate) Arc<dyn HttpClient>);

impl HttpClient for DeadlineClient {
    fn send(
        &self,
        request: Request<Bytes>,
        limits: CallLimits,
    ) -> BoxFuture<Result<Response<Bytes>, TransportError>> {
        let answer = self.0.send(request, limits);

        Box::pin(async move {
            // Without a runtime there is no timer, and the caller waits without a bound.
            if Handle::try_current().is_err() {
                return answer.await;
            }
            time::timeout(limits.timeout.saturating_add(SLACK), answer)
                .await
                .unwrap_or(Err(TransportError::Timeout))
        })
    }
}

/// The time that a client gets beyond its deadline.
const SLACK: Duration = Duration::from_secs(1);
