//! F28: `kill -9` at points of the order path, counted by system call.

use crate::faults::traded_elsewhere;
use crate::support::{Bench, ORDERS, each, finish, rising, told};
use keel_simex::exchange::Quirks;
use keel_simex::faults::{Action, Fault, When};
use keel_simex::prices::Place;
use keel_simex::server::Double;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the order path consists of: the journal's writes and syncs, and the network.
const CALLS: &str = "pwrite64,fdatasync,fsync,sendto,write,writev,recvfrom,connect,epoll_wait";

/// A point of the order path: a system call, and how many of its kind came before and with it.
/// strace counts each kind for itself.
type Point = (String, usize);

/// The calls of a live cycle, oldest first, as strace writes them.
pub fn calls(bench: &Bench) -> Vec<String> {
    let trace = bench.path("trace");
    let kinds = format!("trace={CALLS}");
    let output = bench.traced(&["-s", "64", "-e", &kinds, "-o", &trace.display().to_string()], 1);
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8_lossy(&std::fs::read(&trace).unwrap()).into_owned();
    text.lines().map(str::to_owned).collect()
}

/// Whether a call sends an order.
pub fn is_order(line: &str) -> bool {
    ORDERS.iter().any(|(_, endpoint)| line.contains(endpoint))
}

/// The calls from shortly before the first order is sent until the end.
fn order_path(bench: &Bench) -> Vec<Point> {
    let lines = calls(bench);
    let first = lines.iter().position(|line| is_order(line)).expect("an order");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some((name, _)) = line.split_once('(') else { continue };
        let count = counts.entry(name).or_default();
        *count += 1;
        // What is written down before the first order is part of its path.
        if number + 40 >= first {
            points.push((name.to_owned(), *count));
        }
    }
    points
}

/// How many points can be set with `KEEL_KILL_POINTS`; the figure in docs/performance.md is from 300.
#[test]
fn f028_killed_at_any_point_of_the_order_path_no_order_is_lost_or_sent_twice() {
    if !crate::support::has_strace() {
        return;
    }
    let points: usize =
        std::env::var("KEEL_KILL_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(72);
    let path = order_path(&Bench::new(rising()));
    assert!(path.len() > 60, "{path:?}");
    let killed = AtomicUsize::new(0);
    let with_orders = AtomicUsize::new(0);
    let chosen: Vec<&Point> = (0..points).map(|n| &path[path.len() * n / points]).collect();
    each(&chosen, |(name, count)| {
        // No two runs make the same calls: one that ended before its point is tried a little earlier.
        for earlier in (0..60).step_by(6) {
            let bench = Bench::new(rising());
            let when = count.saturating_sub(earlier).max(1);
            let inject = format!("inject={name}:signal=KILL:when={when}");
            let is_killed = !bench.traced(&["-e", &inject], 1).status.success();
            if is_killed {
                killed.fetch_add(1, Ordering::SeqCst);
                with_orders.fetch_add(usize::from(bench.orders_sent() > 0), Ordering::SeqCst);
            }
            bench.settles();
            if is_killed {
                break;
            }
        }
    });
    let (killed, with_orders) = (killed.into_inner(), with_orders.into_inner());
    eprintln!("killed {killed} of {points}, {with_orders} after an order had arrived");
    assert_eq!(killed, points, "every point was hit");
    // An order path is more than what comes before its first order.
    assert!(with_orders * 2 >= killed, "{with_orders} of {killed} after an order had arrived");
    assert!(with_orders < killed, "some before any order");
}

/// The exchange executes more than was asked for, and the process is killed while it waits for the
/// answer to that order, or to the next one.
#[test]
fn f019_a_halt_outlives_a_kill_in_the_middle_of_the_cycle_that_found_it() {
    for ((slow, endpoint), double) in ORDERS.into_iter().zip([Double::Binance, Double::Okx]) {
        let bench = Bench::new(rising());
        let quirks = Quirks { overfill_bps: Some(50), ..Quirks::default() };
        bench.simex.set_quirks(Place::Binance, quirks);
        let fault = Fault::next(endpoint, When::After, Action::DelayMs(60_000));
        bench.simex.fault(fault.at(slow));
        bench.daemon().kill_when(|| bench.simex.calls(double, endpoint) > 0);

        let sent = || bench.simex.calls(Double::Binance, ORDERS[0].1);
        let before = sent();
        assert!(bench.simex.deposit(Place::Binance, "USDT", 2_000.into()));
        bench.traded(2);
        bench.traded(1);
        assert_eq!(sent(), before, "{slow}: {}", bench.log());
        assert!(bench.log().contains("binance is halted"), "{slow}: {}", bench.log());

        let resume = ["trade", "--live", "--yes", "--cycles", "2", "--resume", "binance"];
        let output = finish(&mut bench.command(&resume));
        assert!(output.status.success(), "{}", told(&output));
        assert!(sent() > before, "{slow}: {}", bench.log());
        bench.audit();
    }
}

/// What the comparison with one exchange found stops the others, although that one is not there any
/// more after the kill.
#[test]
fn f040_a_second_instance_stops_every_exchange_also_after_a_kill() {
    let bench = Bench::new(rising());
    bench.traded(1);
    std::fs::create_dir(bench.path("other")).unwrap();
    std::fs::copy(bench.path("keel.sqlite"), bench.path("other/keel.sqlite")).unwrap();
    assert!(bench.simex.deposit(Place::Binance, "USDT", 2_000.into()));
    let sent = |(_, endpoint), double| bench.simex.calls(double, endpoint);
    let before = sent(ORDERS[0], Double::Binance);
    let unread = Fault::standing("GET /api/v5/account/balance", When::Before, Action::Drop);
    bench.simex.fault(unread.at("okx"));
    traded_elsewhere(&bench, &[]);
    assert!(sent(ORDERS[0], Double::Binance) > before);
    bench.simex.clear_faults();

    let slow = Fault::standing("*", When::Before, Action::DelayMs(60_000));
    bench.simex.fault(slow.at("coingecko"));
    bench.daemon().kill_when(|| bench.log().contains("second instance"));
    bench.simex.clear_faults();
    bench.simex.fault(Fault::standing("*", When::Before, Action::Drop).at("binance"));
    assert!(bench.simex.deposit(Place::Okx, "USDT", 2_000.into()));
    let before = sent(ORDERS[1], Double::Okx);
    bench.traded(2);
    assert_eq!(sent(ORDERS[1], Double::Okx), before, "{}", bench.log());
    assert!(bench.log().contains("okx is halted"), "{}", bench.log());

    let resume = ["trade", "--live", "--yes", "--cycles", "2", "--resume", "okx"];
    let output = finish(&mut bench.command(&resume));
    assert!(output.status.success(), "{}", told(&output));
    assert!(sent(ORDERS[1], Double::Okx) > before, "{}", bench.log());
}

#[test]
fn f028_killed_while_the_journal_is_made_a_reader_is_told_and_the_next_start_goes_on() {
    if !crate::support::has_strace() {
        return;
    }
    let calls = [("rename", 1..3), ("pwrite64", 1..9), ("fdatasync", 1..5), ("unlink", 1..4)];
    let points: Vec<(&str, usize)> = calls
        .into_iter()
        .flat_map(|(name, counts)| counts.map(move |count| (name, count)))
        .collect();
    each(&points, |(name, count)| {
        let bench = Bench::new(rising());
        bench.traced(&["-e", &format!("inject={name}:signal=KILL:when={count}")], 1);
        let output = finish(&mut bench.command(&["status"]));
        let text = told(&output);
        let is_plain = ["no journal yet", "half written", "no cycle has finished", "Cycle 1"]
            .iter()
            .any(|words| text.contains(words));
        assert!(is_plain, "{name} {count}: {text}");
        bench.settles();
    });
}
