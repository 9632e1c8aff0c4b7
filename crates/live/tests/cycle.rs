//! Whole cycles over live ports: what waits for an order that nobody knows, and what does not.
#![allow(clippy::unwrap_used)]

mod double;

use double::{DEPLOYMENT, Double, Fate, VirtualTime, id, price, qty, symbol, tags, ticker, venue};
use keel_core::candle::Candle;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::order::{ClientOrderId, Intent, Outcome, Side};
use keel_core::policy::{AssetPolicy, Policy, Settings};
use keel_core::ports::{Clock, MarketData, Store, StoreError};
use keel_core::record::{CycleRecord, Execution, Trigger};
use keel_core::signal::Signal;
use keel_core::state::{AssetState, SignalState, State};
use keel_core::strategy::STRATEGIES;
use keel_core::time::{Timeframe, Timestamp};
use keel_live::Venues;
use keel_live::broker::{LiveBroker, Reconciliation};
use keel_live::market::LiveMarket;
use keel_sim::memory::MemoryStore;
use keel_venues::api::{Book, Refusal};
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
        let broker = LiveBroker::new(venues, Arc::clone(&time) as _, tags(), None).unwrap();
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

    /// A cycle that is asked to distribute.
    fn cycle(&mut self) -> CycleRecord {
        self.cycle_that(true)
    }

    fn cycle_that(&mut self, requested: bool) -> CycleRecord {
        let found = self.compare();
        assert!(found.halted.is_empty(), "{found:?}");
        self.cycle_alone(requested)
    }

    fn compare(&mut self) -> Reconciliation {
        let known: BTreeSet<String> =
            self.store.intents.iter().map(|intent| intent.id.as_str().to_owned()).collect();
        block_on(self.broker.reconcile(&known, self.time.now()))
    }

    fn cycle_alone(&mut self, requested: bool) -> CycleRecord {
        let mut world = World {
            clock: &*self.time,
            market: &self.market,
            broker: &mut self.broker,
            store: &mut self.store,
        };
        let options = CycleOptions {
            deployment: DEPLOYMENT.to_owned(),
            tags: tags(),
            requested,
            ..CycleOptions::default()
        };
        let record =
            block_on(run_cycle(&mut world, &self.policy, &mut self.state, &options)).unwrap();
        for venue in self.broker.take_doubted() {
            self.market.doubt_markets(&venue);
        }
        record
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
fn f062_after_a_refused_amount_the_rules_are_read_once_more_and_the_next_order_keeps_them() {
    let mut desk = Desk::new();
    let reads = |desk: &Desk| desk.first.inner().market_calls;
    let btc = symbol("BTC/USDT");
    // The step of amounts changes after the first cycle has read it, and then another refusal comes.
    desk.first.inner().balances.get_mut(&ticker("BTC")).unwrap().free = qty("1.7");
    desk.first.fate(Fate::Refused(Refusal::Parameters));
    let refused = desk.cycle();
    assert_eq!(find(&refused, "BTC").unwrap().intent.order.amount, qty("1.7"));
    desk.first.inner().markets.get_mut(&btc).unwrap().amount_step = qty("0.5");
    desk.time.advance_ms(60_000);
    let before = reads(&desk);
    let record = desk.cycle();
    assert_eq!(find(&record, "BTC").unwrap().intent.order.amount, qty("1.5"), "rounded down");
    assert!(is_filled(find(&record, "BTC")));
    for _ in 0..5 {
        desk.time.advance_ms(60_000);
        desk.cycle();
    }
    assert_eq!(reads(&desk), before + 1);

    // A refusal that another table cannot mend does not make a storm of readings.
    for _ in 0..20 {
        desk.market.doubt_markets(&venue("double"));
        block_on(desk.market.markets(&venue("double"))).unwrap();
        desk.time.advance_ms(1000);
    }
    assert!(reads(&desk) <= before + 4);
}

#[test]
fn what_kept_an_order_back_is_made_up_for_as_soon_as_it_is_gone() {
    for trouble in ["refused", "unknown", "closed"] {
        let mut desk = Desk::new();
        match trouble {
            "refused" => desk.first.fate(Fate::Refused(Refusal::Parameters)),
            "unknown" => desk.first.fate(Fate::RequestLost),
            _ => desk.first.inner().failing_reads = 1,
        }
        let record = desk.cycle();
        assert!(!is_filled(find(&record, "BTC")), "{trouble}: {record:?}");
        // Nothing but what was left undone asks for a distribution: signals are due in a day.
        let mut triggers = Vec::new();
        for _ in 0..10 {
            desk.time.advance_ms(60_000);
            let record = desk.cycle_that(false);
            triggers.push(record.trigger);
            if is_filled(find(&record, "BTC")) {
                break;
            }
        }
        assert_eq!(desk.first.total("BTC"), Decimal::ZERO, "{trouble}: {triggers:?}");
        assert_eq!(triggers.last(), Some(&Trigger::Unfinished), "{trouble}: {triggers:?}");
        assert!(desk.state.unfinished.is_empty(), "{trouble}: {:?}", desk.state.unfinished);
    }
}

#[test]
fn what_the_caps_of_a_cycle_kept_back_follows_in_the_next_ones() {
    let mut desk = Desk::new();
    desk.policy.settings.limits.max_orders_per_cycle = 1;
    let mut sent = Vec::new();
    for minute in 0..5 {
        let record = desk.cycle_that(minute == 0);
        assert!(record.executions.iter().all(|execution| is_filled(Some(execution))), "{record:?}");
        sent.push((record.trigger, record.executions.len()));
        desk.time.advance_ms(60_000);
    }
    let next = (Trigger::Unfinished, 1);
    let expected = [(Trigger::Requested, 1), next, next, (Trigger::None, 0), (Trigger::None, 0)];
    assert_eq!(sent, expected);
}

#[test]
fn an_order_whose_request_is_lost_each_time_is_tried_twice_for_one_signal() {
    let mut desk = Desk::new();
    let mut sent = 0;
    for minute in 0..60 {
        desk.first.fate(Fate::RequestLost);
        let record = desk.cycle_that(minute == 0);
        sent += usize::from(find(&record, "BTC").is_some());
        desk.time.advance_ms(60_000);
    }
    assert_eq!(sent, 2);
}

#[test]
fn what_failed_before_is_tried_twice_again_when_somebody_asks_for_it() {
    let mut desk = Desk::new();
    let mut refused = Vec::new();
    for requested in [true, true, false, false] {
        desk.first.fate(Fate::Refused(Refusal::Parameters));
        refused.push(find(&desk.cycle_that(requested), "BTC").is_some());
        desk.time.advance_ms(60_000);
    }
    assert_eq!(refused, [true, true, true, false]);
}

#[test]
fn a_deposit_elsewhere_is_no_new_signal_for_what_failed() {
    let mut desk = Desk::new();
    desk.first.fate(Fate::Refused(Refusal::Parameters));
    desk.cycle();
    desk.first.inner().down = true;
    desk.second.inner().balances.get_mut(&ticker("USDT")).unwrap().free += qty("500");
    desk.time.advance_ms(60_000);
    assert_eq!(desk.cycle_that(false).trigger, Trigger::Funds);
    desk.first.inner().down = false;
    let mut refused = 0;
    for _ in 0..10 {
        desk.time.advance_ms(60_000);
        desk.first.fate(Fate::Refused(Refusal::Parameters));
        refused += u32::from(find(&desk.cycle_that(false), "BTC").is_some());
    }
    assert_eq!(refused, 1);
}

#[test]
fn an_exchange_that_is_halted_in_a_cycle_gets_no_further_order_of_it() {
    let mut desk = Desk::new();
    let now = desk.time.now();
    desk.state.assets.insert(ticker("BTC"), said(Signal::Buy, "100", 1e12, now));
    desk.first.inner().balances.remove(&ticker("BTC"));
    desk.first.fate(Fate::Overfilled { tenths: 11 });
    let record = desk.cycle();
    assert!(find(&record, "BTC").is_some() && find(&record, "ETH").is_none(), "{record:?}");
    let reason = record.decisions.iter().find(|decision| decision.ticker == ticker("ETH"));
    assert_eq!(reason.unwrap().reason.as_ref().unwrap().code(), "exchange_closed");
    let eth = symbol("ETH/USDT");
    assert!(desk.store.intents.iter().all(|intent| intent.order.symbol != eth), "no order at all");
    assert!(is_filled(find(&record, "BNB")), "{record:?}");
}

#[test]
fn nothing_is_traded_while_a_holding_never_had_a_price() {
    let mut desk = Desk::new();
    desk.state.assets.remove(&ticker("BTC"));
    let record = desk.cycle();
    assert!(record.executions.is_empty(), "{record:?}");
    let reason = record.decisions[2].reason.as_ref().unwrap();
    assert_eq!(record.decisions[2].ticker, ticker("ETH"));
    assert_eq!(reason.code(), "total_unknown");
    assert!(reason.to_string().contains("BTC is held and never had a price"), "{reason}");
    // Seen twice, it is believed.
    desk.time.advance_ms(60_000);
    let record = desk.cycle();
    assert!(find(&record, "ETH").is_some(), "{record:?}");
}

#[test]
fn what_has_no_market_at_all_does_not_keep_the_others() {
    let mut desk = Desk::new();
    desk.state.assets.remove(&ticker("BTC"));
    desk.first.inner().markets.remove(&symbol("BTC/USDT"));
    let record = desk.cycle();
    assert!(find(&record, "BTC").is_none() && is_filled(find(&record, "ETH")), "{record:?}");
}

#[test]
fn nothing_is_traded_while_an_exchange_was_never_read() {
    let mut desk = Desk::new();
    desk.second.inner().down = true;
    desk.compare();
    let record = desk.cycle_alone(true);
    assert!(record.executions.is_empty(), "{record:?}");
    let reason = record.decisions[2].reason.as_ref().unwrap();
    assert_eq!(reason.code(), "total_unknown");
    assert!(reason.to_string().contains("other was never read"), "{reason}");
    // Once it was read, an outage stops it alone.
    desk.second.inner().down = false;
    desk.time.advance_ms(60_000);
    desk.compare();
    assert!(is_filled(find(&desk.cycle_alone(false), "ETH")));
    desk.second.inner().down = true;
    desk.time.advance_ms(60_000);
    let record = desk.cycle_alone(true);
    let codes: Vec<&str> =
        record.decisions.iter().filter_map(|d| d.reason.as_ref().map(|r| r.code())).collect();
    assert!(!codes.contains(&"total_unknown"), "{codes:?}");
    assert!(codes.contains(&"exchange_unavailable"), "{codes:?}");
}

#[test]
fn a_price_that_is_not_believed_stops_only_its_own_asset_when_none_of_it_is_held() {
    let mut desk = Desk::new();
    desk.state.assets.remove(&ticker("BTC"));
    desk.first.inner().balances.remove(&ticker("BTC"));
    let record = desk.cycle();
    assert_eq!(record.decisions[1].reason.as_ref().unwrap().code(), "price_unconfirmed");
    assert!(is_filled(find(&record, "ETH")), "{record:?}");
}

#[test]
fn nothing_is_traded_while_it_was_never_read_how_much_of_an_asset_is_held() {
    let mut desk = Desk::new();
    desk.cycle();
    // As after a restart with one asset more, while the exchange shows prices and no balances.
    desk.state.assets.remove(&ticker("BNB"));
    let _ = desk.compare();
    desk.second.inner().empty_balances = true;
    for _ in 0..2 {
        desk.time.advance_ms(1000);
        let record = desk.cycle_alone(true);
        assert!(record.executions.is_empty(), "{record:?}");
        assert_eq!(record.decisions[1].reason.as_ref().unwrap().code(), "total_unknown");
    }
}

#[test]
fn a_refused_order_does_not_use_up_the_caps_of_the_day() {
    let mut desk = Desk::new();
    desk.policy.settings.limits.max_orders_per_cycle = 1;
    let mut sent = 0;
    for minute in 0..20 {
        desk.first.fate(Fate::Refused(Refusal::Parameters));
        sent += desk.cycle_that(minute == 0).executions.len();
        desk.time.advance_ms(60_000);
    }
    assert_eq!(sent, 6, "two for each asset, and none more of the day's");
}

#[test]
fn what_somebody_else_traded_is_compared_before_it_is_traded_back() {
    let eth = symbol("ETH/USDT");
    for id in [id("another", 1, 0).as_str(), "by-hand"] {
        let mut desk = Desk::new();
        desk.cycle();
        // Long ago, and one of many markets: it is not its turn to be read.
        let others = (0..40).map(|number| symbol(&format!("A{number}/USDT")));
        desk.broker.watch(&venue("double"), others);
        desk.time.advance_ms(7_200_000);
        assert!(desk.cycle_that(true).executions.is_empty() && !desk.broker.wants_comparison());
        desk.first.foreign(id, &eth, Side::Sell, "20");
        let record = desk.cycle_alone(true);
        assert!(find(&record, "ETH").is_none(), "{record:?}");
        let reason = record.decisions[2].reason.as_ref().map(|reason| reason.code());
        assert_eq!(reason, Some("exchange_closed"));
        assert!(desk.broker.wants_comparison());
        let found = desk.compare();
        if id == "by-hand" {
            assert!(found.halted.is_empty() && !desk.broker.wants_comparison(), "{found:?}");
            assert!(is_filled(find(&desk.cycle_alone(false), "ETH")), "not ours: bought again");
        } else {
            assert!(found.halted.contains_key(&venue("double")), "a second instance: {found:?}");
        }
    }
}

#[test]
fn what_somebody_traded_is_waited_for_until_it_is_known_whose_order_it_was() {
    let mut desk = Desk::new();
    desk.cycle();
    desk.time.advance_ms(7_200_000);
    desk.cycle_that(true);
    desk.first.foreign("by-hand", &symbol("ETH/USDT"), Side::Sell, "20");
    desk.first.inner().orders_purged = true;
    desk.first.inner().names_trades = false;
    let record = desk.cycle_alone(true);
    assert_eq!(record.decisions[2].reason.as_ref().unwrap().code(), "exchange_closed");
    desk.compare();
    assert!(desk.broker.wants_comparison(), "nobody knows whose it was");
    // An order that the exchange does not name for ten minutes is nobody's of ours.
    desk.time.advance_ms(601_000);
    desk.compare();
    assert!(!desk.broker.wants_comparison());
}

#[test]
fn an_order_that_is_refused_twice_waits_for_the_next_signal() {
    let mut desk = Desk::new();
    let refused = |record: &CycleRecord| {
        find(record, "BTC").is_some_and(|sell| matches!(sell.outcome, Outcome::Rejected { .. }))
    };
    desk.first.fate(Fate::Refused(Refusal::Parameters));
    assert!(refused(&desk.cycle()));
    let mut tried = 0;
    for _ in 0..20 {
        desk.time.advance_ms(60_000);
        desk.first.fate(Fate::Refused(Refusal::Parameters));
        tried += u32::from(refused(&desk.cycle_that(false)));
    }
    assert_eq!(tried, 1);
}

/// Nothing of it is sent, so it costs no caps; but each distribution looks at all assets.
#[test]
fn a_bad_book_is_looked_at_again_at_longer_and_longer_pauses_for_as_long_as_it_lasts() {
    let mut desk = Desk::new();
    desk.first.inner().book = Book { bids: vec![(price("50"), qty("1"))], asks: Vec::new() };
    let mut looked = Vec::new();
    for minute in 0..600 {
        let record = desk.cycle_that(minute == 0);
        assert!(find(&record, "BTC").is_none(), "{record:?}");
        if record.trigger != Trigger::None {
            looked.push(minute);
        }
        desk.time.advance_ms(60_000);
    }
    let pauses: Vec<i32> = looked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[..8], [1, 1, 2, 4, 8, 16, 32, 64], "{looked:?}");
    assert!(pauses[8..].iter().all(|pause| *pause == 64), "{looked:?}");
    desk.first.inner().book = Book::default();
    for _ in 0..64 {
        if is_filled(find(&desk.cycle_that(false), "BTC")) {
            return;
        }
        desk.time.advance_ms(60_000);
    }
    panic!("never sold: {:?}", desk.state.unfinished);
}

#[test]
fn f061_what_a_halt_kept_back_is_made_up_for_when_the_market_opens() {
    let mut desk = Desk::new();
    let halted = |desk: &mut Desk, is: bool| {
        let mut inner = desk.first.inner();
        inner.markets.get_mut(&symbol("BTC/USDT")).unwrap().active = !is;
        drop(inner);
        desk.market.doubt_markets(&venue("double"));
    };
    halted(&mut desk, true);
    let record = desk.cycle();
    let btc = record.decisions.iter().find(|decision| decision.ticker == ticker("BTC"));
    assert_eq!(btc.unwrap().reason.as_ref().unwrap().code(), "market_halted");
    for _ in 0..200 {
        desk.time.advance_ms(60_000);
        assert_eq!(desk.cycle_that(false).trigger, Trigger::None);
    }
    halted(&mut desk, false);
    desk.time.advance_ms(60_000);
    let record = desk.cycle_that(false);
    assert_eq!(record.trigger, Trigger::Unfinished);
    assert!(is_filled(find(&record, "BTC")), "{record:?}");
}

#[test]
fn a_bar_that_comes_late_is_looked_at_as_soon_as_it_is_there() {
    const DAY: i64 = 86_400_000;
    let mut desk = Desk::new();
    let midnight = Timeframe::D1.floor(desk.time.now()).plus_ms(DAY);
    let bar = |day: i64| {
        let close = 100.0 + f64::from(u8::try_from(day % 7).unwrap());
        let (open, volume) = (close, 1.0);
        Candle { open_time_ms: day * DAY, open, high: close, low: close, close, volume }
    };
    let last = midnight.ms() / DAY;
    for name in ["BTC/USDT", "ETH/USDT", "BNB/USDT"] {
        let bars = (last - 60..last).map(bar).collect();
        for venue in [&desk.first, &desk.second] {
            venue.inner().candles.insert(symbol(name), Vec::clone(&bars));
        }
    }
    // The venues' clocks are behind ours, so that the day ends later there.
    desk.first.inner().clock_ahead_ms = -90_000;
    desk.second.inner().clock_ahead_ms = -90_000;
    desk.time.advance_ms(midnight.since_ms(desk.time.now()) - 30_000);
    let closed = |desk: &Desk| {
        let known = &desk.state.assets[&ticker("BTC")];
        [known.position.candle_closed_at, known.trend.candle_closed_at]
    };
    let (mut seen, mut signals) = (Vec::new(), 0);
    for _ in 0..8 {
        desk.time.advance_ms(20_000);
        signals += u32::from(desk.cycle_that(false).trigger == Trigger::Signals);
        seen.push(closed(&desk));
    }
    let yesterday = Some(midnight.plus_ms(-DAY));
    assert_eq!(seen[2], [yesterday; 2], "at 00:00:30 the day is not over there");
    assert_eq!(seen[7], [Some(midnight); 2], "{seen:?}");
    assert_eq!(signals, 2, "once for what was not known before, once for the new bar");
    let before = desk.first.inner().candle_calls;
    desk.time.advance_ms(60_000);
    desk.cycle_that(false);
    assert_eq!(desk.first.inner().candle_calls, before, "and not again before the next one");

    // The next day's bar never comes: it is waited for, and then the last one is the last one.
    desk.time.advance_ms(midnight.plus_ms(DAY).since_ms(desk.time.now()) - 10_000);
    let mut calls = Vec::new();
    for _ in 0..30 {
        desk.time.advance_ms(20_000);
        desk.cycle_that(false);
        calls.push(desk.first.inner().candle_calls);
    }
    assert!(before < calls[4] && calls[4] < calls[5], "{calls:?}");
    assert_eq!(calls[9], calls[29], "{calls:?}");
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
            tags: tags(),
            requested: true,
            ..CycleOptions::default()
        };
        block_on(run_cycle(&mut world, &self.policy, &mut self.state, &options)).unwrap_err();
        let mut venues = Venues::new();
        venues.insert(venue("double"), Arc::clone(&self.first) as _);
        venues.insert(venue("other"), Arc::clone(&self.second) as _);
        let time = Arc::clone(&self.time) as Arc<_>;
        self.broker = LiveBroker::new(venues, time, tags(), store.kept.as_deref()).unwrap();
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
