//! The road of a request: arrival, faults before, the dialect, the journal, faults after.

use crate::faults::{Action, Body as BodyFault, When};
use crate::journal::RequestRecord;
use crate::wire::{WireHandle, WireListener};
use crate::world::{Call, Reply, World};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Double {
    /// Binance spot.
    Binance,
    /// OKX v5.
    Okx,
    /// CoinGecko.
    Coingecko,
    /// Telegram Bot API.
    Telegram,
    /// The control plane.
    Control,
}

impl Double {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Binance, Self::Okx, Self::Coingecko, Self::Telegram, Self::Control];

    /// Its name in configurations and fault scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Okx => "okx",
            Self::Coingecko => "coingecko",
            Self::Telegram => "telegram",
            Self::Control => "control",
        }
    }
}

/// The world, shared by all servers.
#[derive(Clone)]
pub struct Shared {
    world: Arc<Mutex<World>>,
    /// Rings when a bot may have something to read.
    pub news: Arc<Notify>,
}

impl Shared {
    /// Shares a world.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)), news: Arc::new(Notify::new()) }
    }

    /// The world. A panic elsewhere does not hide it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone)]
struct Gate {
    shared: Shared,
    double: Double,
}

/// Serves one double until the task is dropped.
pub async fn serve(listener: WireListener, shared: Shared, double: Double) {
    let app = Router::new().fallback(receive).with_state(Gate { shared, double });
    let service = app.into_make_service_with_connect_info::<WireHandle>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!(double = double.name(), %error, "the server ended");
    }
}

async fn receive(
    State(gate): State<Gate>,
    ConnectInfo(wire): ConnectInfo<WireHandle>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let headers: BTreeMap<String, String> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let first_byte_us = wire.take_first_byte_us();
    // A request that has not come in full is not a request.
    let Ok(body) = body else {
        wire.cut_after(0, true);
        return respond(&Reply { status: 400, headers: Vec::new(), body: Vec::new() }, None);
    };
    let call = Call {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        headers,
        body: body.to_vec(),
        stale: false,
        skew_ms: 0,
    };
    // A task of its own: what was received takes effect even when the client has hung up.
    let worked = tokio::spawn(work(gate, call, first_byte_us, wire)).await;
    worked.unwrap_or_else(|_| {
        respond(&Reply { status: 500, headers: Vec::new(), body: b"simex panicked".to_vec() }, None)
    })
}

/// The name of the endpoint for scripts and counts.
fn endpoint(double: Double, call: &Call) -> String {
    if double == Double::Telegram {
        // Some libraries write `SendMessage`; scripts and counts know `sendMessage`.
        let method = call.path.rsplit('/').next().unwrap_or("");
        let (first, rest) = method.split_at_checked(1).unwrap_or(("", method));
        return format!("{}{rest}", first.to_ascii_lowercase());
    }
    format!("{} {}", call.method, call.path)
}

/// Query and body as text, without the signature.
fn parameters(call: &Call) -> String {
    let body = if call.header("content-type").starts_with("multipart/") { "" } else { call.text() };
    let both = [call.query.as_str(), body];
    let all = both.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("&");
    match all.find("signature=") {
        None => all,
        Some(at) => {
            let end = all[at..].find('&').map_or(all.len(), |length| at + length + 1);
            format!("{}{}", &all[..at], &all[end..]).trim_end_matches('&').to_owned()
        }
    }
}

fn dispatch(world: &mut World, double: Double, call: &Call) -> Reply {
    match double {
        Double::Binance => crate::binance::handle(world, call),
        Double::Okx => crate::okx::handle(world, call),
        Double::Coingecko => crate::coingecko::handle(world, call),
        Double::Telegram => crate::telegram::handle(world, call),
        Double::Control => crate::control::handle(world, call),
    }
}

async fn work(gate: Gate, mut call: Call, first_byte_us: i64, wire: WireHandle) -> Response {
    let Gate { shared, double } = gate;
    let endpoint = endpoint(double, &call);
    let parameters = parameters(&call);
    if double == Double::Control {
        let reply = dispatch(&mut shared.world(), double, &call);
        shared.news.notify_waiters();
        return respond(&reply, None);
    }
    let strikes = shared.world().script.strike(double.name(), &endpoint, &parameters);
    let mut early = None;
    let mut times = 1;
    for (when, action) in &strikes {
        match (when, action) {
            (When::Before, Action::DelayMs(ms)) => {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
            }
            (_, Action::Duplicate) => times += 1,
            (_, Action::Stale) => call.stale = true,
            (_, Action::SkewMs(ms)) => call.skew_ms += ms,
            (When::Before, other) => early = Some(other.clone()),
            (When::After, _) => {}
        }
    }
    if double == Double::Telegram && early.is_none() {
        crate::telegram::wait_for_news(&shared, &call).await;
    }
    let mut reply = None;
    {
        let mut world = shared.world();
        if early.is_none() {
            for _ in 0..times {
                let next = dispatch(&mut world, double, &call);
                reply.get_or_insert(next);
            }
        }
        let handled_ms = world.clock.now_ms();
        world.journal.add(RequestRecord {
            number: 0,
            double: double.name().to_owned(),
            endpoint,
            first_byte_us,
            handled_ms,
            parameters,
            signed: call.query.contains("signature=")
                || call.text().contains("signature=")
                || call.headers.contains_key("ok-access-sign"),
            status: reply.as_ref().map_or(0, |reply| reply.status),
            faults: strikes.iter().map(|(when, action)| format!("{when:?} {action:?}")).collect(),
        });
    }
    let mut reply =
        reply.unwrap_or_else(|| Reply { status: 502, headers: Vec::new(), body: Vec::new() });
    let mut drip = None;
    let after = strikes.into_iter().filter(|(when, _)| *when == When::After);
    for action in early.into_iter().chain(after.map(|(_, action)| action)) {
        match action {
            Action::DelayMs(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Action::DripMs(ms) => drip = Some(Duration::from_millis(ms)),
            other => spoil(&mut reply, &wire, other),
        }
    }
    respond(&reply, drip)
}

/// Applies what concerns the answer and its connection.
fn spoil(reply: &mut Reply, wire: &WireHandle, action: Action) {
    match action {
        Action::Drop => wire.cut_after(0, false),
        Action::Reset => wire.cut_after(0, true),
        Action::ResetAt(bytes) => wire.cut_after(bytes, true),
        Action::Status { code, body, headers } => {
            let kind = if body.trim_start().starts_with(['{', '[']) {
                "application/json"
            } else {
                "text/html"
            };
            *reply = Reply {
                status: code,
                headers: headers.into_iter().collect(),
                body: body.into_bytes(),
            }
            .with("content-type", kind);
        }
        Action::Body(fault) => spoil_body(reply, fault),
        Action::DelayMs(_)
        | Action::DripMs(_)
        | Action::Duplicate
        | Action::Stale
        | Action::SkewMs(_) => {}
    }
}

fn spoil_body(reply: &mut Reply, fault: BodyFault) {
    reply.status = if reply.status == 502 && reply.body.is_empty() { 200 } else { reply.status };
    match fault {
        BodyFault::Html => {
            reply.headers.retain(|(name, _)| name != "content-type");
            reply.headers.push(("content-type".to_owned(), "text/html".to_owned()));
            reply.body = b"<html><body><h1>Please wait</h1></body></html>".to_vec();
        }
        BodyFault::Empty => reply.body.clear(),
        BodyFault::Cut => reply.body.truncate(reply.body.len() / 2),
        BodyFault::WrongShape => reply.body = br#"{"unexpected":[null,{"shape":1}]}"#.to_vec(),
        BodyFault::Text(text) => reply.body = text.into_bytes(),
    }
}

fn respond(reply: &Reply, drip: Option<Duration>) -> Response {
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    let body = match drip {
        None => Body::from(reply.body.clone()),
        Some(pause) => dripping(reply.body.clone(), pause),
    };
    builder.body(body).unwrap_or_default()
}

/// A body that comes one byte at a time.
fn dripping(bytes: Vec<u8>, pause: Duration) -> Body {
    let stream = futures_util::stream::unfold(bytes.into_iter(), move |mut rest| async move {
        tokio::time::sleep(pause).await;
        let byte = rest.next()?;
        Some((Ok::<_, std::io::Error>(vec![byte]), rest))
    });
    Body::from_stream(stream)
}
