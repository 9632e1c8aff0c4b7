//! Benchmarks: what the same money would have done without Keel, after the same costs and with the
//! same deposits.

use crate::engine::Scenario;
use crate::run::{Benchmark, Flow, Run};
use crate::statistics::{DailyCurve, of_curve};
use keel_core::amount::Qty;
use keel_core::ports::CapPoint;
use keel_core::time::{Timeframe, Timestamp};

/// How often the baskets that are evened out are traded.
const EVEN_OUT_DAYS: i64 = 30;

/// What is known about the assets at a moment.
struct View<'a> {
    /// Prices of each asset over the moments; 0 before the first is known.
    prices: &'a [&'a [f64]],
    /// Caps of each asset, in order of time.
    caps: &'a [&'a [CapPoint]],
    /// Place of BTC, or of the largest asset at the start.
    bitcoin: Option<usize>,
}

impl View<'_> {
    fn cap(&self, asset: usize, now: Timestamp) -> f64 {
        let known = self.caps[asset].partition_point(|point| point.as_of <= now);
        known.checked_sub(1).map_or(0.0, |last| self.caps[asset][last].cap_usd)
    }

    fn listed(&self, asset: usize, row: usize) -> bool {
        self.prices[asset][row] > 0.0
    }
}

/// A row of the table of benchmarks.
struct Kind {
    name: &'static str,
    doc: &'static str,
    /// Whether the weights are restored every [`EVEN_OUT_DAYS`] days.
    evened_out: bool,
    /// Weights by asset; only their proportions count.
    weigh: fn(&View<'_>, row: usize, now: Timestamp) -> Vec<f64>,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "HODL",
        doc: "the assets bought at the start by market cap, never touched",
        evened_out: false,
        weigh: by_cap,
    },
    Kind {
        name: "Equal weight",
        doc: "the same amount of each asset, evened out every 30 days",
        evened_out: true,
        weigh: equally,
    },
    Kind {
        name: "Cap weight",
        doc: "each asset by its market cap, evened out every 30 days",
        evened_out: true,
        weigh: by_cap,
    },
    Kind {
        name: "BTC",
        doc: "everything in BTC, or in the largest asset without one",
        evened_out: false,
        weigh: only_bitcoin,
    },
];

fn by_cap(view: &View<'_>, row: usize, now: Timestamp) -> Vec<f64> {
    (0..view.prices.len())
        .map(|asset| if view.listed(asset, row) { view.cap(asset, now) } else { 0.0 })
        .collect()
}

fn equally(view: &View<'_>, row: usize, _now: Timestamp) -> Vec<f64> {
    (0..view.prices.len()).map(|asset| if view.listed(asset, row) { 1.0 } else { 0.0 }).collect()
}

fn only_bitcoin(view: &View<'_>, row: usize, _now: Timestamp) -> Vec<f64> {
    (0..view.prices.len())
        .map(|asset| if view.bitcoin == Some(asset) && view.listed(asset, row) { 1.0 } else { 0.0 })
        .collect()
}

/// The benchmarks of a run: same moments, capital, deposits and costs of a trade (fee and
/// half-spread; no price impact). An asset takes part from its first price on, in the baskets that
/// are evened out from the next time on; one whose candles end keeps its last price.
pub(crate) fn of_run(scenario: &Scenario<'_>, run: &Run) -> Vec<Benchmark> {
    let Some(start) = run.moments.first() else { return Vec::new() };
    let prices: Vec<&[f64]> = run
        .tickers
        .iter()
        .map(|ticker| run.prices.get(ticker).map_or(&[][..], Vec::as_slice))
        .collect();
    let caps: Vec<&[CapPoint]> = run
        .tickers
        .iter()
        .map(|ticker| scenario.tape.caps.get(ticker).map_or(&[][..], Vec::as_slice))
        .collect();
    let mut view = View { prices: &prices, caps: &caps, bitcoin: None };
    let largest = || {
        (0..caps.len())
            .max_by(|a, b| view.cap(*a, *start).total_cmp(&view.cap(*b, *start)).then(b.cmp(a)))
    };
    let named = run.tickers.iter().position(|ticker| ticker.as_str() == "BTC");
    view.bitcoin = named.or_else(largest);
    let cost = Qty::new(run.costs.trade_cost()).to_f64();
    KINDS.iter().map(|kind| benchmark(kind, &view, run, cost)).collect()
}

/// A basket on its way.
struct Basket {
    units: Vec<f64>,
    cash: f64,
    fees: f64,
}

impl Basket {
    fn value(&self, view: &View<'_>, row: usize) -> f64 {
        let held = self.units.iter().zip(view.prices).map(|(units, prices)| units * prices[row]);
        self.cash + held.sum::<f64>()
    }

    /// Brings everything, cash included, to the weights; without any weight it stays as it is.
    fn even_out(&mut self, view: &View<'_>, row: usize, weights: &[f64], cost: f64) {
        let sum: f64 = weights.iter().sum();
        let total = self.value(view, row);
        if sum <= 0.0 || total <= 0.0 {
            return;
        }
        let worth = |asset: usize| self.units[asset] * view.prices[asset][row];
        let traded: f64 = (0..weights.len())
            .map(|asset| (total * weights[asset] / sum - worth(asset)).abs())
            .sum();
        let fees = (traded * cost).min(total);
        for (asset, weight) in weights.iter().enumerate() {
            if *weight > 0.0 {
                self.units[asset] = (total - fees) * weight / sum / view.prices[asset][row];
            } else {
                self.units[asset] = 0.0;
            }
        }
        self.cash = 0.0;
        self.fees += fees;
    }

    /// Buys with all cash by the weights.
    fn invest(&mut self, view: &View<'_>, row: usize, weights: &[f64], cost: f64) {
        let sum: f64 = weights.iter().sum();
        if sum <= 0.0 || self.cash <= 0.0 {
            return;
        }
        let fees = self.cash * cost;
        for (asset, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            self.units[asset] += (self.cash - fees) * weight / sum / view.prices[asset][row];
        }
        self.cash = 0.0;
        self.fees += fees;
    }

    /// Sells the same part of everything until `amount` is paid.
    fn withdraw(&mut self, view: &View<'_>, row: usize, amount: f64, cost: f64) {
        let from_cash = amount.min(self.cash.max(0.0));
        self.cash -= from_cash;
        let (needed, held) = (amount - from_cash, self.value(view, row) - self.cash);
        if needed <= 0.0 || held <= 0.0 {
            return;
        }
        let part = (needed / (1.0 - cost) / held).min(1.0);
        for units in &mut self.units {
            *units *= 1.0 - part;
        }
        self.fees += part * held * cost;
    }
}

fn benchmark(kind: &Kind, view: &View<'_>, run: &Run, cost: f64) -> Benchmark {
    let capital = run.capital.to_f64();
    let mut basket = Basket { units: vec![0.0; view.prices.len()], cash: capital, fees: 0.0 };
    let mut equity = Vec::with_capacity(run.moments.len());
    let mut flows = run.flows.iter().peekable();
    let mut next_even_out = run.moments.first().copied();
    for (row, now) in run.moments.iter().enumerate() {
        let mut flow = 0.0;
        while let Some(Flow { amount, .. }) = flows.next_if(|flow| flow.at <= *now) {
            flow += amount;
        }
        if flow >= 0.0 {
            basket.cash += flow;
        } else {
            basket.withdraw(view, row, -flow, cost);
        }
        if kind.evened_out && next_even_out.is_some_and(|next| *now >= next) {
            let weights = (kind.weigh)(view, row, *now);
            basket.even_out(view, row, &weights, cost);
            next_even_out = Some(now.plus_ms(EVEN_OUT_DAYS * Timeframe::D1.ms()));
        } else if basket.cash > 0.0 {
            basket.invest(view, row, &(kind.weigh)(view, row, *now), cost);
        }
        equity.push(basket.value(view, row));
    }
    let curve = DailyCurve::new(&run.moments, &equity, &run.flows, capital);
    let mut statistics = of_curve(&curve);
    statistics.end_value = equity.last().copied().unwrap_or(capital);
    Benchmark {
        name: kind.name.to_owned(),
        doc: kind.doc.to_owned(),
        equity,
        fees: basket.fees,
        statistics,
    }
}
