//! The venue's clock, measured.

use crate::api::{Answer, ExchangeApi};
use crate::wire::unknown;
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

/// The longest round trip of a sample that is used: a question that waited for its turn, or was asked
/// again, tells nothing about the moment of its answer.
const ROUND_TRIP_MS_MAX: i64 = 2000;
/// A round trip that no other sample has to beat: half of it is nothing beside the windows of orders.
const ROUND_TRIP_MS_QUICK: i64 = 500;
const SAMPLES: usize = 3;

/// Asks the venue for its time, up to three times when its answers take long, and keeps the answer that
/// came quickest.
///
/// # Errors
/// The first error, when nothing was answered before it, and when every answer took longer than two
/// seconds or this computer's clock was set back meanwhile.
pub async fn measure_clock(
    api: &dyn ExchangeApi,
    clock: impl Fn() -> i64 + Send + Sync,
) -> Answer<ClockSample> {
    let mut best: Option<ClockSample> = None;
    for _ in 0..SAMPLES {
        let before = clock();
        let venue = match api.time().await {
            Ok(venue) => venue,
            // The transport has tried again already.
            Err(error) => return best.ok_or(error),
        };
        let round_trip_ms = clock().saturating_sub(before);
        let offset_ms = venue.ms().saturating_sub(before.saturating_add(round_trip_ms / 2));
        if (0..=ROUND_TRIP_MS_MAX).contains(&round_trip_ms)
            && best.is_none_or(|best| round_trip_ms < best.round_trip_ms)
        {
            best = Some(ClockSample { offset_ms, round_trip_ms });
            if round_trip_ms <= ROUND_TRIP_MS_QUICK {
                break;
            }
        }
    }
    best.ok_or_else(|| {
        unknown("the venue's time came too late each time it was asked, so its clock is not known")
    })
}
