//! Whole cycles over generated markets: what holds whatever the prices do.

use keel_core::amount::Qty;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::policy::{AssetPolicy, Policy, Settings};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::generate::{GeneratedAsset, GeneratedMarket, generate};
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rust_decimal::Decimal;

const HISTORY_HOURS: usize = 24 * 60;

fn market(seed: u64, count: usize, hours: usize) -> GeneratedMarket {
    let venues = ["north", "south"];
    GeneratedMarket {
        seed,
        start: "2024-01-01".parse().unwrap(),
        hours: HISTORY_HOURS + hours,
        stablecoin: "USDT".parse().unwrap(),
        assets: (0..count)
            .map(|i| {
                let size = 1.0 + i as f64;
                GeneratedAsset {
                    ticker: format!("A{i}").parse().unwrap(),
                    venue: venues[i % 2].parse().unwrap(),
                    price: 40_000.0 / (size * size * size),
                    supply: 2e7 * size,
                    beta: 0.8 + 0.1 * size.min(6.0),
                    own_volatility: 0.004,
                }
            })
            .collect(),
    }
}

fn policy(market: &GeneratedMarket) -> Policy {
    let strategy = keel_core::strategy::find("keltner_channel").unwrap();
    Policy {
        settings: Settings { indicator_history_size: 300, ..Settings::default() },
        stablecoin: market.stablecoin.clone(),
        assets: market
            .assets
            .iter()
            .enumerate()
            .map(|(i, asset)| AssetPolicy {
                ticker: asset.ticker.clone(),
                level: 1 + u32::from(i > 1),
                venue: asset.venue.clone(),
                coingecko_id: None,
                position_interval: Timeframe::H1,
                trend_interval: Timeframe::H4,
                strategy,
                position_params: strategy.defaults(),
                trend_params: strategy.defaults(),
            })
            .collect(),
        parked: Vec::new(),
    }
}

fn account(policy: &Policy, each: i64) -> PaperAccount {
    let mut account = PaperAccount::default();
    for venue in policy.venues() {
        account.deposit(&venue, &policy.stablecoin, Qty::new(Decimal::new(each, 0)));
    }
    account
}

struct Run {
    cycles: Vec<CycleRecord>,
    account: PaperAccount,
    state: State,
}

fn run(tape: &Tape, policy: &Policy, start: Timestamp, hours: usize, models: CostModels) -> Run {
    let clock = TapeClock::at(start);
    let market = ReplayMarket::new(tape, &clock);
    let mut broker =
        PaperBroker::new(&market, policy.stablecoin.clone(), models, account(policy, 5000));
    let mut store = MemoryStore::default();
    let mut state = State::default();
    for hour in 0..hours {
        clock.set(start.plus_ms(i64::try_from(hour).unwrap() * Timeframe::H1.ms()));
        let mut world =
            World { clock: &clock, market: &market, broker: &mut broker, store: &mut store };
        let options = CycleOptions { at_start: hour == 0, ..CycleOptions::default() };
        pollster::block_on(run_cycle(&mut world, policy, &mut state, &options)).unwrap();
    }
    Run { cycles: store.cycles, account: broker.account().clone(), state }
}

#[test]
fn look() {
    let market = market(7, 8, 24 * 30);
    let tape = generate(&market).unwrap();
    let policy = policy(&market);
    let start = market.start.plus_ms(HISTORY_HOURS as i64 * Timeframe::H1.ms());
    let t = std::time::Instant::now();
    let run = run(&tape, &policy, start, 24 * 30, CostModels::default());
    println!("took {:?}", t.elapsed());
    for c in run.cycles.iter().filter(|c| !c.executions.is_empty() || !c.notes.is_empty()).take(40)
    {
        println!("{} {} {:?} {} -> {}", c.cycle, c.at, c.trigger, c.total_before, c.total_after);
        for d in &c.decisions {
            println!(
                "   {} {:?} {:?} ratio {} target {} change {} {} {}",
                d.ticker,
                d.position,
                d.trend,
                d.ratio.round_dp(4),
                d.target.get().round_dp(2),
                d.change.get().round_dp(2),
                d.action(),
                d.reason.as_ref().map(|r| r.to_string()).unwrap_or_default()
            );
        }
        for e in &c.executions {
            println!(
                "      {} {} {} {} {:?} {}",
                e.intent.order.kind.name(),
                e.intent.order.side,
                e.intent.order.amount,
                e.intent.order.symbol,
                e.intent.order.value,
                e.outcome.name()
            );
            if let keel_core::order::Outcome::Rejected { reason } = &e.outcome {
                println!("{reason}");
            }
        }
        for n in &c.notes {
            println!("   note {n}");
        }
    }
    println!("{:?}", run.account);
    println!("{}", run.state.total());
}
