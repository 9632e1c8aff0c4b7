//! Typical price.

/// `(O+H+L+C)/4`, added in this order. The columns have equal length.
#[must_use]
pub fn typical_price(open: &[f64], high: &[f64], low: &[f64], close: &[f64]) -> Vec<f64> {
    (0..open.len()).map(|row| (open[row] + high[row] + low[row] + close[row]) / 4.0).collect()
}
