//! What everything that talks to one host shares: its limits, its pause, its breakers and the
//! allowance for second tries.

use super::breaker::Breaker;
use super::limit::Limit;
use crate::api::{Bucket, Used};
use crate::http::{Charge, Kind, TransportError};
use crate::wire::bounded_wait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Second tries per minute that are always granted, and their share of the requests beyond that.
const RETRIES_ALWAYS: u32 = 10;
const RETRIES_PERCENT: u32 = 10;
// Without the seconds that are left: a message whose figures change is told again each time.
const USED_UP: &str = "the venue's limit is used up";
const PAUSED: &str = "the venue asked for a pause";
const FAILED_TOO_OFTEN: &str = "the host failed too often and is left alone for a while";

/// Gates by host. Everything in a process that talks to exchanges shares one.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<BTreeMap<String, Arc<HostGate>>>>);

impl Gates {
    /// The gate of this host, made at the first call; the limits of the first caller stay.
    #[must_use]
    pub fn host(&self, host: &str, buckets: &[Bucket]) -> Arc<HostGate> {
        let mut gates = lock(&self.0);
        Arc::clone(gates.entry(host.to_owned()).or_insert_with(|| Arc::new(HostGate::new(buckets))))
    }
}

/// One host: nothing is sent to it but through here.
pub struct HostGate {
    limits: BTreeMap<&'static str, Mutex<Limit>>,
    paused_until: Mutex<Option<Instant>>,
    reads: Mutex<Breaker>,
    writes: Mutex<Breaker>,
    retries: Mutex<RetryBudget>,
}

#[derive(Default)]
struct RetryBudget {
    minute: Option<Instant>,
    requests: u32,
    retries: u32,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HostGate {
    fn new(buckets: &[Bucket]) -> Self {
        let now = Instant::now();
        let limit = |bucket: &Bucket| Mutex::new(Limit::new(bucket.units, bucket.per, now));
        Self {
            limits: buckets.iter().map(|bucket| (bucket.name, limit(bucket))).collect(),
            paused_until: Mutex::default(),
            reads: Mutex::default(),
            writes: Mutex::default(),
            retries: Mutex::default(),
        }
    }

    /// Nothing is sent before this has passed; a longer pause that is already set stays.
    pub fn pause(&self, wait: Duration) {
        let until = Instant::now() + bounded_wait(wait);
        let mut paused = lock(&self.paused_until);
        *paused = Some(paused.map_or(until, |earlier| earlier.max(until)));
    }

    /// How long nothing is sent, if the host is paused.
    #[must_use]
    pub fn paused_for(&self) -> Option<Duration> {
        let until = (*lock(&self.paused_until))?;
        until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Why a write would not be sent, if it has to wait for longer than `patience`.
    pub(super) fn holds_writes(&self, patience: Duration) -> Option<&'static str> {
        if lock(&self.writes).is_open() {
            return Some(FAILED_TOO_OFTEN);
        }
        self.paused_for().filter(|left| *left > patience).map(|_| PAUSED)
    }

    /// Waits until the request may be sent, at most `patience`.
    pub(super) async fn admit(
        &self,
        kind: Kind,
        charges: &[Charge],
        patience: Duration,
    ) -> Result<(), TransportError> {
        let deadline = Instant::now() + patience;
        // An order is nothing to try out with whether a host is well again: reads do that.
        let may_probe = kind != Kind::Write;
        self.breaker(kind).admit(Instant::now(), may_probe).map_err(|closed| {
            tracing::debug!(seconds = closed.as_secs(), FAILED_TOO_OFTEN);
            TransportError::NotSent(FAILED_TOO_OFTEN.to_owned())
        })?;
        let admitted = self.wait_for_turn(kind, charges, deadline).await;
        if admitted.is_err() {
            self.withdraw(kind);
        }
        admitted
    }

    /// What was admitted is not sent after all.
    pub(super) fn withdraw(&self, kind: Kind) {
        self.breaker(kind).withdraw();
    }

    async fn wait_for_turn(
        &self,
        kind: Kind,
        charges: &[Charge],
        deadline: Instant,
    ) -> Result<(), TransportError> {
        for charge in charges {
            let limit = self.limits.get(charge.bucket).ok_or_else(|| {
                TransportError::NotSent(format!("no limit is called `{}`", charge.bucket))
            })?;
            let (is_public, units) = (kind.is_public(), charge.units);
            let take_share =
                || is_public.then(|| lock(limit).take_share(Instant::now(), units)).flatten();
            let take = || lock(limit).take(Instant::now(), units, is_public);
            while let Some(wait) = take_share() {
                sleep_within(wait, deadline, USED_UP).await?;
            }
            while let Some(wait) = take() {
                sleep_within(wait, deadline, USED_UP).await?;
            }
        }
        // Last, so that a pause that was asked for while this one waited is kept too.
        while let Some(left) = self.paused_for() {
            sleep_within(left, deadline, PAUSED).await?;
        }
        Ok(())
    }

    /// Whether a second try is within the allowance; counts it if so.
    pub(super) fn may_retry(&self) -> bool {
        let mut budget = lock(&self.retries);
        budget.roll();
        let allowed = RETRIES_ALWAYS.max(budget.requests * RETRIES_PERCENT / 100);
        let granted = budget.retries < allowed;
        budget.retries += u32::from(granted);
        granted
    }

    /// How an admitted request ended.
    pub(super) fn record(&self, kind: Kind, failed: bool) {
        let now = Instant::now();
        self.breaker(kind).record(failed, now);
        if kind == Kind::PrivateRead && !failed {
            lock(&self.writes).heal(now);
        }
        let mut budget = lock(&self.retries);
        budget.roll();
        budget.requests = budget.requests.saturating_add(1);
    }

    /// Adopts the venue's own count of what was used.
    pub(super) fn learn(&self, used: &[Used]) {
        for Used { bucket, units } in used {
            if let Some(limit) = self.limits.get(bucket) {
                lock(limit).learn(Instant::now(), *units);
            }
        }
    }

    /// Adopts how many units of a bucket the venue says that it grants.
    pub(super) fn adopt(&self, bucket: &str, units: u32) {
        if let Some(limit) = self.limits.get(bucket)
            && lock(limit).adopt(Instant::now(), units)
        {
            tracing::info!(bucket, units, "a limit is adopted as the venue publishes it");
        }
    }

    fn breaker(&self, kind: Kind) -> MutexGuard<'_, Breaker> {
        lock(if kind == Kind::Write { &self.writes } else { &self.reads })
    }
}

impl RetryBudget {
    fn roll(&mut self) {
        let now = Instant::now();
        if self.minute.is_none_or(|minute| now.duration_since(minute) >= Duration::from_secs(60)) {
            *self = Self { minute: Some(now), requests: 0, retries: 0 };
        }
    }
}

async fn sleep_within(wait: Duration, deadline: Instant, why: &str) -> Result<(), TransportError> {
    let until = Instant::now() + wait;
    if until > deadline {
        tracing::debug!(seconds = wait.as_secs(), why);
        return Err(TransportError::NotSent(why.to_owned()));
    }
    tokio::time::sleep_until(until).await;
    Ok(())
}
