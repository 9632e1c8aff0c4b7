//! `simex`: a simulated Binance, OKX, CoinGecko and Telegram on this machine, to practise against.

use clap::Parser;
use keel_simex::clock::ClockMode;
use keel_simex::config::PriceSource;
use keel_simex::practice::{connection, write_config};
use keel_simex::scenario::{Scenario, play};
use keel_simex::simex::Simex;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Simulated exchanges on 127.0.0.1 to practise against: Binance spot, OKX v5, CoinGecko and
/// Telegram. Prices are made up; orders are matched, booked and charged as the venues do.
#[derive(Parser)]
#[command(name = "simex", version)]
struct Arguments {
    /// A made-up market with nine assets and 10,000 USDT on each venue (this is the default)
    #[arg(long, conflicts_with = "scenario")]
    demo: bool,
    /// A file with another world and what happens in it
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Another made-up market
    #[arg(long)]
    seed: Option<u64>,
    /// How many times as fast as real time the venues' clocks run
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
    /// Port of the control plane; 0 takes a free one
    #[arg(long, default_value_t = 8600, value_name = "PORT")]
    port_control: u16,
    /// Port of the Binance double
    #[arg(long, default_value_t = 8601, value_name = "PORT")]
    port_binance: u16,
    /// Port of the OKX double
    #[arg(long, default_value_t = 8602, value_name = "PORT")]
    port_okx: u16,
    /// Port of the CoinGecko double
    #[arg(long, default_value_t = 8603, value_name = "PORT")]
    port_coingecko: u16,
    /// Port of the Telegram double
    #[arg(long, default_value_t = 8604, value_name = "PORT")]
    port_telegram: u16,
    /// Print URLs and keys as JSON once everything listens
    #[arg(long)]
    print_config: bool,
    /// Write a portfolio configuration for keel into this directory
    #[arg(long, value_name = "DIR")]
    write_config: Option<PathBuf>,
}

fn scenario(arguments: &Arguments) -> Result<Scenario, String> {
    let mut scenario = match &arguments.scenario {
        Some(path) => Scenario::read(path)?,
        None => Scenario::default(),
    };
    let world = &mut scenario.world;
    let ports = [
        ("control", arguments.port_control),
        ("binance", arguments.port_binance),
        ("okx", arguments.port_okx),
        ("coingecko", arguments.port_coingecko),
        ("telegram", arguments.port_telegram),
    ];
    for (name, port) in ports {
        world.ports.entry(name.to_owned()).or_insert(port);
    }
    if let Some(speed) = arguments.speed {
        world.clock = ClockMode::Real { speed };
    }
    if let (Some(wanted), PriceSource::Generated { seed, .. }) = (arguments.seed, &mut world.prices)
    {
        *seed = wanted;
    }
    Ok(scenario)
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let Scenario { world, events } = scenario(arguments)?;
    let simex = Simex::start(world).await?;
    if let Some(directory) = &arguments.write_config {
        let path = write_config(&simex, directory)?;
        tracing::info!("wrote {}", path.display());
    }
    if arguments.print_config {
        writeln!(std::io::stdout(), "{}", connection(&simex)).map_err(|error| error.to_string())?;
    }
    tracing::info!(
        "listening; control plane at {}/_simex/",
        simex.url(keel_simex::server::Double::Control)
    );
    play(&simex, &events).await;
    tokio::signal::ctrl_c().await.map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments)),
        Err(error) => Err(error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tracing::error!("{problem}");
            ExitCode::FAILURE
        }
    }
}
