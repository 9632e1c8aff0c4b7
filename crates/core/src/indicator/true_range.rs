//! True range.

/// `max(H-L, |H-prevC|, |L-prevC|)`; the first row is `H-L`. Source: J. Welles Wilder, "New
/// Concepts in Technical Trading Systems" (1978). The columns have equal length.
///
/// On dominance candles high may lie below low; the maximum takes that as it comes.
#[must_use]
pub fn true_range(high: &[f64], low: &[f64], close: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(high.len());
    for row in 0..high.len() {
        let spread = high[row] - low[row];
        out.push(if row == 0 {
            spread
        } else {
            let previous = close[row - 1];
            spread.max((high[row] - previous).abs()).max((low[row] - previous).abs())
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_between_bars_counts() {
        let out = true_range(&[10.0, 15.0, 12.0], &[9.0, 14.0, 11.0], &[9.5, 14.5, 11.5]);
        assert_eq!(out, [1.0, 5.5, 3.5]);
    }
}
