//! `keel lookahead`: does any decision depend on what comes after it?

use crate::backtesting::HistoryArgs;
use crate::exit::{Code, Failure};
use crate::output;
use keel_backtest::lookahead::{Usual, check, spread};
use std::collections::BTreeSet;

/// Moments that are checked when nothing else is said.
const MOMENTS: usize = 500;
/// Leaks that are shown one by one.
const SHOWN: usize = 20;

/// Runs the portfolio over recorded candles, then runs single cycles again on tapes that end at their
/// moment, or go on in another way. Every decision must be the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel lookahead -c my.json --data data --timerange 20230101-20230331 --every 1
  keel lookahead -c my.json --data data

Exit code 7 when a decision depends on the future.")]
pub struct Args {
    #[command(flatten)]
    history: HistoryArgs,
    /// Check every N-th cycle; 1 checks all. Default: 500 cycles, evenly spread.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    every: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Configuration or data that cannot be used, or a decision that looks ahead.
pub fn run(args: &Args) -> Result<(), Failure> {
    let history = args.history.load()?;
    let scenario = history.scenario("lookahead".to_owned());
    let cycles = history.moments.len();
    let wanted: BTreeSet<usize> = match args.every {
        Some(every) => (0..cycles).step_by(every as usize).collect(),
        None => spread(cycles, MOMENTS),
    };
    let progress = output::Progress::new("moments", wanted.len());
    let usual = Usual::prepared(&scenario);
    let found = check(&scenario, &usual, &wanted, &|| progress.one_more())
        .map_err(|error| Failure::from_error(Code::Failed, &error))?;
    progress.end();
    if args.json {
        output::json(&serde_json::to_value(&found).unwrap_or_default());
    } else {
        output::line(format!(
            "{} of {} cycles from {} to {} were run again: on the tape that ends at them, with the later bars reversed, and with other later bars",
            found.checked, found.cycles, history.from, history.to
        ));
        for leak in found.leaks.iter().take(SHOWN) {
            output::line(format!("{} {}: {}", leak.at, leak.future.name(), leak.difference));
        }
        if found.leaks.is_empty() {
            output::line("No decision depends on what comes after it.");
        }
    }
    if found.leaks.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::ProblemsFound,
        format!("{} decisions depend on what comes after them", found.leaks.len()),
    ))
}
