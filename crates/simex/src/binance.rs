//! The Binance spot dialect: gate (weights, keys, signatures, time), then the endpoints.

mod account;
mod format;
mod market;
mod orders;

use crate::limits::window_left_ms;
use crate::prices::{AssetSpec, Place, PriceBoard};
use crate::rules::{MarketRules, MarketStatus};
use crate::world::{Call, Reply, VenueState, World};
use hmac::{Hmac, KeyInit, Mac};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sha2::Sha256;
use std::cell::RefCell;
use std::collections::BTreeSet;

const WEIGHT_PER_MINUTE: u64 = 6_000;
const ORDERS_PER_10_SECONDS: u64 = 100;
const ORDERS_PER_DAY: u64 = 200_000;
/// Published, and not counted here.
const RAW_REQUESTS_PER_5_MINUTES: u64 = 61_000;
/// Requests above the limit after which the address is banned.
const PATIENCE: u64 = 20;
const BAN_MS: i64 = 120_000;
const RECV_WINDOW_MAX_MS: i64 = 60_000;
/// Parameters that the venue knows and that change nothing here.
const WITHOUT_EFFECT: [&str; 11] = [
    "cancelRestrictions",
    "computeCommissionRates",
    "newClientOrderId",
    "permissions",
    "selfTradePreventionMode",
    "showPermissionSets",
    "strategyId",
    "strategyType",
    "symbolStatus",
    "timeZone",
    "type",
];

/// A refusal: HTTP status, code, words.
#[derive(Clone, Debug)]
struct Refusal {
    status: u16,
    code: i32,
    message: String,
}

fn refuse(status: u16, code: i32, message: &str) -> Refusal {
    Refusal { status, code, message: message.to_owned() }
}

type Answer = Result<Value, Refusal>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    None,
    /// The key alone.
    Key,
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
    parameters: Vec<(String, String)>,
    /// Names of the parameters that were looked at.
    read: RefCell<BTreeSet<String>>,
    now_ms: i64,
}

/// Answers a request.
pub fn handle(world: &mut World, call: &Call) -> Reply {
    let now_ms = world.venue_now(Place::Binance) + call.skew_ms;
    let World { venues, prices, cache, assets, history_from_ms, .. } = world;
    let Some(venue) = venues.get_mut(&Place::Binance) else {
        return Reply::json(404, &json!({}));
    };
    venue.exchange.settle(prices, now_ms);
    let together = [call.query.as_str(), call.text()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("&");
    let parameters = url::form_urlencoded::parse(together.as_bytes()).into_owned().collect();
    let history_from_ms = *history_from_ms;
    let read = RefCell::default();
    let mut desk =
        Desk { venue, prices, cache, assets, history_from_ms, call, parameters, read, now_ms };
    desk.serve()
}

impl Desk<'_> {
    fn serve(&mut self) -> Reply {
        let (weight, security) = self.cost();
        self.read.take();
        if let Some(reply) = self.banned() {
            return reply;
        }
        let now = self.now_ms;
        let limit = self.granted(WEIGHT_PER_MINUTE);
        let used = self.venue.counters.add("weight per minute", weight, 60_000, now);
        if used > limit {
            return self.over_limit(used);
        }
        self.venue.over_limit = 0;
        let answer = self
            .each_once()
            .and_then(|()| self.admit(security))
            .and_then(|()| self.route())
            .and_then(|value| self.all_read().map(|()| value));
        let reply = match answer {
            Ok(value) => Reply::json(200, &value),
            Err(refusal) => {
                Reply::json(refusal.status, &json!({"code": refusal.code, "msg": refusal.message}))
            }
        };
        let reply = if reply.status == 429 {
            reply.with("retry-after", window_left_ms(10_000, now) / 1000 + 1)
        } else {
            reply
        };
        let reply = reply.with("x-mbx-used-weight", used).with("x-mbx-used-weight-1m", used);
        if self.call.method == "POST" && self.call.path == "/api/v3/order" {
            let short = self.venue.counters.add("orders per 10 seconds", 0, 10_000, now);
            let day = self.venue.counters.add("orders per day", 0, 86_400_000, now);
            return reply.with("x-mbx-order-count-10s", short).with("x-mbx-order-count-1d", day);
        }
        reply
    }

    /// What this venue grants where the real one grants `units`.
    fn granted(&self, units: u64) -> u64 {
        units * self.venue.limit_factor
    }

    fn banned(&self) -> Option<Reply> {
        let left_ms = self.venue.banned_until_ms - self.now_ms;
        (left_ms > 0).then(|| {
            let message = format!(
                "Way too much request weight used; IP banned until {}. Please use WebSocket Streams for live updates to avoid bans.",
                self.venue.banned_until_ms
            );
            Reply::json(418, &json!({"code": -1003, "msg": message}))
                .with("retry-after", left_ms / 1000 + 1)
        })
    }

    fn over_limit(&mut self, used: u64) -> Reply {
        self.venue.over_limit += 1;
        if self.venue.over_limit > PATIENCE {
            self.venue.banned_until_ms = self.now_ms + BAN_MS;
        }
        if let Some(reply) = self.banned() {
            return reply;
        }
        let message = format!(
            "Too much request weight used; current limit is {} request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API.",
            self.granted(WEIGHT_PER_MINUTE)
        );
        Reply::json(429, &json!({"code": -1003, "msg": message}))
            .with("retry-after", window_left_ms(60_000, self.now_ms) / 1000 + 1)
            .with("x-mbx-used-weight", used)
            .with("x-mbx-used-weight-1m", used)
    }

    /// Weight and security of the endpoint, by its documentation.
    fn cost(&self) -> (u64, Security) {
        let one = self.has("symbol");
        let listed = self.value("symbols").map_or(0, |list| list.matches('"').count() / 2);
        let ticker = |several: u64| if one { 2 } else { several };
        let method = self.call.method.as_str();
        match (method, self.call.path.as_str()) {
            ("GET", "/api/v3/ping" | "/api/v3/time") => (1, Security::None),
            ("GET", "/api/v3/exchangeInfo") => (20, Security::None),
            ("GET", "/api/v3/depth") => (
                match self.value("limit").and_then(|limit| limit.parse::<u64>().ok()).unwrap_or(100)
                {
                    0..=100 => 5,
                    101..=500 => 25,
                    501..=1000 => 50,
                    _ => 250,
                },
                Security::None,
            ),
            ("GET", "/api/v3/klines" | "/api/v3/uiKlines" | "/api/v3/avgPrice") => {
                (2, Security::None)
            }
            ("GET", "/api/v3/ticker/24hr") => (
                match (one, listed) {
                    (true, _) | (false, 1..=20) => 2,
                    (false, 21..=100) => 40,
                    (false, _) => 80,
                },
                Security::None,
            ),
            ("GET", "/api/v3/ticker/price" | "/api/v3/ticker/bookTicker") => {
                (ticker(4), Security::None)
            }
            ("POST" | "DELETE", "/api/v3/order") => (1, Security::Trade),
            ("POST", "/api/v3/order/test") => (1, Security::Trade),
            ("GET", "/api/v3/order") => (4, Security::Read),
            ("GET", "/api/v3/openOrders") => (if one { 6 } else { 80 }, Security::Read),
            ("DELETE", "/api/v3/openOrders") => (1, Security::Trade),
            ("GET", "/api/v3/allOrders" | "/api/v3/account" | "/api/v3/account/commission") => {
                (20, Security::Read)
            }
            ("GET", "/api/v3/myTrades") => {
                (if self.has("orderId") { 5 } else { 20 }, Security::Read)
            }
            ("POST" | "PUT" | "DELETE", "/api/v3/userDataStream") => (2, Security::Key),
            // Counted apart at the venue; one unit here.
            ("GET", path) if path.starts_with("/sapi/") => (1, Security::Read),
            _ => (1, Security::None),
        }
    }

    fn route(&mut self) -> Answer {
        let path = self.call.path.clone();
        match (self.call.method.as_str(), path.as_str()) {
            ("GET", "/api/v3/ping") => Ok(json!({})),
            ("GET", "/api/v3/time") => Ok(json!({"serverTime": self.now_ms})),
            ("GET", "/api/v3/exchangeInfo") => self.exchange_info(),
            ("GET", "/api/v3/depth") => self.depth(),
            ("GET", "/api/v3/klines" | "/api/v3/uiKlines") => self.klines(),
            ("GET", "/api/v3/avgPrice") => self.average_price(),
            ("GET", "/api/v3/ticker/24hr") => self.tickers(Self::day_ticker),
            ("GET", "/api/v3/ticker/price") => self.tickers(Self::price_ticker),
            ("GET", "/api/v3/ticker/bookTicker") => self.tickers(Self::book_ticker),
            ("POST", "/api/v3/order") => self.new_order(),
            ("POST", "/api/v3/order/test") => self.test_order(),
            ("GET", "/api/v3/order") => self.query_order(),
            ("DELETE", "/api/v3/order") => self.cancel_order(),
            ("GET", "/api/v3/openOrders") => self.open_orders(),
            ("DELETE", "/api/v3/openOrders") => self.cancel_all(),
            ("GET", "/api/v3/allOrders") => self.all_orders(),
            ("GET", "/api/v3/myTrades") => self.my_trades(),
            ("GET", "/api/v3/account") => self.account(),
            ("GET", "/api/v3/account/commission") => self.commission(),
            ("GET", "/sapi/v1/account/apiRestrictions") => self.key_rights(),
            ("GET", "/sapi/v1/capital/config/getall") => self.coins(),
            _ => Err(refuse(404, -1000, "Path /api not found")),
        }
    }

    /// Key, right, signature and time.
    fn admit(&self, security: Security) -> Result<(), Refusal> {
        if security == Security::None {
            return Ok(());
        }
        let name = self.call.header("x-mbx-apikey");
        if name.is_empty() {
            return Err(refuse(401, -2014, "API-key format invalid."));
        }
        let denied = || refuse(401, -2015, "Invalid API-key, IP, or permissions for action.");
        let key = self.venue.keys.get(name).filter(|key| !key.revoked).ok_or_else(denied)?;
        if security == Security::Key {
            return Ok(());
        }
        let stamp = self.whole("timestamp")?.ok_or_else(|| missing("timestamp"))?;
        let given = self.value("signature").ok_or_else(|| missing("signature"))?;
        if !given.eq_ignore_ascii_case(&signature(&key.secret, self.call)) {
            return Err(refuse(400, -1022, "Signature for this request is not valid."));
        }
        let window = self.whole("recvWindow")?.unwrap_or(5_000);
        if window > RECV_WINDOW_MAX_MS {
            return Err(refuse(400, -1131, "recvWindow must be less than 60000"));
        }
        if stamp >= self.now_ms + 1_000 {
            let message = "Timestamp for this request was 1000ms ahead of the server's time.";
            return Err(refuse(400, -1021, message));
        }
        if self.now_ms - stamp > window {
            let message = "Timestamp for this request is outside of the recvWindow.";
            return Err(refuse(400, -1021, message));
        }
        let right = if security == Security::Trade { key.trade } else { key.read };
        if right { Ok(()) } else { Err(denied()) }
    }

    /// In query and body alike each parameter stands once; what stands in both is taken from the query.
    fn each_once(&self) -> Result<(), Refusal> {
        for part in [self.call.query.as_str(), self.call.text()] {
            let mut seen = BTreeSet::new();
            let mut names = url::form_urlencoded::parse(part.as_bytes()).map(|(name, _)| name);
            if names.any(|name| !seen.insert(name)) {
                return Err(refuse(400, -1101, "Duplicate values for a parameter detected."));
            }
        }
        Ok(())
    }

    /// Nothing was sent that the endpoint does not know. To be asked before anything takes effect.
    fn all_read(&self) -> Result<(), Refusal> {
        let read = self.read.borrow();
        let known = |name: &str| read.contains(name) || WITHOUT_EFFECT.contains(&name);
        let sent = self.parameters.len();
        let known = self.parameters.iter().filter(|(name, _)| known(name)).count();
        if known == sent {
            return Ok(());
        }
        let message = format!(
            "Not all sent parameters were read; read '{known}' parameter(s) but was sent '{sent}'."
        );
        Err(refuse(400, -1104, &message))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.read.borrow_mut().insert(name.to_owned());
        self.parameters
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn need(&self, name: &str) -> Result<String, Refusal> {
        self.value(name).map(str::to_owned).ok_or_else(|| missing(name))
    }

    fn whole(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number >= 0);
        number.map(Some).ok_or_else(|| illegal(name, "^[0-9]{1,20}$"))
    }

    /// A number in plain notation with at most eight places.
    fn decimal(&self, name: &str) -> Result<Option<Decimal>, Refusal> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let range = "^([0-9]{1,20})(\\.[0-9]{1,20})?$";
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| {
            (1..=20).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole) || !digits(part) {
            return Err(illegal(name, range));
        }
        let value: Decimal = text.parse().map_err(|_| illegal(name, range))?;
        if value.normalize().scale() > 8 {
            let message = format!("Parameter '{name}' has too much precision.");
            return Err(refuse(400, -1111, &message));
        }
        Ok(Some(value))
    }

    fn limit(&self, usual: usize, most: usize) -> Result<usize, Refusal> {
        let Some(limit) = self.whole("limit")? else { return Ok(usual) };
        Ok(usize::try_from(limit).unwrap_or(most).clamp(1, most))
    }

    /// The market of the parameter `symbol`.
    fn market(&self) -> Result<MarketRules, Refusal> {
        let symbol = self.need("symbol")?;
        self.market_called(&symbol)
    }

    fn market_called(&self, symbol: &str) -> Result<MarketRules, Refusal> {
        self.venue
            .exchange
            .markets
            .values()
            .find(|rules| rules.status != MarketStatus::Delisted && symbol_of(rules) == symbol)
            .cloned()
            .ok_or_else(|| refuse(400, -1121, "Invalid symbol."))
    }
}

fn symbol_of(rules: &MarketRules) -> String {
    format!("{}{}", rules.base, rules.quote)
}

fn missing(name: &str) -> Refusal {
    let message =
        format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
    refuse(400, -1102, &message)
}

fn illegal(name: &str, range: &str) -> Refusal {
    let message =
        format!("Illegal characters found in parameter '{name}'; legal range is '{range}'.");
    refuse(400, -1100, &message)
}

/// HMAC-SHA256 in hex over query and body as they were sent, without the signature.
fn signature(secret: &str, call: &Call) -> String {
    let without = |part: &str| {
        part.split('&').filter(|pair| !pair.starts_with("signature=")).collect::<Vec<_>>().join("&")
    };
    let payload = format!("{}{}", without(&call.query), without(call.text()));
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(payload.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
