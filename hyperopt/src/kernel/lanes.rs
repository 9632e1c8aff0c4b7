//! One lane per multiple: in a trade or not, its money and its sums.

use crate::candles::Candles;
use crate::money::{ValueTable, floor_units, quotient, round8};
use crate::outcome::{Outcome, Period, Tally};
use crate::rules::{Rules, Stake};
use crate::trade::stake_of;

/// What every lane needs to know about the rows.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    open: &'a [f64],
    table: ValueTable,
    traded: Vec<bool>,
    days: Vec<u32>,
    stake: Stake,
    slots: f64,
    wallet: f64,
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        candles: &'a Candles,
        rules: &Rules,
        period: &Period,
        table: ValueTable,
    ) -> Self {
        Self {
            open: &candles.open,
            table,
            traded: candles.volume.iter().map(|volume| *volume > 0.0).collect(),
            days: candles.open_time_ms.iter().map(|time| period.day(*time)).collect(),
            stake: rules.stake,
            slots: f64::from(rules.max_open_trades),
            wallet: rules.wallet,
        }
    }

    /// Whether there was volume, by row.
    pub(super) fn traded(&self) -> &[bool] {
        &self.traded
    }

    #[inline(always)]
    fn units(&self, row: usize, profit: f64) -> f64 {
        floor_units(stake_of(self.stake, self.slots, self.wallet, profit) / self.open[row])
    }

    #[inline(always)]
    fn close(&self, lane: &mut Lane, row: usize) {
        let bought = self.table.open[lane.row as usize];
        let cost = quotient(lane.units, bought, self.table.denominator);
        let proceeds = quotient(lane.units, self.table.close[row], self.table.denominator);
        let profit = round8(proceeds - cost);
        lane.tally.add(self.days[row], profit / cost, profit);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    tally: Tally,
    /// Bought, in units of 1e-8.
    units: f64,
    /// Row of the entry.
    row: u32,
}

#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    /// Bit per lane: in a trade.
    held: Vec<u64>,
}

impl Lanes {
    pub(super) fn new(count: usize) -> Self {
        Self { lanes: vec![Lane::default(); count], held: vec![0; count.div_ceil(64)] }
    }

    pub(super) fn reset(&mut self) {
        self.lanes.fill(Lane::default());
        self.held.fill(0);
    }

    /// Lanes `from..to` get an entry signal that acts in `row`; those in a trade ignore it.
    #[inline(always)]
    pub(super) fn enter(&mut self, from: i16, to: i16, row: usize, desk: &Desk<'_>) {
        for (word, mask) in words(from, to) {
            let mut bits = mask & !self.held[word];
            while bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                let lane = &mut self.lanes[place];
                lane.units = desk.units(row, lane.tally.profit());
                #[expect(clippy::cast_possible_truncation, reason = "rows are far below 2^32")]
                let number = row as u32;
                lane.row = number;
                if lane.units > 0.0 {
                    self.held[word] |= bits & bits.wrapping_neg();
                }
                bits &= bits - 1;
            }
        }
    }

    /// Lanes `from..to` get an exit signal that acts in `row`.
    #[inline(always)]
    pub(super) fn exit(&mut self, from: i16, to: i16, row: usize, desk: &Desk<'_>) {
        for (word, mask) in words(from, to) {
            let mut bits = mask & self.held[word];
            self.held[word] &= !mask;
            while bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                desk.close(&mut self.lanes[place], row);
                bits &= bits - 1;
            }
        }
    }

    /// Closes what is open and writes the sums.
    #[inline(always)]
    pub(super) fn finish(&mut self, last: usize, desk: &Desk<'_>, outcomes: &mut [Outcome]) {
        for (word, held) in self.held.iter().enumerate() {
            let mut bits = *held;
            while bits != 0 {
                let place = word * 64 + bits.trailing_zeros() as usize;
                desk.close(&mut self.lanes[place], last);
                bits &= bits - 1;
            }
        }
        for (outcome, lane) in outcomes.iter_mut().zip(&self.lanes) {
            *outcome = lane.tally.finish();
        }
    }
}

/// The words that hold bits `from..to` and the bits in each.
#[inline(always)]
fn words(from: i16, to: i16) -> impl Iterator<Item = (usize, u64)> {
    let (from, to) = (usize::from(from.unsigned_abs()), usize::from(to.unsigned_abs()));
    (from / 64..to.div_ceil(64)).map(move |word| {
        let low = from.saturating_sub(word * 64);
        let high = (to - word * 64).min(64);
        let upto = if high == 64 { u64::MAX } else { (1 << high) - 1 };
        (word, upto & (u64::MAX << low))
    })
}
