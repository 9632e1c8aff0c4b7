//! How much a run did: turnover, costs, time in the market, and what its sells brought.

use crate::collect::Collector;
use crate::run::Trade;
use crate::statistics::{Activity, closed, mean};
use keel_core::amount::Money;
use keel_core::asset::Ticker;
use keel_core::order::Side;
use keel_core::time::{Timeframe, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// More than this share outside the stablecoin counts as being in the market.
const IN_MARKET: f32 = 0.01;

/// Length of a run in years of 365 days.
#[must_use]
pub(crate) fn years(moments: &[Timestamp]) -> f64 {
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return 0.0 };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few years")]
    let days = last.since_ms(*first) as f64 / Timeframe::D1.ms() as f64;
    days / crate::statistics::DAYS_PER_YEAR
}

#[must_use]
pub(crate) fn of_run(collector: &Collector, stablecoin: &Ticker, years: f64) -> Activity {
    let sum = |part: fn(&Trade) -> Money| collector.trades.iter().map(part).sum::<Money>().to_f64();
    let traded = sum(|trade| trade.value);
    let outside: Vec<f64> =
        collector.stable_share.iter().map(|share| f64::from(1.0 - share)).collect();
    let in_market = outside.iter().filter(|share| **share > f64::from(IN_MARKET)).count();
    let mean_value = mean(&collector.equity).unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "a count of cycles")]
    let time_in_market = in_market as f64 / outside.len().max(1) as f64;
    let yearly = years > 0.0 && mean_value > 0.0;
    Activity {
        time_in_market,
        exposure: mean(&outside).unwrap_or(0.0),
        trades: collector.trades.len(),
        traded,
        turnover_per_year: if yearly { traded / mean_value / years } else { 0.0 },
        fees: sum(|trade| trade.fee_value),
        slippage: sum(|trade| trade.slippage_value),
        closed: closed(&results(&collector.trades, stablecoin)),
    }
}

/// What is held of an asset and what was paid for it.
#[derive(Clone, Copy, Default)]
struct Lot {
    units: Decimal,
    paid: Decimal,
}

/// What each sell brought beyond the average price paid for what it sold, in the stablecoin, after
/// fees and slippage. Holdings that were there at the start count as bought for nothing known and
/// are left out.
#[must_use]
pub fn results(trades: &[Trade], stablecoin: &Ticker) -> Vec<f64> {
    let mut lots: BTreeMap<&Ticker, Lot> = BTreeMap::new();
    let mut results = Vec::new();
    for trade in trades {
        let (value, slippage) = (trade.value.get(), trade.slippage_value.get());
        let fee = trade.fee_amount.get();
        let of_fee = |ticker: &Ticker| if trade.fee_asset == *ticker { fee } else { Decimal::ZERO };
        let (base, quote) = (&trade.symbol.base, &trade.symbol.quote);
        // What was given and what came in, in units, and what both were worth.
        let (gave, gave_units, got, got_units, given_value, got_value) = match trade.side {
            Side::Buy => (
                quote,
                trade.cost,
                base,
                trade.amount.get() - of_fee(base),
                value + slippage,
                value + slippage,
            ),
            Side::Sell => (
                base,
                trade.amount.get(),
                quote,
                trade.cost - of_fee(quote),
                value - slippage - trade.fee_value.get(),
                value - slippage - trade.fee_value.get(),
            ),
        };
        if gave != stablecoin {
            let lot = lots.entry(gave).or_default();
            if let Some(paid) = take(lot, gave_units) {
                results.push(Money::new(given_value - paid).to_f64());
            }
        }
        if got != stablecoin {
            let lot = lots.entry(got).or_default();
            lot.units += got_units;
            lot.paid += got_value;
        }
    }
    results
}

/// Takes units out of a lot; what was paid for them, or `None` when nothing was bought.
fn take(lot: &mut Lot, units: Decimal) -> Option<Decimal> {
    if lot.units <= Decimal::ZERO {
        return None;
    }
    let taken = units.min(lot.units);
    let paid = lot.paid.checked_mul(taken.checked_div(lot.units)?)?;
    lot.units -= taken;
    lot.paid -= paid;
    Some(paid)
}
