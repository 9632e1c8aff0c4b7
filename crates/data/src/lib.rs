//! Files at the edge: candles, market capitalisations and market rules, read and written whole.
//!
//! Nothing is repaired silently. A file is either accepted as it is, or refused with its name, the
//! row, the column, what was seen and what was expected; every write replaces a file in one step.

pub mod candle_file;
pub mod caps;
mod decimal;
pub mod markets;
mod moment;
pub mod store;

pub use candle_file::{CandleFileError, read_candles, write_csv, write_parquet};
pub use caps::{CapFileError, CapPoint, CapSeries, find_caps, read_caps, write_caps};
pub use markets::{
    MarketFileError, MarketList, markets_path, read_binance_exchange_info, read_markets,
    write_markets,
};
pub use store::{
    CandleStore, Conflict, ImportMode, ImportOptions, ImportReport, Listing, Loaded, Longest,
    MarketFiles, Problem, ResampleReport, RowProblem, StoreError, StoredFile, Verification, import,
};
