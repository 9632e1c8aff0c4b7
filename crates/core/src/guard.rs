//! The guard: reads a plan it did not write and lets through only what it can derive again.
//!
//! It calls none of the planner's functions. One objection refuses the whole plan: a plan that is
//! wrong in one place was made by code or data that is wrong, and no part of it is to be trusted.

use crate::allocation::Candidate;
use crate::amount::{Money, Qty};
use crate::asset::{Symbol, Ticker, VenueId};
use crate::order::{OrderKind, PlannedOrder, Side};
use crate::plan::{AssetView, Plan, PlanInput};
use crate::signal::Signal;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Orders that were reviewed. Only [`review`] and [`review_again`] make it.
#[derive(Debug)]
pub struct Approved {
    orders: Vec<PlannedOrder>,
}

impl Approved {
    /// The orders, in the order of execution.
    #[must_use]
    pub fn orders(&self) -> &[PlannedOrder] {
        &self.orders
    }
}

/// What is wrong with a plan: what was seen, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection(String);

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Weights may differ from the guard's own by this much: two ways of adding `f64` do.
const WEIGHT_TOLERANCE: f64 = 1e-9;

/// Reviews weights, targets, direction, amounts, minimums, free balances and funding per venue.
///
/// # Errors
/// Every objection there is.
pub fn review(input: &PlanInput<'_>, plan: &Plan) -> Result<Approved, Vec<Objection>> {
    let mut objections = Vec::new();
    review_weights(input, plan, &mut objections);
    review_targets(input, plan, &mut objections);
    review_orders(input, &plan.orders, input.stablecoin_free, &mut objections);
    review_direction(input, plan, &mut objections);
    conclude(&plan.orders, objections)
}

/// Reviews orders against the stablecoin that were sized again after earlier ones had settled.
/// `input` holds the balances as they are now; nothing may exceed what `plan` asked for.
///
/// # Errors
/// Every objection there is.
pub fn review_again(
    input: &PlanInput<'_>,
    plan: &Plan,
    orders: &[PlannedOrder],
) -> Result<Approved, Vec<Objection>> {
    let mut objections = Vec::new();
    for order in orders {
        let within_plan = order.kind == OrderKind::Stable
            && match order.side {
                Side::Sell => plan.orders.iter().any(|planned| {
                    planned.kind == order.kind
                        && planned.side == order.side
                        && planned.symbol == order.symbol
                        && planned.venue == order.venue
                        && order.amount <= planned.amount
                }),
                Side::Buy => plan.buy_wishes.iter().any(|wish| {
                    let asset = input.assets.get(wish.asset);
                    asset.is_some_and(|asset| asset.ticker == order.symbol.base)
                        // A market without a step leaves the last digit of a division.
                        && order.value.get() <= wish.wanted.get() + dust(wish.wanted.get())
                }),
            };
        if !within_plan {
            objections.push(Objection(format!("{} is more than the plan asked for", name(order))));
        }
    }
    review_orders(input, orders, input.stablecoin_free, &mut objections);
    conclude(orders, objections)
}

fn conclude(
    orders: &[PlannedOrder],
    objections: Vec<Objection>,
) -> Result<Approved, Vec<Objection>> {
    if objections.is_empty() { Ok(Approved { orders: orders.to_vec() }) } else { Err(objections) }
}

fn name(order: &PlannedOrder) -> String {
    format!("{} {} {} at {}", order.side, order.amount, order.symbol, order.venue)
}

/// A buy in both signals, neither of them unknown.
fn is_buy(asset: &AssetView) -> bool {
    asset.position == Signal::Buy && asset.trend == Signal::Buy
}

fn review_weights(input: &PlanInput<'_>, plan: &Plan, objections: &mut Vec<Objection>) {
    let ratios: Vec<Decimal> = plan.targets.assets.iter().map(|target| target.ratio).collect();
    if ratios.len() != input.assets.len() {
        objections.push(Objection(format!(
            "{} weights for {} assets",
            ratios.len(),
            input.assets.len()
        )));
        return;
    }
    let sum = ratios.iter().sum::<Decimal>() + plan.targets.stablecoin.ratio;
    if sum != Decimal::ONE {
        objections.push(Objection(format!("weights sum to {sum}, not 1")));
    }
    let weights: Vec<f64> =
        ratios.iter().map(|ratio| crate::amount::Qty::new(*ratio).to_f64()).collect();
    let altcoins: f64 =
        (0..weights.len()).filter(|i| input.assets[*i].level > 1).map(|i| weights[i]).sum();
    if altcoins > input.settings.max_alt_coin_ratio + WEIGHT_TOLERANCE {
        objections.push(Objection(format!(
            "altcoins weigh {altcoins}, more than {}",
            input.settings.max_alt_coin_ratio
        )));
    }
    let expected = expected_weights(input);
    for ((asset, weight), expected) in input.assets.iter().zip(&weights).zip(&expected) {
        if *weight < 0.0 || (weight - expected).abs() > WEIGHT_TOLERANCE {
            objections
                .push(Objection(format!("{} weighs {weight}, expected {expected}", asset.ticker)));
        }
    }
}

/// What each asset should weigh: its share by the allocation policy where both signals buy, with
/// the altcoins scaled down to their cap.
fn expected_weights(input: &PlanInput<'_>) -> Vec<f64> {
    let known = |cap: &f64| cap.is_finite() && *cap > 0.0;
    let caps: Vec<f64> =
        input.assets.iter().map(|asset| asset.market_cap.filter(known).unwrap_or(0.0)).collect();
    let all: f64 = caps.iter().rev().sum();
    // A position that has not spoken makes the trend count as a sell too.
    let takes_part =
        |asset: &AssetView| asset.trend == Signal::Buy && asset.position != Signal::None;
    let members: Vec<usize> = (0..caps.len()).filter(|i| takes_part(&input.assets[*i])).collect();
    let candidates: Vec<Candidate> = members
        .iter()
        .map(|i| Candidate { dominance: if all > 0.0 { caps[*i] / all } else { 0.0 } })
        .collect();
    let mut weights = vec![0.0; caps.len()];
    for (i, weight) in members.iter().zip((input.settings.allocation.weigh)(&candidates)) {
        if is_buy(&input.assets[*i]) {
            weights[*i] = weight;
        }
    }
    let (most, is_altcoin) =
        (input.settings.max_alt_coin_ratio, |i: &usize| input.assets[*i].level > 1);
    let altcoins: f64 = (0..weights.len()).rev().filter(is_altcoin).map(|i| weights[i]).sum();
    if altcoins > most {
        for i in (0..weights.len()).filter(is_altcoin) {
            weights[i] = weights[i] / altcoins * most;
        }
    }
    weights
}

/// The total is what is held at the prices of the input, and each target its weight of that.
fn review_targets(input: &PlanInput<'_>, plan: &Plan, objections: &mut Vec<Objection>) {
    let held =
        input.assets.iter().map(|asset| asset.free.value_at(asset.price).unwrap_or_default());
    let total = held.sum::<Money>() + input.stablecoin_free.values().copied().sum();
    let tolerance = Money::new(dust(total.get()));
    if (plan.targets.total - total).abs() > tolerance {
        objections
            .push(Objection(format!("total of {}, but {total} is there", plan.targets.total)));
    }
    let tickers = input.assets.iter().map(|asset| &asset.ticker).chain([input.stablecoin]);
    for (ticker, target) in
        tickers.zip(plan.targets.assets.iter().chain([&plan.targets.stablecoin]))
    {
        let expected = total.times(target.ratio).unwrap_or_default();
        if (target.target - expected).abs() > tolerance {
            objections.push(Objection(format!(
                "{ticker}: target of {}, but its weight makes {expected}",
                target.target
            )));
        }
    }
}

/// What an order takes from and brings to a venue, in units of the assets.
struct Flow<'a> {
    /// The asset that leaves, and how much of it.
    out: (&'a Ticker, Decimal),
}

fn flow<'a>(
    input: &PlanInput<'_>,
    order: &'a PlannedOrder,
    asset_of: &BTreeMap<&Ticker, &AssetView>,
) -> Option<Flow<'a>> {
    let out = match order.side {
        Side::Sell => (&order.symbol.base, order.amount.get()),
        Side::Buy => {
            let price = |ticker: &Ticker| asset_of.get(ticker).map(|asset| asset.price.get());
            let base = price(&order.symbol.base)?;
            let quote = if order.symbol.quote == *input.stablecoin {
                Decimal::ONE
            } else {
                price(&order.symbol.quote)?
            };
            let cost = order.amount.get().checked_mul(base)?.checked_div(quote)?;
            (&order.symbol.quote, cost)
        }
    };
    Some(Flow { out })
}

/// The last digit of a division may differ; more than this does not.
fn dust(amount: Decimal) -> Decimal {
    amount.abs() * Decimal::new(1, 18) + Decimal::new(1, 18)
}

fn review_orders(
    input: &PlanInput<'_>,
    orders: &[PlannedOrder],
    stablecoin_free: &BTreeMap<VenueId, Money>,
    objections: &mut Vec<Objection>,
) {
    // Most cycles have nothing to review; the maps below are for those that have.
    if orders.is_empty() {
        return;
    }
    let asset_of: BTreeMap<&Ticker, &AssetView> =
        input.assets.iter().map(|asset| (&asset.ticker, asset)).collect();
    let mut seen: BTreeSet<(&VenueId, &Symbol)> = BTreeSet::new();
    let mut taken: BTreeMap<(&VenueId, &Ticker), Decimal> = BTreeMap::new();
    let mut brought: BTreeMap<&VenueId, Decimal> = BTreeMap::new();
    for order in orders {
        let mut object =
            |what: String| objections.push(Objection(format!("{}: {what}", name(order))));
        if !seen.insert((&order.venue, &order.symbol)) {
            object("the same market twice in one plan".to_owned());
        }
        let is_stable = order.symbol.quote == *input.stablecoin;
        if is_stable != (order.kind == OrderKind::Stable) {
            object(format!("not of the kind {}", order.kind.name()));
        }
        for ticker in [&order.symbol.base, &order.symbol.quote] {
            if ticker == input.stablecoin {
                continue;
            }
            match asset_of.get(ticker) {
                None => object(format!("{ticker} is not in the portfolio")),
                Some(asset) if asset.blocked.is_some() => object(format!("{ticker} is blocked")),
                Some(asset) if asset.venue != order.venue => {
                    object(format!("{ticker} is held at {}", asset.venue));
                }
                Some(_) => {}
            }
        }
        let rules = input.markets.get(&order.venue).and_then(|markets| markets.get(&order.symbol));
        let Some(rules) = rules.filter(|rules| rules.active) else {
            object("no such active market".to_owned());
            continue;
        };
        let amount = order.amount.get();
        let step = rules.amount_step.get();
        if !step.is_zero() && !(amount % step).is_zero() {
            object(format!("not a multiple of {step}"));
        }
        if amount <= Decimal::ZERO || order.amount < rules.min_amount {
            object(format!("expected at least {} and more than 0", rules.min_amount));
        }
        if let Some(max) = rules.max_amount.filter(|max| order.amount > *max) {
            object(format!("expected at most {max}"));
        }
        let price = |ticker: &Ticker| asset_of.get(ticker).map(|asset| asset.price.get());
        let worth = price(&order.symbol.base).and_then(|price| amount.checked_mul(price));
        if worth != Some(order.value.get()) {
            object(format!("worth {worth:?}, but the plan says {}", order.value));
        }
        if order.value < input.settings.min_order_value {
            object(format!("expected a value of {} or more", input.settings.min_order_value));
        }
        let Some(flow) = flow(input, order, &asset_of) else {
            object("a price is missing".to_owned());
            continue;
        };
        let quote_price = price(&order.symbol.quote).unwrap_or(Decimal::ONE);
        let cost = order.value.get().checked_div(quote_price).unwrap_or_default();
        if cost < rules.min_cost {
            object(format!("cost {cost}, expected {} or more", rules.min_cost));
        }
        *taken.entry((&order.venue, flow.out.0)).or_default() += flow.out.1;
        if order.side == Side::Sell && order.symbol.quote == *input.stablecoin {
            *brought.entry(&order.venue).or_default() += order.value.get();
        }
    }
    for ((venue, ticker), amount) in taken {
        // A what-if question may spend stablecoin that is not there, but never sell what is not.
        if ticker == input.stablecoin && !input.constrain_funding {
            continue;
        }
        let free = if ticker == input.stablecoin {
            stablecoin_free.get(venue).copied().unwrap_or_default().get()
                + brought.get(venue).copied().unwrap_or_default()
        } else {
            asset_of.get(ticker).map_or(Decimal::ZERO, |asset| asset.free.get())
        };
        if amount > free + dust(free) {
            objections.push(Objection(format!(
                "orders at {venue} take {amount} {ticker}, but only {free} is free"
            )));
        }
    }
}

/// Nothing is bought beyond its target or without two buy signals; nothing is sold below its target
/// unless its signal says sell; nothing is bought and sold in one plan.
fn review_direction(input: &PlanInput<'_>, plan: &Plan, objections: &mut Vec<Objection>) {
    for (asset, target) in input.assets.iter().zip(&plan.targets.assets) {
        let (mut bought, mut sold) = (Money::ZERO, Money::ZERO);
        for order in &plan.orders {
            let (is_base, is_quote) =
                (order.symbol.base == asset.ticker, order.symbol.quote == asset.ticker);
            match order.side {
                Side::Buy if is_base => bought += order.value,
                Side::Sell if is_base => sold += order.value,
                Side::Buy if is_quote => sold += order.value,
                Side::Sell if is_quote => bought += order.value,
                _ => {}
            }
        }
        let mut object =
            |what: &str| objections.push(Objection(format!("{}: {what}", asset.ticker)));
        if bought.is_positive() && sold.is_positive() {
            object("bought and sold in one plan");
        }
        if bought.is_positive() && !is_buy(asset) {
            object("bought without two buy signals");
        }
        let held = Qty::value_at(asset.free, asset.price).unwrap_or_default();
        let tolerance = Money::new(dust(plan.targets.total.get()));
        if held + bought > target.target + tolerance && bought.is_positive() {
            object("bought beyond its target");
        }
        let must_go = asset.position == Signal::Sell
            || asset.position == Signal::None
            || asset.trend == Signal::None;
        if sold.is_positive() && held - sold < target.target - tolerance && !must_go {
            object("sold below its target");
        }
    }
}
