//! A desk at one venue: a broker, the venue in memory, and virtual time.

use super::{DEPLOYMENT, Double, VirtualTime, intent, symbol, ticker, venue};
use keel_core::amount::Qty;
use keel_core::order::{Intent, Outcome, Side};
use keel_core::ports::{Broker, Clock};
use keel_core::state::Balance;
use keel_live::Venues;
use keel_live::broker::{LiveBroker, Reconciliation};
use pollster::block_on;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A venue and a broker that was reconciled and has read its balances.
pub struct Desk {
    pub time: Arc<VirtualTime>,
    pub venue: Arc<Double>,
    pub broker: LiveBroker,
    pub known: BTreeSet<String>,
}

pub fn connect(
    time: &Arc<VirtualTime>,
    venue_double: &Arc<Double>,
    checkpoint: Option<&str>,
) -> LiveBroker {
    let mut venues = Venues::new();
    venues.insert(venue("double"), Arc::clone(venue_double) as _);
    let mut broker =
        LiveBroker::new(venues, Arc::clone(time) as _, DEPLOYMENT, checkpoint).unwrap();
    broker.watch(&venue("double"), [symbol("BTC/USDT"), symbol("ETH/USDT")]);
    broker
}

impl Desk {
    pub fn new() -> Self {
        let time = VirtualTime::new();
        let venue = Double::new(&time);
        Self::at(time, venue)
    }

    pub fn at(time: Arc<VirtualTime>, venue: Arc<Double>) -> Self {
        let broker = connect(&time, &venue, None);
        let mut desk = Self { time, venue, broker, known: BTreeSet::new() };
        assert_eq!(desk.reconcile(), Reconciliation::default());
        desk.balances().unwrap();
        desk
    }

    pub fn balances(
        &self,
    ) -> Result<std::collections::BTreeMap<keel_core::asset::Ticker, Balance>, String> {
        block_on(self.broker.balances(&venue("double"))).map_err(|error| error.0)
    }

    pub fn reconcile(&mut self) -> Reconciliation {
        block_on(self.broker.reconcile(&self.known, self.time.now()))
    }

    pub fn buy(&mut self, leg: u32) -> (Intent, Outcome) {
        self.place(intent(leg, "BTC/USDT", Side::Buy, "1", self.time.now()))
    }

    pub fn place(&mut self, intent: Intent) -> (Intent, Outcome) {
        self.known.insert(intent.id.as_str().to_owned());
        let outcome = block_on(self.broker.place(&intent));
        (intent, outcome)
    }

    pub fn look_up(&mut self, intent: &Intent) -> Outcome {
        block_on(self.broker.look_up(intent))
    }

    /// Looks up once a minute until the outcome is known, at most `minutes` times.
    pub fn resolve(&mut self, intent: &Intent, minutes: u32) -> Outcome {
        let mut outcome = self.look_up(intent);
        for _ in 0..minutes {
            if !is_unknown(&outcome) {
                break;
            }
            self.time.advance_ms(60_000);
            outcome = self.look_up(intent);
        }
        outcome
    }

    pub fn restart(&mut self, checkpoint: Option<&str>) {
        self.broker = connect(&self.time, &self.venue, checkpoint);
    }

    pub fn halted(&self) -> Option<&String> {
        self.broker.halted().get(&venue("double"))
    }

    /// The venue's balances equal the first ones and what the fills moved.
    pub fn assert_books(&self, orders: &[(&Intent, &Outcome)]) {
        for (name, first) in [("USDT", 1000), ("BTC", 2), ("ETH", 10), ("BNB", 5)] {
            let mut expected = Decimal::from(first);
            for (intent, outcome) in orders {
                let symbol = &intent.order.symbol;
                let sign =
                    if intent.order.side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
                for fill in outcome.fills() {
                    if symbol.base == ticker(name) {
                        expected += fill.amount.get() * sign;
                    }
                    if symbol.quote == ticker(name) {
                        expected -= fill.cost * sign;
                    }
                    if fill.fee.asset == ticker(name) {
                        expected -= fill.fee.amount.get();
                    }
                }
            }
            assert_eq!(self.venue.total(name), expected, "{name}");
        }
    }
}

pub const fn is_unknown(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown { .. })
}

pub fn executed(outcome: &Outcome) -> Qty {
    outcome.fills().iter().map(|fill| fill.amount).sum()
}

pub fn cause(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Unknown { cause } => cause,
        Outcome::Rejected { reason } => reason,
        other => panic!("{other:?}"),
    }
}
