//! The sweep: every multiple of a (window, ATR length) pair in one pass, equal to the backtest.
//!
//! A close is above the upper band of multiple m when `z = (close - middle) / atr` is above m, so in
//! each row a prefix of the multiples is above (or below). From row to row only the multiples
//! between the two prefixes cross, and only those are looked at. Where `z` is so near to a multiple
//! that rounding could decide, the comparison of the indicator itself is made.

mod counts;
mod lanes;

use crate::backtest::{Series, run};
use crate::money::{Fee, ValueTable};
use crate::outcome::{Outcome, Period};
use crate::rules::Rules;
use crate::space::Space;
use counts::{Counter, Line};
use keel_core::indicator::{Decay, average_true_range, ewm, typical_price};
use lanes::{Desk, Lanes};

/// A series prepared for sweeping.
#[derive(Debug)]
pub struct Kernel<'a> {
    series: &'a Series,
    rules: &'a Rules,
    space: &'a Space,
    period: Period,
    mults: Vec<f64>,
    middles: Vec<Vec<f64>>,
    ranges: Vec<Range>,
    desk: Option<Desk<'a>>,
    /// First row whose signal counts.
    first: usize,
}

/// Average true range and its reciprocal.
#[derive(Debug)]
struct Range {
    atr: Vec<f64>,
    inverse: Vec<f64>,
    /// Dominance candles can start with a negative range, which turns the bands inside out.
    usual: bool,
}

/// Buffers of one thread, reused from pair to pair.
#[derive(Debug)]
pub struct Workspace {
    counts: Vec<i16>,
    events: Vec<u32>,
    lanes: Lanes,
}

impl<'a> Kernel<'a> {
    /// Prepares the lines of every window and ATR length. The rules and the period have been
    /// checked, and the series has more rows than the rules drop.
    #[must_use]
    pub fn new(series: &'a Series, rules: &'a Rules, space: &'a Space, period: Period) -> Self {
        let bars = series.signal_bars();
        // Row 0 never signals, so the comparison with the row before always has one.
        let first = rules.startup.max(1);
        let typical = typical_price(bars.open, bars.high, bars.low, bars.close);
        let middles =
            space.windows().iter().map(|window| ewm(&typical, Decay::span(*window))).collect();
        let ranges = space
            .atrs()
            .iter()
            .map(|length| {
                Range::new(average_true_range(bars.high, bars.low, bars.close, *length), first)
            })
            .collect();
        // A count is kept in 16 bits.
        let short_enough = space.sizes()[2] < 30_000;
        let desk = (rules.signals_only() && short_enough)
            .then(|| ValueTable::new(&series.traded.open, &Fee::new(rules.fee)))
            .flatten()
            .map(|table| Desk::new(&series.traded, rules, &period, table));
        Self { series, rules, space, period, mults: space.mults(), middles, ranges, desk, first }
    }

    /// What the outcomes are measured over.
    #[must_use]
    pub const fn period(&self) -> &Period {
        &self.period
    }

    /// Number of (window, ATR length) pairs.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.middles.len() * self.ranges.len()
    }

    /// Whether pairs are swept at once; otherwise each point is a backtest of its own, which takes
    /// far longer and gives the same. That is so with exits other than signals, and with prices of
    /// so many digits that products of them are not exact.
    #[must_use]
    pub const fn is_fast(&self) -> bool {
        self.desk.is_some()
    }

    /// Buffers for [`Self::sweep`].
    #[must_use]
    pub fn workspace(&self) -> Workspace {
        Workspace {
            counts: vec![0; self.series.len()],
            events: vec![0; self.series.len()],
            lanes: Lanes::new(self.mults.len()),
        }
    }

    /// The outcome of every multiple of a pair, in the order of the space.
    pub fn sweep(&self, pair: usize, work: &mut Workspace, outcomes: &mut [Outcome]) {
        let range = &self.ranges[pair % self.ranges.len()];
        let middle = &self.middles[pair / self.ranges.len()];
        match &self.desk {
            Some(desk) if range.usual => {
                pulp::Arch::new().dispatch(Fast {
                    kernel: self,
                    desk,
                    middle,
                    range,
                    work,
                    outcomes,
                });
            }
            _ => self.sweep_slow(pair, outcomes),
        }
    }

    #[inline(always)]
    fn sweep_fast(
        &self,
        desk: &Desk<'_>,
        middle: &[f64],
        range: &Range,
        work: &mut Workspace,
        outcomes: &mut [Outcome],
    ) {
        let close = self.series.signal_bars().close;
        let last = close.len() - 1;
        let Workspace { counts, events, lanes } = work;
        let counter = Counter::new(&self.mults, self.space.mult_step());
        let line = Line { close, middle, atr: &range.atr, inverse: &range.inverse };
        // The signal of the last row could only act after the end.
        counter.count(line, self.first - 1..last, counts);
        let events = counts::events(counts, desk.traded(), self.first..last, events);
        lanes.reset();
        for row in events {
            let row = *row as usize;
            let (before, now) = (counts[row - 1], counts[row]);
            if now > 0 {
                if row + 1 < last {
                    lanes.enter(before.max(0), now, row + 1, desk);
                }
            } else {
                lanes.exit((-before).max(0), -now, row + 1, desk);
            }
        }
        lanes.finish(last, desk, outcomes);
    }

    fn sweep_slow(&self, pair: usize, outcomes: &mut [Outcome]) {
        let first = pair * self.mults.len();
        for (place, outcome) in outcomes.iter_mut().enumerate() {
            let params = self.space.params(first + place);
            *outcome = run(self.series, params, self.rules, self.period).outcome;
        }
    }
}

/// A sweep of one pair, as one call: everything below it is compiled once more for the processor's
/// own vector and fused multiply-add instructions, which give the same bits faster.
struct Fast<'a, 'k> {
    kernel: &'a Kernel<'k>,
    desk: &'a Desk<'k>,
    middle: &'a [f64],
    range: &'a Range,
    work: &'a mut Workspace,
    outcomes: &'a mut [Outcome],
}

impl pulp::WithSimd for Fast<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.kernel.sweep_fast(self.desk, self.middle, self.range, self.work, self.outcomes);
    }
}

impl Range {
    fn new(atr: Vec<f64>, first: usize) -> Self {
        let inverse = atr.iter().map(|atr| 1.0 / atr).collect();
        let usual = atr[first - 1..].iter().all(|atr| *atr >= 0.0);
        Self { atr, inverse, usual }
    }
}
