//! Signals: what a strategy last said, and when that counts.

use serde::{Deserialize, Serialize};

/// The last thing a strategy said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "i8", try_from = "f64")]
pub enum Signal {
    /// Sell, or stay out: -1.
    Sell,
    /// Nothing yet: 0.
    #[default]
    None,
    /// Buy, or stay in: 1.
    Buy,
}

impl From<Signal> for i8 {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Sell => -1,
            Signal::None => 0,
            Signal::Buy => 1,
        }
    }
}

/// A number that is not -1, 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a signal is -1, 0 or 1, not {0}")]
pub struct SignalError(f64);

impl TryFrom<f64> for Signal {
    type Error = SignalError;
    /// Accepts `1` and `1.0`: the seed writes floats.
    #[expect(clippy::float_cmp, reason = "only these three values mean anything")]
    fn try_from(value: f64) -> Result<Self, SignalError> {
        if value == 1.0 {
            Ok(Self::Buy)
        } else if value == -1.0 {
            Ok(Self::Sell)
        } else if value == 0.0 {
            Ok(Self::None)
        } else {
            Err(SignalError(value))
        }
    }
}

/// The signal that counts at the newest bar: the value of the latest run of at least
/// `confirmation` equal signals. With 1 that is the newest signal. A flip that is not confirmed
/// yet leaves the one before it standing.
#[must_use]
pub fn confirmed(signals: &[Signal], confirmation: usize) -> Signal {
    let needed = confirmation.max(1);
    let mut end = signals.len();
    while end > 0 {
        let value = signals[end - 1];
        let start = signals[..end].iter().rposition(|signal| *signal != value).map_or(0, |p| p + 1);
        if end - start >= needed {
            return value;
        }
        end = start;
    }
    Signal::None
}

/// If either signal is 0, both count as -1: an unknown half never buys.
#[must_use]
pub fn effective(position: Signal, trend: Signal) -> (Signal, Signal) {
    if position == Signal::None || trend == Signal::None {
        (Signal::Sell, Signal::Sell)
    } else {
        (position, trend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Signal::{Buy, None, Sell};

    #[test]
    fn a_flip_counts_once_confirmed() {
        let check = |signals: &[Signal], n, expected| assert_eq!(confirmed(signals, n), expected);
        check(&[], 1, None);
        check(&[None, Buy, Buy, Sell], 1, Sell);
        check(&[None, Buy, Buy, Sell], 2, Buy);
        check(&[None, Buy, Buy, Sell, Sell], 2, Sell);
        check(&[None, None, Buy, Sell], 2, None);
        check(&[Buy, Sell, Buy], 3, None);
    }

    #[test]
    fn one_unknown_half_makes_both_a_sell() {
        assert_eq!(effective(None, Buy), (Sell, Sell));
        assert_eq!(effective(Buy, None), (Sell, Sell));
        assert_eq!(effective(Buy, Sell), (Buy, Sell));
    }
}
