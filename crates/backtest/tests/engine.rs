//! Backtests over a generated market: the memory changes nothing, nothing looks ahead, a planted leak
//! is found, a sweep repeats itself.

#![allow(clippy::unwrap_used)]

use keel_backtest::Run;
use keel_backtest::engine::{self, Deposit, Scenario};
use keel_backtest::grid::{self, Axis};
use keel_backtest::lookahead::{MarketOn, Usual, check, spread};
use keel_backtest::sweep::{Limit, sweep};
use keel_backtest::warmup::warmup;
use keel_core::amount::{Money, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::plan::Markets;
use keel_core::policy::{AssetPolicy, Policy, Settings};
use keel_core::ports::{CapPoint, Clock as _, MarketData, PortError, PricePoint};
use keel_core::strategy;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::generate::{GeneratedAsset, GeneratedMarket, generate};
use keel_sim::models::CostModels;
use keel_sim::paper::PaperAccount;
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

const HOURS: usize = 24 * 60;

fn start() -> Timestamp {
    "2023-01-01".parse().unwrap()
}

fn market() -> Tape {
    let asset = |ticker: &str, venue: &str, price: f64| GeneratedAsset {
        ticker: ticker.parse().unwrap(),
        venue: venue.parse().unwrap(),
        price,
        supply: 1e9 / price,
        beta: 1.0,
        own_volatility: 0.006,
    };
    generate(&GeneratedMarket {
        seed: 11,
        start: start(),
        hours: HOURS,
        stablecoin: "USDT".parse().unwrap(),
        assets: vec![
            asset("BTC", "north", 30_000.0),
            asset("ETH", "north", 2_000.0),
            asset("SOL", "south", 20.0),
            asset("ADA", "north", 0.4),
        ],
    })
    .unwrap()
}

fn policy() -> Policy {
    let strategy = strategy::find("keltner_channel").unwrap();
    let asset = |ticker: &str, venue: &str, level: u32| AssetPolicy {
        ticker: ticker.parse().unwrap(),
        level,
        venue: venue.parse().unwrap(),
        coingecko_id: None,
        position_interval: Timeframe::H1,
        trend_interval: Timeframe::H4,
        strategy,
        position_params: strategy.defaults(),
        trend_params: strategy.defaults(),
    };
    Policy {
        settings: Settings {
            indicator_history_size: 150,
            max_indicator_history_size: 300,
            max_alt_coin_ratio: 0.5,
            ..Settings::default()
        },
        stablecoin: "USDT".parse().unwrap(),
        assets: vec![
            asset("BTC", "north", 1),
            asset("ETH", "north", 1),
            asset("SOL", "south", 2),
            asset("ADA", "north", 2),
        ],
        parked: Vec::new(),
    }
}

fn scenario<'a>(tape: &'a Tape, policy: &'a Policy, moments: &'a [Timestamp]) -> Scenario<'a> {
    let mut account = PaperAccount::default();
    for venue in ["north", "south"] {
        let amount = Qty::new(Decimal::from(5_000));
        account.deposit(&venue.parse().unwrap(), &policy.stablecoin, amount);
    }
    Scenario {
        title: "test".to_owned(),
        config_fingerprint: String::new(),
        data_fingerprint: String::new(),
        deployment: "test".to_owned(),
        policy,
        tape,
        moments,
        costs: CostModels::default(),
        account,
        deposits: Vec::new(),
        data_notes: Vec::new(),
    }
}

fn moments() -> Vec<Timestamp> {
    let from = start().plus_ms(20 * Timeframe::D1.ms());
    let to = start().plus_ms(i64::try_from(HOURS).unwrap() * Timeframe::H1.ms());
    engine::moments(from, to, Timeframe::H1).collect()
}

#[test]
fn series_have_an_entry_for_each_cycle_and_shares_sum_to_one() {
    let (tape, policy, moments) = (market(), policy(), moments());
    let run = engine::run(&scenario(&tape, &policy, &moments)).unwrap();
    assert!(!run.trades.is_empty());
    assert_eq!(run.equity.len(), moments.len());
    for series in run.weights.values().chain(run.targets.values()) {
        assert_eq!(series.len(), moments.len());
    }
    for row in 0..moments.len() {
        let shares: f32 = run.weights.values().map(|weights| weights[row]).sum();
        assert!((shares + run.stable_share[row] - 1.0).abs() < 1e-4, "cycle {row}");
    }
    assert_eq!(run.benchmarks.len(), 4);
    assert!(run.benchmarks.iter().all(|benchmark| benchmark.equity.len() == moments.len()));
    let text = serde_json::to_string(&run).unwrap();
    assert_eq!(serde_json::from_str::<Run>(&text).unwrap(), run);
}

#[test]
fn a_deposit_is_in_the_equity_and_not_in_the_return() {
    let (tape, policy, moments) = (market(), policy(), moments());
    let alone = engine::run(&scenario(&tape, &policy, &moments)).unwrap();
    let mut richer = scenario(&tape, &policy, &moments);
    let at = moments[300];
    richer.deposits.push(Deposit { at, amount: Money::new(Decimal::from(10_000)) });
    let richer = engine::run(&richer).unwrap();
    assert_eq!(richer.flows.len(), 1);
    assert_eq!(richer.equity[..300], alone.equity[..300]);
    assert!((richer.equity[300] - alone.equity[300] - 10_000.0).abs() < 100.0);
    let difference = richer.statistics.total_return - alone.statistics.total_return;
    assert!(difference.abs() < 0.05, "{difference}");
}

#[test]
fn no_decision_depends_on_what_comes_after_it() {
    let (tape, policy, moments) = (market(), policy(), moments());
    let scenario = scenario(&tape, &policy, &moments);
    let usual = Usual::prepared(&scenario);
    let every = spread(moments.len(), moments.len() / 4);
    let found = check(&scenario, &usual, &every, &|| {}).unwrap();
    assert_eq!(found.leaks, []);
    assert_eq!((found.cycles, found.checked), (moments.len(), every.len()));
}

/// Shows the bar that is still forming, as a careless join of timeframes does.
struct Leaking;

struct LeakingMarket<'a> {
    honest: ReplayMarket<'a>,
    tape: &'a Tape,
    clock: &'a TapeClock,
}

impl MarketOn for Leaking {
    type Market<'a> = LeakingMarket<'a>;

    fn on<'a>(&'a self, tape: &'a Tape, clock: &'a TapeClock, _: &Policy) -> LeakingMarket<'a> {
        LeakingMarket { honest: ReplayMarket::new(tape, clock), tape, clock }
    }
}

impl MarketData for LeakingMarket<'_> {
    async fn markets(&self, venue: &VenueId) -> Result<Arc<Markets>, PortError> {
        self.honest.markets(venue).await
    }

    async fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        let series = &self.tape.venues[venue].candles[symbol][&timeframe];
        let one_bar_later = self.clock.now().plus_ms(timeframe.ms());
        Ok(Window::closed(series, one_bar_later, limit))
    }

    async fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        self.honest.prices(venue, symbols).await
    }

    async fn caps(&self, assets: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        self.honest.caps(assets).await
    }
}

#[test]
fn a_planted_leak_of_one_bar_is_found() {
    let (tape, policy, moments) = (market(), policy(), moments());
    let scenario = scenario(&tape, &policy, &moments);
    let found = check(&scenario, &Leaking, &spread(moments.len(), 100), &|| {}).unwrap();
    assert!(!found.leaks.is_empty());
}

#[test]
fn a_sweep_equals_single_runs_and_repeats_itself() {
    let (tape, policy, moments) = (market(), policy(), moments());
    let scenario = scenario(&tape, &policy, &moments);
    let axes = [
        Axis::parse("rebalance_threshold_percentage=0.01,0.1", &policy).unwrap(),
        Axis::parse("max_alt_coin_ratio=0..1:3", &policy).unwrap(),
        Axis::parse("signal_confirmation_cycles=1,2", &policy).unwrap(),
    ];
    let points = grid::points(&axes);
    assert_eq!(points.len(), 12);
    let range = (moments[0], moments[moments.len() - 1]);
    let limit: Limit = "max_drawdown<=0.9".parse().unwrap();
    let trials = sweep(&scenario, range, &axes, &points, &[limit], &|| {}).unwrap();
    let again = sweep(&scenario, range, &axes, &points, &[limit], &|| {}).unwrap();
    assert_eq!(trials, again);
    assert!(trials.iter().any(|trial| trial.on_front));
    for trial in trials.iter().step_by(5) {
        let changed = grid::policy_of(&policy, &axes, &trial.point).unwrap();
        let single = engine::run(&Scenario { policy: &changed, ..scenario.clone() }).unwrap();
        let end_value = single.statistics.end_value;
        assert_eq!(trial.end_value.to_bits(), end_value.to_bits(), "{:?}", trial.point);
        assert_eq!(trial.trades, single.trades.len());
        assert_eq!(Some(trial.sharpe), single.statistics.sharpe);
    }
}

#[test]
fn drawn_points_are_different_points_of_the_grid_and_repeat_by_their_seed() {
    let policy = policy();
    let axes = [
        Axis::parse("min_order_value_usd=10..500:50", &policy).unwrap(),
        Axis::parse("allocation_policy=dominance,equal", &policy).unwrap(),
    ];
    let all = grid::points(&axes);
    let drawn = grid::drawn(&axes, 30, 7);
    let mut unique = drawn.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 30);
    assert!(drawn.iter().all(|point| all.contains(point)));
    assert_eq!(drawn, grid::drawn(&axes, 30, 7));
    assert_ne!(drawn, grid::drawn(&axes, 30, 8));
    assert_eq!(grid::drawn(&axes, 1000, 7), all);
}

#[test]
fn wrong_grids_and_limits_say_what_is_expected() {
    let policy = policy();
    for (text, expected) in [
        ("x", "KEY=VALUE"),
        ("speed=1", "expected one of rebalance_threshold_percentage"),
        ("max_alt_coin_ratio=2", "a fraction from 0 to 1"),
        ("max_alt_coin_ratio=0..1", "FROM..TO:COUNT"),
        ("trend_interval=5h", "a length of bars"),
    ] {
        let error = Axis::parse(text, &policy).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for text in ["max_drawdown<0.3", "beauty<=1", "sharpe>=much"] {
        assert!(text.parse::<Limit>().unwrap_err().contains("is not a limit"), "{text}");
    }
}

#[test]
fn a_longer_history_differs_less_until_it_does_not_differ() {
    let (tape, policy, moments) = (market(), policy(), moments());
    let moments: Vec<Timestamp> = moments.into_iter().rev().step_by(40).collect();
    let scenario = scenario(&tape, &policy, &moments);
    let found = warmup(&scenario, &[5, 250, 300, 400], &|| {}).unwrap();
    assert_eq!(found.rows.len(), 3);
    assert_eq!(found.rows[0].decisions, moments.len() * 4);
    assert!(found.rows[0].positions > 0, "five bars of history are not enough: {found:?}");
    assert!(found.rows[2].positions <= found.rows[0].positions);
}
