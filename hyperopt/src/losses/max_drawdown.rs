//! Profit over the deepest drop, as Freqtrade's `MaxDrawDownHyperOptLoss`.

use super::Loss;

pub(super) const LOSS: Loss = Loss {
    name: "max-drawdown",
    doc: "-profit over the deepest drop of the balance",
    evaluate: |outcome, _, _| {
        if outcome.drop > 0.0 && outcome.trades > 1 {
            -outcome.profit / outcome.drop
        } else {
            -outcome.profit
        }
    },
};
