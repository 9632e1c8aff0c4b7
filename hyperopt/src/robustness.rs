//! Everything that says how far to trust the best point of a search, and the verdict.

use crate::backtest::{Backtest, Series, run};
use crate::honesty::{Measured, expected_maximum, luck, minimum_backtest_years};
use crate::losses::{Loss, Seen};
use crate::outcome::{Outcome, Period};
use crate::pbo::{Blocks, Overfitting};
use crate::plateau::Neighbourhood;
use crate::rules::Rules;
use crate::space::Space;
use crate::statistics::Moments;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Largest probability of overfitting that is accepted.
///
/// Not 0.5: noise averages 0.48 with a deviation of 0.14, so 0.5 would accept half of it.
pub const PBO_MAX: f64 = 0.2;
/// Smallest deflated Sharpe ratio that is accepted.
pub const DSR_MIN: f64 = 0.95;
/// Sets of parameters whose daily returns are kept for the cross-validation, evenly spread over the
/// space; all of a million would need 2.7 GB and add nothing to a share.
const PBO_COLUMNS: usize = 1_000;
const PBO_BLOCKS: usize = 16;
const DAYS_A_YEAR: f64 = 365.0;

/// The figures beside a best point. Sharpe ratios are per day unless named yearly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Points searched, N.
    pub trials: usize,
    /// Points that traded at all.
    pub trading: usize,
    /// Moments of the best point's daily returns.
    pub daily: Moments,
    /// Its yearly Sharpe ratio.
    pub yearly_sharpe: f64,
    /// Variance of the daily Sharpe ratios over all points that traded.
    pub trial_variance: f64,
    /// Daily Sharpe ratio that the best of N shows by luck.
    pub lucky_sharpe: f64,
    /// Probability that the true ratio is above 0.
    pub psr: f64,
    /// Probability that it is above the lucky one.
    pub dsr: f64,
    /// Years of returns needed to say with 95 % that the ratio is above 0; `None` when none suffice.
    pub min_track_record_years: Option<f64>,
    /// Years of data under which luck alone reaches this ratio; `None` when any length would.
    pub min_backtest_years: Option<f64>,
    /// Expected largest of N standard normal values.
    pub expected_maximum: f64,
    /// Cross-validation; `None` when there are too few days or points.
    pub overfitting: Option<Overfitting>,
    /// Neighbours of the best point.
    pub neighbourhood: Option<Neighbourhood>,
    /// The best point with the fee doubled.
    pub fees_doubled: FeesDoubled,
    /// The best point of `sortino-guarded`, when the loss is `sortino` and they differ.
    pub guarded_best: Option<String>,
}

/// What twice the fee leaves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeesDoubled {
    /// The fee, doubled.
    pub fee: f64,
    /// Loss with the usual fee.
    pub loss_before: f64,
    /// Loss with the doubled one.
    pub loss: f64,
    /// Profit ratio with the usual fee.
    pub profit_before: f64,
    /// Profit ratio with the doubled one.
    pub profit: f64,
}

/// Why a set of parameters is not accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("not robust: {}", reasons.join("; "))]
pub struct Refusal {
    /// One clause per figure that fails.
    pub reasons: Vec<String>,
}

/// What [`assess`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Searched<'a> {
    /// The candles.
    pub series: &'a Series,
    /// The rules.
    pub rules: &'a Rules,
    /// Every point, or the space that the points come from.
    pub space: &'a Space,
    /// The numbers of the points searched; `None` for all.
    pub visited: Option<&'a [usize]>,
    /// Their outcomes, in that order.
    pub outcomes: &'a [Outcome],
    /// What they are measured over.
    pub period: &'a Period,
    /// What was made small.
    pub loss: &'a Loss,
    /// Place of the best among `outcomes`.
    pub best: usize,
}

impl Searched<'_> {
    /// The number in the space of the point at a place.
    #[must_use]
    pub fn point(&self, place: usize) -> usize {
        self.visited.map_or(place, |visited| visited[place])
    }
}

/// Computes the figures.
#[must_use]
pub fn assess(searched: &Searched<'_>) -> Robustness {
    let Searched { series, rules, space, outcomes, period, loss, best, .. } = *searched;
    let seen = Seen::of(outcomes, period);
    let params = space.params(searched.point(best));
    let backtest = run(series, params, rules, *period);
    let daily = Moments::of(&backtest.daily_returns(&series.traded));
    let sharpes: Vec<f64> = outcomes
        .iter()
        .filter(|outcome| outcome.trades > 0)
        .map(|outcome| outcome.daily_sharpe(period))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "at most a few million points")]
    let trials = outcomes.len() as f64;
    let trial_variance = Moments::of(&sharpes).deviation.powi(2);
    let measured = Measured::from(daily);
    let yearly_sharpe = measured.sharpe * DAYS_A_YEAR.sqrt();
    let finite = |years: f64| years.is_finite().then_some(years);
    Robustness {
        trials: outcomes.len(),
        trading: sharpes.len(),
        daily,
        yearly_sharpe,
        trial_variance,
        lucky_sharpe: luck(trials, trial_variance),
        psr: measured.probabilistic(0.0),
        dsr: measured.deflated(trials, trial_variance),
        min_track_record_years: finite(measured.minimum_track_record(0.0, 0.95) / DAYS_A_YEAR),
        min_backtest_years: finite(minimum_backtest_years(trials, yearly_sharpe)),
        expected_maximum: expected_maximum(trials),
        overfitting: overfitting(searched),
        neighbourhood: searched
            .visited
            .is_none()
            .then(|| {
                let losses: Vec<f64> =
                    outcomes.iter().map(|outcome| loss.of(outcome, period, &seen)).collect();
                Neighbourhood::of(space, &losses, best)
            })
            .flatten(),
        fees_doubled: fees_doubled(searched, &backtest, &seen),
        guarded_best: guarded_best(searched, &seen),
    }
}

/// Cross-validation over points spread evenly over those searched, the best one included.
fn overfitting(searched: &Searched<'_>) -> Option<Overfitting> {
    let Searched { series, rules, space, outcomes, period, best, .. } = *searched;
    let stride = outcomes.len().div_ceil(PBO_COLUMNS).max(1);
    let mut places: Vec<usize> = (0..outcomes.len()).step_by(stride).collect();
    if let Err(at) = places.binary_search(&best) {
        places.insert(at, best);
    }
    // Points that never trade are not a choice anybody would make.
    places.retain(|place| outcomes[*place].trades > 0);
    let days = period.day(period.last_ms) as usize + 1;
    let fitting =
        (PBO_BLOCKS / 2..=PBO_BLOCKS).rev().step_by(2).find(|blocks| days >= 4 * blocks)?;
    let mut blocks = Blocks::new(days, fitting)?;
    let summed: Vec<Vec<[f64; 2]>> = places
        .par_iter()
        .map(|place| {
            let params = space.params(searched.point(*place));
            let backtest = run(series, params, rules, *period);
            blocks.summed(&backtest.daily_returns(&series.traded))
        })
        .collect();
    blocks.extend(summed);
    blocks.overfitting()
}

fn fees_doubled(searched: &Searched<'_>, before: &Backtest, seen: &Seen) -> FeesDoubled {
    let Searched { series, rules, space, period, loss, best, .. } = *searched;
    let fee = (rules.fee * 2.0).min(0.99);
    let dear = Rules { fee, ..rules.clone() };
    let after = run(series, space.params(searched.point(best)), &dear, *period);
    FeesDoubled {
        fee,
        loss_before: loss.of(&before.outcome, period, seen),
        loss: loss.of(&after.outcome, period, seen),
        profit_before: before.outcome.profit_ratio(period),
        profit: after.outcome.profit_ratio(period),
    }
}

fn guarded_best(searched: &Searched<'_>, seen: &Seen) -> Option<String> {
    let guarded = crate::losses::find("sortino-guarded")?;
    if searched.loss.name != "sortino" {
        return None;
    }
    let (place, _) = crate::search::best(searched.outcomes, guarded, searched.period, seen)?;
    let params = searched.space.params(searched.point(place));
    let name = format!("window={} mult={} atrs={}", params.window, params.mult, params.atr);
    (place != searched.best).then_some(name)
}

impl Robustness {
    /// Whether the figures allow the set of parameters to be used.
    ///
    /// # Errors
    /// Each figure that does not.
    pub fn verdict(&self) -> Result<(), Refusal> {
        let mut reasons = Vec::new();
        match &self.overfitting {
            None => reasons.push("PBO is unknown, there are too few days or points".to_owned()),
            Some(o) if o.probability > PBO_MAX => {
                reasons.push(format!("PBO is {:.3}, at most {PBO_MAX} is accepted", o.probability));
            }
            Some(_) => {}
        }
        if self.dsr < DSR_MIN {
            reasons.push(format!("DSR is {:.3}, at least {DSR_MIN} is needed", self.dsr));
        }
        if reasons.is_empty() { Ok(()) } else { Err(Refusal { reasons }) }
    }
}
