//! The two kinds of accounts of a daemon: real ones, and the paper account on live market data.

use super::connect::Links;
use super::session::Account;
use keel_config::Config;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::order::{ClientOrderId, Fill, Intent, Outcome};
use keel_core::policy::Policy;
use keel_core::ports::{Broker, MarketData, PortError};
use keel_core::state::Balance;
use keel_core::time::Timestamp;
use keel_live::broker::LiveBroker;
use keel_live::renew;
use keel_live::time::Time;
use keel_sim::paper::PaperBroker;
use keel_venues::api::{ApiError, KeyRights, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The rights of keys are read again after this time. What was read before counts for as long once
/// more when they cannot be.
const RIGHTS_EVERY_MS: i64 = 24 * 3_600_000;
/// A key that is rejected is asked about again after a minute, and after twice the time each time it
/// still is: venues lock out addresses that keep on trying.
const REJECTED_EVERY_MS: std::ops::RangeInclusive<i64> = 60_000..=3_600_000;
/// A key that ends within this time is told.
const ENDING_MS: i64 = 14 * 86_400_000;
/// A clock that is further off than this is said.
const OFFSET_MS_MAX: i64 = 1000;

/// Accounts with real money, or in test environments.
pub struct RealAccount {
    broker: LiveBroker,
    links: Links,
    config: Config,
    time: Arc<dyn Time>,
    /// When the rights of a venue's key were found to be right, in time that really passed.
    verified_ms: BTreeMap<VenueId, i64>,
    /// Venues that were silent or refused the key since its rights were read, and in what words. Behind
    /// a lock, because reading balances does not need the account to itself.
    lost: Mutex<BTreeMap<VenueId, String>>,
    /// Why nothing is done at a venue until its key was looked at.
    refused: BTreeMap<VenueId, String>,
    /// Venues that reject the key itself: when they are asked again, and how long they were left alone.
    rejected: BTreeMap<VenueId, (i64, i64)>,
    /// Keys that end soon, and when.
    ending: BTreeMap<VenueId, String>,
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

/// What to say of a key that ends soon.
#[must_use]
pub fn ending(rights: &KeyRights, now: Timestamp) -> Option<String> {
    let end = rights.expires_at.filter(|end| end.since_ms(now) <= ENDING_MS)?;
    Some(format!("the API key ends at {end}; make a new one before"))
}

impl RealAccount {
    /// Accounts behind `links`.
    #[must_use]
    pub fn new(broker: LiveBroker, links: Links, config: &Config, time: Arc<dyn Time>) -> Self {
        let unread = "the rights of its API key were not read yet".to_owned();
        Self {
            broker,
            refused: links.iter().map(|(id, _)| (id.clone(), unread.clone())).collect(),
            links,
            config: config.clone(),
            time,
            verified_ms: BTreeMap::new(),
            lost: Mutex::default(),
            rejected: BTreeMap::new(),
            ending: BTreeMap::new(),
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

    /// Measures clocks and reads the rights of keys where it is time: at first, every day, and when a
    /// venue answers again. A venue whose key could not be read is left alone until it can.
    pub async fn verify(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        for (id, link) in self.links.clone().iter() {
            match Links::set_clock(link).await {
                Ok(sample) if sample.offset_ms.abs() > OFFSET_MS_MAX => notes.push(format!(
                    "{id}: its clock differs from ours by more than {OFFSET_MS_MAX} ms (see /health); \
                     signatures use its time"
                )),
                Ok(_) => {}
                Err(error) => {
                    self.lose(id, &error.to_string());
                    notes.push(format!("{id}: its time could not be read"));
                }
            }
            let now_ms = self.time.monotonic_ms();
            let age_ms = self.verified_ms.get(id).map_or(i64::MAX, |at_ms| now_ms - at_ms);
            if age_ms < RIGHTS_EVERY_MS && !self.lost().contains_key(id) {
                continue;
            }
            let pause = self.rejected.get(id).copied();
            if pause.is_some_and(|(again_ms, _)| now_ms < again_ms) {
                continue;
            }
            let objection = match link.api.key_rights().await {
                Ok(rights) => {
                    self.rejected.remove(id);
                    match ending(&rights, self.time.now()) {
                        Some(text) => self.ending.insert(id.clone(), text),
                        None => self.ending.remove(id),
                    };
                    objection(&rights)
                }
                Err(ApiError::Refused { refusal: Refusal::Auth, message, .. }) => {
                    let wait_ms = pause.map_or(*REJECTED_EVERY_MS.start(), |(_, last_ms)| {
                        (2 * last_ms).min(*REJECTED_EVERY_MS.end())
                    });
                    self.rejected.insert(id.clone(), (now_ms + wait_ms, wait_ms));
                    Some(format!("the API key is rejected: {message}"))
                }
                Err(_) if age_ms < 2 * RIGHTS_EVERY_MS => continue,
                Err(error) => Some(format!("the rights of its API key could not be read: {error}")),
            };
            self.lost().remove(id);
            if let Some(objection) = objection {
                self.verified_ms.remove(id);
                renew(self.refused.entry(id.clone()).or_default(), objection);
            } else {
                self.verified_ms.insert(id.clone(), now_ms);
                self.refused.remove(id);
            }
        }
        let keys = self.refused.iter().chain(&self.ending);
        notes.extend(keys.map(|(id, why)| format!("{id}: {why}")));
        if let Err(error) = self.links.save_pauses(&self.config) {
            notes.push(format!("the pauses of exchanges could not be saved: {error}"));
        }
        notes
    }

    fn lost(&self) -> MutexGuard<'_, BTreeMap<VenueId, String>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever happened to the venue may have happened to the key's rights.
    fn lose(&self, venue: &VenueId, why: &str) {
        self.lost().insert(venue.clone(), why.to_owned());
    }

    /// Why the venue's key is not used for anything, if the venue rejects it.
    fn rejection(&self, venue: &VenueId) -> Option<String> {
        let is_rejection = |why: &&String| why.starts_with(&Refusal::Auth.to_string());
        let new = self.lost().get(venue).filter(is_rejection).cloned();
        new.or_else(|| self.rejected.get(venue).and_then(|_| self.refused.get(venue).cloned()))
    }

    /// Why the account is not read or traded, if so.
    fn key_trouble(&self, venue: &VenueId) -> Option<String> {
        self.refused.get(venue).cloned().or_else(|| self.rejection(venue))
    }
}

impl Broker for RealAccount {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        match self.key_trouble(venue) {
            Some(why) => Err(PortError(why)),
            None => self.broker.balances(venue).await.inspect_err(|why| self.lose(venue, &why.0)),
        }
    }

    fn closed(&self, venue: &VenueId) -> Option<String> {
        self.key_trouble(venue).or_else(|| self.broker.closed(venue))
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        let venue = &intent.order.venue;
        if let Some(why) = self.key_trouble(venue) {
            return Outcome::Rejected { reason: format!("not sent: {why}") };
        }
        let outcome = self.broker.place(intent).await;
        if let Outcome::Rejected { reason } = &outcome
            && reason.starts_with(&Refusal::Auth.to_string())
        {
            self.lose(venue, reason);
        }
        outcome
    }

    async fn look_up(&mut self, intent: &Intent) -> Outcome {
        match self.rejection(&intent.order.venue) {
            Some(cause) => Outcome::Unknown { cause },
            None => self.broker.look_up(intent).await,
        }
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
        self.broker.leave_out(self.rejected.keys().cloned().collect());
        let found = self.broker.reconcile(known, self.time.now()).await;
        for (venue, why) in &found.unread {
            self.lose(venue, why);
        }
        notes.extend(found.notes);
        notes.extend(self.broker.take_notes());
        notes.extend(found.unread.iter().map(|(id, why)| format!("{id} could not be read: {why}")));
        notes
    }

    fn halted(&self) -> BTreeMap<VenueId, String> {
        self.broker.halted().clone()
    }

    fn watch(&mut self, config: &Config) {
        self.config = config.clone();
        for (venue, symbol) in markets(&config.policy) {
            self.broker.watch(&venue, [symbol]);
        }
    }

    fn wants_comparison(&self) -> bool {
        self.broker.wants_comparison()
    }

    fn take_doubted(&mut self) -> BTreeSet<VenueId> {
        self.broker.take_doubted()
    }

    fn take_late(&mut self) -> Vec<(ClientOrderId, Fill)> {
        self.broker.take_late()
    }
}

impl<M: MarketData> Account for PaperBroker<'_, M> {
    async fn reconcile(&mut self, _known: &BTreeSet<String>) -> Vec<String> {
        Vec::new()
    }

    fn halted(&self) -> BTreeMap<VenueId, String> {
        BTreeMap::new()
    }

    fn watch(&mut self, _config: &Config) {}
}
