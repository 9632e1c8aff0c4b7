//! Writes a coarser timeframe into the store.

use super::import::{lock, stored_bars};
use super::load::load_file;
use super::{CandleStore, StoreError};
use crate::candle_file::write_parquet;
use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::Candle;
use keel_core::resample::resample;
use keel_core::time::{Timeframe, Timestamp};
use std::path::PathBuf;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResampleReport {
    /// The coarser file.
    pub path: PathBuf,
    /// The length of the bars it was built from.
    pub from: Timeframe,
    /// Bars written.
    pub rows: usize,
    /// Bars built while a finer bar was missing.
    pub incomplete_bars: usize,
    /// Bars that were there before with other values and were replaced.
    pub changed: usize,
}

impl CandleStore {
    /// Builds the bars of `timeframe` from the coarsest finer file that fills it, and writes them.
    /// A file that is already there is replaced, but never by one that lacks some of its bars.
    ///
    /// # Errors
    /// No finer file, a broken one, no complete bar, bars that would be lost, a write that fails.
    pub fn resample_to(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
    ) -> Result<ResampleReport, StoreError> {
        let (source, from) = self.finer(venue, symbol, timeframe)?;
        let path = self.path(venue, symbol, timeframe);
        let _lock = lock(&path)?;
        let fine = load_file(&source, from)?;
        let coarse = resample(&fine.series, timeframe)
            .map_err(|error| StoreError::Resample { path: source.clone(), source: error })?;
        let bars: Vec<Candle> = coarse.series.iter().collect();
        if bars.is_empty() {
            return Err(StoreError::NothingLeft { path: source });
        }
        let mut stored = stored_bars(&path, timeframe)?;
        let mut changed = 0;
        for bar in &bars {
            if stored.remove(&bar.open_time_ms).is_some_and(|known| known != *bar) {
                changed += 1;
            }
        }
        if let Some((first, _)) = stored.first_key_value() {
            let first = Timestamp::from_ms(*first);
            return Err(StoreError::WouldLose { path, count: stored.len(), first });
        }
        write_parquet(&path, &bars)?;
        let incomplete_bars = coarse.incomplete_bars;
        Ok(ResampleReport { path, from, rows: bars.len(), incomplete_bars, changed })
    }
}
