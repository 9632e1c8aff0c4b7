//! The default: daily Sortino ratio times a penalty for few trades and one for drawdown.

use super::Loss;
use crate::outcome::{Outcome, Period};

pub(super) const LOSS: Loss = Loss {
    name: "sortino",
    doc: "-Sortino * trade penalty * drawdown penalty, trades wanted scaled with the timeframe",
    evaluate: |outcome, period, _| Parts::of(outcome, period, target_trades(period)).loss(),
};

/// The Sortino ratio of a set without a losing day.
pub const FLAWLESS: f64 = -20.0;

/// Trades that a year of 15-minute candles should have.
const BASELINE_TRADES: f64 = 365.0;
const BASELINE_MINUTES: f64 = 15.0;
const DRAWDOWN_WEIGHT: f64 = 1.0;

/// The factors of the loss and what they are made of.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Parts {
    /// Yearly Sortino ratio of the daily returns.
    pub sortino: f64,
    /// `min(1, trades / target)`.
    pub trade_penalty: f64,
    /// Drawdown at the deepest absolute drop, 0 with one trade.
    pub relative_drawdown: f64,
    /// `1 - drawdown`.
    pub drawdown_penalty: f64,
    /// Trades wanted over the period.
    pub target_trades: f64,
    /// UTC days.
    pub days: f64,
    /// Years.
    pub years: f64,
    /// The loss.
    pub loss: f64,
}

/// Trades wanted: 365 a year of 15-minute candles, fewer with longer ones, at least one a year.
#[must_use]
pub fn target_trades(period: &Period) -> f64 {
    let scale = period.timeframe_minutes / BASELINE_MINUTES;
    (BASELINE_TRADES / scale).max(1.0) * period.years
}

/// 365 trades a year whatever the timeframe, as the published code has it.
#[must_use]
pub fn published_target_trades(period: &Period) -> f64 {
    BASELINE_TRADES * period.years
}

impl Parts {
    /// The parts for a number of trades wanted.
    #[must_use]
    pub fn of(outcome: &Outcome, period: &Period, target_trades: f64) -> Self {
        let downside = outcome.daily_downside(period);
        let sortino = if downside > 0.0 {
            outcome.daily_mean(period) / downside * 365_f64.sqrt()
        } else {
            FLAWLESS
        };
        // Less than a day wants no trade at all, and 0 / 0 is no penalty.
        let trade_penalty = if target_trades > 0.0 {
            (f64::from(outcome.trades) / target_trades).min(1.0)
        } else {
            1.0
        };
        // Freqtrade cannot compute the drawdown of a single trade, and the loss takes 0 then.
        let relative_drawdown =
            if outcome.trades > 1 { outcome.relative_drawdown(period) } else { 0.0 };
        let mut parts = Self {
            sortino,
            trade_penalty,
            relative_drawdown,
            drawdown_penalty: (1.0 - relative_drawdown).powf(DRAWDOWN_WEIGHT),
            target_trades,
            days: period.days,
            years: period.years,
            loss: super::NO_TRADES,
        };
        if outcome.trades > 0 {
            parts.loss = -parts.sortino * parts.trade_penalty * parts.drawdown_penalty;
        }
        parts
    }

    const fn loss(&self) -> f64 {
        self.loss
    }
}
