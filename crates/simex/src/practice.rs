//! A portfolio configuration for Keel that points at a running simulation.

use crate::prices::Place;
use crate::server::Double;
use crate::simex::Simex;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The user whom the bot obeys.
pub const USER_ID: i64 = 42;

/// URLs and keys of a running simulation.
#[must_use]
pub fn connection(simex: &Simex) -> Value {
    let urls: serde_json::Map<String, Value> = Double::ALL
        .iter()
        .map(|double| (double.name().to_owned(), Value::String(simex.url(*double))))
        .collect();
    let keys: serde_json::Map<String, Value> = simex
        .config()
        .venues
        .iter()
        .filter_map(|(place, venue)| {
            let key = venue.keys.first()?;
            let shown = json!({"key": key.key, "secret": key.secret, "passphrase": key.passphrase});
            Some((format!("{place:?}").to_lowercase(), shown))
        })
        .collect();
    json!({
        "urls": urls,
        "keys": keys,
        "telegram_token": simex.config().telegram_token,
        "telegram_user_id": USER_ID,
    })
}

/// Each asset goes to the venues in turn, as far as they list it.
fn portfolio_assets(simex: &Simex) -> Vec<Value> {
    let venues = &simex.config().venues;
    let mut rows = Vec::new();
    for (index, asset) in simex.config().assets.iter().enumerate() {
        let file = format!("{}_strategy.json", asset.ticker);
        if asset.ticker == "USDT" {
            rows.push(json!({
                "ticker": "USDT", "level": 0, "exchange": "N/A", "coingecko_id": asset.coingecko_id,
                "position_interval": 0, "trend_interval": 0,
                "strategy_file": file, "strategy_name": "keltner_channel",
            }));
            continue;
        }
        let market = format!("{}/USDT", asset.ticker);
        let listing: Vec<&Place> = venues
            .iter()
            .filter(|(_, venue)| venue.markets.contains(&market))
            .map(|(place, _)| place)
            .collect();
        if asset.stable || listing.is_empty() {
            continue;
        }
        let place = format!("{:?}", listing[index % listing.len()]).to_lowercase();
        let level = if ["BTC", "ETH"].contains(&asset.ticker.as_str()) { 1 } else { 2 };
        rows.push(json!({
            "ticker": asset.ticker, "level": level, "exchange": place,
            "coingecko_id": asset.coingecko_id, "position_interval": 60, "trend_interval": 300,
            "strategy_file": file, "strategy_name": "keltner_channel",
        }));
    }
    rows
}

/// The configuration, for files in `directory`.
#[must_use]
pub fn portfolio_config(simex: &Simex, directory: &Path) -> Value {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut venues = serde_json::Map::new();
    let mut credentials = serde_json::Map::new();
    for (place, venue) in &simex.config().venues {
        let (double, name) = match place {
            Place::Okx => (Double::Okx, "okx"),
            Place::Binance | Place::Coingecko => (Double::Binance, "binance"),
        };
        let Some(key) = venue.keys.first() else { continue };
        let entry = json!({
            "credentials_key": name, "enable_rate_limit": true, "default_type": "spot",
            "urls": {"api": simex.url(double)},
        });
        venues.insert(name.to_owned(), entry);
        let mut keys = json!({"apiKey": key.key, "secret": key.secret});
        if *place == Place::Okx {
            keys["password"] = json!(key.passphrase);
        }
        credentials.insert(name.to_owned(), keys);
    }
    json!({
        "bot_settings": {
            "dry_run": false,
            "cycle_sleep_duration_seconds": 15,
            "max_retries_network": 3,
            "retry_delay_seconds_network": 1,
            "min_order_value_usd": 15,
            "max_alt_coin_ratio": 0.5,
            "rebalance_threshold_percentage": 0.02,
            "signal_confirmation_cycles": 1,
            "indicator_history_size": 300,
            "max_indicator_history_size": 1000,
            "market_cap_stale_threshold_seconds": 86400,
            "balance_adjustment_factor_buy": 0.99,
            "balance_adjustment_factor_sell": 0.9999,
            "initial_stablecoin_balance": 20000,
        },
        "paths": {
            "portfolio_strategies_dir": path("strategies"),
            "global_status_file_path": path("status.json"),
            "log_dir": path("logs"),
            "log_filename": "keel.log",
            "portfolio_export_path": path("portfolio.csv"),
            "ohlcv_export_dir": path("ohlcv"),
        },
        "logging": {"level": "INFO", "external_lib_levels": {}, "json": false},
        "exchange_configurations": venues,
        "exchanges_credentials": credentials,
        "telegram": {
            "enabled": true,
            "credentials_key": "practice",
            "api_url": simex.url(Double::Telegram),
            "allowed_user_ids": [USER_ID],
        },
        "telegram_credentials": {
            "practice": {
                "apiKey": simex.config().telegram_token,
                "chatId": USER_ID.to_string(),
            },
        },
        "coingecko": {"base_url": format!("{}/api/v3", simex.url(Double::Coingecko))},
        "portfolio_assets": portfolio_assets(simex),
    })
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file =
        fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Writes `portfolio_config.json` (readable by its owner only: it holds the keys) and the strategy
/// files into a directory, and gives the path of the configuration.
///
/// # Errors
/// When a file cannot be written, or there is a configuration that this function did not write.
pub fn write_config(simex: &Simex, directory: &Path) -> Result<PathBuf, String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let strategies = directory.join("strategies");
    fs::create_dir_all(&strategies).map_err(|error| failed(&strategies, error))?;
    let path = directory.join("portfolio_config.json");
    if fs::read_to_string(&path).is_ok_and(|text| !text.contains("\"simex-")) {
        return Err(format!(
            "{}: seen a configuration that simex did not write, expected none; name another directory",
            path.display()
        ));
    }
    let config = portfolio_config(simex, directory);
    let text = serde_json::to_string_pretty(&config).map_err(|error| error.to_string())?;
    write_private(&path, &text).map_err(|error| failed(&path, error))?;
    let rows = config["portfolio_assets"].as_array().cloned().unwrap_or_default();
    for row in rows {
        let name = row["strategy_file"].as_str().unwrap_or("");
        let file = strategies.join(name);
        let parameters = json!({
            "position_kc_atr": 10, "position_kc_mult": 1, "position_kc_window": 20,
            "trend_kc_atr": 10, "trend_kc_mult": 1, "trend_kc_window": 20,
        });
        if !file.exists() {
            let text =
                serde_json::to_string_pretty(&parameters).map_err(|error| error.to_string())?;
            fs::write(&file, text).map_err(|error| failed(&file, error))?;
        }
    }
    Ok(path)
}
