//! How often is the same thing said?

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use iam_core::clock::Timestamp;

/// Lets something be said once in an interval, however many threads want to.
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

    /// Tells whether it is time again, to one of those who ask at the same moment.
    pub(crate) fn may_speak(&self, now: Timestamp) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        // A clock that was set back must not silence anybody for long.
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
    fn the_same_is_said_once_in_an_interval() {
        let quiet = LogThrottle::new(Duration::from_secs(60));
        let at = Timestamp::from_millis;

        assert!(quiet.may_speak(at(0)));
        assert!(!quiet.may_speak(at(0)));
        assert!(!quiet.may_speak(at(59_999)));
        assert!(quiet.may_speak(at(60_000)));
        assert!(!quiet.may_speak(at(60_001)));
    }
}
