//! Every cycle's record: complete, consistent, and within the venues' and the operator's rules.

use crate::conservation::for_every_cycle;
use crate::faults::Question;
use crate::scenario::Seen;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::order::{OrderKind, PlannedOrder, Side};
use keel_core::record::Trigger;
use keel_core::signal::Signal;
use keel_core::time::Timeframe;
use rust_decimal::Decimal;

fn place(seen: &Seen<'_>) -> String {
    format!("seed {}, cycle {}", seen.scenario.seed, seen.record.cycle)
}

#[test]
fn every_asset_has_exactly_one_decision_and_every_decision_says_something() {
    for_every_cycle(40..44, |seen| {
        let policy = &seen.scenario.policy;
        let expected: Vec<&Ticker> = std::iter::once(&policy.stablecoin)
            .chain(policy.assets.iter().map(|asset| &asset.ticker))
            .chain(policy.parked.iter().map(|parked| &parked.ticker))
            .collect();
        let found: Vec<&Ticker> = seen.record.decisions.iter().map(|d| &d.ticker).collect();
        assert_eq!(found, expected, "{}", place(seen));
        for decision in &seen.record.decisions {
            assert!(
                !decision.orders.is_empty() || decision.reason.is_some(),
                "{}: {} has neither order nor reason: {decision:?}",
                place(seen),
                decision.ticker
            );
            let executed: Vec<&PlannedOrder> = seen
                .record
                .executions
                .iter()
                .map(|execution| &execution.intent.order)
                .filter(|order| {
                    order.symbol.base == decision.ticker || order.symbol.quote == decision.ticker
                })
                .collect();
            if decision.ticker != policy.stablecoin {
                assert_eq!(decision.orders.iter().collect::<Vec<_>>(), executed);
            }
        }
    });
}

#[test]
fn weights_sum_to_exactly_one_and_figures_follow_from_each_other() {
    let mut distributed = 0;
    for_every_cycle(50..54, |seen| {
        if seen.record.trigger == Trigger::None {
            assert!(seen.record.executions.is_empty());
            return;
        }
        distributed += 1;
        let decisions = &seen.record.decisions;
        let sum: Decimal = decisions.iter().map(|decision| decision.ratio).sum();
        assert_eq!(sum, Decimal::ONE, "{}", place(seen));
        let total = seen.record.total_before.get();
        for decision in decisions {
            assert!(decision.ratio >= Decimal::ZERO);
            let target = decision.ratio * total;
            let near = |a: Decimal, b: Decimal| (a - b).abs() < Decimal::new(1, 12);
            assert!(near(decision.target.get(), target), "{}: {decision:?}", place(seen));
            let change = decision.target.get() - decision.value.get();
            let is_parked = seen.scenario.policy.parked.iter().any(|p| p.ticker == decision.ticker);
            let within_band = decision.change.is_zero();
            assert!(
                is_parked || within_band || near(decision.change.get(), change),
                "{}: {decision:?}",
                place(seen)
            );
        }
        let altcoins: f64 = seen
            .scenario
            .policy
            .assets
            .iter()
            .zip(&decisions[1..])
            .filter(|(asset, _)| asset.level >= 2)
            .map(|(_, decision)| decision.ratio.to_string().parse::<f64>().unwrap())
            .sum();
        assert!(altcoins <= seen.scenario.policy.settings.max_alt_coin_ratio + 1e-12);
    });
    assert!(distributed > 500, "only {distributed} distributions");
}

#[test]
fn every_order_keeps_to_the_grid_the_minimums_and_the_signals() {
    let mut orders = 0;
    for_every_cycle(60..64, |seen| {
        for execution in &seen.record.executions {
            let order = &execution.intent.order;
            let rules = &seen.scenario.rules(&order.venue)[&order.symbol];
            let amount = order.amount.get();
            assert!(rules.active);
            assert!((amount % rules.amount_step.get()).is_zero(), "{}: {order:?}", place(seen));
            assert!(amount > Decimal::ZERO && order.amount >= rules.min_amount);
            assert!(rules.max_amount.is_none_or(|max| order.amount <= max));
            let decision = |ticker: &Ticker| {
                seen.record.decisions.iter().find(|decision| decision.ticker == *ticker).unwrap()
            };
            let price = |ticker: &Ticker| decision(ticker).price.unwrap().get();
            assert_eq!(order.value.get(), amount * price(&order.symbol.base));
            assert!(order.value >= seen.scenario.policy.settings.min_order_value);
            assert!(order.value.get() / price(&order.symbol.quote) >= rules.min_cost);
            let bought = match order.side {
                Side::Buy => &order.symbol.base,
                Side::Sell => &order.symbol.quote,
            };
            if *bought != seen.scenario.policy.stablecoin {
                let decision = decision(bought);
                assert_eq!(
                    (decision.position, decision.trend),
                    (Signal::Buy, Signal::Buy),
                    "{}: {order:?}",
                    place(seen)
                );
            }
            orders += 1;
        }
        let stages: Vec<(OrderKind, Side)> = seen
            .record
            .executions
            .iter()
            .map(|execution| (execution.intent.order.kind, execution.intent.order.side))
            .map(
                |(kind, side)| {
                    if kind == OrderKind::Direct { (kind, Side::Buy) } else { (kind, side) }
                },
            )
            .collect();
        let rank = |stage: &(OrderKind, Side)| match stage {
            (OrderKind::Direct, _) => 0,
            (_, Side::Sell) => 1,
            (_, Side::Buy) => 2,
        };
        assert!(stages.iter().map(rank).is_sorted(), "{}", place(seen));
    });
    assert!(orders > 400, "only {orders} orders");
}

/// Neither on stale candles nor at a venue that did not answer.
#[test]
fn nothing_is_traded_blindly() {
    let mut stale = 0;
    let mut silent = 0;
    for_every_cycle(70..74, |seen| {
        let scenario = seen.scenario;
        let now = seen.record.at;
        let down = |venue: &VenueId| {
            [Question::Markets, Question::Prices, Question::Balances]
                .iter()
                .any(|question| scenario.faults.unanswered(*question, venue.as_str(), now))
        };
        silent += scenario.policy.venues().iter().filter(|venue| down(venue)).count();
        for asset in &scenario.policy.assets {
            let symbol = Symbol::new(asset.ticker.clone(), scenario.policy.stablecoin.clone());
            let series = &scenario.tape.venues[&asset.venue].candles[&symbol][&Timeframe::H1];
            let age = Window::closed(series, now, 1).closed_at().map(|at| now.since_ms(at));
            let is_old = age.is_none_or(|age| age > 2 * asset.position_interval.ms());
            stale += usize::from(is_old);
            let traded = seen.record.executions.iter().any(|execution| {
                let symbol = &execution.intent.order.symbol;
                symbol.base == asset.ticker || symbol.quote == asset.ticker
            });
            assert!(!(traded && is_old), "{}: {} is stale", place(seen), asset.ticker);
            assert!(!(traded && down(&asset.venue)), "{}: {}", place(seen), asset.venue);
            let has_cap = scenario.tape.caps.contains_key(&asset.ticker);
            assert!(!traded || has_cap, "{}: {} has no cap", place(seen), asset.ticker);
        }
    });
    assert!(stale > 100 && silent > 50, "{stale} stale assets, {silent} silent venues");
}

#[test]
fn the_guard_never_has_to_refuse_and_balances_are_explained() {
    for_every_cycle(80..84, |seen| {
        for note in &seen.record.notes {
            assert!(!note.contains("the guard refused"), "{}: {note}", place(seen));
            // Only an answer that was lost may leave a balance unexplained.
            let may_puzzle = seen.scenario.faults.every_order.is_none();
            assert!(may_puzzle || !note.contains("otherwise"), "{}: {note}", place(seen));
        }
    });
}
