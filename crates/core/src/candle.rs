//! Bars of a market: checked once, then read as columns.

use crate::resample::bar_start;
use crate::time::{Timeframe, Timestamp};
use std::ops::Range;
use std::sync::Arc;

/// One bar. Times are the start of the bar in milliseconds; volume is in base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// Start of the bar, milliseconds since the epoch.
    pub open_time_ms: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Base units traded.
    pub volume: f64,
}

/// Why a candle cannot be part of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CandleFault {
    /// A price or the volume is NaN or infinite.
    #[error("a value is not a finite number")]
    NotFinite,
    /// A price is zero or below.
    #[error("a price is zero or negative")]
    NotPositive,
    /// The volume is below zero.
    #[error("the volume is negative")]
    NegativeVolume,
    /// High below low, open or close, or low above open or close.
    #[error("high and low do not enclose open and close")]
    Inconsistent,
    /// Not later than the candle before it.
    #[error("the time is not after the candle before it")]
    OutOfOrder,
    /// Not a multiple of the timeframe.
    #[error("the time is not on the timeframe's grid")]
    OffGrid,
}

/// The first candle that could not be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("candle {row} ({time}): {fault}")]
pub struct CandleError {
    /// Row number, from 0.
    pub row: usize,
    /// The candle's own time.
    pub time: Timestamp,
    /// What is wrong with it.
    pub fault: CandleFault,
}

/// Missing bars inside a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Start of the first missing bar.
    pub from: Timestamp,
    /// How many bars are missing.
    pub bars: usize,
}

/// Closed, checked bars of one market and timeframe, as columns of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct CandleSeries {
    timeframe: Timeframe,
    open_time_ms: Vec<i64>,
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
}

/// Checks one candle on its own; a bar with high = low is fine.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check_candle(candle: &Candle) -> Result<(), CandleFault> {
    let prices = [candle.open, candle.high, candle.low, candle.close];
    if prices.iter().any(|p| !p.is_finite()) || !candle.volume.is_finite() {
        return Err(CandleFault::NotFinite);
    }
    if prices.iter().any(|p| *p <= 0.0) {
        return Err(CandleFault::NotPositive);
    }
    if candle.volume < 0.0 {
        return Err(CandleFault::NegativeVolume);
    }
    let (top, bottom) = (candle.open.max(candle.close), candle.open.min(candle.close));
    if candle.high < top || candle.low > bottom {
        return Err(CandleFault::Inconsistent);
    }
    Ok(())
}

impl CandleSeries {
    /// An empty series.
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

    /// Checks every candle: finite, positive, consistent, strictly later than the one before, on
    /// the grid. Missing bars are allowed; [`Self::gaps`] lists them.
    ///
    /// # Errors
    /// The first candle that fails, with its row and time.
    pub fn new(timeframe: Timeframe, candles: &[Candle]) -> Result<Self, CandleError> {
        let mut series = Self::empty(timeframe);
        for (row, candle) in candles.iter().enumerate() {
            series.push(*candle).map_err(|fault| CandleError {
                row,
                time: Timestamp::from_ms(candle.open_time_ms),
                fault,
            })?;
        }
        Ok(series)
    }

    /// Adds a candle after the last one.
    ///
    /// # Errors
    /// What is wrong with it; the series is unchanged then.
    pub fn push(&mut self, candle: Candle) -> Result<(), CandleFault> {
        check_candle(&candle)?;
        let start = Timestamp::from_ms(candle.open_time_ms);
        if bar_start(self.timeframe, start) != start {
            return Err(CandleFault::OffGrid);
        }
        if self.open_time_ms.last().is_some_and(|last| candle.open_time_ms <= *last) {
            return Err(CandleFault::OutOfOrder);
        }
        self.open_time_ms.push(candle.open_time_ms);
        self.open.push(candle.open);
        self.high.push(candle.high);
        self.low.push(candle.low);
        self.close.push(candle.close);
        self.volume.push(candle.volume);
        Ok(())
    }

    /// Length of each bar.
    #[must_use]
    pub const fn timeframe(&self) -> Timeframe {
        self.timeframe
    }

    /// Number of bars.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open_time_ms.len()
    }

    /// Whether there is no bar at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open_time_ms.is_empty()
    }

    /// Starts of the bars, milliseconds.
    #[must_use]
    pub fn open_time_ms(&self) -> &[i64] {
        &self.open_time_ms
    }

    /// The bar in `row`, if there is one.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Candle> {
        Some(Candle {
            open_time_ms: *self.open_time_ms.get(row)?,
            open: self.open[row],
            high: self.high[row],
            low: self.low[row],
            close: self.close[row],
            volume: self.volume[row],
        })
    }

    /// Every bar in order.
    pub fn iter(&self) -> impl Iterator<Item = Candle> + '_ {
        (0..self.len()).filter_map(|row| self.get(row))
    }

    /// How many bars have closed by `now`: a bar counts once its end is not later than `now`.
    #[must_use]
    pub fn closed_by(&self, now: Timestamp) -> usize {
        let last_open = now.ms() - self.timeframe.ms();
        self.open_time_ms.partition_point(|open| *open <= last_open)
    }

    /// Runs of missing bars between the first and the last.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        gaps(&self.open_time_ms, self.timeframe)
    }
}

/// Runs of missing bars between the first and the last of bars that start at these times, in order.
#[must_use]
pub fn gaps(open_time_ms: &[i64], timeframe: Timeframe) -> Vec<Gap> {
    let step = timeframe.ms();
    open_time_ms
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > step)
        .map(|pair| Gap {
            from: Timestamp::from_ms(pair[0] + step),
            bars: usize::try_from((pair[1] - pair[0]) / step - 1).unwrap_or(0),
        })
        .collect()
}

/// Borrowed columns of equal length, for strategies and indicators. Dominance candles come in this
/// form too; their high may lie below their low.
#[derive(Clone, Copy, Debug)]
pub struct Bars<'a> {
    /// First values.
    pub open: &'a [f64],
    /// Highest values.
    pub high: &'a [f64],
    /// Lowest values.
    pub low: &'a [f64],
    /// Last values.
    pub close: &'a [f64],
    /// Base units traded.
    pub volume: &'a [f64],
}

impl<'a> Bars<'a> {
    /// Some of the rows.
    #[must_use]
    pub fn part(self, rows: Range<usize>) -> Self {
        let of = |column: &'a [f64]| &column[rows.clone()];
        Self {
            open: of(self.open),
            high: of(self.high),
            low: of(self.low),
            close: of(self.close),
            volume: of(self.volume),
        }
    }
}

/// A stretch of closed bars. Cheap to clone; what comes after it cannot be seen through it.
#[derive(Clone, Debug)]
pub struct Window {
    series: Arc<CandleSeries>,
    range: Range<usize>,
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.timeframe() == other.timeframe()
            && self.open_time_ms() == other.open_time_ms()
            && self.open() == other.open()
            && self.high() == other.high()
            && self.low() == other.low()
            && self.close() == other.close()
            && self.volume() == other.volume()
    }
}

impl Window {
    /// The bars of `series` that closed by `now`, at most the newest `limit` of them.
    #[must_use]
    pub fn closed(series: &Arc<CandleSeries>, now: Timestamp, limit: usize) -> Self {
        let end = series.closed_by(now);
        Self { series: Arc::clone(series), range: end.saturating_sub(limit)..end }
    }

    /// Names the bars without showing them: where their series lies in memory, and their rows in
    /// it. Two windows of the same name show the same bars while the series lives.
    #[must_use]
    pub fn identity(&self) -> (usize, Range<usize>) {
        (Arc::as_ptr(&self.series).addr(), self.range.clone())
    }

    /// All bars of a series.
    #[must_use]
    pub fn whole(series: Arc<CandleSeries>) -> Self {
        let range = 0..series.len();
        Self { series, range }
    }

    /// Length of each bar.
    #[must_use]
    pub fn timeframe(&self) -> Timeframe {
        self.series.timeframe
    }

    /// Number of bars.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.range.end - self.range.start
    }

    /// Whether there is no bar.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.range.start >= self.range.end
    }

    /// Starts of the bars, milliseconds.
    #[must_use]
    pub fn open_time_ms(&self) -> &[i64] {
        &self.series.open_time_ms[self.range.clone()]
    }

    /// First prices.
    #[must_use]
    pub fn open(&self) -> &[f64] {
        &self.series.open[self.range.clone()]
    }

    /// Highest prices.
    #[must_use]
    pub fn high(&self) -> &[f64] {
        &self.series.high[self.range.clone()]
    }

    /// Lowest prices.
    #[must_use]
    pub fn low(&self) -> &[f64] {
        &self.series.low[self.range.clone()]
    }

    /// Last prices.
    #[must_use]
    pub fn close(&self) -> &[f64] {
        &self.series.close[self.range.clone()]
    }

    /// Base units traded.
    #[must_use]
    pub fn volume(&self) -> &[f64] {
        &self.series.volume[self.range.clone()]
    }

    /// Every bar in order.
    pub fn candles(&self) -> impl Iterator<Item = Candle> + '_ {
        self.range.clone().filter_map(|row| self.series.get(row))
    }

    /// The columns without their times.
    #[must_use]
    pub fn bars(&self) -> Bars<'_> {
        Bars {
            open: self.open(),
            high: self.high(),
            low: self.low(),
            close: self.close(),
            volume: self.volume(),
        }
    }

    /// When the newest bar closed.
    #[must_use]
    pub fn closed_at(&self) -> Option<Timestamp> {
        let last = self.open_time_ms().last()?;
        Some(Timestamp::from_ms(last + self.timeframe().ms()))
    }

    /// The price at which the newest bar closed.
    #[must_use]
    pub fn last_close(&self) -> Option<f64> {
        self.close().last().copied()
    }

    /// The newest `limit` bars.
    #[must_use]
    pub fn newest(&self, limit: usize) -> Self {
        let start = self.range.start.max(self.range.end.saturating_sub(limit));
        Self { series: Arc::clone(&self.series), range: start..self.range.end }
    }

    /// The part of the window from the bar that starts at or after `from`.
    #[must_use]
    pub fn starting_at(&self, from: Timestamp) -> Self {
        let skip = self.open_time_ms().partition_point(|open| *open < from.ms());
        Self { series: Arc::clone(&self.series), range: self.range.start + skip..self.range.end }
    }

    /// Bars missing inside the window.
    #[must_use]
    pub fn missing_bars(&self) -> usize {
        match (self.open_time_ms().first(), self.open_time_ms().last()) {
            (Some(first), Some(last)) => {
                let span = (last - first) / self.timeframe().ms() + 1;
                usize::try_from(span).unwrap_or(0).saturating_sub(self.len())
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(open_time_ms: i64, price: f64) -> Candle {
        Candle { open_time_ms, open: price, high: price, low: price, close: price, volume: 1.0 }
    }

    #[test]
    fn a_bar_that_is_still_forming_cannot_be_seen() {
        let hour = Timeframe::H1.ms();
        let bars: Vec<Candle> = (0..5).map(|i| flat(i * hour, 1.0)).collect();
        let series = Arc::new(CandleSeries::new(Timeframe::H1, &bars).unwrap());
        let seen = |ms| Window::closed(&series, Timestamp::from_ms(ms), 3).len();
        assert_eq!(seen(hour - 1), 0);
        assert_eq!(seen(hour), 1);
        assert_eq!(seen(10 * hour), 3);
    }

    #[test]
    fn bad_candles_name_their_row() {
        let hour = Timeframe::H1.ms();
        for (bad, fault) in [
            (flat(hour, f64::NAN), CandleFault::NotFinite),
            (flat(hour, 0.0), CandleFault::NotPositive),
            (flat(0, 1.0), CandleFault::OutOfOrder),
            (flat(hour + 1, 1.0), CandleFault::OffGrid),
            (Candle { high: 0.5, ..flat(hour, 1.0) }, CandleFault::Inconsistent),
            (Candle { volume: -1.0, ..flat(hour, 1.0) }, CandleFault::NegativeVolume),
        ] {
            let error = CandleSeries::new(Timeframe::H1, &[flat(0, 1.0), bad]).unwrap_err();
            assert_eq!((error.row, error.fault), (1, fault));
        }
    }

    #[test]
    fn gaps_are_listed() {
        let hour = Timeframe::H1.ms();
        let bars = [flat(0, 1.0), flat(3 * hour, 1.0), flat(4 * hour, 1.0)];
        let series = CandleSeries::new(Timeframe::H1, &bars).unwrap();
        assert_eq!(series.gaps(), [Gap { from: Timestamp::from_ms(hour), bars: 2 }]);
    }
}
