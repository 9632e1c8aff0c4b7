//! Results on disk: every point as Parquet, the best ones as CSV, the figures as JSON.

use crate::outcome::Period;
use crate::robustness::Robustness;
use crate::space::Space;
use crate::study::Found;
use crate::walk_forward::WalkForward;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, UInt32Array};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Points in the CSV file: as many as a spreadsheet shows with ease.
pub const CSV_POINTS: usize = 10_000;
const BATCH_ROWS: usize = 65_536;

/// One point and how it did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Span of the middle line.
    pub window: u32,
    /// Width in average true ranges.
    pub mult: f64,
    /// Bars of the average true range.
    pub atrs: u32,
    /// Loss.
    pub loss: f64,
    /// Trades.
    pub trades: u32,
    /// Trades with a profit.
    pub wins: u32,
    /// Profit in quote units.
    pub profit: f64,
    /// Sharpe ratio per day.
    pub daily_sharpe: f64,
    /// Relative drawdown at the deepest drop.
    pub relative_drawdown: f64,
}

/// A finished search of one asset and stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyRecord {
    /// The asset.
    pub asset: String,
    /// `position` or `trend`.
    pub stage: String,
    /// Bar length.
    pub timeframe: String,
    /// What was made small.
    pub loss: String,
    /// How points were chosen.
    pub sampler: String,
    /// Points in the space.
    pub points: usize,
    /// Points visited.
    pub visited: usize,
    /// First candle that counts, milliseconds.
    pub first_ms: i64,
    /// Last candle.
    pub last_ms: i64,
    /// Fee of each side.
    pub fee: f64,
    /// The best points, best first.
    pub top: Vec<Point>,
    /// How far to trust the best.
    pub robustness: Robustness,
    /// Walk-forward by scheme; empty when left out.
    pub walk_forward: Vec<WalkForward>,
    /// Why the best is not to be used; empty when it may be.
    pub refusal: Vec<String>,
    /// Fingerprint of candles, rules and space.
    pub fingerprint: String,
}

/// Why results could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Writing; the file is as it was.
    #[error("could not write {}; is the disk full or the directory not writable?", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Reading.
    #[error("could not read {}; run the search again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The point at a place of a search.
#[must_use]
pub fn point(found: &Found, space: &Space, period: &Period, place: usize) -> Point {
    let params = space.params(found.point(place));
    let outcome = &found.outcomes[place];
    Point {
        window: params.window,
        mult: params.mult,
        atrs: params.atr,
        loss: found.losses[place],
        trades: outcome.trades,
        wins: outcome.wins,
        profit: outcome.profit,
        daily_sharpe: outcome.daily_sharpe(period),
        relative_drawdown: outcome.relative_drawdown(period),
    }
}

/// Writes `trials.parquet` (every point in the order of the space) and `trials.csv` (the best
/// [`CSV_POINTS`], best first) into a directory.
///
/// # Errors
/// A file that cannot be written; it is as it was then.
pub fn write_trials(
    directory: &Path,
    found: &Found,
    space: &Space,
    period: &Period,
) -> Result<(), ResultsError> {
    let point = |place: usize| point(found, space, period, place);
    replace(&directory.join("trials.parquet"), |file| {
        let level = ZstdLevel::try_new(1)?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let mut writer = ArrowWriter::try_new(file, batch(&[])?.schema(), Some(properties))?;
        let places: Vec<usize> = (0..found.outcomes.len()).collect();
        for places in places.chunks(BATCH_ROWS) {
            let points: Vec<Point> = places.iter().map(|place| point(*place)).collect();
            writer.write(&batch(&points)?)?;
        }
        writer.close()?;
        Ok(())
    })?;
    replace(&directory.join("trials.csv"), |file| {
        let mut writer = csv::Writer::from_writer(file);
        for place in found.ranking(CSV_POINTS) {
            writer.serialize(point(place))?;
        }
        writer.flush()?;
        Ok(())
    })
}

fn batch(points: &[Point]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let whole = |pick: fn(&Point) -> u32| -> ArrayRef {
        Arc::new(points.iter().map(pick).collect::<UInt32Array>())
    };
    let float = |pick: fn(&Point) -> f64| -> ArrayRef {
        Arc::new(points.iter().map(pick).collect::<Float64Array>())
    };
    RecordBatch::try_from_iter([
        ("window", whole(|p| p.window)),
        ("mult", float(|p| p.mult)),
        ("atrs", whole(|p| p.atrs)),
        ("loss", float(|p| p.loss)),
        ("trades", whole(|p| p.trades)),
        ("wins", whole(|p| p.wins)),
        ("profit", float(|p| p.profit)),
        ("daily_sharpe", float(|p| p.daily_sharpe)),
        ("relative_drawdown", float(|p| p.relative_drawdown)),
    ])
}

/// Writes `study.json` into a directory.
///
/// # Errors
/// A file that cannot be written; it is as it was then.
pub fn write_record(directory: &Path, record: &StudyRecord) -> Result<(), ResultsError> {
    replace(&directory.join("study.json"), |file| {
        serde_json::to_writer_pretty(&mut *file, record)?;
        file.write_all(b"\n")?;
        Ok(())
    })
}

/// The finished searches of a results directory, in the order of their names.
///
/// # Errors
/// The directory or a record that cannot be read.
pub fn read_records(results: &Path) -> Result<Vec<StudyRecord>, ResultsError> {
    let failed = |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| {
        ResultsError::Read { path: path.to_owned(), source }
    };
    let entries = std::fs::read_dir(results).map_err(|e| failed(results, e.into()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path().join("study.json")))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).map_err(|e| failed(path, e.into()))?;
            serde_json::from_str(&text).map_err(|e| failed(path, e.into()))
        })
        .collect()
}

/// Writes text to a file in one step.
///
/// # Errors
/// A file that cannot be written; it is as it was then.
pub fn write_text(path: &Path, text: &str) -> Result<(), ResultsError> {
    replace(path, |file| Ok(file.write_all(text.as_bytes())?))
}

fn replace(
    path: &Path,
    fill: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
) -> Result<(), ResultsError> {
    keel_files::replace(path, fill)
        .map_err(|source| ResultsError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.html");
        write_text(&path, "old").unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"half")?;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
        })
        .unwrap_err();
        assert!(error.to_string().contains("a.html"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
