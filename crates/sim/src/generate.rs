//! A generated market: correlated assets with regimes, caps and two venues, from a seed.
//!
//! It exists so that a newcomer sees the whole program work without data, keys or network. Prices are
//! made up and say nothing about what the strategy earns in a real market.

use crate::tape::{Tape, VenueTape};
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::{Candle, CandleSeries};
use keel_core::market::MarketRules;
use keel_core::plan::Markets;
use keel_core::ports::CapPoint;
use keel_core::resample::resample;
use keel_core::time::{Timeframe, Timestamp};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One generated asset.
#[derive(Clone, Debug)]
pub struct GeneratedAsset {
    /// Its name.
    pub ticker: Ticker,
    /// Where it is traded.
    pub venue: VenueId,
    /// First price.
    pub price: f64,
    /// Units in existence: `cap = supply * price`.
    pub supply: f64,
    /// How strongly it follows the market.
    pub beta: f64,
    /// Its own volatility per hour, as a fraction.
    pub own_volatility: f64,
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct GeneratedMarket {
    /// Same seed, same market.
    pub seed: u64,
    /// Start of the first candle; a full hour.
    pub start: Timestamp,
    /// Number of hourly candles.
    pub hours: usize,
    /// What everything is priced in.
    pub stablecoin: Ticker,
    /// The assets; those of one venue also trade against the first asset there, and some against
    /// the second.
    pub assets: Vec<GeneratedAsset>,
}

/// How the market as a whole moves for a while.
#[derive(Clone, Copy)]
struct Regime {
    /// Log return per hour.
    drift: f64,
    /// Volatility per hour, as a fraction.
    volatility: f64,
    /// How long it lasts on average.
    mean_hours: f64,
}

/// Rising, falling, drifting sideways, and a crash: rates of a volatile asset class.
const REGIMES: [Regime; 4] = [
    Regime { drift: 0.000_28, volatility: 0.0050, mean_hours: 400.0 },
    Regime { drift: -0.000_25, volatility: 0.0060, mean_hours: 280.0 },
    Regime { drift: 0.0, volatility: 0.0035, mean_hours: 300.0 },
    Regime { drift: -0.003, volatility: 0.0140, mean_hours: 24.0 },
];

/// Steps inside an hour, from which open, high, low and close are taken.
const STEPS_PER_HOUR: usize = 6;

/// Uniform in [0, 1), from the 53 high bits.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    // 2^53 and every 53-bit number are exact in f64.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let value = (rng.next_u64() >> 11) as f64;
    value / 9_007_199_254_740_992.0
}

/// Standard normal. Source: Box and Muller, "A Note on the Generation of Random Normal Deviates"
/// (1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(rng)).cos()
}

/// A stream of its own for each purpose, so that adding an asset does not move the others.
fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// Log returns of the market factor, one per step.
fn market_factor(seed: u64, steps: usize) -> Vec<f64> {
    let mut rng = stream(seed, 0);
    let mut regime = REGIMES[0];
    let mut hours_left = regime.mean_hours;
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let per_hour = STEPS_PER_HOUR as f64;
    (0..steps)
        .map(|_| {
            hours_left -= 1.0 / per_hour;
            if hours_left <= 0.0 {
                let pick = uniform(&mut rng);
                let next = if pick < 0.38 {
                    0
                } else if pick < 0.66 {
                    1
                } else if pick < 0.95 {
                    2
                } else {
                    3
                };
                regime = REGIMES[next];
                hours_left = -regime.mean_hours * (1.0 - uniform(&mut rng)).ln();
            }
            regime.drift / per_hour + regime.volatility / per_hour.sqrt() * normal(&mut rng)
        })
        .collect()
}

/// Seven significant digits, as venues quote.
fn quoted(price: f64) -> f64 {
    let digits = 6.0 - price.log10().floor();
    let scale = 10_f64.powf(digits);
    (price * scale).round() / scale
}

fn hourly(market: &GeneratedMarket, index: usize, factor: &[f64]) -> Vec<Candle> {
    let asset = &market.assets[index];
    let mut rng = stream(market.seed, 1 + index as u64);
    #[expect(clippy::cast_precision_loss, reason = "a small constant")]
    let own_per_step = asset.own_volatility / (STEPS_PER_HOUR as f64).sqrt();
    let mut log_price = asset.price.ln();
    // The asset's own drift wanders slowly, so that dominance trends for weeks.
    let mut own_drift = 0.0;
    let mut open = quoted(asset.price);
    let mut candles = Vec::with_capacity(market.hours);
    for (hour, steps) in factor.chunks_exact(STEPS_PER_HOUR).enumerate() {
        own_drift = 0.9985 * own_drift + 0.000_001 * normal(&mut rng);
        let (mut high, mut low, mut close) = (open, open, open);
        let mut path = 0.0;
        for step in steps {
            let change = asset.beta * step + own_drift + own_per_step * normal(&mut rng);
            log_price += change;
            path += change.abs();
            close = quoted(log_price.exp());
            high = high.max(close);
            low = low.min(close);
        }
        // Busier hours trade more: about a ten-thousandth of the supply, scaled by the movement.
        let volume =
            (asset.supply * 1e-4 * (0.5 + 40.0 * path) * (0.7 + 0.6 * uniform(&mut rng))).round();
        let offset = i64::try_from(hour).unwrap_or(0) * Timeframe::H1.ms();
        candles.push(Candle {
            open_time_ms: market.start.ms() + offset,
            open,
            high,
            low,
            close,
            volume,
        });
        open = close;
    }
    candles
}

/// A step that is worth about a cent, a power of ten.
fn step_for(price: f64) -> Qty {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to 0..=8 before")]
    let places = (price.log10().floor() + 2.0).clamp(0.0, 8.0) as i64;
    Qty::new(Decimal::new(1, u32::try_from(places).unwrap_or(8)))
}

fn rules(symbol: Symbol, price: f64, min_cost: Decimal) -> (Symbol, MarketRules) {
    let step = step_for(price);
    let rules = MarketRules {
        amount_step: step,
        min_amount: step,
        min_cost,
        ..MarketRules::unlimited(symbol.clone())
    };
    (symbol, rules)
}

/// Generates the whole tape: 1h and 4h candles, daily caps, markets against the stablecoin and some
/// against the two largest assets of each venue.
///
/// # Errors
/// When the parameters lead to a price that is not a price.
pub fn generate(market: &GeneratedMarket) -> Result<Tape, String> {
    let factor = market_factor(market.seed, market.hours * STEPS_PER_HOUR);
    let mut tape = Tape::default();
    let mut markets: BTreeMap<VenueId, Markets> = BTreeMap::new();
    for (index, asset) in market.assets.iter().enumerate() {
        let candles = hourly(market, index, &factor);
        let series = CandleSeries::new(Timeframe::H1, &candles)
            .map_err(|error| format!("{}: {error}", asset.ticker))?;
        let coarse = resample(&series, Timeframe::H4)
            .map_err(|error| format!("{}: {error}", asset.ticker))?
            .series;
        let symbol = Symbol::new(asset.ticker.clone(), market.stablecoin.clone());
        let venue = tape.venues.entry(asset.venue.clone()).or_default();
        venue.candles.insert(
            symbol.clone(),
            BTreeMap::from([(Timeframe::H1, Arc::new(series)), (Timeframe::H4, Arc::new(coarse))]),
        );
        let listed = markets.entry(asset.venue.clone()).or_default();
        listed.extend([rules(symbol, asset.price, Decimal::new(5, 0))]);
        let same_venue: Vec<&GeneratedAsset> =
            market.assets[..index].iter().filter(|other| other.venue == asset.venue).collect();
        for (i, quote) in same_venue.iter().take(2).enumerate() {
            if i == 0 || index % 2 == 0 {
                let symbol = Symbol::new(asset.ticker.clone(), quote.ticker.clone());
                let min_cost = Decimal::new(5, 0) / Decimal::new(step_scale(quote.price), 0);
                listed.extend([rules(symbol, asset.price, min_cost)]);
            }
        }
        tape.caps.insert(asset.ticker.clone(), daily_caps(asset, &candles));
    }
    for (venue, listed) in markets {
        tape.venues.entry(venue).or_insert_with(VenueTape::default).markets = Arc::new(listed);
    }
    Ok(tape)
}

/// The price as a whole number of the stablecoin, at least 1.
fn step_scale(price: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "generated prices are far below 2^63")]
    let whole = price.max(1.0) as i64;
    whole
}

/// A snapshot at each midnight: supply times the last close.
fn daily_caps(asset: &GeneratedAsset, candles: &[Candle]) -> Vec<CapPoint> {
    candles
        .iter()
        .filter_map(|candle| {
            let closed = Timestamp::from_ms(candle.open_time_ms + Timeframe::H1.ms());
            let midnight = Timeframe::D1.floor(closed) == closed;
            midnight.then_some(CapPoint { cap_usd: asset.supply * candle.close, as_of: closed })
        })
        .collect()
}
