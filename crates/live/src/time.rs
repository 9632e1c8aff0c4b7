//! The clock and waiting as one port, so that tests run in virtual time.

use async_trait::async_trait;
use keel_core::ports::Clock;
use keel_core::time::Timestamp;
use keel_venues::api::{Answer, ApiError, ExchangeApi};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What time it is, and waiting.
#[async_trait]
pub trait Time: Clock + Send + Sync {
    /// Returns after that long.
    async fn sleep(&self, wait: Duration);

    /// Milliseconds that have really passed since some moment, whatever is done to the clock.
    fn monotonic_ms(&self) -> i64 {
        self.now().ms()
    }
}

/// The machine's clock; it waits with tokio.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineTime;

impl Clock for MachineTime {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

#[async_trait]
impl Time for MachineTime {
    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }

    fn monotonic_ms(&self) -> i64 {
        static START: OnceLock<Instant> = OnceLock::new();
        milliseconds(START.get_or_init(Instant::now).elapsed())
    }
}

/// Half of the round trip may be wrong: of a longer one, as of a read that was tried again, nothing
/// follows.
const ROUND_TRIP_MS_MAX: i64 = 2000;

/// How far a venue's clock is ahead of ours, in milliseconds. An answer that comes too late is asked for
/// once more.
pub(crate) async fn clock_offset_ms(api: &dyn ExchangeApi, time: &dyn Time) -> Answer<i64> {
    for _ in 0..2 {
        let (before, from_ms) = (time.now(), time.monotonic_ms());
        let theirs = api.time().await?;
        let round_trip_ms = time.monotonic_ms() - from_ms;
        // The clock itself shows another time when it was set meanwhile, or the machine slept.
        let is_short = |ms| (0..=ROUND_TRIP_MS_MAX).contains(&ms);
        if is_short(round_trip_ms) && is_short(time.now().since_ms(before)) {
            return Ok(theirs.ms() - (before.ms() + round_trip_ms / 2));
        }
    }
    Err(ApiError::Unknown(format!(
        "its time was on its way for longer than {} seconds",
        ROUND_TRIP_MS_MAX / 1000
    )))
}

/// A duration in milliseconds, at most what an `i64` holds.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
