//! What came from outside and what went there: deposits, withdrawals, trades by hand. It is what was
//! held in a cycle and in the one before does not explain by the orders between them. What joined or
//! left the configuration did not move at all, and is told apart.

use crate::journal::{JournalError, Reader, TradeRow};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// Below this, in the stablecoin, it is rounding or a fee that was not reported.
const FLOW_MIN: Decimal = Decimal::ONE;

/// Something came, or went (below zero), between two cycles.
pub(super) struct Flow {
    /// When the cycle started that saw it, milliseconds.
    pub(super) at_ms: i64,
    /// Worth of each asset that moved, in the stablecoin, at the prices of the cycle before.
    pub(super) moved: BTreeMap<String, Decimal>,
    /// The same of what joined the configuration, or left it (below zero).
    pub(super) managed: BTreeMap<String, Decimal>,
}

/// Worth of all flows together.
pub(super) fn sum(flows: &[Flow]) -> Decimal {
    moved(flows) + managed(flows)
}

/// Worth of what moved.
pub(super) fn moved(flows: &[Flow]) -> Decimal {
    flows.iter().flat_map(|flow| flow.moved.values()).sum()
}

/// Worth of what joined the configuration, without what left it.
pub(super) fn managed(flows: &[Flow]) -> Decimal {
    flows.iter().flat_map(|flow| flow.managed.values()).sum()
}

/// What was put in: without what went, and what left and came back counts once.
pub(super) fn deposits(flows: &[Flow]) -> Decimal {
    let came = |flow: &Flow| flow.moved.values().sum::<Decimal>().max(Decimal::ZERO);
    flows.iter().map(came).sum::<Decimal>() + managed(flows).max(Decimal::ZERO)
}

/// In words, what moved and what joined or left, as far as there is any; amounts as `shown`.
pub(super) fn told(flows: &[Flow], shown: impl Fn(Decimal) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    if flows.iter().any(|flow| !flow.moved.is_empty()) {
        lines.push(format!("deposits and withdrawals {}", shown(moved(flows))));
    }
    let tickers: BTreeSet<&str> =
        flows.iter().flat_map(|flow| flow.managed.keys()).map(String::as_str).collect();
    if !tickers.is_empty() {
        let tickers = tickers.into_iter().collect::<Vec<_>>().join(", ");
        let value = shown(managed(flows));
        lines.push(format!("joined or left the configuration ({tickers}) {value}"));
    }
    lines
}

/// A number of the journal.
pub(super) fn number(text: &str) -> Decimal {
    text.parse().unwrap_or_default()
}

/// The flows between the cycles from `first` to `last`, in order.
pub(super) fn flows(reader: &Reader, first: u64, last: u64) -> Result<Vec<Flow>, JournalError> {
    let mut changes = Vec::new();
    let (mut before, mut now) = (Held::default(), Held::default());
    reader.each_decision(first, last, |decision| {
        if decision.cycle != now.cycle {
            let next = Held { cycle: decision.cycle, ..Held::default() };
            let ended = std::mem::replace(&mut now, next);
            changes.extend(Change::between(&before, &ended));
            before = ended;
        }
        let holding = (number(&decision.free), number(&decision.price));
        now.holdings.insert(decision.ticker, holding);
    })?;
    changes.extend(Change::between(&before, &now));
    let mut flows = Vec::new();
    for mut change in changes {
        for cycle in change.from..change.to {
            reader.trades(Some(cycle))?.iter().for_each(|trade| change.explain(trade));
        }
        let at_ms = reader.cycle(Some(change.to))?.map_or(0, |cycle| cycle.at_ms);
        let unmoved = std::mem::take(&mut change.unmoved);
        let (managed, moved): (BTreeMap<_, _>, BTreeMap<_, _>) =
            change.worth().into_iter().partition(|(ticker, _)| unmoved.contains(ticker));
        if !(managed.is_empty() && moved.is_empty()) {
            flows.push(Flow { at_ms, moved, managed });
        }
    }
    Ok(flows)
}

/// What was held when a cycle decided: free amount and price of each asset.
#[derive(Default)]
struct Held {
    cycle: u64,
    holdings: BTreeMap<String, (Decimal, Decimal)>,
}

/// How amounts differ between two cycles: the difference and the price of each asset.
struct Change {
    from: u64,
    to: u64,
    amounts: BTreeMap<String, (Decimal, Decimal)>,
    /// What the configuration of only one of the cycles names.
    unmoved: BTreeSet<String>,
}

impl Change {
    fn between(before: &Held, now: &Held) -> Option<Self> {
        let mut amounts = before.holdings.clone();
        for (free, _) in amounts.values_mut() {
            *free = -*free;
        }
        for (ticker, (free, price)) in &now.holdings {
            let change = amounts.entry(ticker.clone()).or_insert((Decimal::ZERO, *price));
            change.0 += *free;
            // It had none before.
            if change.1.is_zero() {
                change.1 = *price;
            }
        }
        let is_one = before.cycle > 0 && amounts.values().any(|(amount, _)| !amount.is_zero());
        let in_both = |ticker: &&String| {
            before.holdings.contains_key(*ticker) && now.holdings.contains_key(*ticker)
        };
        let unmoved = amounts.keys().filter(|ticker| !in_both(ticker)).cloned().collect();
        is_one.then_some(Self { from: before.cycle, to: now.cycle, amounts, unmoved })
    }

    /// Takes off what an order moved.
    fn explain(&mut self, trade: &TradeRow) {
        let Some((base, quote)) = trade.symbol.split_once('/') else { return };
        let (filled, cost) = (number(&trade.filled), number(&trade.cost));
        let sign = if trade.side == "buy" { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        let fees = trade.fee.split(" + ").filter_map(|fee| fee.split_once(' '));
        let moved = [(base, filled * sign), (quote, -cost * sign)]
            .into_iter()
            .chain(fees.map(|(amount, ticker)| (ticker, -number(amount))));
        for (ticker, amount) in moved {
            if let Some((difference, _)) = self.amounts.get_mut(ticker) {
                *difference -= amount;
            }
        }
    }

    /// What is left, in the stablecoin.
    fn worth(self) -> BTreeMap<String, Decimal> {
        let worth = |(amount, price): (Decimal, Decimal)| amount.checked_mul(price);
        self.amounts
            .into_iter()
            .filter_map(|(ticker, held)| Some((ticker, worth(held)?)))
            .filter(|(_, value)| value.abs() >= FLOW_MIN)
            .collect()
    }
}
