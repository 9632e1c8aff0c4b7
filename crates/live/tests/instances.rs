//! Orders that carry our tag and are in no journal of ours: another installation with the same keys,
//! or a journal that was lost.
#![allow(clippy::unwrap_used)]

mod double;

use double::{DEPLOYMENT, Double, VirtualTime, id, intent, symbol, tags, venue};
use keel_core::asset::VenueId;
use keel_core::order::{ClientOrderId, Intent, Outcome, Side};
use keel_core::ports::{Broker, Clock};
use keel_live::Venues;
use keel_live::broker::LiveBroker;
use pollster::block_on;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Accounts at two venues, and an installation that trades there.
struct Desk {
    time: Arc<VirtualTime>,
    doubles: BTreeMap<VenueId, Arc<Double>>,
    broker: LiveBroker,
    journal: BTreeSet<String>,
}

impl Desk {
    fn new() -> Self {
        let time = VirtualTime::new();
        let doubles = ["double", "other"].map(|name| (venue(name), Double::new(&time))).into();
        let broker = connect(&time, &doubles, None);
        let mut desk = Self { time, doubles, broker, journal: BTreeSet::new() };
        assert!(desk.halted().is_empty());
        desk
    }

    fn restart(&mut self, checkpoint: Option<&str>) {
        self.broker = connect(&self.time, &self.doubles, checkpoint);
    }

    /// Compares the accounts and names the venues that are halted then.
    fn halted(&mut self) -> Vec<String> {
        let found = block_on(self.broker.reconcile(&self.journal, self.time.now()));
        assert!(found.unread.is_empty(), "{found:?}");
        for reason in found.halted.values() {
            assert!(reason.starts_with("second instance or lost journal"), "{reason}");
        }
        found.halted.keys().map(ToString::to_string).collect()
    }

    fn place(&mut self, intent: &Intent) -> Outcome {
        self.journal.insert(intent.id.as_str().to_owned());
        block_on(self.broker.place(intent))
    }

    fn buy(&mut self, leg: u32) -> Outcome {
        self.buy_at("double", leg)
    }

    fn buy_at(&mut self, at: &str, leg: u32) -> Outcome {
        let mut intent = intent(leg, "BTC/USDT", Side::Buy, "1", self.time.now());
        intent.order.venue = venue(at);
        self.place(&intent)
    }

    /// An order of another installation with our keys.
    fn other_buys(&self, at: &str, cycle: u64) {
        let name = id("another installation", cycle, 0).with_tag(&tags()[&venue(at)]);
        self.doubles[&venue(at)].foreign(name.as_str(), &symbol("BTC/USDT"), Side::Buy, "1");
    }
}

fn connect(
    time: &Arc<VirtualTime>,
    doubles: &BTreeMap<VenueId, Arc<Double>>,
    checkpoint: Option<&str>,
) -> LiveBroker {
    let venues: Venues =
        doubles.iter().map(|(venue, double)| (venue.clone(), Arc::clone(double) as _)).collect();
    let mut broker = LiveBroker::new(venues, Arc::clone(time) as _, tags(), checkpoint).unwrap();
    for venue in doubles.keys() {
        broker.watch(venue, [symbol("BTC/USDT")]);
    }
    broker
}

const fn is_filled(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Filled { .. })
}

#[test]
fn f024_an_order_with_our_tag_that_the_journal_does_not_know_halts_everything() {
    for open in [true, false] {
        let mut desk = Desk::new();
        let stray = id("another installation", 1, 0);
        let (market, double) = (symbol("BTC/USDT"), &desk.doubles[&venue("double")]);
        if open {
            double.foreign_open(stray.as_str(), &market, Side::Buy, "1");
        } else {
            double.foreign(stray.as_str(), &market, Side::Buy, "1");
        }
        assert_eq!(desk.halted(), ["double", "other"]);
        assert!(matches!(desk.buy(1), Outcome::Rejected { .. }));
        assert_eq!(desk.doubles[&venue("double")].inner().writes, 0);
    }
}

#[test]
fn f038_after_a_lost_journal_nothing_is_sent_until_the_operator_goes_on() {
    let mut desk = Desk::new();
    assert!(is_filled(&desk.buy(0)));
    desk.journal.clear();
    desk.restart(None);
    assert!(!desk.broker.resume(&venue("double")), "nobody goes on from what was not seen");
    assert_eq!(desk.halted(), ["double", "other"]);
    assert!(matches!(desk.buy(1), Outcome::Rejected { .. }));
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    assert_eq!(desk.halted(), ["double", "other"], "a restart does not end it");

    desk.time.advance_ms(1000);
    for name in ["double", "other"] {
        assert!(desk.broker.resume(&venue(name)));
    }
    assert!(desk.halted().is_empty(), "what the operator has seen does not halt again");
    assert!(is_filled(&desk.buy(2)));
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    assert!(desk.halted().is_empty(), "nor after a restart");
}

#[test]
fn f040_a_venue_that_was_resumed_stops_again_at_the_next_order_of_the_other() {
    let mut desk = Desk::new();
    desk.other_buys("other", 1);
    assert_eq!(desk.halted(), ["double", "other"]);
    desk.time.advance_ms(1000);
    desk.broker.resume(&venue("double"));
    assert_eq!(desk.halted(), ["other"]);
    desk.time.advance_ms(1000);
    desk.other_buys("other", 2);
    assert_eq!(desk.halted(), ["double", "other"]);
}

#[test]
fn orders_that_were_sent_before_the_key_was_changed_stay_ours() {
    let mut desk = Desk::new();
    let mut old = intent(0, "BTC/USDT", Side::Buy, "1", desk.time.now());
    old.id = ClientOrderId::derive(DEPLOYMENT, 1, 0, 0);
    assert!(!old.id.as_str().starts_with(tags()[&venue("double")].as_str()));
    assert!(is_filled(&desk.place(&old)));
    for _ in 0..2 {
        let found = block_on(desk.broker.reconcile(&desk.journal, desk.time.now()));
        assert_eq!((found.notes.len(), found.halted.len()), (0, 0), "{found:?}");
        let checkpoint = desk.broker.checkpoint().unwrap();
        desk.restart(Some(&checkpoint));
    }
    desk.halted();
    desk.doubles[&venue("double")].execute_late(&old.id, "0.1");
    let found = block_on(desk.broker.reconcile(&desk.journal, desk.time.now()));
    assert!(found.halted[&venue("double")].contains("late fill"), "{found:?}");
}

#[test]
fn f040_a_venue_that_cannot_be_compared_for_five_minutes_is_not_traded_until_it_can() {
    let mut desk = Desk::new();
    let compare = |desk: &mut Desk, why: Option<&str>| {
        desk.doubles[&venue("double")].inner().trades_fail = why.map(str::to_owned);
        desk.time.advance_ms(60_000);
        block_on(desk.broker.reconcile(&desk.journal, desk.time.now())).unread
    };
    for minute in 1..=5 {
        let unread = compare(&mut desk, Some(&format!("paused; {} s are left", 999 - minute)));
        let told = "no usable answer: paused; 998 s are left";
        assert_eq!(unread[&venue("double")], told, "the same words, so that they are told once");
        assert!(is_filled(&desk.buy(minute)), "{minute}");
    }
    compare(&mut desk, Some("paused; 7 s are left"));
    let Outcome::Rejected { reason } = desk.buy(6) else { panic!() };
    assert_eq!(
        reason,
        "not sent: the account at double was not compared with the exchange for more than 5 \
         minutes: no usable answer: paused; 998 s are left"
    );
    assert!(desk.broker.closed(&venue("double")).is_some());
    assert!(is_filled(&desk.buy_at("other", 7)));
    assert_eq!(desk.doubles[&venue("double")].inner().writes, 5);

    // What was done meanwhile is found before anything is sent.
    assert!(compare(&mut desk, None).is_empty());
    assert_eq!(desk.broker.closed(&venue("double")), None);
    assert!(is_filled(&desk.buy(8)));
}
