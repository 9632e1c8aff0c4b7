//! Observation: asks the ports what is true now and brings the signals up to date.
//!
//! What could not be read stays as it was last known, is said in the notes, and blocks trading where
//! it matters. Nothing unknown is taken for zero.

use crate::amount::{Price, decimal_from_recorded};
use crate::asset::{Symbol, Ticker, VenueId};
use crate::candle::Window;
use crate::decision::Reason;
use crate::dominance::{DominanceFrame, Member, listed_long_enough, stale_by_ms};
use crate::limits::{DOUBT_AGE_MAX_MS, FUTURE_TOLERANCE_MS, Witnesses, judge_price};
use crate::plan::Markets;
use crate::policy::{AssetPolicy, Policy};
use crate::ports::{Broker, MarketData, PortError, PricePoint};
use crate::question::{Asked, Newest, Question};
use crate::signal::Signal;
use crate::state::{AssetState, SignalState, State};
use crate::time::{Timeframe, Timestamp};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// With fewer signals to compute than this, handing them to other threads costs more than it saves.
const PARALLEL_FROM: usize = 12;

/// A bar may be shown so much later than our clock says that it closed.
const AWAITED_MS: i64 = 120_000;

/// What was read in this cycle, beside what went into the state.
#[derive(Debug, Default)]
pub(crate) struct Observation {
    /// Markets of the venues that answered.
    pub(crate) markets: BTreeMap<VenueId, Arc<Markets>>,
    /// Venues that did not answer, and why.
    pub(crate) unavailable: BTreeMap<VenueId, String>,
    /// Assets whose new price was not believed, and why.
    pub(crate) doubted: BTreeMap<Ticker, Reason>,
    /// What the total lacks, as the reason for which nothing is traded.
    pub(crate) total_unknown: Option<Reason>,
    /// At least one signal was computed again, for a bar or an interval that is new.
    pub(crate) signals_recomputed: bool,
    /// What the operator should know.
    pub(crate) notes: Vec<String>,
}

pub(crate) async fn observe<M: MarketData, B: Broker>(
    market: &M,
    broker: &B,
    policy: &Policy,
    state: &mut State,
    now: Timestamp,
) -> Observation {
    let mut seen = Observation::default();
    for venue in policy.venues() {
        match market.markets(&venue).await {
            Ok(markets) => {
                seen.markets.insert(venue, markets);
            }
            Err(PortError(cause)) => {
                seen.unavailable.insert(venue, cause);
            }
        }
    }
    read_balances(broker, policy, state, &mut seen).await;
    // Caps and prices first, then signals: the trend needs both.
    let mut cache = CandleCache { market, policy, windows: BTreeMap::new() };
    read_prices(&mut cache, state, now, &mut seen).await;
    read_peg(market, policy, state, &mut seen).await;
    read_caps(market, policy, state, now, &mut seen).await;
    refresh_positions(&mut cache, state, now, &mut seen).await;
    refresh_trends(&mut cache, state, now, &mut seen).await;
    seen
}

/// Reads every venue's balances into the state. A venue that does not answer keeps its last known
/// amounts and is unavailable.
pub(crate) async fn read_balances<B: Broker>(
    broker: &B,
    policy: &Policy,
    state: &mut State,
    seen: &mut Observation,
) {
    for venue in policy.venues() {
        match broker.balances(&venue).await {
            Err(PortError(cause)) => {
                for asset in policy.assets.iter().filter(|asset| asset.venue == venue) {
                    if !state.assets.contains_key(&asset.ticker) {
                        entry(state, &asset.ticker).balance_unread = true;
                    }
                }
                seen.unavailable.entry(venue).or_insert(cause);
            }
            Ok(balances) => {
                let of = |ticker: &Ticker| balances.get(ticker).copied().unwrap_or_default();
                state.stablecoin.insert(venue.clone(), of(&policy.stablecoin));
                for asset in policy.assets.iter().filter(|asset| asset.venue == venue) {
                    let known = entry(state, &asset.ticker);
                    (known.balance, known.balance_unread) = (of(&asset.ticker), false);
                }
            }
        }
    }
}

fn entry<'s>(state: &'s mut State, ticker: &Ticker) -> &'s mut AssetState {
    state.assets.entry(ticker.clone()).or_default()
}

fn symbol_of(policy: &Policy, asset: &AssetPolicy) -> Symbol {
    Symbol::new(asset.ticker.clone(), policy.stablecoin.clone())
}

async fn read_prices<M: MarketData>(
    cache: &mut CandleCache<'_, M>,
    state: &mut State,
    now: Timestamp,
    seen: &mut Observation,
) {
    let (market, policy) = (cache.market, cache.policy);
    let references = match market.reference_prices(&policy.assets).await {
        Ok(references) => references,
        Err(PortError(cause)) => {
            seen.notes.push(format!("no second source of prices: {cause}"));
            BTreeMap::new()
        }
    };
    for venue in policy.venues() {
        let here: Vec<(usize, &AssetPolicy)> =
            policy.assets.iter().enumerate().filter(|(_, asset)| asset.venue == venue).collect();
        let symbols: Vec<Symbol> = here.iter().map(|(_, asset)| symbol_of(policy, asset)).collect();
        match market.prices(&venue, &symbols).await {
            Err(PortError(cause)) => {
                seen.unavailable.entry(venue).or_insert(cause);
            }
            Ok(prices) => {
                for ((i, asset), point) in here.into_iter().zip(prices) {
                    let Some(point) = point.filter(|point| point.price.is_positive()) else {
                        continue;
                    };
                    let ahead_ms = point.as_of.since_ms(now);
                    if ahead_ms > FUTURE_TOLERANCE_MS {
                        seen.notes.push(format!(
                            "{}: a price of {}, {ahead_ms} ms from now, was not used",
                            asset.ticker, point.as_of
                        ));
                        continue;
                    }
                    let known = entry(state, &asset.ticker);
                    let witnesses = Witnesses {
                        reference: references.get(&asset.ticker).copied(),
                        ..witnesses(cache, known, i, point, now).await
                    };
                    let band = policy.settings.limits.price_band;
                    match judge_price(point.price, witnesses, band, now) {
                        Ok(()) => {
                            known.price = Some(point.price);
                            known.price_as_of = Some(point.as_of);
                            (known.doubted_price, known.doubted_at) = (None, None);
                        }
                        Err(reason) => {
                            known.doubted_price = Some(point.price);
                            known.doubted_at = Some(now);
                            seen.notes.push(format!("{}: {reason}", asset.ticker));
                            seen.doubted.insert(asset.ticker.clone(), reason);
                        }
                    }
                }
            }
        }
    }
}

/// What is known of an asset's price, beside a second source.
async fn witnesses<M: MarketData>(
    cache: &mut CandleCache<'_, M>,
    known: &AssetState,
    index: usize,
    point: PricePoint,
    now: Timestamp,
) -> Witnesses {
    let bar_ms = cache.policy.assets[index].position_interval.ms();
    let within = |at: Option<Timestamp>, ms| at.is_some_and(|at| now.since_ms(at) <= ms);
    // A quote that is only repeated was believed before, however old it is.
    let is_repeated = known.price_as_of == Some(point.as_of);
    let last_good = known.price.filter(|_| is_repeated || within(known.price_as_of, 2 * bar_ms));
    let candle = match last_good {
        Some(_) => None,
        None if cache.market.prices_are_recorded() => Some(point.price),
        None => cache.newest_close(index, now).await,
    };
    let is_young = within(known.doubted_at, bar_ms.max(DOUBT_AGE_MAX_MS));
    let doubted = known.doubted_price.filter(|_| is_young);
    Witnesses { last_good, candle, doubted, reference: None }
}

/// The stablecoin's own market. While it cannot be read, what it said last grows old.
async fn read_peg<M: MarketData>(
    market: &M,
    policy: &Policy,
    state: &mut State,
    seen: &mut Observation,
) {
    let stablecoin = &policy.stablecoin;
    match market.peg(stablecoin).await {
        Ok(None) => {
            if !state.peg_unwatched {
                seen.notes.push(format!(
                    "no market tells the price of {stablecoin} in dollars: its peg is not watched"
                ));
            }
            (state.peg, state.peg_as_of, state.peg_unwatched) = (None, None, true);
        }
        Ok(Some(PricePoint { price, as_of })) => {
            (state.peg, state.peg_as_of, state.peg_unwatched) = (Some(price), Some(as_of), false);
        }
        Err(PortError(cause)) => {
            seen.notes.push(format!("the price of {stablecoin} in dollars is unknown: {cause}"));
        }
    }
}

/// One request for all caps. Live it is answered from memory, since the second source of prices is the
/// same answer, so it is made in every cycle: caps stay as young as prices, and one that was refused is
/// judged again. A tape is asked in the cycles that compute a trend or still lack a cap.
async fn read_caps<M: MarketData>(
    market: &M,
    policy: &Policy,
    state: &mut State,
    now: Timestamp,
    seen: &mut Observation,
) {
    let needed = !market.prices_are_recorded()
        || policy.assets.iter().any(|asset| {
            state.assets.get(&asset.ticker).is_none_or(|known| {
                known.market_cap.is_none()
                    || known.trend.bucket != Some(asset.trend_interval.bucket(now))
            })
        });
    if !needed {
        return;
    }
    match market.caps(&policy.assets).await {
        Err(PortError(cause)) => {
            seen.notes
                .push(format!("market caps could not be read, the last known are used: {cause}"));
        }
        Ok(caps) => {
            for asset in &policy.assets {
                let Some(cap) = caps.get(&asset.ticker) else { continue };
                if cap.cap_usd.is_finite() && cap.cap_usd > 0.0 {
                    let known = entry(state, &asset.ticker);
                    known.market_cap = Some(cap.cap_usd);
                    known.market_cap_as_of = Some(cap.as_of);
                }
            }
        }
    }
}

/// The candles of one cycle: each market and timeframe is asked for once, however many signals use it.
struct CandleCache<'a, M> {
    market: &'a M,
    policy: &'a Policy,
    windows: BTreeMap<(usize, Timeframe), (usize, Window)>,
}

impl<M: MarketData> CandleCache<'_, M> {
    /// The newest `limit` closed candles of the asset at `index`.
    async fn get(
        &mut self,
        index: usize,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        if let Some((asked, window)) = self.windows.get(&(index, timeframe)) {
            if *asked == limit {
                return Ok(window.clone());
            }
            if *asked > limit {
                return Ok(window.newest(limit));
            }
        }
        let asset = &self.policy.assets[index];
        let symbol = symbol_of(self.policy, asset);
        let window = self.market.candles(&asset.venue, &symbol, timeframe, limit).await?;
        self.windows.insert((index, timeframe), (limit, window.clone()));
        Ok(window)
    }

    /// The close of the newest candle of the position at `index`, unless it is too old to tell.
    async fn newest_close(&mut self, index: usize, now: Timestamp) -> Option<Price> {
        let timeframe = self.policy.assets[index].position_interval;
        let limit = self.policy.settings.indicator_history_size;
        let window = self.get(index, timeframe, limit).await.ok()?;
        let close = window.last_close().filter(|_| stale_by_ms(&window, now).is_none())?;
        decimal_from_recorded(close).map(Price::new)
    }
}

fn map_jobs<J: Sync, T: Send>(jobs: &[J], work: impl Fn(&J) -> T + Sync + Send) -> Vec<T> {
    // On a thread of the pool others run already: waiting for a part here would start another whole
    // run on this thread's stack.
    if jobs.len() < PARALLEL_FROM || rayon::current_thread_index().is_some() {
        jobs.iter().map(work).collect()
    } else {
        jobs.par_iter().map(work).collect()
    }
}

/// The answers to the questions: what is remembered, and what must be worked out, the latter on all
/// cores. The frame of dominance candles is made only when it is needed.
fn answers<M: MarketData>(
    market: &M,
    questions: &[Question<'_>],
    members: Option<&[Member]>,
) -> Vec<Newest> {
    let mut answers: Vec<Option<Newest>> =
        questions.iter().map(|question| market.recall(question)).collect();
    let open: Vec<usize> = (0..answers.len()).filter(|i| answers[*i].is_none()).collect();
    if !open.is_empty() {
        let frame = members.map(DominanceFrame::new);
        let found = map_jobs(&open, |i| questions[*i].answer(frame.as_ref()));
        for (i, answer) in open.into_iter().zip(found) {
            market.keep(&questions[i], answer);
            answers[i] = Some(answer);
        }
    }
    answers.into_iter().map(Option::unwrap_or_default).collect()
}

async fn refresh_positions<M: MarketData>(
    cache: &mut CandleCache<'_, M>,
    state: &mut State,
    now: Timestamp,
    seen: &mut Observation,
) {
    let policy = cache.policy;
    let settings = &policy.settings;
    let mut pending: Vec<usize> = (0..policy.assets.len())
        .filter(|i| {
            let asset = &policy.assets[*i];
            let bucket = state.assets.get(&asset.ticker).and_then(|known| known.position.bucket);
            bucket != Some(asset.position_interval.bucket(now))
        })
        .collect();
    let mut limit = settings.indicator_history_size;
    while !pending.is_empty() {
        let mut jobs: Vec<(usize, Window)> = Vec::with_capacity(pending.len());
        for i in pending.drain(..) {
            let asset = &policy.assets[i];
            match cache.get(i, asset.position_interval, limit).await {
                Err(PortError(cause)) => seen.notes.push(format!(
                    "{}: candles could not be read, its position signal stays: {cause}",
                    asset.ticker
                )),
                Ok(window) => {
                    let stale = stale_by_ms(&window, now).is_some();
                    let known = &mut entry(state, &asset.ticker).position;
                    // An empty answer is no news: the signal it leaves standing must age.
                    known.candle_closed_at = window.closed_at().or(known.candle_closed_at);
                    if stale || window.is_empty() {
                        // Too old to say anything new: the signal keeps its last value.
                        known.bucket = Some(asset.position_interval.bucket(now));
                    } else {
                        jobs.push((i, window));
                    }
                }
            }
        }
        let questions: Vec<Question<'_>> = jobs
            .iter()
            .map(|(i, window)| Question {
                strategy: policy.assets[*i].strategy,
                params: &policy.assets[*i].position_params,
                confirmation: settings.signal_confirmation_cycles,
                asked: Asked::Price(window),
            })
            .collect();
        let found = answers(cache.market, &questions, None);
        for ((i, window), found) in jobs.into_iter().zip(found) {
            let can_grow = window.len() >= limit && limit < settings.max_indicator_history_size;
            if found.prev_1 == Signal::None && can_grow {
                pending.push(i);
                continue;
            }
            let asset = &policy.assets[i];
            let interval = asset.position_interval;
            let known = &mut entry(state, &asset.ticker).position;
            let is_final = !is_awaited(cache.market, window.closed_at(), interval, now);
            let new = SignalState {
                bucket: if is_final { Some(interval.bucket(now)) } else { known.bucket },
                prev_1: found.prev_1,
                prev_2: found.prev_2,
                candle_closed_at: window.closed_at(),
            };
            seen.signals_recomputed |= std::mem::replace(known, new) != new;
        }
        limit = grown(limit, policy);
    }
}

/// Whether the bar that should have closed a moment ago may still come: the venue's clock is behind
/// ours, or it is slow. What was computed without it is computed again in the next cycle.
fn is_awaited<M: MarketData>(
    market: &M,
    closed_at: Option<Timestamp>,
    interval: Timeframe,
    now: Timestamp,
) -> bool {
    let due = interval.floor(now);
    // What a tape does not have at its time does not come.
    !market.prices_are_recorded()
        && now.since_ms(due) < AWAITED_MS
        && closed_at.is_some_and(|closed_at| closed_at.plus_ms(interval.ms()) == due)
}

fn grown(limit: usize, policy: &Policy) -> usize {
    (limit + policy.settings.indicator_history_size).min(policy.settings.max_indicator_history_size)
}

async fn refresh_trends<M: MarketData>(
    cache: &mut CandleCache<'_, M>,
    state: &mut State,
    now: Timestamp,
    seen: &mut Observation,
) {
    let policy = cache.policy;
    let mut due: BTreeMap<Timeframe, Vec<usize>> = BTreeMap::new();
    for (i, asset) in policy.assets.iter().enumerate() {
        let bucket = state.assets.get(&asset.ticker).and_then(|known| known.trend.bucket);
        if bucket != Some(asset.trend_interval.bucket(now)) {
            due.entry(asset.trend_interval).or_default().push(i);
        }
    }
    for (timeframe, due) in due {
        if let Err(cause) = refresh_trend_group(cache, state, now, timeframe, &due, seen).await {
            seen.notes.push(cause);
        }
    }
}

/// The trends on one timeframe. When the candles of any member cannot be read, none is computed:
/// leaving a member out would make the dominance of all others jump. Once its last candle is too old
/// it is left out all the same, like one whose candles ended.
async fn refresh_trend_group<M: MarketData>(
    cache: &mut CandleCache<'_, M>,
    state: &mut State,
    now: Timestamp,
    timeframe: Timeframe,
    due: &[usize],
    seen: &mut Observation,
) -> Result<(), String> {
    let policy = cache.policy;
    let settings = &policy.settings;
    let bucket = Some(timeframe.bucket(now));
    let mut limit = settings.indicator_history_size;
    let base = gather(cache, state, timeframe, limit, None, now, &mut seen.notes).await?;
    let enough = |i: usize| {
        let most = cache.market.history_max(&policy.assets[i].venue);
        most.map_or(limit, |most| most.min(limit))
    };
    let windows: Vec<(&Window, usize)> =
        base.iter().map(|(i, member)| (&member.window, enough(*i))).collect();
    let listed = listed_long_enough(&windows);
    let members: Vec<usize> =
        base.iter().zip(listed).filter(|(_, listed)| *listed).map(|((i, _), _)| *i).collect();
    let mut pending: Vec<usize> = due.iter().copied().filter(|i| members.contains(i)).collect();
    for i in due.iter().filter(|i| !members.contains(i)) {
        // No current candles, no cap, or too young: its trend keeps its last value.
        let known = entry(state, &policy.assets[*i].ticker);
        if !known.candles_unread_since.contains_key(&timeframe) {
            known.trend.bucket = bucket;
        }
    }
    while !pending.is_empty() {
        let only = Some(members.as_slice());
        let gathered = gather(cache, state, timeframe, limit, only, now, &mut seen.notes).await?;
        let (indices, joined): (Vec<usize>, Vec<Member>) = gathered.into_iter().unzip();
        let longest = joined.iter().map(|member| member.window.len()).min().unwrap_or(0);
        let jobs: Vec<(usize, usize)> = pending
            .iter()
            .filter_map(|i| indices.iter().position(|j| j == i).map(|at| (*i, at)))
            .collect();
        let questions: Vec<Question<'_>> = jobs
            .iter()
            .map(|(i, at)| Question {
                strategy: policy.assets[*i].strategy,
                params: &policy.assets[*i].trend_params,
                confirmation: settings.signal_confirmation_cycles,
                asked: Asked::Dominance { members: &joined, at: *at },
            })
            .collect();
        let found = answers(cache.market, &questions, Some(&joined));
        pending.clear();
        let can_grow = longest >= limit && limit < settings.max_indicator_history_size;
        let is_final = !joined
            .iter()
            .any(|member| is_awaited(cache.market, member.window.closed_at(), timeframe, now));
        for ((i, at), found) in jobs.into_iter().zip(found) {
            if found.prev_1 == Signal::None && can_grow {
                pending.push(i);
                continue;
            }
            let known = &mut entry(state, &policy.assets[i].ticker).trend;
            let new = SignalState {
                bucket: if is_final { bucket } else { known.bucket },
                prev_1: found.prev_1,
                prev_2: found.prev_2,
                candle_closed_at: joined[at].window.closed_at(),
            };
            seen.signals_recomputed |= std::mem::replace(known, new) != new;
        }
        limit = grown(limit, policy);
    }
    Ok(())
}

/// The candles and `k` of every asset that has both now, in the order of the configuration.
async fn gather<M: MarketData>(
    cache: &mut CandleCache<'_, M>,
    state: &mut State,
    timeframe: Timeframe,
    limit: usize,
    only: Option<&[usize]>,
    now: Timestamp,
    notes: &mut Vec<String>,
) -> Result<Vec<(usize, Member)>, String> {
    let policy = cache.policy;
    let mut members = Vec::with_capacity(policy.assets.len());
    let mut waits_for = None;
    for (i, asset) in policy.assets.iter().enumerate() {
        if only.is_some_and(|only| !only.contains(&i)) {
            continue;
        }
        let Some(known) = state.assets.get_mut(&asset.ticker) else { continue };
        let (Some(cap), Some(price)) = (known.market_cap, known.price) else { continue };
        let window = match cache.get(i, timeframe, limit).await {
            Ok(window) => window,
            Err(PortError(cause)) => {
                let since = *known.candles_unread_since.entry(timeframe).or_insert(now);
                let what = format!("{}: {timeframe} candles could not be read", asset.ticker);
                // The last one it had was a bar old then, and is older than two bars now.
                if now.since_ms(since) > timeframe.ms() {
                    notes.push(format!(
                        "{what} since {since}, the others' trends leave it out: {cause}"
                    ));
                } else {
                    let stay = format!("{what}, all {timeframe} trends stay: {cause}");
                    waits_for.get_or_insert(stay);
                }
                continue;
            }
        };
        known.candles_unread_since.remove(&timeframe);
        if window.is_empty() || stale_by_ms(&window, now).is_some() {
            continue;
        }
        members.push((i, Member { window, cap_per_price: cap / price.to_f64() }));
    }
    waits_for.map_or(Ok(members), Err)
}
