//! What could not be read is unknown, not zero; what the operator took out does not count.

use crate::scenario::{Scenario, Wishes};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::state::State;
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
