//! Reports and commands in a Telegram chat.
//!
//! [`start`] gives a [`Notifier`], which never blocks and never fails, and the [`Request`]s of
//! operators. Nothing that Telegram does, or fails to do, reaches the trading side.

mod command;
mod confirm;
mod event;
mod gate;
mod listener;
mod notifier;
mod offset;
mod outbox;
mod random;
mod sender;
mod settings;
mod text;
mod wire;

pub use command::{Answer, COMMANDS, Command, CommandRow, Part, Request};
pub use event::{Content, Document, Event, EventKind, Loudness};
pub use notifier::Notifier;
pub use settings::{Limits, Settings, SettingsError};
pub use text::{MESSAGE_UNITS_MAX, escape, split};

use tokio::sync::mpsc;

/// What the daemon holds of Telegram.
#[derive(Debug)]
pub struct Handle {
    /// Where events go.
    pub notifier: Notifier,
    /// What allowed users asked for. It never ends while the notifier lives; without allowed users
    /// it stays empty.
    pub commands: mpsc::Receiver<Request>,
}

/// Commands that wait for the daemon; more are answered with "busy".
const COMMANDS_WAITING_MAX: usize = 16;

/// Starts sending and, if users are allowed, listening, as tasks of the current tokio runtime.
///
/// # Errors
/// When the settings cannot be used. Telegram itself is not asked: it may be away for now.
pub fn start(settings: Settings) -> Result<Handle, SettingsError> {
    let wire = wire::Wire::new(&settings)?;
    let (sender, commands) = mpsc::channel(COMMANDS_WAITING_MAX);
    let notifier = Notifier::new(&settings, sender.clone());
    tokio::spawn(sender::run(wire.clone(), notifier.clone(), settings.limits));
    if !settings.allowed_user_ids.is_empty() {
        tokio::spawn(listener::run(wire, notifier.clone(), sender, settings));
    }
    Ok(Handle { notifier, commands })
}

/// What Telegram tells of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// `@name`.
    pub name: String,
    /// What users say goes elsewhere, to a webhook, and not to commands.
    pub has_webhook: bool,
}

/// Asks Telegram whether the token is good, whether the bot can write to the chat, and whether it could
/// hear commands. No message is sent; in the chat it seems to type for a moment.
///
/// # Errors
/// What is wrong, in words without the token.
pub async fn probe(settings: &Settings) -> Result<Probe, String> {
    let wire = wire::Wire::new(settings).map_err(|error| error.to_string())?;
    let name = wire.name().await.map_err(|error| error.to_string())?;
    let name = name.map_or_else(|| "a bot without a name".to_owned(), |name| format!("@{name}"));
    wire.reach_chat().await.map_err(|error| {
        format!(
            "{name} cannot write to the chat: {error}; open a chat with it and press Start, or add it to the group, and compare chatId of telegram_credentials"
        )
    })?;
    let has_webhook = wire.has_webhook().await.map_err(|error| error.to_string())?;
    Ok(Probe { name, has_webhook })
}
