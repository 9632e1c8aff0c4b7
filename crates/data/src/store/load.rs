//! Loads a checked series, building it from finer bars when there is no file of that length.

use super::verify::{Problem, RowProblem, check_row};
use super::{CandleStore, StoreError, timeframes};
use crate::candle_file::read_rows;
use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::{Candle, CandleSeries};
use keel_core::resample::{fills, resample};
use keel_core::time::Timeframe;
use std::path::{Path, PathBuf};

/// A series and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The bars.
    pub series: CandleSeries,
    /// The file they were read from.
    pub path: PathBuf,
    /// The length of the bars in that file, if they had to be made coarser.
    pub resampled_from: Option<Timeframe>,
    /// After resampling: bars built while a finer bar was missing.
    pub incomplete_bars: usize,
    /// Rows that repeated the row above in every value and were merged with it.
    pub duplicates_merged: usize,
}

impl CandleStore {
    /// Loads the bars of a market. Without a file of that timeframe they are built from the
    /// coarsest finer one that fills it; a bar that is still forming is left out then.
    ///
    /// A row that repeats the row above in every value is merged with it and counted. Every other
    /// defect is an error: nothing is repaired.
    ///
    /// # Errors
    /// Nothing to load, a file that cannot be read, or its first bad row.
    pub fn load(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
    ) -> Result<Loaded, StoreError> {
        let exact = self.path(venue, symbol, timeframe);
        if exact.exists() {
            return load_file(&exact, timeframe);
        }
        let (path, finer) = self.finer(venue, symbol, timeframe)?;
        let loaded = load_file(&path, finer)?;
        let coarse = resample(&loaded.series, timeframe)
            .map_err(|source| StoreError::Resample { path, source })?;
        Ok(Loaded {
            series: coarse.series,
            incomplete_bars: coarse.incomplete_bars,
            resampled_from: Some(finer),
            ..loaded
        })
    }

    /// The coarsest file with bars shorter than `timeframe` that fill it.
    pub(super) fn finer(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
    ) -> Result<(PathBuf, Timeframe), StoreError> {
        let there: Vec<Timeframe> =
            timeframes().filter(|other| self.path(venue, symbol, *other).exists()).collect();
        let finer =
            there.iter().rev().find(|other| **other < timeframe && fills(**other, timeframe));
        finer.map(|finer| (self.path(venue, symbol, *finer), *finer)).ok_or_else(|| {
            let seen: Vec<&str> = there.iter().map(|other| other.name()).collect();
            StoreError::NotFound {
                market: Box::new((venue.clone(), symbol.clone())),
                timeframe,
                path: self.market(venue, symbol),
                seen: if seen.is_empty() { "none".to_owned() } else { seen.join(" ") },
            }
        })
    }
}

/// Reads a file as a checked series.
pub(super) fn load_file(path: &Path, timeframe: Timeframe) -> Result<Loaded, StoreError> {
    let mut series = CandleSeries::empty(timeframe);
    let mut duplicates_merged = 0;
    let mut above: Option<Candle> = None;
    for (at, row) in read_rows(path)?.into_iter().enumerate() {
        match check_row(at + 1, &row, above.as_ref(), timeframe) {
            Some(found) if found.problem == Problem::Duplicate => duplicates_merged += 1,
            Some(problem) => return Err(StoreError::Row { path: path.to_path_buf(), problem }),
            None => {
                if let Ok(candle) = row {
                    push(&mut series, path, at + 1, candle)?;
                    above = Some(candle);
                }
            }
        }
    }
    Ok(Loaded {
        series,
        path: path.to_path_buf(),
        resampled_from: None,
        incomplete_bars: 0,
        duplicates_merged,
    })
}

/// The series has the last word on what it accepts, whatever was checked before.
fn push(
    series: &mut CandleSeries,
    path: &Path,
    row: usize,
    candle: Candle,
) -> Result<(), StoreError> {
    series.push(candle).map_err(|fault| StoreError::Row {
        path: path.to_path_buf(),
        problem: RowProblem::of_fault(row, &candle, fault),
    })
}
