//! What if a client keeps no deadline?

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use iam_core::http::{BoxFuture, CallLimits, HttpClient, TransportError};
use tokio::{runtime::Handle, time};

/// Somebody else's client, whose calls end soon after their deadline, whether it keeps that or not.
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
            // Without a runtime there is no timer: then a caller waits as they see fit.
            if Handle::try_current().is_err() {
                return answer.await;
            }
            time::timeout(limits.timeout.saturating_add(SLACK), answer)
                .await
                .unwrap_or(Err(TransportError::Timeout))
        })
    }
}

/// How much longer than its own deadline a client may take before it is given up.
const SLACK: Duration = Duration::from_secs(1);
