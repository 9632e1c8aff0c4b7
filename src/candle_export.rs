//! The candles in use as CSV files, one per market and timeframe, for spreadsheets and other programs.

use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::{Candle, Window};
use keel_core::time::Timeframe;
use std::collections::BTreeMap;
use std::path::Path;

/// A market at a venue and the length of its bars.
pub(crate) type Market = (VenueId, Symbol, Timeframe);

/// Writes files whose candles changed.
#[derive(Debug, Default)]
pub(crate) struct CandleExport {
    /// Where the last bar of each file begins, milliseconds since 1970.
    written: BTreeMap<Market, i64>,
}

impl CandleExport {
    /// Writes `window` to `<directory>/<venue>_<BASE>-<QUOTE>_<timeframe>.csv`, unless that is what
    /// it holds already.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(
        &mut self,
        directory: &Path,
        market: &Market,
        window: &Window,
    ) -> Result<(), keel_data::CandleFileError> {
        let Some(last) = window.open_time_ms().last().copied() else { return Ok(()) };
        if self.written.get(market) == Some(&last) {
            return Ok(());
        }
        let (venue, symbol, timeframe) = market;
        let name = format!("{venue}_{}-{}_{timeframe}.csv", symbol.base, symbol.quote);
        let candles: Vec<Candle> = window.candles().collect();
        keel_data::write_csv(&directory.join(name), &candles)?;
        self.written.insert(market.clone(), last);
        Ok(())
    }
}
