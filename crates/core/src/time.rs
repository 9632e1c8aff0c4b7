//! Moments and bar lengths. Nothing here reads a clock.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `ms` milliseconds after the epoch.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// The moment `seconds` seconds after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This moment plus `ms` milliseconds.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0 + ms)
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is later.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Timestamp {
    /// `2024-08-31T23:00:00Z`, with milliseconds only when there are any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.rem_euclid(1000);
        let seconds = self.0.div_euclid(1000);
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}")?;
        if ms != 0 {
            write!(f, ".{ms:03}")?;
        }
        f.write_str("Z")
    }
}

/// Gregorian date of a day number counted from 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Day number, counted from 1970-01-01, of a Gregorian date.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A date or moment that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date; expected YYYY-MM-DD, YYYYMMDD or YYYY-MM-DDTHH:MM[:SS]Z")]
pub struct ParseTimestampError(String);

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads `2021-01-31`, `20210131` or `2021-01-31T12:30[:15]Z`, always as UTC.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseTimestampError(text.to_owned());
        let (date, time) = match text.split_once(['T', ' ']) {
            Some((date, time)) => (date, Some(time.strip_suffix('Z').unwrap_or(time))),
            None => (text, None),
        };
        let digits: String = if date.len() == 10 && date.is_ascii() {
            let bytes = date.as_bytes();
            if bytes[4] != b'-' || bytes[7] != b'-' {
                return Err(bad());
            }
            date.replace('-', "")
        } else {
            date.to_owned()
        };
        if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let number = |part: &str| part.parse::<i64>().map_err(|_| bad());
        let (year, month, day) =
            (number(&digits[0..4])?, number(&digits[4..6])?, number(&digits[6..8])?);
        let days = days_from_civil(year, month, day);
        // A date that does not come back as itself (2021-02-30) does not exist.
        if civil_from_days(days) != (year, month, day) {
            return Err(bad());
        }
        let mut seconds = 0;
        if let Some(time) = time {
            let parts: Vec<&str> = time.split(':').collect();
            if !(2..=3).contains(&parts.len())
                || parts.iter().any(|p| p.len() != 2 || !p.bytes().all(|b| b.is_ascii_digit()))
            {
                return Err(bad());
            }
            let (h, m) = (number(parts[0])?, number(parts[1])?);
            let s = parts.get(2).map_or(Ok(0), |part| number(part))?;
            if h > 23 || m > 59 || s > 59 {
                return Err(bad());
            }
            seconds = h * 3600 + m * 60 + s;
        }
        Ok(Self::from_seconds(days * 86_400 + seconds))
    }
}

/// The length of a bar. Only the lengths that venues offer exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeframe {
    seconds: u32,
}

/// Every timeframe, with the name that venues and Freqtrade use.
pub const TIMEFRAMES: [(u32, &str); 13] = [
    (60, "1m"),
    (180, "3m"),
    (300, "5m"),
    (900, "15m"),
    (1800, "30m"),
    (3600, "1h"),
    (7200, "2h"),
    (14_400, "4h"),
    (21_600, "6h"),
    (28_800, "8h"),
    (43_200, "12h"),
    (86_400, "1d"),
    (604_800, "1w"),
];

impl Timeframe {
    /// One hour.
    pub const H1: Self = Self { seconds: 3600 };
    /// Four hours.
    pub const H4: Self = Self { seconds: 14_400 };
    /// Fifteen minutes.
    pub const M15: Self = Self { seconds: 900 };
    /// One day.
    pub const D1: Self = Self { seconds: 86_400 };

    /// The timeframe of an interval in seconds, if venues offer it.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        TIMEFRAMES
            .iter()
            .find(|(known, _)| u64::from(*known) == seconds)
            .map(|(known, _)| Self { seconds: *known })
    }

    /// Length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.seconds
    }

    /// Length in milliseconds.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.seconds as i64 * 1000
    }

    /// Length in minutes.
    #[must_use]
    pub fn minutes(self) -> f64 {
        f64::from(self.seconds) / 60.0
    }

    /// `1h`, `4h`, `1d` ...
    #[must_use]
    pub fn name(self) -> &'static str {
        TIMEFRAMES.iter().find(|(known, _)| *known == self.seconds).map_or("?", |(_, name)| name)
    }

    /// Which bar of this length the moment falls into: `floor(moment / length)`. Weeks are counted
    /// from the Monday before the epoch, which was a Thursday, so that the number changes when the
    /// venues' weekly bars close; from Thursday to Sunday it is `floor(moment / length)` all the same,
    /// so a number written down before weeks began on Mondays never hides a bar that closed since.
    #[must_use]
    pub const fn bucket(self, moment: Timestamp) -> i64 {
        moment.ms().saturating_add(self.lead_ms()).div_euclid(self.ms())
    }

    /// The last moment at or before `moment` at which a bar of this length closes.
    #[must_use]
    pub const fn floor(self, moment: Timestamp) -> Timestamp {
        let into_bar_ms =
            (moment.ms().rem_euclid(self.ms()) + self.lead_ms()).rem_euclid(self.ms());
        Timestamp::from_ms(moment.ms().saturating_sub(into_bar_ms))
    }

    /// How long before the epoch the bar began that the epoch lies in.
    const fn lead_ms(self) -> i64 {
        if self.seconds == 604_800 { 3 * 86_400_000 } else { 0 }
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A timeframe name nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a timeframe; expected one of 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w")]
pub struct ParseTimeframeError(String);

impl FromStr for Timeframe {
    type Err = ParseTimeframeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        TIMEFRAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(seconds, _)| Self { seconds: *seconds })
            .ok_or_else(|| ParseTimeframeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        for (text, shown) in [
            ("2021-01-01", "2021-01-01T00:00:00Z"),
            ("20240831", "2024-08-31T00:00:00Z"),
            ("2024-02-29T23:59Z", "2024-02-29T23:59:00Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), shown);
        }
        for text in ["2021-02-30", "2021-13-01", "", "2021-1-1", "20210101T25:00", "202101011"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bucket_is_the_floor_even_before_the_epoch() {
        assert_eq!(Timeframe::H1.bucket(Timestamp::from_ms(3_600_000 - 1)), 0);
        assert_eq!(Timeframe::H1.bucket(Timestamp::from_ms(-1)), -1);
        assert_eq!(Timeframe::from_seconds(61), None);
        assert_eq!("4h".parse::<Timeframe>(), Ok(Timeframe::H4));
    }

    #[test]
    fn a_week_begins_on_monday_and_a_number_from_thursdays_hides_no_bar() {
        let week: Timeframe = "1w".parse().unwrap();
        // 2024-09-02 was a Monday.
        let monday: Timestamp = "2024-09-02".parse().unwrap();
        let day = |days: i64| monday.plus_ms(days * Timeframe::D1.ms());
        assert_eq!(week.bucket(monday), week.bucket(monday.plus_ms(-1)) + 1);
        for hours in 0..7 * 24 {
            let moment = day(0).plus_ms(hours * Timeframe::H1.ms());
            assert_eq!((week.bucket(moment), week.floor(moment)), (week.bucket(monday), monday));
        }
        assert_eq!(week.bucket(Timestamp::from_ms(-1)), week.bucket(Timestamp::from_ms(0)));
        let from_thursday = |moment: Timestamp| moment.ms().div_euclid(week.ms());
        for days in -4..0 {
            assert_eq!(week.bucket(day(days)), from_thursday(day(days)), "nothing closed since");
        }
        for days in 0..3 {
            assert!(week.bucket(day(days)) > from_thursday(day(days)), "a bar closed on Monday");
        }
        for (seconds, _) in TIMEFRAMES.iter().filter(|(seconds, _)| *seconds != 604_800) {
            let timeframe = Timeframe::from_seconds(u64::from(*seconds)).unwrap();
            for moment in [monday, day(3).plus_ms(12_345), Timestamp::from_ms(-1)] {
                let bucket = moment.ms().div_euclid(timeframe.ms());
                assert_eq!(timeframe.bucket(moment), bucket, "{timeframe}");
                assert_eq!(timeframe.floor(moment).ms(), bucket * timeframe.ms(), "{timeframe}");
            }
        }
    }
}
