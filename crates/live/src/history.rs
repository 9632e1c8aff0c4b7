//! Candles of one market: fetched in pages, closed bars only, kept, and extended with what is new.

use keel_core::asset::Symbol;
use keel_core::candle::{Candle, CandleSeries, Window};
use keel_core::time::{Timeframe, Timestamp};
use keel_venues::api::ExchangeApi;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Candles may start this much after the venue's time, as its clock was measured a while ago.
const AHEAD_MS: i64 = 5000;
/// Kept beyond the longest window that was asked for.
const SPARE_BARS: usize = 500;
/// Extensions into the past for one question.
const EXTENSIONS: usize = 4;

/// Closed bars of one market and timeframe.
#[derive(Clone, Debug)]
pub(crate) struct History {
    series: Arc<CandleSeries>,
    /// The past was asked for down to this moment.
    from: Timestamp,
    /// There is nothing before the first bar.
    is_complete: bool,
    /// The longest window that was asked for.
    longest: usize,
    /// Bars that are missing at the venue too.
    missing: BTreeSet<i64>,
}

/// One market and timeframe at a venue, and the venue's present time.
pub(crate) struct Source<'a> {
    pub(crate) api: &'a dyn ExchangeApi,
    pub(crate) symbol: &'a Symbol,
    pub(crate) timeframe: Timeframe,
    pub(crate) now: Timestamp,
}

impl History {
    pub(crate) fn new(timeframe: Timeframe) -> Self {
        Self {
            series: Arc::new(CandleSeries::empty(timeframe)),
            from: Timestamp::from_ms(i64::MAX),
            is_complete: false,
            longest: 0,
            missing: BTreeSet::new(),
        }
    }

    /// The newest `limit` bars that closed by `now`.
    pub(crate) fn window(&self, now: Timestamp, limit: usize) -> Window {
        Window::closed(&self.series, now, limit)
    }

    /// Fetches what is missing for a window of `limit` bars. Notes say what the venue lacks.
    pub(crate) async fn bring_up_to_date(
        &mut self,
        source: &Source<'_>,
        limit: usize,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        self.longest = self.longest.max(limit);
        let step = source.timeframe.ms();
        let mut bars: BTreeMap<i64, Candle> =
            self.series.iter().map(|bar| (bar.open_time_ms, bar)).collect();
        if let Some(last) = bars.keys().next_back().copied() {
            if source.now.ms() < last + 2 * step && self.covers(limit) {
                return Ok(());
            }
            if source.now.ms() >= last + 2 * step {
                // The last known bar comes again: venues correct the newest one.
                let since = Timestamp::from_ms(last);
                bars.extend(source.range(since, source.now).await?);
            }
        } else {
            let since = back(source.now, limit, step);
            bars.extend(source.range(since, source.now).await?);
            self.from = since;
        }
        for _ in 0..EXTENSIONS {
            if bars.len() >= limit || self.is_complete {
                break;
            }
            let first = bars.keys().next().map_or(self.from, |first| Timestamp::from_ms(*first));
            let until = first.max(self.from);
            let since = back(self.from.min(first), limit - bars.len(), step);
            let older = source.range(since, until.plus_ms(-1)).await?;
            self.is_complete = !older.keys().any(|open| *open < first.ms());
            self.from = since;
            bars.extend(older);
        }
        let first_kept = bars.len().saturating_sub(self.longest + SPARE_BARS);
        self.fill_gaps(source, &mut bars, notes).await?;
        let kept: Vec<Candle> = bars.into_values().skip(first_kept).collect();
        if first_kept > 0 {
            self.is_complete = false;
            self.from = kept.first().map_or(self.from, |bar| Timestamp::from_ms(bar.open_time_ms));
        }
        let series = CandleSeries::new(source.timeframe, &kept)
            .map_err(|error| format!("{} {}: {error}", source.symbol, source.timeframe))?;
        self.series = Arc::new(series);
        Ok(())
    }

    fn covers(&self, limit: usize) -> bool {
        self.is_complete || self.series.len() >= limit
    }

    /// Asks once more for bars that are missing between others; what is missing twice is noted.
    async fn fill_gaps(
        &mut self,
        source: &Source<'_>,
        bars: &mut BTreeMap<i64, Candle>,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let missing = |bars: &BTreeMap<i64, Candle>, known: &BTreeSet<i64>| -> Vec<i64> {
            let step = source.timeframe.ms();
            let opens: Vec<i64> = bars.keys().copied().collect();
            let between = |pair: &[i64]| {
                let count = (pair[1] - pair[0]) / step;
                let first = pair[0];
                (1..count).map(move |i| first + i * step).collect::<Vec<_>>()
            };
            opens.windows(2).flat_map(between).filter(|open| !known.contains(open)).collect()
        };
        let gaps = missing(bars, &self.missing);
        let (Some(first), Some(last)) = (gaps.first(), gaps.last()) else { return Ok(()) };
        let (since, until) = (Timestamp::from_ms(*first), Timestamp::from_ms(*last));
        bars.extend(source.range(since, until).await?);
        let still = missing(bars, &self.missing);
        if let Some(first) = still.first() {
            notes.push(format!(
                "{} {}: the venue lacks {} bars from {} on",
                source.symbol,
                source.timeframe,
                still.len(),
                Timestamp::from_ms(*first)
            ));
        }
        self.missing.extend(still);
        let oldest = bars.keys().next().copied().unwrap_or_default();
        self.missing.retain(|open| *open >= oldest);
        Ok(())
    }
}

/// The start of the bar `bars` bars before the one in which `moment` lies, and one to spare.
fn back(moment: Timestamp, bars: usize, step: i64) -> Timestamp {
    let bars = i64::try_from(bars).unwrap_or(i64::MAX / step).saturating_add(1);
    moment.plus_ms(-bars.saturating_mul(step))
}

impl Source<'_> {
    /// Closed bars that start in `since..=until`, page by page.
    async fn range(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<BTreeMap<i64, Candle>, String> {
        let step = self.timeframe.ms();
        let page = self.api.facts().candles_per_request.max(1);
        let page_ms = i64::try_from(page).unwrap_or(i64::MAX / step).saturating_mul(step);
        let last_open = until.ms().min(self.now.ms() - step);
        let mut bars = BTreeMap::new();
        let mut cursor = since;
        while cursor.ms() <= last_open {
            let left = (self.now.ms() - cursor.ms()) / step + 2;
            let limit = usize::try_from(left).unwrap_or(page).min(page);
            let answer = self
                .api
                .candles(self.symbol, self.timeframe, Some(cursor), limit)
                .await
                .map_err(|error| error.to_string())?;
            let newest = answer.iter().map(|bar| bar.open_time_ms).max();
            for bar in answer {
                if bar.open_time_ms > self.now.ms() + AHEAD_MS {
                    return Err(format!(
                        "{} {}: a candle starts at {}, and the venue's time is {}",
                        self.symbol,
                        self.timeframe,
                        Timestamp::from_ms(bar.open_time_ms),
                        self.now
                    ));
                }
                let in_range = bar.open_time_ms >= since.ms() && bar.open_time_ms <= last_open;
                // The first of two that differ stays: which one is right cannot be told.
                if in_range {
                    bars.entry(bar.open_time_ms).or_insert(bar);
                }
            }
            cursor = match newest {
                Some(newest) if newest >= cursor.ms() => Timestamp::from_ms(newest + step),
                // An empty page is a time without trades, or before the listing.
                _ => cursor.plus_ms(page_ms),
            };
        }
        Ok(bars)
    }
}
