//! Made-up markets; the same seed makes the same market everywhere.

use hyperopt::backtest::{RawMember, Series, Source, series};
use hyperopt::dominance::Align;
use hyperopt::timerange::TimeRange;
use keel_core::candle::Candle;
use keel_core::time::Timeframe;
use std::sync::Arc;

/// Uniform in 0..1, by a linear congruential generator (Knuth's constants).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 42);
        dice.next();
        dice
    }

    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Roughly normal.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

/// A candle per hour from closes, prices rounded to `unit`.
pub(crate) fn candles(seed: u64, closes: &[f64], unit: f64, quiet: f64) -> Vec<Candle> {
    let mut dice = Dice::new(seed ^ 0xABCD);
    // Divided and not multiplied, so that each price is the float nearest to its decimal.
    let per_unit = (1.0 / unit).round();
    let on_unit = |price: f64| (price * per_unit).round().max(1.0) / per_unit;
    let mut open = on_unit(closes[0]);
    closes
        .iter()
        .enumerate()
        .map(|(row, close)| {
            let close = on_unit(*close);
            let wick = (close * 0.004).max(unit);
            let high = on_unit(open.max(close) + wick * dice.next()).max(open.max(close));
            let low = on_unit(open.min(close) - wick * dice.next()).min(open.min(close));
            let volume = if dice.next() < quiet { 0.0 } else { 1.0 + dice.next() };
            let open_time_ms = 1_700_000_000_000 / 3_600_000 * 3_600_000 + row as i64 * 3_600_000;
            let candle = Candle { open_time_ms, open, high, low, close, volume };
            open = close;
            candle
        })
        .collect()
}

fn walk(seed: u64, rows: usize) -> Vec<f64> {
    let mut dice = Dice::new(seed);
    let mut price = 100.0_f64;
    (0..rows)
        .map(|_| {
            price *= (dice.normal() * 0.01).exp();
            price
        })
        .collect()
}

fn load(source: &Source) -> Series {
    series(source, Timeframe::H1, TimeRange::default(), 0).unwrap()
}

/// A random walk.
pub(crate) fn position(seed: u64, rows: usize) -> Series {
    load(&Source::Position(Arc::new(candles(seed, &walk(seed, rows), 0.01, 0.02))))
}

/// A price that never moves.
pub(crate) fn flat(rows: usize) -> Series {
    load(&Source::Position(Arc::new(candles(1, &vec![0.3; rows], 0.1, 0.0))))
}

/// Long flat stretches with jumps of whole units, so that closes meet the bands exactly.
pub(crate) fn stepped(seed: u64, rows: usize) -> Series {
    let mut dice = Dice::new(seed);
    let mut price = 20.0;
    let closes: Vec<f64> = (0..rows)
        .map(|_| {
            if dice.next() < 0.1 {
                price = (price + (dice.next() * 5.0).floor() - 2.0_f64).max(2.0);
            }
            price
        })
        .collect();
    load(&Source::Position(Arc::new(candles(seed, &closes, 1.0, 0.1))))
}

/// Mostly without volume, and a price near the smallest unit.
pub(crate) fn thin(seed: u64, rows: usize) -> Series {
    let closes: Vec<f64> = walk(seed, rows).iter().map(|price| price * 1e-7).collect();
    load(&Source::Position(Arc::new(candles(seed, &closes, 1e-8, 0.7))))
}

/// Three assets of different length.
pub(crate) fn trend(seed: u64, rows: usize) -> Series {
    let members = (0..3_u32)
        .map(|number| {
            let seed = seed * 10 + u64::from(number);
            let rows = rows - 7 * number as usize;
            RawMember {
                ticker: format!("T{number}"),
                market_cap: 1e9 * f64::from(number + 1),
                candles: Arc::new(candles(seed, &walk(seed, rows), 0.001, 0.05)),
            }
        })
        .collect();
    load(&Source::Trend { target: "T1".into(), members, align: Align::Date })
}
