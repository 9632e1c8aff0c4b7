//! What could not be read is unknown, not zero; what the operator took out does not count.

use crate::scenario::{Scenario, Wishes};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::decision::{DecisionRecord, Reason};
use keel_core::state::State;
use keel_core::time::Timeframe;
use keel_sim::memory::MemoryStore;
use keel_sim::paper::PaperBroker;
use keel_sim::tape::{ReplayMarket, TapeClock};
use rust_decimal::Decimal;

/// A scenario on more than one venue, with orders in its first hours.
fn on_several_venues(from_seed: u64) -> Scenario {
    (from_seed..)
        .map(|seed| Scenario::new(seed, Wishes { cycles: 12, ..Wishes::CALM }))
        .find(|scenario| {
            let first = &scenario.run().cycles[0];
            scenario.policy.venues().len() > 1 && !first.executions.is_empty()
        })
        .unwrap()
}

/// With one venue never read the total is unknown, and every target would be too small.
#[test]
fn nothing_is_traded_before_every_venue_was_read_once() {
    let mut traded_later = 0;
    for seed in [400, 410, 420] {
        let scenario = on_several_venues(seed);
        for venue in scenario.policy.venues() {
            let mut scenario = scenario.clone();
            scenario.faults.unread_before = Some((venue, scenario.moment(4)));
            let run = scenario.run();
            let traded = |cycle: usize| !run.cycles[cycle].executions.is_empty();
            assert!(!(0..4).any(traded), "seed {}: traded half-blind", scenario.seed);
            traded_later += (4..12).filter(|cycle| traded(*cycle)).count();
        }
    }
    assert!(traded_later > 0, "nothing was traded in the end, so nothing was held back");
}

/// An empty answer is no news: the signals age, and after two intervals nobody trades on them.
#[test]
fn an_empty_answer_does_not_keep_a_signal_fresh() {
    for seed in [430, 431, 432] {
        let mut scenario = Scenario::new(seed, Wishes { cycles: 40, ..Wishes::CALM });
        scenario.faults.no_candles_from = Some(scenario.moment(10));
        let run = scenario.run();
        let late = run.cycles.iter().skip(10 + 9).filter(|cycle| !cycle.executions.is_empty());
        assert_eq!(late.count(), 0, "seed {seed}: traded on signals of yesterday");
        for cycle in &run.cycles[19..] {
            for decision in cycle.decisions.iter().filter(|decision| decision.venue.is_some()) {
                let code = decision.reason.as_ref().map(|reason| reason.code());
                let expected = ["stale_data", "no_market_cap", "warming_up"];
                assert!(code.is_some_and(|code| expected.contains(&code)), "{seed}: {decision:?}");
            }
        }
    }
}

/// Positions on hours, trends on four hours, whose candles cannot be read for some assets from the
/// eighth hour on. What they said last is of the fourth hour.
fn with_unread_trends(seed: u64, assets: usize) -> Scenario {
    let mut scenario = Scenario::new(seed, Wishes { cycles: 40, ..Wishes::CALM });
    for asset in &mut scenario.policy.assets {
        (asset.position_interval, asset.trend_interval) = (Timeframe::H1, Timeframe::H4);
    }
    let tickers = scenario.policy.assets[..assets].iter().map(|asset| asset.ticker.clone());
    let when = scenario.moment(8)..scenario.moment(30);
    scenario.faults.unread_trends = Some((tickers.collect(), when));
    scenario
}

fn is_stale(decision: &DecisionRecord) -> bool {
    matches!(decision.reason, Some(Reason::StaleData { .. }))
}

#[test]
fn nobody_trades_on_a_trend_that_is_older_than_two_of_its_bars() {
    let mut traded_before = 0;
    for seed in 450..456 {
        let scenario = with_unread_trends(seed, Wishes::CALM.assets);
        let run = scenario.run();
        for (hour, cycle) in run.cycles.iter().enumerate() {
            let mut assets = cycle.decisions.iter().filter(|decision| decision.venue.is_some());
            if (13..30).contains(&hour) {
                assert!(assets.all(is_stale), "seed {seed}, hour {hour}: {cycle:?}");
                assert!(cycle.executions.is_empty(), "seed {seed}, hour {hour}");
            } else {
                assert!(!assets.any(is_stale), "seed {seed}, hour {hour}: {cycle:?}");
                traded_before += usize::from((8..13).contains(&hour)) * cycle.executions.len();
            }
        }
    }
    assert!(traded_before > 0, "nothing was traded before, so nothing was held back");
}

/// Until its last candle is too old, leaving it out would make the others jump.
#[test]
fn one_asset_that_cannot_be_read_does_not_keep_the_trends_of_the_others() {
    for seed in 460..463 {
        let scenario = with_unread_trends(seed, 1);
        let unread = &scenario.policy.assets[0].ticker;
        scenario.run_with(|seen| {
            let hour = i64::try_from(seen.record.cycle).unwrap() - 1;
            for decision in seen.record.decisions.iter().filter(|d| d.venue.is_some()) {
                let is_unread = decision.ticker == *unread;
                let too_old = is_unread && (13..30).contains(&hour);
                assert_eq!(is_stale(decision), too_old, "{seed}, hour {hour}: {decision:?}");
                let closed = seen.state.assets[&decision.ticker].trend.candle_closed_at.unwrap();
                let expected = match hour {
                    8..=12 => 4,
                    13..30 if is_unread => 4,
                    hour => hour / 4 * 4,
                };
                assert_eq!(closed.since_ms(scenario.start), expected * Timeframe::H1.ms());
            }
        });
    }
}

/// Its hourly candles can be read all the while, which says nothing about those of four hours.
#[test]
fn an_asset_whose_trend_has_another_length_keeps_nobody_waiting_for_ever() {
    for seed in 465..468 {
        let mut scenario = with_unread_trends(seed, 1);
        scenario.policy.assets[0].trend_interval = Timeframe::H1;
        scenario.run_with(|seen| {
            let hour = i64::try_from(seen.record.cycle).unwrap() - 1;
            for asset in &scenario.policy.assets[1..] {
                let closed = seen.state.assets[&asset.ticker].trend.candle_closed_at.unwrap();
                let expected = if (8..=12).contains(&hour) { 4 } else { hour / 4 * 4 };
                assert_eq!(closed.since_ms(scenario.start), expected * Timeframe::H1.ms());
            }
        });
    }
}

/// What a venue keeps to itself does not make a market young.
#[test]
fn assets_of_a_venue_that_shows_few_candles_take_part_in_trends_beside_the_others() {
    for from_seed in [470, 480, 490] {
        let mut scenario = on_several_venues(from_seed);
        let size = scenario.policy.settings.indicator_history_size;
        let few = scenario.policy.venues()[1].clone();
        scenario.faults.keeps = Some((few.clone(), size / 2));
        scenario.run_with(|seen| {
            for asset in scenario.policy.assets.iter().filter(|asset| asset.venue == few) {
                let trend = seen.state.assets[&asset.ticker].trend;
                assert!(trend.candle_closed_at.is_some(), "{}: {trend:?}", asset.ticker);
            }
        });
    }
}

/// A venue and its assets leave the configuration: they leave the total, too.
#[test]
fn what_left_the_configuration_is_not_counted() {
    let scenario = on_several_venues(440);
    let mut smaller = scenario.policy.clone();
    let gone = smaller.assets[0].venue.clone();
    smaller.assets.retain(|asset| asset.venue != gone);
    let clock = TapeClock::at(scenario.start);
    let market = ReplayMarket::new(&scenario.tape, &clock);
    let stablecoin = smaller.stablecoin.clone();
    let account = scenario.account.clone();
    let mut broker = PaperBroker::new(&market, stablecoin.clone(), scenario.models, account);
    let (mut store, mut state) = (MemoryStore::default(), State::default());
    for policy in [&scenario.policy, &smaller] {
        let mut world =
            World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
        let options = CycleOptions { requested: true, ..CycleOptions::default() };
        pollster::block_on(run_cycle(&mut world, policy, &mut state, &options)).unwrap();
    }
    let held: Decimal = smaller
        .assets
        .iter()
        .map(|asset| {
            let price = state.assets[&asset.ticker].price.unwrap().get();
            broker.account().free(&asset.venue, &asset.ticker).get() * price
        })
        .sum();
    let cash: Decimal =
        smaller.venues().iter().map(|venue| broker.account().free(venue, &stablecoin).get()).sum();
    assert!(store.cycles[0].total_after.get() > held + cash);
    assert_eq!(store.cycles[1].total_after.get(), held + cash);
}
