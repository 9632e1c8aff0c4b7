//! The candle store: one Parquet file for each venue, market and timeframe.

mod import;
mod list;
mod load;
mod market_files;
mod resampling;
mod verify;

use crate::candle_file::CandleFileError;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::resample::ResampleError;
use keel_core::time::{TIMEFRAMES, Timeframe, Timestamp};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use import::{Conflict, ImportMode, ImportOptions, ImportReport, import};
pub use list::{Listing, StoredFile};
pub use load::Loaded;
pub use market_files::{Longest, MarketFiles};
pub use resampling::ResampleReport;
pub use verify::{Problem, RowProblem, Verification};

/// How many rows a message or a report names before it only counts.
pub const EXAMPLES_MAX: usize = 20;

/// A directory of candles: `<root>/ohlcv/<venue>/<BASE>-<QUOTE>/<timeframe>.parquet`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandleStore {
    /// The directory that holds one directory for each venue.
    venues: PathBuf,
}

/// Why the store could not do what was asked; it is unchanged then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory is not there or cannot be read.
    #[error("no candles at {}; expected <venue>/<BASE>-<QUOTE>/<timeframe>.parquet below it, import a file first or name another data directory", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Neither the file nor a finer one it could be built from.
    #[error("no {timeframe} candles of {} on {} in {}, nor finer ones that fill them; there are {seen}, import a file first", market.1, market.0, path.display())]
    NotFound {
        /// The venue and the market; apart, as every result would be as large as they are.
        market: Box<(VenueId, Symbol)>,
        /// The length of the bars that were asked for.
        timeframe: Timeframe,
        /// Where they were looked for.
        path: PathBuf,
        /// The timeframes that are there.
        seen: String,
    },
    /// A candle file could not be read or written.
    #[error(transparent)]
    File(#[from] CandleFileError),
    /// A row that cannot be part of a series.
    #[error("{}: {problem}; nothing was repaired, verify the file and import it again", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The first row that is wrong.
        problem: RowProblem,
    },
    /// Rows that must not be imported.
    #[error("{} has {}, first {examples}; nothing was imported, correct the file or leave bad rows out with --drop-bad", path.display(), counted(*count, "bad row"))]
    BadRows {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first of them.
        examples: String,
    },
    /// After leaving out bad and unfinished rows nothing is left.
    #[error("{} has no usable candle; expected at least one, nothing was imported", path.display())]
    NothingLeft {
        /// The file.
        path: PathBuf,
    },
    /// The bars do not say how long they are.
    #[error("the bars of {} are {seen} apart, which is no timeframe; name the timeframe with --timeframe", path.display())]
    UnknownTimeframe {
        /// The file.
        path: PathBuf,
        /// The usual distance.
        seen: String,
    },
    /// The bars are longer than was said.
    #[error("no two bars of {} are {timeframe} apart, the closest are {seen}; name the timeframe of the file with --timeframe", path.display())]
    WrongTimeframe {
        /// The file.
        path: PathBuf,
        /// What was said.
        timeframe: Timeframe,
        /// The smallest distance.
        seen: String,
    },
    /// The bars are shorter than was said.
    #[error("the bars of {} are usually {seen} apart, expected {timeframe}; import them without --timeframe, then build longer ones with `keel data resample` and --to {timeframe}", path.display())]
    ShorterBars {
        /// The file.
        path: PathBuf,
        /// What was said.
        timeframe: Timeframe,
        /// The usual distance.
        seen: String,
    },
    /// Bars that are in the store would disappear.
    #[error("{} would lose {}, first {first}; it was left as it is", path.display(), counted(*count, "bar"))]
    WouldLose {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The start of the first one.
        first: Timestamp,
    },
    /// Bars could not be made coarser.
    #[error("{} could not be resampled", path.display())]
    Resample {
        /// The finer file.
        path: PathBuf,
        /// Why.
        source: ResampleError,
    },
    /// A directory could not be made or locked.
    #[error("could not prepare {} for writing", path.display())]
    Prepare {
        /// The directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl CandleStore {
    /// The store below `root`. A directory that holds the venues itself, without `ohlcv` in
    /// between, is accepted as it is. Nothing has to be there yet.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        let usual = root.join("ohlcv");
        let bare = !usual.is_dir() && holds_venues(root);
        Self { venues: if bare { root.to_path_buf() } else { usual } }
    }

    /// Where the candles of a market are, or would be.
    #[must_use]
    pub fn path(&self, venue: &VenueId, symbol: &Symbol, timeframe: Timeframe) -> PathBuf {
        self.market(venue, symbol).join(format!("{timeframe}.parquet"))
    }

    fn market(&self, venue: &VenueId, symbol: &Symbol) -> PathBuf {
        self.venues.join(venue.as_str()).join(format!("{}-{}", symbol.base, symbol.quote))
    }
}

/// Whether a directory holds `<venue>/<BASE>-<QUOTE>/`.
fn holds_venues(root: &Path) -> bool {
    sorted_names(root).unwrap_or_default().iter().any(|venue| {
        venue.parse::<VenueId>().is_ok()
            && sorted_names(&root.join(venue))
                .unwrap_or_default()
                .iter()
                .any(|name| symbol_of(name).is_some() && root.join(venue).join(name).is_dir())
    })
}

/// The names in a directory in order, without hidden ones (locks and files still being written).
fn sorted_names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The market that a directory is named after.
fn symbol_of(name: &str) -> Option<Symbol> {
    let (base, quote) = name.split_once('-')?;
    let (base, quote): (Ticker, Ticker) = (base.parse().ok()?, quote.parse().ok()?);
    Some(Symbol::new(base, quote))
}

/// `1 bar`, `2 bars`.
fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Every timeframe, shortest first.
fn timeframes() -> impl DoubleEndedIterator<Item = Timeframe> {
    TIMEFRAMES.iter().filter_map(|(seconds, _)| Timeframe::from_seconds(u64::from(*seconds)))
}
