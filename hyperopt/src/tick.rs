//! The price tick, guessed per calendar month from the decimals of the candles, as Freqtrade does.

use crate::candles::Candles;
use crate::money::Decimal;
use std::collections::BTreeMap;

/// Decimals of the prices by month, each month's value lasting until the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticks {
    by_month: BTreeMap<i64, u32>,
}

impl Ticks {
    /// The most decimals among open, high, low and close of each month. A month of whole prices
    /// keeps the value of the month before it, as Freqtrade's does.
    #[must_use]
    pub fn of(candles: &Candles) -> Self {
        let mut by_month = BTreeMap::new();
        for row in 0..candles.len() {
            let prices =
                [candles.open[row], candles.high[row], candles.low[row], candles.close[row]];
            let most = prices.into_iter().map(decimals).max().unwrap_or(0);
            if most > 0 {
                let month: &mut u32 =
                    by_month.entry(month_number(candles.open_time_ms[row])).or_default();
                *month = most.max(*month);
            }
        }
        Self { by_month }
    }

    /// Decimals of prices at a moment; `UNKNOWN` before the first price that is not whole.
    #[must_use]
    pub fn decimals_at(&self, time_ms: i64) -> u32 {
        self.by_month.range(..=month_number(time_ms)).next_back().map_or(UNKNOWN, |(_, most)| *most)
    }
}

/// Where the candles say nothing Freqtrade asks the market, and eight decimals is what venues have.
const UNKNOWN: u32 = 8;

/// Months since year 0.
fn month_number(time_ms: i64) -> i64 {
    let text = keel_core::time::Timestamp::from_ms(time_ms).to_string();
    let mut parts = text.trim_start_matches('-').splitn(3, '-');
    let mut number = || parts.next().and_then(|part| part.parse::<i64>().ok()).unwrap_or(0);
    number() * 12 + number() - 1
}

/// Digits after the point once the price is rounded to 14 decimals and written with 15, without
/// trailing zeros. Large prices show binary dust there and so get no tick to speak of.
fn decimals(price: f64) -> u32 {
    let rounded = (price * 1e14).round_ties_even() / 1e14;
    let text = format!("{rounded:.15}");
    let part = text.split_once('.').map_or("", |(_, part)| part).trim_end_matches('0');
    u32::try_from(part.len()).unwrap_or(15)
}

/// Rounds a price up to a multiple of `10^-decimals`; a multiple stays as it is.
#[must_use]
pub fn ceil_to_tick(price: f64, decimals: u32) -> f64 {
    let up = |kept: u128, _next: u128| kept + 1;
    cut(price, decimals, up).map_or(price, round14)
}

/// Rounds a price half up to a multiple of `10^-decimals`.
#[must_use]
pub fn round_to_tick(price: f64, decimals: u32) -> f64 {
    let half_up = |kept: u128, next: u128| if next >= 5 { kept + 1 } else { kept };
    cut(price, decimals, half_up).unwrap_or(price)
}

/// `None` when the price has no digit beyond `decimals`. `round` gets the kept digits and the first
/// dropped one.
fn cut(price: f64, decimals: u32, round: impl Fn(u128, u128) -> u128) -> Option<f64> {
    let exact = Decimal::shortest(price)?;
    let extra = exact.decimals().checked_sub(decimals).filter(|extra| *extra > 0)?;
    let step = 10_u128.checked_pow(extra)?;
    let kept = round(exact.digits() / step, exact.digits() % step / (step / 10));
    format!("{kept}e-{decimals}").parse().ok()
}

fn round14(price: f64) -> f64 {
    format!("{price:.14}").parse().unwrap_or(price)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exactly these values are meant")]
mod tests {
    use super::*;

    #[test]
    fn prices_go_up_to_the_next_tick() {
        for (price, decimals, up) in [
            (23.0310001, 3, 23.032),
            (23.031, 3, 23.031),
            (0.0, 2, 0.0),
            (900.0, 0, 900.0),
            (900.000_000_000_1, 0, 901.0),
            (1.1e-7, 8, 1.1e-7),
            (1.11e-7, 8, 1.2e-7),
        ] {
            assert_eq!(ceil_to_tick(price, decimals), up, "{price}");
        }
        assert_eq!(round_to_tick(0.300_000_000_000_000_04, 1), 0.3);
        assert_eq!(round_to_tick(0.25, 1), 0.3);
    }

    #[test]
    fn decimals_are_counted_as_freqtrade_counts_them() {
        // Python: len(re.search(r"\.(\d*[1-9])", "{:.15f}".format(round(x, 14))).group(1))
        for (price, count) in [(23.5, 1), (25.59, 2), (322.31, 15), (3.0, 0), (0.000_012_34, 8)] {
            assert_eq!(decimals(price), count, "{price}");
        }
    }
}
