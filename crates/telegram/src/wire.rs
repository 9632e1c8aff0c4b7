//! The Bot API through teloxide, with errors that cannot show the token.

use crate::settings::{Settings, SettingsError};
use std::time::Duration;
use teloxide::prelude::*;
use teloxide::types::{
    AllowedUpdate, BotCommand, CallbackQueryId, InlineKeyboardButton, InlineKeyboardButtonKind,
    InlineKeyboardMarkup, InputFile, LinkPreviewOptions, ParseMode, Recipient, Update,
};
use teloxide::{ApiError, RequestError};

/// A bot and the chat it reports to.
#[derive(Clone)]
pub(crate) struct Wire {
    bot: Bot,
    chat: Recipient,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The configured chat.
    Configured,
    /// The chat a command came from.
    Chat(i64),
}

/// A button below a message.
#[derive(Clone, Debug)]
pub(crate) struct Button {
    pub(crate) label: String,
    pub(crate) data: String,
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("Telegram asks to wait {} s", .0.as_secs())]
    RetryAfter(Duration),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("Telegram does not know the token of the bot")]
    BadToken,
    #[error("Telegram refused: {0}")]
    Refused(String),
    #[error("Telegram cannot be reached: {0}")]
    Away(&'static str),
}

/// The longest reason of a refusal that is shown.
const REASON_CHARS_MAX: usize = 200;

impl Wire {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let is_token = settings.token.split_once(':').is_some_and(|(id, rest)| {
            !id.is_empty()
                && !rest.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_digit())
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        });
        if !is_token {
            return Err(SettingsError::Token);
        }
        let chat = recipient(&settings.chat_id).ok_or(SettingsError::Chat)?;
        // No proxy from the environment, and no redirect: the token is part of the URL.
        let client = teloxide::net::default_reqwest_settings()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| SettingsError::Client(error.without_url().to_string()))?;
        let mut bot = Bot::with_client(settings.token.clone(), client);
        if let Some(url) = &settings.api_url {
            if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
                return Err(SettingsError::ApiUrl);
            }
            let mut url = url.clone();
            // An empty last segment would become a double slash before the token.
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty();
            }
            bot = bot.set_api_url(url);
        }
        Ok(Self { bot, chat })
    }

    /// The number of the configured chat, where it is one.
    pub(crate) const fn chat_id(&self) -> Option<i64> {
        match &self.chat {
            Recipient::Id(id) => Some(id.0),
            Recipient::ChannelUsername(_) => None,
        }
    }

    /// The bot's name without `@`.
    pub(crate) async fn name(&self) -> Result<Option<String>, WireError> {
        let me = self.bot.get_me().await.map_err(|error| self.clean(error))?;
        Ok(me.user.username)
    }

    /// Puts the commands into the menu of the chat.
    pub(crate) async fn offer(
        &self,
        commands: impl Iterator<Item = (&'static str, &'static str)>,
    ) -> Result<(), WireError> {
        let commands = commands.map(|(name, doc)| BotCommand::new(name, doc));
        self.bot.set_my_commands(commands).await.map_err(|error| self.clean(error))?;
        Ok(())
    }

    /// Updates from `offset` on; waits up to `timeout` for the first.
    pub(crate) async fn updates(
        &self,
        offset: Option<i32>,
        timeout: Duration,
    ) -> Result<Vec<Update>, WireError> {
        let mut request = self
            .bot
            .get_updates()
            .timeout(u32::try_from(timeout.as_secs()).unwrap_or(10))
            .allowed_updates([AllowedUpdate::Message, AllowedUpdate::CallbackQuery]);
        if let Some(offset) = offset {
            request = request.offset(offset);
        }
        request.await.map_err(|error| self.clean(error))
    }

    /// Sends text, as HTML if `is_html`.
    pub(crate) async fn send_text(
        &self,
        target: Target,
        text: &str,
        is_html: bool,
        is_silent: bool,
        button: Option<&Button>,
    ) -> Result<(), WireError> {
        let mut request = self
            .bot
            .send_message(self.recipient(target), text)
            .disable_notification(is_silent)
            .link_preview_options(LinkPreviewOptions {
                is_disabled: true,
                url: None,
                prefer_small_media: false,
                prefer_large_media: false,
                show_above_text: false,
            });
        if is_html {
            request = request.parse_mode(ParseMode::Html);
        }
        if let Some(button) = button {
            let kind = InlineKeyboardButtonKind::CallbackData(button.data.clone());
            let button = InlineKeyboardButton::new(button.label.clone(), kind);
            request = request.reply_markup(InlineKeyboardMarkup::new([[button]]));
        }
        request.await.map(|_| ()).map_err(|error| self.clean(error))
    }

    /// Sends a file.
    pub(crate) async fn send_document(
        &self,
        target: Target,
        name: &str,
        bytes: Vec<u8>,
        is_silent: bool,
    ) -> Result<(), WireError> {
        let file = InputFile::memory(bytes).file_name(name.to_owned());
        self.bot
            .send_document(self.recipient(target), file)
            .disable_notification(is_silent)
            .await
            .map(|_| ())
            .map_err(|error| self.clean(error))
    }

    /// Ends the waiting animation of a button.
    pub(crate) async fn release_button(&self, query: CallbackQueryId) -> Result<(), WireError> {
        self.bot.answer_callback_query(query).await.map(|_| ()).map_err(|error| self.clean(error))
    }

    fn recipient(&self, target: Target) -> Recipient {
        match target {
            Target::Configured => self.chat.clone(),
            Target::Chat(id) => Recipient::Id(ChatId(id)),
        }
    }

    /// What the error means. Nothing of the request is repeated: its URL holds the token.
    fn clean(&self, error: RequestError) -> WireError {
        match error {
            RequestError::RetryAfter(seconds) => WireError::RetryAfter(seconds.duration()),
            RequestError::Api(ApiError::InvalidToken) => WireError::BadToken,
            RequestError::Api(ApiError::TerminatedByOtherGetUpdates) => WireError::Conflict(
                "another program reads the messages of this bot with the same token",
            ),
            RequestError::Api(ApiError::CantGetUpdates) => WireError::Conflict(WEBHOOK),
            RequestError::Api(error) => {
                let reason = match error {
                    ApiError::Unknown(reason) => reason,
                    known => known.to_string(),
                };
                if reason.contains("webhook is active") {
                    return WireError::Conflict(WEBHOOK);
                }
                if reason.starts_with("Conflict") {
                    return WireError::Conflict("Telegram reports a conflict about this bot");
                }
                let reason = reason.replace(self.bot.token(), "[redacted]");
                WireError::Refused(reason.chars().take(REASON_CHARS_MAX).collect())
            }
            RequestError::MigrateToChatId(_) => WireError::Refused(
                "the group has a new number; put it in chatId of telegram_credentials".to_owned(),
            ),
            RequestError::Network(error) if error.is_timeout() => {
                WireError::Away("no answer in time")
            }
            RequestError::Network(error) if error.is_connect() => WireError::Away("no connection"),
            RequestError::Network(_) => WireError::Away("the connection broke"),
            RequestError::InvalidJson { .. } => WireError::Away("the answer is not Telegram's"),
            RequestError::Io(_) => WireError::Refused("the file cannot be read".to_owned()),
        }
    }
}

const WEBHOOK: &str = "a webhook is set for this bot, so that its messages go elsewhere";

fn recipient(chat_id: &str) -> Option<Recipient> {
    let chat_id = chat_id.trim();
    if let Ok(id) = chat_id.parse() {
        return Some(Recipient::Id(ChatId(id)));
    }
    let name = chat_id.strip_prefix('@')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then(|| Recipient::ChannelUsername(chat_id.to_owned()))
}
