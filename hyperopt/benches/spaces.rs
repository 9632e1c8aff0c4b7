//! Both stages' whole spaces over a year of candles, with the loss of every point.
//!
//! Candles come from the shared data where it lies (`KEEL_SHARED`), else from a seeded walk.

use hyperopt::backtest::{RawMember, Series, Source, series};
use hyperopt::dominance::Align;
use hyperopt::kernel::Kernel;
use hyperopt::losses::{LOSSES, Seen};
use hyperopt::outcome::Period;
use hyperopt::rules::Rules;
use hyperopt::search::{best, sweep};
use hyperopt::space::Space;
use hyperopt::timerange::TimeRange;
use keel_core::candle::Candle;
use keel_core::strategy::Stage;
use keel_core::time::Timeframe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const ROWS: usize = 35_040;

fn main() {
    divan::main();
}

fn shared() -> PathBuf {
    std::env::var_os("KEEL_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from)
}

fn candles(pair: &str, seed: u64) -> Arc<Vec<Candle>> {
    let path = shared().join(format!("data/ohlcv/binance/{pair}/15m.parquet"));
    match keel_data::read_candles(&path) {
        Ok(rows) => Arc::new(rows[rows.len() - ROWS..].to_vec()),
        Err(_) => Arc::new(walk(seed)),
    }
}

fn walk(seed: u64) -> Vec<Candle> {
    let mut state = seed;
    let mut dice = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((state >> 33) as u32) / f64::from(1_u32 << 31)
    };
    let mut close = 30_000.0_f64;
    (0..ROWS)
        .map(|row| {
            let open = close;
            close = ((close * (1.0 + 0.01 * (dice() - 0.5))) * 100.0).round() / 100.0;
            Candle {
                open_time_ms: 1_700_000_100_000 + row as i64 * 900_000,
                open,
                high: open.max(close) + (2_000.0_f64 * dice()).round() / 100.0,
                low: open.min(close) - (2_000.0_f64 * dice()).round() / 100.0,
                close,
                volume: 1.0,
            }
        })
        .collect()
}

fn search(series: &Series, space: &Space) -> Option<(usize, f64)> {
    let rules = Rules::default();
    let period = Period::of(&series.traded, rules.startup, rules.wallet)?;
    let kernel = Kernel::new(series, &rules, space, period);
    let stop = AtomicBool::new(false);
    let outcomes = sweep(&kernel, 0..kernel.pairs(), space.sizes()[2], &stop, &|_| {})?;
    best(&outcomes, &LOSSES[0], &period, &Seen::default())
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn position_943936_points(bencher: divan::Bencher<'_, '_>) {
    let source = Source::Position(candles("BTC-USDT", 1));
    let series = series(&source, Timeframe::M15, TimeRange::default(), 60).expect("good candles");
    bencher.bench_local(|| search(&series, &Space::of(Stage::Position)));
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn trend_65596_points(bencher: divan::Bencher<'_, '_>) {
    let members = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"]
        .into_iter()
        .zip(1_u32..)
        .map(|(pair, seed)| RawMember {
            ticker: pair.into(),
            market_cap: 1e12 / f64::from(seed),
            candles: candles(pair, u64::from(seed)),
        })
        .collect();
    let source = Source::Trend { target: "ETH-USDT".into(), members, align: Align::Common };
    let series = series(&source, Timeframe::M15, TimeRange::default(), 60).expect("good candles");
    bencher.bench_local(|| search(&series, &Space::of(Stage::Trend)));
}
