//! Rows of the fault catalogue that need the whole program. Tests carry the row's number.

use crate::support::{Bench, finish, rising, terminate, told, wait_for};
use keel_simex::faults::{Action, Body, Fault, When};
use keel_simex::prices::Place;
use keel_simex::rules::MarketStatus;
use keel_simex::server::Double;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

pub const ORDERS: [(&str, &str); 2] =
    [("binance", "POST /api/v3/order"), ("okx", "POST /api/v5/trade/order")];

pub fn orders_sent(bench: &Bench) -> u64 {
    bench.simex.calls(Double::Binance, ORDERS[0].1) + bench.simex.calls(Double::Okx, ORDERS[1].1)
}

fn status(code: u16, body: &str) -> Action {
    Action::Status { code, body: body.to_owned(), headers: BTreeMap::new() }
}

#[test]
fn f001_f004_executed_orders_whose_answers_are_lost_are_booked_once() {
    let bench = Bench::new(rising());
    for (double, endpoint) in ORDERS {
        bench.simex.fault(Fault::next(endpoint, When::After, Action::Drop).at(double));
        let lost = Fault::next(endpoint, When::After, status(503, "<html>busy</html>"));
        bench.simex.fault(lost.at(double).at_call(2));
    }
    bench.traded(1);
    bench.settles();
    let refused = bench.query("SELECT COUNT(*) FROM outcomes WHERE outcome = 'rejected'");
    assert_eq!(refused[0][0], "0", "what was executed is never called refused");
}

#[test]
fn f002_f005_orders_that_never_arrived_are_proven_absent_before_they_are_planned_again() {
    let bench = Bench::new(rising());
    for (double, endpoint) in ORDERS {
        bench.simex.fault(Fault::next(endpoint, When::Before, Action::Drop).at(double));
    }
    bench.traded(1);
    let sent = orders_sent(&bench);
    assert!(sent > 0);
    bench.settles();
    let proven = bench.query("SELECT detail FROM outcomes WHERE outcome = 'rejected'");
    assert!(proven.iter().any(|row| row[0].starts_with("never accepted")), "{proven:?}");
}

#[test]
fn f007_f008_a_body_that_is_no_answer_is_unknown_and_an_inner_refusal_is_a_refusal() {
    let bench = Bench::new(rising());
    let [(binance, order), (okx, okx_order)] = ORDERS;
    for (call, body) in [(1, Body::Html), (2, Body::Empty), (3, Body::Cut)] {
        let fault = Fault::next(order, When::After, Action::Body(body));
        bench.simex.fault(fault.at(binance).at_call(call));
    }
    // Not even the question what became of it is answered in this cycle.
    let fault = Fault::standing("GET /api/v3/order", When::Before, Action::Body(Body::Html));
    bench.simex.fault(fault.at(binance));
    let inner = r#"{"code":"1","msg":"","data":[{"clOrdId":"x","ordId":"","sCode":"51008","sMsg":"Order failed. Insufficient USDT balance."}]}"#;
    bench.simex.fault(Fault::next(okx_order, When::Before, status(200, inner)).at(okx));
    bench.traded(1);
    let outcomes = bench.query("SELECT outcome, detail FROM outcomes ORDER BY place");
    assert!(outcomes.iter().any(|row| row[0] == "unknown"), "{outcomes:?}");
    assert!(
        outcomes.iter().any(|row| row[0] == "rejected" && row[1].contains("51008")),
        "{outcomes:?}"
    );
    bench.settles();
}

#[test]
fn f022_f073_a_refused_order_is_not_sent_again_as_it_was() {
    let bench = Bench::new(rising());
    let body = r#"{"code":-2010,"msg":"Account has insufficient balance for requested action."}"#;
    let fault = Fault::standing(ORDERS[0].1, When::Before, status(400, body));
    bench.simex.fault(fault.at("binance"));
    bench.traded(3);
    let ids = bench.query("SELECT id FROM intents WHERE venue = 'binance'");
    let sent = bench.simex.calls(Double::Binance, ORDERS[0].1);
    assert_eq!(sent, u64::try_from(ids.len()).unwrap(), "one request for each intent");
    assert!(sent <= 9, "no loop: {sent}");
    bench.settles();
}

#[test]
fn f030_a_full_disk_sends_nothing_and_heals_when_there_is_space() {
    if !crate::support::has_strace() {
        return;
    }
    let bench = Bench::new(rising());
    bench.traded(1);
    let before = orders_sent(&bench);
    assert!(bench.simex.move_price("BTC", 1.2));
    let output = traced(&bench, &["-e", "inject=pwrite64:error=ENOSPC:when=1+"], 1);
    assert!(!output.status.success());
    assert_eq!(orders_sent(&bench), before, "nothing is sent without a journal");
    bench.traded(1);
    bench.settles();
}

#[test]
fn f035_a_write_ahead_log_cut_anywhere_opens_to_finished_writes_or_is_refused() {
    let bench = Bench::new(rising());
    // Killed, so that the write-ahead log is still there.
    let mut command = bench.command(&["trade", "--live", "--yes"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("orders", || orders_sent(&bench) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let wal = std::fs::read(bench.path("keel.sqlite-wal")).unwrap();
    assert!(wal.len() > 1000, "{}", wal.len());
    let ids = |bench: &Bench| {
        bench.try_query("SELECT id FROM intents").map(|rows| rows.len()).unwrap_or_default()
    };
    let all = ids(&bench);
    for cut in (0..wal.len()).step_by(wal.len() / 40 + 1) {
        std::fs::write(bench.path("keel.sqlite-wal"), &wal[..cut]).unwrap();
        let output = finish(&mut bench.command(&["status"]));
        let text = told(&output);
        assert!(!text.contains("panicked"), "cut at {cut}: {text}");
        assert!(ids(&bench) <= all);
        std::fs::remove_file(bench.path("keel.sqlite-shm")).ok();
    }
    std::fs::write(bench.path("keel.sqlite-wal"), &wal).unwrap();
    bench.settles();
}

#[test]
fn f040_one_installation_trades_an_account_and_others_wait_for_the_operator() {
    let bench = Bench::new(rising());
    let mut first = bench.command(&["trade", "--live", "--yes"]);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first to trade", || orders_sent(&bench) > 0);
    let second = bench.trade(1);
    assert_eq!(second.status.code(), Some(5), "{}", told(&second));

    // The same keys on another computer, where there is no journal.
    traded_elsewhere(&bench, &[]);
    terminate(&mut first);
    let halt = "trading at binance is halted: second instance or lost journal";
    let log = std::fs::read_to_string(bench.path("other/logs/keel.log")).unwrap();
    assert!(log.contains(halt), "{log}");
    // Whatever was sent is in the journal of the first.
    bench.settles();
    let sent = orders_sent(&bench);
    bench.simex.deposit(Place::Binance, "USDT", 5000.into());
    traded_elsewhere(&bench, &[]);
    assert_eq!(orders_sent(&bench), sent, "it is still halted");
    traded_elsewhere(&bench, &["--resume", "binance", "--resume", "okx"]);
    let resumed = orders_sent(&bench);
    assert!(resumed > sent, "the operator lets it go on");

    bench.simex.deposit(Place::Binance, "USDT", 5000.into());
    bench.traded(1);
    assert_eq!(orders_sent(&bench), resumed, "now the first sees orders that are not its own");
    assert!(bench.log().contains(halt), "{}", bench.log());
}

/// One cycle in another directory, with whatever of the journal is there already.
pub fn traded_elsewhere(bench: &Bench, arguments: &[&str]) {
    std::fs::create_dir_all(bench.path("other/strategies")).unwrap();
    for entry in std::fs::read_dir(bench.path("strategies")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), bench.path("other/strategies").join(entry.file_name()))
            .unwrap();
    }
    std::fs::copy(bench.path("keel.json"), bench.path("other/keel.json")).unwrap();
    let always = ["trade", "--live", "--yes", "--cycles", "1"];
    let mut other = bench.command(&[&always[..], arguments].concat());
    let output = finish(other.current_dir(bench.path("other")));
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn f043_a_stop_in_the_middle_of_an_order_ends_in_time_and_the_order_is_found_again() {
    let bench = Bench::new(rising());
    let fault = Fault::next(ORDERS[0].1, When::After, Action::DelayMs(12_000));
    bench.simex.fault(fault.at("binance"));
    let mut command = bench.command(&["trade", "--live", "--yes"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the order", || bench.simex.calls(Double::Binance, ORDERS[0].1) > 0);
    assert_eq!(terminate(&mut child).code(), Some(0));
    bench.settles();
}

#[test]
fn f046_a_skewed_venue_clock_is_measured_and_a_jump_is_a_refusal() {
    let mut world = rising();
    world.venues.get_mut(&Place::Binance).unwrap().skew_ms = 20_000;
    let bench = Bench::new(world);
    let fault = Fault::next(ORDERS[0].1, When::Before, Action::SkewMs(-90_000));
    bench.simex.fault(fault.at("binance"));
    bench.traded(2);
    let outcomes = bench.query("SELECT outcome, detail FROM outcomes ORDER BY place");
    assert!(
        outcomes.iter().any(|row| row[0] == "rejected" && row[1].contains("-1021")),
        "{outcomes:?}"
    );
    assert!(outcomes.iter().any(|row| row[0] == "filled"), "{outcomes:?}");
    bench.settles();
}

#[test]
fn f061_a_market_that_is_halted_after_its_table_was_read_is_left_alone_once_it_refused() {
    let mut bench = Bench::new(rising());
    bench.config["bot_settings"]["cycle_sleep_duration_seconds"] = 2.into();
    bench.write_config();
    let mut is_halted = false;
    let left_alone =
        "SELECT cycle FROM decisions WHERE ticker = 'ETH' AND reason = 'market_halted'";
    let output = bench.run_for(Duration::from_secs(150), || {
        if orders_sent(&bench) == 0 {
            return false;
        }
        if !is_halted {
            bench.simex.set_market(Place::Binance, "ETH/USDT", MarketStatus::Halted);
            is_halted = true;
        }
        // Something to distribute whenever balances are read again.
        bench.simex.deposit(Place::Binance, "USDT", 1000.into());
        bench.try_query(left_alone).is_some_and(|rows| !rows.is_empty())
    });
    assert!(output.status.success(), "{}", told(&output));
    let refused = bench.query("SELECT id FROM outcomes WHERE detail LIKE '%Market is closed%'");
    assert!((1..=10).contains(&refused.len()), "{refused:?}");
    assert!(!bench.query(left_alone).is_empty(), "the table was not read again");
}

/// There are no WebSockets; what they could do, a silent or talking-nonsense REST interface can.
#[test]
fn f063_f064_a_venue_that_falls_silent_or_talks_nonsense_is_not_traded_and_then_read_again() {
    let bench = Bench::new(rising());
    bench.traded(1);
    for action in [Action::Drop, Action::Body(Body::WrongShape)] {
        bench.simex.fault(Fault::standing("GET *", When::Before, action).at("okx"));
        let before = bench.simex.calls(Double::Okx, ORDERS[1].1);
        assert!(bench.simex.move_price("SOL", 0.7) && bench.simex.move_price("ETH", 1.2));
        let output = bench.trade(1);
        // Its key cannot be read either; the other venue goes on.
        assert!(output.status.success(), "{}", told(&output));
        assert_eq!(bench.simex.calls(Double::Okx, ORDERS[1].1), before);
        bench.simex.clear_faults();
    }
    let before = bench.simex.calls(Double::Okx, ORDERS[1].1);
    assert!(bench.simex.deposit(Place::Okx, "USDT", 2_000.into()));
    bench.traded(2);
    assert!(bench.simex.calls(Double::Okx, ORDERS[1].1) > before, "{}", bench.log());
    bench.settles();
}

#[test]
fn f071_dust_makes_no_orders_and_no_log_storm() {
    let bench = Bench::new(rising());
    bench.traded(2);
    let (orders, lines) = (orders_sent(&bench), bench.log().lines().count());
    assert!(bench.simex.deposit(Place::Binance, "BNB", "0.0001".parse().unwrap()));
    assert!(bench.simex.deposit(Place::Binance, "USDT", "0.5".parse().unwrap()));
    bench.traded(20);
    assert_eq!(orders_sent(&bench), orders);
    let said = bench.log().lines().count() - lines;
    assert!(said < 40, "{said} lines about dust");
}

#[test]
fn f100_a_configuration_that_is_none_changes_nothing() {
    let bench = Bench::new(rising());
    let good = std::fs::read_to_string(bench.path("keel.json")).unwrap();
    let wrong: [Vec<u8>; 7] = [
        vec![b' '; 20 * 1024 * 1024],
        "[".repeat(100_000).into_bytes(),
        vec![0xff, 0xfe, 0x00, 0x7b],
        b"{\"bot_settings\": \0}".to_vec(),
        good.replace("\"dry_run\"", "\"dry_rum\"").into_bytes(),
        good.replacen('{', "{\"limits\": {},", 1).into_bytes(),
        Vec::new(),
    ];
    for text in wrong {
        std::fs::write(bench.path("keel.json"), &text).unwrap();
        let output = bench.trade(1);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    }
    assert!(!bench.path("keel.sqlite").exists());
    assert_eq!(orders_sent(&bench), 0);
}

#[test]
fn f065_without_caps_the_last_known_are_used() {
    let bench = Bench::new(rising());
    bench.traded(1);
    let fault = Fault::standing("*", When::Before, status(429, ""));
    bench.simex.fault(fault.at("coingecko"));
    bench.traded(1);
    assert!(bench.log().contains("CoinGecko"), "{}", bench.log());
    let last = bench.query("SELECT COUNT(*) FROM decisions WHERE reason = 'no_market_cap'");
    assert_eq!(last[0][0], "0", "caps of the state are used");
    bench.settles();
}

#[test]
fn f085_f086_a_venue_that_refuses_the_key_is_left_alone_and_the_other_trades() {
    let bench = Bench::new(rising());
    bench.traded(1);
    let fault = Fault::standing("GET /api/v3/account", When::Before, status(503, "down"));
    bench.simex.fault(fault.at("binance"));
    let before = bench.simex.calls(Double::Binance, ORDERS[0].1);
    assert!(bench.simex.move_price("SOL", 0.8) && bench.simex.move_price("LINK", 1.25));
    bench.traded(1);
    assert_eq!(bench.simex.calls(Double::Binance, ORDERS[0].1), before, "not read, not traded");
    let okx = bench.query("SELECT COUNT(*) FROM intents WHERE venue = 'okx'");
    assert_ne!(okx[0][0], "0");
    bench.simex.clear_faults();
    bench.simex.set_revoked(Place::Binance, true);
    let output = bench.trade(1);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("API key"), "{}", told(&output));
    bench.simex.set_revoked(Place::Binance, false);
    bench.settles();
}

#[test]
fn f087_proxy_variables_are_ignored() {
    let bench = Bench::new(rising());
    // The system accepts for it: a connection that nobody takes is still in its queue afterwards.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = bench.command(&["trade", "--live", "--yes", "--cycles", "1"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        command.env(name, &url);
    }
    let output = finish(&mut command);
    let asked = proxy.accept().map_err(|error| error.kind());
    assert_eq!(asked.err(), Some(ErrorKind::WouldBlock), "the proxy was asked");
    assert!(output.status.success(), "{}", told(&output));
    assert!(orders_sent(&bench) > 0);
}

#[test]
fn f101_a_config_with_keys_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new(rising());
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(bench.path("keel.json"), open).unwrap();
    let output = bench.trade(1);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("chmod 600"), "{}", told(&output));
    assert!(!bench.path("keel.sqlite").exists());
}

#[test]
fn f102_a_key_that_can_withdraw_is_refused() {
    let bench = Bench::new(rising());
    bench.simex.set_withdraw_right(Place::Okx, true);
    let output = bench.trade(1);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("withdraw"), "{}", told(&output));
    assert_eq!(orders_sent(&bench), 0);
    let doctor = finish(&mut bench.command(&["doctor"]));
    assert_eq!(doctor.status.code(), Some(7), "{}", told(&doctor));
}

/// Keys and secrets in any usual encoding, in anything that the program writes.
#[test]
fn f093_no_output_holds_a_secret() {
    let mut bench = Bench::new(rising());
    bench.config["logging"] = serde_json::json!({ "level": "DEBUG" });
    bench.write_config();
    let mut printed = Vec::new();
    let mut run = |bench: &Bench, arguments: &[&str]| {
        let mut command = bench.command(arguments);
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        let output = finish(&mut command);
        printed.extend([output.stdout, output.stderr]);
    };
    for (double, endpoint) in ORDERS {
        for (call, action) in
            [(1, Action::Drop), (2, status(500, "x")), (3, Action::Body(Body::Html))]
        {
            let fault = Fault::next(endpoint, When::After, action);
            bench.simex.fault(fault.at(double).at_call(call));
        }
    }
    run(&bench, &["trade", "--live", "--yes", "--cycles", "2"]);
    let fault = Fault::standing("*", When::Before, Action::Reset);
    bench.simex.fault(fault);
    run(&bench, &["trade", "--live", "--yes", "--cycles", "1"]);
    run(&bench, &["doctor"]);
    run(&bench, &["config", "show"]);
    run(&bench, &["trade", "--live", "--yes", "--cycles", "x"]);
    for name in ["logs/keel.log", "status.json", "keel.sqlite", "keel.sqlite-wal"] {
        printed.extend(std::fs::read(bench.path(name)).ok());
    }
    let text: Vec<String> =
        printed.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    let all = text.join("\n");
    assert!(all.len() > 2000);
    for venue in bench.simex.config().venues.values() {
        let key = &venue.keys[0];
        for secret in [&key.secret, &key.passphrase, &key.key] {
            for encoded in encodings(secret) {
                assert!(!all.contains(&encoded), "a secret is shown as {encoded}");
            }
        }
    }
}

fn encodings(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    let engines =
        [base64::engine::general_purpose::STANDARD, base64::engine::general_purpose::URL_SAFE];
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![secret.to_owned(), hex.to_uppercase(), hex, secret[..16].to_owned()];
    for engine in engines {
        let text = engine.encode(secret);
        all.push(text.trim_end_matches('=').to_owned());
    }
    all
}

/// Runs live cycles under strace, which does to system calls what `rules` say.
pub fn traced(bench: &Bench, rules: &[&str], cycles: u64) -> std::process::Output {
    let cycles = cycles.to_string();
    let plain = bench.command(&["trade", "--live", "--yes", "--cycles", &cycles]);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null"]).args(rules).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(plain.get_current_dir().unwrap());
    command.stdin(Stdio::null());
    finish(&mut command)
}
