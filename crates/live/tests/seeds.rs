//! Random faults over many seeds: no intent is executed twice, every intent ends with evidence once
//! the faults stop, and the books balance to the last digit.
#![allow(clippy::unwrap_used)]

mod double;

use double::{Double, Fate, FeeIn, VirtualTime, intent, symbol, tags, ticker, venue};
use keel_core::amount::Qty;
use keel_core::order::{Fill, Intent, Outcome, Side};
use keel_core::ports::{Broker, Clock};
use keel_live::Venues;
use keel_live::broker::LiveBroker;
use keel_venues::api::{OrderStatus, Refusal};
use pollster::block_on;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// SplitMix64: a small source of choices.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

fn fate(dice: &mut Dice) -> Fate {
    let ms = i64::try_from(dice.roll(70_000)).unwrap();
    let tenths = u32::try_from(dice.roll(11)).unwrap();
    match dice.roll(12) {
        0 | 1 => Fate::Fills,
        2 => Fate::Acknowledged,
        3 | 4 => Fate::AnswerLost,
        5 => Fate::RequestLost,
        6 => Fate::Delayed(ms),
        7 => Fate::Refused(Refusal::Funds),
        8 => Fate::NotSent,
        9 => Fate::RejectedLater,
        10 => Fate::Expires { tenths: tenths.min(9) },
        _ if tenths < 5 => Fate::OpenFor(ms),
        _ => Fate::CancelledAfter { ms, tenths: tenths.min(9) },
    }
}

struct Run {
    seed: u64,
    dice: Dice,
    time: Arc<VirtualTime>,
    venue: Arc<Double>,
    broker: LiveBroker,
    /// The journal: intents, and what they turned out to be.
    intents: Vec<Intent>,
    outcomes: BTreeMap<String, Outcome>,
    checkpoint: Option<String>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let time = VirtualTime::new();
        let validity = [5, 30, 60][usize::try_from(dice.roll(3)).unwrap()];
        let double = Double::with_validity(&time, Duration::from_secs(validity));
        {
            let mut inner = double.inner();
            inner.fee_in = match dice.roll(3) {
                0 => FeeIn::Received,
                1 => FeeIn::Quote,
                _ => FeeIn::Third,
            };
            inner.fills_per_order = 1 + u32::try_from(dice.roll(3)).unwrap();
            inner.fills_with_order = dice.one_in(2);
            inner.fills_shuffled = dice.one_in(3);
            inner.names_trades = dice.one_in(2);
        }
        let broker = connect(&time, &double, None);
        Self {
            seed,
            dice,
            time,
            venue: double,
            broker,
            intents: Vec::new(),
            outcomes: BTreeMap::new(),
            checkpoint: None,
        }
    }

    fn reconcile(&mut self) {
        let known = self.intents.iter().map(|intent| intent.id.as_str().to_owned());
        let known: BTreeSet<String> = known.collect();
        let found = block_on(self.broker.reconcile(&known, self.time.now()));
        assert!(found.halted.is_empty(), "seed {}: {found:?}", self.seed);
    }

    /// One cycle, as the daemon runs it: look up, read balances, send.
    fn cycle(&mut self) {
        let pending: Vec<Intent> = self
            .intents
            .iter()
            .filter(|intent| !self.outcomes.contains_key(intent.id.as_str()))
            .cloned()
            .collect();
        for intent in &pending {
            let outcome = block_on(self.broker.look_up(intent));
            self.note(intent, outcome);
        }
        self.reconcile();
        if block_on(self.broker.balances(&venue("double"))).is_err() {
            return;
        }
        for market in ["BTC/USDT", "ETH/USDT"] {
            let is_frozen = self.intents.iter().any(|intent| {
                intent.order.symbol == symbol(market)
                    && !self.outcomes.contains_key(intent.id.as_str())
            });
            if is_frozen || self.dice.one_in(3) {
                continue;
            }
            let side = if self.dice.one_in(2) { Side::Buy } else { Side::Sell };
            let leg = u32::try_from(self.intents.len()).unwrap();
            let amount = ["0.1", "0.25", "0.3"][usize::try_from(self.dice.roll(3)).unwrap()];
            let intent = intent(leg, market, side, amount, self.time.now());
            self.intents.push(intent.clone());
            let fate = fate(&mut self.dice);
            self.venue.fate(fate);
            let outcome = block_on(self.broker.place(&intent));
            if self.venue.inner().fates.pop_front().is_some() {
                // It was refused before it reached the venue.
                assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
            }
            self.note(&intent, outcome);
        }
    }

    fn note(&mut self, intent: &Intent, outcome: Outcome) {
        if !matches!(outcome, Outcome::Unknown { .. }) {
            let before = self.outcomes.insert(intent.id.as_str().to_owned(), outcome);
            assert!(before.is_none(), "seed {}: settled twice", self.seed);
        }
    }

    /// A crash: everything since the last commit is gone, except the journal.
    fn restart(&mut self) {
        if self.dice.one_in(3) {
            // Somebody sets the machine's clock meanwhile, by up to an hour.
            let step_ms = i64::try_from(self.dice.roll(7_200_000)).unwrap() - 3_600_000;
            self.time.step_ms(step_ms);
        }
        self.broker = connect(&self.time, &self.venue, self.checkpoint.as_deref());
        for intent in &self.intents {
            if let Some(outcome) = self.outcomes.get(intent.id.as_str()) {
                self.broker.remember(intent, outcome);
            }
        }
    }

    fn disturb(&mut self) {
        let mut dice = Dice(self.dice.roll(u64::MAX));
        let one_in = 2 + dice.roll(10);
        self.venue.inner().dice = Some(Box::new(move || dice.one_in(one_in)));
        if self.dice.one_in(4) {
            let until =
                self.time.true_now().plus_ms(i64::try_from(self.dice.roll(15_000)).unwrap());
            self.venue.inner().id_blind_until = until;
            if self.dice.one_in(2) {
                self.venue.inner().lists_blind_until = until;
            }
        }
    }

    fn check(&self) {
        let seed = self.seed;
        let mut moved: BTreeMap<&str, Decimal> = BTreeMap::new();
        let mut trades = BTreeSet::new();
        for intent in &self.intents {
            let outcome = self.outcomes.get(intent.id.as_str());
            let outcome = outcome.unwrap_or_else(|| {
                panic!("seed {seed}: {} has no outcome: {:?}", intent.id, self.broker)
            });
            let orders = self
                .venue
                .inner()
                .orders
                .iter()
                .filter(|order| order.state.client_id == intent.id.as_str())
                .map(|order| order.state.status)
                .collect::<Vec<OrderStatus>>();
            assert!(orders.len() <= 1, "seed {seed}: {} reached the venue twice", intent.id);
            let executed = self.venue.executed(&intent.id);
            let booked: Qty = outcome.fills().iter().map(|fill| fill.amount).sum();
            assert_eq!(booked, executed, "seed {seed}: {outcome:?}");
            assert!(executed <= intent.order.amount);
            match outcome {
                Outcome::Filled { .. } => assert_eq!(orders, [OrderStatus::Filled]),
                Outcome::Partial { .. } => assert_eq!(orders, [OrderStatus::Ended]),
                Outcome::Rejected { .. } => {
                    assert!(orders.is_empty() || orders == [OrderStatus::Rejected]);
                }
                Outcome::Unknown { .. } => panic!("seed {seed}"),
            }
            for fill in outcome.fills() {
                assert!(trades.insert(fill.trade_id.clone()), "seed {seed}: booked twice");
                enter(&mut moved, intent, fill);
            }
        }
        for (name, first) in [("USDT", 1000), ("BTC", 2), ("ETH", 10), ("BNB", 5)] {
            let expected = Decimal::from(first) + moved.get(name).copied().unwrap_or_default();
            assert_eq!(self.venue.total(name), expected, "seed {seed}: {name}");
        }
    }
}

fn enter(moved: &mut BTreeMap<&str, Decimal>, intent: &Intent, fill: &Fill) {
    let symbol = &intent.order.symbol;
    let sign = if intent.order.side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
    for name in ["USDT", "BTC", "ETH", "BNB"] {
        let entry = moved.entry(name).or_default();
        if symbol.base == ticker(name) {
            *entry += fill.amount.get() * sign;
        }
        if symbol.quote == ticker(name) {
            *entry -= fill.cost * sign;
        }
        if fill.fee.asset == ticker(name) {
            *entry -= fill.fee.amount.get();
        }
    }
}

fn connect(time: &Arc<VirtualTime>, double: &Arc<Double>, checkpoint: Option<&str>) -> LiveBroker {
    let mut venues = Venues::new();
    venues.insert(venue("double"), Arc::clone(double) as _);
    let mut broker = LiveBroker::new(venues, Arc::clone(time) as _, tags(), checkpoint).unwrap();
    broker.watch(&venue("double"), [symbol("BTC/USDT"), symbol("ETH/USDT")]);
    broker
}

fn run(seed: u64) -> Run {
    let mut run = Run::new(seed);
    for _ in 0..12 {
        run.disturb();
        run.cycle();
        if run.dice.one_in(4) {
            run.restart();
        } else {
            run.checkpoint = run.broker.checkpoint();
        }
        let wait = i64::try_from(run.dice.roll(90_000)).unwrap();
        run.time.advance_ms(wait);
    }
    // The faults stop; nothing new is sent.
    run.venue.inner().dice = None;
    run.venue.inner().id_blind_until = run.time.true_now();
    run.venue.inner().lists_blind_until = run.time.true_now();
    let pending: Vec<Intent> = run.intents.clone();
    for _ in 0..20 {
        run.time.advance_ms(60_000);
        for intent in &pending {
            if !run.outcomes.contains_key(intent.id.as_str()) {
                let outcome = block_on(run.broker.look_up(intent));
                run.note(intent, outcome);
            }
        }
        run.reconcile();
    }
    run.check();
    run
}

#[test]
fn random_faults_never_execute_an_intent_twice_and_leave_none_without_an_outcome() {
    let seeds: u64 = std::env::var("KEEL_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let mut kinds: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 0..seeds {
        for outcome in run(seed).outcomes.values() {
            *kinds.entry(outcome.name()).or_default() += 1;
        }
    }
    assert!(kinds.values().all(|count| *count > 100), "the seeds do not reach far: {kinds:?}");
}

#[test]
fn the_same_seed_gives_the_same_outcomes_and_the_same_checkpoint() {
    for seed in 1000..1010 {
        let (one, two) = (run(seed), run(seed));
        assert_eq!(one.outcomes, two.outcomes);
        assert_eq!(one.broker.checkpoint(), two.broker.checkpoint());
    }
}
