//! Ten thousand random portfolios: the plan keeps to the rules, checked without the guard's help.

use crate::portfolio::{Portfolio, portfolios};
use crate::reference::reference;
use keel_core::amount::{Money, Qty};
use keel_core::asset::{Ticker, VenueId};
use keel_core::guard;
use keel_core::order::{OrderKind, PlannedOrder, Side};
use keel_core::plan::{Plan, plan};
use keel_core::signal::Signal;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What a division may lose in its 28th digit.
fn last_digits(amount: Decimal) -> Decimal {
    amount.abs() * Decimal::new(1, 20) + Decimal::new(1, 20)
}

fn weights_sum_to_one(plan: &Plan) -> Result<(), TestCaseError> {
    let assets: Decimal = plan.targets.assets.iter().map(|target| target.ratio).sum();
    prop_assert_eq!(assets + plan.targets.stablecoin.ratio, Decimal::ONE);
    prop_assert!(plan.targets.assets.iter().all(|target| target.ratio >= Decimal::ZERO));
    prop_assert!(plan.targets.stablecoin.ratio >= Decimal::ZERO);
    Ok(())
}

fn targets_equal_the_reference(portfolio: &Portfolio, plan: &Plan) -> Result<(), TestCaseError> {
    let expected = reference(portfolio);
    let total = plan.targets.total.to_f64();
    prop_assert!(close(total, expected.total, expected.total), "{total} {}", expected.total);
    let ratio = Qty::new(plan.targets.stablecoin.ratio).to_f64();
    prop_assert!(close(ratio, expected.stablecoin_ratio, 1.0), "{ratio}");
    for (i, target) in plan.targets.assets.iter().enumerate() {
        let ratio = Qty::new(target.ratio).to_f64();
        prop_assert!(close(ratio, expected.ratio[i], 1.0), "{i}: {ratio} {}", expected.ratio[i]);
        prop_assert!(close(target.dominance, expected.dominance[i], 1.0));
        let worth = expected.ratio[i] * expected.total;
        prop_assert!(close(target.target.to_f64(), worth, expected.total));
        let held = portfolio.assets[i].value().to_f64();
        let change = target.change.to_f64();
        let band = Qty::new(portfolio.settings.rebalance_threshold).to_f64();
        // On the very edge of the band either answer is right.
        let drift = (worth - held).abs() - band * worth;
        let edge = 1e-9 * expected.total;
        if worth > 0.0 && drift < -edge {
            prop_assert!(target.change.is_zero(), "{i}: {change} inside the band");
        } else if worth <= 0.0 || drift > edge {
            prop_assert!(close(change, worth - held, expected.total), "{i}: {change}");
        }
    }
    Ok(())
}

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-9 * scale.max(1e-9)
}

fn each_order_keeps_its_markets_rules(
    portfolio: &Portfolio,
    order: &PlannedOrder,
) -> Result<(), TestCaseError> {
    let rules = &portfolio.markets[&order.venue][&order.symbol];
    prop_assert!(rules.active);
    let (amount, step) = (order.amount.get(), rules.amount_step.get());
    prop_assert!(amount > Decimal::ZERO);
    prop_assert!(step.is_zero() || (amount % step).is_zero(), "{amount} is off the grid {step}");
    prop_assert!(order.amount >= rules.min_amount);
    prop_assert!(rules.max_amount.is_none_or(|max| order.amount <= max));
    let value = amount * portfolio.price(&order.symbol.base);
    prop_assert_eq!(order.value.get(), value);
    prop_assert!(order.value >= portfolio.settings.min_order_value);
    prop_assert!(value / portfolio.price(&order.symbol.quote) >= rules.min_cost);
    let is_stable = order.symbol.quote == portfolio.stablecoin;
    prop_assert_eq!(order.kind == OrderKind::Stable, is_stable);
    for side in [&order.symbol.base, &order.symbol.quote] {
        if let Some(asset) = portfolio.assets.iter().find(|asset| asset.ticker == *side) {
            prop_assert_eq!(&asset.venue, &order.venue);
            prop_assert_eq!(&asset.blocked, &None);
        } else {
            prop_assert_eq!(side, &portfolio.stablecoin);
        }
    }
    Ok(())
}

/// Per asset: what all orders together buy and sell of it, in the stablecoin, and how many units
/// they take.
#[derive(Default)]
struct Turnover {
    bought: Decimal,
    sold: Decimal,
    units_out: Decimal,
}

fn turnover(portfolio: &Portfolio, orders: &[PlannedOrder]) -> BTreeMap<Ticker, Turnover> {
    let mut by_asset: BTreeMap<Ticker, Turnover> = BTreeMap::new();
    for order in orders {
        let value = order.value.get();
        let (into, out_of) = match order.side {
            Side::Buy => (&order.symbol.base, &order.symbol.quote),
            Side::Sell => (&order.symbol.quote, &order.symbol.base),
        };
        by_asset.entry(into.clone()).or_default().bought += value;
        let out = by_asset.entry(out_of.clone()).or_default();
        out.sold += value;
        out.units_out += match order.side {
            Side::Sell => order.amount.get(),
            Side::Buy => value / portfolio.price(&order.symbol.quote),
        };
    }
    by_asset
}

fn nothing_exceeds_what_is_there(portfolio: &Portfolio, plan: &Plan) -> Result<(), TestCaseError> {
    let turnover = turnover(portfolio, &plan.orders);
    for (asset, target) in portfolio.assets.iter().zip(&plan.targets.assets) {
        let Some(moved) = turnover.get(&asset.ticker) else { continue };
        let slack = last_digits(plan.targets.total.get());
        let free = asset.free.get();
        prop_assert!(moved.units_out <= free + last_digits(free), "{} oversold", asset.ticker);
        prop_assert!(moved.bought.is_zero() || moved.sold.is_zero(), "{}", asset.ticker);
        if !moved.bought.is_zero() {
            prop_assert_eq!((asset.position, asset.trend), (Signal::Buy, Signal::Buy));
            prop_assert!(moved.bought <= target.change.get() + slack, "{}", asset.ticker);
        }
        // Section 3 turns an unknown half into a sell.
        let out = asset.position == Signal::Sell
            || asset.position == Signal::None
            || asset.trend == Signal::None;
        if !moved.sold.is_zero() && !out {
            prop_assert!(moved.sold <= -target.change.get() + slack, "{}", asset.ticker);
        }
    }
    if portfolio.constrain_funding {
        let mut funds: BTreeMap<&VenueId, Decimal> = portfolio
            .stablecoin_free
            .iter()
            .map(|(venue, free): (_, &Money)| (venue, free.get()))
            .collect();
        for order in plan.orders.iter().filter(|order| order.kind == OrderKind::Stable) {
            let here = funds.entry(&order.venue).or_default();
            match order.side {
                Side::Sell => *here += order.value.get(),
                Side::Buy => *here -= order.value.get(),
            }
        }
        for (venue, left) in funds {
            prop_assert!(left >= -last_digits(plan.targets.total.get()), "{venue}: {left}");
        }
    }
    Ok(())
}

fn orders_come_direct_then_sells_then_buys(plan: &Plan) -> Result<(), TestCaseError> {
    let stages: Vec<u8> = plan
        .orders
        .iter()
        .map(|order| match (order.kind, order.side) {
            (OrderKind::Direct, _) => 0,
            (OrderKind::Stable, Side::Sell) => 1,
            (OrderKind::Stable, Side::Buy) => 2,
        })
        .collect();
    prop_assert!(stages.is_sorted(), "{stages:?}");
    Ok(())
}

fn silence_is_explained(portfolio: &Portfolio, plan: &Plan) -> Result<(), TestCaseError> {
    prop_assert_eq!(plan.reasons.len(), portfolio.assets.len());
    let turnover = turnover(portfolio, &plan.orders);
    for (asset, reason) in portfolio.assets.iter().zip(&plan.reasons) {
        if !turnover.contains_key(&asset.ticker) {
            prop_assert!(reason.is_some(), "{} has neither order nor reason", asset.ticker);
        }
        if asset.blocked.is_some() {
            prop_assert_eq!(reason, &asset.blocked);
        }
    }
    Ok(())
}

fn the_guard_approves(portfolio: &Portfolio, plan: &Plan) -> Result<(), TestCaseError> {
    let verdict = portfolio.ask(|input| guard::review(input, plan).map(|_| ()));
    prop_assert_eq!(verdict, Ok(()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_rules_and_passes_the_guard(portfolio in portfolios()) {
        let plan = portfolio.ask(plan);
        weights_sum_to_one(&plan)?;
        targets_equal_the_reference(&portfolio, &plan)?;
        for order in &plan.orders {
            each_order_keeps_its_markets_rules(&portfolio, order)?;
        }
        nothing_exceeds_what_is_there(&portfolio, &plan)?;
        orders_come_direct_then_sells_then_buys(&plan)?;
        silence_is_explained(&portfolio, &plan)?;
        the_guard_approves(&portfolio, &plan)?;
    }

    /// What kept an asset from trading is said also when there is nothing to trade with.
    #[test]
    fn an_empty_portfolio_has_no_orders_and_says_what_is_blocked(mut portfolio in portfolios()) {
        portfolio.stablecoin_free.clear();
        for asset in &mut portfolio.assets {
            asset.free = Qty::ZERO;
        }
        let plan = portfolio.ask(plan);
        prop_assert!(plan.orders.is_empty());
        silence_is_explained(&portfolio, &plan)?;
    }
}

/// The generator reaches every kind of order and most reasons; otherwise the property above would
/// hold of nothing.
#[test]
fn random_portfolios_reach_every_kind_of_order() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..1000 {
        let portfolio = portfolios().new_tree(&mut runner).unwrap().current();
        let plan = portfolio.ask(plan);
        for order in &plan.orders {
            *seen.entry(format!("{} {}", order.kind.name(), order.side)).or_default() += 1;
        }
        for reason in plan.reasons.iter().flatten() {
            *seen.entry(reason.code().to_owned()).or_default() += 1;
        }
    }
    for kind in [
        "direct buy",
        "direct sell",
        "stable sell",
        "stable buy",
        "below_threshold",
        "below_min_order",
        "below_market_minimum",
        "market_halted",
        "no_market",
        "funds_on_other_exchange",
        "insufficient_funds",
        "not_trending",
        "position_not_buy",
        "warming_up",
        "paused",
    ] {
        assert!(seen.get(kind).is_some_and(|count| *count >= 5), "{kind} in {seen:?}");
    }
}
