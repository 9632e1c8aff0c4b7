//! Benchmarks from the prices and caps that a run recorded itself: no candles are needed.

use crate::story::{Benchmark, Story, float};
use keel_core::time::Timeframe;

/// How often a benchmark that keeps weights is evened out.
const EVEN_OUT_MS: i64 = 30 * Timeframe::D1.ms();

/// HODL, equal weight, cap weight and BTC, from the run's first capital and after `cost`, the part of
/// every trade's value that fee and half-spread take. Assets join when their price is first known;
/// what is bought once is bought of those known at the start.
#[must_use]
pub fn from_records(story: &Story, cost: f64) -> Vec<Benchmark> {
    let capital = float(story.capital());
    if story.cycles.is_empty() || capital <= 0.0 {
        return Vec::new();
    }
    let market = Market::of(story);
    let bitcoin = market.bitcoin(story);
    let made = |name: &str, doc: &str, values: Vec<f64>| Benchmark {
        name: name.to_owned(),
        doc: doc.to_owned(),
        values,
    };
    vec![
        made(
            "HODL",
            "the assets bought at the start by market cap, never touched",
            market.run(capital, cost, None, |market, row, asset| market.caps[asset][row]),
        ),
        made(
            "Equal weight",
            "the same amount of each asset, evened out every 30 days",
            market.run(capital, cost, Some(EVEN_OUT_MS), |_, _, _| 1.0),
        ),
        made(
            "Cap weight",
            "each asset by its market cap, evened out every 30 days",
            market.run(capital, cost, Some(EVEN_OUT_MS), |market, row, asset| {
                market.caps[asset][row]
            }),
        ),
        made(
            "BTC",
            "everything in BTC at the start",
            market.run(capital, cost, None, |_, _, asset| f64::from(u8::from(asset == bitcoin))),
        ),
    ]
}

/// Prices and caps by asset and cycle, carried forward.
struct Market {
    prices: Vec<Vec<Option<f64>>>,
    caps: Vec<Vec<f64>>,
    moments_ms: Vec<i64>,
}

impl Market {
    fn of(story: &Story) -> Self {
        let column = |asset: usize| {
            let mut last = None;
            story
                .cycles
                .iter()
                .map(|cycle| {
                    last = cycle.rows[asset].price.map(float).filter(|p| *p > 0.0).or(last);
                    last
                })
                .collect()
        };
        let caps = |asset: usize| {
            let mut last = 0.0;
            story
                .cycles
                .iter()
                .map(|cycle| {
                    last = cycle.rows[asset].market_cap.unwrap_or(last);
                    last
                })
                .collect()
        };
        Self {
            prices: (0..story.assets.len()).map(column).collect(),
            caps: (0..story.assets.len()).map(caps).collect(),
            moments_ms: story.cycles.iter().map(|cycle| cycle.at.ms()).collect(),
        }
    }

    /// BTC, or without it the largest asset at the start.
    fn bitcoin(&self, story: &Story) -> usize {
        let named = story.assets.iter().position(|asset| asset.ticker == "BTC");
        let largest =
            || (0..self.caps.len()).max_by(|a, b| self.caps[*a][0].total_cmp(&self.caps[*b][0]));
        named.or_else(largest).unwrap_or(0)
    }

    fn run(
        &self,
        capital: f64,
        cost: f64,
        every_ms: Option<i64>,
        weight: impl Fn(&Self, usize, usize) -> f64,
    ) -> Vec<f64> {
        let assets = self.prices.len();
        let mut units = vec![0.0; assets];
        let mut cash = capital;
        let mut next_ms = self.moments_ms.first().copied();
        let mut values = Vec::with_capacity(self.moments_ms.len());
        for (row, at_ms) in self.moments_ms.iter().enumerate() {
            let price = |asset: usize| self.prices[asset][row];
            let worth = |units: &[f64], cash: f64| {
                cash + (0..assets).map(|i| units[i] * price(i).unwrap_or(0.0)).sum::<f64>()
            };
            if next_ms.is_some_and(|next| *at_ms >= next) {
                let weights: Vec<f64> = (0..assets)
                    .map(|i| price(i).map_or(0.0, |_| weight(self, row, i).max(0.0)))
                    .collect();
                let sum: f64 = weights.iter().sum();
                if sum > 0.0 {
                    let total = worth(&units, cash);
                    let held = |i: usize| units[i] * price(i).unwrap_or(0.0);
                    let traded: f64 =
                        (0..assets).map(|i| (total * weights[i] / sum - held(i)).abs()).sum();
                    let left = total - traded * cost;
                    for i in 0..assets {
                        units[i] = price(i).map_or(0.0, |price| left * weights[i] / sum / price);
                    }
                    cash = 0.0;
                    next_ms = every_ms.map(|every| at_ms + every);
                }
            }
            values.push(worth(&units, cash));
        }
        values
    }
}
