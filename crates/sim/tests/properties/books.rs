//! Order books: each order is judged by what is there when its turn comes.

use crate::faults::{Books, FaultyMarket};
use crate::scenario::{Scenario, Wishes};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::order::{Intent, Outcome};
use keel_core::ports::{Broker, MarketData, PortError};
use keel_core::record::CycleRecord;
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

/// One cycle whose books empty after `empty_after` orders: its record, and the books it read.
fn cycle(scenario: &Scenario, empty_after: usize) -> (CycleRecord, Vec<(Symbol, usize)>) {
    let clock = TapeClock::at(scenario.start);
    let replay = ReplayMarket::new(&scenario.tape, &clock);
    let books = Books { empty_after, ..Books::default() };
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
        let (whole, reads) = cycle(&scenario, usize::MAX);
        let sent: Vec<(Symbol, usize)> = whole
            .executions
            .iter()
            .zip(0..)
            .map(|(execution, earlier)| (execution.intent.order.symbol.clone(), earlier))
            .collect();
        assert_eq!(reads, sent, "seed {seed}: one book for each order, read right before it");
        for orders in 0..sent.len() {
            let (cut, reads) = cycle(&scenario, orders);
            assert_eq!(cut.executions, whole.executions[..orders], "seed {seed}");
            let stopped: BTreeSet<&Ticker> =
                reads[orders..].iter().map(|(symbol, _)| &symbol.base).collect();
            for decision in cut.decisions.iter().filter(|d| stopped.contains(&d.ticker)) {
                let code = decision.reason.as_ref().map(|reason| reason.code());
                assert_eq!(code, Some("book_too_thin"), "seed {seed}: {decision:?}");
                held_back += 1;
            }
        }
    }
    assert!(held_back > 50, "only {held_back} orders were held back");
}
