//! The clock and waiting as one port, so that tests run in virtual time.

use async_trait::async_trait;
use keel_core::ports::Clock;
use keel_core::time::Timestamp;
use keel_venues::api::{Answer, ExchangeApi};
use keel_venues::client::measure_clock;
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

/// How far a venue's clock is ahead of ours, in milliseconds.
pub(crate) async fn clock_offset_ms(api: &dyn ExchangeApi, time: &dyn Time) -> Answer<i64> {
    measure_clock(api, || time.now().ms()).await.map(|sample| sample.offset_ms)
}

/// A duration in milliseconds, at most what an `i64` holds.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
