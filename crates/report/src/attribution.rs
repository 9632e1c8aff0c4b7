//! Where the result comes from, as a sum that is exact.
//!
//! The result is the value at the end minus the value before the first order minus what was paid in.
//! Between two cycles the prices move the holdings; inside a cycle the orders cost fees and slippage.
//! What the prices did is taken apart by a ladder of portfolios that are evened out to their weights
//! at every cycle for nothing, each on the money that Keel really had:
//!
//! 1. *market*: equal parts of every asset with a known price, always in;
//! 2. *signal*: the recorded signals on top: each trending asset gets an equal part, which is in
//!    the stablecoin while the price signal is not a buy. What that adds to rung 1;
//! 3. *allocation*: the weights of the configured policy, without the altcoin cap. What that adds;
//! 4. *altcoin cap*: the recorded targets, with the cap. What that adds;
//! 5. *tracking*: what was really held. What that adds: the drift band, minimum orders, orders that
//!    were refused or cut, and the drift between two distributions.
//!
//! The targets of rungs 2 and 3 are made by the planner's own function from the recorded inputs. Then:
//!
//! 6. *fees* and 7. *slippage*, as they would have been had every direct order been a sell and a buy
//!    against the stablecoin, each at the mean cost of this run's stablecoin orders at that venue;
//! 8. *direct pairs*: what the direct orders saved against that. Rungs 6 to 8 together are what was
//!    really paid;
//! 9. *remainder*: roundings of the books and what no record explains.

use crate::story::{Order, Story};
use keel_core::amount::Money;
use keel_core::order::OrderKind;
use keel_core::policy::Settings;
use keel_core::targets::{TargetInput, targets};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

/// Decimal places of every part; the remainder takes what rounding leaves.
const PLACES: u32 = 8;

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// What it added (or, below zero, cost) in the stablecoin.
    pub value: Decimal,
    /// What it means, in a few words.
    pub doc: &'static str,
}

/// The whole ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribution {
    /// Value before the first order.
    pub start: Decimal,
    /// Value after the last one.
    pub end: Decimal,
    /// What was paid in, less what was taken out.
    pub flows: Decimal,
    /// `end - start - flows`.
    pub total: Decimal,
    /// The rungs; they sum to `total` exactly.
    pub parts: Vec<Part>,
    /// Fees that were really paid.
    pub fees_paid: Decimal,
    /// Slippage that was really paid.
    pub slippage_paid: Decimal,
}

/// What orders of one kind cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// Orders that were executed at least in part.
    pub orders: u64,
    /// Value that was traded.
    pub traded: Decimal,
    /// Fees.
    pub fees: Decimal,
    /// Slippage.
    pub slippage: Decimal,
}

impl Costs {
    /// Adds an order.
    pub fn add(&mut self, story: &Story, order: &Order) {
        if order.fills().is_empty() {
            return;
        }
        self.orders += 1;
        self.traded += order.traded();
        self.fees += story.fees(order);
        self.slippage += order.slippage();
    }

    /// Parts of the traded value that went into fees and slippage.
    fn rates(&self) -> Option<(Decimal, Decimal)> {
        Some((self.fees.checked_div(self.traded)?, self.slippage.checked_div(self.traded)?))
    }
}

/// What direct orders cost, and what two orders against the stablecoin would have cost instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DirectPairs {
    /// The direct orders.
    pub paid: Costs,
    /// Fees of a sell and a buy instead of each.
    pub fees_instead: Decimal,
    /// Slippage of a sell and a buy instead of each.
    pub slippage_instead: Decimal,
}

impl DirectPairs {
    /// What they saved.
    #[must_use]
    pub fn saved(&self) -> Decimal {
        self.fees_instead + self.slippage_instead - self.paid.fees - self.paid.slippage
    }
}

/// What the direct orders of a run saved.
#[must_use]
pub fn direct_pairs(story: &Story) -> DirectPairs {
    let mut by_venue: BTreeMap<String, Costs> = BTreeMap::new();
    let mut everywhere = Costs::default();
    for order in story.orders.iter().filter(|order| order.order().kind == OrderKind::Stable) {
        by_venue.entry(order.order().venue.to_string()).or_default().add(story, order);
        everywhere.add(story, order);
    }
    let mut pairs = DirectPairs::default();
    for order in story.orders.iter().filter(|order| order.order().kind == OrderKind::Direct) {
        let mut paid = Costs::default();
        paid.add(story, order);
        let here = by_venue.get(order.order().venue.as_str()).and_then(Costs::rates);
        // Without an order against the stablecoin to learn from, each leg costs what this one did.
        let Some((fee, slippage)) = here.or_else(|| everywhere.rates()).or_else(|| paid.rates())
        else {
            continue;
        };
        let both_legs = paid.traded * Decimal::TWO;
        pairs.fees_instead += both_legs * fee;
        pairs.slippage_instead += both_legs * slippage;
        pairs.paid.add(story, order);
    }
    pairs
}

/// The weights of three portfolios, by asset.
struct Weights {
    signal: Vec<Decimal>,
    allocation: Vec<Decimal>,
}

impl Weights {
    fn of(story: &Story, place: usize, evenly: &Settings, uncapped: &Settings) -> Self {
        let cycle = &story.cycles[place];
        let inputs: Vec<TargetInput> = story
            .assets
            .iter()
            .zip(&cycle.rows)
            .map(|(asset, row)| TargetInput {
                level: asset.level,
                market_cap: row.market_cap,
                position: row.position,
                trend: row.trend,
                value: Money::new(row.value()),
            })
            .collect();
        let of = |settings: &Settings| {
            let made = targets(&inputs, Money::ZERO, settings);
            made.assets.iter().map(|target| target.ratio).collect()
        };
        Self { signal: of(evenly), allocation: of(uncapped) }
    }
}

/// Climbs the ladder. `None` for a run without cycles.
#[must_use]
pub fn attribution(story: &Story) -> Option<Attribution> {
    let (start, end) = (story.cycles.first()?.before, story.cycles.last()?.after);
    let uncapped = Settings { max_alt_coin_ratio: 1.0, ..story.settings.clone() };
    let evenly = Settings {
        allocation: keel_core::allocation::find("equal").unwrap_or(story.settings.allocation),
        ..uncapped.clone()
    };
    let mut flows = Decimal::ZERO;
    let (mut market, mut signal, mut allocation) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
    let (mut cap, mut tracking) = (Decimal::ZERO, Decimal::ZERO);
    let mut weights: Option<Weights> = None;
    for place in 1..story.cycles.len() {
        let earlier = &story.cycles[place - 1];
        if earlier.is_distribution() || weights.is_none() {
            weights = Some(Weights::of(story, place - 1, &evenly, &uncapped));
        }
        let Some(weights) = &weights else { continue };
        let moves = Moves::between(story, place);
        let flow = story.flow(place);
        flows += flow;
        let held = story.market_gain(place);
        let money = earlier.after;
        let in_market = money * moves.evenly();
        let in_signal = money * moves.weighted(&weights.signal);
        let in_allocation = money * moves.weighted(&weights.allocation);
        let targets: Vec<Decimal> = earlier.rows.iter().map(|row| row.ratio).collect();
        let in_targets = money * moves.weighted(&targets);
        market += in_market;
        signal += in_signal - in_market;
        allocation += in_allocation - in_signal;
        cap += in_targets - in_allocation;
        tracking += held - in_targets;
    }
    let mut costs = Costs::default();
    for order in &story.orders {
        costs.add(story, order);
    }
    let pairs = direct_pairs(story);
    let fees = costs.fees - pairs.paid.fees + pairs.fees_instead;
    let slippage = costs.slippage - pairs.paid.slippage + pairs.slippage_instead;
    let part = |name, value: Decimal, doc| Part { name, value: value.round_dp(PLACES), doc };
    let mut parts = vec![
        part("market", market, "equal parts of every asset, always in"),
        part("signal", signal, "in and out by the recorded signals, equal parts"),
        part("allocation", allocation, "the policy's weights instead of equal parts"),
        part("altcoin cap", cap, "the cap on the altcoins' weight"),
        part("tracking", tracking, "what was held beside the targets: band, minimums, drift"),
        part("fees", -fees, "had every order gone through the stablecoin"),
        part("slippage", -slippage, "spread, impact and moves, likewise"),
        part("direct pairs", pairs.saved(), "saved against stablecoin-only"),
    ];
    let total = end - start - flows;
    let known: Decimal = parts.iter().map(|part| part.value).sum();
    parts.push(Part {
        name: "remainder",
        value: total - known,
        doc: "roundings, and what no record explains",
    });
    Some(Attribution {
        start,
        end,
        flows,
        total,
        parts,
        fees_paid: costs.fees,
        slippage_paid: costs.slippage,
    })
}

/// Relative price moves from one cycle to the next; `None` where a price is unknown.
struct Moves(Vec<Option<Decimal>>);

impl Moves {
    fn between(story: &Story, place: usize) -> Self {
        let (earlier, now) = (&story.cycles[place - 1].rows, &story.cycles[place].rows);
        Self(
            earlier
                .iter()
                .zip(now)
                .map(|(earlier, now)| {
                    let (before, after) = (earlier.price?, now.price?);
                    (after - before).checked_div(before)
                })
                .collect(),
        )
    }

    fn evenly(&self) -> Decimal {
        let known: Vec<Decimal> = self.0.iter().flatten().copied().collect();
        known.iter().sum::<Decimal>().checked_div(Decimal::from(known.len())).unwrap_or_default()
    }

    fn weighted(&self, weights: &[Decimal]) -> Decimal {
        self.0
            .iter()
            .zip(weights)
            .filter(|(_, weight)| !weight.is_zero())
            .map(|(moved, weight)| moved.unwrap_or_default() * weight)
            .sum()
    }
}
