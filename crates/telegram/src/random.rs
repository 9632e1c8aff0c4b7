//! Chance from the system: codes that cannot be guessed, pauses that do not coincide.

use std::time::Duration;

/// 32 random bits, or `None` when the system gives none.
pub(crate) fn bits() -> Option<u32> {
    getrandom::u32().ok()
}

/// A pause between half of `longest` and `longest`.
pub(crate) fn jittered(longest: Duration) -> Duration {
    let share = f64::from(bits().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    longest.mul_f64(0.5 + share / 2.0)
}

/// The pause after the `failures`-th failure in a row, from 1: doubling up to `longest`.
pub(crate) fn backoff(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    jittered(doubled.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(60));
        for (failures, expected) in [(1, 1), (2, 2), (4, 8), (7, 60), (u32::MAX, 60)] {
            let pause = backoff(first, longest, failures);
            let expected = Duration::from_secs(expected);
            assert!(pause >= expected / 2 && pause <= expected, "{failures}: {pause:?}");
        }
    }
}
