//! Losses: each turns an outcome into a number to make small. One file and one row adds one.

mod calmar;
mod composite;
mod max_drawdown;
mod profit;
mod profit_drawdown;
mod sharpe;
pub mod sortino;
mod sortino_guarded;
mod sortino_published;

use crate::outcome::{Outcome, Period};

/// A row of [`LOSSES`].
pub struct Loss {
    /// Its name on the command line.
    pub name: &'static str,
    /// One sentence for help.
    pub doc: &'static str,
    /// Smaller is better. Not called without a trade.
    evaluate: fn(&Outcome, &Period, &Seen) -> f64,
}

impl std::fmt::Debug for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What the whole search has seen, for losses that compare.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// The smallest daily downside above 0.
    pub downside: Option<f64>,
}

/// The loss of a set of parameters that never trades.
pub const NO_TRADES: f64 = 100_000.0;

/// Every loss there is; the first one is the default.
pub static LOSSES: &[Loss] = &[
    sortino::LOSS,
    sortino_published::LOSS,
    sortino_guarded::LOSS,
    sharpe::LOSS,
    calmar::LOSS,
    profit::LOSS,
    profit_drawdown::LOSS,
    max_drawdown::LOSS,
    composite::LOSS,
];

/// The loss called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Loss> {
    LOSSES.iter().find(|loss| loss.name == name)
}

impl Loss {
    /// The loss of an outcome; [`NO_TRADES`] without a trade.
    #[must_use]
    pub fn of(&self, outcome: &Outcome, period: &Period, seen: &Seen) -> f64 {
        if outcome.trades == 0 { NO_TRADES } else { (self.evaluate)(outcome, period, seen) }
    }
}

impl Seen {
    /// What a set of outcomes holds.
    #[must_use]
    pub fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, period: &Period) -> Self {
        let downside = outcomes
            .into_iter()
            .map(|outcome| outcome.daily_downside(period))
            .filter(|downside| *downside > 0.0)
            .min_by(f64::total_cmp);
        Self { downside }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exactly these values are meant")]
mod tests {
    use super::*;

    fn period() -> Period {
        Period {
            first_ms: 0,
            last_ms: 99 * 86_400_000,
            days: 100.0,
            years: 99.0 / 365.25,
            whole_days: 99.0,
            timeframe_minutes: 60.0,
            wallet: 1000.0,
        }
    }

    fn outcome(sum: f64, down_squares: f64) -> Outcome {
        Outcome {
            trades: 50,
            wins: 25,
            profit: 1000.0 * sum,
            daily_sum: sum,
            daily_squares: 0.02 + down_squares,
            daily_down_squares: down_squares,
            drop: 100.0,
            drop_from: 0.0,
            drop_to: -100.0,
        }
    }

    #[test]
    fn more_profit_at_the_same_risk_is_a_smaller_loss_everywhere() {
        for loss in LOSSES {
            let of = |sum| loss.of(&outcome(sum, 0.01), &period(), &Seen::default());
            assert!(of(0.4) < of(0.2), "{}", loss.name);
        }
    }

    #[test]
    fn without_a_trade_every_loss_is_the_same() {
        for loss in LOSSES {
            assert_eq!(loss.of(&Outcome::default(), &period(), &Seen::default()), NO_TRADES);
        }
    }

    #[test]
    fn the_guarded_loss_does_not_fall_into_the_known_traps() {
        let (plain, guarded) = (find("sortino").unwrap(), find("sortino-guarded").unwrap());
        let seen = Seen { downside: Some(0.001) };
        let bad = outcome(-0.2, 0.01);
        let worse = Outcome { drop: 500.0, drop_to: -500.0, ..bad };
        let of = |loss: &Loss, outcome| loss.of(&outcome, &period(), &seen);
        assert!(of(plain, worse) < of(plain, bad), "the trap is kept in the plain one");
        assert!(of(guarded, worse) > of(guarded, bad));
        let flawless = outcome(0.2, 0.0);
        assert!(of(plain, flawless) > 0.0, "a flawless set scores -20");
        assert!(of(guarded, flawless) < of(guarded, outcome(0.2, 0.01)));
    }
}
