//! Constant prices and signals: at most two cycles with orders, then none.

use crate::scenario::{Dice, Scenario, Wishes, decimal};
use keel_core::amount::{Money, Qty};
use keel_core::asset::{Symbol, Ticker};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::plan::Markets;
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{ReplayMarket, TapeClock};
use rust_decimal::Decimal;
use std::sync::Arc;

/// Distributes again and again at one moment, at which neither prices nor signals can change.
fn stand_still(scenario: &Scenario, cycle: usize, repeats: usize) -> Vec<CycleRecord> {
    let clock = TapeClock::at(scenario.moment(cycle));
    let market = ReplayMarket::new(&scenario.tape, &clock);
    let stablecoin = scenario.policy.stablecoin.clone();
    let mut broker =
        PaperBroker::new(&market, stablecoin, scenario.models, scenario.account.clone());
    let mut store = MemoryStore::default();
    let mut state = State::default();
    for _ in 0..repeats {
        let mut world =
            World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
        let options = CycleOptions { requested: true, ..CycleOptions::default() };
        pollster::block_on(run_cycle(&mut world, &scenario.policy, &mut state, &options)).unwrap();
    }
    store.cycles
}

fn coarsen(scenario: &mut Scenario, factor: u64) {
    for venue in scenario.tape.venues.values_mut() {
        let mut markets = Markets::clone(&venue.markets);
        for rules in markets.values_mut() {
            rules.amount_step = Qty::new(rules.amount_step.get() * decimal(factor, 0));
            rules.min_amount = rules.amount_step;
        }
        venue.markets = Arc::new(markets);
    }
}

/// The same holdings, many times over or nearly nothing.
fn scaled(account: &PaperAccount, factor: Decimal) -> PaperAccount {
    let mut scaled = PaperAccount::default();
    for (venue, ticker, amount) in account.iter() {
        let amount = Qty::new((amount.get() * factor).round_dp(9));
        scaled.deposit(venue, ticker, amount);
    }
    scaled
}

#[test]
fn a_portfolio_comes_to_rest_within_two_cycles() {
    let mut with_orders = 0;
    let mut failures = Vec::new();
    for seed in 300..360 {
        let mut scenario = Scenario::new(seed, Wishes { ragged: seed % 2 == 0, ..Wishes::CALM });
        let mut dice = Dice::new(seed, 9);
        scenario.models = CostModels {
            fee_bps: decimal(dice.pick(&[0, 10, 40]), 0),
            half_spread_bps: decimal(dice.pick(&[0, 2, 10]), 0),
            slippage_bps_per_percent: Decimal::ZERO,
            max_volume_share: decimal(1_000_000_000, 0),
        };
        // A band narrower than what a trade costs would chase its own fees.
        scenario.policy.settings.rebalance_threshold = decimal(dice.pick(&[10, 50]), 3);
        scenario.policy.settings.min_order_value = Money::new(decimal(dice.pick(&[15, 60]), 0));
        // Limits on single orders need more than one cycle by their nature.
        for venue in scenario.tape.venues.values_mut() {
            let mut markets = Markets::clone(&venue.markets);
            markets.values_mut().for_each(|rules| rules.max_amount = None);
            // What can leave only through a direct market leaves 99 % at a time, by the haircut.
            let sold_for_cash = |ticker: &Ticker| {
                let symbol = Symbol::new(ticker.clone(), scenario.policy.stablecoin.clone());
                venue.markets.get(&symbol).is_some_and(|rules| rules.active)
            };
            markets.retain(|symbol, _| {
                sold_for_cash(&symbol.base)
                    && (symbol.quote == scenario.policy.stablecoin || sold_for_cash(&symbol.quote))
            });
            venue.markets = Arc::new(markets);
        }
        coarsen(&mut scenario, dice.pick(&[1, 1, 50, 500]));
        let account = scenario.account.clone();
        for factor in [decimal(2, 2), Decimal::ONE, decimal(1000, 0)] {
            scenario.account = scaled(&account, factor);
            for cycle in [0, 17, 45] {
                let records = stand_still(&scenario, cycle, 6);
                let active: Vec<usize> =
                    (0..6).filter(|i| !records[*i].executions.is_empty()).collect();
                with_orders += active.len();
                if active.len() > 2 || active.last().is_some_and(|last| *last > 1) {
                    failures
                        .push(format!("seed {seed}, factor {factor}, hour {cycle}: {active:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "orders in these cycles:\n{}", failures.join("\n"));
    assert!(with_orders > 100, "only {with_orders} cycles with orders");
}
