//! `keel data`: candle files, listed, verified, imported and made coarser.

mod import;
mod list;
mod resample;
mod verify;

use crate::exit::{Code, Failure};
use keel_core::asset::{Symbol, VenueId};
use keel_core::time::Timestamp;
use keel_data::{CandleFileError, StoreError};
use serde_json::{Value, json};
use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What to do with a data directory.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the candles and market caps of a data directory.
    List(list::Args),
    /// Look for everything that is wrong in the files of a data directory.
    Verify(verify::Args),
    /// Bring a candle file (Parquet, CSV, CSV.gz, Freqtrade feather) into a data directory.
    Import(import::Args),
    /// Build coarser candles from finer ones and store them.
    Resample(resample::Args),
}

/// Runs the command.
///
/// # Errors
/// When files cannot be read or written, or something is wrong in them.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List(args) => list::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Import(args) => import::run(args),
        Command::Resample(args) => resample::run(args),
    }
}

/// Which market.
#[derive(Debug, clap::Args)]
struct Market {
    /// The exchange, as its directory is called.
    #[arg(long, value_name = "NAME")]
    venue: VenueId,
    /// The market, such as BTC/USDT.
    #[arg(long, value_name = "BASE/QUOTE")]
    symbol: Symbol,
}

/// An error with its sources, as one text.
pub(super) fn said(error: &dyn Error) -> String {
    Failure::from_error(Code::BadData, error).message
}

/// How a command ends that the store refused.
fn refused(error: &StoreError) -> Failure {
    let code = match error {
        StoreError::Prepare { .. } | StoreError::File(CandleFileError::Write { .. }) => {
            Code::CannotWrite
        }
        StoreError::UnknownTimeframe { .. }
        | StoreError::WrongTimeframe { .. }
        | StoreError::ShorterBars { .. } => Code::BadInput,
        _ => Code::BadData,
    };
    let mut failure = Failure::from_error(code, error);
    if code == Code::CannotWrite {
        failure.message.push_str(
            "; expected a writable directory with free space: nothing was changed, choose another one",
        );
    }
    failure
}

/// The file that an error is about, where it names one.
fn file_of(error: &CandleFileError) -> Option<&Path> {
    match error {
        CandleFileError::Read { path, .. }
        | CandleFileError::Write { path, .. }
        | CandleFileError::Directory { path }
        | CandleFileError::UnknownKind { path }
        | CandleFileError::Damaged { path, .. }
        | CandleFileError::Empty { path }
        | CandleFileError::MissingColumn { path, .. }
        | CandleFileError::ColumnType { path, .. }
        | CandleFileError::Cell { path, .. } => Some(path),
        CandleFileError::TooEarlyForCsv { .. } => None,
    }
}

/// The files of market caps in a data directory, in the order of their names.
fn cap_files(root: &Path) -> Vec<PathBuf> {
    files_in(&root.join("marketcap"), &[".csv", ".csv.gz"])
}

/// The files in a directory with one of these endings, in the order of their names; none when there
/// is no such directory.
fn files_in(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
            !name.starts_with('.') && endings.iter().any(|ending| name.ends_with(ending))
        })
        .collect();
    found.sort();
    found
}

/// A moment for people: without the seconds, and without the time of day when that is midnight.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix("T00:00:00Z") {
        Some(day) => day.to_owned(),
        None => text.strip_suffix(":00Z").map_or(text.clone(), |minute| format!("{minute}Z")),
    }
}

fn moment_or_none(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "none".to_owned(), moment)
}

/// A moment for programs.
fn moment_json(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| json!(at.to_string()))
}

/// A count for people: `1 gap`, `12,345 gaps`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{} {noun}", grouped(number))
}

fn grouped(number: usize) -> String {
    crate::output::money(&number.to_string(), 0)
}
