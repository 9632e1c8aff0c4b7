//! How many candles of history do decisions depend on?
//!
//! At each moment that is asked, a fresh portfolio decides with the longest history and with shorter
//! ones. Exponential means forget slowly: a history is long enough when no decision differs.

use crate::collect::EachCycle;
use crate::engine::Scenario;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::policy::Policy;
use keel_core::ports::StoreError;
use keel_core::signal::Signal;
use keel_core::state::State;
use keel_core::time::Timestamp;
use keel_sim::paper::PaperBroker;
use keel_sim::tape::{ReplayMarket, TapeClock};
use rayon::prelude::*;
use rust_decimal::Decimal;
use serde::Serialize;

/// One history and how far its decisions are from those of the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Candles.
    pub history: usize,
    /// Decisions compared: one per asset and moment.
    pub decisions: usize,
    /// Those in which a position signal differs.
    pub positions: usize,
    /// Those in which a trend signal differs.
    pub trends: usize,
    /// Those in which the weight differs; one signal may change the weights of all.
    pub weights: usize,
}

/// What the histories came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warmup {
    /// Moments asked.
    pub moments: usize,
    /// The history all others are compared with.
    pub longest: usize,
    /// From the shortest to the longest but one.
    pub rows: Vec<Row>,
    /// The shortest history from which on no decision differs; `None` when the longest but one still
    /// differs.
    pub enough: Option<usize>,
}

/// What a fresh portfolio decides about one asset.
type Decided = (Signal, Signal, Decimal);

/// Compares `histories` (in order, at least two) at the moments of the scenario. `progress` is called
/// after each moment, from any thread.
///
/// # Errors
/// Never in practice: nothing is written.
pub fn warmup(
    scenario: &Scenario<'_>,
    histories: &[usize],
    progress: &(dyn Fn() + Sync),
) -> Result<Warmup, StoreError> {
    let policies: Vec<Policy> =
        histories.iter().map(|history| with_history(scenario.policy, *history)).collect();
    let decided: Vec<Vec<Vec<Decided>>> = scenario
        .moments
        .par_iter()
        .map(|now| {
            let of_moment: Result<Vec<Vec<Decided>>, StoreError> =
                policies.iter().map(|policy| decide(scenario, policy, *now)).collect();
            progress();
            of_moment
        })
        .collect::<Result<_, _>>()?;
    let rows: Vec<Row> = histories
        .iter()
        .enumerate()
        .take(histories.len().saturating_sub(1))
        .map(|(place, history)| compare(*history, place, &decided))
        .collect();
    let differs = |row: &Row| row.positions + row.trends + row.weights > 0;
    let enough = match rows.iter().rposition(differs) {
        None => rows.first(),
        Some(last) => rows.get(last + 1),
    };
    Ok(Warmup {
        moments: scenario.moments.len(),
        longest: histories.last().copied().unwrap_or(0),
        enough: enough.map(|row| row.history),
        rows,
    })
}

/// The history is fetched at once; nothing is fetched in a second attempt.
fn with_history(policy: &Policy, history: usize) -> Policy {
    let mut changed = policy.clone();
    changed.settings.indicator_history_size = history;
    changed.settings.max_indicator_history_size = history;
    changed
}

fn decide(
    scenario: &Scenario<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Decided>, StoreError> {
    let clock = TapeClock::at(now);
    let market = ReplayMarket::new(scenario.tape, &clock);
    let account = scenario.account.clone();
    let mut broker = PaperBroker::new(&market, policy.stablecoin.clone(), scenario.costs, account);
    let mut state = State::default();
    let options = CycleOptions {
        deployment: scenario.deployment.clone(),
        at_start: true,
        ..CycleOptions::default()
    };
    let mut store = EachCycle(|_, _| {});
    let mut world =
        World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
    let record = pollster::block_on(run_cycle(&mut world, policy, &mut state, &options))?;
    let assets = record.decisions.iter().skip(1).take(policy.assets.len());
    Ok(assets.map(|decision| (decision.position, decision.trend, decision.ratio)).collect())
}

fn compare(history: usize, place: usize, decided: &[Vec<Vec<Decided>>]) -> Row {
    let mut row = Row { history, decisions: 0, positions: 0, trends: 0, weights: 0 };
    for of_moment in decided {
        let (Some(with), Some(longest)) = (of_moment.get(place), of_moment.last()) else {
            continue;
        };
        for (one, other) in with.iter().zip(longest) {
            row.decisions += 1;
            row.positions += usize::from(one.0 != other.0);
            row.trends += usize::from(one.1 != other.1);
            row.weights += usize::from(one.2 != other.2);
        }
    }
    row
}
