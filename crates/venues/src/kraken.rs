//! Kraken spot, REST. Its names (`XXBT`, `XBT`) become ours (`BTC`) here and nowhere else.

mod history;
mod read;
mod refusal;

use crate::api::{
    Answer, ApiError, Book, Bucket, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OwnTrade, Placed, Reference, Refusal, TickerQuote, VenueFacts,
};
use crate::guard::guarded;
use crate::http::{Charge, Kind, Method, Reply, Request};
use crate::sign::{base64_bytes, base64_text, hmac_sha512, query, sha256, with_query};
use crate::venue::{Connection, Venue};
use crate::wire::{
    amount, candles_asked_for, decimal, field, is_like_ours, iso_text, levels, list, maybe,
    maybe_text, plain, refused, status_error, text, unknown,
};
use async_trait::async_trait;
use history::{PAGE, Past, Reading};
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::order::{ClientOrderId, Side};
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use read::{
    candle_of_row, market_rules, moment_of_seconds, object, of_market, only_market, order_state,
    pair_name, pair_names, ticker_quote, trades_of,
};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex as Lock, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;

/// The row in the table of venues.
pub(crate) static VENUE: Venue =
    Venue { facts: &FACTS, connect: |connection| guarded(connection, Kraken::new) };

static FACTS: VenueFacts = VenueFacts {
    id: "kraken",
    urls: &[("rest", "https://api.kraken.com")],
    sandbox_urls: &[],
    validity: Duration::from_millis(DEADLINE_MS.unsigned_abs()),
    buys_by_cost: false,
    needs_password: false,
    tells_key_rights: true,
    candles_per_request: 720,
    // Its weeks begin on Thursdays, so they are not ours.
    timeframes: &[
        ("1m", "1"),
        ("5m", "5"),
        ("15m", "15"),
        ("30m", "30"),
        ("1h", "60"),
        ("4h", "240"),
        ("1d", "1440"),
    ],
    // The newest 720 bars, of which the last is still open, whatever `since` asks for.
    history_max: Some(719),
    buckets: &[
        // Counters that fall with time; the figures of the lowest tier of accounts. One that holds 15 and
        // falls by one in three seconds is never full when no 45 seconds hold more than 15.
        Bucket { name: "private", units: 15, per: Duration::from_secs(45) },
        Bucket { name: "trading", units: 60, per: Duration::from_secs(60) },
        Bucket { name: "public", units: 15, per: Duration::from_secs(15) },
    ],
    used: |_| Vec::new(),
};

/// How long after the signature an order may still be accepted; the venue takes 2 to 60 seconds.
const DEADLINE_MS: i64 = 10_000;
const PUBLIC: [Charge; 1] = [Charge { bucket: "public", units: 1 }];
const PRIVATE: [Charge; 1] = [Charge { bucket: "private", units: 1 }];
const HISTORY: [Charge; 1] = [Charge { bucket: "private", units: 2 }];
const ADD_ORDER: [Charge; 1] = [Charge { bucket: "trading", units: 1 }];
/// Cancelling within five seconds costs eight.
const CANCEL_ORDER: [Charge; 1] = [Charge { bucket: "trading", units: 8 }];
/// Pages of a history that one question reads.
const PAGES_MAX: usize = 20;
/// Trades that one question by id may name.
const TRADES_PER_QUERY: usize = 20;

type Parameters = Vec<(&'static str, String)>;

struct Kraken {
    connection: Connection,
    /// The venue wants rising nonces in the order of arrival: one private request at a time.
    lane: Mutex<()>,
    last_nonce: AtomicI64,
    /// Markets by every name the venue uses for them; filled by the table of markets.
    pairs: Lock<BTreeMap<String, Symbol>>,
    /// Histories that are too long for one question, by their method.
    pasts: Lock<BTreeMap<&'static str, Past>>,
}

impl Kraken {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            lane: Mutex::new(()),
            last_nonce: AtomicI64::new(0),
            pairs: Lock::new(BTreeMap::new()),
            pasts: Lock::new(BTreeMap::new()),
        }
    }

    fn url(&self, path: &str) -> String {
        let base = self.connection.urls.get("rest").map_or(FACTS.urls[0].1, String::as_str);
        format!("{base}{path}")
    }

    async fn public(&self, method: &str, parameters: Parameters) -> Answer<Value> {
        let url = with_query(&self.url(&format!("/0/public/{method}")), &query(&parameters));
        let build = |_now_ms: i64| Request {
            method: Method::Get,
            url: url.clone(),
            headers: Vec::new(),
            body: None,
        };
        let reply = self.connection.transport.send(Kind::PublicRead, &PUBLIC, &build).await?;
        self.watched(Kind::PublicRead, &reply)
    }

    /// A signed question. `parameters` gets the venue's present time.
    async fn private(
        &self,
        kind: Kind,
        charges: &[Charge],
        method: &str,
        parameters: &(dyn Fn(i64) -> Parameters + Send + Sync),
    ) -> Answer<Value> {
        let keys = self.connection.keys.as_ref();
        let keys = keys.ok_or_else(|| ApiError::NotSent("kraken has no API key".to_owned()))?;
        let secret =
            base64_bytes(&keys.secret).filter(|secret| !secret.is_empty()).ok_or_else(|| {
                ApiError::NotSent("the API secret of kraken is not base64".to_owned())
            })?;
        let path = format!("/0/private/{method}");
        let url = self.url(&path);
        let build = |now_ms: i64| {
            let nonce = self.next_nonce(now_ms).to_string();
            let mut fields: Vec<(&str, String)> = vec![("nonce", nonce.clone())];
            fields.extend(parameters(now_ms));
            let body = query(&fields);
            let digest = sha256(format!("{nonce}{body}").as_bytes());
            let signature = hmac_sha512(&secret, &[path.as_bytes(), &digest].concat());
            Request {
                method: Method::Post,
                url: url.clone(),
                headers: vec![
                    ("API-Key", keys.api_key.to_string()),
                    ("API-Sign", base64_text(&signature)),
                    ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
                ],
                body: Some(body),
            }
        };
        let lane = self.lane.lock().await;
        let reply = self.connection.transport.send(kind, charges, &build).await;
        drop(lane);
        self.watched(kind, &reply?)
    }

    /// Microseconds of the venue's clock, and always above the last one: also when the clock was set
    /// back, and in two questions of the same millisecond. After a restart the venue's clock has moved
    /// on by more than the questions asked before.
    fn next_nonce(&self, now_ms: i64) -> i64 {
        let wanted = now_ms.saturating_mul(1000);
        let next = |last: i64| wanted.max(last.saturating_add(1));
        let last = self
            .last_nonce
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }

    /// The result, after the transport was told to be silent if the venue asked for it.
    fn watched(&self, kind: Kind, reply: &Reply) -> Answer<Value> {
        let by_status = status_error(reply);
        let refused_unread = by_status.is_some();
        let answer = by_status.map_or_else(|| refusal::result_of(reply), Err);
        let Err(ApiError::Refused { refusal: Refusal::RateLimited { wait }, code, .. }) = &answer
        else {
            return answer;
        };
        self.connection.transport.pause(wait.unwrap_or(Duration::from_secs(15)));
        // The venue documents its own errors as refusals before the engine, but no status of 429.
        if refused_unread && kind == Kind::Write { Err(unknown(code)) } else { answer }
    }

    async fn read(&self, method: &str, charges: &[Charge], fields: Parameters) -> Answer<Value> {
        self.private(Kind::PrivateRead, charges, method, &|_| fields.clone()).await
    }

    /// The entries of a history since a moment. One that is too long for one question is an error, and
    /// the next question goes on with it.
    async fn history(
        &self,
        method: &'static str,
        key: &str,
        since: Timestamp,
    ) -> Answer<Vec<(String, Value)>> {
        let past = self.pasts().remove(method).unwrap_or_default();
        let mut reading = Reading::new(since, past);
        let answer = self.read_on(method, key, since, &mut reading).await;
        let answer = answer.map(|()| reading.entries());
        self.pasts().insert(method, reading.keep(PAGES_MAX));
        answer
    }

    async fn read_on(
        &self,
        method: &'static str,
        key: &str,
        since: Timestamp,
        reading: &mut Reading,
    ) -> Answer<()> {
        for _ in 0..PAGES_MAX {
            let mut fields = vec![("start", just_before(since))];
            if reading.offset() > 0 {
                fields.push(("ofs", reading.offset().to_string()));
            }
            let result = self.read(method, &HISTORY, fields).await?;
            if reading.add(object(&result, key)?) {
                return Ok(());
            }
        }
        Err(unknown(format!(
            "{method} has more than the {} entries of one question; the next one goes on with it",
            PAGE * PAGES_MAX
        )))
    }

    fn pasts(&self) -> MutexGuard<'_, BTreeMap<&'static str, Past>> {
        self.pasts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn query_orders(&self, id: &str) -> Answer<Option<Value>> {
        let fields = vec![("trades", "true".to_owned()), ("txid", id.to_owned())];
        match self.read("QueryOrders", &PRIVATE, fields).await {
            Ok(result) => Ok(maybe(&result, id).cloned()),
            Err(ApiError::Refused { refusal: Refusal::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn by_client_id(
        &self,
        symbol: &Symbol,
        id: &ClientOrderId,
    ) -> Answer<Option<OrderState>> {
        // Open before closed: an order that is done between the two questions is found by the second.
        for (method, key) in [("OpenOrders", "open"), ("ClosedOrders", "closed")] {
            // The 32 digits are what the venue calls a short UUID.
            let fields = vec![("cl_ord_id", self.wire_id(id))];
            let result = self.read(method, &PRIVATE, fields).await?;
            for (order_id, order) in object(&result, key)? {
                if maybe_text(order, "cl_ord_id") == Some(self.wire_id(id).as_str()) {
                    return order_state(order_id, order, symbol).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn symbol_of(&self, pair: &str) -> Option<Symbol> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.get(pair).cloned()
    }

    fn knows_market_of(&self, order: &Value) -> bool {
        let pair = order.get("descr").and_then(|description| maybe_text(description, "pair"));
        pair.is_some_and(|pair| self.symbol_of(pair).is_some())
    }
}

#[async_trait]
impl ExchangeApi for Kraken {
    fn facts(&self) -> &'static VenueFacts {
        &FACTS
    }

    async fn time(&self) -> Answer<Timestamp> {
        let result = self.public("Time", Vec::new()).await?;
        moment_of_seconds(&result, "unixtime")
    }

    async fn markets(&self) -> Answer<Markets> {
        let result = self.public("AssetPairs", Vec::new()).await?;
        let listed = result.as_object().ok_or_else(|| unknown("AssetPairs is no object"))?;
        let mut markets = Markets::new();
        let mut names = BTreeMap::new();
        for (id, pair) in listed {
            let Some(rules) = market_rules(pair) else { continue };
            for name in pair_names(&rules.symbol).into_iter().chain([id.clone()]) {
                names.insert(name, rules.symbol.clone());
            }
            markets.insert(rules.symbol.clone(), rules);
        }
        if markets.is_empty() {
            return Err(unknown("AssetPairs lists no spot market that can be read"));
        }
        *self.pairs.lock().unwrap_or_else(PoisonError::into_inner) = names;
        Ok(markets)
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        let interval = FACTS.timeframe(timeframe)?.to_owned();
        let mut fields = vec![("pair", pair_name(symbol)), ("interval", interval)];
        if let Some(since) = since {
            // The venue gives what comes after the bar that `since` names.
            let before = since.ms().div_euclid(1000) - i64::from(timeframe.seconds());
            fields.push(("since", before.to_string()));
        }
        let result = self.public("OHLC", fields).await?;
        let rows = only_market(&result, symbol)?;
        let rows = rows.as_array().ok_or_else(|| unknown("OHLC holds no list of candles"))?;
        let candles = rows.iter().map(candle_of_row).collect::<Answer<Vec<Candle>>>()?;
        candles_asked_for(candles, since, limit.min(FACTS.candles_per_request))
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        let names: Vec<String> = symbols.iter().map(pair_name).collect();
        let result = match self.public("Ticker", vec![("pair", names.join(","))]).await {
            // One market that is gone fails the question for all: ask for every market instead.
            Err(ApiError::Refused { refusal: Refusal::Market, .. }) if names.len() > 1 => {
                self.public("Ticker", Vec::new()).await?
            }
            Err(ApiError::Refused { refusal: Refusal::Market, .. }) => return Ok(Vec::new()),
            other => other?,
        };
        symbols
            .iter()
            .filter_map(|symbol| of_market(&result, symbol).map(|quote| (symbol, quote)))
            .map(|(symbol, quote)| ticker_quote(symbol, quote))
            .collect()
    }

    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book> {
        let count = depth.clamp(1, 500).to_string();
        let fields = vec![("pair", pair_name(symbol)), ("count", count)];
        let result = self.public("Depth", fields).await?;
        let book = only_market(&result, symbol)?;
        Ok(Book { bids: levels(book, "bids")?, asks: levels(book, "asks")? })
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        read::balances(&self.read("BalanceEx", &PRIVATE, Vec::new()).await?)
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        let (volume, flags) = match order.amount {
            OrderAmount::Base(base) => (base.get(), "fciq"),
            OrderAmount::Quote(_) if order.side == Side::Sell => {
                return Err(ApiError::NotSent("kraken sells by base amount only".to_owned()));
            }
            OrderAmount::Quote(cost) => (cost, "fciq,viqc"),
        };
        let fields = |now_ms: i64| {
            vec![
                ("pair", pair_name(&order.symbol)),
                ("type", order.side.to_string()),
                ("ordertype", "market".to_owned()),
                ("volume", plain(volume)),
                ("cl_ord_id", self.wire_id(&order.id)),
                ("oflags", flags.to_owned()),
                ("deadline", iso_text(now_ms + DEADLINE_MS)),
            ]
        };
        let result = self.private(Kind::Write, &ADD_ORDER, "AddOrder", &fields).await?;
        let ids = list(&result, "txid")?;
        let [id] = ids else {
            return Err(unknown(format!("AddOrder names {} orders, expected one", ids.len())));
        };
        let id = id.as_str().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| unknown("AddOrder gives no name of the order"))?;
        Ok(Placed::Accepted { venue_order_id: id.to_owned() })
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        match of {
            Reference::Client(id) => self.by_client_id(symbol, id).await,
            Reference::Venue(id) => match self.query_orders(id).await? {
                Some(order) => order_state(id, &order, symbol).map(Some),
                None => Ok(None),
            },
        }
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        let result = self.read("OpenOrders", &PRIVATE, Vec::new()).await?;
        let open = object(&result, "open")?;
        if symbol.is_none() && !open.values().all(|order| self.knows_market_of(order)) {
            self.markets().await?;
        }
        let mut orders = Vec::new();
        for (id, order) in open {
            let pair = text(field(order, "descr")?, "pair")?;
            let market = match symbol {
                Some(wanted) if pair_names(wanted).iter().any(|name| name == pair) => {
                    wanted.clone()
                }
                Some(_) => continue,
                None => match self.symbol_of(pair) {
                    Some(market) => market,
                    // Another's, in a market whose name is none of ours: never traded by us.
                    None if !is_like_ours(maybe_text(order, "cl_ord_id")) => continue,
                    None => {
                        return Err(unknown(format!(
                            "order {id} is of `{pair}`, which AssetPairs does not list"
                        )));
                    }
                },
            };
            orders.push(order_state(id, order, &market)?);
        }
        Ok(orders)
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        let entries = self.history("ClosedOrders", "closed", since).await?;
        let names = pair_names(symbol);
        let mut orders = Vec::new();
        for (id, order) in &entries {
            let pair = text(field(order, "descr")?, "pair")?;
            if names.iter().any(|name| name == pair) {
                orders.push(order_state(id, order, symbol)?);
            }
        }
        Ok(orders)
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        let mut trades = self.own_trades_in(&[(symbol.clone(), since)]).await?;
        Ok(trades.remove(symbol).unwrap_or_default())
    }

    /// The history is that of the account: one question, which counts for much, shows every market.
    async fn own_trades_in(
        &self,
        markets: &[(Symbol, Timestamp)],
    ) -> Answer<BTreeMap<Symbol, Vec<OwnTrade>>> {
        let Some(first) = markets.iter().map(|(_, since)| *since).min() else {
            return Ok(BTreeMap::new());
        };
        let entries = self.history("TradesHistory", "trades", first).await?;
        let mut all = BTreeMap::new();
        for (symbol, since) in markets {
            let mut trades = trades_of(&entries, symbol)?;
            trades.retain(|trade| trade.fill.at >= *since);
            all.insert(symbol.clone(), trades);
        }
        Ok(all)
    }

    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>> {
        let Some(order) = self.query_orders(venue_order_id).await? else { return Ok(Vec::new()) };
        let ids: Vec<&str> = match maybe(&order, "trades") {
            Some(_) => list(&order, "trades")?.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        if ids.is_empty() && amount(&order, "vol_exec")? > Decimal::ZERO {
            return Err(unknown(format!(
                "order {venue_order_id} was executed, but its trades are not listed"
            )));
        }
        let mut entries = Vec::new();
        for some in ids.chunks(TRADES_PER_QUERY) {
            let result = self.read("QueryTrades", &PRIVATE, vec![("txid", some.join(","))]).await?;
            for id in some {
                entries.push(((*id).to_owned(), field(&result, id)?.clone()));
            }
        }
        trades_of(&entries, symbol)
    }

    async fn cancel(&self, _symbol: &Symbol, of: Reference<'_>) -> Answer<()> {
        let field = match of {
            Reference::Venue(id) => ("txid", id.to_owned()),
            Reference::Client(id) => ("cl_ord_id", self.wire_id(id)),
        };
        let fields = |_now_ms: i64| vec![field.clone()];
        let result = self.private(Kind::Write, &CANCEL_ORDER, "CancelOrder", &fields).await?;
        match decimal(&result, "count")? {
            count if count > Decimal::ZERO => Ok(()),
            _ if result.get("pending").and_then(Value::as_bool) == Some(true) => Ok(()),
            _ => Err(refused(Refusal::NotFound, "count 0", "no order was cancelled")),
        }
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        read::key_rights(&self.read("GetApiKeyInfo", &PRIVATE, Vec::new()).await?)
    }
}

/// The last whole second before a moment: the venue's `start` is exclusive.
fn just_before(since: Timestamp) -> String {
    (since.ms() - 1).div_euclid(1000).to_string()
}
