//! Whether the best point stands on a plateau or on a spike.

use crate::space::Space;
use serde::{Deserialize, Serialize};

/// The neighbourhood of the best point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// Loss of the best point.
    pub best: f64,
    /// Median loss of the neighbours.
    pub neighbours: f64,
    /// Median loss of the space.
    pub everywhere: f64,
    /// Number of neighbours.
    pub count: usize,
    /// Share of the best point's advantage over the median point that its neighbours keep: 1 on a
    /// plateau, 0 or less on a spike.
    pub kept: f64,
}

/// Neighbours are within so many places on the window and ATR axes.
const REACH: usize = 2;
/// Neighbours are within this distance of the best multiple.
const REACH_MULT: f64 = 0.1;
/// From this share on the neighbours hold what the best point promises.
const PLATEAU: f64 = 0.5;

impl Neighbourhood {
    /// Looks around the point `best` of a space with these losses; `None` when it stands alone.
    #[must_use]
    pub fn of(space: &Space, losses: &[f64], best: usize) -> Option<Self> {
        let at = space.places(best);
        let sizes = space.sizes();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive count, and `as` saturates"
        )]
        let mult_reach = ((REACH_MULT / space.mult_step()).round() as usize).max(1);
        let reach = [REACH, REACH, mult_reach];
        let range = |axis: usize| {
            at[axis].saturating_sub(reach[axis])..sizes[axis].min(at[axis] + reach[axis] + 1)
        };
        let mut neighbours = Vec::new();
        for window in range(0) {
            for atrs in range(1) {
                for mult in range(2) {
                    let index = space.index([window, atrs, mult]);
                    if index != best {
                        neighbours.push(losses[index]);
                    }
                }
            }
        }
        let count = neighbours.len();
        let neighbours = median(neighbours)?;
        let everywhere = median(losses.to_vec())?;
        let advantage = everywhere - losses[best];
        let kept = if advantage > 0.0 { (everywhere - neighbours) / advantage } else { 0.0 };
        Some(Self { best: losses[best], neighbours, everywhere, count, kept })
    }

    /// Whether the neighbours hold what the best point promises.
    #[must_use]
    pub fn is_plateau(&self) -> bool {
        self.kept >= PLATEAU
    }
}

/// The middle value, the upper one of two.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_and_a_plateau_are_told_apart() {
        let space: Space = "window=1..20,mult=1.0..2.0:0.1,atrs=1..20".parse().unwrap();
        let best = space.index([10, 10, 5]);
        let mut losses = vec![0.0; space.len()];
        losses[best] = -3.0;
        let spike = Neighbourhood::of(&space, &losses, best).unwrap();
        assert!(!spike.is_plateau());
        assert_eq!(spike.count, 5 * 5 * 3 - 1);
        for (index, loss) in losses.iter_mut().enumerate() {
            let [window, atrs, _] = space.places(index);
            if window.abs_diff(10) <= 3 && atrs.abs_diff(10) <= 3 {
                *loss = -2.5;
            }
        }
        losses[best] = -3.0;
        let plateau = Neighbourhood::of(&space, &losses, best).unwrap();
        assert!(plateau.is_plateau());
        assert!((plateau.kept - 2.5 / 3.0).abs() < 1e-12);
    }
}
