//! The Telegram Bot API double: one bot, what it sent, and what users say to it.

use crate::server::Shared;
use crate::world::{Call, Reply, World};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest a poll waits here, whatever the bot asks for.
const POLL_MAX: Duration = Duration::from_secs(50);
const UPDATES_MAX: usize = 100;

/// Something the bot sent or changed.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    /// Bot API method.
    pub method: String,
    /// Number of the message.
    pub message_id: i64,
    /// To whom.
    pub chat_id: String,
    /// Text or caption.
    pub text: String,
    /// Name of the document.
    pub file_name: Option<String>,
    /// Text of the document.
    pub document: Option<String>,
    /// All parameters.
    pub parameters: BTreeMap<String, String>,
}

/// The state of the bot.
#[derive(Clone, Debug, Default)]
pub struct Telegram {
    token: String,
    /// Updates not confirmed by an offset yet.
    updates: Vec<Value>,
    next_update: i64,
    next_message: i64,
    /// What the bot sent, oldest first.
    pub sent: Vec<Sent>,
    /// The commands that the bot set.
    pub commands: Value,
    /// The address of a webhook that a stranger set; polling is refused while there is one.
    pub webhook: Option<String>,
}

impl Telegram {
    /// A bot with this token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self { token: token.to_owned(), next_update: 1, next_message: 1, ..Self::default() }
    }

    /// A user says something to the bot in a private chat (or in a group with another `chat_id`).
    /// Gives the number of the update.
    pub fn say(&mut self, user_id: i64, chat_id: i64, text: &str, at_ms: i64) -> i64 {
        let message_id = self.next_message;
        self.next_message += 1;
        let kind = if user_id == chat_id { "private" } else { "group" };
        let mut message = json!({
            "message_id": message_id,
            "from": {"id": user_id, "is_bot": false, "first_name": "User", "username": "user"},
            "chat": {"id": chat_id, "type": kind},
            "date": at_ms / 1000,
            "text": text,
        });
        if kind == "group" {
            message["chat"]["title"] = json!("Group");
        } else {
            message["chat"]["first_name"] = json!("User");
        }
        if text.starts_with('/') {
            let length = text.split_whitespace().next().map_or(0, |word| word.chars().count());
            message["entities"] = json!([{"type": "bot_command", "offset": 0, "length": length}]);
        }
        self.inject(json!({"message": message}))
    }

    /// A user presses a button under a message of the bot.
    pub fn press(
        &mut self,
        user_id: i64,
        chat_id: i64,
        message_id: i64,
        data: &str,
        at_ms: i64,
    ) -> i64 {
        let id = format!("{}", 1_000_000 + self.next_update);
        self.inject(json!({"callback_query": {
            "id": id,
            "from": {"id": user_id, "is_bot": false, "first_name": "User", "username": "user"},
            "chat_instance": "1",
            "data": data,
            "message": {
                "message_id": message_id,
                "from": self.me(),
                "chat": {"id": chat_id, "type": "private", "first_name": "User"},
                "date": at_ms / 1000,
                "text": "?",
            },
        }}))
    }

    /// Any update without its number, which it gets here.
    pub fn inject(&mut self, mut update: Value) -> i64 {
        let number = self.next_update;
        self.next_update += 1;
        if let Value::Object(fields) = &mut update {
            fields.entry("update_id").or_insert_with(|| json!(number));
        }
        self.updates.push(update);
        number
    }

    fn me(&self) -> Value {
        let id = self.token.split(':').next().and_then(|id| id.parse::<i64>().ok()).unwrap_or(1);
        json!({"id": id, "is_bot": true, "first_name": "Keel", "username": "keel_simex_bot"})
    }
}

fn number(update: &Value) -> i64 {
    update.get("update_id").and_then(Value::as_i64).unwrap_or(0)
}

/// Text parameters and the document of a request, whichever way it encodes them.
#[derive(Default)]
struct Form {
    fields: BTreeMap<String, String>,
    file: Option<(String, String)>,
}

fn form(call: &Call) -> Form {
    let mut form = Form::default();
    let query = url::form_urlencoded::parse(call.query.as_bytes()).into_owned();
    form.fields.extend(query);
    let kind = call.header("content-type");
    if kind.starts_with("application/json") {
        if let Ok(Value::Object(fields)) = serde_json::from_slice(&call.body) {
            form.fields.extend(fields.into_iter().map(|(key, value)| match value {
                Value::String(text) => (key, text),
                other => (key, other.to_string()),
            }));
        }
    } else if let Some(boundary) = kind.split("boundary=").nth(1) {
        read_multipart(&call.body, boundary.trim_matches('"'), &mut form);
    } else {
        form.fields.extend(url::form_urlencoded::parse(&call.body).into_owned());
    }
    form
}

fn read_multipart(body: &[u8], boundary: &str, form: &mut Form) {
    let text = String::from_utf8_lossy(body);
    for part in text.split(&format!("--{boundary}")) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else { continue };
        let content = content.strip_suffix("\r\n").unwrap_or(content).to_owned();
        let attribute = |name: &str| {
            let rest = head.split(&format!(" {name}=\"")).nth(1)?;
            rest.split('"').next().map(str::to_owned)
        };
        let Some(name) = attribute("name") else { continue };
        match attribute("filename") {
            Some(file) => form.file = Some((file, content)),
            None => {
                form.fields.insert(name, content);
            }
        }
    }
}

fn good(result: &Value) -> Reply {
    Reply::json(200, &json!({"ok": true, "result": result}))
}

fn bad(code: u16, description: &str) -> Reply {
    Reply::json(code, &json!({"ok": false, "error_code": code, "description": description}))
}

/// Waits, for a poll with a time-out, until there is an update that the bot has not seen.
pub async fn wait_for_news(shared: &Shared, call: &Call) {
    if !call.path.to_ascii_lowercase().ends_with("/getupdates") {
        return;
    }
    let form = form(call);
    let wanted = form.fields.get("timeout").and_then(|text| text.parse().ok()).unwrap_or(0);
    let offset = form.fields.get("offset").and_then(|text| text.parse().ok()).unwrap_or(i64::MIN);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wanted).min(POLL_MAX);
    loop {
        let rung = shared.news.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        let news = {
            let world = shared.world();
            let bot = &world.telegram;
            bot.webhook.is_some() || bot.updates.iter().any(|update| number(update) >= offset)
        };
        if news || tokio::time::timeout_at(deadline, rung).await.is_err() {
            return;
        }
    }
}

/// Answers a request.
pub fn handle(world: &mut World, call: &Call) -> Reply {
    let at_ms = world.clock.now_ms();
    let bot = &mut world.telegram;
    let Some((token, method)) =
        call.path.strip_prefix("/bot").and_then(|rest| rest.split_once('/'))
    else {
        return bad(404, "Not Found");
    };
    if token != bot.token {
        return bad(401, "Unauthorized");
    }
    let form = form(call);
    match method.to_ascii_lowercase().as_str() {
        "getme" => {
            let mut me = bot.me();
            for right in [
                "can_join_groups",
                "can_read_all_group_messages",
                "supports_inline_queries",
                "can_connect_to_business",
                "has_main_web_app",
            ] {
                me[right] = json!(false);
            }
            good(&me)
        }
        "getupdates" => updates(bot, &form),
        "sendmessage" | "senddocument" => send(bot, method, form, at_ms),
        "editmessagetext" => edit(bot, method, form, at_ms),
        "answercallbackquery" => {
            record(bot, method, 0, form);
            good(&json!(true))
        }
        // Nothing stays of it.
        "sendchataction" => good(&json!(true)),
        "getchat" => {
            let chat = form.fields.get("chat_id").and_then(|id| id.parse::<i64>().ok());
            good(&json!({"id": chat.unwrap_or(0), "type": "private", "first_name": "User"}))
        }
        "setmycommands" => {
            let commands = form.fields.get("commands").map_or("[]", String::as_str);
            bot.commands = serde_json::from_str(commands).unwrap_or(Value::Null);
            good(&json!(true))
        }
        "getmycommands" => good(&bot.commands.clone()),
        "deletewebhook" => {
            bot.webhook = None;
            good(&json!(true))
        }
        "setwebhook" => {
            bot.webhook = form.fields.get("url").filter(|url| !url.is_empty()).cloned();
            good(&json!(true))
        }
        "getwebhookinfo" => good(&json!({
            "url": bot.webhook.clone().unwrap_or_default(),
            "has_custom_certificate": false,
            "pending_update_count": bot.updates.len(),
        })),
        "close" | "logout" => good(&json!(true)),
        _ => bad(404, "Not Found: method not found"),
    }
}

fn updates(bot: &mut Telegram, form: &Form) -> Reply {
    if bot.webhook.is_some() {
        let words = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
        return bad(409, words);
    }
    let parsed = |name: &str| form.fields.get(name).and_then(|text| text.parse::<i64>().ok());
    let limit =
        parsed("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(UPDATES_MAX);
    match parsed("offset") {
        // From the end: everything before is forgotten.
        Some(offset) if offset < 0 => {
            let keep = usize::try_from(-offset).unwrap_or(usize::MAX).min(bot.updates.len());
            bot.updates.drain(..bot.updates.len() - keep);
        }
        Some(offset) => bot.updates.retain(|update| number(update) >= offset),
        None => {}
    }
    let page: Vec<&Value> = bot.updates.iter().take(limit.clamp(1, UPDATES_MAX)).collect();
    good(&json!(page))
}

fn record(bot: &mut Telegram, method: &str, message_id: i64, form: Form) -> Sent {
    let field = |name: &str| form.fields.get(name).cloned().unwrap_or_default();
    let text = Some(field("text")).filter(|text| !text.is_empty());
    let (file_name, document) = form.file.clone().unzip();
    let sent = Sent {
        method: method.to_owned(),
        message_id,
        chat_id: field("chat_id"),
        text: text.unwrap_or_else(|| field("caption")),
        file_name,
        document,
        parameters: form.fields,
    };
    bot.sent.push(sent.clone());
    sent
}

fn message(bot: &Telegram, sent: &Sent, at_ms: i64) -> Value {
    let chat: i64 = sent.chat_id.parse().unwrap_or(0);
    let mut message = json!({
        "message_id": sent.message_id,
        "from": bot.me(),
        "chat": {"id": chat, "type": "private", "first_name": "User"},
        "date": at_ms / 1000,
    });
    match &sent.file_name {
        None => message["text"] = json!(sent.text),
        Some(name) => {
            message["document"] = json!({
                "file_id": format!("file{}", sent.message_id),
                "file_unique_id": format!("unique{}", sent.message_id),
                "file_name": name,
                "file_size": sent.document.as_ref().map_or(0, String::len),
            });
            message["caption"] = json!(sent.text);
        }
    }
    message
}

fn send(bot: &mut Telegram, method: &str, form: Form, at_ms: i64) -> Reply {
    let text = form.fields.get("text").map_or("", String::as_str);
    if !form.fields.contains_key("chat_id") {
        return bad(400, "Bad Request: chat_id is empty");
    }
    if form.file.is_none() && text.trim().is_empty() {
        return bad(400, "Bad Request: message text is empty");
    }
    if text.chars().count() > 4096 {
        return bad(400, "Bad Request: message is too long");
    }
    let message_id = bot.next_message;
    bot.next_message += 1;
    let sent = record(bot, method, message_id, form);
    good(&message(bot, &sent, at_ms))
}

fn edit(bot: &mut Telegram, method: &str, form: Form, at_ms: i64) -> Reply {
    let id = form.fields.get("message_id").and_then(|id| id.parse::<i64>().ok()).unwrap_or(0);
    if !bot.sent.iter().any(|sent| sent.message_id == id) {
        return bad(400, "Bad Request: message to edit not found");
    }
    let sent = record(bot, method, id, form);
    good(&message(bot, &sent, at_ms))
}
