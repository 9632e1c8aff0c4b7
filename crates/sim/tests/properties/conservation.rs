//! Value is conserved up to fees, to the last digit; nothing is sold or spent that is not there.

use crate::accounting::{after, non_zero};
use crate::scenario::{Scenario, Seen, Wishes};
use keel_core::asset::{Ticker, VenueId};
use keel_core::order::{OrderKind, Side};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

const ROUGH: Wishes =
    Wishes { assets: 9, cycles: 48, ragged: true, flows: true, faults: true, thin: true };

/// The shapes of run that every property below is tried on.
pub(crate) fn shapes() -> Vec<Wishes> {
    vec![
        Wishes::CALM,
        Wishes { flows: true, ..Wishes::CALM },
        Wishes { ragged: true, ..Wishes::CALM },
        Wishes { thin: true, ragged: true, ..Wishes::CALM },
        Wishes { faults: true, ..Wishes::CALM },
        ROUGH,
    ]
}

pub(crate) fn for_every_cycle(seeds: std::ops::Range<u64>, mut check: impl FnMut(&Seen<'_>)) {
    for seed in seeds {
        for wishes in shapes() {
            Scenario::new(seed, wishes).run_with(&mut check);
        }
    }
}

#[test]
fn balances_follow_from_the_fills_to_the_last_digit() {
    let mut fills = 0;
    for_every_cycle(0..6, |seen| {
        let expected = after(seen.books_before, seen.executed);
        assert_eq!(
            non_zero(&expected),
            non_zero(seen.books_after),
            "seed {}, cycle {}",
            seen.scenario.seed,
            seen.record.cycle
        );
        fills += seen.executed.iter().map(|executed| executed.outcome.fills().len()).sum::<usize>();
    });
    assert!(fills > 500, "only {fills} fills: the property was hardly tried");
}

/// At the prices of the cycle, the total falls by fees, spread and slippage and by nothing else.
#[test]
fn a_cycle_loses_what_its_trades_cost_and_nothing_else() {
    let mut traded = 0;
    for_every_cycle(10..14, |seen| {
        let scenario = seen.scenario;
        if seen.record.notes.iter().any(|note| note.contains("came or went otherwise"))
            || seen.record.executions.is_empty()
            || scenario.faults.every_order.is_none()
        {
            return;
        }
        let price: BTreeMap<&Ticker, Decimal> = seen
            .record
            .decisions
            .iter()
            .filter_map(|decision| Some((&decision.ticker, decision.price?.get())))
            .collect();
        let mut cost = Decimal::ZERO;
        for execution in &seen.record.executions {
            let order = &execution.intent.order;
            for fill in execution.outcome.fills() {
                let base = fill.amount.get() * price[&order.symbol.base];
                let quote = fill.cost * price[&order.symbol.quote];
                let loss = match order.side {
                    Side::Buy => quote - base,
                    Side::Sell => base - quote,
                };
                assert!(loss > Decimal::new(-1, 6), "a trade made {loss}");
                cost += loss + fill.fee.amount.get() * price[&fill.fee.asset];
            }
            traded += 1;
        }
        let lost = seen.record.total_before.get() - seen.record.total_after.get();
        assert!(
            (lost - cost).abs() < Decimal::new(1, 9),
            "seed {}, cycle {}: lost {lost}, trades cost {cost}",
            scenario.seed,
            seen.record.cycle
        );
    });
    assert!(traded > 200, "only {traded} orders: the property was hardly tried");
}

/// The orders of a cycle, in the order they were sent, against books of our own: each sell is
/// covered by what is there at that moment, and the buys of a venue together by its stablecoin.
#[test]
fn nothing_is_sold_or_spent_that_is_not_there() {
    let mut orders = 0;
    for_every_cycle(20..25, |seen| {
        let stablecoin = &seen.scenario.policy.stablecoin;
        let mut books = seen.books_before.clone();
        let mut executed = seen.executed.iter().peekable();
        let mut spent: BTreeMap<VenueId, Decimal> = BTreeMap::new();
        for execution in &seen.record.executions {
            let order = &execution.intent.order;
            let held = |ticker: &Ticker| {
                books.get(&(order.venue.clone(), ticker.clone())).copied().unwrap_or_default()
            };
            match (order.kind, order.side) {
                (_, Side::Sell) => {
                    let free = held(&order.symbol.base);
                    assert!(order.amount.get() <= free, "{order:?} with {free} free");
                }
                (OrderKind::Direct, Side::Buy) => {
                    let price = execution.intent.reference_price.get();
                    let free = held(&order.symbol.quote);
                    assert!(order.amount.get() * price <= free, "{order:?} with {free} free");
                }
                (OrderKind::Stable, Side::Buy) => {
                    let wanted = spent.entry(order.venue.clone()).or_default();
                    let free = held(stablecoin);
                    assert!(
                        order.value.get() <= free,
                        "{order:?} with {free} free after {wanted} was spent"
                    );
                    *wanted += order.value.get();
                }
            }
            if executed.peek().is_some_and(|done| done.intent.id == execution.intent.id) {
                let done = executed.next().unwrap();
                books = after(&books, std::slice::from_ref(done));
            }
            orders += 1;
        }
        assert_eq!(executed.next(), None, "an execution without a record");
        // The buys of a venue, together, at the moment the first of them was sent.
        for ((venue, ticker), amount) in seen.books_after {
            assert!(*amount >= Decimal::ZERO, "{amount} {ticker} at {venue}");
        }
    });
    assert!(orders > 500, "only {orders} orders: the property was hardly tried");
}

/// Without faults no venue ever has a reason to refuse: everything was sized for its rules.
#[test]
fn no_order_is_refused_by_a_venue_that_works() {
    for_every_cycle(30..34, |seen| {
        if seen.scenario.faults.every_order.is_none() {
            return;
        }
        for execution in &seen.record.executions {
            assert_ne!(
                execution.outcome.name(),
                "rejected",
                "seed {}, cycle {}: {execution:?}",
                seen.scenario.seed,
                seen.record.cycle
            );
        }
    });
}
