//! The two kinds of accounts of a daemon: real ones, and the paper account on live market data.

use super::connect::Links;
use super::session::Account;
use keel_config::Config;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::order::{Intent, Outcome};
use keel_core::policy::Policy;
use keel_core::ports::{Broker, Clock as _, MarketData, PortError};
use keel_core::state::Balance;
use keel_live::broker::LiveBroker;
use keel_live::time::MachineTime;
use keel_sim::paper::PaperBroker;
use keel_venues::api::{ApiError, KeyRights, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The rights of keys are read again after this time.
const RIGHTS_EVERY: Duration = Duration::from_secs(24 * 3600);
/// A clock that is further off than this is said.
const OFFSET_MS_MAX: i64 = 1000;

/// Accounts with real money, or in test environments.
pub struct RealAccount {
    broker: LiveBroker,
    links: Links,
    config: Config,
    /// When the rights of a venue's key were found to be right.
    verified: BTreeMap<VenueId, Instant>,
    /// Why nothing is done at a venue until its key was looked at.
    refused: BTreeMap<VenueId, String>,
    told: BTreeSet<String>,
}

/// Why a key must not be used, if it must not.
#[must_use]
pub fn objection(rights: &KeyRights) -> Option<String> {
    let names = if rights.names.is_empty() {
        String::new()
    } else {
        format!(" (its rights: {})", rights.names.join(", "))
    };
    if rights.withdraw == Some(true) {
        return Some(format!(
            "the API key can withdraw or transfer funds{names}; expected a key that can only read and trade: remove that right at the exchange"
        ));
    }
    if rights.trade == Some(false) {
        return Some(format!(
            "the API key cannot trade{names}; expected a key that can read and trade spot"
        ));
    }
    if rights.read == Some(false) {
        return Some(format!("the API key cannot read balances{names}"));
    }
    None
}

impl RealAccount {
    /// Accounts behind `links`.
    #[must_use]
    pub fn new(broker: LiveBroker, links: Links, config: &Config) -> Self {
        let unread = "the rights of its API key were not read yet".to_owned();
        Self {
            broker,
            refused: links.iter().map(|(id, _)| (id.clone(), unread.clone())).collect(),
            links,
            config: config.clone(),
            verified: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// The order protocol.
    pub const fn broker(&mut self) -> &mut LiveBroker {
        &mut self.broker
    }

    /// Why nothing is done at a venue, by venue.
    #[must_use]
    pub const fn refused(&self) -> &BTreeMap<VenueId, String> {
        &self.refused
    }

    /// Measures clocks and reads the rights of keys where it is time. A venue whose key could not be
    /// read is left alone until it can.
    pub async fn verify(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        for (id, link) in self.links.clone().iter() {
            match Links::set_clock(link).await {
                Ok(sample) if sample.offset_ms.abs() > OFFSET_MS_MAX => notes.push(format!(
                    "{id}: its clock differs from ours by {} ms; signatures use its time",
                    sample.offset_ms
                )),
                Ok(_) => {}
                Err(error) => notes.push(format!("{id}: its time could not be read: {error}")),
            }
            if self.verified.get(id).is_some_and(|at| at.elapsed() < RIGHTS_EVERY) {
                continue;
            }
            match link.api.key_rights().await {
                Ok(rights) => match objection(&rights) {
                    Some(objection) => {
                        self.refused.insert(id.clone(), objection);
                    }
                    None => {
                        self.refused.remove(id);
                        self.verified.insert(id.clone(), Instant::now());
                    }
                },
                // Read before and good: it counts for another day at most.
                Err(ApiError::Refused { refusal: Refusal::Auth, message, .. }) => {
                    self.verified.remove(id);
                    self.refused.insert(id.clone(), format!("the API key is rejected: {message}"));
                }
                Err(error) => {
                    let unread = format!("the rights of its API key could not be read: {error}");
                    if !self.verified.contains_key(id) {
                        self.refused.insert(id.clone(), unread);
                    }
                }
            }
        }
        notes.extend(self.refused.iter().map(|(id, why)| format!("{id}: {why}")));
        if let Err(error) = self.links.save_pauses(&self.config) {
            notes.push(format!("the pauses of exchanges could not be saved: {error}"));
        }
        notes
    }

    /// Each note once, until it is gone.
    fn only_new(&mut self, notes: Vec<String>) -> Vec<String> {
        let now: BTreeSet<String> = notes.iter().cloned().collect();
        let new = notes.into_iter().filter(|note| !self.told.contains(note)).collect();
        self.told = now;
        new
    }
}

impl Broker for RealAccount {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        match self.refused.get(venue) {
            Some(why) => Err(PortError(why.clone())),
            None => self.broker.balances(venue).await,
        }
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        match self.refused.get(&intent.order.venue) {
            Some(why) => Outcome::Rejected { reason: format!("not sent: {why}") },
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

/// The markets that are compared with the venues from the start; direct pairs join with their first
/// order.
fn markets(policy: &Policy) -> Vec<(VenueId, Symbol)> {
    policy
        .assets
        .iter()
        .map(|asset| {
            let symbol = Symbol::new(asset.ticker.clone(), policy.stablecoin.clone());
            (asset.venue.clone(), symbol)
        })
        .collect()
}

impl Account for RealAccount {
    async fn reconcile(&mut self, known: &BTreeSet<String>) -> Vec<String> {
        let mut notes = self.verify().await;
        let found = self.broker.reconcile(known, MachineTime.now()).await;
        notes.extend(found.notes);
        notes.extend(self.broker.take_notes());
        notes.extend(found.halted.iter().map(|(id, why)| format!("{id} is halted: {why}")));
        notes.extend(found.unread.iter().map(|(id, why)| format!("{id} could not be read: {why}")));
        self.only_new(notes)
    }

    fn watch(&mut self, config: &Config) {
        self.config = config.clone();
        for (venue, symbol) in markets(&config.policy) {
            self.broker.watch(&venue, [symbol]);
        }
    }

    fn take_doubted(&mut self) -> BTreeSet<VenueId> {
        self.broker.take_doubted()
    }
}

impl<M: MarketData> Account for PaperBroker<'_, M> {
    async fn reconcile(&mut self, _known: &BTreeSet<String>) -> Vec<String> {
        Vec::new()
    }

    fn watch(&mut self, _config: &Config) {}
}
