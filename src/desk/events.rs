//! What is reported without being asked.

use super::files;
use crate::output;
use keel_config::Config;
use keel_core::asset::Symbol;
use keel_core::order::{Fill, Outcome};
use keel_core::record::{CycleRecord, Execution, Trigger};
use keel_telegram::{Event, EventKind};
use rust_decimal::Decimal;

/// The program runs, in this mode.
#[must_use]
pub fn startup(config: &Config, mode: &str) -> Event {
    Event::new(EventKind::Startup, format!("Keel {} started: {mode}", env!("CARGO_PKG_VERSION")))
        .body(format!(
            "{} assets, parked in {}",
            config.policy.assets.len(),
            config.policy.stablecoin
        ))
}

/// The program could not start, for this reason.
#[must_use]
pub fn failed_start(reason: &str) -> Event {
    Event::new(EventKind::Error, "Keel could not start").body(reason)
}

/// The program ends, for this reason.
#[must_use]
pub fn shutdown(reason: &str) -> Event {
    Event::new(EventKind::Shutdown, format!("Keel ends: {reason}"))
}

/// What a cycle gives to report: what became of each order, also of those that were unknown until
/// now; and a summary with log and status as files if it had orders or was asked for.
#[must_use]
pub fn of_cycle(config: &Config, record: &CycleRecord) -> Vec<Event> {
    let orders = record.settled.iter().chain(&record.executions);
    let mut events: Vec<Event> = orders.map(|execution| of_order(config, execution)).collect();
    if record.executions.is_empty() && record.trigger != Trigger::Requested {
        return events;
    }
    let stablecoin = &config.policy.stablecoin;
    let mut lines = vec![format!(
        "Worth {} {stablecoin}, of it {} free",
        output::decimal(record.total_after.get(), 2),
        output::decimal(record.stablecoin_after.get(), 2)
    )];
    let names = [
        ("filled", "filled"),
        ("partial", "filled in part"),
        ("rejected", "refused"),
        ("unknown", "of unknown outcome"),
    ];
    for (name, shown) in names {
        let count = record.executions.iter().filter(|order| order.outcome.name() == name).count();
        if count > 0 {
            lines.push(format!("Orders {shown}: {count}"));
        }
    }
    if record.executions.is_empty() {
        lines.push("No orders: /plan says why".to_owned());
    }
    lines.extend(record.notes.iter().map(|note| format!("Note: {note}")));
    let title =
        format!("Cycle {} distributed, because of: {}", record.cycle, record.trigger.name());
    events.push(
        Event::new(EventKind::Cycle, title)
            .body(lines.join("\n"))
            .document(files::log(config))
            .document(files::status(config)),
    );
    events
}

fn of_order(config: &Config, execution: &Execution) -> Event {
    let order = &execution.intent.order;
    let what = format!("{} {} at {}", order.side, order.symbol, order.venue);
    let asked = format!(
        "{} {} worth {} {}",
        order.amount,
        order.symbol.base,
        output::decimal(order.value.get(), 2),
        config.policy.stablecoin
    );
    match &execution.outcome {
        Outcome::Filled { fills } => Event::new(EventKind::Fill, format!("Filled: {what}"))
            .body(executed(&order.symbol, fills)),
        Outcome::Partial { fills } => {
            Event::new(EventKind::Fill, format!("Filled in part: {what}"))
                .body(format!("asked for {asked}\n{}", executed(&order.symbol, fills)))
        }
        Outcome::Rejected { reason } => Event::new(EventKind::Error, format!("Refused: {what}"))
            .body(format!("{asked}\n{reason}")),
        Outcome::Unknown { cause } => {
            Event::new(EventKind::UnknownOrder, format!("Not known what became of: {what}")).body(
                format!(
                    "{asked}\n{cause}\nIt is looked up, never sent again; its market is left alone."
                ),
            )
        }
    }
}

/// Amount, average price and fees.
fn executed(symbol: &Symbol, fills: &[Fill]) -> String {
    let amount: Decimal = fills.iter().map(|fill| fill.amount.get()).sum();
    let cost: Decimal = fills.iter().map(|fill| fill.cost).sum();
    let Some(price) = cost.checked_div(amount) else { return "nothing was executed".to_owned() };
    let quote = &symbol.quote;
    let mut fees: std::collections::BTreeMap<&str, Decimal> = std::collections::BTreeMap::new();
    for fill in fills {
        *fees.entry(fill.fee.asset.as_str()).or_default() += fill.fee.amount.get();
    }
    let fees: Vec<String> =
        fees.iter().map(|(asset, amount)| format!("{} {asset}", amount.normalize())).collect();
    format!(
        "{} {} for {} {quote}, at {} {quote}; fee {}",
        amount.normalize(),
        symbol.base,
        output::price(&cost.round_dp(8).to_string()),
        output::price(&price.to_string()),
        if fees.is_empty() { "none".to_owned() } else { fees.join(" + ") }
    )
}
