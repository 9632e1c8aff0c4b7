//! Decision records: what was decided about each asset, with the numbers that decided it.

use crate::amount::{Money, Price, Qty};
use crate::asset::{Ticker, VenueId};
use crate::order::PlannedOrder;
use crate::signal::Signal;
use rust_decimal::Decimal;
use std::fmt;

/// Why an asset was not traded, or not as far as its target. Every reason carries its numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Nothing happened that asks for a distribution.
    NoTrigger,
    /// The drift is inside the band.
    BelowThreshold {
        /// `|change| / target`.
        drift: Decimal,
        /// The band.
        threshold: Decimal,
    },
    /// The order would be worth less than the operator's minimum.
    BelowMinOrder {
        /// What it would be worth.
        value: Money,
        /// The minimum.
        minimum: Money,
    },
    /// The order would be below the market's own minimum, or rounds to nothing.
    BelowMarketMinimum {
        /// The rounded amount.
        amount: Qty,
        /// The smallest amount of this market.
        minimum_amount: Qty,
        /// The smallest cost of this market, in its quote currency.
        minimum_cost: Decimal,
    },
    /// Candles or price are too old.
    StaleData {
        /// How old the newest one is.
        age_ms: i64,
        /// How old it may be.
        limit_ms: i64,
    },
    /// No price is known.
    NoPrice,
    /// No market cap was ever known.
    NoMarketCap,
    /// A signal has not spoken yet.
    WarmingUp,
    /// The price cannot be believed.
    PriceOutOfBand {
        /// What was read.
        price: Price,
        /// What it was compared with.
        expected: Price,
        /// Where that came from.
        source: String,
        /// Allowed distance as a fraction.
        band: Decimal,
    },
    /// There is nothing to compare the price with.
    PriceUnconfirmed {
        /// What was read.
        price: Price,
    },
    /// The primary stablecoin is not worth a dollar.
    StablecoinDepegged {
        /// What it is worth.
        price: Price,
        /// Allowed distance as a fraction.
        limit: Decimal,
    },
    /// What the primary stablecoin is worth in dollars is not known, or was known too long ago.
    PegUnknown {
        /// How old its last price is, if there is one.
        age_ms: Option<i64>,
        /// How old it may be.
        limit_ms: i64,
    },
    /// Bid and ask are too far apart.
    SpreadTooWide {
        /// Their distance.
        spread_bps: Decimal,
        /// The limit.
        limit_bps: Decimal,
    },
    /// The order would move the price too far.
    SlippageTooHigh {
        /// Distance of the average price from the middle.
        slippage_bps: Decimal,
        /// The limit.
        limit_bps: Decimal,
    },
    /// The book does not hold the amount, or has one side only.
    BookTooThin {
        /// What the order asks for.
        amount: Qty,
    },
    /// The book makes no sense.
    BookCrossed {
        /// Best bid.
        bid: Price,
        /// Best ask.
        ask: Price,
    },
    /// A cap on orders or turnover is used up.
    CapReached {
        /// Which.
        cap: String,
        /// The limit, in orders or in the primary stablecoin.
        limit: String,
    },
    /// The operator paused trading.
    Paused,
    /// The venue has no such market.
    NoMarket,
    /// The market exists but takes no orders now.
    MarketHalted,
    /// Markets or balances of the venue could not be read.
    ExchangeUnavailable {
        /// What went wrong.
        cause: String,
    },
    /// What everything is worth is not known, so every target would be wrong.
    TotalUnknown {
        /// What is missing.
        cause: String,
    },
    /// Nothing is sent to the venue now.
    ExchangeClosed {
        /// Why.
        cause: String,
    },
    /// An earlier order on this asset's venue and market has an unknown outcome.
    UnresolvedOrder,
    /// The venue lacks funds that lie on other venues.
    FundsOnOtherExchange {
        /// What would have to be moved here.
        missing: Money,
    },
    /// The funds do not reach, here or elsewhere.
    InsufficientFunds {
        /// What is missing.
        missing: Money,
    },
    /// The trend signal is not a buy.
    NotTrending,
    /// The position signal is not a buy.
    PositionNotBuy,
    /// The guard refused the plan.
    GuardRefused {
        /// Its first objection.
        objection: String,
    },
    /// The primary stablecoin takes what is left; it has no orders of its own.
    ParkingPlace,
    /// A stablecoin that is shown and not traded.
    NotManaged,
    /// The venue refused the order.
    OrderRejected {
        /// Its words.
        reason: String,
    },
}

impl Reason {
    /// Whether an order that this kept back is worth another try soon. Funds, drift and minimums stay
    /// what they are until a signal or a deposit changes them.
    pub(crate) const fn passes(&self) -> bool {
        matches!(
            self,
            Self::PriceOutOfBand { .. }
                | Self::SpreadTooWide { .. }
                | Self::SlippageTooHigh { .. }
                | Self::BookTooThin { .. }
                | Self::BookCrossed { .. }
                | Self::ExchangeUnavailable { .. }
                | Self::ExchangeClosed { .. }
                | Self::UnresolvedOrder
                | Self::MarketHalted
                | Self::CapReached { .. }
                | Self::GuardRefused { .. }
                | Self::OrderRejected { .. }
        )
    }

    /// The code in records and exports.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoTrigger => "no_trigger",
            Self::BelowThreshold { .. } => "below_threshold",
            Self::BelowMinOrder { .. } => "below_min_order",
            Self::BelowMarketMinimum { .. } => "below_market_minimum",
            Self::StaleData { .. } => "stale_data",
            Self::NoPrice => "no_price",
            Self::NoMarketCap => "no_market_cap",
            Self::WarmingUp => "warming_up",
            Self::PriceOutOfBand { .. } => "price_out_of_band",
            Self::PriceUnconfirmed { .. } => "price_unconfirmed",
            Self::StablecoinDepegged { .. } => "stablecoin_depegged",
            Self::PegUnknown { .. } => "peg_unknown",
            Self::SpreadTooWide { .. } => "spread_too_wide",
            Self::SlippageTooHigh { .. } => "slippage_too_high",
            Self::BookTooThin { .. } => "book_too_thin",
            Self::BookCrossed { .. } => "book_crossed",
            Self::CapReached { .. } => "cap_reached",
            Self::Paused => "paused",
            Self::NoMarket => "no_market",
            Self::MarketHalted => "market_halted",
            Self::ExchangeUnavailable { .. } => "exchange_unavailable",
            Self::TotalUnknown { .. } => "total_unknown",
            Self::ExchangeClosed { .. } => "exchange_closed",
            Self::UnresolvedOrder => "unresolved_order",
            Self::FundsOnOtherExchange { .. } => "funds_on_other_exchange",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::NotTrending => "not_trending",
            Self::PositionNotBuy => "position_not_buy",
            Self::GuardRefused { .. } => "guard_refused",
            Self::ParkingPlace => "parking_place",
            Self::NotManaged => "not_managed",
            Self::OrderRejected { .. } => "order_rejected",
        }
    }
}

/// A duration for people: `3 h`, `2.5 d`.
fn ago(ms: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let hours = ms as f64 / 3_600_000.0;
    if hours < 1.0 {
        format!("{:.0} min", hours * 60.0)
    } else if hours < 48.0 {
        format!("{hours:.1} h")
    } else {
        format!("{:.1} d", hours / 24.0)
    }
}

/// Eight significant digits for people: the other source's price may come with many more.
fn short(price: Price) -> Decimal {
    let price = price.get();
    price.round_sf(8).unwrap_or(price).normalize()
}

/// Two decimals for people; the exact value is in the record.
fn cents(money: Money) -> Decimal {
    money.get().round_dp(2)
}

impl fmt::Display for Reason {
    /// One sentence without a full stop, with the numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTrigger => f.write_str("no signal was due and the funds did not change"),
            Self::BelowThreshold { drift, threshold } => write!(
                f,
                "its drift of {} % is inside the band of {} %",
                (drift * Decimal::ONE_HUNDRED).round_dp(3).normalize(),
                (threshold * Decimal::ONE_HUNDRED).normalize()
            ),
            Self::BelowMinOrder { value, minimum } => write!(
                f,
                "an order of {} would be below the minimum of {}",
                cents(*value),
                minimum.get().normalize()
            ),
            Self::BelowMarketMinimum { amount, minimum_amount, minimum_cost } => write!(
                f,
                "an order of {amount} would be below the market's minimum (amount {}, cost {})",
                minimum_amount.get().normalize(),
                minimum_cost.normalize()
            ),
            Self::StaleData { age_ms, limit_ms } => write!(
                f,
                "the newest price or candle is {} old, more than {}",
                ago(*age_ms),
                ago(*limit_ms)
            ),
            Self::NoPrice => f.write_str("no price is known"),
            Self::NoMarketCap => f.write_str("no market capitalisation is known"),
            Self::WarmingUp => f.write_str("a signal has not spoken yet, so both count as sell"),
            Self::PriceOutOfBand { price, expected, source, band } => write!(
                f,
                "its price of {} is more than {} % from {} of {source}",
                short(*price),
                (band * Decimal::ONE_HUNDRED).normalize(),
                short(*expected)
            ),
            Self::PriceUnconfirmed { price } => write!(
                f,
                "there is nothing to compare its price of {} with, until the next cycle sees it too",
                price.get().normalize()
            ),
            Self::StablecoinDepegged { price, limit } => write!(
                f,
                "the primary stablecoin is worth {} dollars, more than {} % below one",
                price.get().normalize(),
                (limit * Decimal::ONE_HUNDRED).normalize()
            ),
            Self::PegUnknown { age_ms: None, .. } => {
                f.write_str("what the primary stablecoin is worth in dollars is not known")
            }
            Self::PegUnknown { age_ms: Some(age_ms), limit_ms } => write!(
                f,
                "the price of the primary stablecoin in dollars is {} old, more than {}",
                ago(*age_ms),
                ago(*limit_ms)
            ),
            Self::SpreadTooWide { spread_bps, limit_bps } => write!(
                f,
                "bid and ask are {} bps apart, more than {}",
                spread_bps.round_dp(1).normalize(),
                limit_bps.normalize()
            ),
            Self::SlippageTooHigh { slippage_bps, limit_bps } => write!(
                f,
                "the order would pay {} bps beyond the middle of the book, more than {}",
                slippage_bps.round_dp(1).normalize(),
                limit_bps.normalize()
            ),
            Self::BookTooThin { amount } => {
                write!(f, "the order book does not hold {amount} on both sides")
            }
            Self::BookCrossed { bid, ask } => {
                write!(f, "the order book makes no sense: bid {bid}, ask {ask}")
            }
            Self::CapReached { cap, limit } => write!(f, "the cap on {cap} ({limit}) is reached"),
            Self::Paused => f.write_str("trading is paused"),
            Self::NoMarket => f.write_str("the venue has no market for it"),
            Self::MarketHalted => f.write_str("the market takes no orders now"),
            Self::ExchangeUnavailable { cause } => {
                write!(f, "the exchange could not be read: {cause}")
            }
            Self::TotalUnknown { cause } => {
                write!(f, "what everything is worth is not known: {cause}")
            }
            Self::ExchangeClosed { cause } => {
                write!(f, "nothing is sent to the exchange now: {cause}")
            }
            Self::UnresolvedOrder => {
                f.write_str("an earlier order has an unknown outcome; it is looked up first")
            }
            Self::FundsOnOtherExchange { missing } => {
                write!(f, "{} would have to be moved here from other exchanges", cents(*missing))
            }
            Self::InsufficientFunds { missing } => write!(f, "{} is missing", cents(*missing)),
            Self::NotTrending => f.write_str("its dominance is not trending up"),
            Self::PositionNotBuy => f.write_str("it trends, but its price signal is not a buy"),
            Self::GuardRefused { objection } => {
                write!(f, "the guard refused the plan: {objection}")
            }
            Self::ParkingPlace => f.write_str("it takes what the others leave"),
            Self::NotManaged => f.write_str("it is shown, but never traded by Keel"),
            Self::OrderRejected { reason } => write!(f, "the venue refused the order: {reason}"),
        }
    }
}

/// Exactly one per asset and cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord {
    /// The asset.
    pub ticker: Ticker,
    /// Where it is traded; none for stablecoins.
    pub venue: Option<VenueId>,
    /// Price in the primary stablecoin.
    pub price: Option<Price>,
    /// Amount that can be traded.
    pub free: Qty,
    /// `free * price`.
    pub value: Money,
    /// Market capitalisation in USD.
    pub market_cap: Option<f64>,
    /// The position signal as it stands; it counts as a sell while either signal is unknown.
    pub position: Signal,
    /// The trend signal as it stands.
    pub trend: Signal,
    /// Share of all caps, 0..=1.
    pub dominance: f64,
    /// Weight in the portfolio.
    pub ratio: Decimal,
    /// `ratio * total`.
    pub target: Money,
    /// `target - value`, 0 inside the band.
    pub change: Money,
    /// Its share was scaled down by the altcoin cap.
    pub capped: bool,
    /// The market cap is older than the configuration allows; used all the same.
    pub cap_stale: bool,
    /// The orders on its behalf, in the order of execution; may be empty.
    pub orders: Vec<PlannedOrder>,
    /// Why there is no order, or why not more.
    pub reason: Option<Reason>,
}

impl DecisionRecord {
    /// `buy`, `sell`, or `hold`: the direction of the asset's own orders.
    #[must_use]
    pub fn action(&self) -> &'static str {
        use crate::order::Side;
        match self.orders.first() {
            None => "hold",
            Some(order) => {
                // On a direct market the asset may be the quote, and then the sides turn round.
                let is_base = order.symbol.base == self.ticker;
                if (order.side == Side::Buy) == is_base { "buy" } else { "sell" }
            }
        }
    }
}
