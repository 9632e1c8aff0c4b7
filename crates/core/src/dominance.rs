//! Synthetic dominance candles: an asset's share of the portfolio's market capitalisation, bar by bar.

use crate::candle::{Bars, Window};
use crate::time::Timestamp;
use std::borrow::Cow;

/// One asset's part in a [`DominanceFrame`].
#[derive(Clone, Debug)]
pub struct Member {
    /// Its closed candles.
    pub window: Window,
    /// `k`: last market cap divided by last price, above 0. History is derived from price, because
    /// a cap stamped now includes today's price.
    pub cap_per_price: f64,
}

/// The members' candles on one time axis, with the sum of their weighted prices.
///
/// Joined by time over the range that every member covers; a hole inside it is carried forward as a
/// flat bar at the last close with volume 0.
#[derive(Debug)]
pub struct DominanceFrame<'a> {
    rows: usize,
    members: Vec<Aligned<'a>>,
    total: [Vec<f64>; 4],
}

#[derive(Debug)]
struct Aligned<'a> {
    prices: [Cow<'a, [f64]>; 4],
    volume: Cow<'a, [f64]>,
    cap_per_price: f64,
}

/// One asset's dominance candles in percent; volume is the asset's own.
#[derive(Clone, Debug, PartialEq)]
pub struct DominanceCandles {
    open: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
}

impl DominanceCandles {
    /// The columns, for a strategy.
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
}

/// Which members have been listed long enough to take part: `true` for those whose history reaches
/// back as far as the longest one, or as many bars from the newest as stand beside its window.
///
/// An asset that was listed a week ago would cut the range of all others to a week, so that every
/// trend would fall to "unknown" and the portfolio be sold. It joins once it has the history that
/// was asked for, or all that its venue ever gives.
#[must_use]
pub fn listed_long_enough(windows: &[(&Window, usize)]) -> Vec<bool> {
    let first = |window: &Window| window.open_time_ms().first().copied();
    let last = |window: &Window| window.open_time_ms().last().copied();
    let earliest = windows.iter().filter_map(|(window, _)| first(window)).min();
    let newest = windows.iter().filter_map(|(window, _)| last(window)).max();
    let (Some(earliest), Some(newest)) = (earliest, newest) else {
        return vec![false; windows.len()];
    };
    windows
        .iter()
        .map(|(window, bars)| {
            let step = window.timeframe().ms();
            let bars = i64::try_from(*bars).unwrap_or(i64::MAX / step);
            let needed_from = earliest.max(newest - (bars - 1) * step);
            first(window).is_some_and(|start| start <= needed_from)
        })
        .collect()
}

impl<'a> DominanceFrame<'a> {
    /// Joins the members. The frame has no rows when a member has no candles or no range is common.
    #[must_use]
    pub fn new(members: &'a [Member]) -> Self {
        let start = members.iter().filter_map(|m| m.window.open_time_ms().first().copied()).max();
        let end = members.iter().filter_map(|m| m.window.open_time_ms().last().copied()).min();
        let usable = members.iter().all(|member| !member.window.is_empty());
        let range = match (start, end) {
            (Some(start), Some(end)) if usable && start <= end => start..=end,
            _ => return Self { rows: 0, members: Vec::new(), total: Default::default() },
        };
        let slices: Vec<(usize, usize)> = members
            .iter()
            .map(|member| {
                let times = member.window.open_time_ms();
                (
                    times.partition_point(|time| time < range.start()),
                    times.partition_point(|time| time <= range.end()),
                )
            })
            .collect();
        let times_of = |i: usize| &members[i].window.open_time_ms()[slices[i].0..slices[i].1];
        let same_axis = (1..members.len()).all(|i| times_of(i) == times_of(0));
        let axis: Option<Vec<i64>> = (!same_axis).then(|| {
            let mut axis: Vec<i64> =
                (0..members.len()).flat_map(|i| times_of(i).iter().copied()).collect();
            axis.sort_unstable();
            axis.dedup();
            axis
        });
        let aligned: Vec<Aligned<'a>> = members
            .iter()
            .zip(&slices)
            .map(|(member, slice)| align(member, *slice, axis.as_deref()))
            .collect();
        let rows = aligned.first().map_or(0, |member| member.volume.len());
        let mut total: [Vec<f64>; 4] = std::array::from_fn(|_| vec![0.0; rows]);
        for member in &aligned {
            let cap_per_price = member.cap_per_price;
            for (sum, prices) in total.iter_mut().zip(&member.prices) {
                let (sum, prices) = (&mut sum[..rows], &prices[..rows]);
                for (sum, price) in sum.iter_mut().zip(prices) {
                    *sum += cap_per_price * price;
                }
            }
        }
        Self { rows, members: aligned, total }
    }

    /// Number of bars.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Dominance candles of the member at `index`: `100 * k_i * price_i / sum_j(k_j * price_j)`, for
    /// each of open, high, low and close.
    #[must_use]
    pub fn candles(&self, index: usize) -> DominanceCandles {
        let Some(member) = self.members.get(index) else {
            return DominanceCandles {
                open: Vec::new(),
                high: Vec::new(),
                low: Vec::new(),
                close: Vec::new(),
                volume: Vec::new(),
            };
        };
        let scale = 100.0 * member.cap_per_price;
        let share = |column: usize| -> Vec<f64> {
            member.prices[column]
                .iter()
                .zip(&self.total[column])
                .map(|(price, total)| scale * price / total)
                .collect()
        };
        DominanceCandles {
            open: share(0),
            high: share(1),
            low: share(2),
            close: share(3),
            volume: member.volume.to_vec(),
        }
    }
}

fn align<'a>(member: &'a Member, slice: (usize, usize), axis: Option<&[i64]>) -> Aligned<'a> {
    let window = &member.window;
    let columns = [window.open(), window.high(), window.low(), window.close()];
    let Some(axis) = axis else {
        return Aligned {
            prices: columns.map(|column| Cow::Borrowed(&column[slice.0..slice.1])),
            volume: Cow::Borrowed(&window.volume()[slice.0..slice.1]),
            cap_per_price: member.cap_per_price,
        };
    };
    let times = window.open_time_ms();
    let mut prices: [Vec<f64>; 4] = std::array::from_fn(|_| Vec::with_capacity(axis.len()));
    let mut volume = Vec::with_capacity(axis.len());
    let mut row = slice.0;
    // The axis starts inside every member's history: where its first time is a hole, the bar before
    // it exists and stands.
    let mut last_close = window.close()[slice.0.saturating_sub(1)];
    for time in axis {
        if row < slice.1 && times[row] == *time {
            for (out, column) in prices.iter_mut().zip(&columns) {
                out.push(column[row]);
            }
            volume.push(window.volume()[row]);
            last_close = window.close()[row];
            row += 1;
        } else {
            for out in &mut prices {
                out.push(last_close);
            }
            volume.push(0.0);
        }
    }
    Aligned {
        prices: prices.map(Cow::Owned),
        volume: Cow::Owned(volume),
        cap_per_price: member.cap_per_price,
    }
}

/// When the newest candle of `window` is older than two of its bars, what it says is too old to act
/// on. Returns the age beyond the bar's close, in milliseconds.
#[must_use]
pub fn stale_by_ms(window: &Window, now: Timestamp) -> Option<i64> {
    let closed_at = window.closed_at()?;
    let age = now.since_ms(closed_at);
    (age > 2 * window.timeframe().ms()).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candle::{Candle, CandleSeries};
    use crate::time::Timeframe;
    use std::sync::Arc;

    fn member(rows: &[(i64, f64)], cap_per_price: f64) -> Member {
        let hour = Timeframe::H1.ms();
        let candles: Vec<Candle> = rows
            .iter()
            .map(|(hour_number, price)| Candle {
                open_time_ms: hour_number * hour,
                open: *price,
                high: *price,
                low: *price,
                close: *price,
                volume: 7.0,
            })
            .collect();
        let series = CandleSeries::new(Timeframe::H1, &candles).unwrap();
        Member { window: Window::whole(Arc::new(series)), cap_per_price }
    }

    #[test]
    fn shares_are_percent_of_the_weighted_sum() {
        let members = [member(&[(0, 1.0), (1, 2.0)], 30.0), member(&[(0, 1.0), (1, 1.0)], 10.0)];
        let frame = DominanceFrame::new(&members);
        assert_eq!(frame.candles(0).bars().close, [75.0, 600.0 / 7.0]);
        assert_eq!(frame.candles(1).bars().close, [25.0, 100.0 / 7.0]);
        assert_eq!(frame.candles(0).bars().volume, [7.0, 7.0]);
    }

    #[test]
    fn a_hole_is_carried_forward_and_nobody_jumps() {
        let whole = member(&[(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)], 1.0);
        let holed = member(&[(0, 1.0), (3, 3.0)], 1.0);
        let members = [whole, holed];
        let frame = DominanceFrame::new(&members);
        assert_eq!(frame.candles(0).bars().close, [50.0, 50.0, 50.0, 25.0]);
        assert_eq!(frame.candles(1).bars().volume, [7.0, 0.0, 0.0, 7.0]);
    }

    #[test]
    fn only_the_common_range_counts_even_when_its_first_bar_is_a_hole() {
        let early = member(&[(0, 1.0), (2, 2.0), (4, 2.0)], 1.0);
        let late = member(&[(1, 1.0), (2, 2.0), (3, 2.0)], 1.0);
        let members = [early, late];
        let frame = DominanceFrame::new(&members);
        // Common range 1..=3: at 1 the early asset has a hole and still stands at 1.
        assert_eq!(frame.candles(0).bars().close, [50.0, 50.0, 50.0]);
        let apart = [member(&[(0, 1.0)], 1.0), member(&[(5, 1.0)], 1.0)];
        assert_eq!(DominanceFrame::new(&apart).rows(), 0);
    }

    #[test]
    fn a_new_listing_waits_until_it_has_history() {
        let long = member(&[(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)], 1.0).window;
        let short = member(&[(2, 1.0), (3, 1.0)], 1.0).window;
        let listed =
            |sizes: [usize; 2]| listed_long_enough(&[(&long, sizes[0]), (&short, sizes[1])]);
        assert_eq!(listed([4, 4]), [true, false]);
        assert_eq!(listed([2, 2]), [true, true]);
        assert_eq!(listed_long_enough(&[(&short, 100), (&short, 100)]), [true, true]);
        // Its venue never gives more than two bars.
        assert_eq!(listed([4, 2]), [true, true]);
    }
}
