//! Fifty assets on two venues: a cold start and five cycles after it stay within what the venues grant.
//! The server counts as the venues document it. Its windows and those of the limiter are a tenth as
//! long as in life, which changes the duration of the test and nothing else.
#![allow(clippy::unwrap_used)]

mod loopback;

use futures_util::StreamExt;
use keel_core::asset::Symbol;
use keel_core::time::Timeframe;
use keel_venues::api::{Bucket, ExchangeApi, VenueFacts};
use keel_venues::client::{Gates, HttpOptions, HttpTransport, RetryPolicy};
use keel_venues::venue::{Connection, Keys, venue};
use loopback::{NOW_MS, Server, options, reply};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const ASSETS: usize = 50;
const FASTER: u32 = 10;

fn assets() -> Vec<Symbol> {
    (0..ASSETS).map(|number| format!("A{number}/USDT").parse().unwrap()).collect()
}

/// What a request costs: name, cost, units granted and in how many milliseconds of life.
type Cost = (String, u32, u32, u64);

fn binance_cost(path: &str) -> Cost {
    let symbols = path.matches("%22%2C%22").count() + 1;
    let weight = match path.split('?').next().unwrap() {
        "/api/v3/exchangeInfo" | "/api/v3/account" => 20,
        "/api/v3/klines" => 2,
        "/api/v3/ticker/24hr" if symbols <= 20 => 2,
        "/api/v3/ticker/24hr" if symbols <= 100 => 40,
        "/api/v3/ticker/24hr" => 80,
        _ => 1,
    };
    ("weight".to_owned(), weight, 6000, 60_000)
}

fn okx_cost(path: &str) -> Cost {
    let path = path.split('?').next().unwrap();
    let units = match path {
        "/api/v5/market/candles" => 40,
        "/api/v5/account/balance" | "/api/v5/public/time" => 10,
        _ => 20,
    };
    (path.to_owned(), 1, units, 2000)
}

/// What was used of a limit, and when.
type Windows = Mutex<BTreeMap<String, VecDeque<(Instant, u32)>>>;

struct Model {
    server: Server,
    refused: Arc<AtomicUsize>,
}

impl Model {
    fn new(cost: fn(&str) -> Cost, body: fn(&str) -> Value) -> Self {
        let refused = Arc::new(AtomicUsize::new(0));
        let (counted, windows) = (refused.clone(), Windows::default());
        let server = Server::answering(move |head, _| {
            let path = head.split(' ').nth(1).unwrap();
            let (name, units, granted, per_ms) = cost(path);
            let mut windows = windows.lock().unwrap();
            let window = windows.entry(name).or_default();
            let per = Duration::from_millis(per_ms) / FASTER;
            while window.front().is_some_and(|(at, _)| at.elapsed() >= per) {
                window.pop_front();
            }
            window.push_back((Instant::now(), units));
            let used: u32 = window.iter().map(|(_, units)| units).sum();
            if used > granted {
                counted.fetch_add(1, Ordering::SeqCst);
                return reply(429, "", "{\"code\":-1003,\"msg\":\"too many\"}");
            }
            let header = format!("X-MBX-USED-WEIGHT-1M: {used}\r\n");
            reply(200, &header, &body(path).to_string())
        });
        Self { server, refused }
    }
}

fn candle_rows(texts: bool) -> Value {
    let hour = 3_600_000;
    let rows = (0..2).map(|number| {
        let at = NOW_MS - NOW_MS % hour - number * hour;
        let at = if texts { json!(at.to_string()) } else { json!(at) };
        json!([at, "1", "2", "0.5", "1.5", "10", "1", "1", "1"])
    });
    rows.collect()
}

fn binance_body(path: &str) -> Value {
    let row = |symbol: &str| {
        json!({"symbol": symbol, "status": "TRADING", "baseAsset": symbol.trim_end_matches("USDT"),
            "quoteAsset": "USDT", "orderTypes": ["MARKET"], "isSpotTradingAllowed": true,
            "filters": [{"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "9"}],
            "lastPrice": "1", "bidPrice": "1", "askPrice": "1", "closeTime": NOW_MS})
    };
    let ids: Vec<String> =
        assets().iter().map(|asset| format!("{}{}", asset.base, asset.quote)).collect();
    match path.split('?').next().unwrap() {
        "/api/v3/exchangeInfo" => {
            json!({"symbols": ids.iter().map(|id| row(id)).collect::<Value>()})
        }
        "/api/v3/klines" => {
            let mut rows = candle_rows(false);
            rows.as_array_mut().unwrap().reverse();
            rows
        }
        "/api/v3/ticker/24hr" => {
            let asked = |id: &&String| path.contains(&format!("%22{id}%22"));
            ids.iter().filter(asked).map(|id| row(id)).collect()
        }
        "/api/v3/account" => json!({"balances": [{"asset": "USDT", "free": "5", "locked": "0"}]}),
        _ => json!({"serverTime": NOW_MS}),
    }
}

fn okx_body(path: &str) -> Value {
    let rows = || {
        assets().into_iter().map(|asset| {
            json!({"instId": format!("{}-{}", asset.base, asset.quote), "baseCcy": asset.base,
                "quoteCcy": asset.quote, "lotSz": "1", "minSz": "1", "state": "live",
                "last": "1", "bidPx": "1", "askPx": "1", "ts": NOW_MS.to_string()})
        })
    };
    let data: Value = match path.split('?').next().unwrap() {
        "/api/v5/public/instruments" | "/api/v5/market/tickers" => rows().collect(),
        "/api/v5/market/candles" => candle_rows(true),
        "/api/v5/account/balance" => json!([{"details": [
            {"ccy": "USDT", "availBal": "5", "frozenBal": "0", "liab": ""}]}]),
        _ => json!([{"ts": NOW_MS.to_string()}]),
    };
    json!({"code": "0", "msg": "", "data": data})
}

/// The adapter with its limits, as fast as the server and `more` times as generous as in life.
fn connect(id: &str, model: &Model, more: u32) -> Box<dyn ExchangeApi> {
    let row = venue(id).unwrap();
    let buckets: Vec<Bucket> = row
        .facts
        .buckets
        .iter()
        .map(|bucket| Bucket { units: bucket.units * more, per: bucket.per / FASTER, ..*bucket })
        .collect();
    let facts = VenueFacts { buckets: Box::leak(buckets.into_boxed_slice()), ..*row.facts };
    let options = HttpOptions {
        // Patient with the limiter, but not with a pause after a refusal.
        retry: RetryPolicy { tries: 1, total: Duration::from_secs(20), ..RetryPolicy::default() },
        timeout: Duration::from_secs(15),
        ..options()
    };
    let url = model.server.url();
    let transport = HttpTransport::new(&url, &facts, &Gates::default(), options).unwrap();
    let secret = |text: &str| Zeroizing::new(text.to_owned());
    (row.connect)(Connection {
        transport: Arc::new(transport),
        urls: BTreeMap::from([("api".to_owned(), url)]),
        keys: Some(Keys {
            api_key: secret("key"),
            secret: secret("secret"),
            password: Some(secret("words")),
        }),
        sandbox: false,
    })
}

/// What a cycle reads, up to four questions at a time. The number of those without an answer.
async fn cycle(api: &dyn ExchangeApi) -> usize {
    let assets = assets();
    let mut failed = usize::from(api.markets().await.is_err());
    failed += usize::from(api.tickers(&assets).await.map(|quotes| quotes.len()) != Ok(ASSETS));
    failed += usize::from(api.balances().await.is_err());
    let candles = futures_util::stream::iter(&assets)
        .map(|asset| api.candles(asset, Timeframe::H1, None, 2))
        .buffer_unordered(4);
    failed + candles.filter(|answer| std::future::ready(answer.is_err())).count().await
}

async fn cycles(api: &dyn ExchangeApi, number: usize) -> usize {
    let mut failed = 0;
    for _ in 0..number {
        failed += cycle(api).await;
    }
    failed
}

#[tokio::test]
async fn fifty_assets_on_two_venues_are_never_refused_for_too_many_requests() {
    let (binance, okx) = (Model::new(binance_cost, binance_body), Model::new(okx_cost, okx_body));
    let apis = (connect("binance", &binance, 1), connect("okx", &okx, 1));
    let failed = tokio::join!(cycles(&*apis.0, 6), cycles(&*apis.1, 6));
    assert_eq!(failed, (0, 0), "questions without an answer");
    for model in [&binance, &okx] {
        assert!(model.server.count() >= 6 * (ASSETS + 3), "{}", model.server.count());
        assert_eq!(model.refused.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn the_same_questions_without_a_limiter_are_refused() {
    let okx = Model::new(okx_cost, okx_body);
    let api = connect("okx", &okx, 1000);
    let failed = tokio::time::timeout(Duration::from_secs(1), cycle(&*api)).await;
    assert_ne!(failed, Ok(0));
    assert!(okx.refused.load(Ordering::SeqCst) > 0, "the server grants everything");
}
