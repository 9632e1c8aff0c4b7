//! `keel data import`: a candle file from elsewhere into the data directory.

use super::{Market, count, file_of, moment, refused};
use crate::exit::{Code, Failure};
use crate::output;
use keel_core::time::{Timeframe, Timestamp};
use keel_data::{CandleFileError, ImportMode, ImportOptions, ImportReport, StoreError};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::SystemTime;

/// Brings a candle file into a data directory and says what was found in it.
///
/// Rows are put in order, rows of one time are merged, and the result is joined with the bars that
/// are already stored; no stored bar is ever lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel data import btc.csv --venue binance --symbol BTC/USDT
  keel data import BTC_USDT-1h.feather --venue binance --symbol BTC/USDT --data data

The kind follows from the name: .parquet, .feather, .csv or .csv.gz. Columns: timestamp (or date,
open_time, time), open, high, low, close, volume.")]
pub struct Args {
    /// The candle file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    market: Market,
    /// The length of the bars, such as 1h. Default: the usual distance between the rows.
    #[arg(long, value_name = "TIMEFRAME")]
    timeframe: Option<Timeframe>,
    /// The data directory; it is made when it is not there.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// Where file and store differ, take the bars of the file. Default: the stored ones stay.
    #[arg(long)]
    replace: bool,
    /// Leave bad rows out and count them. Default: a bad row refuses the whole file.
    #[arg(long)]
    drop_bad: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How many gaps and conflicts a person is shown.
const SHOWN_MAX: usize = 5;

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let options = ImportOptions {
        mode: if args.replace { ImportMode::Replace } else { ImportMode::Merge },
        drop_bad: args.drop_bad,
        closed_by: now(),
    };
    let market = &args.market;
    let report = keel_data::import(
        &args.file,
        &market.venue,
        &market.symbol,
        args.timeframe,
        &args.data,
        options,
    )
    .map_err(|error| failure(args, &error))?;
    if args.json {
        output::json(&to_json(&report));
    } else {
        print(args, &report);
    }
    Ok(())
}

/// The wall clock: a bar that has not closed yet would stay as it is now.
fn now() -> Option<Timestamp> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_ms(i64::try_from(since.as_millis()).ok()?))
}

/// A file that was mistyped is wrong input; one with bad candles in it is bad data.
fn failure(args: &Args, error: &StoreError) -> Failure {
    let mut failure = refused(error);
    match error {
        StoreError::File(error) if file_of(error) == Some(&args.file) => {
            let is_mistyped = matches!(
                error,
                CandleFileError::Read { .. }
                    | CandleFileError::Directory { .. }
                    | CandleFileError::UnknownKind { .. }
            );
            if is_mistyped {
                failure.code = Code::BadInput;
            }
            failure.message.push_str("; nothing was imported");
        }
        // Only the store's own file is left: its bars would be lost.
        StoreError::File(_) | StoreError::Row { .. } if failure.code == Code::BadData => failure
            .message
            .push_str("; this is the stored file, nothing was imported: move it away first"),
        _ => {}
    }
    failure
}

fn print(args: &Args, report: &ImportReport) {
    let found = if args.timeframe.is_some() { "" } else { " (found in the file)" };
    output::line(format!(
        "Read {}: {} of {}{found}.",
        args.file.display(),
        count(report.rows_read, "row", "rows"),
        report.timeframe
    ));
    if report.was_sorted {
        output::line("The rows were out of order and have been sorted.");
    }
    if report.duplicates_merged > 0 {
        output::line(format!(
            "{} of a time that was there already: merged, {} with other values.",
            count(report.duplicates_merged, "row", "rows"),
            report.differing_duplicates
        ));
    }
    if report.bad_rows > 0 {
        output::line(format!("{} left out:", count(report.bad_rows, "bad row", "bad rows")));
        for row in report.bad_row_examples.iter().take(SHOWN_MAX) {
            output::line(format!("  {row}"));
        }
        more(report.bad_rows);
    }
    if report.unclosed_bars > 0 {
        output::line(format!(
            "{} left out: not closed yet.",
            count(report.unclosed_bars, "bar", "bars")
        ));
    }
    if report.conflicts > 0 {
        let kept = if args.replace {
            "the file's values were taken"
        } else {
            "the stored values stay (--replace takes the file's)"
        };
        output::line(format!(
            "{} from what is stored: {kept}:",
            count(report.conflicts, "bar differs", "bars differ")
        ));
        for conflict in report.conflict_examples.iter().take(SHOWN_MAX) {
            output::line(format!(
                "  {}: stored close {} volume {}, file close {} volume {}",
                moment(Timestamp::from_ms(conflict.stored.open_time_ms)),
                conflict.stored.close,
                conflict.stored.volume,
                conflict.imported.close,
                conflict.imported.volume
            ));
        }
        more(report.conflicts);
    }
    let path = report.path.display();
    output::line(if report.written {
        format!("Wrote {path}: {} added.", count(report.added, "bar", "bars"))
    } else {
        format!("Nothing new for {path}.")
    });
    output::line(format!(
        "It holds {} from {} to {}.",
        count(report.rows, "bar", "bars"),
        moment(report.first),
        moment(report.last)
    ));
    if !report.gaps.is_empty() {
        let missing = report.gaps.iter().map(|gap| gap.bars).sum();
        output::line(format!(
            "{} with {} missing:",
            count(report.gaps.len(), "gap", "gaps"),
            count(missing, "bar", "bars")
        ));
        for gap in report.gaps.iter().take(SHOWN_MAX) {
            output::line(format!(
                "  from {}: {}",
                moment(gap.from),
                count(gap.bars, "bar", "bars")
            ));
        }
        more(report.gaps.len());
    }
}

fn more(total: usize) {
    if total > SHOWN_MAX {
        output::line(format!("  and {} more", total - SHOWN_MAX));
    }
}

fn to_json(report: &ImportReport) -> Value {
    let conflicts: Vec<Value> = report
        .conflict_examples
        .iter()
        .map(|conflict| {
            let bar = |bar: &keel_core::candle::Candle| {
                json!({
                    "open": bar.open, "high": bar.high, "low": bar.low,
                    "close": bar.close, "volume": bar.volume,
                })
            };
            json!({
                "time": Timestamp::from_ms(conflict.stored.open_time_ms).to_string(),
                "stored": bar(&conflict.stored),
                "imported": bar(&conflict.imported),
            })
        })
        .collect();
    let gaps: Vec<Value> = report
        .gaps
        .iter()
        .map(|gap| json!({ "from": gap.from.to_string(), "bars": gap.bars }))
        .collect();
    let bad: Vec<String> = report.bad_row_examples.iter().map(ToString::to_string).collect();
    json!({
        "path": report.path,
        "timeframe": report.timeframe.name(),
        "rows_read": report.rows_read,
        "was_sorted": report.was_sorted,
        "duplicates_merged": report.duplicates_merged,
        "differing_duplicates": report.differing_duplicates,
        "bad_rows": report.bad_rows,
        "bad_row_examples": bad,
        "unclosed_bars": report.unclosed_bars,
        "added": report.added,
        "conflicts": report.conflicts,
        "conflict_examples": conflicts,
        "rows": report.rows,
        "first": report.first.to_string(),
        "last": report.last.to_string(),
        "gaps": gaps,
        "written": report.written,
    })
}
