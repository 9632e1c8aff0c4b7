//! A sweep: one run for each point of a grid, on all cores, over one tape.

use crate::activity;
use crate::collect::{self, EachCycle};
use crate::engine::{Scenario, moments, play_on, step};
use crate::grid::{Axis, Point, policy_of};
use crate::memory::{Memory, RememberingMarket};
use crate::statistics::{DailyCurve, deviation, mean, of_curve};
use keel_core::policy::Policy;
use keel_core::ports::StoreError;
use keel_core::record::CycleRecord;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::tape::TapeClock;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::str::FromStr;

/// What a point of the grid came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its values, in the order of the axes.
    pub point: Point,
    /// Value at the end.
    pub end_value: f64,
    /// Growth of the time-weighted curve, a fraction.
    pub total_return: f64,
    /// The same per year.
    pub cagr: f64,
    /// Of daily returns, per year.
    pub volatility: f64,
    /// Per year.
    pub sharpe: f64,
    /// Per year.
    pub sortino: f64,
    /// CAGR by the deepest fall.
    pub calmar: f64,
    /// Deepest fall from a peak, a fraction.
    pub max_drawdown: f64,
    /// Value traded per year by the mean value.
    pub turnover: f64,
    /// In the stablecoin.
    pub fees: f64,
    /// Executed orders.
    pub trades: usize,
    /// Mean share of the value outside the stablecoin.
    pub exposure: f64,
    /// Shape of the daily returns.
    pub daily: Daily,
    /// It is within all limits.
    pub allowed: bool,
    /// No other allowed trial is at least as good in return, drawdown and turnover and better in one.
    pub on_front: bool,
}

/// Moments of daily returns, for the probability that a Sharpe ratio is luck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Daily {
    /// Days.
    pub count: f64,
    /// Mean by deviation of a day.
    pub sharpe: f64,
    /// Skewness; 0 without any change.
    pub skewness: f64,
    /// Kurtosis, 3 for normal returns.
    pub kurtosis: f64,
}

impl Daily {
    fn of(returns: &[f64]) -> Self {
        let (Some(mean_return), Some(deviation)) = (mean(returns), deviation(returns)) else {
            return Self { kurtosis: 3.0, ..Self::default() };
        };
        #[expect(clippy::cast_precision_loss, reason = "a count of days")]
        let count = returns.len() as f64;
        let central = |power: i32| {
            returns.iter().map(|change| (change - mean_return).powi(power)).sum::<f64>() / count
        };
        let variance = central(2);
        if variance <= 0.0 {
            return Self { count, kurtosis: 3.0, ..Self::default() };
        }
        Self {
            count,
            sharpe: mean_return / deviation,
            skewness: central(3) / variance.powf(1.5),
            kurtosis: central(4) / (variance * variance),
        }
    }
}

/// A row of [`METRICS`].
pub struct Metric {
    /// Its name in limits.
    pub name: &'static str,
    of: fn(&Trial) -> f64,
}

impl std::fmt::Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What a limit may be about.
#[expect(clippy::cast_precision_loss, reason = "a count of trades")]
pub static METRICS: &[Metric] = &[
    Metric { name: "end_value", of: |trial| trial.end_value },
    Metric { name: "total_return", of: |trial| trial.total_return },
    Metric { name: "cagr", of: |trial| trial.cagr },
    Metric { name: "volatility", of: |trial| trial.volatility },
    Metric { name: "sharpe", of: |trial| trial.sharpe },
    Metric { name: "sortino", of: |trial| trial.sortino },
    Metric { name: "calmar", of: |trial| trial.calmar },
    Metric { name: "max_drawdown", of: |trial| trial.max_drawdown },
    Metric { name: "turnover", of: |trial| trial.turnover },
    Metric { name: "fees", of: |trial| trial.fees },
    Metric { name: "trades", of: |trial| trial.trades as f64 },
    Metric { name: "exposure", of: |trial| trial.exposure },
];

/// A bound that a trial must keep: `max_drawdown<=0.35`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    metric: &'static Metric,
    at_most: bool,
    bound: f64,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>().join(", ");
        let syntax = || {
            format!(
                "`{text}` is not a limit; expected FIGURE<=NUMBER or FIGURE>=NUMBER, such as max_drawdown<=0.35, with one of {}",
                names()
            )
        };
        let (name, bound, at_most) = text
            .split_once("<=")
            .map(|(name, bound)| (name, bound, true))
            .or_else(|| text.split_once(">=").map(|(name, bound)| (name, bound, false)))
            .ok_or_else(syntax)?;
        let metric = METRICS.iter().find(|metric| metric.name == name.trim()).ok_or_else(syntax)?;
        let bound = bound.trim().parse::<f64>().ok().filter(|bound| bound.is_finite());
        Ok(Self { metric, at_most, bound: bound.ok_or_else(syntax)? })
    }
}

impl Limit {
    /// Whether a trial keeps it.
    #[must_use]
    pub fn allows(&self, trial: &Trial) -> bool {
        let value = (self.metric.of)(trial);
        if self.at_most { value <= self.bound } else { value >= self.bound }
    }
}

/// Counts and adds up, without keeping trades or weights.
#[derive(Debug, Default)]
struct Totals {
    equity: Vec<f64>,
    outside: f64,
    traded: f64,
    fees: f64,
    trades: usize,
}

impl Totals {
    fn add(&mut self, record: &CycleRecord) {
        let total = record.total_after.to_f64();
        self.equity.push(total);
        if total > 0.0 {
            self.outside += 1.0 - record.stablecoin_after.to_f64() / total;
        }
        for trade in record.executions.iter().filter_map(|e| collect::trade(record, e)) {
            self.traded += trade.value.to_f64();
            self.fees += trade.fee_value.to_f64();
            self.trades += 1;
        }
    }
}

/// Runs every point. `from` and `to` are the first and last moment; the cycles lie on the grid of the
/// shortest interval of each point. `progress` is called after each trial, from any thread.
///
/// # Errors
/// A point whose values do not belong to the axes.
pub fn sweep(
    scenario: &Scenario<'_>,
    range: (Timestamp, Timestamp),
    axes: &[Axis],
    points: &[Point],
    limits: &[Limit],
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<Trial>, StoreError> {
    let memory = Memory::default();
    let runs: Vec<(&Point, Policy)> = points
        .iter()
        .filter_map(|point| Some((point, policy_of(scenario.policy, axes, point)?)))
        .collect();
    // A moment for each cycle of years, once for all points that share it.
    let mut cycles: BTreeMap<Timeframe, Vec<Timestamp>> = BTreeMap::new();
    for (_, policy) in &runs {
        let step = step(&policy.assets);
        let cycles =
            cycles.entry(step).or_insert_with(|| moments(range.0, range.1, step).collect());
        memory.prepare(scenario.tape, policy, cycles);
    }
    let mut trials: Vec<Trial> = runs
        .par_iter()
        .map(|(point, policy)| {
            let moments = &cycles[&step(&policy.assets)];
            let here = Scenario { policy, moments, ..scenario.clone() };
            let trial = trial(&here, &memory, point);
            progress();
            trial
        })
        .collect::<Result<_, _>>()?;
    for trial in &mut trials {
        trial.allowed = limits.iter().all(|limit| limit.allows(trial));
    }
    mark_front(&mut trials);
    Ok(trials)
}

fn trial(scenario: &Scenario<'_>, memory: &Memory, point: &Point) -> Result<Trial, StoreError> {
    let clock = TapeClock::default();
    let market = RememberingMarket::new(scenario.tape, &clock, memory, scenario.policy, true);
    let mut totals = Totals::default();
    let mut store = EachCycle(|record, _| totals.add(record));
    let played = play_on(scenario, &clock, &market, &mut store, &mut |_, _, _| {})?;
    let capital = played.capital.to_f64();
    let curve = DailyCurve::new(scenario.moments, &totals.equity, &played.flows, capital);
    let figures = of_curve(&curve);
    let years = activity::years(scenario.moments);
    let mean_value = mean(&totals.equity).unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "a count of cycles")]
    let cycles = totals.equity.len().max(1) as f64;
    let yearly = years > 0.0 && mean_value > 0.0;
    Ok(Trial {
        point: point.clone(),
        end_value: totals.equity.last().copied().unwrap_or(capital),
        total_return: figures.total_return,
        cagr: figures.cagr.unwrap_or(-1.0),
        volatility: figures.volatility.unwrap_or(0.0),
        sharpe: figures.sharpe.unwrap_or(0.0),
        sortino: figures.sortino.unwrap_or(0.0),
        calmar: figures.calmar.unwrap_or(0.0),
        max_drawdown: figures.max_drawdown,
        turnover: if yearly { totals.traded / mean_value / years } else { 0.0 },
        fees: totals.fees,
        trades: totals.trades,
        exposure: totals.outside / cycles,
        daily: Daily::of(&curve.returns()),
        allowed: true,
        on_front: false,
    })
}

/// Marks the allowed trials that no other allowed one beats.
fn mark_front(trials: &mut [Trial]) {
    let front: Vec<bool> = trials
        .iter()
        .map(|trial| {
            trial.allowed && !trials.iter().any(|other| other.allowed && dominates(other, trial))
        })
        .collect();
    for (trial, on_front) in trials.iter_mut().zip(front) {
        trial.on_front = on_front;
    }
}

/// At least as good in return, drawdown and turnover, and better in one of them.
fn dominates(one: &Trial, other: &Trial) -> bool {
    let compared = [
        one.total_return.total_cmp(&other.total_return),
        other.max_drawdown.total_cmp(&one.max_drawdown),
        other.turnover.total_cmp(&one.turnover),
    ];
    compared.iter().all(|order| *order != Ordering::Less) && compared.contains(&Ordering::Greater)
}
