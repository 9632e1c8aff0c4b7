//! The record of a cycle: what the journal keeps and reports are made from.

use crate::amount::Money;
use crate::decision::DecisionRecord;
use crate::order::{Intent, Outcome};
use crate::time::Timestamp;

/// Why a cycle distributed, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The first cycle after a start.
    Start,
    /// The operator asked.
    Requested,
    /// At least one signal was computed again.
    Signals,
    /// What kept the last distribution from an asset is gone.
    Unfinished,
    /// The free stablecoin changed by more than the minimum order since the last distribution.
    Funds,
    /// Nothing asked for a distribution.
    None,
}

impl Trigger {
    /// The word in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Requested => "requested",
            Self::Signals => "signals",
            Self::Unfinished => "unfinished",
            Self::Funds => "funds",
            Self::None => "none",
        }
    }
}

/// An order that was sent, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// What was meant.
    pub intent: Intent,
    /// What happened.
    pub outcome: Outcome,
}

/// One cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleRecord {
    /// Its number, from 1.
    pub cycle: u64,
    /// When it started.
    pub at: Timestamp,
    /// Why it distributed, or did not.
    pub trigger: Trigger,
    /// Value of everything that can be distributed, before the orders.
    pub total_before: Money,
    /// The same after the orders, at the same prices.
    pub total_after: Money,
    /// Free stablecoin after the orders.
    pub stablecoin_after: Money,
    /// Exactly one per asset: the primary stablecoin first, then in the order of the configuration.
    pub decisions: Vec<DecisionRecord>,
    /// Orders in the order they were sent.
    pub executions: Vec<Execution>,
    /// Orders of earlier cycles whose outcome was unknown until now.
    pub settled: Vec<Execution>,
    /// What the operator should know: stale caps, unexplained balances, refusals of the guard.
    pub notes: Vec<String>,
}
