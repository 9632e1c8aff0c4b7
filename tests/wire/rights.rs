//! F102: a key that gains the right to withdraw while Keel runs.

use crate::support::{Bench, rising};
use async_trait::async_trait;
use keel::live::account::{RealAccount, remarks};
use keel::live::connect::Links;
use keel::live::session::Account as _;
use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::VenueId;
use keel_core::order::{ClientOrderId, Intent, OrderKind, Outcome, PlannedOrder, Side};
use keel_core::ports::{Broker as _, Clock};
use keel_core::time::Timestamp;
use keel_live::broker::LiveBroker;
use keel_live::time::{MachineTime, Time};
use keel_simex::faults::{Action, Body, Fault, When};
use keel_simex::journal::RequestRecord;
use keel_simex::prices::Place;
use keel_venues::api::KeyRights;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

const DAY_MS: i64 = 24 * 3_600_000;

/// The machine's time, and whatever a test lets pass beside it.
#[derive(Default)]
struct Skipping(AtomicI64);

impl Clock for Skipping {
    fn now(&self) -> Timestamp {
        MachineTime.now()
    }
}

#[async_trait]
impl Time for Skipping {
    async fn sleep(&self, wait: Duration) {
        MachineTime.sleep(wait).await;
    }

    fn monotonic_ms(&self) -> i64 {
        MachineTime.monotonic_ms() + self.0.load(Ordering::SeqCst)
    }
}

/// Accounts at both venues with good keys, after their first comparison.
struct Desk {
    bench: Bench,
    runtime: Runtime,
    time: Arc<Skipping>,
    account: RealAccount,
    known: BTreeSet<String>,
}

impl Desk {
    fn new() -> Self {
        let mut bench = Bench::new(rising());
        for (key, name) in [
            ("portfolio_strategies_dir", "strategies"),
            ("global_status_file_path", "status.json"),
            ("log_dir", "logs"),
        ] {
            bench.config["paths"][key] = bench.path(name).to_str().unwrap().into();
        }
        bench.write_config();
        let config = keel::cli::load_config(&bench.path("keel.json")).unwrap();
        let credentials = keel::cli::resolve_credentials(&config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let time = Arc::new(Skipping::default());
        let account = {
            let _guard = runtime.enter();
            let links = Links::new(&config, Some(&credentials)).unwrap();
            let clock = Arc::clone(&time) as Arc<dyn Time>;
            let broker =
                LiveBroker::new(links.venues(), Arc::clone(&clock), BTreeMap::new(), None).unwrap();
            RealAccount::new(broker, links, &config, clock)
        };
        let mut desk = Self { bench, runtime, time, account, known: BTreeSet::new() };
        assert_eq!(desk.reconcile(), Vec::<String>::new());
        for (venue, symbol) in [("binance", "ETH/USDT"), ("okx", "SOL/USDT")] {
            assert!(desk.trades(venue, symbol));
        }
        desk
    }

    fn reconcile(&mut self) -> Vec<String> {
        let found = self.runtime.block_on(self.account.reconcile(&self.known));
        found.keys.into_iter().chain(found.notes).collect()
    }

    fn balances(&self, venue: &str) -> Result<(), String> {
        let venue: VenueId = venue.parse().unwrap();
        let answer = self.runtime.block_on(self.account.balances(&venue));
        answer.map(drop).map_err(|error| error.0)
    }

    /// Whether an order is sent and filled; if not, it was not sent.
    fn trades(&mut self, venue: &str, symbol: &str) -> bool {
        match self.place(venue, symbol) {
            Outcome::Filled { .. } => true,
            Outcome::Rejected { reason } if reason.starts_with("not sent: ") => false,
            other => panic!("{other:?}"),
        }
    }

    fn place(&mut self, venue: &str, symbol: &str) -> Outcome {
        let leg = u32::try_from(self.known.len()).unwrap();
        let intent = Intent {
            id: ClientOrderId::derive("rights", 1, leg, 0),
            cycle: 1,
            leg,
            order: PlannedOrder {
                kind: OrderKind::Stable,
                venue: venue.parse().unwrap(),
                symbol: symbol.parse().unwrap(),
                side: Side::Buy,
                amount: Qty::new("0.5".parse().unwrap()),
                value: Money::ZERO,
            },
            reference_price: Price::new(100.into()),
            created_at: MachineTime.now(),
        };
        self.known.insert(intent.id.as_str().to_owned());
        self.runtime.block_on(self.account.place(&intent))
    }

    /// The venue is left alone, which is told once, and the other one is not; with the right gone it
    /// is traded again.
    fn stops_until_the_right_is_gone(&mut self) {
        let told = self.reconcile();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("binance") && told[0].contains("withdraw"), "{told:?}");
        assert!(self.balances("binance").unwrap_err().contains("withdraw"));
        assert!(!self.trades("binance", "ETH/USDT"));
        self.balances("okx").unwrap();
        assert!(self.trades("okx", "SOL/USDT"));
        assert_eq!(self.reconcile(), told, "as long as it is so; the reporter tells it once");
        assert!(!self.trades("binance", "ETH/USDT"));

        self.bench.simex.set_withdraw_right(Place::Binance, false);
        assert_eq!(self.reconcile(), Vec::<String>::new());
        self.balances("binance").unwrap();
        assert!(self.trades("binance", "ETH/USDT"));
    }
}

#[test]
fn f102_a_right_to_withdraw_that_comes_later_is_found_within_a_day() {
    let mut desk = Desk::new();
    desk.bench.simex.set_withdraw_right(Place::Binance, true);
    desk.time.0.store(DAY_MS, Ordering::SeqCst);
    desk.stops_until_the_right_is_gone();
}

#[test]
fn f102_a_right_to_withdraw_that_comes_in_an_outage_is_found_after_it() {
    let mut desk = Desk::new();
    let down = Fault::standing("GET /api/v3/account", When::Before, Action::Body(Body::Html));
    desk.bench.simex.fault(down.at("binance"));
    desk.balances("binance").unwrap_err();
    desk.bench.simex.set_withdraw_right(Place::Binance, true);
    desk.bench.simex.clear_faults();
    desk.stops_until_the_right_is_gone();
}

#[test]
fn f102_a_right_to_withdraw_that_comes_while_the_key_is_refused_is_found_after_it() {
    let mut desk = Desk::new();
    desk.bench.simex.set_revoked(Place::Binance, true);
    desk.balances("binance").unwrap_err();
    desk.bench.simex.set_withdraw_right(Place::Binance, true);
    desk.bench.simex.set_revoked(Place::Binance, false);
    desk.stops_until_the_right_is_gone();
}

#[test]
fn f086_a_key_that_may_not_trade_any_more_stops_its_venue_at_the_first_refused_order() {
    let mut desk = Desk::new();
    let may_trade = |desk: &Desk, may: bool| {
        desk.bench.simex.with(|world| {
            for key in world.venues.get_mut(&Place::Binance).unwrap().keys.values_mut() {
                key.trade = may;
            }
        });
    };
    may_trade(&desk, false);
    let Outcome::Rejected { reason } = desk.place("binance", "ETH/USDT") else { panic!() };
    assert!(reason.starts_with("key or permission refused"), "{reason}");
    assert!(!desk.trades("binance", "ETH/USDT"), "not tried again");
    assert!(desk.trades("okx", "SOL/USDT"));
    let told = desk.reconcile();
    assert!(told.len() == 1 && told[0].contains("cannot trade"), "{told:?}");
    may_trade(&desk, true);
    assert_eq!(desk.reconcile(), Vec::<String>::new());
    assert!(desk.trades("binance", "ETH/USDT"));
}

#[test]
fn f086_a_rejected_key_is_asked_about_at_longer_and_longer_pauses_until_it_works_again() {
    let mut desk = Desk::new();
    let private = |desk: &Desk| {
        let is_ours = |request: &&RequestRecord| request.double == "binance" && request.signed;
        desk.bench.simex.requests().iter().filter(is_ours).count()
    };
    desk.bench.simex.set_revoked(Place::Binance, true);
    let before = private(&desk);
    for _ in 0..10 {
        desk.balances("binance").unwrap_err();
        assert!(!desk.trades("binance", "ETH/USDT"));
    }
    assert_eq!(private(&desk), before + 1, "not after the first refusal");
    let is_asked_at = |desk: &mut Desk, second: i64| {
        desk.time.0.store(second * 1000, Ordering::SeqCst);
        let before = private(desk);
        desk.reconcile();
        desk.balances("binance").unwrap_err();
        private(desk) > before
    };
    let (mut asked_at, mut pause) = (0, 60);
    assert!(is_asked_at(&mut desk, asked_at));
    for _ in 0..8 {
        assert!(!is_asked_at(&mut desk, asked_at + pause * 2 / 3), "{pause} s");
        asked_at += pause + 30;
        assert!(is_asked_at(&mut desk, asked_at), "{pause} s");
        pause = (2 * pause).min(3600);
    }
    assert!(desk.trades("okx", "SOL/USDT"));
    // An answer that says nothing about the key is no reason to ask with it for anything else.
    let silent = "GET /sapi/v1/account/apiRestrictions";
    let fault = Fault::standing(silent, When::Before, Action::Body(Body::Html));
    desk.bench.simex.fault(fault.at("binance"));
    asked_at += 3630;
    is_asked_at(&mut desk, asked_at);
    let asked = |desk: &Desk, what: &str| {
        let requests = desk.bench.simex.requests();
        requests.iter().filter(|request| request.signed && request.endpoint == what).count()
    };
    let before = asked(&desk, "GET /api/v3/openOrders");
    is_asked_at(&mut desk, asked_at + 60);
    assert_eq!(asked(&desk, "GET /api/v3/openOrders"), before);
    desk.bench.simex.clear_faults();
    desk.bench.simex.set_revoked(Place::Binance, false);
    desk.time.0.store((asked_at + 3700) * 1000, Ordering::SeqCst);
    desk.reconcile();
    desk.balances("binance").unwrap();
    assert!(desk.trades("binance", "ETH/USDT"));
}

/// Nothing would be sent, so nothing is written down either.
#[test]
fn an_exchange_is_closed_while_it_wants_a_pause_and_while_its_orders_keep_failing() {
    let mut desk = Desk::new();
    let closed = |desk: &Desk, venue: &str| desk.account.closed(&venue.parse().unwrap());
    assert_eq!((closed(&desk, "binance"), closed(&desk, "okx")), (None, None));

    let headers = BTreeMap::from([("retry-after".to_owned(), "60".to_owned())]);
    let pause = Action::Status { code: 429, body: String::new(), headers };
    let fault = Fault::next("POST /api/v3/order", When::Before, pause);
    desk.bench.simex.fault(fault.at("binance"));
    desk.place("binance", "ETH/USDT");
    let why = closed(&desk, "binance").unwrap();
    assert!(why.contains("asked for a pause"), "{why}");
    assert_eq!(closed(&desk, "okx"), None);

    let fails = Action::Status { code: 503, body: String::new(), headers: BTreeMap::new() };
    let fault = Fault::standing("POST /api/v5/trade/order", When::Before, fails);
    desk.bench.simex.fault(fault.at("okx"));
    for _ in 0..5 {
        let outcome = desk.place("okx", "SOL/USDT");
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
    let why = closed(&desk, "okx").unwrap();
    assert!(why.contains("failed too often"), "{why}");
}

#[test]
fn what_differs_in_figures_only_is_told_in_the_same_words() {
    let mut desk = Desk::new();
    let told: Vec<Vec<String>> = [20_000, 21_000]
        .map(|skew_ms| {
            desk.bench.simex.with(|world| {
                world.venues.get_mut(&Place::Binance).unwrap().skew_ms = skew_ms;
            });
            desk.reconcile()
        })
        .into();
    assert!(told[0].len() == 1 && told[0][0].contains("its clock differs"), "{told:?}");
    assert_eq!(told[0], told[1]);

    // The pauses that are left are other ones each time.
    let down = Fault::standing("*", When::Before, Action::Drop);
    desk.bench.simex.fault(down.at("binance"));
    desk.time.0.store(2 * DAY_MS, Ordering::SeqCst);
    let told: Vec<Vec<String>> = (0..5)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(1100));
            desk.reconcile()
        })
        .collect();
    assert!(told[4].iter().any(|note| note.contains("is left alone for")), "{told:?}");
    assert_eq!(told[3], told[4]);
}

#[test]
fn a_key_that_ends_within_two_weeks_is_told() {
    let now = Timestamp::from_ms(1_700_000_000_000);
    let rights =
        |days| KeyRights { expires_at: Some(now.plus_ms(days * DAY_MS)), ..KeyRights::default() };
    assert_eq!(remarks(&rights(15), now), Vec::<String>::new());
    assert_eq!(remarks(&KeyRights::default(), now), Vec::<String>::new());
    let told = remarks(&rights(10), now).concat();
    assert!(told.contains("API key ends at 2023-11-24"), "{told}");
}

#[test]
fn rights_that_cannot_be_read_count_for_one_more_day() {
    let mut desk = Desk::new();
    let silent = "GET /sapi/v1/account/apiRestrictions";
    let fault = Fault::standing(silent, When::Before, Action::Drop);
    desk.bench.simex.fault(fault.at("binance"));
    desk.time.0.store(DAY_MS, Ordering::SeqCst);
    assert_eq!(desk.reconcile(), Vec::<String>::new());
    assert!(desk.trades("binance", "ETH/USDT"));
    desk.time.0.store(2 * DAY_MS, Ordering::SeqCst);
    let told = desk.reconcile();
    assert!(told.iter().any(|note| note.contains("could not be read")), "{told:?}");
    assert!(!desk.trades("binance", "ETH/USDT"));
    assert!(desk.trades("okx", "SOL/USDT"));
}
