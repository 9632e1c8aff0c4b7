//! Binance, spot, REST v3.

mod read;
mod refusal;

use crate::api::{
    Answer, ApiError, Book, Bucket, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OrderStatus, OwnTrade, Placed, Reference, Refusal, TickerQuote, Used, VenueFacts,
};
use crate::guard::guarded;
use crate::http::{Charge, Kind, Method, Reply, Request};
use crate::sign::{hex, hmac_sha256, query, with_query};
use crate::venue::{Connection, Keys, Venue};
use crate::wire::{candle_row, candles_asked_for, items, moment, name, plain, text, unknown};
use async_trait::async_trait;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::order::Side;
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use refusal::body;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Binance checks it again before the matching engine.
const RECEIVE_WINDOW_MS: u32 = 5000;
/// The most rows of a page of orders or trades.
const PAGE: usize = 1000;
/// The longest span that a list by time may cover.
const SPAN_MS: i64 = 24 * 3_600_000;
/// Orders that never traded are archived after this.
const KEPT_MS: i64 = 90 * SPAN_MS;
/// Up to this many symbols a list of tickers costs 2, above it 40.
const CHEAP_TICKERS: usize = 20;

static FACTS: VenueFacts = VenueFacts {
    id: "binance",
    urls: &[("api", "https://api.binance.com")],
    sandbox_urls: &[("api", "https://testnet.binance.vision")],
    validity: Duration::from_millis(RECEIVE_WINDOW_MS as u64),
    buys_by_cost: false,
    needs_password: false,
    tells_key_rights: true,
    candles_per_request: 1000,
    timeframes: &[
        ("1m", "1m"),
        ("3m", "3m"),
        ("5m", "5m"),
        ("15m", "15m"),
        ("30m", "30m"),
        ("1h", "1h"),
        ("2h", "2h"),
        ("4h", "4h"),
        ("6h", "6h"),
        ("8h", "8h"),
        ("12h", "12h"),
        ("1d", "1d"),
        ("1w", "1w"),
    ],
    history_max: None,
    buckets: &[
        Bucket { name: "weight", units: 6000, per: Duration::from_secs(60) },
        Bucket { name: "orders", units: 50, per: Duration::from_secs(10) },
        Bucket { name: "wallet", units: 12_000, per: Duration::from_secs(60) },
    ],
    used,
};

/// The row of this venue.
pub(crate) const VENUE: Venue = Venue { facts: &FACTS, connect };

fn connect(connection: Connection) -> Box<dyn ExchangeApi> {
    guarded(connection, |connection| Binance { connection, symbols: Mutex::default() })
}

fn used(reply: &Reply) -> Vec<Used> {
    let count =
        |bucket, header| Some(Used { bucket, units: reply.header(header)?.trim().parse().ok()? });
    [count("weight", "x-mbx-used-weight-1m"), count("orders", "x-mbx-order-count-10s")]
        .into_iter()
        .flatten()
        .collect()
}

struct Binance {
    connection: Connection,
    /// Our symbols by the venue's names, from the last table of markets.
    symbols: Mutex<BTreeMap<String, Symbol>>,
}

type Parameters = Vec<(&'static str, String)>;

const fn weight(units: u32) -> Charge {
    Charge { bucket: "weight", units }
}

fn market_id(symbol: &Symbol) -> String {
    format!("{}{}", symbol.base, symbol.quote)
}

fn reference(of: Reference<'_>) -> (&'static str, String) {
    match of {
        Reference::Venue(id) => ("orderId", id.to_owned()),
        Reference::Client(id) => ("origClientOrderId", id.as_str().to_owned()),
    }
}

/// Query of a signed request: time, parameters, window, signature.
fn signed(keys: &Keys, now_ms: i64, parameters: &Parameters) -> String {
    let mut all = vec![("timestamp", now_ms.to_string())];
    all.extend(parameters.iter().cloned());
    all.push(("recvWindow", RECEIVE_WINDOW_MS.to_string()));
    let text = query(&all);
    let signature = hex(&hmac_sha256(keys.secret.as_bytes(), text.as_bytes()));
    format!("{text}&signature={signature}")
}

impl Binance {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.connection.urls.get("api").map_or(FACTS.urls[0].1, String::as_str))
    }

    fn keys(&self) -> Answer<&Keys> {
        let keys = self.connection.keys.as_ref().ok_or_else(|| {
            ApiError::NotSent("binance needs an API key and its secret for this".to_owned())
        })?;
        if keys.secret.contains("-----BEGIN") {
            return Err(ApiError::NotSent(
                "the secret for binance is a private key in PEM form (Ed25519 or RSA); expected the \
                 secret of an HMAC key: make a key of the kind `System generated`"
                    .to_owned(),
            ));
        }
        Ok(keys)
    }

    async fn public(&self, path: &str, charge: Charge, parameters: Parameters) -> Answer<Reply> {
        self.unsigned(Kind::PublicRead, path, charge, parameters).await
    }

    async fn unsigned(
        &self,
        kind: Kind,
        path: &str,
        charge: Charge,
        parameters: Parameters,
    ) -> Answer<Reply> {
        let url = with_query(&self.url(path), &query(&parameters));
        let build = move |_| Request {
            method: Method::Get,
            url: url.clone(),
            headers: Vec::new(),
            body: None,
        };
        Ok(self.connection.transport.send(kind, &[charge], &build).await?)
    }

    /// A signed request; also tells the moment of its signature.
    async fn private(
        &self,
        method: Method,
        path: &str,
        charges: &[Charge],
        parameters: Parameters,
    ) -> Answer<(Value, i64)> {
        let keys = self.keys()?;
        let url = self.url(path);
        let kind = if method == Method::Get { Kind::PrivateRead } else { Kind::Write };
        let signed_at = AtomicI64::new(0);
        let build = |now_ms| {
            signed_at.store(now_ms, Ordering::Relaxed);
            let text = signed(keys, now_ms, &parameters);
            let mut headers = vec![("X-MBX-APIKEY", keys.api_key.to_string())];
            if method != Method::Post {
                return Request { method, url: with_query(&url, &text), headers, body: None };
            }
            headers.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
            Request { method, url: url.clone(), headers, body: Some(text) }
        };
        let reply = self.connection.transport.send(kind, charges, &build).await?;
        Ok((body(&reply)?, signed_at.load(Ordering::Relaxed)))
    }

    async fn read(&self, path: &str, units: u32, parameters: Parameters) -> Answer<Value> {
        Ok(self.private(Method::Get, path, &[weight(units)], parameters).await?.0)
    }

    async fn quotes(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        let names: Vec<String> = symbols.iter().map(market_id).collect();
        let units = if names.len() <= CHEAP_TICKERS { 2 } else { 40 };
        let list = Value::from(names.clone()).to_string();
        let reply =
            self.public("/api/v3/ticker/24hr", weight(units), vec![("symbols", list)]).await?;
        read::tickers(&body(&reply)?, &names.into_iter().zip(symbols.iter().cloned()).collect())
    }

    /// Our symbol of a market that a reply names.
    async fn symbol_of(&self, id: &str) -> Answer<Option<Symbol>> {
        let known =
            |id: &str| self.symbols.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(symbol) = known(id) {
            return Ok(Some(symbol));
        }
        self.markets().await?;
        Ok(known(id))
    }

    /// All rows of a list by time. Without an end the venue may stop a day after `since`; therefore
    /// an older start is asked for day by day, and a full page continued by number.
    async fn rows_since(
        &self,
        path: &str,
        symbol: &Symbol,
        since: Timestamp,
        id: (&str, &'static str),
    ) -> Answer<Vec<Value>> {
        let market = ("symbol", market_id(symbol));
        let limit = ("limit", PAGE.to_string());
        let first = vec![market.clone(), ("startTime", since.ms().to_string()), limit.clone()];
        let (page, now) = self.private(Method::Get, path, &[weight(20)], first).await?;
        let mut rows = items(&page)?.to_vec();
        if now - since.ms() < SPAN_MS {
            self.further_pages(path, &market, id, &mut rows, None).await?;
            return Ok(rows);
        }
        rows.clear();
        let mut start = since.ms().max(now - KEPT_MS);
        while start <= now {
            let end = (start + SPAN_MS - 1).min(now);
            let span = vec![
                market.clone(),
                ("startTime", start.to_string()),
                ("endTime", end.to_string()),
                limit.clone(),
            ];
            let mut day = items(&self.read(path, 20, span).await?)?.to_vec();
            self.further_pages(path, &market, id, &mut day, Some(end)).await?;
            rows.append(&mut day);
            start = end + 1;
        }
        Ok(rows)
    }

    /// Continues full pages by number until one is not full, or reaches beyond `end`.
    async fn further_pages(
        &self,
        path: &str,
        market: &(&'static str, String),
        (key, from): (&str, &'static str),
        rows: &mut Vec<Value>,
        end: Option<i64>,
    ) -> Answer<()> {
        let mut page = rows.len();
        while page >= PAGE {
            let Some(last) = read::last_id(rows, key)? else { return Ok(()) };
            let next = vec![
                market.clone(),
                (from, last.saturating_add(1).to_string()),
                ("limit", PAGE.to_string()),
            ];
            let reply = self.read(path, 20, next).await?;
            let more = items(&reply)?;
            page = more.len();
            for row in more {
                if end.is_some_and(|end| moment(row, "time").is_ok_and(|at| at.ms() > end)) {
                    return Ok(());
                }
                rows.push(row.clone());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ExchangeApi for Binance {
    fn facts(&self) -> &'static VenueFacts {
        &FACTS
    }

    async fn time(&self) -> Answer<Timestamp> {
        let reply = self.public("/api/v3/time", weight(1), Vec::new()).await?;
        moment(&body(&reply)?, "serverTime")
    }

    async fn markets(&self) -> Answer<Markets> {
        // Without the sets of permissions the table is less than half as long.
        let parameters = vec![("showPermissionSets", "false".to_owned())];
        let path = "/api/v3/exchangeInfo";
        let reply = self.unsigned(Kind::MarketTable, path, weight(20), parameters).await?;
        refusal::check(&reply)?;
        let (markets, granted) = read::markets(&reply)?;
        for (bucket, units) in granted {
            self.connection.transport.adopt(bucket, units);
        }
        let names = markets.keys().map(|symbol| (market_id(symbol), symbol.clone())).collect();
        *self.symbols.lock().unwrap_or_else(PoisonError::into_inner) = names;
        Ok(markets)
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        let limit = limit.clamp(1, FACTS.candles_per_request);
        let mut parameters = vec![
            ("interval", FACTS.timeframe(timeframe)?.to_owned()),
            ("limit", limit.to_string()),
            ("symbol", market_id(symbol)),
        ];
        if let Some(since) = since {
            parameters.push(("startTime", since.ms().to_string()));
        }
        let value = body(&self.public("/api/v3/klines", weight(2), parameters).await?)?;
        let rows = items(&value)?.iter().map(|row| candle_row(row, [0, 1, 2, 3, 4, 5]));
        candles_asked_for(rows.collect::<Answer<_>>()?, since, limit)
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        let mut quotes = Vec::new();
        for chunk in symbols.chunks(CHEAP_TICKERS) {
            match self.quotes(chunk).await {
                Ok(more) => quotes.extend(more),
                // One unknown market makes the venue refuse the whole list.
                Err(ApiError::Refused { refusal: Refusal::Market, .. }) => {
                    for symbol in chunk {
                        match self.quotes(std::slice::from_ref(symbol)).await {
                            Ok(more) => quotes.extend(more),
                            Err(ApiError::Refused { refusal: Refusal::Market, .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(quotes)
    }

    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book> {
        let depth = depth.clamp(1, 5000);
        let units = match depth {
            0..=100 => 5,
            101..=500 => 25,
            501..=1000 => 50,
            _ => 250,
        };
        let parameters = vec![("symbol", market_id(symbol)), ("limit", depth.to_string())];
        read::book(&body(&self.public("/api/v3/depth", weight(units), parameters).await?)?)
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        read::balances(&self.read("/api/v3/account", 20, Vec::new()).await?)
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        let side = match order.side {
            Side::Buy => "BUY",
            Side::Sell => "SELL",
        };
        let amount = match order.amount {
            OrderAmount::Base(amount) => ("quantity", plain(amount.get())),
            OrderAmount::Quote(cost) => ("quoteOrderQty", plain(cost)),
        };
        let market = market_id(&order.symbol);
        let parameters = vec![
            ("symbol", market.clone()),
            ("side", side.to_owned()),
            ("newClientOrderId", order.id.as_str().to_owned()),
            ("newOrderRespType", "FULL".to_owned()),
            ("type", "MARKET".to_owned()),
            amount,
        ];
        let charges = [weight(1), Charge { bucket: "orders", units: 1 }];
        let (value, _) = self.private(Method::Post, "/api/v3/order", &charges, parameters).await?;
        if text(&value, "symbol")? != market || text(&value, "clientOrderId")? != order.id.as_str()
        {
            return Err(unknown("the acknowledgement of another order"));
        }
        if value.get("status").is_none() {
            return Ok(Placed::Accepted { venue_order_id: name(&value, "orderId")? });
        }
        read::order(&value, &order.symbol).map(Placed::State)
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        let parameters = vec![("symbol", market_id(symbol)), reference(of)];
        match self.read("/api/v3/order", 4, parameters).await {
            Ok(value) if text(&value, "symbol")? == market_id(symbol) => {
                read::order(&value, symbol).map(Some)
            }
            Ok(_) => Err(unknown("an order of another market")),
            Err(ApiError::Refused { refusal: Refusal::NotFound, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        let (units, parameters) = match symbol {
            Some(symbol) => (6, vec![("symbol", market_id(symbol))]),
            None => (80, Vec::new()),
        };
        let value = self.read("/api/v3/openOrders", units, parameters).await?;
        let mut orders = Vec::new();
        for row in items(&value)? {
            let market = text(row, "symbol")?;
            // A market whose name is none of ours is never traded by us.
            if let Some(symbol) = self.symbol_of(market).await? {
                orders.push(read::order(row, &symbol)?);
            }
        }
        Ok(orders)
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        let rows =
            self.rows_since("/api/v3/allOrders", symbol, since, ("orderId", "orderId")).await?;
        let mut orders: Vec<OrderState> =
            rows.iter().map(|row| read::order(row, symbol)).collect::<Answer<_>>()?;
        orders.retain(|order| order.status != OrderStatus::Open);
        Ok(orders)
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        let rows = self.rows_since("/api/v3/myTrades", symbol, since, ("id", "fromId")).await?;
        let mut trades: Vec<OwnTrade> =
            rows.iter().map(|row| read::trade(row, symbol)).collect::<Answer<_>>()?;
        trades.sort_by_key(|trade| trade.fill.at);
        Ok(trades)
    }

    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>> {
        let parameters = vec![
            ("symbol", market_id(symbol)),
            ("orderId", venue_order_id.to_owned()),
            ("limit", PAGE.to_string()),
        ];
        let value = self.read("/api/v3/myTrades", 5, parameters).await?;
        let trades: Vec<OwnTrade> =
            items(&value)?.iter().map(|row| read::trade(row, symbol)).collect::<Answer<_>>()?;
        if trades.iter().any(|trade| trade.venue_order_id != venue_order_id) {
            return Err(unknown("executions of another order"));
        }
        Ok(trades)
    }

    async fn cancel(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<()> {
        let parameters = vec![("symbol", market_id(symbol)), reference(of)];
        let path = "/api/v3/order";
        let (value, _) = self.private(Method::Delete, path, &[weight(1)], parameters).await?;
        name(&value, "orderId").map(drop)
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        // The test environment has no such call.
        if self.connection.sandbox {
            return Ok(KeyRights::default());
        }
        let charge = Charge { bucket: "wallet", units: 1 };
        let path = "/sapi/v1/account/apiRestrictions";
        read::key_rights(&self.private(Method::Get, path, &[charge], Vec::new()).await?.0)
    }
}
