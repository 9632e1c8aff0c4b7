//! Exact numbers of replies, within the bounds in which they can be added up and multiplied.

use super::{Answer, field, list, maybe, shown, unknown, wrong};
use crate::api::ApiError;
use keel_core::amount::{Price, Qty};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The largest amount of any currency, 10^15, and the largest price, 5 * 10^9, that are believed. Sums
/// and products beyond the range of [`Decimal`], 7.9 * 10^28, end the process: ten thousand products
/// of these two still lie within it.
pub const AMOUNT_MAX: Decimal = Decimal::from_parts(2_764_472_320, 232_830, 0, false, 0);
/// See [`AMOUNT_MAX`].
pub const PRICE_MAX: Decimal = Decimal::from_parts(705_032_704, 1, 0, false, 0);

/// The exact number called `key`, of any sign, at most [`AMOUNT_MAX`] from zero.
///
/// # Errors
/// [`ApiError::Unknown`] if it is no decimal or lies further from zero.
pub fn decimal(object: &Value, key: &str) -> Answer<Decimal> {
    let value = field(object, key)?;
    bounded(value).ok_or_else(|| wrong(key, value, "a decimal of at most 28 digits and 10^15"))
}

/// The exact number called `key`, zero or above.
///
/// # Errors
/// As [`decimal`], and if it is negative.
pub fn amount(object: &Value, key: &str) -> Answer<Decimal> {
    decimal(object, key)
        .and_then(|value| not_negative(value).ok_or_else(|| other(key, value, "zero or more")))
}

/// The base amount called `key`, zero or above.
///
/// # Errors
/// As [`amount`].
pub fn qty(object: &Value, key: &str) -> Answer<Qty> {
    amount(object, key).map(Qty::new)
}

/// The price called `key`, above zero.
///
/// # Errors
/// [`ApiError::Unknown`] if it is no decimal above zero and up to [`PRICE_MAX`].
pub fn price(object: &Value, key: &str) -> Answer<Price> {
    let value = decimal(object, key)?;
    credible_price(value)
        .ok_or_else(|| other(key, value, "a price above zero and up to 5000000000"))
}

/// The price called `key`; `None` if it is absent, `null`, empty or zero, as for a side of a book
/// without orders, or beyond [`PRICE_MAX`].
#[must_use]
pub fn maybe_price(object: &Value, key: &str) -> Option<Price> {
    credible_price(exact(maybe(object, key)?)?)
}

/// The value as a price, if it can be one.
#[must_use]
pub fn credible_price(value: Decimal) -> Option<Price> {
    (value > Decimal::ZERO && value <= PRICE_MAX).then(|| Price::new(value))
}

/// A rule of a market called `key`, zero or above: a step, a minimum or a maximum. Beyond
/// [`AMOUNT_MAX`] it is as good as that.
///
/// # Errors
/// [`ApiError::Unknown`] if it is no decimal or negative.
pub fn rule(object: &Value, key: &str) -> Answer<Decimal> {
    let value = field(object, key)?;
    exact_rule(value)
        .ok_or_else(|| wrong(key, value, "a decimal of at most 28 digits, zero or more"))
}

/// A rule of a market; see [`rule`].
#[must_use]
pub fn exact_rule(value: &Value) -> Option<Decimal> {
    exact(value).and_then(not_negative).map(|value| value.min(AMOUNT_MAX))
}

/// An exact number, as by [`exact`]; `None` too if it is further from zero than [`AMOUNT_MAX`].
#[must_use]
pub fn bounded(value: &Value) -> Option<Decimal> {
    exact(value).filter(|value| value.abs() <= AMOUNT_MAX)
}

/// An exact number: a JSON number by its digits, or a text. Never through `f64`; NaN, infinities and
/// more than 28 digits are `None`. Trailing zeros are dropped.
#[must_use]
pub fn exact(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => read_decimal(text),
        Value::Number(number) => read_decimal(&number.to_string()),
        _ => None,
    }
}

/// A decimal text such as `0.00010000`, `-3` or `1e-8`. Trailing zeros are dropped.
#[must_use]
pub fn read_decimal(text: &str) -> Option<Decimal> {
    // Venues pad to fixed places: zeros behind the last digit must not count against 28 digits.
    let exact = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text)
    } else if text.contains('.') {
        Decimal::from_str_exact(text.trim_end_matches('0').trim_end_matches('.'))
    } else {
        Decimal::from_str_exact(text)
    };
    exact.ok().map(|value| value.normalize())
}

/// The value, unless it is negative.
#[must_use]
pub fn not_negative(value: Decimal) -> Option<Decimal> {
    (value >= Decimal::ZERO).then_some(value)
}

/// A rule of a market as a field of a structure for [`parse_as`](super::parse_as), read as by
/// [`exact_rule`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule(pub Decimal);

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(input)?;
        exact_rule(&value).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{}, expected a decimal, zero or more", shown(&value)))
        })
    }
}

/// Plain notation without trailing zeros, never an exponent: what orders are written in.
#[must_use]
pub fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

/// `10^-places`: the step of a venue that counts decimal places. `None` beyond 28 places.
#[must_use]
pub fn step_of_places(places: u32) -> Option<Decimal> {
    Decimal::try_new(1, places).ok()
}

/// The side of a book called `key`, whose levels are lists that start with price and amount.
///
/// # Errors
/// [`ApiError::Unknown`] if a level has no credible price or no amount.
pub fn levels(book: &Value, key: &str) -> Answer<Vec<(Price, Qty)>> {
    let level = |row: &Value| {
        let number = |place: usize| row.get(place).and_then(bounded);
        let price = number(0).and_then(credible_price);
        match (price, number(1).and_then(not_negative)) {
            (Some(price), Some(amount)) => Ok((price, Qty::new(amount))),
            _ => Err(unknown(format!("a level of `{key}` is not a price and an amount"))),
        }
    };
    list(book, key)?.iter().map(level).collect()
}

/// The third figure of an execution, computed from the other two.
///
/// # Errors
/// [`ApiError::Unknown`] if it is beyond [`AMOUNT_MAX`].
pub fn computed(value: Option<Decimal>) -> Answer<Decimal> {
    value
        .filter(|value| value.abs() <= AMOUNT_MAX)
        .ok_or_else(|| unknown("an execution of more than 10^15"))
}

fn other(key: &str, seen: Decimal, expected: &str) -> ApiError {
    unknown(format!("`{key}` is {seen}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_beyond_belief_are_refused_and_the_others_can_be_added_up() {
        assert_eq!(AMOUNT_MAX.to_string(), "1000000000000000");
        assert_eq!(PRICE_MAX.to_string(), "5000000000");
        let product = AMOUNT_MAX.checked_mul(PRICE_MAX).unwrap();
        assert!(product.checked_mul(Decimal::new(10_000, 0)).is_some());
        let object = json!({
            "top": "1000000000000000", "over": "1000000000000000.1", "price": 5_000_000_001_i64,
        });
        assert_eq!(amount(&object, "top").unwrap(), AMOUNT_MAX);
        for answer in [decimal(&object, "over"), amount(&object, "over")] {
            assert!(answer.is_err(), "{answer:?}");
        }
        assert_eq!(rule(&object, "over").unwrap(), AMOUNT_MAX);
        assert!(price(&object, "price").is_err());
        assert_eq!(maybe_price(&object, "price"), None);
    }
}
