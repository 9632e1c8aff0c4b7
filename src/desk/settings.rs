//! From the configuration to the settings of the chat.

use crate::exit::{Code, Failure};
use keel_config::{Config, Credentials};
use keel_telegram::{EventKind, Loudness, Settings};
use std::collections::BTreeMap;

/// The settings of the chat, or `None` when Telegram is off or its credentials are not there.
///
/// # Errors
/// When `telegram.api_url` cannot be used.
pub fn telegram_settings(
    config: &Config,
    credentials: &Credentials,
) -> Result<Option<Settings>, Failure> {
    let Some(keys) = credentials.telegram.as_ref().filter(|_| config.telegram.enabled) else {
        return Ok(None);
    };
    let api_url = match &config.telegram.api_url {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Failure::new(
                Code::BadInput,
                "telegram.api_url is no URL; expected http://127.0.0.1:8081",
            )
        })?),
    };
    Ok(Some(Settings {
        token: keys.token.expose().to_owned(),
        chat_id: keys.chat_id.expose().to_owned(),
        api_url,
        allowed_user_ids: config.telegram.allowed_user_ids.clone(),
        notifications: loudness(config),
        offset_file: Some(config.paths.journal.with_extension("telegram.json")),
        limits: keel_telegram::Limits::default(),
    }))
}

/// How loud each event is, for when the configuration was read again.
#[must_use]
pub fn loudness(config: &Config) -> BTreeMap<EventKind, Loudness> {
    let settings = config.telegram.notification_settings.iter();
    settings
        .filter_map(|(name, mode)| Some((EventKind::find(name)?, Loudness::find(mode)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_and_the_chat_name_the_same_events() {
        assert_eq!(keel_config::NOTIFICATION_EVENTS, EventKind::ALL.map(EventKind::name));
    }
}
