//! The transport over HTTP: limits, pauses, second tries for reads, and one single try for writes.

mod breaker;
mod clock;
mod gate;
mod limit;
mod send;

pub use clock::{ClockSample, SystemClock, measure_clock};
pub use gate::{Gates, HostGate};

use crate::api::{Used, VenueFacts};
use crate::http::{Charge, Kind, Reply, Request, Transport, TransportError};
use crate::wire::retry_after;
use async_trait::async_trait;
use keel_net::Lookup;
use send::Wire;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// Pauses when the venue does not say how long: too many requests, banned, and turned away by a
/// firewall.
const PAUSE_429: Duration = Duration::from_secs(30);
const PAUSE_418: Duration = Duration::from_secs(120);
const PAUSE_403: Duration = Duration::from_secs(600);
/// The longest pause between two tries.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// How long a write waits for its turn before it is given back unsent.
const PATIENCE_FOR_WRITES: Duration = Duration::from_secs(10);

/// How reads are tried again. Writes never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, at least one.
    pub tries: u32,
    /// The first pause is between zero and this; each further one up to twice as long, at most 30 s.
    pub base: Duration,
    /// No further try, and no wait for a turn, goes beyond this since the call.
    pub total: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { tries: 4, base: Duration::from_millis(250), total: Duration::from_secs(60) }
    }
}

/// What a transport is made with, beside the venue.
#[derive(Clone)]
pub struct HttpOptions {
    /// How reads are tried again.
    pub retry: RetryPolicy,
    /// A request with its reply takes at most this long.
    pub timeout: Duration,
    /// The wall clock, milliseconds since 1970.
    pub clock: SystemClock,
    /// A number from 0 up to 1 that spreads the pauses between tries.
    pub random: fn() -> f64,
    /// Where host names lead.
    pub lookup: Lookup,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(15),
            clock: clock::wall_clock_ms,
            random,
            lookup: Lookup::default(),
        }
    }
}

/// Different keys for every hasher are all the randomness that spreading pauses needs.
#[allow(clippy::cast_precision_loss)]
fn random() -> f64 {
    (RandomState::new().hash_one(0_u8) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Carries the requests of one venue.
pub struct HttpTransport {
    wire: Wire,
    gate: Arc<HostGate>,
    used: fn(&Reply) -> Vec<Used>,
    options: HttpOptions,
    offset_ms: AtomicI64,
    may_write: OnceLock<MayWrite>,
}

/// Whether orders may leave at this moment.
pub type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

impl HttpTransport {
    /// A transport to `base_url` for this venue; transports to the same host and venue share their
    /// limits through `gates`.
    ///
    /// # Errors
    /// A message for the operator when the URL is none, or leads where nothing may be sent
    /// ([`keel_net::host_of`]).
    pub fn new(
        base_url: &str,
        facts: &VenueFacts,
        gates: &Gates,
        options: HttpOptions,
    ) -> Result<Self, String> {
        let wire = Wire::new(base_url, options.timeout, &options.lookup)?;
        // Two venues at one address, as on a simulated exchange, have limits of their own.
        let gate = gates.host(&format!("{} {}", wire.host(), facts.id), facts.buckets);
        Ok(Self {
            wire,
            gate,
            used: facts.used,
            options,
            offset_ms: AtomicI64::new(0),
            may_write: OnceLock::new(),
        })
    }

    /// Asks before each write, at the last moment: one may have waited for its turn for seconds, and
    /// the operator may have stopped trading since. Can be set once.
    pub fn write_only_while(&self, may_write: MayWrite) {
        let _ = self.may_write.set(may_write);
    }

    /// The venue's clock minus this computer's, in milliseconds; used for every signature from now on.
    pub fn set_clock_offset(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// The venue's clock minus this computer's, in milliseconds.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// The venue's present time, milliseconds since 1970.
    #[must_use]
    pub fn venue_now_ms(&self) -> i64 {
        (self.options.clock)().saturating_add(self.clock_offset())
    }

    /// Why an order would be given back unsent now, as far as that is known before.
    #[must_use]
    pub fn holds_orders(&self) -> Option<&'static str> {
        self.gate.holds_writes(PATIENCE_FOR_WRITES)
    }

    /// Until when nothing is sent to this host, by this computer's clock; to be kept over a restart.
    #[must_use]
    pub fn paused_until_ms(&self) -> Option<i64> {
        let left = i64::try_from(self.gate.paused_for()?.as_millis()).ok()?;
        Some((self.options.clock)().saturating_add(left))
    }

    /// Continues a pause that was kept over a restart.
    pub fn pause_until_ms(&self, until_ms: i64) {
        if let Ok(left) = u64::try_from(until_ms.saturating_sub((self.options.clock)()))
            && left > 0
        {
            self.gate.pause(Duration::from_millis(left));
        }
    }

    /// One try: waits for its turn, signs, sends.
    async fn once(
        &self,
        kind: Kind,
        charges: &[Charge],
        patience: Duration,
        build: &(dyn Fn(i64) -> Request + Send + Sync),
    ) -> Result<Reply, TransportError> {
        self.gate.admit(kind, charges, patience).await?;
        if kind == Kind::Write && self.may_write.get().is_some_and(|may_write| !may_write()) {
            self.gate.withdraw(kind);
            return Err(TransportError::NotSent("trading was stopped meanwhile".to_owned()));
        }
        let result = self.wire.send(kind, build(self.venue_now_ms())).await;
        self.gate.record(kind, result.as_ref().map_or(true, |reply| reply.status >= 500));
        if let Ok(reply) = &result {
            self.gate.learn(&(self.used)(reply));
            if let Some(wait) = pause_asked_for(reply) {
                tracing::warn!(
                    status = reply.status,
                    seconds = wait.as_secs(),
                    "the venue asks for a pause"
                );
                self.gate.pause(wait);
            }
        }
        result
    }

    /// The pause before try number `next`, with full jitter.
    fn backoff(&self, next: u32) -> Duration {
        let longest = self.options.retry.base.saturating_mul(1 << next.saturating_sub(2).min(16));
        longest.min(LONGEST_BACKOFF).mul_f64((self.options.random)().clamp(0.0, 1.0))
    }
}

/// The pause that a reply imposes on everything that is sent to its host.
fn pause_asked_for(reply: &Reply) -> Option<Duration> {
    let usual = match reply.status {
        429 => PAUSE_429,
        418 => PAUSE_418,
        // A firewall answers with a page; a venue that refuses a key answers with JSON.
        403 if !is_json(reply) => PAUSE_403,
        _ => return None,
    };
    Some(retry_after(reply).unwrap_or(usual))
}

fn is_json(reply: &Reply) -> bool {
    reply.body.trim_start().starts_with(['{', '['])
}

/// Whether a read that ended like this is worth another try.
fn again(result: &Result<Reply, TransportError>) -> bool {
    match result {
        Ok(reply) => {
            reply.status >= 500
                || matches!(reply.status, 429 | 418)
                || (200..300).contains(&reply.status) && !is_json(reply)
        }
        Err(_) => true,
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(
        &self,
        kind: Kind,
        charges: &[Charge],
        build: &(dyn Fn(i64) -> Request + Send + Sync),
    ) -> Result<Reply, TransportError> {
        if kind == Kind::Write {
            return self.once(kind, charges, PATIENCE_FOR_WRITES, build).await;
        }
        let policy = self.options.retry;
        let deadline = Instant::now() + policy.total;
        let mut result = self.once(kind, charges, policy.total, build).await;
        for next in 2..=policy.tries {
            let pause = self.backoff(next).max(self.gate.paused_for().unwrap_or_default());
            if !again(&result) || Instant::now() + pause >= deadline || !self.gate.may_retry() {
                break;
            }
            tokio::time::sleep(pause).await;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.once(kind, charges, left, build).await {
                // What the venue answered before says more than that there is no further try.
                Err(TransportError::NotSent(_)) if result.is_ok() => break,
                other => result = other,
            }
        }
        result
    }

    fn pause(&self, wait: Duration) {
        self.gate.pause(wait);
    }

    fn adopt(&self, bucket: &str, units: u32) {
        self.gate.adopt(bucket, units);
    }

    fn local_now_ms(&self) -> i64 {
        (self.options.clock)()
    }

    fn set_clock_offset(&self, offset_ms: i64) {
        Self::set_clock_offset(self, offset_ms);
    }
}
