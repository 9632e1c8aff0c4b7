//! The loop: wait, run a cycle, report. What it waits for is plugged in.

use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::policy::Policy;
use keel_core::ports::{Broker, Clock, MarketData, Store, StoreError};
use keel_core::record::CycleRecord;
use keel_core::state::State;

/// Decides when the next cycle starts.
pub trait Pace {
    /// Waits for the next cycle; `None` ends the loop.
    fn next(&mut self) -> impl Future<Output = Option<CycleOptions>>;
}

/// Gets finished cycles. It cannot change them, and its failures do not stop trading.
pub trait Observer {
    /// A cycle ended; `state` is what it left.
    fn finished(&mut self, record: &CycleRecord, state: &State);
}

/// Runs cycles until the pace says stop. Returns how many were run.
///
/// # Errors
/// When the journal cannot be written: the only thing that stops the loop.
pub async fn run<C: Clock, M: MarketData, B: Broker, S: Store>(
    world: &mut World<'_, C, M, B, S>,
    policy: &Policy,
    state: &mut State,
    pace: &mut impl Pace,
    observer: &mut impl Observer,
) -> Result<u64, StoreError> {
    let mut cycles = 0;
    while let Some(options) = pace.next().await {
        let record = run_cycle(world, policy, state, &options).await?;
        observer.finished(&record, state);
        cycles += 1;
    }
    Ok(cycles)
}
