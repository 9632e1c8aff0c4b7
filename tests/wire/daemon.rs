//! The daemon as a process: it goes on, it stops in time, it takes edits of its configuration.

use crate::faults::traded_elsewhere;
use crate::support::{Bench, Daemon, ORDERS, PORTFOLIO, finish, rising, told, wait_for};
use keel_simex::faults::{Action, Fault, When};
use keel_simex::prices::Place;
use serde_json::{Value, json};
use std::io::{PipeReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

const LIVE: [&str; 3] = ["trade", "--live", "--yes"];

/// A pipe that is full and that nobody reads, as a stopped terminal or supervisor leaves it.
fn unread(command: &mut Command) -> (Daemon, PipeReader) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    command.stdout(writer.try_clone().unwrap()).stderr(writer.try_clone().unwrap());
    let daemon = Daemon::start(command);
    std::thread::spawn(move || while writer.write_all(&[b' '; 4096]).is_ok() {});
    (daemon, reader)
}

#[test]
fn f041_a_terminal_that_nobody_reads_holds_up_neither_cycles_nor_a_stop() {
    let bench = Bench::new(rising());
    let (daemon, _reader) = unread(&mut bench.command(&LIVE));
    wait_for("many cycles", || bench.cycles_done() >= 20);
    assert_eq!(daemon.stop().code(), Some(0));
    bench.settles();
}

/// Starts, waits for the first of some questions, none of which is answered, and stops: neither an
/// order nor any other of the questions follows.
fn stops_while_hanging(name: &str, endpoints: &[&str]) {
    let bench = Bench::new(rising());
    for endpoint in endpoints {
        let fault = Fault::standing(endpoint, When::Before, Action::DelayMs(30_000));
        bench.simex.fault(fault.at(name));
    }
    let daemon = bench.daemon();
    let asked = |endpoint: &&str| bench.struck(endpoint);
    wait_for(endpoints[0], || asked(&endpoints[0]) > 0);
    let before = (bench.orders_sent(), endpoints[1..].iter().map(asked).sum::<u64>());
    assert_eq!(daemon.stop().code(), Some(0));
    let after = (bench.orders_sent(), endpoints[1..].iter().map(asked).sum::<u64>());
    assert_eq!(after, before, "an order left, or was asked for, after the stop");
    bench.simex.clear_faults();
    bench.traded(1);
}

const TIME: &str = "GET /api/v3/time";
const OPEN_ORDERS: &str = "GET /api/v3/openOrders";
const CANDLES: &str = "GET /api/v3/klines";

#[test]
fn f043_a_stop_while_the_first_look_at_an_exchange_hangs() {
    stops_while_hanging("binance", &[TIME, OPEN_ORDERS, CANDLES]);
}

#[test]
fn f043_a_stop_while_the_comparison_with_an_exchange_hangs() {
    stops_while_hanging("binance", &[OPEN_ORDERS]);
}

#[test]
fn f043_a_stop_while_candles_hang() {
    stops_while_hanging("binance", &[CANDLES]);
}

#[test]
fn f043_a_stop_while_coingecko_hangs() {
    stops_while_hanging("coingecko", &["GET /api/v3/coins/markets"]);
}

#[test]
fn f043_a_stop_while_a_name_is_looked_up() {
    let mut bench = Bench::new(rising());
    bench.config["bot_settings"]["dry_run"] = true.into();
    for venue in ["binance", "okx"] {
        bench.config["exchange_configurations"][venue]["urls"]["api"] = "https://exchange".into();
    }
    bench.write_config();
    // The system looks into this file for other names of hosts, and reads it until the writer ends.
    let names = bench.path("names");
    assert!(Command::new("mkfifo").arg(&names).status().unwrap().success());
    let mut command = bench.command(&["trade"]);
    let daemon = Daemon::quiet(command.env("HOSTALIASES", &names));
    let mut writer = std::fs::OpenOptions::new();
    writer.write(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let mut open = None;
    wait_for("the look-up", || {
        open = writer.open(&names).ok();
        open.is_some()
    });
    assert_eq!(daemon.stop().code(), Some(0));
}

/// Lines of the log with a text.
fn said(bench: &Bench, text: &str) -> usize {
    bench.log().lines().filter(|line| line.contains(text)).count()
}

fn cycles_go_on(bench: &Bench) {
    let done = bench.cycles_done();
    wait_for("more cycles", || bench.cycles_done() >= done + 5);
}

#[test]
fn an_edit_of_the_configuration_counts_from_the_next_cycle_and_a_wrong_one_is_told_once() {
    let mut bench = Bench::new(rising());
    let all = bench.config.clone();
    let kept = all["portfolio_assets"].as_array().unwrap().iter();
    bench.config["portfolio_assets"] =
        kept.filter(|asset| asset["ticker"] != "LINK").cloned().collect();
    bench.config["bot_settings"]["min_order_value_usd"] = 1_000_000.into();
    bench.write_config();
    let daemon = bench.daemon();
    wait_for("a cycle", || bench.cycles_done() > 0);
    std::fs::write(bench.path("keel.json"), "{ \"bot_settings\": ").unwrap();
    wait_for("the note", || said(&bench, "the last good one stays") > 0);
    cycles_go_on(&bench);
    assert_eq!(said(&bench, "the last good one stays"), 1);
    assert_eq!(bench.orders_sent(), 0, "all were too small");
    bench.write(&all);
    assert!(bench.simex.deposit(Place::Binance, "USDT", 500.into()));
    wait_for("orders", || bench.orders_sent() > 0);
    wait_for("the new asset", || bench.status()["LINK"].is_object());
    assert_eq!(daemon.stop().code(), Some(0));
    bench.config = all;
    bench.settles();
}

#[test]
fn a_resume_of_an_exchange_that_is_not_there_and_no_cycles_at_all_are_refused() {
    let bench = Bench::new(rising());
    for (arguments, words) in [
        (["--cycles", "1", "--resume", "kraken"], "expected one of: binance, okx"),
        (["--cycles", "0", "--resume", "okx"], "0 is not in 1.."),
    ] {
        let mut command = bench.command(&["trade", "--live", "--yes"]);
        let output = finish(command.args(arguments));
        let text = told(&output);
        assert!(output.status.code() == Some(2) && text.contains(words), "{text}");
    }
    assert_eq!(bench.orders_sent(), 0);
}

/// The operator who writes this wants no orders, whatever else it takes.
#[test]
fn dry_run_that_is_set_while_it_trades_holds_orders_at_once_and_is_told() {
    let bench = Bench::new(rising());
    let daemon = bench.daemon();
    wait_for("orders", || bench.orders_sent() > 0);
    let mut dry = bench.config.clone();
    dry["bot_settings"]["dry_run"] = true.into();
    bench.write(&dry);
    wait_for("the hold", || said(&bench, "Orders are held back: bot_settings.dry_run is true") > 0);
    let before = bench.orders_sent();
    assert!(bench.simex.move_price("ETH", 1.5) && bench.simex.move_price("SOL", 0.5));
    cycles_go_on(&bench);
    assert_eq!(bench.orders_sent(), before);
    // A broken edit is no permission.
    std::fs::write(bench.path("keel.json"), "{").unwrap();
    cycles_go_on(&bench);
    assert_eq!(bench.orders_sent(), before);
    bench.write_config();
    wait_for("orders again", || bench.orders_sent() > before);
    assert_eq!(said(&bench, "No longer held back by the configuration"), 1);
    let reasons =
        bench.query("SELECT DISTINCT detail FROM decisions WHERE reason = 'exchange_closed'");
    assert!(reasons.iter().any(|row| row[0].contains("dry_run is true now")), "{reasons:?}");
    assert!(bench.query("SELECT * FROM decisions WHERE reason = 'paused'").is_empty());
    assert_eq!(daemon.stop().code(), Some(0));
    bench.settles();
}

#[test]
fn a_configuration_that_is_right_again_is_told_once_and_so_is_what_it_leaves_out() {
    let mut bench = Bench::new(rising());
    bench.connect_chat();
    let daemon = bench.daemon();
    wait_for("orders", || bench.cycles_done() > 0 && bench.unresolved() == 0);
    let told = |what: &str| bench.simex.sent_texts().iter().filter(|t| t.contains(what)).count();
    std::fs::write(bench.path("keel.json"), "{").unwrap();
    wait_for("the refusal", || told("The configuration is wrong") > 0);
    bench.write_config();
    wait_for("the all-clear", || told("The configuration is right again") > 0);
    // An edit that only waits is not what is in use.
    let mut edited = bench.config.clone();
    edited["logging"] = json!({ "level": "DEBUG" });
    bench.write(&edited);
    wait_for("the note", || told("needs a restart: logging.level") > 0);
    assert_eq!(told("The configuration was read again"), 0, "{:#?}", bench.simex.sent_texts());
    assert_eq!(said(&bench, "waiting=\"logging.level\""), 1, "{}", bench.log());
    let all = bench.config["portfolio_assets"].as_array().unwrap().clone();
    edited["portfolio_assets"] = all.into_iter().filter(|asset| asset["ticker"] != "ETH").collect();
    bench.write(&edited);
    wait_for("the warning", || told("is still held at binance and no longer managed") > 0);
    cycles_go_on(&bench);
    assert_eq!(told("ETH: "), 1);
    assert_eq!(told("The configuration is right again"), 1);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_status_tells_a_pause_a_halt_and_an_order_of_unknown_outcome() {
    let bench = Bench::new(rising());
    for endpoint in [ORDERS[1].1, "GET /api/v5/trade/order"] {
        let fault = Fault::standing(endpoint, When::After, Action::Drop);
        bench.simex.fault(fault.at("okx"));
    }
    bench.traded(1);
    std::fs::write(bench.path("keel.paused"), "").unwrap();
    let text = told(&finish(&mut bench.command(&["status"])));
    assert!(text.contains("Trading is stopped by the operator"), "{text}");
    assert!(text.contains("Of unknown outcome: buy "), "{text}");
    let shown = finish(&mut bench.command(&["status", "--json"]));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["paused"], true);
    assert!(shown["unresolved"][0]["venue"] == "okx" && shown["halted"] == json!({}), "{shown:#}");
    bench.simex.clear_faults();
    traded_elsewhere(&bench, &[]);
    let elsewhere =
        |arguments: &[&str]| finish(bench.command(arguments).current_dir(bench.path("other")));
    let text = told(&elsewhere(&["status"]));
    assert!(text.contains("Trading at binance is halted: second instance"), "{text}");
    let shown: Value = serde_json::from_slice(&elsewhere(&["status", "--json"]).stdout).unwrap();
    assert!(shown["paused"] == false && shown["halted"]["okx"].is_string(), "{shown:#}");
}

#[test]
fn what_only_a_start_reads_is_told_with_its_name_and_the_old_value_stays() {
    let bench = Bench::new(rising());
    let daemon = bench.daemon();
    wait_for("a cycle", || bench.cycles_done() > 0);
    let mut edited = bench.config.clone();
    edited["paths"]["journal_path"] = "other.sqlite".into();
    edited["exchange_configurations"]["okx"]["sandbox"] = true.into();
    bench.write(&edited);
    let told = "needs a restart: paths.journal_path, exchange_configurations.okx.sandbox;";
    wait_for("the note", || said(&bench, "needs a restart") > 0);
    assert_eq!(said(&bench, told), 1, "{}", bench.log());
    cycles_go_on(&bench);
    assert_eq!(said(&bench, "Orders are held back: exchange_configurations.okx.sandbox"), 1);
    assert!(!bench.path("other.sqlite").exists());
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn an_asset_of_an_exchange_that_is_not_connected_waits_and_the_others_are_traded() {
    let bench = Bench::with_assets(rising(), &PORTFOLIO[..3]);
    let daemon = bench.daemon();
    wait_for("orders", || bench.orders_sent() > 0);
    let mut edited = bench.config.clone();
    let mut sol = edited["portfolio_assets"][1].clone();
    for (key, value) in [("ticker", "SOL"), ("coingecko_id", "solana"), ("exchange", "okx")] {
        sol[key] = value.into();
    }
    edited["portfolio_assets"].as_array_mut().unwrap().push(sol);
    bench.write(&edited);
    let told = "needs a restart: portfolio_assets, exchange_configurations.okx;";
    wait_for("the note", || said(&bench, told) > 0);
    let before = bench.orders_sent();
    assert!(bench.simex.deposit(Place::Binance, "USDT", 500.into()));
    wait_for("more orders", || bench.orders_sent() > before);
    assert_eq!(daemon.stop().code(), Some(0));
    bench.audit();
}

#[test]
fn paper_trading_stays_paper_when_dry_run_is_taken_away_and_says_so() {
    let mut bench = Bench::new(rising());
    bench.config["bot_settings"]["dry_run"] = true.into();
    bench.write_config();
    let daemon = Daemon::quiet(&mut bench.command(&["trade"]));
    wait_for("a cycle", || bench.cycles_done() > 0);
    bench.config["bot_settings"]["dry_run"] = false.into();
    bench.write_config();
    wait_for("the note", || said(&bench, "still paper trading") > 0);
    cycles_go_on(&bench);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(bench.orders_sent(), 0);
}

#[test]
fn each_line_of_a_json_log_is_json() {
    let mut bench = Bench::new(rising());
    bench.config["logging"] = json!({ "level": "DEBUG", "json": true });
    bench.write_config();
    bench.traded(2);
    let log = bench.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
    assert!(
        lines.iter().any(|line| {
            line["fields"]["message"] == "order" && line["fields"]["venue"] == "okx"
        }),
        "{log}"
    );
}
