//! Random portfolios: the input of a plan, owned, so that a test can change it.

use keel_core::allocation::ALLOCATIONS;
use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::decision::Reason;
use keel_core::market::MarketRules;
use keel_core::plan::{AssetView, Markets, PlanInput};
use keel_core::policy::Settings;
use keel_core::signal::Signal;
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Everything a plan depends on.
#[derive(Clone, Debug)]
pub(crate) struct Portfolio {
    pub(crate) settings: Settings,
    pub(crate) stablecoin: Ticker,
    pub(crate) stablecoin_free: BTreeMap<VenueId, Money>,
    pub(crate) assets: Vec<AssetView>,
    pub(crate) markets: BTreeMap<VenueId, Markets>,
    pub(crate) constrain_funding: bool,
}

impl Portfolio {
    /// Asks a question about the plan's input.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&PlanInput<'_>) -> T) -> T {
        let markets = self.markets.iter().map(|(venue, here)| (venue.clone(), here)).collect();
        question(&PlanInput {
            settings: &self.settings,
            stablecoin: &self.stablecoin,
            stablecoin_free: &self.stablecoin_free,
            assets: &self.assets,
            markets: &markets,
            constrain_funding: self.constrain_funding,
        })
    }

    pub(crate) fn price(&self, ticker: &Ticker) -> Decimal {
        let asset = self.assets.iter().find(|asset| asset.ticker == *ticker);
        asset.map_or(Decimal::ONE, |asset| asset.price.get())
    }
}

pub(crate) fn ticker(index: usize) -> Ticker {
    format!("A{index}").parse().unwrap()
}

pub(crate) fn venue(index: usize) -> VenueId {
    ["north", "south", "west"][index].parse().unwrap()
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        6 => Just(Signal::Buy),
        3 => Just(Signal::Sell),
        1 => Just(Signal::None),
    ]
}

/// A decimal of up to six digits at any scale from 10^-8 to 10^5.
fn any_price() -> impl Strategy<Value = Decimal> {
    (1_i64..1_000_000, 0_u32..9).prop_map(|(digits, scale)| Decimal::new(digits, scale))
}

/// What is held, as a value: nothing, dust, ordinary, or a fortune, in full eighteen decimals.
fn any_value() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        2 => Just(Decimal::ZERO),
        1 => (0_i64..20_000).prop_map(|cents| Decimal::new(cents, 3)),
        5 => (0_i64..9_000_000_000).prop_map(|units| Decimal::new(units, 5)),
        1 => (0_i64..9_000_000_000).prop_map(|units| Decimal::new(units, 0)),
    ]
}

fn blocked() -> impl Strategy<Value = Option<Reason>> {
    prop_oneof![
        9 => Just(None),
        1 => Just(Some(Reason::Paused)),
    ]
}

#[derive(Clone, Debug)]
struct RuleSeed {
    step: Decimal,
    min_steps: i64,
    min_cost: i64,
    max_steps: Option<i64>,
    active: bool,
    listed: bool,
}

fn rule_seed() -> impl Strategy<Value = RuleSeed> {
    let step = prop_oneof![
        1 => Just(Decimal::ZERO),
        6 => (0_u32..9).prop_map(|scale| Decimal::new(1, scale)),
        1 => (1_i64..1000, 0_u32..4).prop_map(|(digits, scale)| Decimal::new(digits, scale)),
    ];
    let max = prop_oneof![5 => Just(None), 1 => (1_i64..100_000).prop_map(Some)];
    (step, 0_i64..20, prop_oneof![Just(0_i64), Just(5), Just(100)], max, 0..20, 0..20).prop_map(
        |(step, min_steps, min_cost, max_steps, halted, missing)| RuleSeed {
            step,
            min_steps,
            min_cost,
            max_steps,
            active: halted > 0,
            listed: missing > 0,
        },
    )
}

fn rules(seed: &RuleSeed, symbol: Symbol, quote_price: Decimal) -> MarketRules {
    let step = if seed.step.is_zero() { Decimal::new(1, 4) } else { seed.step };
    let min_amount = step * Decimal::from(seed.min_steps);
    MarketRules {
        amount_step: Qty::new(seed.step),
        min_amount: Qty::new(min_amount),
        max_amount: seed.max_steps.map(|steps| Qty::new(min_amount + step * Decimal::from(steps))),
        min_cost: (Decimal::from(seed.min_cost) / quote_price).round_sf(6).unwrap(),
        active: seed.active,
        symbol,
    }
}

#[derive(Clone, Debug)]
struct AssetSeed {
    level: u32,
    venue: usize,
    price: Decimal,
    value: Decimal,
    market_cap: Option<f64>,
    position: Signal,
    trend: Signal,
    blocked: Option<Reason>,
    rules: RuleSeed,
    /// Partners of direct markets, and which side is the base.
    partners: Vec<(usize, bool, RuleSeed)>,
}

fn asset_seed() -> impl Strategy<Value = AssetSeed> {
    let cap = prop_oneof![
        8 => (1e4_f64..1e13).prop_map(Some),
        1 => Just(None),
        1 => Just(Some(0.0)),
    ];
    (
        (1_u32..4, 0_usize..3, any_price(), any_value(), cap),
        (signal(), signal(), blocked(), rule_seed()),
        proptest::collection::vec((0_usize..10, any::<bool>(), rule_seed()), 0..3),
    )
        .prop_map(|((level, venue, price, value, market_cap), rest, partners)| AssetSeed {
            level,
            venue,
            price,
            value,
            market_cap,
            position: rest.0,
            trend: rest.1,
            blocked: rest.2,
            rules: rest.3,
            partners,
        })
}

fn settings() -> impl Strategy<Value = Settings> {
    (
        prop_oneof![Just(0_i64), Just(1), Just(15), Just(500)],
        prop_oneof![3 => Just(1.0), 3 => 0.0_f64..1.0],
        prop_oneof![Just(0_i64), Just(10), Just(100)],
        0..ALLOCATIONS.len(),
    )
        .prop_map(|(minimum, altcoins, threshold, allocation)| Settings {
            min_order_value: Money::new(Decimal::from(minimum)),
            max_alt_coin_ratio: altcoins,
            rebalance_threshold: Decimal::new(threshold, 3),
            allocation: &ALLOCATIONS[allocation],
            ..Settings::default()
        })
}

/// Up to ten assets on up to three venues, with everything that can be odd about them.
pub(crate) fn portfolios() -> impl Strategy<Value = Portfolio> {
    (
        settings(),
        proptest::collection::vec(asset_seed(), 1..10),
        1_usize..4,
        proptest::array::uniform3(any_value()),
        any::<bool>(),
    )
        .prop_map(|(settings, seeds, venues, cash, constrain_funding)| {
            build(settings, &seeds, venues, &cash, constrain_funding)
        })
}

fn build(
    settings: Settings,
    seeds: &[AssetSeed],
    venues: usize,
    cash: &[Decimal; 3],
    constrain_funding: bool,
) -> Portfolio {
    let stablecoin: Ticker = "USDT".parse().unwrap();
    let place = |seed: &AssetSeed| venue(seed.venue % venues);
    let mut markets: BTreeMap<VenueId, Markets> = BTreeMap::new();
    for (i, seed) in seeds.iter().enumerate() {
        let listed = markets.entry(place(seed)).or_default();
        if seed.rules.listed {
            let symbol = Symbol::new(ticker(i), stablecoin.clone());
            listed.insert(symbol.clone(), rules(&seed.rules, symbol, Decimal::ONE));
        }
        for (partner, is_base, rule) in &seed.partners {
            let partner = partner % seeds.len();
            if partner == i || place(&seeds[partner]) != place(seed) {
                continue;
            }
            let (base, quote) = if *is_base { (i, partner) } else { (partner, i) };
            let symbol = Symbol::new(ticker(base), ticker(quote));
            listed.insert(symbol.clone(), rules(rule, symbol, seeds[quote].price));
        }
    }
    Portfolio {
        settings,
        stablecoin_free: (0..venues).map(|v| (venue(v), Money::new(cash[v]))).collect(),
        assets: seeds
            .iter()
            .enumerate()
            .map(|(i, seed)| AssetView {
                ticker: ticker(i),
                level: seed.level,
                venue: place(seed),
                price: Price::new(seed.price),
                free: Qty::new((seed.value / seed.price).round_dp(12)),
                market_cap: seed.market_cap,
                position: seed.position,
                trend: seed.trend,
                blocked: seed.blocked.clone(),
            })
            .collect(),
        stablecoin,
        markets,
        constrain_funding,
    }
}
