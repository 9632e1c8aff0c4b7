//! What is in the store.

use super::verify::verify_rows;
use super::{CandleStore, StoreError, sorted_names, symbol_of};
use crate::candle_file::{CandleFileError, read_rows};
use keel_core::asset::{Symbol, VenueId};
use keel_core::time::{Timeframe, Timestamp};
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a store in the order of venue, market and timeframe.
#[derive(Debug)]
pub struct Listing {
    /// Files that can be read.
    pub files: Vec<StoredFile>,
    /// Files that cannot be read.
    pub unreadable: Vec<CandleFileError>,
    /// Names that do not follow the layout and were passed over.
    pub ignored: Vec<PathBuf>,
}

/// One file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// The venue.
    pub venue: VenueId,
    /// The market.
    pub symbol: Symbol,
    /// The length of the bars.
    pub timeframe: Timeframe,
    /// The file.
    pub path: PathBuf,
    /// Rows.
    pub rows: usize,
    /// Start of the earliest bar.
    pub first: Option<Timestamp>,
    /// Start of the latest bar.
    pub last: Option<Timestamp>,
    /// Runs of missing bars.
    pub gaps: usize,
    /// Missing bars in all gaps together.
    pub missing_bars: usize,
    /// Bars without any trade.
    pub zero_volume_bars: usize,
    /// Rows with something wrong in them; verifying the file says what.
    pub bad_rows: usize,
    /// Size of the file.
    pub bytes: u64,
}

impl CandleStore {
    /// Reads every file of the store and says what is in it. A file that cannot be read is named in
    /// the result and does not hide the others.
    ///
    /// # Errors
    /// A store that is not there.
    pub fn list(&self) -> Result<Listing, StoreError> {
        let mut found = Listing { files: Vec::new(), unreadable: Vec::new(), ignored: Vec::new() };
        for venue in names(&self.venues)? {
            let venue_path = self.venues.join(&venue);
            let Ok(venue) = venue.parse::<VenueId>() else {
                found.ignored.push(venue_path);
                continue;
            };
            if !venue_path.is_dir() {
                found.ignored.push(venue_path);
                continue;
            }
            let mut markets = Vec::new();
            for name in names(&venue_path)? {
                match symbol_of(&name).filter(|_| venue_path.join(&name).is_dir()) {
                    Some(symbol) => markets.push(symbol),
                    None => found.ignored.push(venue_path.join(&name)),
                }
            }
            // In the order of the names themselves: as text, `-` would sort before letters.
            markets.sort_unstable();
            for symbol in markets {
                self.list_market(&venue, &symbol, &mut found)?;
            }
        }
        Ok(found)
    }

    fn list_market(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        found: &mut Listing,
    ) -> Result<(), StoreError> {
        let directory = self.market(venue, symbol);
        let mut timeframes: Vec<Timeframe> = Vec::new();
        for name in names(&directory)? {
            match name.strip_suffix(".parquet").and_then(|name| name.parse().ok()) {
                Some(timeframe) => timeframes.push(timeframe),
                None => found.ignored.push(directory.join(name)),
            }
        }
        timeframes.sort_unstable();
        for timeframe in timeframes {
            match stored_file(venue, symbol, timeframe, &self.path(venue, symbol, timeframe)) {
                Ok(file) => found.files.push(file),
                Err(error) => found.unreadable.push(error),
            }
        }
        Ok(())
    }
}

fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    sorted_names(directory)
        .map_err(|source| StoreError::NoDirectory { path: directory.to_path_buf(), source })
}

fn stored_file(
    venue: &VenueId,
    symbol: &Symbol,
    timeframe: Timeframe,
    path: &Path,
) -> Result<StoredFile, CandleFileError> {
    let rows = read_rows(path)?;
    let checked = verify_rows(path, timeframe, &rows);
    let bytes = fs::metadata(path)
        .map_err(|source| CandleFileError::Read { path: path.to_path_buf(), source })?
        .len();
    Ok(StoredFile {
        venue: venue.clone(),
        symbol: symbol.clone(),
        timeframe,
        rows: checked.rows,
        first: checked.first,
        last: checked.last,
        gaps: checked.gaps.len(),
        missing_bars: checked.missing_bars(),
        zero_volume_bars: checked.zero_volume_bars,
        bad_rows: checked.counts.values().sum(),
        bytes,
        path: checked.path,
    })
}
