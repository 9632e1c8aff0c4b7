//! Keltner channel on the typical price, with the average true range as its width.

use super::{
    average_true_range, crossed_above, crossed_below, ewm::Decay, ewm::ewm, typical_price,
};

/// Parameters of the channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeltnerParams {
    /// Span of the middle line, in bars, at least 1.
    pub window: u32,
    /// Bars of the average true range, at least 1.
    pub atr: u32,
    /// How many average true ranges the bands lie from the middle, above 0.
    pub mult: f64,
}

/// The channel's lines, each as long as the candles.
#[derive(Clone, Debug, PartialEq)]
pub struct KeltnerChannel {
    /// `ewm(typical price, span=window)`.
    pub middle: Vec<f64>,
    /// `middle + mult * ATR`.
    pub upper: Vec<f64>,
    /// `middle - mult * ATR`.
    pub lower: Vec<f64>,
}

/// Source: Chester Keltner (1960) in Linda Raschke's form: an exponential mean and ATR bands.
/// The columns have equal length.
#[must_use]
pub fn keltner_channel(
    open: &[f64],
    high: &[f64],
    low: &[f64],
    close: &[f64],
    params: KeltnerParams,
) -> KeltnerChannel {
    let middle = ewm(&typical_price(open, high, low, close), Decay::span(params.window));
    let atr = average_true_range(high, low, close, params.atr);
    let upper = middle.iter().zip(&atr).map(|(mid, atr)| mid + atr * params.mult).collect();
    let lower = middle.iter().zip(&atr).map(|(mid, atr)| mid - atr * params.mult).collect();
    KeltnerChannel { middle, upper, lower }
}

impl KeltnerChannel {
    /// Width in percent of the middle: `(upper - lower) / middle * 100`.
    #[must_use]
    pub fn width_percent(&self) -> Vec<f64> {
        (0..self.middle.len())
            .map(|row| (self.upper[row] - self.lower[row]) / self.middle[row] * 100.0)
            .collect()
    }

    /// `%B = (close - lower) / (upper - lower)`: 0 on the lower band, 1 on the upper. NaN where the
    /// bands meet.
    #[must_use]
    pub fn percent_b(&self, close: &[f64]) -> Vec<f64> {
        (0..self.middle.len())
            .map(|row| {
                let width = self.upper[row] - self.lower[row];
                if width == 0.0 { f64::NAN } else { (close[row] - self.lower[row]) / width }
            })
            .collect()
    }

    /// Close crossed above the upper band: the buy.
    #[must_use]
    pub fn close_crossed_upper(&self, close: &[f64]) -> Vec<bool> {
        crossed_above(close, &self.upper)
    }

    /// High crossed above the upper band.
    #[must_use]
    pub fn high_crossed_upper(&self, high: &[f64]) -> Vec<bool> {
        crossed_above(high, &self.upper)
    }

    /// Close crossed below the lower band: the sell.
    #[must_use]
    pub fn close_crossed_lower(&self, close: &[f64]) -> Vec<bool> {
        crossed_below(close, &self.lower)
    }

    /// Low crossed below the lower band.
    #[must_use]
    pub fn low_crossed_lower(&self, low: &[f64]) -> Vec<bool> {
        crossed_below(low, &self.lower)
    }
}
