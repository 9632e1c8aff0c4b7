//! Paper, test environments and real money: which of them a configuration and a command line mean,
//! and that they never mix. The exchanges' addresses lead nowhere, so nothing is ever traded.

use crate::keel::{Run, keel};
use keel_venues::venue::VENUES;
use serde_json::{Value, json};
use std::path::Path;

const NOWHERE: &str = "http://127.0.0.1:1";

/// A configuration with one asset at each of these exchanges.
fn configuration(dry_run: bool, venues: &[(&str, Value)]) -> Value {
    let assets = venues.iter().zip(["BTC", "ETH"]).map(|((venue, _), ticker)| {
        json!({ "ticker": ticker, "level": 1, "exchange": venue, "coingecko_id": "x",
            "position_interval": 3600, "trend_interval": 3600,
            "strategy_file": format!("{ticker}.json"), "strategy_name": "keltner_channel" })
    });
    let usdt = json!({ "ticker": "USDT", "level": 0, "exchange": "N/A" });
    let exchanges = venues.iter().map(|(venue, settings)| {
        let mut settings = settings.clone();
        settings["credentials_key"] = json!("key");
        ((*venue).to_owned(), settings)
    });
    json!({
        "bot_settings": { "dry_run": dry_run, "max_retries_network": 0 },
        "paths": { "portfolio_strategies_dir": "strategies",
            "global_status_file_path": "status.json", "log_dir": "logs" },
        "coingecko": { "base_url": NOWHERE },
        "exchange_configurations": exchanges.collect::<serde_json::Map<String, Value>>(),
        "exchanges_credentials": { "key": { "apiKey": "a", "secret": "YQ==", "password": "p" } },
        "portfolio_assets": std::iter::once(usdt).chain(assets).collect::<Vec<Value>>(),
    })
}

/// Binance and OKX, with their addresses leading nowhere.
fn two(dry_run: bool, sandboxes: [bool; 2]) -> Value {
    let settings = |sandbox| json!({ "sandbox": sandbox, "urls": { "api": NOWHERE } });
    let [binance, okx] = sandboxes.map(settings);
    configuration(dry_run, &[("binance", binance), ("okx", okx)])
}

fn trade(place: &Path, config: &Value, live: bool) -> Run {
    use std::os::unix::fs::PermissionsExt as _;
    let path = place.join("my.json");
    std::fs::write(&path, config.to_string()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let always = ["trade", "--cycles", "1", "-c", "my.json"];
    let with: &[&str] = if live { &["--live", "--yes"] } else { &[] };
    keel(place, &[&always[..], with].concat())
}

const PAPER: &str = "paper account on live market data";
const SANDBOX: &str = "run in the test environments of exchanges";
const LIVE: &str = "run with real money";

#[test]
fn orders_need_two_agreeing_words_and_test_environments_do_not_mix_with_real_ones() {
    let cases: [(bool, bool, [bool; 2], i32, &str); 9] = [
        (true, false, [false, false], 0, PAPER),
        (true, false, [true, false], 0, PAPER),
        (true, true, [false, false], 2, "dry_run is true"),
        (true, true, [true, true], 2, "dry_run is true"),
        (false, false, [false, false], 2, "add --live"),
        (false, false, [true, true], 2, "add --live"),
        (false, true, [false, false], 0, LIVE),
        (false, true, [true, false], 2, "1 of the exchanges"),
        (false, true, [true, true], 0, SANDBOX),
    ];
    for (dry_run, live, sandboxes, code, words) in cases {
        let place = tempfile::tempdir().unwrap();
        let run = trade(place.path(), &two(dry_run, sandboxes), live);
        run.expect(code, &[words]);
        assert_eq!(place.path().join("keel.sqlite").exists(), code == 0, "{run:?}");
    }
}

#[test]
fn a_journal_of_one_mode_is_refused_by_the_others() {
    let modes = [
        (two(false, [true; 2]), SANDBOX),
        (two(false, [false; 2]), LIVE),
        (two(true, [false; 2]), PAPER),
    ];
    let run = |place: &Path, config: &Value| {
        trade(place, config, config["bot_settings"]["dry_run"] == json!(false))
    };
    for (config, mode) in &modes {
        let place = tempfile::tempdir().unwrap();
        run(place.path(), config).expect(0, &[mode]);
        for (other, expected) in modes.iter().filter(|(_, other)| other != mode) {
            run(place.path(), other).expect(4, &[mode, expected, "move it away"]);
        }
        run(place.path(), config).expect(0, &[mode]);
    }
}

#[test]
fn an_exchange_without_a_test_environment_refuses_to_be_used_as_one() {
    for venue in VENUES {
        let place = tempfile::tempdir().unwrap();
        let (name, real) = venue.facts.urls[0];
        let sandbox = |urls: Value| {
            let settings = json!({ "sandbox": true, "urls": urls });
            trade(place.path(), &configuration(false, &[(venue.facts.id, settings)]), true)
        };
        if venue.facts.sandbox_urls.is_empty() {
            sandbox(json!({})).expect(2, &[venue.facts.id, "has no test environment"]);
        }
        if !venue.facts.sandbox_urls.contains(&(name, real)) {
            sandbox(json!({ name: real })).expect(2, &[venue.facts.id, real, "the real exchange"]);
        }
        assert!(!place.path().join("keel.sqlite").exists(), "nothing was begun");
    }
}
