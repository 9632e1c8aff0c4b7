//! F28: `kill -9` at points of the order path, counted by system call.

use crate::support::{Bench, ORDERS, each, rising, told};
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
        std::env::var("KEEL_KILL_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    let path = order_path(&Bench::new(rising()));
    assert!(path.len() > 60, "{path:?}");
    let killed = AtomicUsize::new(0);
    let with_orders = AtomicUsize::new(0);
    let chosen: Vec<&Point> = (0..points).map(|n| &path[path.len() * n / points]).collect();
    each(&chosen, |(name, count)| {
        let bench = Bench::new(rising());
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let output = bench.traced(&["-e", &inject], 1);
        if !output.status.success() {
            killed.fetch_add(1, Ordering::SeqCst);
            with_orders.fetch_add(usize::from(bench.orders_sent() > 0), Ordering::SeqCst);
        }
        bench.settles();
    });
    let (killed, with_orders) = (killed.into_inner(), with_orders.into_inner());
    eprintln!("killed {killed} of {points}, {with_orders} after an order had arrived");
    assert!(killed * 10 >= points * 7, "most points were hit: {killed} of {points}");
    // An order path is more than what comes before its first order.
    assert!(with_orders * 2 >= killed, "{with_orders} of {killed} after an order had arrived");
    assert!(with_orders < killed, "some before any order");
}
