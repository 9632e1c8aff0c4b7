//! Figures of a curve, as quantstats and empyrical define them on daily returns.
//!
//! A day is a UTC day, a year has 365 of them because these markets never close, the risk-free rate
//! is 0, and deposits are taken out: every figure is about the time-weighted curve.

use crate::run::Flow;
use keel_core::time::{Timeframe, Timestamp};
use serde::{Deserialize, Serialize};

/// Trading days of a year.
pub const DAYS_PER_YEAR: f64 = 365.0;

/// Figures of one curve. `None` where a figure is not defined: no loss to divide by, too few days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Daily returns that went into the figures.
    pub days: usize,
    /// Value at the end.
    pub end_value: f64,
    /// Growth of the time-weighted curve over the whole run, as a fraction.
    pub total_return: f64,
    /// The same per year.
    pub cagr: Option<f64>,
    /// Standard deviation of daily returns (n - 1) times the root of 365.
    pub volatility: Option<f64>,
    /// Mean of daily returns by their standard deviation (n - 1), per year.
    pub sharpe: Option<f64>,
    /// Mean of daily returns by their downside deviation (over all days), per year.
    pub sortino: Option<f64>,
    /// `cagr / max_drawdown`.
    pub calmar: Option<f64>,
    /// Deepest fall from a peak of the daily curve, a fraction at least 0.
    pub max_drawdown: f64,
    /// Days from the peak of the longest fall until the curve was back, or until the end.
    pub longest_drawdown_days: usize,
    /// Share of days with a gain among days with a gain or a loss.
    pub win_rate: Option<f64>,
    /// Sum of gains by sum of losses of daily returns.
    pub profit_factor: Option<f64>,
    /// Mean daily return.
    pub expectancy: Option<f64>,
    /// Best daily return.
    pub best_day: Option<f64>,
    /// Worst daily return.
    pub worst_day: Option<f64>,
    /// What was traded and held; empty for benchmarks.
    pub activity: Activity,
}

/// How much a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Share of cycles that ended with more than a hundredth of the value outside the stablecoin.
    pub time_in_market: f64,
    /// Mean share of the value outside the stablecoin.
    pub exposure: f64,
    /// Executed orders.
    pub trades: usize,
    /// Value traded, in the stablecoin.
    pub traded: f64,
    /// Value traded per year by the mean value of the portfolio.
    pub turnover_per_year: f64,
    /// Fees, in the stablecoin.
    pub fees: f64,
    /// Spread and price impact, in the stablecoin.
    pub slippage: f64,
    /// Sells, judged against the average price paid for what they sold.
    pub closed: Closed,
}

/// Sells, each judged against the average price paid (fees included) for what it sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// How many.
    pub count: usize,
    /// Share of those that gained.
    pub win_rate: Option<f64>,
    /// Sum of gains by sum of losses.
    pub profit_factor: Option<f64>,
    /// Mean result, in the stablecoin.
    pub expectancy: Option<f64>,
}

/// The value of one unit put in at the start, at the end of each UTC day; deposits taken out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DailyCurve {
    /// Midnight that ends each day; the first entry is the start of the run.
    pub moments: Vec<Timestamp>,
    /// The curve; its first value is 1.
    pub values: Vec<f64>,
}

impl DailyCurve {
    /// The curve of `equity` after each of `moments`, starting from `capital`. A flow belongs to the
    /// first moment at or after it and is taken out of that moment's change.
    #[must_use]
    pub fn new(moments: &[Timestamp], equity: &[f64], flows: &[Flow], capital: f64) -> Self {
        let mut curve = Self::default();
        let Some(first) = moments.first() else { return curve };
        curve.moments.push(*first);
        curve.values.push(1.0);
        let (mut index, mut before, mut next_flow) = (1.0, capital, 0);
        let mut day_end = Timeframe::D1.floor(*first).plus_ms(Timeframe::D1.ms());
        for (at, value) in moments.iter().zip(equity) {
            while *at > day_end {
                curve.moments.push(day_end);
                curve.values.push(index);
                day_end = day_end.plus_ms(Timeframe::D1.ms());
            }
            let mut flow = 0.0;
            while let Some(due) = flows.get(next_flow).filter(|flow| flow.at <= *at) {
                flow += due.amount;
                next_flow += 1;
            }
            if before > 0.0 {
                index *= (value - flow) / before;
            }
            before = *value;
        }
        let last = moments[moments.len() - 1];
        if last > *first {
            curve.moments.push(last);
            curve.values.push(index);
        }
        curve
    }

    /// Change of each day, as a fraction.
    #[must_use]
    pub fn returns(&self) -> Vec<f64> {
        self.values.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect()
    }
}

/// The figures of a curve; `end_value` and `activity` are left to the caller.
#[must_use]
pub fn of_curve(curve: &DailyCurve) -> Statistics {
    let returns = curve.returns();
    let drawdown = drawdown(&curve.values);
    let total_return = curve.values.last().map_or(0.0, |last| last - 1.0);
    let cagr = cagr(&returns);
    Statistics {
        days: returns.len(),
        total_return,
        cagr,
        volatility: deviation(&returns).map(|deviation| deviation * DAYS_PER_YEAR.sqrt()),
        sharpe: ratio(mean(&returns), deviation(&returns)),
        sortino: ratio(mean(&returns), downside(&returns)),
        calmar: cagr.filter(|_| drawdown.depth > 0.0).map(|cagr| cagr / drawdown.depth),
        max_drawdown: drawdown.depth,
        longest_drawdown_days: drawdown.longest,
        win_rate: win_rate(&returns),
        profit_factor: profit_factor(&returns),
        expectancy: mean(&returns),
        best_day: returns.iter().copied().reduce(f64::max),
        worst_day: returns.iter().copied().reduce(f64::min),
        ..Statistics::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of days or trades")]
const fn count(n: usize) -> f64 {
    n as f64
}

/// Arithmetic mean.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// Standard deviation with `n - 1`.
#[must_use]
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / count(values.len() - 1)).sqrt())
}

/// Root of the mean square of the losses, over all days.
fn downside(values: &[f64]) -> Option<f64> {
    let squares: f64 = values.iter().map(|value| value.min(0.0).powi(2)).sum();
    (!values.is_empty()).then(|| (squares / count(values.len())).sqrt())
}

fn ratio(mean: Option<f64>, risk: Option<f64>) -> Option<f64> {
    let (mean, risk) = (mean?, risk?);
    (risk > 0.0).then(|| mean / risk * DAYS_PER_YEAR.sqrt())
}

fn cagr(returns: &[f64]) -> Option<f64> {
    let growth: f64 = returns.iter().map(|change| 1.0 + change).product();
    let years = count(returns.len()) / DAYS_PER_YEAR;
    (years > 0.0 && growth > 0.0).then(|| growth.powf(1.0 / years) - 1.0)
}

struct Drawdown {
    depth: f64,
    longest: usize,
}

fn drawdown(values: &[f64]) -> Drawdown {
    let mut found = Drawdown { depth: 0.0, longest: 0 };
    let (mut peak, mut peak_day) = (f64::NEG_INFINITY, 0);
    for (day, value) in values.iter().enumerate() {
        if *value >= peak {
            (peak, peak_day) = (*value, day);
        } else {
            found.depth = found.depth.max(1.0 - value / peak);
            found.longest = found.longest.max(day - peak_day);
        }
    }
    found
}

fn win_rate(returns: &[f64]) -> Option<f64> {
    let gains = returns.iter().filter(|change| **change > 0.0).count();
    let losses = returns.iter().filter(|change| **change < 0.0).count();
    (gains + losses > 0).then(|| count(gains) / count(gains + losses))
}

fn profit_factor(results: &[f64]) -> Option<f64> {
    let gains: f64 = results.iter().filter(|change| **change > 0.0).sum();
    let losses: f64 = results.iter().filter(|change| **change < 0.0).sum();
    (losses < 0.0).then(|| gains / -losses)
}

/// The figures of single results, such as those of sells, in the stablecoin.
#[must_use]
pub fn closed(results: &[f64]) -> Closed {
    Closed {
        count: results.len(),
        win_rate: win_rate(results),
        profit_factor: profit_factor(results),
        expectancy: mean(results),
    }
}
