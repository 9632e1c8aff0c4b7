//! Reading again while running: an invalid edit keeps the last good configuration.

use crate::config::Config;
use crate::problem::ConfigErrors;
use keel_core::asset::Ticker;
use serde_json::Value;

/// What came of reading the files again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// Nothing changed in meaning.
    Unchanged,
    /// There is a new configuration; see [`Reloader::current`].
    Changed {
        /// What differs: keys such as `bot_settings.min_order_value_usd`, and the paths of
        /// strategy files. Empty when only hidden values differ.
        paths: Vec<String>,
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
    told: Option<ConfigErrors>,
}

impl Reloader {
    /// Starts with a good configuration.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { current: config, told: None }
    }

    /// The last good configuration.
    #[must_use]
    pub const fn current(&self) -> &Config {
        &self.current
    }

    /// Takes the result of loading again.
    pub fn offer(&mut self, loaded: Result<Config, ConfigErrors>) -> ReloadOutcome {
        match loaded {
            Ok(config) => {
                self.told = None;
                let old = std::mem::replace(&mut self.current, config);
                let new = &self.current;
                if is_same(&old, new) {
                    return ReloadOutcome::Unchanged;
                }
                let mut paths = Vec::new();
                differences("", &old.effective, &new.effective, &mut paths);
                paths.extend(changed_strategy_files(&old, new));
                ReloadOutcome::Changed { paths }
            }
            Err(problems) => {
                let first_time = self.told.as_ref() != Some(&problems);
                self.told = Some(problems.clone());
                ReloadOutcome::KeptLastGood { problems, first_time }
            }
        }
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
