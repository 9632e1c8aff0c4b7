//! Runs the daemon's own cycle over a tape, as fast as it goes.

use crate::activity;
use crate::benchmarks;
use crate::collect::{Both, Collector, EachCycle};
use crate::data_notes;
use crate::memory::{Memory, RememberingMarket};
use crate::run::{Flow, Run};
use crate::statistics::{DailyCurve, of_curve};
use keel_core::amount::{Money, Qty};
use keel_core::asset::{Ticker, VenueId};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::policy::{AssetPolicy, Policy};
use keel_core::ports::{Broker as _, MarketData, Store, StoreError};
use keel_core::state::State;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rust_decimal::{Decimal, RoundingStrategy};

/// Money that comes (or, negative, goes) at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Booked before the first cycle at or after it.
    pub at: Timestamp,
    /// In the stablecoin.
    pub amount: Money,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Scenario<'a> {
    /// What the run is called in reports.
    pub title: String,
    /// Names the settings.
    pub config_fingerprint: String,
    /// Names the data.
    pub data_fingerprint: String,
    /// Part of every order's name, as in the daemon.
    pub deployment: String,
    /// What the operator wants.
    pub policy: &'a Policy,
    /// Candles, caps and rules.
    pub tape: &'a Tape,
    /// The moments of the cycles, in order.
    pub moments: &'a [Timestamp],
    /// What trades cost.
    pub costs: CostModels,
    /// The account before the first cycle.
    pub account: PaperAccount,
    /// What comes and goes later, in order of time.
    pub deposits: Vec<Deposit>,
    /// What the loading of the data already has to say.
    pub data_notes: Vec<String>,
}

/// The shortest interval of any asset: how far the tape moves the clock from cycle to cycle.
#[must_use]
pub fn step(assets: &[AssetPolicy]) -> Timeframe {
    assets
        .iter()
        .flat_map(|asset| [asset.position_interval, asset.trend_interval])
        .min()
        .unwrap_or(Timeframe::H1)
}

/// The moments of the cycles from `from` to `to`, both on the grid of `step`.
pub fn moments(
    from: Timestamp,
    to: Timestamp,
    step: Timeframe,
) -> impl Iterator<Item = Timestamp> + Clone {
    let first = step.floor(from.plus_ms(step.ms() - 1));
    let count = (to.since_ms(first) / step.ms() + 1).max(0);
    (0..count).map(move |i| first.plus_ms(i * step.ms()))
}

/// Runs a scenario.
///
/// # Errors
/// Never in practice: nothing is written.
pub fn run(scenario: &Scenario<'_>) -> Result<Run, StoreError> {
    run_with_progress(scenario, &mut |_| {})
}

/// Runs a scenario; `progress` gets the number of finished cycles.
///
/// # Errors
/// Never in practice: nothing is written.
pub fn run_with_progress(
    scenario: &Scenario<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Run, StoreError> {
    let mut collector = Collector::new(scenario.policy, scenario.moments.len());
    let mut store = EachCycle(|record, state| collector.take(record, state));
    let played = play(scenario, &mut store, progress)?;
    Ok(finish(scenario, collector, played))
}

/// Runs a scenario and writes what the daemon would write to `journal`. Returns, beside the run, the
/// last state and the account's checkpoint, with which the journal is closed.
///
/// # Errors
/// When the journal cannot be written.
pub fn run_into(
    scenario: &Scenario<'_>,
    journal: &mut impl Store,
    progress: &mut dyn FnMut(usize),
) -> Result<(Run, State, Option<String>), StoreError> {
    let mut collector = Collector::new(scenario.policy, scenario.moments.len());
    let mut store = EachCycle(|record, state| collector.take(record, state));
    let mut played = play(scenario, &mut Both(&mut store, journal), progress)?;
    let (state, checkpoint) = (std::mem::take(&mut played.state), played.checkpoint.take());
    Ok((finish(scenario, collector, played), state, checkpoint))
}

/// What a run leaves beside what its store took.
pub(crate) struct Played {
    pub(crate) capital: Money,
    pub(crate) flows: Vec<Flow>,
    pub(crate) notes: Vec<String>,
    pub(crate) state: State,
    pub(crate) checkpoint: Option<String>,
}

/// The loop of the daemon over the tape of a scenario, with what strategies said worked out ahead.
pub(crate) fn play(
    scenario: &Scenario<'_>,
    store: &mut impl Store,
    progress: &mut dyn FnMut(usize),
) -> Result<Played, StoreError> {
    let memory = Memory::default();
    memory.prepare(scenario.tape, scenario.policy, scenario.moments);
    let clock = TapeClock::default();
    let market = RememberingMarket::new(scenario.tape, &clock, &memory, scenario.policy, false);
    let mut before = |done, _: &State, _: &PaperAccount| progress(done);
    let played = play_on(scenario, &clock, &market, store, &mut before)?;
    progress(scenario.moments.len());
    Ok(played)
}

/// The loop of the daemon on any market data, with a clock that the tape moves. `before` sees the
/// number of each cycle, from 0, and what it starts from.
pub(crate) fn play_on<M: MarketData>(
    scenario: &Scenario<'_>,
    clock: &TapeClock,
    market: &M,
    store: &mut impl Store,
    before: &mut dyn FnMut(usize, &State, &PaperAccount),
) -> Result<Played, StoreError> {
    let policy = scenario.policy;
    let account = scenario.account.clone();
    let mut broker = PaperBroker::new(market, policy.stablecoin.clone(), scenario.costs, account);
    let mut state = State::default();
    let mut options =
        CycleOptions { deployment: scenario.deployment.clone(), ..CycleOptions::default() };
    let mut due = scenario.deposits.iter().peekable();
    let mut played = Played {
        capital: worth(scenario),
        flows: Vec::new(),
        notes: Vec::new(),
        state: State::default(),
        checkpoint: None,
    };
    pollster::block_on(async {
        for (done, now) in scenario.moments.iter().enumerate() {
            clock.set(*now);
            while let Some(deposit) = due.next_if(|deposit| deposit.at <= *now) {
                let (booked, note) = book(&mut broker, policy, deposit);
                played.flows.push(Flow { at: deposit.at, amount: booked.to_f64() });
                played.notes.extend(note);
            }
            options.at_start = done == 0;
            before(done, &state, broker.account());
            let mut world = World { clock, market, broker: &mut broker, store: &mut *store };
            run_cycle(&mut world, policy, &mut state, &options).await?;
        }
        played.checkpoint = broker.checkpoint();
        played.state = state;
        Ok(played)
    })
}

/// The value of the first account: stablecoins, and what else it holds at the first known prices.
fn worth(scenario: &Scenario<'_>) -> Money {
    let policy = scenario.policy;
    let Some(first) = scenario.moments.first() else { return Money::ZERO };
    let clock = TapeClock::at(*first);
    let market = ReplayMarket::new(scenario.tape, &clock);
    let price = |venue: &VenueId, ticker: &Ticker| {
        let symbol = keel_core::asset::Symbol::new(ticker.clone(), policy.stablecoin.clone());
        let answer = pollster::block_on(market.prices(venue, &[symbol])).ok()?;
        Some(answer.first().copied().flatten()?.price)
    };
    scenario
        .account
        .iter()
        .map(|(venue, ticker, amount)| {
            if *ticker == policy.stablecoin {
                return Money::new(amount.get());
            }
            let traded = policy.asset(ticker).is_some_and(|asset| asset.venue == *venue);
            let price = if traded { price(venue, ticker) } else { None };
            price.and_then(|price| amount.value_at(price)).unwrap_or_default()
        })
        .sum()
}

/// Books a deposit in equal parts on the venues, or takes a withdrawal from the fullest accounts
/// first. Returns what was booked and, when that is less than was asked for, a note.
fn book<M: keel_core::ports::MarketData>(
    broker: &mut PaperBroker<'_, M>,
    policy: &Policy,
    deposit: &Deposit,
) -> (Money, Option<String>) {
    let venues = policy.venues();
    let stablecoin = &policy.stablecoin;
    if !deposit.amount.is_zero() && deposit.amount.get() > Decimal::ZERO {
        for (venue, amount) in equal_parts(deposit.amount, &venues) {
            broker.deposit(venue, stablecoin, amount);
        }
        return (deposit.amount, None);
    }
    let mut left = -deposit.amount.get();
    let mut held: Vec<(Decimal, &VenueId)> = venues
        .iter()
        .map(|venue| (broker.account().free(venue, stablecoin).get(), venue))
        .collect();
    held.sort_by(|a, b| b.cmp(a));
    for (free, venue) in held {
        let taken = left.min(free);
        broker.deposit(venue, stablecoin, Qty::new(-taken));
        left -= taken;
    }
    let booked = deposit.amount + Money::new(left);
    let note = (left > Decimal::ZERO).then(|| {
        format!(
            "withdrawal of {} on {}: only {} {stablecoin} was free, so that much was taken",
            -deposit.amount, deposit.at, -booked
        )
    });
    (booked, note)
}

/// `total` in equal parts of whole cents, the first venue taking what does not divide.
#[must_use]
pub fn equal_parts(total: Money, venues: &[VenueId]) -> Vec<(&VenueId, Qty)> {
    let share = (total.get() / Decimal::from(venues.len().max(1)))
        .round_dp_with_strategy(2, RoundingStrategy::ToZero);
    let others = share * Decimal::from(venues.len().saturating_sub(1));
    venues
        .iter()
        .enumerate()
        .map(|(i, venue)| (venue, Qty::new(if i == 0 { total.get() - others } else { share })))
        .collect()
}

fn finish(scenario: &Scenario<'_>, collector: Collector, played: Played) -> Run {
    let policy = scenario.policy;
    let tickers: Vec<Ticker> = policy.assets.iter().map(|asset| asset.ticker.clone()).collect();
    let capital = played.capital.to_f64();
    let curve = DailyCurve::new(scenario.moments, &collector.equity, &played.flows, capital);
    let mut statistics = of_curve(&curve);
    statistics.end_value = collector.equity.last().copied().unwrap_or(capital);
    let years = activity::years(scenario.moments);
    statistics.activity = activity::of_run(&collector, &policy.stablecoin, years);
    let mut run = Run {
        title: scenario.title.clone(),
        config_fingerprint: scenario.config_fingerprint.clone(),
        data_fingerprint: scenario.data_fingerprint.clone(),
        stablecoin: policy.stablecoin.clone(),
        capital: played.capital,
        costs: scenario.costs,
        moments: scenario.moments.to_vec(),
        equity: collector.equity,
        flows: played.flows,
        stable_share: collector.stable_share,
        trades: collector.trades,
        unfilled: collector.unfilled,
        data_notes: scenario.data_notes.clone(),
        statistics,
        weights: Default::default(),
        targets: Default::default(),
        prices: Default::default(),
        signals: Default::default(),
        reasons: Default::default(),
        benchmarks: Vec::new(),
        tickers: tickers.clone(),
    };
    for (ticker, series) in tickers.into_iter().zip(collector.assets) {
        run.weights.insert(ticker.clone(), series.weights);
        run.targets.insert(ticker.clone(), series.targets);
        run.prices.insert(ticker.clone(), series.prices);
        run.signals.insert(ticker.clone(), series.signals);
        let reasons = series.reasons.into_iter().map(|(code, n)| (code.to_owned(), n)).collect();
        run.reasons.insert(ticker, reasons);
    }
    run.data_notes.extend(played.notes);
    run.data_notes.extend(data_notes::of_run(scenario, &run));
    run.data_notes.extend(data_notes::of_cycles(&collector.notes));
    run.benchmarks = benchmarks::of_run(scenario, &run);
    run
}
