//! What the broker itself must find again after a restart.

use super::LiveBroker;
use super::books::Account;
use super::evidence::{Pending, Settled};
use super::place::quarantined;
use super::reconcile::Marks;
use keel_core::asset::VenueId;
use keel_core::order::ClientOrderId;
use keel_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const VERSION: u32 = 1;
/// Settled orders are kept this long.
const KEEP_MS: i64 = 86_400_000;

/// A checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is not what this program writes.
    #[error("the broker's checkpoint in the journal cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Another version of the program wrote it.
    #[error("the broker's checkpoint has version {0}, expected {VERSION}")]
    Version(u32),
}

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    version: u32,
    halted: BTreeMap<VenueId, String>,
    #[serde(default)]
    resumed_at: BTreeMap<VenueId, Timestamp>,
    accounts: BTreeMap<VenueId, Account>,
    pending: BTreeMap<ClientOrderId, Pending>,
    settled: BTreeMap<ClientOrderId, Settled>,
    marks: Marks,
}

impl LiveBroker {
    pub(super) fn write_checkpoint(&self) -> Option<String> {
        serde_json::to_string(&Checkpoint {
            version: VERSION,
            halted: self.halted.clone(),
            resumed_at: self.resumed_at.clone(),
            accounts: self.books().accounts.clone(),
            pending: self.pending.clone(),
            settled: self.settled.clone(),
            marks: self.watch.marks.clone(),
        })
        .ok()
    }

    pub(super) fn restore(&mut self, text: &str) -> Result<(), CheckpointError> {
        let found: Checkpoint = serde_json::from_str(text)?;
        if found.version != VERSION {
            return Err(CheckpointError::Version(found.version));
        }
        self.halted = found.halted;
        self.resumed_at = found.resumed_at;
        self.books().accounts = found.accounts;
        self.pending = found.pending;
        let counted_from_ms = self.time.monotonic_ms();
        for pending in self.pending.values_mut() {
            pending.counted_from_ms = counted_from_ms;
        }
        self.notes.extend(self.pending.iter().filter_map(|(id, pending)| {
            pending.quarantine.as_ref().map(|cause| quarantined(id, cause))
        }));
        self.settled = found.settled;
        for (venue, marks) in &found.marks {
            self.watch(venue, marks.keys().cloned());
        }
        self.watch.marks = found.marks;
        Ok(())
    }

    /// Drops what is too old to matter at a venue that was just compared with it.
    pub(super) fn forget_old(&mut self, venue: &VenueId) {
        let now = self.venue_now(venue);
        self.settled
            .retain(|_, settled| settled.venue != *venue || now.since_ms(settled.at) < KEEP_MS);
    }
}
