//! Markets and their order rules.

use crate::prices::AssetSpec;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Whether a market trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MarketStatus {
    /// It trades.
    Trading,
    /// It is listed, but takes no orders.
    Halted,
    /// It is no longer listed.
    Delisted,
}

/// A market and what it accepts.
#[derive(Clone, Debug)]
pub struct MarketRules {
    /// Base asset.
    pub base: String,
    /// Quote asset.
    pub quote: String,
    /// Step of prices.
    pub tick: Decimal,
    /// Step of amounts.
    pub step: Decimal,
    /// Smallest amount.
    pub min_amount: Decimal,
    /// Largest amount of a limit order.
    pub max_amount: Decimal,
    /// Largest amount of a market order.
    pub max_market_amount: Decimal,
    /// Smallest value in the quote currency; 0: none.
    pub min_notional: Decimal,
    /// Largest value in the quote currency.
    pub max_notional: Decimal,
    /// Whether it trades.
    pub status: MarketStatus,
}

impl MarketRules {
    /// Usual rules for this pair: a tick of about a hundred-thousandth of the price, at most eight
    /// places in tick and step together, so that costs are exact in eight places.
    #[must_use]
    pub fn usual(base: &AssetSpec, quote: &AssetSpec, min_notional: Decimal) -> Self {
        let rate = base.price / quote.price;
        let step_places = base.amount_places.min(8);
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm of a price")]
        let magnitude = rate.log10().floor() as i64;
        let wanted = (5 - magnitude).clamp(0, 8);
        let tick_places = u32::try_from(wanted).unwrap_or(0).min(8 - step_places);
        let step = Decimal::new(1, step_places);
        let whole = Decimal::new(9_000_000, 0);
        Self {
            base: base.ticker.clone(),
            quote: quote.ticker.clone(),
            tick: Decimal::new(1, tick_places),
            step,
            min_amount: step,
            max_amount: whole,
            max_market_amount: whole / Decimal::TEN,
            min_notional,
            max_notional: whole,
            status: MarketStatus::Trading,
        }
    }

    /// The market's name here, `BASE/QUOTE`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.base, self.quote)
    }
}

/// Down to a multiple of `step`.
#[must_use]
pub fn round_down(value: Decimal, step: Decimal) -> Decimal {
    if step.is_zero() {
        return value;
    }
    (value / step).floor() * step
}

/// Up to a multiple of `step`.
#[must_use]
pub fn round_up(value: Decimal, step: Decimal) -> Decimal {
    if step.is_zero() {
        return value;
    }
    (value / step).ceil() * step
}

/// Whether `value` is a multiple of `step`.
#[must_use]
pub fn on_step(value: Decimal, step: Decimal) -> bool {
    step.is_zero() || (value % step).is_zero()
}
