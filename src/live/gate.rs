//! The last door before a venue: closed while the operator pauses, while the daemon stops, and for
//! cycles that took too long.

use super::controls::Controls;
use keel_core::asset::{Ticker, VenueId};
use keel_core::order::{Intent, Outcome};
use keel_core::ports::{Broker, PortError};
use keel_core::state::Balance;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A decision older than this is not carried out: the machine was asleep, or the venues were slow.
const DECISION_AGE_MAX: Duration = Duration::from_secs(300);

/// A broker behind the door.
#[derive(Debug)]
pub struct Gate<B> {
    broker: B,
    controls: Arc<Controls>,
    begun: Option<(Instant, SystemTime)>,
}

impl<B> Gate<B> {
    /// Puts the door before `broker`.
    pub const fn new(broker: B, controls: Arc<Controls>) -> Self {
        Self { broker, controls, begun: None }
    }

    /// A cycle begins now.
    pub fn begin(&mut self) {
        self.begun = Some((Instant::now(), SystemTime::now()));
    }

    /// What is behind it.
    pub const fn broker(&mut self) -> &mut B {
        &mut self.broker
    }

    /// Why nothing may pass, if nothing may.
    fn shut(&self) -> Option<String> {
        if self.controls.is_stopping() {
            return Some("Keel is stopping".to_owned());
        }
        if let Some(why) = self.controls.held() {
            return Some(why);
        }
        if self.controls.is_paused() {
            return Some("trading is paused by the operator".to_owned());
        }
        // One clock stands still while a machine sleeps, the other may be set: either counts.
        let too_old = self.begun.is_some_and(|(instant, time)| {
            instant.elapsed() > DECISION_AGE_MAX
                || time.elapsed().map_or(true, |age| age > DECISION_AGE_MAX)
        });
        too_old.then(|| "the decision is older than 5 minutes".to_owned())
    }
}

impl<B: Broker> Broker for Gate<B> {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        self.broker.balances(venue).await
    }

    fn closed(&self, venue: &VenueId) -> Option<String> {
        self.shut().or_else(|| self.broker.closed(venue))
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        match self.shut() {
            Some(cause) => Outcome::Rejected { reason: format!("not sent: {cause}") },
            None => self.broker.place(intent).await,
        }
    }

    async fn look_up(&mut self, intent: &Intent) -> Outcome {
        self.broker.look_up(intent).await
    }

    fn checkpoint(&self) -> Option<String> {
        self.broker.checkpoint()
    }
}
