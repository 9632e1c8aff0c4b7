//! How long a cycle and a year of cycles take: `cargo bench --bench cycle`. Targets and results are
//! in `docs/performance.md`.

use keel_core::amount::Qty;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::policy::{AssetPolicy, Policy, Settings};
use keel_core::state::State;
use keel_core::strategy;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::generate::{GeneratedAsset, GeneratedMarket, generate};
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rust_decimal::Decimal;

fn main() {
    divan::main();
}

const HISTORY: usize = 1000;
const HOURS_PER_YEAR: usize = 8760;

/// A generated market on two venues, with direct pairs, and a policy over all of it.
struct Scene {
    tape: Tape,
    policy: Policy,
    account: PaperAccount,
    start: Timestamp,
}

fn scene(assets: usize, history: usize, hours: usize, trend_interval: Timeframe) -> Scene {
    let market = GeneratedMarket {
        seed: 1,
        start: "2023-01-01".parse().expect("a date"),
        hours: history + hours,
        stablecoin: "USDT".parse().expect("a ticker"),
        assets: (0..assets)
            .map(|i| {
                #[expect(clippy::cast_precision_loss, reason = "a count of assets")]
                let rank = 1.0 + i as f64;
                GeneratedAsset {
                    ticker: format!("A{i}").parse().expect("a ticker"),
                    venue: ["north", "south"][i % 2].parse().expect("a venue"),
                    price: 40_000.0 / rank.powf(1.5),
                    supply: 2e7,
                    beta: 0.8 + 0.4 / rank,
                    own_volatility: 0.004,
                }
            })
            .collect(),
    };
    let strategy = strategy::find("keltner_channel").expect("a known strategy");
    let policy = Policy {
        settings: Settings::default(),
        stablecoin: market.stablecoin.clone(),
        assets: market
            .assets
            .iter()
            .enumerate()
            .map(|(i, asset)| AssetPolicy {
                ticker: asset.ticker.clone(),
                level: 1 + u32::from(i > 1),
                venue: asset.venue.clone(),
                coingecko_id: None,
                position_interval: Timeframe::H1,
                trend_interval,
                strategy,
                position_params: strategy.defaults(),
                trend_params: strategy.defaults(),
            })
            .collect(),
        parked: Vec::new(),
    };
    let mut account = PaperAccount::default();
    for venue in policy.venues() {
        account.deposit(&venue, &policy.stablecoin, Qty::new(Decimal::new(500_000, 0)));
    }
    let offset = i64::try_from(history).expect("a small number") * Timeframe::H1.ms();
    Scene {
        tape: generate(&market).expect("a market"),
        policy,
        account,
        start: market.start.plus_ms(offset),
    }
}

/// Runs `hours` cycles, one an hour, and returns how many orders were sent.
fn run(scene: &Scene, hours: usize) -> usize {
    let clock = TapeClock::at(scene.start);
    let market = ReplayMarket::new(&scene.tape, &clock);
    let mut broker = PaperBroker::new(
        &market,
        scene.policy.stablecoin.clone(),
        CostModels::default(),
        scene.account.clone(),
    );
    let mut store = MemoryStore::default();
    let mut state = State::default();
    let mut now = scene.start;
    for hour in 0..hours {
        clock.set(now);
        let mut world =
            World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
        let options = CycleOptions { at_start: hour == 0, ..CycleOptions::default() };
        pollster::block_on(run_cycle(&mut world, &scene.policy, &mut state, &options))
            .expect("a journal in memory");
        now = now.plus_ms(Timeframe::H1.ms());
    }
    store.intents.len()
}

/// One cycle from nothing: 500 assets with 1,000 candles each, every signal and target computed and
/// the first orders filled. Target: 20 ms.
#[divan::bench(sample_count = 50)]
fn cycle_500_assets(bencher: divan::Bencher<'_, '_>) {
    let scene = scene(500, HISTORY, 0, Timeframe::H1);
    bencher.bench_local(|| run(&scene, 1));
}

/// A year of hourly cycles over 20 assets, position on 1h and trend on 4h candles, direct pairs.
/// Target: 2 s and 256 MiB.
#[divan::bench(sample_count = 5)]
fn replay_year_20_assets(bencher: divan::Bencher<'_, '_>) {
    let scene = scene(20, 4 * HISTORY, HOURS_PER_YEAR, Timeframe::H4);
    bencher.bench_local(|| run(&scene, HOURS_PER_YEAR));
}
