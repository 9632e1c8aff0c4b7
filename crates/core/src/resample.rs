//! Coarser bars from finer ones.

use crate::candle::{Candle, CandleError, CandleSeries};
use crate::time::{Timeframe, Timestamp};

/// A coarser series, and how much of it rests on holes.
#[derive(Clone, Debug, PartialEq)]
pub struct Resampled {
    /// The coarser bars.
    pub series: CandleSeries,
    /// How many of them were built while at least one of their finer bars was missing.
    pub incomplete_bars: usize,
}

/// Why a series could not be made coarser.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// Bars of the one length do not fill bars of the other.
    #[error("{from} bars do not fill {to} bars; expected a timeframe that is a multiple of {from}")]
    NotAMultiple {
        /// The length that is there.
        from: Timeframe,
        /// The length that was asked for.
        to: Timeframe,
    },
    /// A sum left the range of `f64`.
    #[error("the {to} bars cannot be built")]
    Bar {
        /// The length that was asked for.
        to: Timeframe,
        /// Which coarser bar, counted from 0, and why.
        source: CandleError,
    },
}

/// Whether bars of length `fine` fill bars of length `coarse` evenly. A timeframe fills itself.
#[must_use]
pub const fn fills(fine: Timeframe, coarse: Timeframe) -> bool {
    coarse.seconds().is_multiple_of(fine.seconds())
}

/// The start of the bar of this length that `moment` falls into. Weekly bars start on Mondays.
#[must_use]
pub const fn bar_start(timeframe: Timeframe, moment: Timestamp) -> Timestamp {
    timeframe.floor(moment)
}

/// Gathers the bars of `fine` into bars of length `to`: first open, highest high, lowest low, last
/// close, and the sum of the volumes in the order of time.
///
/// A coarser bar exists where at least one finer bar does. The last one is left out unless its last
/// finer bar is there, because until then it is still forming; so a longer series never changes a
/// bar that a shorter one already showed.
///
/// # Errors
/// [`ResampleError::NotAMultiple`] when the lengths do not fit, and [`ResampleError::Bar`] when a
/// sum of volumes is no longer finite.
pub fn resample(fine: &CandleSeries, to: Timeframe) -> Result<Resampled, ResampleError> {
    let from = fine.timeframe();
    if !fills(from, to) {
        return Err(ResampleError::NotAMultiple { from, to });
    }
    let full = to.seconds() / from.seconds();
    let mut out = Resampled { series: CandleSeries::empty(to), incomplete_bars: 0 };
    let mut open: Option<Forming> = None;
    for candle in fine.iter() {
        let start = bar_start(to, Timestamp::from_ms(candle.open_time_ms)).ms();
        match &mut open {
            Some(bar) if bar.candle.open_time_ms == start => bar.add(&candle),
            _ => {
                if let Some(done) = open.replace(Forming::new(start, candle)) {
                    close(&mut out, &done, full)?;
                }
            }
        }
    }
    // Complete in time: from the start of the bar to that of its last part is all but one part.
    let complete =
        |bar: &Forming| bar.last_part_ms - bar.candle.open_time_ms == to.ms() - from.ms();
    if let Some(last) = open.filter(complete) {
        close(&mut out, &last, full)?;
    }
    Ok(out)
}

/// A coarser bar while its finer bars arrive.
struct Forming {
    candle: Candle,
    last_part_ms: i64,
    parts: u32,
}

impl Forming {
    const fn new(start_ms: i64, first: Candle) -> Self {
        let candle = Candle { open_time_ms: start_ms, ..first };
        Self { candle, last_part_ms: first.open_time_ms, parts: 1 }
    }

    const fn add(&mut self, part: &Candle) {
        self.candle.high = self.candle.high.max(part.high);
        self.candle.low = self.candle.low.min(part.low);
        self.candle.close = part.close;
        self.candle.volume += part.volume;
        self.last_part_ms = part.open_time_ms;
        self.parts += 1;
    }
}

fn close(out: &mut Resampled, bar: &Forming, full: u32) -> Result<(), ResampleError> {
    let row = out.series.len();
    out.series.push(bar.candle).map_err(|fault| ResampleError::Bar {
        to: out.series.timeframe(),
        source: CandleError { row, time: Timestamp::from_ms(bar.candle.open_time_ms), fault },
    })?;
    if bar.parts < full {
        out.incomplete_bars += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn series(timeframe: Timeframe, bars: &[Candle]) -> CandleSeries {
        CandleSeries::new(timeframe, bars).unwrap()
    }

    fn bar(row: i64, step_ms: i64, price: f64) -> Candle {
        Candle {
            open_time_ms: row * step_ms,
            open: price,
            high: price + 1.0,
            low: price / 2.0,
            close: price + 0.5,
            volume: 1.0,
        }
    }

    fn timeframe(name: &str) -> Timeframe {
        name.parse().unwrap()
    }

    #[test]
    fn the_forming_bar_is_not_shown_until_its_last_part_is_there() {
        let hour = Timeframe::H1.ms();
        let bars: Vec<Candle> = (0..8).map(|row| bar(row, hour, 10.0)).collect();
        let count = |n: usize| {
            resample(&series(Timeframe::H1, &bars[..n]), Timeframe::H4).unwrap().series.len()
        };
        assert_eq!([count(0), count(3), count(4), count(7), count(8)], [0, 0, 1, 1, 2]);
    }

    #[test]
    fn holes_are_counted_and_an_empty_stretch_makes_no_bar() {
        let hour = Timeframe::H1.ms();
        let bars: Vec<Candle> = [0, 2, 3, 12, 13, 14, 15].map(|row| bar(row, hour, 10.0)).into();
        let out = resample(&series(Timeframe::H1, &bars), Timeframe::H4).unwrap();
        assert_eq!(out.series.open_time_ms(), [0, 12 * hour]);
        assert_eq!(out.incomplete_bars, 1);
    }

    #[test]
    fn weeks_start_on_mondays() {
        // 2024-09-02 was a Monday.
        let monday: Timestamp = "2024-09-02".parse().unwrap();
        let day = Timeframe::D1.ms();
        let bars: Vec<Candle> = (0..7)
            .map(|row| Candle { open_time_ms: monday.ms() + row * day, ..bar(0, day, 9.0) })
            .collect();
        let out = resample(&series(Timeframe::D1, &bars), timeframe("1w")).unwrap();
        assert_eq!(out.series.open_time_ms(), [monday.ms()]);
        assert_eq!(bar_start(timeframe("1w"), monday.plus_ms(-1)), monday.plus_ms(-7 * day));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for (from, to) in [("2h", "3m"), ("3m", "5m"), ("4h", "6h"), ("1d", "1h")] {
            let error = resample(&CandleSeries::empty(timeframe(from)), timeframe(to)).unwrap_err();
            assert_eq!(
                error,
                ResampleError::NotAMultiple { from: timeframe(from), to: timeframe(to) }
            );
        }
    }

    #[test]
    fn a_volume_beyond_the_range_is_an_error() {
        let hour = Timeframe::H1.ms();
        let bars: Vec<Candle> =
            (0..4).map(|row| Candle { volume: f64::MAX, ..bar(row, hour, 1.0) }).collect();
        let error = resample(&series(Timeframe::H1, &bars), Timeframe::H4).unwrap_err();
        assert!(matches!(error, ResampleError::Bar { .. }), "{error}");
    }

    /// Quarter-hour bars with holes; volumes are whole, so that every order of adding agrees.
    fn quarters() -> impl Strategy<Value = Vec<Candle>> {
        let one = (1_i64..4, 1_u32..1000, 0_u32..50, 0_u32..50, 0_u32..9, -1000_i64..1000);
        proptest::collection::vec(one, 0..200).prop_map(|rows| {
            let mut at = rows.first().map_or(0, |first| first.5);
            rows.into_iter()
                .map(|(step, price, up, move_by, volume, _)| {
                    // Mostly no hole: only a step of 3 leaves one.
                    at += if step == 3 { 3 } else { 1 };
                    let (open, close) = (f64::from(price), f64::from(price + move_by));
                    Candle {
                        open_time_ms: at * Timeframe::M15.ms(),
                        open,
                        high: close + f64::from(up),
                        low: open / 2.0,
                        close,
                        volume: f64::from(volume),
                    }
                })
                .collect()
        })
    }

    /// The same thing the slow way: gather first, then look at each heap.
    fn gathered(bars: &[Candle], to: Timeframe) -> Vec<Candle> {
        let mut heaps: BTreeMap<i64, Vec<&Candle>> = BTreeMap::new();
        for bar in bars {
            let start = bar.open_time_ms.div_euclid(to.ms()) * to.ms();
            heaps.entry(start).or_default().push(bar);
        }
        heaps
            .into_iter()
            .map(|(start, heap)| Candle {
                open_time_ms: start,
                open: heap[0].open,
                high: heap.iter().map(|c| c.high).fold(f64::MIN, f64::max),
                low: heap.iter().map(|c| c.low).fold(f64::MAX, f64::min),
                close: heap[heap.len() - 1].close,
                volume: heap.iter().map(|c| c.volume).sum(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_bar_is_the_summary_of_its_parts(bars in quarters()) {
            let out = resample(&series(Timeframe::M15, &bars), Timeframe::H1).unwrap();
            let mut expected = gathered(&bars, Timeframe::H1);
            let complete = bars.last().is_none_or(|last| {
                (last.open_time_ms + Timeframe::M15.ms()).rem_euclid(Timeframe::H1.ms()) == 0
            });
            if !complete {
                expected.pop();
            }
            prop_assert_eq!(out.series.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn later_bars_never_change_what_was_shown(bars in quarters(), share in 0.0_f64..1.0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a short length")]
            let cut = (share * bars.len() as f64) as usize;
            let shown = |bars: &[Candle]| -> Vec<Candle> {
                resample(&series(Timeframe::M15, bars), Timeframe::H4).unwrap().series.iter().collect()
            };
            let (before, after) = (shown(&bars[..cut]), shown(&bars));
            prop_assert_eq!(&before[..], &after[..before.len()]);
        }

        #[test]
        fn a_stop_in_between_can_only_hide_the_last_bar(bars in quarters()) {
            let quarters = series(Timeframe::M15, &bars);
            let hours = resample(&quarters, Timeframe::H1).unwrap().series;
            let coarse = |fine| -> Vec<Candle> {
                resample(fine, Timeframe::H4).unwrap().series.iter().collect()
            };
            let (direct, stepped) = (coarse(&quarters), coarse(&hours));
            prop_assert!(stepped.len() + 1 >= direct.len());
            prop_assert_eq!(&stepped[..], &direct[..stepped.len()]);
        }

        #[test]
        fn the_same_length_gives_the_same_series(bars in quarters()) {
            let fine = series(Timeframe::M15, &bars);
            let out = resample(&fine, Timeframe::M15).unwrap();
            prop_assert_eq!((out.series, out.incomplete_bars), (fine, 0));
        }
    }
}
