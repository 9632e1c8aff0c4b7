//! The backtest that is promised in `docs/performance.md`: 19 recorded assets, hourly, 2021 to 2024.
//! Skips with a message when the recorded data is absent.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use divan::{Bencher, black_box};
use keel::replay::{Recording, load};
use keel::simulation::{cost_models, first_deposit};
use keel_backtest::engine::{self, Scenario, moments};
use keel_backtest::grid::{self, Axis};
use keel_backtest::sweep::sweep;
use keel_config::Config;
use keel_core::asset::Symbol;
use keel_core::ports::CapPoint;
use keel_core::time::{Timeframe, Timestamp};
use serde_json::json;
use std::path::PathBuf;
use tempfile::TempDir;

/// Recorded hourly on Binance from 2020-10 to 2024-08.
const TICKERS: [&str; 19] = [
    "BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK", "DOT", "TRX", "BCH", "AVAX",
    "MATIC", "UNI", "XLM", "XTZ", "NEAR", "NEO",
];

fn main() {
    divan::main();
}

/// The recorded data, or `None` with a message.
fn data() -> Option<PathBuf> {
    let root = std::env::var_os("KEEL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from)
        .join("data");
    if !root.join("ohlcv/binance").is_dir() {
        println!("skipped: {} is absent; set KEEL_SHARED to the shared folder", root.display());
        return None;
    }
    Some(root)
}

/// The first `count` assets, trends on bars of `trend_seconds`.
fn config(place: &TempDir, count: usize, trend_seconds: u32) -> Config {
    let mut assets: Vec<serde_json::Value> = TICKERS
        .iter()
        .take(count)
        .map(|ticker| {
            json!({
                "ticker": ticker, "level": 1, "exchange": "binance",
                "coingecko_id": ticker.to_lowercase(), "position_interval": 3600,
                "trend_interval": trend_seconds, "strategy_file": format!("{ticker}.json"),
                "strategy_name": "keltner_channel"
            })
        })
        .collect();
    assets.push(json!({
        "ticker": "USDT", "level": 0, "exchange": "N/A", "coingecko_id": "tether",
        "position_interval": 0, "trend_interval": 0, "strategy_file": "USDT.json",
        "strategy_name": "keltner_channel"
    }));
    let text = json!({
        "bot_settings": { "dry_run": true, "initial_stablecoin_balance": 10000 },
        "paths": {
            "portfolio_strategies_dir": "./none", "global_status_file_path": "./none/status.json",
            "log_dir": "./none", "log_filename": "keel.log"
        },
        "exchange_configurations": { "binance": { "enable_rate_limit": true } },
        "portfolio_assets": assets
    });
    let path = place.path().join("config.json");
    std::fs::write(&path, text.to_string()).unwrap();
    keel_config::load(&path, &|_| None).unwrap()
}

struct Prepared {
    config: Config,
    recording: Recording,
    _place: TempDir,
}

fn prepared(count: usize, trend_seconds: u32) -> Option<Prepared> {
    let root = data()?;
    let place = tempfile::tempdir().unwrap();
    let config = config(&place, count, trend_seconds);
    let mut recording = load(&config, &root).unwrap();
    add_missing_caps(&config, &mut recording);
    Some(Prepared { config, recording, _place: place })
}

/// Two of the assets have no recorded caps: they count as a billion units, so that all take part.
fn add_missing_caps(config: &Config, recording: &mut Recording) {
    for asset in &config.policy.assets {
        let symbol = Symbol::new(asset.ticker.clone(), config.policy.stablecoin.clone());
        let series = recording.tape.venues[&asset.venue].candles[&symbol][&Timeframe::H1].clone();
        recording.tape.caps.entry(asset.ticker.clone()).or_insert_with(|| {
            let at = |open_time_ms| Timestamp::from_ms(open_time_ms + Timeframe::H1.ms());
            let daily = series.iter().step_by(24);
            daily
                .map(|candle| CapPoint {
                    cap_usd: candle.close * 1e9,
                    as_of: at(candle.open_time_ms),
                })
                .collect()
        });
    }
}

fn day(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Prepared {
    fn scenario<'a>(&'a self, moments: &'a [Timestamp]) -> Scenario<'a> {
        Scenario {
            title: "bench".to_owned(),
            config_fingerprint: String::new(),
            data_fingerprint: String::new(),
            deployment: "bench".to_owned(),
            policy: &self.config.policy,
            tape: &self.recording.tape,
            moments,
            costs: cost_models(&self.config),
            account: first_deposit(&self.config),
            deposits: Vec::new(),
            data_notes: Vec::new(),
        }
    }
}

fn cycles(from: &str, to: &str) -> Vec<Timestamp> {
    moments(day(from), day(to), Timeframe::H1).collect()
}

/// Assets, from 2021 to the end of the recording.
#[divan::bench(args = [5, 10, 19], sample_count = 3)]
fn assets(bencher: Bencher<'_, '_>, count: usize) {
    let Some(prepared) = prepared(count, 14_400) else { return };
    let moments = cycles("2021-01-01", "2024-09-01");
    bencher.bench_local(|| black_box(engine::run(&prepared.scenario(&moments)).unwrap()));
}

/// Years of 19 assets, from 2021 on.
#[divan::bench(args = [1, 2, 3], sample_count = 3)]
fn years(bencher: Bencher<'_, '_>, count: i32) {
    let Some(prepared) = prepared(19, 14_400) else { return };
    let moments = cycles("2021-01-01", &format!("{}-01-01", 2021 + count));
    bencher.bench_local(|| black_box(engine::run(&prepared.scenario(&moments)).unwrap()));
}

/// Both signals of 19 assets on hourly candles.
#[divan::bench(sample_count = 3)]
fn hourly_trends(bencher: Bencher<'_, '_>) {
    let Some(prepared) = prepared(19, 3_600) else { return };
    let moments = cycles("2021-01-01", "2024-09-01");
    bencher.bench_local(|| black_box(engine::run(&prepared.scenario(&moments)).unwrap()));
}

/// Ten settings over 19 assets and all years.
#[divan::bench(sample_count = 1)]
fn sweep_of_ten(bencher: Bencher<'_, '_>) {
    let Some(prepared) = prepared(19, 14_400) else { return };
    let moments = cycles("2021-01-01", "2024-09-01");
    let policy = &prepared.config.policy;
    let axes = [Axis::parse("rebalance_threshold_percentage=0.01..0.1:10", policy).unwrap()];
    let points = grid::points(&axes);
    let range = (moments[0], moments[moments.len() - 1]);
    bencher.bench_local(|| {
        let scenario = prepared.scenario(&moments);
        black_box(sweep(&scenario, range, &axes, &points, &[], &|| {}).unwrap())
    });
}
