//! `keel check`: whether everything a run needs is there and right, before it runs.

mod data;

use super::findings::{Finding, Report, Severity, conclude, print_json};
use crate::cli::{self, ConfigArg};
use crate::commands::data::count;
use crate::desk::telegram_settings;
use crate::exit::Failure;
use crate::journal::Reader;
use crate::live::coingecko;
use crate::live::connect::Links;
use crate::replay::REPLAY_VENUE;
use crate::simulation;
use keel_config::Config;
use rustix::fs::Access;
use std::path::{Path, PathBuf};

/// Checks the configuration, the strategy files, the paths and the journal; with --data also the
/// candles, market caps and market rules that a replay needs. Writes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel check -c my.json
  keel check -c portfolio/configs/replay.example.json --data data

A note is worth knowing, a problem must be mended. Exit code 0 without problems, 7 with problems,
2 when the configuration itself is wrong.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// A directory with recorded candles and caps (see docs/data.md).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong, or something else has problems; the report has said which.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = load(&args.config, ConfigArg::load, args.json)?;
    let mut report = Report::default();
    report.begin("configuration");
    configuration(&config, &mut report);
    candles(args, &config, &mut report);
    connections(&config, &mut report)?;
    strategies(&config, &mut report);
    paths(&config, &mut report);
    journal(&config, &mut report);
    match &args.data {
        Some(root) => data::check(&config, root, &mut report),
        None => {
            report.begin("data");
            report.note("", "not checked: name a data directory with --data");
        }
    }
    conclude(&report, args.json)
}

/// Whether the exchanges have candles of the intervals. A replay reads them from files, and makes long
/// bars of short ones.
fn candles(args: &Args, config: &Config, report: &mut Report) {
    let is_replay = config.bot.dry_run && args.data.is_some();
    let severity = if is_replay { Severity::Note } else { Severity::Problem };
    let refused = args.config.load_for_trading().err();
    for problem in refused.into_iter().flat_map(|failure| failure.problems) {
        report.findings.push(Finding {
            area: report.area,
            severity,
            subject: problem.path.clone(),
            text: format!("keel trade would refuse it: {problem}"),
            problem: Some(problem),
        });
    }
}

/// Whether `keel trade` would take the addresses and settings of what it connects to. Nothing is
/// connected to here.
fn connections(config: &Config, report: &mut Report) -> Result<(), Failure> {
    let _guard = simulation::runtime()?.enter();
    let refusals = match cli::resolve_credentials(config) {
        Err(failure) => vec![failure],
        Ok(credentials) => {
            let keys = Some(&credentials).filter(|_| !config.bot.dry_run);
            [
                Links::new(config, keys).err(),
                coingecko(config, &credentials, false).err(),
                telegram_settings(config, &credentials).err(),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
    };
    for refusal in refusals {
        let problems = refusal.problems.iter().map(ToString::to_string);
        let words: Vec<String> = std::iter::once(refusal.message.clone()).chain(problems).collect();
        let text = format!("keel trade would refuse it: {}", words.join("; "));
        // A replay needs none of them.
        if config.bot.dry_run {
            report.note("connections", text);
        } else {
            report.problem("connections", text);
        }
    }
    Ok(())
}

/// Loads the configuration with `read`. When it is wrong and the answer is to be JSON, its problems are printed
/// as the findings of a check, and the failure has nothing more to say.
pub(super) fn load(
    config: &ConfigArg,
    read: fn(&ConfigArg) -> Result<Config, Failure>,
    json: bool,
) -> Result<Config, Failure> {
    read(config).map_err(|failure| {
        if !json {
            return failure;
        }
        let mut report = Report::default();
        report.begin("configuration");
        if failure.problems.is_empty() {
            report.problem(config.config.display(), failure.message);
        }
        for problem in failure.problems {
            report.findings.push(Finding {
                area: report.area,
                severity: Severity::Problem,
                subject: problem.file.clone(),
                text: problem.to_string(),
                problem: Some(problem),
            });
        }
        print_json(&report, "configuration_wrong");
        Failure::new(failure.code, "")
    })
}

pub(super) fn configuration(config: &Config, report: &mut Report) {
    let policy = &config.policy;
    let venues: Vec<String> = policy.venues().iter().map(ToString::to_string).collect();
    let mode = if config.bot.dry_run { "paper trading" } else { "live trading (dry_run is false)" };
    report.ok(
        config.path.display(),
        format!(
            "{mode}, {} on {}, parked in {}",
            count(policy.assets.len(), "asset", "assets"),
            venues.join(" and "),
            policy.stablecoin
        ),
    );
    let unused: Vec<String> = config
        .venues
        .keys()
        .filter(|id| !policy.assets.iter().any(|asset| asset.venue == **id))
        .map(ToString::to_string)
        .collect();
    for venue in unused {
        report.note(venue, "in exchange_configurations, but no asset is traded there");
    }
    for (venue, settings) in &config.venues {
        let unused: Vec<&str> =
            settings.options.names().filter(|name| *name != REPLAY_VENUE).collect();
        if !unused.is_empty() {
            report.note(venue, format!("options that Keel does not use: {}", unused.join(", ")));
        }
    }
}

pub(super) fn strategies(config: &Config, report: &mut Report) {
    report.begin("strategies");
    let (missing, there): (Vec<_>, Vec<_>) =
        config.strategy_files.iter().partition(|file| file.is_missing);
    let directory = config.paths.strategies_dir.display();
    if !there.is_empty() {
        report.ok(&directory, format!("{} read", count(there.len(), "file", "files")));
    }
    if !missing.is_empty() {
        let tickers: Vec<String> = missing.iter().map(|file| file.ticker.to_string()).collect();
        report.note(
            &directory,
            format!(
                "no {} yet for {}: the defaults hold and are written by the first run",
                if missing.len() == 1 { "file" } else { "files" },
                tickers.join(", ")
            ),
        );
    }
}

/// Whether the files of a run can be where the configuration wants them.
pub(super) fn paths(config: &Config, report: &mut Report) {
    report.begin("paths");
    let paths = &config.paths;
    let files = [
        ("global_status_file_path", Some(&paths.status_file)),
        ("journal_path", Some(&paths.journal)),
        ("portfolio_export_path", paths.portfolio_export.as_ref()),
    ];
    let directories = [
        ("portfolio_strategies_dir", Some(&paths.strategies_dir)),
        ("log_dir", Some(&paths.log_dir)),
        ("ohlcv_export_dir", paths.ohlcv_export_dir.as_ref()),
    ];
    let before = report.count(Severity::Problem);
    for (key, path) in files.into_iter().filter_map(|(key, path)| Some((key, path?))) {
        if path.is_dir() {
            let text = format!("{} is a directory; expected a file or none", path.display());
            report.problem(key, text);
        } else if let Some(text) = obstacle(path.parent().unwrap_or(path)) {
            report.problem(key, format!("{} cannot be written: {text}", path.display()));
        }
    }
    for (key, path) in directories.into_iter().filter_map(|(key, path)| Some((key, path?))) {
        if let Some(text) = obstacle(path) {
            report.problem(key, format!("{} cannot be used: {text}", path.display()));
        }
    }
    if paths.status_file.is_file()
        && let Err(error) = crate::status::import(&paths.status_file, &config.policy)
    {
        report.problem("global_status_file_path", crate::commands::data::said(&error));
    }
    if report.count(Severity::Problem) == before {
        report.ok("", "every directory is there or can be made");
    }
}

/// What keeps `directory` from being made or written, seen from the part of it that exists.
fn obstacle(directory: &Path) -> Option<String> {
    let here = |part| if part == Path::new("") { Path::new(".") } else { part };
    let existing = directory
        .ancestors()
        .map(here)
        .find_map(|part| Some((part, std::fs::metadata(part).ok()?)));
    let (part, metadata) = existing?;
    let shown = part.display();
    if !metadata.is_dir() {
        return Some(format!("{shown} is no directory; set another path, or move that file away"));
    }
    // The bits of its mode do not tell: it may be somebody else's, or its file system read-only.
    let may_write = rustix::fs::access(part, Access::WRITE_OK | Access::EXEC_OK);
    may_write.err().map(|error| format!("{shown}: {error}; allow writing, or set another path"))
}

pub(super) fn journal(config: &Config, report: &mut Report) {
    report.begin("journal");
    let path = &config.paths.journal;
    if !path.exists() {
        report.ok(path.display(), "none yet; the first run makes it");
        return;
    }
    let read = Reader::open(path).and_then(|reader| {
        let last = reader.verify()?;
        let state = reader.state()?;
        Ok((last, state.is_some(), reader.mode()?))
    });
    match read {
        Ok((0, ..)) => report.ok(path.display(), "no finished cycle yet"),
        Ok((last, true, mode)) => {
            let text = format!("{mode}: every digest is right up to cycle {last}");
            report.ok(path.display(), text);
        }
        Ok((last, false, _)) => report.problem(
            path.display(),
            format!("holds cycles up to {last} and no state; restore it from a backup, or move it away to start anew"),
        ),
        Err(error) => report.problem(path.display(), crate::commands::data::said(&error)),
    }
}
