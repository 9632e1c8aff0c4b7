//! The stores of backtests: take down what reports need and forget the rest.

use crate::run::{SignalChange, Trade, Unfilled, Why};
use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::Ticker;
use keel_core::decision::DecisionRecord;
use keel_core::order::{ClientOrderId, Intent, OrderKind, Outcome, Side};
use keel_core::policy::Policy;
use keel_core::ports::{Store, StoreError};
use keel_core::record::{CycleRecord, Execution};
use keel_core::signal::{Signal, effective};
use keel_core::state::State;
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Series of one asset, one entry per cycle, and its changes.
#[derive(Debug, Default)]
pub(crate) struct AssetSeries {
    pub(crate) weights: Vec<f32>,
    pub(crate) targets: Vec<f32>,
    pub(crate) prices: Vec<f64>,
    pub(crate) signals: Vec<SignalChange>,
    pub(crate) reasons: BTreeMap<&'static str, u64>,
}

/// What a run leaves, gathered cycle by cycle.
#[derive(Debug)]
pub(crate) struct Collector {
    tickers: Vec<Ticker>,
    pub(crate) equity: Vec<f64>,
    pub(crate) stable_share: Vec<f32>,
    pub(crate) assets: Vec<AssetSeries>,
    pub(crate) trades: Vec<Trade>,
    pub(crate) unfilled: Vec<Unfilled>,
    pub(crate) notes: BTreeMap<String, u64>,
}

impl Collector {
    pub(crate) fn new(policy: &Policy, cycles: usize) -> Self {
        let tickers: Vec<Ticker> = policy.assets.iter().map(|asset| asset.ticker.clone()).collect();
        let assets = tickers
            .iter()
            .map(|_| AssetSeries {
                weights: Vec::with_capacity(cycles),
                targets: Vec::with_capacity(cycles),
                prices: Vec::with_capacity(cycles),
                ..AssetSeries::default()
            })
            .collect();
        Self {
            tickers,
            equity: Vec::with_capacity(cycles),
            stable_share: Vec::with_capacity(cycles),
            assets,
            trades: Vec::new(),
            unfilled: Vec::new(),
            notes: BTreeMap::new(),
        }
    }

    pub(crate) fn take(&mut self, record: &CycleRecord, state: &State) {
        let total = record.total_after.to_f64();
        self.equity.push(total);
        self.stable_share.push(share(record.stablecoin_after.to_f64(), total));
        // The decisions come as the stablecoin, the assets in order, and parked stablecoins.
        let decisions = record.decisions.iter().skip(1);
        for ((ticker, series), decision) in self.tickers.iter().zip(&mut self.assets).zip(decisions)
        {
            take_asset(series, ticker, decision, record.at, state, total);
        }
        for execution in &record.executions {
            if let Some(trade) = trade(record, execution) {
                self.trades.push(trade);
            }
            if let Some(unfilled) = unfilled(record, execution) {
                self.unfilled.push(unfilled);
            }
        }
        for note in &record.notes {
            *self.notes.entry(note.clone()).or_default() += 1;
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a share for charts")]
fn share(part: f64, total: f64) -> f32 {
    if total > 0.0 { (part / total) as f32 } else { 0.0 }
}

fn take_asset(
    series: &mut AssetSeries,
    ticker: &Ticker,
    decision: &DecisionRecord,
    at: Timestamp,
    state: &State,
    total: f64,
) {
    let known = state.assets.get(ticker);
    let price = known.and_then(|known| known.price).map_or(0.0, Price::to_f64);
    let free = known.map_or(0.0, |known| known.balance.free.to_f64());
    series.prices.push(price);
    series.weights.push(share(free * price, total));
    series.targets.push(share(Qty::new(decision.ratio).to_f64(), 1.0));
    let now = SignalChange { at, position: decision.position, trend: decision.trend };
    let same = |last: &SignalChange| (last.position, last.trend) == (now.position, now.trend);
    if !series.signals.last().is_some_and(same) {
        series.signals.push(now);
    }
    if let Some(reason) = &decision.reason {
        *series.reasons.entry(reason.code()).or_default() += 1;
    }
}

/// An order's prices in the stablecoin, as they stood when it was planned.
struct Planned {
    base: Decimal,
    quote: Decimal,
}

fn planned(intent: &Intent) -> Planned {
    let order = &intent.order;
    let base = order.value.get().checked_div(order.amount.get()).unwrap_or_default();
    let quote = match order.kind {
        OrderKind::Stable => Decimal::ONE,
        OrderKind::Direct => base.checked_div(intent.reference_price.get()).unwrap_or_default(),
    };
    Planned { base, quote }
}

fn product(a: Decimal, b: Decimal) -> Decimal {
    a.checked_mul(b).unwrap_or_default()
}

/// The executed part of an order; `None` when there is none.
pub(crate) fn trade(record: &CycleRecord, execution: &Execution) -> Option<Trade> {
    let intent = &execution.intent;
    let order = &intent.order;
    let fills = execution.outcome.fills();
    let first = fills.first()?;
    let amount: Decimal = fills.iter().map(|fill| fill.amount.get()).sum();
    let cost: Decimal = fills.iter().map(|fill| fill.cost).sum();
    let fee: Decimal = fills.iter().map(|fill| fill.fee.amount.get()).sum();
    let price = cost.checked_div(amount)?;
    let prices = planned(intent);
    let fee_price = if first.fee.asset == order.symbol.base { prices.base } else { prices.quote };
    let value = product(amount, prices.base);
    let worse = match order.side {
        Side::Buy => product(cost, prices.quote) - value,
        Side::Sell => value - product(cost, prices.quote),
    };
    let (bought, sold) = match order.side {
        Side::Buy => (&order.symbol.base, &order.symbol.quote),
        Side::Sell => (&order.symbol.quote, &order.symbol.base),
    };
    let reason = |ticker: &Ticker| {
        let decision = record.decisions.iter().find(|decision| decision.ticker == *ticker)?;
        Some(if ticker == bought { why_bought(decision) } else { why_sold(decision) })
    };
    debug_assert_ne!(bought, sold);
    Some(Trade {
        at: record.at,
        cycle: record.cycle,
        venue: order.venue.clone(),
        symbol: order.symbol.clone(),
        side: order.side,
        kind: order.kind,
        amount: Qty::new(amount),
        wanted: order.amount,
        price: Price::new(price),
        reference_price: intent.reference_price,
        value: Money::new(value),
        cost,
        fee_asset: first.fee.asset.clone(),
        fee_amount: Qty::new(fee),
        fee_value: Money::new(product(fee, fee_price)),
        slippage_value: Money::new(worse),
        outcome: execution.outcome.name().to_owned(),
        trigger: record.trigger.name().to_owned(),
        why: reason(&order.symbol.base).unwrap_or(Why::Shrink),
        why_quote: reason(&order.symbol.quote).filter(|_| order.kind == OrderKind::Direct),
    })
}

fn why_sold(decision: &DecisionRecord) -> Why {
    match effective(decision.position, decision.trend) {
        (Signal::Buy, Signal::Buy) => Why::Shrink,
        (Signal::Buy, _) => Why::TrendSell,
        _ => Why::PositionSell,
    }
}

fn why_bought(decision: &DecisionRecord) -> Why {
    // Less than a hundredth of the target is what rounding left of an earlier sale.
    let held = product(decision.value.get(), Decimal::ONE_HUNDRED);
    if held < decision.target.get() { Why::Enter } else { Why::Grow }
}

/// The part of an order that was not executed; `None` when all of it was.
fn unfilled(record: &CycleRecord, execution: &Execution) -> Option<Unfilled> {
    let intent = &execution.intent;
    let order = &intent.order;
    let reason = match &execution.outcome {
        Outcome::Filled { .. } => return None,
        Outcome::Partial { .. } => "only a part of the last hour's volume is filled",
        Outcome::Rejected { reason } => reason,
        Outcome::Unknown { cause } => cause,
    };
    let filled: Decimal = execution.outcome.fills().iter().map(|fill| fill.amount.get()).sum();
    let missing = order.amount.get() - filled;
    Some(Unfilled {
        at: record.at,
        cycle: record.cycle,
        venue: order.venue.clone(),
        symbol: order.symbol.clone(),
        side: order.side,
        wanted: order.amount,
        filled: Qty::new(filled),
        missing_value: Money::new(product(missing, planned(intent).base)),
        reason: reason.to_owned(),
    })
}

/// Writes to two stores; the second is the journal of a run that wants one.
pub(crate) struct Both<'a, A, B>(pub(crate) &'a mut A, pub(crate) &'a mut B);

impl<A: Store, B: Store> Store for Both<'_, A, B> {
    fn write_intents(&mut self, intents: &[Intent]) -> Result<(), StoreError> {
        self.0.write_intents(intents)?;
        self.1.write_intents(intents)
    }

    fn write_outcome(
        &mut self,
        id: &ClientOrderId,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.write_outcome(id, outcome, at)?;
        self.1.write_outcome(id, outcome, at)
    }

    fn write_checkpoint(
        &mut self,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        self.0.write_checkpoint(checkpoint)?;
        self.1.write_checkpoint(checkpoint)
    }

    fn commit(
        &mut self,
        record: &CycleRecord,
        state: &State,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        self.0.commit(record, state, checkpoint)?;
        self.1.commit(record, state, checkpoint)
    }
}

/// Shows every finished cycle and keeps nothing.
pub(crate) struct EachCycle<F: FnMut(&CycleRecord, &State)>(pub(crate) F);

impl<F: FnMut(&CycleRecord, &State)> Store for EachCycle<F> {
    fn write_intents(&mut self, _intents: &[Intent]) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_outcome(
        &mut self,
        _id: &ClientOrderId,
        _outcome: &Outcome,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn write_checkpoint(
        &mut self,
        _checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(
        &mut self,
        record: &CycleRecord,
        state: &State,
        _checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        (self.0)(record, state);
        Ok(())
    }
}
