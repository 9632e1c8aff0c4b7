//! Searches stop, go on and end the same way, whatever the threads.

use crate::market;
use hyperopt::backtest::Series;
use hyperopt::losses;
use hyperopt::outcome::Period;
use hyperopt::results::{read_records, write_trials};
use hyperopt::rules::Rules;
use hyperopt::samplers;
use hyperopt::space::Space;
use hyperopt::study::{Found, Study, StudyError, search};
use hyperopt::walk_forward::{Plan, Scheme, WalkForwardError, walk_forward};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SPACE: &str = "window=5..20,mult=1.0..3.0:0.1,atrs=5..20";

struct Case {
    series: Series,
    rules: Rules,
    space: Space,
}

impl Case {
    fn new() -> Self {
        let (rules, space) = (Rules::default(), SPACE.parse().unwrap());
        Self { series: market::position(11, 1500), rules, space }
    }

    fn study<'a>(&'a self, sampler: &str, partial: Option<&'a Path>) -> Study<'a> {
        Study {
            series: &self.series,
            rules: &self.rules,
            space: &self.space,
            period: Period::of(&self.series.traded, 60, 1000.0).unwrap(),
            loss: losses::find("sortino").unwrap(),
            sampler: samplers::find(sampler).unwrap(),
            epochs: 200,
            seed: 7,
            partial,
        }
    }

    fn found(&self, sampler: &str, threads: usize) -> Found {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let never = AtomicBool::new(false);
        pool.install(|| search(&self.study(sampler, None), &never, &|_| {}).unwrap())
    }
}

#[test]
fn every_sampler_gives_the_same_on_any_number_of_threads() {
    let case = Case::new();
    for sampler in samplers::SAMPLERS {
        let one = case.found(sampler.name, 1);
        assert_eq!(one, case.found(sampler.name, 3), "{sampler:?}");
        let visited = if sampler.name == "grid" { case.space.len() } else { 200 };
        assert_eq!(one.outcomes.len(), visited);
    }
}

#[test]
fn the_grid_finds_the_best_and_the_estimator_comes_nearer_than_chance() {
    let case = Case::new();
    let best = |sampler| {
        let found = case.found(sampler, 2);
        found.losses[found.best]
    };
    let (grid, tpe) = (best("grid"), best("tpe"));
    let losses = case.found("random", 2).losses;
    let middle = hyperopt::plateau::median(losses).unwrap();
    assert!(grid <= tpe && tpe < middle, "{grid} {tpe} {middle}");
}

#[test]
fn a_stopped_search_goes_on_where_it_was() {
    let case = Case::new();
    let directory = tempfile::tempdir().unwrap();
    for sampler in ["grid", "random", "tpe"] {
        let path = directory.path().join(sampler);
        let study = case.study(sampler, Some(&path));
        let (stop, heard) = (AtomicBool::new(false), AtomicUsize::new(0));
        let half = if sampler == "grid" { case.space.len() / 2 } else { 100 };
        let stopped = search(&study, &stop, &|outcomes| {
            if heard.fetch_add(outcomes.len(), Ordering::Relaxed) > half {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert!(matches!(stopped, Err(StudyError::Interrupted)), "{sampler}");
        let before = std::fs::metadata(&path).unwrap().len();
        let resumed = search(&study, &AtomicBool::new(false), &|_| {}).unwrap();
        assert_eq!(resumed, case.found(sampler, 1), "{sampler}");
        assert!(before > 1000 && std::fs::metadata(&path).unwrap().len() > before);
    }
}

#[test]
fn a_market_without_trades_is_an_error_and_not_a_result() {
    let case = Case { series: market::flat(400), ..Case::new() };
    let result = search(&case.study("grid", None), &AtomicBool::new(false), &|_| {});
    assert!(matches!(result, Err(StudyError::NoTrades)));
}

#[test]
fn results_are_written_and_a_directory_without_any_says_so() {
    let case = Case::new();
    let directory = tempfile::tempdir().unwrap();
    let found = case.found("grid", 2);
    let period = case.study("grid", None).period;
    write_trials(directory.path(), &found, &case.space, &period).unwrap();
    let csv = std::fs::read_to_string(directory.path().join("trials.csv")).unwrap();
    assert!(csv.starts_with("window,mult,atrs,loss,trades,wins,profit,daily_sharpe"));
    let best = case.space.params(found.best);
    let start = format!("{},{},{},", best.window, best.mult, best.atr);
    let line = csv.lines().nth(1).unwrap();
    assert!(line.replace(".0,", ",").starts_with(&start.replace(".0,", ",")), "{line} {start}");
    assert!(std::fs::metadata(directory.path().join("trials.parquet")).unwrap().len() > 1000);
    assert!(read_records(directory.path()).unwrap().is_empty());
    assert!(read_records(&directory.path().join("absent")).is_err());
}

#[test]
fn a_walk_tests_only_on_what_comes_after() {
    let case = Case::new();
    let never = AtomicBool::new(false);
    let loss = losses::find("sortino").unwrap();
    for scheme in [Scheme::Anchored, Scheme::Rolling] {
        let plan = Plan::usual(scheme);
        let walk =
            walk_forward(&case.series, &case.rules, &case.space, loss, plan, &never).unwrap();
        assert_eq!(walk.folds.len(), 4);
        for pair in walk.folds.windows(2) {
            assert!(pair[0].test_to_ms < pair[1].test_from_ms);
            let moved = pair[0].train_from_ms < pair[1].train_from_ms;
            assert_eq!(moved, scheme == Scheme::Rolling);
        }
        assert!(walk.folds.iter().all(|fold| fold.train_from_ms < fold.test_from_ms));
        // What is traded in a test does not depend on what comes after it.
        let cut = case.series.slice(0, case.series.len());
        assert_eq!(walk_forward(&cut, &case.rules, &case.space, loss, plan, &never).unwrap(), walk);
    }
    let short = market::position(3, 200);
    let plan = Plan::usual(Scheme::Rolling);
    let error = walk_forward(&short, &case.rules, &case.space, loss, plan, &never).unwrap_err();
    assert!(matches!(error, WalkForwardError::TooShort { rows: 200, .. }));
}
