//! Whether an order that a venue shows is the one that was meant, and whether its fills are complete.

use keel_core::amount::Qty;
use keel_core::order::{Fill, Intent, Side};
use keel_core::time::Timestamp;
use keel_venues::api::{OrderState, VenueFacts};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Clocks of venue and machine may differ by this much before an order's time counts against it.
const CLOCK_TOLERANCE_MS: i64 = 120_000;
/// Orders by cost may cost this much more than was asked for: venues round, and may count their fee in.
const BY_COST_TOLERANCE: Decimal = Decimal::from_parts(102, 0, 0, false, 2);

/// Why that order cannot be the one that was meant, whatever else is known: nothing of it can be booked
/// as an execution of ours.
pub(super) fn is_another(intent: &Intent, wire_id: &str, seen: &OrderState) -> Option<String> {
    let order = &intent.order;
    if !seen.client_id.is_empty() && seen.client_id != wire_id {
        return Some(format!("it carries the id {}", seen.client_id));
    }
    if seen.symbol != order.symbol {
        return Some(format!("its market is {}", seen.symbol));
    }
    (seen.side != order.side).then(|| format!("its side is {}", seen.side))
}

/// Why that order does not look like the one that was sent; `None` when its figures fit. `made` is when
/// it can have been made, by the venue's clock, if that can be said.
pub(super) fn mismatch(
    intent: &Intent,
    seen: &OrderState,
    made: Option<RangeInclusive<Timestamp>>,
) -> Option<String> {
    let wanted = intent.order.amount;
    if let Some(amount) = seen.amount.filter(|amount| *amount != wanted) {
        return Some(format!("its amount is {amount} instead of {wanted}"));
    }
    let made = made?;
    let earliest = made.start().plus_ms(-CLOCK_TOLERANCE_MS);
    let latest = made.end().plus_ms(CLOCK_TOLERANCE_MS);
    seen.created_at
        .filter(|at| *at < earliest || *at > latest)
        .map(|at| format!("it was made at {at}, outside {earliest} to {latest}"))
}

/// Each execution once, oldest first. When one is given twice with different figures, one of them is
/// wrong: the first is taken, and why that is no answer comes with it.
pub(super) fn distinct(fills: impl IntoIterator<Item = Fill>) -> (Vec<Fill>, Option<String>) {
    let mut by_id: BTreeMap<String, Fill> = BTreeMap::new();
    let mut fault = None;
    for fill in fills {
        match by_id.get(&fill.trade_id) {
            Some(known) if *known != fill => {
                let id = &fill.trade_id;
                fault = Some(format!("the venue gives execution {id} in two versions"));
            }
            Some(_) => {}
            None => {
                by_id.insert(fill.trade_id.clone(), fill);
            }
        }
    }
    let mut fills: Vec<Fill> = by_id.into_values().collect();
    fills.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.trade_id.cmp(&b.trade_id)));
    (fills, fault)
}

/// Base amount of all executions.
pub(super) fn executed(fills: &[Fill]) -> Qty {
    fills.iter().map(|fill| fill.amount).sum()
}

/// Whether the venue was told what to spend: the base amount then follows from the price at that
/// moment, and says nothing about whether the order is complete.
pub(super) fn is_by_cost(facts: &VenueFacts, intent: &Intent) -> bool {
    facts.buys_by_cost && intent.order.side == Side::Buy
}

/// What was executed beyond what was asked for, if anything was, in the unit that the venue was told.
pub(super) fn overfill(intent: &Intent, by_cost: bool, fills: &[Fill]) -> Option<String> {
    let (amount, symbol) = (intent.order.amount, &intent.order.symbol);
    if by_cost {
        let spent = fills.iter().map(|fill| fill.cost).sum::<Decimal>().normalize();
        let asked = amount.value_at(intent.reference_price)?.get().normalize();
        (spent > asked.checked_mul(BY_COST_TOLERANCE)?)
            .then(|| format!("asked for {asked} {} and {spent} were spent", symbol.quote))
    } else {
        let executed = executed(fills);
        (executed > amount)
            .then(|| format!("asked for {amount} {} and {executed} were executed", symbol.base))
    }
}
