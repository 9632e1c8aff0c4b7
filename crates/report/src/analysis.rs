//! A run by asset, by month and by reason.

use crate::attribution::{Costs, DirectPairs, direct_pairs};
use crate::story::{Story, WHY, float};
use keel_core::order::{OrderKind, Side};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

/// One asset over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssetResult {
    /// Its ticker.
    pub ticker: String,
    /// What its price did to what was held of it.
    pub gain: Decimal,
    /// What its sells brought above the average price paid for what they sold, fees and slippage
    /// included; what is still held is left out.
    pub realised: Decimal,
    /// The orders on its behalf; a direct order counts for the asset it buys.
    pub costs: Costs,
    /// `gain - fees - slippage`.
    pub net: Decimal,
    /// Cycles that began with some of it, above the minimum order.
    pub held_cycles: u64,
    /// Cycles with both signals on buy.
    pub signalled_cycles: u64,
}

/// One calendar month, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MonthResult {
    /// `2024-01`.
    pub month: String,
    /// Value before it.
    pub start: Decimal,
    /// Value at its end.
    pub end: Decimal,
    /// What was paid in, less what was taken out.
    pub flows: Decimal,
    /// `end - start - flows`.
    pub gain: Decimal,
    /// Growth of the time-weighted curve in percent, two decimals.
    pub return_percent: Decimal,
    /// Its orders.
    pub costs: Costs,
}

/// Orders that were sent for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhyResult {
    /// The reason.
    pub why: &'static str,
    /// The orders.
    pub costs: Costs,
}

/// How often something kept assets from being traded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReasonResult {
    /// Its code.
    pub reason: String,
    /// Decisions with it.
    pub decisions: u64,
    /// Of these, decisions that wanted a change all the same.
    pub wanted: u64,
    /// The largest change wanted.
    pub largest: Decimal,
    /// The asset it met most often.
    pub most: String,
}

/// All tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// By asset, in the order of the configuration.
    pub assets: Vec<AssetResult>,
    /// By month, in order of time.
    pub months: Vec<MonthResult>,
    /// Orders by reason.
    pub why: Vec<WhyResult>,
    /// Reasons for having left assets alone, the most frequent first.
    pub reasons: Vec<ReasonResult>,
    /// Orders against the stablecoin.
    pub stable: Costs,
    /// Direct orders.
    pub direct: DirectPairs,
    /// What direct orders saved.
    pub direct_saved: Decimal,
}

/// `2024-01` of a moment.
pub(crate) fn month_of(at: keel_core::time::Timestamp) -> String {
    at.to_string().chars().take(7).collect()
}

/// Makes the tables.
#[must_use]
pub fn analysis(story: &Story) -> Analysis {
    let mut stable = Costs::default();
    for order in story.orders.iter().filter(|order| order.order().kind == OrderKind::Stable) {
        stable.add(story, order);
    }
    let direct = direct_pairs(story);
    Analysis {
        assets: assets(story),
        months: months(story),
        why: whys(story),
        reasons: reasons(story),
        stable,
        direct,
        direct_saved: direct.saved(),
    }
}

fn assets(story: &Story) -> Vec<AssetResult> {
    let minimum = story.settings.min_order_value.get();
    let mut results: Vec<AssetResult> = story
        .assets
        .iter()
        .enumerate()
        .map(|(at, asset)| {
            let mut result = AssetResult { ticker: asset.ticker.clone(), ..AssetResult::default() };
            for (place, cycle) in story.cycles.iter().enumerate() {
                let row = cycle.rows[at];
                result.gain += story.asset_gain(place, at);
                result.held_cycles += u64::from(row.value() > minimum);
                result.signalled_cycles += u64::from(row.is_in());
            }
            result
        })
        .collect();
    for order in &story.orders {
        if let Some(result) = results.iter_mut().find(|result| result.ticker == order.subject()) {
            result.costs.add(story, order);
        }
    }
    for (ticker, realised) in realised(story) {
        if let Some(result) = results.iter_mut().find(|result| result.ticker == ticker) {
            result.realised = realised;
        }
    }
    for result in &mut results {
        result.net = result.gain - result.costs.fees - result.costs.slippage;
    }
    results
}

/// What is held of an asset, and what was paid for it.
#[derive(Default)]
struct Held {
    units: Decimal,
    paid: Decimal,
    realised: Decimal,
}

impl Held {
    fn buy(&mut self, units: Decimal, value: Decimal) {
        self.units += units;
        self.paid += value;
    }

    fn sell(&mut self, units: Decimal, value: Decimal) {
        // What was there before the log begins has no known price and counts as bought at this one.
        let known = units.min(self.units);
        let share = known.checked_div(self.units).unwrap_or_default();
        let paid = self.paid * share;
        let brought = value * known.checked_div(units).unwrap_or_default();
        self.realised += brought - paid;
        self.units -= known;
        self.paid -= paid;
    }
}

/// Gains of sells against the average price paid, by asset, in the stablecoin at the planned prices.
fn realised(story: &Story) -> BTreeMap<String, Decimal> {
    let mut held: BTreeMap<String, Held> = BTreeMap::new();
    for order in &story.orders {
        let planned = order.order();
        let (base, quote) = (planned.symbol.base.as_str(), planned.symbol.quote.as_str());
        for fill in order.fills() {
            let (amount, cost) = (fill.amount.get(), fill.cost);
            let value = cost * order.quote_price();
            let fee_in = |asset: &str| {
                if fill.fee.asset.as_str() == asset { fill.fee.amount.get() } else { Decimal::ZERO }
            };
            let (sold, bought, units_out, units_in) = match planned.side {
                Side::Buy => (quote, base, cost + fee_in(quote), amount - fee_in(base)),
                Side::Sell => (base, quote, amount + fee_in(base), cost - fee_in(quote)),
            };
            // A fee in the stablecoin makes a buy dearer and a sell poorer.
            let stable_fee = fee_in(&story.stablecoin);
            if sold != story.stablecoin {
                held.entry(sold.to_owned()).or_default().sell(units_out, value - stable_fee);
            }
            if bought != story.stablecoin {
                held.entry(bought.to_owned()).or_default().buy(units_in, value + stable_fee);
            }
        }
    }
    held.into_iter().map(|(ticker, held)| (ticker, held.realised)).collect()
}

fn months(story: &Story) -> Vec<MonthResult> {
    if story.cycles.is_empty() {
        return months_of_orders(story);
    }
    let mut months: Vec<MonthResult> = Vec::new();
    let mut growth = 1.0_f64;
    let mut value = story.capital();
    for (place, cycle) in story.cycles.iter().enumerate() {
        let month = month_of(cycle.at);
        if months.last().is_none_or(|last| last.month != month) {
            close(months.last_mut(), growth);
            growth = 1.0;
            months.push(MonthResult { month, start: value, ..MonthResult::default() });
        }
        let flow = story.flow(place);
        let invested = float(value + flow);
        if invested > 0.0 {
            growth *= float(cycle.after) / invested;
        }
        value = cycle.after;
        if let Some(last) = months.last_mut() {
            last.flows += flow;
            last.end = value;
        }
    }
    close(months.last_mut(), growth);
    let by_month: BTreeMap<u64, String> =
        story.cycles.iter().map(|cycle| (cycle.number, month_of(cycle.at))).collect();
    for order in &story.orders {
        let month = by_month.get(&order.intent.cycle);
        if let Some(result) = months.iter_mut().find(|result| Some(&result.month) == month) {
            result.costs.add(story, order);
        }
    }
    months
}

/// Of a log of orders alone, only the costs are known.
fn months_of_orders(story: &Story) -> Vec<MonthResult> {
    let mut months: BTreeMap<String, Costs> = BTreeMap::new();
    for order in &story.orders {
        months.entry(month_of(order.intent.created_at)).or_default().add(story, order);
    }
    let result = |(month, costs)| MonthResult { month, costs, ..MonthResult::default() };
    months.into_iter().map(result).collect()
}

fn close(month: Option<&mut MonthResult>, growth: f64) {
    if let Some(month) = month {
        month.gain = month.end - month.start - month.flows;
        let percent = Decimal::from_f64_retain((growth - 1.0) * 100.0).unwrap_or_default();
        month.return_percent = percent.round_dp(2);
    }
}

fn whys(story: &Story) -> Vec<WhyResult> {
    let mut results: Vec<WhyResult> =
        WHY.iter().map(|why| WhyResult { why, costs: Costs::default() }).collect();
    for order in &story.orders {
        if let Some(result) = results.iter_mut().find(|result| result.why == order.why) {
            result.costs.add(story, order);
        }
    }
    results.retain(|result| result.costs.orders > 0);
    results
}

fn reasons(story: &Story) -> Vec<ReasonResult> {
    let mut results: Vec<ReasonResult> = story
        .reasons
        .iter()
        .map(|(reason, by_ticker)| ReasonResult {
            reason: reason.clone(),
            decisions: by_ticker.values().map(|tally| tally.cycles).sum(),
            wanted: by_ticker.values().map(|tally| tally.wanted).sum(),
            largest: by_ticker.values().map(|tally| tally.largest).max().unwrap_or_default(),
            most: by_ticker
                .iter()
                .max_by_key(|(_, tally)| tally.cycles)
                .map_or_else(String::new, |(ticker, _)| ticker.clone()),
        })
        .collect();
    results.sort_by(|a, b| b.decisions.cmp(&a.decisions).then(a.reason.cmp(&b.reason)));
    results
}
