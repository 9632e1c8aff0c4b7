//! `keel demo` and `keel trade --replay` as processes: what they leave, how they stop and continue,
//! and what they refuse.

use crate::keel::{Run, files, keel};
use crate::shared::shared;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

const CONFIG: &str = "out/portfolio_config.json";

fn demo(directory: &Path, days: &str) -> Run {
    keel(directory, &["demo", "--days", days, "--out", "out"])
}

/// Everything a journal holds that a reading command shows.
fn journal(directory: &Path) -> Vec<Value> {
    let status = keel(directory, &["status", "-c", CONFIG, "--json"]).json();
    let trades = keel(directory, &["trades", "-c", CONFIG, "--json", "-n", "0"]).json();
    let why = keel(directory, &["why", "BTC", "-c", CONFIG, "--json"]).json();
    vec![status, trades, why]
}

#[test]
fn a_demo_ends_with_a_table_files_and_what_to_do_next() {
    let place = place();
    let run = demo(place.path(), "20");
    run.expect(
        0,
        &["Keel", "HODL", "Equal weight", "BTC", "orders", "fees", "Next: `keel why BTC"],
    );
    let out = place.path().join("out");
    let status: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("status.json")).unwrap()).unwrap();
    let keys = [
        "price",
        "dominance",
        "last_market_cap",
        "last_market_cap_fetch_time",
        "position_last_check_bucket",
        "trend_last_check_bucket",
        "position_signal_prev_1",
        "position_signal_prev_2",
        "trend_signal_prev_1",
        "trend_signal_prev_2",
        "free",
        "used",
        "value_in_stable",
        "ratio",
        "target_value",
        "change",
        "done",
    ];
    assert_eq!(status.as_object().unwrap().len(), 9, "eight assets and the stablecoin");
    for (ticker, asset) in status.as_object().unwrap() {
        for key in keys {
            assert!(asset.get(key).is_some(), "{ticker} lacks {key}");
        }
    }
    let weights: f64 =
        status.as_object().unwrap().values().map(|asset| asset["ratio"].as_f64().unwrap()).sum();
    assert!((weights - 1.0).abs() < 1e-9, "weights sum to {weights}");
    let csv = std::fs::read_to_string(out.join("portfolio.csv")).unwrap();
    assert_eq!(csv.lines().count(), 10);
    assert!(csv.starts_with("ticker,level,exchange,price,"));
    assert!(out.join("strategies/BTC_strategy.json").exists());
    assert!(out.join("ohlcv/northex_BTC-USDT_1h.csv").exists());
    let log = std::fs::read_to_string(out.join("logs/keel.log")).unwrap();
    assert!(log.contains("distributed") && log.contains("outcome=\"filled\""), "{log}");
    keel(place.path(), &["check", "-c", CONFIG]).expect(0, &[]);
}

#[test]
fn every_asset_has_one_decision_and_the_reasons_can_be_asked_for() {
    let place = place();
    demo(place.path(), "5").expect(0, &[]);
    for ticker in ["USDT", "BTC", "ETH", "SOL", "LINK", "XRP", "ADA", "DOGE", "AVAX"] {
        let run = keel(place.path(), &["why", ticker, "-c", CONFIG, "--cycle", "7"]);
        run.expect(0, &[ticker, "cycle 7", "decision"]);
        let answer = keel(place.path(), &["why", ticker, "-c", CONFIG, "--cycle", "7", "--json"]);
        let decision = &answer.json()["decision"];
        let explained = decision["action"] != "hold" || decision["reason"] != "";
        assert!(explained, "{ticker}: {decision}");
    }
    keel(place.path(), &["why", "PEPE", "-c", CONFIG]).expect(2, &["expected one of", "BTC"]);
    keel(place.path(), &["why", "BTC", "-c", CONFIG, "--cycle", "121"])
        .expect(2, &["no cycle 121", "1 to 120"]);
    let csv = keel(place.path(), &["trades", "-c", CONFIG, "--export", "csv"]);
    let rows = csv.out.lines().count() - 1;
    let json = keel(place.path(), &["trades", "-c", CONFIG, "--json", "-n", "0"]).json();
    assert_eq!(rows, json.as_array().unwrap().len());
    assert!(rows > 0);
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_and_on_two_threads() {
    let run = |threads: &str| {
        let place = place();
        let status = Command::new(env!("CARGO_BIN_EXE_keel"))
            .args(["demo", "--days", "15", "--out", "out"])
            .env("RAYON_NUM_THREADS", threads)
            .current_dir(place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        files(&place.path().join("out"))
            .into_iter()
            .map(|(path, bytes)| (path.strip_prefix(place.path()).unwrap().to_owned(), bytes))
            // The log has the time of day.
            .filter(|(path, _)| !path.starts_with("out/logs"))
            .collect::<Vec<_>>()
    };
    let (one, two) = (run("1"), run("2"));
    assert!(one.iter().any(|(path, _)| path.ends_with("keel.sqlite")));
    for ((path, bytes), (other, same)) in one.iter().zip(&two) {
        assert_eq!(path, other);
        assert!(bytes == same, "{} differs", path.display());
    }
    assert_eq!(one.len(), two.len());
}

fn start_long(directory: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_keel"))
        .args(["demo", "--days", "120", "--out", "out"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the run has reported `percent`, so that it is certainly in the middle.
fn wait_for(child: &mut Child, percent: &str) -> std::io::BufReader<std::process::ChildStderr> {
    use std::io::BufRead;
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if line.contains(percent) {
            return lines;
        }
        line.clear();
    }
    panic!("the run ended before {percent}");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn killed_and_interrupted_runs_continue_to_the_same_end() {
    let whole = place();
    demo(whole.path(), "120").expect(0, &[]);
    let broken = place();
    let mut killed = start_long(broken.path());
    let _output = wait_for(&mut killed, "20 %");
    signal(&killed, "-KILL");
    assert!(!killed.wait().unwrap().success());
    let mut interrupted = start_long(broken.path());
    let _output = wait_for(&mut interrupted, "40 %");
    signal(&interrupted, "-INT");
    assert_eq!(interrupted.wait().unwrap().code(), Some(130));
    let mut terminated = start_long(broken.path());
    let _output = wait_for(&mut terminated, "50 %");
    signal(&terminated, "-TERM");
    assert_eq!(terminated.wait().unwrap().code(), Some(130));
    demo(broken.path(), "120").expect(0, &["continuing after cycle"]);
    assert_eq!(journal(whole.path()), journal(broken.path()));
    let status = |place: &TempDir| std::fs::read(place.path().join("out/status.json")).unwrap();
    assert_eq!(status(&whole), status(&broken));
    // A finished demo shows its table again and runs nothing.
    let again = demo(broken.path(), "120");
    again.expect(0, &["Keel", "HODL"]);
    assert!(!again.err.contains("continuing"));
}

#[test]
fn a_second_keel_on_the_same_journal_is_refused() {
    let place = place();
    let mut first = start_long(place.path());
    let output = wait_for(&mut first, "10 %");
    demo(place.path(), "120").expect(5, &["used by another keel"]);
    signal(&first, "-INT");
    drop(output);
    first.wait().unwrap();
}

#[test]
fn a_run_whose_last_cycle_is_old_is_not_healthy() {
    let place = place();
    let config = "out/portfolio_config.json";
    demo(place.path(), "3").expect(0, &[]);
    let status = |age| keel(place.path(), &["status", "--max-age", age, "-c", config]);
    // The demo's market is that of January 2024.
    status("86400").expect(7, &["Cycle 72", "the last cycle began", "expected at most 86400"]);
    status("4000000000").expect(0, &["Cycle 72"]);
}

#[test]
fn another_run_is_never_continued() {
    let place = place();
    demo(place.path(), "3").expect(0, &[]);
    let before = files(place.path());
    demo(place.path(), "4").expect(4, &["belongs to a demo of market 42 over 3 days"]);
    let other = keel(place.path(), &["demo", "--days", "3", "--seed", "1", "--out", "out"]);
    other.expect(4, &["market 42", "market 1"]);
    std::fs::create_dir(place.path().join("mine")).unwrap();
    std::fs::write(place.path().join("mine/photo"), "x").unwrap();
    keel(place.path(), &["demo", "--out", "mine"]).expect(2, &["not of a demo"]);
    keel(place.path(), &["demo", "--fresh", "--out", "mine"]).expect(2, &["not of a demo"]);
    assert_eq!(std::fs::read(place.path().join("mine/photo")).unwrap(), b"x");
    for (path, bytes) in &before {
        assert!(std::fs::read(path).unwrap() == *bytes, "{} changed", path.display());
    }
    keel(place.path(), &["demo", "--days", "4", "--out", "out", "--fresh"]).expect(0, &["Keel"]);
}

#[test]
fn a_damaged_or_foreign_journal_is_refused_and_left_alone() {
    let place = place();
    demo(place.path(), "3").expect(0, &[]);
    let journal = place.path().join("out/keel.sqlite");
    let sound = std::fs::read(&journal).unwrap();
    let status = std::fs::read(place.path().join("out/status.json")).unwrap();
    let mut damaged: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("text".into(), b"not a database, but long enough to look at".repeat(100)),
        ("cut in the header".into(), sound[..60].to_vec()),
        ("cut in the middle".into(), sound[..sound.len() / 2].to_vec()),
        ("cut by a page".into(), sound[..sound.len() - 4096].to_vec()),
    ];
    // A changed value inside a row: SQLite's own check does not see it, the chain does.
    for change in [
        "UPDATE decisions SET reason = 'x' WHERE cycle = 5 AND place = 3",
        "UPDATE fills SET amount = '1' WHERE place = 1",
        "UPDATE cycles SET total_after = '1' WHERE cycle = 70",
        "DELETE FROM intents WHERE leg = 0 AND cycle = 1",
        "DELETE FROM cycles WHERE cycle = 72",
        "UPDATE state SET state = replace(state, '1', '2')",
        "UPDATE state SET broker = ''",
    ] {
        let copy = place.path().join("copy.sqlite");
        std::fs::write(&copy, &sound).unwrap();
        assert!(rusqlite::Connection::open(&copy).unwrap().execute(change, []).unwrap() > 0);
        damaged.push((change.to_owned(), std::fs::read(&copy).unwrap()));
    }
    let step = sound.len() / 40;
    let mut survived = 0;
    for i in 0..40 {
        let mut flipped = sound.clone();
        flipped[i * step + 17] ^= 0x10;
        damaged.push((format!("a flipped bit at {}", i * step + 17), flipped));
    }
    for (what, bytes) in damaged {
        std::fs::write(&journal, &bytes).unwrap();
        let run = demo(place.path(), "3");
        if what.starts_with("a flipped bit") && run.code == 0 {
            // Unused space inside a page; then everything it says must still be right.
            survived += 1;
            std::fs::write(place.path().join("out/status.json"), &status).unwrap();
            continue;
        }
        assert_eq!(run.code, 4, "{what}: {run:#?}");
        assert!(run.err.contains("keel.sqlite"), "{what}: {run:#?}");
        assert!(std::fs::read(&journal).unwrap() == bytes, "{what}: the journal was changed");
        let after = std::fs::read(place.path().join("out/status.json")).unwrap();
        assert!(after == status, "{what}: the status file was changed");
    }
    assert!(survived < 20, "{survived} of 40 flipped bits went unnoticed");
    std::fs::write(&journal, &sound).unwrap();
    demo(place.path(), "3").expect(0, &["Keel"]);
}

#[test]
fn paths_that_cannot_be_written_end_with_a_clear_error() {
    let place = place();
    std::fs::write(place.path().join("file"), "x").unwrap();
    keel(place.path(), &["demo", "--out", "file/below"]).expect(6, &["file/below"]);
    assert_eq!(std::fs::read(place.path().join("file")).unwrap(), b"x");
}

#[test]
fn a_full_disk_ends_the_run_and_loses_nothing() {
    let place = place();
    demo(place.path(), "1").expect(0, &[]);
    std::fs::remove_dir_all(place.path().join("out")).unwrap();
    // A limit on file sizes gives the same error as a full disk, without one.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" demo --days 40 --out out"])
        .arg(env!("CARGO_BIN_EXE_keel"))
        .current_dir(place.path())
        .output()
        .unwrap();
    let err = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(6), "{err}");
    assert!(err.contains("journal"), "{err}");
    demo(place.path(), "40").expect(0, &["Keel"]);
    let whole = self::place();
    demo(whole.path(), "40").expect(0, &[]);
    assert_eq!(journal(whole.path()), journal(place.path()));
}

/// A configuration for recorded candles with its own output directory.
fn recorded_config(directory: &Path, assets: &[(&str, &str)]) {
    let rows: Vec<String> = assets
        .iter()
        .map(|(ticker, venue)| {
            let id = ticker.to_lowercase();
            format!(
                r#"{{"ticker":"{ticker}","level":2,"exchange":"{venue}","coingecko_id":"{id}","position_interval":3600,"trend_interval":14400,"strategy_file":"{ticker}.json","strategy_name":"keltner_channel"}}"#
            )
        })
        .collect();
    let text = format!(
        r#"{{"bot_settings":{{"initial_stablecoin_balance":20000,"indicator_history_size":300,"max_indicator_history_size":600}},
        "paths":{{"portfolio_strategies_dir":"out/s","global_status_file_path":"out/status.json"}},
        "exchange_configurations":{{"binance":{{}},"other":{{"options":{{"replay_venue":"binance"}}}}}},
        "portfolio_assets":[{{"ticker":"USDT","level":0,"strategy_file":"USDT.json","strategy_name":"keltner_channel"}},{}]}}"#,
        rows.join(",")
    );
    std::fs::create_dir_all(directory.join("out")).unwrap();
    std::fs::write(directory.join(CONFIG), text).unwrap();
}

#[test]
fn a_delisting_and_missing_caps_neither_stop_a_replay_nor_are_traded_on_stale_prices() {
    let Some(data) = shared("data") else { return };
    let place = place();
    let assets = [
        ("BTC", "binance"),
        ("ETH", "other"),
        ("FTT", "binance"),
        ("NEAR", "other"),
        ("LTC", "binance"),
    ];
    recorded_config(place.path(), &assets);
    // FTT has candles until 2022-11-15 and no caps; a made-up cap file lets it be traded.
    let tape = place.path().join("data");
    std::fs::create_dir_all(tape.join("ohlcv/binance")).unwrap();
    std::fs::create_dir_all(tape.join("marketcap")).unwrap();
    for (ticker, _) in assets {
        let market = format!("ohlcv/binance/{ticker}-USDT");
        std::fs::create_dir_all(tape.join(&market)).unwrap();
        std::fs::copy(data.join(&market).join("1h.parquet"), tape.join(market).join("1h.parquet"))
            .unwrap();
        let caps = format!("marketcap/{ticker}.csv.gz");
        if data.join(&caps).exists() {
            std::fs::copy(data.join(&caps), tape.join(&caps)).unwrap();
        }
    }
    std::fs::write(
        tape.join("marketcap/FTT.csv"),
        "date,cap_usd\n2022-01-01,300000000000\n2022-10-01,500000000000\n",
    )
    .unwrap();
    let args =
        ["trade", "--replay", "data", "--from", "2022-10-20", "--to", "2022-12-05", "-c", CONFIG];
    let run = keel(place.path(), &args);
    run.expect(0, &["Keel", "NEAR: no market caps", "no recorded market rules"]);
    let trades = keel(place.path(), &["trades", "-c", CONFIG, "--json", "-n", "0"]).json();
    let trades = trades.as_array().unwrap();
    let of = |ticker: &str| -> Vec<&Value> {
        trades.iter().filter(|trade| trade["symbol"].as_str().unwrap().contains(ticker)).collect()
    };
    assert!(!of("FTT").is_empty(), "FTT was traded while it was listed");
    assert!(of("NEAR").is_empty(), "without a cap nothing is traded");
    for trade in of("FTT") {
        assert!(trade["time"].as_str().unwrap() < "2022-11-15T03", "{trade}");
    }
    assert!(
        trades.iter().any(|trade| trade["time"].as_str().unwrap() > "2022-11-20"),
        "the others go on"
    );
    let why = keel(place.path(), &["why", "FTT", "-c", CONFIG]);
    why.expect(0, &["stale_data", "old, carried forward"]);
    keel(place.path(), &["why", "NEAR", "-c", CONFIG]).expect(0, &["no_market_cap"]);
    assert_eq!(
        keel(place.path(), &["why", "LTC", "-c", CONFIG, "--json"]).json()["cycle"]["notes"],
        serde_json::json!([])
    );
}

#[test]
fn twelve_recorded_assets_on_two_venues_replay() {
    let Some(data) = shared("data") else { return };
    let place = place();
    let tickers =
        ["BTC", "ETH", "BNB", "XRP", "ADA", "DOGE", "LTC", "LINK", "TRX", "BCH", "XLM", "MATIC"];
    let assets: Vec<(&str, &str)> = tickers
        .iter()
        .enumerate()
        .map(|(i, ticker)| (*ticker, if i % 3 == 2 { "other" } else { "binance" }))
        .collect();
    recorded_config(place.path(), &assets);
    let data = data.to_str().unwrap();
    let args =
        ["trade", "--replay", data, "--from", "2021-01-01", "--to", "2021-01-31", "-c", CONFIG];
    keel(place.path(), &args).expect(0, &["745 cycles", "direct", "other: replayed with"]);
    keel(place.path(), &["check", "-c", CONFIG, "--data", data]).expect(0, &[]);
    // Step sizes of the recorded exchangeInfo: BTC is traded in multiples of 0.00001.
    let trades = keel(place.path(), &["trades", "-c", CONFIG, "--json", "-n", "0"]).json();
    let bitcoin: Vec<&str> = trades
        .as_array()
        .unwrap()
        .iter()
        .filter(|trade| trade["symbol"] == "BTC/USDT")
        .map(|trade| trade["amount"].as_str().unwrap())
        .collect();
    assert!(!bitcoin.is_empty());
    for amount in bitcoin {
        let decimals = amount.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        assert!(decimals <= 5, "{amount}");
    }
    keel(place.path(), &["trade", "--replay", data, "--from", "2030-01-01", "-c", CONFIG])
        .expect(2, &["nothing is recorded", "candles reach from"]);
    keel(place.path(), &["trade", "--replay", "nowhere", "-c", CONFIG])
        .expect(3, &["no candles of any asset"]);
}

#[test]
fn the_seeds_status_is_never_overwritten_by_a_replay() {
    let Some(data) = shared("data") else { return };
    let place = place();
    recorded_config(place.path(), &[("BTC", "binance")]);
    let seed = r#"{"BTC": {"position_signal_prev_1": 1.0, "price": NaN}}"#;
    std::fs::write(place.path().join("out/status.json"), seed).unwrap();
    let data = data.to_str().unwrap();
    let args =
        ["trade", "--replay", data, "--from", "2021-01-01", "--to", "2021-01-02", "-c", CONFIG];
    keel(place.path(), &args).expect(4, &["never overwrites the status of another run"]);
    assert_eq!(std::fs::read_to_string(place.path().join("out/status.json")).unwrap(), seed);
    assert!(!place.path().join("out/keel.sqlite").exists());
}
