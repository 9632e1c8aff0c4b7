//! The exchange's clock: the machine's, scaled or shifted, or one that stands until it is moved.

use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by the machine's clock.
#[must_use]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Microseconds since 1970 by the machine's clock.
#[must_use]
pub fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// How the clock runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockMode {
    /// With the machine, `speed` times as fast.
    Real {
        /// 1 is real time.
        speed: f64,
    },
    /// It stands at this time until it is moved.
    Manual {
        /// Milliseconds since 1970.
        now_ms: i64,
    },
}

impl Default for ClockMode {
    fn default() -> Self {
        Self::Real { speed: 1.0 }
    }
}

/// The exchange's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    mode: ClockMode,
    origin_wall_ms: i64,
    origin_ms: i64,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn new(mode: ClockMode) -> Self {
        let wall = wall_ms();
        Self { mode, origin_wall_ms: wall, origin_ms: wall }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match self.mode {
            ClockMode::Manual { now_ms } => now_ms,
            ClockMode::Real { speed } => {
                let passed = wall_ms() - self.origin_wall_ms;
                #[expect(clippy::cast_precision_loss, reason = "a run lasts far less than 2^52 ms")]
                let scaled = passed as f64 * speed;
                #[expect(clippy::cast_possible_truncation, reason = "see above")]
                let scaled = scaled.round() as i64;
                self.origin_ms + scaled
            }
        }
    }

    /// Moves the clock forward (or back) by `by_ms`.
    pub fn advance(&mut self, by_ms: i64) {
        match &mut self.mode {
            ClockMode::Manual { now_ms } => *now_ms += by_ms,
            ClockMode::Real { .. } => self.origin_ms += by_ms,
        }
    }

    /// Sets how it runs from here on. A real clock continues from the machine's time.
    pub fn set(&mut self, mode: ClockMode) {
        *self = Self::new(mode);
    }
}
