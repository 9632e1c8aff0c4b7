//! The points that a search may visit.

use keel_core::indicator::KeltnerParams;
use keel_core::strategy::Stage;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Whole steps of `10^-decimals`, from first to last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    first: u32,
    last: u32,
    stride: u32,
    decimals: u32,
}

impl Axis {
    const fn whole(first: u32, last: u32) -> Self {
        Self { first, last, stride: 1, decimals: 0 }
    }

    /// Number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        ((self.last - self.first) / self.stride + 1) as usize
    }

    /// An axis has at least one value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    fn steps(self) -> impl Iterator<Item = u32> {
        (self.first..=self.last).step_by(self.stride as usize)
    }

    fn scale(self) -> f64 {
        f64::from(10_u32.pow(self.decimals))
    }

    /// Distance between two neighbours.
    #[must_use]
    pub fn step(self) -> f64 {
        f64::from(self.stride) / self.scale()
    }
}

/// Windows, multiples and ATR lengths; every combination is a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    window: Axis,
    mult: Axis,
    atrs: Axis,
}

/// A space that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the space `{text}` cannot be used: {reason}; expected for example `window=5..60,mult=1.00..4.00:0.01,atrs=5..60`"
)]
pub struct SpaceError {
    text: String,
    reason: String,
}

/// More points than this would not fit in memory.
const MOST_POINTS: usize = 20_000_000;

impl Space {
    /// The usual space of a stage: 943,936 points for the position, 65,596 for the trend.
    #[must_use]
    pub const fn of(stage: Stage) -> Self {
        match stage {
            Stage::Position => Self {
                window: Axis::whole(5, 60),
                mult: Axis { first: 100, last: 400, stride: 1, decimals: 2 },
                atrs: Axis::whole(5, 60),
            },
            Stage::Trend => Self {
                window: Axis::whole(5, 50),
                mult: Axis { first: 10, last: 40, stride: 1, decimals: 1 },
                atrs: Axis::whole(5, 50),
            },
        }
    }

    /// Windows, ascending.
    #[must_use]
    pub fn windows(&self) -> Vec<u32> {
        self.window.steps().collect()
    }

    /// ATR lengths, ascending.
    #[must_use]
    pub fn atrs(&self) -> Vec<u32> {
        self.atrs.steps().collect()
    }

    /// Multiples, ascending; each is the float nearest to its decimal.
    #[must_use]
    pub fn mults(&self) -> Vec<f64> {
        self.mult.steps().map(|step| f64::from(step) / self.mult.scale()).collect()
    }

    /// Distance between two multiples.
    #[must_use]
    pub fn mult_step(&self) -> f64 {
        self.mult.step()
    }

    /// Number of points.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.window.len() * self.atrs.len() * self.mult.len()
    }

    /// A space has at least one point.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Sizes of the axes: windows, ATR lengths, multiples. A point's number counts multiples
    /// fastest, then ATR lengths, then windows, so that the smallest number is the smallest
    /// (window, atrs, mult).
    #[must_use]
    pub const fn sizes(&self) -> [usize; 3] {
        [self.window.len(), self.atrs.len(), self.mult.len()]
    }

    /// The number of the point at the given places of its axes.
    #[must_use]
    pub const fn index(&self, places: [usize; 3]) -> usize {
        (places[0] * self.atrs.len() + places[1]) * self.mult.len() + places[2]
    }

    /// The places of a point on its axes: window, ATR length, multiple.
    #[must_use]
    pub const fn places(&self, index: usize) -> [usize; 3] {
        let mults = self.mult.len();
        let pair = index / mults;
        [pair / self.atrs.len(), pair % self.atrs.len(), index % mults]
    }

    /// The parameters of a point.
    #[must_use]
    pub fn params(&self, index: usize) -> KeltnerParams {
        let [window, atr, mult] = self.places(index);
        let value = |axis: Axis, place: usize| {
            axis.first + axis.stride * u32::try_from(place).unwrap_or(u32::MAX / axis.stride)
        };
        KeltnerParams {
            window: value(self.window, window),
            atr: value(self.atrs, atr),
            mult: f64::from(value(self.mult, mult)) / self.mult.scale(),
        }
    }
}

impl FromStr for Space {
    type Err = SpaceError;

    fn from_str(text: &str) -> Result<Self, SpaceError> {
        let error = |reason: String| SpaceError { text: text.to_owned(), reason };
        let (mut window, mut mult, mut atrs) = (None, None, None);
        for part in text.split(',') {
            let (name, values) =
                part.split_once('=').ok_or_else(|| error(format!("`{part}` has no `=`")))?;
            let (slot, decimals) = match name.trim() {
                "window" => (&mut window, 0),
                "mult" => (&mut mult, 3),
                "atrs" => (&mut atrs, 0),
                other => return Err(error(format!("`{other}` is not window, mult or atrs"))),
            };
            *slot = Some(axis(values.trim(), decimals).map_err(error)?);
        }
        let missing = |name: &str| error(format!("{name} is missing"));
        let space = Self {
            window: window.ok_or_else(|| missing("window"))?,
            mult: mult.ok_or_else(|| missing("mult"))?,
            atrs: atrs.ok_or_else(|| missing("atrs"))?,
        };
        if space.len() > MOST_POINTS {
            return Err(error(format!("{} points, at most {MOST_POINTS}", space.len())));
        }
        Ok(space)
    }
}

/// `A`, `A..B` or `A..B:STEP`, with at most `decimals` digits after the point.
fn axis(text: &str, decimals: u32) -> Result<Axis, String> {
    let (range, step) = match text.split_once(':') {
        Some((range, step)) => (range, Some(step)),
        None => (text, None),
    };
    let (first, last) = range.split_once("..").unwrap_or((range, range));
    let digits = [Some(first), Some(last), step]
        .into_iter()
        .flatten()
        .map(|number| number.split_once('.').map_or(0, |(_, part)| part.len()))
        .max()
        .and_then(|digits| u32::try_from(digits).ok())
        .unwrap_or(0);
    if digits > decimals {
        return Err(format!("`{text}` has {digits} decimals, at most {decimals} are allowed"));
    }
    let steps = |number: &str| {
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let padded = format!("{whole}{part:0<width$}", width = digits as usize);
        match padded.parse::<u32>() {
            Ok(steps) if steps > 0 && steps <= 10_000_000 => Ok(steps),
            _ => Err(format!("`{number}` is not a number above 0 and within reason")),
        }
    };
    let (first, last) = (steps(first)?, steps(last)?);
    let stride = step.map_or(Ok(1), steps)?;
    if first > last {
        return Err(format!("`{text}` holds no value, {first} is above {last}"));
    }
    Ok(Axis { first, last, stride, decimals: digits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spaces_have_the_published_sizes() {
        assert_eq!(Space::of(Stage::Position).len(), 943_936);
        assert_eq!(Space::of(Stage::Trend).len(), 65_596);
    }

    #[test]
    fn points_are_numbered_by_window_atrs_mult() {
        let space: Space = "window=5..6,mult=1.0..2.0:0.5,atrs=7..9".parse().unwrap();
        assert_eq!(space.mults(), [1.0, 1.5, 2.0]);
        let points: Vec<_> = (0..space.len())
            .map(|index| space.params(index))
            .map(|p| (p.window, p.atr, p.mult))
            .collect();
        assert_eq!(points.len(), 18);
        assert!(points.is_sorted());
        assert_eq!(points[17], (6, 9, 2.0));
        assert_eq!(space.index(space.places(11)), 11);
    }

    #[test]
    fn a_space_without_a_point_is_refused() {
        for bad in [
            "window=6..5,mult=1,atrs=5",
            "window=5,mult=1",
            "window=0..5,mult=1,atrs=5",
            "window=5,mult=1..4:0,atrs=5",
            "window=5,mult=x,atrs=5",
            "window=1.5,mult=1,atrs=5",
            "window=1..100000,mult=0.001..10,atrs=1..1000",
        ] {
            assert!(bad.parse::<Space>().is_err(), "{bad}");
        }
    }
}
