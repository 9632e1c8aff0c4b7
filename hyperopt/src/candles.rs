//! Candles cleaned as Freqtrade cleans them: duplicates merged, gaps filled, cut to a range.

use crate::timerange::TimeRange;
use keel_core::candle::{Bars, Candle, CandleFault, check_candle};
use keel_core::resample::bar_start;
use keel_core::time::{Timeframe, Timestamp};

/// Candles without a gap, as columns of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Candles {
    /// Length of a bar.
    pub timeframe: Timeframe,
    /// Starts of the bars, milliseconds, one timeframe apart.
    pub open_time_ms: Vec<i64>,
    /// First prices.
    pub open: Vec<f64>,
    /// Highest prices.
    pub high: Vec<f64>,
    /// Lowest prices.
    pub low: Vec<f64>,
    /// Last prices.
    pub close: Vec<f64>,
    /// Base units traded; 0 in a filled gap.
    pub volume: Vec<f64>,
}

/// Why candles cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CandlesError {
    /// A row is not a candle.
    #[error("row {row} ({time}): {fault}; remove or correct the row")]
    Row {
        /// Row number, from 1.
        row: usize,
        /// Its time.
        time: Timestamp,
        /// What is wrong.
        fault: CandleFault,
    },
    /// The range holds nothing.
    #[error(
        "no candle lies in the time range; the data has {rows} rows from {first} to {last}, choose a --timerange inside"
    )]
    EmptyRange {
        /// Rows before cutting.
        rows: usize,
        /// First row's time.
        first: Timestamp,
        /// Last row's time.
        last: Timestamp,
    },
    /// The file holds nothing.
    #[error("there is no candle at all; expected at least one row")]
    Empty,
    /// Filling the gaps would make a series of absurd length.
    #[error(
        "{rows} rows span {bars} bars of {timeframe}; expected at most {MOST_BARS}, check the timeframe and the times"
    )]
    TooSparse {
        /// Rows there are.
        rows: usize,
        /// Bars there would be.
        bars: i64,
        /// The bar length asked for.
        timeframe: Timeframe,
    },
    /// Nothing is left after the startup candles.
    #[error(
        "{rows} candles are left for {startup} startup candles; at least {} are needed, use more data, a wider --timerange or a smaller --startup", startup + 1
    )]
    TooShort {
        /// Candles there are.
        rows: usize,
        /// Startup candles asked for.
        startup: usize,
    },
}

/// A hundred years of minutes; beyond it a wrong unit of time is more likely than data.
const MOST_BARS: i64 = 52_600_000;

/// Cuts raw rows to the range (with `startup` bars before its start), merges duplicate times (first
/// open, highest high, lowest low, last close, largest volume), sorts by time and fills missing
/// bars with the previous close and volume 0.
///
/// # Errors
/// A row that is not a candle, nothing in the range, too few bars for the startup.
pub fn clean(
    raw: &[Candle],
    timeframe: Timeframe,
    range: TimeRange,
    startup: usize,
) -> Result<Candles, CandlesError> {
    for (row, candle) in raw.iter().enumerate() {
        check_candle(candle).map_err(|fault| CandlesError::Row {
            row: row + 1,
            time: Timestamp::from_ms(candle.open_time_ms),
            fault,
        })?;
    }
    let times = || raw.iter().map(|candle| candle.open_time_ms);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Err(CandlesError::Empty);
    };
    let lead_ms = i64::try_from(startup).unwrap_or(i64::MAX).saturating_mul(timeframe.ms());
    let from = range.start_ms.map_or(i64::MIN, |start| start.saturating_sub(lead_ms));
    let to = range.stop_ms.unwrap_or(i64::MAX);
    let mut rows: Vec<Candle> =
        raw.iter().copied().filter(|c| (from..=to).contains(&c.open_time_ms)).collect();
    if rows.is_empty() {
        return Err(CandlesError::EmptyRange {
            rows: raw.len(),
            first: Timestamp::from_ms(first),
            last: Timestamp::from_ms(last),
        });
    }
    // Stable: rows of one time stay in the order of the file, which decides first and last.
    rows.sort_by_key(|candle| candle.open_time_ms);
    let merged = merge(rows, |candle| candle.open_time_ms, f64::max);
    // A time off the grid falls into the bar it lies in, as when pandas resamples.
    let start_ms =
        |candle: &Candle| bar_start(timeframe, Timestamp::from_ms(candle.open_time_ms)).ms();
    let merged = merge(merged, start_ms, |a, b| a + b);
    let candles = fill(&merged, timeframe)?;
    if candles.len() <= startup {
        return Err(CandlesError::TooShort { rows: candles.len(), startup });
    }
    Ok(candles)
}

fn merge(
    rows: Vec<Candle>,
    key: impl Fn(&Candle) -> i64,
    volume: impl Fn(f64, f64) -> f64,
) -> Vec<Candle> {
    let mut merged: Vec<Candle> = Vec::with_capacity(rows.len());
    for row in rows {
        let time = key(&row);
        match merged.last_mut() {
            Some(last) if last.open_time_ms == time => {
                last.high = last.high.max(row.high);
                last.low = last.low.min(row.low);
                last.close = row.close;
                last.volume = volume(last.volume, row.volume);
            }
            _ => merged.push(Candle { open_time_ms: time, ..row }),
        }
    }
    merged
}

fn fill(rows: &[Candle], timeframe: Timeframe) -> Result<Candles, CandlesError> {
    let step = timeframe.ms();
    let span = match rows {
        [first, .., last] => (last.open_time_ms - first.open_time_ms) / step + 1,
        _ => 1,
    };
    if span > MOST_BARS {
        return Err(CandlesError::TooSparse { rows: rows.len(), bars: span, timeframe });
    }
    let mut candles = Candles::empty(timeframe);
    for row in rows {
        while let (Some(time), Some(close)) =
            (candles.open_time_ms.last().copied(), candles.close.last().copied())
        {
            if time + step >= row.open_time_ms {
                break;
            }
            candles.push(Candle {
                open_time_ms: time + step,
                open: close,
                high: close,
                low: close,
                close,
                volume: 0.0,
            });
        }
        candles.push(*row);
    }
    Ok(candles)
}

impl Candles {
    /// No bar yet.
    #[must_use]
    pub const fn empty(timeframe: Timeframe) -> Self {
        Self {
            timeframe,
            open_time_ms: Vec::new(),
            open: Vec::new(),
            high: Vec::new(),
            low: Vec::new(),
            close: Vec::new(),
            volume: Vec::new(),
        }
    }

    fn push(&mut self, candle: Candle) {
        self.open_time_ms.push(candle.open_time_ms);
        self.open.push(candle.open);
        self.high.push(candle.high);
        self.low.push(candle.low);
        self.close.push(candle.close);
        self.volume.push(candle.volume);
    }

    /// Number of bars.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open_time_ms.len()
    }

    /// Whether there is no bar.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open_time_ms.is_empty()
    }

    /// The columns without their times.
    #[must_use]
    pub fn bars(&self) -> Bars<'_> {
        Bars {
            open: &self.open,
            high: &self.high,
            low: &self.low,
            close: &self.close,
            volume: &self.volume,
        }
    }

    /// The bars from `start` to before `end`.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        Self {
            timeframe: self.timeframe,
            open_time_ms: self.open_time_ms[start..end].to_vec(),
            open: self.open[start..end].to_vec(),
            high: self.high[start..end].to_vec(),
            low: self.low[start..end].to_vec(),
            close: self.close[start..end].to_vec(),
            volume: self.volume[start..end].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn candle(hour: i64, price: f64) -> Candle {
        Candle {
            open_time_ms: hour * HOUR,
            open: price,
            high: price + 1.0,
            low: price - 1.0,
            close: price + 0.5,
            volume: 2.0,
        }
    }

    fn cleaned(raw: &[Candle]) -> Candles {
        clean(raw, Timeframe::H1, TimeRange::default(), 0).unwrap()
    }

    #[test]
    fn duplicates_are_merged_and_gaps_filled() {
        let second = Candle { volume: 5.0, ..candle(1, 20.0) };
        let candles = cleaned(&[candle(3, 30.0), candle(1, 10.0), second]);
        assert_eq!(candles.open_time_ms, [HOUR, 2 * HOUR, 3 * HOUR]);
        assert_eq!(candles.open, [10.0, 20.5, 30.0]);
        assert_eq!(candles.high, [21.0, 20.5, 31.0]);
        assert_eq!(candles.low, [9.0, 20.5, 29.0]);
        assert_eq!(candles.close, [20.5, 20.5, 30.5]);
        assert_eq!(candles.volume, [5.0, 0.0, 2.0]);
    }

    #[test]
    fn a_range_keeps_its_startup_candles() {
        let raw: Vec<Candle> = (0..10).map(|hour| candle(hour, 10.0)).collect();
        let range = TimeRange { start_ms: Some(5 * HOUR), stop_ms: Some(7 * HOUR) };
        let candles = clean(&raw, Timeframe::H1, range, 2).unwrap();
        assert_eq!(candles.open_time_ms, [3 * HOUR, 4 * HOUR, 5 * HOUR, 6 * HOUR, 7 * HOUR]);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let clean = |raw: &[Candle], startup| {
            clean(raw, Timeframe::H1, TimeRange::default(), startup).unwrap_err()
        };
        assert_eq!(clean(&[], 0), CandlesError::Empty);
        let nan = Candle { close: f64::NAN, ..candle(0, 1.0) };
        assert!(matches!(clean(&[candle(0, 9.0), nan], 0), CandlesError::Row { row: 2, .. }));
        assert_eq!(clean(&[candle(0, 9.0)], 1), CandlesError::TooShort { rows: 1, startup: 1 });
        let far = Candle { open_time_ms: i64::MAX / 2, ..candle(0, 9.0) };
        assert!(matches!(clean(&[candle(0, 9.0), far], 0), CandlesError::TooSparse { .. }));
        let range = TimeRange { start_ms: Some(99 * HOUR), stop_ms: None };
        assert!(matches!(
            super::clean(&[candle(0, 9.0)], Timeframe::H1, range, 0),
            Err(CandlesError::EmptyRange { rows: 1, .. })
        ));
    }
}
