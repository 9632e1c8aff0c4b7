//! `keel backtest` and its relatives as processes, over candle files that the tests write.

use crate::keel::{Run, keel};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// Start of the recorded candles: 2023-01-01.
const START_MS: i64 = 1_672_531_200_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// One recorded asset: when its candles start and end, counted in days from the start.
struct Recorded {
    ticker: &'static str,
    days: std::ops::Range<i64>,
    caps: std::ops::Range<i64>,
    /// Price at the end as a part of what it would be: 1 for most, nearly 0 for a collapse.
    fades_to: f64,
}

const fn whole(ticker: &'static str, days: i64) -> Recorded {
    Recorded { ticker, days: 0..days, caps: 0..days, fades_to: 1.0 }
}

/// Prices that wave, each asset at its own pace.
fn price(recorded: &Recorded, hour: i64) -> f64 {
    let seed: u32 = recorded.ticker.bytes().map(u32::from).sum();
    let pace = f64::from(40 + seed % 37);
    #[expect(clippy::cast_precision_loss, reason = "a small count of hours")]
    let (t, end) = (hour as f64, (recorded.days.end * 24) as f64);
    let wave = 1.0 + 0.2 * (t / pace).sin() + 0.05 * (t / 7.0).sin();
    let faded = recorded.fades_to.powf((t / end).powi(2));
    100.0 * wave * (1.0 + t / 5000.0) * faded
}

fn record(directory: &Path, assets: &[Recorded]) {
    for recorded in assets {
        let mut csv = "timestamp,open,high,low,close,volume\n".to_owned();
        for hour in recorded.days.start * 24..recorded.days.end * 24 {
            let (open, close) = (price(recorded, hour), price(recorded, hour + 1));
            let (high, low) = (open.max(close) * 1.001, open.min(close) * 0.999);
            let at = START_MS + hour * HOUR_MS;
            writeln!(csv, "{at},{open},{high},{low},{close},100000").unwrap();
        }
        let file = directory.join(format!("{}.csv", recorded.ticker));
        std::fs::write(&file, csv).unwrap();
        let symbol = format!("{}/USDT", recorded.ticker);
        let file = file.to_str().unwrap();
        let options = ["--venue", "binance", "--symbol", &symbol, "--timeframe", "1h"];
        let mut arguments = vec!["data", "import", file, "--data", "data"];
        arguments.extend(options);
        keel(directory, &arguments).expect(0, &[]);
        let mut caps = "date,cap_usd,price_usd\n".to_owned();
        for day in recorded.caps.clone() {
            let price = price(recorded, day * 24);
            let date = date(START_MS + day * DAY_MS);
            writeln!(caps, "{date},{},{price}", price * 1e7).unwrap();
        }
        let directory = directory.join("data/marketcap");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{}.csv", recorded.ticker)), caps).unwrap();
    }
}

fn date(ms: i64) -> String {
    keel_core::time::Timestamp::from_ms(ms).to_string()[..10].to_owned()
}

fn configure(directory: &Path, tickers: &[&str]) {
    let mut assets: Vec<Value> = tickers
        .iter()
        .enumerate()
        .map(|(i, ticker)| {
            json!({
                "ticker": ticker, "level": 1 + i.min(1), "exchange": "binance",
                "coingecko_id": ticker.to_lowercase(), "position_interval": 3600,
                "trend_interval": 14400, "strategy_file": format!("{ticker}_strategy.json"),
                "strategy_name": "keltner_channel"
            })
        })
        .collect();
    assets.push(json!({
        "ticker": "USDT", "level": 0, "exchange": "N/A", "coingecko_id": "tether",
        "position_interval": 0, "trend_interval": 0, "strategy_file": "USDT_strategy.json",
        "strategy_name": "keltner_channel"
    }));
    let config = json!({
        "bot_settings": {
            "dry_run": true, "indicator_history_size": 200, "max_indicator_history_size": 400,
            "initial_stablecoin_balance": 10000
        },
        "paths": {
            "portfolio_strategies_dir": "./out/strategies",
            "global_status_file_path": "./out/status.json",
            "log_dir": "./out/logs", "log_filename": "keel.log"
        },
        "exchange_configurations": { "binance": { "enable_rate_limit": true } },
        "portfolio_assets": assets
    });
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
}

/// A directory with a configuration and the candles and caps of its assets.
fn place(assets: &[Recorded]) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    record(place.path(), assets);
    let tickers: Vec<&str> = assets.iter().map(|recorded| recorded.ticker).collect();
    configure(place.path(), &tickers);
    place
}

fn backtest(directory: &Path, more: &[&str]) -> Run {
    let mut arguments = vec!["backtest", "-c", "config.json", "--data", "data"];
    arguments.extend(more);
    keel(directory, &arguments)
}

/// The notes about the data.
fn notes(run: &Run) -> String {
    run.expect(0, &[]);
    let json = run.json();
    let notes = json["data_notes"].as_array().unwrap();
    notes.iter().map(|note| note.as_str().unwrap().to_owned() + "\n").collect()
}

#[track_caller]
fn expect_notes(run: &Run, words: &[&str]) {
    let notes = notes(run);
    for word in words {
        assert!(notes.contains(word), "`{word}` is missing in\n{notes}");
    }
}

#[test]
fn a_backtest_prints_itself_beside_benchmarks_and_says_what_it_leaves_out() {
    let place = place(&[whole("BTC", 60), whole("ETH", 60)]);
    let run = backtest(place.path(), &["--timerange", "20230120-20230225"]);
    run.expect(
        0,
        &["Keel", "HODL", "Equal weight", "Cap weight", "BTC", "Sharpe", "How far to trust it"],
    );
    assert!(!place.path().join("out").exists(), "nothing is written");
    let json = backtest(place.path(), &["--timerange", "20230120-20230225", "--json"]).json();
    assert_eq!(json["cycles"], 37 * 24 + 1);
    assert!(json["statistics"]["activity"]["trades"].as_u64().unwrap() > 0);
}

#[test]
fn its_journal_equals_that_of_a_paper_run_on_the_same_tape() {
    let place = place(&[whole("BTC", 50), whole("ETH", 50), whole("SOL", 50)]);
    let range = ["--timerange", "20230115-20230215", "--journal", "backtest.sqlite"];
    backtest(place.path(), &range).expect(0, &[]);
    let replay = ["--from", "2023-01-15", "--to", "2023-02-15"];
    let mut arguments = vec!["trade", "--replay", "data", "-c", "config.json"];
    arguments.extend(replay);
    keel(place.path(), &arguments).expect(0, &[]);
    let digests = |file: &str| -> Vec<(i64, Vec<u8>)> {
        let connection = rusqlite::Connection::open(place.path().join(file)).unwrap();
        let mut rows = connection.prepare("SELECT cycle, digest FROM cycles ORDER BY 1").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let journal = std::fs::read_dir(place.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "sqlite"))
        .unwrap();
    let (backtest, replay) = (digests("backtest.sqlite"), digests(journal.to_str().unwrap()));
    assert_eq!(backtest.len(), 32 * 24 + 1);
    assert_eq!(backtest, replay);
}

#[test]
fn fees_and_capital_of_the_command_line_count() {
    let place = place(&[whole("BTC", 60), whole("ETH", 60)]);
    let end = |more: &[&str]| {
        let mut arguments = vec!["--timerange", "20230120-", "--json"];
        arguments.extend(more);
        let run = backtest(place.path(), &arguments);
        run.expect(0, &[]);
        run.json()["statistics"]["total_return"].as_f64().unwrap()
    };
    let free = end(&["--fee", "0", "--slippage-model", "none"]);
    let cheap = end(&["--fee", "0.001", "--slippage-model", "fixed:2"]);
    let dear = end(&["--fee", "0.01", "--slippage-model", "volume:10,10"]);
    assert!(free > cheap && cheap > dear, "{free} {cheap} {dear}");
    let rich = backtest(place.path(), &["--capital", "50000", "--json"]).json();
    assert_eq!(rich["capital"], "50000");
    backtest(place.path(), &["--fee", "2"]).expect(2, &["expected a fraction"]);
    backtest(place.path(), &["--slippage-model", "much"]).expect(2, &["expected none"]);
}

#[test]
fn a_deposit_is_not_a_gain() {
    let place = place(&[whole("BTC", 60), whole("ETH", 60)]);
    let run = |more: &[&str]| {
        let mut arguments = vec!["--timerange", "20230120-", "--json"];
        arguments.extend(more);
        backtest(place.path(), &arguments).json()
    };
    let alone = run(&[]);
    let more = run(&["--deposit", "2023-02-01=10000"]);
    let figure = |json: &Value, name: &str| json["statistics"][name].as_f64().unwrap();
    assert!(figure(&more, "end_value") > figure(&alone, "end_value") + 5000.0);
    let difference = figure(&more, "total_return") - figure(&alone, "total_return");
    assert!(difference.abs() < 0.02, "{difference}");
    let drained = run(&["--deposit", "2023-02-01=-1000000"]);
    let told = drained["data_notes"].to_string();
    assert!(told.contains("so that much was taken"), "{told}");
    let late = run(&["--deposit", "2024-02-01=10"]);
    assert!(late["data_notes"].to_string().contains("lies after the run"), "{late}");
}

#[test]
fn a_range_outside_the_data_is_cut_or_refused_with_both_ranges() {
    let place = place(&[whole("BTC", 40)]);
    let wide = backtest(place.path(), &["--timerange", "20200101-20300101", "--json"]);
    expect_notes(
        &wide,
        &[
            "before the first candle closed",
            "after the last candle closed; the run ends on 2023-02-10",
        ],
    );
    backtest(place.path(), &["--timerange", "20200101-20200201"])
        .expect(2, &["nothing is recorded from 2020-01-01", "the candles reach from 2023-01-01"]);
    backtest(place.path(), &["--timerange", "yesterday"]).expect(2, &["expected A-B"]);
}

#[test]
fn assets_that_start_or_end_inside_the_range_are_named() {
    let late = Recorded { ticker: "SOL", days: 20..60, caps: 20..60, fades_to: 1.0 };
    let early = Recorded { ticker: "EOS", days: 0..40, caps: 0..60, fades_to: 1.0 };
    let place = place(&[whole("BTC", 60), late, early]);
    let run = backtest(place.path(), &["--timerange", "20230110-", "--json"]);
    expect_notes(
        &run,
        &["SOL: candles start on 2023-01-21 inside the range", "EOS: candles end on 2023-02-10"],
    );
}

#[test]
fn missing_caps_are_named_with_their_days() {
    let short = Recorded { ticker: "ETH", days: 0..60, caps: 0..20, fades_to: 1.0 };
    let none = Recorded { ticker: "SOL", days: 0..60, caps: 0..0, fades_to: 1.0 };
    let place = place(&[whole("BTC", 60), short, none]);
    std::fs::remove_file(place.path().join("data/marketcap/SOL.csv")).unwrap();
    let run = backtest(place.path(), &["--timerange", "20230110-", "--json"]);
    expect_notes(
        &run,
        &["ETH: no market caps from 2023-01-20 to 2023-03-02", "SOL: no market caps in"],
    );
}

#[test]
fn a_delisting_to_nothing_says_what_is_still_counted() {
    let dying = Recorded { ticker: "FTT", days: 0..45, caps: 0..45, fades_to: 0.000_01 };
    let place = place(&[whole("BTC", 60), dying]);
    let run = backtest(place.path(), &["--timerange", "20230110-", "--json"]);
    expect_notes(
        &run,
        &["FTT: candles end on 2023-02-15", "as before a delisting", "not traded (stale data)"],
    );
}

#[test]
fn files_of_one_market_in_two_lengths_are_one_market() {
    let place = place(&[whole("BTC", 40)]);
    keel(
        place.path(),
        &["data", "resample", "data", "--venue", "binance", "--symbol", "BTC/USDT", "--to", "4h"],
    )
    .expect(0, &[]);
    let run = backtest(place.path(), &["--json"]);
    run.expect(0, &[]);
    assert!(!notes(&run).contains("are made from"), "the recorded 4h file is used: {run:?}");
    assert!(!notes(&run).contains("two files"), "they agree: {run:?}");
}

#[test]
fn two_files_that_tell_the_same_bars_differently_are_named() {
    let place = place(&[whole("BTC", 40)]);
    let mut csv = "timestamp,open,high,low,close,volume\n".to_owned();
    for bar in 0..40 * 6 {
        writeln!(csv, "{},100,101,99,100,1", START_MS + bar * 4 * HOUR_MS).unwrap();
    }
    std::fs::write(place.path().join("other.csv"), csv).unwrap();
    let arguments = ["data", "import", "other.csv", "--data", "data", "--venue", "binance"];
    let which = ["--symbol", "BTC/USDT", "--timeframe", "4h"];
    keel(place.path(), &[&arguments[..], &which[..]].concat()).expect(0, &[]);
    let run = backtest(place.path(), &["--json"]);
    expect_notes(&run, &["BTC: two files have its 4h candles and differ in 240 of them"]);
}

#[test]
fn exported_files_are_the_run() {
    let place = place(&[whole("BTC", 40), whole("ETH", 40)]);
    let run = backtest(place.path(), &["--export", "result", "--json"]);
    run.expect(0, &[]);
    let read =
        |name: &str| std::fs::read_to_string(place.path().join("result").join(name)).unwrap();
    let exported: keel_backtest::Run = serde_json::from_str(&read("run.json")).unwrap();
    assert_eq!(run.json()["cycles"], exported.moments.len());
    assert_eq!(read("equity.csv").lines().count(), exported.moments.len() + 1);
    assert_eq!(read("trades.csv").lines().count(), exported.trades.len() + 1);
    assert_eq!(exported.weights.len(), 2);
}

#[test]
fn a_sweep_writes_the_same_bytes_for_the_same_seed() {
    let place = place(&[whole("BTC", 50), whole("ETH", 50), whole("SOL", 50)]);
    let sweep = |file: &str, seed: &str| {
        let arguments = [
            "sweep",
            "-c",
            "config.json",
            "--data",
            "data",
            "--timerange",
            "20230120-",
            "--grid",
            "rebalance_threshold_percentage=0.01..0.2:8",
            "--grid",
            "max_alt_coin_ratio=0.2,0.6,1",
            "--random",
            "6",
            "--seed",
            seed,
            "--limit",
            "max_drawdown<=0.5",
            "--csv",
            file,
        ];
        let run = keel(place.path(), &arguments);
        run.expect(0, &["6 of 24 points tried", "The best Sharpe ratio", "without any skill"]);
        std::fs::read_to_string(place.path().join(file)).unwrap()
    };
    let (one, two, other) = (sweep("1.csv", "5"), sweep("2.csv", "5"), sweep("3.csv", "6"));
    assert_eq!(one, two);
    assert_ne!(one, other);
    assert_eq!(one.lines().count(), 7);
    let grid = ["--grid", "min_order_value_usd=10,10000000"];
    let mut arguments = vec!["sweep", "-c", "config.json", "--data", "data", "--json"];
    arguments.extend(grid);
    let json = keel(place.path(), &arguments).json();
    let trials = json["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 2);
    assert_eq!(trials[1]["trades"], 0, "no order reaches this minimum");
    keel(place.path(), &["sweep", "-c", "config.json", "--data", "data", "--grid", "speed=1"])
        .expect(2, &["`speed` cannot be varied; expected one of"]);
}

#[test]
fn nothing_looks_ahead_and_the_needed_history_is_told() {
    let place = place(&[whole("BTC", 40), whole("ETH", 40)]);
    let of = |command: &str, more: &[&str]| {
        let mut arguments = vec![command, "-c", "config.json", "--data", "data"];
        arguments.extend(["--timerange", "20230125-20230205"]);
        arguments.extend(more);
        keel(place.path(), &arguments)
    };
    of("lookahead", &["--every", "7"]).expect(0, &["No decision depends on what comes after it."]);
    let json = of("lookahead", &["--every", "7", "--json"]).json();
    assert_eq!(json["leaks"], json!([]));
    assert_eq!(json["checked"], 42);
    of("warmup", &["--histories", "20,100,400", "--moments", "10"])
        .expect(0, &["position differs", "compared with those from 400 candles"]);
    of("warmup", &["--histories", "20"]).expect(2, &["expected at least two numbers"]);
}
