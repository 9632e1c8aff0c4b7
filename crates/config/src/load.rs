//! Loading: read, parse, check, apply the rules, read the strategy files, resolve.

use crate::check::{Checked, Record, check};
use crate::config::{Config, StrategyFile};
use crate::document::{FileText, Report, Source, read};
use crate::problem::{ConfigErrors, Fault, Problem, ProblemKind};
use crate::resolve;
use crate::rules::{self, Bars, Context};
use crate::strategy::{IfMissing, StrategyParams, read_strategy};
use keel_core::time::Timeframe;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Loads a configuration and the strategy files it names; writes nothing. A strategy file that
/// does not exist counts as one with the defaults, see `write_missing_strategies`.
///
/// `env` answers for environment variables. It is asked only when the configuration is live.
///
/// # Errors
/// Every problem of the configuration and of the strategy files.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, ConfigErrors> {
    load_with(path, env, None, None)
}

/// Like [`load`]; also refuses exchanges that are not among `known_venues`.
///
/// # Errors
/// Every problem of the configuration and of the strategy files.
pub fn load_for_venues(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    known_venues: &[&str],
) -> Result<Config, ConfigErrors> {
    load_with(path, env, Some(known_venues), None)
}

/// Like [`load`]; also refuses intervals whose candles an exchange does not have. `bars` gives the
/// lengths that an exchange serves, `None` for one that it does not know.
///
/// # Errors
/// Every problem of the configuration and of the strategy files.
pub fn load_for_trading(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    bars: &dyn Fn(&str) -> Option<Vec<Timeframe>>,
) -> Result<Config, ConfigErrors> {
    load_with(path, env, None, Some(bars))
}

fn load_with(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    known_venues: Option<&[&str]>,
    bars: Option<&Bars<'_>>,
) -> Result<Config, ConfigErrors> {
    let file = path.display().to_string();
    let Some(FileText { text, is_owner_only }) = read(path)? else {
        let fault = Fault::new(ProblemKind::File, "no such file", "a configuration")
            .action(format!("run: keel config new {file}"));
        return Err(fault.of_file(file).into());
    };
    let source = Source::new(&file, &text);
    let root = source.parse()?;
    let mut report = Report::new(&source);
    let checked = check(&root, &mut report);
    let context = Context { config_path: path, is_owner_only, env, known_venues, bars };
    rules::apply(&checked, &context, &mut report);
    let mut problems = report.into_problems();
    let params = strategies(&checked, &mut problems);
    if !problems.is_empty() {
        return Err(ConfigErrors::new(problems));
    }
    resolve::config(path, &checked, &params).ok_or_else(|| {
        // Reached only when the table and the resolver disagree, which the tests exclude.
        Fault::new(ProblemKind::File, "a value is missing after all checks", "none missing")
            .action("report this as a bug, with the file")
            .of_file(file)
            .into()
    })
}

/// The strategy file of each asset that names one, by ticker.
fn strategies(checked: &Checked, problems: &mut Vec<Problem>) -> BTreeMap<String, StrategyParams> {
    let mut read = BTreeMap::new();
    let dir = checked.record("paths").and_then(|paths| paths.text("portfolio_strategies_dir"));
    let Some(dir) = dir.map(PathBuf::from) else { return read };
    for asset in checked.records("portfolio_assets") {
        let Some(file) = strategy_file(&dir, asset) else { continue };
        let ticker = file.ticker.to_string();
        match read_strategy(&file, IfMissing::UseDefaults) {
            Ok(params) => {
                read.insert(ticker, params);
            }
            Err(errors) => {
                // Assets may share a file; its problems are told once.
                for problem in errors.into_problems() {
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
            }
        }
    }
    read
}

fn strategy_file(dir: &Path, asset: &Record) -> Option<StrategyFile> {
    Some(StrategyFile {
        ticker: asset.text("ticker")?.parse().ok()?,
        path: dir.join(asset.text("strategy_file")?),
        strategy: keel_core::strategy::find(&asset.text("strategy_name")?)?,
        is_stablecoin: asset.whole("level")? == 0,
        is_missing: false,
    })
}
