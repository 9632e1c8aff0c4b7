//! The configuration as the rest of the program sees it: checked, with defaults filled in.

use crate::problem::{ConfigErrors, Fault, Problem};
use crate::secret::{Secret, SecretRef};
use crate::table::LogLevel;
use keel_core::amount::{Money, Qty};
use keel_core::asset::{Ticker, VenueId};
use keel_core::policy::Policy;
use keel_core::strategy::Strategy;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A whole configuration. Equal configurations mean the same, whatever their comments.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// What a cycle needs to know.
    pub policy: Policy,
    /// The id of the primary stablecoin at CoinGecko, whose price there is a witness of its peg.
    pub stablecoin_id: Option<String>,
    /// How the bot runs.
    pub bot: BotSettings,
    /// Where files are.
    pub paths: Paths,
    /// What is logged.
    pub logging: Logging,
    /// Every configured venue, used or not.
    pub venues: BTreeMap<VenueId, VenueConfig>,
    /// Credentials of venues by the names that `credentials_key` uses.
    pub exchange_credentials: BTreeMap<String, ExchangeCredentials>,
    /// Reports and commands in a chat.
    pub telegram: Telegram,
    /// Telegram bots by the names that `telegram.credentials_key` uses.
    pub telegram_credentials: BTreeMap<String, TelegramCredentials>,
    /// The simulated exchange.
    pub paper: Paper,
    /// Where market caps come from.
    pub coingecko: CoinGecko,
    /// The strategy file of each asset that names one, in the order of the configuration.
    pub strategy_files: Vec<StrategyFile>,
    pub(crate) effective: serde_json::Value,
}

/// How the bot runs. What a cycle needs to know is in [`Policy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotSettings {
    /// True is paper trading. Live trading needs false here and a flag on the command line.
    pub dry_run: bool,
    /// Pause between cycles.
    pub cycle_sleep: Duration,
    /// How often a failed read is tried again.
    pub max_retries_network: u32,
    /// Pause before a read is tried again.
    pub retry_delay_network: Duration,
    /// First deposit of the paper account.
    pub initial_stablecoin_balance: Money,
}

/// Where files are; relative paths start at the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Directory of the strategy files.
    pub strategies_dir: PathBuf,
    /// `status.json`.
    pub status_file: PathBuf,
    /// The SQLite journal.
    pub journal: PathBuf,
    /// Directory of log files.
    pub log_dir: PathBuf,
    /// Name of the log file.
    pub log_filename: String,
    /// CSV of the portfolio, if one is wanted.
    pub portfolio_export: Option<PathBuf>,
    /// Directory for CSV files of candles, if they are wanted.
    pub ohlcv_export_dir: Option<PathBuf>,
}

/// What is logged and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The least important messages that are logged.
    pub level: LogLevel,
    /// One JSON object per line.
    pub json: bool,
}

/// An entry of `exchange_configurations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueConfig {
    /// Entry of `exchange_credentials`; `None` only in dry runs and for unused venues.
    pub credentials_key: Option<String>,
    /// Use the venue's test environment.
    pub sandbox: bool,
    /// Settings of the adapter.
    pub options: Options,
    /// Base URLs to use instead of the usual ones, by name.
    pub urls: BTreeMap<String, String>,
}

/// An entry of `exchanges_credentials`, not looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeCredentials {
    /// API key.
    pub api_key: SecretRef,
    /// API secret.
    pub secret: SecretRef,
    /// API passphrase, where the venue has one.
    pub password: Option<SecretRef>,
}

/// Reports and commands in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telegram {
    /// Whether it is used.
    pub enabled: bool,
    /// Entry of `telegram_credentials`.
    pub credentials_key: Option<String>,
    /// Users whose commands are obeyed.
    pub allowed_user_ids: BTreeSet<u64>,
    /// How events are sent, where it was said: `on`, `silent` or `off` by the event's name.
    pub notification_settings: BTreeMap<String, String>,
    /// Base URL of a Bot API server other than Telegram's.
    pub api_url: Option<String>,
}

/// An entry of `telegram_credentials`, not looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramCredentials {
    /// Token of the bot.
    pub token: SecretRef,
    /// The chat.
    pub chat_id: SecretRef,
}

/// Where market caps come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinGecko {
    /// Base URL to use instead of the usual one.
    pub base_url: Option<String>,
    /// API key, not looked up.
    pub api_key: Option<SecretRef>,
    /// The key is of a paid plan.
    pub is_pro: bool,
    /// Directory of append-only files of every cap with its fetch time.
    pub archive: PathBuf,
    /// Largest distance of its price from the venue's before an id is taken for the wrong coin.
    pub max_price_deviation: Decimal,
}

/// The simulated exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paper {
    /// Fee of each fill, in basis points.
    pub fee_bps: Decimal,
    /// Distance of bid and ask from the middle, in basis points.
    pub half_spread_bps: Decimal,
    /// Basis points by which the price worsens for each percent of the candle's volume taken.
    pub slippage_bps_per_percent_of_volume: Decimal,
    /// Largest share of the candle's volume that fills, 0 < share <= 1.
    pub max_volume_share: Decimal,
    /// First balances, if they are not just `initial_stablecoin_balance`.
    pub initial_balances: Option<BTreeMap<VenueId, BTreeMap<Ticker, Qty>>>,
}

/// The strategy file of one asset.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyFile {
    /// Whose it is.
    pub ticker: Ticker,
    /// Where it is.
    pub path: PathBuf,
    /// What its keys mean.
    pub strategy: &'static Strategy,
    /// Whether zeros are allowed in it.
    pub is_stablecoin: bool,
    /// It did not exist when the configuration was read, so the defaults apply.
    pub is_missing: bool,
}

/// Free-form settings. `Debug` shows the names only, since people put keys and tokens here.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options(pub(crate) serde_json::Map<String, serde_json::Value>);

impl Options {
    /// The value called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&serde_json::Value> {
        self.0.get(name)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Looked-up credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Keys of each venue that has usable ones.
    pub venues: BTreeMap<VenueId, VenueKeys>,
    /// The bot, when Telegram is enabled and its credentials are usable.
    pub telegram: Option<TelegramKeys>,
    /// Key of CoinGecko, if there is one.
    pub coingecko: Option<Secret>,
    /// What could not be looked up; always empty for a live configuration.
    pub unresolved: Vec<Problem>,
}

/// Keys of one venue.
#[derive(Clone, Debug)]
pub struct VenueKeys {
    /// API key.
    pub api_key: Secret,
    /// API secret.
    pub secret: Secret,
    /// API passphrase.
    pub password: Option<Secret>,
}

/// A Telegram bot and its chat.
#[derive(Clone, Debug)]
pub struct TelegramKeys {
    /// Token of the bot.
    pub token: Secret,
    /// The chat.
    pub chat_id: Secret,
}

impl Config {
    /// The venues that tradable assets use, with their settings, in alphabetical order.
    pub fn used_venues(&self) -> impl Iterator<Item = (VenueId, &VenueConfig)> {
        self.policy
            .venues()
            .into_iter()
            .filter_map(|id| self.venues.get(&id).map(|venue| (id, venue)))
    }
}

/// The whole configuration with its defaults; credentials show as `${NAME}`, `file:PATH` or
/// `[redacted]`.
#[must_use]
pub fn effective(config: &Config) -> serde_json::Value {
    config.effective.clone()
}

/// Looks up the credentials of the venues in use and of Telegram, when it is enabled.
///
/// # Errors
/// When the configuration is live and a credential cannot be looked up. In a dry run such a
/// credential is left out and listed in [`Credentials::unresolved`].
pub fn resolve_secrets(
    config: &Config,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Credentials, ConfigErrors> {
    let file = config.path.display().to_string();
    let mut unresolved = Vec::new();
    let mut look_up = |reference: &SecretRef, path: String| match reference.resolve(env) {
        Ok(secret) => Some(secret),
        Err(fault) => {
            unresolved.push(Fault::at(fault, file.clone(), path, None));
            None
        }
    };
    let mut venues = BTreeMap::new();
    for (id, venue) in config.used_venues() {
        let Some(key) = &venue.credentials_key else { continue };
        let Some(typed) = config.exchange_credentials.get(key) else { continue };
        let at = |field: &str| format!("exchanges_credentials.{key}.{field}");
        let api_key = look_up(&typed.api_key, at("apiKey"));
        let secret = look_up(&typed.secret, at("secret"));
        // A blank passphrase is how the seed's files say that there is none.
        let password = match &typed.password {
            None | Some(SecretRef::Blank) => Some(None),
            Some(reference) => look_up(reference, at("password")).map(Some),
        };
        if let (Some(api_key), Some(secret), Some(password)) = (api_key, secret, password) {
            venues.insert(id, VenueKeys { api_key, secret, password });
        }
    }
    let mut telegram = None;
    if let Some(key) = config.telegram.credentials_key.as_ref().filter(|_| config.telegram.enabled)
        && let Some(typed) = config.telegram_credentials.get(key)
    {
        let at = |field: &str| format!("telegram_credentials.{key}.{field}");
        let token = look_up(&typed.token, at("apiKey"));
        let chat_id = look_up(&typed.chat_id, at("chatId"));
        telegram = token.zip(chat_id).map(|(token, chat_id)| TelegramKeys { token, chat_id });
    }
    let coingecko = config
        .coingecko
        .api_key
        .as_ref()
        .filter(|reference| **reference != SecretRef::Blank)
        .and_then(|reference| look_up(reference, "coingecko.api_key".to_owned()));
    if !config.bot.dry_run && !unresolved.is_empty() {
        return Err(ConfigErrors::new(unresolved));
    }
    Ok(Credentials { venues, telegram, coingecko, unresolved })
}
