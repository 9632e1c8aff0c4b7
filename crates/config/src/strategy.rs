//! Strategy files: the parameters of one asset's signals, written by hyperopt, read every cycle.

use crate::config::{Config, StrategyFile};
use crate::document::{FileText, Report, Source, describe, read, type_name};
use crate::problem::{ConfigErrors, Fault, Problem, ProblemKind, nearest};
use crate::value::{child, report_duplicates};
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use keel_core::strategy::{ParamKind, ParamSpec, Params, Stage, Strategy};
use keel_files::write_atomic;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

/// Largest parameter: a million bars are more than any history, and no channel is wider than a
/// million average ranges.
const PARAM_MAX: f64 = 1_000_000.0;

/// What a strategy file says.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyParams {
    /// The file, and whether it existed.
    pub file: StrategyFile,
    /// Parameters of the position stage.
    pub position: Params,
    /// Parameters of the trend stage.
    pub trend: Params,
}

/// What to do about a strategy file that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Go on with the defaults and write nothing.
    UseDefaults,
    /// Write a file with the defaults.
    Write,
}

/// Reads the strategy file `file.path`. Zeros are allowed only for a stablecoin.
///
/// # Errors
/// Every problem of the file: unknown, duplicate and missing keys, wrong types and ranges; or that
/// it could not be read or written.
pub fn read_strategy(
    file: &StrategyFile,
    if_missing: IfMissing,
) -> Result<StrategyParams, ConfigErrors> {
    let Some(FileText { text, .. }) = read(&file.path)? else {
        let defaults = file.strategy.default_file(file.is_stablecoin);
        if if_missing == IfMissing::Write {
            write_strategy(&file.path, &defaults)
                .map_err(|error| unwritable(&file.path, &error))?;
        }
        let is_missing = if_missing == IfMissing::UseDefaults;
        return Ok(strategy_params(StrategyFile { is_missing, ..file.clone() }, &defaults));
    };
    let name = file.path.display().to_string();
    let source = Source::new(&name, &text);
    let root = source.parse()?;
    let mut report = Report::new(&source);
    let values = check(&root, file, &mut report);
    let problems = report.into_problems();
    if problems.is_empty() {
        Ok(strategy_params(StrategyFile { is_missing: false, ..file.clone() }, &values))
    } else {
        Err(ConfigErrors::new(problems))
    }
}

/// Writes the strategy files that did not exist when `config` was read, and returns their paths.
///
/// # Errors
/// When a directory or file cannot be written.
pub fn write_missing_strategies(config: &Config) -> Result<Vec<PathBuf>, ConfigErrors> {
    let missing: Vec<&StrategyFile> =
        config.strategy_files.iter().filter(|file| file.is_missing).collect();
    for file in &missing {
        read_strategy(file, IfMissing::Write)?;
    }
    Ok(missing.iter().map(|file| file.path.clone()).collect())
}

/// Writes a strategy file, complete or not at all. Whole numbers are written without a fraction.
///
/// # Errors
/// When a value is not finite, or the file cannot be written.
pub fn write_strategy(path: &Path, values: &BTreeMap<String, f64>) -> io::Result<()> {
    let mut text = "{".to_owned();
    for (index, (key, value)) in values.iter().enumerate() {
        if !value.is_finite() {
            let message = format!("{key} is {value}, and a strategy file holds finite numbers");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let comma = if index > 0 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}\n  {}: {value}", serde_json::Value::from(key.as_str()));
    }
    text.push_str("\n}\n");
    write_atomic(path, text.as_bytes())
}

fn strategy_params(file: StrategyFile, values: &BTreeMap<String, f64>) -> StrategyParams {
    let stage = |stage| {
        let params = file.strategy.params.iter();
        Params::new(
            params
                .map(|param| {
                    values.get(&Strategy::key(stage, param)).copied().unwrap_or(param.default)
                })
                .collect(),
        )
    };
    StrategyParams { position: stage(Stage::Position), trend: stage(Stage::Trend), file }
}

fn check(root: &Object<'_>, file: &StrategyFile, report: &mut Report<'_>) -> BTreeMap<String, f64> {
    report_duplicates(root, "", report);
    let specs: BTreeMap<String, &ParamSpec> = [Stage::Position, Stage::Trend]
        .into_iter()
        .flat_map(|stage| {
            file.strategy.params.iter().map(move |param| (Strategy::key(stage, param), param))
        })
        .collect();
    let mut values = BTreeMap::new();
    for prop in &root.properties {
        let key = prop.name.as_str();
        let Some(spec) = specs.get(key) else {
            let keys = specs.keys().map(String::as_str);
            let expected = format!("one of {}", keys.clone().collect::<Vec<_>>().join(", "));
            let fault = Fault::new(ProblemKind::UnknownKey, "unknown key", expected)
                .suggest(nearest(key, keys));
            report.add(prop.range.start, child("", key), fault);
            continue;
        };
        match value(&prop.value, spec.kind, file.is_stablecoin) {
            Ok(value) => {
                values.insert(key.to_owned(), value);
            }
            Err(fault) => report.add(prop.value.start(), child("", key), fault),
        }
    }
    for (key, spec) in &specs {
        if !root.properties.iter().any(|prop| prop.name.as_str() == key) {
            let expected = expected(spec.kind, file.is_stablecoin);
            let fault = Fault::new(ProblemKind::MissingKey, "missing key", expected)
                .action(format!("add \"{key}\": {}", spec.default));
            report.add(root.range.start, key.as_str(), fault);
        }
    }
    values
}

fn value(value: &Value<'_>, kind: ParamKind, is_stablecoin: bool) -> Result<f64, Fault> {
    let Value::NumberLit(literal) = value else {
        let seen = match value {
            Value::StringLit(_) => format!("a string {}", describe(value)),
            _ => type_name(value).to_owned(),
        };
        return Err(Fault::new(ProblemKind::WrongType, seen, expected(kind, is_stablecoin)));
    };
    let number = literal.value.parse::<f64>().unwrap_or(f64::NAN);
    let is_allowed = match kind {
        ParamKind::Integer { min } => {
            number >= f64::from(min) && number <= PARAM_MAX && number.fract() == 0.0
        }
        ParamKind::Number { above } => number > above && number <= PARAM_MAX,
    };
    if is_allowed || (is_stablecoin && number == 0.0) {
        Ok(number)
    } else {
        let expected = expected(kind, is_stablecoin);
        Err(Fault::new(ProblemKind::BadValue, describe(value), expected))
    }
}

fn expected(kind: ParamKind, is_stablecoin: bool) -> String {
    let expected = match kind {
        ParamKind::Integer { min } => format!("a whole number, {min} to {PARAM_MAX}"),
        ParamKind::Number { above } => format!("a number above {above} and at most {PARAM_MAX}"),
    };
    if is_stablecoin { format!("0 or {expected}") } else { expected }
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Fault::new(ProblemKind::File, format!("cannot be written: {error}"), "a writable directory")
        .of_file(path.display().to_string())
}
