//! One asset after the other: price, signals, channel and trades.

use super::charts::{dates, whole};
use super::escape::Escaped;
use super::plot::{Plot, range};
use super::{money, percent};
use crate::analysis::Analysis;
use crate::story::{Channel, Story, float};
use keel_core::order::{OrderKind, Side};
use keel_core::time::Timestamp;
use std::fmt::Write;

/// Bars in the picture of a channel.
const CHANNEL_BARS: usize = 300;

const BUY: &str = "stroke:var(--good)";
const SELL: &str = "stroke:var(--bad)";

pub(super) fn assets(story: &Story, analysis: &Analysis) -> String {
    let mut html = String::from(
        "<div class=scroll><table><thead><tr><th>asset<th>gain<th>fees<th>slippage<th>net<th>orders<th>traded<th>held<th>signalled</thead>",
    );
    let share = |cycles: u64| {
        #[expect(clippy::cast_precision_loss, reason = "shown in percent")]
        let share = cycles as f64 / story.cycles.len().max(1) as f64;
        format!("{:.0} %", share * 100.0)
    };
    for asset in &analysis.assets {
        let cell = |value| money(float(value));
        let class = if asset.net.is_sign_negative() { "bad" } else { "good" };
        let _ = write!(
            html,
            "<tr><th>{}<td>{}<td>{}<td>{}<td class={class}>{}<td>{}<td>{}<td>{}<td>{}",
            Escaped(&asset.ticker),
            cell(asset.gain),
            cell(asset.costs.fees),
            cell(asset.costs.slippage),
            cell(asset.net),
            asset.costs.orders,
            cell(asset.costs.traded),
            share(asset.held_cycles),
            share(asset.signalled_cycles),
        );
    }
    html.push_str(
        "</table></div><p class=soft>Gain is what the price did to what was held. Held: cycles that began with more than the minimum order of it. Signalled: cycles with both signals on buy. Below, for each asset: its price (green dots buys, red dots sells), a strip that is filled while both signals say buy, and the last bars with the channel of its price signal.</p>",
    );
    for place in 0..story.assets.len() {
        html.push_str(&asset(story, place));
    }
    html
}

fn asset(story: &Story, place: usize) -> String {
    let asset = &story.assets[place];
    let prices: Vec<f64> =
        story.cycles.iter().map(|cycle| cycle.rows[place].price.map_or(f64::NAN, float)).collect();
    let mut html = format!(
        "<h3>{} <span class=soft>at {}, level {}</span></h3>",
        Escaped(&asset.ticker),
        Escaped(&asset.venue),
        asset.level
    );
    if prices.iter().all(|price| !price.is_finite()) {
        html.push_str("<p>No price was ever known.</p>");
        return html;
    }
    let known: Vec<f64> = prices.iter().copied().filter(|price| price.is_finite()).collect();
    let change = known.last().zip(known.first()).map_or(0.0, |(last, first)| last / first - 1.0);
    let moments: Vec<Timestamp> = story.cycles.iter().map(|cycle| cycle.at).collect();
    let [buys, sells] = trades(story, &asset.ticker, &prices);
    let plot = Plot::new("h220", prices.len(), range(prices.iter()))
        .grid(whole)
        .line(&prices, "stroke:var(--grey)")
        .dots(&buys, BUY)
        .dots(&sells, SELL)
        .drawn();
    let strip = Plot::new("h18", prices.len(), [0.0, 1.0])
        .stretches(&stretches(story, place), "fill:var(--good);opacity:.55")
        .below(&dates(&moments))
        .drawn();
    let _ = write!(
        html,
        "<figure><figcaption>Price {}; {} buys, {} sells</figcaption>{plot}{strip}</figure>",
        percent(change),
        buys.len(),
        sells.len()
    );
    match story.channels.iter().find(|channel| channel.ticker == asset.ticker) {
        Some(channel) => html.push_str(&drawn(story, channel)),
        None => html.push_str(
            "<p class=soft>The channel needs candles: give the data directory with --data.</p>",
        ),
    }
    html
}

/// From where to where both signals said buy.
fn stretches(story: &Story, asset: usize) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (place, cycle) in story.cycles.iter().enumerate() {
        if cycle.rows[asset].is_in() {
            match found.last_mut() {
                Some(last) if last.1 == place => last.1 = place + 1,
                _ => found.push((place, place + 1)),
            }
        }
    }
    found
}

/// Whether an order bought this asset, sold it, or has nothing to do with it.
fn direction(order: &crate::story::Order, ticker: &str) -> Option<Side> {
    let symbol = &order.order().symbol;
    match (order.order().kind, order.order().side) {
        _ if order.fills().is_empty() => None,
        (_, side) if symbol.base.as_str() == ticker => Some(side),
        (OrderKind::Direct, Side::Buy) if symbol.quote.as_str() == ticker => Some(Side::Sell),
        (OrderKind::Direct, Side::Sell) if symbol.quote.as_str() == ticker => Some(Side::Buy),
        _ => None,
    }
}

/// Places and prices of buys and sells.
fn trades(story: &Story, ticker: &str, prices: &[f64]) -> [Vec<(usize, f64)>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    for order in &story.orders {
        let Some(side) = direction(order, ticker) else { continue };
        let cycle = order.intent.cycle;
        let Ok(place) = story.cycles.binary_search_by_key(&cycle, |cycle| cycle.number) else {
            continue;
        };
        if prices[place].is_finite() {
            found[usize::from(side == Side::Sell)].push((place, prices[place]));
        }
    }
    found
}

fn drawn(story: &Story, channel: &Channel) -> String {
    let from = channel.close.len().saturating_sub(CHANNEL_BARS);
    let newest = |column: &[f64]| column.get(from..).map_or_else(Vec::new, <[f64]>::to_vec);
    let [close, upper, middle, lower] =
        [&channel.close, &channel.upper, &channel.middle, &channel.lower].map(|c| newest(c));
    let times = channel.closed_at_ms.get(from..).unwrap_or_default();
    if close.is_empty() || times.len() != close.len() {
        return String::new();
    }
    let mut marks = [Vec::new(), Vec::new()];
    for order in &story.orders {
        let Some(side) = direction(order, &channel.ticker) else { continue };
        let at = order.intent.created_at.ms();
        // The decision was made on the newest bar that had closed.
        if let Some(bar) = times.partition_point(|closed| *closed <= at).checked_sub(1)
            && at - times[bar] < 2 * (times.get(1).unwrap_or(&i64::MAX) - times[0])
        {
            marks[usize::from(side == Side::Sell)].push((bar, close[bar]));
        }
    }
    let moments: Vec<Timestamp> = times.iter().map(|ms| Timestamp::from_ms(*ms)).collect();
    let places: Vec<f64> = (0..close.len()).map(super::tables::float_of).collect();
    let plot = Plot::new("h220", close.len(), range(upper.iter().chain(&lower).chain(&close)))
        .grid(whole)
        .below(&dates(&moments))
        .band(&places, &lower, &upper, "fill:var(--blue);opacity:.12")
        .line(&middle, "stroke:var(--blue);stroke-dasharray:4 3;opacity:.7")
        .line(&close, "stroke:var(--ink)")
        .dots(&marks[0], BUY)
        .dots(&marks[1], SELL)
        .drawn();
    format!(
        "<figure><figcaption>Last {} bars with the channel ({})</figcaption>{plot}</figure>",
        close.len(),
        Escaped(&channel.doc)
    )
}
