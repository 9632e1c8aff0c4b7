//! Backtests equal those of stock Freqtrade 2025.8, trade by trade.

use hyperopt::backtest::{backtest, series};
use hyperopt::bands::bands_csv;
use hyperopt::reply::Reply;
use hyperopt::request::{CandleCache, RawRequest, Request};
use serde_json::{Value, json};
use std::path::Path;

const RATES: f64 = 1e-9;
const MONEY: f64 = 1e-8;
const LOSS: f64 = 1e-7;

fn cases(folder: &Path) -> Vec<Value> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

fn file_of(series: &str) -> String {
    format!("data/{series}.csv.gz")
}

fn request(case: &Value, folder: &Path) -> Request {
    let (settings, params) = (&case["settings"], &case["params"]);
    let portfolio = case["portfolio"].as_array().map(|assets| {
        let assets: Vec<Value> = assets
            .iter()
            .map(|asset| {
                let series = asset[0].as_str().unwrap();
                json!({ "ticker": series, "market_cap": asset[1], "candles": file_of(series) })
            })
            .collect();
        json!({ "target": case["series"], "assets": assets })
    });
    let raw: RawRequest = serde_json::from_value(json!({
        "candles": file_of(case["series"].as_str().unwrap()),
        "stage": case["strategy"],
        "timeframe": case["timeframe"],
        "params": {
            "window": params["kc_window"], "mult": params["kc_mult"], "atrs": params["kc_atrs"],
        },
        "portfolio": portfolio,
        "align": settings["kc_align"],
        "fee": settings["fee"],
        "wallet": settings["dry_run_wallet"],
        "stake": settings["stake_amount"],
        "max_open_trades": settings["max_open_trades"],
        "startup": settings["startup_candle_count"],
        "timerange": settings["timerange"],
        "stoploss": settings["stoploss"],
        "roi": settings["minimal_roi"],
    }))
    .unwrap();
    raw.resolve(folder, &CandleCache::default()).unwrap()
}

fn close(seen: &Value, expected: &Value, tolerance: f64, what: &str) {
    let (seen, expected) = (seen.as_f64().unwrap(), expected.as_f64().unwrap());
    let scale = expected.abs().max(f64::MIN_POSITIVE);
    assert!((seen - expected).abs() <= tolerance * scale, "{what}: {seen}, not {expected}");
}

#[test]
fn every_case_is_reproduced() {
    let Some(folder) = crate::data::shared("cases/freqtrade") else { return };
    for case in cases(&folder) {
        let name = case["case"].as_str().unwrap();
        let request = request(&case, &folder);
        let series =
            series(&request.source, request.timeframe, request.range, request.rules.startup)
                .unwrap();
        let result = backtest(&series, request.params, &request.rules).unwrap();
        let reply = Reply::of(&result, &series, request.params, request.rules.startup);
        let reply = serde_json::to_value(reply).unwrap();

        assert_eq!(reply["min_date_ms"], case["min_date_ms"], "{name}");
        assert_eq!(reply["max_date_ms"], case["max_date_ms"], "{name}");
        let (seen, expected) =
            (reply["trades"].as_array().unwrap(), case["trades"].as_array().unwrap());
        assert_eq!(seen.len(), expected.len(), "{name}: number of trades");
        for (number, (seen, expected)) in seen.iter().zip(expected).enumerate() {
            for (column, key) in case["trade_columns"].as_array().unwrap().iter().enumerate() {
                let key = key.as_str().unwrap();
                let what = format!("{name}: trade {number}, {key}");
                match key {
                    "open_ms" | "close_ms" | "exit_reason" => {
                        assert_eq!(seen[key], expected[column], "{what}");
                    }
                    "open_rate" | "close_rate" => {
                        close(&seen[key], &expected[column], RATES, &what)
                    }
                    _ => close(&seen[key], &expected[column], MONEY, &what),
                }
            }
        }
        for (key, expected) in case["summary"].as_object().unwrap() {
            if key != "freqtrade_own_sortino" {
                close(&reply["summary"][key], expected, MONEY, &format!("{name}: {key}"));
            }
        }
        for (ours, theirs) in [("sortino", "scaled"), ("sortino-published", "published")] {
            for (key, seen) in reply["loss"][ours].as_object().unwrap() {
                let expected = &case["loss"][theirs][key];
                close(seen, expected, LOSS, &format!("{name}: {ours} {key}"));
            }
        }
    }
}

#[test]
fn the_bands_are_those_of_pandas() {
    let Some(folder) = crate::data::shared("cases/freqtrade") else { return };
    for case in cases(&folder) {
        let name = case["case"].as_str().unwrap();
        let path = folder.join(format!("bands/{name}.csv.gz"));
        let Ok(file) = std::fs::File::open(&path) else { continue };
        let request = request(&case, &folder);
        let series =
            series(&request.source, request.timeframe, request.range, request.rules.startup)
                .unwrap();
        let csv = bands_csv(&series, request.params);
        let ours: Vec<&str> = csv.lines().collect();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(ours[0]));
        let mut compared = 0;
        for line in lines {
            let expected: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
            let row = expected[0] as usize;
            let seen = ours[row + 1].split(',').map(|cell| cell.parse::<f64>().unwrap());
            for (column, (seen, expected)) in seen.zip(expected).enumerate() {
                let scale = expected.abs().max(1e-300);
                assert!(
                    (seen - expected).abs() <= RATES * scale,
                    "{name} row {row} column {column}: {seen}, not {expected}"
                );
            }
            compared += 1;
        }
        assert!(compared >= 300, "{name}: {compared} rows");
    }
}
