//! One backtest from files to figures.

use crate::candles::{Candles, CandlesError, clean};
use crate::dominance::{Align, DominanceError, Member, dominance};
use crate::losses::sortino::{Parts, published_target_trades, target_trades};
use crate::outcome::{Outcome, Period};
use crate::rules::{RuleError, Rules};
use crate::signals::signals;
use crate::timerange::TimeRange;
use crate::trade::{Trade, trades};
use keel_core::candle::{Bars, Candle};
use keel_core::indicator::KeltnerParams;
use keel_core::time::Timeframe;
use std::sync::Arc;

/// Raw rows of one asset of the portfolio.
#[derive(Clone, Debug)]
pub struct RawMember {
    /// Its name.
    pub ticker: String,
    /// Its market capitalisation.
    pub market_cap: f64,
    /// Its rows as read.
    pub candles: Arc<Vec<Candle>>,
}

/// What the signals are made on.
#[derive(Clone, Debug)]
pub enum Source {
    /// The traded asset's own price.
    Position(Arc<Vec<Candle>>),
    /// The target's dominance among the members.
    Trend {
        /// The traded asset.
        target: String,
        /// All assets, the target included.
        members: Vec<RawMember>,
        /// How rows are matched.
        align: Align,
    },
}

/// Cleaned candles to trade on and, of equal length, to make signals on.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Prices.
    pub traded: Candles,
    /// Dominance in the trend stage; `None` where the prices themselves are meant.
    pub share: Option<Candles>,
}

/// Why there was no backtest.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The candles of the only asset.
    #[error(transparent)]
    Candles(#[from] CandlesError),
    /// The candles of one asset of the portfolio.
    #[error("the candles of {ticker} cannot be used")]
    Member {
        /// The asset.
        ticker: String,
        /// Why.
        source: CandlesError,
    },
    /// The dominance.
    #[error(transparent)]
    Dominance(#[from] DominanceError),
    /// A rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The parameters.
    #[error(
        "the parameters are window={window}, mult={mult}, atrs={atrs}; expected window and atrs of at least 1 and mult above 0"
    )]
    Params {
        /// Span of the middle line.
        window: u32,
        /// Width.
        mult: f64,
        /// Bars of the average true range.
        atrs: u32,
    },
}

/// Loads the series of a source.
///
/// # Errors
/// What is wrong with the candles, the portfolio or the range.
pub fn series(
    source: &Source,
    timeframe: Timeframe,
    range: TimeRange,
    startup: usize,
) -> Result<Series, BacktestError> {
    match source {
        Source::Position(raw) => {
            Ok(Series { traded: clean(raw, timeframe, range, startup)?, share: None })
        }
        Source::Trend { target, members, align } => {
            let members: Vec<Member> = members
                .iter()
                .map(|member| {
                    let needed = if member.ticker == *target { startup } else { 0 };
                    clean_member(member, timeframe, range, startup, needed)
                })
                .collect::<Result<_, _>>()?;
            let dominance = dominance(target, &members, *align)?;
            let rows = dominance.traded.len();
            if rows <= startup {
                return Err(CandlesError::TooShort { rows, startup }.into());
            }
            Ok(Series { traded: dominance.traded, share: Some(dominance.share) })
        }
    }
}

fn clean_member(
    member: &RawMember,
    timeframe: Timeframe,
    range: TimeRange,
    startup: usize,
    needed: usize,
) -> Result<Member, BacktestError> {
    // The startup bars are loaded for every member, but only the target has to have them all.
    let lead = i64::try_from(startup - needed).unwrap_or(0) * timeframe.ms();
    let range = TimeRange { start_ms: range.start_ms.map(|start| start - lead), ..range };
    let candles = clean(&member.candles, timeframe, range, needed)
        .map_err(|source| BacktestError::Member { ticker: member.ticker.clone(), source })?;
    Ok(Member { ticker: member.ticker.clone(), market_cap: member.market_cap, candles })
}

impl Series {
    /// What the signals are made on; the volume is the traded asset's.
    #[must_use]
    pub fn signal_bars(&self) -> Bars<'_> {
        self.share.as_ref().map_or_else(|| self.traded.bars(), Candles::bars)
    }

    /// Number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.traded.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.traded.is_empty()
    }

    /// The rows from `start` to before `end`.
    #[must_use]
    pub fn slice(&self, start: usize, end: usize) -> Self {
        Self {
            traded: self.traded.slice(start, end),
            share: self.share.as_ref().map(|share| share.slice(start, end)),
        }
    }
}

/// The trades and sums of one set of parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Backtest {
    /// In order of time.
    pub trades: Vec<Trade>,
    /// Their sums.
    pub outcome: Outcome,
    /// What they are measured over.
    pub period: Period,
}

impl Backtest {
    /// The parts of the default loss.
    #[must_use]
    pub fn sortino(&self) -> Parts {
        Parts::of(&self.outcome, &self.period, target_trades(&self.period))
    }

    /// The parts of the loss as published.
    #[must_use]
    pub fn sortino_published(&self) -> Parts {
        Parts::of(&self.outcome, &self.period, published_target_trades(&self.period))
    }

    /// The return of each day, as the losses count it: profit ratios of the trades closed that day,
    /// each less the slippage.
    #[must_use]
    pub fn daily_returns(&self, candles: &Candles) -> Vec<f64> {
        let days = self.period.day(self.period.last_ms) as usize + 1;
        let mut returns = vec![0.0; days];
        for trade in &self.trades {
            let day = self.period.day(candles.open_time_ms[trade.close_row]) as usize;
            returns[day] += trade.profit_ratio - crate::outcome::SLIPPAGE;
        }
        returns
    }
}

/// Runs one set of parameters over a series.
///
/// # Errors
/// A rule or a parameter out of range, or too few candles.
pub fn backtest(
    series: &Series,
    params: KeltnerParams,
    rules: &Rules,
) -> Result<Backtest, BacktestError> {
    rules.check()?;
    let KeltnerParams { window, atr: atrs, mult } = params;
    if window == 0 || atrs == 0 || !(mult > 0.0 && mult.is_finite()) {
        return Err(BacktestError::Params { window, mult, atrs });
    }
    let period = Period::of(&series.traded, rules.startup, rules.wallet)
        .ok_or(CandlesError::TooShort { rows: series.len(), startup: rules.startup })?;
    Ok(run(series, params, rules, period))
}

/// [`backtest`] of what has been checked.
#[must_use]
pub fn run(series: &Series, params: KeltnerParams, rules: &Rules, period: Period) -> Backtest {
    let signals = signals(series.signal_bars(), params);
    let trades = trades(&series.traded, &signals, rules);
    let outcome = Outcome::of(&trades, &series.traded, &period);
    Backtest { trades, outcome, period }
}
