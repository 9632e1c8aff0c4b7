//! The two kinds of accounts of a daemon: real ones, and the paper account on live market data.

use super::connect::Links;
use super::session::{Account, Findings};
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
    /// Venues that were silent since the rights of the key were read. Behind a lock, because reading
    /// balances does not need the account to itself.
    lost: Mutex<BTreeSet<VenueId>>,
    /// Venues at which nothing is done, because of their keys.
    troubles: BTreeMap<VenueId, KeyTrouble>,
    /// Venues that reject the key itself: when they are asked again, and how long they were left alone.
    rejected: BTreeMap<VenueId, (i64, i64)>,
    /// What to say of keys that are used all the same.
    remarks: BTreeMap<VenueId, Vec<String>>,
}

/// Why a key is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTrouble {
    /// In words.
    pub why: String,
    /// The venue rejects the key, or tells rights that it must not have: the operator has to mend that.
    /// Otherwise nobody knows its rights, and they are asked for again.
    pub is_wrong: bool,
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
    rights.obstacle.clone()
}

/// What to say of a key that is used all the same: that it ends soon, and what its account may do.
#[must_use]
pub fn remarks(rights: &KeyRights, now: Timestamp) -> Vec<String> {
    let end = rights.expires_at.filter(|end| end.since_ms(now) <= ENDING_MS);
    let ending = end.map(|end| format!("the API key ends at {end}; make a new one before"));
    ending.into_iter().chain(rights.warnings.iter().cloned()).collect()
}

impl RealAccount {
    /// Accounts behind `links`.
    #[must_use]
    pub fn new(broker: LiveBroker, links: Links, config: &Config, time: Arc<dyn Time>) -> Self {
        let why = "the rights of its API key were not read yet".to_owned();
        let unread = KeyTrouble { why, is_wrong: false };
        Self {
            broker,
            troubles: links.iter().map(|(id, _)| (id.clone(), unread.clone())).collect(),
            links,
            config: config.clone(),
            time,
            verified_ms: BTreeMap::new(),
            lost: Mutex::default(),
            rejected: BTreeMap::new(),
            remarks: BTreeMap::new(),
        }
    }

    /// The order protocol.
    pub const fn broker(&mut self) -> &mut LiveBroker {
        &mut self.broker
    }

    /// Venues at which nothing is done because of their keys.
    #[must_use]
    pub const fn troubles(&self) -> &BTreeMap<VenueId, KeyTrouble> {
        &self.troubles
    }

    /// Measures clocks and reads the rights of keys where it is time: at first, every day, and when a
    /// venue answers again. A venue whose key could not be read is left alone until it can.
    pub async fn verify(&mut self) -> Findings {
        let mut notes = Vec::new();
        for (id, link) in self.links.clone().iter() {
            match Links::set_clock(link).await {
                Ok(sample) if sample.offset_ms.abs() > OFFSET_MS_MAX => notes.push(format!(
                    "{id}: its clock differs from ours by more than {OFFSET_MS_MAX} ms (see /health); \
                     signatures use its time"
                )),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(venue = %id, %error, "its time could not be read");
                    self.lose(id);
                    notes.push(format!("{id}: its time could not be read"));
                }
            }
            let now_ms = self.time.monotonic_ms();
            let age_ms = self.verified_ms.get(id).map_or(i64::MAX, |at_ms| now_ms - at_ms);
            let is_doubtful = self.lost().contains(id) || link.api.key_refused().is_some();
            if age_ms < RIGHTS_EVERY_MS && !is_doubtful {
                continue;
            }
            let pause = self.rejected.get(id).copied();
            if pause.is_some_and(|(again_ms, _)| now_ms < again_ms) {
                continue;
            }
            let trouble = match link.api.key_rights().await {
                Ok(rights) => {
                    self.rejected.remove(id);
                    self.remarks.insert(id.clone(), remarks(&rights, self.time.now()));
                    objection(&rights).map(|why| KeyTrouble { why, is_wrong: true })
                }
                Err(ApiError::Refused { refusal: Refusal::Auth, message, .. }) => {
                    let wait_ms = pause.map_or(*REJECTED_EVERY_MS.start(), |(_, last_ms)| {
                        (2 * last_ms).min(*REJECTED_EVERY_MS.end())
                    });
                    self.rejected.insert(id.clone(), (now_ms + wait_ms, wait_ms));
                    let why = format!("the API key is rejected: {message}");
                    Some(KeyTrouble { why, is_wrong: true })
                }
                Err(_) if age_ms < 2 * RIGHTS_EVERY_MS => continue,
                Err(error) => {
                    let why = format!("the rights of its API key could not be read: {error}");
                    Some(KeyTrouble { why, is_wrong: false })
                }
            };
            self.lost().remove(id);
            if let Some(trouble) = trouble {
                self.verified_ms.remove(id);
                let known = self.troubles.entry(id.clone()).or_insert_with(|| trouble.clone());
                renew(&mut known.why, trouble.why);
                known.is_wrong = trouble.is_wrong;
            } else {
                self.verified_ms.insert(id.clone(), now_ms);
                self.troubles.remove(id);
            }
        }
        let troubles = self.troubles.iter().map(|(id, trouble)| (id, &trouble.why));
        let remarks =
            self.remarks.iter().flat_map(|(id, all)| all.iter().map(move |why| (id, why)));
        let keys = troubles.chain(remarks).map(|(id, why)| format!("{id}: {why}")).collect();
        if let Err(error) = self.links.save_pauses(&self.config) {
            notes.push(format!("the pauses of exchanges could not be saved: {error}"));
        }
        Findings { keys, notes }
    }

    fn lost(&self) -> MutexGuard<'_, BTreeSet<VenueId>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever happened to the venue may have happened to the key's rights.
    fn lose(&self, venue: &VenueId) {
        self.lost().insert(venue.clone());
    }

    /// Why the venue's key is not used for anything, if the venue refused it.
    fn refusal(&self, venue: &VenueId) -> Option<String> {
        self.links.get(venue)?.api.key_refused()
    }

    /// Why the account is not read or traded, if so.
    fn trouble(&self, venue: &VenueId) -> Option<String> {
        let known = self.troubles.get(venue).map(|trouble| trouble.why.clone());
        known.or_else(|| self.refusal(venue))
    }
}

impl Broker for RealAccount {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        match self.trouble(venue) {
            Some(why) => Err(PortError(why)),
            None => self.broker.balances(venue).await.inspect_err(|_| self.lose(venue)),
        }
    }

    fn closed(&self, venue: &VenueId) -> Option<String> {
        let held = || self.links.get(venue)?.transport.holds_orders().map(str::to_owned);
        self.trouble(venue).or_else(held).or_else(|| self.broker.closed(venue))
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        match self.trouble(&intent.order.venue) {
            Some(why) => Outcome::Rejected { reason: format!("not sent: {why}") },
            None => self.broker.place(intent).await,
        }
    }

    async fn look_up(&mut self, intent: &Intent) -> Outcome {
        match self.refusal(&intent.order.venue) {
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
    async fn reconcile(&mut self, known: &BTreeSet<String>) -> Findings {
        let mut findings = self.verify().await;
        let refused = self.links.iter().map(|(id, _)| id).filter(|id| self.refusal(id).is_some());
        self.broker.leave_out(refused.cloned().collect());
        let found = self.broker.reconcile(known, self.time.now()).await;
        findings.notes.extend(found.notes);
        findings.notes.extend(self.broker.take_notes());
        for (venue, why) in &found.unread {
            self.lose(venue);
            findings.notes.push(format!("{venue} could not be read: {why}"));
        }
        findings
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
    async fn reconcile(&mut self, _known: &BTreeSet<String>) -> Findings {
        Findings::default()
    }

    fn halted(&self) -> BTreeMap<VenueId, String> {
        BTreeMap::new()
    }

    fn watch(&mut self, _config: &Config) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_760_000_000_000);

    fn trading() -> KeyRights {
        KeyRights { read: Some(true), trade: Some(true), ..KeyRights::default() }
    }

    #[test]
    fn f074_an_account_that_cannot_trade_without_loans_is_not_used_and_one_that_may_borrow_is_told()
    {
        let why = "the account is in portfolio margin mode".to_owned();
        let rights = KeyRights { obstacle: Some(why.clone()), ..trading() };
        assert_eq!(objection(&rights), Some(why));
        let why = "the account may borrow".to_owned();
        let rights = KeyRights { warnings: vec![why.clone()], ..trading() };
        assert_eq!((objection(&rights), remarks(&rights, NOW)), (None, vec![why]));
    }

    #[test]
    fn a_key_that_ends_soon_is_told_beside_what_else_there_is() {
        let ends = |ms: i64| KeyRights {
            expires_at: Some(NOW.plus_ms(ms)),
            warnings: vec!["the account may borrow".to_owned()],
            ..trading()
        };
        assert_eq!(remarks(&ends(ENDING_MS), NOW).len(), 2);
        assert_eq!(remarks(&ends(ENDING_MS + 1), NOW).len(), 1);
        assert_eq!(remarks(&trading(), NOW), Vec::<String>::new());
    }
}
