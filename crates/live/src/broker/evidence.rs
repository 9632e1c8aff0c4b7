//! What is known about an order whose outcome is unknown, and about those that are settled.

use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::order::{Intent, Outcome, Side};
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Waits between look-ups; the last one repeats.
const SCHEDULE_MS: [i64; 6] = [1000, 2000, 5000, 10_000, 30_000, 60_000];
/// Two look-ups count as two only when they are this far apart.
pub(super) const SPACING_MS: i64 = 5000;

/// Amounts of both assets of a market just before an order, free and locked together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// What the venue's answer and the fills since then say.
    pub(super) totals: BTreeMap<Ticker, Decimal>,
    /// What all our fills had ever moved at that venue by then.
    pub(super) booked: BTreeMap<Ticker, Decimal>,
}

/// How often look-ups found the same: those that are too close together are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spaced {
    pub(super) count: u32,
    last_ms: Option<i64>,
}

impl Spaced {
    /// At a moment of the time that really passes.
    pub(super) fn add(&mut self, now_ms: i64) {
        if self.last_ms.is_none_or(|last_ms| now_ms - last_ms >= SPACING_MS) {
            self.count = self.count.saturating_add(1);
            self.last_ms = Some(now_ms);
        }
    }
}

/// An order that was sent and whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// The latest moment at which it can have left.
    pub(super) sent_at: Timestamp,
    /// How far the venue's clock was ahead of ours when it was sent, milliseconds.
    #[serde(default)]
    pub(super) offset_ms: i64,
    /// Made from the journal by a later process: how the clocks stood when it was sent is not known.
    #[serde(default)]
    pub(super) is_rebuilt: bool,
    /// From where the time until the fence is counted; no step of the clock shortens it. After a
    /// restart it is counted from the start.
    #[serde(skip)]
    pub(super) counted_from_ms: i64,
    /// Balances before it, if they were read.
    pub(super) before: Option<Before>,
    /// The venue's name for it, once known.
    pub(super) venue_order_id: Option<String>,
    /// The venue has shown that it exists; it can never be called absent again.
    pub(super) exists: bool,
    /// Only the operator can decide.
    pub(super) quarantine: Option<String>,
    /// The operator looked: what may be it, or cannot be asked, does not count, and what is shown under
    /// its id counts as it is shown.
    #[serde(default)]
    pub(super) is_released: bool,
    /// Look-ups so far. In memory only: after a restart the count starts anew.
    #[serde(skip)]
    pub(super) look_ups: usize,
    /// Look-ups by id that found nothing.
    #[serde(skip)]
    pub(super) absent: Spaced,
    /// Look-ups that found what contradicts itself.
    #[serde(skip)]
    pub(super) unclear: Spaced,
    /// Orders of the venue that were asked about one by one and are others.
    #[serde(skip)]
    pub(super) others: BTreeSet<String>,
    /// What the last look-up found.
    #[serde(skip)]
    pub(super) cause: String,
    /// No look-up before this moment, in time that really passes.
    #[serde(skip)]
    pub(super) next_ms: i64,
    /// The same by the clock, to be told.
    #[serde(skip)]
    pub(super) next_at: Timestamp,
}

impl Pending {
    pub(super) fn new(sent_at: Timestamp, offset_ms: i64, counted_from_ms: i64) -> Self {
        Self {
            sent_at,
            offset_ms,
            is_rebuilt: false,
            counted_from_ms,
            before: None,
            venue_order_id: None,
            exists: false,
            quarantine: None,
            is_released: false,
            look_ups: 0,
            absent: Spaced::default(),
            unclear: Spaced::default(),
            others: BTreeSet::new(),
            cause: "it was sent and no answer was read".to_owned(),
            next_ms: counted_from_ms,
            next_at: sent_at,
        }
    }

    /// The same order after the operator looked: evidence is collected from the start.
    pub(super) fn released(&self, counted_from_ms: i64) -> Self {
        let (is_rebuilt, is_released) = (self.is_rebuilt, true);
        let new = Self::new(self.sent_at, self.offset_ms, counted_from_ms);
        Self { is_rebuilt, is_released, ..new }
    }

    /// Notes that it left, at the latest now.
    pub(super) fn left(&mut self, now: Timestamp, now_ms: i64) {
        self.sent_at = now;
        self.counted_from_ms = now_ms;
        self.wait(SCHEDULE_MS[0], now, now_ms);
    }

    /// Notes that a look-up begins and when the next one may.
    pub(super) fn begin_look_up(&mut self, now: Timestamp, now_ms: i64) {
        let wait_ms = SCHEDULE_MS[self.look_ups.min(SCHEDULE_MS.len() - 1)];
        self.look_ups = self.look_ups.saturating_add(1);
        self.wait(wait_ms, now, now_ms);
    }

    fn wait(&mut self, ms: i64, now: Timestamp, now_ms: i64) {
        self.next_at = now.plus_ms(ms);
        self.next_ms = now_ms.saturating_add(ms);
    }

    /// Notes that the order was seen under that name.
    pub(super) fn seen(&mut self, venue_order_id: &str) {
        self.exists = true;
        self.absent.count = 0;
        if !venue_order_id.is_empty() {
            self.venue_order_id = Some(venue_order_id.to_owned());
        }
    }
}

/// An order whose outcome is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settled {
    pub(super) venue: VenueId,
    pub(super) symbol: Symbol,
    /// Not known of those that an earlier version settled.
    #[serde(default)]
    pub(super) side: Option<Side>,
    /// The word for its outcome.
    pub(super) outcome: String,
    /// Since when, by the venue's clock, which a step of ours does not age.
    pub(super) at: Timestamp,
    /// The venue's names of its executions.
    pub(super) trades: BTreeSet<String>,
}

impl Settled {
    pub(super) fn new(intent: &Intent, outcome: &Outcome, at: Timestamp) -> Self {
        Self {
            venue: intent.order.venue.clone(),
            symbol: intent.order.symbol.clone(),
            side: Some(intent.order.side),
            outcome: outcome.name().to_owned(),
            at,
            trades: outcome.fills().iter().map(|fill| fill.trade_id.clone()).collect(),
        }
    }

    pub(super) fn was_rejected(&self) -> bool {
        self.outcome == "rejected"
    }
}
