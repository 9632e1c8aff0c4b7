//! Parity: the cycles of a journal, run again on what they saw.
//!
//! Every cycle that distributed is set up anew from its records: prices, caps, signals and amounts as
//! they were written down, each venue's stablecoin worked back from the last known balances through
//! every fill, and the same time. Then `run_cycle` runs with a paper broker, and its orders, prices,
//! fees and weights are held against the recorded ones.

use keel_core::amount::{Price, Qty, decimal_from_recorded};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::market::MarketRules;
use keel_core::order::{OrderKind, Side};
use keel_core::plan::Markets;
use keel_core::policy::{AssetPolicy, Policy};
use keel_core::ports::{CapPoint, MarketData, PortError, PricePoint};
use keel_core::record::CycleRecord;
use keel_core::state::{AssetState, Balance, SignalState, State};
use keel_core::time::{Timeframe, Timestamp};
use keel_report::story::{Cycle, Order, Row, Story};
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Reasons that the planner itself finds; any other one kept the asset out of the plan.
const PLANNED: [&str; 13] = [
    "below_threshold",
    "below_min_order",
    "below_market_minimum",
    "no_market",
    "market_halted",
    "funds_on_other_exchange",
    "insufficient_funds",
    "not_trending",
    "position_not_buy",
    "guard_refused",
    "order_rejected",
    "no_trigger",
    "parking_place",
];

/// Reasons that took single orders out after the plan was made: the book, and caps on orders.
const VETTED: [&str; 5] =
    ["spread_too_wide", "slippage_too_high", "book_too_thin", "book_crossed", "cap_reached"];

/// What is run again.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The configuration's policy.
    pub policy: &'a Policy,
    /// The whole journal.
    pub story: &'a Story,
    /// Reasons by cycle and ticker.
    pub reasons: &'a BTreeMap<(u64, String), String>,
    /// Balances of the stablecoin after the last cycle.
    pub stablecoin_at_end: BTreeMap<VenueId, Decimal>,
    /// Market rules and volumes, if there are any.
    pub tape: Option<&'a Tape>,
    /// What simulated orders cost.
    pub costs: CostModels,
}

/// One order, recorded and run again. A side that has no such order is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leg {
    /// The cycle.
    pub cycle: u64,
    /// When.
    pub at: String,
    /// Where.
    pub venue: String,
    /// The market.
    pub symbol: String,
    /// Buy or sell.
    pub side: String,
    /// As recorded.
    pub recorded: Option<Traded>,
    /// As run again.
    pub again: Option<Traded>,
    /// How much worse the recorded price was, in hundredths of a percent.
    pub price_bps: Option<Decimal>,
    /// How much more the recorded fee was, in hundredths of a percent of the value.
    pub fee_bps: Option<Decimal>,
    /// The recorded order's value less the other one's, in hundredths of a percent of the portfolio.
    pub weight_bps: Decimal,
}

/// What an order came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traded {
    /// Base units asked for.
    pub amount: Decimal,
    /// Base units executed.
    pub filled: Decimal,
    /// Mean price.
    pub price: Option<Decimal>,
    /// Fee in the stablecoin.
    pub fee: Decimal,
    /// Value executed, in the stablecoin.
    pub value: Decimal,
}

/// All legs and what could not be compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Parity {
    /// Cycles that distributed and were run again.
    pub cycles: usize,
    /// Cycles that were not, with the reason.
    pub skipped: BTreeMap<String, usize>,
    /// Every order of either side.
    pub legs: Vec<Leg>,
    /// Largest difference of any target weight, in hundredths of a percent of the portfolio.
    pub target_bps: Decimal,
    /// Recorded value after the orders less the other one's, summed over the cycles.
    pub value: Decimal,
}

impl Parity {
    /// Orders that only one side has.
    #[must_use]
    pub fn unmatched(&self) -> usize {
        self.legs.iter().filter(|leg| leg.recorded.is_none() || leg.again.is_none()).count()
    }

    /// The largest deviation of any leg or target, in hundredths of a percent.
    #[must_use]
    pub fn largest_bps(&self) -> Decimal {
        let of_leg = |leg: &Leg| {
            [leg.price_bps, leg.fee_bps, Some(leg.weight_bps)]
                .into_iter()
                .flatten()
                .map(|bps| bps.abs())
                .max()
                .unwrap_or_default()
        };
        self.legs.iter().map(of_leg).max().unwrap_or_default().max(self.target_bps)
    }
}

const BPS: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

/// Runs the cycles again for which `chosen` holds.
#[must_use]
pub fn parity(inputs: &Inputs<'_>, chosen: impl Fn(Timestamp) -> bool) -> Parity {
    let mut found = Parity::default();
    let mut stablecoin = inputs.stablecoin_at_end.clone();
    let mut by_cycle: BTreeMap<u64, Vec<&Order>> = BTreeMap::new();
    for order in &inputs.story.orders {
        by_cycle.entry(order.intent.cycle).or_default().push(order);
    }
    let mut compared = Vec::new();
    // Backwards, because the balances by venue are known at the end only.
    for cycle in inputs.story.cycles.iter().rev() {
        let orders = by_cycle.get(&cycle.number).map_or(&[][..], Vec::as_slice);
        for order in orders {
            undo(&mut stablecoin, order, &inputs.policy.stablecoin);
        }
        if cycle.is_distribution() && chosen(cycle.at) {
            match again(inputs, cycle, orders, &stablecoin) {
                Ok(one) => compared.push(one),
                Err(why) => *found.skipped.entry(why.to_owned()).or_default() += 1,
            }
        }
    }
    for one in compared.into_iter().rev() {
        found.cycles += 1;
        found.target_bps = found.target_bps.max(one.target_bps);
        found.value += one.value;
        found.legs.extend(one.legs);
    }
    found
}

/// Takes an order's fills out of the balances of the stablecoin.
fn undo(stablecoin: &mut BTreeMap<VenueId, Decimal>, order: &Order, name: &Ticker) {
    let planned = order.order();
    let held = stablecoin.entry(planned.venue.clone()).or_default();
    for fill in order.fills() {
        if planned.symbol.quote == *name {
            match planned.side {
                Side::Buy => *held += fill.cost,
                Side::Sell => *held -= fill.cost,
            }
        }
        if fill.fee.asset == *name {
            *held += fill.fee.amount.get();
        }
    }
}

struct One {
    legs: Vec<Leg>,
    target_bps: Decimal,
    value: Decimal,
}

fn again(
    inputs: &Inputs<'_>,
    cycle: &Cycle,
    orders: &[&Order],
    stablecoin: &BTreeMap<VenueId, Decimal>,
) -> Result<One, &'static str> {
    let held: Decimal = cycle.rows.iter().map(Row::value).sum();
    let split: Decimal = stablecoin.values().sum();
    // A deposit or a lost fill between then and now: which venue had how much is not known.
    if (cycle.before - held - split).abs() > Decimal::new(1, 6) {
        return Err("the stablecoin of each exchange is not known");
    }
    let reason_of = |ticker: &str| {
        inputs.reasons.get(&(cycle.number, ticker.to_owned())).map_or("", String::as_str)
    };
    let is_vetted = |ticker: &str| VETTED.contains(&reason_of(ticker));
    if inputs.policy.assets.iter().any(|asset| is_vetted(asset.ticker.as_str())) {
        return Err("an order was held back by the order book or by a cap");
    }
    let traded: BTreeSet<&str> = orders
        .iter()
        .flat_map(|order| [order.order().symbol.base.as_str(), order.order().symbol.quote.as_str()])
        .collect();
    let mut setup = Setup::new(inputs, cycle);
    for (asset, row) in inputs.policy.assets.iter().zip(&cycle.rows) {
        let reason = reason_of(asset.ticker.as_str());
        let is_free = reason.is_empty()
            || PLANNED.contains(&reason)
            || traded.contains(asset.ticker.as_str());
        setup.asset(asset, row, !is_free);
    }
    for (venue, free) in stablecoin {
        setup.account.deposit(venue, &inputs.policy.stablecoin, Qty::new(*free));
        let balance = Balance { free: Qty::new(*free), used: Qty::ZERO };
        setup.state.stablecoin.insert(venue.clone(), balance);
    }
    let record = setup.run(inputs, cycle).ok_or("the cycle could not be run again")?;
    Ok(compare(inputs, cycle, orders, &record))
}

/// A cycle's world, made from its records.
struct Setup<'a> {
    market: RecordedMarket<'a>,
    clock: TapeClock,
    account: PaperAccount,
    state: State,
}

impl<'a> Setup<'a> {
    fn new(inputs: &Inputs<'a>, cycle: &Cycle) -> Self {
        let state = State { cycle: cycle.number.saturating_sub(1), ..State::default() };
        Self {
            market: RecordedMarket {
                tape: inputs.tape,
                now: cycle.at,
                stablecoin: inputs.policy.stablecoin.clone(),
                prices: BTreeMap::new(),
                markets: markets(inputs),
            },
            clock: TapeClock::at(cycle.at),
            account: PaperAccount::default(),
            state,
        }
    }

    /// Puts an asset where it stood. A blocked one gets a price too old to trade on, but not to value
    /// it by.
    fn asset(&mut self, asset: &AssetPolicy, row: &Row, is_blocked: bool) {
        let now = self.clock_now();
        let age_ms = if is_blocked { 3 * asset.position_interval.ms() } else { 0 };
        let as_of = now.plus_ms(-age_ms);
        let price = row.price.map(Price::new);
        let signal = |timeframe: Timeframe, value| SignalState {
            bucket: Some(timeframe.bucket(now)),
            prev_1: value,
            prev_2: value,
            candle_closed_at: Some(now),
        };
        let balance = Balance { free: Qty::new(row.free), used: Qty::ZERO };
        self.state.assets.insert(
            asset.ticker.clone(),
            AssetState {
                price,
                price_as_of: price.map(|_| as_of),
                market_cap: row.market_cap,
                market_cap_as_of: row.market_cap.map(|_| now),
                position: signal(asset.position_interval, row.position),
                trend: signal(asset.trend_interval, row.trend),
                balance,
                ..AssetState::default()
            },
        );
        self.account.deposit(&asset.venue, &asset.ticker, Qty::new(row.free));
        if let Some(price) = price {
            let point = PricePoint { price, as_of };
            self.market.prices.insert((asset.venue.clone(), asset.ticker.clone()), point);
        }
    }

    fn clock_now(&self) -> Timestamp {
        self.market.now
    }

    fn run(self, inputs: &Inputs<'_>, cycle: &Cycle) -> Option<CycleRecord> {
        let Self { market, clock, account, mut state } = self;
        let name = inputs.policy.stablecoin.clone();
        let mut broker = PaperBroker::new(&market, name, inputs.costs, account);
        let mut store = MemoryStore::default();
        let options = CycleOptions {
            deployment: "parity".to_owned(),
            at_start: cycle.trigger == "start",
            requested: true,
            ..CycleOptions::default()
        };
        let mut world =
            World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
        pollster::block_on(run_cycle(&mut world, inputs.policy, &mut state, &options)).ok()
    }
}

/// The rules of the tape, or markets without limits for what was traded.
fn markets(inputs: &Inputs<'_>) -> BTreeMap<VenueId, Arc<Markets>> {
    if let Some(tape) = inputs.tape {
        return tape
            .venues
            .iter()
            .map(|(id, venue)| (id.clone(), Arc::clone(&venue.markets)))
            .collect();
    }
    let mut found: BTreeMap<VenueId, Markets> = BTreeMap::new();
    let mut add = |venue: &VenueId, symbol: Symbol| {
        let markets = found.entry(venue.clone()).or_default();
        markets.entry(symbol.clone()).or_insert_with(|| MarketRules::unlimited(symbol));
    };
    for asset in &inputs.policy.assets {
        add(&asset.venue, Symbol::new(asset.ticker.clone(), inputs.policy.stablecoin.clone()));
    }
    for order in inputs.story.orders.iter().filter(|o| o.order().kind == OrderKind::Direct) {
        add(&order.order().venue, order.order().symbol.clone());
    }
    found.into_iter().map(|(venue, markets)| (venue, Arc::new(markets))).collect()
}

/// Market data as one cycle saw it.
struct RecordedMarket<'a> {
    tape: Option<&'a Tape>,
    now: Timestamp,
    stablecoin: Ticker,
    prices: BTreeMap<(VenueId, Ticker), PricePoint>,
    markets: BTreeMap<VenueId, Arc<Markets>>,
}

impl RecordedMarket<'_> {
    fn price(&self, venue: &VenueId, symbol: &Symbol) -> Option<PricePoint> {
        let of = |ticker: &Ticker| self.prices.get(&(venue.clone(), ticker.clone())).copied();
        let base = of(&symbol.base)?;
        if symbol.quote == self.stablecoin {
            return Some(base);
        }
        // A cross market without candles stands where its two legs put it, as on a tape.
        let quote = of(&symbol.quote)?;
        let price = decimal_from_recorded(base.price.to_f64() / quote.price.to_f64())?;
        Some(PricePoint { price: Price::new(price), as_of: base.as_of.min(quote.as_of) })
    }
}

impl MarketData for RecordedMarket<'_> {
    async fn markets(&self, venue: &VenueId) -> Result<Arc<Markets>, PortError> {
        let known = self.markets.get(venue).cloned();
        known.ok_or_else(|| PortError(format!("no markets of {venue} are known")))
    }

    async fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        let tape = self.tape.ok_or_else(|| PortError("no candles were given".to_owned()))?;
        let clock = TapeClock::at(self.now);
        ReplayMarket::new(tape, &clock).candles(venue, symbol, timeframe, limit).await
    }

    async fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        // Market orders of a paper account are filled at the price of their own market.
        let Some(tape) = self.tape else {
            return Ok(symbols.iter().map(|symbol| self.price(venue, symbol)).collect());
        };
        let clock = TapeClock::at(self.now);
        let market = ReplayMarket::new(tape, &clock);
        let mut found = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            let is_cross = symbol.quote != self.stablecoin;
            let taped = match is_cross {
                true => market.prices(venue, std::slice::from_ref(symbol)).await?.pop().flatten(),
                false => None,
            };
            found.push(taped.or_else(|| self.price(venue, symbol)));
        }
        Ok(found)
    }

    fn prices_are_recorded(&self) -> bool {
        true
    }

    async fn caps(&self, _assets: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        // The caps that were seen are in the state already.
        Ok(BTreeMap::new())
    }
}

fn traded(story: &Story, order: &Order) -> Traded {
    let filled = order.filled();
    let cost: Decimal = order.fills().iter().map(|fill| fill.cost).sum();
    Traded {
        amount: order.order().amount.get(),
        filled,
        price: cost.checked_div(filled),
        fee: story.fees(order),
        value: order.traded(),
    }
}

type Key = (String, String, String);

fn key(order: &Order) -> Key {
    let planned = order.order();
    (planned.venue.to_string(), planned.symbol.to_string(), planned.side.to_string())
}

fn compare(inputs: &Inputs<'_>, cycle: &Cycle, orders: &[&Order], record: &CycleRecord) -> One {
    let mut again: BTreeMap<Key, Vec<Order>> = BTreeMap::new();
    for execution in &record.executions {
        let order =
            Order { intent: execution.intent.clone(), outcome: execution.outcome.clone(), why: "" };
        again.entry(key(&order)).or_default().push(order);
    }
    let mut legs = Vec::new();
    for order in orders {
        let other = again.get_mut(&key(order)).filter(|left| !left.is_empty());
        let other = other.map(|left| left.remove(0));
        legs.push(leg(inputs.story, cycle, Some(order), other.as_ref()));
    }
    for order in again.into_values().flatten() {
        legs.push(leg(inputs.story, cycle, None, Some(&order)));
    }
    let target_bps = inputs
        .policy
        .assets
        .iter()
        .zip(&cycle.rows)
        .filter_map(|(asset, row)| {
            let other = record.decisions.iter().find(|other| other.ticker == asset.ticker)?;
            Some((other.ratio - row.ratio).abs() * BPS)
        })
        .max()
        .unwrap_or_default();
    One { legs, target_bps, value: cycle.after - record.total_after.get() }
}

fn leg(story: &Story, cycle: &Cycle, recorded: Option<&Order>, again: Option<&Order>) -> Leg {
    let (venue, symbol, side) = recorded.or(again).map(key).unwrap_or_default();
    let [recorded, again] = [recorded, again].map(|order| order.map(|order| traded(story, order)));
    let both = recorded.as_ref().zip(again.as_ref());
    let price_bps = both.and_then(|(recorded, again)| {
        let (here, there) = (recorded.price?, again.price?);
        let worse = if side == "buy" { here - there } else { there - here };
        worse.checked_div(there).map(|share| share * BPS)
    });
    let fee_bps = both.and_then(|(recorded, again)| {
        let rate = |traded: &Traded| traded.fee.checked_div(traded.value);
        Some((rate(recorded)? - rate(again)?) * BPS)
    });
    let value = |traded: &Option<Traded>| traded.as_ref().map_or(Decimal::ZERO, |t| t.value);
    let weight_bps =
        ((value(&recorded) - value(&again)) * BPS).checked_div(cycle.before).unwrap_or_default();
    Leg {
        cycle: cycle.number,
        at: cycle.at.to_string(),
        venue,
        symbol,
        side,
        recorded,
        again,
        price_bps,
        fee_bps,
        weight_bps,
    }
}
