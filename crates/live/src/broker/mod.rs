//! Orders on real venues: each is sent once, and what became of it is proven, never guessed.
//!
//! `docs/orders.md` tells the story for an operator.

mod balances;
mod books;
mod checkpoint;
mod evidence;
mod look_up;
mod matching;
mod place;
mod reconcile;

pub use checkpoint::CheckpointError;
pub use reconcile::Reconciliation;

use crate::Venues;
use crate::time::Time;
use books::Books;
use evidence::Pending;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::order::{AccountTag, ClientOrderId, Fill, Intent, Outcome};
use keel_core::ports::{Broker, PortError};
use keel_core::state::Balance;
use keel_core::time::Timestamp;
use keel_venues::api::ExchangeApi;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// No further reason is added to a halt whose reasons are longer than this.
const REASONS_LENGTH_MAX: usize = 1000;

/// Balances and orders of real accounts.
pub struct LiveBroker {
    venues: Venues,
    time: Arc<dyn Time>,
    /// What every order of ours begins with, by account.
    tags: BTreeMap<VenueId, AccountTag>,
    started_at: Timestamp,
    /// Markets that are watched for late fills and foreign orders.
    markets: BTreeMap<VenueId, BTreeSet<Symbol>>,
    /// What the accounts held and what our fills moved. Behind a lock, because reading balances
    /// does not need the broker to itself.
    books: Mutex<Books>,
    /// Orders that were sent and whose outcome is not known.
    pending: BTreeMap<ClientOrderId, Pending>,
    /// Orders of the last day whose outcome is known, with their executions.
    settled: BTreeMap<ClientOrderId, evidence::Settled>,
    watch: reconcile::Watch,
    halted: BTreeMap<VenueId, String>,
    /// When the operator last let a venue trade again: what was there by then is known to them.
    resumed_at: BTreeMap<VenueId, Timestamp>,
    /// Venues that refused an order for its market or its amount.
    doubted: BTreeSet<VenueId>,
    /// Executions that came after their order was settled.
    late: Vec<(ClientOrderId, Fill)>,
    notes: Vec<String>,
}

impl LiveBroker {
    /// A broker for the accounts behind `venues`, whose orders begin with `tags`. `checkpoint` is what
    /// [`Broker::checkpoint`] gave before the restart.
    ///
    /// # Errors
    /// When the checkpoint cannot be read: without it a halt would be forgotten.
    pub fn new(
        venues: Venues,
        time: Arc<dyn Time>,
        tags: BTreeMap<VenueId, AccountTag>,
        checkpoint: Option<&str>,
    ) -> Result<Self, CheckpointError> {
        let started_at = time.now();
        let mut broker = Self {
            venues,
            time,
            tags,
            started_at,
            markets: BTreeMap::new(),
            books: Mutex::new(Books::default()),
            pending: BTreeMap::new(),
            settled: BTreeMap::new(),
            watch: reconcile::Watch::default(),
            halted: BTreeMap::new(),
            resumed_at: BTreeMap::new(),
            doubted: BTreeSet::new(),
            late: Vec::new(),
            notes: Vec::new(),
        };
        if let Some(text) = checkpoint {
            broker.restore(text)?;
        }
        Ok(broker)
    }

    /// Adds markets that are watched for late fills and foreign orders. Markets of own orders are
    /// added by themselves.
    pub fn watch(&mut self, venue: &VenueId, symbols: impl IntoIterator<Item = Symbol>) {
        self.markets.entry(venue.clone()).or_default().extend(symbols);
    }

    /// Venues at which nothing is sent until the operator says otherwise, and why.
    #[must_use]
    pub const fn halted(&self) -> &BTreeMap<VenueId, String> {
        &self.halted
    }

    /// The operator looked and wants to go on at that venue. Says whether it was halted.
    pub fn resume(&mut self, venue: &VenueId) -> bool {
        let was = self.halted.remove(venue).is_some();
        if was {
            self.resumed_at.insert(venue.clone(), self.time.now());
        }
        was
    }

    /// Orders that only the operator can decide, and why.
    pub fn quarantined(&self) -> impl Iterator<Item = (&ClientOrderId, &str)> {
        self.pending.iter().filter_map(|(id, pending)| Some((id, pending.quarantine.as_deref()?)))
    }

    /// The operator looked: the evidence for that order is collected again from the start, without
    /// the balances from before it, and what the venue shows then counts as it is shown. Says whether
    /// the order is one whose outcome is not known.
    pub fn release(&mut self, id: &ClientOrderId) -> bool {
        let counted_from_ms = self.time.monotonic_ms();
        let known = self.pending.get_mut(id);
        known.map(|pending| *pending = pending.released(counted_from_ms)).is_some()
    }

    /// Tells the broker of an outcome that the journal holds, so that executions that come after it
    /// are recognised as late. Only needed for the time after the last checkpoint.
    pub fn remember(&mut self, intent: &Intent, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Unknown { .. }) && !self.settled.contains_key(&intent.id) {
            let settled =
                evidence::Settled::new(intent, outcome, self.venue_now(&intent.order.venue));
            self.settled.insert(intent.id.clone(), settled);
        }
    }

    /// What the operator should know since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.append(&mut self.books().notes);
        notes
    }

    /// Executions that were found since the last call although the outcome of their orders was known:
    /// the journal does not have them yet.
    pub fn take_late(&mut self) -> Vec<(ClientOrderId, Fill)> {
        std::mem::take(&mut self.late)
    }

    /// Venues that refused an order for its market or its amount since the last call: what is known of
    /// their markets may be outdated.
    pub fn take_doubted(&mut self) -> BTreeSet<VenueId> {
        std::mem::take(&mut self.doubted)
    }

    fn api(&self, venue: &VenueId) -> Result<Arc<dyn ExchangeApi>, PortError> {
        self.venues
            .get(venue)
            .cloned()
            .ok_or_else(|| PortError(format!("there is no connection to {venue}")))
    }

    /// How far a venue's clock was ahead of ours at the last comparison, milliseconds.
    fn offset_ms(&self, venue: &VenueId) -> i64 {
        self.watch.offset_ms(venue)
    }

    /// The present by a venue's clock, as it was at the last comparison.
    fn venue_now(&self, venue: &VenueId) -> Timestamp {
        self.time.now().plus_ms(self.offset_ms(venue))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn halt(&mut self, venue: &VenueId, reason: String) {
        self.notes.push(format!("trading at {venue} is halted: {reason}"));
        self.add_reason(venue, &reason);
    }

    /// Whoever resumes must know of all reasons, not of the first one alone.
    fn add_reason(&mut self, venue: &VenueId, reason: &str) {
        let known = self.halted.entry(venue.clone()).or_default();
        if known.is_empty() {
            reason.clone_into(known);
        } else if !known.contains(reason) && known.len() < REASONS_LENGTH_MAX {
            known.push_str("; ");
            known.push_str(reason);
        }
    }
}

impl std::fmt::Debug for LiveBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveBroker")
            .field("venues", &self.venues.keys().collect::<Vec<_>>())
            .field("pending", &self.pending)
            .field("halted", &self.halted)
            .finish_non_exhaustive()
    }
}

impl Broker for LiveBroker {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        self.read_balances(venue).await
    }

    fn closed(&self, venue: &VenueId) -> Option<String> {
        self.shut(venue)
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        self.send(intent).await
    }

    async fn look_up(&mut self, intent: &Intent) -> Outcome {
        self.look_up_when_due(intent).await
    }

    fn checkpoint(&self) -> Option<String> {
        self.write_checkpoint()
    }
}
