//! Reading again while running: an invalid edit keeps the last good configuration.

use crate::config::{BotSettings, Config, Paths, Telegram};
use crate::problem::ConfigErrors;
use keel_core::asset::{Ticker, VenueId};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What only a start reads, since connections and open files follow from it: sections and keys.
pub const START_ONLY: [&str; 20] = [
    "bot_settings.dry_run",
    "bot_settings.initial_stablecoin_balance",
    "bot_settings.max_retries_network",
    "bot_settings.retry_delay_seconds_network",
    "coingecko",
    "exchange_configurations",
    "exchanges_credentials",
    "logging",
    "paper",
    "paths.global_status_file_path",
    "paths.journal_path",
    "paths.log_dir",
    "paths.log_filename",
    "paths.ohlcv_export_dir",
    "paths.portfolio_export_path",
    "telegram.allowed_user_ids",
    "telegram.api_url",
    "telegram.credentials_key",
    "telegram.enabled",
    "telegram_credentials",
];

/// What came of reading the files again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// Nothing changed in meaning.
    Unchanged,
    /// The files were wrong the last time, and mean now what they meant before that.
    RightAgain,
    /// There is a new configuration; see [`Reloader::current`].
    Changed {
        /// What differs from before: keys such as `bot_settings.min_order_value_usd`, and the paths
        /// of strategy files.
        paths: Vec<String>,
        /// What differs from the start and is not taken before the next one; see [`START_ONLY`]. All
        /// of an edit, if it names an exchange that the start did not connect to, or another primary
        /// stablecoin than the start.
        waiting: Vec<String>,
    },
    /// The files are wrong now, so the last good configuration stays.
    KeptLastGood {
        /// What is wrong.
        problems: ConfigErrors,
        /// These problems were not there the last time: alert the operator.
        first_time: bool,
    },
}

/// The configuration in use, and which problems have been told.
#[derive(Clone, Debug)]
pub struct Reloader {
    current: Config,
    /// The venues that the start connected to.
    connected: BTreeSet<VenueId>,
    waiting: Vec<String>,
    told: Option<ConfigErrors>,
}

impl Reloader {
    /// Starts with a good configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let connected = config.policy.venues().into_iter().collect();
        Self { current: config, connected, waiting: Vec::new(), told: None }
    }

    /// The last good configuration; what only a start reads is as it was then.
    #[must_use]
    pub const fn current(&self) -> &Config {
        &self.current
    }

    /// Takes the result of loading again.
    pub fn offer(&mut self, loaded: Result<Config, ConfigErrors>) -> ReloadOutcome {
        match loaded {
            Ok(loaded) => {
                let was_wrong = self.told.take().is_some();
                let waiting = self.waiting(&loaded);
                let new = if self.waits_whole(&loaded) {
                    self.current.clone()
                } else {
                    taken(&self.current, loaded)
                };
                let old = std::mem::replace(&mut self.current, new);
                let was_waiting = std::mem::replace(&mut self.waiting, waiting);
                if is_same(&old, &self.current) && was_waiting == self.waiting {
                    return if was_wrong {
                        ReloadOutcome::RightAgain
                    } else {
                        ReloadOutcome::Unchanged
                    };
                }
                let mut paths = Vec::new();
                differences("", &old.effective, &self.current.effective, &mut paths);
                paths.extend(changed_strategy_files(&old, &self.current));
                ReloadOutcome::Changed { paths, waiting: self.waiting.clone() }
            }
            Err(problems) => {
                let first_time = self.told.as_ref() != Some(&problems);
                self.told = Some(problems.clone());
                ReloadOutcome::KeptLastGood { problems, first_time }
            }
        }
    }

    /// The exchanges of `loaded` that the start did not connect to.
    fn unconnected(&self, loaded: &Config) -> Vec<VenueId> {
        let venues = loaded.policy.venues().into_iter();
        venues.filter(|venue| !self.connected.contains(venue)).collect()
    }

    /// Whether nothing of `loaded` can be taken before a restart. Without a connection to an exchange
    /// its assets could not be read, and so nothing be distributed. Prices, caps and the paper account
    /// are in the primary stablecoin of the start.
    fn waits_whole(&self, loaded: &Config) -> bool {
        let is_same = self.current.policy.stablecoin == loaded.policy.stablecoin
            && self.current.stablecoin_id == loaded.stablecoin_id;
        !is_same || !self.unconnected(loaded).is_empty()
    }

    /// The keys of `loaded` that wait for a restart: all that differ, if some of them wait that others
    /// follow from, since the parts of an edit may belong together.
    fn waiting(&self, loaded: &Config) -> Vec<String> {
        let running = &self.current;
        let unconnected = self.unconnected(loaded);
        let mut waiting = Vec::new();
        differences("", &running.effective, &loaded.effective, &mut waiting);
        if self.waits_whole(loaded) {
            waiting.extend(changed_strategy_files(running, loaded));
        } else {
            waiting.retain(|path| is_start_only(path));
        }
        // Values that are not shown differ too.
        let hidden = [
            ("coingecko", running.coingecko != loaded.coingecko),
            ("exchange_configurations", running.venues != loaded.venues),
            ("exchanges_credentials", running.exchange_credentials != loaded.exchange_credentials),
            ("telegram_credentials", running.telegram_credentials != loaded.telegram_credentials),
        ];
        for (section, _) in hidden.into_iter().filter(|(_, differs)| *differs) {
            if !waiting.iter().any(|path| is_within(path, section)) {
                waiting.push(section.to_owned());
            }
        }
        for venue in unconnected {
            let path = format!("exchange_configurations.{venue}");
            if !waiting.contains(&path) {
                waiting.push(path);
            }
        }
        waiting
    }
}

fn is_within(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn is_start_only(path: &str) -> bool {
    START_ONLY.iter().any(|section| is_within(path, section))
}

/// `loaded`, with what only a start reads as it is in `running`.
fn taken(running: &Config, loaded: Config) -> Config {
    let running = running.clone();
    Config {
        effective: shown("", &running.effective, &loaded.effective),
        policy: loaded.policy,
        strategy_files: loaded.strategy_files,
        bot: BotSettings { cycle_sleep: loaded.bot.cycle_sleep, ..running.bot },
        paths: Paths { strategies_dir: loaded.paths.strategies_dir, ..running.paths },
        telegram: Telegram {
            notification_settings: loaded.telegram.notification_settings,
            ..running.telegram
        },
        ..running
    }
}

/// The same for what is shown of them.
fn shown(path: &str, running: &Value, loaded: &Value) -> Value {
    match (running, loaded) {
        _ if is_start_only(path) => running.clone(),
        (Value::Object(running), Value::Object(loaded)) => loaded
            .iter()
            .map(|(key, value)| {
                let old = running.get(key).unwrap_or(&Value::Null);
                (key.clone(), shown(&crate::value::child(path, key), old, value))
            })
            .collect::<Map<_, _>>()
            .into(),
        _ => loaded.clone(),
    }
}

/// Whether both mean the same. That a missing strategy file was written with the defaults, which
/// applied before, is no change.
fn is_same(old: &Config, new: &Config) -> bool {
    let old_files = old.strategy_files.iter().map(|file| (&file.path, &file.ticker));
    let new_files = new.strategy_files.iter().map(|file| (&file.path, &file.ticker));
    if !old_files.eq(new_files) {
        return false;
    }
    let old = Config { strategy_files: new.strategy_files.clone(), ..old.clone() };
    old == *new
}

/// The strategy files of assets whose parameters differ.
fn changed_strategy_files(old: &Config, new: &Config) -> Vec<String> {
    let differs = |ticker: &Ticker| match (old.policy.asset(ticker), new.policy.asset(ticker)) {
        (Some(old), Some(new)) => {
            (&old.position_params, &old.trend_params) != (&new.position_params, &new.trend_params)
        }
        _ => false,
    };
    let files = new.strategy_files.iter().filter(|file| differs(&file.ticker));
    files.map(|file| file.path.display().to_string()).collect()
}

fn differences(path: &str, old: &Value, new: &Value, paths: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let child = crate::value::child(path, key);
                let side = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or(Value::Null)
                };
                differences(&child, &side(old), &side(new), paths);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                differences(&format!("{path}[{index}]"), old, new, paths);
            }
        }
        _ if old != new => paths.push(path.to_owned()),
        _ => {}
    }
}
