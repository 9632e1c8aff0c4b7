//! Order books: each order is judged by what is there when its turn comes.

use crate::scenario::{Scenario, Wishes};
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::limits::Depth;
use keel_core::order::{Intent, Outcome};
use keel_core::plan::Markets;
use keel_core::policy::AssetPolicy;
use keel_core::ports::{Broker, CapPoint, MarketData, PortError, PricePoint};
use keel_core::record::CycleRecord;
use keel_core::state::{Balance, State};
use keel_core::time::Timeframe;
use keel_sim::memory::MemoryStore;
use keel_sim::paper::PaperBroker;
use keel_sim::tape::{ReplayMarket, TapeClock};
use rust_decimal::Decimal;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A tape with order books that empty once so many orders were sent.
struct BookMarket<'a> {
    inner: &'a ReplayMarket<'a>,
    sent: &'a Cell<usize>,
    empty_after: usize,
    /// Which books were read, and how many orders had been sent by then.
    reads: RefCell<Vec<(Symbol, usize)>>,
}

impl MarketData for BookMarket<'_> {
    async fn markets(&self, venue: &VenueId) -> Result<Arc<Markets>, PortError> {
        self.inner.markets(venue).await
    }

    async fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        self.inner.candles(venue, symbol, timeframe, limit).await
    }

    async fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        self.inner.prices(venue, symbols).await
    }

    async fn caps(&self, assets: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        self.inner.caps(assets).await
    }

    async fn depth(&self, venue: &VenueId, symbol: &Symbol, _: Qty) -> Result<Depth, PortError> {
        self.reads.borrow_mut().push((symbol.clone(), self.sent.get()));
        if self.sent.get() >= self.empty_after {
            return Ok(Depth::Book { bids: Vec::new(), asks: Vec::new() });
        }
        let middle =
            self.inner.prices(venue, std::slice::from_ref(symbol)).await?[0].unwrap().price;
        let level = |thousandths: i64| {
            let price = Price::new(middle.get() * Decimal::new(thousandths, 3));
            vec![(price, Qty::new(Decimal::from(1_000_000_000_000_i64)))]
        };
        Ok(Depth::Book { bids: level(999), asks: level(1001) })
    }
}

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
    let sent = Cell::new(0);
    let market = BookMarket { inner: &replay, sent: &sent, empty_after, reads: RefCell::default() };
    let stablecoin = scenario.policy.stablecoin.clone();
    let account = scenario.account.clone();
    let inner = PaperBroker::new(&replay, stablecoin, scenario.models, account);
    let mut broker = CountingBroker { inner, sent: &sent };
    let (mut store, mut state) = (MemoryStore::default(), State::default());
    let mut world =
        World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
    let options = CycleOptions { at_start: true, ..CycleOptions::default() };
    let record =
        pollster::block_on(run_cycle(&mut world, &scenario.policy, &mut state, &options)).unwrap();
    assert_eq!(store.intents.len(), sent.get(), "only what is sent is written down");
    assert_eq!(state.day.orders as usize, sent.get(), "only what is sent is counted");
    (record, market.reads.into_inner())
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
