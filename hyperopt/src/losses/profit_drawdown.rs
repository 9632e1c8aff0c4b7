//! Profit less the part that a drawdown puts at risk, as Freqtrade's `ProfitDrawDownHyperOptLoss`.

use super::Loss;

/// Smaller numbers penalise drawdowns more; Freqtrade's value.
const DRAWDOWN_MULT: f64 = 0.075;

pub(super) const LOSS: Loss = Loss {
    name: "profit-drawdown",
    doc: "-profit, reduced by the relative drawdown",
    evaluate: |outcome, period, _| {
        let drawdown = if outcome.trades > 1 { outcome.relative_drawdown(period) } else { 0.0 };
        -(outcome.profit - drawdown * outcome.profit * (1.0 - DRAWDOWN_MULT))
    },
};
