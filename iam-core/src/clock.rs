//! The clock port, and points in time.

#[cfg(any(test, feature = "testing"))]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Tells the time. Every decision calls it, so it must not block.
///
/// A clock that cannot tell the time answers [`Timestamp::MAX`], so that every credential counts as expired: fails closed.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the time now.
    fn now(&self) -> Timestamp;
}

/// A point in time, in milliseconds since the Unix epoch. Arithmetic saturates: it neither wraps nor panics.
///
/// ```
/// use std::time::Duration;
/// use iam_core::clock::Timestamp;
///
/// let issued = Timestamp::from_secs(1_700_000_000);
/// let expires = issued.saturating_add(Duration::from_secs(60));
/// assert!(issued < expires);
/// assert_eq!(expires.duration_since(issued), Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The latest representable time.
    pub const MAX: Self = Self(u64::MAX);

    /// Returns the time that lies `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the time that lies `secs` seconds after the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the whole seconds since the Unix epoch, as in a `NumericDate` (RFC 7519 §2).
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Returns the time `duration` later.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// Returns the time `duration` earlier.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// Returns how long ago `earlier` was, or zero if it is in the future.
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// Returns the clock of the operating system.
    pub const fn new() -> Self {
        Self
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the system's clock"
    )]
    fn now(&self) -> Timestamp {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(Timestamp::MAX, |since| Timestamp(millis(since)))
    }
}

/// A clock that stands still until a test moves it. Clones share the same time.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use std::time::Duration;
/// use iam_core::clock::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), Timestamp::from_secs(1_700_000_060));
/// # }
/// ```
#[cfg(any(test, feature = "testing"))]
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

#[cfg(any(test, feature = "testing"))]
impl ManualClock {
    /// Creates a clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_millis())))
    }

    /// Creates a clock that shows the current time of the system.
    pub fn at_system_time() -> Self {
        Self::new(SystemClock::new().now())
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().saturating_add(duration));
    }

    /// Sets the clock, also to an earlier time.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_at_the_edges_saturates() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::from_secs(1).saturating_sub(Duration::from_secs(2)),
            Timestamp::default()
        );
        assert_eq!(
            Timestamp::from_secs(1).duration_since(Timestamp::MAX),
            Duration::ZERO
        );
        assert_eq!(Timestamp::from_secs(u64::MAX), Timestamp::MAX);
    }
}
