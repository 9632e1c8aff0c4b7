//! The portfolio configuration: what was typed, what is wrong with it, and what it means.
//!
//! [`load`] reads a file into a [`Config`] or tells every problem at once. All that is known about
//! the keys is in one table, [`SECTIONS`].

mod check;
mod config;
mod document;
mod dotenv;
mod load;
mod problem;
mod reload;
mod resolve;
mod rules;
mod schema;
mod secret;
mod starter;
mod strategy;
mod table;
mod value;

pub use config::{
    BotSettings, CoinGecko, Config, Credentials, ExchangeCredentials, Logging, Options, Paper,
    Paths, StrategyFile, Telegram, TelegramCredentials, TelegramKeys, VenueConfig, VenueKeys,
    effective, resolve_secrets,
};
pub use document::{DEPTH_MAX, FILE_BYTES_MAX};
pub use dotenv::parse_dotenv;
pub use load::{load, load_for_trading, load_for_venues};
pub use problem::{ConfigErrors, Problem, ProblemKind};
pub use reload::{ReloadOutcome, Reloader, START_ONLY};
pub use schema::schema;
pub use secret::{REDACTED, Secret, SecretRef};
pub use starter::{reference, starter};
pub use strategy::{
    IfMissing, StrategyParams, read_strategy, write_missing_strategies, write_strategy,
};
pub use table::{
    Bounds, Field, Kind, LogLevel, NOTIFICATION_EVENTS, Need, SECTIONS, Section, Shape,
};
