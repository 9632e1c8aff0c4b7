//! Does any decision look into the future?
//!
//! The whole run is made once. Then, for each moment that is checked, the cycle is run again from the
//! same state and account on three other tapes: one that ends at the moment, one whose later bars
//! come in the opposite order, and one whose later bars are other prices. All four records must be
//! equal. Every cycle starts from what the one before left, so that equal cycles make equal runs.

use crate::collect::EachCycle;
use crate::engine::{Scenario, play_on};
use crate::memory::{Memory, RememberingMarket};
use keel_core::candle::{Candle, CandleSeries, Window};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::policy::Policy;
use keel_core::ports::{CapPoint, MarketData, StoreError};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_core::time::Timestamp;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{Tape, TapeClock, VenueTape};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bars after the moment that the changed tapes keep.
const LATER_BARS: usize = 60;
/// Bars before a moment that the other tapes keep beyond the longest window.
const SPARE_BARS: usize = 64;

/// Makes the market data that is under test.
pub trait MarketOn: Sync {
    /// The market data.
    type Market<'a>: MarketData
    where
        Self: 'a;

    /// Market data of `tape` as of `clock`.
    fn on<'a>(&'a self, tape: &'a Tape, clock: &'a TapeClock, policy: &Policy) -> Self::Market<'a>;
}

/// The market data of every backtest.
#[derive(Debug, Default)]
pub struct Usual {
    memory: Memory,
}

impl Usual {
    /// With the answers of the scenario's whole tape worked out ahead, as in a backtest.
    #[must_use]
    pub fn prepared(scenario: &Scenario<'_>) -> Self {
        let memory = Memory::default();
        memory.prepare(scenario.tape, scenario.policy, scenario.moments);
        Self { memory }
    }
}

impl MarketOn for Usual {
    type Market<'a> = RememberingMarket<'a>;

    fn on<'a>(&'a self, tape: &'a Tape, clock: &'a TapeClock, policy: &Policy) -> Self::Market<'a> {
        RememberingMarket::new(tape, clock, &self.memory, policy, false)
    }
}

/// How the tape after the moment differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Future {
    /// There is none.
    Absent,
    /// The bars and caps come in the opposite order.
    Reversed,
    /// Prices are doubled and halved in turn, volumes and caps change too.
    Changed,
}

const FUTURES: [Future; 3] = [Future::Absent, Future::Reversed, Future::Changed];

impl Future {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "on the tape that ends there",
            Self::Reversed => "with the later bars reversed",
            Self::Changed => "with other later bars",
        }
    }
}

/// A decision that depends on what comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The cycle's moment.
    pub at: Timestamp,
    /// Which future changed it.
    pub future: Future,
    /// What differs, first in the whole run, then with the other future.
    pub difference: String,
}

/// What was checked and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lookahead {
    /// Cycles of the whole run.
    pub cycles: usize,
    /// Cycles that were run again.
    pub checked: usize,
    /// Decisions that depend on the future, in order of time.
    pub leaks: Vec<Leak>,
}

/// What a checked cycle started from.
struct Snapshot {
    state: State,
    account: PaperAccount,
}

/// Checks the cycles with the numbers `wanted`, from 0. `progress` is called after each, from any
/// thread.
///
/// # Errors
/// Never in practice: nothing is written.
pub fn check<M: MarketOn>(
    scenario: &Scenario<'_>,
    market: &M,
    wanted: &BTreeSet<usize>,
    progress: &(dyn Fn() + Sync),
) -> Result<Lookahead, StoreError> {
    let clock = TapeClock::default();
    let whole = market.on(scenario.tape, &clock, scenario.policy);
    let mut finished = 0;
    let mut taken: BTreeMap<usize, (CycleRecord, State)> = BTreeMap::new();
    let mut store = EachCycle(|record, state| {
        if wanted.contains(&finished) {
            taken.insert(finished, (record.clone(), state.clone()));
        }
        finished += 1;
    });
    let mut starts: BTreeMap<usize, Snapshot> = BTreeMap::new();
    play_on(scenario, &clock, &whole, &mut store, &mut |cycle, state, account| {
        if wanted.contains(&cycle) {
            starts.insert(cycle, Snapshot { state: state.clone(), account: account.clone() });
        }
    })?;
    let checks: Vec<(usize, Snapshot, (CycleRecord, State))> = starts
        .into_iter()
        .filter_map(|(cycle, start)| Some((cycle, start, taken.remove(&cycle)?)))
        .collect();
    let found: Vec<Vec<Leak>> = checks
        .par_iter()
        .map(|(cycle, start, expected)| {
            let leaks = check_one(scenario, market, *cycle, start, expected);
            progress();
            leaks
        })
        .collect::<Result<_, _>>()?;
    Ok(Lookahead {
        cycles: scenario.moments.len(),
        checked: checks.len(),
        leaks: found.into_iter().flatten().collect(),
    })
}

fn check_one<M: MarketOn>(
    scenario: &Scenario<'_>,
    market: &M,
    cycle: usize,
    start: &Snapshot,
    expected: &(CycleRecord, State),
) -> Result<Vec<Leak>, StoreError> {
    let now = scenario.moments[cycle];
    let mut leaks = Vec::new();
    for future in FUTURES {
        let tape = with_future(scenario.tape, scenario.policy, now, future);
        let clock = TapeClock::at(now);
        let other = market.on(&tape, &clock, scenario.policy);
        let found = one_cycle(scenario, &clock, &other, start, cycle == 0)?;
        if found != *expected {
            leaks.push(Leak { at: now, future, difference: difference(&expected.0, &found.0) });
        }
    }
    Ok(leaks)
}

fn one_cycle<M: MarketData>(
    scenario: &Scenario<'_>,
    clock: &TapeClock,
    market: &M,
    start: &Snapshot,
    at_start: bool,
) -> Result<(CycleRecord, State), StoreError> {
    let policy = scenario.policy;
    let mut broker =
        PaperBroker::new(market, policy.stablecoin.clone(), scenario.costs, start.account.clone());
    let mut state = start.state.clone();
    let options = CycleOptions {
        deployment: scenario.deployment.clone(),
        at_start,
        ..CycleOptions::default()
    };
    let mut store = EachCycle(|_, _| {});
    let mut world = World { clock, market, broker: &mut broker, store: &mut store };
    let record = pollster::block_on(run_cycle(&mut world, policy, &mut state, &options))?;
    Ok((record, state))
}

/// The first thing in which two records differ.
fn difference(expected: &CycleRecord, found: &CycleRecord) -> String {
    for (one, other) in expected.decisions.iter().zip(&found.decisions) {
        if one == other {
            continue;
        }
        let ticker = &one.ticker;
        let of = |record: &keel_core::decision::DecisionRecord| {
            format!(
                "price {}, position {}, trend {}, target {}, {}",
                record.price.map_or_else(|| "none".to_owned(), |price| price.to_string()),
                i8::from(record.position),
                i8::from(record.trend),
                record.target.get().round_dp(2),
                record.action()
            )
        };
        return format!("{ticker}: {}; then {}", of(one), of(other));
    }
    if expected.executions == found.executions {
        "the state after the cycle".to_owned()
    } else {
        "what became of the orders".to_owned()
    }
}

/// The tape up to `now`, as far back as any window reaches, and another future after it.
fn with_future(tape: &Tape, policy: &Policy, now: Timestamp, future: Future) -> Tape {
    let settings = &policy.settings;
    let back =
        settings.indicator_history_size.max(settings.max_indicator_history_size) + SPARE_BARS;
    let venues = tape.venues.iter().map(|(id, venue)| {
        let candles = venue.candles.iter().map(|(symbol, by_timeframe)| {
            let cut = by_timeframe.iter().map(|(timeframe, series)| {
                (*timeframe, Arc::new(series_with_future(series, now, back, future)))
            });
            (symbol.clone(), cut.collect())
        });
        (id.clone(), VenueTape { markets: Arc::clone(&venue.markets), candles: candles.collect() })
    });
    let caps = tape
        .caps
        .iter()
        .map(|(ticker, points)| (ticker.clone(), caps_with_future(points, now, future)));
    Tape { venues: venues.collect(), caps: caps.collect() }
}

fn series_with_future(
    series: &Arc<CandleSeries>,
    now: Timestamp,
    back: usize,
    future: Future,
) -> CandleSeries {
    let closed = series.closed_by(now);
    let mut out = CandleSeries::empty(series.timeframe());
    // Bars of a series were checked when it was made, and the changed ones stay within the checks.
    for candle in Window::closed(series, now, back).candles() {
        let _ = out.push(candle);
    }
    let later: Vec<Candle> =
        (closed..series.len().min(closed + LATER_BARS)).filter_map(|row| series.get(row)).collect();
    for (i, candle) in later.iter().enumerate() {
        let changed = match future {
            Future::Absent => break,
            Future::Reversed => {
                Candle { open_time_ms: candle.open_time_ms, ..later[later.len() - 1 - i] }
            }
            Future::Changed => scaled(candle, if i % 2 == 0 { 2.0 } else { 0.5 }),
        };
        let _ = out.push(changed);
    }
    out
}

fn scaled(candle: &Candle, factor: f64) -> Candle {
    Candle {
        open_time_ms: candle.open_time_ms,
        open: candle.open * factor,
        high: candle.high * factor,
        low: candle.low * factor,
        close: candle.close * factor,
        volume: candle.volume * 3.0 + 1.0,
    }
}

fn caps_with_future(points: &[CapPoint], now: Timestamp, future: Future) -> Vec<CapPoint> {
    let known = points.partition_point(|point| point.as_of <= now);
    let (past, later) = points.split_at(known);
    let mut out = past.to_vec();
    let later = &later[..later.len().min(LATER_BARS)];
    out.extend(later.iter().enumerate().filter_map(|(i, point)| match future {
        Future::Absent => None,
        Future::Reversed => {
            Some(CapPoint { cap_usd: later[later.len() - 1 - i].cap_usd, ..*point })
        }
        Future::Changed => Some(CapPoint { cap_usd: point.cap_usd * 5.0, ..*point }),
    }));
    out
}

/// `count` numbers spread evenly over `0..cycles`, the first and the last included; all when there
/// are no more.
#[must_use]
pub fn spread(cycles: usize, count: usize) -> BTreeSet<usize> {
    if count >= cycles {
        return (0..cycles).collect();
    }
    if count < 2 {
        return (0..cycles.min(count)).collect();
    }
    (0..count).map(|i| i * (cycles - 1) / (count - 1)).collect()
}
