//! `keel data`: what comes in, what is refused, and that a refusal changes nothing.

use crate::keel::{Run, files, keel};
use crate::shared::shared;
use keel_core::candle::Candle;
use keel_core::time::{Timeframe, Timestamp};
use std::fmt::Write;
use std::path::Path;
use tempfile::TempDir;

const HEADER: &str = "timestamp,open,high,low,close,volume\n";

/// A sound hourly candle of 2021.
fn bar(hour: i64) -> Candle {
    let start: Timestamp = "2021-01-01".parse().unwrap();
    let price = 100.0 + (hour % 7) as f64;
    Candle {
        open_time_ms: start.plus_ms(hour * Timeframe::H1.ms()).ms(),
        open: price,
        high: price + 2.0,
        low: price - 2.0,
        close: price + 1.0,
        volume: 5.0,
    }
}

fn line(candle: &Candle) -> String {
    let Candle { open_time_ms, open, high, low, close, volume } = candle;
    format!("{open_time_ms},{open},{high},{low},{close},{volume}\n")
}

fn csv(bars: impl IntoIterator<Item = Candle>) -> String {
    bars.into_iter().fold(HEADER.to_owned(), |text, bar| text + &line(&bar))
}

fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[track_caller]
fn import(place: &Path, text: &str, options: &[&str]) -> Run {
    std::fs::write(place.join("in.csv"), text).unwrap();
    let args = ["data", "import", "in.csv", "--venue", "binance", "--symbol", "BTC/USDT"];
    keel(place, &[&args, options].concat())
}

#[test]
fn an_imported_file_can_be_listed_verified_and_made_coarser() {
    let place = place();
    import(place.path(), &csv((0..50).map(bar)), &[])
        .expect(0, &["50 rows of 1h", "50 bars added", "2021-01-01 to 2021-01-03T01:00Z"]);
    let market = ["--venue", "binance", "--symbol", "BTC/USDT"];
    let resample = [&["data", "resample", "data", "--to", "4h"], &market[..]].concat();
    keel(place.path(), &resample).expect(0, &["12 bars of 4h from 1h candles"]);
    keel(place.path(), &["data", "list", "data"]).expect(0, &["BTC/USDT", "4h", "2 files"]);
    keel(place.path(), &["data", "verify", "data"]).expect(0, &["2 candle files: no problems"]);
    let list = keel(place.path(), &["data", "list", "data", "--json"]).json();
    assert_eq!(list["candles"][1]["timeframe"], "4h");
    assert_eq!(list["candles"][1]["rows"], 12);
    let before = files(place.path());
    import(place.path(), &csv((0..50).map(bar)), &[]).expect(0, &["Nothing new"]);
    assert_eq!(files(place.path()), before, "the same file once more");
}

#[test]
fn a_bad_file_is_refused_with_its_row_and_nothing_is_written() {
    let good = csv((0..10).map(bar));
    let replaced = |hour: i64, change: fn(&mut Candle)| {
        let mut wrong = bar(hour);
        change(&mut wrong);
        good.replace(&line(&bar(hour)), &line(&wrong))
    };
    let infinite = replaced(4, |bar| bar.volume = f64::INFINITY);
    let cases: [(&str, String, &[&str]); 11] = [
        ("NaN", replaced(4, |bar| bar.open = f64::NAN), &["row 5", "`open`", "NaN", "finite"]),
        ("infinite", infinite, &["row 5", "`volume`", "inf"]),
        ("negative", replaced(2, |bar| bar.low = -1.0), &["row 3", "zero or negative"]),
        ("zero", replaced(2, |bar| bar.low = 0.0), &["row 3", "zero or negative"]),
        ("volume", replaced(2, |bar| bar.volume = -1.0), &["row 3", "volume is negative"]),
        ("high", replaced(2, |bar| bar.high = 1.0), &["row 3", "high and low"]),
        ("grid", replaced(2, |bar| bar.open_time_ms += 1000), &["row 3", "grid"]),
        ("no rows", HEADER.to_owned(), &["no candles"]),
        ("empty", String::new(), &["no candles"]),
        ("columns", "a,b\n1,2\n".to_owned(), &["timestamp", "a, b"]),
        ("text", "%PDF-1.4 not candles".to_owned(), &["timestamp"]),
    ];
    for (name, text, words) in cases {
        let place = place();
        let run = import(place.path(), &text, &[]);
        run.expect(3, words);
        run.expect(3, &["nothing was imported"]);
        assert!(!place.path().join("data").exists(), "{name}");
    }
}

#[test]
fn a_mistyped_command_line_is_told_apart_from_bad_data() {
    let place = place();
    std::fs::write(place.path().join("candles.txt"), "x").unwrap();
    std::fs::create_dir(place.path().join("folder.csv")).unwrap();
    let market = ["--venue", "binance", "--symbol", "BTC/USDT"];
    for (file, word) in
        [("absent.csv", "absent.csv"), ("candles.txt", ".parquet"), ("folder.csv", "directory")]
    {
        keel(place.path(), &[&["data", "import", file], &market[..]].concat()).expect(2, &[word]);
    }
    import(place.path(), &csv((0..10).map(bar)), &["--timeframe", "15m"])
        .expect(2, &["15m", "1h", "--timeframe"]);
    for options in [&["--timeframe", "4h"][..], &["--timeframe", "4h", "--drop-bad"]] {
        import(place.path(), &csv((0..10).map(bar)), options)
            .expect(2, &["1h apart", "expected 4h", "keel data resample"]);
    }
    import(place.path(), &csv((0..10).map(bar)), &["--timeframe", "7h"])
        .expect(2, &["`7h`", "1h 2h 4h"]);
    keel(place.path(), &["data", "verify", "data", "--symbol", "BTCUSDT"])
        .expect(2, &["BASE/QUOTE"]);
    keel(place.path(), &["data", "list", "absent"]).expect(3, &["absent", "import a file"]);
    assert!(!place.path().join("data").exists());
}

#[test]
fn disorder_duplicates_and_gaps_are_told() {
    let place = place();
    let mut bars: Vec<Candle> = (0..50).filter(|hour| !(20..24).contains(hour)).map(bar).collect();
    bars.swap(3, 4);
    bars.push(bar(10));
    let higher = Candle { high: 1000.0, ..bar(11) };
    bars.push(higher);
    let run = import(place.path(), &csv(bars), &["--json"]);
    run.expect(0, &[]);
    let report = run.json();
    for (key, expected) in [
        ("rows_read", 48),
        ("duplicates_merged", 2),
        ("differing_duplicates", 1),
        ("rows", 46),
        ("conflicts", 0),
    ] {
        assert_eq!(report[key], expected, "{key}");
    }
    assert_eq!(report["was_sorted"], true);
    assert_eq!(report["gaps"][0]["from"], "2021-01-01T20:00:00Z");
    assert_eq!(report["gaps"][0]["bars"], 4);
    // A gap is no problem: the exchange stood still.
    keel(place.path(), &["data", "verify", "data"]).expect(0, &["no problems; 4 bars missing"]);
    keel(place.path(), &["data", "verify", "data", "--timeframe", "1h"])
        .expect(0, &["from 2021-01-01T20:00Z: 4 bars"]);
}

#[test]
fn bad_rows_are_left_out_only_when_that_is_asked_for() {
    let place = place();
    let text = csv((0..10).map(bar)).replace(&line(&bar(5)), "1609477200000,x,2,1,1,1\n");
    import(place.path(), &text, &[]).expect(3, &["has 1 bad row, first", "row 6", "--drop-bad"]);
    import(place.path(), &text, &["--drop-bad"])
        .expect(0, &["1 bad row left out", "row 6", "9 bars added", "1 gap"]);
}

#[test]
fn stored_bars_win_over_imported_ones_unless_replaced() {
    let place = place();
    import(place.path(), &csv((0..10).map(bar)), &[]).expect(0, &[]);
    let other = csv((8..12).map(|hour| match hour {
        8 => Candle { high: 500.0, close: 499.0, ..bar(8) },
        _ => bar(hour),
    }));
    let stored = || {
        let path = place.path().join("data/ohlcv/binance/BTC-USDT/1h.parquet");
        keel_data::read_candles(&path).unwrap()
    };
    import(place.path(), &other, &[])
        .expect(0, &["1 bar differs", "stored values stay", "2 bars added"]);
    assert_eq!((stored().len(), stored()[8]), (12, bar(8)));
    import(place.path(), &other, &["--replace"]).expect(0, &["1 bar differs", "file's values"]);
    assert_eq!((stored().len(), stored()[8].high), (12, 500.0));
}

#[test]
fn a_file_where_a_directory_should_be_is_left_alone() {
    let place = place();
    std::fs::write(place.path().join("taken"), "mine").unwrap();
    import(place.path(), &csv((0..10).map(bar)), &["--data", "taken"])
        .expect(6, &["taken", "writable directory", "nothing was changed"]);
    assert_eq!(std::fs::read(place.path().join("taken")).unwrap(), b"mine");
    keel(place.path(), &["data", "list", "taken"]).expect(3, &["taken"]);
}

/// A store with a sound file of BTC and a damaged one of ETH.
fn damaged_store() -> TempDir {
    let place = place();
    import(place.path(), &csv((0..50).map(bar)), &[]).expect(0, &[]);
    let root = place.path().join("data/ohlcv/binance");
    let whole = std::fs::read(root.join("BTC-USDT/1h.parquet")).unwrap();
    std::fs::create_dir(root.join("ETH-USDT")).unwrap();
    std::fs::write(root.join("ETH-USDT/1h.parquet"), &whole[..whole.len() / 2]).unwrap();
    place
}

#[test]
fn a_truncated_file_is_named_and_never_overwritten() {
    let place = damaged_store();
    let before = files(place.path());
    let name = "ETH-USDT/1h.parquet";
    keel(place.path(), &["data", "list", "data"]).expect(3, &[name, "cut short", "BTC/USDT"]);
    keel(place.path(), &["data", "verify", "data"]).expect(7, &[name, "1 unusable file"]);
    let found = keel(place.path(), &["data", "verify", "data", "--symbol", "ETH/USDT", "--json"]);
    assert_eq!((found.code, &found.json()["problems"]), (7, &1.into()));
    keel(place.path(), &["data", "verify", "data", "--symbol", "BTC/USDT"])
        .expect(0, &["no problems"]);
    let eth = ["--venue", "binance", "--symbol", "ETH/USDT"];
    keel(place.path(), &[&["data", "resample", "data", "--to", "4h"], &eth[..]].concat())
        .expect(3, &[name]);
    keel(place.path(), &[&["data", "import", "in.csv"], &eth[..]].concat())
        .expect(3, &[name, "stored file", "move it away"]);
    let after = files(place.path());
    for (path, content) in before {
        assert_eq!(after.get(&path), Some(&content), "{}", path.display());
    }
}

#[test]
fn verify_tells_every_problem_of_a_file() {
    let place = place();
    let mut bars: Vec<Candle> = (0..30).map(bar).collect();
    bars[3].low = -1.0;
    bars[4].high = 0.5;
    bars[9].open_time_ms += 60_000;
    bars.swap(12, 13);
    bars.insert(20, bar(18));
    let path = place.path().join("data/ohlcv/okx/BTC-USDT/1h.parquet");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    keel_data::write_parquet(&path, &bars).unwrap();
    let before = files(place.path());
    let run = keel(place.path(), &["data", "verify", "data", "--json"]);
    assert_eq!(run.code, 7, "{run:?}");
    let counts = &run.json()["candles"][0]["counts"];
    for problem in ["not_positive", "inconsistent", "off_grid", "out_of_order"] {
        assert!(counts[problem].as_u64() >= Some(1), "{problem}: {counts}");
    }
    keel(place.path(), &["data", "verify", "data"])
        .expect(7, &["row 4 ", "row 5 ", "row 10 ", "refuses this file", "Nothing was changed"]);
    assert_eq!(files(place.path()), before);
}

#[test]
fn caps_and_rules_are_verified_with_the_candles() {
    for (name, text, words) in [
        ("marketcap/BTC.csv", "date,cap_usd\n2021-01-01,5\n2021-01-02,NaN\n", ["row 2", "NaN"]),
        ("marketcap/BTC.csv", "date,cap_usd\n2021-01-01,0\n", ["row 1", "above zero"]),
        ("marketcap/BTC.csv", "date,cap_usd\n2021-01-02,5\n2021-01-01,5\n", ["row 2", "later"]),
        ("marketcap/BTC.csv", "date,price\n2021-01-02,5\n", ["cap_usd", "date, price"]),
        ("markets/binance.json", "{}", ["binance.json", "amount_step"]),
    ] {
        let place = place();
        import(place.path(), &csv((0..10).map(bar)), &[]).expect(0, &[]);
        let path = place.path().join("data").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        keel(place.path(), &["data", "verify", "data"]).expect(7, &words);
        assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }
}

#[test]
fn holes_in_caps_are_counted_and_foreign_files_passed_over() {
    let place = place();
    import(place.path(), &csv((0..10).map(bar)), &[]).expect(0, &[]);
    let data = place.path().join("data");
    std::fs::create_dir(data.join("marketcap")).unwrap();
    let mut caps = "date,cap_usd\n".to_owned();
    for day in [1, 2, 5, 9] {
        writeln!(caps, "2021-01-0{day},1000").unwrap();
    }
    std::fs::write(data.join("marketcap/BTC.csv"), caps).unwrap();
    std::fs::write(data.join("ohlcv/notes.txt"), "foreign").unwrap();
    std::fs::write(data.join("ohlcv/binance/BTC-USDT/1h.csv"), "foreign").unwrap();
    keel(place.path(), &["data", "verify", "data"])
        .expect(0, &["notes.txt", "1h.csv", "passed over"]);
    let list = keel(place.path(), &["data", "list", "data", "--json"]).json();
    assert_eq!(list["caps"][0]["missing_days"], 5);
    assert_eq!(list["ignored"].as_array().unwrap().len(), 2);
}

#[test]
fn a_coarser_file_is_never_replaced_by_a_shorter_one() {
    let place = place();
    let days = csv((0..20).map(|day| bar(day * 24)));
    import(place.path(), &days, &[]).expect(0, &["20 rows of 1d"]);
    import(place.path(), &csv((0..72).map(bar)), &[]).expect(0, &["72 rows of 1h"]);
    let before = files(place.path());
    let market = ["--venue", "binance", "--symbol", "BTC/USDT"];
    keel(place.path(), &[&["data", "resample", "data", "--to", "1d"], &market[..]].concat())
        .expect(3, &["would lose 17 bars", "import finer ones"]);
    assert_eq!(files(place.path()), before);
}

#[test]
fn recorded_candles_pass() {
    let Some(data) = shared("data/ohlcv/binance/BTC-USDT/1h.parquet") else { return };
    let place = place();
    let market = ["--venue", "binance", "--symbol", "BTC/USDT"];
    let file = data.display().to_string();
    keel(place.path(), &[&["data", "import", &file], &market[..]].concat())
        .expect(0, &["61,596 rows of 1h", "28 gaps"]);
    keel(place.path(), &["data", "verify", "data", "--timeframe", "1h"])
        .expect(0, &["no problems; 128 bars missing"]);
}
