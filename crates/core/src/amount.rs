//! Money and amounts: exact decimals, with every rounding named.

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

macro_rules! decimal_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Decimal);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(Decimal::ZERO);

            /// From an exact decimal.
            #[must_use]
            pub const fn new(value: Decimal) -> Self {
                Self(value)
            }

            /// The exact decimal.
            #[must_use]
            pub const fn get(self) -> Decimal {
                self.0
            }

            /// Without its sign.
            #[must_use]
            pub fn abs(self) -> Self {
                Self(self.0.abs())
            }

            /// Above zero.
            #[must_use]
            pub fn is_positive(self) -> bool {
                self.0 > Decimal::ZERO
            }

            /// Exactly zero.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0.is_zero()
            }

            /// For analytics and display: the nearest `f64`.
            #[must_use]
            pub fn to_f64(self) -> f64 {
                self.0.to_f64().unwrap_or(f64::NAN)
            }

            /// Multiplied by a plain factor, or `None` on overflow.
            #[must_use]
            pub fn times(self, factor: Decimal) -> Option<Self> {
                self.0.checked_mul(factor).map(Self)
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }
        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self::ZERO, Add::add)
            }
        }
        impl fmt::Display for $name {
            /// Plain notation, never an exponent.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

decimal_type!(
    /// An amount of an asset, in its own units.
    Qty
);
decimal_type!(
    /// Units of the quote currency for one unit of the base currency.
    Price
);
decimal_type!(
    /// A value in the primary stablecoin.
    Money
);

impl Qty {
    /// Rounded down to a multiple of `step`; unchanged when `step` is zero or negative.
    #[must_use]
    pub fn floor_to(self, step: Self) -> Self {
        if !step.is_positive() {
            return self;
        }
        // remainder is exact, so the result lies exactly on the grid.
        Self((self.0 - self.0 % step.0).normalize())
    }

    /// What this amount is worth at `price`, or `None` on overflow.
    #[must_use]
    pub fn value_at(self, price: Price) -> Option<Money> {
        self.0.checked_mul(price.0).map(Money)
    }
}

impl Money {
    /// How much this buys at `price`, to 28 significant digits; `None` at price zero or on overflow.
    #[must_use]
    pub fn quantity_at(self, price: Price) -> Option<Qty> {
        self.0.checked_div(price.0).map(Qty)
    }

    /// `self / total` as a plain fraction; `None` when `total` is zero.
    #[must_use]
    pub fn fraction_of(self, total: Self) -> Option<Decimal> {
        self.0.checked_div(total.0)
    }
}

/// Decimal places at which analytics (`f64`) enter the world of money.
pub const ANALYTICS_PLACES: u32 = 18;

/// The one place where `f64` becomes a decimal: a weight or share, rounded down (towards zero) to
/// [`ANALYTICS_PLACES`] places, so that rounded weights can never add up to more than they did.
/// `None` for NaN, infinities and values beyond the decimal range.
#[must_use]
pub fn decimal_from_weight(weight: f64) -> Option<Decimal> {
    Decimal::from_f64_retain(weight)
        .map(|exact| exact.round_dp_with_strategy(ANALYTICS_PLACES, RoundingStrategy::ToZero))
}

/// A recorded or generated price or volume that exists only as `f64`, as the shortest decimal that
/// reads back as the same `f64` (so a recorded 0.1 is 0.1, and not 0.1000000000000000055).
/// `None` for NaN, infinities, and values beyond the decimal range.
#[must_use]
pub fn decimal_from_recorded(value: f64) -> Option<Decimal> {
    if !value.is_finite() {
        return None;
    }
    let text = format!("{value}");
    text.parse().ok().or_else(|| Decimal::from_f64(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn qty(text: &str) -> Qty {
        Qty::new(text.parse().unwrap())
    }

    #[test]
    fn rounding_down_lands_on_the_grid() {
        for (amount, step, expected) in [
            ("1.23456789", "0.001", "1.234"),
            ("0.0009", "0.001", "0"),
            ("5", "0", "5"),
            ("7", "2.5", "5"),
            ("0.3", "0.1", "0.3"),
        ] {
            assert_eq!(qty(amount).floor_to(qty(step)), qty(expected), "{amount} by {step}");
        }
    }

    #[test]
    fn recorded_floats_keep_the_digits_that_were_written() {
        assert_eq!(decimal_from_recorded(0.1).unwrap().to_string(), "0.1");
        assert_eq!(decimal_from_recorded(65000.0).unwrap().to_string(), "65000");
        assert_eq!(decimal_from_recorded(0.000_000_12).unwrap().to_string(), "0.00000012");
        assert_eq!(decimal_from_recorded(f64::NAN), None);
        assert_eq!(decimal_from_recorded(1e300), None);
    }

    proptest! {
        #[test]
        fn floor_is_on_the_grid_not_above_and_less_than_a_step_below(
            units in 0_i64..10_000_000_000, scale in 0_u32..12, step in 1_i64..5000, step_scale in 0_u32..8
        ) {
            let amount = Qty::new(Decimal::new(units, scale));
            let step = Qty::new(Decimal::new(step, step_scale));
            let floored = amount.floor_to(step);
            prop_assert!(floored <= amount);
            prop_assert!(amount - floored < step);
            prop_assert!((floored.get() % step.get()).is_zero());
        }
    }
}
