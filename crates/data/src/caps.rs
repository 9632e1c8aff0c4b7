//! Market capitalisations by day, read as of a moment and never later.

use crate::moment::{self, read_moment};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use keel_core::asset::Ticker;
use keel_core::time::{Timeframe, Timestamp};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// A capitalisation and when it was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapPoint {
    /// When it was taken.
    pub as_of: Timestamp,
    /// The capitalisation in US dollars.
    pub cap_usd: f64,
}

/// Capitalisations of one asset, strictly in the order of time. Days may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct CapSeries {
    points: Vec<CapPoint>,
}

/// Why a file of capitalisations could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CapFileError {
    /// The file system refused.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// No file for an asset.
    #[error("no file of capitalisations for {ticker} in {}; expected {ticker}.csv or {ticker}.csv.gz", path.display())]
    Absent {
        /// The asset.
        ticker: Ticker,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Two files for an asset, and it is not clear which one holds.
    #[error("two files of capitalisations for {ticker} in {}; expected only one of {ticker}.csv and {ticker}.csv.gz, move the other away", path.display())]
    TwoFiles {
        /// The asset.
        ticker: Ticker,
        /// Where they are.
        path: PathBuf,
    },
    /// A name that is neither `.csv` nor `.csv.gz`.
    #[error("{} has an unknown ending; expected a name ending in .csv or .csv.gz", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// Truncated, damaged, or no CSV.
    #[error("{} is not a readable CSV file; it may be cut short, fetch or export it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: csv::Error,
    },
    /// A column is not there.
    #[error("{} has no column `{column}`; its columns are `{seen}`, expected date,cap_usd", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The columns that are there.
        seen: String,
    },
    /// No row at all.
    #[error("{} has no capitalisation; expected at least one row", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A row that is not as it should be.
    #[error("{} row {row}, column `{column}`: seen {seen}, expected {expected}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Data row, from 1; the header is not counted.
        row: usize,
        /// The column.
        column: &'static str,
        /// What stands there.
        seen: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// The file system refused; the file is as it was.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

const CAP: &str = "a finite number above zero";
const LATER: &str = "a moment later than the row above";

impl CapSeries {
    /// The capitalisation as it was known at a moment: the last point not later than it.
    #[must_use]
    pub fn as_of(&self, moment: Timestamp) -> Option<CapPoint> {
        let known = self.points.partition_point(|point| point.as_of <= moment);
        self.points[..known].last().copied()
    }

    /// Every point in the order of time.
    #[must_use]
    pub fn points(&self) -> &[CapPoint] {
        &self.points
    }

    /// Whole days without a point, between the first and the last.
    #[must_use]
    pub fn missing_days(&self) -> usize {
        let days = |pair: &[CapPoint]| pair[1].as_of.since_ms(pair[0].as_of) / Timeframe::D1.ms();
        self.points.windows(2).map(|pair| usize::try_from(days(pair) - 1).unwrap_or(0)).sum()
    }
}

/// The file of an asset's capitalisations: `<root>/marketcap/<TICKER>.csv` or `.csv.gz`.
///
/// # Errors
/// [`CapFileError::Absent`] if there is none, [`CapFileError::TwoFiles`] if there are both.
pub fn find_caps(root: &Path, ticker: &Ticker) -> Result<PathBuf, CapFileError> {
    let directory = root.join("marketcap");
    let plain = directory.join(format!("{ticker}.csv"));
    let packed = directory.join(format!("{ticker}.csv.gz"));
    let ticker = ticker.clone();
    match (plain.is_file(), packed.is_file()) {
        (true, false) => Ok(plain),
        (false, true) => Ok(packed),
        (true, true) => Err(CapFileError::TwoFiles { ticker, path: directory }),
        (false, false) => Err(CapFileError::Absent { ticker, path: directory }),
    }
}

/// Reads capitalisations: CSV or gzip-compressed CSV with the columns `date` (a day, meaning 00:00
/// UTC of it, or an RFC 3339 moment) and `cap_usd`; other columns are passed over.
///
/// # Errors
/// A file that cannot be read, a missing column, no row, and the first row whose date is not later
/// than the one above or whose capitalisation is missing, NaN, infinite, zero or negative.
pub fn read_caps(path: &Path) -> Result<CapSeries, CapFileError> {
    let packed = is_packed(path)?;
    let file = File::open(path)
        .map_err(|source| CapFileError::Read { path: path.to_path_buf(), source })?;
    let bytes: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) };
    parse(path, bytes)
}

/// Writes capitalisations for [`read_caps`], compressed if the name ends in `.csv.gz`. The file
/// appears whole or not at all.
///
/// # Errors
/// Another ending, no point, a point that [`read_caps`] would not accept, and what the file system
/// said; the file is as it was then.
pub fn write_caps(path: &Path, points: &[CapPoint]) -> Result<(), CapFileError> {
    let packed = is_packed(path)?;
    let mut accepted = Points::default();
    for point in points {
        accepted.push(path, *point, || point.as_of.to_string(), || point.cap_usd.to_string())?;
    }
    accepted.into_series(path)?;
    keel_files::replace(path, |out| {
        if !packed {
            return write_lines(out, points);
        }
        let mut gz = GzEncoder::new(out, Compression::default());
        write_lines(&mut gz, points)?;
        gz.finish().map(|_| ())
    })
    .map_err(|source| CapFileError::Write { path: path.to_path_buf(), source })
}

fn is_packed(path: &Path) -> Result<bool, CapFileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if name.ends_with(".csv.gz") {
        Ok(true)
    } else if name.ends_with(".csv") {
        Ok(false)
    } else {
        Err(CapFileError::UnknownKind { path: path.to_path_buf() })
    }
}

fn parse(path: &Path, bytes: impl Read) -> Result<CapSeries, CapFileError> {
    let damaged = |source| CapFileError::Damaged { path: path.to_path_buf(), source };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(damaged)?;
    let position = |column: &'static str| {
        header.iter().position(|name| name.trim_start_matches('\u{feff}') == column).ok_or_else(
            || CapFileError::MissingColumn {
                path: path.to_path_buf(),
                column,
                seen: header.iter().collect::<Vec<_>>().join(", "),
            },
        )
    };
    let (date_at, cap_at) = (position("date")?, position("cap_usd")?);
    let mut points = Points::default();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(damaged)? {
        let date = record.get(date_at).unwrap_or_default();
        let cap = record.get(cap_at).unwrap_or_default();
        let row = points.points.len() + 1;
        let as_of = read_moment(date).ok_or_else(|| CapFileError::Row {
            path: path.to_path_buf(),
            row,
            column: "date",
            seen: format!("`{date}`"),
            expected: moment::EXPECTED,
        })?;
        // A text that is no number ends up with the numbers that are no capitalisation.
        let cap_usd = cap.parse().unwrap_or(f64::NAN);
        let point = CapPoint { as_of, cap_usd };
        points.push(path, point, || date.to_owned(), || cap.to_owned())?;
    }
    points.into_series(path)
}

/// Points that have been accepted so far.
#[derive(Default)]
struct Points {
    points: Vec<CapPoint>,
}

impl Points {
    fn push(
        &mut self,
        path: &Path,
        point: CapPoint,
        date: impl Fn() -> String,
        cap: impl Fn() -> String,
    ) -> Result<(), CapFileError> {
        let wrong = |column, seen: String, expected| CapFileError::Row {
            path: path.to_path_buf(),
            row: self.points.len() + 1,
            column,
            seen: format!("`{seen}`"),
            expected,
        };
        if self.points.last().is_some_and(|above| point.as_of <= above.as_of) {
            return Err(wrong("date", date(), LATER));
        }
        if !point.cap_usd.is_finite() || point.cap_usd <= 0.0 {
            return Err(wrong("cap_usd", cap(), CAP));
        }
        self.points.push(point);
        Ok(())
    }

    fn into_series(self, path: &Path) -> Result<CapSeries, CapFileError> {
        if self.points.is_empty() {
            return Err(CapFileError::Empty { path: path.to_path_buf() });
        }
        Ok(CapSeries { points: self.points })
    }
}

fn write_lines(out: &mut dyn Write, points: &[CapPoint]) -> io::Result<()> {
    writeln!(out, "date,cap_usd")?;
    for point in points {
        let moment = point.as_of.to_string();
        let date = moment.strip_suffix("T00:00:00Z").unwrap_or(&moment);
        writeln!(out, "{date},{}", point.cap_usd)?;
    }
    Ok(())
}
