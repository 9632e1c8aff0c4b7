//! A store that turns every finished cycle into a part of a story.

use crate::story::Story;
use keel_core::order::{ClientOrderId, Intent, Outcome};
use keel_core::ports::{Store, StoreError};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_core::time::Timestamp;

/// Records a run for its report, and hands everything on to a journal if there is one.
#[derive(Debug)]
pub struct Recorder<'s, S> {
    /// What was recorded so far.
    pub story: Story,
    journal: Option<&'s mut S>,
    /// Cycles of the story before this part of it.
    earlier: u64,
}

impl<'s, S: Store> Recorder<'s, S> {
    /// Continues `story`; its cycles go on being numbered where they stand.
    pub fn new(story: Story, journal: Option<&'s mut S>) -> Self {
        let earlier = story.cycles.last().map_or(0, |cycle| cycle.number);
        Self { story, journal, earlier }
    }
}

impl<S: Store> Store for Recorder<'_, S> {
    fn write_intents(&mut self, intents: &[Intent]) -> Result<(), StoreError> {
        self.journal.as_mut().map_or(Ok(()), |journal| journal.write_intents(intents))
    }

    fn write_outcome(
        &mut self,
        id: &ClientOrderId,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.journal.as_mut().map_or(Ok(()), |journal| journal.write_outcome(id, outcome, at))
    }

    fn write_checkpoint(
        &mut self,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        self.journal.as_mut().map_or(Ok(()), |journal| journal.write_checkpoint(checkpoint))
    }

    fn commit(
        &mut self,
        record: &CycleRecord,
        state: &State,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        self.story.push(record, self.earlier);
        self.journal.as_mut().map_or(Ok(()), |journal| journal.commit(record, state, checkpoint))
    }
}
