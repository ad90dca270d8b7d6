//! Points in time as texts (RFC 3339), as Ory's answers write them: `2026-11-23T06:24:29.866477049Z`.

use crate::clock::Timestamp;

impl Timestamp {
    /// Reads a text of RFC 3339 §5.6, to the millisecond; the rest is cut off. `None` for any other text, for a leap second, and for
    /// a time before 1970.
    ///
    /// ```
    /// use iam_core::clock::Timestamp;
    ///
    /// let read = Timestamp::from_rfc3339("2026-11-23T06:24:29.866477049Z");
    /// assert_eq!(read, Some(Timestamp::from_millis(1_795_415_069_866)));
    /// assert_eq!(Timestamp::from_rfc3339("never"), None);
    /// ```
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let mut rest = Rest(text.as_bytes());
        let (year, month, day) = (rest.number(4)?, rest.after(b"-", 2)?, rest.after(b"-", 2)?);
        let (hour, minute, second) = (rest.after(b"Tt ", 2)?, rest.after(b":", 2)?, rest.after(b":", 2)?);
        let millis = rest.fraction()?;
        let offset = rest.offset()?;
        if !rest.0.is_empty() || !(1..=days_of(year, month)?).contains(&day) {
            return None;
        }
        if 23 < hour || 59 < minute || 59 < second {
            return None;
        }

        let minutes = days_since_epoch(year, month, day)?
            .checked_mul(24 * 60)?
            .checked_add(hour.checked_mul(60)?.checked_add(minute)?)?
            .checked_sub(offset)?;
        let millis = minutes
            .checked_mul(60)?
            .checked_add(second)?
            .checked_mul(1000)?
            .checked_add(millis)?;
        u64::try_from(millis).ok().map(Self::from_millis)
    }

    /// Writes the time as RFC 3339 in UTC, with milliseconds where there are any. Times after the year 9999 are written as its end.
    ///
    /// ```
    /// use iam_core::clock::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_secs(1_795_415_069).to_rfc3339(), "2026-11-23T06:24:29Z");
    /// ```
    pub fn to_rfc3339(self) -> String {
        let millis = self.as_millis().min(LAST_MILLISECOND);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);

        let fraction = if millis == 0 {
            String::new()
        } else {
            format!(".{millis:03}")
        };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
    }
}

/// What is left of a text.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        if !number.iter().all(u8::is_ascii_digit) {
            return None;
        }

        self.0 = rest;
        str::from_utf8(number).ok()?.parse().ok()
    }

    fn byte(&mut self, one_of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        if !one_of.contains(first) {
            return None;
        }

        self.0 = rest;
        Some(*first)
    }

    fn after(&mut self, one_of: &[u8], digits: usize) -> Option<i64> {
        self.byte(one_of)?;
        self.number(digits)
    }

    /// Returns the milliseconds of a fraction that may be absent.
    fn fraction(&mut self) -> Option<i64> {
        if self.byte(b".").is_none() {
            return Some(0);
        }

        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = self.0.split_at_checked(digits)?;
        if fraction.is_empty() {
            return None;
        }
        self.0 = rest;
        let millis: String = fraction
            .iter()
            .copied()
            .chain(*b"00")
            .take(3)
            .map(char::from)
            .collect();
        millis.parse().ok()
    }

    /// Returns the minutes that the written time is ahead of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.byte(b"Zz").is_some() {
            return Some(0);
        }

        let sign = self.byte(b"+-")?;
        let (hour, minute) = (self.number(2)?, self.after(b":", 2)?);
        if 23 < hour || 59 < minute {
            return None;
        }
        let minutes = hour.checked_mul(60)?.checked_add(minute)?;
        Some(if sign == b'-' {
            minutes.checked_neg()?
        } else {
            minutes
        })
    }
}

fn days_of(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if is_leap => Some(29),
        2 => Some(28),
        _ => None,
    }
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar. Years start in March here, so that the leap day is the last.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a year has four digits, so every value is below ten million"
)]
#[expect(clippy::unnecessary_wraps, reason = "the caller's steps are all fallible")]
const fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    Some(era * 146_097 + day_of_era - 719_468)
}

/// The inverse for days after 1970.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the days end with the year 9999, so every value is below ten million"
)]
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let (month, later) = if shifted_month < 10 {
        (shifted_month + 3, 0)
    } else {
        (shifted_month - 9, 1)
    };
    (era * 400 + year_of_era + later, month, day)
}

/// The last millisecond of the year 9999.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(text: &str) -> Option<u64> {
        Timestamp::from_rfc3339(text).map(Timestamp::as_secs)
    }

    #[test]
    fn the_forms_that_ory_writes_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-23T06:24:29.866477049Z", 1_795_415_069),
            ("2026-11-23T06:24:29.8Z", 1_795_415_069),
            ("2026-11-23T07:54:29+01:30", 1_795_415_069),
            ("2026-11-23T05:24:29-01:00", 1_795_415_069),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799),
        ] {
            assert_eq!(secs(text), Some(expected), "{text}");
        }
        let millis = |text| Timestamp::from_rfc3339(text).unwrap().as_millis();
        assert_eq!(millis("1970-01-01T00:00:00.0019Z"), 1);
        assert_eq!(millis("1970-01-01T00:00:00.5Z"), 500);
    }

    /// D7, R047: a time that cannot be read is none, never "no expiry".
    #[test]
    fn any_other_text_is_no_time() {
        for text in [
            "",
            "never",
            "1795415069",
            "2026-11-23",
            "2026-11-23T06:24:29",
            "2026-11-23T06:24Z",
            "2026-11-23T06:24:29.Z",
            "2026-11-23T06:24:29Zx",
            " 2026-11-23T06:24:29Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T06:60:00Z",
            "2026-11-23T06:24:60Z",
            "2026-11-23T06:24:29+24:00",
            "2026-11-23T06:24:29+0100",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "+026-11-23T06:24:29Z",
            "20é6-11-23T06:24:29Z",
        ] {
            assert_eq!(Timestamp::from_rfc3339(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(millis in 0..=LAST_MILLISECOND) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::from_rfc3339(&time.to_rfc3339()), Some(time));
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:.+é-]{0,40}") {
            let _ = Timestamp::from_rfc3339(&text);
        }
    }

    #[test]
    fn the_latest_time_is_written_within_four_digits_of_a_year() {
        assert_eq!(Timestamp::MAX.to_rfc3339(), "9999-12-31T23:59:59.999Z");
    }
}
