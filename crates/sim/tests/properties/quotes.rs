//! Quotes of venues: no single one is believed, and none is doubted for ever.

use crate::faults::Quotes;
use crate::scenario::{Scenario, Wishes};
use keel_core::time::Timeframe;
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// Positions on hours; each kind of quote from its hour on.
fn quoted(seed: u64, quotes: &[(usize, Quotes)]) -> Scenario {
    let mut scenario = Scenario::new(seed, Wishes { cycles: 16, ..Wishes::CALM });
    for asset in &mut scenario.policy.assets {
        (asset.position_interval, asset.trend_interval) = (Timeframe::H1, Timeframe::H4);
    }
    scenario.faults.quotes =
        quotes.iter().map(|(hour, quotes)| (scenario.moment(*hour), *quotes)).collect();
    scenario
}

/// What is said in an hour of assets that are not traded, and the first asset's price as a multiple
/// of its price in the hour in which it was last told as it is.
fn look(scenario: &Scenario, hour: usize, honest: usize) -> (BTreeSet<&'static str>, Decimal) {
    let first = scenario.policy.assets[0].ticker.clone();
    let (mut codes, mut prices) = (BTreeSet::new(), Vec::new());
    scenario.run_with(|seen| {
        prices.push(seen.state.assets[&first].price.unwrap().get());
        if prices.len() == hour + 1 {
            let assets = seen.record.decisions.iter().filter(|decision| decision.venue.is_some());
            let code = |reason: &keel_core::decision::Reason| reason.code();
            codes = assets.map(|d| d.reason.as_ref().map_or("", code)).collect();
        }
    });
    (codes, prices[hour] / prices[honest])
}

const WICK: Quotes = Quotes::Percent(13);

#[test]
fn honest_quotes_are_traded_on_like_recorded_prices_from_the_first_cycle_on() {
    let mut orders = 0;
    for seed in 540..546 {
        let live = quoted(seed, &[(0, Quotes::Honest)]).run();
        assert_eq!(live, quoted(seed, &[]).run(), "seed {seed}");
        orders += live.cycles[0].executions.len();
    }
    assert!(orders > 5, "only {orders} orders in the first cycles");
}

#[test]
fn f055_the_first_quote_after_an_outage_is_compared_with_the_newest_candle() {
    let out_of_band = BTreeSet::from(["price_out_of_band"]);
    for seed in 550..553 {
        let outage = [(0, Quotes::Honest), (5, Quotes::NoAnswer), (9, WICK), (10, Quotes::Honest)];
        let scenario = quoted(seed, &outage);
        assert_eq!(look(&scenario, 9, 4), (out_of_band.clone(), Decimal::ONE), "seed {seed}");
        let (codes, _) = look(&scenario, 10, 4);
        assert!(codes.is_disjoint(&out_of_band), "seed {seed}: {codes:?}");
        // The same in the very first cycle, but that nothing is known from before.
        let first = quoted(seed, &[(0, WICK), (1, Quotes::Honest)]).run();
        assert!(first.cycles[0].executions.is_empty(), "seed {seed}");
        assert!(first.cycles[0].notes.iter().any(|note| note.contains("the newest candle")));
    }
}

#[test]
fn f056_a_quote_that_nothing_can_be_compared_with_waits_for_the_next_one() {
    for seed in 560..563 {
        let outage = [(0, Quotes::Honest), (5, Quotes::NoAnswer), (9, Quotes::Honest)];
        let mut scenario = quoted(seed, &outage);
        scenario.faults.no_candles_from = Some(scenario.moment(5));
        let held = (BTreeSet::from(["price_unconfirmed"]), Decimal::ONE);
        assert_eq!(look(&scenario, 9, 4), held, "seed {seed}");
        let (codes, price) = look(&scenario, 10, 4);
        assert_eq!(codes, BTreeSet::from(["stale_data"]), "seed {seed}");
        assert_ne!(price, Decimal::ONE, "seed {seed}: believed");
    }
}

#[test]
fn f056_a_doubt_confirms_a_price_while_it_is_young() {
    let out_of_band = BTreeSet::from(["price_out_of_band"]);
    for seed in 570..573 {
        let twice = [(0, Quotes::Honest), (5, WICK), (6, Quotes::NoAnswer), (12, WICK)];
        let scenario = quoted(seed, &twice);
        for hour in [5, 12] {
            let seen = look(&scenario, hour, 4);
            assert_eq!(seen, (out_of_band.clone(), Decimal::ONE), "seed {seed}, hour {hour}");
        }
        let (codes, price) = look(&scenario, 13, 4);
        assert!(codes.is_disjoint(&out_of_band), "seed {seed}: {codes:?}");
        assert!(price < Decimal::new(2, 1), "seed {seed}: a move that stays is a move");
    }
}
