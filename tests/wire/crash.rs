//! F28: `kill -9` at points of the order path, counted by system call.

use crate::faults::{ORDERS, traded_elsewhere};
use crate::support::{Bench, finish, rising, told, wait_for};
use keel_simex::exchange::Quirks;
use keel_simex::faults::{Action, Fault, When};
use keel_simex::prices::Place;
use keel_simex::server::Double;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the order path consists of: the journal's writes and syncs, and the network.
const CALLS: &str = "pwrite64,fdatasync,fsync,sendto,write,writev,recvfrom,connect,epoll_wait";

/// A point of the order path: a system call, and how many of its kind came before and with it.
/// strace counts each kind for itself.
type Point = (String, usize);

/// The calls from shortly before the first order is sent until the end.
fn order_path(bench: &Bench) -> Vec<Point> {
    let trace = bench.path("trace");
    let plain = bench.command(&["trade", "--live", "--yes", "--cycles", "1"]);
    let mut command = Command::new("strace");
    command.args(["-qq", "-s", "64", "-e", &format!("trace={CALLS}"), "-o"]).arg(&trace);
    command.arg(plain.get_program()).args(plain.get_args());
    command.current_dir(plain.get_current_dir().unwrap()).stdin(Stdio::null());
    assert!(finish(&mut command).status.success());
    let text = String::from_utf8_lossy(&std::fs::read(&trace).unwrap()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let is_order = |line: &&str| {
        line.contains("POST /api/v3/order") || line.contains("POST /api/v5/trade/order")
    };
    let first = lines.iter().position(is_order).expect("an order");
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
        std::env::var("KEEL_KILL_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let path = order_path(&Bench::new(rising()));
    assert!(path.len() > 60, "{path:?}");
    let next = AtomicUsize::new(0);
    let killed = AtomicUsize::new(0);
    let with_orders = AtomicUsize::new(0);
    // Most of the time passes in waiting for fences, so that many can run side by side.
    std::thread::scope(|scope| {
        for _ in 0..points.min(75) {
            scope.spawn(|| {
                loop {
                    let point = next.fetch_add(1, Ordering::SeqCst);
                    if point >= points {
                        return;
                    }
                    let (name, count) = &path[path.len() * point / points];
                    let bench = Bench::new(rising());
                    let inject = format!("inject={name}:signal=KILL:when={count}");
                    let output = crate::faults::traced(&bench, &["-e", &inject], 1);
                    killed.fetch_add(usize::from(!output.status.success()), Ordering::SeqCst);
                    let orders = bench.simex.oracle();
                    let any = orders.venues.values().any(|venue| !venue.orders.is_empty());
                    with_orders.fetch_add(usize::from(any), Ordering::SeqCst);
                    bench.settles();
                }
            });
        }
    });
    eprintln!(
        "killed {} of {points}, {} after an order had arrived",
        killed.load(Ordering::SeqCst),
        with_orders.load(Ordering::SeqCst)
    );
    assert!(killed.load(Ordering::SeqCst) * 10 >= points * 7, "most points were hit");
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
        killed_when(&bench, || bench.simex.calls(double, endpoint) > 0);

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
    killed_when(&bench, || bench.log().contains("second instance"));
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

/// Trades live until something is so, and is killed then.
fn killed_when(bench: &Bench, is_so: impl FnMut() -> bool) {
    let mut command = bench.command(&["trade", "--live", "--yes"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the moment", is_so);
    child.kill().unwrap();
    child.wait().unwrap();
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
    std::thread::scope(|scope| {
        for (name, count) in points {
            scope.spawn(move || {
                let bench = Bench::new(rising());
                let inject = format!("inject={name}:signal=KILL:when={count}");
                crate::faults::traced(&bench, &["-e", &inject], 1);
                let output = finish(&mut bench.command(&["status"]));
                let text = told(&output);
                let is_plain =
                    ["no journal yet", "half written", "no cycle has finished", "Cycle 1"]
                        .iter()
                        .any(|words| text.contains(words));
                assert!(is_plain, "{name} {count}: {text}");
                bench.settles();
            });
        }
    });
}
