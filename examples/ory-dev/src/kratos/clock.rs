//! The clock of a Kratos, and Kratos's time formats.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::http::header::HttpDate;

/// The time of one Kratos: the system clock plus an offset that tests can set.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead: Arc<AtomicU64>,
}

impl Clock {
    /// Advances the clock, so that a test can expire sessions and flows without waiting.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(nanos(by), Ordering::Relaxed);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock of the embedded Kratos"
    )]
    pub(crate) fn now(&self) -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(nanos(since).saturating_add(self.ahead.load(Ordering::Relaxed)))
    }
}

/// A point in time: nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// Returns how long ago `earlier` was, or zero if it is in the future.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the seconds since the Unix epoch, as in the claims of a token.
    pub(crate) fn unix_seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// Rounds down to a whole second.
    pub(crate) fn whole_seconds(self) -> Self {
        Self(self.unix_seconds().saturating_mul(NANOS_PER_SECOND))
    }

    /// Writes RFC 3339 with nanoseconds and without trailing zeros, as Go writes values that were not stored.
    pub(crate) fn rfc3339(self) -> String {
        let mut text = self.seconds_text();
        let fraction = format!("{:09}", self.0 % NANOS_PER_SECOND);
        push_fraction(&mut text, &fraction);
        text
    }

    /// Writes RFC 3339 with microseconds, as Go writes values that were read from the database.
    pub(crate) fn rfc3339_micros(self) -> String {
        let mut text = self.seconds_text();
        let fraction = format!("{:06}", (self.0 % NANOS_PER_SECOND) / 1000);
        push_fraction(&mut text, &fraction);
        text
    }

    /// Writes the date of a cookie's `Expires` attribute.
    pub(crate) fn http_date(self) -> String {
        let time = UNIX_EPOCH
            .checked_add(Duration::from_nanos(self.0))
            .unwrap_or(UNIX_EPOCH);
        HttpDate::from(time).to_string()
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "every value is derived from 64 bits of nanoseconds, so from a year before 2600"
    )]
    fn seconds_text(self) -> String {
        let seconds = self.0 / NANOS_PER_SECOND;
        let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
        // Converts days to a civil date. Years start in March, so that the leap day is the last day.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

fn push_fraction(text: &mut String, digits: &str) {
    let digits = digits.trim_end_matches('0');
    if !digits.is_empty() {
        // Writing to a `String` is infallible.
        let _ = write!(text, ".{digits}");
    }
    text.push('Z');
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_go_writes_them() {
        for (nanos, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (951_868_799_500_000_000, "2000-02-29T23:59:59.5Z"),
            (1_795_328_669_807_879_486, "2026-11-22T06:24:29.807879486Z"),
            (4_102_444_800_000_000_001, "2100-01-01T00:00:00.000000001Z"),
        ] {
            assert_eq!(Moment(nanos).rfc3339(), expected);
        }
        assert_eq!(
            Moment(1_795_328_669_807_879_486).rfc3339_micros(),
            "2026-11-22T06:24:29.807879Z"
        );
        assert_eq!(
            Moment(1_795_328_669_000_000_000).http_date(),
            "Sun, 22 Nov 2026 06:24:29 GMT"
        );
    }

    #[test]
    fn advanced_clock_is_ahead() {
        let clock = Clock::default();
        let before = clock.now();

        clock.clone().advance(Duration::from_secs(60));

        assert!(clock.now().since(before) >= Duration::from_secs(60));
        assert_eq!(before.since(clock.now()), Duration::ZERO);
    }
}
