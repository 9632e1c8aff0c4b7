//! `keel data verify`: everything that is wrong in the files of a data directory.

use super::{
    cap_files, count, file_of, files_in, grouped, moment, moment_json, moment_or_none, refused,
    said,
};
use crate::exit::{Code, Failure};
use crate::output;
use keel_core::asset::{Symbol, VenueId};
use keel_core::time::{Timeframe, Timestamp};
use keel_data::store::EXAMPLES_MAX;
use keel_data::{CandleFileError, CandleStore, Problem, StoreError, Verification};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Checks every row of every candle file, and the market caps and market rules beside them. Gaps are
/// told, but are no problem: exchanges stand still at times.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel data verify data
  keel data verify data --venue binance --symbol BTC/USDT --timeframe 1h

Exit code 7 when something is wrong. With --venue, --symbol or --timeframe only the candle files
that fit are checked, and their gaps are listed.")]
pub struct Args {
    /// The data directory (see docs/data.md).
    #[arg(value_name = "DIR")]
    root: PathBuf,
    /// Only this exchange.
    #[arg(long, value_name = "NAME")]
    venue: Option<VenueId>,
    /// Only this market, such as BTC/USDT.
    #[arg(long, value_name = "BASE/QUOTE")]
    symbol: Option<Symbol>,
    /// Only bars of this length, such as 1h.
    #[arg(long, value_name = "TIMEFRAME")]
    timeframe: Option<Timeframe>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    const fn is_narrowed(&self) -> bool {
        self.venue.is_some() || self.symbol.is_some() || self.timeframe.is_some()
    }

    fn wants(&self, venue: &VenueId, symbol: &Symbol, timeframe: Timeframe) -> bool {
        self.venue.as_ref().is_none_or(|wanted| wanted == venue)
            && self.symbol.as_ref().is_none_or(|wanted| wanted == symbol)
            && self.timeframe.is_none_or(|wanted| wanted == timeframe)
    }
}

/// What was found.
#[derive(Default)]
struct Findings {
    /// Candle files of which at least one row could be read.
    candles: Vec<Verification>,
    /// How many files of caps and rules are fine.
    others_fine: usize,
    /// Files of any kind that cannot be used: what was said about each.
    unusable: Vec<(PathBuf, String)>,
    /// Names that do not follow the layout.
    ignored: Vec<PathBuf>,
}

impl Findings {
    fn unusable_candles(&mut self, error: &CandleFileError) {
        let path = file_of(error).map(Path::to_path_buf).unwrap_or_default();
        self.unusable.push((path, said(error)));
    }

    /// Bad rows and unusable files.
    fn problems(&self) -> usize {
        let rows: usize = self.candles.iter().flat_map(|file| file.counts.values()).sum();
        rows + self.unusable.len()
    }
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut findings = Findings::default();
    candles(args, &mut findings)?;
    if !args.is_narrowed() {
        caps_and_rules(&args.root, &mut findings);
    }
    if args.json {
        output::json(&to_json(&findings));
    } else {
        print(args, &findings);
    }
    match findings.problems() {
        0 => Ok(()),
        // The report has said it all.
        _ => Err(Failure::new(Code::ProblemsFound, "")),
    }
}

fn candles(args: &Args, findings: &mut Findings) -> Result<(), Failure> {
    let store = CandleStore::at(&args.root);
    let wanted: Vec<(VenueId, Symbol, Timeframe)> =
        if let (Some(venue), Some(symbol), Some(timeframe)) =
            (&args.venue, &args.symbol, args.timeframe)
        {
            vec![(venue.clone(), symbol.clone(), timeframe)]
        } else {
            let listing = store.list().map_err(|error| refused(&error))?;
            for error in &listing.unreadable {
                let place = file_of(error).and_then(place_of);
                if place
                    .is_none_or(|(venue, symbol, timeframe)| args.wants(&venue, &symbol, timeframe))
                {
                    findings.unusable_candles(error);
                }
            }
            findings.ignored = listing.ignored;
            listing
                .files
                .into_iter()
                .map(|file| (file.venue, file.symbol, file.timeframe))
                .collect()
        };
    for (venue, symbol, timeframe) in wanted {
        if !args.wants(&venue, &symbol, timeframe) {
            continue;
        }
        match store.verify(&venue, &symbol, timeframe) {
            Ok(verification) => findings.candles.push(verification),
            Err(StoreError::File(error)) => findings.unusable_candles(&error),
            Err(error) => return Err(refused(&error)),
        }
    }
    if findings.candles.is_empty() && findings.unusable.is_empty() {
        return Err(Failure::new(
            Code::BadData,
            format!(
                "no candle file in {} fits; `keel data list {0}` shows what is there",
                args.root.display()
            ),
        ));
    }
    Ok(())
}

/// What the path of a candle file says about it.
fn place_of(path: &Path) -> Option<(VenueId, Symbol, Timeframe)> {
    let name = |path: &Path| path.file_name().and_then(OsStr::to_str).map(str::to_owned);
    let market = path.parent()?;
    Some((
        name(market.parent()?)?.parse().ok()?,
        name(market)?.replacen('-', "/", 1).parse().ok()?,
        path.file_stem()?.to_str()?.parse().ok()?,
    ))
}

fn caps_and_rules(root: &Path, findings: &mut Findings) {
    for path in cap_files(root) {
        match keel_data::read_caps(&path) {
            Ok(_) => findings.others_fine += 1,
            Err(error) => findings.unusable.push((path, said(&error))),
        }
    }
    for path in files_in(&root.join("markets"), &[".json"]) {
        match keel_data::read_markets(&path) {
            Ok(_) => findings.others_fine += 1,
            Err(error) => findings.unusable.push((path, said(&error))),
        }
    }
}

fn print(args: &Args, findings: &Findings) {
    if !findings.candles.is_empty() {
        let header = ["candles", "rows", "first", "last", "gaps", "missing", "problems"];
        let rows = findings.candles.iter().map(|file| row(&args.root, file)).collect();
        output::line(output::table(&header, 1, rows));
    }
    if args.is_narrowed() {
        for file in findings.candles.iter().filter(|file| !file.gaps.is_empty()) {
            print_gaps(file);
        }
    }
    for file in findings.candles.iter().filter(|file| !file.is_clean()) {
        print_problems(file);
    }
    for (_, text) in &findings.unusable {
        output::line(format!("\nunusable: {text}"));
    }
    for path in &findings.ignored {
        output::remark(format!(
            "passed over: {} is not <venue>/<BASE>-<QUOTE>/<timeframe>.parquet",
            path.display()
        ));
    }
    let others = match findings.others_fine {
        0 => String::new(),
        n => format!(" and {} of market caps and rules", count(n, "file", "files")),
    };
    let candle_files = count(findings.candles.len(), "candle file", "candle files");
    let missing = findings.candles.iter().map(Verification::missing_bars).sum();
    output::line(match findings.problems() {
        0 => format!("\n{candle_files}{others}: no problems; {} missing.", bars(missing)),
        problems => {
            let files = findings.unusable.len();
            format!(
                "\n{candle_files}{others} read: {} in them, {}. Nothing was changed.",
                count(problems - files, "bad row", "bad rows"),
                count(files, "unusable file", "unusable files")
            )
        }
    });
}

fn bars(number: usize) -> String {
    count(number, "bar", "bars")
}

fn row(root: &Path, file: &Verification) -> Vec<String> {
    let shown = file.path.strip_prefix(root).unwrap_or(&file.path);
    vec![
        shown.display().to_string(),
        grouped(file.rows),
        moment_or_none(file.first),
        moment_or_none(file.last),
        grouped(file.gaps.len()),
        grouped(file.missing_bars()),
        grouped(file.counts.values().sum()),
    ]
}

fn print_gaps(file: &Verification) {
    output::line(format!("\n{}: {} missing", file.path.display(), bars(file.missing_bars())));
    for gap in file.gaps.iter().take(EXAMPLES_MAX) {
        output::line(format!("  from {}: {}", moment(gap.from), bars(gap.bars)));
    }
    if file.gaps.len() > EXAMPLES_MAX {
        output::line(format!("  and {} more gaps", file.gaps.len() - EXAMPLES_MAX));
    }
}

fn print_problems(file: &Verification) {
    output::line(format!("\n{}:", file.path.display()));
    for (problem, number) in &file.counts {
        output::line(format!("  {}: {problem}", count(*number, "row", "rows")));
    }
    for problem in file.problems.iter().take(EXAMPLES_MAX) {
        output::line(format!("    {problem}"));
    }
    let total: usize = file.counts.values().sum();
    let shown = file.problems.len().min(EXAMPLES_MAX);
    if total > shown {
        output::line(format!("    and {} more", total - shown));
    }
    if file.can_be_loaded() {
        output::line("  Loading merges these rows with the ones above them.");
    } else {
        output::line(
            "  Loading refuses this file: move it out of the data directory, then import it from there, with --drop-bad to leave these rows out.",
        );
    }
}

const fn name_of(problem: Problem) -> &'static str {
    match problem {
        Problem::Unreadable => "unreadable",
        Problem::NotPositive => "not_positive",
        Problem::NegativeVolume => "negative_volume",
        Problem::Inconsistent => "inconsistent",
        Problem::OffGrid => "off_grid",
        Problem::OutOfOrder => "out_of_order",
        Problem::Contradiction => "contradiction",
        Problem::Duplicate => "duplicate",
    }
}

fn to_json(findings: &Findings) -> Value {
    let unusable: Vec<Value> = findings
        .unusable
        .iter()
        .map(|(path, text)| json!({ "path": path, "error": text }))
        .collect();
    json!({
        "candles": findings.candles.iter().map(file_json).collect::<Vec<_>>(),
        "unusable": unusable,
        "ignored": findings.ignored,
        "problems": findings.problems(),
    })
}

fn file_json(file: &Verification) -> Value {
    let counts: serde_json::Map<String, Value> = file
        .counts
        .iter()
        .map(|(problem, number)| (name_of(*problem).to_owned(), json!(number)))
        .collect();
    let problems: Vec<Value> = file
        .problems
        .iter()
        .map(|found| {
            json!({
                "row": found.row,
                "problem": name_of(found.problem),
                "time": moment_json(found.time),
                "text": found.to_string(),
            })
        })
        .collect();
    let time = |at: Timestamp| at.to_string();
    let gaps: Vec<Value> =
        file.gaps.iter().map(|gap| json!({ "from": time(gap.from), "bars": gap.bars })).collect();
    json!({
        "path": file.path,
        "timeframe": file.timeframe.name(),
        "rows": file.rows,
        "first": moment_json(file.first),
        "last": moment_json(file.last),
        "gaps": gaps,
        "missing_bars": file.missing_bars(),
        "zero_volume_bars": file.zero_volume_bars,
        "counts": counts,
        "problems": problems,
    })
}
