//! Amounts and values rounded as Freqtrade rounds them, exactly and without allocation.
//!
//! Freqtrade computes values in decimal text and turns the result into a float. Here the same
//! value is computed as an exact product of two integers and one correctly rounded division, so
//! that the single backtest and the sweep share one fast function.

/// Units in one whole: amounts and profits have eight decimals.
pub const UNITS: f64 = 1e8;

/// The largest integer up to which every integer is a float.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// Cuts `value` (at least 0) to eight decimals and returns it in units of 1e-8.
///
/// As ccxt does: what is cut is the shortest decimal text of the number, so 0.29 stays 0.29 even
/// though the float is slightly less.
#[inline(always)]
#[must_use]
pub fn floor_units(value: f64) -> f64 {
    let scaled = value * UNITS;
    let floor = scaled.floor();
    let above = scaled - floor;
    let doubt = scaled * 4e-16;
    if above > doubt && above < 1.0 - doubt && scaled < EXACT_BELOW {
        floor
    } else {
        floor_units_by_text(value)
    }
}

#[cold]
#[inline(never)]
fn floor_units_by_text(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 0.0;
    }
    let text = format!("{value}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let kept: String = part.chars().chain(std::iter::repeat('0')).take(8).collect();
    format!("{whole}{kept}").parse().unwrap_or(0.0)
}

/// Rounds to eight decimals as `f"{value:.8f}"` does in Python: exactly, ties to even.
#[inline(always)]
#[must_use]
pub fn round8(value: f64) -> f64 {
    let scaled = value * UNITS;
    let floor = scaled.floor();
    let above = scaled - floor;
    let doubt = scaled.abs() * 4e-16;
    if (above - 0.5).abs() > doubt && scaled.abs() < EXACT_BELOW / 4.0 {
        // An integer below 2^53 divided by 1e8 is the float nearest to that decimal.
        (if above > 0.5 { floor + 1.0 } else { floor }) / UNITS
    } else {
        round8_by_text(value)
    }
}

#[cold]
#[inline(never)]
fn round8_by_text(value: f64) -> f64 {
    format!("{value:.8}").parse().unwrap_or(value)
}

/// A positive decimal number as `digits / 10^decimals`, taken from the shortest text of a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: u128,
    decimals: u32,
}

impl Decimal {
    /// The shortest decimal that reads back as `value`; `None` when negative, not finite or beyond
    /// what 128 bits hold.
    #[must_use]
    pub fn shortest(value: f64) -> Option<Self> {
        if !value.is_finite() || value < 0.0 {
            return None;
        }
        let text = format!("{value}");
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let digits = format!("{whole}{part}").parse().ok()?;
        Some(Self { digits, decimals: u32::try_from(part.len()).ok()? })
    }

    /// Digits after the point.
    #[must_use]
    pub const fn decimals(self) -> u32 {
        self.decimals
    }

    /// All digits, as one integer.
    #[must_use]
    pub const fn digits(self) -> u128 {
        self.digits
    }

    fn times(self, other: Self) -> Option<Self> {
        Some(Self {
            digits: self.digits.checked_mul(other.digits)?,
            decimals: self.decimals + other.decimals,
        })
    }

    /// The nearest float.
    fn to_f64(self) -> f64 {
        let text = format!("{}e-{}", self.digits, self.decimals);
        text.parse().unwrap_or(f64::INFINITY)
    }
}

/// The two sides of a fee: what opening costs, `1 + fee`, and what closing leaves, `1 - fee`.
#[derive(Clone, Copy, Debug)]
pub struct Fee {
    rate: f64,
    plus: Option<Decimal>,
    minus: Option<Decimal>,
}

impl Fee {
    /// A fee as a ratio, 0.001 for 0.1 %; at least 0 and below 1.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        let decimal = Decimal::shortest(rate);
        let one = decimal.and_then(|fee| 10_u128.checked_pow(fee.decimals));
        let side =
            |digits: Option<u128>| Some(Decimal { digits: digits?, decimals: decimal?.decimals });
        let digits = decimal.map(|fee| fee.digits);
        Self {
            rate,
            plus: side(one.zip(digits).and_then(|(one, fee)| one.checked_add(fee))),
            minus: side(one.zip(digits).and_then(|(one, fee)| one.checked_sub(fee))),
        }
    }

    /// The fee as a ratio.
    #[must_use]
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// What opening `units` (of 1e-8) at `rate` costs: `amount * rate * (1 + fee)`.
    #[must_use]
    pub fn open_value(&self, units: f64, rate: f64) -> f64 {
        value(units, rate, self.plus, 1.0 + self.rate)
    }

    /// What closing `units` (of 1e-8) at `rate` brings: `amount * rate * (1 - fee)`.
    #[must_use]
    pub fn close_value(&self, units: f64, rate: f64) -> f64 {
        value(units, rate, self.minus, 1.0 - self.rate)
    }
}

/// Correctly rounded `units/1e8 * rate * side`, `rate` and `side` being read as decimals.
fn value(units: f64, rate: f64, side: Option<Decimal>, side_f64: f64) -> f64 {
    let exact = || {
        let units = Decimal { digits: Decimal::shortest(units)?.digits, decimals: 8 };
        Some(units.times(Decimal::shortest(rate)?)?.times(side?)?.to_f64())
    };
    exact().unwrap_or(units / UNITS * rate * side_f64)
}

/// `rate * (1 ± fee)` for each price of a column, as exact integers over one power of ten.
///
/// With these, a value is `units * factor / denominator`: one exact product and one division.
#[derive(Clone, Debug)]
pub struct ValueTable {
    /// `rate * (1 + fee) * scale`, by row.
    pub open: Vec<f64>,
    /// `rate * (1 - fee) * scale`, by row.
    pub close: Vec<f64>,
    /// `1e8 * scale`, a power of ten.
    pub denominator: f64,
}

impl ValueTable {
    /// The table of a column of prices; `None` when the prices have too many digits for exact
    /// products, in which case the slow functions of [`Fee`] are the only ones.
    #[must_use]
    pub fn new(rates: &[f64], fee: &Fee) -> Option<Self> {
        let (plus, minus) = (fee.plus?, fee.minus?);
        let decimals: Vec<Decimal> =
            rates.iter().map(|rate| Decimal::shortest(*rate)).collect::<Option<_>>()?;
        let most = decimals.iter().map(|decimal| decimal.decimals).max()?;
        let exponent = 8 + most + plus.decimals;
        // Powers of ten up to 1e22 are floats.
        if exponent > 22 {
            return None;
        }
        let column = |side: Decimal| -> Option<Vec<f64>> {
            decimals
                .iter()
                .map(|rate| {
                    let shift = 10_u128.checked_pow(most - rate.decimals)?;
                    let digits = rate.digits.checked_mul(shift)?.checked_mul(side.digits)?;
                    exact_f64(digits)
                })
                .collect()
        };
        Some(Self {
            open: column(plus)?,
            close: column(minus)?,
            denominator: format!("1e{exponent}").parse().ok()?,
        })
    }
}

fn exact_f64(digits: u128) -> Option<f64> {
    let limit = 1_u128 << 53;
    #[expect(clippy::cast_precision_loss, reason = "integers up to 2^53 are floats")]
    (digits <= limit).then_some(digits as f64)
}

/// Correctly rounded `units * factor / denominator` of three integers.
///
/// The product is kept as a sum of two floats (its rounding error is itself a float, by a fused
/// multiply-add), the division's remainder likewise. Source: Dekker (1971), T. Ogita et al. (2005).
#[inline(always)]
#[must_use]
pub fn quotient(units: f64, factor: f64, denominator: f64) -> f64 {
    let high = units * factor;
    let low = units.mul_add(factor, -high);
    let first = high / denominator;
    let rest = (-first).mul_add(denominator, high) + low;
    first + rest / denominator
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exactly these values are meant")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_cut_as_text() {
        let check = |value, units: f64| assert_eq!(floor_units(value), units, "{value}");
        check(0.29, 29_000_000.0);
        check(1.0, 1e8);
        check(0.0, 0.0);
        check(9.999_999_99e-9, 0.0);
        check(3.479_544_491_9, 347_954_449.0);
        check(f64::NAN, 0.0);
    }

    #[test]
    fn profits_are_rounded_as_text() {
        for value in [0.0, -4.934_655_195, 1e-9, 0.000_000_005, -0.000_000_015, 123_456.789] {
            assert_eq!(round8(value), format!("{value:.8}").parse::<f64>().unwrap(), "{value}");
        }
    }

    proptest! {
        #[test]
        fn fast_rounding_equals_text(value in -1e7_f64..1e7, small in -1e-3_f64..1e-3) {
            for value in [value, small] {
                prop_assert_eq!(round8(value), format!("{value:.8}").parse::<f64>().unwrap());
                let units = floor_units_by_text(value.abs());
                prop_assert_eq!(floor_units(value.abs()), units);
            }
        }

        #[test]
        fn the_fast_value_is_the_correctly_rounded_one(
            units in 1_u64..100_000_000_000_000, cents in 1_u32..100_000_000, fee in 0_u32..100
        ) {
            let rate = f64::from(cents) / 1e4;
            let fee = Fee::new(f64::from(fee) / 1e4);
            let table = ValueTable::new(&[rate], &fee).unwrap();
            let units = units as f64;
            let open = quotient(units, table.open[0], table.denominator);
            prop_assert_eq!(open.to_bits(), fee.open_value(units, rate).to_bits());
            let close = quotient(units, table.close[0], table.denominator);
            prop_assert_eq!(close.to_bits(), fee.close_value(units, rate).to_bits());
        }
    }
}
