//! What a set of trades adds up to, gathered trade by trade so that the sweep keeps no trades.

use crate::candles::Candles;
use crate::trade::Trade;

/// Freqtrade's daily losses take this off each trade's profit ratio, as slippage.
pub const SLIPPAGE: f64 = 0.0005;

const DAY_MS: i64 = 86_400_000;

/// The stretch that a result is measured over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Period {
    /// Start of the first candle after the startup ones, milliseconds.
    pub first_ms: i64,
    /// Start of the last candle.
    pub last_ms: i64,
    /// UTC days touched, first and last included.
    pub days: f64,
    /// Whole days between first and last candle, divided by 365.25.
    pub years: f64,
    /// Whole days between first and last candle.
    pub whole_days: f64,
    /// Length of a candle in minutes.
    pub timeframe_minutes: f64,
    /// Money at the start.
    pub wallet: f64,
}

impl Period {
    /// The period of candles whose first `startup` rows do not count; `None` when none is left.
    #[must_use]
    pub fn of(candles: &Candles, startup: usize, wallet: f64) -> Option<Self> {
        let first_ms = *candles.open_time_ms.get(startup)?;
        let last_ms = *candles.open_time_ms.last()?;
        #[expect(clippy::cast_precision_loss, reason = "days of a few centuries")]
        let float = |days: i64| days as f64;
        let whole_days = float((last_ms - first_ms).div_euclid(DAY_MS));
        Some(Self {
            first_ms,
            last_ms,
            days: float(last_ms.div_euclid(DAY_MS) - first_ms.div_euclid(DAY_MS) + 1),
            years: whole_days / 365.25,
            whole_days,
            timeframe_minutes: candles.timeframe.minutes(),
            wallet,
        })
    }

    /// Number of the UTC day of a moment, 0 on the day of the first candle.
    #[must_use]
    pub fn day(&self, time_ms: i64) -> u32 {
        let days = time_ms.div_euclid(DAY_MS) - self.first_ms.div_euclid(DAY_MS);
        u32::try_from(days).unwrap_or(0)
    }
}

/// Sums over the trades of one set of parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Number of trades.
    pub trades: u32,
    /// Trades with a profit above 0.
    pub wins: u32,
    /// Sum of profits, quote units.
    pub profit: f64,
    /// Sum of the days' returns; a day's return sums `profit ratio - slippage` of trades closed.
    pub daily_sum: f64,
    /// Sum of the days' squared returns.
    pub daily_squares: f64,
    /// Sum of the squared returns of losing days.
    pub daily_down_squares: f64,
    /// Deepest drop of the balance below its highest so far, quote units.
    pub drop: f64,
    /// Highest profit sum before the deepest drop.
    pub drop_from: f64,
    /// Profit sum at the deepest drop.
    pub drop_to: f64,
}

/// An [`Outcome`] in the making.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    outcome: Outcome,
    day: u32,
    day_return: f64,
    high: f64,
}

impl Tally {
    /// Profit so far.
    #[inline(always)]
    #[must_use]
    pub const fn profit(&self) -> f64 {
        self.outcome.profit
    }

    /// Adds a trade closed on `day`; days never go back.
    #[inline(always)]
    pub fn add(&mut self, day: u32, profit_ratio: f64, profit_abs: f64) {
        let after_slippage = profit_ratio - SLIPPAGE;
        if day == self.day {
            self.day_return += after_slippage;
        } else {
            self.end_day();
            self.day = day;
            self.day_return = after_slippage;
        }
        let outcome = &mut self.outcome;
        outcome.trades += 1;
        outcome.wins += u32::from(profit_abs > 0.0);
        outcome.profit += profit_abs;
        // `if` instead of `max`: no NaN arrives here and this is one instruction.
        self.high = if outcome.profit > self.high { outcome.profit } else { self.high };
        let drop = self.high - outcome.profit;
        if drop > outcome.drop {
            outcome.drop = drop;
            outcome.drop_from = self.high;
            outcome.drop_to = outcome.profit;
        }
    }

    #[inline(always)]
    fn end_day(&mut self) {
        let day = self.day_return;
        let down = if day < 0.0 { day } else { 0.0 };
        self.outcome.daily_sum += day;
        self.outcome.daily_squares += day * day;
        self.outcome.daily_down_squares += down * down;
    }

    /// The sums.
    #[inline(always)]
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.end_day();
        self.outcome
    }
}

impl Outcome {
    /// The sums over some trades.
    #[must_use]
    pub fn of(trades: &[Trade], candles: &Candles, period: &Period) -> Self {
        let mut tally = Tally::default();
        for trade in trades {
            let day = period.day(candles.open_time_ms[trade.close_row]);
            tally.add(day, trade.profit_ratio, trade.profit_abs);
        }
        tally.finish()
    }

    /// Mean return of a day.
    #[must_use]
    pub fn daily_mean(&self, period: &Period) -> f64 {
        self.daily_sum / period.days
    }

    /// Standard deviation of the days' returns (n - 1), 0 with fewer than two days.
    #[must_use]
    pub fn daily_deviation(&self, period: &Period) -> f64 {
        if period.days < 2.0 {
            return 0.0;
        }
        let mean = self.daily_mean(period);
        let squares = (self.daily_squares - period.days * mean * mean).max(0.0);
        (squares / (period.days - 1.0)).sqrt()
    }

    /// Root of the mean squared return of losing days, over all days.
    #[must_use]
    pub fn daily_downside(&self, period: &Period) -> f64 {
        (self.daily_down_squares / period.days).sqrt()
    }

    /// Sharpe ratio of one day; 0 when the days do not differ.
    #[must_use]
    pub fn daily_sharpe(&self, period: &Period) -> f64 {
        let deviation = self.daily_deviation(period);
        if deviation > 0.0 { self.daily_mean(period) / deviation } else { 0.0 }
    }

    /// Relative drawdown at the trade of the deepest absolute drop.
    #[must_use]
    pub fn relative_drawdown(&self, period: &Period) -> f64 {
        let highest = period.wallet + self.drop_from;
        (highest - (period.wallet + self.drop_to)) / highest
    }

    /// Profit over the money at the start.
    #[must_use]
    pub fn profit_ratio(&self, period: &Period) -> f64 {
        self.profit / period.wallet
    }
}
