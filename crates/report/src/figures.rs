//! The run and its benchmarks as lines with their figures.

use crate::story::{Story, float};
use keel_backtest::run::Flow;
use keel_backtest::statistics::{DailyCurve, Statistics, of_curve};
use keel_core::time::Timestamp;

/// A line of the main chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name; the run's own is `Keel`.
    pub name: String,
    /// What it does, empty for the run itself.
    pub doc: String,
    /// Value at each cycle.
    pub values: Vec<f64>,
    /// Its figures.
    pub figures: Statistics,
}

/// The run first, then its benchmarks.
#[must_use]
pub fn lines(story: &Story) -> Vec<Line> {
    let moments: Vec<Timestamp> = story.cycles.iter().map(|cycle| cycle.at).collect();
    let flows: Vec<Flow> = (0..story.cycles.len())
        .filter_map(|place| {
            let amount = float(story.flow(place));
            (amount != 0.0).then(|| Flow { at: moments[place], amount })
        })
        .collect();
    let capital = float(story.capital());
    let line = |name: &str, doc: &str, values: Vec<f64>, flows: &[Flow]| {
        let end_value = values.last().copied().unwrap_or(capital);
        let figures = of_curve(&DailyCurve::new(&moments, &values, flows, capital));
        Line {
            name: name.to_owned(),
            doc: doc.to_owned(),
            values,
            figures: Statistics { end_value, ..figures },
        }
    };
    let mut lines = vec![line("Keel", "", story.equity(), &flows)];
    for benchmark in &story.benchmarks {
        lines.push(line(&benchmark.name, &benchmark.doc, benchmark.values.clone(), &[]));
    }
    lines
}
