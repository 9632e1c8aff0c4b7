//! Profit alone, as Freqtrade's `OnlyProfitHyperOptLoss`.

use super::Loss;

pub(super) const LOSS: Loss = Loss {
    name: "profit",
    doc: "-profit in quote units",
    evaluate: |outcome, _, _| -outcome.profit,
};
