//! Order books: each order is judged by what is there when its turn comes.

use crate::faults::{Books, FaultyMarket};
use crate::scenario::{Scenario, Wishes};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::order::{Intent, Outcome, PlannedOrder, Side};
use keel_core::ports::{Broker, MarketData, PortError};
use keel_core::record::{CycleRecord, Execution};
use keel_core::state::{Balance, State};
use keel_sim::memory::MemoryStore;
use keel_sim::paper::PaperBroker;
use keel_sim::tape::{ReplayMarket, TapeClock};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

struct CountingBroker<'a, M> {
    inner: PaperBroker<'a, M>,
    sent: &'a Cell<usize>,
}

impl<M: MarketData> Broker for CountingBroker<'_, M> {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        self.inner.balances(venue).await
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        self.sent.set(self.sent.get() + 1);
        self.inner.place(intent).await
    }

    async fn look_up(&mut self, intent: &Intent) -> Outcome {
        self.inner.look_up(intent).await
    }
}

/// One cycle with these books: its record, and the books it read.
fn cycle(scenario: &Scenario, books: Books) -> (CycleRecord, Vec<(Symbol, usize)>) {
    let clock = TapeClock::at(scenario.start);
    let replay = ReplayMarket::new(&scenario.tape, &clock);
    let (faults, inner) = (&scenario.faults, &replay);
    let market = FaultyMarket { inner, clock: &clock, faults, books: Some(&books) };
    let stablecoin = scenario.policy.stablecoin.clone();
    let account = scenario.account.clone();
    let inner = PaperBroker::new(&replay, stablecoin, scenario.models, account);
    let mut broker = CountingBroker { inner, sent: &books.sent };
    let (mut store, mut state) = (MemoryStore::default(), State::default());
    let mut world =
        World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
    let options = CycleOptions { at_start: true, ..CycleOptions::default() };
    let record =
        pollster::block_on(run_cycle(&mut world, &scenario.policy, &mut state, &options)).unwrap();
    assert_eq!(store.intents.len(), books.sent.get(), "only what is sent is written down");
    assert_eq!(state.day.orders as usize, books.sent.get(), "only what is sent is counted");
    (record, books.reads.into_inner())
}

#[test]
fn f059_a_book_that_empties_while_orders_are_sent_stops_the_rest_of_them() {
    let mut held_back = 0;
    for seed in 500..520 {
        let scenario = Scenario::new(seed, Wishes { cycles: 2, ..Wishes::CALM });
        let empty_after = |empty_after| Books { empty_after, ..Books::default() };
        let (whole, reads) = cycle(&scenario, empty_after(usize::MAX));
        let sent: Vec<(Symbol, usize)> = whole
            .executions
            .iter()
            .zip(0..)
            .map(|(execution, earlier)| (execution.intent.order.symbol.clone(), earlier))
            .collect();
        // Those of direct orders are read before the plan stands, too.
        let direct = sent.iter().filter(|(symbol, _)| symbol.quote != scenario.policy.stablecoin);
        let planned: Vec<(Symbol, usize)> = direct.map(|(symbol, _)| (symbol.clone(), 0)).collect();
        let expected = [&planned[..], &sent].concat();
        assert_eq!(reads, expected, "seed {seed}: one book for each order, read right before it");
        for orders in 1..sent.len() {
            let (cut, reads) = cycle(&scenario, empty_after(orders));
            assert_eq!(cut.executions, whole.executions[..orders], "seed {seed}");
            let stopped: BTreeSet<&Ticker> =
                reads[planned.len() + orders..].iter().map(|(symbol, _)| &symbol.base).collect();
            for decision in cut.decisions.iter().filter(|d| stopped.contains(&d.ticker)) {
                let code = decision.reason.as_ref().map(|reason| reason.code());
                assert_eq!(code, Some("book_too_thin"), "seed {seed}: {decision:?}");
                held_back += 1;
            }
        }
    }
    assert!(held_back > 50, "only {held_back} orders were held back");
}

/// What two altcoins would exchange directly goes through the stablecoin when their market is thin.
#[test]
fn f059_a_thin_market_between_two_assets_keeps_neither_from_its_own() {
    let (mut direct, mut bought) = (0, 0);
    for seed in 500..520 {
        let scenario = Scenario::new(seed, Wishes { cycles: 2, ..Wishes::CALM });
        let books =
            |only_against| Books { empty_after: usize::MAX, only_against, ..Books::default() };
        let stablecoin = &scenario.policy.stablecoin;
        let (whole, _) = cycle(&scenario, books(None));
        let (apart, _) = cycle(&scenario, books(Some(stablecoin.clone())));
        let order = |execution: &Execution| execution.intent.order.clone();
        let is_direct = |order: &PlannedOrder| order.symbol.quote != *stablecoin;
        let stable: BTreeSet<(Ticker, Side)> = apart
            .executions
            .iter()
            .map(order)
            .inspect(|order| assert!(!is_direct(order), "{order:?}"))
            .map(|order| (order.symbol.base, order.side))
            .collect();
        for order in whole.executions.iter().map(order).filter(is_direct) {
            let Symbol { base, quote } = order.symbol.clone();
            let (sold, got) = if order.side == Side::Sell { (base, quote) } else { (quote, base) };
            assert!(stable.contains(&(sold, Side::Sell)), "seed {seed}: {order:?}");
            // The proceeds may be too little for an order of its own.
            bought += usize::from(stable.contains(&(got, Side::Buy)));
            let note = apart.notes.iter().find(|note| note.contains(&order.symbol.to_string()));
            assert!(note.unwrap().contains("the order book does not hold"), "{:?}", apart.notes);
            direct += 1;
        }
    }
    assert!(direct > 5 && bought * 3 > direct * 2, "{bought} of {direct} bought all the same");
}
