//! A trade log, as `keel trades --export csv` writes it, read back as a story without cycles.

use crate::exit::{Code, Failure};
use crate::recorded::Span;
use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::{Symbol, Ticker};
use keel_core::order::{Fee, Fill, Intent, OrderKind, Outcome, PlannedOrder};
use keel_core::policy::{Policy, Settings};
use keel_core::time::Timestamp;
use keel_report::story::{Asset, Story};
use rust_decimal::Decimal;
use serde::Deserialize;
use std::path::Path;

/// The columns that are read; others are left alone.
#[derive(Debug, Deserialize)]
struct Line {
    time: String,
    cycle: u64,
    id: String,
    exchange: String,
    market: String,
    side: String,
    kind: String,
    outcome: String,
    amount: String,
    filled: String,
    cost: String,
    fee: String,
    value: String,
    reference_price: String,
    #[serde(default)]
    detail: String,
}

/// Reads the orders of `span` from the file at `path`.
///
/// # Errors
/// A file that cannot be read, or a row that is not one of a trade log.
pub fn story(path: &Path, span: Span) -> Result<Story, Failure> {
    let wrong = |row: usize, why: &dyn std::fmt::Display| {
        Failure::new(
            Code::BadInput,
            format!(
                "{} row {row}: {why}; expected the rows of `keel trades --export csv`",
                path.display()
            ),
        )
    };
    let mut reader = csv::Reader::from_path(path).map_err(|error| wrong(1, &error))?;
    let mut orders = Vec::new();
    for (number, line) in reader.deserialize::<Line>().enumerate() {
        let row = number + 2;
        let line = line.map_err(|error| wrong(row, &error))?;
        let read = order(&line).map_err(|why| wrong(row, &why))?;
        if span.holds(read.0.created_at) {
            orders.push(read);
        }
    }
    let stablecoin: Ticker = orders
        .iter()
        .find(|(intent, _)| intent.order.kind == OrderKind::Stable)
        .map(|(intent, _)| intent.order.symbol.quote.clone())
        .or_else(|| "USDT".parse().ok())
        .ok_or_else(|| wrong(2, &"no order against a stablecoin"))?;
    let policy = Policy {
        settings: Settings::default(),
        stablecoin: stablecoin.clone(),
        assets: Vec::new(),
        parked: Vec::new(),
    };
    let mut story = Story::new("trade log", "trade log", &policy);
    for (intent, outcome) in orders {
        for ticker in [&intent.order.symbol.base, &intent.order.symbol.quote] {
            let is_known = story.assets.iter().any(|asset| asset.ticker == ticker.as_str());
            if *ticker != stablecoin && !is_known {
                story.assets.push(Asset {
                    ticker: ticker.to_string(),
                    venue: intent.order.venue.to_string(),
                    level: 1,
                });
            }
        }
        story.execute(intent, outcome);
    }
    Ok(story)
}

fn parsed<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{what} is `{text}`"))
}

fn word<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|_| format!("{what} is `{text}`"))
}

fn order(line: &Line) -> Result<(Intent, Outcome), String> {
    let at = moment(line.time.trim())?;
    let symbol: Symbol = parsed("market", &line.market)?;
    let intent = Intent {
        id: word("id", &line.id)?,
        cycle: line.cycle,
        leg: 0,
        order: PlannedOrder {
            kind: word("kind", &line.kind)?,
            venue: parsed("exchange", &line.exchange)?,
            symbol,
            side: word("side", &line.side)?,
            amount: Qty::new(parsed("amount", &line.amount)?),
            value: Money::new(parsed("value", &line.value)?),
        },
        reference_price: Price::new(parsed("reference_price", &line.reference_price)?),
        created_at: at,
    };
    let fills = fills(line, at)?;
    let outcome = match line.outcome.as_str() {
        "filled" => Outcome::Filled { fills },
        "partial" => Outcome::Partial { fills },
        "rejected" => Outcome::Rejected { reason: line.detail.clone() },
        "unknown" => Outcome::Unknown { cause: line.detail.clone() },
        other => return Err(format!("outcome is `{other}`")),
    };
    Ok((intent, outcome))
}

/// `2024-08-31T23:00:00.123Z`; the milliseconds are there only when there are any.
fn moment(text: &str) -> Result<Timestamp, String> {
    match text.trim_end_matches('Z').split_once('.') {
        None => parsed("time", text),
        Some((seconds, ms)) => {
            let whole: Timestamp = parsed("time", &format!("{seconds}Z"))?;
            Ok(whole.plus_ms(parsed("time", ms)?))
        }
    }
}

/// The log joins the executions of an order; its fees stay apart by what they were paid in.
fn fills(line: &Line, at: Timestamp) -> Result<Vec<Fill>, String> {
    let (mut amount, mut cost): (Decimal, Decimal) =
        (parsed("filled", &line.filled)?, parsed("cost", &line.cost)?);
    if amount.is_zero() {
        return Ok(Vec::new());
    }
    let price = cost.checked_div(amount).unwrap_or_default();
    let mut fills = Vec::new();
    for (number, fee) in line.fee.split(" + ").enumerate() {
        let (paid, asset) = fee.split_once(' ').ok_or_else(|| format!("fee is `{}`", line.fee))?;
        fills.push(Fill {
            trade_id: format!("{}-{number}", line.id),
            price: Price::new(price),
            // All of it belongs to the first; the others only carry their fee.
            amount: Qty::new(std::mem::take(&mut amount)),
            cost: std::mem::take(&mut cost),
            fee: Fee { asset: parsed("fee", asset)?, amount: Qty::new(parsed("fee", paid)?) },
            at,
        });
    }
    Ok(fills)
}
