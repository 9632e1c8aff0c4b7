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
        requested: false,
        paused: false,
    };
    run_cycle(&mut world, policy, &mut state.clone(), &options)
        .await
        .map_err(|error| PortError(error.to_string()))
}

/// Shows the plan.
pub fn show(config: &Config, record: &CycleRecord) {
    output::line(format!(
        "The first cycle: {} {} in all, {} orders.",
        output::decimal(record.total_before.get(), 2),
        config.policy.stablecoin,
        record.executions.len()
    ));
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
        output::line(output::table(&header, 3, rows));
    }
    for decision in record.decisions.iter().filter(|decision| decision.orders.is_empty()) {
        if let Some(reason) = &decision.reason {
            output::line(format!("  {}: {reason}", decision.ticker));
        }
    }
    for note in &record.notes {
        output::line(format!("  note: {note}"));
    }
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
