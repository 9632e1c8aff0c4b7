//! What really happened, for tests to compare with what the daemon believes.

use crate::ledger::{Party, Reason};
use crate::orders::{Order, Side, Status};
use crate::world::World;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

/// An order with what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct OrderSummary {
    /// The venue's number.
    pub id: u64,
    /// The customer's name for it.
    pub client_id: String,
    /// `BASE/QUOTE`.
    pub market: String,
    /// Which way.
    pub side: Side,
    /// Base amount asked for.
    pub base_amount: Decimal,
    /// Base amount executed.
    pub executed: Decimal,
    /// Quote amount executed.
    pub executed_cost: Decimal,
    /// Where it stands.
    pub status: Status,
    /// Executions.
    pub fills: usize,
    /// Exchange time of acceptance.
    pub created_ms: i64,
}

/// One venue.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VenueReport {
    /// Every accepted order by client id, oldest first. More than one: something was sent twice.
    pub orders: BTreeMap<String, Vec<OrderSummary>>,
    /// Client ids with more than one accepted order.
    pub duplicates: Vec<String>,
    /// Base amount executed by client id.
    pub executed: BTreeMap<String, Decimal>,
    /// Orders that are open.
    pub open: usize,
    /// Base amounts bought less those sold, by asset, and the quote amounts the other way.
    pub traded: BTreeMap<String, Decimal>,
    /// Fees paid, by asset.
    pub fees: BTreeMap<String, Decimal>,
    /// Deposits less withdrawals, by asset.
    pub external: BTreeMap<String, Decimal>,
    /// What the customer has, free and locked and elsewhere.
    pub balances: BTreeMap<String, Decimal>,
    /// The most that was used of each limit.
    pub peak_use: BTreeMap<String, u64>,
    /// What does not add up. Empty when all is well.
    pub faults: Vec<String>,
}

/// All venues.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OracleReport {
    /// By name.
    pub venues: BTreeMap<String, VenueReport>,
    /// Requests by double and endpoint.
    pub requests: BTreeMap<String, BTreeMap<String, u64>>,
}

impl OracleReport {
    /// Client ids with more than one accepted order, of all venues.
    #[must_use]
    pub fn duplicates(&self) -> Vec<&str> {
        self.venues.values().flat_map(|venue| &venue.duplicates).map(String::as_str).collect()
    }

    /// What does not add up, of all venues. Empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<&str> {
        self.venues.values().flat_map(|venue| &venue.faults).map(String::as_str).collect()
    }
}

fn summary(order: &Order, fills: usize) -> OrderSummary {
    OrderSummary {
        id: order.id,
        client_id: order.client_id.clone(),
        market: order.market.clone(),
        side: order.side,
        base_amount: order.base_amount,
        executed: order.executed,
        executed_cost: order.executed_cost,
        status: order.status,
        fills,
        created_ms: order.created_ms,
    }
}

/// Looks at everything.
#[must_use]
pub fn report(world: &World) -> OracleReport {
    let venues = world
        .venues
        .iter()
        .map(|(place, venue)| {
            let mut report = venue_report(&venue.exchange);
            report.peak_use = venue.counters.peaks().clone();
            (format!("{place:?}").to_lowercase(), report)
        })
        .collect();
    OracleReport { venues, requests: world.journal.counts().clone() }
}

/// Looks at one venue: its orders against its fills, its fills against its books.
#[must_use]
pub fn venue_report(exchange: &crate::exchange::Exchange) -> VenueReport {
    let mut report = VenueReport { faults: exchange.ledger.faults(), ..VenueReport::default() };
    let mut fill_counts: BTreeMap<u64, (usize, Decimal, Decimal)> = BTreeMap::new();
    for fill in &exchange.fills {
        let (count, amount, cost) = fill_counts.entry(fill.order).or_default();
        *count += 1;
        *amount += fill.amount;
        *cost += fill.cost;
        *report.fees.entry(fill.fee_asset.clone()).or_default() += fill.fee;
        let sign = if fill.side == Side::Buy { Decimal::ONE } else { -Decimal::ONE };
        if let Some((base, quote)) = fill.market.split_once('/') {
            *report.traded.entry(base.to_owned()).or_default() += sign * fill.amount;
            *report.traded.entry(quote.to_owned()).or_default() -= sign * fill.cost;
        }
    }
    for order in exchange.orders.values() {
        let (fills, amount, cost) = fill_counts.get(&order.id).copied().unwrap_or_default();
        if (amount, cost) != (order.executed, order.executed_cost) {
            report.faults.push(format!(
                "order {}: executed {} for {}, its fills say {amount} for {cost}",
                order.id, order.executed, order.executed_cost
            ));
        }
        report.open += usize::from(order.status.is_open());
        *report.executed.entry(order.client_id.clone()).or_default() += order.executed;
        report.orders.entry(order.client_id.clone()).or_default().push(summary(order, fills));
    }
    report.duplicates = report
        .orders
        .iter()
        .filter(|(_, orders)| orders.len() > 1)
        .map(|(client_id, _)| client_id.clone())
        .collect();
    for entry in exchange.ledger.entries() {
        let flow = report.external.entry(entry.asset.clone()).or_default();
        match entry.reason {
            Reason::Deposit => *flow += entry.amount,
            Reason::Withdrawal => *flow -= entry.amount,
            Reason::Lock | Reason::Trade | Reason::Fee | Reason::Transfer => {}
        }
    }
    balance(exchange, &mut report);
    report
}

/// Flows plus trades less fees are the balances, to the last digit.
fn balance(exchange: &crate::exchange::Exchange, report: &mut VenueReport) {
    for (asset, held) in exchange.ledger.holdings() {
        let aside = exchange.ledger.sum(Party::Elsewhere, &asset);
        let sum = |map: &BTreeMap<String, Decimal>| map.get(&asset).copied().unwrap_or_default();
        let expected = sum(&report.external) + sum(&report.traded) - sum(&report.fees);
        let held = held.free + held.locked + aside;
        if held != expected {
            report
                .faults
                .push(format!("{asset}: holds {held}, flows and trades less fees give {expected}"));
        }
        report.balances.insert(asset, held);
    }
}
