//! Claims one-time ids of tokens, and logs failures that have an innocent cause.

use std::{
    future::{self, Future},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use iam_core::{
    clock::Timestamp,
    decision::{Reason, Refusal},
    replay::{Claim, ReplayError, ReplayId, ReplayStore},
};
use tokio::time;

use crate::log_throttle::LogThrottle;

/// The replay store, and the times of the last log lines about it.
#[derive(Debug)]
pub(crate) struct Replay {
    alarm: LogThrottle,
    hint: LogThrottle,
    store: Arc<dyn ReplayStore>,
}

impl Replay {
    pub(crate) fn new(store: Arc<dyn ReplayStore>) -> Self {
        Self {
            alarm: LogThrottle::new(MINUTE),
            hint: LogThrottle::new(MINUTE),
            store,
        }
    }

    /// Claims an id.
    ///
    /// # Errors
    ///
    /// When the id was used before, or the store gave no answer: fails closed.
    pub(crate) async fn claim(
        &self,
        tenant: &str,
        id: ReplayId<'_>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match bounded(self.store.claim(id, until, now)).await {
            Ok(Claim::First) => Ok(()),
            Ok(Claim::Replayed { first_seen }) => {
                if now.duration_since(first_seen) < SOON && self.hint.is_due(now) {
                    tracing::warn!(tenant, "{TOKEN_CACHE}");
                }
                Err(Reason::Replay.into())
            }
            Err(err) => {
                if self.alarm.is_due(now) {
                    tracing::error!(tenant, error = %err, "the replay store failed: single-use tokens are refused");
                }
                Err(Refusal::with_detail(Reason::ReplayUnavailable, code(err)))
            }
        }
    }
}

/// Polls the claim once, which is enough for a store in memory, and then waits for a bounded time.
async fn bounded(claim: impl Future<Output = Result<Claim, ReplayError>>) -> Result<Claim, ReplayError> {
    let mut claim = pin!(claim);
    let at_once = future::poll_fn(|context| match claim.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await;

    match at_once {
        Some(answer) => answer,
        None => time::timeout(PATIENCE, claim)
            .await
            .unwrap_or(Err(ReplayError::Unavailable)),
    }
}

fn code(err: ReplayError) -> &'static str {
    match err {
        ReplayError::Full => "replay_store_full",
        ReplayError::Unavailable => "replay_store_unavailable",
    }
}

/// R163: a common mistake with the gateway's token cache.
const TOKEN_CACHE: &str = "a token came back within a second of its first use: if these are different requests of one \
    user, the cause is Oathkeeper's token cache, which reuses tokens. Put something unique for each \
    request into the claims template of the gateway's rule, such as \"jti\": \"{{ uuidv4 }}\"";

/// A replay within this time is more likely caused by a cache than by an attacker.
const SOON: Duration = Duration::from_secs(1);

/// The longest time that an external store may take.
const PATIENCE: Duration = Duration::from_secs(2);

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use iam_core::replay::{ClaimFuture, MemoryReplayStore};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[derive(Debug)]
    struct Broken(Option<ReplayError>);

    impl ReplayStore for Broken {
        fn claim(&self, _: ReplayId<'_>, _: Timestamp, _: Timestamp) -> ClaimFuture {
            match self.0 {
                Some(err) => ClaimFuture::ready(Err(err)),
                None => ClaimFuture::boxed(future::pending()),
            }
        }
    }

    async fn claim(replay: &Replay, jti: &str) -> Result<(), Refusal> {
        let id = ReplayId {
            tenant: "default",
            issuer: "https://issuer.example/",
            jti,
        };
        let until = NOW.saturating_add(Duration::from_secs(60));
        replay.claim("default", id, until, NOW).await
    }

    #[tokio::test]
    async fn a_token_that_was_used_is_refused() {
        let replay = Replay::new(Arc::new(MemoryReplayStore::new(10)));

        assert_eq!(claim(&replay, "a").await, Ok(()));
        assert_eq!(claim(&replay, "a").await, Err(Reason::Replay.into()));
        assert_eq!(claim(&replay, "b").await, Ok(()));
    }

    /// R137: a store that is full or does not answer admits no request.
    #[tokio::test]
    async fn a_store_without_an_answer_refuses() {
        let full = Replay::new(Arc::new(Broken(Some(ReplayError::Full))));
        let absent = Replay::new(Arc::new(Broken(None)));

        let refused = |detail| Err(Refusal::with_detail(Reason::ReplayUnavailable, detail));
        assert_eq!(claim(&full, "a").await, refused("replay_store_full"));
        assert_eq!(claim(&absent, "a").await, refused("replay_store_unavailable"));
    }
}
