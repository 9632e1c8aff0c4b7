//! A tape: candles, market rules and caps over time, seen through a clock that only shows the past.

use keel_core::amount::{Price, decimal_from_recorded};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::{CandleSeries, Window};
use keel_core::plan::Markets;
use keel_core::policy::AssetPolicy;
use keel_core::ports::{CapPoint, Clock, MarketData, PortError, PricePoint};
use keel_core::time::{Timeframe, Timestamp};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One venue's part of a tape.
#[derive(Clone, Debug, Default)]
pub struct VenueTape {
    /// Its markets and their rules; the same over the whole tape.
    pub markets: Arc<Markets>,
    /// Its candles, by market and then by timeframe, the finest first.
    pub candles: BTreeMap<Symbol, BTreeMap<Timeframe, Arc<CandleSeries>>>,
}

/// Candles, rules and caps over time.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// By venue.
    pub venues: BTreeMap<VenueId, VenueTape>,
    /// Market caps by asset, in order of time.
    pub caps: BTreeMap<Ticker, Vec<CapPoint>>,
}

impl Tape {
    /// The first moment at which any candle has closed, and the last one.
    #[must_use]
    pub fn range(&self) -> Option<(Timestamp, Timestamp)> {
        let series = || {
            self.venues.values().flat_map(|venue| venue.candles.values()).flat_map(BTreeMap::values)
        };
        let closes = |series: &Arc<CandleSeries>, first: bool| {
            let times = series.open_time_ms();
            let open = if first { times.first() } else { times.last() }?;
            Some(Timestamp::from_ms(open + series.timeframe().ms()))
        };
        let first = series().filter_map(|series| closes(series, true)).min()?;
        let last = series().filter_map(|series| closes(series, false)).max()?;
        Some((first, last))
    }
}

/// A clock that stands where the tape put it.
#[derive(Debug, Default)]
pub struct TapeClock(Cell<Timestamp>);

impl TapeClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(Cell::new(now))
    }

    /// Moves the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.set(now);
    }
}

impl Clock for TapeClock {
    fn now(&self) -> Timestamp {
        self.0.get()
    }
}

/// The tape as market data: only what had happened by the clock's time can be seen.
#[derive(Clone, Copy, Debug)]
pub struct ReplayMarket<'a> {
    tape: &'a Tape,
    clock: &'a TapeClock,
}

impl<'a> ReplayMarket<'a> {
    /// Market data from `tape` as of `clock`.
    #[must_use]
    pub const fn new(tape: &'a Tape, clock: &'a TapeClock) -> Self {
        Self { tape, clock }
    }

    fn venue(&self, venue: &VenueId) -> Result<&'a VenueTape, PortError> {
        self.tape
            .venues
            .get(venue)
            .ok_or_else(|| PortError(format!("the tape has no venue {venue}")))
    }

    /// The last price of a market: the close of its newest closed candle, on its finest timeframe.
    fn last(venue: &VenueTape, symbol: &Symbol, now: Timestamp) -> Option<(f64, Timestamp)> {
        let series = venue.candles.get(symbol)?.values().next()?;
        let window = Window::closed(series, now, 1);
        Some((window.last_close()?, window.closed_at()?))
    }

    fn price(venue: &VenueTape, symbol: &Symbol, now: Timestamp) -> Option<PricePoint> {
        let (price, as_of) = Self::last(venue, symbol, now).or_else(|| {
            // A cross market without candles of its own stands where its two legs put it.
            venue.candles.keys().find_map(|leg| {
                if leg.base != symbol.base {
                    return None;
                }
                let other = Symbol::new(symbol.quote.clone(), leg.quote.clone());
                let (base, base_as_of) = Self::last(venue, leg, now)?;
                let (quote, quote_as_of) = Self::last(venue, &other, now)?;
                Some((base / quote, base_as_of.min(quote_as_of)))
            })
        })?;
        Some(PricePoint { price: Price::new(decimal_from_recorded(price)?), as_of })
    }
}

impl MarketData for ReplayMarket<'_> {
    async fn markets(&self, venue: &VenueId) -> Result<Arc<Markets>, PortError> {
        Ok(Arc::clone(&self.venue(venue)?.markets))
    }

    async fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        let series = self
            .venue(venue)?
            .candles
            .get(symbol)
            .and_then(|series| series.get(&timeframe))
            .ok_or_else(|| {
                PortError(format!("the tape has no {timeframe} candles of {symbol} at {venue}"))
            })?;
        Ok(Window::closed(series, self.clock.now(), limit))
    }

    async fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        let venue = self.venue(venue)?;
        let now = self.clock.now();
        Ok(symbols.iter().map(|symbol| Self::price(venue, symbol, now)).collect())
    }

    fn prices_are_recorded(&self) -> bool {
        true
    }

    async fn caps(&self, assets: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        let now = self.clock.now();
        Ok(assets
            .iter()
            .filter_map(|asset| {
                let points = self.tape.caps.get(&asset.ticker)?;
                // The last known value is carried forward; its age travels with it.
                let known = points.partition_point(|point| point.as_of <= now);
                Some((asset.ticker.clone(), *points.get(known.checked_sub(1)?)?))
            })
            .collect())
    }
}
