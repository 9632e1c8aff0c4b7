//! What the command line answers, to good input and to bad.

use std::path::Path;
use std::process::{Command, Output};

/// The repository's own configuration with two assets on hourly candles.
fn config() -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../portfolio/configs/portfolio_config.json");
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let assets = config["portfolio_assets"].as_array_mut().unwrap();
    assets.retain(|asset| ["BTC", "ETH", "USDT"].contains(&asset["ticker"].as_str().unwrap()));
    for asset in assets {
        if asset["level"] != 0 {
            asset["trend_interval"] = 3600.into();
        }
    }
    config.to_string()
}

fn hyperopt(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hyperopt"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A seeded walk of hourly candles as CSV.
fn candles(rows: usize, seed: u64) -> String {
    let mut csv = String::from("timestamp,open,high,low,close,volume\n");
    let (mut state, mut price) = (seed, 100.0_f64);
    for row in 0..rows {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let open = price;
        price = ((price * (1.0 + 0.03 * ((state >> 40) as f64 / (1 << 24) as f64 - 0.5))) * 100.0)
            .round()
            / 100.0;
        let (high, low) = (open.max(price), open.min(price));
        csv += &format!(
            "{},{open},{high},{low},{price},1\n",
            1_700_000_000_000_u64 / 3_600_000 * 3_600_000 + row as u64 * 3_600_000
        );
    }
    csv
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config()).unwrap();
    std::fs::write(folder.path().join("x.csv"), candles(600, 1)).unwrap();
    for (pair, seed) in [("BTC-USDT", 1), ("ETH-USDT", 2)] {
        let directory = folder.path().join(format!("data/ohlcv/binance/{pair}"));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("source.csv"), candles(3000, seed)).unwrap();
        let rows = keel_data::read_candles(&directory.join("source.csv")).unwrap();
        keel_data::write_parquet(&directory.join("1h.parquet"), &rows).unwrap();
        std::fs::remove_file(directory.join("source.csv")).unwrap();
    }
    std::fs::write(folder.path().join("caps.json"), r#"{"BTC": 1e12, "ETH": 3e11}"#).unwrap();
    folder
}

const BACKTEST: [&str; 7] = [
    "backtest",
    "--candles",
    "x.csv",
    "--timeframe",
    "1h",
    "--params",
    "window=14,mult=2.1,atrs=11",
];
const RUN: [&str; 14] = [
    "run",
    "-c",
    "config.json",
    "--data",
    "data",
    "--caps",
    "caps.json",
    "--strategies",
    "strategies",
    "--position-space",
    "window=5..15:2,mult=1.0..3.0:0.5,atrs=5..15:5",
    "--trend-space",
    "window=5..15:2,mult=1.0..3.0:0.5,atrs=5..15:5",
    "--no-walk-forward",
];

#[test]
fn a_backtest_prints_the_promised_json() {
    let folder = folder();
    let output = hyperopt(folder.path(), &[&BACKTEST[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let reply: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["params", "min_date_ms", "max_date_ms", "trades", "summary", "loss"] {
        assert!(reply.get(key).is_some(), "{key}");
    }
    assert!(!reply["trades"].as_array().unwrap().is_empty());
    assert!(reply["loss"]["sortino-published"]["loss"].is_number());
}

#[test]
fn a_file_of_cases_answers_each_in_its_place() {
    let folder = folder();
    let good = r#"{"candles": "x.csv", "timeframe": "1h", "params": {"window": 9, "mult": 1.5, "atrs": 9}, "roi": {"0": 0.05}, "stake": 100}"#;
    let bad = r#"{"candles": "absent.csv", "timeframe": "1h", "params": {"window": 9, "mult": 1.5, "atrs": 9}}"#;
    std::fs::write(folder.path().join("cases.json"), format!("[{good},{bad},{good}]")).unwrap();
    let output = hyperopt(folder.path(), &["backtest", "--cases", "cases.json"]);
    assert_eq!(output.status.code(), Some(2));
    let replies: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(replies.len(), 3);
    assert_eq!(replies[0], replies[2]);
    assert!(replies[1]["error"].as_str().unwrap().contains("absent.csv"), "{}", replies[1]);
}

#[test]
fn bad_input_is_named_and_exits_with_2() {
    let folder = folder();
    std::fs::write(folder.path().join("empty.csv"), "timestamp,open,high,low,close,volume\n")
        .unwrap();
    std::fs::write(
        folder.path().join("nan.csv"),
        "timestamp,open,high,low,close,volume\n1700000000000,1,1,1,NaN,1\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("short.csv"), candles(10, 1)).unwrap();
    let with = |place: usize, value: &'static str| {
        let mut arguments = BACKTEST.to_vec();
        arguments[place] = value;
        arguments
    };
    let more = |extra: &[&'static str]| [&BACKTEST[..], extra].concat();
    for (arguments, expected) in [
        (with(2, "empty.csv"), "no candles"),
        (with(2, "nan.csv"), "close"),
        (with(2, "short.csv"), "10 candles are left for 60 startup candles"),
        (with(2, "absent.csv"), "absent.csv"),
        (with(4, "7m"), "7m"),
        (with(6, "window=0,mult=1,atrs=5"), "window=0"),
        (with(6, "window=5"), "window=14,mult=2.1,atrs=11"),
        (more(&["--timerange", "20300101-"]), "no candle lies in the time range"),
        (more(&["--timerange", "20300101-20200101"]), "starts after it stops"),
        (more(&["--fee", "1.5"]), "fee is 1.5"),
        (more(&["--stake", "lots"]), "stake"),
        (more(&["--roi", "5 percent"]), "roi"),
        (more(&["--stage", "trend"]), "--portfolio FILE"),
        (vec!["list"], "hyperopt-results"),
        (vec!["run", "-c", "absent.json", "--data", "data"], "absent.json"),
        (vec!["run", "-c", "config.json", "--data", "absent"], "--data DIR"),
        ([&RUN[..], &["--assets", "DOGE"]].concat(), "DOGE"),
        ([&RUN[..], &["--hyperopt-loss", "luck"]].concat(), "sortino-guarded"),
        ([&RUN[..], &["--sampler", "luck"]].concat(), "tpe"),
        (
            vec![
                "run",
                "-c",
                "config.json",
                "--data",
                "data",
                "--trend-space",
                "window=9..5,mult=1,atrs=5",
            ],
            "9..5",
        ),
    ] {
        let output = hyperopt(folder.path(), &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_run_writes_files_that_the_bot_reads_and_replaces_none_that_is_better_founded() {
    let folder = folder();
    let output = hyperopt(folder.path(), &RUN);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let path = folder.path().join("strategies/BTC_strategy.json");
    let first = std::fs::read_to_string(&path).unwrap();
    let values: std::collections::BTreeMap<String, f64> = serde_json::from_str(&first).unwrap();
    let keys: Vec<&str> = values.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "position_kc_atr",
            "position_kc_mult",
            "position_kc_window",
            "trend_kc_atr",
            "trend_kc_mult",
            "trend_kc_window"
        ]
    );
    let report =
        std::fs::read_to_string(folder.path().join("hyperopt-results/report.html")).unwrap();
    assert!(report.contains("ETH trend") && !report.contains("http"), "self-contained");
    let list = hyperopt(folder.path(), &["list"]);
    assert_eq!(text(&list.stdout).lines().count(), 4, "{}", text(&list.stdout));
    let show = hyperopt(folder.path(), &["show", "1"]);
    assert!(text(&show.stdout).contains("PBO"), "{}", text(&show.stdout));
    assert_eq!(hyperopt(folder.path(), &["show", "9"]).status.code(), Some(2));

    // A walk is noise, so an existing file stays.
    std::fs::write(&path, "{}").unwrap();
    let refused = hyperopt(folder.path(), &[&RUN[..], &["--assets", "BTC"]].concat());
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("PBO is"), "{}", text(&refused.stderr));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
    let forced = hyperopt(folder.path(), &[&RUN[..], &["--assets", "BTC", "--force"]].concat());
    assert!(forced.status.success(), "{}", text(&forced.stderr));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first, "the same search, the same bytes");
}

#[test]
fn an_asset_without_data_does_not_stop_the_others() {
    let folder = folder();
    std::fs::remove_dir_all(folder.path().join("data/ohlcv/binance/ETH-USDT")).unwrap();
    let output = hyperopt(folder.path(), &[&RUN[..], &["--stage", "position"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let (said, told) = (text(&output.stderr), text(&output.stdout));
    assert!(said.contains("ETH position failed"), "{said}");
    assert!(told.contains("BTC position 1h"), "{told}");
    assert!(!folder.path().join("strategies").exists(), "one stage is not enough for a file");
}
