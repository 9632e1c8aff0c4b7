//! `keel parity`: recorded cycles run again, and how far the fills lie from the simulation's.

use super::report::Source;
use crate::exit::{Code, Failure};
use crate::journal::Reader;
use crate::output;
use crate::parity::{Inputs, Leg, Parity, parity};
use crate::recorded::{self, Span};
use crate::simulation::cost_models;
use keel_core::time::{Timeframe, Timestamp};
use rust_decimal::Decimal;
use serde_json::json;
use std::collections::BTreeMap;

/// Runs recorded cycles (paper, live or replay) again in the backtester, on the prices, caps, signals
/// and balances they recorded, and reports how far each order's price, fee and weight lie apart.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel parity -c my.json --data data                  the last whole day of the journal
  keel parity -c my.json --data data --since 2024-05-01 --until 2024-05-31 --tolerance 10

The data directory gives market rules and hourly volumes; without it markets have no limits and
orders no price impact. Exit code 7 when a deviation is above the tolerance or an order has no
counterpart.")]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Largest deviation that is accepted, in hundredths of a percent: of prices, of fees (of the
    /// order's value) and of weights (of the portfolio).
    #[arg(long, value_name = "BPS", default_value = "25")]
    tolerance: Decimal,
    /// Show every order, not only those that deviate.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is no journal, or the deviation is above the tolerance.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.source.config.load()?;
    let path = args.source.journal(&config);
    let story = recorded::story(&config, path, Span::default())?;
    let reader = Reader::open(path)?;
    let (Some(first), Some(last)) = (story.cycles.first(), story.cycles.last()) else {
        return Err(Failure::new(
            Code::BadInput,
            format!("{}: no finished cycle yet; run some first", path.display()),
        ));
    };
    let mut reasons = BTreeMap::new();
    reader.each_decision(first.number, last.number, |row| {
        if !row.reason.is_empty() {
            reasons.insert((row.cycle, row.ticker), row.reason);
        }
    })?;
    let state = reader.state()?.unwrap_or_default();
    let tape = args.source.tape(&config, &story.kind)?;
    let span = chosen(args.source.span()?, last.at);
    let inputs = Inputs {
        policy: &config.policy,
        story: &story,
        reasons: &reasons,
        stablecoin_at_end: state
            .stablecoin
            .iter()
            .map(|(venue, balance)| (venue.clone(), balance.free.get()))
            .collect(),
        tape: tape.as_ref(),
        costs: cost_models(&config),
    };
    let found = parity(&inputs, |at| span.holds(at));
    let is_close = found.unmatched() == 0 && found.largest_bps() <= args.tolerance;
    if args.json {
        output::json(&json!({
            "from": span.from.map(|at| at.to_string()),
            "to": span.to.map(|at| at.to_string()),
            "tolerance_bps": args.tolerance,
            "within_tolerance": is_close,
            "largest_bps": found.largest_bps(),
            "unmatched": found.unmatched(),
            "parity": found,
        }));
    } else {
        if tape.is_none() {
            output::remark(
                "note: without --data markets have no limits and orders no price impact",
            );
        }
        print(args, span, &found);
    }
    // The table has said it all.
    if is_close { Ok(()) } else { Err(Failure::new(Code::ProblemsFound, "")) }
}

/// What was asked for, or the last whole day of the journal.
fn chosen(span: Span, last: Timestamp) -> Span {
    if span != Span::default() {
        return span;
    }
    let today = Timeframe::D1.floor(last);
    Span { from: Some(today.plus_ms(-Timeframe::D1.ms())), to: Some(today) }
}

fn shown(value: Option<Decimal>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.round_dp(3).normalize().to_string())
}

/// One figure of a leg, in hundredths of a percent.
type Deviation = fn(&Leg) -> Option<Decimal>;

fn print(args: &Args, span: Span, found: &Parity) {
    let end = |at: Option<Timestamp>| at.map_or_else(|| "the end".to_owned(), |at| at.to_string());
    output::line(format!(
        "{} cycles from {} to before {}, {} orders",
        found.cycles,
        span.from.map_or_else(|| "the start".to_owned(), |at| at.to_string()),
        end(span.to),
        found.legs.len()
    ));
    for (why, count) in &found.skipped {
        output::line(format!("{count} cycles not compared: {why}"));
    }
    let deviates = |leg: &&Leg| {
        args.all
            || leg.recorded != leg.again
            || leg.price_bps.is_some_and(|bps| !bps.is_zero())
            || !leg.weight_bps.is_zero()
    };
    let rows: Vec<Vec<String>> = found.legs.iter().filter(deviates).map(row).collect();
    if !rows.is_empty() {
        let header = [
            "time",
            "exchange",
            "market",
            "side",
            "recorded",
            "again",
            "price bps",
            "fee bps",
            "weight bps",
        ];
        output::line(format!("\n{}", output::table(&header, 4, rows)));
    }
    let mean = |pick: Deviation| {
        let known: Vec<Decimal> = found.legs.iter().filter_map(pick).collect();
        known.iter().sum::<Decimal>().checked_div(Decimal::from(known.len()))
    };
    let most = |pick: Deviation| found.legs.iter().filter_map(pick).map(|bps| bps.abs()).max();
    let of: [(&str, Deviation); 3] = [
        ("price", |leg| leg.price_bps),
        ("fee", |leg| leg.fee_bps),
        ("weight", |leg| Some(leg.weight_bps)),
    ];
    let mut rows: Vec<Vec<String>> = of
        .into_iter()
        .map(|(name, pick)| vec![name.to_owned(), shown(mean(pick)), shown(most(pick))])
        .collect();
    rows.push(vec!["targets".to_owned(), "-".to_owned(), shown(Some(found.target_bps))]);
    output::line(format!("\n{}", output::table(&["deviation, bps", "mean", "largest"], 1, rows)));
    output::line(format!(
        "\n{} orders without a counterpart; value after the orders differs by {} in all",
        found.unmatched(),
        found.value.round_dp(8).normalize()
    ));
}

fn row(leg: &Leg) -> Vec<String> {
    let amount = |traded: &Option<crate::parity::Traded>| {
        traded
            .as_ref()
            .map_or_else(|| "none".to_owned(), |traded| output::price(&traded.filled.to_string()))
    };
    vec![
        leg.at.clone(),
        leg.venue.clone(),
        leg.symbol.clone(),
        leg.side.clone(),
        amount(&leg.recorded),
        amount(&leg.again),
        shown(leg.price_bps),
        shown(leg.fee_bps),
        shown(Some(leg.weight_bps)),
    ]
}
