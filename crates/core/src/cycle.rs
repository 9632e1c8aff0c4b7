//! One cycle: the story that live, paper, replay and backtest share.

use crate::amount::{Money, Price};
use crate::asset::{Symbol, Ticker, VenueId};
use crate::decision::Reason;
use crate::execute::{Executor, concerns, judge_book};
use crate::explain::{decisions, idle_decisions};
use crate::guard::{self, Approved, Objection};
use crate::observe::{Observation, observe, read_balances};
use crate::order::{AccountTag, OrderKind, Outcome, PlannedOrder, Side};
use crate::plan::{
    AssetView, BuyWish, Funding, Markets, Plan, PlanInput, fit_sells, plan, size_buys, worth_buying,
};
use crate::policy::Policy;
use crate::ports::{Broker, Clock, MarketData, Store, StoreError};
use crate::reconcile;
use crate::record::{CycleRecord, Execution, Trigger};
use crate::state::{State, Unfinished};
use crate::time::Timestamp;
use crate::view::{asset_views, total_unknown};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The world, as one cycle sees it.
#[derive(Debug)]
pub struct World<'a, C, M, B, S> {
    /// What time it is.
    pub clock: &'a C,
    /// Candles, prices, rules and caps.
    pub market: &'a M,
    /// Balances and orders.
    pub broker: &'a mut B,
    /// The journal.
    pub store: &'a mut S,
}

/// Why and how a cycle is run.
#[derive(Clone, Debug, Default)]
pub struct CycleOptions {
    /// Names the installation; part of every order's name.
    pub deployment: String,
    /// The tags that lead the names of orders at real accounts; elsewhere the deployment's own leads.
    pub tags: BTreeMap<VenueId, AccountTag>,
    /// The first cycle after a start: distribute whatever the signals say.
    pub at_start: bool,
    /// The operator asked for a distribution.
    pub requested: bool,
    /// Decide and record, but send nothing.
    pub paused: bool,
}

/// load -> settle leftovers -> observe -> decide -> guard -> judge, write down and send each order ->
/// reconcile -> persist. Only a journal that cannot be written stops it.
///
/// # Errors
/// When the journal could not be written. The state may then be ahead of the journal: the caller
/// must end and start again from what the journal holds.
pub async fn run_cycle<C: Clock, M: MarketData, B: Broker, S: Store>(
    world: &mut World<'_, C, M, B, S>,
    policy: &Policy,
    state: &mut State,
    options: &CycleOptions,
) -> Result<CycleRecord, StoreError> {
    let now = world.clock.now();
    state.cycle += 1;
    state.cycle_at = Some(now);

    forget_others(policy, state);
    let settled = settle_leftovers(world, state, now).await?;
    let mut seen = observe(world.market, world.broker, policy, state, now).await;
    seen.notes.splice(..0, settled.iter().map(turned_out));
    seen.total_unknown = total_unknown(policy, state, &seen, world.market.prices_are_recorded());
    seen.notes.extend(seen.total_unknown.iter().map(ToString::to_string));
    let assets = asset_views(world.broker, policy, state, options, &seen, now);
    let trigger = trigger(policy, state, options, &seen, &assets);
    let total_before = state.total();
    let stablecoin_before = state.stablecoin_free();

    let (decisions, executions) = if trigger == Trigger::None {
        (idle_decisions(policy, state, &assets, now), Vec::new())
    } else {
        let distribution =
            distribute(world, policy, state, options, &mut seen, &assets, now).await?;
        state.unfinished = unfinished(state, &assets, &distribution, trigger, now);
        let decisions = decisions(policy, state, &assets, stablecoin_before, &distribution, now);
        remember(policy, state, &distribution.plan);
        (decisions, distribution.executions)
    };
    value_holdings(state);
    let record = CycleRecord {
        cycle: state.cycle,
        at: now,
        trigger,
        total_before,
        total_after: state.total(),
        stablecoin_after: state.stablecoin_free(),
        decisions,
        executions,
        settled,
        notes: seen.notes,
    };
    let broker = &*world.broker;
    world.store.commit(&record, state, &|| broker.checkpoint())?;
    Ok(record)
}

/// What left the configuration is not observed any more, so its last known balance must not count.
fn forget_others(policy: &Policy, state: &mut State) {
    let tickers: BTreeSet<&Ticker> = policy.assets.iter().map(|asset| &asset.ticker).collect();
    let venues: BTreeSet<&VenueId> = policy.assets.iter().map(|asset| &asset.venue).collect();
    state.assets.retain(|ticker, _| tickers.contains(ticker));
    state.stablecoin.retain(|venue, _| venues.contains(venue));
    state.unfinished.retain(|ticker, _| tickers.contains(ticker));
}

/// Looks up every order whose outcome is unknown. Returns those that are known now.
async fn settle_leftovers<C: Clock, M: MarketData, B: Broker, S: Store>(
    world: &mut World<'_, C, M, B, S>,
    state: &mut State,
    now: Timestamp,
) -> Result<Vec<Execution>, StoreError> {
    let mut settled = Vec::new();
    if state.unresolved.is_empty() {
        return Ok(settled);
    }
    for intent in std::mem::take(&mut state.unresolved) {
        let outcome = world.broker.look_up(&intent).await;
        if matches!(outcome, Outcome::Unknown { .. }) {
            state.unresolved.push(intent);
        } else {
            world.store.write_outcome(&intent.id, &outcome, now)?;
            settled.push(Execution { intent, outcome });
        }
    }
    write_checkpoint(world)?;
    Ok(settled)
}

fn turned_out(settled: &Execution) -> String {
    let Execution { intent, outcome } = settled;
    let order = &intent.order;
    format!(
        "order {} of cycle {} ({} {} {} at {}), unknown until now, turned out {}",
        intent.id,
        intent.cycle,
        order.side,
        order.amount,
        order.symbol,
        order.venue,
        outcome.name()
    )
}

/// What the broker learnt from an order, such as a halt, is durable before anything else is done.
pub(crate) fn write_checkpoint<C: Clock, M: MarketData, B: Broker, S: Store>(
    world: &mut World<'_, C, M, B, S>,
) -> Result<(), StoreError> {
    let broker = &*world.broker;
    world.store.write_checkpoint(&|| broker.checkpoint())
}

fn trigger(
    policy: &Policy,
    state: &State,
    options: &CycleOptions,
    seen: &Observation,
    assets: &[AssetView],
) -> Trigger {
    let funds_moved = state.stablecoin_at_distribution.is_none_or(|last| {
        (state.stablecoin_free() - last).abs() > policy.settings.min_order_value
    });
    if options.at_start {
        Trigger::Start
    } else if options.requested {
        Trigger::Requested
    } else if seen.signals_recomputed {
        Trigger::Signals
    } else if assets
        .iter()
        .any(|asset| asset.blocked.is_none() && may_be_finished(policy, state, seen, asset))
    {
        Trigger::Unfinished
    } else if funds_moved {
        Trigger::Funds
    } else {
        Trigger::None
    }
}

/// Whether it is time to come back to what was left undone for an asset.
fn may_be_finished(policy: &Policy, state: &State, seen: &Observation, asset: &AssetView) -> bool {
    let now = state.cycle_at.unwrap_or_default();
    let is_due = state.unfinished.get(&asset.ticker).is_some_and(|left| left.is_due(now));
    let symbol = Symbol::new(asset.ticker.clone(), policy.stablecoin.clone());
    let rules = seen.markets.get(&asset.venue).and_then(|markets| markets.get(&symbol));
    is_due && rules.is_none_or(|rules| rules.active)
}

/// What a distribution planned and did.
pub(crate) struct Distribution {
    pub(crate) plan: Plan,
    pub(crate) executions: Vec<Execution>,
    /// Per asset: why there is no order or why it stops short.
    pub(crate) reasons: Vec<Option<Reason>>,
}

async fn distribute<C: Clock, M: MarketData, B: Broker, S: Store>(
    world: &mut World<'_, C, M, B, S>,
    policy: &Policy,
    state: &mut State,
    options: &CycleOptions,
    seen: &mut Observation,
    assets: &[AssetView],
    now: Timestamp,
) -> Result<Distribution, StoreError> {
    let free = stablecoin_free(state);
    let (all_markets, plan) = plan_with_good_books(world.market, policy, seen, assets, &free).await;
    let markets = by_venue(&all_markets);
    let input = plan_input(policy, &free, assets, &markets);
    let mut reasons = plan.reasons.clone();
    let mut executor = Executor::new(policy, options, assets, &plan, state, now);
    let before = reconcile::balances(state);

    match guard::review(&input, &plan) {
        Err(objections) => executor.refuse(&plan.orders, &objections, &mut seen.notes),
        Ok(approved) => {
            // Direct orders, then sells, then buys: each stage is sized from what the one before
            // really left. Nothing is sized from a balance that could not be read again.
            let stage = |kind: OrderKind, side: Option<Side>| -> Vec<PlannedOrder> {
                let wanted = |order: &&PlannedOrder| {
                    order.kind == kind && side.is_none_or(|side| order.side == side)
                };
                approved.orders().iter().filter(wanted).cloned().collect()
            };
            let mut unread = Observation::default();
            executor.send(world, state, &stage(OrderKind::Direct, None)).await?;

            let planned_sells = stage(OrderKind::Stable, Some(Side::Sell));
            let mut sells = planned_sells.clone();
            let mut held = assets.to_vec();
            if !executor.executions.is_empty() && !sells.is_empty() {
                read_balances(world.broker, policy, state, &mut unread).await;
                sells.retain(|sell| !unread.unavailable.contains_key(&sell.venue));
                refresh_free(&mut held, state);
            }
            let free = stablecoin_free(state);
            let after_direct = PlanInput { assets: &held, stablecoin_free: &free, ..input.clone() };
            let sells = fit_sells(&after_direct, &sells);
            explain_dropped(&after_direct, &planned_sells, &sells, &unread, &mut reasons);
            match guard::review_again(&after_direct, &plan, &sells) {
                Ok(sells) => executor.send(world, state, sells.orders()).await?,
                Err(objections) => executor.refuse(&sells, &objections, &mut seen.notes),
            }

            if !plan.buy_wishes.is_empty() {
                if !executor.executions.is_empty() {
                    read_balances(world.broker, policy, state, &mut unread).await;
                }
                match resized_buys(&input, &plan, state, &unread, &mut reasons) {
                    Ok(buys) => executor.send(world, state, buys.orders()).await?,
                    Err((orders, objections)) => {
                        executor.refuse(&orders, &objections, &mut seen.notes)
                    }
                }
            }
            if !executor.executions.is_empty() {
                let mut last = Observation::default();
                read_balances(world.broker, policy, state, &mut last).await;
                if last.unavailable.is_empty() {
                    let executions = &executor.executions;
                    let notes = reconcile::unexplained(policy, &before, state, executions);
                    seen.notes.extend(notes);
                }
            }
        }
    }
    executor.explain(&mut reasons);
    state.stablecoin_at_distribution = Some(state.stablecoin_free());
    Ok(Distribution { executions: executor.executions, plan, reasons })
}

fn by_venue(markets: &BTreeMap<VenueId, Arc<Markets>>) -> BTreeMap<VenueId, &Markets> {
    markets.iter().map(|(venue, markets)| (venue.clone(), &**markets)).collect()
}

const fn plan_input<'a>(
    policy: &'a Policy,
    stablecoin_free: &'a BTreeMap<VenueId, Money>,
    assets: &'a [AssetView],
    markets: &'a BTreeMap<VenueId, &'a Markets>,
) -> PlanInput<'a> {
    PlanInput {
        settings: &policy.settings,
        stablecoin: &policy.stablecoin,
        stablecoin_free,
        assets,
        markets,
        constrain_funding: true,
    }
}

/// The plan, and the markets it was made with: those whose books do not hold the direct orders that
/// would be made there are left out, so that both legs go through the stablecoin. A thin market
/// between two altcoins must not keep either from its own.
async fn plan_with_good_books<M: MarketData>(
    market: &M,
    policy: &Policy,
    seen: &mut Observation,
    assets: &[AssetView],
    stablecoin_free: &BTreeMap<VenueId, Money>,
) -> (BTreeMap<VenueId, Arc<Markets>>, Plan) {
    let mut markets = seen.markets.clone();
    loop {
        let plan = plan(&plan_input(policy, stablecoin_free, assets, &by_venue(&markets)));
        let mut is_good = true;
        for order in plan.orders.iter().filter(|order| order.kind == OrderKind::Direct) {
            let limits = &policy.settings.limits;
            let Err(reason) = judge_book(market, order, assets, limits).await else { continue };
            is_good = false;
            seen.notes.push(format!("{} at {} is not used: {reason}", order.symbol, order.venue));
            if let Some(here) = markets.get_mut(&order.venue) {
                Arc::make_mut(here).remove(&order.symbol);
            }
        }
        if is_good {
            return (markets, plan);
        }
    }
}

/// What a later cycle has to come back to. An order that failed is tried again once and then waits for
/// the next signal, lest one that an exchange keeps refusing uses up the caps of a day. What was never
/// sent uses up nothing: it is looked at again for as long as it takes, at longer and longer pauses.
fn unfinished(
    state: &State,
    assets: &[AssetView],
    distribution: &Distribution,
    trigger: Trigger,
    now: Timestamp,
) -> BTreeMap<Ticker, Unfinished> {
    let is_new = !matches!(trigger, Trigger::Unfinished | Trigger::Funds);
    let executions = &distribution.executions;
    let moved = executions.iter().any(|execution| !execution.outcome.fills().is_empty());
    let left = |asset: &AssetView, reason: Option<&Reason>| {
        let before = state.unfinished.get(&asset.ticker).filter(|_| !is_new);
        let before = before.copied().unwrap_or_default();
        let was_sent = executions.iter().any(|execution| concerns(&execution.intent.order, asset));
        match reason {
            _ if asset.blocked.is_some() => Some(before),
            // The next cycle has caps of its own, the next day too.
            Some(Reason::CapReached { .. }) if moved => Some(Unfinished { tries: 0, ..before }),
            Some(reason) if !reason.passes() => None,
            Some(reason) if was_sent || matches!(reason, Reason::GuardRefused { .. }) => {
                (!before.failed).then(|| Unfinished { failed: true, ..before }.again(now))
            }
            Some(_) => Some(before.again(now)),
            None => None,
        }
    };
    assets
        .iter()
        .zip(&distribution.reasons)
        .filter_map(|(asset, reason)| Some((asset.ticker.clone(), left(asset, reason.as_ref())?)))
        .collect()
}

/// Why a planned sell is not made after all: its venue fell silent, or too little is left of it.
fn explain_dropped(
    input: &PlanInput<'_>,
    planned: &[PlannedOrder],
    made: &[PlannedOrder],
    unread: &Observation,
    reasons: &mut [Option<Reason>],
) {
    let is_made = |sell: &PlannedOrder| made.iter().any(|other| other.symbol == sell.symbol);
    for sell in planned.iter().filter(|sell| !is_made(sell)) {
        for (asset, reason) in input.assets.iter().zip(&mut *reasons) {
            if asset.ticker == sell.symbol.base {
                *reason = Some(match unread.unavailable.get(&sell.venue) {
                    Some(cause) => Reason::ExchangeUnavailable { cause: cause.clone() },
                    None => Reason::BelowMinOrder {
                        value: asset.value(),
                        minimum: input.settings.min_order_value,
                    },
                });
            }
        }
    }
}

/// The free amounts as the state knows them now.
fn refresh_free(assets: &mut [AssetView], state: &State) {
    for asset in assets {
        if let Some(known) = state.assets.get(&asset.ticker) {
            asset.free = known.balance.free;
        }
    }
}

fn stablecoin_free(state: &State) -> BTreeMap<VenueId, Money> {
    state
        .stablecoin
        .iter()
        .map(|(venue, balance)| (venue.clone(), Money::new(balance.free.get())))
        .collect()
}

/// The buys, sized from the balances as they are now.
fn resized_buys(
    input: &PlanInput<'_>,
    plan: &Plan,
    state: &State,
    unavailable: &Observation,
    reasons: &mut [Option<Reason>],
) -> Result<Approved, (Vec<PlannedOrder>, Vec<Objection>)> {
    let mut available = stablecoin_free(state);
    // Unknown is not available.
    available.retain(|venue, _| !unavailable.unavailable.contains_key(venue));
    let now = PlanInput { stablecoin_free: &available, ..input.clone() };
    let haircut = Some(input.settings.balance_adjustment_factor_buy);
    let funding = Funding { available: &available, haircut };
    let readable: Vec<BuyWish> = plan
        .buy_wishes
        .iter()
        .filter(|wish| !unavailable.unavailable.contains_key(&input.assets[wish.asset].venue))
        .cloned()
        .collect();
    let mut wishes = worth_buying(&now, &readable, funding);
    let mut dropped = size_buys(&now, &readable, Some(funding)).reasons;
    dropped.retain(|(asset, _)| !wishes.iter().any(|wish| wish.asset == *asset));
    // A wish that is too small after the cut leaves its share to the others; without this, what it
    // did not spend would be offered to them again, cycle after cycle. The smaller half goes first,
    // because the larger ones may fit then.
    let sized = loop {
        let sized = size_buys(&now, &wishes, Some(funding));
        let is_made = |wish: &&BuyWish| {
            let ticker = &input.assets[wish.asset].ticker;
            sized.orders.iter().any(|order| order.symbol.base == *ticker)
        };
        let mut unmade: Vec<BuyWish> =
            wishes.iter().filter(|wish| !is_made(wish)).cloned().collect();
        if unmade.is_empty() {
            break sized;
        }
        unmade.sort_by_key(|wish| wish.wanted);
        unmade.truncate(unmade.len().div_ceil(2));
        let goes = |asset: usize| unmade.iter().any(|wish| wish.asset == asset);
        dropped.extend(sized.reasons.iter().filter(|(asset, _)| goes(*asset)).cloned());
        wishes.retain(|wish| !goes(wish.asset));
    };
    for wish in &plan.buy_wishes {
        let again = sized.reasons.iter().chain(&dropped).find(|(asset, _)| *asset == wish.asset);
        reasons[wish.asset] = match again {
            Some((_, reason)) => Some(reason.clone()),
            None => unavailable
                .unavailable
                .get(&input.assets[wish.asset].venue)
                .map(|cause| Reason::ExchangeUnavailable { cause: cause.clone() }),
        };
    }
    guard::review_again(&now, plan, &sized.orders).map_err(|objections| (sized.orders, objections))
}

/// What is held, at the prices of this cycle, whether it distributed or not.
fn value_holdings(state: &mut State) {
    for known in state.assets.values_mut() {
        let price = known.price.unwrap_or(Price::ZERO);
        known.value = known.balance.free.value_at(price).unwrap_or_default();
    }
    state.parking.value = state.stablecoin_free();
}

/// Keeps the figures of the last distribution for `status.json`.
fn remember(policy: &Policy, state: &mut State, plan: &Plan) {
    for (asset, target) in policy.assets.iter().zip(&plan.targets.assets) {
        let known = state.assets.entry(asset.ticker.clone()).or_default();
        known.dominance = target.dominance;
        known.ratio = target.ratio;
        known.target = target.target;
        known.change = target.change;
        known.done = true;
    }
    let target = &plan.targets.stablecoin;
    state.parking.price = Some(Price::new(Decimal::ONE));
    state.parking.ratio = target.ratio;
    state.parking.target = target.target;
    state.parking.change = target.change;
    state.parking.done = true;
}
