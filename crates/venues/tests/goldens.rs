//! Every adapter against Python ccxt: the same request byte for byte, signature included, and the same
//! reading of the reply. `tools/goldens` writes the files and says how to add to them.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keel_core::asset::Symbol;
use keel_core::order::{ClientOrderId, Fill, Side};
use keel_core::time::Timestamp;
use keel_venues::api::{
    Answer, ApiError, ExchangeApi, MarketOrder, OrderAmount, OrderState, OrderStatus, OwnTrade,
    Placed, Reference, Refusal,
};
use keel_venues::http::{Charge, Kind, Method, Reply, Request, Transport, TransportError};
use keel_venues::venue::{Connection, Keys, VENUES, Venue};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zeroize::Zeroizing;

const CASES_MIN: usize = 40;
/// Headers that change nothing at a venue and that ccxt leaves to its HTTP library.
const HEADERS_OF_NO_MATTER: [&str; 2] = ["content-type", "accept"];

#[tokio::test]
async fn every_adapter_sends_and_reads_what_ccxt_does() {
    let mut report = Vec::new();
    for venue in VENUES {
        let id = venue.facts.id;
        let golden = load(id);
        let cases = golden["cases"].as_array().unwrap();
        assert!(
            cases.len() >= CASES_MIN,
            "{id}: {} cases, at least {CASES_MIN} wanted",
            cases.len()
        );
        let mut failed = 0;
        for case in cases {
            let faults = run_case(venue, &golden, case).await;
            if !faults.is_empty() {
                failed += 1;
                report.push(format!(
                    "{id}: {}\n    {}",
                    text(&case["name"]),
                    faults.join("\n    ")
                ));
            }
        }
        if failed > 0 {
            report.push(format!("{id}: {failed} of {} cases differ", cases.len()));
        }
    }
    assert!(report.is_empty(), "\n{}", report.join("\n"));
}

#[tokio::test]
async fn a_golden_that_says_otherwise_is_noticed() {
    for venue in VENUES {
        let golden = load(venue.facts.id);
        let order = golden["cases"].as_array().unwrap().iter().find(|case| {
            text(&case["call"]["method"]) == "market_order" && case["result"].get("ok").is_some()
        });
        let order = order.unwrap();
        assert_eq!(run_case(venue, &golden, order).await, Vec::<String>::new());
        let request = "/exchanges/0/request";
        let mut places = vec![format!("{request}/method"), format!("{request}/url")];
        places.extend(order.pointer(&format!("{request}/body")).map(|_| format!("{request}/body")));
        let headers = order.pointer(&format!("{request}/headers")).and_then(Value::as_object);
        places.extend(headers.unwrap().keys().map(|name| format!("{request}/headers/{name}")));
        for place in places {
            let mut other = order.clone();
            *other.pointer_mut(&place).unwrap() = json!("something else");
            assert!(
                !run_case(venue, &golden, &other).await.is_empty(),
                "{}: {place}",
                venue.facts.id
            );
        }
        let mut other = order.clone();
        other["result"] = json!({"ok": {"accepted": "something else"}});
        assert!(!run_case(venue, &golden, &other).await.is_empty(), "{}", venue.facts.id);
        other = order.clone();
        other["exchanges"].as_array_mut().unwrap().push(order["exchanges"][0].clone());
        assert!(!run_case(venue, &golden, &other).await.is_empty(), "{}", venue.facts.id);
    }
}

fn load(id: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/goldens/{id}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{id} is in VENUES without goldens ({error}); see tools/goldens")
    });
    serde_json::from_str(&text).unwrap()
}

async fn run_case(venue: &Venue, golden: &Value, case: &Value) -> Vec<String> {
    let script = Arc::new(Script::new(golden["now_ms"].as_i64().unwrap(), secret(golden)));
    let api = connect(venue, golden, &script);
    let prelude = golden["prelude"].as_array().unwrap();
    if !prelude.is_empty() {
        script.expect(prelude, false);
        if let Err(error) = api.markets().await {
            script.fault(format!("the market table was not read: {error}"));
        }
        script.done();
    }
    let call = &case["call"];
    let writes = matches!(text(&call["method"]), "market_order" | "cancel");
    script.expect(case["exchanges"].as_array().unwrap(), writes);
    let answer = perform(api.as_ref(), call).await;
    script.done();
    check_result(&script, text(&call["method"]), &case["result"], answer);
    script.take_faults()
}

fn secret(golden: &Value) -> String {
    text(&golden["keys"]["secret"]).to_owned()
}

fn connect(venue: &Venue, golden: &Value, script: &Arc<Script>) -> Box<dyn ExchangeApi> {
    let keys = &golden["keys"];
    script.buckets.lock().unwrap().extend(venue.facts.buckets.iter().map(|bucket| bucket.name));
    (venue.connect)(Connection {
        transport: Arc::clone(script) as Arc<dyn Transport>,
        urls: venue
            .facts
            .urls
            .iter()
            .map(|(name, url)| ((*name).to_owned(), (*url).to_owned()))
            .collect(),
        keys: Some(Keys {
            api_key: Zeroizing::new(text(&keys["api_key"]).to_owned()),
            secret: Zeroizing::new(secret(golden)),
            password: keys["password"].as_str().map(|word| Zeroizing::new(word.to_owned())),
        }),
        sandbox: false,
    })
}

// -- the network ----------------------------------------------------------------------------------

/// Plays the recorded replies and compares what it is sent with the recorded requests.
struct Script {
    now_ms: i64,
    secret: String,
    buckets: Mutex<Vec<&'static str>>,
    expected: Mutex<VecDeque<Value>>,
    writes: Mutex<bool>,
    faults: Mutex<Vec<String>>,
}

impl Script {
    fn new(now_ms: i64, secret: String) -> Self {
        Self {
            now_ms,
            secret,
            buckets: Mutex::default(),
            expected: Mutex::default(),
            writes: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    fn expect(&self, exchanges: &[Value], writes: bool) {
        *self.expected.lock().unwrap() = exchanges.iter().cloned().collect();
        *self.writes.lock().unwrap() = writes;
    }

    fn fault(&self, fault: String) {
        self.faults.lock().unwrap().push(fault);
    }

    fn done(&self) {
        for exchange in self.expected.lock().unwrap().drain(..) {
            let url = text(&exchange["request"]["url"]);
            self.faults.lock().unwrap().push(format!("was not sent: {url}"));
        }
    }

    fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.faults.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(
        &self,
        kind: Kind,
        charges: &[Charge],
        build: &(dyn Fn(i64) -> Request + Send + Sync),
    ) -> Result<Reply, TransportError> {
        let sent = build(self.now_ms);
        let Some(exchange) = self.expected.lock().unwrap().pop_front() else {
            self.fault(format!("one request more than ccxt: {} {}", verb(sent.method), sent.url));
            return Err(TransportError::NotSent("no reply is recorded".to_owned()));
        };
        if (kind == Kind::Write) != *self.writes.lock().unwrap() {
            self.fault(format!("is sent as {kind:?}"));
        }
        for charge in charges {
            if !self.buckets.lock().unwrap().contains(&charge.bucket) {
                self.fault(format!(
                    "charges the bucket {}, which the venue does not have",
                    charge.bucket
                ));
            }
        }
        for fault in compare_request(&exchange["request"], &sent, &self.secret) {
            self.fault(fault);
        }
        let reply = &exchange["reply"];
        Ok(Reply {
            status: u16::try_from(reply["status"].as_u64().unwrap()).unwrap(),
            headers: reply["headers"].as_object().map_or_else(Vec::new, |headers| {
                headers.iter().map(|(name, value)| (name.clone(), text(value).to_owned())).collect()
            }),
            body: text(&reply["body"]).to_owned(),
        })
    }

    fn pause(&self, _wait: Duration) {}

    fn adopt(&self, _bucket: &str, _units: u32) {}

    fn local_now_ms(&self) -> i64 {
        self.now_ms
    }

    fn set_clock_offset(&self, _offset_ms: i64) {}
}

const fn verb(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    }
}

fn compare_request(golden: &Value, sent: &Request, secret: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let none = Map::new();
    let headers = golden["headers"].as_object().unwrap_or(&none);
    let token = headers.values().any(|value| value.get("jwt").is_some());
    // Where the signature covers the text of query and body, their order is part of what is agreed.
    let exact = !headers.is_empty() && !token;
    differ(&mut faults, "verb", text(&golden["method"]), verb(sent.method));
    let url = text(&golden["url"]);
    if exact {
        differ(&mut faults, "URL", url, &sent.url);
    } else {
        differ(&mut faults, "URL, its query sorted,", &sorted(url), &sorted(&sent.url));
    }
    let body = golden["body"].as_str();
    let same_value = |a: &str, b: &str| {
        !exact
            && serde_json::from_str::<Value>(a)
                .is_ok_and(|a| serde_json::from_str(b).is_ok_and(|b: Value| a == b))
    };
    match (body, sent.body.as_deref()) {
        (Some(wanted), Some(seen)) if same_value(wanted, seen) => {}
        (wanted, seen) => differ(&mut faults, "body", wanted.unwrap_or(""), seen.unwrap_or("")),
    }
    for (name, value) in headers {
        let seen = sent.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        match (seen, value.get("jwt")) {
            (None, _) => faults.push(format!("header {name} is missing")),
            (Some((_, seen)), Some(wanted)) => compare_token(&mut faults, wanted, seen, secret),
            (Some((_, seen)), None) => differ(&mut faults, name, text(value), seen),
        }
    }
    for (name, _) in &sent.headers {
        let known = headers.keys().any(|key| key.eq_ignore_ascii_case(name));
        if !known && !HEADERS_OF_NO_MATTER.contains(&name.to_ascii_lowercase().as_str()) {
            faults.push(format!("header {name} is not sent by ccxt"));
        }
    }
    faults
}

fn differ(faults: &mut Vec<String>, what: &str, wanted: &str, seen: &str) {
    if wanted != seen {
        faults.push(format!("{what} differs:\n      ccxt {wanted}\n      keel {seen}"));
    }
}

fn sorted(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else { return url.to_owned() };
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.sort_unstable();
    format!("{path}?{}", pairs.join("&"))
}

/// Tokens are signed with a random number: their claims are compared and the signature is verified.
fn compare_token(faults: &mut Vec<String>, wanted: &Value, seen: &str, secret: &str) {
    use p256::ecdsa::signature::Verifier;
    let parts: Vec<&str> = seen.trim_start_matches("Bearer ").split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        faults.push("the token has not three parts".to_owned());
        return;
    };
    for (name, golden, part) in
        [("header", &wanted["header"], header), ("claims", &wanted["claims"], claims)]
    {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let mut made: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let mut golden = golden.clone();
        for value in [&mut golden, &mut made] {
            // A number used once is random on both sides.
            if let Some(nonce) = value.get_mut("nonce") {
                *nonce = json!("any");
            }
        }
        if golden != made {
            differ(faults, &format!("{name} of the token"), &golden.to_string(), &made.to_string());
        }
    }
    let key = p256::SecretKey::from_sec1_pem(secret).map(p256::ecdsa::SigningKey::from);
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let signature = p256::ecdsa::Signature::from_slice(&bytes);
    let verified = match (key, signature) {
        (Ok(key), Ok(signature)) => {
            key.verifying_key().verify(format!("{header}.{claims}").as_bytes(), &signature).is_ok()
        }
        _ => false,
    };
    if !verified {
        faults.push("the signature of the token is not by its key".to_owned());
    }
}

// -- the call -------------------------------------------------------------------------------------

async fn perform(api: &dyn ExchangeApi, call: &Value) -> Answer<Value> {
    let optional = |name: &str| call[name].as_str().map(|text| text.parse::<Symbol>().unwrap());
    let symbol = || optional("symbol").unwrap();
    let since = || Timestamp::from_ms(call["since"].as_i64().unwrap());
    let number = |name: &str| usize::try_from(call[name].as_u64().unwrap()).unwrap();
    let client_id = call["client_id"].as_str().map(client_id);
    let reference = || match &client_id {
        Some(id) => Reference::Client(id),
        None => Reference::Venue(text(&call["venue_order_id"])),
    };
    Ok(match text(&call["method"]) {
        "time" => json!(api.time().await?.ms()),
        "markets" => markets(&api.markets().await?),
        "candles" => {
            let timeframe = text(&call["timeframe"]).parse().unwrap();
            let since = call["since"].as_i64().map(Timestamp::from_ms);
            let rows = api.candles(&symbol(), timeframe, since, number("limit")).await?;
            rows.iter()
                .map(|c| {
                    let values = [c.open, c.high, c.low, c.close, c.volume];
                    let texts = values.iter().map(|value| json!(value.to_string()));
                    Value::Array(std::iter::once(json!(c.open_time_ms)).chain(texts).collect())
                })
                .collect()
        }
        "tickers" => tickers(api, call).await?,
        "book" => {
            let book = api.book(&symbol(), number("depth")).await?;
            let side = |levels: &[(keel_core::amount::Price, keel_core::amount::Qty)]| -> Value {
                levels
                    .iter()
                    .map(|(price, amount)| json!([plain(price.get()), plain(amount.get())]))
                    .collect()
            };
            json!({"bids": side(&book.bids), "asks": side(&book.asks)})
        }
        "balances" => {
            let rows = api.balances().await?;
            let kept = rows.iter().filter(|(_, row)| !row.free.is_zero() || !row.used.is_zero());
            kept.map(|(ticker, row)| {
                (
                    ticker.to_string(),
                    json!({"free": plain(row.free.get()), "used": plain(row.used.get())}),
                )
            })
            .collect::<Map<String, Value>>()
            .into()
        }
        "market_order" => match api.market_order(&market_order(call)).await? {
            Placed::Accepted { venue_order_id } => json!({"accepted": venue_order_id}),
            Placed::State(state) => json!({"state": order(&state)}),
        },
        "order" => api.order(&symbol(), reference()).await?.as_ref().map_or(Value::Null, order),
        "open_orders" => {
            api.open_orders(optional("symbol").as_ref()).await?.iter().map(order).collect()
        }
        "closed_orders" => api.closed_orders(&symbol(), since()).await?.iter().map(order).collect(),
        "own_trades" => api.own_trades(&symbol(), since()).await?.iter().map(own_trade).collect(),
        "order_trades" => {
            let rows = api.order_trades(&symbol(), text(&call["venue_order_id"])).await?;
            rows.iter().map(own_trade).collect()
        }
        "cancel" => {
            api.cancel(&symbol(), reference()).await?;
            Value::Null
        }
        "key_rights" => {
            let rights = api.key_rights().await?;
            json!({
                "read": rights.read,
                "trade": rights.trade,
                "withdraw": rights.withdraw,
                "address_bound": rights.address_bound,
                "expires_at": rights.expires_at.map(Timestamp::ms),
            })
        }
        other => panic!("no such call: {other}"),
    })
}

fn client_id(digits: &str) -> ClientOrderId {
    serde_json::from_value(json!(digits)).unwrap()
}

fn market_order(call: &Value) -> MarketOrder {
    let decimal = |name: &str| call[name].as_str().map(|text| text.parse::<Decimal>().unwrap());
    MarketOrder {
        id: client_id(text(&call["client_id"])),
        symbol: text(&call["symbol"]).parse().unwrap(),
        side: if text(&call["side"]) == "buy" { Side::Buy } else { Side::Sell },
        amount: match (decimal("base"), decimal("quote")) {
            (Some(amount), None) => OrderAmount::Base(keel_core::amount::Qty::new(amount)),
            (None, Some(cost)) => OrderAmount::Quote(cost),
            _ => panic!("an order is by base or by quote"),
        },
        reference_price: keel_core::amount::Price::new(decimal("reference_price").unwrap()),
    }
}

// -- neutral forms --------------------------------------------------------------------------------

fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

fn markets(rules: &keel_core::plan::Markets) -> Value {
    let row = |rule: &keel_core::market::MarketRules| {
        json!({
            "symbol": rule.symbol.to_string(),
            "amount_step": plain(rule.amount_step.get()),
            "min_amount": plain(rule.min_amount.get()),
            "max_amount": rule.max_amount.map(|amount| plain(amount.get())),
            "min_cost": plain(rule.min_cost),
            "active": rule.active,
        })
    };
    let by_name: BTreeMap<String, Value> =
        rules.values().map(|rule| (rule.symbol.to_string(), row(rule))).collect();
    by_name.into_values().collect()
}

async fn tickers(api: &dyn ExchangeApi, call: &Value) -> Answer<Value> {
    let symbols = call["symbols"].as_array().unwrap();
    let symbols: Vec<Symbol> = symbols.iter().map(|symbol| text(symbol).parse().unwrap()).collect();
    let quotes = api.tickers(&symbols).await?;
    let by_name: BTreeMap<String, Value> = quotes
        .iter()
        .map(|quote| {
            let price =
                |price: Option<keel_core::amount::Price>| price.map(|price| plain(price.get()));
            let row = json!({
                "symbol": quote.symbol.to_string(),
                "last": plain(quote.last.get()),
                "bid": price(quote.bid),
                "ask": price(quote.ask),
                "as_of": quote.as_of.map(Timestamp::ms),
            });
            (quote.symbol.to_string(), row)
        })
        .collect();
    Ok(by_name.into_values().collect())
}

fn fill(fill: &Fill) -> Value {
    json!({
        "trade_id": fill.trade_id,
        "price": plain(fill.price.get()),
        "amount": plain(fill.amount.get()),
        "cost": plain(fill.cost),
        "fee_asset": fill.fee.asset.to_string(),
        "fee": plain(fill.fee.amount.get()),
        "at": fill.at.ms(),
    })
}

fn own_trade(trade: &OwnTrade) -> Value {
    json!({
        "venue_order_id": trade.venue_order_id,
        "client_id": trade.client_id,
        "symbol": trade.symbol.to_string(),
        "side": trade.side.to_string(),
        "fill": fill(&trade.fill),
    })
}

fn order(state: &OrderState) -> Value {
    json!({
        "venue_order_id": state.venue_order_id,
        "client_id": state.client_id,
        "symbol": state.symbol.to_string(),
        "side": state.side.to_string(),
        "status": match state.status {
            OrderStatus::Open => "open",
            OrderStatus::Filled => "filled",
            OrderStatus::Ended => "ended",
            OrderStatus::Rejected => "rejected",
        },
        "amount": state.amount.map(|amount| plain(amount.get())),
        "executed": plain(state.executed.get()),
        "executed_cost": state.executed_cost.map(plain),
        "created_at": state.created_at.map(Timestamp::ms),
        "fills": state.fills.iter().map(fill).collect::<Value>(),
    })
}

const fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Auth => "auth",
        Refusal::Clock => "clock",
        Refusal::RateLimited { .. } => "rate_limited",
        Refusal::Funds => "funds",
        Refusal::Parameters => "parameters",
        Refusal::Market => "market",
        Refusal::NotFound => "not_found",
        Refusal::DuplicateId => "duplicate_id",
        Refusal::Other => "other",
    }
}

fn check_result(script: &Script, method: &str, golden: &Value, answer: Answer<Value>) {
    let seen = match answer {
        Ok(value) => json!({"ok": value}),
        Err(ApiError::Refused { refusal: kind, code, .. }) => {
            json!({"refused": {"kind": refusal(kind), "code": code}})
        }
        Err(ApiError::Unknown(_)) => json!({"unknown": true}),
        Err(ApiError::NotSent(why)) => json!({"not sent": why}),
    };
    let mut wanted = golden.clone();
    if let Some(fields) = wanted.as_object_mut() {
        fields.remove("ccxt");
    }
    let mut faults = Vec::new();
    compare(&mut faults, "result", &wanted, &seen);
    if method == "balances" && wanted.get("ok").map(names) != seen.get("ok").map(names) {
        faults = vec!["other assets have a balance".to_owned()];
    }
    if !faults.is_empty() && golden.get("ok").is_none() != seen.get("ok").is_none() {
        faults.clear();
        differ(&mut faults, "result", &wanted.to_string(), &seen.to_string());
    }
    for fault in faults {
        script.fault(fault);
    }
}

/// The keys of an object, in order.
fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// What a golden names must be equal; what it leaves out, ccxt does not know.
fn compare(faults: &mut Vec<String>, path: &str, wanted: &Value, seen: &Value) {
    match (wanted, seen) {
        (Value::Object(wanted), Value::Object(seen)) => {
            for (name, value) in wanted {
                compare(
                    faults,
                    &format!("{path}.{name}"),
                    value,
                    seen.get(name).unwrap_or(&Value::Null),
                );
            }
        }
        (Value::Array(wanted), Value::Array(seen)) if wanted.len() == seen.len() => {
            for (row, (wanted, seen)) in wanted.iter().zip(seen).enumerate() {
                compare(faults, &format!("{path}[{row}]"), wanted, seen);
            }
        }
        (wanted, seen) if wanted == seen => {}
        (wanted, seen) => differ(faults, path, &wanted.to_string(), &seen.to_string()),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text was expected, not {value}"))
}
