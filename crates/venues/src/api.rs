//! What an adapter offers: the border between a venue's dialect and the rest of the program.

use crate::http::Reply;
use async_trait::async_trait;
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::order::{ClientOrderId, Fill, Side};
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The venue said no, by a code that its documentation calls a refusal. Nothing happened.
    #[error("{refusal}: {message} (code {code})")]
    Refused {
        /// What kind of refusal.
        refusal: Refusal,
        /// The venue's code, as it is written there.
        code: String,
        /// The venue's words.
        message: String,
    },
    /// Provably not sent: no connection, an open breaker, a limiter that would wait too long.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Anything else: time-outs, resets, 5xx, bodies that cannot be read, codes that nobody listed.
    /// After a write it means that nobody knows what happened.
    #[error("no usable answer: {0}")]
    Unknown(String),
}

/// Kinds of documented refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Key, signature, permission or address of the client.
    Auth,
    /// Clock or nonce.
    Clock,
    /// Too many requests; nothing may be sent to this host before the time is over.
    RateLimited {
        /// How long to wait, as the venue says it.
        wait: Option<Duration>,
    },
    /// Not enough funds.
    Funds,
    /// Amount, price or parameters.
    Parameters,
    /// The market is halted, delisted or unknown.
    Market,
    /// There is no such order.
    NotFound,
    /// The client order id was used before: evidence that an order exists.
    DuplicateId,
    /// Another documented refusal.
    Other,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auth => "key or permission refused",
            Self::Clock => "clock or nonce refused",
            Self::RateLimited { .. } => "too many requests",
            Self::Funds => "not enough funds",
            Self::Parameters => "parameters refused",
            Self::Market => "market not available",
            Self::NotFound => "no such order",
            Self::DuplicateId => "order id used before",
            Self::Other => "refused",
        })
    }
}

/// An answer of a venue.
pub type Answer<T> = Result<T, ApiError>;

/// How a venue treats orders; the card in `docs/venues.md` gives the evidence.
#[derive(Clone, Copy, Debug)]
pub struct VenueFacts {
    /// Our name of the venue.
    pub id: &'static str,
    /// Names in `urls` of the configuration and their defaults.
    pub urls: &'static [(&'static str, &'static str)],
    /// The same for the test environment; empty when there is none.
    pub sandbox_urls: &'static [(&'static str, &'static str)],
    /// The longest time after sending at which the venue still accepts an order. An order that is
    /// absent after it, the skew of clocks and a margin will never appear.
    pub validity: Duration,
    /// Market buys name a cost and never a base amount: what they buy follows from the price.
    pub buys_by_cost: bool,
    /// Whether the passphrase is needed beside key and secret.
    pub needs_password: bool,
    /// Whether the rights of a key can be read, so that keys that can withdraw are refused.
    pub tells_key_rights: bool,
    /// The most candles that one request gives.
    pub candles_per_request: usize,
    /// Lengths of bars that the venue serves on our grid, by our names, and its names for them.
    pub timeframes: &'static [(&'static str, &'static str)],
    /// The most closed candles of a market that the venue can ever give, where it keeps only the
    /// newest: an asset there never has a longer history, however long it has been listed.
    pub history_max: Option<usize>,
    /// The limits that the transport keeps; requests name them in their [`Charge`](crate::http::Charge).
    pub buckets: &'static [Bucket],
    /// What the venue's headers say about the use of its limits.
    pub used: fn(&Reply) -> Vec<Used>,
}

impl VenueFacts {
    /// The lengths of bars that the venue serves.
    pub fn served(&self) -> impl Iterator<Item = Timeframe> + '_ {
        self.timeframes.iter().filter_map(|(ours, _)| ours.parse().ok())
    }

    /// The venue's name for bars of this length.
    ///
    /// # Errors
    /// When it has none; nothing was sent then.
    pub fn timeframe(&self, timeframe: Timeframe) -> Answer<&'static str> {
        let found = self.timeframes.iter().find(|(ours, _)| *ours == timeframe.name());
        found.map(|(_, theirs)| *theirs).ok_or_else(|| {
            let known: Vec<&str> = self.timeframes.iter().map(|(ours, _)| *ours).collect();
            let (id, known) = (self.id, known.join(" "));
            ApiError::NotSent(format!(
                "{id} has no candles of {timeframe}; expected one of {known}"
            ))
        })
    }
}

/// A limit of a venue: so many units in so long. The transport plans with 80 % of it.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: &'static str,
    /// Units that the venue grants by its documentation; what it publishes itself comes in its place.
    pub units: u32,
    /// In this time.
    pub per: Duration,
}

/// What a header says about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Name of the bucket.
    pub bucket: &'static str,
    /// Units used in its running window, by the venue's own count.
    pub units: u32,
}

/// The newest trade price of a market, and its best bid and ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickerQuote {
    /// The market.
    pub symbol: Symbol,
    /// Price of the last trade.
    pub last: Price,
    /// Best bid, where the venue gives it here.
    pub bid: Option<Price>,
    /// Best ask, where the venue gives it here.
    pub ask: Option<Price>,
    /// The moment that the venue gives for it; `None` where it gives none.
    pub as_of: Option<Timestamp>,
}

/// Open limit orders, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Price and amount of bids, highest first.
    pub bids: Vec<(Price, Qty)>,
    /// Price and amount of asks, lowest first.
    pub asks: Vec<(Price, Qty)>,
}

/// How much a market order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderAmount {
    /// Of the base currency.
    Base(Qty),
    /// Of the quote currency: buys only.
    Quote(Decimal),
}

/// A market order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketOrder {
    /// Our derived name, sent in the form that the venue accepts.
    pub id: ClientOrderId,
    /// The market.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// How much, already on the market's grid.
    pub amount: OrderAmount,
    /// The price of the plan, quote per base, for venues whose market buys take only a cost.
    pub reference_price: Price,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderStatus {
    /// Accepted; more may be executed.
    Open,
    /// Executed in full.
    Filled,
    /// Over, with what was executed until then (may be nothing): cancelled or expired.
    Ended,
    /// Refused after it was acknowledged; nothing was executed.
    Rejected,
}

/// What a venue says about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderState {
    /// The venue's name for it.
    pub venue_order_id: String,
    /// The client order id that the venue keeps for it, in the venue's form; empty when it keeps none.
    pub client_id: String,
    /// The market.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Where it stands.
    pub status: OrderStatus,
    /// Base amount that was asked for; `None` for orders by cost and where the venue does not say.
    pub amount: Option<Qty>,
    /// Base amount executed so far.
    pub executed: Qty,
    /// Quote amount executed so far, where the venue says it.
    pub executed_cost: Option<Decimal>,
    /// When the venue accepted it.
    pub created_at: Option<Timestamp>,
    /// The executions, where the venue lists them with the order.
    pub fills: Vec<Fill>,
}

/// The acknowledgement of an order. It may already hold the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The venue's name for the order; what became of it has to be asked.
    Accepted {
        /// The venue's name for it.
        venue_order_id: String,
    },
    /// The order, as far as it got.
    State(OrderState),
}

/// An execution with the order it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTrade {
    /// The venue's name of the order.
    pub venue_order_id: String,
    /// The client order id, where the venue gives it with trades.
    pub client_id: Option<String>,
    /// The market.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// The execution.
    pub fill: Fill,
}

/// What a key may do. `None`: the venue does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRights {
    /// Read balances and orders.
    pub read: Option<bool>,
    /// Place spot orders.
    pub trade: Option<bool>,
    /// Withdraw or transfer funds, by any of the venue's rights for that.
    pub withdraw: Option<bool>,
    /// The key works from listed addresses only.
    pub address_bound: Option<bool>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The venue's names of the rights that are set, for the operator.
    pub names: Vec<String>,
    /// What of the account's settings makes the venue refuse spot orders, and what to change.
    pub obstacle: Option<String>,
    /// What else of the account's settings the operator has to know.
    pub warnings: Vec<String>,
}

/// Which order is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// By the name the venue gave it.
    Venue(&'a str),
    /// By ours.
    Client(&'a ClientOrderId),
}

/// A venue's spot interface. One call is one question: retries, limits and the breaker are the
/// transport's, the order protocol is its caller's. No method sends a write twice.
#[async_trait]
pub trait ExchangeApi: Send + Sync {
    /// How the venue treats orders.
    fn facts(&self) -> &'static VenueFacts;

    /// Our derived order id in the form that the venue accepts and returns: its 32 digits, unless the
    /// venue wants them otherwise.
    fn wire_id(&self, id: &ClientOrderId) -> String {
        id.as_str().to_owned()
    }

    /// The venue's clock.
    async fn time(&self) -> Answer<Timestamp>;

    /// All spot markets and their order rules; the result is never empty.
    async fn markets(&self) -> Answer<Markets>;

    /// Candles that start at or after `since`, oldest first, at most `limit` and at most
    /// [`VenueFacts::candles_per_request`]; the newest may still be open. Without `since`: the newest.
    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>>;

    /// Quotes of these markets, in any order; markets without one are left out.
    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>>;

    /// The best `depth` levels of each side at least, where there are as many.
    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book>;

    /// Spot balances by our ticker. Funds in earn, staking or margin are not spot; aliases of the
    /// same asset are one. An answer without a list of balances is an error.
    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>>;

    /// Sends a market order, once, with the venue's validity window.
    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed>;

    /// One order. `Ok(None)`: the venue says that it knows none, which before the fence is no proof.
    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>>;

    /// Open orders; of one market, or of all where the venue can.
    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>>;

    /// Finished orders of a market since then, as far back as the venue keeps them.
    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>>;

    /// Own executions in a market since then, oldest first.
    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>>;

    /// Own executions in several markets, each since its moment; without those that the venue does
    /// not have. One question for each market, unless the venue can answer for all of them at once.
    async fn own_trades_in(
        &self,
        markets: &[(Symbol, Timestamp)],
    ) -> Answer<BTreeMap<Symbol, Vec<OwnTrade>>> {
        let mut trades = BTreeMap::new();
        for (symbol, since) in markets {
            match self.own_trades(symbol, *since).await {
                Err(ApiError::Refused { refusal: Refusal::Market, .. }) => {}
                answer => {
                    trades.insert(symbol.clone(), answer?);
                }
            }
        }
        Ok(trades)
    }

    /// Executions of one order, oldest first.
    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>>;

    /// Cancels an order. `Ok` says that the venue accepted the request, not what became of the order.
    async fn cancel(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<()>;

    /// What the key may do.
    async fn key_rights(&self) -> Answer<KeyRights>;

    /// In what words the venue refused the key, from then on until its rights can be read again.
    fn key_refused(&self) -> Option<String> {
        None
    }
}
