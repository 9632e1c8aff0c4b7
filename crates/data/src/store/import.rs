//! Brings a file of any kind into the store without losing or changing what is there.

use super::load::load_file;
use super::verify::{Problem, RowProblem, fault_of};
use super::{CandleStore, EXAMPLES_MAX, StoreError, timeframes};
use crate::candle_file::{Row, read_rows, write_parquet};
use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::{Candle, Gap, gaps};
use keel_core::time::{Timeframe, Timestamp};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Whose bar stays when the file and the store have different bars for one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImportMode {
    /// The bar in the store.
    #[default]
    Merge,
    /// The bar in the file.
    Replace,
}

/// How to import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Who wins where bars differ. Bars that only one side has are always kept.
    pub mode: ImportMode,
    /// Leave bad rows out and report them, instead of refusing the file.
    pub drop_bad: bool,
    /// Leave out bars that had not closed at this moment. A download often ends in the middle of a
    /// bar, which would otherwise stay as it was then.
    pub closed_by: Option<Timestamp>,
}

/// Two different bars for one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conflict {
    /// What the store had.
    pub stored: Candle,
    /// What the file has.
    pub imported: Candle,
}

/// What an import did.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportReport {
    /// The file of the store.
    pub path: PathBuf,
    /// The length of the bars, as given or as found in the data.
    pub timeframe: Timeframe,
    /// Rows in the imported file.
    pub rows_read: usize,
    /// Whether the rows had to be put in order.
    pub was_sorted: bool,
    /// Rows merged into another one of the same time.
    pub duplicates_merged: usize,
    /// How many of those differed from the row they were merged into.
    pub differing_duplicates: usize,
    /// Bad rows left out.
    pub bad_rows: usize,
    /// The first [`EXAMPLES_MAX`] of them.
    pub bad_row_examples: Vec<RowProblem>,
    /// Bars left out because they had not closed.
    pub unclosed_bars: usize,
    /// Bars that are new in the store.
    pub added: usize,
    /// Bars for which file and store differed.
    pub conflicts: usize,
    /// The first [`EXAMPLES_MAX`] of them.
    pub conflict_examples: Vec<Conflict>,
    /// Bars in the store now.
    pub rows: usize,
    /// Start of the first bar in the store now.
    pub first: Timestamp,
    /// Start of the last bar in the store now.
    pub last: Timestamp,
    /// Runs of missing bars in the store now.
    pub gaps: Vec<Gap>,
    /// Whether the file of the store was written; it is not when nothing changed.
    pub written: bool,
}

/// Imports a candle file (see [`crate::read_candles`] for the kinds) into the store below `root`.
///
/// Rows are put in order. Rows of one time are merged: first open, highest high, lowest low, last
/// close, largest volume, first and last being meant in the order of the file. Then they are joined
/// with the bars that the store has. Bars of the store are never lost: if they cannot be read, the
/// import is refused. The new file appears whole or not at all.
///
/// Without a timeframe it is the usual distance between neighbouring bars.
///
/// # Errors
/// A file that cannot be read; bad rows, unless they are to be left out; no row left; a distance
/// that is no timeframe, or a longer or shorter one than was given; a broken file in the store; a write that fails.
pub fn import(
    file: &Path,
    venue: &VenueId,
    symbol: &Symbol,
    timeframe: Option<Timeframe>,
    root: &Path,
    options: ImportOptions,
) -> Result<ImportReport, StoreError> {
    let rows = read_rows(file)?;
    let timeframe = agreed_timeframe(file, &rows, timeframe)?;
    let (usable, bad) = split(&rows, timeframe);
    if !bad.is_empty() && !options.drop_bad {
        return Err(StoreError::BadRows {
            path: file.to_path_buf(),
            count: bad.len(),
            examples: bad.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; "),
        });
    }
    let was_sorted = usable.windows(2).any(|pair| pair[0].open_time_ms > pair[1].open_time_ms);
    let mut merged = merge_duplicates(&usable);
    let before = merged.bars.len();
    if let Some(now) = options.closed_by {
        merged.bars.retain(|open_ms, _| open_ms + timeframe.ms() <= now.ms());
    }
    let unclosed_bars = before - merged.bars.len();
    if merged.bars.is_empty() {
        return Err(StoreError::NothingLeft { path: file.to_path_buf() });
    }

    let path = CandleStore::at(root).path(venue, symbol, timeframe);
    let _lock = lock(&path)?;
    let stored = stored_bars(&path, timeframe)?;
    let joined = join(&stored, &merged.bars, options.mode);
    let candles: Vec<Candle> = joined.bars.values().copied().collect();
    let written = joined.bars != stored;
    if written {
        write_parquet(&path, &candles)?;
    }
    let times: Vec<i64> = joined.bars.keys().copied().collect();
    let edge = |time: Option<&i64>| Timestamp::from_ms(time.copied().unwrap_or_default());
    Ok(ImportReport {
        path,
        timeframe,
        rows_read: rows.len(),
        was_sorted,
        duplicates_merged: usable.len() - before,
        differing_duplicates: merged.differing,
        bad_rows: bad.len(),
        bad_row_examples: bad.into_iter().take(EXAMPLES_MAX).collect(),
        unclosed_bars,
        added: joined.bars.len() - stored.len(),
        conflicts: joined.conflicts,
        conflict_examples: joined.examples,
        rows: candles.len(),
        first: edge(times.first()),
        last: edge(times.last()),
        gaps: gaps(&times, timeframe),
        written,
    })
}

/// The timeframe of the rows: the given one if it can be right, else the usual distance.
fn agreed_timeframe(
    path: &Path,
    rows: &[Row],
    given: Option<Timeframe>,
) -> Result<Timeframe, StoreError> {
    let mut times: Vec<i64> = rows.iter().flatten().map(|c| c.open_time_ms).collect();
    times.sort_unstable();
    times.dedup();
    let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in times.windows(2) {
        *distances.entry(pair[1].saturating_sub(pair[0])).or_default() += 1;
    }
    // On a tie the shorter distance: the longer one is then a hole.
    let usual = distances.iter().max_by_key(|(ms, count)| (**count, -**ms)).map(|(ms, _)| *ms);
    if let Some(given) = given {
        let path = path.to_path_buf();
        // Daily bars on an hourly grid would pass every other check.
        if let Some(closest) = distances.keys().next().filter(|closest| **closest > given.ms()) {
            return Err(StoreError::WrongTimeframe {
                path,
                timeframe: given,
                seen: spoken(*closest),
            });
        }
        // With bad rows left out, every fourth hour would pass for a bar of four hours.
        if let Some(usual) = usual.filter(|usual| *usual < given.ms()) {
            return Err(StoreError::ShorterBars { path, timeframe: given, seen: spoken(usual) });
        }
        return Ok(given);
    }
    timeframes().find(|timeframe| usual == Some(timeframe.ms())).ok_or_else(|| {
        let seen = usual.map_or_else(|| "an unknown time".to_owned(), spoken);
        StoreError::UnknownTimeframe { path: path.to_path_buf(), seen }
    })
}

fn spoken(distance_ms: i64) -> String {
    match timeframes().find(|timeframe| timeframe.ms() == distance_ms) {
        Some(timeframe) => timeframe.name().to_owned(),
        None => format!("{distance_ms} ms"),
    }
}

/// Rows that can be bars, in the order of the file, and the others.
fn split(rows: &[Row], timeframe: Timeframe) -> (Vec<Candle>, Vec<RowProblem>) {
    let (mut usable, mut bad) = (Vec::with_capacity(rows.len()), Vec::new());
    for (at, row) in rows.iter().enumerate() {
        let row_number = at + 1;
        match row {
            Ok(candle) => match fault_of(candle, timeframe) {
                None => usable.push(*candle),
                Some(problem) => bad.push(RowProblem {
                    row: row_number,
                    problem,
                    time: Some(Timestamp::from_ms(candle.open_time_ms)),
                    cell: None,
                }),
            },
            Err(cell) => bad.push(RowProblem {
                row: row_number,
                problem: Problem::Unreadable,
                time: None,
                cell: Some(cell.clone()),
            }),
        }
    }
    (usable, bad)
}

struct Merged {
    bars: BTreeMap<i64, Candle>,
    differing: usize,
}

fn merge_duplicates(rows: &[Candle]) -> Merged {
    let mut merged = Merged { bars: BTreeMap::new(), differing: 0 };
    for row in rows {
        let bar = merged.bars.entry(row.open_time_ms).or_insert(*row);
        if bar != row {
            merged.differing += 1;
            bar.high = bar.high.max(row.high);
            bar.low = bar.low.min(row.low);
            bar.close = row.close;
            bar.volume = bar.volume.max(row.volume);
        }
    }
    merged
}

/// Held while a file of the store is read and replaced, so that two imports cannot lose each
/// other's bars. The operating system lets go of it even after a crash.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let directory = path.parent().unwrap_or(path);
    let failed = |source| StoreError::Prepare { path: directory.to_path_buf(), source };
    fs::create_dir_all(directory).map_err(failed)?;
    let lock = File::create(directory.join(".lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(lock)
}

/// What the store has under a path; nothing if there is no file.
pub(super) fn stored_bars(
    path: &Path,
    timeframe: Timeframe,
) -> Result<BTreeMap<i64, Candle>, StoreError> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let loaded = load_file(path, timeframe)?;
    Ok(loaded.series.iter().map(|candle| (candle.open_time_ms, candle)).collect())
}

struct Joined {
    bars: BTreeMap<i64, Candle>,
    conflicts: usize,
    examples: Vec<Conflict>,
}

fn join(
    stored: &BTreeMap<i64, Candle>,
    imported: &BTreeMap<i64, Candle>,
    mode: ImportMode,
) -> Joined {
    let mut joined = Joined { bars: stored.clone(), conflicts: 0, examples: Vec::new() };
    for (time, bar) in imported {
        match stored.get(time) {
            Some(known) if known == bar => {}
            Some(known) => {
                joined.conflicts += 1;
                if joined.examples.len() < EXAMPLES_MAX {
                    joined.examples.push(Conflict { stored: *known, imported: *bar });
                }
                if mode == ImportMode::Replace {
                    joined.bars.insert(*time, *bar);
                }
            }
            None => {
                joined.bars.insert(*time, *bar);
            }
        }
    }
    joined
}
