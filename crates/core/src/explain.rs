//! Decision records: for every asset what was decided, also where nothing was.

use crate::amount::{Money, Price, Qty};
use crate::cycle::Distribution;
use crate::decision::{DecisionRecord, Reason};
use crate::execute::concerns;
use crate::plan::AssetView;
use crate::policy::Policy;
use crate::signal::Signal;
use crate::state::State;
use crate::time::Timestamp;
use rust_decimal::Decimal;

/// A record as far as the state alone tells it.
fn blank(policy: &Policy, state: &State, asset: &AssetView, now: Timestamp) -> DecisionRecord {
    let known = state.assets.get(&asset.ticker);
    let stale_ms = i64::try_from(policy.settings.market_cap_stale_threshold_seconds)
        .unwrap_or(i64::MAX / 1000)
        .saturating_mul(1000);
    DecisionRecord {
        ticker: asset.ticker.clone(),
        venue: Some(asset.venue.clone()),
        price: known.and_then(|known| known.price),
        free: asset.free,
        value: asset.value(),
        market_cap: asset.market_cap,
        position: asset.position,
        trend: asset.trend,
        dominance: known.map_or(0.0, |known| known.dominance),
        ratio: known.map_or(Decimal::ZERO, |known| known.ratio),
        target: known.map_or(Money::ZERO, |known| known.target),
        change: Money::ZERO,
        capped: false,
        cap_stale: known
            .and_then(|known| known.market_cap_as_of)
            .is_some_and(|as_of| now.since_ms(as_of) > stale_ms),
        orders: Vec::new(),
        reason: None,
    }
}

/// Like the other records, it shows what was held when the decision was made.
fn stablecoin_record(
    policy: &Policy,
    state: &State,
    free: Money,
    reason: Reason,
) -> DecisionRecord {
    DecisionRecord {
        ticker: policy.stablecoin.clone(),
        venue: None,
        price: Some(Price::new(Decimal::ONE)),
        free: Qty::new(free.get()),
        value: free,
        market_cap: None,
        position: Signal::None,
        trend: Signal::None,
        dominance: 0.0,
        ratio: state.parking.ratio,
        target: state.parking.target,
        change: Money::ZERO,
        capped: false,
        cap_stale: false,
        orders: Vec::new(),
        reason: Some(reason),
    }
}

fn parked_records(policy: &Policy) -> impl Iterator<Item = DecisionRecord> + '_ {
    policy.parked.iter().map(|parked| DecisionRecord {
        ticker: parked.ticker.clone(),
        venue: parked.venue.clone(),
        price: None,
        free: Qty::ZERO,
        value: Money::ZERO,
        market_cap: None,
        position: Signal::None,
        trend: Signal::None,
        dominance: 0.0,
        ratio: Decimal::ZERO,
        target: Money::ZERO,
        change: Money::ZERO,
        capped: false,
        cap_stale: false,
        orders: Vec::new(),
        reason: Some(Reason::NotManaged),
    })
}

pub(crate) fn idle_decisions(
    policy: &Policy,
    state: &State,
    assets: &[AssetView],
    now: Timestamp,
) -> Vec<DecisionRecord> {
    let mut records =
        vec![stablecoin_record(policy, state, state.stablecoin_free(), Reason::NoTrigger)];
    records.extend(assets.iter().map(|asset| DecisionRecord {
        reason: Some(asset.blocked.clone().unwrap_or(Reason::NoTrigger)),
        ..blank(policy, state, asset, now)
    }));
    records.extend(parked_records(policy));
    records
}

pub(crate) fn decisions(
    policy: &Policy,
    state: &State,
    assets: &[AssetView],
    stablecoin_before: Money,
    distribution: &Distribution,
    now: Timestamp,
) -> Vec<DecisionRecord> {
    let targets = &distribution.plan.targets;
    let mut records = vec![DecisionRecord {
        ratio: targets.stablecoin.ratio,
        target: targets.stablecoin.target,
        change: targets.stablecoin.change,
        ..stablecoin_record(policy, state, stablecoin_before, Reason::ParkingPlace)
    }];
    for (i, asset) in assets.iter().enumerate() {
        let target = &targets.assets[i];
        records.push(DecisionRecord {
            dominance: target.dominance,
            ratio: target.ratio,
            target: target.target,
            change: target.change,
            capped: target.capped,
            orders: distribution
                .executions
                .iter()
                .map(|execution| &execution.intent.order)
                .filter(|order| concerns(order, asset))
                .cloned()
                .collect(),
            reason: distribution.reasons[i].clone(),
            ..blank(policy, state, asset, now)
        });
    }
    records.extend(parked_records(policy));
    records
}
