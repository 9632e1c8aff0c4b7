//! The default loss as the published code computes it: always 365 trades a year.

use super::Loss;
use super::sortino::{Parts, published_target_trades};

pub(super) const LOSS: Loss = Loss {
    name: "sortino-published",
    doc: "like sortino, but 365 trades a year are wanted whatever the timeframe",
    evaluate: |outcome, period, _| Parts::of(outcome, period, published_target_trades(period)).loss,
};
