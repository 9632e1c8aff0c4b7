//! A venue in memory: its own ledger and orders, faults at chosen points, virtual time.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

pub mod desk;

use async_trait::async_trait;
use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Candle;
use keel_core::market::MarketRules;
use keel_core::order::{
    AccountTag, ClientOrderId, Fee, Fill, Intent, OrderKind, PlannedOrder, Side,
};
use keel_core::plan::Markets;
use keel_core::ports::Clock;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use keel_live::time::Time;
use keel_venues::api::{
    Answer, ApiError, Book, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OrderStatus, OwnTrade, Placed, Reference, Refusal, TickerQuote, VenueFacts,
};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

pub const START: Timestamp = Timestamp::from_ms(1_700_000_000_000);
pub const DEPLOYMENT: &str = "test";

/// Time that passes only when somebody waits.
#[derive(Debug)]
pub struct VirtualTime {
    passed: AtomicI64,
    /// What was done to the machine's clock.
    stepped: AtomicI64,
}

impl VirtualTime {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { passed: AtomicI64::new(START.ms()), stepped: AtomicI64::new(0) })
    }

    pub fn advance_ms(&self, ms: i64) {
        self.passed.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the machine's clock; the venue's goes on.
    pub fn step_ms(&self, ms: i64) {
        self.stepped.fetch_add(ms, Ordering::SeqCst);
    }

    /// The time that has really passed: the venue's clock.
    pub fn true_now(&self) -> Timestamp {
        Timestamp::from_ms(self.passed.load(Ordering::SeqCst))
    }
}

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        self.true_now().plus_ms(self.stepped.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Time for VirtualTime {
    async fn sleep(&self, wait: Duration) {
        self.advance_ms(i64::try_from(wait.as_millis()).unwrap());
    }

    fn monotonic_ms(&self) -> i64 {
        self.true_now().ms()
    }
}

/// What happens to one order.
#[derive(Clone, Debug)]
pub enum Fate {
    /// Executed; the answer holds everything.
    Fills,
    /// Executed; the answer only acknowledges it.
    Acknowledged,
    /// Executed; the answer is lost.
    AnswerLost,
    /// Never arrives; nobody knows.
    RequestLost,
    /// The answer is lost, and it is executed so many milliseconds later if it is still valid.
    Delayed(i64),
    /// Refused with a code.
    Refused(Refusal),
    /// Provably not sent.
    NotSent,
    /// Acknowledged, then rejected.
    RejectedLater,
    /// A part is executed, in tenths, then it expires.
    Expires { tenths: u32 },
    /// Acknowledged and open for so long, then executed.
    OpenFor(i64),
    /// Acknowledged and open for so long, a part is executed and somebody cancels the rest.
    CancelledAfter { ms: i64, tenths: u32 },
    /// More than asked for is executed, in tenths of it.
    Overfilled { tenths: u32 },
    /// Delivered twice; both are executed, one answer comes back.
    DeliveredTwice,
}

/// In what the fee is taken.
#[derive(Clone, Copy, Debug)]
pub enum FeeIn {
    Received,
    Quote,
    Third,
}

#[derive(Clone, Debug)]
pub struct Order {
    pub state: OrderState,
    /// It becomes final at this moment, with this status and executed amount.
    later: Option<(Timestamp, OrderStatus, Qty)>,
}

/// Everything behind the interface; tests set its fields.
pub struct Inner {
    pub balances: BTreeMap<Ticker, Balance>,
    pub prices: BTreeMap<Symbol, Price>,
    pub orders: Vec<Order>,
    pub trades: Vec<OwnTrade>,
    pub fates: VecDeque<Fate>,
    /// Orders that are still on their way: when they arrive and until when they are valid.
    queue: Vec<(Timestamp, Timestamp, MarketOrder)>,
    pub fee_in: FeeIn,
    pub fills_per_order: u32,
    /// The order itself lists its fills.
    pub fills_with_order: bool,
    /// The fills come doubled and in reverse.
    pub fills_shuffled: bool,
    /// Look-ups by id find nothing before this moment.
    pub id_blind_until: Timestamp,
    /// Lists of orders and trades show nothing before this moment.
    pub lists_blind_until: Timestamp,
    /// The venue has forgotten all orders; trades stay.
    pub orders_purged: bool,
    /// The venue has forgotten trades, too.
    pub trades_purged: bool,
    /// Why own trades cannot be read, if they cannot.
    pub trades_fail: Option<String>,
    /// Markets that the venue does not have any more.
    pub delisted: BTreeSet<Symbol>,
    /// Look-ups by our id give this instead.
    pub impostor: Option<OrderState>,
    /// Orders that the list of open orders shows beside the true ones: it lags behind.
    pub lists_as_open: Vec<OrderState>,
    /// What is done to the machine's clock while the next reads are answered.
    pub clock_steps_ms: VecDeque<i64>,
    /// Trades name the client order id.
    pub names_trades: bool,
    /// The balances as they are told until a moment.
    pub stale_balances: Option<(Timestamp, BTreeMap<Ticker, Balance>)>,
    /// Balances come back as an empty list.
    pub empty_balances: bool,
    /// Private reads fail while it is above zero, one less each.
    pub failing_reads: u32,
    /// So long the answers to the next reads are on their way.
    pub late_reads_ms: VecDeque<i64>,
    /// So long the next order waits for its turn before it leaves.
    pub late_write_ms: i64,
    /// All calls fail.
    pub down: bool,
    /// A source of failures for reads: called for each.
    pub dice: Option<Box<dyn FnMut() -> bool + Send>>,
    pub writes: u32,
    pub reads: u32,
    pub candles: BTreeMap<Symbol, Vec<Candle>>,
    pub candle_calls: u32,
    pub market_calls: u32,
    pub quotes: Option<Vec<TickerQuote>>,
    pub markets: Markets,
    pub clock_ahead_ms: i64,
    pub book: Book,
    buys_by_cost: bool,
    next_id: u64,
}

pub struct Double {
    pub facts: &'static VenueFacts,
    time: Arc<VirtualTime>,
    inner: Mutex<Inner>,
}

pub fn ticker(text: &str) -> Ticker {
    text.parse().unwrap()
}

pub fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

pub fn venue(text: &str) -> VenueId {
    text.parse().unwrap()
}

pub fn qty(text: &str) -> Qty {
    Qty::new(text.parse().unwrap())
}

pub fn price(text: &str) -> Price {
    Price::new(text.parse().unwrap())
}

impl Double {
    /// 1000 USDT, 2 BTC and 5 BNB; BTC costs 100.
    pub fn new(time: &Arc<VirtualTime>) -> Arc<Self> {
        Self::with_validity(time, Duration::from_secs(5))
    }

    pub fn with_validity(time: &Arc<VirtualTime>, validity: Duration) -> Arc<Self> {
        Self::make(time, validity, false)
    }

    /// Its market buys spend the cost that was planned, whatever that buys by then.
    pub fn by_cost(time: &Arc<VirtualTime>) -> Arc<Self> {
        Self::make(time, Duration::from_secs(5), true)
    }

    fn make(time: &Arc<VirtualTime>, validity: Duration, buys_by_cost: bool) -> Arc<Self> {
        let facts = Box::leak(Box::new(VenueFacts {
            id: "double",
            urls: &[],
            sandbox_urls: &[],
            validity,
            buys_by_cost,
            needs_password: false,
            tells_key_rights: false,
            candles_per_request: 100,
            timeframes: &[],
            history_max: None,
            buckets: &[],
            used: |_| Vec::new(),
        }));
        let held = |amount| Balance { free: qty(amount), used: Qty::ZERO };
        let balances = [("USDT", "1000"), ("BTC", "2"), ("ETH", "10"), ("BNB", "5")]
            .map(|(name, amount)| (ticker(name), held(amount)))
            .into();
        let prices = [("BTC/USDT", "100"), ("ETH/USDT", "10"), ("BNB/USDT", "4")]
            .map(|(name, text)| (symbol(name), price(text)));
        let markets = prices
            .iter()
            .map(|(symbol, _)| (symbol.clone(), MarketRules::unlimited(symbol.clone())))
            .collect();
        Arc::new(Self {
            facts,
            time: Arc::clone(time),
            inner: Mutex::new(Inner {
                balances,
                prices: prices.into(),
                orders: Vec::new(),
                trades: Vec::new(),
                fates: VecDeque::new(),
                queue: Vec::new(),
                fee_in: FeeIn::Received,
                fills_per_order: 1,
                fills_with_order: true,
                fills_shuffled: false,
                id_blind_until: Timestamp::from_ms(0),
                lists_blind_until: Timestamp::from_ms(0),
                orders_purged: false,
                trades_purged: false,
                trades_fail: None,
                delisted: BTreeSet::new(),
                impostor: None,
                lists_as_open: Vec::new(),
                clock_steps_ms: VecDeque::new(),
                names_trades: true,
                stale_balances: None,
                empty_balances: false,
                failing_reads: 0,
                late_reads_ms: VecDeque::new(),
                late_write_ms: 0,
                down: false,
                dice: None,
                writes: 0,
                reads: 0,
                candles: BTreeMap::new(),
                candle_calls: 0,
                market_calls: 0,
                quotes: None,
                markets,
                clock_ahead_ms: 0,
                book: Book::default(),
                buys_by_cost,
                next_id: 1,
            }),
        })
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn fate(&self, fate: Fate) {
        self.inner().fates.push_back(fate);
    }

    /// What was executed for a client order id, over all orders that carry it.
    pub fn executed(&self, id: &ClientOrderId) -> Qty {
        self.arrive();
        let inner = self.inner();
        let carries = |order: &&Order| order.state.client_id == id.as_str();
        inner.orders.iter().filter(carries).map(|order| order.state.executed).sum()
    }

    pub fn total(&self, name: &str) -> Decimal {
        self.arrive();
        let inner = self.inner();
        let balance = inner.balances.get(&ticker(name)).copied().unwrap_or_default();
        (balance.free + balance.used).get()
    }

    /// An order of somebody else, executed at once.
    pub fn foreign(&self, client_id: &str, symbol: &Symbol, side: Side, amount: &str) {
        let now = self.time.true_now();
        let mut inner = self.inner();
        let index = inner.accept(client_id, symbol, side, qty(amount), now);
        inner.execute(index, qty(amount), now);
        inner.orders[index].state.status = OrderStatus::Filled;
    }

    /// An open order of somebody else.
    pub fn foreign_open(&self, client_id: &str, symbol: &Symbol, side: Side, amount: &str) {
        let now = self.time.true_now();
        self.inner().accept(client_id, symbol, side, qty(amount), now);
    }

    /// A further execution of an order that exists.
    pub fn execute_late(&self, id: &ClientOrderId, amount: &str) {
        let now = self.time.true_now();
        let mut inner = self.inner();
        let found = inner.orders.iter().position(|order| order.state.client_id == id.as_str());
        let index = found.unwrap();
        inner.execute(index, qty(amount), now);
    }

    /// Brings everything that happens by itself up to the present.
    fn arrive(&self) {
        let now = self.time.true_now();
        let mut inner = self.inner();
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.queue).into_iter().partition(|(at, _, _)| *at <= now);
        inner.queue = waiting;
        for (at, valid_until, order) in due {
            if at <= valid_until {
                inner.take(&order, at);
            }
        }
        for index in 0..inner.orders.len() {
            if let Some((at, status, executed)) = inner.orders[index].later
                && at <= now
            {
                inner.orders[index].later = None;
                let more = executed - inner.orders[index].state.executed;
                if more.is_positive() {
                    inner.execute(index, more, at);
                }
                inner.orders[index].state.status = status;
            }
        }
    }

    fn read_market(&self, symbol: &Symbol) -> Answer<MutexGuard<'_, Inner>> {
        let inner = self.read()?;
        if inner.delisted.contains(symbol) {
            return Err(ApiError::Refused {
                refusal: Refusal::Market,
                code: "-1121".to_owned(),
                message: "Invalid symbol.".to_owned(),
            });
        }
        Ok(inner)
    }

    fn read(&self) -> Answer<MutexGuard<'_, Inner>> {
        self.arrive();
        let mut inner = self.inner();
        inner.reads += 1;
        let late_ms = inner.late_reads_ms.pop_front().unwrap_or(0);
        self.time.advance_ms(late_ms);
        self.time.step_ms(inner.clock_steps_ms.pop_front().unwrap_or(0));
        if inner.down {
            return Err(ApiError::Unknown("connection reset".to_owned()));
        }
        if inner.failing_reads > 0 {
            inner.failing_reads -= 1;
            return Err(ApiError::Unknown("status 503".to_owned()));
        }
        if inner.dice.as_mut().is_some_and(|dice| dice()) {
            return Err(ApiError::Unknown("status 502".to_owned()));
        }
        Ok(inner)
    }
}

impl Inner {
    fn accept(
        &mut self,
        client_id: &str,
        symbol: &Symbol,
        side: Side,
        amount: Qty,
        now: Timestamp,
    ) -> usize {
        let id = self.next_id;
        self.next_id += 1;
        self.orders.push(Order {
            state: OrderState {
                venue_order_id: format!("v{id}"),
                client_id: client_id.to_owned(),
                symbol: symbol.clone(),
                side,
                status: OrderStatus::Open,
                amount: (!self.is_by_cost(side)).then_some(amount),
                executed: Qty::ZERO,
                executed_cost: None,
                created_at: Some(now),
                fills: Vec::new(),
            },
            later: None,
        });
        self.orders.len() - 1
    }

    fn is_by_cost(&self, side: Side) -> bool {
        self.buys_by_cost && side == Side::Buy
    }

    /// How much of the base it trades when it is executed now.
    fn amount(&self, order: &MarketOrder) -> Qty {
        let OrderAmount::Base(amount) = order.amount else { panic!("base amounts only") };
        if self.is_by_cost(order.side) {
            let cost = amount.get() * order.reference_price.get();
            Qty::new(cost / self.prices[&order.symbol].get())
        } else {
            amount
        }
    }

    fn take(&mut self, order: &MarketOrder, now: Timestamp) -> usize {
        let amount = self.amount(order);
        let index = self.accept(order.id.as_str(), &order.symbol, order.side, amount, now);
        self.execute(index, amount, now);
        self.orders[index].state.status = OrderStatus::Filled;
        index
    }

    fn move_by(&mut self, ticker: &Ticker, amount: Decimal) {
        let balance = self.balances.entry(ticker.clone()).or_default();
        balance.free += Qty::new(amount);
    }

    fn execute(&mut self, index: usize, amount: Qty, now: Timestamp) {
        let parts = Decimal::from(self.fills_per_order);
        for part in 0..self.fills_per_order {
            let share = Qty::new((amount.get() / parts).round_dp(8));
            let last = amount - Qty::new(share.get() * Decimal::from(self.fills_per_order - 1));
            let share = if part + 1 == self.fills_per_order { last } else { share };
            self.execute_one(index, share, now);
        }
    }

    fn execute_one(&mut self, index: usize, amount: Qty, now: Timestamp) {
        let id = self.next_id;
        self.next_id += 1;
        let order = self.orders[index].state.clone();
        let price = self.prices[&order.symbol];
        let cost = amount.get() * price.get();
        let permille = Decimal::new(1, 3);
        let (base, quote) = (order.symbol.base.clone(), order.symbol.quote.clone());
        let (fee_asset, fee) = match (self.fee_in, order.side) {
            (FeeIn::Received, Side::Buy) => (base.clone(), amount.get() * permille),
            (FeeIn::Received, Side::Sell) | (FeeIn::Quote, _) => (quote.clone(), cost * permille),
            (FeeIn::Third, _) => (ticker("BNB"), cost * permille / Decimal::from(4)),
        };
        let sign = if order.side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
        self.move_by(&base, amount.get() * sign);
        self.move_by(&quote, -cost * sign);
        self.move_by(&fee_asset, -fee);
        let fill = Fill {
            trade_id: format!("t{id}"),
            price,
            amount,
            cost,
            fee: Fee { asset: fee_asset, amount: Qty::new(fee) },
            at: now,
        };
        self.orders[index].state.executed += amount;
        self.trades.push(OwnTrade {
            venue_order_id: order.venue_order_id,
            client_id: Some(order.client_id),
            symbol: order.symbol,
            side: order.side,
            fill,
        });
    }

    /// The order as the venue tells it.
    fn tell(&self, order: &OrderState) -> OrderState {
        let mut told = order.clone();
        if self.fills_with_order {
            told.fills = self.fills_of(&order.venue_order_id);
        }
        told
    }

    fn fills_of(&self, venue_order_id: &str) -> Vec<Fill> {
        let mut fills: Vec<Fill> = self
            .trades
            .iter()
            .filter(|trade| trade.venue_order_id == venue_order_id)
            .map(|trade| trade.fill.clone())
            .collect();
        if self.fills_shuffled {
            fills.reverse();
            fills.extend(fills.clone());
        }
        fills
    }

    fn tell_trade(&self, trade: &OwnTrade) -> OwnTrade {
        let client_id = trade.client_id.clone().filter(|_| self.names_trades);
        OwnTrade { client_id, ..trade.clone() }
    }
}

#[async_trait]
impl ExchangeApi for Double {
    fn facts(&self) -> &'static VenueFacts {
        self.facts
    }

    async fn time(&self) -> Answer<Timestamp> {
        let inner = self.read()?;
        Ok(self.time.true_now().plus_ms(inner.clock_ahead_ms))
    }

    async fn markets(&self) -> Answer<Markets> {
        let mut inner = self.read()?;
        inner.market_calls += 1;
        Ok(inner.markets.clone())
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        _timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        let mut inner = self.read()?;
        inner.candle_calls += 1;
        let since = since.unwrap_or_default().ms();
        let all = inner.candles.get(symbol).cloned().unwrap_or_default();
        let limit = limit.min(self.facts.candles_per_request);
        Ok(all.into_iter().filter(|bar| bar.open_time_ms >= since).take(limit).collect())
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        let inner = self.read()?;
        if let Some(quotes) = &inner.quotes {
            return Ok(quotes.clone());
        }
        let quote = |symbol: &Symbol| {
            let last = *inner.prices.get(symbol)?;
            Some(TickerQuote {
                symbol: symbol.clone(),
                last,
                bid: Some(last),
                ask: Some(last),
                as_of: Some(self.time.true_now()),
            })
        };
        Ok(symbols.iter().filter_map(quote).collect())
    }

    async fn book(&self, symbol: &Symbol, _depth: usize) -> Answer<Book> {
        let inner = self.read()?;
        if !inner.book.bids.is_empty() {
            return Ok(inner.book.clone());
        }
        let near = |permille| {
            let price = inner.prices[symbol].get() * Decimal::new(permille, 3);
            vec![(Price::new(price), qty("1000000"))]
        };
        Ok(Book { bids: near(999), asks: near(1001) })
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        let inner = self.read()?;
        if inner.empty_balances {
            return Ok(BTreeMap::new());
        }
        match &inner.stale_balances {
            Some((until, balances)) if self.time.true_now() < *until => Ok(balances.clone()),
            _ => Ok(inner.balances.clone()),
        }
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        self.time.advance_ms(std::mem::take(&mut self.inner().late_write_ms));
        self.arrive();
        let now = self.time.true_now();
        let mut inner = self.inner();
        inner.writes += 1;
        let amount = inner.amount(order);
        let lost = || Err(ApiError::Unknown("timed out".to_owned()));
        let tenth = |tenths: u32| Qty::new(amount.get() * Decimal::from(tenths) / Decimal::TEN);
        let accept = |inner: &mut Inner| {
            inner.accept(order.id.as_str(), &order.symbol, order.side, amount, now)
        };
        let acknowledged = |inner: &Inner, index: usize| {
            let venue_order_id = inner.orders[index].state.venue_order_id.clone();
            Ok(Placed::Accepted { venue_order_id })
        };
        match inner.fates.pop_front().unwrap_or(Fate::Fills) {
            Fate::Fills => {
                let index = inner.take(order, now);
                Ok(Placed::State(inner.tell(&inner.orders[index].state)))
            }
            Fate::Acknowledged => {
                let index = inner.take(order, now);
                acknowledged(&inner, index)
            }
            Fate::AnswerLost => {
                inner.take(order, now);
                lost()
            }
            Fate::RequestLost => lost(),
            Fate::Delayed(ms) => {
                let valid = i64::try_from(self.facts.validity.as_millis()).unwrap();
                inner.queue.push((now.plus_ms(ms), now.plus_ms(valid), order.clone()));
                lost()
            }
            Fate::Refused(refusal) => {
                Err(ApiError::Refused { refusal, code: "-1".to_owned(), message: "no".to_owned() })
            }
            Fate::NotSent => Err(ApiError::NotSent("connection refused".to_owned())),
            Fate::RejectedLater => {
                let index = accept(&mut inner);
                inner.orders[index].later =
                    Some((now.plus_ms(500), OrderStatus::Rejected, Qty::ZERO));
                acknowledged(&inner, index)
            }
            Fate::Expires { tenths } => {
                let index = accept(&mut inner);
                if tenths > 0 {
                    inner.execute(index, tenth(tenths), now);
                }
                inner.orders[index].state.status = OrderStatus::Ended;
                Ok(Placed::State(inner.tell(&inner.orders[index].state)))
            }
            Fate::OpenFor(ms) => {
                let index = accept(&mut inner);
                inner.orders[index].later = Some((now.plus_ms(ms), OrderStatus::Filled, amount));
                acknowledged(&inner, index)
            }
            Fate::CancelledAfter { ms, tenths } => {
                let index = accept(&mut inner);
                inner.orders[index].later =
                    Some((now.plus_ms(ms), OrderStatus::Ended, tenth(tenths)));
                acknowledged(&inner, index)
            }
            Fate::Overfilled { tenths } => {
                let index = accept(&mut inner);
                inner.execute(index, tenth(tenths), now);
                inner.orders[index].state.status = OrderStatus::Filled;
                Ok(Placed::State(inner.tell(&inner.orders[index].state)))
            }
            Fate::DeliveredTwice => {
                let index = inner.take(order, now);
                inner.take(order, now);
                Ok(Placed::State(inner.tell(&inner.orders[index].state)))
            }
        }
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        let inner = self.read_market(symbol)?;
        if self.time.true_now() < inner.id_blind_until || inner.orders_purged {
            return Ok(None);
        }
        if let (Some(impostor), Reference::Client(_)) = (&inner.impostor, of) {
            return Ok(Some(impostor.clone()));
        }
        let fits = |order: &&Order| match of {
            Reference::Venue(id) => order.state.venue_order_id == id,
            Reference::Client(id) => order.state.client_id == id.as_str(),
        };
        Ok(inner.orders.iter().rev().find(fits).map(|order| inner.tell(&order.state)))
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        let inner = self.read()?;
        if self.time.true_now() < inner.lists_blind_until {
            return Ok(Vec::new());
        }
        Ok(inner
            .orders
            .iter()
            .filter(|order| order.state.status == OrderStatus::Open)
            .filter(|order| symbol.is_none_or(|symbol| order.state.symbol == *symbol))
            .map(|order| inner.tell(&order.state))
            .chain(inner.lists_as_open.iter().cloned())
            .collect())
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        let inner = self.read_market(symbol)?;
        if self.time.true_now() < inner.lists_blind_until || inner.orders_purged {
            return Ok(Vec::new());
        }
        Ok(inner
            .orders
            .iter()
            .map(|order| &order.state)
            .filter(|order| order.status != OrderStatus::Open && order.symbol == *symbol)
            .filter(|order| order.created_at.is_some_and(|at| at >= since))
            .map(|order| inner.tell(order))
            .collect())
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        let inner = self.read_market(symbol)?;
        if let Some(why) = &inner.trades_fail {
            return Err(ApiError::Unknown(why.clone()));
        }
        if self.time.true_now() < inner.lists_blind_until || inner.trades_purged {
            return Ok(Vec::new());
        }
        Ok(inner
            .trades
            .iter()
            .filter(|trade| trade.symbol == *symbol && trade.fill.at >= since)
            .map(|trade| inner.tell_trade(trade))
            .collect())
    }

    async fn order_trades(&self, _symbol: &Symbol, id: &str) -> Answer<Vec<OwnTrade>> {
        let inner = self.read()?;
        let of_order = inner.trades.iter().filter(|trade| trade.venue_order_id == id);
        Ok(of_order.map(|trade| inner.tell_trade(trade)).collect())
    }

    async fn cancel(&self, _symbol: &Symbol, _of: Reference<'_>) -> Answer<()> {
        self.inner().writes += 1;
        Ok(())
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        Ok(KeyRights::default())
    }
}

/// The tags of the accounts at the doubles.
pub fn tags() -> BTreeMap<VenueId, AccountTag> {
    ["double", "other"]
        .map(|name| (venue(name), AccountTag::new(&venue(name), "key of a test")))
        .into()
}

/// The name of an order that some installation sent with our key.
pub fn id(deployment: &str, cycle: u64, leg: u32) -> ClientOrderId {
    ClientOrderId::derive(deployment, cycle, leg, 0).with_tag(&tags()[&venue("double")])
}

/// An intent of our deployment, made at `now`.
pub fn intent(leg: u32, market: &str, side: Side, amount: &str, now: Timestamp) -> Intent {
    Intent {
        id: id(DEPLOYMENT, 1, leg),
        cycle: 1,
        leg,
        order: PlannedOrder {
            kind: OrderKind::Stable,
            venue: venue("double"),
            symbol: symbol(market),
            side,
            amount: qty(amount),
            value: Money::ZERO,
        },
        reference_price: price("100"),
        created_at: now,
    }
}
