//! What a journal gives back after its writer was killed.

use keel::journal::{Durability, Journal, Mode, NewJournal, Reader, Resumed};
use keel_core::amount::{Money, Price, Qty};
use keel_core::order::{ClientOrderId, Fee, Fill, Intent, OrderKind, Outcome, PlannedOrder, Side};
use keel_core::ports::Store as _;
use keel_core::record::{CycleRecord, Trigger};
use keel_core::state::State;
use keel_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

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
