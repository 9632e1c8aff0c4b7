//! Calmar ratio, as Freqtrade's `CalmarHyperOptLoss`.

use super::Loss;

pub(super) const LOSS: Loss = Loss {
    name: "calmar",
    doc: "-profit per day over drawdown, yearly",
    evaluate: |outcome, period, _| {
        let drawdown = outcome.relative_drawdown(period);
        let daily_percent = outcome.profit_ratio(period) / period.whole_days.max(1.0) * 100.0;
        // Freqtrade's mark for "cannot be computed": without a drawdown and with a single trade.
        if drawdown > 0.0 && outcome.trades > 1 {
            -daily_percent / drawdown * 365_f64.sqrt()
        } else {
            100.0
        }
    },
};
