//! Allocation policies: how the trending assets share the portfolio. One file and one row in
//! [`ALLOCATIONS`] adds one.

mod dominance;
mod equal;

/// What a policy may look at. One entry per trending asset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its share of the market capitalisation of all tradable assets, 0..=1.
    pub dominance: f64,
}

/// A row of [`ALLOCATIONS`].
pub struct Allocation {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One sentence for help.
    pub doc: &'static str,
    /// Weights in the order of the candidates: each at least 0, their sum 1, or all 0 when the
    /// policy cannot tell.
    pub weigh: fn(&[Candidate]) -> Vec<f64>,
}

impl std::fmt::Debug for Allocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Allocation {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Every allocation policy there is; the first is the default.
pub static ALLOCATIONS: &[Allocation] = &[dominance::ALLOCATION, equal::ALLOCATION];

/// The policy called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Allocation> {
    ALLOCATIONS.iter().find(|allocation| allocation.name == name)
}

/// The policy used when the configuration names none.
#[must_use]
pub fn default() -> &'static Allocation {
    &ALLOCATIONS[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weights_are_never_negative_and_sum_to_one_or_zero(
            caps in proptest::collection::vec(0.0_f64..1e12, 0..20)
        ) {
            let total: f64 = caps.iter().sum();
            let candidates: Vec<Candidate> = caps
                .iter()
                .map(|cap| Candidate { dominance: if total > 0.0 { cap / total } else { 0.0 } })
                .collect();
            for allocation in ALLOCATIONS {
                let weights = (allocation.weigh)(&candidates);
                prop_assert_eq!(weights.len(), candidates.len());
                prop_assert!(weights.iter().all(|weight| (0.0..=1.0).contains(weight)));
                let sum: f64 = weights.iter().sum();
                prop_assert!(sum.abs() < 1e-12 || (sum - 1.0).abs() < 1e-9, "{}", sum);
            }
        }
    }
}
