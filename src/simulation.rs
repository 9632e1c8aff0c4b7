//! A run over a tape: the daemon's own loop with a clock that the tape moves, a paper broker and the
//! journal. `keel demo` and `keel trade --replay` are this.

use crate::candle_export::CandleExport;
use crate::daemon::{self, Observer, Pace};
use crate::exit::{Code, Failure};
use crate::journal::{Durability, Journal, Mode, NewJournal, Reader};
use crate::lines::WhenFull;
use crate::logging;
use crate::output;
use crate::signals;
use crate::status;
use keel_config::Config;
use keel_core::amount::Qty;
use keel_core::cycle::{CycleOptions, World};
use keel_core::policy::Policy;
use keel_core::ports::{Broker, StoreError};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_core::time::Timestamp;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rust_decimal::Decimal;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Cycles that become durable together. A crash plays at most these again.
const GROUP_CYCLES: u32 = 500;

/// How often the files for other programs are written while a tape runs.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Debug)]
pub struct Simulation<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Candles, caps and rules.
    pub tape: &'a Tape,
    /// The moments of the cycles, in order.
    pub moments: &'a [Timestamp],
    /// What kind of run the journal is for.
    pub mode: Mode,
    /// Names the installation in every order's id; the same for the same run.
    pub deployment: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The tape is at its end.
    Complete,
    /// Ctrl-C or SIGTERM; the next run continues here.
    Interrupted,
}

/// The models of the paper broker, from the configuration.
#[must_use]
pub fn cost_models(config: &Config) -> CostModels {
    CostModels {
        fee_bps: config.paper.fee_bps,
        half_spread_bps: config.paper.half_spread_bps,
        slippage_bps_per_percent: config.paper.slippage_bps_per_percent_of_volume,
        max_volume_share: config.paper.max_volume_share,
    }
}

/// Names the settings that decide what a run does, so that one run is never continued with others.
#[must_use]
pub fn settings_fingerprint(config: &Config) -> String {
    use sha2::Digest as _;
    let deciding = format!(
        "{:?} {:?} {:?}",
        config.policy, config.paper, config.bot.initial_stablecoin_balance
    );
    let digest = sha2::Sha256::digest(deciding.as_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The paper account's first deposit: `paper.initial_balances`, or the initial stablecoin balance in
/// equal parts on the venues, the first taking what does not divide.
#[must_use]
pub fn first_deposit(config: &Config) -> PaperAccount {
    let mut account = PaperAccount::default();
    if let Some(balances) = &config.paper.initial_balances {
        for (venue, held) in balances {
            for (ticker, amount) in held {
                account.deposit(venue, ticker, *amount);
            }
        }
        return account;
    }
    let venues = config.policy.venues();
    let total = config.bot.initial_stablecoin_balance.get();
    let share = (total / Decimal::from(venues.len().max(1)))
        .round_dp_with_strategy(2, rust_decimal::RoundingStrategy::ToZero);
    for (i, venue) in venues.iter().enumerate() {
        let others = share * Decimal::from(venues.len() - 1);
        let amount = if i == 0 { total - others } else { share };
        account.deposit(venue, &config.policy.stablecoin, Qty::new(amount));
    }
    account
}

/// Runs the tape from where the journal stands, or from its start.
///
/// # Errors
/// When the journal or another file cannot be used or written.
pub fn run(simulation: &Simulation<'_>) -> Result<Ended, Failure> {
    let config = simulation.config;
    let policy = &config.policy;
    let journal_path = &config.paths.journal;
    refuse_foreign_status(config)?;
    let new =
        NewJournal { mode: simulation.mode.clone(), deployment: simulation.deployment.clone() };
    let durability = Durability::Groups { cycles: GROUP_CYCLES };
    let (mut journal, resumed) = Journal::open(journal_path, &new, durability)?;
    prepare_directories(config)?;
    keel_config::write_missing_strategies(config)?;
    logging::start(config, WhenFull::Wait)?;
    tracing::info!(config = %config.path.display(), cycles = simulation.moments.len(), "start");

    let (mut state, account) = match resumed {
        None => (State::default(), first_deposit(config)),
        Some(resumed) => {
            let account = resumed.broker.as_deref().unwrap_or("{}");
            let account: PaperAccount = serde_json::from_str(account).map_err(|error| {
                Failure::new(
                    Code::BadState,
                    format!("{}: the paper account is damaged: {error}", journal_path.display()),
                )
            })?;
            (resumed.state, account)
        }
    };
    let done = state.cycle_at;
    let left: Vec<Timestamp> = simulation
        .moments
        .iter()
        .copied()
        .filter(|at| done.is_none_or(|done| *at > done))
        .collect();
    if let Some(done) = done.filter(|_| !left.is_empty()) {
        output::remark(format!("continuing after cycle {} ({done})", state.cycle));
    }

    let clock = TapeClock::default();
    let market = ReplayMarket::new(simulation.tape, &clock);
    let mut broker =
        PaperBroker::new(&market, policy.stablecoin.clone(), cost_models(config), account);
    let stop = Cell::new(false);
    let asked = Arc::new(AtomicBool::new(false));
    signals::on_stop({
        let asked = Arc::clone(&asked);
        move || asked.store(true, Ordering::Relaxed)
    })?;
    let mut pace = TapePace {
        clock: &clock,
        moments: left.iter(),
        at_start: state.cycle == 0,
        deployment: &simulation.deployment,
        stop: &stop,
        asked,
    };
    let mut progress = Progress::new(config, simulation.moments.len(), left.len());
    let runtime = runtime()?;
    let ran: Result<u64, StoreError> = runtime.block_on(async {
        let mut world =
            World { clock: &clock, market: &market, broker: &mut broker, store: &mut journal };
        daemon::run(&mut world, policy, &mut state, &mut pace, &mut progress).await
    });
    progress.end();
    ran.and_then(|_| journal.flush(&state, broker.checkpoint()))?;
    tracing::info!(cycle = state.cycle, interrupted = stop.get(), "stop");
    write_files(config, &state)?;
    export_candles(config, simulation.tape, &clock)?;
    Ok(if stop.get() { Ended::Interrupted } else { Ended::Complete })
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Code::Failed, &error))
}

/// A status file without our journal is somebody else's: of the seed, or of another run.
fn refuse_foreign_status(config: &Config) -> Result<(), Failure> {
    let path = &config.paths.status_file;
    if path.exists() && !config.paths.journal.exists() {
        return Err(Failure::new(
            Code::BadState,
            format!(
                "{} is there, but no journal {}; a replay or demo never overwrites the status of another run: move it away, or give this run its own paths in the configuration",
                path.display(),
                config.paths.journal.display()
            ),
        ));
    }
    Ok(())
}

/// Makes every directory that will be written to, before the first cycle, so that a wrong path or a
/// missing permission shows at once.
pub(crate) fn prepare_directories(config: &Config) -> Result<(), Failure> {
    let paths = &config.paths;
    let parents = [Some(&paths.status_file), paths.portfolio_export.as_ref()];
    let mut directories: Vec<&Path> =
        parents.into_iter().flatten().filter_map(|path| path.parent()).collect();
    directories.extend(paths.ohlcv_export_dir.as_deref());
    for directory in directories.into_iter().filter(|path| !path.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|error| {
            Failure::new(
                Code::CannotWrite,
                format!(
                    "{} cannot be made ({error}); expected a writable directory",
                    directory.display()
                ),
            )
        })?;
    }
    Ok(())
}

fn write_files(config: &Config, state: &State) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(
            Code::CannotWrite,
            format!(
                "{} could not be written ({error}); the journal is complete, run the same command again",
                path.display()
            ),
        )
    };
    let path = &config.paths.status_file;
    status::write(path, &config.policy, state).map_err(|error| failed(path, error))?;
    if let Some(path) = &config.paths.portfolio_export {
        status::write_csv(path, &config.policy, state).map_err(|error| failed(path, error))?;
    }
    Ok(())
}

/// The candles that the last signals were made from, one CSV per market and timeframe.
fn export_candles(config: &Config, tape: &Tape, clock: &TapeClock) -> Result<(), Failure> {
    use keel_core::candle::Window;
    use keel_core::ports::Clock as _;
    let Some(directory) = &config.paths.ohlcv_export_dir else { return Ok(()) };
    let mut export = CandleExport::default();
    for (venue_id, venue) in &tape.venues {
        for (symbol, by_timeframe) in &venue.candles {
            for (timeframe, series) in by_timeframe {
                let limit = config.policy.settings.indicator_history_size;
                let window = Window::closed(series, clock.now(), limit);
                let market = (venue_id.clone(), symbol.clone(), *timeframe);
                export
                    .write(directory, &market, &window)
                    .map_err(|error| Failure::from_error(Code::CannotWrite, &error))?;
            }
        }
    }
    Ok(())
}

/// Moves the clock along the tape.
struct TapePace<'a> {
    clock: &'a TapeClock,
    moments: std::slice::Iter<'a, Timestamp>,
    at_start: bool,
    deployment: &'a str,
    stop: &'a Cell<bool>,
    /// Ctrl-C or SIGTERM came.
    asked: Arc<AtomicBool>,
}

impl Pace for TapePace<'_> {
    async fn next(&mut self) -> Option<CycleOptions> {
        if self.moments.as_slice().is_empty() {
            return None;
        }
        if self.asked.load(Ordering::Relaxed) {
            self.stop.set(true);
            return None;
        }
        self.clock.set(*self.moments.next()?);
        Some(CycleOptions {
            deployment: self.deployment.to_owned(),
            at_start: std::mem::take(&mut self.at_start),
            ..CycleOptions::default()
        })
    }
}

/// Shows how far the tape is, and keeps the files for other programs fresh.
struct Progress<'a> {
    config: &'a Config,
    bar: Option<indicatif::ProgressBar>,
    total: usize,
    done: usize,
    orders: usize,
    files_written: Instant,
    tenth_shown: usize,
    file_error_shown: bool,
}

impl<'a> Progress<'a> {
    fn new(config: &'a Config, total: usize, left: usize) -> Self {
        let bar = output::is_watched().then(|| {
            let style = indicatif::ProgressStyle::with_template(
                "{bar:30} {pos}/{len} cycles  {msg}  {eta} left",
            );
            let bar = indicatif::ProgressBar::new(total as u64);
            bar.set_position((total - left) as u64);
            style.map_or(bar.clone(), |style| bar.clone().with_style(style))
        });
        let done = total - left;
        Self {
            config,
            bar,
            total,
            done,
            orders: 0,
            files_written: Instant::now(),
            tenth_shown: done * 10 / total.max(1),
            file_error_shown: false,
        }
    }

    fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, record: &CycleRecord) -> String {
        format!(
            "{}  {} {}  {} orders",
            &record.at.to_string()[..10],
            output::decimal(record.total_after.get(), 2),
            self.config.policy.stablecoin,
            self.orders
        )
    }
}

impl Observer for Progress<'_> {
    fn finished(&mut self, record: &CycleRecord, state: &State) {
        logging::cycle(record);
        self.done += 1;
        self.orders += record.executions.len();
        match &self.bar {
            Some(bar) => {
                // Drawing costs more than a cycle: every 50th is often enough.
                if self.done.is_multiple_of(50) {
                    bar.set_position(self.done as u64);
                    bar.set_message(self.line(record));
                }
            }
            None => {
                let tenth = self.done * 10 / self.total.max(1);
                if tenth > self.tenth_shown {
                    self.tenth_shown = tenth;
                    output::remark(format!("{:>3} %  {}", tenth * 10, self.line(record)));
                }
            }
        }
        if self.files_written.elapsed() >= FILES_EVERY {
            self.files_written = Instant::now();
            if let Err(failure) = write_files(self.config, state)
                && !self.file_error_shown
            {
                self.file_error_shown = true;
                output::remark(failure.message);
            }
        }
    }
}

/// What the journal says about a run, in the currency of the portfolio.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Moments of the cycles.
    pub moments: Vec<Timestamp>,
    /// Value after each cycle.
    pub values: Vec<f64>,
    /// Orders through direct markets.
    pub direct_orders: usize,
    /// Orders against the stablecoin.
    pub stable_orders: usize,
    /// Orders that were refused or filled in part.
    pub unfilled_orders: usize,
    /// Value that was traded.
    pub traded: Decimal,
    /// Fees, valued in the stablecoin at the planned prices.
    pub fees: Decimal,
}

/// Reads a finished run back from its journal.
///
/// # Errors
/// When the journal cannot be read.
pub fn summarize(config: &Config, policy: &Policy) -> Result<Summary, Failure> {
    let reader = Reader::open(&config.paths.journal)?;
    let cycles = reader.cycles()?;
    let mut summary = Summary {
        moments: cycles.iter().map(|cycle| Timestamp::from_ms(cycle.at_ms)).collect(),
        values: cycles.iter().map(|cycle| cycle.total_after.parse().unwrap_or(f64::NAN)).collect(),
        direct_orders: 0,
        stable_orders: 0,
        unfilled_orders: 0,
        traded: Decimal::ZERO,
        fees: Decimal::ZERO,
    };
    for trade in reader.trades(None)? {
        match trade.kind.as_str() {
            "direct" => summary.direct_orders += 1,
            _ => summary.stable_orders += 1,
        }
        if trade.outcome != "filled" {
            summary.unfilled_orders += 1;
        }
        let number = |text: &str| text.parse::<Decimal>().unwrap_or_default();
        let (amount, filled) = (number(&trade.amount), number(&trade.filled));
        let value = number(&trade.value);
        let executed = filled.checked_div(amount).unwrap_or_default() * value;
        summary.traded += executed;
        summary.fees +=
            fee_value(&trade.fee, &trade.symbol, executed, filled, number(&trade.cost), policy);
    }
    Ok(summary)
}

/// A fee in base or quote units as a part of the order's value.
fn fee_value(
    fee: &str,
    symbol: &str,
    executed_value: Decimal,
    filled: Decimal,
    cost: Decimal,
    policy: &Policy,
) -> Decimal {
    let (base, quote) = symbol.split_once('/').unwrap_or((symbol, ""));
    fee.split(" + ")
        .filter_map(|part| part.split_once(' '))
        .filter_map(|(amount, asset)| {
            let amount: Decimal = amount.parse().ok()?;
            if asset == policy.stablecoin.as_str() {
                Some(amount)
            } else if asset == base {
                amount.checked_mul(executed_value)?.checked_div(filled)
            } else if asset == quote {
                amount.checked_mul(executed_value)?.checked_div(cost)
            } else {
                None
            }
        })
        .sum()
}
