//! Decimals exactly as they are written, for rules of markets.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads a decimal text such as `0.00010000` or `1e-8`; `None` if it is no number or has more
/// digits than a [`Decimal`] holds. Trailing zeros are dropped.
pub(crate) fn read_decimal(text: &str) -> Option<Decimal> {
    let exact = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text)
    } else {
        Decimal::from_str_exact(text)
    };
    exact.ok().map(|value| value.normalize())
}

/// A decimal in JSON: text, or a number taken by its digits and never through `f64`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Decimal, D::Error> {
    let value = Value::deserialize(input)?;
    let text = match &value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => other.to_string(),
    };
    read_decimal(&text).filter(|value| !value.is_sign_negative()).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "seen {value}, expected a decimal of at most 28 digits that is not negative, such as \"0.001\""
        ))
    })
}

/// Like [`deserialize`], for a value that may be left out.
pub(crate) fn deserialize_option<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Decimal>, D::Error> {
    deserialize(input).map(Some)
}
