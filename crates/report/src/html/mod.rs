//! The report: one HTML file with nothing outside it and no script.

mod assets;
mod charts;
mod escape;
mod plot;
mod style;
mod tables;

pub(crate) use charts::{is_logarithmic, whole};

use crate::analysis::analysis;
use crate::attribution::attribution;
use crate::figures::{Line, lines};
use crate::story::{Story, float};
use escape::Escaped;
use keel_core::time::Timestamp;
use std::fmt::Write;

/// Colours of lines; the run's own first.
pub(crate) const LINE_COLOURS: [&str; 6] =
    ["var(--blue)", "#e08a1e", "#8f6bd1", "#2a9d8f", "#c2557a", "#7a8699"];

/// Draws a story.
#[must_use]
pub fn page(story: &Story) -> String {
    let lines = lines(story);
    let analysis = analysis(story);
    let attribution = attribution(story);
    let mut html = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>{title}</title>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta name=generator content=keel><style>{css}</style></head><body>\
         <header><h1>{title}</h1>",
        title = Escaped(&story.title),
        css = style::CSS,
    );
    let _ = write!(html, "<p class=soft>{}</p>", Escaped(&span_of(story)));
    html.push_str(&navigation(story));
    html.push_str("</header><main>");
    if story.cycles.is_empty() {
        html.push_str("<p>There is no finished cycle yet.</p>");
    } else {
        html.push_str(&warning(story));
        html.push_str(&cards(story, &lines, &analysis));
        section(&mut html, "equity", "Value and benchmarks", &charts::equity(story, &lines));
        section(&mut html, "figures", "Figures", &tables::figures(&lines));
        section(&mut html, "months", "Monthly returns", &tables::months(&analysis));
        section(&mut html, "weights", "Weights", &charts::weights(story));
        if let Some(attribution) = &attribution {
            let words = tables::attribution(attribution, &story.stablecoin);
            section(&mut html, "attribution", "Where it came from", &words);
        }
        section(&mut html, "costs", "Costs", &tables::costs(story, &analysis));
        section(&mut html, "unfilled", "What could not be filled", &tables::unfilled(story));
        section(&mut html, "reasons", "Why, and why not", &tables::reasons(&analysis));
        section(&mut html, "assets", "Assets", &assets::assets(story, &analysis));
        section(&mut html, "orders", "Last orders", &tables::orders(story));
    }
    section(&mut html, "notes", "Notes", &tables::notes(story));
    section(&mut html, "honesty", "How far to trust this", &tables::honesty(story));
    section(&mut html, "facts", "Fingerprints and settings", &tables::facts(story));
    html.push_str("</main></body></html>\n");
    html
}

fn section(html: &mut String, id: &str, title: &str, body: &str) {
    if !body.is_empty() {
        let _ = write!(html, "<section id={id}><h2>{title}</h2>{body}</section>");
    }
}

fn navigation(story: &Story) -> String {
    let parts = [
        ("equity", "Value"),
        ("figures", "Figures"),
        ("months", "Months"),
        ("weights", "Weights"),
        ("attribution", "Attribution"),
        ("costs", "Costs"),
        ("unfilled", "Unfilled"),
        ("assets", "Assets"),
        ("honesty", "Trust"),
        ("facts", "Fingerprints"),
    ];
    let skipped = if story.cycles.is_empty() { 8 } else { 0 };
    let links: String = parts
        .iter()
        .skip(skipped)
        .map(|(id, name)| format!("<a href=\"#{id}\">{name}</a>"))
        .collect();
    format!("<nav>{links}</nav>")
}

fn span_of(story: &Story) -> String {
    let (Some(first), Some(last)) = (story.cycles.first(), story.cycles.last()) else {
        return story.kind.clone();
    };
    let days = last.at.since_ms(first.at) / 86_400_000;
    format!(
        "{} to {} ({days} days, {} cycles), {} assets, in {}. {}",
        day(first.at),
        day(last.at),
        story.cycles.len(),
        story.assets.len(),
        story.stablecoin,
        story.kind
    )
}

/// What a reader must know before the first number.
fn warning(story: &Story) -> String {
    let text = match story.honesty.in_sample {
        Some(true) => {
            "The settings were chosen with a look at this very period: what follows is what they were picked for, not what to expect."
        }
        Some(false) => return String::new(),
        None => {
            "Nobody can tell from this run whether its settings were chosen with a look at this period. If they were, expect less."
        }
    };
    format!("<p class=warn>{text}</p>")
}

fn cards(story: &Story, lines: &[Line], analysis: &crate::analysis::Analysis) -> String {
    let Some(own) = lines.first() else { return String::new() };
    let figures = &own.figures;
    let orders = analysis.stable.orders + analysis.direct.paid.orders;
    let fees = analysis.stable.fees + analysis.direct.paid.fees;
    let slippage = analysis.stable.slippage + analysis.direct.paid.slippage;
    let cards = [
        ("end value", money(float(story.cycles.last().map_or_else(Default::default, |c| c.after)))),
        ("return", percent(figures.total_return)),
        ("per year", figures.cagr.map_or_else(none, percent)),
        ("deepest fall", percent(-figures.max_drawdown)),
        ("Sharpe", figures.sharpe.map_or_else(none, ratio)),
        ("Sortino", figures.sortino.map_or_else(none, ratio)),
        ("orders", orders.to_string()),
        ("fees", money(float(fees))),
        ("slippage", money(float(slippage))),
    ];
    let mut html = String::from("<div class=cards>");
    for (name, value) in cards {
        let _ = write!(html, "<div><b>{}</b><span>{name}</span></div>", Escaped(&value));
    }
    html.push_str("</div>");
    html
}

pub(crate) fn none() -> String {
    "–".to_owned()
}

/// `2024-01-31`.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// A fraction in percent, with its sign.
pub(crate) fn percent(fraction: f64) -> String {
    if !fraction.is_finite() {
        return none();
    }
    format!("{:+.2} %", fraction * 100.0 + 0.0)
}

pub(crate) fn ratio(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}") } else { none() }
}

/// Two decimals below a million, none above, in groups of three.
pub(crate) fn money(value: f64) -> String {
    if !value.is_finite() {
        return none();
    }
    let text = if value.abs() < 1e6 {
        format!("{:.2}", value.abs())
    } else {
        format!("{:.0}", value.abs())
    };
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if value < 0.0 && !is_zero { "-" } else { "" };
    match rest {
        Some(rest) => format!("{sign}{grouped}.{rest}"),
        None => format!("{sign}{grouped}"),
    }
}
