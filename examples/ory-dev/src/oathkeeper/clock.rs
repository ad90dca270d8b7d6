//! The clock of a gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The time of one gateway: the system clock plus an offset that tests can set.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// Advances the clock, so that a test can age tokens without waiting.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    /// The time since the Unix epoch.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock of the embedded gateway"
    )]
    pub(crate) fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.saturating_add(Duration::from_millis(self.ahead.load(Ordering::Relaxed)))
    }
}
