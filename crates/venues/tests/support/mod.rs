//! A transport that answers from a list and keeps what it was asked: the adapter's edge, not a copy
//! of any venue.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

pub mod calls;

use async_trait::async_trait;
use keel_core::amount::{Price, Qty};
use keel_core::asset::Symbol;
use keel_core::order::{ClientOrderId, Side};
use keel_venues::api::{ExchangeApi, MarketOrder, OrderAmount};
use keel_venues::http::{Charge, Kind, Reply, Request, Transport, TransportError};
use keel_venues::venue::{Connection, Keys, venue};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zeroize::Zeroizing;

/// The venue's time that every request is built with: 2025-10-09T08:55:23.456Z.
pub const NOW_MS: i64 = 1_760_000_123_456;

/// Keys that are nobody's. Coinbase wants a key on a curve; this one is made for these tests.
const COINBASE_SECRET: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguz8OuL85zlIiiBeq
1KBsWdf9d6lbceIlgtVIKlY8kEKhRANCAAQ4juf8eHPHIDO+4M6a5jvcm7NShfdu
/In+NgGmFppEAGuxD4DIVMEIBM2Y7m6i1CBjgflzPkKaKvZOGlpOIJc3
-----END PRIVATE KEY-----";

#[derive(Default)]
pub struct Canned {
    replies: Mutex<VecDeque<Reply>>,
    pub sent: Mutex<Vec<(Kind, Request)>>,
    pub pauses: Mutex<Vec<Duration>>,
    pub adopted: Mutex<Vec<(String, u32)>>,
    clock_shift_ms: AtomicI64,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Canned {
    /// Answers with these, in this order, and then with status 500.
    pub fn new(replies: &[(u16, &str)]) -> Arc<Self> {
        let canned = Self::default();
        for (status, body) in replies {
            canned.replies.lock().unwrap().push_back(Reply {
                status: *status,
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: (*body).to_owned(),
            });
        }
        Arc::new(canned)
    }

    /// The venue's time from now on.
    pub fn set_clock(&self, now_ms: i64) {
        self.clock_shift_ms.store(now_ms - NOW_MS, Ordering::SeqCst);
    }

    /// How many requests were under way at the same time, at most.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.sent.lock().unwrap().iter().map(|(_, request)| request.clone()).collect()
    }
}

#[async_trait]
impl Transport for Canned {
    async fn send(
        &self,
        kind: Kind,
        _charges: &[Charge],
        build: &(dyn Fn(i64) -> Request + Send + Sync),
    ) -> Result<Reply, TransportError> {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(under_way, Ordering::SeqCst);
        let now_ms = NOW_MS + self.clock_shift_ms.load(Ordering::SeqCst);
        self.sent.lock().unwrap().push((kind, build(now_ms)));
        tokio::task::yield_now().await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let reply = self.replies.lock().unwrap().pop_front();
        Ok(reply.unwrap_or(Reply { status: 500, headers: Vec::new(), body: String::new() }))
    }

    fn pause(&self, wait: Duration) {
        self.pauses.lock().unwrap().push(wait);
    }

    fn adopt(&self, bucket: &str, units: u32) {
        self.adopted.lock().unwrap().push((bucket.to_owned(), units));
    }

    fn local_now_ms(&self) -> i64 {
        NOW_MS
    }

    fn set_clock_offset(&self, _offset_ms: i64) {}
}

/// The adapter of a venue over this transport, with keys of the form that the venue wants.
pub fn adapter(id: &str, transport: Arc<Canned>) -> Box<dyn ExchangeApi> {
    connect(id, transport, false)
}

/// The same, in the venue's test environment or in the real one.
pub fn connect(id: &str, transport: Arc<Canned>, sandbox: bool) -> Box<dyn ExchangeApi> {
    let row = venue(id).unwrap_or_else(|| panic!("no venue {id}"));
    let urls = if sandbox { row.facts.sandbox_urls } else { row.facts.urls };
    let urls = urls.iter().map(|(name, url)| ((*name).into(), (*url).into())).collect();
    let secret = match id {
        "coinbase" => COINBASE_SECRET,
        _ => "c2VjcmV0IG9mIG5vYm9keSwgbWFkZSBmb3IgdGVzdHM=",
    };
    (row.connect)(Connection {
        transport,
        urls,
        keys: Some(Keys {
            api_key: Zeroizing::new("key-of-nobody".to_owned()),
            secret: Zeroizing::new(secret.to_owned()),
            password: Some(Zeroizing::new("password-of-nobody".to_owned())),
        }),
        sandbox,
    })
}

pub fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

pub fn client_id() -> ClientOrderId {
    ClientOrderId::derive("deployment of a test", 7, 0, 0)
}

/// A recorded reply of `../shared/data/exchange_responses`; `None` where it is not there.
pub fn recorded(path: &str) -> Option<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/exchange_responses");
    let file = std::path::Path::new(root).join(path);
    let Ok(bytes) = std::fs::read(&file) else {
        eprintln!("skipped: {path} is not there");
        return None;
    };
    if !path.ends_with(".gz") {
        return Some(String::from_utf8(bytes).unwrap());
    }
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text)
        .unwrap();
    Some(text)
}

/// A market buy by base amount.
pub fn buy(market: &str, amount: &str) -> MarketOrder {
    MarketOrder {
        id: client_id(),
        symbol: symbol(market),
        side: Side::Buy,
        amount: OrderAmount::Base(Qty::new(amount.parse().unwrap())),
        reference_price: Price::new("50000".parse().unwrap()),
    }
}
