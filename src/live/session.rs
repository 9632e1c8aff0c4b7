//! The daemon's loop on live market data: wait, read the configuration again, compare with the
//! venues, run a cycle, report.

use super::controls::Controls;
use super::gate::Gate;
use super::mode;
use super::reporter::{Event, Reporter};
use crate::desk;
use crate::exit::{Code, Failure};
use crate::journal::{Journal, Mode};
use keel_config::{Config, ConfigErrors, ReloadOutcome, Reloader};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::order::{AccountTag, ClientOrderId, Fill};
use keel_core::policy::Policy;
use keel_core::ports::{Broker, Clock, MarketData};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_core::time::Timestamp;
use keel_live::market::{ClockReading, LiveMarket, Want};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A step that takes longer has met something that nobody thought of: the process ends, and the
/// next start continues from the journal.
const DEADLINE: Duration = Duration::from_secs(15 * 60);
/// An order that is under way has so long to be answered, from the moment of a stop on.
const STOP_GRACE: Duration = Duration::from_millis(2500);
/// Accounts are compared with the venues this often, and before the first cycle.
const RECONCILE_EVERY: Duration = Duration::from_secs(60);
/// And this often while they ask for it.
const RECONCILE_SOON: Duration = Duration::from_secs(10);
/// Intents of so many days can be named as ours when a venue lists them, and the newest of any age.
const KNOWN_DAYS: i64 = 8;

/// What a comparison of the accounts with the venues found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// About API keys.
    pub keys: Vec<String>,
    /// About everything else.
    pub notes: Vec<String>,
}

impl Findings {
    /// Whether there is nothing to tell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.notes.is_empty()
    }
}

/// What a broker on live data does besides orders.
pub trait Account: Broker {
    /// Compares the accounts with the venues. `known` are the ids of the journal's orders. Returns
    /// all that the operator should know now. A stop leaves it at any point.
    fn reconcile(&mut self, known: &BTreeSet<String>) -> impl Future<Output = Findings>;

    /// Venues at which nothing is sent until the operator says otherwise, and why.
    fn halted(&self) -> BTreeMap<VenueId, String>;

    /// Whether the accounts should be compared before the next cycle.
    fn wants_comparison(&self) -> bool {
        false
    }

    /// The markets that the policy may trade, for the comparison.
    fn watch(&mut self, config: &Config);

    /// Venues whose market table may be outdated, since they refused an order that it allows.
    fn take_doubted(&mut self) -> BTreeSet<VenueId> {
        BTreeSet::new()
    }

    /// Executions that the comparison found although the outcome of their orders was known.
    fn take_late(&mut self) -> Vec<(ClientOrderId, Fill)> {
        Vec::new()
    }
}

/// What live market data does besides answers.
pub trait Feed: MarketData {
    /// Fetches what the next cycle will ask for, several things at a time.
    fn prepare(&self, policy: &Policy, state: &State, now: Timestamp) -> impl Future<Output = ()>;

    /// The market table of that venue may be outdated.
    fn doubt_markets(&self, venue: &VenueId);

    /// What the operator should know since the last call.
    fn take_notes(&self) -> Vec<String>;

    /// The candles that the signals of `policy` start from, as far as they were fetched.
    fn in_use(&self, policy: &Policy) -> Vec<(Want, Window)>;

    /// Assets whose market cap is not believed, and why.
    fn refused_caps(&self) -> BTreeMap<Ticker, String>;

    /// The clocks of the venues, as far as they were measured.
    fn clocks(&self) -> BTreeMap<VenueId, ClockReading>;
}

impl Feed for LiveMarket {
    async fn prepare(&self, policy: &Policy, state: &State, now: Timestamp) {
        self.prefetch(&due(policy, state, now)).await;
    }

    fn doubt_markets(&self, venue: &VenueId) {
        Self::doubt_markets(self, venue);
    }

    fn take_notes(&self) -> Vec<String> {
        Self::take_notes(self)
    }

    fn in_use(&self, policy: &Policy) -> Vec<(Want, Window)> {
        Self::in_use(self, policy)
    }

    fn refused_caps(&self) -> BTreeMap<Ticker, String> {
        Self::refused_caps(self)
    }

    fn clocks(&self) -> BTreeMap<VenueId, ClockReading> {
        Self::clocks(self)
    }
}

/// The candles of the signals that are due: of one asset for a position, of all for a trend.
fn due(policy: &Policy, state: &State, now: Timestamp) -> Vec<Want> {
    let known = |ticker: &Ticker| state.assets.get(ticker);
    let mut timeframes = BTreeSet::new();
    let mut positions = BTreeSet::new();
    for asset in &policy.assets {
        let known = known(&asset.ticker);
        let position = known.and_then(|known| known.position.bucket);
        if position != Some(asset.position_interval.bucket(now)) {
            positions.insert(&asset.ticker);
        }
        let trend = known.and_then(|known| known.trend.bucket);
        if trend != Some(asset.trend_interval.bucket(now)) {
            timeframes.insert(asset.trend_interval);
        }
    }
    let mut wants = Vec::new();
    for asset in &policy.assets {
        let symbol = Symbol::new(asset.ticker.clone(), policy.stablecoin.clone());
        let position = positions.contains(&asset.ticker).then_some(asset.position_interval);
        let wanted: BTreeSet<_> = timeframes.iter().copied().chain(position).collect();
        wants.extend(wanted.into_iter().map(|timeframe| Want {
            venue: asset.venue.clone(),
            symbol: symbol.clone(),
            timeframe,
            limit: policy.settings.indicator_history_size,
        }));
    }
    wants
}

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// So many cycles were asked for.
    Done,
}

/// Everything that the loop works with.
pub struct Session<'m, C, M, B> {
    /// The clock of the cycles.
    pub clock: &'m C,
    /// Prices, candles and caps.
    pub market: &'m M,
    /// The account.
    pub broker: Gate<B>,
    /// The journal.
    pub journal: Journal,
    /// The tags of the accounts, where they are real.
    pub tags: BTreeMap<VenueId, AccountTag>,
    /// What the journal is of.
    pub mode: Mode,
    /// What lives from cycle to cycle.
    pub state: State,
    /// The configuration and its problems.
    pub config: Reloader,
    /// Reads the configuration again.
    pub load: &'m dyn Fn() -> Result<Config, ConfigErrors>,
    /// What the operator asks for.
    pub controls: Arc<Controls>,
    /// Files, log and messages.
    pub reporter: Reporter,
    /// End after so many cycles.
    pub cycles: Option<u64>,
    /// Whether it was told that trading is paused.
    pub is_paused: bool,
}

impl<C: Clock, M: Feed, B: Account> Session<'_, C, M, B> {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When the journal cannot be written or a cycle does not end: start again to continue.
    pub async fn run(mut self) -> Result<Ended, Failure> {
        let mut at_start = true;
        let mut done = 0;
        let mut compared_at: Option<Instant> = None;
        self.broker.broker().watch(self.config.current());
        let policy = &self.config.current().policy;
        self.reporter.left(&desk::left(&self.state, None, policy));
        loop {
            if self.controls.is_stopping() {
                return self.stop();
            }
            let is_asked = self.controls.take_reload();
            if is_asked || !at_start {
                self.reload(is_asked);
            }
            if self.compare(&mut compared_at).await?.is_none() {
                return self.stop();
            }
            if self.prepare().await?.is_none() {
                return self.stop();
            }
            // Reading may take minutes, and orders follow a fresh comparison only.
            if self.compare(&mut compared_at).await?.is_none() {
                return self.stop();
            }
            self.broker.begin();
            let options = CycleOptions {
                deployment: self.journal.deployment().to_owned(),
                tags: self.tags.clone(),
                at_start: std::mem::take(&mut at_start),
                requested: self.controls.take_distribute(),
                // What holds orders back otherwise is told by the gate, in its own words.
                paused: self.controls.is_paused(),
            };
            let Some(record) = self.cycle(&options).await? else {
                // Told to stop in the middle of a cycle. The journal knows what was sent.
                return Ok(Ended::Stopped);
            };
            for venue in self.broker.broker().take_doubted() {
                self.market.doubt_markets(&venue);
            }
            for note in self.market.take_notes() {
                self.reporter.event(Event::Market(note));
            }
            self.reporter.caps(self.market.refused_caps());
            let clocks = self.market.clocks();
            self.reporter.cycle(self.config.current(), &record, &self.state, &clocks);
            self.tell_held();
            let config = self.config.current();
            if let Some(directory) = &config.paths.ohlcv_export_dir {
                self.reporter.candles(directory, self.market.in_use(&config.policy));
            }
            done += 1;
            if self.cycles.is_some_and(|cycles| done >= cycles) {
                self.stop()?;
                return Ok(Ended::Done);
            }
            self.wait(compared_at.get_or_insert_with(Instant::now)).await?;
        }
    }

    /// Compares the accounts when it is time, or when they ask for it.
    async fn compare(&mut self, compared_at: &mut Option<Instant>) -> Result<Option<()>, Failure> {
        let every = self.compare_every();
        if compared_at.is_none_or(|at| at.elapsed() >= every) {
            if self.reconcile().await?.is_none() {
                return Ok(None);
            }
            *compared_at = Some(Instant::now());
        }
        Ok(Some(()))
    }

    fn compare_every(&mut self) -> Duration {
        if self.broker.broker().wants_comparison() { RECONCILE_SOON } else { RECONCILE_EVERY }
    }

    /// Reads what the cycle will ask for.
    async fn prepare(&self) -> Result<Option<()>, Failure> {
        let policy = &self.config.current().policy;
        let prepared = self.market.prepare(policy, &self.state, self.clock.now());
        bounded(&self.controls, "reading market data", Duration::ZERO, prepared).await
    }

    /// One cycle, unless a stop comes in between and it does not end in time.
    async fn cycle(&mut self, options: &CycleOptions) -> Result<Option<CycleRecord>, Failure> {
        let mut world = World {
            clock: self.clock,
            market: self.market,
            broker: &mut self.broker,
            store: &mut self.journal,
        };
        let policy = &self.config.current().policy;
        let cycle = run_cycle(&mut world, policy, &mut self.state, options);
        let ended = bounded(&self.controls, "the cycle", STOP_GRACE, cycle).await?;
        ended.transpose().map_err(|error| {
            let failure = Failure::from(error);
            self.reporter.event(Event::Error(failure.message.clone()));
            failure
        })
    }

    /// Waits for the next cycle, tells when trading is paused or goes on, and compares the accounts
    /// meanwhile. An order whose outcome nobody knows is not left alone for longer than a minute, a trade
    /// that was not ours for ten seconds.
    async fn wait(&mut self, compared_at: &mut Instant) -> Result<(), Failure> {
        let mut until = Instant::now() + self.config.current().bot.cycle_sleep;
        if self.broker.broker().wants_comparison() {
            until = until.min(*compared_at + RECONCILE_SOON);
        }
        loop {
            let wake = until.min(*compared_at + RECONCILE_EVERY);
            let is_asked = tokio::select! {
                () = self.controls.asked() => true,
                () = tokio::time::sleep(wake.saturating_duration_since(Instant::now())) => false,
            };
            let is_paused = self.controls.is_paused();
            if std::mem::replace(&mut self.is_paused, is_paused) != is_paused {
                self.reporter.event(Event::Paused(is_paused));
            }
            // A pause that begins is no reason for a cycle.
            let wants_cycle = is_asked && self.controls.wants_cycle();
            if wants_cycle || self.controls.is_stopping() || Instant::now() >= until {
                return Ok(());
            }
            if compared_at.elapsed() >= RECONCILE_EVERY {
                let compared = self.reconcile().await?;
                *compared_at = Instant::now();
                if compared.is_none() || !self.state.unresolved.is_empty() {
                    return Ok(());
                }
            }
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.journal.flush(&self.state, self.broker.checkpoint()).map_err(Failure::from)
    }

    fn stop(&mut self) -> Result<Ended, Failure> {
        self.flush()?;
        Ok(Ended::Stopped)
    }

    /// An edit that is wrong keeps the last good configuration and is told once, or whenever the
    /// operator asks.
    fn reload(&mut self, is_asked: bool) {
        let before = self.config.current().policy.clone();
        match self.config.offer((self.load)()) {
            ReloadOutcome::Unchanged => {}
            ReloadOutcome::RightAgain => self.reporter.event(Event::ConfigRightAgain),
            ReloadOutcome::Changed { paths, waiting } => {
                let contradiction = mode::contradiction(&self.mode, &waiting);
                let is_paper = self.mode == Mode::Paper;
                let (note, held) =
                    if is_paper { (contradiction, None) } else { (None, contradiction) };
                self.controls.hold(held);
                self.broker.broker().watch(self.config.current());
                let config = Box::new(self.config.current().clone());
                self.reporter.event(Event::Reloaded { paths, waiting, note, config });
                let policy = &self.config.current().policy;
                self.reporter.left(&desk::left(&self.state, Some(&before), policy));
                self.tell_held();
            }
            ReloadOutcome::KeptLastGood { problems, first_time } => {
                if first_time || is_asked {
                    self.reporter.event(Event::ConfigRejected(problems.to_string()));
                }
            }
        }
    }

    /// What keeps orders back although nobody paused.
    fn tell_held(&mut self) {
        let halted = self.broker.broker().halted();
        let mut held: BTreeMap<String, String> = halted
            .into_iter()
            .map(|(venue, why)| {
                let why = desk::halt(&why);
                let text = format!("trading at {venue} is halted: {why}. Look at it, then start again with --resume {venue}");
                (format!("the halt at {venue}"), text)
            })
            .collect();
        let configuration = self.controls.held().map(|why| ("the configuration".to_owned(), why));
        held.extend(configuration);
        self.reporter.held(held);
    }

    async fn reconcile(&mut self) -> Result<Option<()>, Failure> {
        let since = self.clock.now().plus_ms(-KNOWN_DAYS * 86_400_000);
        let known = self.journal.intent_ids(since)?;
        let compared = self.broker.broker().reconcile(&known);
        let what = "the comparison with the exchanges";
        let found = bounded(&self.controls, what, Duration::ZERO, compared).await?;
        let Some(found) = found else { return Ok(None) };
        let late = self.broker.broker().take_late();
        self.journal.write_late(&late, self.clock.now())?;
        if !found.is_empty() || !self.broker.broker().halted().is_empty() {
            // A halt is durable before anything else is done.
            self.flush()?;
        }
        self.tell_held();
        self.reporter.account(found);
        Ok(Some(()))
    }
}

/// What `work` gives; nothing when a stop was asked for `grace` ago.
async fn bounded<T>(
    controls: &Controls,
    what: &str,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Result<Option<T>, Failure> {
    tokio::select! {
        biased;
        () = controls.stopped_for(grace) => Ok(None),
        done = work => Ok(Some(done)),
        () = tokio::time::sleep(DEADLINE) => Err(Failure::new(
            Code::Failed,
            format!(
                "{what} did not end within {} minutes; start again to continue from the journal",
                DEADLINE.as_secs() / 60
            ),
        )),
    }
}
