//! Months of cycles in hours: memory and file descriptors stay where they are.

use crate::support::{Asset, Bench, asset};
use keel_simex::SimexConfig;
use keel_simex::config::{VenueConfig, coin, default_venue, stablecoin};
use keel_simex::prices::Place;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Resident memory, the bound for two venues and 20 assets.
const MIB_MAX: f64 = 64.0;
/// From the first half of a long run to its end, the most that is used may rise by so much.
const MIB_FLAT: f64 = 2.0;
/// Five cycles take no longer, even when a venue's limit is used up.
const STUCK: Duration = Duration::from_secs(240);
/// From here on a run is long enough to speak of flatness.
const LONG: u64 = 1000;

const ASSETS: [Asset; 20] = [
    asset("BTC", "binance", "bitcoin", 1),
    asset("ETH", "binance", "ethereum", 1),
    asset("BNB", "binance", "binancecoin", 2),
    asset("SOL", "binance", "solana", 2),
    asset("XRP", "binance", "ripple", 2),
    asset("ADA", "binance", "cardano", 2),
    asset("LTC", "binance", "litecoin", 2),
    asset("TRX", "binance", "tron", 2),
    asset("ATOM", "binance", "cosmos", 2),
    asset("UNI", "binance", "uniswap", 2),
    asset("DOGE", "okx", "dogecoin", 2),
    asset("LINK", "okx", "chainlink", 2),
    asset("AVAX", "okx", "avalanche-2", 2),
    asset("DOT", "okx", "polkadot", 2),
    asset("NEAR", "okx", "near", 2),
    asset("XLM", "okx", "stellar", 2),
    asset("FIL", "okx", "filecoin", 2),
    asset("ICP", "okx", "internet-computer", 2),
    asset("HBAR", "okx", "hedera-hashgraph", 2),
    asset("APT", "okx", "aptos", 2),
];

/// Twenty coins whose made-up prices start between 0.5 and 10 dollars, ten on each venue.
fn world() -> SimexConfig {
    let mut assets = vec![stablecoin("USDT", 118.0e9, "tether")];
    let mut price = 0.5;
    for asset in &ASSETS {
        assets.push(coin(asset.ticker, price, 1.0e9 / price, asset.coingecko_id, 2));
        price += 0.5;
    }
    let venue = |place: Place, name: &str| {
        let markets: Vec<String> = ASSETS
            .iter()
            .filter(|asset| asset.venue == name)
            .map(|asset| format!("{}/USDT", asset.ticker))
            .collect();
        let markets: Vec<&str> = markets.iter().map(String::as_str).collect();
        // Binance publishes its limits, so that more is allowed and the cycles come faster.
        let limit_factor = if place == Place::Binance { 100 } else { 1 };
        (place, VenueConfig { limit_factor, ..default_venue(name, &markets, Decimal::from(5)) })
    };
    SimexConfig {
        assets,
        venues: BTreeMap::from([venue(Place::Binance, "binance"), venue(Place::Okx, "okx")]),
        journal_requests: 1000,
        ..SimexConfig::default()
    }
}

/// What the system says about a process.
#[derive(Clone, Copy, Debug)]
struct Use {
    cycle: u64,
    mib: f64,
    descriptors: usize,
    threads: u64,
}

fn used(process: &Child, cycle: u64) -> Option<Use> {
    let folder = format!("/proc/{}", process.id());
    let status = std::fs::read_to_string(format!("{folder}/status")).ok()?;
    let number = |name: &str| {
        status.lines().find_map(|line| {
            line.strip_prefix(name)?.split_whitespace().next()?.parse::<u32>().ok()
        })
    };
    Some(Use {
        cycle,
        mib: f64::from(number("VmRSS:")?) / 1024.0,
        descriptors: std::fs::read_dir(format!("{folder}/fd")).ok()?.count(),
        threads: number("Threads:")?.into(),
    })
}

/// Two venues, 20 assets, a long history, prices that move, deposits that come and go. How many
/// cycles can be set with `KEEL_SOAK_CYCLES`; the figure in docs/performance.md is from 10,000.
#[test]
fn memory_and_descriptors_stay_where_they_are_over_many_cycles() {
    let cycles: u64 =
        std::env::var("KEEL_SOAK_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let mut bench = Bench::with_assets(world(), &ASSETS);
    bench.config["bot_settings"]["indicator_history_size"] = 1000.into();
    bench.write_config();
    let count = cycles.to_string();
    let mut command = bench.command(&["trade", "--live", "--yes", "--cycles", &count]);
    let said = std::fs::File::create(bench.path("said.txt")).unwrap();
    let mut child = command.stdout(Stdio::null()).stderr(said).spawn().unwrap();
    let mut samples: Vec<Use> = Vec::new();
    let mut step = 0_usize;
    let mut moved_at = Instant::now();
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(500));
        let done = bench.cycles_done();
        let last = samples.last().map_or(0, |sample| sample.cycle);
        if done < last + 5 {
            if moved_at.elapsed() > STUCK {
                child.kill().unwrap();
            }
            continue;
        }
        moved_at = Instant::now();
        let Some(sample) = used(&child, done) else { break };
        if done / 500 != last / 500 {
            eprintln!("{sample:?}");
        }
        samples.push(sample);
        step += 1;
        let factor = if step.is_multiple_of(3) { 0.96 } else { 1.021 };
        assert!(bench.simex.move_price(ASSETS[step % ASSETS.len()].ticker, factor));
        let place = if step.is_multiple_of(2) { Place::Binance } else { Place::Okx };
        match step % 14 {
            6 => assert!(bench.simex.deposit(place, "USDT", Decimal::from(60))),
            13 => drop(bench.simex.withdraw(place, "USDT", Decimal::from(50))),
            _ => {}
        }
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {}\n{samples:?}", bench.log());
    let most = samples.iter().map(|sample| sample.mib).fold(0.0, f64::max);
    assert!(most > 0.0 && most <= MIB_MAX, "{most} MiB: {samples:?}");
    if cycles >= LONG {
        let (early, late) =
            (&samples[samples.len() / 10..samples.len() / 2], &samples[samples.len() * 9 / 10..]);
        let mib = |part: &[Use]| part.iter().map(|sample| sample.mib).fold(0.0, f64::max);
        let descriptors = |part: &[Use]| part.iter().map(|sample| sample.descriptors).max();
        let threads = |part: &[Use]| part.iter().map(|sample| sample.threads).max();
        assert!(descriptors(late) <= descriptors(early), "{samples:?}");
        assert!(threads(late) <= threads(early), "{samples:?}");
        let (early, late) = (mib(early), mib(late));
        assert!(late <= early + MIB_FLAT, "{early} MiB, then {late} MiB: {samples:?}");
        eprintln!("memory: at most {early:.1} MiB early, {late:.1} MiB late");
    }
    let orders = bench.query("SELECT COUNT(*) FROM intents");
    assert_ne!(orders[0][0], "0", "nothing was traded: {}", bench.log());
    eprintln!("{} orders in {cycles} cycles", orders[0][0]);
    bench.traded(1);
    bench.audit();
}
