//! The Bot API: methods and types are teloxide's. Requests are carried here, because teloxide reads
//! replies of any length, and with errors that cannot show the token.

use crate::settings::{Settings, SettingsError};
use reqwest::header::CONTENT_TYPE;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use teloxide::payloads::{
    AnswerCallbackQuery, GetChat, GetMe, GetUpdates, GetWebhookInfo, SendChatAction, SendDocument,
    SendMessage, SetMyCommands,
};
use teloxide::prelude::*;
use teloxide::requests::Payload;
use teloxide::types::{
    AllowedUpdate, BotCommand, CallbackQueryId, ChatAction, InlineKeyboardButton,
    InlineKeyboardButtonKind, InlineKeyboardMarkup, LinkPreviewOptions, Me, ParseMode, Recipient,
    Update,
};
use url::Url;

/// A bot and the chat it reports to.
#[derive(Clone)]
pub(crate) struct Wire {
    client: Client,
    /// Where the methods are. It holds the token.
    base: Url,
    token: String,
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

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A whole request, also one that waits for updates.
const TIMEOUT: Duration = Duration::from_secs(17);
/// The longest reason of a refusal that is shown.
const REASON_CHARS_MAX: usize = 200;
/// The longest reply that is read.
const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Updates in one reply: so few that strangers cannot write a reply that is too long.
const UPDATES_MAX: u8 = 25;

/// What Telegram answers to every request.
#[derive(Deserialize)]
struct Reply<T> {
    ok: bool,
    result: Option<T>,
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<Parameters>,
}

/// What helps with an error.
#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// Of a chat no more than what is asked.
#[derive(Deserialize)]
struct Chat {
    #[serde(rename = "type")]
    kind: String,
}

/// Of a webhook the same.
#[derive(Deserialize)]
struct Webhook {
    url: String,
}

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
        let client = keel_net::client(keel_net::Lookup::default())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| SettingsError::Client(keel_net::without_url(error)))?;
        let mut base = match &settings.api_url {
            None => teloxide::net::TELEGRAM_API_URL
                .parse()
                .map_err(|_| SettingsError::ApiUrl("it cannot be read".to_owned()))?,
            Some(url) => {
                keel_net::host_of(url.as_str()).map_err(SettingsError::ApiUrl)?;
                url.clone()
            }
        };
        base.path_segments_mut()
            .map_err(|()| SettingsError::ApiUrl("it can have no path".to_owned()))?
            // An empty last segment would become a double slash before the token.
            .pop_if_empty()
            .push(&format!("bot{}", settings.token));
        Ok(Self { client, base, token: settings.token.clone(), chat })
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
        let me: Me = self.call(&GetMe::new()).await?;
        Ok(me.user.username)
    }

    /// Asks for the configured chat, and begins to type in it, which takes the right to write there.
    pub(crate) async fn reach_chat(&self) -> Result<(), WireError> {
        let chat: Chat = self.call(&GetChat::new(self.chat.clone())).await?;
        // Nobody types in a channel.
        if chat.kind == "channel" {
            return Ok(());
        }
        self.tell(&SendChatAction::new(self.chat.clone(), ChatAction::Typing)).await
    }

    /// Whether updates go to a webhook.
    pub(crate) async fn has_webhook(&self) -> Result<bool, WireError> {
        let webhook: Webhook = self.call(&GetWebhookInfo::new()).await?;
        Ok(!webhook.url.is_empty())
    }

    /// Puts the commands into the menu of the chat.
    pub(crate) async fn offer(
        &self,
        commands: impl Iterator<Item = (&'static str, &'static str)>,
    ) -> Result<(), WireError> {
        let commands = commands.map(|(name, doc)| BotCommand::new(name, doc));
        self.tell(&SetMyCommands::new(commands)).await
    }

    /// Updates from `offset` on; waits up to `timeout` for the first.
    pub(crate) async fn updates(
        &self,
        offset: Option<i32>,
        timeout: Duration,
    ) -> Result<Vec<Update>, WireError> {
        let mut request = GetUpdates::new()
            .timeout(u32::try_from(timeout.as_secs()).unwrap_or(10))
            .limit(UPDATES_MAX)
            .allowed_updates([AllowedUpdate::Message, AllowedUpdate::CallbackQuery]);
        request.offset = offset;
        self.call(&request).await
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
        let mut request = SendMessage::new(self.recipient(target), text)
            .disable_notification(is_silent)
            .link_preview_options(LinkPreviewOptions {
                is_disabled: true,
                url: None,
                prefer_small_media: false,
                prefer_large_media: false,
                show_above_text: false,
            });
        request.parse_mode = is_html.then_some(ParseMode::Html);
        if let Some(button) = button {
            let kind = InlineKeyboardButtonKind::CallbackData(button.data.clone());
            let button = InlineKeyboardButton::new(button.label.clone(), kind);
            request = request.reply_markup(InlineKeyboardMarkup::new([[button]]));
        }
        self.tell(&request).await
    }

    /// Sends a file.
    pub(crate) async fn send_document(
        &self,
        target: Target,
        name: &str,
        bytes: Vec<u8>,
        is_silent: bool,
    ) -> Result<(), WireError> {
        let form = Form::new()
            .text("chat_id", self.recipient(target).to_string())
            .text("disable_notification", is_silent.to_string())
            .part("document", Part::bytes(bytes).file_name(name.to_owned()));
        let request = self.post(SendDocument::NAME)?.multipart(form);
        self.carry(request).await.map(|_: IgnoredAny| ())
    }

    /// Ends the waiting animation of a button.
    pub(crate) async fn release_button(&self, query: CallbackQueryId) -> Result<(), WireError> {
        self.tell(&AnswerCallbackQuery::new(query)).await
    }

    fn recipient(&self, target: Target) -> Recipient {
        match target {
            Target::Configured => self.chat.clone(),
            Target::Chat(id) => Recipient::Id(ChatId(id)),
        }
    }

    /// A request whose result does not matter. What was sent is sent, whatever Telegram tells of it.
    async fn tell<P: Payload + Serialize>(&self, payload: &P) -> Result<(), WireError> {
        self.call(payload).await.map(|_: IgnoredAny| ())
    }

    async fn call<P, T>(&self, payload: &P) -> Result<T, WireError>
    where
        P: Payload + Serialize,
        T: DeserializeOwned,
    {
        let body = serde_json::to_vec(payload)
            .map_err(|error| WireError::Refused(format!("it cannot be written: {error}")))?;
        let request = self.post(P::NAME)?.header(CONTENT_TYPE, "application/json").body(body);
        self.carry(request).await
    }

    fn post(&self, method: &str) -> Result<RequestBuilder, WireError> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| WireError::Away(NO_URL))?.push(method);
        Ok(self.client.post(url))
    }

    async fn carry<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, WireError> {
        let response = request.send().await.map_err(away)?;
        let body = read(response).await?;
        let reply: Reply<T> =
            serde_json::from_slice(&body).map_err(|_| WireError::Away(NOT_TELEGRAM))?;
        match reply {
            Reply { ok: true, result: Some(result), .. } => Ok(result),
            reply => Err(self.refusal(&reply)),
        }
    }

    /// What a refusal means. Nothing of the request is repeated: its URL holds the token.
    fn refusal<T>(&self, reply: &Reply<T>) -> WireError {
        let reason = reply.description.as_deref().unwrap_or("without a reason");
        let parameters = reply.parameters.as_ref();
        if let Some(seconds) = parameters.and_then(|known| known.retry_after) {
            return WireError::RetryAfter(Duration::from_secs(seconds));
        }
        if parameters.is_some_and(|known| known.migrate_to_chat_id.is_some()) {
            return WireError::Refused(
                "the group has a new number; put it in chatId of telegram_credentials".to_owned(),
            );
        }
        match reply.error_code {
            Some(401 | 404) => WireError::BadToken,
            Some(409) if reason.contains("webhook") => WireError::Conflict(WEBHOOK),
            Some(409) => WireError::Conflict(OTHER_READER),
            Some(500..) => WireError::Away("its server failed"),
            _ => {
                let reason = reason.replace(&self.token, "[redacted]");
                WireError::Refused(reason.chars().take(REASON_CHARS_MAX).collect())
            }
        }
    }
}

/// Reads a reply up to its longest length.
async fn read(mut response: Response) -> Result<Vec<u8>, WireError> {
    let too_long = |bytes: usize| bytes > REPLY_BYTES_MAX;
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, too_long) {
        return Err(WireError::Away(TOO_LONG));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if too_long(body.len() + chunk.len()) {
            return Err(WireError::Away(TOO_LONG));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Only the kind of the error: its words may hold the URL.
fn away(error: reqwest::Error) -> WireError {
    WireError::Away(if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    })
}

const TOO_LONG: &str = "the answer is longer than 8 MiB";
const NOT_TELEGRAM: &str = "the answer is not Telegram's";
const NO_URL: &str = "its URL cannot be used";
const OTHER_READER: &str = "another program reads the messages of this bot with the same token";
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
