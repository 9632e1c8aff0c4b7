//! What everything that talks to one host shares: its limits, its pause, its breakers and the
//! allowance for second tries.

use super::breaker::Breaker;
use crate::api::{Bucket, Used};
use crate::http::{Charge, Kind, TransportError};
use crate::wire::bounded_wait;
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Percent of a venue's limit that is planned with.
const PLANNED_PERCENT: u32 = 80;
/// Percent of the plan that may be used at once.
const BURST_PERCENT: u32 = 25;
/// Percent of the plan that public reads leave to orders and their look-ups.
const KEPT_PERCENT: u32 = 20;
/// Second tries per minute that are always granted, and their share of the requests beyond that.
const RETRIES_ALWAYS: u32 = 10;
const RETRIES_PERCENT: u32 = 10;

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
    limits: BTreeMap<&'static str, Limit>,
    paused_until: Mutex<Option<Instant>>,
    reads: Mutex<Breaker>,
    writes: Mutex<Breaker>,
    retries: Mutex<RetryBudget>,
}

/// A limit of the venue. A part of the plan may be used at once, the rest flows back over the venue's
/// window: so no window of that length, wherever it starts, holds more than the plan.
struct Limit {
    all: DefaultDirectRateLimiter,
    public: DefaultDirectRateLimiter,
    plan: u32,
    per: Duration,
    state: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// What was charged within the last window.
    log: VecDeque<(Instant, u32)>,
    public_blocked_until: Option<Instant>,
    all_blocked_until: Option<Instant>,
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
        Self {
            limits: buckets.iter().map(|bucket| (bucket.name, Limit::new(bucket))).collect(),
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

    /// Waits until the request may be sent, at most `patience`.
    pub(super) async fn admit(
        &self,
        kind: Kind,
        charges: &[Charge],
        patience: Duration,
    ) -> Result<(), TransportError> {
        let deadline = Instant::now() + patience;
        self.breaker(kind).admit(Instant::now()).map_err(|closed| {
            let seconds = closed.as_secs().max(1);
            TransportError::NotSent(format!(
                "the host failed too often and is left alone for {seconds} s"
            ))
        })?;
        let admitted = self.wait_for_turn(kind, charges, deadline).await;
        if admitted.is_err() {
            self.breaker(kind).withdraw();
        }
        admitted
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
            if kind == Kind::PublicRead {
                limit.take(&limit.public, charge.units, true, deadline).await?;
            }
            limit.take(&limit.all, charge.units, false, deadline).await?;
            limit.count(charge.units);
        }
        // Last, so that a pause that was asked for while this one waited is kept too.
        while let Some(left) = self.paused_for() {
            sleep_within(left, deadline, "the venue asked for a pause").await?;
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
        self.breaker(kind).record(failed, Instant::now());
        let mut budget = lock(&self.retries);
        budget.roll();
        budget.requests = budget.requests.saturating_add(1);
    }

    /// Adopts the venue's own count of what was used.
    pub(super) fn learn(&self, used: &[Used]) {
        for Used { bucket, units } in used {
            if let Some(limit) = self.limits.get(bucket) {
                limit.learn(*units);
            }
        }
    }

    fn breaker(&self, kind: Kind) -> MutexGuard<'_, Breaker> {
        lock(if kind == Kind::Write { &self.writes } else { &self.reads })
    }
}

impl Limit {
    fn new(bucket: &Bucket) -> Self {
        let plan = (bucket.units * PLANNED_PERCENT / 100).max(1);
        let burst = (plan * BURST_PERCENT / 100).max(1);
        // A plan of a single unit has no parts: it flows back over two windows.
        let (refill, per) =
            if plan == 1 { (1, bucket.per * 2) } else { (plan - burst, bucket.per) };
        let public = |units: u32| (units * (100 - KEPT_PERCENT) / 100).max(1);
        Self {
            all: limiter(burst, refill, per),
            public: limiter(public(burst), public(refill), per),
            plan,
            per: bucket.per,
            state: Mutex::default(),
        }
    }

    async fn take(
        &self,
        limiter: &DefaultDirectRateLimiter,
        units: u32,
        public: bool,
        deadline: Instant,
    ) -> Result<(), TransportError> {
        loop {
            if let Some(left) = self.blocked_for(public) {
                sleep_within(left, deadline, "the venue's limit is used up").await?;
                continue;
            }
            let Some(wait) = take_now(limiter, units) else { return Ok(()) };
            sleep_within(wait, deadline, "the venue's limit is used up").await?;
        }
    }

    fn count(&self, units: u32) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.forget(now, self.per);
        state.log.push_back((now, units));
    }

    fn blocked_for(&self, public: bool) -> Option<Duration> {
        let state = lock(&self.state);
        let until = if public { state.public_blocked_until } else { state.all_blocked_until };
        until?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn learn(&self, used: u32) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.forget(now, self.per);
        let own: u32 = state.log.iter().map(|(_, units)| units).sum();
        let others = used.saturating_sub(own);
        if others > 0 {
            // Somebody else uses the same address or key: their use counts as ours.
            state.log.push_back((now, others));
            let _ = take_now(&self.all, others);
            let _ = take_now(&self.public, others);
        }
        if used >= self.plan * (100 - KEPT_PERCENT) / 100 {
            state.public_blocked_until = Some(now + self.per);
        }
        if used >= self.plan {
            state.all_blocked_until = Some(now + self.per);
        }
    }
}

impl Counted {
    fn forget(&mut self, now: Instant, per: Duration) {
        while self.log.front().is_some_and(|(at, _)| now.duration_since(*at) >= per) {
            self.log.pop_front();
        }
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

/// `burst` at once, and `refill` over `per`.
fn limiter(burst: u32, refill: u32, per: Duration) -> DefaultDirectRateLimiter {
    let each = (per / refill.max(1)).max(Duration::from_nanos(1));
    let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
    RateLimiter::direct(quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)))
}

/// Takes the units, or as many as there can ever be; otherwise says how long to wait.
fn take_now(limiter: &DefaultDirectRateLimiter, units: u32) -> Option<Duration> {
    let mut units = NonZeroU32::new(units)?;
    loop {
        match limiter.check_n(units) {
            Ok(Ok(_)) => return None,
            Ok(Err(not_yet)) => {
                return Some(
                    not_yet.wait_time_from(limiter.clock().now()).max(Duration::from_millis(1)),
                );
            }
            Err(capacity) => units = NonZeroU32::new(capacity.0)?,
        }
    }
}

async fn sleep_within(wait: Duration, deadline: Instant, why: &str) -> Result<(), TransportError> {
    let until = Instant::now() + wait;
    if until > deadline {
        let seconds = wait.as_secs() + 1;
        return Err(TransportError::NotSent(format!("{why}; {seconds} s are left")));
    }
    tokio::time::sleep_until(until).await;
    Ok(())
}
