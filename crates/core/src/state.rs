//! What lives from one cycle to the next.

use crate::amount::{Money, Price, Qty};
use crate::asset::{Ticker, VenueId};
use crate::limits::DayUse;
use crate::order::Intent;
use crate::signal::Signal;
use crate::time::{Timeframe, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Amounts of one asset at one venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Can be traded now.
    pub free: Qty,
    /// Locked in orders, staking or lending.
    pub used: Qty,
}

/// A signal and when it was computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalState {
    /// `floor(now / interval)` of the last computation.
    pub bucket: Option<i64>,
    /// At the newest closed bar.
    pub prev_1: Signal,
    /// At the bar before.
    pub prev_2: Signal,
    /// When the newest bar it was computed on, or found to be too old for, closed; `None` while it
    /// was never computed.
    pub candle_closed_at: Option<Timestamp>,
}

/// What is remembered about one asset. Balances are here to explain, and to value holdings while a
/// venue cannot be read; they are never traded on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssetState {
    /// Last known price in the primary stablecoin.
    pub price: Option<Price>,
    /// When that price was made.
    pub price_as_of: Option<Timestamp>,
    /// A price that was not believed when it was read.
    #[serde(default)]
    pub doubted_price: Option<Price>,
    /// When it was not believed.
    #[serde(default)]
    pub doubted_at: Option<Timestamp>,
    /// Last known market cap in USD.
    pub market_cap: Option<f64>,
    /// When that cap was made.
    pub market_cap_as_of: Option<Timestamp>,
    /// Position signal.
    pub position: SignalState,
    /// Trend signal.
    pub trend: SignalState,
    /// Since when its candles of a length could not be read for the trends. A restart counts anew:
    /// nobody asked while Keel was down.
    #[serde(skip)]
    pub candles_unread_since: BTreeMap<Timeframe, Timestamp>,
    /// Last known balance.
    pub balance: Balance,
    /// It was never read; zero stands for unknown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub balance_unread: bool,
    /// Share of all caps at the last distribution.
    pub dominance: f64,
    /// `free * price` after the last cycle.
    pub value: Money,
    /// Weight at the last distribution.
    pub ratio: Decimal,
    /// Target at the last distribution.
    pub target: Money,
    /// `target - value` at the last distribution.
    pub change: Money,
    /// The last distribution included this asset.
    pub done: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// The longest pause before a distribution that only makes up for something.
const PAUSE_MAX_MS: i64 = 64 * 60_000;

/// What a later cycle comes back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// An order for it failed since the last signal.
    pub failed: bool,
    /// How many distributions in a row were made for nothing.
    pub tries: u32,
    /// When the next one may be made for this asset alone.
    pub not_before: Timestamp,
}

impl Unfinished {
    /// After one more distribution that brought nothing: at once the first time, then at pauses that
    /// double. Each distribution looks at all assets, and would trade the others on every tick.
    #[must_use]
    pub fn again(self, now: Timestamp) -> Self {
        let pause_ms = match self.tries {
            0 => 0,
            tries => (60_000_i64 << (tries - 1).min(6)).min(PAUSE_MAX_MS),
        };
        Self { tries: self.tries.saturating_add(1), not_before: now.plus_ms(pause_ms), ..self }
    }

    /// Whether its pause is over. A clock that was set back does not make it longer.
    #[must_use]
    pub const fn is_due(self, now: Timestamp) -> bool {
        let wait_ms = self.not_before.since_ms(now);
        wait_ms <= 0 || wait_ms > PAUSE_MAX_MS
    }
}

/// What lives from one cycle to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Number of the last finished cycle; 0 before the first.
    pub cycle: u64,
    /// When it started.
    pub cycle_at: Option<Timestamp>,
    /// Per tradable asset.
    pub assets: BTreeMap<Ticker, AssetState>,
    /// The primary stablecoin at each venue.
    pub stablecoin: BTreeMap<VenueId, Balance>,
    /// The primary stablecoin's own weight, target and change at the last distribution.
    pub parking: AssetState,
    /// Free stablecoin, all venues, after the last distribution.
    pub stablecoin_at_distribution: Option<Money>,
    /// Assets that the last distribution left alone or did not bring all the way, for a reason that
    /// passes. Empty in most states.
    #[serde(default, rename = "undone", skip_serializing_if = "BTreeMap::is_empty")]
    pub unfinished: BTreeMap<Ticker, Unfinished>,
    /// What was used of the daily limits.
    #[serde(default)]
    pub day: DayUse,
    /// The primary stablecoin in dollars, as its own market last said.
    #[serde(default)]
    pub peg: Option<Price>,
    /// When that price was made.
    #[serde(default)]
    pub peg_as_of: Option<Timestamp>,
    /// No market tells what it is worth; the operator knows.
    #[serde(default)]
    pub peg_unwatched: bool,
    /// Orders whose outcome is unknown. The journal is their record; this is filled from it.
    #[serde(skip)]
    pub unresolved: Vec<Intent>,
}

impl State {
    /// Free stablecoin over all venues.
    #[must_use]
    pub fn stablecoin_free(&self) -> Money {
        self.stablecoin.values().map(|balance| Money::new(balance.free.get())).sum()
    }

    /// Value of everything, at the last known prices and balances.
    #[must_use]
    pub fn total(&self) -> Money {
        let assets = self.assets.values().map(|asset| {
            asset.price.and_then(|price| asset.balance.free.value_at(price)).unwrap_or_default()
        });
        self.stablecoin_free() + assets.sum()
    }
}
