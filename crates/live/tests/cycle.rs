//! Whole cycles over live ports: what waits for an order that nobody knows, and what does not.
#![allow(clippy::unwrap_used)]

mod double;

use double::{DEPLOYMENT, Double, Fate, VirtualTime, price, qty, symbol, ticker, venue};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::order::{ClientOrderId, Intent, Outcome, Side};
use keel_core::policy::{AssetPolicy, Policy, Settings};
use keel_core::ports::{Clock, Store, StoreError};
use keel_core::record::{CycleRecord, Execution};
use keel_core::signal::Signal;
use keel_core::state::{AssetState, SignalState, State};
use keel_core::strategy::STRATEGIES;
use keel_core::time::{Timeframe, Timestamp};
use keel_live::Venues;
use keel_live::broker::LiveBroker;
use keel_live::market::LiveMarket;
use keel_sim::memory::MemoryStore;
use pollster::block_on;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::Arc;

fn asset(name: &str, at: &str) -> AssetPolicy {
    let strategy = &STRATEGIES[0];
    AssetPolicy {
        ticker: ticker(name),
        level: 1,
        venue: venue(at),
        coingecko_id: None,
        position_interval: Timeframe::D1,
        trend_interval: Timeframe::D1,
        strategy,
        position_params: strategy.defaults(),
        trend_params: strategy.defaults(),
    }
}

/// What an asset's strategy said and what it cost a moment ago, so that no candle is asked for.
fn said(signal: Signal, cost: &str, cap: f64, now: Timestamp) -> AssetState {
    let state = SignalState {
        bucket: Some(Timeframe::D1.bucket(now)),
        prev_1: signal,
        prev_2: signal,
        candle_closed_at: Some(now),
    };
    AssetState {
        price: Some(price(cost)),
        price_as_of: Some(now),
        position: state,
        trend: state,
        market_cap: Some(cap),
        market_cap_as_of: Some(now),
        ..AssetState::default()
    }
}

struct Desk {
    time: Arc<VirtualTime>,
    first: Arc<Double>,
    second: Arc<Double>,
    market: LiveMarket,
    broker: LiveBroker,
    policy: Policy,
    state: State,
    store: MemoryStore,
}

impl Desk {
    /// BTC is to be sold and ETH to be bought at the first venue, BNB to be bought at the second.
    fn new() -> Self {
        let time = VirtualTime::new();
        let (first, second) = (Double::new(&time), Double::new(&time));
        let mut venues = Venues::new();
        venues.insert(venue("double"), Arc::clone(&first) as _);
        venues.insert(venue("other"), Arc::clone(&second) as _);
        let clock = Arc::clone(&time) as Arc<_>;
        let market = LiveMarket::new(venues.clone(), clock, ticker("USDT"), None);
        let broker = LiveBroker::new(venues, Arc::clone(&time) as _, DEPLOYMENT, None).unwrap();
        let policy = Policy {
            settings: Settings::default(),
            stablecoin: ticker("USDT"),
            assets: vec![asset("BTC", "double"), asset("ETH", "double"), asset("BNB", "other")],
            parked: Vec::new(),
        };
        let mut state = State::default();
        let now = time.now();
        state.assets.insert(ticker("BTC"), said(Signal::Sell, "100", 1e12, now));
        state.assets.insert(ticker("ETH"), said(Signal::Buy, "10", 6e11, now));
        state.assets.insert(ticker("BNB"), said(Signal::Buy, "4", 4e11, now));
        let store = MemoryStore::default();
        Self { time, first, second, market, broker, policy, state, store }
    }

    fn cycle(&mut self) -> CycleRecord {
        let known: BTreeSet<String> =
            self.store.intents.iter().map(|intent| intent.id.as_str().to_owned()).collect();
        let found = block_on(self.broker.reconcile(&known, self.time.now()));
        assert!(found.halted.is_empty(), "{found:?}");
        let mut world = World {
            clock: &*self.time,
            market: &self.market,
            broker: &mut self.broker,
            store: &mut self.store,
        };
        let options = CycleOptions {
            deployment: DEPLOYMENT.to_owned(),
            requested: true,
            ..CycleOptions::default()
        };
        block_on(run_cycle(&mut world, &self.policy, &mut self.state, &options)).unwrap()
    }
}

fn find<'r>(record: &'r CycleRecord, base: &str) -> Option<&'r Execution> {
    record.executions.iter().find(|execution| execution.intent.order.symbol.base == ticker(base))
}

fn is_filled(execution: Option<&Execution>) -> bool {
    execution.is_some_and(|execution| matches!(execution.outcome, Outcome::Filled { .. }))
}

#[test]
fn f026_buys_do_not_spend_the_proceeds_of_a_sell_that_nobody_knows_and_other_venues_go_on() {
    let mut desk = Desk::new();
    desk.first.fate(Fate::RequestLost);
    let record = desk.cycle();
    let sell = find(&record, "BTC").unwrap();
    assert_eq!(sell.intent.order.side, Side::Sell);
    assert!(matches!(sell.outcome, Outcome::Unknown { .. }), "{sell:?}");
    let buy = find(&record, "ETH").unwrap();
    let spent: Decimal = buy.outcome.fills().iter().map(|fill| fill.cost).sum();
    assert!(spent > Decimal::from(900) && spent <= Decimal::from(1000), "{spent}");
    assert!(is_filled(find(&record, "BNB")), "{record:?}");

    // While nobody knows, the asset is left alone; afterwards it is sold with an order of its own.
    desk.time.advance_ms(1000);
    let record = desk.cycle();
    assert!(find(&record, "BTC").is_none(), "{record:?}");
    let mut sold = None;
    for _ in 0..10 {
        desk.time.advance_ms(60_000);
        let record = desk.cycle();
        if let Some(sell) = find(&record, "BTC") {
            sold = Some(sell.clone());
            break;
        }
    }
    let sold = sold.unwrap();
    assert!(is_filled(Some(&sold)), "{sold:?}");
    assert_ne!(sold.intent.id, sell.intent.id, "a new attempt, not the old one");
    assert_eq!(desk.first.executed(&sell.intent.id), qty("0"));
    assert_eq!(desk.first.total("BTC"), Decimal::ZERO);
    assert_eq!(desk.second.total("BTC"), Decimal::TWO, "not ours to sell there");
}

#[test]
fn f020_what_somebody_cancels_is_planned_again_from_what_is_there() {
    let mut desk = Desk::new();
    desk.first.fate(Fate::CancelledAfter { ms: 800, tenths: 5 });
    let record = desk.cycle();
    let sell = find(&record, "BTC").unwrap();
    assert!(matches!(sell.outcome, Outcome::Partial { .. }), "{sell:?}");
    desk.time.advance_ms(60_000);
    let record = desk.cycle();
    let rest = find(&record, "BTC").unwrap();
    assert_eq!(rest.intent.order.amount, qty("1"));
    assert!(is_filled(Some(rest)));
}

#[test]
fn f070_a_deposit_in_the_middle_is_noted_and_distributed_by_the_next_cycle() {
    let mut desk = Desk::new();
    desk.cycle();
    desk.time.advance_ms(120_000);
    let usdt = ticker("USDT");
    desk.first.inner().balances.get_mut(&usdt).unwrap().free += qty("500");
    let record = desk.cycle();
    assert!(is_filled(find(&record, "ETH")), "{record:?}");
    assert!(!desk.market.take_notes().iter().any(|note| note.contains("price")));
    assert!(desk.state.assets[&ticker("ETH")].balance.free > qty("100"));
    assert!(desk.broker.halted().is_empty());
    let eth = symbol("ETH/USDT");
    assert!(desk.store.intents.iter().filter(|intent| intent.order.symbol == eth).count() >= 2);
}

/// A journal whose process dies as soon as a checkpoint is durable in the middle of a cycle.
#[derive(Default)]
struct Dying {
    kept: Option<String>,
}

impl Store for Dying {
    fn write_intents(&mut self, _intents: &[Intent]) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_outcome(
        &mut self,
        _id: &ClientOrderId,
        _outcome: &Outcome,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_checkpoint(
        &mut self,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        self.kept = checkpoint();
        Err(StoreError("killed".into()))
    }

    fn commit(
        &mut self,
        _record: &CycleRecord,
        _state: &State,
        _checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        panic!("the cycle went on")
    }
}

impl Desk {
    /// A cycle that is killed after the first thing that it learnt of an order; the broker is the
    /// next process's.
    fn killed(&mut self) {
        let mut store = Dying::default();
        block_on(self.broker.reconcile(&BTreeSet::new(), self.time.now()));
        let mut world = World {
            clock: &*self.time,
            market: &self.market,
            broker: &mut self.broker,
            store: &mut store,
        };
        let options = CycleOptions {
            deployment: DEPLOYMENT.to_owned(),
            requested: true,
            ..CycleOptions::default()
        };
        block_on(run_cycle(&mut world, &self.policy, &mut self.state, &options)).unwrap_err();
        let mut venues = Venues::new();
        venues.insert(venue("double"), Arc::clone(&self.first) as _);
        venues.insert(venue("other"), Arc::clone(&self.second) as _);
        let time = Arc::clone(&self.time) as Arc<_>;
        self.broker = LiveBroker::new(venues, time, DEPLOYMENT, store.kept.as_deref()).unwrap();
    }
}

#[test]
fn f019_an_overfill_halts_although_the_process_is_killed_in_the_cycle_that_saw_it() {
    let mut desk = Desk::new();
    desk.first.fate(Fate::Overfilled { tenths: 11 });
    desk.killed();
    assert_eq!(desk.first.inner().writes + desk.second.inner().writes, 1, "nothing was sent after");
    assert!(desk.broker.halted()[&venue("double")].contains("were executed"));
    assert!(!desk.broker.halted().contains_key(&venue("other")));
}

#[test]
fn f013_a_quarantine_lasts_although_the_process_is_killed_in_the_cycle_that_found_it() {
    // Found right after the order was sent, and by a later cycle.
    for found_later in [false, true] {
        let mut desk = Desk::new();
        desk.first.foreign("x", &symbol("BTC/USDT"), Side::Buy, "1");
        let impostor = desk.first.inner().orders[0].state.clone();
        desk.first.fate(Fate::RequestLost);
        if found_later {
            let record = desk.cycle();
            assert!(matches!(record.executions[0].outcome, Outcome::Unknown { .. }), "{record:?}");
            desk.time.advance_ms(60_000);
        }
        desk.first.inner().impostor = Some(impostor);
        desk.killed();
        assert_eq!(desk.broker.quarantined().count(), 1, "found later: {found_later}");
    }
}
