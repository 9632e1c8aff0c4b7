//! Time ranges as Freqtrade writes them: `20240101-20240201`, open at either end.

use std::str::FromStr;

/// From the first to the last candle start that counts, both included; milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Start of the first candle to trade on; startup candles come before it.
    pub start_ms: Option<i64>,
    /// Start of the last candle.
    pub stop_ms: Option<i64>,
}

/// A range that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTimeRangeError {
    /// Not of the known form.
    #[error(
        "`{0}` is not a time range; expected A-B, A- or -B with dates as YYYYMMDD or epochs in seconds (10 digits) or milliseconds (13 digits)"
    )]
    Syntax(String),
    /// The start lies after the stop.
    #[error("time range `{0}` starts after it stops; exchange the two dates")]
    Reversed(String),
}

impl FromStr for TimeRange {
    type Err = ParseTimeRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || ParseTimeRangeError::Syntax(text.to_owned());
        let (start, stop) = text.split_once('-').ok_or_else(syntax)?;
        if start.is_empty() && stop.is_empty() {
            return Err(syntax());
        }
        let moment = |part: &str| match part {
            "" => Ok(None),
            part => moment_ms(part).map(Some).ok_or_else(syntax),
        };
        let range = Self { start_ms: moment(start)?, stop_ms: moment(stop)? };
        match (range.start_ms, range.stop_ms) {
            (Some(start), Some(stop)) if start > stop => {
                Err(ParseTimeRangeError::Reversed(text.to_owned()))
            }
            _ => Ok(range),
        }
    }
}

fn moment_ms(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match text.len() {
        8 => text.parse::<keel_core::time::Timestamp>().ok().map(|moment| moment.ms()),
        10 => text.parse::<i64>().ok().map(|seconds| seconds * 1000),
        // Freqtrade drops the milliseconds.
        13 => text.parse::<i64>().ok().map(|ms| ms / 1000 * 1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let range = |text: &str| text.parse::<TimeRange>();
        let both = range("20170912-20171215").unwrap();
        assert_eq!(both.start_ms, Some(1_505_174_400_000));
        assert_eq!(both.stop_ms, Some(1_513_296_000_000));
        assert_eq!(range("-1513296000").unwrap(), TimeRange { start_ms: None, ..both });
        assert_eq!(range("1505174400999-").unwrap(), TimeRange { stop_ms: None, ..both });
        for bad in ["", "-", "2017", "20170912-2017", "20171332-", "a-b", "2017-09-12"] {
            assert!(matches!(range(bad), Err(ParseTimeRangeError::Syntax(_))), "{bad}");
        }
        assert!(matches!(range("20180101-20170101"), Err(ParseTimeRangeError::Reversed(_))));
    }
}
