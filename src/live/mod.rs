//! Paper and live trading on live market data: the daemon.

pub mod account;
pub mod connect;
pub mod controls;
pub mod gate;
pub mod mode;
pub mod operator;
pub mod preview;
pub mod reporter;
pub mod session;

use crate::desk::{self, DeskContext, RunState};
use crate::exit::{Code, Failure};
use crate::journal::{Durability, Journal, Mode, NewJournal, Resumed};
use crate::lines::{self, WhenFull};
use crate::{cli, logging, output, signals, simulation, status};
use account::RealAccount;
use connect::Links;
use controls::Controls;
use gate::Gate;
use keel_config::{Config, ConfigErrors, Credentials, Reloader};
use keel_core::asset::VenueId;
use keel_core::order::{AccountTag, ClientOrderId};
use keel_core::ports::Clock as _;
use keel_core::state::State;
use keel_live::broker::LiveBroker;
use keel_live::coingecko::{CoinGecko, CoinGeckoSettings, Key, PRO_URL};
use keel_live::market::LiveMarket;
use keel_live::time::MachineTime;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_telegram::Notifier;
use reporter::{Event, Reporter};
use rust_decimal::prelude::ToPrimitive as _;
use session::{Account, Ended, Session};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The last messages may take so long; a stop is over within five seconds.
const LAST_MESSAGES: Duration = Duration::from_secs(1);
/// And the message of a start that failed, which nobody waits for.
const FAILED_START: Duration = Duration::from_secs(5);
/// Prices have moved since a first plan that was confirmed so long after it was shown.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(300);
/// When a stop is not over by then, something blocks the loop itself, such as a disk: the process
/// is left as it is, which the journal was made for.
const STOP_LONGEST: Duration = Duration::from_millis(4300);

/// What was asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Real orders.
    pub live: bool,
    /// No question before the first live cycle.
    pub yes: bool,
    /// End after so many cycles.
    pub cycles: Option<u64>,
    /// Venues that trade again after a halt.
    pub resume: Vec<VenueId>,
    /// Orders whose outcome the operator lets the exchange's pages decide.
    pub release: Vec<ClientOrderId>,
}

/// Runs the daemon until it is stopped.
///
/// # Errors
/// When something that it needs is missing or wrong; the message says what to do.
pub fn run(config_path: &Path, options: &Options) -> Result<(), Failure> {
    harden()?;
    output::never_wait().map_err(|error| Failure::from_error(Code::Failed, &error))?;
    end_with_any_panic();
    let config = cli::load_for_trading(config_path)?;
    let mode = mode::decide(&config, options.live)?;
    let controls = Arc::new(Controls::new(&config.paths.journal));
    end_with_a_signal(&controls)?;
    let credentials = cli::resolve_credentials(&config)?;
    let real = matches!(mode, Mode::Live | Mode::Sandbox);
    let links = Links::new(&config, Some(&credentials).filter(|_| real))?;
    let chat = desk::telegram_settings(&config, &credentials)?;
    let runtime = simulation::runtime()?;
    let opened = open(&config, &mode);
    let ended = runtime.block_on(async {
        let started = match opened {
            Err(failure) => Err(failure),
            Ok((journal, resumed)) => {
                let tags = if real { tags(&credentials) } else { BTreeMap::new() };
                let world = Start {
                    config,
                    mode,
                    credentials,
                    links,
                    tags,
                    journal,
                    resumed,
                    options,
                    controls,
                };
                if real { world.real().await } else { world.paper().await }
            }
        };
        if let Err(failure) = &started {
            tell_failed_start(chat, failure).await;
        }
        started.flatten()
    });
    // A name that is being looked up, or a terminal that is being read, is not waited for.
    runtime.shutdown_background();
    match &ended {
        Ok(ended) => tracing::info!(?ended, "stop"),
        Err(failure) => tracing::error!("Keel ends: {}", failure.message),
    }
    ended.map(drop)
}

/// What a run writes to. The log first: it tells what is wrong with the others.
fn open(config: &Config, mode: &Mode) -> Result<(Journal, Option<Resumed>), Failure> {
    logging::start(config, WhenFull::Lose)?;
    let new = NewJournal { mode: mode.clone(), deployment: random_name()? };
    // The paper account is in the journal: an order and what it moved are one write.
    let durability = match mode {
        Mode::Live | Mode::Sandbox => Durability::EachWrite,
        _ => Durability::Groups { cycles: 1 },
    };
    let opened = Journal::open(&config.paths.journal, &new, durability)?;
    simulation::prepare_directories(config)?;
    keel_config::write_missing_strategies(config)?;
    Ok(opened)
}

/// Tells the chat why there is no run. Under a supervisor that starts anew, nobody reads the terminal.
async fn tell_failed_start(chat: Option<keel_telegram::Settings>, failure: &Failure) {
    // Who says no at the terminal knows.
    let Some(mut settings) = chat.filter(|_| failure.code != Code::Interrupted) else { return };
    // Nobody would obey.
    settings.allowed_user_ids.clear();
    // What is wrong with the chat itself is the failure.
    let Ok(handle) = keel_telegram::start(settings) else { return };
    handle.notifier.notify(desk::failed_start(&failure.message));
    handle.notifier.flush(FAILED_START).await;
}

/// How a run ended, unless its start failed already.
type Run = Result<Result<Ended, Failure>, Failure>;

/// What a start has found.
struct Start<'a> {
    config: Config,
    mode: Mode,
    credentials: Credentials,
    links: Links,
    tags: BTreeMap<VenueId, AccountTag>,
    journal: Journal,
    resumed: Option<Resumed>,
    options: &'a Options,
    controls: Arc<Controls>,
}

impl Start<'_> {
    fn market(&self) -> Result<LiveMarket, Failure> {
        let coingecko = coingecko(&self.config, &self.credentials, true)?;
        Ok(LiveMarket::new(
            self.links.venues(),
            Arc::new(MachineTime),
            self.config.policy.stablecoin.clone(),
            Some(coingecko),
        )
        .with_stablecoin_id(self.config.stablecoin_id.clone()))
    }

    /// The state to go on from: of the journal, of the seed's status file, or a new one.
    fn state(&self) -> Result<State, Failure> {
        if let Some(resumed) = &self.resumed {
            return Ok(resumed.state.clone());
        }
        let path = &self.config.paths.status_file;
        if !path.exists() {
            return Ok(State::default());
        }
        let state = status::import(path, &self.config.policy)
            .map_err(|error| Failure::from_error(Code::BadState, &error))?;
        output::remark(format!("prices and caps are taken over from {}", path.display()));
        Ok(state)
    }

    async fn paper(self) -> Run {
        let market = self.market()?;
        let state = self.state()?;
        let account = match self.resumed.as_ref().and_then(|resumed| resumed.broker.as_deref()) {
            None => simulation::first_deposit(&self.config),
            Some(text) => serde_json::from_str::<PaperAccount>(text).map_err(|error| {
                Failure::new(Code::BadState, format!("the paper account is damaged: {error}"))
            })?,
        };
        let broker = PaperBroker::new(
            &market,
            self.config.policy.stablecoin.clone(),
            simulation::cost_models(&self.config),
            account,
        );
        self.run(&market, broker, state).await
    }

    async fn real(self) -> Run {
        let market = self.market()?;
        let ready = tokio::select! {
            biased;
            () = self.controls.stopped_for(Duration::ZERO) => return Ok(Ok(Ended::Stopped)),
            ready = self.account(&market) => ready?,
        };
        self.run(&market, ready.0, ready.1).await
    }

    /// The accounts, when they may be traded.
    async fn account(&self, market: &LiveMarket) -> Result<(RealAccount, State), Failure> {
        let state = self.state()?;
        let checkpoint = self.resumed.as_ref().and_then(|resumed| resumed.broker.clone());
        let mut broker = LiveBroker::new(
            self.links.venues(),
            Arc::new(MachineTime),
            self.tags.clone(),
            checkpoint.as_deref(),
        )
        .map_err(|error| Failure::from_error(Code::BadState, &error))?;
        for (intent, outcome) in self.resumed.iter().flat_map(|resumed| &resumed.settled) {
            broker.remember(intent, outcome);
        }
        let venues = self.config.policy.venues();
        for venue in &self.options.resume {
            if !venues.contains(venue) {
                let known: Vec<String> = venues.iter().map(ToString::to_string).collect();
                return Err(Failure::new(
                    Code::BadInput,
                    format!(
                        "--resume {venue}: the portfolio has no such exchange; expected one of: {}",
                        known.join(", ")
                    ),
                ));
            }
            let was = broker.resume(venue);
            output::remark(format!(
                "{venue} {}",
                if was { "trades again" } else { "was not halted" }
            ));
        }
        for id in &self.options.release {
            let was = broker.release(id);
            output::remark(format!(
                "order {id} {}",
                if was { "is looked up again" } else { "is none whose outcome is unknown" }
            ));
        }
        let mut account =
            RealAccount::new(broker, self.links.clone(), &self.config, Arc::new(MachineTime));
        account.watch(&self.config);
        let found = account.verify().await;
        for note in found.keys.into_iter().chain(found.notes) {
            output::remark(format!("note: {note}"));
        }
        if state.cycle == 0 {
            // A key that can withdraw, or none that works, is for the operator to mend before anything
            // is traded. Later it closes its exchange alone: the others have orders to look after.
            if let Some((venue, key)) = account.troubles().iter().find(|(_, key)| key.is_wrong) {
                return Err(Failure::new(Code::BadInput, format!("{venue}: {}", key.why)));
            }
            self.ask(market, &account, &state).await?;
        }
        Ok((account, state))
    }

    /// Shows what the first cycle would do, and goes on only when the operator wants it, or wanted it
    /// before the start.
    async fn ask(
        &self,
        market: &LiveMarket,
        account: &RealAccount,
        state: &State,
    ) -> Result<(), Failure> {
        let is_confirmed = self.options.yes;
        loop {
            let config = self.config.clone();
            let models = simulation::cost_models(&config);
            let record =
                preview::preview(&MachineTime, market, account, &config, state, models).await;
            let record = match record {
                Ok(record) => record,
                // Nobody waits for it, and the cycle itself leaves alone what cannot be read.
                Err(error) if is_confirmed => {
                    output::remark(format!("note: the first plan cannot be shown: {error}"));
                    return Ok(());
                }
                Err(error) => {
                    let message = format!("the first plan cannot be made: {error}");
                    return Err(Failure::new(Code::Failed, message));
                }
            };
            let is_paused = self.controls.is_paused();
            let shown_at = Instant::now();
            // Who reads and types may take long, and a stop must be heard meanwhile.
            let answer = tokio::task::spawn_blocking(move || {
                output::line(preview::shown(&config, &record, is_paused));
                (!is_confirmed).then(preview::confirmed).flatten()
            });
            if is_confirmed {
                // A terminal that nobody reads holds nothing up.
                return Ok(());
            }
            match answer.await.ok().flatten() {
                Some(true) if shown_at.elapsed() > ANSWER_AGE_MAX => output::remark(
                    "that was more than 5 minutes ago, so here is the plan as it is now:",
                ),
                Some(true) => return Ok(()),
                Some(false) => return Err(Failure::new(Code::Interrupted, "nothing was sent")),
                None => {
                    return Err(Failure::new(
                        Code::BadInput,
                        "nothing was sent: there is no terminal to confirm the first live cycle at; add --yes to go on without a question",
                    ));
                }
            }
        }
    }

    async fn run<B: Account>(self, market: &LiveMarket, account: B, state: State) -> Run {
        let controls = self.controls;
        let asked = Arc::clone(&controls);
        self.links.write_only_while(&(Arc::new(move || asked.may_trade()) as _));
        let mut desk = DeskContext::new(self.config.clone(), MachineTime.now());
        // The journal's state knows nothing of orders whose outcome is open.
        desk.state = state.cycle_at.map(|_| state.clone());
        let is_paused = controls.is_paused();
        if is_paused {
            desk.run = RunState::Paused;
            output::remark(format!(
                "trading is paused: type /start in Telegram; or stop, remove {}, and start again",
                controls.pause_file().display()
            ));
        }
        let desk = Arc::new(Mutex::new(desk));
        let notifier = match desk::telegram_settings(&self.config, &self.credentials)? {
            None => Notifier::disabled(),
            Some(settings) => {
                let handle = keel_telegram::start(settings)
                    .map_err(|error| Failure::from_error(Code::BadInput, &error))?;
                let desk = Arc::clone(&desk);
                tokio::spawn(operator::serve(handle.commands, desk, Arc::clone(&controls)));
                handle.notifier
            }
        };
        let mut reporter = Reporter::new(notifier.clone(), desk);
        let mut text = self.mode.to_string();
        if is_paused {
            text.push_str(", trading is paused");
        }
        output::remark(format!("{text}; stop with Ctrl-C, the same command continues"));
        reporter.event(Event::Started(text));
        let path = self.config.path.clone();
        let load = move || -> Result<Config, ConfigErrors> { cli::reload_config(&path) };
        let session = Session {
            clock: &MachineTime,
            market,
            broker: Gate::new(account, Arc::clone(&controls)),
            journal: self.journal,
            tags: self.tags,
            mode: self.mode,
            state,
            config: Reloader::new(self.config),
            load: &load,
            controls,
            reporter,
            cycles: self.options.cycles,
            is_paused,
        };
        let ended = session.run().await;
        let reason = match &ended {
            Ok(Ended::Stopped) => "it was told to".to_owned(),
            Ok(Ended::Done) => "so many cycles were asked for".to_owned(),
            Err(failure) => failure.message.clone(),
        };
        notifier.notify(desk::shutdown(&reason));
        notifier.flush(LAST_MESSAGES).await;
        Ok(ended)
    }
}

/// The client of CoinGecko that the configuration describes; what it reads is archived or not.
///
/// # Errors
/// When the base URL is none.
pub fn coingecko(
    config: &Config,
    credentials: &Credentials,
    is_archived: bool,
) -> Result<CoinGecko, Failure> {
    let defaults = CoinGeckoSettings::default();
    let settings = &config.coingecko;
    let is_pro = settings.is_pro && credentials.coingecko.is_some();
    let key = match &credentials.coingecko {
        None => Key::Nobody,
        Some(key) if is_pro => Key::Pro(Zeroizing::new(key.expose().to_owned())),
        Some(key) => Key::Demo(Zeroizing::new(key.expose().to_owned())),
    };
    let usual = if is_pro { PRO_URL.to_owned() } else { defaults.base_url.clone() };
    CoinGecko::new(CoinGeckoSettings {
        base_url: settings.base_url.clone().unwrap_or(usual),
        key,
        price_deviation_max: settings.max_price_deviation.to_f64().unwrap_or(0.0),
        archive: is_archived.then(|| settings.archive.clone()),
        ..defaults
    })
    .map_err(|error| Failure::new(Code::BadInput, format!("coingecko.base_url: {error}")))
}

/// What orders of each account begin with. It follows from the key, because a journal can be lost
/// and another installation has a journal of its own.
fn tags(credentials: &Credentials) -> BTreeMap<VenueId, AccountTag> {
    credentials
        .venues
        .iter()
        .map(|(venue, keys)| (venue.clone(), AccountTag::new(venue, keys.api_key.expose())))
        .collect()
}

/// 128 random bits: no two installations share an order id.
fn random_name() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Code::Failed, format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// No core dumps, which would hold keys, and no files that others can read.
fn harden() -> Result<(), Failure> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable))
        .map_err(|error| {
            Failure::new(Code::Failed, format!("core dumps cannot be switched off: {error}"))
        })?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Ok(())
}

/// From now on a signal is a stop.
fn end_with_a_signal(controls: &Arc<Controls>) -> Result<(), Failure> {
    let controls = Arc::clone(controls);
    signals::on_stop(move || {
        controls.stop();
        std::thread::sleep(STOP_LONGEST);
        let text = "the stop did not end in time; the next start continues from the journal";
        output::remark(text);
        tracing::error!("{text}");
        lines::finish();
        std::process::exit(Code::Failed as i32);
    })
}

/// Half a daemon is worse than none: whatever panics ends the process, and the next start recovers.
fn end_with_any_panic() {
    // Not the default hook: it writes to standard error itself, and waits for who reads that.
    std::panic::set_hook(Box::new(|panic| {
        let trace = Backtrace::capture();
        let is_shown = trace.status() == BacktraceStatus::Captured;
        let trace = if is_shown { format!("\n{trace}") } else { String::new() };
        output::remark(format!("{panic}{trace}"));
        tracing::error!("{panic}");
        lines::finish();
        std::process::exit(101);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, Read as _, Write as _};
    use std::process::{Child, Command, Stdio};

    const CHILD: &str = "KEEL_TEST_CHILD";

    /// Only in a process of its own, which it ends.
    #[test]
    fn child() {
        let Ok(way) = std::env::var(CHILD) else { return };
        output::never_wait().unwrap();
        if way == "panics" {
            end_with_any_panic();
            simulation::runtime().unwrap().block_on(async {
                tokio::spawn(async { panic!("a bug in a task") });
                std::future::pending::<()>().await;
            });
        }
        end_with_a_signal(&Arc::new(Controls::new(Path::new("none")))).unwrap();
        output::remark("it listens");
        // As a disk does that hangs: nothing is polled any more.
        std::thread::sleep(Duration::from_secs(3600));
    }

    fn child_that(way: &str, stderr: impl Into<Stdio>) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "live::tests::child", "--nocapture"]).env(CHILD, way);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
    }

    fn ended(child: &mut Child, longest: Duration) -> Option<i32> {
        let start = Instant::now();
        while start.elapsed() < longest {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        None
    }

    #[test]
    fn f107_a_panic_in_one_task_ends_the_process_and_says_where() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = child_that("panics", writer);
        assert_eq!(ended(&mut child, Duration::from_secs(60)), Some(101));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.contains("a bug in a task") && text.contains("live/mod.rs"), "{text}");
    }

    #[test]
    fn f107_a_panic_ends_the_process_also_when_nobody_reads_its_last_words() {
        let (_reader, mut writer) = std::io::pipe().unwrap();
        let stderr = writer.try_clone().unwrap();
        std::thread::spawn(move || while writer.write_all(&[b' '; 4096]).is_ok() {});
        let mut child = child_that("panics", stderr);
        assert_eq!(ended(&mut child, Duration::from_secs(60)), Some(101));
    }

    #[test]
    fn f043_a_stop_ends_a_process_whose_loop_is_blocked() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut child = child_that("hangs", writer);
        let mut line = String::new();
        std::io::BufReader::new(reader).read_line(&mut line).unwrap();
        assert_eq!(line, "it listens\n");
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert_eq!(ended(&mut child, Duration::from_secs(5)), Some(Code::Failed as i32));
    }
}
