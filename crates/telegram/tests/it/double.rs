//! A double of the Bot API: it keeps what the bot sends and hands out the updates of a test.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use keel_telegram::{Handle, Limits, Request, Settings, start};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
pub(crate) const USER: u64 = 5_000_001;
pub(crate) const GROUP: i64 = -100_777;

/// A reply that stands in for the usual one.
#[derive(Clone)]
pub(crate) enum Fault {
    /// Telegram's own error with code and description.
    Api(u16, &'static str),
    /// 429 with so many seconds.
    RetryAfter(u32),
    /// This body.
    Body(&'static str),
    /// A body without an end, announced with this length or with none.
    Endless(Option<u64>),
}

#[derive(Default)]
pub(crate) struct Books {
    /// Method and parameters of each call except `getUpdates` and `getMe`.
    pub(crate) calls: Vec<(String, Value)>,
    /// Updates that were not confirmed yet.
    pub(crate) updates: Vec<Value>,
    /// Ignore the offset: hand out the same updates again and again.
    pub(crate) repeats: bool,
    /// What the next calls of a method answer.
    pub(crate) faults: VecDeque<(&'static str, Fault)>,
    pub(crate) polls: usize,
    /// Bytes of endless bodies that the bot took.
    pub(crate) endless_bytes: usize,
}

#[derive(Clone)]
pub(crate) struct Double {
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) address: std::net::SocketAddr,
}

impl Double {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let double = Self { books: Arc::default(), address: listener.local_addr().unwrap() };
        let app = Router::new()
            .route("/{token}/{method}", axum::routing::post(answer))
            .with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        double
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            token: TOKEN.to_owned(),
            chat_id: USER.to_string(),
            api_url: Some(format!("http://{}/", self.address).parse().unwrap()),
            allowed_user_ids: [USER].into(),
            notifications: Default::default(),
            offset_file: None,
            limits: Limits {
                message_pause: Duration::ZERO,
                backoff_first: Duration::from_millis(20),
                backoff_max: Duration::from_millis(50),
                poll_timeout: Duration::from_secs(1),
                ..Limits::default()
            },
        }
    }

    pub(crate) fn fault(&self, method: &'static str, fault: Fault) {
        self.books.lock().unwrap().faults.push_back((method, fault));
    }

    pub(crate) fn add(&self, update: Value) {
        self.books.lock().unwrap().updates.push(update);
    }

    /// The texts that the bot sent.
    pub(crate) fn texts(&self) -> Vec<String> {
        let books = self.books.lock().unwrap();
        books
            .calls
            .iter()
            .filter(|(method, _)| method == "SendMessage")
            .map(|(_, call)| call["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until so many texts were sent.
    pub(crate) async fn wait_for_texts(&self, count: usize) -> Vec<String> {
        self.wait(|double| double.texts().len() >= count).await;
        self.texts()
    }

    /// Waits until it has been asked for updates so many more times, so that all of a test's
    /// updates were handled.
    pub(crate) async fn wait_for_polls(&self, more: usize) {
        let until = self.books.lock().unwrap().polls + more;
        self.wait(|double| double.books.lock().unwrap().polls >= until).await;
    }

    pub(crate) async fn wait(&self, is_reached: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if is_reached(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not reached in 20 s; sent so far: {:?}", self.texts());
    }

    /// Starts the bot and waits until it listens.
    pub(crate) async fn listening(&self, settings: Settings) -> Handle {
        let handle = start(settings).unwrap();
        self.wait_for_polls(2).await;
        handle
    }
}

async fn answer(
    State(double): State<Double>,
    Path((token, method)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    assert_eq!(token, format!("bot{TOKEN}"));
    let call: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| json!({ "multipart": String::from_utf8_lossy(&body) }));
    let fault = {
        let mut books = double.books.lock().unwrap();
        let place = books.faults.iter().position(|(name, _)| *name == method);
        place.and_then(|place| books.faults.remove(place)).map(|(_, fault)| fault)
    };
    match fault {
        Some(Fault::Api(code, description)) => {
            let body = json!({ "ok": false, "error_code": code, "description": description });
            return (StatusCode::from_u16(code).unwrap(), body.to_string()).into_response();
        }
        Some(Fault::RetryAfter(seconds)) => {
            let body = json!({ "ok": false, "error_code": 429, "description": "Too Many Requests",
                "parameters": { "retry_after": seconds } });
            return (StatusCode::TOO_MANY_REQUESTS, body.to_string()).into_response();
        }
        Some(Fault::Body(body)) => return body.into_response(),
        Some(Fault::Endless(length)) => return endless(&double, length),
        None => {}
    }
    let result = match method.as_str() {
        "GetMe" => json!({ "id": 110_201_543, "is_bot": true, "first_name": "Keel",
            "username": "keel_bot", "can_join_groups": true, "can_read_all_group_messages": false,
            "supports_inline_queries": false, "has_main_web_app": false }),
        "GetUpdates" => updates(&double, &call).await,
        "GetChat" => json!({ "id": USER, "type": "private", "first_name": "A" }),
        "GetWebhookInfo" => json!({ "url": "", "has_custom_certificate": false,
            "pending_update_count": 0 }),
        "SendMessage" | "SendDocument" => {
            double.books.lock().unwrap().calls.push((method, call));
            json!({ "message_id": 1, "date": now(),
                "chat": { "id": USER, "type": "private", "first_name": "A" }, "text": "x" })
        }
        _ => {
            double.books.lock().unwrap().calls.push((method, call));
            json!(true)
        }
    };
    json!({ "ok": true, "result": result }).to_string().into_response()
}

/// As much as the bot takes: it begins like an answer and never ends.
fn endless(double: &Double, length: Option<u64>) -> Response {
    let books = Arc::clone(&double.books);
    let mut chunk = Some(Bytes::from_static(b"{\"ok\":true,\"result\":["));
    let chunks = futures_util::stream::repeat_with(move || {
        let chunk = chunk.take().unwrap_or_else(|| Bytes::from(vec![b' '; 64 * 1024]));
        books.lock().unwrap().endless_bytes += chunk.len();
        Ok::<_, Infallible>(chunk)
    });
    let mut response = Body::from_stream(chunks).into_response();
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

async fn updates(double: &Double, call: &Value) -> Value {
    let offset = call["offset"].as_i64();
    let found = {
        let mut books = double.books.lock().unwrap();
        books.polls += 1;
        if offset == Some(-1) {
            let newest = books.updates.last().cloned();
            books.updates = newest.clone().into_iter().collect();
            newest.into_iter().collect()
        } else {
            if !books.repeats {
                books
                    .updates
                    .retain(|update| update["update_id"].as_i64() >= Some(offset.unwrap_or(0)));
            }
            books.updates.clone()
        }
    };
    // As Telegram does, wait a little when there is nothing.
    tokio::time::sleep(Duration::from_millis(5)).await;
    json!(found)
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An update with a message of `user` in their private chat.
pub(crate) fn typed(update_id: u32, user: u64, text: &str) -> Value {
    json!({ "update_id": update_id, "message": {
        "message_id": update_id, "date": now(), "text": text,
        "from": { "id": user, "is_bot": false, "first_name": "A", "username": "owner" },
        "chat": { "id": user, "type": "private", "first_name": "A" } } })
}

/// An update with a button that `user` pressed in the chat `chat`.
pub(crate) fn pressed(update_id: u32, user: u64, chat: i64, data: &str) -> Value {
    let kind = if chat < 0 { "supergroup" } else { "private" };
    json!({ "update_id": update_id, "callback_query": {
        "id": "77", "chat_instance": "1", "data": data,
        "from": { "id": user, "is_bot": false, "first_name": "A" },
        "message": { "message_id": 9, "date": now(), "text": "x",
            "chat": { "id": chat, "type": kind, "title": "G", "first_name": "A" } } } })
}

/// The request that waits, if any.
pub(crate) fn waiting(handle: &mut Handle) -> Option<Request> {
    handle.commands.try_recv().ok()
}

/// A directory and a file name in it for the offset.
pub(crate) fn offset_file() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("telegram.json");
    (place, path)
}
