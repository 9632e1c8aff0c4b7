//! The drawings of the whole portfolio.

use super::escape::Escaped;
use super::plot::{Plot, range};
use super::{LINE_COLOURS, day, money};
use crate::curve::drawdown;
use crate::figures::Line;
use crate::story::{Story, float};
use std::fmt::Write;

/// Columns of a stacked chart; each shows the mean of its cycles.
const STACK_COLUMNS: usize = 300;

/// Colours of assets; the stablecoin is grey.
const ASSET_COLOURS: [&str; 20] = [
    "#e08a1e", "#5b7fd6", "#35a07f", "#b05cc6", "#d65f5f", "#7a9c2e", "#3aa0c4", "#c48a6a",
    "#8a79e0", "#d27ba8", "#2f7d4f", "#c9b037", "#8c5a3c", "#4b5fae", "#e3a08a", "#6fc2b0",
    "#a33f6b", "#98b868", "#6d8fb5", "#b59fd9",
];

/// Places and dates for the words below a chart.
pub(super) fn dates(moments: &[keel_core::time::Timestamp]) -> Vec<(usize, String)> {
    const WORDS: usize = 6;
    let count = moments.len();
    if count < 2 {
        return moments.first().map(|at| (0, day(*at))).into_iter().collect();
    }
    let days = moments[count - 1].since_ms(moments[0]) / 86_400_000;
    (0..=WORDS)
        .map(|word| word * (count - 1) / WORDS)
        .map(|place| {
            let date = day(moments[place]);
            (place, if days > 400 { date[..7].to_owned() } else { date[5..].to_owned() })
        })
        .collect()
}

fn key(entries: &[(String, String)]) -> String {
    let mut html = String::new();
    for (name, colour) in entries {
        let _ = write!(
            html,
            "<span class=key><i style=\"background:{colour}\"></i>{}</span>",
            Escaped(name)
        );
    }
    html
}

/// Value and falls of the run and its benchmarks.
pub(super) fn equity(story: &Story, lines: &[Line]) -> String {
    let moments: Vec<_> = story.cycles.iter().map(|cycle| cycle.at).collect();
    let labels = dates(&moments);
    let count = moments.len();
    let values = range(lines.iter().flat_map(|line| &line.values));
    let is_log = is_logarithmic(values);
    let shown = |values: &[f64]| -> Vec<f64> {
        if is_log { values.iter().map(|value| value.ln()).collect() } else { values.to_vec() }
    };
    let colour = |place: usize| LINE_COLOURS[place % LINE_COLOURS.len()];
    let names: Vec<(String, String)> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| (line.name.clone(), colour(place).to_owned()))
        .collect();
    let plot = match is_log {
        true => Plot::new("h280", count, values.map(f64::ln)).log_grid(whole),
        false => Plot::new("h280", count, values).grid(whole),
    };
    let mut plot = plot.below(&labels);
    // The run is drawn last, so that it lies on top.
    for (place, line) in lines.iter().enumerate().rev() {
        let width = if place == 0 { ";stroke-width:2.2" } else { ";opacity:.85" };
        plot = plot.line(&shown(&line.values), &format!("stroke:{}{width}", colour(place)));
    }
    let scale = if is_log { "; equal steps up are equal percentages" } else { "" };
    let mut html = format!(
        "<figure><figcaption>Value in {}, after fees{scale}. {}</figcaption>{}</figure>",
        Escaped(&story.stablecoin),
        key(&names),
        plot.drawn()
    );
    let falls: Vec<Vec<f64>> = lines.iter().map(|line| drawdown(&line.values)).collect();
    let [low, _] = range(falls.iter().flatten());
    let mut plot = Plot::new("h130", count, [low.min(-0.001), 0.0])
        .grid(|value| format!("{:.0} %", (value * 100.0).round() + 0.0))
        .below(&labels);
    if let Some(own) = falls.first() {
        plot = plot.fall(own, "fill:var(--blue);opacity:.18");
    }
    for (place, fall) in falls.iter().enumerate().rev() {
        let width = if place == 0 { ";stroke-width:2" } else { ";opacity:.7" };
        plot = plot.line(fall, &format!("stroke:{}{width}", colour(place)));
    }
    let _ = write!(
        html,
        "<figure><figcaption>Fall from the highest value so far; the same colours.</figcaption>{}</figure>",
        plot.drawn()
    );
    let flows: Vec<_> = (0..count).filter(|place| !story.flow(*place).is_zero()).collect();
    if !flows.is_empty() {
        let sum: rust_decimal::Decimal = flows.iter().map(|place| story.flow(*place)).sum();
        let _ = write!(
            html,
            "<p class=soft>Deposits and withdrawals: {} of them, {} in all. The curve above holds them, the benchmarks do not, and the returns below leave them out.</p>",
            flows.len(),
            money(float(sum))
        );
    }
    html.push_str("<ul class=soft>");
    for line in lines.iter().filter(|line| !line.doc.is_empty()) {
        let _ = write!(html, "<li>{}: {}</li>", Escaped(&line.name), Escaped(&line.doc));
    }
    html.push_str("</ul>");
    html
}

/// Curves of so different sizes are readable only on a logarithmic scale.
pub(crate) fn is_logarithmic([low, high]: [f64; 2]) -> bool {
    low > 0.0 && high.is_finite() && high / low > 5.0
}

/// A value beside a line across, short.
pub(crate) fn whole(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{:.1} M", value / 1e6)
    } else if size >= 1e4 {
        format!("{:.0} k", value / 1e3)
    } else if size >= 1e3 {
        format!("{:.1} k", value / 1e3)
    } else if size >= 10.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.5}")
    }
}

/// Who held how much of the portfolio, stacked.
pub(super) fn weights(story: &Story) -> String {
    let count = story.cycles.len();
    let columns = STACK_COLUMNS.min(count).max(1);
    let bounds = |column: usize| column * count / columns;
    // Mean weight by asset and column.
    let mean = |asset: usize, column: usize| {
        let cycles = &story.cycles[bounds(column)..bounds(column + 1)];
        let weight = |cycle: &crate::story::Cycle| {
            let total = float(cycle.before);
            if total > 0.0 { float(cycle.rows[asset].value()) / total } else { 0.0 }
        };
        cycles.iter().map(weight).sum::<f64>() / float_of(cycles.len())
    };
    let means: Vec<Vec<f64>> = (0..story.assets.len())
        .map(|asset| (0..columns).map(|column| mean(asset, column)).collect())
        .collect();
    let places: Vec<f64> = (0..columns)
        .map(|column| float_of(bounds(column) + bounds(column + 1) - 1) / 2.0)
        .map(|place| if columns == count { place.round() } else { place })
        .collect();
    let places: Vec<f64> = places
        .iter()
        .enumerate()
        .map(|(column, place)| match column {
            0 => 0.0,
            last if last + 1 == columns => float_of(count.saturating_sub(1)),
            _ => *place,
        })
        .collect();
    let moments: Vec<_> = story.cycles.iter().map(|cycle| cycle.at).collect();
    let mut plot = Plot::new("h220", count, [0.0, 1.0])
        .grid(|value| format!("{:.0} %", value * 100.0))
        .below(&dates(&moments));
    let mut floor = vec![0.0; columns];
    let mut names = Vec::new();
    for (asset, mean) in means.iter().enumerate() {
        let colour = ASSET_COLOURS[asset % ASSET_COLOURS.len()];
        let ceiling: Vec<f64> = floor.iter().zip(mean).map(|(low, part)| low + part).collect();
        if mean.iter().any(|weight| *weight > 0.0005) {
            // A second round of colours is told apart by being paler.
            let pale = if asset >= ASSET_COLOURS.len() { ";opacity:.6" } else { ";opacity:.9" };
            plot = plot.band(&places, &floor, &ceiling, &format!("fill:{colour}{pale}"));
            names.push((story.assets[asset].ticker.clone(), colour.to_owned()));
        }
        floor = ceiling;
    }
    let top = vec![1.0; columns];
    plot = plot.band(&places, &floor, &top, "fill:var(--grey);opacity:.28");
    names.push((story.stablecoin.clone(), "var(--grey)".to_owned()));
    format!(
        "<figure><figcaption>Share of the value before each cycle's orders{}. {}</figcaption>{}</figure>",
        if columns < count { ", mean of about as many cycles as a column is wide" } else { "" },
        key(&names),
        plot.drawn()
    )
}

#[expect(clippy::cast_precision_loss, reason = "places on a page")]
const fn float_of(place: usize) -> f64 {
    place as f64
}
