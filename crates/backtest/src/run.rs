//! What a backtest leaves behind: the curve, the holdings, the trades and what was said about them.

use crate::statistics::Statistics;
use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::order::{OrderKind, Side};
use keel_core::signal::Signal;
use keel_core::time::Timestamp;
use keel_sim::models::CostModels;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One finished run of a portfolio over a tape. Every series has one entry per cycle.
///
/// Money of trades is exact; everything that is only looked at is `f64` or `f32`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What the run is called in reports.
    pub title: String,
    /// Names the settings that decided what the run did.
    pub config_fingerprint: String,
    /// Names the candles and caps by their content.
    pub data_fingerprint: String,
    /// What everything is valued in.
    pub stablecoin: Ticker,
    /// The tradable assets, in the order of the configuration.
    pub tickers: Vec<Ticker>,
    /// What the account was worth before the first cycle.
    pub capital: Money,
    /// What a trade cost in this run.
    pub costs: CostModels,
    /// When each cycle ran.
    pub moments: Vec<Timestamp>,
    /// Value of everything after each cycle.
    pub equity: Vec<f64>,
    /// Deposits and withdrawals, in order; each is part of the equity of the first cycle at or after
    /// its moment.
    pub flows: Vec<Flow>,
    /// Share of the stablecoin in the equity after each cycle, 0..=1.
    pub stable_share: Vec<f32>,
    /// Share of each asset in the equity after each cycle, 0..=1.
    pub weights: BTreeMap<Ticker, Vec<f32>>,
    /// The weight each asset should have had, as of the last distribution.
    pub targets: BTreeMap<Ticker, Vec<f32>>,
    /// Price of each asset at each cycle; 0 before the first is known.
    pub prices: BTreeMap<Ticker, Vec<f64>>,
    /// The signals of each asset, one entry for each change.
    pub signals: BTreeMap<Ticker, Vec<SignalChange>>,
    /// Every order that was executed at least in part, in order.
    pub trades: Vec<Trade>,
    /// How many cycles ended with each reason, by asset and by the reason's code.
    pub reasons: BTreeMap<Ticker, BTreeMap<String, u64>>,
    /// Orders that were refused or filled in part, in order.
    pub unfilled: Vec<Unfilled>,
    /// What the run did about data that was missing, short, doubled or odd: one sentence each.
    pub data_notes: Vec<String>,
    /// What the same money would have done otherwise, after the same costs.
    pub benchmarks: Vec<Benchmark>,
    /// Figures over the whole run.
    pub statistics: Statistics,
}

/// Money that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// When it was asked for.
    pub at: Timestamp,
    /// In the stablecoin; negative for a withdrawal.
    pub amount: f64,
}

/// The signals of an asset from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalChange {
    /// The cycle that first saw them.
    pub at: Timestamp,
    /// On the price.
    pub position: Signal,
    /// On the dominance.
    pub trend: Signal,
}

/// Why an asset was bought or sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its price signal is a sell.
    PositionSell,
    /// Its dominance no longer trends up.
    TrendSell,
    /// Its target shrank: others trend now, or it outgrew its weight.
    Shrink,
    /// It was not held, and both signals are a buy.
    Enter,
    /// Its target grew, or it fell behind its weight.
    Grow,
}

impl Why {
    /// The word in exports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PositionSell => "position_sell",
            Self::TrendSell => "trend_sell",
            Self::Shrink => "shrink",
            Self::Enter => "enter",
            Self::Grow => "grow",
        }
    }
}

/// An order that was executed at least in part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// When.
    pub at: Timestamp,
    /// In which cycle, from 1.
    pub cycle: u64,
    /// Where.
    pub venue: VenueId,
    /// The market.
    pub symbol: Symbol,
    /// Buy or sell the base.
    pub side: Side,
    /// Asset against asset, or against the stablecoin.
    pub kind: OrderKind,
    /// What was executed, in base units.
    pub amount: Qty,
    /// What was asked for, in base units.
    pub wanted: Qty,
    /// Mean price of the execution, quote per base.
    pub price: Price,
    /// Price of the market when it was planned, quote per base.
    pub reference_price: Price,
    /// What was executed, in the stablecoin at the planned prices.
    pub value: Money,
    /// Quote units that changed hands.
    pub cost: Decimal,
    /// In which asset the fee was taken.
    pub fee_asset: Ticker,
    /// How much of it.
    pub fee_amount: Qty,
    /// The fee in the stablecoin at the planned prices.
    pub fee_value: Money,
    /// What spread and price impact cost, in the stablecoin; negative when the price was better than
    /// planned.
    pub slippage_value: Money,
    /// `filled` or `partial`.
    pub outcome: String,
    /// What made the cycle distribute: `start`, `signals`, `funds`, `unfinished` or `requested`.
    pub trigger: String,
    /// Why the base was traded.
    pub why: Why,
    /// Why the quote was traded, on a direct market.
    pub why_quote: Option<Why>,
}

/// An order, or a part of one, that was not executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unfilled {
    /// When.
    pub at: Timestamp,
    /// In which cycle.
    pub cycle: u64,
    /// Where.
    pub venue: VenueId,
    /// The market.
    pub symbol: Symbol,
    /// Buy or sell the base.
    pub side: Side,
    /// What was asked for, in base units.
    pub wanted: Qty,
    /// What was executed.
    pub filled: Qty,
    /// What is missing, in the stablecoin at the planned prices.
    pub missing_value: Money,
    /// The venue's words, or what limited the execution.
    pub reason: String,
}

/// What the same money would have done otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// Its name in tables.
    pub name: String,
    /// What it does, in one sentence.
    pub doc: String,
    /// Its value at the moments of the run.
    pub equity: Vec<f64>,
    /// What it paid for fees and spread, in the stablecoin.
    pub fees: f64,
    /// Its figures; those about trades are empty.
    pub statistics: Statistics,
}
