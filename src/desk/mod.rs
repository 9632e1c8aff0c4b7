//! The desk: answers to the commands of an operator, and the reports that are sent without being
//! asked. It reads the journal, the state and the configuration, and changes nothing.

mod events;
mod files;
mod flows;
mod health;
mod holdings;
mod left;
mod orders;
mod profit;
mod reasons;
mod settings;

pub use events::{failed_start, of_cycle, shutdown, startup};
pub use left::left;
pub use reasons::halt;
pub use settings::{loudness, telegram_settings};

use crate::journal::{JournalError, Reader};
use keel_config::Config;
use keel_core::asset::VenueId;
use keel_core::state::State;
use keel_core::time::Timestamp;
use keel_live::market::ClockReading;
use keel_telegram::{Answer, Command};
use std::collections::BTreeMap;

/// What the daemon tells the desk, after each cycle and whenever something changes.
#[derive(Clone, Debug)]
pub struct DeskContext {
    /// The configuration in use.
    pub config: Config,
    /// Whether it trades.
    pub run: RunState,
    /// When the program started.
    pub started_at: Timestamp,
    /// The state after the last cycle. Without it the journal's is used.
    pub state: Option<State>,
    /// Exchanges, as far as anything is known of them.
    pub venues: BTreeMap<VenueId, VenueHealth>,
    /// What keeps orders back although nobody paused, and why.
    pub held: BTreeMap<String, String>,
    /// Since when the configuration on disk is refused, and why.
    pub refused: Option<(Timestamp, String)>,
    /// Its keys that wait for a restart.
    pub waiting: Vec<String>,
    /// What the operator should know that no cycle tells, and when it was found.
    pub notes: Vec<(Timestamp, String)>,
}

/// Whether the daemon trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Cycles distribute.
    Running,
    /// What is held is kept; no new orders.
    Paused,
    /// Stopped by the operator.
    Stopped,
}

/// How an exchange does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VenueHealth {
    /// What is wrong with it, if anything.
    pub trouble: Option<String>,
    /// Its clock beside this one, as last measured.
    pub clock: Option<ClockReading>,
}

impl DeskContext {
    /// Before the first cycle.
    #[must_use]
    pub const fn new(config: Config, started_at: Timestamp) -> Self {
        Self {
            config,
            run: RunState::Running,
            started_at,
            state: None,
            venues: BTreeMap::new(),
            held: BTreeMap::new(),
            refused: None,
            waiting: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The last state, from memory or the journal.
    fn state(&self, reader: &Reader) -> Result<Option<State>, JournalError> {
        match &self.state {
            Some(state) => Ok(Some(state.clone())),
            None => reader.state(),
        }
    }
}

impl RunState {
    /// How trading is, in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "on",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// Answers what only reads, at `now`. For a command that needs the daemon it says so.
#[must_use]
pub fn answer(command: &Command, context: &DeskContext, now: Timestamp) -> Answer {
    match command {
        Command::Version => Answer::text(format!("Keel {}", env!("CARGO_PKG_VERSION"))),
        Command::Logs => files::logs(&context.config),
        command => {
            let answered = Reader::open(&context.config.paths.journal)
                .and_then(|reader| from_journal(command, context, &reader, now));
            answered.unwrap_or_else(|error| Answer::text(error.to_string()))
        }
    }
}

fn from_journal(
    command: &Command,
    context: &DeskContext,
    reader: &Reader,
    now: Timestamp,
) -> Result<Answer, JournalError> {
    match command {
        Command::Health => health::health(context, reader, now),
        Command::Status { table: false } => holdings::status(context, reader, now),
        Command::Status { table: true } => holdings::status_table(context, reader, now),
        Command::Balance => holdings::balance(context, reader),
        Command::Profit => profit::profit(context, reader),
        Command::Daily { days } => profit::daily(context, reader, *days, now),
        Command::Performance => profit::performance(context, reader),
        Command::Trades { last } => orders::trades(context, reader, *last),
        Command::Plan => orders::plan(context, reader),
        Command::Why { ticker } => orders::why(context, reader, ticker),
        Command::ShowConfig => files::show_config(&context.config, reader),
        Command::Report => files::report(&context.config, reader),
        _ => Ok(Answer::text("This command needs the daemon, which does not take it now.")),
    }
}

const NO_CYCLE: &str = "No cycle has finished yet.";

/// What keeps orders back, each in a line.
#[must_use]
pub fn held(context: &DeskContext) -> String {
    context.held.values().map(|text| format!("\nHeld back: {text}")).collect()
}

/// Whether it trades, in a word or two.
fn trading(context: &DeskContext) -> &'static str {
    match context.run {
        RunState::Running if !context.held.is_empty() => "on, but orders are held back",
        run => run.name(),
    }
}

/// How long ago, for people.
fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since_ms(then).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A moment to the minute: `2026-01-31 12:30 UTC`.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.get(..16).unwrap_or(&text).replace('T', " ");
    format!("{text} UTC")
}
