//! The one table of fields. Validation, defaults, the JSON Schema, the reference page, the starter
//! and the nearest-key search all read it, so they cannot disagree.

use keel_core::time::{TIMEFRAMES, Timeframe};

mod rows;

pub use rows::SECTIONS;

/// How a section is laid out in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One object with the fields.
    Object,
    /// An object of named objects with the fields; the text is the placeholder for the name.
    Map(&'static str),
    /// An array of objects with the fields.
    List,
}

/// A top-level key of the configuration.
#[derive(Debug)]
pub struct Section {
    /// The key.
    pub key: &'static str,
    /// How it is laid out.
    pub shape: Shape,
    /// Whether the file must have it.
    pub is_required: bool,
    /// Whether its values are credentials, which no message may show.
    pub is_private: bool,
    /// One sentence for help.
    pub doc: &'static str,
    /// The fields.
    pub fields: &'static [Field],
}

impl Section {
    /// The path of a field with placeholders: `exchange_configurations.<id>.sandbox`.
    #[must_use]
    pub fn path(&self, field: &Field) -> String {
        match self.shape {
            Shape::Object => format!("{}.{}", self.key, field.key),
            Shape::Map(name) => format!("{}.{name}.{}", self.key, field.key),
            Shape::List => format!("{}[].{}", self.key, field.key),
        }
    }

    /// The field of that name or alias.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key || field.alias == Some(key))
    }
}

/// When a field must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Never.
    Optional,
    /// Always.
    Required,
    /// For assets with `level >= 1`.
    Tradable,
}

/// One key of a section.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// A second name that means the same.
    pub alias: Option<&'static str>,
    /// Type and range.
    pub kind: Kind,
    /// When it must be given.
    pub need: Need,
    /// Whether `null` may stand for "not given".
    pub is_nullable: bool,
    /// What an absent field means, as JSON.
    pub default: Option<&'static str>,
    /// What the starter writes where there is no default, as JSON.
    pub example: Option<&'static str>,
    /// One sentence for help and editors.
    pub doc: &'static str,
}

/// Bounds of a decimal, as they are written in messages.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The smallest value.
    pub min: &'static str,
    /// The largest value.
    pub max: &'static str,
    /// Whether `min` itself is refused.
    pub is_above_min: bool,
}

/// Type and range of a field.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number, written `1` or `1.0`.
    Whole {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// An exact decimal number.
    Decimal(Bounds),
    /// A bar length in seconds: 0 or one of `keel_core::time::TIMEFRAMES`.
    Interval,
    /// One of a list of names.
    Choice(fn() -> Vec<&'static str>),
    /// The name of a log level, in upper or lower case.
    LogLevel,
    /// A ticker.
    Ticker,
    /// A venue, or `N/A` for none.
    Venue,
    /// An id at CoinGecko.
    CoinGeckoId,
    /// Text without control characters.
    Text,
    /// A path, relative to the working directory.
    Path,
    /// A file name without any directory.
    FileName,
    /// A credential.
    Secret,
    /// A Telegram chat: a number, a number in quotes, or a credential reference.
    ChatId,
    /// An object that is passed on as it is.
    Options,
    /// An http or https URL.
    Url,
    /// An array of Telegram users by number.
    UserIds,
    /// An object of event names, each `on`, `silent` or `off`.
    Notifications,
    /// An object of names and URLs.
    Urls,
    /// An object of names and log levels.
    LogLevels,
    /// An object of venues, each an object of tickers and amounts.
    Balances,
}

impl Kind {
    /// The type and range in words: `a whole number, 1 to 1000`.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Whole { min, max } => format!("a whole number, {min} to {max}"),
            Self::Decimal(bounds) if bounds.is_above_min => {
                format!("a number above {} and at most {}", bounds.min, bounds.max)
            }
            Self::Decimal(bounds) => format!("a number, {} to {}", bounds.min, bounds.max),
            Self::Interval => format!("a bar length in seconds: {}", interval_list(timeframes())),
            Self::Choice(names) => match names().as_slice() {
                [only] => format!("\"{only}\""),
                names => format!("one of {}", names.join(", ")),
            },
            Self::LogLevel => format!("one of {}", LOG_LEVELS.map(|(name, _)| name).join(", ")),
            Self::Ticker => "a ticker: 1 to 32 letters or digits, such as BTC".to_owned(),
            Self::Venue => "an exchange of exchange_configurations, such as binance".to_owned(),
            Self::CoinGeckoId => {
                "an id at CoinGecko: lowercase letters, digits, `-`, `_` or `.`, such as bitcoin"
                    .to_owned()
            }
            Self::Text => "text without control characters".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::FileName => {
                "a plain file name of letters, digits, `_`, `-` and `.`, such as BTC_strategy.json"
                    .to_owned()
            }
            Self::Secret => "\"${ENV_NAME}\" or \"file:PATH\"".to_owned(),
            Self::ChatId => "a chat number such as -100123, or \"${ENV_NAME}\"".to_owned(),
            Self::Options => "an object".to_owned(),
            Self::Url => "an http or https URL without user name, password and query".to_owned(),
            Self::UserIds => "an array of user numbers such as [123456789]".to_owned(),
            Self::Notifications => {
                "an object of events, each \"on\", \"silent\" or \"off\"".to_owned()
            }
            Self::Urls => "an object of names and http, https, ws or wss URLs".to_owned(),
            Self::LogLevels => "an object of library names and log levels".to_owned(),
            Self::Balances => {
                "an object of exchanges, each an object of tickers and amounts of at least 0"
                    .to_owned()
            }
        }
    }
}

/// The events of `telegram.notification_settings`.
pub const NOTIFICATION_EVENTS: [&str; 13] = [
    "startup",
    "shutdown",
    "cycle",
    "fill",
    "error",
    "pause",
    "stale_data",
    "rejected_key",
    "unknown_order",
    "halt",
    "caps_stale",
    "config_rejected",
    "exchange_status",
];

/// How an event of `telegram.notification_settings` is sent.
pub(crate) const NOTIFICATION_MODES: [&str; 3] = ["on", "silent", "off"];

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And what needs attention.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The lowercase name that `tracing` uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The names of log levels: ours, and those of Python's `logging`.
pub(crate) const LOG_LEVELS: [(&str, LogLevel); 7] = [
    ("TRACE", LogLevel::Trace),
    ("DEBUG", LogLevel::Debug),
    ("INFO", LogLevel::Info),
    ("WARN", LogLevel::Warn),
    ("WARNING", LogLevel::Warn),
    ("ERROR", LogLevel::Error),
    ("CRITICAL", LogLevel::Error),
];

/// The log level called `name`, in upper or lower case.
#[must_use]
pub(crate) fn log_level(name: &str) -> Option<LogLevel> {
    LOG_LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
}

/// Every length of bars.
pub(crate) fn timeframes() -> impl Iterator<Item = Timeframe> {
    TIMEFRAMES.iter().filter_map(|(seconds, _)| Timeframe::from_seconds(u64::from(*seconds)))
}

/// Lengths of bars as they are typed, with their names.
pub(crate) fn interval_list(timeframes: impl Iterator<Item = Timeframe>) -> String {
    let names: Vec<String> =
        timeframes.map(|timeframe| format!("{} ({timeframe})", timeframe.seconds())).collect();
    names.join(", ")
}
