//! The default loss without its traps: penalties always hurt, and no losing day is a good thing.

use super::Loss;
use super::sortino::{Parts, target_trades};

pub(super) const LOSS: Loss = Loss {
    name: "sortino-guarded",
    doc: "like sortino, but penalties worsen a negative ratio and a flawless set is the best",
    evaluate: |outcome, period, seen| {
        let parts = Parts::of(outcome, period, target_trades(period));
        let own = outcome.daily_downside(period);
        let downside = if own > 0.0 { own } else { seen.downside.unwrap_or(SMALLEST) };
        let sortino = outcome.daily_mean(period) / downside * 365_f64.sqrt();
        let penalty = parts.trade_penalty * parts.drawdown_penalty;
        if sortino >= 0.0 {
            -sortino * penalty
        } else {
            // A lost wallet has penalty 0; the bound keeps the loss finite and very bad.
            -sortino / penalty.max(1e-9)
        }
    },
};

/// Downside of a flawless set when no other set has one: a basis point a day.
const SMALLEST: f64 = 1e-4;
