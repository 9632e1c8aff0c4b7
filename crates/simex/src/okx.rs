//! The OKX v5 dialect: gate (limits, headers, signature, time), then the endpoints.

mod account;
mod format;
mod market;
mod orders;

use crate::config::KeyConfig;
use crate::prices::{AssetSpec, Place, PriceBoard};
use crate::rules::{MarketRules, MarketStatus};
use crate::world::{Call, Reply, VenueState, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use market::Bars;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;

const TIMESTAMP_AGE_MAX_MS: i64 = 30_000;
const WINDOW_MS: i64 = 2_000;
/// The largest market order, by value.
const MARKET_ORDER_USDT_MAX: u32 = 1_000_000;

/// A refusal: HTTP status, code, words; with `row` the outer code is 1 and this is the row's.
#[derive(Clone, Debug)]
struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    row: Option<Value>,
}

fn refuse(status: u16, code: &'static str, message: &str) -> Refusal {
    Refusal { status, code, message: message.to_owned(), row: None }
}

type Answer = Result<Vec<Value>, Refusal>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    None,
    Read,
    Trade,
}

/// One request at the desk.
struct Desk<'a> {
    venue: &'a mut VenueState,
    prices: &'a PriceBoard,
    cache: &'a mut crate::candles::HourCache,
    assets: &'a [AssetSpec],
    history_from_ms: i64,
    call: &'a Call,
    parameters: BTreeMap<String, String>,
    now_ms: i64,
}

/// Requests per two seconds and security of the endpoint, by its documentation.
fn terms(method: &str, path: &str) -> Option<(u64, Security)> {
    Some(match (method, path) {
        ("GET", "/api/v5/public/time") => (10, Security::None),
        ("GET", "/api/v5/public/instruments") => (20, Security::None),
        ("GET", "/api/v5/market/tickers" | "/api/v5/market/ticker") => (20, Security::None),
        ("GET", "/api/v5/market/books") => (40, Security::None),
        ("GET", "/api/v5/market/candles") => (40, Security::None),
        ("GET", "/api/v5/market/history-candles") => (20, Security::None),
        ("GET", "/api/v5/system/status") => (1, Security::None),
        ("GET", "/api/v5/account/balance") => (10, Security::Read),
        ("GET", "/api/v5/account/config") => (5, Security::Read),
        ("GET", "/api/v5/account/instruments") => (20, Security::Read),
        ("GET", "/api/v5/account/trade-fee") => (5, Security::Read),
        ("GET", "/api/v5/asset/currencies") => (12, Security::Read),
        ("GET", "/api/v5/trade/order" | "/api/v5/trade/orders-pending") => (60, Security::Read),
        ("GET", "/api/v5/trade/orders-history") => (40, Security::Read),
        ("GET", "/api/v5/trade/orders-history-archive") => (20, Security::Read),
        ("GET", "/api/v5/trade/fills") => (60, Security::Read),
        ("GET", "/api/v5/trade/fills-history") => (10, Security::Read),
        ("POST", "/api/v5/trade/order" | "/api/v5/trade/cancel-order") => (60, Security::Trade),
        _ => return None,
    })
}

/// Answers a request.
pub fn handle(world: &mut World, call: &Call) -> Reply {
    let now_ms = world.venue_now(Place::Okx) + call.skew_ms;
    let World { venues, prices, cache, assets, history_from_ms, .. } = world;
    let Some(venue) = venues.get_mut(&Place::Okx) else {
        return Reply::json(404, &json!({}));
    };
    venue.exchange.settle(prices, now_ms);
    let mut parameters: BTreeMap<String, String> =
        url::form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
    if let Ok(Value::Object(fields)) = serde_json::from_slice(&call.body) {
        parameters.extend(fields.into_iter().map(|(key, value)| match value {
            Value::String(text) => (key, text),
            other => (key, other.to_string()),
        }));
    }
    let history_from_ms = *history_from_ms;
    let mut desk = Desk { venue, prices, cache, assets, history_from_ms, call, parameters, now_ms };
    match desk.serve() {
        Ok(rows) => Reply::json(200, &json!({"code": "0", "msg": "", "data": rows})),
        Err(Refusal { status, code, message, row: None }) => {
            Reply::json(status, &json!({"code": code, "msg": message, "data": []}))
        }
        Err(Refusal { status, row: Some(row), .. }) => Reply::json(
            status,
            &json!({"code": "1", "msg": "All operations failed", "data": [row]}),
        ),
    }
}

impl Desk<'_> {
    fn serve(&mut self) -> Answer {
        let path = self.call.path.as_str();
        let Some((limit, security)) = terms(&self.call.method, path) else {
            return Err(refuse(404, "50404", "Not Found"));
        };
        let name = format!("{} {path}", self.call.method);
        let used = self.venue.counters.add(&name, 1, WINDOW_MS, self.now_ms);
        if used > limit * self.venue.limit_factor {
            return Err(refuse(429, "50011", "Too Many Requests"));
        }
        self.admit(security)?;
        self.route()
    }

    fn route(&mut self) -> Answer {
        let path = self.call.path.clone();
        match (self.call.method.as_str(), path.as_str()) {
            ("GET", "/api/v5/public/time") => Ok(vec![json!({"ts": self.now_ms.to_string()})]),
            ("GET", "/api/v5/public/instruments" | "/api/v5/account/instruments") => {
                self.instruments()
            }
            ("GET", "/api/v5/market/tickers") => self.tickers(),
            ("GET", "/api/v5/market/ticker") => self.ticker(),
            ("GET", "/api/v5/market/books") => self.books(),
            ("GET", "/api/v5/market/candles") => self.candles(Bars::New),
            ("GET", "/api/v5/market/history-candles") => self.candles(Bars::Finished),
            ("GET", "/api/v5/system/status") => Ok(Vec::new()),
            ("GET", "/api/v5/account/balance") => self.balance(),
            ("GET", "/api/v5/account/config") => self.account_config(),
            ("GET", "/api/v5/account/trade-fee") => self.trade_fee(),
            ("GET", "/api/v5/asset/currencies") => self.currencies(),
            ("POST", "/api/v5/trade/order") => self.new_order(),
            ("POST", "/api/v5/trade/cancel-order") => self.cancel_order(),
            ("GET", "/api/v5/trade/order") => self.query_order(),
            ("GET", "/api/v5/trade/orders-pending") => self.orders_pending(),
            ("GET", "/api/v5/trade/orders-history" | "/api/v5/trade/orders-history-archive") => {
                self.orders_history()
            }
            _ => self.fills(),
        }
    }

    fn key(&self) -> Result<&KeyConfig, Refusal> {
        let known = self.venue.keys.get(self.call.header("ok-access-key"));
        known
            .filter(|key| !key.revoked)
            .ok_or_else(|| refuse(401, "50111", "Invalid OK-ACCESS-KEY"))
    }

    /// Headers, signature, time and right.
    fn admit(&self, security: Security) -> Result<(), Refusal> {
        if security == Security::None {
            return Ok(());
        }
        let headers = [
            ("ok-access-key", "50103"),
            ("ok-access-passphrase", "50104"),
            ("ok-access-sign", "50106"),
            ("ok-access-timestamp", "50107"),
        ];
        for (name, code) in headers {
            if self.call.header(name).is_empty() {
                let shown = name.to_ascii_uppercase();
                let message = format!("Request header \"{shown}\" cannot be empty");
                return Err(refuse(401, code, &message));
            }
        }
        let key = self.key()?;
        if self.call.header("ok-access-passphrase") != key.passphrase {
            let message = "Request header \"OK-ACCESS-PASSPHRASE\" incorrect";
            return Err(refuse(401, "50105", message));
        }
        let stamp = self.call.header("ok-access-timestamp");
        let at_ms =
            iso_ms(stamp).ok_or_else(|| refuse(401, "50112", "Invalid OK-ACCESS-TIMESTAMP"))?;
        if (self.now_ms - at_ms).abs() > TIMESTAMP_AGE_MAX_MS {
            return Err(refuse(401, "50102", "Timestamp request expired"));
        }
        if self.call.header("ok-access-sign") != signature(&key.secret, stamp, self.call) {
            return Err(refuse(401, "50113", "Invalid Sign"));
        }
        if security == Security::Trade {
            self.check_deadline()?;
        }
        let right = if security == Security::Trade { key.trade } else { key.read };
        if right {
            Ok(())
        } else {
            let message = "This API key doesn't have permission to use this function";
            Err(refuse(401, "50120", message))
        }
    }

    /// `expTime`: after it, the request is not carried out.
    fn check_deadline(&self) -> Result<(), Refusal> {
        let text = self.call.header("exptime");
        if text.is_empty() {
            return Ok(());
        }
        let deadline: i64 =
            text.parse().map_err(|_| refuse(400, "51000", "Parameter expTime error"))?;
        if self.now_ms > deadline {
            return Err(refuse(200, "51149", "Order timed out. Please try again later."));
        }
        Ok(())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn need(&self, name: &str) -> Result<&str, Refusal> {
        let message = format!("Parameter {name} can not be empty");
        self.value(name).ok_or_else(|| refuse(400, "50014", &message))
    }

    fn wrong(name: &str) -> Refusal {
        refuse(400, "51000", &format!("Parameter {name} error"))
    }

    fn whole(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.value(name).map(|text| text.parse().map_err(|_| Self::wrong(name))).transpose()
    }

    fn decimal(&self, name: &str) -> Result<Option<Decimal>, Refusal> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let value = text.parse::<Decimal>().ok().filter(|_| plain);
        value.map(Some).ok_or_else(|| Self::wrong(name))
    }

    fn limit(&self, usual: usize, most: usize) -> Result<usize, Refusal> {
        let Some(limit) = self.whole("limit")? else { return Ok(usual) };
        Ok(usize::try_from(limit).unwrap_or(usual).clamp(1, most))
    }

    /// The market of the parameter `instId`.
    fn market(&self) -> Result<MarketRules, Refusal> {
        let name = self.need("instId")?.replace('-', "/");
        let market = self.venue.exchange.markets.get(&name);
        market.filter(|rules| rules.status != MarketStatus::Delisted).cloned().ok_or_else(|| {
            let words = "Instrument ID, Instrument ID code, or Spread ID doesn't exist.";
            refuse(200, "51001", words)
        })
    }
}

/// HMAC-SHA256 in base64 over timestamp, verb, path with query, and body.
fn signature(secret: &str, stamp: &str, call: &Call) -> String {
    let question = if call.query.is_empty() { "" } else { "?" };
    let Call { method, path, query, .. } = call;
    let payload = format!("{stamp}{method}{path}{question}{query}{}", call.text());
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(payload.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Milliseconds of a time such as `2020-12-08T09:08:57.715Z`.
fn iso_ms(text: &str) -> Option<i64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (23, "Z")];
    if text.len() != 24 || marks.iter().any(|(at, mark)| text.get(*at..at + 1) != Some(*mark)) {
        return None;
    }
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    // Days since 1970 after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let of_era = shifted_year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + part(11, 13)? * 3_600 + part(14, 16)? * 60 + part(17, 19)?;
    Some(seconds * 1_000 + part(20, 23)?)
}
