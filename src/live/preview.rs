//! What the first live cycle would do, and whether the operator wants that.

use crate::output;
use keel_config::Config;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::ports::{Broker, Clock, MarketData, PortError};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use rust_decimal::Decimal;
use std::io::{BufRead as _, IsTerminal as _};

/// Runs the cycle that comes next with a copy of the real balances; nothing leaves.
///
/// # Errors
/// When balances cannot be read.
pub async fn preview<C: Clock, M: MarketData, B: Broker>(
    clock: &C,
    market: &M,
    broker: &B,
    config: &Config,
    state: &State,
    models: CostModels,
) -> Result<CycleRecord, PortError> {
    let policy = &config.policy;
    let mut account = PaperAccount::default();
    for venue in policy.venues() {
        for (ticker, balance) in broker.balances(&venue).await? {
            account.deposit(&venue, &ticker, balance.free);
        }
    }
    let mut paper = PaperBroker::new(market, policy.stablecoin.clone(), models, account);
    let mut store = MemoryStore::default();
    let mut world = World { clock, market, broker: &mut paper, store: &mut store };
    let options = CycleOptions {
        deployment: "preview".to_owned(),
        at_start: true,
        ..CycleOptions::default()
    };
    run_cycle(&mut world, policy, &mut state.clone(), &options)
        .await
        .map_err(|error| PortError(error.to_string()))
}

/// The plan, for people.
#[must_use]
pub fn shown(config: &Config, record: &CycleRecord, is_paused: bool) -> String {
    let orders = match record.executions.len() {
        1 => "1 order".to_owned(),
        count => format!("{count} orders"),
    };
    let mut lines = vec![format!(
        "The first cycle: {} {} in all, {orders}.",
        output::decimal(record.total_before.get(), 2),
        config.policy.stablecoin,
    )];
    if is_paused {
        lines.push("Trading is paused: none of them is sent before it goes on.".to_owned());
    }
    let percent = |part: Decimal| format!("{} %", output::decimal(part * Decimal::ONE_HUNDRED, 1));
    let rows = record
        .decisions
        .iter()
        .map(|decision| {
            let held = decision.value.get().checked_div(record.total_before.get());
            vec![
                decision.ticker.to_string(),
                percent(held.unwrap_or_default()),
                percent(decision.ratio),
                output::decimal(decision.value.get(), 2),
                output::decimal(decision.target.get(), 2),
            ]
        })
        .collect::<Vec<_>>();
    let header = ["asset", "weight", "to be", "value", "target"];
    lines.push(output::table(&header, 1, rows));
    let rows = record
        .executions
        .iter()
        .map(|execution| {
            let order = &execution.intent.order;
            vec![
                order.side.to_string(),
                order.symbol.to_string(),
                order.venue.to_string(),
                order.amount.to_string(),
                output::decimal(order.value.get(), 2),
            ]
        })
        .collect::<Vec<_>>();
    if !rows.is_empty() {
        let header = ["side", "market", "exchange", "amount", "value"];
        lines.push(output::table(&header, 3, rows));
    }
    // Also of what is traded: it may not reach its target.
    let reasons = record.decisions.iter().filter_map(|decision| {
        Some(format!("  {}: {}", decision.ticker, decision.reason.as_ref()?))
    });
    lines.extend(reasons);
    lines.extend(record.notes.iter().map(|note| format!("  note: {note}")));
    lines.join("\n")
}

/// Asks at the terminal. `None`: there is nobody to ask.
#[must_use]
pub fn confirmed() -> Option<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return None;
    }
    output::remark(
        "These orders go out with real money, at the prices of that moment. Type yes to go on:",
    );
    let mut answer = String::new();
    input.lock().read_line(&mut answer).ok()?;
    Some(answer.trim().eq_ignore_ascii_case("yes"))
}
