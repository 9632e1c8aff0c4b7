//! Samplers: which points of a space are visited. One file and one row adds one.

mod grid;
mod random;
mod tpe;

use crate::space::Space;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// A row of [`SAMPLERS`].
pub struct Sampler {
    /// Its name on the command line.
    pub name: &'static str,
    /// One sentence for help.
    pub doc: &'static str,
    /// What it visits.
    pub visit: Visit,
}

impl std::fmt::Debug for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What a sampler visits.
#[derive(Clone, Copy)]
pub enum Visit {
    /// Every point.
    All,
    /// Suggestions, a batch at a time; each suggests points that were not visited yet.
    Suggested(fn(&Space, &History, &mut ChaCha8Rng) -> usize),
}

/// Points suggested before any of them is evaluated. Fixed, so that the suggestions do not depend
/// on the number of threads.
pub const BATCH: usize = 8;

/// Every sampler there is; the first one is the default.
pub static SAMPLERS: &[Sampler] = &[grid::SAMPLER, random::SAMPLER, tpe::SAMPLER];

/// The sampler called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Sampler> {
    SAMPLERS.iter().find(|sampler| sampler.name == name)
}

/// What has been visited and how it went.
#[derive(Clone, Debug, Default)]
pub struct History {
    losses: BTreeMap<usize, Option<f64>>,
}

impl History {
    /// Marks a point as suggested; false if it was before.
    pub fn suggest(&mut self, point: usize) -> bool {
        let is_new = !self.losses.contains_key(&point);
        if is_new {
            self.losses.insert(point, None);
        }
        is_new
    }

    /// Keeps the loss of a point.
    pub fn learn(&mut self, point: usize, loss: f64) {
        self.losses.insert(point, Some(loss));
    }

    /// Number of points suggested.
    #[must_use]
    pub fn len(&self) -> usize {
        self.losses.len()
    }

    /// Whether nothing was suggested.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty()
    }

    fn known(&self) -> Vec<(usize, f64)> {
        self.losses.iter().filter_map(|(point, loss)| Some((*point, (*loss)?))).collect()
    }

    /// A point that was not suggested yet; there is one.
    fn unvisited(&self, space: &Space, dice: &mut ChaCha8Rng) -> usize {
        let mut point = below(dice, space.len());
        // Forward from a random place: still found when nearly all is visited.
        while self.losses.contains_key(&point) {
            point = (point + 1) % space.len();
        }
        point
    }
}

/// A number below `limit`, which is at least 1; multiply-shift, whose bias of limit / 2^64 does not
/// matter here.
fn below(dice: &mut ChaCha8Rng, limit: usize) -> usize {
    let wide = u128::from(dice.next_u64()) * limit as u128;
    usize::try_from(wide >> 64).unwrap_or(0)
}

/// Uniform in 0..1.
fn uniform(dice: &mut ChaCha8Rng) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = (dice.next_u64() >> 11) as f64;
    bits / 9_007_199_254_740_992.0
}
