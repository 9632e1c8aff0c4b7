//! The venue's clock, measured.

use crate::api::{Answer, ExchangeApi};
use std::time::{SystemTime, UNIX_EPOCH};

/// Reads a wall clock: milliseconds since 1970.
pub type SystemClock = fn() -> i64;

/// How far a venue's clock is from this computer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSample {
    /// The venue's clock minus this computer's, milliseconds.
    pub offset_ms: i64,
    /// How long the question took; half of it is the error of the offset.
    pub round_trip_ms: i64,
}

pub(super) fn wall_clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Asks the venue three times for its time and keeps the answer that came quickest.
///
/// # Errors
/// The last error, when no question was answered.
pub async fn measure_clock(api: &dyn ExchangeApi, clock: SystemClock) -> Answer<ClockSample> {
    let mut best: Option<ClockSample> = None;
    let mut error = None;
    for _ in 0..3 {
        let before = clock();
        match api.time().await {
            Ok(venue) => {
                let round_trip_ms = clock().saturating_sub(before).max(0);
                let offset_ms = venue.ms() - (before + round_trip_ms / 2);
                if best.is_none_or(|best| round_trip_ms < best.round_trip_ms) {
                    best = Some(ClockSample { offset_ms, round_trip_ms });
                }
            }
            Err(other) => error = Some(other),
        }
    }
    match (best, error) {
        (Some(best), _) => Ok(best),
        (None, Some(error)) => Err(error),
        (None, None) => Err(crate::wire::unknown("the venue's clock was not asked")),
    }
}
