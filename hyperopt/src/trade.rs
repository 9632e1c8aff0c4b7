//! The trade loop: signals in, trades out, with the money rules of Freqtrade 2025.8.

use crate::candles::Candles;
use crate::money::{Fee, UNITS, floor_units, round8};
use crate::rules::{Rules, Stake, TRADABLE};
use crate::signals::Signals;
use crate::tick::{Ticks, ceil_to_tick, round_to_tick};

/// Why a trade was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The exit signal.
    ExitSignal,
    /// The stop-loss as set at the entry.
    StopLoss,
    /// The profit table.
    Roi,
    /// The stop after it had moved.
    TrailingStopLoss,
    /// The end of the data.
    ForceExit,
}

/// A closed trade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Row of the entry.
    pub open_row: usize,
    /// Row of the exit.
    pub close_row: usize,
    /// Entry price, on the tick.
    pub open_rate: f64,
    /// Exit price.
    pub close_rate: f64,
    /// Base units.
    pub amount: f64,
    /// Quote units put in, without the fee.
    pub stake_amount: f64,
    /// Profit over what opening cost, fees included.
    pub profit_ratio: f64,
    /// Profit in quote units, fees included, eight decimals.
    pub profit_abs: f64,
    /// Why it was closed.
    pub exit_reason: ExitReason,
}

/// Money that the next trade may use: `0.99 * (wallet + profit so far)` by slots, or a fixed stake.
#[inline(always)]
#[must_use]
pub fn stake_of(rules_stake: Stake, slots: f64, wallet: f64, profit: f64) -> f64 {
    let free = wallet + profit;
    let available = (free * TRADABLE).min(free);
    match rules_stake {
        Stake::Unlimited => (available / slots).min(available).max(0.0),
        Stake::Fixed(stake) if stake <= available => stake,
        Stake::Fixed(_) => 0.0,
    }
}

struct Open {
    row: usize,
    units: f64,
    /// What opening cost, from the price as paid.
    value: f64,
    /// What opening cost, from the price on the tick; the profit table looks at this one.
    value_on_tick: f64,
    raw_rate: f64,
    rate: f64,
    decimals: u32,
    stop: f64,
    stop_distance: f64,
    stop_moved: bool,
}

/// Trades of a series. Signals of row i act at the open of row i + 1; rows before `rules.startup`
/// do not count, so the first row to trade on is `startup + 1`.
#[must_use]
pub fn trades(candles: &Candles, signals: &Signals, rules: &Rules) -> Vec<Trade> {
    let mut trades = Vec::new();
    if candles.len() < rules.startup + 2 {
        return trades;
    }
    let desk = Desk {
        candles,
        rules,
        fee: Fee::new(rules.fee),
        ticks: (!rules.signals_only()).then(|| Ticks::of(candles)),
    };
    let last = candles.len() - 1;
    let mut profit = 0.0;
    let mut open: Option<Open> = None;
    for row in rules.startup + 1..=last {
        let (enter, exit) = (signals.enter[row - 1], signals.exit[row - 1]);
        if open.is_none() && enter && !exit && row < last {
            open = desk.enter(row, profit);
        }
        if let Some(trade) = &mut open
            && let Some((rate, reason)) = desk.exit(trade, row, enter, exit)
        {
            trades.push(desk.close(trade, row, rate, reason));
            profit += trades.last().map_or(0.0, |trade| trade.profit_abs);
            open = None;
        }
    }
    if let Some(trade) = &open {
        trades.push(desk.close(trade, last, candles.open[last], ExitReason::ForceExit));
    }
    trades
}

struct Desk<'a> {
    candles: &'a Candles,
    rules: &'a Rules,
    fee: Fee,
    /// Needed only where a stop or a profit table looks at prices.
    ticks: Option<Ticks>,
}

impl Desk<'_> {
    fn enter(&self, row: usize, profit: f64) -> Option<Open> {
        let raw_rate = self.candles.open[row];
        let slots = f64::from(self.rules.max_open_trades);
        let stake = stake_of(self.rules.stake, slots, self.rules.wallet, profit);
        let units = floor_units(stake / raw_rate);
        if units <= 0.0 {
            return None;
        }
        let value = self.fee.open_value(units, raw_rate);
        let decimals =
            self.ticks.as_ref().map(|ticks| ticks.decimals_at(self.candles.open_time_ms[row]));
        let rate = decimals.map_or(raw_rate, |decimals| round_to_tick(raw_rate, decimals));
        let value_on_tick = self.fee.open_value(units, rate);
        let stop_distance = self.rules.stoploss.unwrap_or(1.0).abs();
        let mut open = Open {
            row,
            units,
            value,
            value_on_tick,
            raw_rate,
            rate,
            decimals: decimals.unwrap_or(0),
            stop: 0.0,
            stop_distance,
            stop_moved: false,
        };
        open.stop = open.stop_below(raw_rate, stop_distance);
        // Freqtrade sets the stop again from the price on the tick; only upwards, and that counts
        // as a moved stop.
        open.raise_stop(rate, stop_distance);
        Some(open)
    }

    /// The first exit that applies in this row, in Freqtrade's order.
    fn exit(
        &self,
        open: &mut Open,
        row: usize,
        enter: bool,
        exit: bool,
    ) -> Option<(f64, ExitReason)> {
        let (price, low) = (self.candles.open[row], self.candles.low[row]);
        if self.rules.signals_only() {
            return (exit && !enter).then_some((price, ExitReason::ExitSignal));
        }
        self.trail(open, row);
        if exit && !enter {
            return Some((price, ExitReason::ExitSignal));
        }
        let stopped = open.stop >= low;
        if stopped && !open.stop_moved {
            return Some((self.stop_rate(open, row), ExitReason::StopLoss));
        }
        if let Some(rate) = self.roi_rate(open, row) {
            return Some((rate, ExitReason::Roi));
        }
        stopped.then(|| (self.stop_rate(open, row), ExitReason::TrailingStopLoss))
    }

    fn trail(&self, open: &mut Open, row: usize) {
        let Some(trailing) = self.rules.trailing else { return };
        if open.stop >= self.candles.low[row] {
            return;
        }
        let high = self.candles.high[row];
        let profit = self.profit_at(open, high);
        if trailing.only_offset_is_reached && profit < trailing.offset {
            return;
        }
        let distance = match trailing.positive {
            Some(positive) if profit > trailing.offset => positive,
            _ => self.rules.stoploss.unwrap_or(1.0).abs(),
        };
        open.raise_stop(high, distance);
    }

    /// Profit ratio at a price, eight decimals.
    fn profit_at(&self, open: &Open, rate: f64) -> f64 {
        round8(self.fee.close_value(open.units, rate) / open.value_on_tick - 1.0)
    }

    fn stop_rate(&self, open: &Open, row: usize) -> f64 {
        let (price, low) = (self.candles.open[row], self.candles.low[row]);
        if open.stop > self.candles.high[row] {
            return price;
        }
        if open.stop_moved && open.row == row {
            // A trailing stop in the row of the entry: the price is assumed to rise just enough to
            // move the stop and to fall at once.
            let rate = match self.rules.trailing {
                Some(crate::rules::Trailing {
                    positive: Some(positive),
                    offset,
                    only_offset_is_reached: true,
                }) => price * (1.0 + offset - positive),
                _ => price * (1.0 - open.stop_distance),
            };
            return low.max(rate);
        }
        open.stop
    }

    fn roi_rate(&self, open: &Open, row: usize) -> Option<f64> {
        let times = &self.candles.open_time_ms;
        let age = u32::try_from((times[row] - times[open.row]) / 60_000).unwrap_or(u32::MAX);
        let (key, roi) = self.rules.roi.range(..=age).next_back()?;
        if self.profit_at(open, self.candles.high[row]) <= *roi {
            return None;
        }
        let (price, close) = (self.candles.open[row], self.candles.close[row]);
        let on_candle_open = (*key * 60).is_multiple_of(self.candles.timeframe.seconds());
        #[expect(clippy::float_cmp, reason = "-1 is a mark: leave whatever the profit is")]
        if *roi == -1.0 && on_candle_open {
            return Some(price);
        }
        let fee = self.fee.rate();
        let rate = -(open.rate * roi + open.rate * (1.0 + fee)) / (fee - 1.0);
        if age > 0 && age == *key && on_candle_open && price > rate {
            return Some(price);
        }
        if age == 0 && price > close && open.rate < price && rate > close {
            return None;
        }
        Some(rate.max(self.candles.low[row]).min(self.candles.high[row]))
    }

    fn close(&self, open: &Open, row: usize, rate: f64, exit_reason: ExitReason) -> Trade {
        let amount = open.units / UNITS;
        let profit_abs = round8(self.fee.close_value(open.units, rate) - open.value);
        Trade {
            open_row: open.row,
            close_row: row,
            open_rate: open.rate,
            close_rate: rate,
            amount,
            stake_amount: amount * open.raw_rate,
            profit_ratio: profit_abs / open.value,
            profit_abs,
            exit_reason,
        }
    }
}

impl Open {
    fn stop_below(&self, rate: f64, distance: f64) -> f64 {
        ceil_to_tick(rate * (1.0 - distance), self.decimals)
    }

    fn raise_stop(&mut self, rate: f64, distance: f64) {
        let stop = self.stop_below(rate, distance);
        if stop > self.stop {
            self.stop = stop;
            self.stop_distance = distance;
            self.stop_moved = true;
        }
    }
}
