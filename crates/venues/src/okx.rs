//! OKX, spot, REST v5.

mod read;
mod refusal;

use crate::api::{
    Answer, ApiError, Book, Bucket, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OrderStatus, OwnTrade, Placed, Reference, Refusal, TickerQuote, VenueFacts,
};
use crate::guard::guarded;
use crate::http::{Charge, Kind, Method, Reply, Request};
use crate::sign::{base64_text, hmac_sha256, query, with_query};
use crate::venue::{Connection, Keys, Venue};
use crate::wire::{
    candle_row, candles_asked_for, iso_text, maybe_text, moment, plain, text, unknown,
};
use async_trait::async_trait;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::order::Side;
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// An order that reaches the engine later than this after its signature is refused there.
const VALIDITY_MS: i64 = 5000;
const PAGE: usize = 100;
const DAY_MS: i64 = 86_400_000;
/// The one address has the newest candles; older ones are at the other, in pages of 100.
const CANDLES: &str = "/api/v5/market/candles";
const CANDLES_OLD: &str = "/api/v5/market/history-candles";
const RECENT_CANDLES: i64 = 1439;
const OLD_CANDLES: usize = 100;
/// How far the short lists of orders and of executions go back.
const ORDERS_SHORT_MS: i64 = 7 * DAY_MS;
const FILLS_SHORT_MS: i64 = 3 * DAY_MS;

const fn bucket(name: &'static str, units: u32) -> Bucket {
    Bucket { name, units, per: Duration::from_secs(2) }
}

static FACTS: VenueFacts = VenueFacts {
    id: "okx",
    urls: &[("api", "https://www.okx.com")],
    sandbox_urls: &[("api", "https://www.okx.com")],
    validity: Duration::from_millis(VALIDITY_MS.unsigned_abs()),
    buys_by_cost: false,
    needs_password: true,
    tells_key_rights: true,
    candles_per_request: 300,
    // Bars of six hours and more are asked for by UTC days.
    timeframes: &[
        ("1m", "1m"),
        ("3m", "3m"),
        ("5m", "5m"),
        ("15m", "15m"),
        ("30m", "30m"),
        ("1h", "1H"),
        ("2h", "2H"),
        ("4h", "4H"),
        ("6h", "6Hutc"),
        ("12h", "12Hutc"),
        ("1d", "1Dutc"),
        ("1w", "1Wutc"),
    ],
    history_max: None,
    // Each address has a limit of its own.
    buckets: &[
        bucket("/api/v5/public/time", 10),
        bucket("/api/v5/public/instruments", 20),
        bucket(CANDLES, 40),
        bucket(CANDLES_OLD, 20),
        bucket("/api/v5/market/tickers", 20),
        bucket("/api/v5/market/books", 40),
        bucket("/api/v5/account/balance", 10),
        bucket("/api/v5/account/config", 5),
        bucket("/api/v5/trade/order", 60),
        bucket("/api/v5/trade/cancel-order", 60),
        bucket("/api/v5/trade/orders-pending", 60),
        bucket("/api/v5/trade/orders-history", 40),
        bucket("/api/v5/trade/orders-history-archive", 20),
        bucket("/api/v5/trade/fills", 60),
        bucket("/api/v5/trade/fills-history", 10),
    ],
    used: |_| Vec::new(),
};

/// The row of this venue.
pub(crate) const VENUE: Venue = Venue { facts: &FACTS, connect };

fn connect(connection: Connection) -> Box<dyn ExchangeApi> {
    guarded(connection, |connection| Okx { connection, now_ms: AtomicI64::new(0) })
}

struct Okx {
    connection: Connection,
    /// The venue's time when candles were last asked for; zero before that.
    now_ms: AtomicI64,
}

type Parameters = Vec<(&'static str, String)>;

fn market_id(symbol: &Symbol) -> String {
    format!("{}-{}", symbol.base, symbol.quote)
}

fn reference(of: Reference<'_>) -> (&'static str, String) {
    match of {
        Reference::Venue(id) => ("ordId", id.to_owned()),
        Reference::Client(id) => ("clOrdId", id.as_str().to_owned()),
    }
}

impl Okx {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.connection.urls.get("api").map_or(FACTS.urls[0].1, String::as_str))
    }

    fn keys(&self) -> Answer<(&Keys, &Zeroizing<String>)> {
        let keys = self.connection.keys.as_ref();
        keys.and_then(|keys| Some((keys, keys.password.as_ref()?))).ok_or_else(|| {
            ApiError::NotSent(
                "okx needs an API key, its secret and its passphrase for this".to_owned(),
            )
        })
    }

    fn mark(&self, headers: &mut Parameters) {
        if self.connection.sandbox {
            headers.push(("x-simulated-trading", "1".to_owned()));
        }
    }

    /// Rows of a reply. A refusal for too many requests stops everything for the venue's window.
    fn rows(&self, reply: &Reply) -> Answer<Vec<Value>> {
        let rows = refusal::rows(reply);
        if let Err(ApiError::Refused { refusal: Refusal::RateLimited { wait }, .. }) = &rows {
            self.connection.transport.pause(wait.unwrap_or(refusal::PAUSE));
        }
        rows
    }

    /// An unsigned request.
    fn get(&self, path: &str, parameters: &Parameters) -> Request {
        let url = with_query(&self.url(path), &query(parameters));
        let mut headers = Vec::new();
        self.mark(&mut headers);
        Request { method: Method::Get, url, headers, body: None }
    }

    async fn public_reply(&self, path: &'static str, parameters: Parameters) -> Answer<Reply> {
        let build = |_| self.get(path, &parameters);
        let charge = Charge { bucket: path, units: 1 };
        Ok(self.connection.transport.send(Kind::PublicRead, &[charge], &build).await?)
    }

    async fn public(&self, path: &'static str, parameters: Parameters) -> Answer<Vec<Value>> {
        self.rows(&self.public_reply(path, parameters).await?)
    }

    /// A signed request; also tells the moment of its signature.
    async fn signed(
        &self,
        method: Method,
        path: &'static str,
        parameters: &Parameters,
        body: Option<String>,
    ) -> Answer<(Vec<Value>, i64)> {
        let (keys, password) = self.keys()?;
        let target = with_query(path, &query(parameters));
        let (url, verb) = (self.url(&target), if method == Method::Get { "GET" } else { "POST" });
        let signed_at = AtomicI64::new(0);
        let build = |now_ms: i64| {
            signed_at.store(now_ms, Ordering::Relaxed);
            let at = iso_text(now_ms);
            let message = format!("{at}{verb}{target}{}", body.as_deref().unwrap_or_default());
            let signature = hmac_sha256(keys.secret.as_bytes(), message.as_bytes());
            let mut headers = vec![
                ("OK-ACCESS-KEY", keys.api_key.to_string()),
                ("OK-ACCESS-PASSPHRASE", password.to_string()),
                ("OK-ACCESS-TIMESTAMP", at),
                ("OK-ACCESS-SIGN", base64_text(&signature)),
            ];
            if method != Method::Get {
                headers.push(("Content-Type", "application/json".to_owned()));
                headers.push(("expTime", (now_ms + VALIDITY_MS).to_string()));
            }
            self.mark(&mut headers);
            Request { method, url: url.clone(), headers, body: body.clone() }
        };
        let kind = if method == Method::Get { Kind::PrivateRead } else { Kind::Write };
        let charge = Charge { bucket: path, units: 1 };
        let reply = self.connection.transport.send(kind, &[charge], &build).await?;
        Ok((self.rows(&reply)?, signed_at.load(Ordering::Relaxed)))
    }

    async fn read(&self, path: &'static str, parameters: Parameters) -> Answer<Vec<Value>> {
        Ok(self.signed(Method::Get, path, &parameters, None).await?.0)
    }

    async fn write(&self, path: &'static str, body: Value) -> Answer<Value> {
        let body = Some(body.to_string());
        let (mut rows, _) = self.signed(Method::Post, path, &Vec::new(), body).await?;
        read::only(&rows)?;
        // Without its own code a row says nothing; zero is the only one left here.
        text(&rows[0], "sCode")?;
        Ok(rows.swap_remove(0))
    }

    /// All pages of a list, newest first; `id` names the value by which the next one is asked for.
    async fn pages(
        &self,
        path: &'static str,
        parameters: &Parameters,
        id: &str,
    ) -> Answer<(Vec<Value>, i64)> {
        let mut page = parameters.clone();
        page.push(("limit", PAGE.to_string()));
        let (mut rows, first_at) = self.signed(Method::Get, path, &page, None).await?;
        let mut length = rows.len();
        while length >= PAGE {
            let Some(last) = rows.last() else { break };
            let mut next = page.clone();
            next.push(("after", text(last, id)?.to_owned()));
            let more = self.read(path, next).await?;
            length = more.len();
            rows.extend(more);
        }
        Ok((rows, first_at))
    }

    /// A list since a moment: the short one, and the long one beside it when the short one does not
    /// reach back so far.
    async fn since(
        &self,
        (short, long): (&'static str, &'static str),
        reach_ms: i64,
        symbol: &Symbol,
        since: Timestamp,
        id: &str,
    ) -> Answer<Vec<Value>> {
        let parameters = vec![
            ("instType", "SPOT".to_owned()),
            ("instId", market_id(symbol)),
            ("begin", since.ms().to_string()),
        ];
        let (mut rows, now_ms) = self.pages(short, &parameters, id).await?;
        if now_ms - since.ms() > reach_ms {
            let mut seen: BTreeSet<String> =
                rows.iter().map(|row| Ok(text(row, id)?.to_owned())).collect::<Answer<_>>()?;
            for row in self.pages(long, &parameters, id).await?.0 {
                if seen.insert(text(&row, id)?.to_owned()) {
                    rows.push(row);
                }
            }
        }
        Ok(rows)
    }

    fn trades(rows: &[Value], symbol: &Symbol) -> Answer<Vec<OwnTrade>> {
        let mut trades = Vec::new();
        for row in rows {
            if read::symbol(row)?.as_ref() != Some(symbol) {
                return Err(unknown("executions of another market"));
            }
            trades.push(read::trade(row, symbol)?);
        }
        trades.sort_by_key(|trade| trade.fill.at);
        Ok(trades)
    }
}

#[async_trait]
impl ExchangeApi for Okx {
    fn facts(&self) -> &'static VenueFacts {
        &FACTS
    }

    async fn time(&self) -> Answer<Timestamp> {
        moment(read::only(&self.public("/api/v5/public/time", Vec::new()).await?)?, "ts")
    }

    async fn markets(&self) -> Answer<Markets> {
        let parameters = vec![("instType", "SPOT".to_owned())];
        let reply = self.public_reply("/api/v5/public/instruments", parameters).await?;
        refusal::check_status(&reply)?;
        // A refusal has another shape than the table.
        if (200..300).contains(&reply.status)
            && let Ok(markets) = read::markets(&reply)
        {
            return Ok(markets);
        }
        self.rows(&reply)?;
        read::markets(&reply)
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        let limit = limit.clamp(1, FACTS.candles_per_request);
        let bar = FACTS.timeframe(timeframe)?;
        let old_at = |now_ms: i64| {
            since.is_some_and(|since| since.ms() < now_ms - RECENT_CANDLES * timeframe.ms())
        };
        let build = |now_ms: i64| {
            self.now_ms.store(now_ms, Ordering::Relaxed);
            let (path, limit) = if old_at(now_ms) {
                (CANDLES_OLD, limit.min(OLD_CANDLES))
            } else {
                (CANDLES, limit)
            };
            let mut parameters = vec![
                ("instId", market_id(symbol)),
                ("bar", bar.to_owned()),
                ("limit", limit.to_string()),
            ];
            if let Some(since) = since {
                // Both ends are excluded there.
                let span = timeframe.ms().saturating_mul(i64::try_from(limit).unwrap_or(i64::MAX));
                parameters.push(("before", (since.ms() - 1).to_string()));
                parameters.push(("after", since.ms().saturating_add(span).to_string()));
            }
            self.get(path, &parameters)
        };
        // Which address it will be depends on the time of sending; until that is known once, both
        // limits are charged.
        let known = self.now_ms.load(Ordering::Relaxed);
        let mut charges = Vec::new();
        if known == 0 || !old_at(known) {
            charges.push(Charge { bucket: CANDLES, units: 1 });
        }
        if since.is_some() && (known == 0 || old_at(known)) {
            charges.push(Charge { bucket: CANDLES_OLD, units: 1 });
        }
        let reply = self.connection.transport.send(Kind::PublicRead, &charges, &build).await?;
        let rows = self.rows(&reply)?;
        // Newest first there.
        let candles = rows.iter().rev().map(|row| candle_row(row, [0, 1, 2, 3, 4, 5]));
        candles_asked_for(candles.collect::<Answer<_>>()?, since, limit)
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        let parameters = vec![("instType", "SPOT".to_owned())];
        read::tickers(&self.public("/api/v5/market/tickers", parameters).await?, symbols)
    }

    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book> {
        let parameters =
            vec![("instId", market_id(symbol)), ("sz", depth.clamp(1, 400).to_string())];
        read::book(&self.public("/api/v5/market/books", parameters).await?)
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        read::balances(&self.read("/api/v5/account/balance", Vec::new()).await?)
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        let side = match order.side {
            Side::Buy => "buy",
            Side::Sell => "sell",
        };
        // The unit is always named: without it a buy is by cost.
        let (amount, unit) = match order.amount {
            OrderAmount::Base(amount) => (plain(amount.get()), "base_ccy"),
            OrderAmount::Quote(cost) => (plain(cost), "quote_ccy"),
        };
        let body = json!({
            "instId": market_id(&order.symbol),
            "side": side,
            "ordType": "market",
            "sz": amount,
            "tdMode": "cash",
            "tgtCcy": unit,
            "clOrdId": order.id.as_str(),
        });
        let row = self.write("/api/v5/trade/order", body).await?;
        if text(&row, "clOrdId")? != order.id.as_str() {
            return Err(unknown("the acknowledgement of another order"));
        }
        Ok(Placed::Accepted { venue_order_id: text(&row, "ordId")?.to_owned() })
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        let parameters = vec![("instId", market_id(symbol)), reference(of)];
        match self.read("/api/v5/trade/order", parameters).await {
            Ok(rows) => match read::order(read::only(&rows)?)? {
                Some(order) if order.symbol == *symbol => Ok(Some(order)),
                _ => Err(unknown("an order of another market")),
            },
            Err(ApiError::Refused { refusal: Refusal::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        let mut parameters = vec![("instType", "SPOT".to_owned())];
        if let Some(symbol) = symbol {
            parameters.push(("instId", market_id(symbol)));
        }
        let (rows, _) = self.pages("/api/v5/trade/orders-pending", &parameters, "ordId").await?;
        rows.iter().filter_map(|row| read::order(row).transpose()).collect()
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        let lists = ("/api/v5/trade/orders-history", "/api/v5/trade/orders-history-archive");
        let rows = self.since(lists, ORDERS_SHORT_MS, symbol, since, "ordId").await?;
        let orders: Vec<OrderState> =
            rows.iter().filter_map(|row| read::order(row).transpose()).collect::<Answer<_>>()?;
        if orders.iter().any(|order| order.symbol != *symbol) {
            return Err(unknown("orders of another market"));
        }
        Ok(orders.into_iter().filter(|order| order.status != OrderStatus::Open).collect())
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        let lists = ("/api/v5/trade/fills", "/api/v5/trade/fills-history");
        Self::trades(&self.since(lists, FILLS_SHORT_MS, symbol, since, "billId").await?, symbol)
    }

    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>> {
        let parameters = vec![
            ("instType", "SPOT".to_owned()),
            ("instId", market_id(symbol)),
            ("ordId", venue_order_id.to_owned()),
        ];
        let (mut rows, _) = self.pages("/api/v5/trade/fills", &parameters, "billId").await?;
        if rows.is_empty() {
            rows = self.pages("/api/v5/trade/fills-history", &parameters, "billId").await?.0;
        }
        if rows.iter().any(|row| maybe_text(row, "ordId") != Some(venue_order_id)) {
            return Err(unknown("executions of another order"));
        }
        Self::trades(&rows, symbol)
    }

    async fn cancel(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<()> {
        let (key, id) = reference(of);
        let mut body = json!({ "instId": market_id(symbol) });
        body[key] = Value::String(id);
        let row = self.write("/api/v5/trade/cancel-order", body).await?;
        text(&row, "ordId").map(drop)
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        read::key_rights(&self.read("/api/v5/account/config", Vec::new()).await?)
    }
}
