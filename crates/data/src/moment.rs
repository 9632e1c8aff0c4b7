//! Moments as they are written in data files: dates, RFC 3339, and epochs of four units.

use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// What [`read_moment`] accepts, for messages.
pub(crate) const EXPECTED: &str =
    "a whole epoch in s, ms, us or ns, or a UTC date such as 2024-08-31 or 2024-08-31T23:00:00Z";

/// The first moment, in milliseconds, whose epoch is read back as milliseconds: 1973-03-03.
pub(crate) const FIRST_READABLE_MS: i64 = SECONDS_BELOW;

/// Below this (the year 5138 in seconds, 1973 in milliseconds) an epoch counts seconds.
const SECONDS_BELOW: i64 = 100_000_000_000;
const MILLISECONDS_BELOW: i64 = SECONDS_BELOW * 1000;
const MICROSECONDS_BELOW: i64 = MILLISECONDS_BELOW * 1000;

/// Reads a moment; `None` when the text is none, or is no whole number of milliseconds.
///
/// Eight digits are a date (`20240831`). Any other whole number is an epoch whose unit follows
/// from its size: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else
/// nanoseconds, which is right for every moment from 1973 to 5138.
pub(crate) fn read_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        if text.len() == 8 && !text.contains(['.', '-']) {
            return text.parse().ok();
        }
        return epoch(Decimal::from_str_exact(text).ok()?);
    }
    written_moment(text)
}

fn epoch(value: Decimal) -> Option<Timestamp> {
    if !value.fract().is_zero() {
        return None;
    }
    let value = value.to_i64()?;
    let size = value.checked_abs()?;
    let ms = if size < SECONDS_BELOW {
        value * 1000
    } else if size < MILLISECONDS_BELOW {
        value
    } else {
        let unit = if size < MICROSECONDS_BELOW { 1000 } else { 1_000_000 };
        (value % unit == 0).then_some(value / unit)?
    };
    Some(Timestamp::from_ms(ms))
}

/// `date[T time[.fraction][Z|+hh:mm]]`, with a blank allowed in place of `T`.
fn written_moment(text: &str) -> Option<Timestamp> {
    let Some((date, time)) = text.split_once(['T', ' ']) else { return text.parse().ok() };
    let (time, offset_ms) = split_offset(time)?;
    let (clock, fraction_ms) = match time.split_once('.') {
        Some((clock, fraction)) => (clock, fraction_ms(fraction)?),
        None => (time, 0),
    };
    let moment: Timestamp = format!("{date}T{clock}").parse().ok()?;
    Some(moment.plus_ms(fraction_ms - offset_ms))
}

fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, offset) = time.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits = offset[1..].replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours < 24 && minutes < 60).then_some((clock, sign * (hours * 60 + minutes) * 60_000))
}

fn fraction_ms(digits: &str) -> Option<i64> {
    let bytes = digits.as_bytes();
    if bytes.is_empty() || bytes.len() > 9 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole: i64 = format!("{digits:0<9}").parse().ok()?;
    (whole % 1_000_000 == 0).then_some(whole / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_way_to_write_a_moment_gives_the_same_one() {
        for text in [
            "1725145200",
            "1725145200000",
            "1725145200000.0",
            "1725145200000000",
            "1725145200000000000",
            "2024-08-31T23:00Z",
            "2024-08-31 23:00:00",
            "2024-08-31 23:00:00+00:00",
            "2024-08-31T23:00:00.000Z",
            "2024-08-31T23:00:00.000000+0000",
            "2024-09-01T01:00:00+02:00",
            "2024-08-31T19:00:00-04:00",
        ] {
            assert_eq!(read_moment(text), Some(Timestamp::from_seconds(1_725_145_200)), "{text}");
        }
        assert_eq!(read_moment("20240831"), read_moment("2024-08-31"));
    }

    #[test]
    fn what_is_no_moment_or_no_whole_millisecond_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "nan",
            "1.5",
            "1725145200000001",
            "2024-02-30",
            "2024-08-31T25:00:00Z",
            "2024-08-31T23:00:00.0001Z",
            "2024-08-31T23:00:00+99:00",
            "99999999999999999999",
            "2024-08-31T23:00:00+0é",
            "é",
        ] {
            assert_eq!(read_moment(text), None, "{text}");
        }
    }
}
