//! `keel data list`: what a data directory holds.

use super::{cap_files, count, grouped, moment, moment_json, moment_or_none, refused, said};
use crate::exit::{Code, Failure};
use crate::output;
use keel_data::{CandleStore, CapFileError, CapSeries, Listing, StoredFile, read_caps};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Lists the candles and market caps of a data directory, with their ranges and gaps.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel data list data
  keel data list data --json

Bars without trades (zero volume) and gaps are how exchanges are; bad rows are not:
`keel data verify` says what is wrong with them.")]
pub struct Args {
    /// The data directory (see docs/data.md).
    #[arg(value_name = "DIR")]
    root: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A file of market caps and what came of reading it.
type Caps = (PathBuf, Result<CapSeries, CapFileError>);

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let listing = CandleStore::at(&args.root).list().map_err(|error| refused(&error))?;
    let caps: Vec<Caps> = cap_files(&args.root)
        .into_iter()
        .map(|path| {
            let read = read_caps(&path);
            (path, read)
        })
        .collect();
    if args.json {
        output::json(&to_json(&listing, &caps));
    } else {
        print(args, &listing, &caps);
    }
    let unreadable =
        listing.unreadable.len() + caps.iter().filter(|(_, read)| read.is_err()).count();
    if unreadable > 0 {
        return Err(Failure::new(
            Code::BadData,
            format!(
                "{} cannot be read: `keel data verify {}` says more",
                count(unreadable, "file", "files"),
                args.root.display()
            ),
        ));
    }
    Ok(())
}

fn print(args: &Args, listing: &Listing, caps: &[Caps]) {
    let root = args.root.display();
    if listing.files.is_empty() {
        output::line(format!(
            "No candles in {root}. `keel data import FILE --venue binance --symbol BTC/USDT --data {root}` brings some in."
        ));
    } else {
        let header = [
            "venue",
            "market",
            "bars",
            "rows",
            "first",
            "last",
            "gaps",
            "missing",
            "no volume",
            "bad",
            "KiB",
        ];
        output::line(output::table(&header, 3, listing.files.iter().map(row).collect()));
    }
    if !caps.is_empty() {
        let rows = caps.iter().filter_map(|(path, read)| cap_row(path, read.as_ref().ok()?));
        let header = ["market caps", "points", "first", "last", "missing days"];
        output::line(format!("\n{}", output::table(&header, 1, rows.collect())));
    }
    let bytes: u64 = listing.files.iter().map(|file| file.bytes).sum();
    let rows = listing.files.iter().map(|file| file.rows).sum();
    let bad: usize = listing.files.iter().map(|file| file.bad_rows).sum();
    output::line(format!(
        "\n{} with {} of candles in {} KiB, {} of market caps.",
        count(listing.files.len(), "file", "files"),
        count(rows, "row", "rows"),
        kib(bytes),
        count(caps.len(), "file", "files")
    ));
    if bad > 0 {
        output::line(format!(
            "{}: `keel data verify {root}` says what is wrong.",
            count(bad, "bad row", "bad rows")
        ));
    }
    for error in &listing.unreadable {
        output::remark(format!("unreadable: {}", said(error)));
    }
    for error in caps.iter().filter_map(|(_, read)| read.as_ref().err()) {
        output::remark(format!("unreadable: {}", said(error)));
    }
    for path in &listing.ignored {
        output::remark(format!(
            "passed over: {} is not <venue>/<BASE>-<QUOTE>/<timeframe>.parquet",
            path.display()
        ));
    }
}

fn row(file: &StoredFile) -> Vec<String> {
    vec![
        file.venue.to_string(),
        file.symbol.to_string(),
        file.timeframe.to_string(),
        grouped(file.rows),
        moment_or_none(file.first),
        moment_or_none(file.last),
        grouped(file.gaps),
        grouped(file.missing_bars),
        grouped(file.zero_volume_bars),
        grouped(file.bad_rows),
        kib(file.bytes),
    ]
}

fn cap_row(path: &std::path::Path, caps: &CapSeries) -> Option<Vec<String>> {
    let (first, last) = (caps.points().first()?, caps.points().last()?);
    Some(vec![
        ticker_of(path),
        grouped(caps.points().len()),
        moment(first.as_of),
        moment(last.as_of),
        grouped(caps.missing_days()),
    ])
}

fn ticker_of(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Whole KiB, rounded up, so that no file shows as nothing.
fn kib(bytes: u64) -> String {
    output::money(&bytes.div_ceil(1024).to_string(), 0)
}

fn to_json(listing: &Listing, caps: &[Caps]) -> Value {
    let files: Vec<Value> = listing
        .files
        .iter()
        .map(|file| {
            json!({
                "venue": file.venue,
                "symbol": file.symbol,
                "timeframe": file.timeframe.name(),
                "path": file.path,
                "rows": file.rows,
                "first": moment_json(file.first),
                "last": moment_json(file.last),
                "gaps": file.gaps,
                "missing_bars": file.missing_bars,
                "zero_volume_bars": file.zero_volume_bars,
                "bad_rows": file.bad_rows,
                "bytes": file.bytes,
            })
        })
        .collect();
    let read = caps.iter().filter_map(|(path, read)| {
        let points = read.as_ref().ok()?;
        Some(json!({
            "ticker": ticker_of(path),
            "path": path,
            "points": points.points().len(),
            "first": moment_json(points.points().first().map(|point| point.as_of)),
            "last": moment_json(points.points().last().map(|point| point.as_of)),
            "missing_days": points.missing_days(),
        }))
    });
    let cap_errors = caps.iter().filter_map(|(_, read)| read.as_ref().err()).map(|e| said(e));
    let unreadable: Vec<String> =
        listing.unreadable.iter().map(|error| said(error)).chain(cap_errors).collect();
    json!({
        "candles": files,
        "caps": read.collect::<Vec<_>>(),
        "unreadable": unreadable,
        "ignored": listing.ignored,
    })
}
