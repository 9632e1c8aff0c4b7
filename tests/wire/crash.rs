//! F28: `kill -9` at points of the order path, counted by system call.

use crate::support::{Bench, finish, rising};
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
