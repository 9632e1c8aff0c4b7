//! Orders and executions, in the exchange's own words.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Base for quote.
    Buy,
    /// Quote for base.
    Sell,
}

/// How long a limit order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifetime {
    /// Until it is cancelled.
    UntilCancelled,
    /// What trades at once; the rest expires.
    Immediate,
    /// All at once or nothing.
    FillOrKill,
    /// Only if it does not trade at once.
    PostOnly,
}

/// Kinds of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// At what the book gives.
    Market,
    /// At this price or better.
    Limit {
        /// Quote per base.
        price: Decimal,
        /// How long.
        lifetime: Lifetime,
    },
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Amount {
    /// Of the base currency.
    Base(Decimal),
    /// Of the quote currency.
    Quote(Decimal),
}

/// An order as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The customer's name for it; empty: none.
    pub client_id: String,
    /// `BASE/QUOTE`.
    pub market: String,
    /// Which way.
    pub side: Side,
    /// What kind.
    pub kind: Kind,
    /// How much.
    pub amount: Amount,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Open, nothing traded.
    New,
    /// Open, something traded.
    PartiallyFilled,
    /// Done.
    Filled,
    /// Ended by the customer or the operator.
    Cancelled,
    /// Ended by its own rules, e.g. a market order in a thin book.
    Expired,
}

impl Status {
    /// Whether more can happen.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }
}

/// An accepted order.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// The venue's number.
    pub id: u64,
    /// The customer's name for it.
    pub client_id: String,
    /// `BASE/QUOTE`.
    pub market: String,
    /// Which way.
    pub side: Side,
    /// What kind.
    pub kind: Kind,
    /// How much was asked for.
    pub amount: Amount,
    /// Base amount that it came down to.
    pub base_amount: Decimal,
    /// Base amount executed.
    pub executed: Decimal,
    /// Quote amount executed.
    pub executed_cost: Decimal,
    /// Where it stands.
    pub status: Status,
    /// Exchange time of acceptance.
    pub created_ms: i64,
    /// Exchange time of the last change.
    pub updated_ms: i64,
    /// What is still bound for it: quote of buys, base of sells.
    pub locked: Decimal,
}

/// An execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fill {
    /// The venue's number.
    pub id: u64,
    /// The order it belongs to.
    pub order: u64,
    /// `BASE/QUOTE`.
    pub market: String,
    /// Which way.
    pub side: Side,
    /// Quote per base.
    pub price: Decimal,
    /// Base amount.
    pub amount: Decimal,
    /// Quote amount.
    pub cost: Decimal,
    /// Fee, above or equal to zero.
    pub fee: Decimal,
    /// What the fee was paid in.
    pub fee_asset: String,
    /// Exchange time.
    pub at_ms: i64,
    /// The customer's order was in the book already.
    pub maker: bool,
}

/// Why an order was not accepted, or not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// An open order has this client id.
    DuplicateId,
    /// Not enough free funds.
    Funds,
    /// No such market.
    UnknownMarket,
    /// The market takes no orders.
    Halted,
    /// The amount is off the grid or out of bounds.
    LotSize,
    /// The amount is too large for a market order.
    MarketLotSize,
    /// The price is off the grid.
    PriceStep,
    /// The price is too far from the market.
    PriceBand,
    /// The value is too small or too large.
    Notional,
    /// Too many open orders.
    TooManyOpen,
    /// A post-only order would trade at once.
    WouldTrade,
    /// There is no such order.
    UnknownOrder,
    /// The order is over.
    AlreadyOver,
}
