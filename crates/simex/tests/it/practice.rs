//! What a user practises with: the written configuration, and scenario files.

use crate::client::{frozen, public, read};
use keel_simex::practice::write_config;
use keel_simex::prices::Place;
use keel_simex::scenario::{Scenario, play};
use keel_simex::server::Double;
use keel_simex::{Simex, SimexConfig};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn the_written_configuration_is_one_that_keel_accepts() {
    let simex = Simex::start(frozen()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = write_config(&simex, directory.path()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let config = keel_config::load(&path, &|_| None).unwrap();
    let urls: Vec<&str> =
        config.used_venues().map(|(_, venue)| venue.urls["api"].as_str()).collect();
    assert_eq!(urls, [simex.url(Double::Binance), simex.url(Double::Okx)]);
    assert!(config.telegram.enabled);
    // It may be written again, but never over somebody's own.
    assert!(write_config(&simex, directory.path()).is_ok());
    std::fs::write(&path, "{}").unwrap();
    assert!(write_config(&simex, directory.path()).is_err());
}

#[tokio::test]
async fn a_scenario_changes_the_world_and_lets_things_happen() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("scenario.json");
    let candles = directory.path().join("btc.csv");
    let rows: Vec<String> = (0..48)
        .map(|hour| {
            let open = 100 + hour;
            format!(
                "{},{open},{},{},{},5",
                1_700_000_000 - 1_700_000_000 % 3600 + hour * 3600,
                open + 2,
                open - 1,
                open + 1
            )
        })
        .collect();
    std::fs::write(&candles, format!("timestamp,open,high,low,close,volume\n{}", rows.join("\n")))
        .unwrap();
    let text = serde_json::json!({
        "world": {"prices": {"files": {"files": {"BTC": candles}, "end_now": true}}},
        "events": [
            {"after_seconds": 0, "path": "deposit", "body": {"venue": "okx", "asset": "BTC", "amount": "2"}},
        ],
    });
    std::fs::write(&file, text.to_string()).unwrap();
    let scenario = Scenario::read(&file).unwrap();
    let simex = Simex::start(scenario.world).await.unwrap();
    play(&simex, &scenario.events).await;
    assert_eq!(simex.balances(Place::Okx)["BTC"].free, rust_decimal::Decimal::from(2));
    let path = "/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=2";
    let (_, rows) = read(public(&simex, Double::Binance, path)).await;
    // The candle before the open one, as it was recorded.
    assert_eq!(
        [&rows[0][1], &rows[0][2], &rows[0][3], &rows[0][4]],
        ["146.000", "148.000", "145.000", "147.000"]
            .map(|text| format!("{text}00000"))
            .iter()
            .collect::<Vec<_>>()
            .as_slice()
    );
    std::fs::write(&file, r#"{"wrold": {}}"#).unwrap();
    assert!(Scenario::read(&file).is_err());
}

#[tokio::test]
async fn the_made_up_market_is_at_the_named_prices_now_and_the_same_for_the_same_seed() {
    let clock = keel_simex::clock::ClockMode::Manual { now_ms: 1_760_000_000_000 };
    let first = Simex::start(SimexConfig { clock, ..SimexConfig::default() }).await.unwrap();
    let again = Simex::start(SimexConfig { clock, ..SimexConfig::default() }).await.unwrap();
    let price =
        |simex: &Simex, at| simex.with(|world| world.prices.price(Place::Okx, "BTC", at).unwrap());
    assert!((price(&first, 1_760_000_000_000) - 60_000.0).abs() < 1.0);
    for hours in [-8_000, -1, 1, 100] {
        let at = 1_760_000_000_000 + hours * 3_600_000 + 12_345;
        assert_eq!(price(&first, at).to_bits(), price(&again, at).to_bits());
    }
}
