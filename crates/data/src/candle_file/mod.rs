//! Candle files of four kinds, read into rows exactly as they are and written in one step.

mod columns;
mod delimited;
mod feather;
mod parquet_file;

use keel_core::candle::Candle;
use std::error::Error;
use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

pub use delimited::write_csv;
pub use parquet_file::write_parquet;

/// Names under which the time column is found, the first one being ours.
pub(crate) const TIME_NAMES: [&str; 4] = ["timestamp", "date", "open_time", "time"];
/// The value columns, in the order of [`Candle`]'s fields.
pub(crate) const VALUE_NAMES: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// Why a candle file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CandleFileError {
    /// The file system refused.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file system refused, or the encoder failed; the file is as it was.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A directory where a file was expected.
    #[error("{} is a directory; expected a candle file, {KINDS}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The name does not say what is inside.
    #[error("{} has an unknown ending; expected {KINDS}", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// Truncated, damaged, or a different kind of file.
    #[error("{} is not a readable {kind} file; it may be cut short or be of another kind, fetch or export it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the name promised.
        kind: &'static str,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No row at all.
    #[error("{} has no candles; expected at least one row", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A column is not there.
    #[error("{} has no column `{expected}`; its columns are `{seen}`, expected timestamp, open, high, low, close, volume", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column, with its other names.
        expected: String,
        /// The columns that are there.
        seen: String,
    },
    /// A column has values of the wrong kind.
    #[error("column `{column}` of {} holds {seen}; expected {expected}", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// Its type.
        seen: String,
        /// The types that can be read.
        expected: &'static str,
    },
    /// A value is missing or is not what its column holds.
    #[error("{}: {fault}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Where and what.
        fault: CellFault,
    },
    /// A time that a CSV file cannot carry.
    #[error(
        "candle {row} starts at {open_time_ms} ms, before 1973-03-03, where a CSV epoch would be read as seconds; write it as Parquet"
    )]
    TooEarlyForCsv {
        /// Row number, from 1.
        row: usize,
        /// Start of the bar, milliseconds.
        open_time_ms: i64,
    },
}

/// A value that could not be read, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row}, column `{column}`: seen {seen}, expected {expected}")]
pub struct CellFault {
    /// Data row, from 1; a header is not counted.
    pub row: usize,
    /// The column.
    pub column: &'static str,
    /// What stands there.
    pub seen: String,
    /// What should stand there.
    pub expected: &'static str,
}

const KINDS: &str = "a name ending in .parquet, .feather, .csv or .csv.gz";
const FINITE: &str = "a finite number";

/// A row of a file: a candle, or the first value in it that could not be read.
pub(crate) type Row = Result<Candle, CellFault>;

/// Reads the rows of a candle file exactly as they stand: same order, duplicates kept, prices
/// unchecked. The kind follows from the name: `.parquet`, `.feather` (Arrow IPC, as Freqtrade
/// writes it), `.csv` or `.csv.gz`.
///
/// The time column is called `timestamp`, `date`, `open_time` or `time`. In Parquet and Feather it
/// is a 64-bit integer in milliseconds or an Arrow timestamp of any unit. In CSV it is a date, an
/// RFC 3339 moment, or an epoch whose unit follows from its size: below 1e11 seconds, below 1e14
/// milliseconds, below 1e17 microseconds, else nanoseconds. Numbers in CSV are the nearest `f64`.
///
/// # Errors
/// No such file, a directory, an unknown ending, a damaged or foreign file, no rows, a missing
/// column, and a value that is missing, not a number, NaN or infinite (with its row and column).
pub fn read_candles(path: &Path) -> Result<Vec<Candle>, CandleFileError> {
    read_rows(path)?
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|fault| CandleFileError::Cell { path: path.to_path_buf(), fault })
}

/// Like [`read_candles`], but goes on after a bad value, so that all of them can be counted.
pub(crate) fn read_rows(path: &Path) -> Result<Vec<Row>, CandleFileError> {
    let kind = Kind::of(path)?;
    let file = open(path)?;
    let rows = match kind {
        Kind::Parquet => contained(path, "Parquet", || parquet_file::read(path, file)),
        Kind::Feather => contained(path, "Feather", || feather::read(path, file)),
        Kind::Csv => delimited::read(path, file),
        Kind::CsvGz => delimited::read(path, flate2::read::MultiGzDecoder::new(file)),
    }?;
    if rows.is_empty() {
        return Err(CandleFileError::Empty { path: path.to_path_buf() });
    }
    Ok(rows)
}

/// Runs a decoder of a foreign crate. Those for Parquet and Arrow check most of what they read, but
/// a few damaged fields still end in one of their assertions, which must not end the program: the
/// file is damaged, and nothing outlives the call that could be half done.
fn contained<T>(
    path: &Path,
    kind: &'static str,
    decode: impl FnOnce() -> Result<T, CandleFileError>,
) -> Result<T, CandleFileError> {
    panic::catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(damaged(path, kind, "the decoder gave up on it")))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Parquet,
    Feather,
    Csv,
    CsvGz,
}

impl Kind {
    pub(crate) fn of(path: &Path) -> Result<Self, CandleFileError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        [
            (".parquet", Self::Parquet),
            (".feather", Self::Feather),
            (".csv.gz", Self::CsvGz),
            (".csv", Self::Csv),
        ]
        .into_iter()
        .find(|(ending, _)| name.ends_with(ending))
        .map(|(_, kind)| kind)
        .ok_or_else(|| CandleFileError::UnknownKind { path: path.to_path_buf() })
    }
}

fn open(path: &Path) -> Result<File, CandleFileError> {
    let failed = |source| CandleFileError::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(CandleFileError::Directory { path: path.to_path_buf() });
    }
    if metadata.len() == 0 {
        return Err(CandleFileError::Empty { path: path.to_path_buf() });
    }
    Ok(file)
}

fn damaged(
    path: &Path,
    kind: &'static str,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> CandleFileError {
    CandleFileError::Damaged { path: path.to_path_buf(), kind, source: source.into() }
}

/// Where the time and the values are among columns with these names, which are in lowercase.
fn positions(path: &Path, seen: &[String]) -> Result<(usize, [usize; 5]), CandleFileError> {
    let position = |name: &str| seen.iter().position(|seen| seen == name);
    let time = TIME_NAMES
        .iter()
        .find_map(|name| position(name))
        .ok_or_else(|| missing(path, &TIME_NAMES, seen))?;
    let mut values = [0; 5];
    for (at, name) in values.iter_mut().zip(VALUE_NAMES) {
        *at = position(name).ok_or_else(|| missing(path, &[name], seen))?;
    }
    Ok((time, values))
}

fn missing(path: &Path, names: &[&str], seen: &[String]) -> CandleFileError {
    CandleFileError::MissingColumn {
        path: path.to_path_buf(),
        expected: names.join("` or `"),
        seen: seen.join(", "),
    }
}
