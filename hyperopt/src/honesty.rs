//! How much of a Sharpe ratio is luck: probabilistic and deflated ratios, and the lengths of
//! track record and backtest that they need.
//!
//! All ratios are per observation (a day, here), not yearly.

use crate::statistics::{Moments, normal_cdf, normal_quantile};

const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// A Sharpe ratio and the shape of the returns that it was measured on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Mean over deviation of one observation.
    pub sharpe: f64,
    /// Number of observations.
    pub count: f64,
    /// Skewness.
    pub skewness: f64,
    /// Kurtosis, 3 for normal returns.
    pub kurtosis: f64,
}

impl From<Moments> for Measured {
    fn from(moments: Moments) -> Self {
        Self {
            sharpe: moments.sharpe(),
            count: moments.count,
            skewness: moments.skewness,
            kurtosis: moments.kurtosis,
        }
    }
}

impl Measured {
    /// Variance of the estimated ratio times the number of observations less one.
    fn spread(&self) -> f64 {
        let sharpe = self.sharpe;
        1.0 - self.skewness * sharpe + (self.kurtosis - 1.0) / 4.0 * sharpe * sharpe
    }

    /// Probability that the true ratio is above `benchmark`. Source: Bailey and López de Prado,
    /// "The Sharpe ratio efficient frontier" (2012).
    #[must_use]
    pub fn probabilistic(&self, benchmark: f64) -> f64 {
        if self.count < 2.0 || self.spread() <= 0.0 {
            return 0.0;
        }
        normal_cdf((self.sharpe - benchmark) * (self.count - 1.0).sqrt() / self.spread().sqrt())
    }

    /// Probability that the true ratio is above what the best of `trials` would show by luck, when
    /// the ratios of all trials vary by `variance`. Source: Bailey and López de Prado, "The deflated
    /// Sharpe ratio" (2014).
    #[must_use]
    pub fn deflated(&self, trials: f64, variance: f64) -> f64 {
        self.probabilistic(luck(trials, variance))
    }

    /// Observations needed to say with `confidence` that the ratio is above `benchmark`; infinite
    /// when it is not. Source: as [`Self::probabilistic`].
    #[must_use]
    pub fn minimum_track_record(&self, benchmark: f64, confidence: f64) -> f64 {
        if self.sharpe <= benchmark {
            return f64::INFINITY;
        }
        let z = normal_quantile(confidence);
        1.0 + self.spread() * (z / (self.sharpe - benchmark)).powi(2)
    }
}

/// Sharpe ratio that the best of `trials` shows by luck alone.
#[must_use]
pub fn luck(trials: f64, variance: f64) -> f64 {
    variance.max(0.0).sqrt() * expected_maximum(trials)
}

/// Expected largest of `trials` standard normal values; 0 for one trial.
#[must_use]
pub fn expected_maximum(trials: f64) -> f64 {
    if trials <= 1.0 {
        return 0.0;
    }
    // Upper tails: 1 - 1/N would lose the digits of 1/N.
    let upper = |tail: f64| -normal_quantile(tail);
    (1.0 - EULER_GAMMA) * upper(1.0 / trials)
        + EULER_GAMMA * upper(1.0 / (trials * std::f64::consts::E))
}

/// Years of data below which the best of `trials` without any skill is expected to reach a yearly
/// Sharpe ratio of `sharpe`. Source: Bailey et al., Notices of the AMS 61:5 (2014).
#[must_use]
pub fn minimum_backtest_years(trials: f64, sharpe: f64) -> f64 {
    if sharpe <= 0.0 {
        return f64::INFINITY;
    }
    (expected_maximum(trials) / sharpe).powi(2)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exactly these values are meant")]
mod tests {
    use super::*;

    fn near(seen: f64, published: f64, digits: f64) {
        assert!((seen - published).abs() < digits, "{seen}, published {published}");
    }

    /// 2.5 a year over five years of 250 days, from the 2014 paper.
    fn published(skewness: f64, kurtosis: f64) -> Measured {
        Measured { sharpe: 2.5 / 250_f64.sqrt(), count: 1250.0, skewness, kurtosis }
    }

    #[test]
    fn the_deflated_ratio_is_the_published_one() {
        let variance = 0.5 / 250.0;
        near(luck(100.0, variance), 0.113_172_00, 1e-8);
        near(published(-3.0, 10.0).deflated(100.0, variance), 0.900_396_834_449_39, 1e-13);
        near(published(-3.0, 10.0).deflated(46.0, variance), 0.950_502, 5e-7);
        near(published(0.0, 3.0).deflated(88.0, variance), 0.950_491, 5e-7);
    }

    #[test]
    fn the_probabilistic_ratio_is_the_published_one() {
        let hedge_funds = Measured {
            sharpe: 1.585 / 12_f64.sqrt(),
            count: 24.0,
            skewness: -2.448,
            kurtosis: 10.164,
        };
        near(hedge_funds.probabilistic(0.0), 0.913_234_306_884_86, 1e-13);
    }

    #[test]
    fn the_minimum_lengths_are_the_published_ones() {
        let years = |sharpe: f64, benchmark: f64, per_year: f64, skewness, kurtosis| {
            let measured =
                Measured { sharpe: sharpe / per_year.sqrt(), count: 1e6, skewness, kurtosis };
            measured.minimum_track_record(benchmark / per_year.sqrt(), 0.95) / per_year
        };
        near(years(2.0, 1.0, 250.0, 0.0, 3.0), 2.731_187_801_7, 1e-10);
        near(years(2.0, 1.0, 52.0, 0.0, 3.0), 2.828_833_586_9, 1e-10);
        near(years(3.0, 2.5, 12.0, -0.72, 5.78), 27.352_920_196_0, 1e-9);
        near(expected_maximum(10.0), 1.574_598_3, 5e-8);
        near(expected_maximum(100.0), 2.530_602_893_2, 5e-11);
        near(minimum_backtest_years(45.0, 1.0), 4.998_087_004_4, 5e-11);
    }

    #[test]
    fn what_cannot_be_known_is_not_claimed() {
        let flat = Measured { sharpe: 0.0, count: 0.0, skewness: 0.0, kurtosis: 3.0 };
        assert_eq!(flat.probabilistic(0.0), 0.0);
        assert_eq!(flat.minimum_track_record(0.0, 0.95), f64::INFINITY);
        assert_eq!(minimum_backtest_years(10.0, -1.0), f64::INFINITY);
        assert_eq!(expected_maximum(1.0), 0.0);
    }

    #[test]
    fn sortino_of_a_known_series() {
        let yearly = [0.17, 0.15, 0.23, -0.05, 0.12, 0.09, 0.13, -0.04];
        let mean = yearly.iter().sum::<f64>() / 8.0;
        let down = (yearly.iter().map(|r: &f64| r.min(0.0).powi(2)).sum::<f64>() / 8.0).sqrt();
        near(mean / down, 4.417_261, 5e-7);
    }
}
