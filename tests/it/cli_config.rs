//! `keel config` and `keel check`.

use crate::keel::{files, keel};
use keel_core::amount::Qty;
use keel_core::candle::Candle;
use keel_core::market::MarketRules;
use keel_core::time::{Timeframe, Timestamp};
use keel_data::CapPoint;
use std::path::Path;
use tempfile::TempDir;

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A small paper portfolio in `place`, with paths of its own.
fn configuration(place: &Path) {
    let asset = |ticker: &str, id: &str| {
        format!(
            r#"{{ "ticker": "{ticker}", "level": 1, "exchange": "binance", "coingecko_id": "{id}",
                "position_interval": 3600, "trend_interval": 14400,
                "strategy_file": "{ticker}.json", "strategy_name": "keltner_channel" }}"#
        )
    };
    let text = format!(
        r#"{{ "bot_settings": {{ "dry_run": true }},
  "paths": {{ "portfolio_strategies_dir": "out/strategies", "global_status_file_path": "out/status.json" }},
  "exchange_configurations": {{ "binance": {{}} }},
  "portfolio_assets": [
    {{ "ticker": "USDT", "level": 0, "strategy_file": "USDT.json", "strategy_name": "keltner_channel" }},
    {}, {} ] }}"#,
        asset("BTC", "bitcoin"),
        asset("ETH", "ethereum")
    );
    std::fs::write(place.join("my.json"), text).unwrap();
}

/// Hourly candles, caps and rules of both assets in `place/data`.
fn data(place: &Path) {
    let root = place.join("data");
    let start: Timestamp = "2021-01-01".parse().unwrap();
    let candle = |hour: i64| {
        let price = 100.0 + (hour % 11) as f64;
        Candle {
            open_time_ms: start.plus_ms(hour * Timeframe::H1.ms()).ms(),
            open: price,
            high: price + 2.0,
            low: price - 2.0,
            close: price + 1.0,
            volume: 500.0,
        }
    };
    let candles: Vec<Candle> = (0..240).map(candle).collect();
    let caps: Vec<CapPoint> = (0..10)
        .map(|day| CapPoint { as_of: start.plus_ms(day * Timeframe::D1.ms()), cap_usd: 1e9 })
        .collect();
    for asset in ["BTC", "ETH"] {
        let candle_file = root.join(format!("ohlcv/binance/{asset}-USDT/1h.parquet"));
        let cap_file = root.join(format!("marketcap/{asset}.csv.gz"));
        for file in [&candle_file, &cap_file] {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        keel_data::write_parquet(&candle_file, &candles).unwrap();
        keel_data::write_caps(&cap_file, &caps).unwrap();
    }
    let rules: Vec<MarketRules> = ["BTC/USDT", "ETH/USDT"]
        .map(|symbol| MarketRules {
            amount_step: Qty::new("0.0001".parse().unwrap()),
            ..MarketRules::unlimited(symbol.parse().unwrap())
        })
        .to_vec();
    std::fs::create_dir_all(root.join("markets")).unwrap();
    keel_data::write_markets(&root.join("markets/binance.json"), &rules).unwrap();
}

const CHECK: [&str; 3] = ["check", "-c", "my.json"];
const CHECK_DATA: [&str; 5] = ["check", "-c", "my.json", "--data", "data"];

/// What a check with data says about a place in which one thing was changed.
#[track_caller]
fn spoiled(change: impl FnOnce(&Path), code: i32, words: &[&str]) {
    let place = place();
    configuration(place.path());
    data(place.path());
    change(place.path());
    let before = files(place.path());
    keel(place.path(), &CHECK_DATA).expect(code, words);
    assert_eq!(files(place.path()), before, "a check writes nothing");
}

#[test]
fn the_schema_names_every_section() {
    let run = keel(Path::new("."), &["config", "schema"]);
    assert_eq!(run.code, 0);
    let schema = run.json();
    for section in keel_config::SECTIONS {
        assert!(schema["properties"][section.key].is_object(), "{}", section.key);
    }
}

#[test]
fn a_new_configuration_is_fine_and_never_overwrites() {
    let place = place();
    keel(place.path(), &["config", "new", "sub/my.json"]).expect(0, &["sub/my.json", "Next"]);
    keel(place.path(), &["check", "-c", "sub/my.json"]).expect(0, &["Fine"]);
    std::fs::write(place.path().join("sub/my.json"), "mine").unwrap();
    keel(place.path(), &["config", "new", "sub/my.json"]).expect(2, &["exists", "new path"]);
    let unwritable = "sub/my.json/other.json";
    keel(place.path(), &["config", "new", unwritable]).expect(6, &[unwritable, "writable"]);
    assert_eq!(files(place.path()).len(), 1);
    assert_eq!(std::fs::read(place.path().join("sub/my.json")).unwrap(), b"mine");
    // Without a path it goes where every other command looks.
    keel(place.path(), &["config", "new"]).expect(0, &[]);
    keel(place.path(), &["config", "show"]).expect(0, &["portfolio_config.json"]);
}

#[cfg(unix)]
#[test]
fn show_has_the_defaults_and_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    configuration(place.path());
    let file = place.path().join("my.json");
    let text = std::fs::read_to_string(&file).unwrap().replace(
        r#""exchange_configurations": { "binance": {} }"#,
        r#""exchange_configurations": { "binance": { "credentials_key": "main" } },
           "exchanges_credentials": { "main": { "apiKey": "canary-key", "secret": "${SOME_SECRET}" } }"#,
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let shown = keel(place.path(), &["config", "show", "-c", "my.json"]);
    shown.expect(0, &["min_order_value_usd", "15", "${SOME_SECRET}", "[redacted]"]);
    let json = keel(place.path(), &["config", "show", "-c", "my.json", "--json"]);
    assert_eq!(json.json()["bot_settings"]["min_order_value_usd"].as_f64(), Some(15.0));
    for run in [shown, json] {
        assert!(!format!("{run:?}").contains("canary"), "{run:?}");
    }
}

#[test]
fn a_wrong_configuration_names_every_mistake() {
    let place = place();
    configuration(place.path());
    let file = place.path().join("my.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("dry_run", "dry_rum").replace("14400", "14401")).unwrap();
    for args in [&["config", "show", "-c", "my.json"][..], &CHECK] {
        let words =
            ["my.json:1:", "did you mean dry_run?", "trend_interval", "portfolio_assets[2]"];
        keel(place.path(), args).expect(2, &words);
    }
    for args in
        [&["check", "-c", "my.json", "--json"], &["config", "show", "-c", "my.json", "--json"][..]]
    {
        let run = keel(place.path(), args);
        assert_eq!((run.code, run.err.as_str()), (2, ""));
        let report = run.json();
        assert_eq!(
            (&report["verdict"], &report["problems"]),
            (&"configuration_wrong".into(), &3.into())
        );
        let problem = &report["findings"][0]["problem"];
        let expected = [
            ("file", "my.json"),
            ("path", "bot_settings.dry_rum"),
            ("kind", "unknown_key"),
            ("seen", "unknown key"),
            ("suggestion", "dry_run"),
        ];
        for (key, value) in expected {
            assert_eq!(problem[key], value, "{problem}");
        }
        assert_eq!((&problem["line"], &problem["column"]), (&1.into(), &21.into()));
        assert!(problem["expected"].as_str().unwrap().contains("dry_run"), "{problem}");
        for finding in report["findings"].as_array().unwrap() {
            assert!(
                finding["problem"]["line"].is_u64() && finding["text"].is_string(),
                "{finding}"
            );
        }
    }
    let absent = keel(place.path(), &["check", "-c", "absent.json", "--json"]);
    assert_eq!(
        (absent.code, &absent.json()["findings"][0]["problem"]["kind"]),
        (2, &"file".into())
    );
    keel(place.path(), &["check", "-c", "absent.json"]).expect(2, &["keel config new absent.json"]);
}

#[test]
fn a_complete_place_is_fine_and_a_replay_agrees() {
    spoiled(|_| {}, 0, &["Fine: no problems", "1h from 2021-01-01", "4h", "made from 1h candles"]);
    let place = place();
    configuration(place.path());
    data(place.path());
    let report = keel(place.path(), &[&CHECK_DATA[..], &["--json"]].concat()).json();
    assert_eq!((&report["verdict"], &report["problems"]), (&"fine".into(), &0.into()));
    keel(place.path(), &["trade", "--replay", "data", "-c", "my.json"]).expect(0, &[]);
    keel(place.path(), &CHECK).expect(0, &["every digest is right up to cycle", "3 files read"]);
}

#[test]
fn what_a_replay_would_miss_is_told() {
    let remove = |name: &'static str| {
        move |place: &Path| {
            let path = place.join("data").join(name);
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    let eth = "ohlcv/binance/ETH-USDT";
    let no_candles = "ETH: no 1h and 4h candles at binance, nor finer ones; not traded";
    spoiled(remove(eth), 7, &[no_candles, "1 problem to mend"]);
    spoiled(remove("marketcap/ETH.csv.gz"), 7, &["ETH: no market caps in data/marketcap"]);
    let twice = |place: &Path| std::fs::write(place.join("data/marketcap/ETH.csv"), "").unwrap();
    spoiled(twice, 7, &["two files of capitalisations for ETH", "move the other away"]);
    spoiled(remove("markets"), 0, &["binance", "no recorded market rules"]);
    spoiled(remove(""), 7, &["no directory of that name", "docs/data.md"]);
    let write = |name: &'static str, text: &'static str| {
        move |place: &Path| {
            let _ = std::fs::remove_file(place.join("data/marketcap/ETH.csv.gz"));
            std::fs::write(place.join("data").join(name), text).unwrap();
        }
    };
    let caps = "marketcap/ETH.csv";
    let head = "date,cap_usd\n2021-01-03,5\n";
    spoiled(write(caps, head), 0, &["carried forward since 2021-01-03", "none before 2021-01-03"]);
    let bad = "date,cap_usd\n2021-01-03,5\n2021-01-04,NaN\n";
    spoiled(write(caps, bad), 7, &["ETH.csv row 2", "NaN", "above zero"]);
    spoiled(write("ohlcv/binance/ETH-USDT/4h.parquet", "foreign"), 7, &["4h.parquet", "Parquet"]);
    spoiled(write("markets/binance.json", "[1]"), 7, &["binance.json", "list of markets"]);
    let one = r#"[{"symbol": "BTC/USDT", "amount_step": 1, "min_amount": 1, "min_cost": 1, "active": false}]"#;
    spoiled(
        write("markets/binance.json", one),
        7,
        &["1 of 2 markets", "no rules for ETH/USDT", "listed as closed: BTC/USDT"],
    );
}

/// Nobody reads the same sentence for each of sixteen assets.
#[test]
fn what_holds_for_several_assets_is_said_once() {
    let place = place();
    configuration(place.path());
    data(place.path());
    keel(place.path(), &CHECK_DATA).expect(
        0,
        &["BTC, ETH: at binance, 1h from", "4h candles of BTC and ETH are made from 1h"],
    );
    let replay = ["trade", "--replay", "data", "-c", "my.json"];
    let run = keel(place.path(), &replay);
    run.expect(0, &["note: 4h candles of BTC and ETH are made from 1h candles"]);
    assert_eq!(run.err.matches("are made from").count(), 1, "{run:?}");
    // Each asset keeps a finding of its own for programs.
    let report = keel(place.path(), &[&CHECK_DATA[..], &["--json"]].concat()).json();
    let of_candles = |subject: &str| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.filter(|f| f["area"] == "candles" && f["subject"] == subject).count()
    };
    assert_eq!((of_candles("BTC"), of_candles("ETH")), (1, 1));
    std::fs::remove_dir_all(place.path().join("data/marketcap")).unwrap();
    std::fs::remove_dir_all(place.path().join("out")).unwrap();
    keel(place.path(), &CHECK_DATA).expect(7, &["BTC, ETH: no market caps", "2 problems to mend"]);
    keel(place.path(), &replay).expect(0, &["note: BTC and ETH: no market caps in data/marketcap"]);
}

/// Two files of caps are a mistake, not a missing file.
#[test]
fn a_replay_does_not_choose_between_two_files_of_caps() {
    let place = place();
    configuration(place.path());
    data(place.path());
    std::fs::write(place.path().join("data/marketcap/ETH.csv"), "date,cap_usd\n2021-01-01,5\n")
        .unwrap();
    keel(place.path(), &["trade", "--replay", "data", "-c", "my.json"])
        .expect(3, &["two files of capitalisations for ETH"]);
    assert!(!place.path().join("out").exists());
}

#[test]
fn a_broken_candle_file_is_a_problem_and_stops_the_replay() {
    let place = place();
    configuration(place.path());
    data(place.path());
    let path = place.path().join("data/ohlcv/binance/ETH-USDT/1h.parquet");
    let mut candles = keel_data::read_candles(&path).unwrap();
    candles[5].close = -1.0;
    candles.swap(8, 9);
    keel_data::write_parquet(&path, &candles).unwrap();
    keel(place.path(), &CHECK_DATA).expect(7, &["row 6", "keel data verify", "1 problem to mend"]);
    keel(place.path(), &["trade", "--replay", "data", "-c", "my.json"]).expect(3, &["row 6"]);
    assert!(!place.path().join("out").exists());
}

#[test]
fn files_that_are_in_the_way_are_problems() {
    let write = |name: &'static str, text: &'static str| {
        move |place: &Path| {
            let path = place.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    };
    let moved = |place: &Path| {
        let file = place.join("my.json");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("out/status.json", "taken/status.json")).unwrap();
        std::fs::write(place.join("taken"), "a file").unwrap();
    };
    spoiled(moved, 7, &["global_status_file_path", "journal_path", "taken is no directory"]);
    spoiled(write("out/status.json", "[1, 2]"), 7, &["not a status file", "nothing was changed"]);
    spoiled(write("out/status.json", "{\"BTC\": {"), 7, &["not a status file"]);
    spoiled(write("out/keel.sqlite", "no database, just text of some length"), 7, &["keel.sqlite"]);
    spoiled(write("out/keel.sqlite", ""), 7, &["it is empty"]);
    spoiled(write("out/strategies/BTC.json", "{}"), 2, &["BTC.json", "position_kc_window"]);
}

#[test]
fn a_changed_or_truncated_journal_is_found() {
    let place = place();
    configuration(place.path());
    data(place.path());
    keel(place.path(), &["trade", "--replay", "data", "-c", "my.json"]).expect(0, &[]);
    let path = place.path().join("out/keel.sqlite");
    let journal = rusqlite::Connection::open(&path).unwrap();
    let changed =
        journal.execute("UPDATE decisions SET ratio = '0.9' WHERE cycle = 5", []).unwrap();
    assert!(changed > 0);
    drop(journal);
    keel(place.path(), &CHECK).expect(7, &["keel.sqlite is damaged", "cycle 5", "digest"]);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    keel(place.path(), &CHECK).expect(7, &["keel.sqlite", "malformed"]);
}

#[test]
fn what_trading_would_refuse_is_said_before_it_starts() {
    let place = place();
    configuration(place.path());
    let text = std::fs::read_to_string(place.path().join("my.json")).unwrap();
    let with = |venue: &str, more: &str| {
        let changed = text.replace(r#""binance": {}"#, &format!(r#""binance": {venue}"#));
        let changed = changed.replacen('{', &format!("{{ {more}"), 1);
        std::fs::write(place.path().join("my.json"), changed).unwrap();
        keel(place.path(), &["check", "-c", "my.json"])
    };
    with("{}", "").expect(0, &["Fine"]);
    let refused = "keel trade would refuse it";
    with(r#"{ "urls": { "api": "http://example.com" } }"#, "").expect(0, &[refused, "https"]);
    with(r#"{ "urls": { "api": "https://192.168.1.1" } }"#, "").expect(0, &[refused]);
    with("{}", r#""coingecko": { "base_url": "http://10.0.0.1" },"#).expect(0, &[refused]);
}

/// A replay makes long bars of short ones.
#[test]
fn an_interval_that_the_exchange_does_not_have_is_refused_for_trading_and_fine_for_a_replay() {
    let place = place();
    configuration(place.path());
    data(place.path());
    let my = place.path().join("my.json");
    let text = std::fs::read_to_string(&my).unwrap();
    let text = text.replace("binance", "okx").replacen("14400", "28800", 1);
    let text =
        text.replace(r#""okx": {}"#, r#""okx": { "options": { "replay_venue": "binance" } }"#);
    std::fs::write(&my, text).unwrap();
    let why = "portfolio_assets[1].trend_interval: 28800 (8h), and okx has no such candles of BTC";
    keel(place.path(), &["check", "-c", "my.json"])
        .expect(7, &["keel trade would refuse it", why, "expected one that all"]);
    keel(place.path(), &["check", "-c", "my.json", "--data", "data"])
        .expect(0, &["keel trade would refuse it", why]);
    keel(place.path(), &["doctor", "-c", "my.json"]).expect(2, &[why]);
    keel(place.path(), &["trade", "-c", "my.json"]).expect(2, &[why]);
    let again = keel::cli::reload_config(&my).unwrap_err().to_string();
    assert!(again.contains(why), "nor is such an edit taken: {again}");
    let files = |name: &str| place.path().join(name).exists();
    assert!(!files("out"), "nothing was written");
    keel(place.path(), &["trade", "--replay", "data", "-c", "my.json"]).expect(0, &["Next"]);
}
