//! The files of one market: which of them reaches furthest for a timeframe.

use super::{CandleStore, StoreError};
use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::{Candle, CandleSeries};
use keel_core::resample::{fills, resample};
use keel_core::time::{TIMEFRAMES, Timeframe};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The recorded candle files of one market, each read once.
#[derive(Debug)]
pub struct MarketFiles<'a> {
    store: &'a CandleStore,
    venue: &'a VenueId,
    symbol: &'a Symbol,
    read: BTreeMap<Timeframe, CandleSeries>,
}

/// The bars that reach furthest.
#[derive(Clone, Debug)]
pub struct Longest {
    /// At least one bar.
    pub series: CandleSeries,
    /// The length of the bars in the file they were made from.
    pub from: Timeframe,
    /// Bars that another file of the same market says otherwise: the data is there twice.
    pub disputed: usize,
}

/// Bars of the same time with another open, high, low or close.
fn disputed(one: &CandleSeries, other: &CandleSeries) -> usize {
    let prices =
        |candle: &Candle| [candle.open, candle.high, candle.low, candle.close].map(f64::to_bits);
    let mut others = other.iter().peekable();
    one.iter()
        .filter(|candle| {
            while others.next_if(|other| other.open_time_ms < candle.open_time_ms).is_some() {}
            let same_time = |other: &Candle| other.open_time_ms == candle.open_time_ms;
            others.next_if(same_time).is_some_and(|other| prices(&other) != prices(candle))
        })
        .count()
}

impl<'a> MarketFiles<'a> {
    /// The files of `symbol` at `venue` in `store`.
    #[must_use]
    pub const fn new(store: &'a CandleStore, venue: &'a VenueId, symbol: &'a Symbol) -> Self {
        Self { store, venue, symbol, read: BTreeMap::new() }
    }

    /// The files that bars of a length can be made from, the coarsest first.
    #[must_use]
    pub fn sources(&self, timeframe: Timeframe) -> Vec<Timeframe> {
        TIMEFRAMES
            .iter()
            .rev()
            .filter_map(|(seconds, _)| Timeframe::from_seconds(u64::from(*seconds)))
            .filter(|finer| fills(*finer, timeframe))
            .filter(|finer| self.store.path(self.venue, self.symbol, *finer).exists())
            .collect()
    }

    /// The file of a timeframe, or a finer one made coarser when it reaches further: some
    /// recordings end years earlier on one timeframe than on another.
    ///
    /// # Errors
    /// Any of these files that cannot be used.
    pub fn longest(&mut self, timeframe: Timeframe) -> Result<Option<Longest>, StoreError> {
        let mut best: Option<Longest> = None;
        let mut others: Vec<CandleSeries> = Vec::new();
        for from in self.sources(timeframe) {
            let recorded = self.recorded(from)?.clone();
            let series = if from == timeframe {
                recorded
            } else {
                resample(&recorded, timeframe)
                    .map_err(|source| StoreError::Resample {
                        path: self.store.path(self.venue, self.symbol, from),
                        source,
                    })?
                    .series
            };
            let end = |series: &CandleSeries| series.open_time_ms().last().copied();
            if end(&series) > best.as_ref().and_then(|known| end(&known.series)) {
                let replaced = best.replace(Longest { series, from, disputed: 0 });
                others.extend(replaced.map(|replaced| replaced.series));
            } else {
                others.push(series);
            }
        }
        if let Some(best) = &mut best {
            let disputes = others.iter().map(|other| disputed(&best.series, other));
            best.disputed = disputes.max().unwrap_or(0);
        }
        Ok(best)
    }

    fn recorded(&mut self, timeframe: Timeframe) -> Result<&CandleSeries, StoreError> {
        Ok(match self.read.entry(timeframe) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unread) => {
                unread.insert(self.store.load(self.venue, self.symbol, timeframe)?.series)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(count: i64, step_hours: i64) -> Vec<Candle> {
        (0..count)
            .map(|i| Candle {
                open_time_ms: (i * step_hours + 400_000) * Timeframe::H1.ms(),
                open: 1.0,
                high: 2.0,
                low: 1.0,
                close: 2.0,
                volume: 1.0,
            })
            .collect()
    }

    #[test]
    fn a_finer_file_that_reaches_further_wins() {
        let place = tempfile::tempdir().unwrap();
        let (venue, symbol) = ("binance".parse().unwrap(), "BTC/USDT".parse().unwrap());
        let store = CandleStore::at(place.path());
        let write = |timeframe, candles: &[Candle]| {
            let path = store.path(&venue, &symbol, timeframe);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::write_parquet(&path, candles).unwrap();
        };
        write(Timeframe::H4, &hours(2, 4));
        let longest = |timeframe| {
            MarketFiles::new(&store, &venue, &symbol).longest(timeframe).unwrap().unwrap()
        };
        assert_eq!(
            (longest(Timeframe::H4).from, longest(Timeframe::H4).series.len()),
            (Timeframe::H4, 2)
        );
        write(Timeframe::H1, &hours(8, 1));
        assert_eq!(longest(Timeframe::H4).from, Timeframe::H4, "no further, so the file itself");
        write(Timeframe::H1, &hours(12, 1));
        assert_eq!(
            (longest(Timeframe::H4).from, longest(Timeframe::H4).series.len()),
            (Timeframe::H1, 3)
        );
        assert_eq!(longest(Timeframe::H4).disputed, 0);
        let mut other = hours(2, 4);
        other[1].high = 3.0;
        write(Timeframe::H4, &other);
        assert_eq!(longest(Timeframe::H4).disputed, 1, "both files have the second bar");
        assert!(
            MarketFiles::new(&store, &venue, &symbol).longest(Timeframe::M15).unwrap().is_none()
        );
    }
}
