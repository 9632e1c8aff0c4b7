//! `keel demo`: the whole program on a generated market.

use crate::cli::load_config;
use crate::exit::{Code, Failure};
use crate::journal::Mode;
use crate::output;
use crate::replay;
use crate::report;
use crate::simulation::{self, Ended, Simulation};
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::generate::{GeneratedAsset, GeneratedMarket, generate};
use std::path::{Path, PathBuf};

/// Runs 90 days of hourly cycles on a generated market: two exchanges, eight assets, fees and
/// slippage. No keys, no network, no data. Same seed, same result.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which generated market.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How many days.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=730))]
    days: u32,
    /// Where the files go; a finished or interrupted demo there is continued.
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    out: PathBuf,
    /// Remove an earlier demo in that directory first.
    #[arg(long)]
    fresh: bool,
}

/// Days of candles before the first cycle: 1000 bars of four hours, and a few more.
const HISTORY_DAYS: u32 = 170;

/// When the generated market's first cycle is.
const START: &str = "2024-01-01";

/// Ticker, level, venue, first price, supply, beta, own volatility per hour.
type Row = (&'static str, u32, &'static str, f64, f64, f64, f64);

/// Sizes and prices are of the order of the real assets at the start of 2024; the rest is made up.
const ASSETS: [Row; 8] = [
    ("BTC", 1, "northex", 42_000.0, 19.6e6, 0.90, 0.0020),
    ("ETH", 1, "northex", 2_300.0, 120.0e6, 1.05, 0.0026),
    ("SOL", 2, "northex", 100.0, 430.0e6, 1.40, 0.0050),
    ("LINK", 2, "northex", 15.0, 560.0e6, 1.20, 0.0048),
    ("XRP", 2, "southex", 0.62, 54.0e9, 0.95, 0.0042),
    ("ADA", 2, "southex", 0.60, 35.0e9, 1.15, 0.0044),
    ("DOGE", 3, "southex", 0.09, 142.0e9, 1.30, 0.0055),
    ("AVAX", 2, "southex", 38.0, 366.0e6, 1.35, 0.0050),
];

fn internal(what: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Failed, format!("the demo's own data is wrong: {what}"))
}

fn market(seed: u64, days: u32) -> Result<GeneratedMarket, Failure> {
    let start: Timestamp = START.parse().map_err(internal)?;
    let assets = ASSETS
        .iter()
        .map(|(ticker, _, venue, price, supply, beta, own_volatility)| {
            Ok(GeneratedAsset {
                ticker: ticker.parse().map_err(internal)?,
                venue: venue.parse().map_err(internal)?,
                price: *price,
                supply: *supply,
                beta: *beta,
                own_volatility: *own_volatility,
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(GeneratedMarket {
        seed,
        start: start.plus_ms(-i64::from(HISTORY_DAYS) * Timeframe::D1.ms()),
        hours: (HISTORY_DAYS + days) as usize * 24,
        stablecoin: "USDT".parse().map_err(internal)?,
        assets,
    })
}

/// The candles of the demo that a journal's mode names, generated anew; `None` for other runs.
pub(super) fn tape_of(mode: &str) -> Result<Option<keel_sim::tape::Tape>, Failure> {
    let Some((seed, days)) = mode
        .strip_prefix("demo of market ")
        .and_then(|rest| rest.strip_suffix(" days")?.split_once(" over "))
    else {
        return Ok(None);
    };
    let (Ok(seed), Ok(days)) = (seed.parse(), days.parse()) else { return Ok(None) };
    generate(&market(seed, days)?).map(Some).map_err(internal)
}

/// The configuration the demo runs with, as a file that `keel status`, `why` and `trades` take.
fn configuration(out: &Path) -> String {
    let path = |name: &str| serde_json::json!(out.join(name)).to_string();
    let assets: Vec<String> = ASSETS
        .iter()
        .map(|(ticker, level, venue, ..)| {
            let id = ticker.to_lowercase();
            format!(
                r#"    {{ "ticker": "{ticker}", "level": {level}, "exchange": "{venue}", "coingecko_id": "{id}", "position_interval": 3600, "trend_interval": 14400, "strategy_file": "{ticker}_strategy.json", "strategy_name": "keltner_channel" }}"#
            )
        })
        .collect();
    format!(
        r#"// Made by `keel demo`: a paper portfolio on a generated market.
{{
  "bot_settings": {{
    "dry_run": true,
    "cycle_sleep_duration_seconds": 60,
    "min_order_value_usd": 15,
    "max_alt_coin_ratio": 0.5,
    "rebalance_threshold_percentage": 0.03,
    "initial_stablecoin_balance": 10000
  }},
  "paths": {{
    "portfolio_strategies_dir": {strategies},
    "global_status_file_path": {status},
    "journal_path": {journal},
    "log_dir": {logs},
    "portfolio_export_path": {portfolio},
    "ohlcv_export_dir": {ohlcv}
  }},
  "exchange_configurations": {{ "northex": {{}}, "southex": {{}} }},
  "portfolio_assets": [
    {{ "ticker": "USDT", "level": 0, "strategy_file": "USDT_strategy.json", "strategy_name": "keltner_channel" }},
{assets}
  ]
}}
"#,
        strategies = path("strategies"),
        status = path("status.json"),
        journal = path("keel.sqlite"),
        logs = path("logs"),
        portfolio = path("portfolio.csv"),
        ohlcv = path("ohlcv"),
        assets = assets.join(",\n"),
    )
}

/// Runs the command.
///
/// # Errors
/// When the output directory cannot be used.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config_path = args.out.join("portfolio_config.json");
    let cannot_write = |error: std::io::Error| {
        Failure::new(
            Code::CannotWrite,
            format!(
                "{} cannot be written ({error}); expected a writable directory: choose one with --out",
                args.out.display()
            ),
        )
    };
    if args.fresh {
        remove_earlier(&args.out).map_err(cannot_write)?;
    }
    if !config_path.exists() {
        if std::fs::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::new(
                Code::BadInput,
                format!(
                    "{} holds files that are not of a demo; expected an empty or new directory: choose one with --out",
                    args.out.display()
                ),
            ));
        }
        keel_files::write_atomic(&config_path, configuration(&args.out).as_bytes())
            .map_err(cannot_write)?;
    }
    let config = load_config(&config_path)?;
    let market = market(args.seed, args.days)?;
    output::line(format!(
        "Generated market {}: {} assets on 2 exchanges, prices are made up.",
        args.seed,
        market.assets.len()
    ));
    let tape = generate(&market).map_err(internal)?;
    let start: Timestamp = START.parse().map_err(internal)?;
    let end = start.plus_ms(i64::from(args.days) * Timeframe::D1.ms());
    let step = replay::step(&config.policy.assets);
    let moments: Vec<Timestamp> = replay::moments(start, end.plus_ms(-1), step).collect();
    let simulation = Simulation {
        config: &config,
        tape: &tape,
        moments: &moments,
        mode: Mode::Demo(format!("market {} over {} days", args.seed, args.days)),
        deployment: format!("demo-{}", args.seed),
    };
    if simulation::run(&simulation)? == Ended::Interrupted {
        return Err(Failure::new(
            Code::Interrupted,
            "stopped between two cycles; the same command continues from here",
        ));
    }
    report::print(&config, &tape)?;
    output::line(format!("\nFiles are in {}/.", args.out.display()));
    output::line(format!(
        "Next: `keel why BTC -c {0}` explains the last decision about BTC; `keel config new my.json` starts a portfolio of your own.",
        config_path.display()
    ));
    Ok(())
}

/// Removes what a demo writes, and nothing else.
fn remove_earlier(out: &Path) -> std::io::Result<()> {
    let files = [
        "portfolio_config.json",
        "status.json",
        "portfolio.csv",
        "keel.sqlite",
        "keel.sqlite-wal",
        "keel.sqlite-shm",
        "keel.sqlite.lock",
    ];
    if !out.join("portfolio_config.json").exists() {
        return Ok(());
    }
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    for file in files {
        gone(std::fs::remove_file(out.join(file)))?;
    }
    for directory in ["strategies", "ohlcv", "logs"] {
        gone(std::fs::remove_dir_all(out.join(directory)))?;
    }
    Ok(())
}
