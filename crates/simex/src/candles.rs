//! Candles of a market, made from the prices that orders are filled at.

use crate::prices::{Place, PriceBoard};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Weeks begin on Mondays; 1970-01-05 was one.
const FIRST_MONDAY_MS: i64 = 4 * 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// Open, high, low, close in the quote currency, and the base volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Start, milliseconds since 1970.
    pub open_time_ms: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Base volume.
    pub volume: f64,
}

/// The start of the bar of length `step_ms` that holds `at_ms`.
#[must_use]
pub const fn bar_start(at_ms: i64, step_ms: i64) -> i64 {
    let anchor = if step_ms == WEEK_MS { FIRST_MONDAY_MS } else { 0 };
    at_ms - (at_ms - anchor).rem_euclid(step_ms)
}

/// One market as a source of bars.
#[derive(Clone, Copy, Debug)]
pub struct Market<'a> {
    /// Where it is seen.
    pub place: Place,
    /// Base asset.
    pub base: &'a str,
    /// Quote asset.
    pub quote: &'a str,
    /// Base units traded in an average minute.
    pub volume_per_minute: f64,
}

/// Whole hours of the past, which do not change any more.
#[derive(Clone, Debug, Default)]
pub struct HourCache(BTreeMap<(Place, String, String, i64), Bar>);

impl HourCache {
    /// Forgets the hours that a change from this moment on touches.
    pub fn forget_from(&mut self, from_ms: i64) {
        self.0.retain(|(_, _, _, hour), _| hour + HOUR_MS < from_ms);
    }
}

/// The bar over `[from, to)`, from minute prices and every bend between.
fn fine_bar(board: &PriceBoard, market: Market<'_>, from_ms: i64, to_ms: i64) -> Option<Bar> {
    let rate = |at: i64| board.rate(market.place, market.base, market.quote, at);
    let open = rate(from_ms)?;
    let mut bar =
        Bar { open_time_ms: from_ms, open, high: open, low: open, close: open, volume: 0.0 };
    let mut moments = board.bends(market.base, market.quote, from_ms, to_ms);
    let mut minute = from_ms;
    while minute < to_ms {
        moments.push(minute);
        let end = (minute + MINUTE_MS).min(to_ms);
        // Busier and quieter minutes, by the minute's number alone.
        let busy = (minute / MINUTE_MS).wrapping_mul(2_654_435_761).rem_euclid(97);
        #[expect(clippy::cast_precision_loss, reason = "below 100")]
        let share = 0.5 + busy as f64 / 97.0;
        #[expect(clippy::cast_precision_loss, reason = "at most a minute")]
        let part = (end - minute) as f64 / MINUTE_MS as f64;
        bar.volume += market.volume_per_minute * share * part;
        minute += MINUTE_MS;
    }
    moments.push(to_ms - 1);
    for at in moments {
        let price = rate(at)?;
        bar.high = bar.high.max(price);
        bar.low = bar.low.min(price);
    }
    bar.close = rate(to_ms - 1)?;
    Some(bar)
}

fn merge(into: &mut Option<Bar>, next: Bar) {
    match into {
        None => *into = Some(next),
        Some(bar) => {
            bar.high = bar.high.max(next.high);
            bar.low = bar.low.min(next.low);
            bar.close = next.close;
            bar.volume += next.volume;
        }
    }
}

/// The bar that starts at `start_ms`, as far as it has happened by `now_ms` (inclusive).
#[must_use]
pub fn bar(
    board: &PriceBoard,
    cache: &mut HourCache,
    market: Market<'_>,
    start_ms: i64,
    step_ms: i64,
    now_ms: i64,
) -> Option<Bar> {
    let end = (start_ms + step_ms).min(now_ms + 1);
    if end <= start_ms {
        return None;
    }
    if step_ms < HOUR_MS {
        return fine_bar(board, market, start_ms, end);
    }
    let mut whole = None;
    let mut hour = start_ms;
    while hour < end {
        let hour_end = (hour + HOUR_MS).min(end);
        let key = (market.place, market.base.to_owned(), market.quote.to_owned(), hour);
        let piece = match cache.0.get(&key) {
            Some(known) => *known,
            None => {
                let piece = fine_bar(board, market, hour, hour_end)?;
                // An hour that ends at `now` may still get a price change in its last moment.
                if hour_end == hour + HOUR_MS && hour_end < now_ms {
                    cache.0.insert(key, piece);
                }
                piece
            }
        };
        merge(&mut whole, piece);
        hour += HOUR_MS;
    }
    whole
}
