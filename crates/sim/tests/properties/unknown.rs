//! An order whose outcome is unknown is looked up, never sent again, and freezes its assets.

use crate::conservation::for_every_cycle;
use crate::faults::{Fate, Faults};
use crate::scenario::{Scenario, Wishes};
use keel_core::asset::Ticker;
use keel_core::decision::Reason;
use keel_core::order::{ClientOrderId, Fill, Intent, Outcome};
use std::collections::BTreeMap;

fn touches(intent: &Intent, ticker: &Ticker) -> bool {
    intent.order.symbol.base == *ticker || intent.order.symbol.quote == *ticker
}

#[test]
fn no_order_is_ever_sent_twice_and_each_was_written_down_first() {
    for seed in 90..96 {
        let scenario = Scenario::new(seed, Wishes { faults: true, thin: true, ..Wishes::CALM });
        let run = scenario.run();
        let mut sent: BTreeMap<&ClientOrderId, usize> = BTreeMap::new();
        for id in &run.placed {
            *sent.entry(id).or_default() += 1;
        }
        assert!(sent.values().all(|times| *times == 1), "seed {seed}: {sent:?}");
        let written: Vec<&ClientOrderId> = run.intents.iter().map(|intent| &intent.id).collect();
        assert_eq!(written, run.placed.iter().collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn an_unknown_outcome_freezes_its_assets_until_it_is_known() {
    let mut frozen_cycles = 0;
    for_every_cycle(100..105, |seen| {
        let asset_tickers = seen.scenario.policy.assets.iter().map(|asset| &asset.ticker);
        let still_unknown: Vec<&Intent> = seen
            .unresolved_before
            .iter()
            .filter(|intent| seen.state.unresolved.iter().any(|other| other.id == intent.id))
            .collect();
        for ticker in asset_tickers {
            if !still_unknown.iter().any(|intent| touches(intent, ticker)) {
                continue;
            }
            frozen_cycles += 1;
            assert!(
                !seen.record.executions.iter().any(|execution| touches(&execution.intent, ticker)),
                "seed {}, cycle {}: {ticker} was traded",
                seen.scenario.seed,
                seen.record.cycle
            );
        }
    });
    assert!(frozen_cycles > 50, "only {frozen_cycles}: the property was hardly tried");
}

/// Also the orders that were planned together with it and wait behind it.
#[test]
fn an_order_that_ends_unknown_stops_the_later_ones_of_its_assets() {
    let (mut unknown, mut held_back) = (0, 0);
    for_every_cycle(120..132, |seen| {
        let stablecoin = &seen.scenario.policy.stablecoin;
        let executions = &seen.record.executions;
        for (i, earlier) in executions.iter().enumerate() {
            if !matches!(earlier.outcome, Outcome::Unknown { .. }) {
                continue;
            }
            unknown += 1;
            let symbol = &earlier.intent.order.symbol;
            for ticker in [&symbol.base, &symbol.quote].into_iter().filter(|t| *t != stablecoin) {
                assert!(
                    !executions[i + 1..].iter().any(|later| touches(&later.intent, ticker)),
                    "seed {}, cycle {}: {ticker} was traded again",
                    seen.scenario.seed,
                    seen.record.cycle
                );
            }
        }
        held_back += usize::from(seen.record.decisions.iter().any(|decision| {
            decision.orders.is_empty() && decision.reason == Some(Reason::UnresolvedOrder)
        }));
    });
    assert!(unknown > 100 && held_back > 50, "{unknown} unknown, {held_back} held back");
}

/// Whatever was lost on the way, the journal ends with every execution, each once.
#[test]
fn in_the_end_the_journal_knows_every_execution_once() {
    for (seed, fate) in [(110, Fate::AnswerLost), (111, Fate::RequestLost), (112, Fate::AnswerLost)]
    {
        let mut scenario = Scenario::new(seed, Wishes::CALM);
        scenario.faults = Faults::all_orders(fate, 3);
        let run = scenario.run();
        assert!(run.placed.len() > 5, "seed {seed}: only {} orders", run.placed.len());
        let open: Vec<&ClientOrderId> = run.state.unresolved.iter().map(|i| &i.id).collect();
        let mut known: BTreeMap<&ClientOrderId, Vec<&Fill>> = BTreeMap::new();
        let mut answers: BTreeMap<&ClientOrderId, usize> = BTreeMap::new();
        for (id, outcome) in &run.outcomes {
            if !matches!(outcome, Outcome::Unknown { .. }) {
                *answers.entry(id).or_default() += 1;
                known.entry(id).or_default().extend(outcome.fills());
            }
        }
        assert!(answers.values().all(|times| *times == 1), "seed {seed}: booked twice");
        for id in &run.placed {
            assert_ne!(answers.contains_key(id), open.contains(&id), "seed {seed}: {id}");
        }
        for id in answers.keys() {
            let told = run.cycles.iter().flat_map(|cycle| &cycle.notes);
            assert_eq!(told.filter(|note| note.contains(id.as_str())).count(), 1, "seed {seed}");
        }
        for execution in &run.executed {
            if let Some(fills) = known.get(&execution.intent.id) {
                let really: Vec<&Fill> = execution.outcome.fills().iter().collect();
                assert_eq!(*fills, really, "seed {seed}");
            }
        }
        if fate == Fate::RequestLost {
            assert!(known.values().all(Vec::is_empty), "seed {seed}: nothing was executed");
        }
    }
}
