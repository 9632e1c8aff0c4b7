//! The sweep gives exactly what the single backtest gives.

use crate::market;
use hyperopt::backtest::{Series, backtest};
use hyperopt::kernel::Kernel;
use hyperopt::outcome::Outcome;
use hyperopt::rules::{Rules, Stake};
use hyperopt::search::sweep;
use hyperopt::space::Space;
use keel_core::strategy::Stage;
use std::sync::atomic::AtomicBool;

fn swept(series: &Series, rules: &Rules, space: &Space) -> Vec<Outcome> {
    let period =
        hyperopt::outcome::Period::of(&series.traded, rules.startup, rules.wallet).unwrap();
    let kernel = Kernel::new(series, rules, space, period);
    assert_eq!(kernel.is_fast(), rules.signals_only(), "the fast way is the one to be compared");
    let stop = AtomicBool::new(false);
    sweep(&kernel, 0..kernel.pairs(), space.sizes()[2], &stop, &|_| {}).unwrap()
}

/// Bit for bit, not only `==`: -0.0 and 0.0 differ.
fn bits(outcome: &Outcome) -> Vec<u64> {
    let floats = [
        outcome.profit,
        outcome.daily_sum,
        outcome.daily_squares,
        outcome.daily_down_squares,
        outcome.drop,
        outcome.drop_from,
        outcome.drop_to,
    ];
    let counts = [u64::from(outcome.trades), u64::from(outcome.wins)];
    floats.iter().map(|value| value.to_bits()).chain(counts).collect()
}

fn check(series: &Series, rules: &Rules, space: &Space, every: usize) -> u32 {
    let outcomes = swept(series, rules, space);
    assert_eq!(outcomes.len(), space.len());
    let mut trades = 0;
    for index in (0..space.len()).step_by(every) {
        let params = space.params(index);
        let expected = backtest(series, params, rules).unwrap().outcome;
        assert_eq!(bits(&outcomes[index]), bits(&expected), "{params:?} {rules:?}");
        trades += expected.trades;
    }
    trades
}

#[test]
fn two_thousand_points_of_the_whole_space_are_equal_to_the_last_bit() {
    let series = market::position(7, 3_000);
    let space = Space::of(Stage::Position);
    // 471 has no factor in common with 301 or 56, so every axis is visited.
    let trades = check(&series, &Rules::default(), &space, 471);
    assert!(trades > 10_000, "{trades}");
}

#[test]
fn whatever_the_rules_and_the_market() {
    let space: Space = "window=1..30:7,mult=0.1..4.0:0.1,atrs=1..30:7".parse().unwrap();
    let usual = Rules::default();
    let rules = [
        Rules { fee: 0.0, ..usual.clone() },
        Rules { startup: 0, ..usual.clone() },
        Rules { startup: 1, fee: 0.00075, ..usual.clone() },
        Rules { stake: Stake::Fixed(990.0), ..usual.clone() },
        Rules { stake: Stake::Fixed(50.0), wallet: 55.0, fee: 0.02, ..usual.clone() },
        Rules { max_open_trades: 3, ..usual.clone() },
        Rules { wallet: 2e-6, ..usual.clone() },
        Rules { stoploss: Some(-0.05), ..usual.clone() },
    ];
    let markets = [
        market::position(1, 500),
        market::flat(400),
        market::stepped(3, 600),
        market::thin(4, 500),
        market::trend(5, 500),
        market::trend(6, 90),
    ];
    for series in &markets {
        for rules in &rules {
            // 7 has no factor in common with the 40 multiples or the 5 lengths.
            check(series, rules, &space, 7);
        }
    }
}
