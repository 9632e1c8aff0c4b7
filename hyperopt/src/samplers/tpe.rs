//! Tree-structured Parzen estimator: points that look like the good ones and unlike the others.
//!
//! Source: Bergstra et al., "Algorithms for hyper-parameter optimization" (2011), on three
//! independent axes of whole steps. Crates that offer TPE bring a search loop of their own, which
//! neither stays the same on any number of threads nor leaves out visited points; this page is all
//! that is needed.

use super::{History, Sampler, Visit, below, uniform};
use crate::space::Space;
use rand_chacha::ChaCha8Rng;

pub(super) const SAMPLER: Sampler = Sampler {
    name: "tpe",
    doc: "points near the good ones seen so far (tree-structured Parzen estimator)",
    visit: Visit::Suggested(suggest),
};

/// Points drawn at random before the estimator has something to learn from.
const WARM_UP: usize = 32;
/// Share of the points that counts as good, and how many at most. Values of hyperopt and Optuna.
const GOOD_SHARE: f64 = 0.1;
const GOOD_MOST: usize = 25;
/// Candidates of which the most promising one is taken.
const CANDIDATES: usize = 24;

fn suggest(space: &Space, history: &History, dice: &mut ChaCha8Rng) -> usize {
    let mut known = history.known();
    if known.len() < WARM_UP {
        return history.unvisited(space, dice);
    }
    known.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a small positive count"
    )]
    let good = ((known.len() as f64 * GOOD_SHARE).ceil() as usize).clamp(1, GOOD_MOST);
    let places: Vec<[usize; 3]> = known.iter().map(|(point, _)| space.places(*point)).collect();
    let (good, bad) = places.split_at(good);
    let sizes = space.sizes();
    let mut best: Option<(f64, usize)> = None;
    for _ in 0..CANDIDATES {
        let place = std::array::from_fn(|axis| draw(good, axis, sizes[axis], dice));
        let promise: f64 = (0..3)
            .map(|axis| {
                density(good, axis, sizes[axis], place[axis]).ln()
                    - density(bad, axis, sizes[axis], place[axis]).ln()
            })
            .sum();
        let point = space.index(place);
        let is_new = !history.losses.contains_key(&point);
        if is_new && best.is_none_or(|(most, _)| promise > most) {
            best = Some((promise, point));
        }
    }
    best.map_or_else(|| history.unvisited(space, dice), |(_, point)| point)
}

/// Half width of the kernel of each point, in steps.
fn width(count: usize, size: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "sizes of an axis")]
    let (count, size) = (count as f64, size as f64);
    (size / 5.0 / count.powf(0.2)).max(1.0)
}

fn draw(points: &[[usize; 3]], axis: usize, size: usize, dice: &mut ChaCha8Rng) -> usize {
    // One part of the mixture is uniform, so that no place is ever out of reach.
    let chosen = below(dice, points.len() + 1);
    let Some(point) = points.get(chosen) else { return below(dice, size) };
    let bell = (0..4).map(|_| uniform(dice)).sum::<f64>() - 2.0;
    #[expect(clippy::cast_precision_loss, reason = "a place on an axis")]
    let place = point[axis] as f64 + bell * 1.7 * width(points.len(), size);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates at 0 and the minimum bounds it above"
    )]
    let place = place.round() as usize;
    place.min(size - 1)
}

fn density(points: &[[usize; 3]], axis: usize, size: usize, place: usize) -> f64 {
    let width = width(points.len(), size);
    #[expect(clippy::cast_precision_loss, reason = "sizes of an axis")]
    let uniform = 1.0 / size as f64;
    let bells: f64 = points
        .iter()
        .map(|point| {
            #[expect(clippy::cast_precision_loss, reason = "a distance on an axis")]
            let distance = point[axis].abs_diff(place) as f64 / width;
            (-0.5 * distance * distance).exp() / (width * 2.506_628_274_631)
        })
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "a count of points")]
    let parts = (points.len() + 1) as f64;
    (bells + uniform) / parts
}
