//! What a venue says about one of its markets.

use crate::amount::Qty;
use crate::asset::Symbol;
use rust_decimal::Decimal;

/// A market and its order rules. A rule of zero does not bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketRules {
    /// The market.
    pub symbol: Symbol,
    /// Amounts are multiples of this, in base units.
    pub amount_step: Qty,
    /// Smallest amount of an order, in base units.
    pub min_amount: Qty,
    /// Largest amount of a market order, in base units, if there is a limit.
    pub max_amount: Option<Qty>,
    /// Smallest amount times price, in units of the quote currency.
    pub min_cost: Decimal,
    /// Whether orders are accepted now; false for halted and delisted markets.
    pub active: bool,
}

impl MarketRules {
    /// A market without any rule, as in a what-if snapshot.
    #[must_use]
    pub const fn unlimited(symbol: Symbol) -> Self {
        Self {
            symbol,
            amount_step: Qty::ZERO,
            min_amount: Qty::ZERO,
            max_amount: None,
            min_cost: Decimal::ZERO,
            active: true,
        }
    }
}
