//! `keel report`, `export`, `analyze`, `parity` and `forward-test` over the journal of a demo and over
//! recorded candles.

use crate::keel::keel;
use crate::shared::shared;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const CONFIG: &str = "out/portfolio_config.json";

fn demo(days: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    keel(place.path(), &["demo", "--days", days, "--out", "out"]).expect(0, &[]);
    place
}

fn text(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn a_report_is_one_page_with_a_picture_and_tables_beside_it() {
    let place = demo("10");
    keel(place.path(), &["report", "-c", CONFIG, "--out", "r"])
        .expect(0, &["r/report.html", "r/chart.png", "r/trades.csv", "r/equity.parquet"]);
    let html = std::fs::read_to_string(place.path().join("r/report.html")).unwrap();
    for words in
        ["Value and benchmarks", "How far to trust this", "with the channel", "demo of market 42"]
    {
        assert!(html.contains(words), "{words}");
    }
    assert!(!html.contains("<script") && !html.contains("http"), "nothing outside the page");
    let equity = std::fs::read_to_string(place.path().join("r/equity.csv")).unwrap();
    assert_eq!(equity.lines().count(), 241);
    keel(place.path(), &["report", "-c", CONFIG, "--from", "2030-01-01", "--out", "r"])
        .expect(2, &["no finished cycle", "--from"]);
    keel(place.path(), &["report", "-c", CONFIG, "--journal", "nowhere.sqlite"])
        .expect(2, &["no journal yet"]);
}

#[test]
fn a_page_about_a_part_of_a_run_begins_with_that_part() {
    let place = demo("10");
    let run = ["report", "-c", CONFIG, "--from", "2024-01-03", "--to", "2024-01-05", "--out", "r"];
    keel(place.path(), &run).expect(0, &[]);
    let equity = std::fs::read_to_string(place.path().join("r/equity.csv")).unwrap();
    assert_eq!(equity.lines().count(), 73, "three whole days");
}

#[test]
fn the_parts_of_a_result_add_up_and_a_trade_log_agrees_on_costs() {
    let place = demo("20");
    let journal = keel(place.path(), &["analyze", "-c", CONFIG, "--json"]).json();
    let parts = journal["attribution"]["parts"].as_array().unwrap();
    let sum: rust_decimal::Decimal = parts
        .iter()
        .map(|part| part["value"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap())
        .sum();
    let total: rust_decimal::Decimal =
        journal["attribution"]["total"].as_str().unwrap().parse().unwrap();
    assert_eq!(sum, total);
    keel(place.path(), &["analyze", "-c", CONFIG])
        .expect(0, &["direct pairs", "altcoin cap", "remainder", "left alone because"]);
    let log = keel(place.path(), &["trades", "-c", CONFIG, "--export", "csv"]);
    std::fs::write(place.path().join("trades.csv"), &log.out).unwrap();
    let from_log = keel(place.path(), &["analyze", "--trades", "trades.csv", "--json"]).json();
    let find = |from: &Value, ticker: &str| -> Value {
        let assets = from["analysis"]["assets"].as_array().unwrap().clone();
        assets.into_iter().find(|asset| asset["ticker"] == ticker).unwrap()
    };
    for ticker in ["BTC", "SOL"] {
        let (a, b) = (find(&journal, ticker), find(&from_log, ticker));
        for figure in ["fees", "slippage", "traded"] {
            let (a, b) = (text(&a["costs"][figure]), text(&b["costs"][figure]));
            assert!((a - b).abs() < 1e-9, "{ticker} {figure}: {a} {b}");
        }
        assert!((text(&a["realised"]) - text(&b["realised"])).abs() < 1e-9);
    }
    std::fs::write(place.path().join("broken.csv"), "time,cycle\nx,1\n").unwrap();
    keel(place.path(), &["analyze", "--trades", "broken.csv"])
        .expect(2, &["broken.csv row 2", "keel trades --export csv"]);
}

#[test]
fn every_execution_is_a_row_for_the_tax_program() {
    let place = demo("10");
    let trades = keel(place.path(), &["trades", "-c", CONFIG, "--json", "-n", "0"]).json();
    let filled = trades.as_array().unwrap().iter().filter(|t| t["filled"] != "0").count();
    for (format, header) in [
        ("koinly", "Date,Sent Amount,Sent Currency,Received Amount"),
        ("cointracking", "Type,Buy Amount,Buy Currency,Sell Amount"),
        ("ledger", "time,exchange,market,side,received_amount"),
    ] {
        let run = keel(place.path(), &["export", "-c", CONFIG, "--format", format]);
        run.expect(0, &[header]);
        assert_eq!(run.out.lines().count(), filled + 1, "{format}");
    }
    keel(place.path(), &["export", "-c", CONFIG, "--format", "turbo"])
        .expect(2, &["koinly, cointracking, ledger"]);
}

#[test]
fn a_replay_run_again_agrees_to_the_last_digit() {
    let place = demo("15");
    let again = keel(place.path(), &["parity", "-c", CONFIG, "--since", "2024-01-01", "--json"]);
    again.expect(0, &[]);
    let found = again.json();
    assert_eq!(found["parity"]["cycles"], 360);
    assert_eq!(found["parity"]["skipped"], serde_json::json!({}));
    let largest: rust_decimal::Decimal = found["largest_bps"].as_str().unwrap().parse().unwrap();
    assert!(largest.is_zero(), "{found}");
    assert_eq!(found["unmatched"], 0);
    let legs = found["parity"]["legs"].as_array().unwrap();
    assert!(legs.len() > 20);
    for leg in legs {
        assert_eq!(leg["recorded"], leg["again"], "{leg}");
    }
}

#[test]
fn other_costs_show_as_a_deviation_and_end_with_code_7() {
    let place = demo("15");
    let path = place.path().join(CONFIG);
    let text = std::fs::read_to_string(&path).unwrap();
    let dear = text.replace(
        "\"exchange_configurations\"",
        "\"paper\": { \"fee_bps\": 60, \"half_spread_bps\": 40 },\n  \"exchange_configurations\"",
    );
    std::fs::write(&path, dear).unwrap();
    keel(place.path(), &["parity", "-c", CONFIG, "--since", "2024-01-01"])
        .expect(7, &["deviation, bps", "price", "fee"]);
}

/// A small configuration on recorded candles.
fn recorded(place: &Path) {
    let config = r#"{
      "bot_settings": { "dry_run": true, "initial_stablecoin_balance": 10000 },
      "paths": { "portfolio_strategies_dir": "s", "global_status_file_path": "status.json", "journal_path": "keel.sqlite", "log_dir": "logs" },
      "exchange_configurations": { "binance": {} },
      "portfolio_assets": [
        { "ticker": "USDT", "level": 0, "strategy_file": "USDT_strategy.json", "strategy_name": "keltner_channel" },
        { "ticker": "BTC", "level": 1, "exchange": "binance", "coingecko_id": "bitcoin", "position_interval": 3600, "trend_interval": 14400, "strategy_file": "BTC_strategy.json", "strategy_name": "keltner_channel" },
        { "ticker": "ETH", "level": 1, "exchange": "binance", "coingecko_id": "ethereum", "position_interval": 3600, "trend_interval": 14400, "strategy_file": "ETH_strategy.json", "strategy_name": "keltner_channel" }
      ]
    }"#;
    std::fs::write(place.join("small.json"), config).unwrap();
}

#[test]
fn a_forward_test_ranks_candidates_by_what_no_search_has_seen() {
    let Some(data) = shared("data") else { return };
    let place = tempfile::tempdir().unwrap();
    recorded(place.path());
    let data = data.to_str().unwrap();
    let space = "window=10..30:10,mult=1.00..3.00:1.00,atrs=10..20:10";
    let run = keel(
        place.path(),
        &[
            "forward-test",
            "-c",
            "small.json",
            "--data",
            data,
            "--timerange",
            "20210101-20210430",
            "--train",
            "60d",
            "--test",
            "30d",
            "--position-space",
            space,
            "--trend-space",
            space,
            "--out",
            "f",
            "--json",
        ],
    );
    run.expect(0, &[]);
    let found = run.json();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 2, "searched and as configured");
    let sharpe = |at: usize| found[at]["out_of_sample"]["sharpe"].as_f64().unwrap();
    assert!(sharpe(0) >= sharpe(1), "the best comes first");
    let searched = found.iter().find(|row| row["candidate"] == "small-searched").unwrap();
    let windows = searched["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 2);
    assert_eq!(windows[0]["end"], windows[1]["split"]);
    // 18 points, two stages, two assets.
    assert_eq!(windows[0]["tried"], 72, "{windows:?}");
    for candidate in ["small-searched", "small-as-configured"] {
        let directory = place.path().join("f").join(candidate);
        let html = std::fs::read_to_string(directory.join("report.html")).unwrap();
        assert!(html.contains("window from 2021-03-02"), "{candidate}");
        assert!(directory.join("trades.csv").exists());
        assert!(directory.join("strategies/2021-03-02/BTC_strategy.json").exists());
    }
    assert!(place.path().join("f/ranking.csv").exists());
    keel(
        place.path(),
        &["forward-test", "-c", "small.json", "--data", data, "--timerange", "20210101-20210201"],
    )
    .expect(2, &["too short", "--train"]);
}
