//! The HTTP client for upstreams: many threads share a client that runs on its own threads.
//!
//! `awc` runs inside a `LocalSet` only, so it gets threads of its own: each has a current-thread runtime, a `LocalSet` and
//! connection pools. Other threads hold a [`Client`], which is `Send + Sync` and works under any runtime; dropping one, or one of
//! its calls, affects no other call. The threads stop, and are joined, when [`Threads`] is dropped.
//!
//! The cost of an upstream is bounded here: the deadline covers the whole exchange, from waiting for a free slot to the last
//! byte of the body; bodies are limited; nothing is decompressed; redirects are not followed; proxies of the environment are
//! not used; each upstream has slots of its own, so that a hanging upstream starves no other.

mod concurrency_limit;
mod connect;
mod deadline_client;
mod exchange;
mod thread;
mod tls;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use iam_core::http::{BoxFuture, CallLimits, HttpClient, TransportError};
use tokio::{sync::oneshot, time};

use self::thread::{Inbox, Task};
pub(crate) use self::{
    concurrency_limit::ConcurrencyLimit,
    deadline_client::DeadlineClient,
    thread::{Spawner, Threads},
};

/// The [`HttpClient`] of one upstream of one tenant.
///
/// Does not keep the threads alive: after they stopped, every call fails with [`TransportError::Cancel`].
#[derive(Clone)]
pub(crate) struct Client {
    inboxes: Arc<[Inbox]>,
    limit: ConcurrencyLimit,
    next: Arc<AtomicUsize>,
}

impl Client {
    fn new(inboxes: Arc<[Inbox]>, limit: ConcurrencyLimit) -> Self {
        Self {
            inboxes,
            limit,
            next: Arc::new(AtomicUsize::new(0)),
        }
    }

    fn dispatch(
        &self,
        request: Request<Bytes>,
        limits: CallLimits,
    ) -> Result<oneshot::Receiver<Result<Response<Bytes>, TransportError>>, TransportError> {
        let permit = self.limit.enter()?;
        let (mut answer, answered) = oneshot::channel();

        let task: Task = Box::new(move |clients| {
            Box::pin(async move {
                let call = async {
                    let _slot = permit.slot().await?;
                    exchange::exchange(&clients, request, limits).await
                };
                let outcome = tokio::select! {
                    // The caller dropped the call.
                    () = answer.closed() => return,
                    outcome = time::timeout(limits.timeout, call) => outcome,
                };
                // The receiver may be gone by now, which is not an error.
                let _ = answer.send(outcome.unwrap_or(Err(TransportError::Timeout)));
            })
        });
        self.inbox()
            .and_then(|inbox| inbox.send(task).ok())
            .map(|()| answered)
            .ok_or(TransportError::Cancel)
    }

    fn inbox(&self) -> Option<&Inbox> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.inboxes.get(turn.checked_rem(self.inboxes.len())?)
    }
}

impl HttpClient for Client {
    fn send(
        &self,
        request: Request<Bytes>,
        limits: CallLimits,
    ) -> BoxFuture<Result<Response<Bytes>, TransportError>> {
        let dispatched = self.dispatch(request, limits);
        Box::pin(async move {
            // The sender is dropped unanswered when the threads stop.
            dispatched?.await.unwrap_or(Err(TransportError::Cancel))
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
