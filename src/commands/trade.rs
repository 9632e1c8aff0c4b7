//! `keel trade`: the daemon's loop.

use crate::cli::ConfigArg;
use crate::exit::{Code, Failure};
use crate::journal::Mode;
use crate::live;
use crate::output;
use crate::replay;
use crate::report;
use crate::simulation::{self, Ended, Simulation};
use keel_core::asset::VenueId;
use keel_core::order::ClientOrderId;
use keel_core::time::{Timeframe, Timestamp};
use std::path::PathBuf;

/// Runs rebalancing cycles: with a paper account on live market data, with real orders (--live), or
/// over recorded candles (--replay). Stop it with Ctrl-C; the same command continues where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel trade -c my.json                    paper account, live market data
  keel trade --live -c my.json             real orders; needs \"dry_run\": false too
  keel trade --replay data --from 2021-01-01 --to 2024-08-31 -c portfolio/configs/replay.example.json

The replay writes to the paths of its configuration: give it paths of its own. `--to` without a
time of day includes the whole day.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// A directory with recorded candles and caps (see docs/data.md).
    #[arg(long, value_name = "DIR", conflicts_with_all = ["live", "cycles"])]
    replay: Option<PathBuf>,
    /// First moment, UTC: 2021-01-01 or 2021-01-01T12:00Z. Default: the first recorded candle.
    #[arg(long, value_name = "DATE", requires = "replay")]
    from: Option<Timestamp>,
    /// Last moment, UTC. Default: the last recorded candle.
    #[arg(long, value_name = "DATE", requires = "replay")]
    to: Option<String>,
    /// Send real orders. The configuration must say `"dry_run": false` as well.
    #[arg(long)]
    live: bool,
    /// Do not ask before the first live cycle.
    #[arg(long, requires = "live")]
    yes: bool,
    /// End after this many cycles.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    cycles: Option<u64>,
    /// Trade again at an exchange that was halted; look at the reason first. May be repeated.
    #[arg(long, value_name = "EXCHANGE", requires = "live")]
    resume: Vec<VenueId>,
    /// Look up an order again whose outcome is unknown, and take what the exchange shows of it; look
    /// at the exchange's pages first. May be repeated.
    #[arg(long, value_name = "ORDER", requires = "live")]
    release: Vec<ClientOrderId>,
}

/// A day without a time means its end, so that `--to 2024-08-31` includes that day.
fn end_of(text: &str) -> Result<Timestamp, Failure> {
    let moment: Timestamp =
        text.parse().map_err(|error| Failure::new(Code::BadInput, format!("--to: {error}")))?;
    let is_day = !text.contains(['T', ' ']);
    Ok(if is_day { moment.plus_ms(Timeframe::D1.ms()) } else { moment })
}

/// Runs the command.
///
/// # Errors
/// When configuration, data or journal cannot be used.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Some(directory) = &args.replay else {
        let options = live::Options {
            live: args.live,
            yes: args.yes,
            cycles: args.cycles,
            resume: args.resume.clone(),
            release: args.release.clone(),
        };
        return live::run(&args.config.config, &options);
    };
    let config = args.config.load()?;
    let to = args.to.as_deref().map(end_of).transpose()?;
    output::remark(format!("loading candles and caps from {}", directory.display()));
    let recording = replay::load(&config, directory)?;
    for note in &recording.notes {
        output::remark(format!("note: {note}"));
    }
    let (from, to) = recording.cut(args.from, to)?;
    let step = replay::step(&config.policy.assets);
    let moments: Vec<Timestamp> = replay::moments(from, to, step).collect();
    let simulation = Simulation {
        config: &config,
        tape: &recording.tape,
        moments: &moments,
        mode: Mode::Replay(format!(
            "{} from {from} with settings {}",
            recording.fingerprint,
            simulation::settings_fingerprint(&config)
        )),
        deployment: format!("replay-{}", recording.fingerprint),
    };
    match simulation::run(&simulation)? {
        Ended::Complete => {}
        Ended::Interrupted => {
            return Err(Failure::new(
                Code::Interrupted,
                "stopped between two cycles; the same command continues from here",
            ));
        }
    }
    report::print(&config, &recording.tape)?;
    output::line(format!(
        "\nNext: `keel why BTC -c {0}` explains the last decision, `keel trades -c {0}` lists the orders.",
        args.config.config.display()
    ));
    Ok(())
}
