//! Walk-forward: each window of time is searched in full and its best point applied to the next.

use crate::backtest::{Series, run};
use crate::kernel::Kernel;
use crate::losses::{Loss, Seen};
use crate::outcome::Period;
use crate::rules::Rules;
use crate::search::{best, sweep};
use crate::space::Space;
use crate::statistics::Moments;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// Where a window of training starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Always at the beginning of the data.
    Anchored,
    /// A fixed length before its end.
    Rolling,
}

/// Number of windows and where they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Anchored or rolling.
    pub scheme: Scheme,
    /// How many windows, at least 1.
    pub windows: usize,
    /// Length of a rolling window in test lengths, at least 1; an anchored one starts with it.
    pub training_lengths: usize,
}

impl Plan {
    /// Four windows, each tested on as long a stretch as half of a rolling training window.
    #[must_use]
    pub const fn usual(scheme: Scheme) -> Self {
        Self { scheme, windows: 4, training_lengths: 2 }
    }
}

/// One window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// First candle trained on, milliseconds.
    pub train_from_ms: i64,
    /// First candle tested on.
    pub test_from_ms: i64,
    /// Last candle tested on.
    pub test_to_ms: i64,
    /// The best point's span of the middle line.
    pub window: u32,
    /// Its multiple.
    pub mult: f64,
    /// Its ATR length.
    pub atrs: u32,
    /// Its loss in training.
    pub train_loss: f64,
    /// Its daily Sharpe ratio in training.
    pub train_sharpe: f64,
    /// Its loss in the test.
    pub test_loss: f64,
    /// Its daily Sharpe ratio in the test.
    pub test_sharpe: f64,
    /// Trades in the test.
    pub test_trades: u32,
    /// Profit ratio of the test.
    pub test_profit: f64,
}

/// All windows of a scheme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WalkForward {
    /// Anchored or rolling.
    pub scheme: Scheme,
    /// The windows in order of time.
    pub folds: Vec<Fold>,
    /// Daily returns of all tests, one after the other.
    pub daily_returns: Vec<f64>,
    /// Moments of these.
    pub daily: Moments,
    /// Profit ratio of all tests, each starting with what the one before left.
    pub profit: f64,
    /// Mean daily return out of sample over the mean in sample; 1 would be no loss, and `None` when
    /// the training did not gain.
    pub efficiency: Option<f64>,
}

/// Why there was no walk-forward.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkForwardError {
    /// Too few candles.
    #[error(
        "{rows} candles are too few for {windows} windows; at least {needed} are needed, use more data or fewer windows with --windows"
    )]
    TooShort {
        /// Candles there are.
        rows: usize,
        /// Windows asked for.
        windows: usize,
        /// Candles needed.
        needed: usize,
    },
    /// Stopped on the way.
    #[error("interrupted")]
    Interrupted,
}

/// A test shorter than this says nothing.
const SHORTEST_TEST_ROWS: usize = 48;

/// Walks forward over a series.
///
/// # Errors
/// Too few candles, or `stop` was raised.
pub fn walk_forward(
    series: &Series,
    rules: &Rules,
    space: &Space,
    loss: &Loss,
    plan: Plan,
    stop: &AtomicBool,
) -> Result<WalkForward, WalkForwardError> {
    let startup = rules.startup;
    let lengths = plan.windows + plan.training_lengths;
    let length = series.len().saturating_sub(startup) / lengths.max(1);
    if length < SHORTEST_TEST_ROWS || plan.windows == 0 {
        let (rows, windows) = (series.len(), plan.windows);
        let needed = startup + lengths * SHORTEST_TEST_ROWS;
        return Err(WalkForwardError::TooShort { rows, windows, needed });
    }
    // What does not divide is left out at the beginning, where it is oldest.
    let origin = series.len() - length * lengths;
    let (mut folds, mut daily_returns) = (Vec::new(), Vec::new());
    let (mut growth, mut train_means) = (1.0, Vec::new());
    for number in 0..plan.windows {
        let split = origin + (number + plan.training_lengths) * length;
        let train_from = match plan.scheme {
            Scheme::Anchored => origin,
            Scheme::Rolling => split - plan.training_lengths * length,
        };
        let training = series.slice(train_from - startup, split);
        let test = series.slice(split - startup, split + length);
        let fold = fold(&training, &test, rules, space, loss, stop)?;
        growth *= 1.0 + fold.fold.test_profit;
        train_means.push(fold.train_mean);
        daily_returns.extend(fold.test_returns);
        folds.push(fold.fold);
    }
    let daily = Moments::of(&daily_returns);
    let train_mean = Moments::of(&train_means).mean;
    let efficiency = (train_mean > 0.0).then(|| daily.mean / train_mean);
    let scheme = plan.scheme;
    Ok(WalkForward { scheme, folds, daily_returns, daily, profit: growth - 1.0, efficiency })
}

struct Walked {
    fold: Fold,
    train_mean: f64,
    test_returns: Vec<f64>,
}

fn fold(
    training: &Series,
    test: &Series,
    rules: &Rules,
    space: &Space,
    loss: &Loss,
    stop: &AtomicBool,
) -> Result<Walked, WalkForwardError> {
    let period =
        |series: &Series| {
            let (rows, needed) = (series.len(), rules.startup + 1);
            Period::of(&series.traded, rules.startup, rules.wallet)
                .ok_or(WalkForwardError::TooShort { rows, windows: 1, needed })
        };
    let (trained, tested) = (period(training)?, period(test)?);
    let kernel = Kernel::new(training, rules, space, trained);
    let outcomes = sweep(&kernel, 0..kernel.pairs(), space.sizes()[2], stop, &|_| {})
        .ok_or(WalkForwardError::Interrupted)?;
    let seen = Seen::of(&outcomes, &trained);
    let (place, train_loss) =
        best(&outcomes, loss, &trained, &seen).ok_or(WalkForwardError::Interrupted)?;
    let params = space.params(place);
    let backtest = run(test, params, rules, tested);
    let fold = Fold {
        train_from_ms: trained.first_ms,
        test_from_ms: tested.first_ms,
        test_to_ms: tested.last_ms,
        window: params.window,
        mult: params.mult,
        atrs: params.atr,
        train_loss,
        train_sharpe: outcomes[place].daily_sharpe(&trained),
        test_loss: loss.of(&backtest.outcome, &tested, &seen),
        test_sharpe: backtest.outcome.daily_sharpe(&tested),
        test_trades: backtest.outcome.trades,
        test_profit: backtest.outcome.profit_ratio(&tested),
    };
    Ok(Walked {
        fold,
        train_mean: outcomes[place].daily_mean(&trained),
        test_returns: backtest.daily_returns(&test.traded),
    })
}
