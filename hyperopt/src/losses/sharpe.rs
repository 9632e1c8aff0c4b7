//! Daily Sharpe ratio, as Freqtrade's `SharpeHyperOptLossDaily`.

use super::Loss;

pub(super) const LOSS: Loss = Loss {
    name: "sharpe",
    doc: "-Sharpe ratio of the daily returns, yearly",
    evaluate: |outcome, period, _| {
        if outcome.daily_deviation(period) > 0.0 {
            -outcome.daily_sharpe(period) * 365_f64.sqrt()
        } else {
            20.0
        }
    },
};
