//! KuCoin spot, by its HF endpoints. `docs/venues.md` holds the card with the evidence.

mod read;
mod refusal;

use crate::api::{
    Answer, ApiError, Book, Bucket, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OrderStatus, OwnTrade, Placed, Reference, Refusal, TickerQuote, Used, VenueFacts,
};
use crate::guard::guarded;
use crate::http::{Charge, Kind, Method, Reply, Request};
use crate::sign;
use crate::venue::{Connection, Keys, Venue};
use crate::wire;
use async_trait::async_trait;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use read::{candle, listed, market, order_state, own_trades, ticker};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long after its timestamp KuCoin accepts an order, in ms.
const WINDOW_MS: u64 = 5000;
/// Histories are read in pieces of at most a week, which is as much as KuCoin gives at once.
const WEEK_MS: i64 = 7 * 86_400_000;
/// No honest `since` needs more pieces: two years.
const WEEKS_MAX: usize = 110;
/// Rows of a page of a history.
const PAGE: usize = 100;
/// Rows of a page of open orders, the most that KuCoin gives.
const OPEN_PAGE: usize = 50;
/// A list that goes on for longer is broken off with an error instead of being cut silently.
const PAGES_MAX: usize = 40;
/// What the spot limit grants to an account without a discount level.
const SPOT_UNITS: u32 = 4000;

static FACTS: VenueFacts = VenueFacts {
    id: "kucoin",
    urls: &[("rest", "https://api.kucoin.com")],
    sandbox_urls: &[],
    validity: Duration::from_millis(WINDOW_MS),
    buys_by_cost: false,
    needs_password: true,
    tells_key_rights: true,
    candles_per_request: 1500,
    // Its weeks begin on Thursdays, so they are not ours.
    timeframes: &[
        ("1m", "1min"),
        ("3m", "3min"),
        ("5m", "5min"),
        ("15m", "15min"),
        ("30m", "30min"),
        ("1h", "1hour"),
        ("2h", "2hour"),
        ("4h", "4hour"),
        ("6h", "6hour"),
        ("8h", "8hour"),
        ("12h", "12hour"),
        ("1d", "1day"),
    ],
    history_max: None,
    buckets: &[
        Bucket { name: "public", units: 2000, per: Duration::from_secs(30) },
        Bucket { name: "spot", units: SPOT_UNITS, per: Duration::from_secs(30) },
        Bucket { name: "management", units: 2000, per: Duration::from_secs(30) },
    ],
    used,
};

const fn public_cost(units: u32) -> Charge {
    Charge { bucket: "public", units }
}

const fn spot_cost(units: u32) -> Charge {
    Charge { bucket: "spot", units }
}

const fn management_cost(units: u32) -> Charge {
    Charge { bucket: "management", units }
}

/// The headers do not name the pool; only the size of the spot pool is its own.
fn used(reply: &Reply) -> Vec<Used> {
    let number = |name: &str| reply.header(name)?.parse::<u32>().ok();
    match (number("gw-ratelimit-limit"), number("gw-ratelimit-remaining")) {
        (Some(SPOT_UNITS), Some(left)) => {
            vec![Used { bucket: "spot", units: SPOT_UNITS.saturating_sub(left) }]
        }
        _ => Vec::new(),
    }
}

/// The row of the table of venues.
pub(crate) const VENUE: Venue = Venue { facts: &FACTS, connect };

fn connect(connection: Connection) -> Box<dyn ExchangeApi> {
    guarded(connection, |connection| Kucoin { connection, names: RwLock::default() })
}

struct Kucoin {
    connection: Connection,
    names: RwLock<Arc<Names>>,
}

/// KuCoin's codes of markets and currencies never change, their names do: `BCHSV-USDT` is BSV/USDT.
#[derive(Default)]
struct Names {
    symbols: BTreeMap<String, Symbol>,
    codes: BTreeMap<Symbol, String>,
    tickers: BTreeMap<String, Ticker>,
}

impl Names {
    fn code(&self, symbol: &Symbol) -> String {
        let plain = || format!("{}-{}", symbol.base, symbol.quote);
        self.codes.get(symbol).cloned().unwrap_or_else(plain)
    }

    /// Our name of a currency; `None` for names that cannot be ours, or that another currency took over.
    fn ticker(&self, code: &str) -> Option<Ticker> {
        if let Some(ticker) = self.tickers.get(code) {
            return Some(ticker.clone());
        }
        code.parse().ok().filter(|ticker| !self.tickers.values().any(|taken| taken == ticker))
    }

    fn add(&mut self, code: &str, symbol: &Symbol) {
        self.symbols.insert(code.to_owned(), symbol.clone());
        self.codes.insert(symbol.clone(), code.to_owned());
        if let Some((base, quote)) = code.split_once('-') {
            self.tickers.insert(base.to_owned(), symbol.base.clone());
            self.tickers.insert(quote.to_owned(), symbol.quote.clone());
        }
    }
}

#[async_trait]
impl ExchangeApi for Kucoin {
    fn facts(&self) -> &'static VenueFacts {
        &FACTS
    }

    async fn time(&self) -> Answer<Timestamp> {
        let data = self.public("/api/v1/timestamp", "", 3).await?;
        wire::moment_ms(&data)
            .ok_or_else(|| wire::unknown("the time is not a moment in milliseconds"))
    }

    async fn markets(&self) -> Answer<Markets> {
        let data = self.public("/api/v2/symbols", "", 4).await?;
        let mut rules = Markets::new();
        let mut names = Names::default();
        let listed = wire::most_rows(wire::items(&data)?.iter().map(market))?;
        for (code, rule) in listed.into_iter().flatten() {
            // Of two markets of one name, the one that is not traded is the renamed one.
            if rules.get(&rule.symbol).is_none_or(|other| rule.active && !other.active) {
                names.add(&code, &rule.symbol);
                rules.insert(rule.symbol.clone(), rule);
            }
        }
        if rules.is_empty() {
            return Err(wire::unknown("the list of markets is empty"));
        }
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
        Ok(rules)
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        let (code, name) = (self.code(symbol), FACTS.timeframe(timeframe)?);
        let limit = limit.clamp(1, FACTS.candles_per_request);
        let span_ms = timeframe.ms() * i64::try_from(limit).unwrap_or(i64::MAX / timeframe.ms());
        let query = move |now_ms: i64| {
            let start_ms = since.map_or(now_ms - span_ms, Timestamp::ms);
            let (start, end) = (start_ms.div_euclid(1000), (start_ms + span_ms).div_euclid(1000));
            format!("symbol={code}&type={name}&startAt={start}&endAt={end}")
        };
        let data = self.public_at("/api/v1/market/candles", &query, 3).await?;
        let mut candles: Vec<Candle> =
            wire::items(&data)?.iter().map(candle).collect::<Answer<_>>()?;
        candles.reverse();
        wire::candles_asked_for(candles, since, limit)
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        match symbols {
            [] => Ok(Vec::new()),
            [symbol] => {
                let query = format!("symbol={}", self.code(symbol));
                let row = self.public("/api/v1/market/stats", &query, 15).await?;
                // What KuCoin says of a market that it does not have.
                if row.is_null() {
                    return Ok(Vec::new());
                }
                wire::same(wire::text(&row, "symbol")?, &self.code(symbol))?;
                let as_of = wire::moment(&row, "time")?;
                Ok(ticker(&row, symbol, as_of).into_iter().collect())
            }
            _ => {
                let data = self.public("/api/v1/market/allTickers", "", 15).await?;
                let as_of = wire::moment(&data, "time")?;
                let wanted: BTreeMap<String, &Symbol> =
                    symbols.iter().map(|symbol| (self.code(symbol), symbol)).collect();
                let mut quotes = Vec::new();
                for row in wire::list(&data, "ticker")? {
                    if let Some(symbol) = wanted.get(wire::text(row, "symbol")?) {
                        quotes.extend(ticker(row, symbol, as_of));
                    }
                }
                Ok(quotes)
            }
        }
    }

    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book> {
        // The full book needs a key and is larger than any order of ours.
        let levels_path = if depth <= 20 { "level2_20" } else { "level2_100" };
        let path = format!("/api/v1/market/orderbook/{levels_path}");
        let data = self.public(&path, &format!("symbol={}", self.code(symbol)), 4).await?;
        Ok(Book { bids: wire::levels(&data, "bids")?, asks: wire::levels(&data, "asks")? })
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        let names = self.loaded_names().await?;
        let data = self.private("/api/v1/accounts", "type=trade", management_cost(5)).await?.0;
        let mut balances = BTreeMap::new();
        for row in wire::items(&data)? {
            wire::same(wire::text(row, "type")?, "trade")?;
            let code = wire::text(row, "currency")?;
            let Some(ticker) = names.ticker(code) else { continue };
            let balance =
                Balance { free: wire::qty(row, "available")?, used: wire::qty(row, "holds")? };
            if balances.insert(ticker, balance).is_some() {
                return Err(wire::unknown(format!(
                    "two balances are called {}",
                    wire::words(code)
                )));
            }
        }
        Ok(balances)
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        let id = self.wire_id(&order.id);
        let (key, amount) = match order.amount {
            OrderAmount::Base(amount) => ("size", amount.get()),
            OrderAmount::Quote(cost) => ("funds", cost),
        };
        let fields = [
            ("clientOid", json!(id)),
            ("side", json!(order.side.to_string())),
            ("symbol", json!(self.code(&order.symbol))),
            ("type", json!("market")),
            (key, json!(wire::plain(amount))),
        ];
        let body = move |now_ms: i64| {
            let mut object: Map<String, Value> =
                fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            // Past this window after the timestamp, KuCoin drops the order.
            object.insert("clientTimestamp".to_owned(), json!(now_ms));
            object.insert("allowMaxTimeWindow".to_owned(), json!(WINDOW_MS));
            Value::Object(object).to_string()
        };
        let data = self.write(Method::Post, "/api/v1/hf/orders", &body).await?;
        if let Some(seen) = wire::maybe_text(&data, "clientOid") {
            wire::same(seen, &id)?;
        }
        Ok(Placed::Accepted { venue_order_id: wire::text(&data, "orderId")?.to_owned() })
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        let code = self.code(symbol);
        let (path, id_key, id) = self.order_path(of);
        let row = match self.private(&path, &format!("symbol={code}"), spot_cost(2)).await {
            Ok((row, _)) => row,
            Err(ApiError::Refused { refusal: Refusal::NotFound, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if row.is_null() {
            return Ok(None);
        }
        wire::same(wire::text(&row, "symbol")?, &code)?;
        wire::same(wire::text(&row, id_key)?, &id)?;
        order_state(&row, symbol).map(Some)
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        if let Some(symbol) = symbol {
            return self.open_orders_of(symbol).await;
        }
        let names = self.loaded_names().await?;
        let data = self.private("/api/v1/hf/orders/active/symbols", "", spot_cost(2)).await?.0;
        let mut orders = Vec::new();
        for code in listed(&data, "symbols")? {
            let code = code.as_str().ok_or_else(|| wire::unknown("a market is not a text"))?;
            // A market that was listed since, or whose name is none of ours, is never traded by us.
            if let Some(symbol) = names.symbols.get(code) {
                orders.extend(self.open_orders_of(symbol).await?);
            }
        }
        Ok(orders)
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        // Pages can overlap, and what is too old is answered with what is newer.
        let mut orders = BTreeMap::new();
        for row in self.history("/api/v1/hf/orders/done", symbol, since).await? {
            let state = order_state(&row, symbol)?;
            if state.status != OrderStatus::Open {
                orders.insert((state.created_at, state.venue_order_id.clone()), state);
            }
        }
        Ok(orders.into_values().collect())
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        let rows = self.history("/api/v1/hf/fills", symbol, since).await?;
        let mut trades = own_trades(&rows, symbol, &self.names())?;
        trades.retain(|trade| trade.fill.at >= since);
        Ok(trades)
    }

    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>> {
        let id = sign::encode(venue_order_id);
        let query = format!("symbol={}&orderId={id}&limit={PAGE}", self.code(symbol));
        let rows = self.pages("/api/v1/hf/fills", &query).await?.0;
        for row in &rows {
            wire::same(wire::text(row, "orderId")?, venue_order_id)?;
        }
        own_trades(&rows, symbol, &self.names())
    }

    async fn cancel(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<()> {
        let (path, key, id) = self.order_path(of);
        let key = if key == "id" { "orderId" } else { key };
        let path = format!("{path}?symbol={}", self.code(symbol));
        let data = self.write(Method::Delete, &path, &|_| String::new()).await?;
        wire::same(wire::text(&data, key)?, &id)
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        let data = self.private("/api/v1/user/api-key", "", management_cost(20)).await?.0;
        let names: Vec<String> = wire::text(&data, "permission")?
            .split(',')
            .map(|name| wire::words(name.trim()))
            .collect();
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        Ok(KeyRights {
            read: Some(has("General")),
            trade: Some(has("Spot")),
            // Every right but these two counts as one that can move funds.
            withdraw: Some(names.iter().any(|name| !["General", "Spot"].contains(&name.as_str()))),
            address_bound: Some(wire::maybe_text(&data, "ipWhitelist").is_some()),
            expires_at: None,
            names,
            ..KeyRights::default()
        })
    }
}

impl Kucoin {
    async fn public(&self, path: &str, query: &str, units: u32) -> Answer<Value> {
        self.public_at(path, &|_| query.to_owned(), units).await
    }

    async fn public_at(
        &self,
        path: &str,
        query: &(dyn Fn(i64) -> String + Send + Sync),
        units: u32,
    ) -> Answer<Value> {
        let url = self.url(path);
        let build = move |now_ms| Request {
            method: Method::Get,
            url: sign::with_query(&url, &query(now_ms)),
            headers: Vec::new(),
            body: None,
        };
        let reply =
            self.connection.transport.send(Kind::PublicRead, &[public_cost(units)], &build).await?;
        self.read(&reply)
    }

    /// What a signed read says, and the moment at which it was asked.
    async fn private(&self, path: &str, query: &str, charge: Charge) -> Answer<(Value, Timestamp)> {
        let keys = self.keys()?;
        let target = sign::with_query(path, query);
        let url = self.url(&target);
        let asked_ms = AtomicI64::new(0);
        let build = |now_ms| {
            asked_ms.store(now_ms, Ordering::Relaxed);
            Request {
                method: Method::Get,
                url: url.clone(),
                headers: signed(keys, now_ms, "GET", &target, ""),
                body: None,
            }
        };
        let reply = self.connection.transport.send(Kind::PrivateRead, &[charge], &build).await?;
        let asked = Timestamp::from_ms(asked_ms.load(Ordering::Relaxed));
        self.read(&reply).map(|data| (data, asked))
    }

    async fn write(
        &self,
        method: Method,
        target: &str,
        body: &(dyn Fn(i64) -> String + Send + Sync),
    ) -> Answer<Value> {
        let keys = self.keys()?;
        let url = self.url(target);
        let verb = if method == Method::Post { "POST" } else { "DELETE" };
        let build = |now_ms| {
            let body = body(now_ms);
            Request {
                method,
                url: url.clone(),
                headers: signed(keys, now_ms, verb, target, &body),
                body: Some(body).filter(|body| !body.is_empty()),
            }
        };
        let reply = self.connection.transport.send(Kind::Write, &[spot_cost(1)], &build).await?;
        self.read(&reply)
    }

    /// The pages of a list that moves while it is read: an order that is over makes room for one of the
    /// next page, which then nobody sees. Fewer than were there at first are therefore no answer.
    async fn open_orders_of(&self, symbol: &Symbol) -> Answer<Vec<OrderState>> {
        let code = self.code(symbol);
        let mut rows = Vec::new();
        let mut counted = None;
        for page in 1..=PAGES_MAX {
            let query = format!("symbol={code}&pageNum={page}&pageSize={OPEN_PAGE}");
            let path = "/api/v1/hf/orders/active/page";
            let data = self.private(path, &query, spot_cost(2)).await?.0;
            let more = listed(&data, "items")?;
            counted = counted.or_else(|| wire::maybe(&data, "totalNum")?.as_u64());
            rows.extend(more.iter().cloned());
            if more.len() < OPEN_PAGE {
                let names = rows.iter().map(|row| wire::text(row, "id"));
                let seen = names.collect::<Answer<BTreeSet<&str>>>()?.len();
                if let Some(all) = counted.filter(|all| u64::try_from(seen).is_ok_and(|n| n < *all))
                {
                    return Err(wire::unknown(format!("{seen} of {all} open orders were listed")));
                }
                return open_of(&rows, &code, symbol);
            }
        }
        Err(endless())
    }

    /// All pages of a list, and the moment at which the last one was asked for.
    async fn pages(&self, path: &str, query: &str) -> Answer<(Vec<Value>, Timestamp)> {
        let mut all = Vec::new();
        let mut page = query.to_owned();
        for _ in 0..PAGES_MAX {
            let (data, asked) = self.private(path, &page, spot_cost(2)).await?;
            let rows = listed(&data, "items")?;
            all.extend(rows.iter().cloned());
            if rows.len() < PAGE {
                return Ok((all, asked));
            }
            page = format!("{query}&lastId={}", wire::name(&data, "lastId")?);
        }
        Err(endless())
    }

    /// A history of a market from `since` to now, a week at a time.
    async fn history(&self, path: &str, symbol: &Symbol, since: Timestamp) -> Answer<Vec<Value>> {
        let code = self.code(symbol);
        let mut all = Vec::new();
        let mut from = since.ms();
        for _ in 0..WEEKS_MAX {
            let until = from + WEEK_MS - 1;
            let query = format!("symbol={code}&startAt={from}&endAt={until}&limit={PAGE}");
            let (rows, now) = self.pages(path, &query).await?;
            for row in &rows {
                wire::same(wire::text(row, "symbol")?, &code)?;
            }
            all.extend(rows);
            if until >= now.ms() {
                return Ok(all);
            }
            from = until + 1;
        }
        Err(wire::unknown(format!("{since} is further back than KuCoin's history")))
    }

    fn names(&self) -> Arc<Names> {
        Arc::clone(&self.names.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table of names, which is fetched when `markets` was not called before.
    async fn loaded_names(&self) -> Answer<Arc<Names>> {
        if self.names().symbols.is_empty() {
            self.markets().await?;
        }
        Ok(self.names())
    }

    fn code(&self, symbol: &Symbol) -> String {
        self.names().code(symbol)
    }

    /// Path of an order, the field that names it there, and its name.
    fn order_path(&self, of: Reference<'_>) -> (String, &'static str, String) {
        match of {
            Reference::Venue(id) => {
                (format!("/api/v1/hf/orders/{}", sign::encode(id)), "id", id.to_owned())
            }
            Reference::Client(id) => {
                let id = self.wire_id(id);
                (format!("/api/v1/hf/orders/client-order/{id}"), "clientOid", id)
            }
        }
    }

    fn url(&self, target: &str) -> String {
        self.connection.urls.get("rest").map_or_else(String::new, |base| format!("{base}{target}"))
    }

    fn keys(&self) -> Answer<&Keys> {
        let keys = self.connection.keys.as_ref().filter(|keys| keys.password.is_some());
        keys.ok_or_else(|| ApiError::NotSent("kucoin has no API key with a passphrase".to_owned()))
    }

    /// The data of a reply that says yes.
    fn read(&self, reply: &Reply) -> Answer<Value> {
        let answer = refusal::accepted(reply);
        if let Err(ApiError::Refused { refusal: Refusal::RateLimited { wait }, .. }) = &answer {
            self.connection.transport.pause(wait.unwrap_or(Duration::from_secs(1)));
        }
        answer
    }
}

fn endless() -> ApiError {
    wire::unknown(format!("the list did not end after {PAGES_MAX} pages"))
}

/// Which of these are open, once each: pages can overlap.
fn open_of(rows: &[Value], code: &str, symbol: &Symbol) -> Answer<Vec<OrderState>> {
    let mut seen = BTreeSet::new();
    let mut orders = Vec::new();
    for row in rows {
        wire::same(wire::text(row, "symbol")?, code)?;
        let state = order_state(row, symbol)?;
        if state.status == OrderStatus::Open && seen.insert(state.venue_order_id.clone()) {
            orders.push(state);
        }
    }
    Ok(orders)
}

/// The headers of a signed request. Since version 2 of keys the passphrase is signed as well.
fn signed(
    keys: &Keys,
    now_ms: i64,
    verb: &str,
    target: &str,
    body: &str,
) -> Vec<(&'static str, String)> {
    let sign = |message: &str| {
        sign::base64_text(&sign::hmac_sha256(keys.secret.as_bytes(), message.as_bytes()))
    };
    let passphrase = keys.password.as_ref().map_or("", |password| password.as_str());
    let mut headers = vec![
        ("KC-API-KEY-VERSION", "2".to_owned()),
        ("KC-API-KEY", keys.api_key.to_string()),
        ("KC-API-TIMESTAMP", now_ms.to_string()),
        ("KC-API-PASSPHRASE", sign(passphrase)),
        ("KC-API-SIGN", sign(&format!("{now_ms}{verb}{target}{body}"))),
    ];
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json".to_owned()));
    }
    headers
}
