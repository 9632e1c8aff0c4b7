//! `keel why`: the decision record of one asset, in words.

use crate::cli::ConfigArg;
use crate::exit::{Code, Failure};
use crate::journal::{CycleRow, DecisionRow, Folded, Reader, TradeRow};
use crate::output;
use keel_core::time::Timestamp;
use serde_json::json;

/// Explains the last decision about an asset, or that of a certain cycle.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The asset: BTC.
    ticker: String,
    /// Number of the cycle. Default: the last one that distributed.
    #[arg(long)]
    cycle: Option<u64>,
    #[command(flatten)]
    config: ConfigArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is no journal, no such cycle or no such asset in it.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    let reader = Reader::open(&config.paths.journal)?;
    let folded = match args.cycle {
        Some(number) => {
            reader.folded()?.into_iter().find(|run| (run.first..=run.last).contains(&number))
        }
        None => None,
    };
    let number = match (&folded, args.cycle) {
        (Some(run), _) => run.alike,
        (None, Some(number)) => number,
        (None, None) => reader.last_distribution()?.ok_or_else(|| {
            Failure::new(Code::BadState, "no cycle has distributed yet; nothing to explain")
        })?,
    };
    let cycle = reader.cycle(Some(number))?.ok_or_else(|| {
        let last = reader.cycle(None).ok().flatten().map_or(0, |cycle| cycle.cycle);
        Failure::new(Code::BadInput, format!("there is no cycle {number}; expected 1 to {last}"))
    })?;
    let decisions = reader.decisions(number)?;
    let decision = decisions.iter().find(|row| row.ticker.eq_ignore_ascii_case(&args.ticker));
    let Some(decision) = decision else {
        let known: Vec<&str> = decisions.iter().map(|row| row.ticker.as_str()).collect();
        return Err(Failure::new(
            Code::BadInput,
            format!(
                "cycle {number} has no decision about {}; expected one of {}",
                args.ticker,
                known.join(", ")
            ),
        ));
    };
    let trades: Vec<TradeRow> = reader
        .trades(Some(number))?
        .into_iter()
        .filter(|trade| trade.symbol.split('/').any(|part| part == decision.ticker))
        .collect();
    if args.json {
        output::json(&json!({
            "cycle": cycle,
            "at": Timestamp::from_ms(cycle.at_ms).to_string(),
            "decision": decision,
            "orders": trades,
            "folded": folded,
        }));
    } else {
        if let Some(run) = &folded {
            output::line(in_words(run));
        }
        for line in explain(&cycle, decision, &trades, config.policy.stablecoin.as_str()) {
            output::line(line);
        }
    }
    Ok(())
}

/// Why another cycle is shown than the one that was asked for.
fn in_words(run: &Folded) -> String {
    let [from, to] = [run.from_ms, run.to_ms].map(Timestamp::from_ms);
    format!(
        "cycles {} to {} ({from} to {to}) had no orders and said the same as cycle {}, whose figures these are; of such cycles one record an hour is kept for longer than a week:",
        run.first, run.last, run.alike
    )
}

const fn signal(value: i8) -> &'static str {
    match value {
        1 => "buy",
        -1 => "sell",
        _ => "nothing yet",
    }
}

/// The decision in words, line by line.
#[must_use]
pub fn explain(
    cycle: &CycleRow,
    decision: &DecisionRow,
    trades: &[TradeRow],
    stablecoin: &str,
) -> Vec<String> {
    let mut lines = vec![format!(
        "{} in cycle {} at {} (distributed because of: {})",
        decision.ticker,
        cycle.cycle,
        Timestamp::from_ms(cycle.at_ms),
        cycle.trigger
    )];
    let percent = |text: &str| format!("{:.2} %", text.parse::<f64>().unwrap_or(0.0) * 100.0);
    let mut facts: Vec<(&str, String)> = Vec::new();
    if decision.ticker != stablecoin {
        facts.push(("price signal", signal(decision.position).to_owned()));
        facts.push(("dominance signal", signal(decision.trend).to_owned()));
        let cap = if decision.market_cap.is_empty() {
            "unknown".to_owned()
        } else {
            let stale =
                if decision.flags.contains("cap_stale") { " (old, carried forward)" } else { "" };
            format!(
                "{} USD{stale}, {} of all assets",
                output::money(&decision.market_cap, 0),
                percent(&decision.dominance)
            )
        };
        facts.push(("market cap", cap));
        let price = if decision.price.is_empty() {
            "unknown".to_owned()
        } else {
            output::price(&decision.price)
        };
        facts.push((
            "held",
            format!(
                "{} at {price} = {} {stablecoin}",
                output::price(&decision.free),
                output::money(&decision.value, 2)
            ),
        ));
    } else {
        facts.push(("held", format!("{} {stablecoin}", output::money(&decision.value, 2))));
    }
    let capped = if decision.flags.split(' ').any(|flag| flag == "capped") {
        ", cut by the altcoin cap"
    } else {
        ""
    };
    facts.push((
        "target",
        format!(
            "{} of the portfolio = {} {stablecoin}{capped}",
            percent(&decision.ratio),
            output::money(&decision.target, 2)
        ),
    ));
    facts.push(("change", format!("{} {stablecoin}", output::money(&decision.change, 2))));
    for (name, value) in facts {
        lines.push(format!("  {name:<17} {value}"));
    }
    for trade in trades {
        let detail =
            if trade.detail.is_empty() { String::new() } else { format!(": {}", trade.detail) };
        lines.push(format!(
            "  {:<17} {} {} {} at {}, {} {stablecoin} ({}{detail})",
            "order",
            trade.side,
            trade.amount,
            trade.symbol,
            trade.venue,
            output::money(&trade.value, 2),
            trade.outcome
        ));
    }
    let verdict = match (decision.action.as_str(), decision.detail.is_empty()) {
        ("hold", true) => "hold".to_owned(),
        ("hold", false) => format!("hold, because {} [{}]", decision.detail, decision.reason),
        (action, true) => action.to_owned(),
        (action, false) => format!("{action}; but {} [{}]", decision.detail, decision.reason),
    };
    lines.push(format!("  {:<17} {verdict}", "decision"));
    for note in &cycle.notes {
        lines.push(format!("  {:<17} {note}", "note"));
    }
    lines
}
