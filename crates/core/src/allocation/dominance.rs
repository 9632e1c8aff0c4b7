//! By dominance: each trending asset gets its share of the trending assets' market caps.

use super::{Allocation, Candidate};

pub(super) const ALLOCATION: Allocation =
    Allocation { name: "dominance", doc: "in proportion to market capitalisation", weigh };

fn weigh(candidates: &[Candidate]) -> Vec<f64> {
    let total: f64 = candidates.iter().map(|candidate| candidate.dominance).sum();
    candidates
        .iter()
        .map(|candidate| if total > 0.0 { candidate.dominance / total } else { 0.0 })
        .collect()
}
