//! Every point of a space, on all threads, with the same result on any number of them.

use crate::kernel::Kernel;
use crate::losses::{Loss, Seen};
use crate::outcome::{Outcome, Period};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Outcomes of the pairs in `pairs`, in their order; `None` when `stop` was raised on the way.
/// `done` hears how many points have come in, with their outcomes.
pub fn sweep(
    kernel: &Kernel<'_>,
    pairs: std::ops::Range<usize>,
    mults: usize,
    stop: &AtomicBool,
    done: &(dyn Fn(&[Outcome]) + Sync),
) -> Option<Vec<Outcome>> {
    let mut outcomes = vec![Outcome::default(); pairs.len() * mults];
    outcomes.par_chunks_mut(mults).enumerate().for_each_init(
        || kernel.workspace(),
        |work, (place, outcomes)| {
            if !stop.load(Ordering::Relaxed) {
                kernel.sweep(pairs.start + place, work, outcomes);
                done(outcomes);
            }
        },
    );
    (!stop.load(Ordering::Relaxed)).then_some(outcomes)
}

/// Place of the smallest loss; of equal ones the first, which is the smallest (window, atrs, mult).
/// `None` when there is no outcome.
#[must_use]
pub fn best(
    outcomes: &[Outcome],
    loss: &Loss,
    period: &Period,
    seen: &Seen,
) -> Option<(usize, f64)> {
    outcomes
        .iter()
        .enumerate()
        .map(|(place, outcome)| (place, loss.of(outcome, period, seen)))
        .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
}
