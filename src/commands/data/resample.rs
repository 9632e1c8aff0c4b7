//! `keel data resample`: coarser candles from finer ones.

use super::{Market, count, refused};
use crate::exit::Failure;
use crate::output;
use keel_core::time::Timeframe;
use keel_data::{CandleStore, StoreError};
use serde_json::json;
use std::path::PathBuf;

/// Builds the candles of a coarser timeframe from the coarsest finer file that fills it, and stores
/// them. The last bar is left out while its last finer bar is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  keel data resample data --venue binance --symbol BTC/USDT --to 4h

A file that is already there is replaced, but never by one that lacks some of its bars.")]
pub struct Args {
    /// The data directory (see docs/data.md).
    #[arg(value_name = "DIR")]
    root: PathBuf,
    #[command(flatten)]
    market: Market,
    /// The length of the new bars: 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d or 1w.
    #[arg(long, value_name = "TIMEFRAME")]
    to: Timeframe,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let store = CandleStore::at(&args.root);
    let report = store.resample_to(&args.market.venue, &args.market.symbol, args.to).map_err(
        |error| {
            let mut failure = refused(&error);
            if matches!(error, StoreError::WouldLose { .. }) {
                failure.message.push_str(
                    ": the finer candles do not cover these bars, import finer ones for that time first",
                );
            }
            failure
        },
    )?;
    if args.json {
        output::json(&json!({
            "path": report.path,
            "from": report.from.name(),
            "to": args.to.name(),
            "rows": report.rows,
            "incomplete_bars": report.incomplete_bars,
            "changed": report.changed,
        }));
        return Ok(());
    }
    output::line(format!(
        "Wrote {}: {} of {} from {} candles.",
        report.path.display(),
        count(report.rows, "bar", "bars"),
        args.to,
        report.from
    ));
    if report.incomplete_bars > 0 {
        output::line(format!(
            "{} built while a finer bar was missing.",
            count(report.incomplete_bars, "bar was", "bars were")
        ));
    }
    if report.changed > 0 {
        output::line(format!(
            "{} stored before with other values and replaced.",
            count(report.changed, "bar was", "bars were")
        ));
    }
    Ok(())
}
