//! Limits: what no order may exceed, whatever the plan says. Each refusal is a reason with its numbers.

use crate::amount::{Money, Price, Qty};
use crate::decision::Reason;
use crate::order::{PlannedOrder, Side};
use crate::ports::PricePoint;
use crate::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A price or candle may be this far ahead of our clock before it counts as being of the future.
pub const FUTURE_TOLERANCE_MS: i64 = 60_000;

/// A second source, or the stablecoin's own market, that is older than this says nothing about a price.
pub const REFERENCE_AGE_MAX_MS: i64 = 30 * 60_000;

/// A doubt confirms what comes after it for this time, or for a bar of the asset's positions where
/// that is longer: cycles of a tape are up to a bar apart.
pub(crate) const DOUBT_AGE_MAX_MS: i64 = 15 * 60_000;

/// What the operator allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest distance of a new price from the last good one or a second source, as a fraction.
    pub price_band: Decimal,
    /// Largest spread between best bid and best ask, in basis points of the middle.
    pub max_spread_bps: Decimal,
    /// Largest distance of an order's average price from the middle, in basis points.
    pub max_slippage_bps: Decimal,
    /// Orders in one cycle.
    pub max_orders_per_cycle: u32,
    /// Orders in one UTC day.
    pub max_orders_per_day: u32,
    /// Value of the orders of one cycle, as a multiple of the portfolio.
    pub max_turnover_per_cycle: Decimal,
    /// Value of the orders of one UTC day, as a multiple of the portfolio.
    pub max_turnover_per_day: Decimal,
    /// How far below one dollar the primary stablecoin may be, as a fraction.
    pub max_depeg: Decimal,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            price_band: Decimal::new(25, 2),
            max_spread_bps: Decimal::new(200, 0),
            max_slippage_bps: Decimal::new(200, 0),
            max_orders_per_cycle: 200,
            max_orders_per_day: 2000,
            max_turnover_per_cycle: Decimal::new(2, 0),
            max_turnover_per_day: Decimal::new(24, 0),
            max_depeg: Decimal::new(3, 2),
        }
    }
}

/// What was used of the daily limits. It lives in the state, so a restart does not reset it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUse {
    /// Days since the epoch, UTC.
    pub day: i64,
    /// Orders sent on that day.
    pub orders: u32,
    /// Their value.
    pub turnover: Money,
}

impl DayUse {
    /// The use of the day of `now`.
    #[must_use]
    pub const fn on(self, now: Timestamp) -> Self {
        let day = now.ms().div_euclid(86_400_000);
        if day == self.day { self } else { Self { day, orders: 0, turnover: Money::ZERO } }
    }
}

/// The orders of one cycle against the caps of the cycle and of the day.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    total: Money,
    orders: u32,
    turnover: Money,
    /// The day, these orders included.
    pub day: DayUse,
}

impl Tally {
    /// Nothing sent yet in this cycle; the portfolio is worth `total`.
    #[must_use]
    pub const fn new(total: Money, day: DayUse) -> Self {
        Self { total, orders: 0, turnover: Money::ZERO, day }
    }

    /// Counts an order worth `value`.
    ///
    /// # Errors
    /// When a cap does not allow it; it is not counted then.
    pub fn take(&mut self, value: Money, limits: &Limits) -> Result<(), Reason> {
        let most = |factor: Decimal| self.total.times(factor).unwrap_or(self.total);
        let reached = |cap: &str, limit: String| Reason::CapReached { cap: cap.to_owned(), limit };
        if self.orders >= limits.max_orders_per_cycle {
            let limit = limits.max_orders_per_cycle.to_string();
            return Err(reached("orders per cycle", limit));
        }
        if self.day.orders >= limits.max_orders_per_day {
            return Err(reached("orders per day", limits.max_orders_per_day.to_string()));
        }
        let (cycle, day) = (most(limits.max_turnover_per_cycle), most(limits.max_turnover_per_day));
        if self.turnover + value > cycle {
            return Err(reached("turnover per cycle", cycle.get().round_dp(2).to_string()));
        }
        if self.day.turnover + value > day {
            return Err(reached("turnover per day", day.get().round_dp(2).to_string()));
        }
        self.orders += 1;
        self.turnover += value;
        self.day.orders += 1;
        self.day.turnover += value;
        Ok(())
    }
}

/// Whether two prices are within `band` of each other, measured at the smaller one.
fn agree(a: Price, b: Price, band: Decimal) -> bool {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    low.is_positive()
        && low.get().checked_mul(Decimal::ONE + band).is_some_and(|limit| high.get() <= limit)
}

/// What is known about a price from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Witnesses {
    /// The last price that was accepted, if it is recent.
    pub last_good: Option<Price>,
    /// The close of the newest candle, if it is recent.
    pub candle: Option<Price>,
    /// A price that a cycle shortly before doubted.
    pub doubted: Option<Price>,
    /// What a second source says.
    pub reference: Option<PricePoint>,
}

/// Whether a new price can be believed. A second source decides where there is one. Without one the
/// price must be near the last good one, after an outage near the newest candle, or near the price
/// that the cycle before doubted: a move that stays is a move, a single wild quote is not.
///
/// # Errors
/// When it is not believed, or when there is nothing to compare it with.
pub fn judge_price(
    price: Price,
    witnesses: Witnesses,
    band: Decimal,
    now: Timestamp,
) -> Result<(), Reason> {
    let fresh = |point: &PricePoint| now.since_ms(point.as_of) <= REFERENCE_AGE_MAX_MS;
    let reference = witnesses.reference.filter(fresh);
    let stays = witnesses.doubted.is_some_and(|doubted| agree(price, doubted, band));
    if reference.is_none() && stays {
        return Ok(());
    }
    let (expected, source) = match (reference, witnesses.last_good, witnesses.candle) {
        (Some(reference), ..) => (reference.price, "a second source"),
        (None, Some(last), _) => (last, "the last good price"),
        (None, None, Some(close)) => (close, "the newest candle"),
        (None, None, None) => return Err(Reason::PriceUnconfirmed { price }),
    };
    if agree(price, expected, band) {
        Ok(())
    } else {
        Err(Reason::PriceOutOfBand { price, expected, source: source.to_owned(), band })
    }
}

/// Whether the primary stablecoin is worth a dollar, as far as somebody told lately. One that is worth
/// more is no danger: what is parked in it loses nothing, and everything else is valued in it at its
/// own markets, so that the shares of the portfolio stay what they are.
///
/// # Errors
/// When it is below a dollar by more than `limit`, or when nobody can say.
pub fn judge_peg(told: Option<PricePoint>, limit: Decimal, now: Timestamp) -> Result<(), Reason> {
    let age_ms = told.map(|point| now.since_ms(point.as_of));
    let Some(PricePoint { price, .. }) = told.filter(|_| age_ms <= Some(REFERENCE_AGE_MAX_MS))
    else {
        return Err(Reason::PegUnknown { age_ms, limit_ms: REFERENCE_AGE_MAX_MS });
    };
    if Decimal::ONE - price.get() > limit {
        return Err(Reason::StablecoinDepegged { price, limit });
    }
    Ok(())
}

/// Open orders of a market, best first, as far as a venue tells; or that nobody recorded them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A tape without order books: the broker's cost model stands for them.
    NotRecorded,
    /// What the venue says now.
    Book {
        /// Price and amount of bids, highest first.
        bids: Vec<(Price, Qty)>,
        /// Price and amount of asks, lowest first.
        asks: Vec<(Price, Qty)>,
    },
}

/// Whether the order can be executed near the middle of the book.
///
/// # Errors
/// When the book is empty, one-sided or crossed, too far from `reference` (quote per base), too wide,
/// or too thin for the amount.
pub fn judge_depth(
    order: &PlannedOrder,
    depth: &Depth,
    reference: Price,
    limits: &Limits,
) -> Result<(), Reason> {
    let Depth::Book { bids, asks } = depth else { return Ok(()) };
    let thin = || Reason::BookTooThin { amount: order.amount };
    let (Some((bid, _)), Some((ask, _))) = (bids.first(), asks.first()) else {
        return Err(thin());
    };
    if !bid.is_positive() || bid >= ask {
        return Err(Reason::BookCrossed { bid: *bid, ask: *ask });
    }
    let two = Decimal::TWO;
    let middle = Price::new(bid.get() / two + ask.get() / two);
    let bps = |distance: Decimal| {
        distance
            .checked_mul(Decimal::new(10_000, 0))
            .and_then(|scaled| scaled.checked_div(middle.get()))
            .unwrap_or(Decimal::MAX)
    };
    let spread_bps = bps(ask.get() - bid.get());
    if spread_bps > limits.max_spread_bps {
        return Err(Reason::SpreadTooWide { spread_bps, limit_bps: limits.max_spread_bps });
    }
    if !agree(middle, reference, limits.price_band) {
        return Err(Reason::PriceOutOfBand {
            price: middle,
            expected: reference,
            source: "the price of the plan".to_owned(),
            band: limits.price_band,
        });
    }
    let side = if order.side == Side::Buy { asks } else { bids };
    let average = average_price(side, order.amount).ok_or_else(thin)?;
    let slippage_bps = bps((average.get() - middle.get()).abs());
    if slippage_bps > limits.max_slippage_bps {
        return Err(Reason::SlippageTooHigh { slippage_bps, limit_bps: limits.max_slippage_bps });
    }
    // A book that moved away makes a buy dearer than planned. A sell spends what was planned.
    let band = limits.max_slippage_bps / Decimal::new(10_000, 0);
    if order.side == Side::Buy && average > reference && !agree(average, reference, band) {
        return Err(Reason::PriceOutOfBand {
            price: average,
            expected: reference,
            source: "the price of the plan".to_owned(),
            band,
        });
    }
    Ok(())
}

/// The average price of taking `amount` from one side of a book; `None` when it is not there.
fn average_price(side: &[(Price, Qty)], amount: Qty) -> Option<Price> {
    let (mut left, mut cost) = (amount.get(), Decimal::ZERO);
    for (price, available) in side {
        let taken = left.min(available.get());
        cost = cost.checked_add(taken.checked_mul(price.get())?)?;
        left -= taken;
        if left <= Decimal::ZERO {
            return cost.checked_div(amount.get()).map(Price::new);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::OrderKind;

    fn price(text: &str) -> Price {
        Price::new(text.parse().unwrap())
    }

    fn qty(text: &str) -> Qty {
        Qty::new(text.parse().unwrap())
    }

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    fn believed(new: &str, witnesses: Witnesses) -> bool {
        judge_price(price(new), witnesses, Decimal::new(25, 2), NOW).is_ok()
    }

    /// The wicks of the incident list: ×0.13, ×250, and a delisted pair at almost nothing.
    #[test]
    fn f055_a_single_wild_price_is_not_believed_and_a_move_that_stays_is() {
        let last = Witnesses { last_good: Some(price("65700")), ..Witnesses::default() };
        for wild in ["8200", "16425000", "0.0001", "79228162514264337593543950335"] {
            assert!(!believed(wild, last), "{wild}");
        }
        assert!(believed("65000", last) && believed("80000", last));
        assert!(believed("8200", Witnesses { doubted: Some(price("8300")), ..last }));
    }

    #[test]
    fn f056_without_a_second_source_or_a_last_price_the_newest_candle_or_time_decides() {
        let candle = Witnesses { candle: Some(price("100")), ..Witnesses::default() };
        assert!(believed("110", candle) && !believed("13", candle));
        assert!(believed("13", Witnesses { doubted: Some(price("14")), ..candle }));
        let moved = Witnesses { last_good: Some(price("60")), ..candle };
        assert!(believed("55", moved) && !believed("100", moved), "the last price is newer");
        assert!(!believed("100", Witnesses::default()), "one source alone is none");
        let doubted = Some(price("100"));
        assert!(believed("101", Witnesses { doubted, ..Witnesses::default() }));
    }

    #[test]
    fn f056_a_second_source_decides_where_there_is_one() {
        let second =
            |text: &str| Some(PricePoint { price: price(text), as_of: NOW.plus_ms(-60_000) });
        let last = Witnesses { last_good: Some(price("100")), ..Witnesses::default() };
        assert!(believed("50", Witnesses { reference: second("51"), ..last }));
        assert!(!believed("100", Witnesses { reference: second("51"), ..last }));
        let doubted = Some(price("100"));
        assert!(!believed("100", Witnesses { reference: second("51"), doubted, ..last }));
        let old = Some(PricePoint { price: price("51"), as_of: NOW.plus_ms(-7_200_000) });
        assert!(believed("100", Witnesses { reference: old, ..last }), "too old to count");
    }

    fn order(side: Side, amount: &str) -> PlannedOrder {
        PlannedOrder {
            kind: OrderKind::Stable,
            venue: "binance".parse().unwrap(),
            symbol: "BTC/USDT".parse().unwrap(),
            side,
            amount: qty(amount),
            value: Money::ZERO,
        }
    }

    fn code(order: &PlannedOrder, bids: &[(&str, &str)], asks: &[(&str, &str)]) -> &'static str {
        let side = |levels: &[(&str, &str)]| {
            levels.iter().map(|(at, amount)| (price(at), qty(amount))).collect()
        };
        let depth = Depth::Book { bids: side(bids), asks: side(asks) };
        match judge_depth(order, &depth, price("100"), &Limits::default()) {
            Ok(()) => "ok",
            Err(reason) => reason.code(),
        }
    }

    #[test]
    fn f057_a_stablecoin_below_its_dollar_is_a_danger_and_one_above_it_is_none() {
        let judged = |text: &str, minutes_old: i64| {
            let as_of = NOW.plus_ms(-minutes_old * 60_000);
            let told = Some(PricePoint { price: price(text), as_of });
            judge_peg(told, Limits::default().max_depeg, NOW).map_err(|reason| reason.code())
        };
        for fine in ["0.97", "1", "1.03", "1.11"] {
            assert_eq!(judged(fine, 30), Ok(()), "{fine}");
            assert_eq!(judged(fine, 31), Err("peg_unknown"), "{fine}");
        }
        assert_eq!(judged("0.9699", 0), Err("stablecoin_depegged"));
        let nobody = judge_peg(None, Limits::default().max_depeg, NOW).unwrap_err();
        assert_eq!(nobody.code(), "peg_unknown");
    }

    #[test]
    fn f059_empty_one_sided_crossed_wide_and_thin_books_take_no_order() {
        let (buy, sell) = (order(Side::Buy, "2"), order(Side::Sell, "2"));
        let deep = [("99.9", "5")];
        assert_eq!(code(&buy, &deep, &[("100.1", "1"), ("100.3", "1")]), "ok");
        assert_eq!(code(&buy, &[], &[]), "book_too_thin");
        assert_eq!(code(&buy, &deep, &[]), "book_too_thin");
        assert_eq!(code(&sell, &[], &deep), "book_too_thin");
        assert_eq!(code(&buy, &deep, &[("100.1", "1.9")]), "book_too_thin");
        for bid in ["100.2", "100.1"] {
            assert_eq!(code(&sell, &[(bid, "5")], &[("100.1", "5")]), "book_crossed");
        }
        assert_eq!(code(&sell, &[("90", "5")], &[("110", "5")]), "spread_too_wide");
        assert_eq!(code(&buy, &deep, &[("100.1", "1"), ("110", "1")]), "slippage_too_high");
        assert_eq!(code(&buy, &[("199.9", "5")], &[("200", "5")]), "price_out_of_band");
        // The price moved after the plan: a buy would spend more than was planned, a sell would not.
        let moved = ([("119.9", "5")], [("120", "5")]);
        assert_eq!(code(&buy, &moved.0, &moved.1), "price_out_of_band");
        assert_eq!(code(&sell, &moved.0, &moved.1), "ok");
        assert_eq!(code(&buy, &[("83.9", "5")], &[("84", "5")]), "ok", "cheaper is welcome");
        let none = judge_depth(&buy, &Depth::NotRecorded, price("100"), &Limits::default());
        assert!(none.is_ok(), "a tape has no books");
    }

    #[test]
    fn caps_of_orders_and_turnover_hold_over_cycles_of_a_day() {
        let limits = Limits {
            max_orders_per_cycle: 2,
            max_orders_per_day: 3,
            max_turnover_per_day: Decimal::new(3, 0),
            ..Limits::default()
        };
        let value = Money::new(Decimal::ONE_HUNDRED);
        let mut first = Tally::new(Money::new(Decimal::ONE_THOUSAND), DayUse::default().on(NOW));
        assert!(first.take(value, &limits).is_ok() && first.take(value, &limits).is_ok());
        assert_eq!(first.take(value, &limits).unwrap_err().code(), "cap_reached");
        let mut second = Tally::new(Money::new(Decimal::ONE_THOUSAND), first.day.on(NOW));
        assert!(second.take(value, &limits).is_ok());
        assert_eq!(second.take(value, &limits).unwrap_err().code(), "cap_reached");
        assert_eq!(second.day.orders, 3);
        let tomorrow = second.day.on(NOW.plus_ms(86_400_000));
        assert_eq!((tomorrow.orders, tomorrow.turnover), (0, Money::ZERO));
        let mut third = Tally::new(value, tomorrow);
        let large = Money::new(Decimal::new(201, 0));
        assert_eq!(third.take(large, &limits).unwrap_err().code(), "cap_reached");
        assert!(third.take(value, &limits).is_ok() && third.take(value, &limits).is_ok());
        let mut fourth = Tally::new(value, third.day);
        assert!(fourth.take(value, &limits).is_ok());
        let Err(Reason::CapReached { cap, .. }) =
            Tally::new(value, fourth.day).take(value, &Limits { max_orders_per_day: 9, ..limits })
        else {
            panic!("more than three times the portfolio in a day");
        };
        assert_eq!(cap, "turnover per day");
    }
}
