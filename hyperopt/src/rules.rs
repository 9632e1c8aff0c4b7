//! What a backtest does with its signals: money, fee, exits.

use std::collections::BTreeMap;

/// How much each trade puts in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stake {
    /// What is available, divided by the number of slots.
    Unlimited,
    /// This much, and no trade when it is not available.
    Fixed(f64),
}

/// A stop that follows the price, as in Freqtrade's documentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trailing {
    /// Distance below the high once `offset` is passed; the stop-loss's distance if absent.
    pub positive: Option<f64>,
    /// Profit ratio above which `positive` counts.
    pub offset: f64,
    /// Whether the stop stays where it is until `offset` is reached.
    pub only_offset_is_reached: bool,
}

/// The rules of one backtest.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Fee of each side as a ratio.
    pub fee: f64,
    /// Money at the start.
    pub wallet: f64,
    /// Money per trade.
    pub stake: Stake,
    /// Slots that share an unlimited stake, at least 1; one asset uses one slot at a time.
    pub max_open_trades: u32,
    /// Rows dropped after the signals are made.
    pub startup: usize,
    /// Distance of the stop below the entry as a ratio; its sign does not matter. Off at `None`.
    pub stoploss: Option<f64>,
    /// Profit ratio that closes a trade, by age in minutes. Off when empty.
    pub roi: BTreeMap<u32, f64>,
    /// Trailing stop. Off at `None`.
    pub trailing: Option<Trailing>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            fee: 0.001,
            wallet: 1000.0,
            stake: Stake::Unlimited,
            max_open_trades: 1,
            startup: 60,
            stoploss: None,
            roi: BTreeMap::new(),
            trailing: None,
        }
    }
}

/// Share of the wallet that may be traded, Freqtrade's default.
pub const TRADABLE: f64 = 0.99;

/// A rule out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name} is {seen}; expected {expected}")]
pub struct RuleError {
    /// The option.
    pub name: &'static str,
    /// What was given.
    pub seen: String,
    /// What is allowed.
    pub expected: &'static str,
}

impl Rules {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first rule that is out of its range.
    pub fn check(&self) -> Result<(), RuleError> {
        let error =
            |name, seen: f64, expected| Err(RuleError { name, seen: seen.to_string(), expected });
        if !(0.0..1.0).contains(&self.fee) {
            return error("fee", self.fee, "a ratio from 0 to below 1, such as 0.001 for 0.1 %");
        }
        if !(self.wallet > 0.0 && self.wallet <= 1e12) {
            return error("wallet", self.wallet, "an amount above 0 and at most 1e12");
        }
        match self.stake {
            Stake::Fixed(stake) if !(stake > 0.0 && stake.is_finite()) => {
                return error("stake", stake, "an amount above 0, or `unlimited`");
            }
            _ => {}
        }
        if self.max_open_trades == 0 {
            return error("max_open_trades", 0.0, "a whole number of at least 1");
        }
        if let Some(stoploss) = self.stoploss
            && !(stoploss.abs() > 0.0 && stoploss.abs() <= 1.0)
        {
            return error("stoploss", stoploss, "a ratio such as -0.10, between -1 and 0");
        }
        if let Some((_, value)) = self.roi.iter().find(|(_, value)| !value.is_finite()) {
            return error("roi", *value, "finite ratios by minutes, such as {\"0\": 0.05}");
        }
        if let Some(trailing) = self.trailing {
            if let Some(positive) = trailing.positive
                && !(positive > 0.0 && positive < 1.0)
            {
                return error("trailing_stop_positive", positive, "a ratio between 0 and 1");
            }
            if !(0.0..1.0).contains(&trailing.offset) {
                return error(
                    "trailing_stop_positive_offset",
                    trailing.offset,
                    "a ratio from 0 to below 1",
                );
            }
            if trailing
                .positive
                .is_some_and(|positive| trailing.offset > 0.0 && trailing.offset <= positive)
            {
                return error(
                    "trailing_stop_positive_offset",
                    trailing.offset,
                    "0, or a ratio above trailing_stop_positive",
                );
            }
        }
        Ok(())
    }

    /// Whether trades are closed by signals alone, which is all that the sweep knows.
    #[must_use]
    pub fn signals_only(&self) -> bool {
        self.stoploss.is_none() && self.roi.is_empty() && self.trailing.is_none()
    }
}
