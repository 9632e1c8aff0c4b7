//! Exponentially weighted mean, the `adjust=False` one.

/// How fast old values lose weight.
///
/// pandas turns every parameter into a centre of mass first and derives `alpha` from that; the
/// rounding of this detour is kept, because it decides crossings on flat stretches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    alpha: f64,
    keep: f64,
}

impl Decay {
    /// `ewm(span=n)`: `com = (n - 1) / 2`. `span` is at least 1.
    #[must_use]
    pub fn span(span: u32) -> Self {
        Self::from_com((f64::from(span.max(1)) - 1.0) / 2.0)
    }

    /// `ewm(alpha=1/n)`: `com = (1 - alpha) / alpha`. `n` is at least 1.
    #[must_use]
    pub fn one_over(n: u32) -> Self {
        let alpha = 1.0 / f64::from(n.max(1));
        Self::from_com((1.0 - alpha) / alpha)
    }

    fn from_com(com: f64) -> Self {
        let alpha = 1.0 / (1.0 + com);
        Self { alpha, keep: 1.0 - alpha }
    }

    /// The mean after `value` arrived, `mean` being the one before.
    ///
    /// pandas divides by `keep + alpha` here. That sum rounds to exactly 1 for every `alpha` in
    /// (0, 1] (a test walks through the spans), so the division is left out. The comparison is
    /// kept: on equal values the weighted sum can differ from the value in its last bit.
    #[inline]
    #[must_use]
    pub fn step(self, mean: f64, value: f64) -> f64 {
        // Equal bits instead of equal values: only the zeros differ, and their weighted sum is zero.
        if mean.to_bits() == value.to_bits() {
            // Said to be rare, it becomes a branch; a select would make every row wait for it.
            std::hint::cold_path();
            mean
        } else {
            self.keep * mean + self.alpha * value
        }
    }

    /// The same without a branch, for several means side by side.
    #[inline]
    #[must_use]
    pub fn step_straight(self, mean: f64, value: f64) -> f64 {
        let next = self.keep * mean + self.alpha * value;
        if mean.to_bits() == value.to_bits() { mean } else { next }
    }
}

/// `out[0] = x[0]`, then [`Decay::step`]: pandas `Series.ewm(..., adjust=False).mean()`.
#[must_use]
pub fn ewm(values: &[f64], decay: Decay) -> Vec<f64> {
    let mut out = Vec::with_capacity(values.len());
    let Some(first) = values.first() else { return out };
    let mut mean = *first;
    out.push(mean);
    for value in &values[1..] {
        mean = decay.step(mean, *value);
        out.push(mean);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_left_out_division_would_divide_by_exactly_one() {
        for n in 1..100_000 {
            for decay in [Decay::span(n), Decay::one_over(n)] {
                assert_eq!((decay.keep + decay.alpha).to_bits(), 1.0_f64.to_bits(), "{n}");
            }
        }
    }

    #[test]
    fn a_known_series() {
        // pandas 2.2: pd.Series([1., 2., 4., 8.]).ewm(span=3, adjust=False).mean()
        assert_eq!(ewm(&[1.0, 2.0, 4.0, 8.0], Decay::span(3)), [1.0, 1.5, 2.75, 5.375]);
        assert_eq!(ewm(&[5.0, 1.0], Decay::one_over(1)), [5.0, 1.0]);
        assert!(ewm(&[], Decay::span(3)).is_empty());
    }
}
