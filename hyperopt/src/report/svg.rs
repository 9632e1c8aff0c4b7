//! Drawings as inline SVG: axes, lines, bars and coloured cells.

use std::fmt::Write;

/// Where a chart's values lie on the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Left, right, top, bottom.
    pub(super) margin: [f64; 4],
    pub(super) x: [f64; 2],
    pub(super) y: [f64; 2],
}

impl Frame {
    /// A frame around ranges of values; an empty range is widened so that it can be drawn.
    pub(super) fn new(width: f64, height: f64, x: [f64; 2], y: [f64; 2]) -> Self {
        let widened = |[low, high]: [f64; 2]| {
            if high > low { [low, high] } else { [low - 0.5, high + 0.5] }
        };
        let margin = [58.0, 12.0, 8.0, 26.0];
        Self { width, height, margin, x: widened(x), y: widened(y) }
    }

    pub(super) fn at_x(&self, value: f64) -> f64 {
        let [left, right, ..] = self.margin;
        left + (value - self.x[0]) / (self.x[1] - self.x[0]) * (self.width - left - right)
    }

    pub(super) fn at_y(&self, value: f64) -> f64 {
        let [_, _, top, bottom] = self.margin;
        let share = (value - self.y[0]) / (self.y[1] - self.y[0]);
        self.height - bottom - share * (self.height - top - bottom)
    }

    pub(super) fn open(&self) -> String {
        format!("<svg viewBox=\"0 0 {} {}\" role=img>", self.width, self.height)
    }

    /// Four labelled lines across, and the labels given below.
    pub(super) fn axes(&self, labels: &[(f64, String)]) -> String {
        let mut svg = String::new();
        for step in 0..=4 {
            let value = self.y[0] + (self.y[1] - self.y[0]) * f64::from(step) / 4.0;
            let y = self.at_y(value);
            let _ = write!(
                svg,
                "<line x1={:.1} x2={:.1} y1={y:.1} y2={y:.1} stroke=\"#e8ecf1\" /><text x={:.1} y={:.1} text-anchor=end>{}</text>",
                self.margin[0],
                self.width - self.margin[1],
                self.margin[0] - 6.0,
                y + 4.0,
                short(value)
            );
        }
        for (place, label) in labels {
            let _ = write!(
                svg,
                "<text x={:.1} y={:.1} text-anchor=middle>{label}</text>",
                self.at_x(*place),
                self.height - 8.0
            );
        }
        svg
    }

    pub(super) fn line(&self, points: &[(f64, f64)], colour: &str, more: &str) -> String {
        let mut path = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let command = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.at_x(*x), self.at_y(*y));
        }
        format!("<path d=\"{path}\" fill=none stroke=\"{colour}\" stroke-width=1.4 {more} />")
    }
}

/// A number with about four digits.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 10_000.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 1.0 || size == 0.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// A colour between blue (0, good) and sand (1, bad).
pub(super) fn shade(share: f64) -> String {
    const STOPS: [[f64; 3]; 4] =
        [[22.0, 52.0, 110.0], [38.0, 130.0, 142.0], [144.0, 200.0, 120.0], [246.0, 232.0, 195.0]];
    let place = share.clamp(0.0, 1.0) * 3.0;
    let first = if place < 1.0 {
        0
    } else if place < 2.0 {
        1
    } else {
        2
    };
    let rest = place - [0.0, 1.0, 2.0][first];
    let mix = |part: usize| {
        let value = STOPS[first][part] + (STOPS[first + 1][part] - STOPS[first][part]) * rest;
        value.round()
    };
    format!("rgb({},{},{})", mix(0), mix(1), mix(2))
}

pub(super) fn figure(caption: &str, svg: &str) -> String {
    format!("<figure><figcaption>{caption}</figcaption>{svg}</svg></figure>")
}
