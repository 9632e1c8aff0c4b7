//! The journal's disk: full, or without what was written last.

use crate::crash::{calls, is_order};
use crate::support::{Bench, ORDERS, each, has_strace, rising, told, wait_for};
use keel::journal::Reader;
use keel_simex::prices::Place;
use keel_simex::server::Double;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

fn is_write(line: &str) -> bool {
    line.starts_with("pwrite64(")
}

fn is_sync(line: &str) -> bool {
    line.starts_with("fdatasync(") || line.starts_with("fsync(")
}

/// A kill keeps what the system has not yet put on the disk, a power cut does not: what was written
/// last before an order leaves is its intent, and it was synced.
#[test]
fn f028_the_intent_of_every_order_is_on_the_disk_before_the_order_leaves() {
    if !has_strace() {
        return;
    }
    let bench = Bench::new(rising());
    let lines = calls(&bench);
    let orders: Vec<usize> = (0..lines.len()).filter(|at| is_order(&lines[*at])).collect();
    assert!(orders.len() > 2, "{} orders", orders.len());
    let mut before = 0;
    for order in orders {
        let written = (before..order).rev().find(|at| is_write(&lines[*at]));
        let written = written.unwrap_or_else(|| panic!("no intent: {}", lines[order]));
        let synced =
            lines[written..order].iter().any(|line| is_sync(line) && line.ends_with("= 0"));
        assert!(synced, "{:#?}", &lines[written..=order]);
        before = order;
    }
    assert_eq!(bench.orders_sent().to_string(), bench.query("SELECT COUNT(*) FROM intents")[0][0]);
}

/// From some write on, nothing of the journal finds space: tried from shortly before the intents of
/// the first orders until after their outcomes.
#[test]
fn f030_a_full_disk_sends_nothing_without_its_intent_and_heals_when_there_is_space() {
    if !has_strace() {
        return;
    }
    let lines = calls(&Bench::new(rising()));
    let last = |end: usize, what: &dyn Fn(&str) -> bool| {
        lines[..end].iter().rposition(|line| what(line)).expect("a call before the first order")
    };
    let writes = |end: usize| lines[..end].iter().filter(|line| is_write(line)).count();
    let order = lines.iter().position(|line| is_order(line)).expect("an order");
    // The intents are durable with the last sync before the order; the one before it ended
    // something else.
    let durable = last(order, &is_sync);
    let begun = last(last(durable, &is_write), &is_sync);
    let points: Vec<usize> = (writes(begun) + 1..=writes(order) + 8).collect();
    let (unsent, unbooked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    each(&points, |count| {
        let bench = Bench::new(rising());
        let rule = format!("inject=pwrite64:error=ENOSPC:when={count}+");
        let output = bench.traced(&["-e", &rule], 1);
        let words = told(&output);
        assert_eq!(output.status.code(), Some(6), "write {count}: {words}");
        assert!(words.contains("disk is full") && words.contains("start again"), "{words}");
        // Before anything is put right.
        assert!(bench.with_unknown_orders().is_empty(), "write {count}: an order, no intent");
        let is_sent = bench.orders_sent() > 0;
        unsent.fetch_add(usize::from(!is_sent), Ordering::SeqCst);
        unbooked.fetch_add(usize::from(is_sent && bench.unresolved() > 0), Ordering::SeqCst);
        bench.settles();
    });
    let (unsent, unbooked) = (unsent.into_inner(), unbooked.into_inner());
    eprintln!("{unsent} before an order was sent, {unbooked} with an order that was not booked");
    assert!(unsent >= 3 && unbooked >= 3, "{unsent} and {unbooked} of {}", points.len());
}

/// What a journal holds, oldest first.
#[derive(Debug, PartialEq)]
struct Held {
    cycles: Vec<Vec<String>>,
    intents: Vec<Vec<String>>,
    outcomes: Vec<Vec<String>>,
}

impl Held {
    fn of(bench: &Bench) -> Option<Self> {
        Some(Self {
            cycles: bench.try_query("SELECT cycle, HEX(digest) FROM cycles ORDER BY cycle")?,
            intents: bench.try_query("SELECT id FROM intents ORDER BY cycle, leg")?,
            outcomes: bench.try_query("SELECT id, outcome FROM outcomes ORDER BY place")?,
        })
    }

    fn is_prefix_of(&self, whole: &Self) -> bool {
        whole.cycles.starts_with(&self.cycles)
            && whole.intents.starts_with(&self.intents)
            && whole.outcomes.starts_with(&self.outcomes)
    }

    fn len(&self) -> usize {
        self.cycles.len() + self.intents.len() + self.outcomes.len()
    }
}

/// Kills a daemon in its second distribution, so that the write-ahead log is still there.
fn killed(bench: &Bench) -> Vec<u8> {
    let daemon = bench.daemon();
    wait_for("the first orders", || bench.orders_sent() > 0);
    wait_for("some cycles", || {
        bench.try_query("SELECT COUNT(*) FROM cycles").is_some_and(|rows| rows[0][0] != "0")
    });
    let before = bench.orders_sent();
    assert!(bench.simex.deposit(Place::Binance, "USDT", 1_000.into()));
    assert!(bench.simex.deposit(Place::Okx, "USDT", 1_000.into()));
    daemon.kill_when(|| bench.orders_sent() > before);
    fs::read(bench.path("keel.sqlite-wal")).unwrap()
}

/// The log of SQLite: a header, then frames of a header and a page.
const HEADER_BYTES: usize = 32;
const FRAME_BYTES: usize = 24 + 4096;

fn cut(bench: &Bench, bytes: &[u8]) {
    fs::write(bench.path("keel.sqlite-wal"), bytes).unwrap();
    fs::remove_file(bench.path("keel.sqlite-shm")).ok();
}

#[test]
fn f035_a_write_ahead_log_cut_anywhere_opens_to_a_committed_prefix() {
    let bench = Bench::new(rising());
    let log = killed(&bench);
    let frames = (log.len() - HEADER_BYTES) / FRAME_BYTES;
    assert!(frames > 20, "{frames}");
    let whole = Held::of(&bench).unwrap();
    let end = HEADER_BYTES + frames * FRAME_BYTES;
    let mut cuts: Vec<usize> = vec![0, 1, HEADER_BYTES - 1];
    for frame in 0..=frames {
        let start = HEADER_BYTES + frame * FRAME_BYTES;
        cuts.extend([start, start + 23, start + 24, start + 2000].map(|at| at.min(log.len())));
    }
    // Every byte of the last frame's header, and many of its page.
    cuts.extend(end - FRAME_BYTES..end - FRAME_BYTES + 24);
    cuts.extend((end - FRAME_BYTES + 24..end).step_by(37));
    cuts.sort_unstable();
    cuts.dedup();
    let mut held_before = 0;
    for cut_at in cuts {
        cut(&bench, &log[..cut_at]);
        let held = Held::of(&bench).unwrap_or_else(|| panic!("cut at {cut_at}: not readable"));
        assert!(held.is_prefix_of(&whole), "cut at {cut_at}: {held:?}");
        assert!(held.len() >= held_before, "cut at {cut_at}: less than with a shorter log");
        held_before = held.len();
        // What the program reads is the same.
        let read = Reader::open(&bench.path("keel.sqlite")).and_then(|reader| reader.cycle(None));
        let cycle = read.unwrap_or_else(|error| panic!("cut at {cut_at}: {error}"));
        let last = held.cycles.last().map(|row| row[0].clone());
        assert_eq!(cycle.map(|row| row.cycle.to_string()), last, "cut at {cut_at}");
    }
    assert_eq!(held_before, whole.len());
    cut(&bench, &log);
    bench.settles();
}

/// A writer on a cut log either knows every order that was sent, and settles, or sends nothing more
/// to an exchange that has orders of ours which the journal lost.
#[test]
fn f035_a_writer_on_a_cut_log_settles_or_leaves_the_exchange_alone() {
    let with_losses = AtomicUsize::new(0);
    // Bytes that are lost from the end; the last one loses everything.
    each(&[0, 1, FRAME_BYTES, 12 * FRAME_BYTES, 40 * FRAME_BYTES, usize::MAX], |lost| {
        let bench = Bench::new(rising());
        let log = killed(&bench);
        let file = fs::read(bench.path("keel.sqlite")).unwrap();
        cut(&bench, &log[..log.len().saturating_sub(*lost)]);
        let venues = bench.with_unknown_orders();
        if venues.is_empty() {
            bench.settles();
            return;
        }
        with_losses.fetch_add(1, Ordering::SeqCst);
        let sent = || {
            let double = |venue: &String| match venue.as_str() {
                "okx" => bench.simex.calls(Double::Okx, ORDERS[1].1),
                _ => bench.simex.calls(Double::Binance, ORDERS[0].1),
            };
            venues.iter().map(double).collect::<Vec<u64>>()
        };
        let before = sent();
        assert!(bench.simex.move_price("ETH", 1.3) && bench.simex.move_price("SOL", 0.8));
        let output = bench.trade(2);
        assert_eq!(before, sent(), "{lost} bytes lost: {}", told(&output));
        for venue in &venues {
            assert!(bench.log().contains(&format!("{venue} is halted")), "{}", bench.log());
        }
        // With the journal from before, everything is known again.
        fs::write(bench.path("keel.sqlite"), file).unwrap();
        cut(&bench, &log);
        bench.settles();
    });
    assert!(with_losses.into_inner() > 0, "a log that lost everything has lost orders");
}
