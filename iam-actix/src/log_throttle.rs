//! Limits repeated log lines.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use iam_core::clock::Timestamp;

/// Allows one log line per interval, across all threads.
#[derive(Debug)]
pub(crate) struct LogThrottle {
    interval: Duration,
    last: AtomicU64,
}

impl LogThrottle {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            last: AtomicU64::new(NEVER),
        }
    }

    /// Tells whether a log line is due, and starts the next interval. Of several concurrent calls, one gets `true`.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        // A clock that was set back must not suppress lines for long.
        let passed = Duration::from_millis(now.as_millis().abs_diff(last));
        (last == NEVER || passed >= self.interval)
            && self
                .last
                .compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

const NEVER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_once_in_an_interval() {
        let throttle = LogThrottle::new(Duration::from_secs(60));
        let at = Timestamp::from_millis;

        assert!(throttle.is_due(at(0)));
        assert!(!throttle.is_due(at(0)));
        assert!(!throttle.is_due(at(59_999)));
        assert!(throttle.is_due(at(60_000)));
        assert!(!throttle.is_due(at(60_001)));
    }
}
