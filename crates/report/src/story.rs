//! What a run left behind, in one place: every report, table and export is made from it.

use keel_core::decision::DecisionRecord;
use keel_core::order::{Fill, Intent, OrderKind, Outcome, PlannedOrder, Side};
use keel_core::policy::{Policy, Settings};
use keel_core::record::CycleRecord;
use keel_core::signal::{Signal, effective};
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A tradable asset of the portfolio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Our name.
    pub ticker: String,
    /// Where it is traded.
    pub venue: String,
    /// 1 major, 2 and above altcoin.
    pub level: u32,
}

/// What was recorded about one asset in one cycle, before the orders of that cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// In the primary stablecoin; `None` while it was never known.
    pub price: Option<Decimal>,
    /// Units that could be traded.
    pub free: Decimal,
    /// In USD.
    pub market_cap: Option<f64>,
    /// Position signal.
    pub position: Signal,
    /// Trend signal.
    pub trend: Signal,
    /// Weight it should have.
    pub ratio: Decimal,
    /// The altcoin cap cut that weight.
    pub capped: bool,
}

impl Row {
    /// `free * price`; zero without a price.
    #[must_use]
    pub fn value(&self) -> Decimal {
        self.price.and_then(|price| price.checked_mul(self.free)).unwrap_or_default()
    }

    /// Both signals say buy.
    #[must_use]
    pub fn is_in(&self) -> bool {
        effective(self.position, self.trend) == (Signal::Buy, Signal::Buy)
    }
}

/// One cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Cycle {
    /// Its number, from 1.
    pub number: u64,
    /// When it started.
    pub at: Timestamp,
    /// Why it distributed; `none` when it did not.
    pub trigger: String,
    /// Value of everything before the orders.
    pub before: Decimal,
    /// The same after the orders, at the same prices.
    pub after: Decimal,
    /// Free stablecoin after the orders.
    pub stablecoin_after: Decimal,
    /// In the order of [`Story::assets`].
    pub rows: Vec<Row>,
}

impl Cycle {
    /// It compared holdings with targets.
    #[must_use]
    pub fn is_distribution(&self) -> bool {
        self.trigger != "none"
    }
}

/// An order and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What was meant.
    pub intent: Intent,
    /// What happened.
    pub outcome: Outcome,
    /// Why it was sent: one of [`WHY`].
    pub why: &'static str,
}

/// Why orders are sent, by the signals and targets at that moment.
pub const WHY: [&str; 6] = [
    "entry",
    "below its target",
    "above its target",
    "price signal turned",
    "trend turned",
    "left the targets",
];

/// A number that a simple product may have pushed out of the decimal range counts as nothing.
fn product(a: Decimal, b: Decimal) -> Decimal {
    a.checked_mul(b).unwrap_or_default()
}

impl Order {
    /// What is asked for.
    #[must_use]
    pub const fn order(&self) -> &PlannedOrder {
        &self.intent.order
    }

    /// Its executions.
    #[must_use]
    pub fn fills(&self) -> &[Fill] {
        self.outcome.fills()
    }

    /// Base units that were executed.
    #[must_use]
    pub fn filled(&self) -> Decimal {
        self.fills().iter().map(|fill| fill.amount.get()).sum()
    }

    /// What one unit of the base was worth in the stablecoin when it was planned.
    #[must_use]
    pub fn base_price(&self) -> Decimal {
        let order = self.order();
        order.value.get().checked_div(order.amount.get()).unwrap_or_default()
    }

    /// What one unit of the quote was worth in the stablecoin when it was planned.
    #[must_use]
    pub fn quote_price(&self) -> Decimal {
        match self.order().kind {
            OrderKind::Stable => Decimal::ONE,
            OrderKind::Direct => {
                self.base_price().checked_div(self.intent.reference_price.get()).unwrap_or_default()
            }
        }
    }

    /// Value of what was executed, at the planned prices.
    #[must_use]
    pub fn traded(&self) -> Decimal {
        product(self.filled(), self.base_price())
    }

    /// Value of what was not executed, at the planned prices.
    #[must_use]
    pub fn unfilled(&self) -> Decimal {
        product(self.order().amount.get() - self.filled(), self.base_price()).max(Decimal::ZERO)
    }

    /// Fees in the stablecoin at the planned prices. `price_of` values fees in a third asset; what
    /// it does not know is left out.
    #[must_use]
    pub fn fees(&self, price_of: impl Fn(&str) -> Option<Decimal>) -> Decimal {
        let symbol = &self.order().symbol;
        let value = |fill: &Fill| {
            let asset = &fill.fee.asset;
            let price = if *asset == symbol.base {
                self.base_price()
            } else if *asset == symbol.quote {
                self.quote_price()
            } else {
                price_of(asset.as_str()).unwrap_or_default()
            };
            product(fill.fee.amount.get(), price)
        };
        self.fills().iter().map(value).sum()
    }

    /// How much worse than the planned price the executions were, in the stablecoin; negative when
    /// they were better. It holds the spread, the price impact and the move since the plan.
    #[must_use]
    pub fn slippage(&self) -> Decimal {
        let reference = self.intent.reference_price.get();
        let worse = |fill: &Fill| {
            let planned = product(fill.amount.get(), reference);
            match self.order().side {
                Side::Buy => fill.cost - planned,
                Side::Sell => planned - fill.cost,
            }
        };
        product(self.fills().iter().map(worse).sum(), self.quote_price())
    }

    /// The asset whose holding it changes; of a direct order the one that is bought.
    #[must_use]
    pub fn subject(&self) -> &str {
        let symbol = &self.order().symbol;
        match (self.order().kind, self.order().side) {
            (OrderKind::Direct, Side::Sell) => symbol.quote.as_str(),
            _ => symbol.base.as_str(),
        }
    }
}

/// A line to compare with.
#[derive(Clone, Debug, PartialEq)]
pub struct Benchmark {
    /// What it is called.
    pub name: String,
    /// What it does, in one sentence.
    pub doc: String,
    /// Value at the moment of each cycle.
    pub values: Vec<f64>,
}

/// Bars of an asset with the channel that its price signal comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Channel {
    /// Which asset.
    pub ticker: String,
    /// `1h`, and the parameters, for people.
    pub doc: String,
    /// When each bar closed, milliseconds.
    pub closed_at_ms: Vec<i64>,
    /// Closing prices.
    pub close: Vec<f64>,
    /// Upper band.
    pub upper: Vec<f64>,
    /// Middle line.
    pub middle: Vec<f64>,
    /// Lower band.
    pub lower: Vec<f64>,
}

/// How often one asset was left alone for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cycles.
    pub cycles: u64,
    /// Of these, the ones in which a change was wanted all the same.
    pub wanted: u64,
    /// The largest change that was wanted and not made, in the stablecoin.
    pub largest: Decimal,
}

/// What cannot be seen in the numbers but decides how far to trust them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Honesty {
    /// How many settings were tried before these, if known.
    pub settings_tried: Option<u64>,
    /// The settings were chosen with a look at this very period; `None` when nobody knows.
    pub in_sample: Option<bool>,
    /// What the run does not model, one sentence each.
    pub not_modelled: Vec<String>,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Story {
    /// What it is called.
    pub title: String,
    /// What kind of run it is: `replay of ...`, `backtest`, `live`.
    pub kind: String,
    /// The primary stablecoin.
    pub stablecoin: String,
    /// Settings of the portfolio, for counterfactuals.
    pub settings: Settings,
    /// The tradable assets, in the order of the configuration.
    pub assets: Vec<Asset>,
    /// In order of time.
    pub cycles: Vec<Cycle>,
    /// In the order they were sent.
    pub orders: Vec<Order>,
    /// How often which asset was left alone, by reason code and then ticker.
    pub reasons: BTreeMap<String, BTreeMap<String, Tally>>,
    /// What the same money would have done without Keel.
    pub benchmarks: Vec<Benchmark>,
    /// Bars with channels.
    pub channels: Vec<Channel>,
    /// Fingerprints and settings: name and value.
    pub facts: Vec<(String, String)>,
    /// What was said about the data, and by the cycles to the operator.
    pub notes: Vec<String>,
    /// How far to trust it.
    pub honesty: Honesty,
}

impl Story {
    /// An empty story of a portfolio.
    #[must_use]
    pub fn new(title: impl Into<String>, kind: impl Into<String>, policy: &Policy) -> Self {
        Self {
            title: title.into(),
            kind: kind.into(),
            stablecoin: policy.stablecoin.to_string(),
            settings: policy.settings.clone(),
            assets: policy
                .assets
                .iter()
                .map(|asset| Asset {
                    ticker: asset.ticker.to_string(),
                    venue: asset.venue.to_string(),
                    level: asset.level,
                })
                .collect(),
            cycles: Vec::new(),
            orders: Vec::new(),
            reasons: BTreeMap::new(),
            benchmarks: Vec::new(),
            channels: Vec::new(),
            facts: Vec::new(),
            notes: Vec::new(),
            honesty: Honesty::default(),
        }
    }

    /// Adds a finished cycle, whose number is counted from `earlier` cycles on.
    pub fn push(&mut self, record: &CycleRecord, earlier: u64) {
        let rows = self.begin(
            earlier + record.cycle,
            record.at,
            record.trigger.name(),
            [record.total_before.get(), record.total_after.get(), record.stablecoin_after.get()],
        );
        for decision in &record.decisions {
            let reason = decision.reason.as_ref().map_or("", |reason| reason.code());
            self.decide(
                rows,
                decision.ticker.as_str(),
                row(decision),
                reason,
                decision.change.get(),
            );
        }
        for execution in &record.executions {
            let intent = execution.intent.clone();
            let intent = Intent { cycle: earlier + intent.cycle, ..intent };
            self.execute(intent, execution.outcome.clone());
        }
        for note in &record.notes {
            self.note(earlier + record.cycle, note);
        }
    }

    /// Starts a cycle without decisions; returns its place.
    pub fn begin(
        &mut self,
        number: u64,
        at: Timestamp,
        trigger: &str,
        [before, after, stablecoin_after]: [Decimal; 3],
    ) -> usize {
        self.cycles.push(Cycle {
            number,
            at,
            trigger: trigger.to_owned(),
            before,
            after,
            stablecoin_after,
            rows: vec![Row::default(); self.assets.len()],
        });
        self.cycles.len() - 1
    }

    /// Adds a decision to the cycle at `place`. Assets that the portfolio does not trade are left out.
    pub fn decide(&mut self, place: usize, ticker: &str, row: Row, reason: &str, change: Decimal) {
        let Some(at) = self.assets.iter().position(|asset| asset.ticker == ticker) else { return };
        if let Some(slot) = self.cycles.get_mut(place).and_then(|cycle| cycle.rows.get_mut(at)) {
            *slot = row;
        }
        if reason.is_empty() {
            return;
        }
        if !self.reasons.contains_key(reason) {
            self.reasons.insert(reason.to_owned(), BTreeMap::new());
        }
        if let Some(by_ticker) = self.reasons.get_mut(reason) {
            let tally = match by_ticker.get_mut(ticker) {
                Some(tally) => tally,
                None => by_ticker.entry(ticker.to_owned()).or_default(),
            };
            tally.cycles += 1;
            if !change.is_zero() {
                tally.wanted += 1;
                tally.largest = tally.largest.max(change.abs());
            }
        }
    }

    /// Adds an order of the newest cycle, whose decisions must have been added before.
    pub fn execute(&mut self, intent: Intent, outcome: Outcome) {
        let why = self.why(&intent.order);
        self.orders.push(Order { intent, outcome, why });
    }

    /// Adds a note of a cycle; the same words are kept once.
    pub fn note(&mut self, cycle: u64, text: &str) {
        const MOST: usize = 200;
        let is_known = self.notes.iter().any(|note| note.ends_with(text));
        if !is_known && self.notes.len() < MOST {
            self.notes.push(format!("cycle {cycle}: {text}"));
        }
    }

    fn why(&self, order: &PlannedOrder) -> &'static str {
        let bought_at_base = order.kind == OrderKind::Stable && order.side == Side::Buy;
        let ticker = match (order.kind, order.side) {
            // What is sold explains a direct order: without the sell there would be none.
            (OrderKind::Direct, Side::Buy) => order.symbol.quote.as_str(),
            _ => order.symbol.base.as_str(),
        };
        let row = self
            .assets
            .iter()
            .position(|asset| asset.ticker == ticker)
            .and_then(|at| self.cycles.last()?.rows.get(at));
        let Some(row) = row else { return WHY[5] };
        let (position, trend) = effective(row.position, row.trend);
        if bought_at_base {
            return if row.value() < self.settings.min_order_value.get() { WHY[0] } else { WHY[1] };
        }
        if !row.ratio.is_zero() {
            WHY[2]
        } else if trend != Signal::Buy {
            WHY[4]
        } else if position != Signal::Buy {
            WHY[3]
        } else {
            WHY[5]
        }
    }

    /// Value at the start: before the first order.
    #[must_use]
    pub fn capital(&self) -> Decimal {
        self.cycles.first().map_or(Decimal::ZERO, |cycle| cycle.before)
    }

    /// Value after each cycle, for curves.
    #[must_use]
    pub fn equity(&self) -> Vec<f64> {
        self.cycles.iter().map(|cycle| float(cycle.after)).collect()
    }

    /// The price of an asset in a cycle.
    #[must_use]
    pub fn price(&self, cycle: u64, ticker: &str) -> Option<Decimal> {
        if ticker == self.stablecoin {
            return Some(Decimal::ONE);
        }
        let at = self.assets.iter().position(|asset| asset.ticker == ticker)?;
        let place = self.cycles.binary_search_by_key(&cycle, |cycle| cycle.number).ok()?;
        self.cycles[place].rows.get(at)?.price
    }

    /// Fees of an order in the stablecoin, whatever they were paid in.
    #[must_use]
    pub fn fees(&self, order: &Order) -> Decimal {
        order.fees(|ticker| self.price(order.intent.cycle, ticker))
    }

    /// What money from outside added, or took, before the cycle at `place`: what the holdings became
    /// worth beyond what the ones before are worth now. Zero in the first cycle.
    #[must_use]
    pub fn flow(&self, place: usize) -> Decimal {
        let Some(earlier) = place.checked_sub(1).and_then(|before| self.cycles.get(before)) else {
            return Decimal::ZERO;
        };
        let Some(now) = self.cycles.get(place) else { return Decimal::ZERO };
        let flow = now.before - earlier.after - self.market_gain(place);
        // Less than the last place of the books is rounding, not a deposit.
        let noise = Decimal::new(1, 8) * now.before.abs().max(Decimal::ONE);
        if flow.abs() <= noise { Decimal::ZERO } else { flow }
    }

    /// What the prices alone did to the holdings between the cycle before `place` and it.
    #[must_use]
    pub fn market_gain(&self, place: usize) -> Decimal {
        (0..self.assets.len()).map(|asset| self.asset_gain(place, asset)).sum()
    }

    /// The same for one asset.
    #[must_use]
    pub fn asset_gain(&self, place: usize, asset: usize) -> Decimal {
        let row = |place: usize| self.cycles.get(place)?.rows.get(asset);
        let (Some(earlier), Some(now)) = (place.checked_sub(1).and_then(row), row(place)) else {
            return Decimal::ZERO;
        };
        match (earlier.price, now.price) {
            (Some(before), Some(after)) => product(now.free, after - before),
            _ => Decimal::ZERO,
        }
    }
}

/// The nearest `f64`, for analytics and drawing.
pub(crate) fn float(value: Decimal) -> f64 {
    keel_core::amount::Money::new(value).to_f64()
}

fn row(decision: &DecisionRecord) -> Row {
    Row {
        price: decision.price.map(keel_core::amount::Price::get),
        free: decision.free.get(),
        market_cap: decision.market_cap,
        position: decision.position,
        trend: decision.trend,
        ratio: decision.ratio,
        capped: decision.capped,
    }
}
