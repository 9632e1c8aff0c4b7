//! Average true range.

use super::{Decay, ewm, true_range};

/// `ewm(true range, alpha=1/atr)`. Source: Wilder (1978); seeded on the first row, as pandas does.
#[must_use]
pub fn average_true_range(high: &[f64], low: &[f64], close: &[f64], atr: u32) -> Vec<f64> {
    ewm(&true_range(high, low, close), Decay::one_over(atr))
}
