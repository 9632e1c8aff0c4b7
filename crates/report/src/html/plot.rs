//! A chart that is as wide as the page: the drawing stretches, strokes and words do not.

use super::escape::Escaped;
use crate::curve::thinned;
use std::fmt::Write;

/// Width and height of the drawing's own units.
const WIDE: f64 = 2000.0;
const HIGH: f64 = 1000.0;
/// A screen shows about so many columns.
const COLUMNS: usize = 600;

#[expect(clippy::cast_precision_loss, reason = "places on a page")]
const fn float(place: usize) -> f64 {
    place as f64
}

/// A chart over the places `0..count`.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    count: usize,
    low: f64,
    high: f64,
    inside: String,
    words: String,
    class: &'static str,
}

impl Plot {
    /// Over `count` places, from the lowest to the highest value.
    pub(super) fn new(class: &'static str, count: usize, range: [f64; 2]) -> Self {
        let [low, high] = range;
        let (low, high) = if low.is_finite() && high.is_finite() && high > low {
            (low, high)
        } else if low.is_finite() && high.is_finite() {
            (low - 0.5, high + 0.5)
        } else {
            (0.0, 1.0)
        };
        Self { count, low, high, inside: String::new(), words: String::new(), class }
    }

    fn x(&self, place: f64) -> f64 {
        place / float(self.count.saturating_sub(1).max(1)) * WIDE
    }

    fn y(&self, value: f64) -> f64 {
        HIGH - (value - self.low) / (self.high - self.low) * HIGH
    }

    fn point(&self, place: f64, value: f64) -> String {
        format!("{:.0} {:.0}", self.x(place), self.y(value))
    }

    fn line_across(&mut self, value: f64, words: &str) {
        let y = self.y(value);
        let _ = write!(self.inside, "<path class=grid d=\"M0 {y:.0}H{WIDE:.0}\"/>");
        let _ = write!(
            self.words,
            "<span class=y style=\"top:{:.1}%\">{}</span>",
            y / HIGH * 100.0,
            Escaped(words)
        );
    }

    /// Lines across at round values, with their words on the left.
    pub(super) fn grid(mut self, words: impl Fn(f64) -> String) -> Self {
        let step = round_step((self.high - self.low) / 4.0);
        let mut value = (self.low / step).ceil() * step;
        while value <= self.high + step * 1e-9 {
            self.line_across(value, &words(value));
            value += step;
        }
        self
    }

    /// Lines across at 1, 2 and 5 times powers of ten, for values that are logarithms.
    pub(super) fn log_grid(mut self, words: impl Fn(f64) -> String) -> Self {
        let (low, high) = (self.low.exp(), self.high.exp());
        // Only powers of ten where there are many of them.
        let leads: &[f64] = if high / low > 200.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let mut power = 10_f64.powf(low.log10().floor());
        while power.is_finite() && power <= high {
            for lead in leads {
                let value = power * lead;
                if value >= low && value <= high {
                    self.line_across(value.ln(), &words(value));
                }
            }
            power *= 10.0;
        }
        self
    }

    /// Words below; every other one is left out on a narrow page.
    pub(super) fn below(mut self, labels: &[(usize, String)]) -> Self {
        for (number, (place, label)) in labels.iter().enumerate() {
            let ends = if *place == 0 {
                " first"
            } else if *place + 1 >= self.count {
                " last"
            } else {
                ""
            };
            let wide = if number % 2 == 1 { " wide" } else { "" };
            let _ = write!(
                self.words,
                "<span class=\"x{ends}{wide}\" style=\"left:{:.1}%\">{}</span>",
                self.x(float(*place)) / WIDE * 100.0,
                Escaped(label)
            );
        }
        self
    }

    /// A line through all values, thinned so that every extreme stays.
    pub(super) fn line(mut self, values: &[f64], style: &str) -> Self {
        let mut path = String::new();
        let mut pen_up = true;
        let points = thinned(values, COLUMNS);
        for (place, value) in points {
            let _ = write!(
                path,
                "{}{}",
                if pen_up { 'M' } else { 'L' },
                self.point(float(place), value)
            );
            pen_up = false;
        }
        let _ = write!(self.inside, "<path d=\"{path}\" style=\"{style}\"/>");
        self
    }

    /// The space between zero and the values.
    pub(super) fn fall(mut self, values: &[f64], style: &str) -> Self {
        let points = thinned(values, COLUMNS);
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return self };
        let mut path = format!("M{}", self.point(float(first.0), 0.0));
        for (place, value) in &points {
            let _ = write!(path, "L{}", self.point(float(*place), *value));
        }
        let _ = write!(path, "L{}Z", self.point(float(last.0), 0.0));
        let _ = write!(self.inside, "<path class=area d=\"{path}\" style=\"{style}\"/>");
        self
    }

    /// The space between two curves given at the same places.
    pub(super) fn band(mut self, places: &[f64], low: &[f64], high: &[f64], style: &str) -> Self {
        let mut path = String::new();
        for (number, (place, value)) in places.iter().zip(high).enumerate() {
            let _ = write!(
                path,
                "{}{}",
                if number == 0 { 'M' } else { 'L' },
                self.point(*place, *value)
            );
        }
        for (place, value) in places.iter().zip(low).rev() {
            let _ = write!(path, "L{}", self.point(*place, *value));
        }
        let _ = write!(self.inside, "<path class=area d=\"{path}Z\" style=\"{style}\"/>");
        self
    }

    /// Dots; those that would cover one another are drawn once.
    pub(super) fn dots(mut self, points: &[(usize, f64)], style: &str) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        let mut path = String::new();
        for (place, value) in points {
            let (x, y) = (self.x(float(*place)), self.y(*value));
            #[expect(
                clippy::cast_possible_truncation,
                reason = "`as` saturates; a place on a page"
            )]
            let cell = ((x / 5.0) as i32, (y / 12.0) as i32);
            if seen.insert(cell) {
                let _ = write!(path, "M{x:.0} {y:.0}h.1");
            }
        }
        if !path.is_empty() {
            let _ = write!(self.inside, "<path class=dot d=\"{path}\" style=\"{style}\"/>");
        }
        self
    }

    /// Stretches of full height, from place to place.
    pub(super) fn stretches(mut self, stretches: &[(usize, usize)], style: &str) -> Self {
        let mut path = String::new();
        let mut drawn_to = -1.0;
        for (from, to) in stretches {
            let (left, right) = (self.x(float(*from)), self.x(float(*to)));
            let right = right.max(left + 1.0);
            if right <= drawn_to {
                continue;
            }
            drawn_to = right;
            let _ = write!(path, "M{left:.0} 0H{right:.0}V{HIGH:.0}H{left:.0}Z");
        }
        let _ = write!(self.inside, "<path class=area d=\"{path}\" style=\"{style}\"/>");
        self
    }

    /// The chart.
    pub(super) fn drawn(self) -> String {
        format!(
            "<div class=\"plot {}\"><svg viewBox=\"0 0 {WIDE:.0} {HIGH:.0}\" preserveAspectRatio=none aria-hidden=true>{}</svg>{}</div>",
            self.class, self.inside, self.words
        )
    }
}

/// 1, 2 or 5 times a power of ten, at least `raw`.
fn round_step(raw: f64) -> f64 {
    if !raw.is_finite() || raw <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(raw.log10().floor());
    let lead = raw / power;
    let rounded = if lead <= 1.0 {
        1.0
    } else if lead <= 2.0 {
        2.0
    } else if lead <= 5.0 {
        5.0
    } else {
        10.0
    };
    rounded * power
}

/// Lowest and highest of all finite values.
pub(super) fn range<'a>(values: impl Iterator<Item = &'a f64>) -> [f64; 2] {
    values
        .filter(|value| value.is_finite())
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| {
            [low.min(*value), high.max(*value)]
        })
}
