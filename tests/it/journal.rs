//! What a journal gives back after its writer was killed.

use crate::keel::keel;
use keel::journal::{Durability, Journal, Mode, NewJournal, Reader, Resumed};
use keel_core::amount::{Money, Price, Qty};
use keel_core::decision::{DecisionRecord, Reason};
use keel_core::order::{ClientOrderId, Fee, Fill, Intent, OrderKind, Outcome, PlannedOrder, Side};
use keel_core::ports::Store as _;
use keel_core::record::{CycleRecord, Trigger};
use keel_core::signal::Signal;
use keel_core::state::State;
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const START: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fn open(path: &Path) -> (Journal, Option<Resumed>) {
    let new = NewJournal { mode: Mode::Live, deployment: "test".to_owned() };
    Journal::open(path, &new, Durability::EachWrite).unwrap()
}

fn intent(cycle: u64) -> Intent {
    Intent {
        id: ClientOrderId::derive("test", cycle, 0, 0),
        cycle,
        leg: 0,
        order: PlannedOrder {
            kind: OrderKind::Stable,
            venue: "binance".parse().unwrap(),
            symbol: "BTC/USDT".parse().unwrap(),
            side: Side::Buy,
            amount: Qty::new(1.into()),
            value: Money::new(100.into()),
        },
        reference_price: Price::new(100.into()),
        created_at: START,
    }
}

fn filled() -> Outcome {
    Outcome::Filled {
        fills: vec![Fill {
            trade_id: "t1".to_owned(),
            price: Price::new(100.into()),
            amount: Qty::new(2.into()),
            cost: 200.into(),
            fee: Fee { asset: "BTC".parse().unwrap(), amount: Qty::ZERO },
            at: START,
        }],
    }
}

fn ended(journal: &mut Journal, state: &mut State, cycle: u64) {
    state.cycle = cycle;
    let record = CycleRecord {
        cycle,
        at: START,
        trigger: Trigger::None,
        total_before: Money::ZERO,
        total_after: Money::ZERO,
        stablecoin_after: Money::ZERO,
        decisions: Vec::new(),
        executions: Vec::new(),
        settled: Vec::new(),
        notes: Vec::new(),
    };
    journal.commit(&record, state, &|| Some("fine".to_owned())).unwrap();
}

/// A journal in the middle of a cycle, with one order.
fn in_a_cycle(path: &Path, finished: u64) -> (Journal, Intent) {
    let (mut journal, _) = open(path);
    let mut state = State::default();
    for cycle in 1..=finished {
        ended(&mut journal, &mut state, cycle);
    }
    let order = intent(finished + 1);
    journal.write_intents(std::slice::from_ref(&order)).unwrap();
    (journal, order)
}

#[test]
fn what_a_broker_learnt_in_the_middle_of_a_cycle_is_there_after_a_kill_with_the_outcome() {
    for finished in [0, 3] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keel.sqlite");
        let (mut journal, order) = in_a_cycle(&path, finished);
        journal.write_outcome(&order.id, &filled(), START).unwrap();
        journal.write_checkpoint(&|| Some("halted".to_owned())).unwrap();
        let shown = Reader::open(&path).unwrap().state().unwrap().map(|state| state.cycle);
        assert_eq!(shown, Some(finished).filter(|cycle| *cycle > 0));
        drop(journal);

        let (_, resumed) = open(&path);
        let resumed = resumed.unwrap();
        assert_eq!(resumed.broker.as_deref(), Some("halted"), "after {finished} cycles");
        assert_eq!(resumed.settled, [(order, filled())]);
        assert!(resumed.state.unresolved.is_empty());
        assert_eq!(resumed.state.cycle, finished + 1, "its number is taken");
    }
}

#[test]
fn a_stop_before_the_first_cycle_after_a_kill_leaves_a_journal_that_opens() {
    for finished in [0, 3] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keel.sqlite");
        let (journal, order) = in_a_cycle(&path, finished);
        drop(journal);

        let (mut journal, resumed) = open(&path);
        journal.flush(&resumed.unwrap().state, Some("fine".to_owned())).unwrap();
        drop(journal);

        let (mut journal, resumed) = open(&path);
        let mut state = resumed.unwrap().state;
        assert_eq!(state.unresolved, [order]);
        assert_eq!(state.cycle, finished + 1);
        ended(&mut journal, &mut state, finished + 2);
        drop(journal);
        let (_, resumed) = open(&path);
        assert_eq!(resumed.unwrap().state.cycle, finished + 2);
    }
}

/// A child inherits every open file until it runs its own program. What it holds for that moment is
/// no second keel.
#[test]
fn a_closed_journal_is_free_while_other_programs_are_started() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                Command::new("true").status().unwrap();
            }
        });
        let new = NewJournal { mode: Mode::Live, deployment: "test".to_owned() };
        let opened: Result<Vec<_>, _> =
            (0..200).map(|_| Journal::open(&path, &new, Durability::EachWrite).map(drop)).collect();
        done.store(true, Ordering::SeqCst);
        opened.unwrap();
    });
}

/// The files of a journal, as a kill leaves them at this moment.
fn killed(path: &Path, beside: &str) -> PathBuf {
    let copy = path.with_file_name("killed.sqlite");
    for ending in ["", beside] {
        let name = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        std::fs::copy(name(path), name(&copy)).unwrap();
    }
    copy
}

#[test]
fn a_reader_of_a_journal_that_was_left_half_written_is_told_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let (mut journal, _) = open(&path);
    ended(&mut journal, &mut State::default(), 1);
    drop(journal);
    let writer = rusqlite::Connection::open(&path).unwrap();
    // More than fits into its memory, so that a part is in the file already.
    let filler = "PRAGMA cache_size = 2; BEGIN; CREATE TABLE filler (text);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
        INSERT INTO filler SELECT hex(randomblob(200)) FROM n";
    writer.execute_batch(filler).unwrap();
    let copy = killed(&path, "-journal");
    drop(writer);

    let error = Reader::open(&copy).and_then(|reader| reader.state()).unwrap_err().to_string();
    for part in ["killed.sqlite", "half written", "expected", "`keel trade`"] {
        assert!(error.contains(part), "{error}");
    }
    drop(open(&copy));
    let reader = Reader::open(&copy).unwrap();
    assert_eq!(reader.verify().unwrap(), 1);
    assert_eq!(reader.state().unwrap().unwrap().cycle, 1);
}

#[test]
fn a_reader_sees_what_was_finished_before_a_kill() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let (mut journal, _) = open(&path);
    ended(&mut journal, &mut State::default(), 1);
    let copy = killed(&path, "-wal");
    let reader = Reader::open(&copy).unwrap();
    assert_eq!(reader.verify().unwrap(), 1);
    assert_eq!(reader.state().unwrap().unwrap().cycle, 1);
}

/// The exchange shows them again, and an id that nobody knows is another installation's.
#[test]
fn f045_the_newest_orders_are_known_whatever_the_clock_says_of_their_age() {
    const DAY: i64 = 86_400_000;
    let place = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(&place.path().join("keel.sqlite"));
    let orders: Vec<Intent> = (1..=1002).map(intent).collect();
    journal.write_intents(&orders).unwrap();
    // Written by a clock that was behind, or asked for by one that is ahead.
    let later = journal.intent_ids(START.plus_ms(9 * DAY)).unwrap();
    assert_eq!(later.len(), 1000);
    assert!(later.contains(orders[1001].id.as_str()) && !later.contains(orders[1].id.as_str()));
    assert_eq!(journal.intent_ids(START).unwrap().len(), 1002);
}

/// Ticker, price, amount and reason of an asset in a cycle.
type Said = (&'static str, i64, i64, Option<Reason>);

fn decision(&(ticker, price, free, ref reason): &Said) -> DecisionRecord {
    let price = Price::new(price.into());
    DecisionRecord {
        ticker: ticker.parse().unwrap(),
        venue: Some("binance".parse().unwrap()),
        price: Some(price),
        free: Qty::new(free.into()),
        value: Money::new(price.get() * Decimal::from(free)),
        market_cap: Some(1e12),
        position: Signal::Buy,
        trend: Signal::Buy,
        dominance: 0.123_456_789_012_345_6,
        ratio: Decimal::new(12_345_678_901_234_567, 17),
        target: Money::new(Decimal::new(123_456_789_012_345_678, 12)),
        change: Money::ZERO,
        capped: false,
        cap_stale: false,
        orders: Vec::new(),
        reason: reason.clone(),
    }
}

fn record(cycle: u64, at: Timestamp, trigger: Trigger, said: &[Said]) -> CycleRecord {
    CycleRecord {
        cycle,
        at,
        trigger,
        total_before: Money::new(Decimal::new(1_000_000 + i64::try_from(cycle).unwrap(), 2)),
        total_after: Money::new(Decimal::new(1_000_000 + i64::try_from(cycle).unwrap(), 2)),
        stablecoin_after: Money::ZERO,
        decisions: said.iter().map(decision).collect(),
        executions: Vec::new(),
        settled: Vec::new(),
        notes: Vec::new(),
    }
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Midnight.
const MONDAY: Timestamp = Timestamp::from_ms(1_700_438_400_000);

/// A daemon that has a cycle every few minutes.
struct Daemon {
    journal: Journal,
    state: State,
    now: Timestamp,
}

impl Daemon {
    fn start(path: &Path, now: Timestamp) -> Self {
        let (journal, resumed) = open(path);
        Self { journal, state: resumed.map(|resumed| resumed.state).unwrap_or_default(), now }
    }

    fn cycle(&mut self, trigger: Trigger, price: i64, free: i64) -> u64 {
        self.state.cycle += 1;
        let reason = match trigger {
            Trigger::None => Reason::NoTrigger,
            _ => Reason::NotTrending,
        };
        let said = [("BTC", price, free, Some(reason))];
        let record = record(self.state.cycle, self.now, trigger, &said);
        self.journal.commit(&record, &self.state, &|| None).unwrap();
        self.state.cycle
    }

    /// One idle cycle after another, ten minutes apart, the price never the same.
    fn idle_until(&mut self, end: Timestamp) {
        while self.now < end {
            self.cycle(Trigger::None, 100 + self.now.ms() / MINUTE_MS % 50, 2);
            self.now = self.now.plus_ms(10 * MINUTE_MS);
        }
    }
}

fn kept(reader: &Reader) -> Vec<u64> {
    reader.cycles().unwrap().iter().map(|cycle| cycle.cycle).collect()
}

#[test]
fn of_a_week_ago_a_cycle_an_hour_is_left_and_the_last_of_each_day() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let mut daemon = Daemon::start(&path, MONDAY);
    daemon.idle_until(MONDAY.plus_ms(9 * DAY_MS));
    let last = daemon.state.cycle;
    let digest = daemon.journal.digest();

    let reader = Reader::open(&path).unwrap();
    let old: Vec<u64> = kept(&reader).into_iter().filter(|cycle| *cycle <= 144).collect();
    let hours = (0..24).map(|hour| 1 + hour * 6);
    assert_eq!(old, hours.chain([144]).collect::<Vec<_>>());
    let young = kept(&reader).into_iter().filter(|cycle| *cycle > last - 7 * 144);
    assert_eq!(young.count(), 7 * 144);
    let runs = reader.folded().unwrap();
    let folded: u64 = runs.iter().map(|run| run.cycles).sum();
    assert_eq!(kept(&reader).len() as u64 + folded, last, "none is missing");
    assert_eq!(runs[0].first..=runs[0].last, 2..=6);
    assert_eq!((runs[0].alike, runs[0].from_ms), (1, MONDAY.ms() + 10 * MINUTE_MS));
    let ends = reader.day_ends(MONDAY.ms()).unwrap();
    assert_eq!(ends[0].at_ms, MONDAY.ms() + DAY_MS - 10 * MINUTE_MS);
    for cycle in kept(&reader) {
        assert_eq!(reader.decisions(cycle).unwrap().len(), 1);
    }
    assert_eq!(reader.verify().unwrap(), last);
    drop((reader, daemon));
    let (journal, resumed) = open(&path);
    assert_eq!((journal.digest(), resumed.unwrap().state.cycle), (digest, last));
}

#[test]
fn what_was_new_keeps_its_record_however_old_it_is() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let mut daemon = Daemon::start(&path, MONDAY);
    let minutes = |count: i64| MONDAY.plus_ms(count * MINUTE_MS);
    daemon.cycle(Trigger::Start, 100, 2);
    daemon.now = minutes(1);
    daemon.idle_until(minutes(20));
    let mut expected = vec![];
    daemon.now = minutes(21);
    expected.push(daemon.cycle(Trigger::Signals, 100, 2));
    daemon.now = minutes(22);
    expected.push(daemon.cycle(Trigger::None, 100, 3)); // a deposit
    daemon.now = minutes(23);
    expected.push(daemon.cycle(Trigger::None, 100, 2)); // and gone
    daemon.now = minutes(24);
    let alike = daemon.cycle(Trigger::Signals, 101, 2);
    // A crash took this number, after an order was written down.
    daemon.state.cycle += 1;
    daemon.journal.write_intents(&[intent(daemon.state.cycle)]).unwrap();
    daemon.now = minutes(25);
    expected.push(daemon.cycle(Trigger::None, 102, 2));
    let order = intent(daemon.state.cycle - 1);
    daemon.journal.write_outcome(&order.id, &filled(), minutes(26)).unwrap();
    daemon.now = minutes(26);
    expected.push(daemon.cycle(Trigger::None, 102, 2));
    daemon.now = minutes(27);
    daemon.idle_until(minutes(60));
    daemon.now = MONDAY.plus_ms(8 * DAY_MS);
    daemon.cycle(Trigger::Start, 100, 2);

    let reader = Reader::open(&path).unwrap();
    let kept = kept(&reader);
    for cycle in expected {
        assert!(kept.contains(&cycle), "{cycle} is missing in {kept:?}");
    }
    assert!(!kept.contains(&alike), "the second distribution of that hour said nothing new");
    assert_eq!(reader.verify().unwrap(), daemon.state.cycle);
    assert_eq!(reader.trades(None).unwrap()[0].outcome, "filled");
}

#[test]
fn a_clock_that_was_wrong_once_does_not_keep_everything_behind_it() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let mut daemon = Daemon::start(&path, MONDAY.plus_ms(30_000 * DAY_MS));
    daemon.cycle(Trigger::Start, 100, 2);
    daemon.now = MONDAY;
    daemon.idle_until(MONDAY.plus_ms(8 * DAY_MS));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.folded().unwrap().len(), 24);
    reader.verify().unwrap();
}

const CONFIG: &str = r#"{
  "bot_settings": { "cycle_sleep_seconds": 60 },
  "paths": { "portfolio_strategies_dir": "strategies", "global_status_file_path": "status.json" },
  "exchange_configurations": { "binance": {} },
  "portfolio_assets": [
    { "ticker": "USDT", "level": 0 },
    { "ticker": "BTC", "level": 1, "exchange": "binance", "coingecko_id": "bitcoin",
      "position_interval": 3600, "trend_interval": 14400, "strategy_file": "BTC.json",
      "strategy_name": "keltner_channel" }
  ]
}"#;

#[test]
fn a_folded_cycle_is_explained_by_the_one_that_said_the_same_and_still_counts() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("c.json"), CONFIG).unwrap();
    let mut daemon = Daemon::start(&place.path().join("keel.sqlite"), MONDAY);
    daemon.idle_until(MONDAY.plus_ms(9 * DAY_MS));
    let last = daemon.state.cycle;
    drop(daemon);

    let why = |cycle: &str, more: &[&str]| {
        keel(place.path(), &[&["why", "BTC", "--cycle", cycle, "-c", "c.json"], more].concat())
    };
    let told = ["cycles 2 to 6 (", "said the same as cycle 1", "BTC in cycle 1 at", "[no_trigger]"];
    why("3", &[]).expect(0, &told);
    let shown = why("3", &["--json"]).json();
    assert_eq!(shown["decision"]["cycle"], 1);
    assert_eq!(shown["folded"]["cycles"], 5);
    assert!(why("7", &["--json"]).json()["folded"].is_null());
    let young = why(&(last - 3).to_string(), &["--json"]).json();
    assert_eq!(young["decision"]["cycle"], last - 3);
    why("9999", &[]).expect(2, &[&format!("expected 1 to {last}")]);

    let analysis = keel(place.path(), &["analyze", "-c", "c.json", "--json"]).json();
    let reason = &analysis["analysis"]["reasons"][0];
    assert_eq!((&reason["reason"], &reason["decisions"]), (&"no_trigger".into(), &last.into()));
    keel(place.path(), &["check", "-c", "c.json"])
        .expect(0, &[&format!("every digest is right up to cycle {last}")]);
}

/// What a change is found by.
fn damaged(path: &Path, sql: &str) -> String {
    let copy = path.with_file_name("changed.sqlite");
    std::fs::copy(path, &copy).unwrap();
    rusqlite::Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
    let new = NewJournal { mode: Mode::Live, deployment: "test".to_owned() };
    let opened = Journal::open(&copy, &new, Durability::EachWrite);
    opened.map(drop).expect_err(sql).to_string()
}

#[test]
fn nothing_can_be_cut_changed_or_inserted_beside_folded_cycles() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let mut daemon = Daemon::start(&path, MONDAY);
    daemon.idle_until(MONDAY.plus_ms(8 * DAY_MS));
    drop(daemon);
    for change in [
        "DELETE FROM folded WHERE first = 2",
        "DELETE FROM folded",
        "DELETE FROM cycles WHERE cycle = 7; DELETE FROM decisions WHERE cycle = 7",
        "DELETE FROM cycles WHERE cycle <= 7; DELETE FROM decisions WHERE cycle <= 7;
         DELETE FROM folded WHERE first <= 8",
        "UPDATE folded SET last = last + 1 WHERE first = 2",
        "UPDATE folded SET alike = 7 WHERE first = 2",
        "UPDATE folded SET cycles = 4 WHERE first = 2",
        "UPDATE folded SET to_ms = to_ms + 1 WHERE first = 2",
        "UPDATE folded SET before = zeroblob(32) WHERE first = 8",
        "UPDATE folded SET after = zeroblob(32) WHERE first = 2",
        "UPDATE folded SET after = x'00' WHERE first = 2",
        "INSERT INTO folded SELECT last + 1, last + 2, 1, 2, 0, 0, after, after, digest FROM folded
         WHERE first = 2",
        "INSERT INTO folded SELECT first + 100000, last + 100000, alike, cycles, from_ms, to_ms,
         before, after, digest FROM folded WHERE first = 2",
        "UPDATE decisions SET free = '5' WHERE cycle = 7",
        "INSERT INTO decisions SELECT 3, place, ticker, venue, price, free, value, market_cap, position,
         trend, dominance, ratio, target, change, flags, action, reason, detail FROM decisions
         WHERE cycle = 7",
    ] {
        let error = damaged(&path, change);
        let found = ["match their digest", "are missing"].map(|words| error.contains(words));
        assert!(found.contains(&true), "{change}: {error}");
    }
    drop(open(&path));
}

/// Makes a journal what it was before cycles were folded.
const AS_SCHEMA_1: &str = "DROP TABLE folded; DROP INDEX intents_by_time; PRAGMA user_version = 1";

#[test]
fn a_journal_of_the_first_schema_is_read_as_it_is_and_folded_bit_by_bit_once_it_is_written() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let (mut journal, _) = open(&path);
    let mut state = State::default();
    for cycle in 1..=300 {
        state.cycle = cycle;
        let at = MONDAY.plus_ms(i64::try_from(cycle).unwrap() * MINUTE_MS);
        let said = [("BTC", 100, 2, Some(Reason::NoTrigger))];
        journal.commit(&record(cycle, at, Trigger::None, &said), &state, &|| None).unwrap();
    }
    let digest = journal.digest();
    drop(journal);
    rusqlite::Connection::open(&path).unwrap().execute_batch(AS_SCHEMA_1).unwrap();

    let reader = Reader::open(&path).unwrap();
    assert_eq!((reader.verify().unwrap(), reader.folded().unwrap().len()), (300, 0));
    assert_eq!(reader.decisions(299).unwrap().len(), 1);
    drop(reader);
    let mut daemon = Daemon::start(&path, MONDAY.plus_ms(30 * DAY_MS));
    assert_eq!(daemon.journal.digest(), digest);
    let mut counts = vec![];
    for _ in 0..4 {
        daemon.cycle(Trigger::None, 100, 2);
        counts.push(kept(&Reader::open(&path).unwrap()).len());
        daemon.now = daemon.now.plus_ms(MINUTE_MS);
    }
    // One of each of the six hours that have begun, and the new ones.
    assert!(counts[0] > 150 && counts[1] > 50 && counts[2] < 20, "{counts:?}");
    drop(daemon);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.verify().unwrap(), 304);
}

#[test]
fn a_kill_at_any_moment_of_folding_leaves_all_of_a_cycle_or_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let mut daemon = Daemon::start(&path, MONDAY);
    daemon.idle_until(MONDAY.plus_ms(7 * DAY_MS));
    let before = daemon.state.cycle;
    drop(daemon);
    let file = std::fs::read(&path).unwrap();
    let mut daemon = Daemon::start(&path, MONDAY.plus_ms(7 * DAY_MS));
    daemon.idle_until(MONDAY.plus_ms(7 * DAY_MS + 3 * HOUR_MS));
    let log = std::fs::read(path.with_file_name("keel.sqlite-wal")).unwrap();
    assert!(!Reader::open(&path).unwrap().folded().unwrap().is_empty());

    // The log is written from its beginning on: whatever a kill leaves of it is a beginning.
    let killed = path.with_file_name("killed.sqlite");
    let mut seen = std::collections::BTreeSet::new();
    for part in 0..=60 {
        std::fs::write(&killed, &file).unwrap();
        let left = &log[..log.len() * part / 60];
        std::fs::write(path.with_file_name("killed.sqlite-wal"), left).unwrap();
        seen.insert(open(&killed).1.unwrap().state.cycle);
    }
    let expected: Vec<u64> = (before..=daemon.state.cycle).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

/// Twenty assets for so many days of a cycle a minute, signals each hour and four orders a day; without
/// `KEEL_JOURNAL_DAYS` eight days of a cycle each half hour. The figures in docs/performance.md are
/// from 365 days.
#[test]
fn a_year_of_minutes_stays_small_and_opens_at_once() {
    const NAMES: [&str; 20] = [
        "USDT", "BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "AVAX", "DOT", "LINK", "LTC", "UNI",
        "ATOM", "NEAR", "FIL", "APT", "ARB", "OP", "INJ", "SUI",
    ];
    let days = std::env::var("KEEL_JOURNAL_DAYS").ok().and_then(|text| text.parse::<i64>().ok());
    let pause = if days.is_some() { MINUTE_MS } else { 30 * MINUTE_MS };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keel.sqlite");
    let new = NewJournal { mode: Mode::Paper, deployment: "test".to_owned() };
    let durability = Durability::Groups { cycles: 60 };
    let (mut journal, _) = Journal::open(&path, &new, durability).unwrap();
    let mut state = State::default();
    let mut slowest = Duration::ZERO;
    let (mut now, end) = (MONDAY, MONDAY.plus_ms(days.unwrap_or(8) * DAY_MS));
    let mut said: Vec<Said> =
        NAMES.iter().map(|name| (*name, 1, 1, Some(Reason::NoTrigger))).collect();
    while now < end {
        state.cycle += 1;
        let is_hour = now.ms() % HOUR_MS == 0;
        let trigger = if is_hour { Trigger::Signals } else { Trigger::None };
        for (place, (_, price, free, reason)) in said.iter_mut().enumerate() {
            *price = 10_000 + now.ms() / MINUTE_MS * (3 + i64::try_from(place).unwrap()) % 997;
            *reason = Some(if is_hour { Reason::NotTrending } else { Reason::NoTrigger });
            if now.ms() % (6 * HOUR_MS) == MINUTE_MS {
                *free += 1;
            }
        }
        let mut record = record(state.cycle, now, trigger, &said);
        for decision in &mut record.decisions {
            // As long as they are in the journal of a real account.
            decision.price = decision.price.map(|price| Price::new(price.get() / Decimal::from(7)));
            decision.value = Money::new((decision.value.get() / Decimal::from(7)).round_dp(18));
            decision.free = Qty::new((decision.free.get() / Decimal::from(7)).round_dp(8));
        }
        if now.ms() % (6 * HOUR_MS) == 0 {
            let mut order = intent(state.cycle);
            order.created_at = now;
            let mut outcome = filled();
            if let Outcome::Filled { fills } = &mut outcome {
                fills[0].trade_id = state.cycle.to_string();
            }
            journal.write_intents(std::slice::from_ref(&order)).unwrap();
            journal.write_outcome(&order.id, &outcome, now).unwrap();
        }
        let began = Instant::now();
        journal.commit(&record, &state, &|| None).unwrap();
        slowest = slowest.max(began.elapsed());
        now = now.plus_ms(pause);
    }
    journal.flush(&state, None).unwrap();
    drop(journal);
    let size = std::fs::metadata(&path).unwrap().len();
    let opened = (0..3).map(|_| {
        let began = Instant::now();
        let (_journal, resumed) = Journal::open(&path, &new, durability).unwrap();
        assert_eq!(resumed.unwrap().state.cycle, state.cycle);
        began.elapsed()
    });
    let opened: Vec<Duration> = opened.collect();
    let reader = Reader::open(&path).unwrap();
    println!(
        "{} cycles: {:.1} MiB, {} with records, {} runs, opened in {opened:.2?}, slowest end of a cycle {slowest:.2?}",
        state.cycle,
        size as f64 / f64::from(1 << 20),
        reader.cycles().unwrap().len(),
        reader.folded().unwrap().len(),
    );
    assert!(size < 150 << 20, "{size}");
    assert_eq!(reader.folded().unwrap().is_empty(), days.is_some_and(|days| days <= 7));
}
