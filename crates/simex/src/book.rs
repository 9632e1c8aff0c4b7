//! The order book of a market: generated around the price, the same for readers and for fills.

use crate::rules::{MarketRules, round_down, round_up};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::{Deserialize, Serialize};

/// How wide and how deep books are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookShape {
    /// Distance between best bid and best ask, in basis points of the price.
    pub spread_bps: f64,
    /// Distance between levels, in basis points of the price.
    pub level_bps: f64,
    /// Levels on each side; 0 is an empty book.
    pub levels: usize,
    /// Value of each level in dollars.
    pub level_usd: f64,
}

impl Default for BookShape {
    fn default() -> Self {
        Self { spread_bps: 2.0, level_bps: 1.0, levels: 100, level_usd: 20_000.0 }
    }
}

/// Price and amount of a level.
pub type Level = (Decimal, Decimal);

/// Open orders of others, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Highest first.
    pub bids: Vec<Level>,
    /// Lowest first.
    pub asks: Vec<Level>,
}

/// The book around `rate` (quote per base); `quote_usd` is the price of the quote in dollars.
#[must_use]
pub fn book(rules: &MarketRules, shape: BookShape, rate: f64, quote_usd: f64) -> Book {
    let mut book = Book::default();
    for level in 0..shape.levels {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred levels")]
        let away = (shape.spread_bps / 2.0 + shape.level_bps * level as f64) / 10_000.0;
        let amount = Decimal::from_f64(shape.level_usd / quote_usd / rate)
            .map(|amount| round_down(amount, rules.step))
            .filter(|amount| !amount.is_zero())
            .unwrap_or(rules.step);
        let bid = Decimal::from_f64(rate * (1.0 - away)).map(|p| round_down(p, rules.tick));
        let ask = Decimal::from_f64(rate * (1.0 + away)).map(|p| round_up(p, rules.tick));
        push(&mut book.bids, bid, amount);
        push(&mut book.asks, ask, amount);
    }
    // On a coarse grid both sides can meet on one tick: the ask gives way.
    if let (Some(bid), Some(ask)) = (book.bids.first(), book.asks.first())
        && ask.0 <= bid.0
    {
        let shift = bid.0 + rules.tick - ask.0;
        for level in &mut book.asks {
            level.0 += shift;
        }
    }
    book
}

/// Adds a level; amounts at one price are one level.
fn push(side: &mut Vec<Level>, price: Option<Decimal>, amount: Decimal) {
    let Some(price) = price.filter(|price| !price.is_zero()) else { return };
    match side.last_mut() {
        Some(last) if last.0 == price => last.1 += amount,
        _ => side.push((price, amount)),
    }
}
