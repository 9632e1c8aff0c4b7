//! Scenarios from a seed: a market with holes, a policy, costs, deposits and faults; and their run.

use crate::accounting::{Books, books_of};
use crate::faults::{Faults, FaultyBroker, FaultyMarket};
use keel_core::allocation::ALLOCATIONS;
use keel_core::amount::{Money, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::{Candle, CandleSeries};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::plan::Markets;
use keel_core::policy::{AssetPolicy, ParkedAsset, Policy, Settings};
use keel_core::record::CycleRecord;
use keel_core::resample::resample;
use keel_core::state::State;
use keel_core::strategy::{self, Params};
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::generate::{GeneratedAsset, GeneratedMarket, generate};
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Candles before the first cycle: enough for the trend signals to speak.
pub(crate) const HISTORY_HOURS: i64 = 24 * 25;

/// A small source of choices.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A whole number from 0 to `sides - 1`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0.next_u64() % sides
    }

    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        let count = u64::try_from(choices.len()).unwrap();
        choices[usize::try_from(self.roll(count)).unwrap()].clone()
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

/// Money that comes or goes between two cycles.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) before_cycle: usize,
    pub(crate) venue: VenueId,
    pub(crate) ticker: Ticker,
    pub(crate) amount: Qty,
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) tape: Tape,
    pub(crate) policy: Policy,
    pub(crate) models: CostModels,
    pub(crate) account: PaperAccount,
    pub(crate) flows: Vec<Flow>,
    pub(crate) faults: Faults,
    pub(crate) start: Timestamp,
    pub(crate) cycles: usize,
}

/// How a scenario is made; every choice that is left open comes from the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    pub(crate) assets: usize,
    pub(crate) cycles: usize,
    /// Late and early listings, gaps, missing caps, halted and missing markets, coarse lots.
    pub(crate) ragged: bool,
    /// Deposits and withdrawals while it runs.
    pub(crate) flows: bool,
    /// Venues that fail, orders that are refused or whose outcome is unknown.
    pub(crate) faults: bool,
    /// Orders that the market cannot fill at once.
    pub(crate) thin: bool,
}

impl Wishes {
    pub(crate) const CALM: Self =
        Self { assets: 8, cycles: 60, ragged: false, flows: false, faults: false, thin: false };
}

pub(crate) fn decimal(digits: u64, scale: u32) -> Decimal {
    Decimal::new(i64::try_from(digits).unwrap(), scale)
}

impl Scenario {
    pub(crate) fn new(seed: u64, wishes: Wishes) -> Self {
        let mut dice = Dice::new(seed, 1);
        let market = generated(seed, &wishes, &mut dice);
        let mut tape = generate(&market).unwrap();
        let policy = policy(&market, &mut dice);
        if wishes.ragged {
            tear(&mut tape, &policy, market.start, wishes.cycles, &mut dice);
        }
        let models = CostModels {
            fee_bps: decimal(dice.pick(&[0, 10, 25, 60]), 0),
            half_spread_bps: decimal(dice.pick(&[0, 2, 15]), 0),
            slippage_bps_per_percent: decimal(dice.roll(3), 0),
            max_volume_share: if wishes.thin {
                Decimal::new(1, dice.pick(&[6, 7, 8]))
            } else {
                Decimal::ONE_HUNDRED
            },
        };
        let mut account = PaperAccount::default();
        let venues = policy.venues();
        for venue in &venues {
            let cash = dice.pick(&[0, 40, 3000, 250_000]);
            account.deposit(venue, &policy.stablecoin, Qty::new(decimal(cash, 0)));
        }
        account.deposit(&venues[0], &policy.stablecoin, Qty::new(decimal(5000, 0)));
        for (asset, generated) in policy.assets.iter().zip(&market.assets) {
            if dice.one_in(3) {
                let worth = decimal(dice.pick(&[3, 200, 4000]), 0);
                let price = Decimal::try_from(generated.price).unwrap();
                let units = Qty::new((worth / price).round_dp(9));
                account.deposit(&asset.venue, &asset.ticker, units);
            }
        }
        let flows =
            if wishes.flows { flows(&policy, wishes.cycles, &mut dice) } else { Vec::new() };
        Self {
            seed,
            tape,
            models,
            account,
            flows,
            faults: if wishes.faults { Faults::from_seed(seed) } else { Faults::none() },
            start: market.start.plus_ms(HISTORY_HOURS * Timeframe::H1.ms()),
            cycles: wishes.cycles,
            policy,
        }
    }

    pub(crate) fn moment(&self, cycle: usize) -> Timestamp {
        self.start.plus_ms(i64::try_from(cycle).unwrap() * Timeframe::H1.ms())
    }

    pub(crate) fn rules(&self, venue: &VenueId) -> &Markets {
        &self.tape.venues[venue].markets
    }

    /// Runs every cycle, hour by hour.
    pub(crate) fn run(&self) -> Run {
        self.run_with(|_| {})
    }

    /// Runs every cycle and shows each to `look`.
    pub(crate) fn run_with(&self, mut look: impl FnMut(&Seen<'_>)) -> Run {
        let clock = TapeClock::at(self.start);
        let replay = ReplayMarket::new(&self.tape, &clock);
        let faults = &self.faults;
        let market = FaultyMarket { inner: &replay, clock: &clock, faults, books: None };
        let paper = PaperBroker::new(
            &replay,
            self.policy.stablecoin.clone(),
            self.models,
            self.account.clone(),
        );
        let mut broker = FaultyBroker::new(paper, &clock, faults);
        let mut store = MemoryStore::default();
        let mut state = State::default();
        for cycle in 0..self.cycles {
            clock.set(self.moment(cycle));
            for flow in self.flows.iter().filter(|flow| flow.before_cycle == cycle) {
                // Nobody withdraws what is not there.
                let held = broker.inner.account().free(&flow.venue, &flow.ticker);
                broker.inner.deposit(&flow.venue, &flow.ticker, flow.amount.max(-held));
            }
            let books_before = books_of(broker.inner.account());
            let executed_before = broker.executed.len();
            let unresolved_before = state.unresolved.clone();
            let options = CycleOptions {
                deployment: "test".to_owned(),
                at_start: cycle == 0,
                ..CycleOptions::default()
            };
            let mut world =
                World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
            let record =
                pollster::block_on(run_cycle(&mut world, &self.policy, &mut state, &options))
                    .unwrap();
            look(&Seen {
                scenario: self,
                record: &record,
                state: &state,
                books_before: &books_before,
                books_after: &books_of(broker.inner.account()),
                executed: &broker.executed[executed_before..],
                unresolved_before: &unresolved_before,
            });
        }
        Run {
            cycles: store.cycles,
            intents: store.intents,
            outcomes: store.outcomes,
            executed: broker.executed,
            placed: broker.placed,
            state,
        }
    }
}

/// One cycle, as a test looks at it.
pub(crate) struct Seen<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) record: &'a CycleRecord,
    pub(crate) state: &'a State,
    pub(crate) books_before: &'a Books,
    pub(crate) books_after: &'a Books,
    /// What the paper account really did in this cycle.
    pub(crate) executed: &'a [keel_core::record::Execution],
    pub(crate) unresolved_before: &'a [keel_core::order::Intent],
}

/// What is left after a run.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) cycles: Vec<CycleRecord>,
    pub(crate) intents: Vec<keel_core::order::Intent>,
    pub(crate) outcomes: Vec<(keel_core::order::ClientOrderId, keel_core::order::Outcome)>,
    pub(crate) executed: Vec<keel_core::record::Execution>,
    pub(crate) placed: Vec<keel_core::order::ClientOrderId>,
    pub(crate) state: State,
}

fn generated(seed: u64, wishes: &Wishes, dice: &mut Dice) -> GeneratedMarket {
    let venues = ["north", "south", "west"];
    let venue_count = 1 + dice.roll(3);
    GeneratedMarket {
        seed,
        start: "2024-01-01".parse().unwrap(),
        hours: usize::try_from(HISTORY_HOURS).unwrap() + wishes.cycles,
        stablecoin: "USDT".parse().unwrap(),
        assets: (0..wishes.assets)
            .map(|i| {
                let size = 1.0 + i as f64;
                GeneratedAsset {
                    ticker: format!("A{i}").parse().unwrap(),
                    venue: venues[usize::try_from(dice.roll(venue_count)).unwrap()]
                        .parse()
                        .unwrap(),
                    price: 40_000.0 / (size * size * size),
                    supply: 2e7 * size,
                    beta: 0.8 + 0.1 * size.min(6.0),
                    own_volatility: 0.004,
                }
            })
            .collect(),
    }
}

fn policy(market: &GeneratedMarket, dice: &mut Dice) -> Policy {
    let strategy = strategy::find("keltner_channel").unwrap();
    let settings = Settings {
        min_order_value: Money::new(decimal(dice.pick(&[1, 15, 60]), 0)),
        max_alt_coin_ratio: dice.pick(&[1.0, 0.5, 0.15]),
        rebalance_threshold: decimal(dice.pick(&[0, 10, 50]), 3),
        signal_confirmation_cycles: dice.pick(&[1, 2, 3]),
        indicator_history_size: dice.pick(&[60, 120]),
        max_indicator_history_size: 300,
        allocation: dice.pick(&[&ALLOCATIONS[0], &ALLOCATIONS[1]]),
        ..Settings::default()
    };
    Policy {
        settings,
        stablecoin: market.stablecoin.clone(),
        assets: market
            .assets
            .iter()
            .map(|asset| AssetPolicy {
                ticker: asset.ticker.clone(),
                level: 1 + u32::try_from(dice.roll(3)).unwrap(),
                venue: asset.venue.clone(),
                coingecko_id: None,
                position_interval: dice.pick(&[Timeframe::H1, Timeframe::H1, Timeframe::H4]),
                trend_interval: dice.pick(&[Timeframe::H1, Timeframe::H4, Timeframe::H4]),
                strategy,
                // Narrow channels, so that signals come and go within a short test.
                position_params: Params::new(vec![6.0, 4.0, 0.8]),
                trend_params: Params::new(vec![5.0, 4.0, 0.5]),
            })
            .collect(),
        parked: vec![ParkedAsset { ticker: "EURT".parse().unwrap(), venue: None }],
    }
}

/// Tears holes into the tape. The coarser candles are built again from what is left.
fn tear(tape: &mut Tape, policy: &Policy, start: Timestamp, cycles: usize, dice: &mut Dice) {
    let hours = u64::try_from(HISTORY_HOURS).unwrap() + u64::try_from(cycles).unwrap();
    for asset in &policy.assets {
        let venue = tape.venues.get_mut(&asset.venue).unwrap();
        let symbol = Symbol::new(asset.ticker.clone(), policy.stablecoin.clone());
        let mut listed: std::ops::Range<u64> = 0..hours;
        match dice.roll(6) {
            // Listed while the test runs, or too late to have a history.
            0 => listed.start = hours - 1 - dice.roll(u64::try_from(cycles).unwrap() + 40),
            // Delisted while the test runs.
            1 => listed.end = hours - 1 - dice.roll(u64::try_from(cycles).unwrap()),
            _ => {}
        }
        let holes: Vec<std::ops::Range<u64>> = (0..dice.roll(4))
            .map(|_| {
                let from = dice.roll(hours);
                from..from + 1 + dice.roll(9)
            })
            .collect();
        let kept = |candle: &Candle| {
            let hour = (candle.open_time_ms - start.ms()) / Timeframe::H1.ms();
            let hour = u64::try_from(hour).unwrap();
            listed.contains(&hour) && !holes.iter().any(|hole| hole.contains(&hour))
        };
        let by_timeframe = venue.candles.get_mut(&symbol).unwrap();
        let left: Vec<Candle> = by_timeframe[&Timeframe::H1].iter().filter(kept).collect();
        *by_timeframe = both_timeframes(&left);
        if dice.one_in(8) {
            tape.caps.remove(&asset.ticker);
        } else if dice.one_in(8) {
            // Known for a while, then never again.
            tape.caps.get_mut(&asset.ticker).unwrap().truncate(3);
        }
        let mut markets = Markets::clone(&venue.markets);
        if let Some(rules) = markets.get_mut(&symbol) {
            match dice.roll(8) {
                0 => rules.active = false,
                1 => rules.amount_step = Qty::new(rules.amount_step.get() * Decimal::from(7919)),
                2 => {
                    rules.max_amount = Some(Qty::new(rules.amount_step.get() * Decimal::from(900)))
                }
                _ => {}
            }
        }
        if dice.one_in(10) {
            markets.remove(&symbol);
        }
        venue.markets = Arc::new(markets);
    }
}

/// Hourly candles and the four-hour candles that follow from them.
pub(crate) fn both_timeframes(hourly: &[Candle]) -> BTreeMap<Timeframe, Arc<CandleSeries>> {
    let fine = CandleSeries::new(Timeframe::H1, hourly).unwrap();
    let coarse = resample(&fine, Timeframe::H4).unwrap().series;
    BTreeMap::from([(Timeframe::H1, Arc::new(fine)), (Timeframe::H4, Arc::new(coarse))])
}

fn flows(policy: &Policy, cycles: usize, dice: &mut Dice) -> Vec<Flow> {
    (0..6)
        .map(|_| {
            let asset = dice.pick(&policy.assets);
            let in_cash = dice.roll(3) > 0;
            let size = decimal(dice.pick(&[1, 17, 900, 20_000]), if in_cash { 0 } else { 3 });
            Flow {
                before_cycle: usize::try_from(dice.roll(u64::try_from(cycles).unwrap())).unwrap(),
                ticker: if in_cash { policy.stablecoin.clone() } else { asset.ticker },
                venue: asset.venue,
                amount: Qty::new(if dice.one_in(2) { size } else { -size }),
            }
        })
        .collect()
}
