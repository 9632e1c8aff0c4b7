//! The report: one HTML file without anything outside it.

mod figures;
mod style;
mod svg;

use crate::results::StudyRecord;
use crate::robustness::{DSR_MIN, PBO_MAX, Robustness, Searched};
use crate::study::Found;
use crate::walk_forward::{Scheme, WalkForward};
use keel_core::time::Timestamp;
use std::fmt::Write;

/// The part of the report on one asset and stage.
#[derive(Clone, Debug)]
pub struct Section {
    id: String,
    title: String,
    verdict: String,
    is_robust: bool,
    html: String,
}

/// Draws a search.
#[must_use]
pub fn section(searched: &Searched<'_>, found: &Found, record: &StudyRecord) -> Section {
    let best = record.top[0];
    let mut html = String::new();
    let _ = write!(
        html,
        "<p class=facts>{} candles of {}, {} to {}. {} of {} points visited ({}), loss <b>{}</b>, fee {} %.</p>\
         <p class=best>window <b>{}</b> · mult <b>{}</b> · atrs <b>{}</b> · loss <b>{:.4}</b> · {} trades · profit {:.1} %</p>",
        searched.series.len(),
        record.timeframe,
        day(record.first_ms),
        day(record.last_ms),
        record.visited,
        record.points,
        record.sampler,
        record.loss,
        record.fee * 100.0,
        best.window,
        best.mult,
        best.atrs,
        best.loss,
        best.trades,
        best.profit / searched.period.wallet * 100.0,
    );
    html.push_str(&honesty_table(record));
    if found.visited.is_none() {
        html.push_str("<div class=row>");
        html.push_str(&figures::surface_of_best(searched, found));
        html.push_str(&figures::surface_through_optimum(searched, found));
        html.push_str("</div>");
    }
    html.push_str("<div class=row>");
    html.push_str(&figures::distribution(&found.losses, best.loss));
    html.push_str(&figures::stability(record));
    html.push_str("</div>");
    html.push_str(&figures::equity(searched, found, record));
    html.push_str(&figures::price(searched, found));
    for walk in &record.walk_forward {
        html.push_str(&walk_table(walk));
    }
    let verdict = if record.refusal.is_empty() {
        "robust".to_owned()
    } else {
        format!("not robust: {}", record.refusal.join("; "))
    };
    Section {
        id: format!("{}-{}", record.asset, record.stage),
        title: format!("{} {}", record.asset, record.stage),
        verdict,
        is_robust: record.refusal.is_empty(),
        html,
    }
}

/// The whole page.
#[must_use]
pub fn page(sections: &[Section]) -> String {
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>hyperopt report</title>\
         <meta name=viewport content=\"width=device-width\"><style>{}</style><h1>hyperopt report</h1><nav>",
        style::CSS
    );
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let class = |section: &Section| if section.is_robust { "good" } else { "bad" };
    for section in sections {
        let (class, id, title) = (class(section), escape(&section.id), escape(&section.title));
        let _ = write!(html, "<a class={class} href=\"#{id}\">{title}</a>");
    }
    html.push_str("</nav>");
    for section in sections {
        let _ = write!(
            html,
            "<section id=\"{}\"><h2>{} <small class={}>{}</small></h2>{}</section>",
            escape(&section.id),
            escape(&section.title),
            class(section),
            escape(&section.verdict),
            section.html
        );
    }
    html.push_str("</html>\n");
    html
}

fn day(ms: i64) -> String {
    Timestamp::from_ms(ms).to_string().chars().take(10).collect()
}

fn honesty_table(record: &StudyRecord) -> String {
    let mut html = String::from("<table class=honesty>");
    for (name, value, sentence) in honesty_rows(record) {
        let _ = write!(html, "<tr><th>{name}<td>{value}<td>{sentence}");
    }
    html.push_str("</table>");
    html
}

/// Name, value and meaning of each figure beside a best point.
#[must_use]
pub fn honesty_rows(record: &StudyRecord) -> Vec<(&'static str, String, String)> {
    let Robustness {
        trials,
        trading,
        daily,
        yearly_sharpe,
        lucky_sharpe,
        psr,
        dsr,
        neighbourhood,
        ..
    } = &record.robustness;
    let robustness = &record.robustness;
    let years = daily.count / 365.0;
    let lucky_yearly = lucky_sharpe * 365_f64.sqrt();
    let mut rows = vec![
        (
            "Trials N",
            trials.to_string(),
            format!(
                "The best of so many is lucky by construction; {trading} of them traded, and the luckiest of {trials} standard normal draws is expected at {:.2}",
                robustness.expected_maximum
            ),
        ),
        (
            "Sharpe, yearly",
            format!("{yearly_sharpe:.2}"),
            format!(
                "Luck alone would show {lucky_yearly:.2} in the best of N, going by how much the trials differ"
            ),
        ),
        (
            "PSR",
            format!("{psr:.3}"),
            "Probability that the true Sharpe ratio is above 0, as if this had been the only trial"
                .to_owned(),
        ),
        (
            "DSR",
            format!("{dsr:.3}"),
            format!(
                "Probability that it is above what luck shows in N trials; at least {DSR_MIN} is asked for"
            ),
        ),
        (
            "MinTRL",
            robustness
                .min_track_record_years
                .map_or_else(|| "never".to_owned(), |y| format!("{y:.2} years")),
            format!(
                "Track record needed to say with 95 % that the Sharpe ratio is above 0; there are {years:.2} years"
            ),
        ),
        (
            "MinBTL",
            robustness
                .min_backtest_years
                .map_or_else(|| "never".to_owned(), |y| format!("{y:.2} years")),
            format!(
                "With less data than this, N trials without skill are expected to reach this Sharpe ratio; there are {years:.2} years"
            ),
        ),
    ];
    rows.push(match &robustness.overfitting {
        Some(judged) => (
            "PBO",
            format!("{:.3}", judged.probability),
            format!(
                "Share of {} ways to halve the time in which the best of one half falls into the lower half of the other, over {} points spread evenly over those searched; noise gives 0.5, at most {PBO_MAX} is asked for. In {:.1} % of them it loses there",
                judged.choices, judged.columns, judged.loss_probability * 100.0
            ),
        ),
        None => ("PBO", "unknown".to_owned(), "There are too few days or points to halve the time".to_owned()),
    });
    if let Some(around) = neighbourhood {
        let kind = if around.is_plateau() { "plateau" } else { "spike" };
        rows.push((
            "Neighbourhood",
            kind.to_owned(),
            format!(
                "The {} neighbours keep {:.0} % of the best point's advantage over the median point (losses {:.4}, {:.4} and {:.4})",
                around.count, around.kept * 100.0, around.best, around.neighbours, around.everywhere
            ),
        ));
    }
    let fees = &robustness.fees_doubled;
    rows.push((
        "Fees doubled",
        format!("loss {:.4}", fees.loss),
        format!(
            "At {} % a side the profit goes from {:.1} % to {:.1} % and the loss from {:.4} to {:.4}",
            fees.fee * 100.0, fees.profit_before * 100.0, fees.profit * 100.0, fees.loss_before, fees.loss
        ),
    ));
    for walk in &record.walk_forward {
        let name = match walk.scheme {
            Scheme::Anchored => "Walk-forward, anchored",
            Scheme::Rolling => "Walk-forward, rolling",
        };
        let efficiency = walk.efficiency.map_or_else(
            || "the training did not gain, so there is nothing to compare with".to_owned(),
            |share| format!("{:.0} % of the daily return of the training was kept", share * 100.0),
        );
        rows.push((
            name,
            format!("{:.1} %", walk.profit * 100.0),
            format!(
                "Profit of {} windows that the search had not seen, yearly Sharpe {:.2}; {efficiency}",
                walk.folds.len(),
                walk.daily.sharpe() * 365_f64.sqrt()
            ),
        ));
    }
    if record.loss == "sortino" {
        rows.push(match &robustness.guarded_best {
            None => (
                "Guarded loss",
                "same choice".to_owned(),
                "sortino-guarded, in which penalties always hurt and a flawless set is the best one, picks the same point".to_owned(),
            ),
            Some(point) => (
                "Guarded loss",
                "other choice".to_owned(),
                format!("sortino-guarded, in which penalties always hurt and a flawless set is the best one, picks {point} instead; the plain loss is misled by few or flawless trades here"),
            ),
        });
    }
    rows
}

fn walk_table(walk: &WalkForward) -> String {
    let name = match walk.scheme {
        Scheme::Anchored => "Anchored walk-forward",
        Scheme::Rolling => "Rolling walk-forward",
    };
    let mut html = format!(
        "<h3>{name}</h3><table><tr><th>trained from<th>tested<th>window<th>mult<th>atrs<th>loss in training<th>loss after<th>trades<th>profit"
    );
    for fold in &walk.folds {
        let _ = write!(
            html,
            "<tr><td>{}<td>{} to {}<td>{}<td>{}<td>{}<td>{:.4}<td>{:.4}<td>{}<td>{:.1} %",
            day(fold.train_from_ms),
            day(fold.test_from_ms),
            day(fold.test_to_ms),
            fold.window,
            fold.mult,
            fold.atrs,
            fold.train_loss,
            fold.test_loss,
            fold.test_trades,
            fold.test_profit * 100.0,
        );
    }
    html.push_str("</table>");
    html
}
