//! What a plan may know about each asset, and why it must leave some alone.

use crate::amount::Price;
use crate::asset::{Symbol, VenueId};
use crate::cycle::CycleOptions;
use crate::decision::Reason;
use crate::execute::is_frozen;
use crate::limits::judge_peg;
use crate::observe::Observation;
use crate::plan::AssetView;
use crate::policy::{AssetPolicy, Policy};
use crate::ports::{Broker, PricePoint};
use crate::state::State;
use crate::time::Timestamp;

/// What the plan may know about each asset, and why it must leave some alone.
pub(crate) fn asset_views<B: Broker>(
    broker: &B,
    policy: &Policy,
    state: &State,
    options: &CycleOptions,
    seen: &Observation,
    now: Timestamp,
) -> Vec<AssetView> {
    policy
        .assets
        .iter()
        .map(|asset| {
            let known = state.assets.get(&asset.ticker).cloned().unwrap_or_default();
            AssetView {
                ticker: asset.ticker.clone(),
                level: asset.level,
                venue: asset.venue.clone(),
                price: known.price.unwrap_or(Price::ZERO),
                free: known.balance.free,
                market_cap: known.market_cap,
                position: known.position.prev_1,
                trend: known.trend.prev_1,
                blocked: blocked(broker, policy, asset, state, options, seen, now),
            }
        })
        .collect()
}

/// What the total lacks, if it lacks something: a venue that was never read, or an asset that never
/// had a price. What counts as nothing by mistake makes all targets too small, and those of the
/// others too large.
pub(crate) fn total_unknown(
    policy: &Policy,
    state: &State,
    seen: &Observation,
    is_recorded: bool,
) -> Option<Reason> {
    let lacks = |cause: String| Reason::TotalUnknown { cause };
    let never_read = |venue: &VenueId| !state.stablecoin.contains_key(venue);
    if let Some((venue, cause)) = seen.unavailable.iter().find(|(venue, _)| never_read(venue)) {
        return Some(lacks(format!("{venue} was never read: {cause}")));
    }
    policy.assets.iter().find_map(|asset| {
        let (ticker, known) = state.assets.get_key_value(&asset.ticker)?;
        if known.balance_unread {
            return Some(lacks(format!("how much {ticker} is held was never read")));
        }
        let has_market = || {
            let symbol = Symbol::new(ticker.clone(), policy.stablecoin.clone());
            seen.markets.get(&asset.venue).is_some_and(|markets| markets.contains_key(&symbol))
        };
        // What has no market, or is not listed yet on a tape, has no value that anybody could tell.
        let is_unpriced = known.price.is_none()
            && known.balance.free.is_positive()
            && !is_recorded
            && has_market();
        let why = seen.doubted.get(ticker).map_or_else(String::new, |doubt| format!(": {doubt}"));
        is_unpriced.then(|| lacks(format!("{ticker} is held and never had a price{why}")))
    })
}

fn blocked<B: Broker>(
    broker: &B,
    policy: &Policy,
    asset: &AssetPolicy,
    state: &State,
    options: &CycleOptions,
    seen: &Observation,
    now: Timestamp,
) -> Option<Reason> {
    if let Some(cause) = seen.unavailable.get(&asset.venue) {
        return Some(Reason::ExchangeUnavailable { cause: cause.clone() });
    }
    if let Some(reason) = &seen.total_unknown {
        return Some(reason.clone());
    }
    if options.paused {
        return Some(Reason::Paused);
    }
    if let Some(cause) = broker.closed(&asset.venue) {
        return Some(Reason::ExchangeClosed { cause });
    }
    let told = state.peg.zip(state.peg_as_of).map(|(price, as_of)| PricePoint { price, as_of });
    if !state.peg_unwatched
        && let Err(reason) = judge_peg(told, policy.settings.limits.max_depeg, now)
    {
        return Some(reason);
    }
    let Some(known) = state.assets.get(&asset.ticker) else { return Some(Reason::NoPrice) };
    if is_frozen(policy, state, &asset.venue, &asset.ticker) {
        return Some(Reason::UnresolvedOrder);
    }
    if let Some(reason) = seen.doubted.get(&asset.ticker) {
        return Some(reason.clone());
    }
    if known.price.is_none() {
        return Some(Reason::NoPrice);
    }
    let position = known.price_as_of.into_iter().chain(known.position.candle_closed_at).min();
    let trend = known.trend.candle_closed_at;
    for (at, interval) in [(position, asset.position_interval), (trend, asset.trend_interval)] {
        let limit_ms = 2 * interval.ms();
        if let Some(age_ms) = at.map(|at| now.since_ms(at)).filter(|age| *age > limit_ms) {
            return Some(Reason::StaleData { age_ms, limit_ms });
        }
    }
    if known.market_cap.is_none() {
        return Some(Reason::NoMarketCap);
    }
    // Never computed is unknown; computed and still 0 counts as a sell.
    if known.position.candle_closed_at.is_none() || known.trend.candle_closed_at.is_none() {
        return Some(Reason::WarmingUp);
    }
    None
}
