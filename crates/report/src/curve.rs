//! Curves: falls from peaks, and fewer points without hiding an extreme.

/// The fall from the highest value so far, 0 or below.
#[must_use]
pub fn drawdown(values: &[f64]) -> Vec<f64> {
    let mut peak = f64::NEG_INFINITY;
    values
        .iter()
        .map(|value| {
            peak = peak.max(*value);
            if peak > 0.0 { value / peak - 1.0 } else { 0.0 }
        })
        .collect()
}

/// At most about `2 * buckets` points of a curve: of each bucket the lowest and the highest, in the
/// order in which they came, so that no peak and no trough is lost. The first and the last point are
/// always there. Points are places in `values` with their values; what is not finite is left out.
#[must_use]
pub fn thinned(values: &[f64], buckets: usize) -> Vec<(usize, f64)> {
    let finite = |(place, value): (usize, &f64)| value.is_finite().then_some((place, *value));
    if values.len() <= 2 * buckets.max(1) {
        return values.iter().enumerate().filter_map(finite).collect();
    }
    let mut points: Vec<(usize, f64)> = Vec::with_capacity(2 * buckets + 2);
    let mut add = |point: (usize, f64)| {
        if points.last().is_none_or(|last| last.0 < point.0) {
            points.push(point);
        }
    };
    let bounds = |bucket: usize| bucket * values.len() / buckets;
    for bucket in 0..buckets {
        let (from, to) = (bounds(bucket), bounds(bucket + 1));
        let here = || values[from..to].iter().enumerate().filter_map(finite);
        let low = here().min_by(|a, b| a.1.total_cmp(&b.1));
        let high = here().max_by(|a, b| a.1.total_cmp(&b.1));
        let (Some(low), Some(high)) = (low, high) else { continue };
        if bucket == 0 {
            here().take(1).for_each(|first| add((from + first.0, first.1)));
        }
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        add((from + first.0, first.1));
        add((from + second.0, second.1));
    }
    if let Some(last) = values.iter().enumerate().filter_map(finite).next_back() {
        add(last);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fall_is_measured_from_the_highest_value_so_far() {
        assert_eq!(drawdown(&[100.0, 80.0, 120.0, 60.0]), [0.0, 80.0 / 100.0 - 1.0, 0.0, -0.5]);
    }

    proptest! {
        #[test]
        fn no_extreme_is_lost(values in prop::collection::vec(-1e6_f64..1e6, 1..3000), buckets in 1_usize..200) {
            let points = thinned(&values, buckets);
            let lowest = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::INFINITY, f64::min);
            let highest = |of: &mut dyn Iterator<Item = f64>| of.fold(f64::NEG_INFINITY, f64::max);
            let drawn = || points.iter().map(|point| point.1);
            prop_assert_eq!(lowest(&mut drawn()).to_bits(), lowest(&mut values.iter().copied()).to_bits());
            prop_assert_eq!(highest(&mut drawn()).to_bits(), highest(&mut values.iter().copied()).to_bits());
            prop_assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert_eq!(points.first().map(|p| p.0), Some(0));
            prop_assert_eq!(points.last().map(|p| p.0), Some(values.len() - 1));
            prop_assert!(points.len() <= 2 * buckets + 2);
        }
    }
}
