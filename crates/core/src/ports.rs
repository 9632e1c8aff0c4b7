//! The questions asked of the world. Live, paper, replay and backtest differ only in who answers.

use crate::amount::{Price, Qty};
use crate::asset::{Symbol, Ticker, VenueId};
use crate::candle::Window;
use crate::limits::Depth;
use crate::order::{ClientOrderId, Intent, Outcome};
use crate::plan::Markets;
use crate::policy::AssetPolicy;
use crate::question::{Newest, Question};
use crate::record::CycleRecord;
use crate::state::{Balance, State};
use crate::time::{Timeframe, Timestamp};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

/// A question that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PortError(pub String);

/// A price and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PricePoint {
    /// Quote per base.
    pub price: Price,
    /// The moment the venue gives for it.
    pub as_of: Timestamp,
}

/// A market capitalisation and when it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapPoint {
    /// In USD, above 0.
    pub cap_usd: f64,
    /// The moment the source gives for it.
    pub as_of: Timestamp,
}

/// What time it is.
pub trait Clock {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// Candles, prices, market rules and market caps.
pub trait MarketData {
    /// The markets of a venue.
    fn markets(&self, venue: &VenueId) -> impl Future<Output = Result<Arc<Markets>, PortError>>;

    /// The newest closed candles of a market, at most `limit`, fewer at the start of its history.
    fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> impl Future<Output = Result<Window, PortError>>;

    /// The most closed candles that a venue gives of a market whose history is longer, when it keeps
    /// older ones to itself.
    fn history_max(&self, _venue: &VenueId) -> Option<usize> {
        None
    }

    /// The last price of each symbol, in their order; `None` where there is none.
    fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> impl Future<Output = Result<Vec<Option<PricePoint>>, PortError>>;

    /// Whether prices are taken from a record, where each is the close of a candle or was believed
    /// before. A venue's last price is not: a single trade may have made it.
    fn prices_are_recorded(&self) -> bool {
        false
    }

    /// Market caps of all assets in one request; assets without one are left out.
    fn caps(
        &self,
        assets: &[AssetPolicy],
    ) -> impl Future<Output = Result<BTreeMap<Ticker, CapPoint>, PortError>>;

    /// Prices of the assets in the primary stablecoin or dollars from a source other than their
    /// venue. A tape has none.
    fn reference_prices(
        &self,
        _assets: &[AssetPolicy],
    ) -> impl Future<Output = Result<BTreeMap<Ticker, PricePoint>, PortError>> {
        std::future::ready(Ok(BTreeMap::new()))
    }

    /// The primary stablecoin in dollars, by a market of its own. `None`: there is no such market, as
    /// on a tape. A market that does not tell is an error.
    fn peg(
        &self,
        _stablecoin: &Ticker,
    ) -> impl Future<Output = Result<Option<PricePoint>, PortError>> {
        std::future::ready(Ok(None))
    }

    /// The answer to a question to a strategy, when it was given before. A simulation that runs the
    /// same bars many times may remember; everything else works it out.
    fn recall(&self, _question: &Question<'_>) -> Option<Newest> {
        None
    }

    /// Takes note of an answer that was worked out.
    fn keep(&self, _question: &Question<'_>, _answer: Newest) {}

    /// The order book of a market, deep enough for an order of `amount`. A tape has none.
    fn depth(
        &self,
        _venue: &VenueId,
        _symbol: &Symbol,
        _amount: Qty,
    ) -> impl Future<Output = Result<Depth, PortError>> {
        std::future::ready(Ok(Depth::NotRecorded))
    }
}

/// Balances and orders.
pub trait Broker {
    /// All balances of the account at a venue. What is not listed is zero.
    fn balances(
        &self,
        venue: &VenueId,
    ) -> impl Future<Output = Result<BTreeMap<Ticker, Balance>, PortError>>;

    /// Why nothing is sent to the venue now, if nothing is. Asked before an order is planned and again
    /// before it is written down: what cannot leave is no order, and counts against no cap.
    fn closed(&self, _venue: &VenueId) -> Option<String> {
        None
    }

    /// Sends an order, once.
    fn place(&mut self, intent: &Intent) -> impl Future<Output = Outcome>;

    /// What became of an order whose outcome is unknown; still `Unknown` while nobody can tell.
    fn look_up(&mut self, intent: &Intent) -> impl Future<Output = Outcome>;

    /// What the broker itself must find again after a restart: a paper account. A real venue keeps
    /// its own books.
    fn checkpoint(&self) -> Option<String> {
        None
    }
}

/// A record that could not be written. Nothing may be sent after it.
#[derive(Debug, thiserror::Error)]
#[error("the journal could not be written")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The journal.
pub trait Store {
    /// Makes intents durable. No order leaves before this returned.
    ///
    /// # Errors
    /// When they are not durable.
    fn write_intents(&mut self, intents: &[Intent]) -> Result<(), StoreError>;

    /// Notes what became of an intent. It becomes durable with what is written next.
    ///
    /// # Errors
    /// When it could not be written.
    fn write_outcome(
        &mut self,
        id: &ClientOrderId,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Makes the outcomes so far and the broker's checkpoint durable together, in the middle of a
    /// cycle: a halt that an outcome revealed must outlive a crash before the cycle's end. Where
    /// nothing is durable before that, there is nothing to do. What wraps a store hands it on.
    ///
    /// # Errors
    /// When they could not be written.
    fn write_checkpoint(
        &mut self,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError>;

    /// Ends a cycle: its record, the state after it and the broker's checkpoint become durable
    /// together, at once or with a later group.
    ///
    /// # Errors
    /// When they could not be written.
    fn commit(
        &mut self,
        record: &CycleRecord,
        state: &State,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError>;
}
