//! The command line: what was typed, and which command it means.

use crate::commands::{
    analyze, backtest, check, config, data, demo, doctor, export, forward_test, lookahead, parity,
    plan, report, status, sweep, trade, trades, warmup, why,
};
use crate::exit::{Code, Failure};
use crate::{lines, output};
use clap::{CommandFactory, Parser, Subcommand};
use keel_config::Config;
use keel_core::time::Timeframe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Keel rebalances a crypto portfolio over several exchanges: it allocates by market-cap dominance,
/// follows Keltner signals, and says why.
#[derive(Debug, Parser)]
#[command(name = "keel", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  keel demo                        90 days on a generated market: no keys, no network, no data
  keel why BTC -c demo-output/portfolio_config.json
  keel config new my.json          a commented configuration to edit

Exit codes: 0 done, 1 failed, 2 wrong input or configuration, 3 unusable market data,
4 unusable journal or status file, 5 used by another keel, 6 cannot write, 7 problems found,
130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole program for 90 days on a generated market.
    Demo(demo::Args),
    /// Trade: on paper, live with --live, over recorded candles with --replay.
    #[command(alias = "run")]
    Trade(trade::Args),
    /// Run the portfolio over recorded candles and judge it beside benchmarks; writes no journal
    /// unless asked.
    Backtest(backtest::Args),
    /// Try settings of the whole portfolio over recorded candles.
    Sweep(sweep::Args),
    /// Prove that no decision depends on what comes after it.
    Lookahead(lookahead::Args),
    /// Count how many candles of history decisions depend on.
    Warmup(warmup::Args),
    /// Print the orders for a snapshot of a portfolio; sends nothing, needs nothing.
    Plan(plan::Args),
    /// Show holdings, targets and signals after the last cycle.
    Status(status::Args),
    /// Explain the last decision about an asset.
    Why(why::Args),
    /// List orders and what became of them.
    Trades(trades::Args),
    /// Write the report of a run: HTML, picture and tables.
    Report(report::Args),
    /// Search parameters on one period and test the portfolio on the next, window after window.
    ForwardTest(forward_test::Args),
    /// Say where the result of a run came from, by asset, month and reason.
    Analyze(analyze::Args),
    /// Run recorded cycles again and compare every order.
    Parity(parity::Args),
    /// Write the trades of a run for tax programs.
    Export(export::Args),
    /// Check configuration, strategies, data and journal.
    Check(check::Args),
    /// Ask exchanges and services whether a run can trade.
    Doctor(doctor::Args),
    /// List, verify, import and resample candle files.
    #[command(subcommand)]
    Data(data::Command),
    /// Show, explain and create configurations.
    #[command(subcommand)]
    Config(config::Command),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `-c`: which configuration.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArg {
    /// The portfolio configuration.
    #[arg(
        short,
        long,
        env = "KEEL_CONFIG",
        value_name = "FILE",
        default_value = "portfolio/configs/portfolio_config.json"
    )]
    pub config: PathBuf,
}

impl ConfigArg {
    /// Reads the configuration; `${NAME}` is looked up in the environment and in `.env`.
    ///
    /// # Errors
    /// Every problem of the configuration, its strategy files or `.env`.
    pub fn load(&self) -> Result<Config, Failure> {
        load_config(&self.config)
    }

    /// The same for a run on live market data.
    ///
    /// # Errors
    /// See [`load_for_trading`].
    pub fn load_for_trading(&self) -> Result<Config, Failure> {
        load_for_trading(&self.config)
    }
}

/// Reads a configuration with the process environment and `.env` in the working directory.
///
/// # Errors
/// Every problem of the configuration, its strategy files or `.env`.
pub fn load_config(path: &Path) -> Result<Config, Failure> {
    let env = environment()?;
    Ok(keel_config::load(path, &env)?)
}

/// Like [`load_config`]; also refuses intervals whose candles an exchange does not have. What reads
/// candles from files can do without.
///
/// # Errors
/// Every problem of the configuration, its strategy files or `.env`.
pub fn load_for_trading(path: &Path) -> Result<Config, Failure> {
    let env = environment()?;
    Ok(keel_config::load_for_trading(path, &env, &served)?)
}

/// Reads a configuration again while the program trades.
///
/// # Errors
/// Every problem of the configuration and its strategy files; a `.env` that is wrong now counts as
/// empty.
pub fn reload_config(path: &Path) -> Result<Config, keel_config::ConfigErrors> {
    match environment() {
        Ok(env) => keel_config::load_for_trading(path, &env, &served),
        Err(_) => {
            let env = |name: &str| std::env::var(name).ok();
            keel_config::load_for_trading(path, &env, &served)
        }
    }
}

/// The lengths of bars that an exchange serves.
fn served(venue: &str) -> Option<Vec<Timeframe>> {
    Some(keel_venues::venue::venue(venue)?.facts.served().collect())
}

/// Looks up the credentials that a configuration names.
///
/// # Errors
/// Every one that cannot be looked up, when the configuration is live.
pub fn resolve_credentials(config: &Config) -> Result<keel_config::Credentials, Failure> {
    let env = environment()?;
    Ok(keel_config::resolve_secrets(config, &env)?)
}

/// The process environment, and `.env` in the working directory for what that lacks.
fn environment() -> Result<impl Fn(&str) -> Option<String>, Failure> {
    let dotenv = match std::fs::read_to_string(".env") {
        Ok(text) => keel_config::parse_dotenv(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Default::default(),
        Err(error) => {
            return Err(Failure::new(
                Code::BadInput,
                format!(".env cannot be read ({error}); expected text with NAME=value lines"),
            ));
        }
    };
    Ok(move |name: &str| std::env::var(name).ok().or_else(|| dotenv.get(name).cloned()))
}

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Trade(args) => trade::run(args),
        Command::Backtest(args) => backtest::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Lookahead(args) => lookahead::run(args),
        Command::Warmup(args) => warmup::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Status(args) => status::run(args),
        Command::Why(args) => why::run(args),
        Command::Trades(args) => trades::run(args),
        Command::Report(args) => report::run(args),
        Command::ForwardTest(args) => forward_test::run(args),
        Command::Analyze(args) => analyze::run(args),
        Command::Parity(args) => parity::run(args),
        Command::Export(args) => export::run(args),
        Command::Check(args) => check::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Data(command) => data::run(command),
        Command::Config(command) => config::run(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "keel", &mut script);
            output::line(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    };
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                output::remark(format!("error: {}", failure.message));
            }
            ExitCode::from(failure.code as u8)
        }
    };
    lines::finish();
    code
}
