//! One venue: an account, its books, markets and orders. A plain value that is told the time.

use crate::book::{Book, BookShape, Level, book};
use crate::ledger::{Entry, Holding, Ledger, Party, Reason};
use crate::orders::{Amount, Fill, Kind, Lifetime, NewOrder, Order, Reject, Side, Status};
use crate::prices::{Place, PriceBoard};
use crate::rules::{MarketRules, MarketStatus, on_step, round_down};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const FEE_PLACES: u32 = 8;
const OPEN_ORDERS_MAX: usize = 200;

/// What fees are paid in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeAsset {
    /// What the order receives: the base of buys, the quote of sells.
    Received,
    /// Always the quote.
    Quote,
    /// This coin, as long as there is enough of it; then what the order receives.
    Coin(String),
}

/// Deviations from an ordinary venue that tests ask for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quirks {
    /// The next market order executes this part of its amount and then expires, once.
    pub fill_fraction: Option<Decimal>,
    /// The next market order executes this many basis points more than asked, once.
    pub overfill_bps: Option<u32>,
    /// The next market order waits in the book, untouched, until it is cancelled, once.
    pub hold_next: bool,
    /// A client id can never be used again, not even after its order is over.
    pub client_ids_for_ever: bool,
    /// Finished orders that executed nothing are forgotten after this long.
    pub forget_unfilled_after_ms: Option<i64>,
}

/// One venue with one account.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Whose prices it sees.
    pub place: Place,
    /// Its books.
    pub ledger: Ledger,
    /// Markets by `BASE/QUOTE`.
    pub markets: BTreeMap<String, MarketRules>,
    /// Every accepted order, by number.
    pub orders: BTreeMap<u64, Order>,
    /// Every execution, oldest first.
    pub fills: Vec<Fill>,
    /// Fee as a fraction of the value.
    pub fee_rate: Decimal,
    /// What fees are paid in.
    pub fee_asset: FeeAsset,
    /// Width and depth of books.
    pub shape: BookShape,
    /// Width and depth of single books.
    pub shapes: BTreeMap<String, BookShape>,
    /// Deviations.
    pub quirks: Quirks,
    /// Balances before the newest order, for stale answers.
    before_newest: BTreeMap<String, Holding>,
    /// Numbers of the open orders.
    open: BTreeSet<u64>,
    /// Places in `fills` by order.
    fills_by_order: BTreeMap<u64, Vec<usize>>,
    next_order: u64,
    next_fill: u64,
}

/// An execution in the making.
struct Piece {
    price: Decimal,
    amount: Decimal,
}

impl Exchange {
    /// A venue without markets or funds. Numbers of orders and fills start at `first_id`.
    #[must_use]
    pub fn new(place: Place, fee_rate: Decimal, fee_asset: FeeAsset, first_id: u64) -> Self {
        Self {
            place,
            ledger: Ledger::default(),
            markets: BTreeMap::new(),
            orders: BTreeMap::new(),
            fills: Vec::new(),
            fee_rate,
            fee_asset,
            shape: BookShape::default(),
            shapes: BTreeMap::new(),
            quirks: Quirks::default(),
            before_newest: BTreeMap::new(),
            open: BTreeSet::new(),
            fills_by_order: BTreeMap::new(),
            next_order: first_id,
            next_fill: first_id,
        }
    }

    /// Brings funds in. `false`: the amount is not above zero.
    pub fn deposit(&mut self, asset: &str, amount: Decimal, at_ms: i64) -> bool {
        amount > Decimal::ZERO
            && self.book_move(
                Reason::Deposit,
                asset,
                amount,
                (Party::Outside, Party::Free),
                None,
                at_ms,
            )
    }

    /// Takes free funds out. `false`: there are not as many.
    pub fn withdraw(&mut self, asset: &str, amount: Decimal, at_ms: i64) -> bool {
        amount > Decimal::ZERO
            && self.book_move(
                Reason::Withdrawal,
                asset,
                amount,
                (Party::Free, Party::Outside),
                None,
                at_ms,
            )
    }

    /// Puts free funds where they cannot be traded, or with `back` makes them free again.
    pub fn set_aside(&mut self, asset: &str, amount: Decimal, back: bool, at_ms: i64) -> bool {
        let way =
            if back { (Party::Elsewhere, Party::Free) } else { (Party::Free, Party::Elsewhere) };
        amount > Decimal::ZERO && self.book_move(Reason::Transfer, asset, amount, way, None, at_ms)
    }

    fn book_move(
        &mut self,
        reason: Reason,
        asset: &str,
        amount: Decimal,
        (from, to): (Party, Party),
        order: Option<u64>,
        at_ms: i64,
    ) -> bool {
        let asset = asset.to_owned();
        self.ledger.book(Entry { at_ms, reason, asset, amount, from, to, order })
    }

    /// The customer's balances; with `stale` as they were before the newest order.
    #[must_use]
    pub fn balances(&self, stale: bool) -> BTreeMap<String, Holding> {
        let stale = stale && !self.orders.is_empty();
        if stale { self.before_newest.clone() } else { self.ledger.holdings() }
    }

    /// The number that a stale answer does not know yet: the newest order.
    #[must_use]
    pub fn newest_order(&self) -> Option<u64> {
        self.orders.last_key_value().map(|(id, _)| *id)
    }

    /// The rate of a market at a moment.
    #[must_use]
    pub fn rate(&self, prices: &PriceBoard, market: &MarketRules, at_ms: i64) -> Option<f64> {
        prices.rate(self.place, &market.base, &market.quote, at_ms)
    }

    /// The price of a market on its grid; `None` when it has none.
    #[must_use]
    pub fn last_price(
        &self,
        prices: &PriceBoard,
        market: &MarketRules,
        at_ms: i64,
    ) -> Option<Decimal> {
        let rate = Decimal::from_f64(self.rate(prices, market, at_ms)?)?;
        let steps = (rate / market.tick).round();
        Some(steps * market.tick)
    }

    /// The book of a market; empty when it has no price.
    #[must_use]
    pub fn book(&self, prices: &PriceBoard, market: &MarketRules, at_ms: i64) -> Book {
        let shape = self.shapes.get(&market.name()).copied().unwrap_or(self.shape);
        let quote_usd = prices.price(self.place, &market.quote, at_ms);
        match (self.rate(prices, market, at_ms), quote_usd) {
            (Some(rate), Some(usd)) if rate > 0.0 && usd > 0.0 => book(market, shape, rate, usd),
            _ => Book::default(),
        }
    }

    /// The mean of the last five minutes, which the value of market orders is measured with.
    #[must_use]
    pub fn average_price(
        &self,
        prices: &PriceBoard,
        market: &MarketRules,
        at_ms: i64,
    ) -> Option<Decimal> {
        let rates: Option<Vec<f64>> =
            (0..5).map(|minute| self.rate(prices, market, at_ms - minute * 60_000)).collect();
        let mean = rates?.iter().sum::<f64>() / 5.0;
        Decimal::from_f64(mean).map(|mean| mean.round_dp(8))
    }

    /// Open orders, oldest first.
    pub fn open_orders(&self) -> impl Iterator<Item = &Order> {
        self.open.iter().filter_map(|id| self.orders.get(id))
    }

    /// The newest order with this client id, open ones first.
    #[must_use]
    pub fn by_client_id(&self, market: &str, client_id: &str) -> Option<&Order> {
        let named = |order: &&Order| order.client_id == client_id && order.market == market;
        self.open_orders()
            .find(|order| named(order))
            .or_else(|| self.orders.values().rev().find(named))
    }

    /// Executions of an order.
    pub fn fills_of(&self, order: u64) -> impl Iterator<Item = &Fill> {
        let places = self.fills_by_order.get(&order).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.fills.get(*place))
    }

    /// Whether an order with these properties would be accepted; nothing changes.
    ///
    /// # Errors
    /// The reason for which it would not.
    pub fn check(&self, prices: &PriceBoard, new: &NewOrder, now_ms: i64) -> Result<(), Reject> {
        let market = self.markets.get(&new.market).ok_or(Reject::UnknownMarket)?;
        match market.status {
            MarketStatus::Trading => {}
            MarketStatus::Halted => return Err(Reject::Halted),
            MarketStatus::Delisted => return Err(Reject::UnknownMarket),
        }
        self.check_amount(prices, market, new, now_ms)?;
        let same_id = |order: &Order| order.client_id == new.client_id;
        let used = self.open_orders().any(same_id)
            || self.quirks.client_ids_for_ever && self.orders.values().any(same_id);
        if !new.client_id.is_empty() && used {
            return Err(Reject::DuplicateId);
        }
        if self.open_orders().count() >= OPEN_ORDERS_MAX {
            return Err(Reject::TooManyOpen);
        }
        Ok(())
    }

    fn check_amount(
        &self,
        prices: &PriceBoard,
        market: &MarketRules,
        new: &NewOrder,
        now_ms: i64,
    ) -> Result<(), Reject> {
        let average = self.average_price(prices, market, now_ms).ok_or(Reject::Halted)?;
        let price = match new.kind {
            Kind::Market => average,
            Kind::Limit { price, .. } => {
                if price <= Decimal::ZERO || !on_step(price, market.tick) {
                    return Err(Reject::PriceStep);
                }
                if price > average * Decimal::from(5) || price * Decimal::from(5) < average {
                    return Err(Reject::PriceBand);
                }
                price
            }
        };
        let notional = match new.amount {
            Amount::Quote(cost) => cost,
            Amount::Base(amount) => {
                let bounds = market.min_amount..=market.max_amount;
                if !bounds.contains(&amount) || !on_step(amount, market.step) {
                    return Err(Reject::LotSize);
                }
                if new.kind == Kind::Market && amount > market.max_market_amount {
                    return Err(Reject::MarketLotSize);
                }
                amount * price
            }
        };
        if notional < market.min_notional || notional > market.max_notional {
            return Err(Reject::Notional);
        }
        Ok(())
    }

    /// Accepts an order and executes what can be executed at once.
    ///
    /// # Errors
    /// The reason for which it is refused; then nothing has changed.
    pub fn place(
        &mut self,
        prices: &PriceBoard,
        new: &NewOrder,
        now_ms: i64,
    ) -> Result<u64, Reject> {
        self.check(prices, new, now_ms)?;
        let market = self.markets.get(&new.market).cloned().ok_or(Reject::UnknownMarket)?;
        let hold = self.quirks.hold_next && new.kind == Kind::Market;
        let (wanted, pieces) = self.match_now(prices, &market, new, now_ms);
        let pieces = if hold { Vec::new() } else { pieces };
        let stays = hold
            || matches!(
                new.kind,
                Kind::Limit { lifetime: Lifetime::UntilCancelled | Lifetime::PostOnly, .. }
            );
        let executed: Decimal = pieces.iter().map(|piece| piece.amount).sum();
        if let Kind::Limit { lifetime: Lifetime::PostOnly, .. } = new.kind
            && !pieces.is_empty()
        {
            return Err(Reject::WouldTrade);
        }
        let rest = (wanted - executed).max(Decimal::ZERO);
        let rest_price = match new.kind {
            Kind::Limit { price, .. } => price,
            Kind::Market => {
                self.last_price(prices, &market, now_ms).unwrap_or_default() * Decimal::new(105, 2)
            }
        };
        let cost: Decimal = pieces.iter().map(|piece| piece.amount * piece.price).sum();
        let locked = match (stays, new.side) {
            (false, _) => Decimal::ZERO,
            (true, Side::Buy) => rest * rest_price,
            (true, Side::Sell) => rest,
        };
        let (asset, needed) = match new.side {
            Side::Buy => (&market.quote, cost + locked),
            Side::Sell => (&market.base, executed.max(wanted)),
        };
        if self.ledger.sum(Party::Free, asset) < needed {
            return Err(Reject::Funds);
        }
        self.before_newest = self.ledger.holdings();
        let id = self.next_order;
        self.next_order += 1;
        let order = Order {
            id,
            client_id: new.client_id.clone(),
            market: new.market.clone(),
            side: new.side,
            kind: new.kind,
            amount: new.amount,
            base_amount: wanted,
            executed: Decimal::ZERO,
            executed_cost: Decimal::ZERO,
            status: Status::New,
            created_ms: now_ms,
            updated_ms: now_ms,
            locked,
        };
        self.orders.insert(id, order);
        self.open.insert(id);
        if new.kind == Kind::Market {
            self.quirks.fill_fraction = None;
            self.quirks.overfill_bps = None;
            self.quirks.hold_next = false;
        }
        let asset = asset.clone();
        for piece in pieces {
            self.execute(prices, id, &market, &piece, Party::Free, now_ms);
        }
        let lock = (Party::Free, Party::Locked);
        self.book_move(Reason::Lock, &asset, locked, lock, Some(id), now_ms);
        self.conclude(id, stays, now_ms);
        Ok(id)
    }

    /// The base amount that is wanted, and what the book gives for it now.
    fn match_now(
        &self,
        prices: &PriceBoard,
        market: &MarketRules,
        new: &NewOrder,
        now_ms: i64,
    ) -> (Decimal, Vec<Piece>) {
        let book = self.book(prices, market, now_ms);
        let side = if new.side == Side::Buy { book.asks } else { book.bids };
        let acceptable = |price: Decimal| match (new.kind, new.side) {
            (Kind::Market, _) => true,
            (Kind::Limit { price: limit, .. }, Side::Buy) => price <= limit,
            (Kind::Limit { price: limit, .. }, Side::Sell) => price >= limit,
        };
        let levels: Vec<Level> =
            side.into_iter().take_while(|(price, _)| acceptable(*price)).collect();
        let wanted = match new.amount {
            Amount::Base(amount) => amount,
            Amount::Quote(cost) => base_for(&levels, cost, market),
        };
        let mut goal = wanted;
        if new.kind == Kind::Market {
            if let Some(fraction) = self.quirks.fill_fraction {
                goal = round_down(wanted * fraction, market.step);
            }
            if let Some(bps) = self.quirks.overfill_bps {
                let factor = Decimal::ONE + Decimal::new(i64::from(bps), 4);
                goal = round_down(wanted * factor, market.step);
            }
        }
        let pieces = walk(&levels, goal);
        let total: Decimal = pieces.iter().map(|piece| piece.amount).sum();
        let all_or_nothing = matches!(new.kind, Kind::Limit { lifetime: Lifetime::FillOrKill, .. });
        if all_or_nothing && total < wanted { (wanted, Vec::new()) } else { (wanted, pieces) }
    }

    /// Books one execution: both legs and the fee.
    fn execute(
        &mut self,
        prices: &PriceBoard,
        id: u64,
        market: &MarketRules,
        piece: &Piece,
        pays_from: Party,
        now_ms: i64,
    ) {
        let Some(side) = self.orders.get(&id).map(|order| order.side) else { return };
        let cost = piece.amount * piece.price;
        let (given, given_amount, got, got_amount) = match side {
            Side::Buy => (&market.quote, cost, &market.base, piece.amount),
            Side::Sell => (&market.base, piece.amount, &market.quote, cost),
        };
        let order = Some(id);
        let out = (pays_from, Party::Market);
        if !self.book_move(Reason::Trade, given, given_amount, out, order, now_ms) {
            return;
        }
        let into = (Party::Market, Party::Free);
        self.book_move(Reason::Trade, got, got_amount, into, order, now_ms);
        let (fee_asset, fee) = self.fee(prices, market, (got, got_amount), cost, now_ms);
        let paid = (Party::Free, Party::Fees);
        self.book_move(Reason::Fee, &fee_asset, fee, paid, order, now_ms);
        let fill = Fill {
            id: self.next_fill,
            order: id,
            market: market.name(),
            side,
            price: piece.price,
            amount: piece.amount,
            cost,
            fee,
            fee_asset,
            at_ms: now_ms,
            maker: pays_from == Party::Locked,
        };
        self.next_fill += 1;
        self.fills_by_order.entry(id).or_default().push(self.fills.len());
        self.fills.push(fill);
        if let Some(order) = self.orders.get_mut(&id) {
            order.executed += piece.amount;
            order.executed_cost += cost;
            order.updated_ms = now_ms;
        }
    }

    /// What the fee of an execution is paid in, and how much it is.
    fn fee(
        &self,
        prices: &PriceBoard,
        market: &MarketRules,
        (got, got_amount): (&str, Decimal),
        cost: Decimal,
        now_ms: i64,
    ) -> (String, Decimal) {
        let received = (got.to_owned(), (got_amount * self.fee_rate).trunc_with_scale(FEE_PLACES));
        match &self.fee_asset {
            FeeAsset::Received => received,
            FeeAsset::Quote => {
                let fee = (cost * self.fee_rate).trunc_with_scale(FEE_PLACES);
                let enough = self.ledger.sum(Party::Free, &market.quote) >= fee;
                if enough { (market.quote.clone(), fee) } else { received }
            }
            FeeAsset::Coin(coin) => {
                let rate = prices.rate(self.place, &market.quote, coin, now_ms);
                let fee = rate
                    .and_then(Decimal::from_f64)
                    .map(|rate| (cost * self.fee_rate * rate).trunc_with_scale(FEE_PLACES));
                match fee {
                    Some(fee) if self.ledger.sum(Party::Free, coin) >= fee => (coin.clone(), fee),
                    _ => received,
                }
            }
        }
    }

    /// Sets the status after executions, and frees what is no longer needed.
    fn conclude(&mut self, id: u64, stays: bool, now_ms: i64) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        order.status = if order.executed >= order.base_amount && !order.base_amount.is_zero() {
            Status::Filled
        } else if !stays {
            Status::Expired
        } else if order.executed.is_zero() {
            Status::New
        } else {
            Status::PartiallyFilled
        };
        if !order.status.is_open() {
            self.open.remove(&id);
            self.release(id, now_ms);
        }
    }

    fn release(&mut self, id: u64, now_ms: i64) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let locked = std::mem::take(&mut order.locked);
        let side = order.side;
        let Some(market) = self.markets.get(&order.market) else { return };
        let asset = if side == Side::Buy { market.quote.clone() } else { market.base.clone() };
        let free = (Party::Locked, Party::Free);
        self.book_move(Reason::Lock, &asset, locked, free, Some(id), now_ms);
    }

    /// Ends an open order.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub fn cancel(&mut self, id: u64, now_ms: i64) -> Result<(), Reject> {
        let order = self.orders.get_mut(&id).ok_or(Reject::UnknownOrder)?;
        if !order.status.is_open() {
            return Err(Reject::AlreadyOver);
        }
        order.status = Status::Cancelled;
        order.updated_ms = now_ms;
        self.open.remove(&id);
        self.release(id, now_ms);
        Ok(())
    }

    /// Executes waiting limit orders that the market has reached, and forgets what the venue forgets.
    pub fn settle(&mut self, prices: &PriceBoard, now_ms: i64) {
        let waiting: Vec<u64> = self.open_orders().map(|order| order.id).collect();
        for id in waiting {
            self.settle_one(prices, id, now_ms);
        }
        if let Some(after) = self.quirks.forget_unfilled_after_ms {
            self.orders.retain(|_, order| {
                order.status.is_open()
                    || !order.executed.is_zero()
                    || now_ms - order.updated_ms < after
            });
        }
    }

    fn settle_one(&mut self, prices: &PriceBoard, id: u64, now_ms: i64) {
        let Some(order) = self.orders.get(&id) else { return };
        let Kind::Limit { price, .. } = order.kind else { return };
        let Some(market) = self.markets.get(&order.market).cloned() else { return };
        let Some(last) = self.last_price(prices, &market, now_ms) else { return };
        let reached = match order.side {
            Side::Buy => last <= price,
            Side::Sell => last >= price,
        };
        if market.status != MarketStatus::Trading || !reached {
            return;
        }
        let amount = order.base_amount - order.executed;
        self.execute(prices, id, &market, &Piece { price, amount }, Party::Locked, now_ms);
        if let Some(order) = self.orders.get_mut(&id) {
            let used = if order.side == Side::Buy { amount * price } else { amount };
            order.locked -= used.min(order.locked);
        }
        self.conclude(id, true, now_ms);
    }
}

/// The base amount, on the grid, that `cost` buys from these levels.
fn base_for(levels: &[Level], cost: Decimal, market: &MarketRules) -> Decimal {
    let mut left = cost;
    let mut base = Decimal::ZERO;
    for (price, amount) in levels {
        let affordable = (left / *price).min(*amount);
        base += affordable;
        left -= affordable * *price;
        if left <= Decimal::ZERO {
            break;
        }
    }
    round_down(base, market.step)
}

fn walk(levels: &[Level], goal: Decimal) -> Vec<Piece> {
    let mut left = goal;
    let mut pieces = Vec::new();
    for (price, available) in levels {
        if left <= Decimal::ZERO {
            break;
        }
        let amount = left.min(*available);
        left -= amount;
        pieces.push(Piece { price: *price, amount });
    }
    pieces
}
