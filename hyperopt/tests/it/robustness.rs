//! Noise is refused and an edge is accepted.

use crate::market::{Dice, candles};
use hyperopt::backtest::{Series, Source, series};
use hyperopt::losses;
use hyperopt::outcome::Period;
use hyperopt::robustness::{Robustness, Searched, assess};
use hyperopt::rules::Rules;
use hyperopt::samplers;
use hyperopt::space::Space;
use hyperopt::study::{Study, search};
use hyperopt::timerange::TimeRange;
use keel_core::time::Timeframe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const HOURS: usize = 24 * 240;

fn loaded(seed: u64, closes: &[f64]) -> Series {
    let rows = Arc::new(candles(seed, closes, 1e-4, 0.0));
    series(&Source::Position(rows), Timeframe::H1, TimeRange::default(), 60).unwrap()
}

/// A random walk: nothing can be known about the next price.
fn noise(seed: u64) -> Series {
    let mut dice = Dice::new(seed);
    let mut price = 100.0_f64;
    let closes: Vec<f64> = (0..HOURS)
        .map(|_| {
            price *= (dice.normal() * 0.006).exp();
            price
        })
        .collect();
    loaded(seed, &closes)
}

/// Rises and falls of two to four days each: every set of parameters earns, and some always more.
fn edge(seed: u64) -> Series {
    let mut dice = Dice::new(seed);
    let (mut price, mut drift, mut left) = (100.0_f64, 0.005, 0.0);
    let closes: Vec<f64> = (0..HOURS)
        .map(|_| {
            if left <= 0.0 {
                drift = -drift;
                left = 48.0 * (1.0 + dice.next());
            }
            left -= 1.0;
            price *= (drift + dice.normal() * 0.006).exp();
            price
        })
        .collect();
    loaded(seed, &closes)
}

fn judged(series: &Series) -> Robustness {
    let space: Space = "window=5..60:11,mult=1.0..4.0:0.6,atrs=5..45:20".parse().unwrap();
    let rules = Rules::default();
    let period = Period::of(&series.traded, rules.startup, rules.wallet).unwrap();
    let study = Study {
        series,
        rules: &rules,
        space: &space,
        period,
        loss: losses::find("sortino").unwrap(),
        sampler: samplers::find("grid").unwrap(),
        epochs: 0,
        seed: 0,
        partial: None,
    };
    let found = search(&study, &AtomicBool::new(false), &|_| {}).unwrap();
    assess(&Searched {
        series,
        rules: &rules,
        space: &space,
        visited: None,
        outcomes: &found.outcomes,
        period: &period,
        loss: study.loss,
        best: found.best,
    })
}

#[test]
fn noise_is_refused_for_nearly_every_seed() {
    let refused = (0..200).filter(|seed| judged(&noise(*seed)).verdict().is_err()).count();
    assert!(refused >= 190, "{refused} of 200");
}

#[test]
fn a_planted_edge_is_accepted() {
    for seed in 0..5 {
        let robustness = judged(&edge(seed));
        assert_eq!(robustness.verdict(), Ok(()), "{robustness:?}");
    }
}
