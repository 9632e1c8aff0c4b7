//! Tells the world what happened: files, log, messages. It cannot change a cycle, and what it cannot
//! write it says once.

use super::session::Findings;
use crate::candle_export::CandleExport;
use crate::desk::{self, DeskContext, VenueHealth};
use crate::{logging, output, status};
use keel_config::Config;
use keel_core::asset::{Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::decision::Reason;
use keel_core::ports::Clock as _;
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_live::market::{ClockReading, Want};
use keel_live::time::MachineTime;
use keel_telegram::{Event as Message, EventKind, Notifier};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happened outside of a cycle.
#[derive(Clone, Debug)]
pub enum Event {
    /// The daemon runs, in this mode.
    Started(String),
    /// Trading was stopped, or goes on.
    Paused(bool),
    /// The configuration changed.
    Reloaded {
        /// In these places.
        paths: Vec<String>,
        /// These are not taken before a restart.
        waiting: Vec<String>,
        /// What that means, where it is not plain.
        note: Option<String>,
        /// This is it now.
        config: Box<Config>,
    },
    /// The configuration was edited and is wrong; the last good one stays.
    ConfigRejected(String),
    /// It is as it was before it was wrong.
    ConfigRightAgain,
    /// What was odd about market data.
    Market(String),
    /// Something failed that ends the process.
    Error(String),
}

/// Files, log and messages.
#[derive(Debug)]
pub struct Reporter {
    notifier: Notifier,
    desk: Arc<Mutex<DeskContext>>,
    file_error: Option<String>,
    export: CandleExport,
    export_error: Option<String>,
    /// What is wrong with assets and venues, so that only changes are told.
    stale: BTreeSet<Ticker>,
    caps_stale: bool,
    total_unknown: bool,
    refused_caps: BTreeSet<Ticker>,
    away: BTreeMap<VenueId, String>,
}

impl Reporter {
    /// Reports to files, log and `notifier`, and tells the desk.
    #[must_use]
    pub fn new(notifier: Notifier, desk: Arc<Mutex<DeskContext>>) -> Self {
        Self {
            notifier,
            desk,
            file_error: None,
            export: CandleExport::default(),
            export_error: None,
            stale: BTreeSet::new(),
            caps_stale: false,
            total_unknown: false,
            refused_caps: BTreeSet::new(),
            away: BTreeMap::new(),
        }
    }

    fn desk(&self) -> MutexGuard<'_, DeskContext> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where messages go.
    #[must_use]
    pub const fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// A cycle ended.
    pub fn cycle(
        &mut self,
        config: &Config,
        record: &CycleRecord,
        state: &State,
        clocks: &BTreeMap<VenueId, ClockReading>,
    ) {
        logging::cycle(record);
        self.write_files(config, state);
        output::remark(line(config, record));
        for message in desk::of_cycle(config, record) {
            self.notifier.notify(message);
        }
        self.tell_changes(record);
        let mut desk = self.desk();
        desk.state = Some(state.clone());
        desk.venues = config
            .policy
            .venues()
            .into_iter()
            .map(|venue| {
                let trouble = self.away.get(&venue).cloned();
                let clock = clocks.get(&venue).copied();
                (venue, VenueHealth { trouble, clock })
            })
            .collect();
    }

    /// Writes the candles in use to files. What cannot be written is said once.
    pub fn candles(&mut self, directory: &Path, candles: Vec<(Want, Window)>) {
        let error = candles.into_iter().find_map(|(want, window)| {
            let market = (want.venue, want.symbol, want.timeframe);
            self.export.write(directory, &market, &window).err()
        });
        let error = error.map(|error| error.to_string());
        if error != self.export_error {
            if let Some(error) = &error {
                tracing::error!("candles are not exported: {error}; trading goes on");
            }
            self.export_error = error;
        }
    }

    /// Market caps that are not believed; a new one is told.
    pub fn caps(&mut self, refused: BTreeMap<Ticker, String>) {
        for (ticker, why) in &refused {
            if !self.refused_caps.contains(ticker) {
                let text = format!("{ticker}: {why}");
                tracing::warn!("{text}");
                self.notifier.notify(Message::new(EventKind::Error, "Look at this").body(text));
            }
        }
        self.refused_caps = refused.into_keys().collect();
    }

    /// What the comparison with the venues found; what is new is told.
    pub fn account(&mut self, found: Findings) {
        let now = MachineTime.now();
        let keys = found.keys.into_iter().map(|note| (EventKind::RejectedKey, note));
        let notes = found.notes.into_iter().map(|note| (EventKind::Halt, note));
        let found: Vec<_> = keys.chain(notes).collect();
        let (old, held) = {
            let mut desk = self.desk();
            let found_at = |note: &String| {
                desk.notes.iter().find(|(_, known)| known == note).map_or(now, |(at, _)| *at)
            };
            let present = found.iter().map(|(_, note)| (found_at(note), note.clone())).collect();
            (std::mem::replace(&mut desk.notes, present), desk.held.clone())
        };
        // A halt was told as one, with this reason among others.
        let is_halt = |note: &String| {
            let parts = note.split_once(" is halted: ");
            parts.is_some_and(|(place, why)| {
                held.values().any(|held| held.starts_with(place) && held.contains(why))
            })
        };
        let is_known = |note: &String| old.iter().any(|(_, known)| known == note) || is_halt(note);
        for (kind, note) in found.into_iter().filter(|(_, note)| !is_known(note)) {
            tracing::warn!("{note}");
            let title = match kind {
                EventKind::RejectedKey => "Look at the key of an exchange",
                _ => "Look at this",
            };
            self.notifier.notify(Message::new(kind, title).body(note));
        }
    }

    /// What is still held and no longer managed.
    pub fn left(&self, left: &[String]) {
        if left.is_empty() {
            return;
        }
        for text in left {
            tracing::warn!("{text}");
            output::remark(format!("note: {text}"));
        }
        let message = Message::new(EventKind::Error, "The configuration leaves out what is held");
        self.notifier.notify(message.body(left.join("\n")));
    }

    /// What keeps orders back although nobody paused; what is new or over is told.
    pub fn held(&mut self, held: BTreeMap<String, String>) {
        let old = std::mem::replace(&mut self.desk().held, held.clone());
        let tell = |title: &str, text: &str| {
            output::remark(format!("{title}: {text}"));
            self.notifier.notify(Message::new(EventKind::Halt, title).body(text));
        };
        for (_, text) in held.iter().filter(|(what, text)| old.get(*what) != Some(*text)) {
            tracing::error!("Orders are held back: {text}");
            tell("Orders are held back", text);
        }
        for what in old.keys().filter(|what| !held.contains_key(*what)) {
            tracing::info!("No longer held back by {what}");
            tell("No longer held back", &format!("{what} keeps no order back any more"));
        }
    }

    /// Something else happened.
    pub fn event(&mut self, event: Event) {
        let tell = |kind, title: &str, body: String| {
            self.notifier.notify(Message::new(kind, title).body(body));
        };
        match event {
            Event::Started(mode) => {
                tracing::info!("started: {mode}");
                let config = self.desk().config.clone();
                self.notifier.notify(desk::startup(&config, &mode));
            }
            Event::Paused(true) => {
                tracing::warn!("trading is stopped; cycles go on without orders");
                tell(EventKind::Pause, "Trading is stopped", "Type /start to go on".to_owned());
            }
            Event::Paused(false) => {
                tracing::info!("trading goes on");
                tell(EventKind::Pause, "Trading goes on", String::new());
            }
            Event::Reloaded { paths, waiting, note, config } => {
                self.notifier.set_loudness(desk::loudness(&config));
                {
                    let mut desk = self.desk();
                    desk.config = *config;
                    desk.refused = None;
                    desk.waiting.clone_from(&waiting);
                }
                let (changed, keys) = (paths.join(", "), waiting.join(", "));
                tracing::info!(changed, waiting = keys, "the configuration was read again");
                let body = match changed.as_str() {
                    "" if keys.is_empty() => Some("what is in use is what it says".to_owned()),
                    // That it waits is all there is to tell.
                    "" => None,
                    changed => Some(format!("changed: {changed}")),
                };
                if let Some(body) = body {
                    tell(EventKind::Startup, "The configuration was read again", body);
                }
                if !waiting.is_empty() {
                    let restart = format!("needs a restart: {keys}; the old value stays in use");
                    for line in [Some(restart), note].into_iter().flatten() {
                        tracing::warn!("{line}");
                        output::remark(&line);
                        tell(EventKind::ConfigRejected, "The configuration was changed", line);
                    }
                }
            }
            Event::ConfigRejected(problems) => {
                tracing::error!("the configuration is wrong, the last good one stays: {problems}");
                {
                    let first = problems.lines().next().unwrap_or_default().to_owned();
                    let mut desk = self.desk();
                    let since = desk.refused.as_ref().map_or_else(|| MachineTime.now(), |it| it.0);
                    desk.refused = Some((since, first));
                }
                let title = "The configuration is wrong, the last good one stays";
                tell(EventKind::ConfigRejected, title, problems);
            }
            Event::ConfigRightAgain => {
                self.desk().refused = None;
                let title = "The configuration is right again";
                tracing::info!("{title}");
                let body = match self.desk().waiting.join(", ").as_str() {
                    "" => "what is in use is what it says".to_owned(),
                    keys => format!("needs a restart as before: {keys}"),
                };
                tell(EventKind::ConfigRejected, title, body);
            }
            Event::Market(note) => tracing::warn!("{note}"),
            Event::Error(error) => {
                tracing::error!("{error}");
                tell(EventKind::Error, "Keel ends with an error", error);
            }
        }
    }

    /// What became worse or better since the last cycle.
    fn tell_changes(&mut self, record: &CycleRecord) {
        let (mut stale, mut away) = (BTreeSet::new(), BTreeMap::new());
        for decision in &record.decisions {
            match &decision.reason {
                Some(Reason::StaleData { .. }) => {
                    stale.insert(decision.ticker.clone());
                }
                Some(Reason::ExchangeUnavailable { cause }) => {
                    if let Some(venue) = &decision.venue {
                        away.insert(venue.clone(), cause.clone());
                    }
                }
                _ => {}
            }
        }
        let new: Vec<String> = stale.difference(&self.stale).map(ToString::to_string).collect();
        if !new.is_empty() {
            let body = format!("{}: not traded until there are new candles", new.join(", "));
            self.notifier.notify(Message::new(EventKind::StaleData, "Old data").body(body));
        }
        let told: BTreeSet<String> =
            self.desk().notes.iter().map(|(_, note)| note.clone()).collect();
        for (venue, cause) in away.iter().filter(|(venue, _)| !self.away.contains_key(*venue)) {
            let is_key = ["the API key ", "key or permission refused"];
            let message = if !is_key.iter().any(|words| cause.contains(words)) {
                Message::new(EventKind::ExchangeStatus, format!("{venue} is away"))
            } else if told.contains(&format!("{venue}: {cause}")) {
                continue;
            } else {
                let title = format!("{venue} is closed because of its key");
                Message::new(EventKind::RejectedKey, title)
            };
            self.notifier.notify(message.body(cause.clone()));
        }
        for venue in self.away.keys().filter(|venue| !away.contains_key(*venue)) {
            let title = format!("{venue} is back");
            self.notifier.notify(Message::new(EventKind::ExchangeStatus, title));
        }
        let unknown = record.decisions.iter().find_map(|decision| match &decision.reason {
            Some(reason @ Reason::TotalUnknown { .. }) => Some(reason.to_string()),
            _ => None,
        });
        if let Some(why) = unknown.as_ref().filter(|_| !self.total_unknown) {
            tracing::warn!("nothing is traded: {why}");
            let message = Message::new(EventKind::Halt, "Nothing is traded");
            self.notifier.notify(message.body(why.clone()));
        }
        let caps_stale = record.decisions.iter().any(|decision| decision.cap_stale);
        if caps_stale && !self.caps_stale {
            let title = "Market capitalisations are old; they are still used";
            self.notifier.notify(Message::new(EventKind::CapsStale, title));
        }
        self.stale = stale;
        self.away = away;
        self.caps_stale = caps_stale;
        self.total_unknown = unknown.is_some();
    }

    fn write_files(&mut self, config: &Config, state: &State) {
        let status = &config.paths.status_file;
        let mut written = status::write(status, &config.policy, state)
            .map_err(|error| format!("{} could not be written ({error})", status.display()));
        if let Some(path) = &config.paths.portfolio_export {
            written = written.and(
                status::write_csv(path, &config.policy, state)
                    .map_err(|error| format!("{} could not be written ({error})", path.display())),
            );
        }
        let error = written.err();
        if error != self.file_error {
            match &error {
                Some(error) => tracing::error!("{error}; trading goes on, the journal is complete"),
                None => tracing::info!("status files can be written again"),
            }
            self.file_error = error;
        }
    }
}

fn orders(record: &CycleRecord) -> String {
    let mut text = String::new();
    for execution in &record.executions {
        let order = &execution.intent.order;
        let _ = writeln!(
            text,
            "{} {} {} at {}: {}",
            order.side,
            order.amount,
            order.symbol,
            order.venue,
            execution.outcome.name()
        );
    }
    text
}

fn line(config: &Config, record: &CycleRecord) -> String {
    let mut line = format!(
        "{}  cycle {}  {} {}",
        record.at.to_string().split('.').next().unwrap_or_default(),
        record.cycle,
        output::decimal(record.total_after.get(), 2),
        config.policy.stablecoin
    );
    for order in orders(record).lines() {
        line.push_str("; ");
        line.push_str(order);
    }
    line
}
