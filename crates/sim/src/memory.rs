//! A journal in memory: what tests and backtests read afterwards.

use keel_core::order::{ClientOrderId, Intent, Outcome};
use keel_core::ports::{Store, StoreError};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_core::time::Timestamp;

/// Everything that was written, in order.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// Intents, as they were written before sending.
    pub intents: Vec<Intent>,
    /// Outcomes, by the order's name.
    pub outcomes: Vec<(ClientOrderId, Outcome)>,
    /// Finished cycles.
    pub cycles: Vec<CycleRecord>,
}

impl Store for MemoryStore {
    fn write_intents(&mut self, intents: &[Intent]) -> Result<(), StoreError> {
        self.intents.extend_from_slice(intents);
        Ok(())
    }

    fn write_outcome(
        &mut self,
        id: &ClientOrderId,
        outcome: &Outcome,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        self.outcomes.push((id.clone(), outcome.clone()));
        Ok(())
    }

    fn write_checkpoint(
        &mut self,
        _checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(
        &mut self,
        record: &CycleRecord,
        _state: &State,
        _checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        self.cycles.push(record.clone());
        Ok(())
    }
}
