//! The tables and lists of the report.

use super::escape::Escaped;
use super::{money, none, percent, ratio};
use crate::analysis::Analysis;
use crate::attribution::{Attribution, Costs};
use crate::figures::Line;
use crate::story::{Story, float};
use keel_backtest::statistics::Statistics;
use keel_core::order::Outcome;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Orders in the table of the last ones.
const LAST_ORDERS: usize = 30;
/// Rows in the table of what was not filled.
const UNFILLED_ROWS: usize = 30;

#[expect(clippy::cast_precision_loss, reason = "counts, for drawing and shares")]
pub(super) const fn float_of(count: usize) -> f64 {
    count as f64
}

fn cell(value: Decimal) -> String {
    money(float(value))
}

type Figure = (&'static str, fn(&Statistics) -> String);

/// Figures by row, lines by column.
pub(super) fn figures(lines: &[Line]) -> String {
    let rows: [Figure; 15] = [
        ("end value", |f| money(f.end_value)),
        ("return", |f| percent(f.total_return)),
        ("return per year", |f| f.cagr.map_or_else(none, percent)),
        ("volatility", |f| f.volatility.map_or_else(none, |v| format!("{:.1} %", v * 100.0))),
        ("Sharpe", |f| f.sharpe.map_or_else(none, ratio)),
        ("Sortino", |f| f.sortino.map_or_else(none, ratio)),
        ("Calmar", |f| f.calmar.map_or_else(none, ratio)),
        ("deepest fall", |f| percent(-f.max_drawdown)),
        ("longest fall, days", |f| f.longest_drawdown_days.to_string()),
        ("days with a gain", |f| f.win_rate.map_or_else(none, |v| format!("{:.0} %", v * 100.0))),
        ("profit factor", |f| f.profit_factor.map_or_else(none, ratio)),
        ("mean day", |f| f.expectancy.map_or_else(none, |v| format!("{:+.3} %", v * 100.0))),
        ("best day", |f| f.best_day.map_or_else(none, percent)),
        ("worst day", |f| f.worst_day.map_or_else(none, percent)),
        ("days", |f| f.days.to_string()),
    ];
    let mut html = String::from("<div class=scroll><table><thead><tr><th>");
    for line in lines {
        let _ = write!(html, "<th>{}", Escaped(&line.name));
    }
    html.push_str("</thead>");
    for (name, show) in rows {
        let _ = write!(html, "<tr><th>{name}");
        for line in lines {
            let _ = write!(html, "<td>{}", Escaped(&show(&line.figures)));
        }
    }
    html.push_str("</table></div><p class=soft>From daily returns of the time-weighted curve; a year has 365 days and the risk-free rate is 0. Benchmarks start with the same money and pay the same fee and half-spread.</p>");
    html
}

/// Years down, months across.
pub(super) fn months(analysis: &Analysis) -> String {
    const NAMES: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut years: BTreeMap<String, [Option<f64>; 12]> = BTreeMap::new();
    for month in &analysis.months {
        let (year, number) = month.month.split_at(4);
        let number: usize = number.trim_start_matches('-').parse().unwrap_or(1);
        if let Some(slot) =
            years.entry(year.to_owned()).or_default().get_mut(number.wrapping_sub(1))
        {
            *slot = Some(float(month.return_percent));
        }
    }
    let mut html = String::from("<div class=scroll><table class=months><thead><tr><th>%");
    for name in NAMES {
        let _ = write!(html, "<th>{name}");
    }
    html.push_str("<th>year</thead>");
    for (year, months) in &years {
        let _ = write!(html, "<tr><th>{}", Escaped(year));
        let mut growth = 1.0;
        for value in months {
            match value {
                None => html.push_str("<td>"),
                Some(value) => {
                    growth *= 1.0 + value / 100.0;
                    let _ = write!(html, "<td style=\"background:{}\">{value:+.1}", tint(*value));
                }
            }
        }
        let _ = write!(html, "<td><b>{:+.1}</b>", (growth - 1.0) * 100.0);
    }
    html.push_str("</table></div>");
    html
}

/// Green for gains and red for losses, stronger up to ten percent.
fn tint(percent: f64) -> String {
    let strength = (percent.abs() / 10.0).min(1.0) * 0.45;
    let colour = if percent >= 0.0 { "20,150,80" } else { "215,80,40" };
    format!("rgba({colour},{strength:.2})")
}

/// The ladder, with bars.
pub(super) fn attribution(attribution: &Attribution, stablecoin: &str) -> String {
    let largest = attribution
        .parts
        .iter()
        .map(|part| float(part.value).abs())
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut html = format!(
        "<div class=scroll><table><thead><tr><th>part<th>{}<th class=text><th class=text>what it is</thead>",
        Escaped(stablecoin)
    );
    for part in &attribution.parts {
        let value = float(part.value);
        let (class, colour) =
            if value < 0.0 { ("bad", "var(--bad)") } else { ("good", "var(--good)") };
        let _ = write!(
            html,
            "<tr><th>{}<td class={class}>{}<td><div class=bar><i style=\"width:{:.1}%;background:{colour}\"></i></div><td class=text>{}",
            part.name,
            money(value),
            value.abs() / largest * 100.0,
            part.doc
        );
    }
    let _ = write!(
        html,
        "<tr><th>result<td><b>{}</b><td><td class=text>the sum, to the last digit: {} at the end, {} at the start, {} paid in</table></div>",
        cell(attribution.total),
        cell(attribution.end),
        cell(attribution.start),
        cell(attribution.flows)
    );
    html.push_str("<p class=soft>Each part compares two portfolios on the money that was really there: market is equal parts of everything, always in; every next part adds one thing. docs/analysis.md defines them. A good run in a rising market may owe all of it to the market.</p>");
    html
}

fn costs_row(html: &mut String, name: &str, costs: &Costs) {
    let bps = |value: Decimal| {
        let rate = float(value) / float(costs.traded) * 10_000.0;
        if rate.is_finite() { format!("{rate:.1}") } else { none() }
    };
    let _ = write!(
        html,
        "<tr><th>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
        Escaped(name),
        costs.orders,
        cell(costs.traded),
        cell(costs.fees),
        bps(costs.fees),
        cell(costs.slippage),
        bps(costs.slippage)
    );
}

/// Costs by kind and venue, and what direct pairs saved.
pub(super) fn costs(story: &Story, analysis: &Analysis) -> String {
    let mut html = String::from(
        "<div class=scroll><table><thead><tr><th><th>orders<th>traded<th>fees<th>bps<th>slippage<th>bps</thead>",
    );
    costs_row(&mut html, "against the stablecoin", &analysis.stable);
    costs_row(&mut html, "direct pairs", &analysis.direct.paid);
    let mut by_venue: BTreeMap<String, Costs> = BTreeMap::new();
    for order in &story.orders {
        by_venue.entry(order.order().venue.to_string()).or_default().add(story, order);
    }
    for (venue, costs) in &by_venue {
        costs_row(&mut html, &format!("at {venue}"), costs);
    }
    html.push_str("</table></div>");
    let traded = float(analysis.stable.traded + analysis.direct.paid.traded);
    let capital = float(story.capital());
    if capital > 0.0 {
        let _ = write!(
            html,
            "<p>Traded {:.1} times the first capital. Direct pairs saved <b>{}</b> against a sell and a buy through the stablecoin at this run's mean costs.</p>",
            traded / capital,
            cell(analysis.direct_saved)
        );
    }
    html
}

/// Orders that were refused, cut or lost from sight.
pub(super) fn unfilled(story: &Story) -> String {
    let is_short = |order: &&crate::story::Order| !matches!(order.outcome, Outcome::Filled { .. });
    let short: Vec<_> = story.orders.iter().filter(is_short).collect();
    if short.is_empty() {
        return format!("<p>All {} orders were filled in full.</p>", story.orders.len());
    }
    let missing: Decimal = short.iter().map(|order| order.unfilled()).sum();
    let mut html = format!(
        "<p>{} of {} orders were not filled in full; {} of the value they asked for is missing.{}</p><div class=scroll><table><thead><tr><th>time<th class=text>market<th>side<th>asked<th>missing<th>outcome<th class=text>why</thead>",
        short.len(),
        story.orders.len(),
        cell(missing),
        if short.len() > UNFILLED_ROWS {
            format!(" The last {UNFILLED_ROWS}:")
        } else {
            String::new()
        }
    );
    for order in short.iter().rev().take(UNFILLED_ROWS).rev() {
        let why = match &order.outcome {
            Outcome::Rejected { reason } => reason.as_str(),
            Outcome::Unknown { cause } => cause.as_str(),
            Outcome::Partial { .. } => "the market took no more",
            Outcome::Filled { .. } => "",
        };
        let _ = write!(
            html,
            "<tr><th>{}<td class=text>{} {}<td>{}<td>{}<td>{}<td>{}<td class=text>{}",
            time(order.intent.created_at),
            Escaped(order.order().venue.as_str()),
            Escaped(&order.order().symbol.to_string()),
            order.order().side,
            cell(order.order().value.get()),
            cell(order.unfilled()),
            order.outcome.name(),
            Escaped(why)
        );
    }
    html.push_str("</table></div>");
    html
}

fn time(at: keel_core::time::Timestamp) -> String {
    at.to_string().chars().take(16).collect::<String>().replace('T', " ")
}

/// Why orders were sent, and what kept assets from being traded.
pub(super) fn reasons(analysis: &Analysis) -> String {
    let mut html = String::from(
        "<div class=scroll><table><thead><tr><th>orders because<th>orders<th>traded<th>fees<th>slippage</thead>",
    );
    for row in &analysis.why {
        let _ = write!(
            html,
            "<tr><th>{}<td>{}<td>{}<td>{}<td>{}",
            row.why,
            row.costs.orders,
            cell(row.costs.traded),
            cell(row.costs.fees),
            cell(row.costs.slippage)
        );
    }
    html.push_str("</table></div><div class=scroll><table><thead><tr><th>left alone because<th>decisions<th>wanted a change<th>largest<th class=text>most often</thead>");
    for row in &analysis.reasons {
        let _ = write!(
            html,
            "<tr><th>{}<td>{}<td>{}<td>{}<td class=text>{}",
            Escaped(&row.reason.replace('_', " ")),
            row.decisions,
            row.wanted,
            cell(row.largest),
            Escaped(&row.most)
        );
    }
    html.push_str("</table></div>");
    html
}

/// The newest orders; all of them are in the CSV beside the report.
pub(super) fn orders(story: &Story) -> String {
    if story.orders.is_empty() {
        return "<p>No orders.</p>".to_owned();
    }
    let mut html = String::from(
        "<div class=scroll><table><thead><tr><th>time<th class=text>market<th>side<th>value<th>price<th>cost bps<th>outcome<th class=text>because</thead>",
    );
    for order in story.orders.iter().rev().take(LAST_ORDERS) {
        let price = order
            .fills()
            .iter()
            .map(|fill| fill.cost)
            .sum::<Decimal>()
            .checked_div(order.filled())
            .and_then(|price| price.round_sf(6))
            .map_or_else(none, |price| price.normalize().to_string());
        let bps = float(order.slippage()) / float(order.traded()) * 10_000.0;
        let _ = write!(
            html,
            "<tr><th>{}<td class=text>{} {}<td>{}<td>{}<td>{}<td>{}<td>{}<td class=text>{}",
            time(order.intent.created_at),
            Escaped(order.order().venue.as_str()),
            Escaped(&order.order().symbol.to_string()),
            order.order().side,
            cell(order.order().value.get()),
            price,
            if bps.is_finite() { format!("{bps:.1}") } else { none() },
            order.outcome.name(),
            order.why
        );
    }
    let _ = write!(
        html,
        "</table></div><p class=soft>{} of {} orders, the newest first; all of them are in trades.csv.</p>",
        story.orders.len().min(LAST_ORDERS),
        story.orders.len()
    );
    html
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.fold(String::from("<ul>"), |mut html, item| {
        let _ = write!(html, "<li>{}</li>", Escaped(&item));
        html
    }) + "</ul>"
}

pub(super) fn notes(story: &Story) -> String {
    if story.notes.is_empty() { String::new() } else { list(story.notes.iter().cloned()) }
}

pub(super) fn honesty(story: &Story) -> String {
    let mut said = vec![match story.honesty.settings_tried {
        Some(1) => "One setting was tried: nothing was picked from many.".to_owned(),
        Some(tried) => format!(
            "{tried} settings were tried before these. The best of so many looks good by luck alone; only a period that no search has seen can tell."
        ),
        None => "How many settings were tried before these is not recorded. The more there were, the more of the result is luck.".to_owned(),
    }];
    said.push(match story.honesty.in_sample {
        Some(true) => {
            "This period was looked at when the settings were chosen (in sample).".to_owned()
        }
        Some(false) => {
            "The settings were fixed before this period began (out of sample).".to_owned()
        }
        None => "Whether this period was looked at when the settings were chosen is not recorded."
            .to_owned(),
    });
    said.push("The benchmarks beside the result paid the same costs. A result that a plain holding beats is no reason to trade.".to_owned());
    said.push("The assets were chosen by a person who knows which ones still exist: what was delisted since is missing, and that flatters every line, the benchmarks too.".to_owned());
    said.extend(story.honesty.not_modelled.iter().map(|item| format!("Not modelled: {item}")));
    list(said.into_iter())
}

pub(super) fn facts(story: &Story) -> String {
    let mut html = String::from("<div class=scroll><table class=facts>");
    for (name, value) in &story.facts {
        let _ = write!(html, "<tr><th>{}<td>{}", Escaped(name), Escaped(value));
    }
    let _ = write!(html, "<tr><th>made by<td>keel {}</table></div>", env!("CARGO_PKG_VERSION"));
    html
}
