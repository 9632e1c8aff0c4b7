//! What a user may set, and the limits that hold in any case.

use crate::event::{EventKind, Loudness};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// How to reach the bot and whom to obey. `Debug` does not show the token.
#[derive(Clone)]
pub struct Settings {
    /// Token of the bot, as BotFather gave it.
    pub token: String,
    /// Chat to report to: a number, or `@name` of a channel.
    pub chat_id: String,
    /// Base URL of a Bot API server other than Telegram's.
    pub api_url: Option<Url>,
    /// Users whose commands are obeyed. Empty: commands are off.
    pub allowed_user_ids: BTreeSet<u64>,
    /// How loud each event is; what is absent is [`Loudness::On`].
    pub notifications: BTreeMap<EventKind, Loudness>,
    /// File that remembers which updates were handled. Without it a restart within a minute could
    /// see a command again.
    pub offset_file: Option<PathBuf>,
    /// Pauses, lengths and ages.
    pub limits: Limits,
}

/// Pauses, lengths and ages. The defaults keep within Telegram's published limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Events that wait at most; beyond it the least important and oldest is dropped and counted.
    pub events_waiting_max: usize,
    /// Events older than this are not sent any more, but counted.
    pub event_age_max: Duration,
    /// Pause between two messages to a private chat; groups get three times as much.
    pub message_pause: Duration,
    /// Pause after the first failure; it doubles with each further one.
    pub backoff_first: Duration,
    /// Longest pause after failures.
    pub backoff_max: Duration,
    /// How long Telegram keeps a request for updates open. Below the 17 s that a request may take.
    pub poll_timeout: Duration,
    /// Commands older than this are ignored.
    pub command_age_max: Duration,
    /// How long the code of a confirmation is good.
    pub confirmation_age_max: Duration,
    /// How long a command may wait for its answer.
    pub answer_timeout: Duration,
    /// Pause before commands are listened for again, after somebody else read them.
    pub conflict_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events_waiting_max: 64,
            event_age_max: Duration::from_secs(3600),
            message_pause: Duration::from_millis(1050),
            backoff_first: Duration::from_secs(2),
            backoff_max: Duration::from_secs(60),
            poll_timeout: Duration::from_secs(10),
            command_age_max: Duration::from_secs(60),
            confirmation_age_max: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(30),
            conflict_pause: Duration::from_secs(300),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("token", &"[redacted]")
            .field("chat_id", &"[redacted]")
            .field("allowed_user_ids", &self.allowed_user_ids.len())
            .field("notifications", &self.notifications)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why Telegram cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The chat is neither a number nor a name.
    #[error(
        "the Telegram chat is neither a number nor `@name`; put the chat's number in chatId, see docs/telegram.md"
    )]
    Chat,
    /// The token has not the form of a token.
    #[error(
        "the Telegram token has not the form `number:letters`; copy it from BotFather, see docs/telegram.md"
    )]
    Token,
    /// The base URL leads where the token must not go.
    #[error("telegram.api_url: {0}; expected such as http://127.0.0.1:8081")]
    ApiUrl(String),
    /// The HTTP client cannot be made.
    #[error("no HTTP client for Telegram: {0}")]
    Client(String),
}
