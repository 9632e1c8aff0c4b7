//! Benchmarks: what the same money would have done without Keel, after the same costs.

use crate::tape::Tape;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::policy::Policy;
use keel_core::time::{Timeframe, Timestamp};

/// A benchmark's value over time, at the moments that were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Benchmark {
    /// What it is called in tables.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// Value in the stablecoin at each moment.
    pub values: Vec<f64>,
}

/// Prices of one asset at the moments, carried forward; NaN before its first candle.
fn prices(
    tape: &Tape,
    venue: &VenueId,
    ticker: &Ticker,
    stablecoin: &Ticker,
    moments: &[Timestamp],
) -> Vec<f64> {
    let symbol = Symbol::new(ticker.clone(), stablecoin.clone());
    let series = tape
        .venues
        .get(venue)
        .and_then(|venue| venue.candles.get(&symbol))
        .and_then(|by_timeframe| by_timeframe.values().next());
    moments
        .iter()
        .map(|now| {
            series
                .and_then(|series| Window::closed(series, *now, 1).last_close())
                .unwrap_or(f64::NAN)
        })
        .collect()
}

/// The three benchmarks over `moments` (in order, at least one), starting from `capital`. `cost` is
/// the fraction of each trade's value that fee and half-spread take.
///
/// An asset that is not listed or has no cap at the start is left out of the baskets that are bought
/// at the start; one whose candles end keeps its last price.
#[must_use]
pub fn benchmarks(
    tape: &Tape,
    policy: &Policy,
    moments: &[Timestamp],
    capital: f64,
    cost: f64,
) -> Vec<Benchmark> {
    let Some(start) = moments.first() else { return Vec::new() };
    let columns: Vec<Vec<f64>> = policy
        .assets
        .iter()
        .map(|asset| prices(tape, &asset.venue, &asset.ticker, &policy.stablecoin, moments))
        .collect();
    let caps: Vec<f64> = policy
        .assets
        .iter()
        .map(|asset| {
            let points = tape.caps.get(&asset.ticker).map_or(&[][..], Vec::as_slice);
            let known = points.partition_point(|point| point.as_of <= *start);
            known.checked_sub(1).map_or(0.0, |last| points[last].cap_usd)
        })
        .collect();
    let by_cap: Vec<f64> = caps
        .iter()
        .zip(&columns)
        .map(|(cap, prices)| if prices[0].is_finite() { *cap } else { 0.0 })
        .collect();
    let bitcoin: Vec<f64> = {
        let named = policy.assets.iter().position(|asset| asset.ticker.as_str() == "BTC");
        let largest =
            || (0..caps.len()).max_by(|a, b| by_cap[*a].total_cmp(&by_cap[*b]).then(b.cmp(a)));
        let chosen = named.or_else(largest);
        (0..caps.len()).map(|i| if Some(i) == chosen { 1.0 } else { 0.0 }).collect()
    };
    vec![
        Benchmark {
            name: "HODL",
            doc: "the assets bought at the start by market cap, never touched",
            values: hold(&columns, &by_cap, capital, cost),
        },
        Benchmark {
            name: "Equal weight",
            doc: "the same amount of each asset, evened out every 30 days",
            values: even_out(&columns, moments, capital, cost),
        },
        Benchmark {
            name: "BTC",
            doc: "everything in BTC at the start",
            values: hold(&columns, &bitcoin, capital, cost),
        },
    ]
}

/// Buys by weight at the first moment and holds.
fn hold(columns: &[Vec<f64>], weights: &[f64], capital: f64, cost: f64) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    let rows = columns.first().map_or(0, Vec::len);
    let units: Vec<f64> = columns
        .iter()
        .zip(weights)
        .map(|(prices, weight)| {
            let usable = sum > 0.0 && prices[0].is_finite();
            if usable { capital * (1.0 - cost) * weight / sum / prices[0] } else { 0.0 }
        })
        .collect();
    let invested = units.iter().any(|units| *units > 0.0);
    (0..rows)
        .map(|row| {
            if !invested {
                return capital;
            }
            columns.iter().zip(&units).map(|(prices, units)| worth(*units, prices[row])).sum()
        })
        .collect()
}

fn worth(units: f64, price: f64) -> f64 {
    if units > 0.0 { units * price } else { 0.0 }
}

fn even_out(columns: &[Vec<f64>], moments: &[Timestamp], capital: f64, cost: f64) -> Vec<f64> {
    let mut units = vec![0.0; columns.len()];
    let mut cash = capital;
    let mut next: Option<Timestamp> = moments.first().copied();
    let mut values = Vec::with_capacity(moments.len());
    for (row, now) in moments.iter().enumerate() {
        let value_of = |units: &[f64], cash: f64| {
            cash + columns.iter().zip(units).map(|(p, units)| worth(*units, p[row])).sum::<f64>()
        };
        if next.is_some_and(|next| *now >= next) {
            let listed: Vec<usize> =
                (0..columns.len()).filter(|i| columns[*i][row].is_finite()).collect();
            let total = value_of(&units, cash);
            #[expect(clippy::cast_precision_loss, reason = "a count of assets")]
            let share = total / listed.len() as f64;
            if !listed.is_empty() {
                let traded: f64 =
                    listed.iter().map(|i| (share - worth(units[*i], columns[*i][row])).abs()).sum();
                let after_cost = 1.0 - traded * cost / total;
                for i in &listed {
                    units[*i] = share * after_cost / columns[*i][row];
                }
                cash = 0.0;
            }
            next = Some(now.plus_ms(30 * Timeframe::D1.ms()));
        }
        values.push(value_of(&units, cash));
    }
    values
}
