//! The journal: one SQLite file that holds every intent, outcome and decision, chained by digests.
//!
//! A cycle's rows are covered by a digest that also covers the cycle before, so that a changed,
//! missing or foreign row is found when the journal is opened. Cycles of the past in which nothing
//! happened are folded.

mod chain;
mod fold;
mod open;
mod read;
mod write;

pub use fold::Folded;
pub use open::{JournalError, Mode, NewJournal};
pub use read::{BookedFill, CycleRow, DecisionRow, FillRow, Reader, TradeRow};

use keel_core::order::{Intent, Outcome};
use keel_core::state::State;
use rusqlite::Connection;
use std::path::PathBuf;

/// When what is written becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every write at once: the outside world acts on it.
    EachWrite,
    /// This many cycles together, with the paper account they changed: a crash goes back to the last
    /// group, and the tape is played again from there.
    Groups {
        /// Cycles in a group.
        cycles: u32,
    },
}

/// An open journal. The only writer of its file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    deployment: String,
    connection: Connection,
    durability: Durability,
    chain: chain::Chain,
    last_cycle: u64,
    /// Where folding stands, in a run that has no end.
    scan: Option<fold::Scan>,
    cycles_in_group: u32,
    in_transaction: bool,
    /// The last field: held until the connection is closed.
    _lock: open::Lock,
}

/// What a journal says about where it stands.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The state after the last committed cycle, with the unresolved orders.
    pub state: State,
    /// The broker's checkpoint.
    pub broker: Option<String>,
    /// Orders whose outcome became known after that cycle.
    pub settled: Vec<(Intent, Outcome)>,
}
