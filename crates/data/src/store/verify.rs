//! Looks for everything that is wrong with a candle file, not only the first thing.

use super::{CandleStore, EXAMPLES_MAX, StoreError};
use crate::candle_file::{CellFault, Row, read_rows};
use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::{Candle, CandleFault, Gap, check_candle, gaps};
use keel_core::resample::bar_start;
use keel_core::time::{Timeframe, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What can be wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A value is missing, or is not a finite number or a moment.
    Unreadable,
    /// A price is zero or below.
    NotPositive,
    /// The volume is below zero.
    NegativeVolume,
    /// High and low do not enclose open and close.
    Inconsistent,
    /// Not on the timeframe's grid.
    OffGrid,
    /// Earlier than the row before it.
    OutOfOrder,
    /// Same time as the row before it, other values.
    Contradiction,
    /// The same in every value as the row before it; loading merges the two.
    Duplicate,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "a value is missing or not a finite number",
            Self::NotPositive => "a price is zero or negative",
            Self::NegativeVolume => "the volume is negative",
            Self::Inconsistent => "high and low do not enclose open and close",
            Self::OffGrid => "the time is not on the timeframe's grid",
            Self::OutOfOrder => "the time is before the row above",
            Self::Contradiction => "the time is that of the row above, with other values",
            Self::Duplicate => "the row above once more",
        })
    }
}

/// A row with something wrong in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// Data row, from 1.
    pub row: usize,
    /// What is wrong.
    pub problem: Problem,
    /// The time of the row, if it can be read.
    pub time: Option<Timestamp>,
    /// For an unreadable value: which, and what stands there.
    pub cell: Option<CellFault>,
}

impl RowProblem {
    /// A candle that a series refused.
    pub(super) const fn of_fault(row: usize, candle: &Candle, fault: CandleFault) -> Self {
        let time = Some(Timestamp::from_ms(candle.open_time_ms));
        Self { row, problem: Problem::of_fault(fault), time, cell: None }
    }
}

impl Problem {
    const fn of_fault(fault: CandleFault) -> Self {
        match fault {
            CandleFault::NotFinite => Self::Unreadable,
            CandleFault::NotPositive => Self::NotPositive,
            CandleFault::NegativeVolume => Self::NegativeVolume,
            CandleFault::Inconsistent => Self::Inconsistent,
            CandleFault::OutOfOrder => Self::OutOfOrder,
            CandleFault::OffGrid => Self::OffGrid,
        }
    }
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cell, self.time) {
            (Some(cell), _) => cell.fmt(f),
            (None, Some(time)) => write!(f, "row {} ({time}): {}", self.row, self.problem),
            (None, None) => write!(f, "row {}: {}", self.row, self.problem),
        }
    }
}

/// What a candle file holds, and everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The file.
    pub path: PathBuf,
    /// The length of its bars.
    pub timeframe: Timeframe,
    /// Rows, good and bad.
    pub rows: usize,
    /// Start of the earliest good bar.
    pub first: Option<Timestamp>,
    /// Start of the latest good bar.
    pub last: Option<Timestamp>,
    /// Runs of missing bars between good ones.
    pub gaps: Vec<Gap>,
    /// Good bars without any trade.
    pub zero_volume_bars: usize,
    /// How often each problem occurs.
    pub counts: BTreeMap<Problem, usize>,
    /// The first [`EXAMPLES_MAX`] rows of every problem, in the order of the file.
    pub problems: Vec<RowProblem>,
}

impl Verification {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// Loading would succeed: nothing is wrong except rows that stand there twice.
    #[must_use]
    pub fn can_be_loaded(&self) -> bool {
        self.counts.keys().all(|problem| *problem == Problem::Duplicate)
    }

    /// How many bars are missing in all gaps together.
    #[must_use]
    pub fn missing_bars(&self) -> usize {
        self.gaps.iter().map(|gap| gap.bars).sum()
    }
}

impl CandleStore {
    /// Checks every row of a file of the store, on its own and against the row above.
    ///
    /// # Errors
    /// A file that is not there, or of which no row can be read.
    pub fn verify(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
    ) -> Result<Verification, StoreError> {
        let path = self.path(venue, symbol, timeframe);
        let rows = read_rows(&path)?;
        Ok(verify_rows(&path, timeframe, &rows))
    }
}

pub(super) fn verify_rows(path: &Path, timeframe: Timeframe, rows: &[Row]) -> Verification {
    let mut counts = BTreeMap::new();
    let mut problems = Vec::new();
    let mut good: Vec<i64> = Vec::with_capacity(rows.len());
    let mut zero_volume_bars = 0;
    let mut above: Option<&Candle> = None;
    for (at, row) in rows.iter().enumerate() {
        match check_row(at + 1, row, above, timeframe) {
            Some(found) => {
                let count: &mut usize = counts.entry(found.problem).or_default();
                *count += 1;
                if *count <= EXAMPLES_MAX {
                    problems.push(found);
                }
            }
            None => {
                if let Ok(candle) = row {
                    good.push(candle.open_time_ms);
                    zero_volume_bars += usize::from(candle.volume <= 0.0);
                }
            }
        }
        above = row.as_ref().ok().or(above);
    }
    // Good rows may still follow a misplaced one, so they are put in order before gaps are counted.
    good.sort_unstable();
    good.dedup();
    Verification {
        path: path.to_path_buf(),
        timeframe,
        rows: rows.len(),
        first: good.first().copied().map(Timestamp::from_ms),
        last: good.last().copied().map(Timestamp::from_ms),
        gaps: gaps(&good, timeframe),
        zero_volume_bars,
        counts,
        problems,
    }
}

/// What is wrong with a row, given the last readable row above it.
pub(super) fn check_row(
    row: usize,
    content: &Row,
    above: Option<&Candle>,
    timeframe: Timeframe,
) -> Option<RowProblem> {
    let candle = match content {
        Ok(candle) => candle,
        Err(cell) => {
            let problem = Problem::Unreadable;
            return Some(RowProblem { row, problem, time: None, cell: Some(cell.clone()) });
        }
    };
    let problem = fault_of(candle, timeframe).or_else(|| {
        let above = above?;
        if candle.open_time_ms < above.open_time_ms {
            Some(Problem::OutOfOrder)
        } else if candle.open_time_ms > above.open_time_ms {
            None
        } else if candle == above {
            Some(Problem::Duplicate)
        } else {
            Some(Problem::Contradiction)
        }
    })?;
    let time = Some(Timestamp::from_ms(candle.open_time_ms));
    Some(RowProblem { row, problem, time, cell: None })
}

/// What is wrong with a candle on its own.
pub(super) fn fault_of(candle: &Candle, timeframe: Timeframe) -> Option<Problem> {
    if let Err(fault) = check_candle(candle) {
        return Some(Problem::of_fault(fault));
    }
    let moment = Timestamp::from_ms(candle.open_time_ms);
    (bar_start(timeframe, moment) != moment).then_some(Problem::OffGrid)
}
