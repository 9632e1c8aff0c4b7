//! Equally: each trending asset with a market cap gets the same share.

use super::{Allocation, Candidate};

pub(super) const ALLOCATION: Allocation =
    Allocation { name: "equal", doc: "the same share for every trending asset", weigh };

fn weigh(candidates: &[Candidate]) -> Vec<f64> {
    let known = candidates.iter().filter(|candidate| candidate.dominance > 0.0).count();
    // A count of assets is far below 2^52, so the conversion is exact.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let share = if known > 0 { 1.0 / known as f64 } else { 0.0 };
    candidates.iter().map(|candidate| if candidate.dominance > 0.0 { share } else { 0.0 }).collect()
}
