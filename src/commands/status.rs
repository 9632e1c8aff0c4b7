//! `keel status`: what is held, and what it should be.

use crate::cli::ConfigArg;
use crate::desk;
use crate::exit::{Code, Failure};
use crate::journal::Reader;
use crate::live::controls::Controls;
use crate::output;
use crate::status::to_json;
use keel_core::policy::Policy;
use keel_core::ports::Clock as _;
use keel_core::state::State;
use keel_core::time::Timestamp;
use keel_live::time::MachineTime;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Shows holdings, targets and signals after the last cycle, and what keeps orders back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 7 when the last cycle is older than --max-age.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The last cycle must have begun within so many seconds; for health checks.
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is no journal, it cannot be read, or its last cycle is too old.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    let reader = Reader::open(&config.paths.journal)?;
    let no_cycle = || {
        Failure::new(
            Code::BadState,
            format!("{}: no cycle has finished yet", config.paths.journal.display()),
        )
    };
    let state = reader.state()?.ok_or_else(no_cycle)?;
    let cycle = reader.cycle(None)?.ok_or_else(no_cycle)?;
    let at = Timestamp::from_ms(cycle.at_ms);
    let assets = to_json(&config.policy, &state);
    let is_paused = Controls::new(&config.paths.journal).is_paused();
    let broker = Remembered::read(&reader.checkpoint()?);
    let unresolved = reader.unresolved()?;
    if args.json {
        let unresolved: Vec<Value> = unresolved
            .iter()
            .map(|order| {
                json!({
                    "id": order.id,
                    "venue": order.venue,
                    "symbol": order.symbol,
                    "side": order.side,
                    "amount": order.amount,
                    "at": Timestamp::from_ms(order.at_ms).to_string(),
                    "quarantine": broker.quarantined.get(&order.id),
                })
            })
            .collect();
        output::json(&json!({
            "mode": reader.mode()?,
            "cycle": cycle,
            "at": at.to_string(),
            "total": keel_core::snapshot::number(state.total().get()),
            "stablecoin": config.policy.stablecoin,
            "paused": is_paused,
            "halted": broker.halted,
            "unresolved": unresolved,
            "assets": assets,
        }));
    } else {
        output::line(format!(
            "Cycle {} at {at} ({}), worth {} {}",
            cycle.cycle,
            reader.mode()?,
            output::decimal(state.total().get(), 2),
            config.policy.stablecoin
        ));
        if is_paused {
            output::line("Trading is stopped by the operator: /start in the chat goes on");
        }
        for (venue, why) in &broker.halted {
            output::line(format!("Trading at {venue} is halted: {why}"));
        }
        for order in &unresolved {
            let quarantine = broker.quarantined.get(&order.id);
            let cause = quarantine.map_or("it is looked up", String::as_str);
            output::line(format!(
                "Of unknown outcome: {} {} {} at {}, sent {} as {}: {cause}",
                order.side,
                order.amount,
                order.symbol,
                order.venue,
                Timestamp::from_ms(order.at_ms),
                order.id
            ));
        }
        output::line("");
        output::line(holdings(&config.policy, &state, &assets));
        for note in &cycle.notes {
            output::line(format!("note: {note}"));
        }
    }
    let age_seconds = MachineTime.now().since_ms(at) / 1_000;
    match args.max_age {
        Some(max) if age_seconds > i64::from(max) => Err(Failure::new(
            Code::ProblemsFound,
            format!("the last cycle began {age_seconds} s ago; expected at most {max}"),
        )),
        _ => Ok(()),
    }
}

/// What the broker of real accounts remembers that keeps orders back. A paper account remembers none
/// of it.
#[derive(Debug, Default)]
struct Remembered {
    /// Exchanges that are not traded, and why.
    halted: BTreeMap<String, String>,
    /// Orders that only the operator can decide, and why.
    quarantined: BTreeMap<String, String>,
}

impl Remembered {
    fn read(checkpoint: &str) -> Self {
        let value: Value = serde_json::from_str(checkpoint).unwrap_or_default();
        let each = |key: &str, text: fn(&Value) -> Option<&str>| {
            let entries = value[key].as_object().into_iter().flatten();
            entries
                .filter_map(|(name, entry)| Some((name.clone(), text(entry)?.to_owned())))
                .collect::<BTreeMap<String, String>>()
        };
        let halted = each("halted", Value::as_str).into_iter();
        Self {
            halted: halted.map(|(venue, why)| (venue, desk::halt(&why))).collect(),
            quarantined: each("pending", |pending| pending["quarantine"].as_str()),
        }
    }
}

fn holdings(policy: &Policy, state: &State, assets: &Value) -> String {
    let total = state.total().to_f64();
    let rows = assets
        .as_object()
        .into_iter()
        .flatten()
        .map(|(ticker, asset)| {
            let text = |key: &str| {
                asset[key].as_str().map_or_else(|| asset[key].to_string(), str::to_owned)
            };
            let venue = policy
                .assets
                .iter()
                .find(|asset| asset.ticker.as_str() == ticker)
                .map_or_else(|| "all".to_owned(), |asset| asset.venue.to_string());
            let is_stablecoin = ticker == policy.stablecoin.as_str();
            let value = asset["value_in_stable"].as_f64().unwrap_or(0.0);
            let share = if total > 0.0 { value / total * 100.0 } else { 0.0 };
            let signal = |key: &str| match asset[key].as_i64() {
                _ if is_stablecoin => String::new(),
                Some(1) => "buy".to_owned(),
                Some(-1) => "sell".to_owned(),
                _ => "none".to_owned(),
            };
            vec![
                ticker.clone(),
                venue,
                signal("position_signal_prev_1"),
                signal("trend_signal_prev_1"),
                if asset["price"].is_null() {
                    "unknown".to_owned()
                } else {
                    output::price(&text("price"))
                },
                output::price(&text("free")),
                output::money(&text("value_in_stable"), 2),
                format!("{share:.1} %"),
                format!("{:.1} %", asset["ratio"].as_f64().unwrap_or(0.0) * 100.0),
            ]
        })
        .collect();
    let header =
        ["asset", "exchange", "position", "trend", "price", "free", "value", "weight", "target"];
    output::table(&header, 4, rows)
}
