//! Coinbase Advanced Trade, REST v3, spot. USD and USDC are different quote currencies with their own
//! product names, and stay so.

mod read;
mod refusal;
mod token;

use crate::api::{
    Answer, ApiError, Book, Bucket, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OrderStatus, OwnTrade, Placed, Reference, Refusal, TickerQuote, VenueFacts,
};
use crate::guard::guarded;
use crate::http::{Charge, Kind, Method, Reply, Request};
use crate::sign::{encode, query, with_query};
use crate::venue::{Connection, Venue};
use crate::wire::{
    amount, candles_asked_for, field, flag, iso_text, list, maybe, maybe_text, moment, plain,
    refused, text, unknown,
};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::order::{ClientOrderId, Side};
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use p256::ecdsa::SigningKey;
use read::{
    Told, candle_of, levels, market_rules, oldest_first, order_state, product_id, symbol_of, told,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;
use token::{TOKEN_SECONDS, signing_key, token};

/// The row in the table of venues.
pub(crate) static VENUE: Venue =
    Venue { facts: &FACTS, connect: |connection| guarded(connection, Coinbase::new) };

static FACTS: VenueFacts = VenueFacts {
    id: "coinbase",
    urls: &[("rest", "https://api.coinbase.com")],
    sandbox_urls: &[],
    // Orders have no deadline of their own: the token that signs them ends after two minutes.
    validity: Duration::from_secs(TOKEN_SECONDS.unsigned_abs()),
    buys_by_cost: true,
    needs_password: false,
    tells_key_rights: true,
    candles_per_request: 300,
    timeframes: &[
        ("1m", "ONE_MINUTE"),
        ("5m", "FIVE_MINUTE"),
        ("15m", "FIFTEEN_MINUTE"),
        ("30m", "THIRTY_MINUTE"),
        ("1h", "ONE_HOUR"),
        ("2h", "TWO_HOUR"),
        ("4h", "FOUR_HOUR"),
        ("6h", "SIX_HOUR"),
        ("1d", "ONE_DAY"),
    ],
    history_max: None,
    buckets: &[
        Bucket { name: "private", units: 30, per: Duration::from_secs(1) },
        Bucket { name: "public", units: 10, per: Duration::from_secs(1) },
    ],
    used: |_| Vec::new(),
};

const PUBLIC: [Charge; 1] = [Charge { bucket: "public", units: 1 }];
const PRIVATE: [Charge; 1] = [Charge { bucket: "private", units: 1 }];
/// Entries in a page.
const PAGE: &str = "250";
/// Pages read before a list is called too long.
const PAGES_MAX: usize = 20;
/// Pages in which an order with our id is looked for: it is among the newest 1,000 of its market.
const PAGES_SEARCHED: usize = 4;
const ORDERS: &str = "orders/historical/batch";
/// How much of an order the rounding of its executions may leave over: a thousandth.
const ROUNDED_MOST: Decimal = Decimal::from_parts(1, 0, 0, false, 3);
/// Tickers asked for at the same time; the venue has no question for several that gives last prices.
const TICKERS_AT_ONCE: usize = 4;

type Parameters = Vec<(&'static str, String)>;

struct Coinbase {
    connection: Connection,
    /// The key that signs, or why there is none.
    key: Result<SigningKey, String>,
    /// Steps of quote amounts; filled by the table of products.
    quote_steps: Lock<BTreeMap<Symbol, Decimal>>,
}

impl Coinbase {
    fn new(connection: Connection) -> Self {
        let key = match &connection.keys {
            Some(keys) => signing_key(&keys.secret),
            None => Err("coinbase has no API key".to_owned()),
        };
        Self { connection, key, quote_steps: Lock::new(BTreeMap::new()) }
    }

    fn url(&self, path: &str) -> String {
        let base = self.connection.urls.get("rest").map_or(FACTS.urls[0].1, String::as_str);
        format!("{base}/api/v3/brokerage/{path}")
    }

    /// A question that anybody may ask; `parameters` gets the venue's present time.
    async fn public(
        &self,
        path: &str,
        parameters: &(dyn Fn(i64) -> Parameters + Send + Sync),
    ) -> Answer<Value> {
        let url = self.url(path);
        let build = |now_ms: i64| Request {
            method: Method::Get,
            url: with_query(&url, &query(&parameters(now_ms))),
            headers: Vec::new(),
            body: None,
        };
        let reply = self.connection.transport.send(Kind::PublicRead, &PUBLIC, &build).await?;
        self.watched(Kind::PublicRead, &reply)
    }

    async fn read(&self, path: &str, parameters: &[(&str, String)]) -> Answer<Value> {
        let url = with_query(&self.url(path), &query(parameters));
        self.signed(Kind::PrivateRead, Method::Get, &url, None).await
    }

    async fn write(&self, path: &str, body: &Value) -> Answer<Value> {
        let url = self.url(path);
        self.signed(Kind::Write, Method::Post, &url, Some(body.to_string())).await
    }

    async fn signed(
        &self,
        kind: Kind,
        method: Method,
        url: &str,
        body: Option<String>,
    ) -> Answer<Value> {
        let key = self.key.as_ref().map_err(|why| ApiError::NotSent(why.clone()))?;
        let keys = self.connection.keys.as_ref();
        let name = keys.map(|keys| keys.api_key.as_str()).unwrap_or_default();
        let build = |now_ms: i64| {
            let verb = if method == Method::Get { "GET" } else { "POST" };
            let token = token(key, name, verb, url, body.as_deref().unwrap_or_default(), now_ms);
            Request {
                method,
                url: url.to_owned(),
                headers: vec![
                    ("Authorization", format!("Bearer {token}")),
                    ("Content-Type", "application/json".to_owned()),
                ],
                body: body.clone(),
            }
        };
        let reply = self.connection.transport.send(kind, &PRIVATE, &build).await?;
        self.watched(kind, &reply)
    }

    /// The reply, after the transport was told to be silent if the venue asked for it.
    fn watched(&self, kind: Kind, reply: &Reply) -> Answer<Value> {
        let answer = refusal::value_of(reply);
        let Err(ApiError::Refused { refusal: Refusal::RateLimited { wait }, code, .. }) = &answer
        else {
            return answer;
        };
        self.connection.transport.pause(wait.unwrap_or(Duration::from_secs(1)));
        // The venue does not document 429 as a refusal before its engine.
        if kind == Kind::Write { Err(unknown(code)) } else { answer }
    }

    /// A page of a list, and where the next one begins.
    async fn page(
        &self,
        path: &str,
        key: &str,
        parameters: &[(&'static str, String)],
        cursor: Option<String>,
    ) -> Answer<(Vec<Value>, Option<String>)> {
        let mut parameters = parameters.to_vec();
        parameters.push(("limit", PAGE.to_owned()));
        parameters.extend(cursor.iter().map(|cursor| ("cursor", cursor.clone())));
        let page = self.read(path, &parameters).await?;
        let more = maybe(&page, "has_next").and_then(Value::as_bool).unwrap_or(true);
        let next =
            maybe_text(&page, "cursor").filter(|next| more && cursor.as_deref() != Some(next));
        Ok((list(&page, key)?.to_vec(), next.map(str::to_owned)))
    }

    /// The entries of a list, all pages of it.
    async fn pages(
        &self,
        path: &str,
        key: &str,
        parameters: &[(&'static str, String)],
    ) -> Answer<Vec<Value>> {
        let mut entries = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let (page, next) = self.page(path, key, parameters, cursor).await?;
            entries.extend(page);
            if next.is_none() {
                return Ok(entries);
            }
            cursor = next;
        }
        Err(unknown(format!("`{key}` has more than {PAGES_MAX} pages of {PAGE}")))
    }

    /// The venue has no look-up by our id: the newest orders of the market are searched.
    async fn by_client_id(&self, symbol: &Symbol, id: &ClientOrderId) -> Answer<Option<Value>> {
        let wanted = self.wire_id(id);
        let parameters = [("product_ids", product_id(symbol))];
        let mut cursor = None;
        for _ in 0..PAGES_SEARCHED {
            let (page, next) = self.page(ORDERS, "orders", &parameters, cursor).await?;
            let is_wanted =
                |order: &Value| maybe_text(order, "client_order_id") == Some(wanted.as_str());
            if let Some(order) = page.into_iter().find(is_wanted) {
                return Ok(Some(order));
            }
            if next.is_none() {
                return Ok(None);
            }
            cursor = next;
        }
        Ok(None)
    }

    async fn ticker(&self, symbol: &Symbol) -> Answer<Option<TickerQuote>> {
        let path = format!("market/products/{}/ticker", product_id(symbol));
        let reply = match self.public(&path, &|_| vec![("limit", "1".to_owned())]).await {
            Err(ApiError::Refused { refusal: Refusal::NotFound | Refusal::Parameters, .. }) => {
                return Ok(None);
            }
            other => other?,
        };
        read::ticker_quote(&reply, symbol)
    }

    /// The step of quote amounts in a market.
    async fn quote_step(&self, symbol: &Symbol) -> Answer<Decimal> {
        let known =
            self.quote_steps.lock().unwrap_or_else(PoisonError::into_inner).get(symbol).copied();
        if let Some(step) = known {
            return Ok(step);
        }
        let path = format!("market/products/{}", product_id(symbol));
        let product = self.public(&path, &|_| Vec::new()).await?;
        let step = amount(&product, "quote_increment")?;
        let mut steps = self.quote_steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.insert(symbol.clone(), step);
        Ok(step)
    }

    /// What `market_market_ioc` holds. Market buys are told what to spend: the venue's documentation
    /// asks for `quote_size` there and for `base_size` in sells.
    async fn size(&self, order: &MarketOrder) -> Answer<Value> {
        let cost = match (order.side, order.amount) {
            (Side::Sell, OrderAmount::Base(base)) => {
                return Ok(json!({ "base_size": plain(base.get()) }));
            }
            (Side::Sell, OrderAmount::Quote(_)) => {
                return Err(ApiError::NotSent("coinbase sells by base amount only".to_owned()));
            }
            (Side::Buy, OrderAmount::Quote(cost)) => Some(cost),
            (Side::Buy, OrderAmount::Base(base)) => {
                base.get().checked_mul(order.reference_price.get())
            }
        };
        let step = self.quote_step(&order.symbol).await.map_err(|error| {
            ApiError::NotSent(format!("the step of costs could not be read: {error}"))
        })?;
        let step = Qty::new(step);
        let cost = cost.map(|cost| Qty::new(cost).floor_to(step)).filter(|cost| cost.is_positive());
        let cost = cost.ok_or_else(|| {
            ApiError::NotSent(format!("the buy of {} is worth less than {step}", order.symbol))
        })?;
        Ok(json!({ "quote_size": plain(cost.get()) }))
    }

    async fn historical(&self, parameters: &[(&'static str, String)]) -> Answer<Vec<Value>> {
        self.pages(ORDERS, "orders", parameters).await
    }

    async fn fills(
        &self,
        symbol: &Symbol,
        parameters: &[(&'static str, String)],
    ) -> Answer<Vec<Told>> {
        let product = product_id(symbol);
        let mut fills = Vec::new();
        for fill in self.pages("orders/historical/fills", "fills", parameters).await? {
            // Corrections of the books are no executions.
            let executed = maybe_text(&fill, "trade_type").is_none_or(|kind| kind == "FILL");
            if executed && text(&fill, "product_id")? == product {
                fills.push(told(&fill, symbol)?);
            }
        }
        fills.sort_by(|a, b| oldest_first(&a.trade, &b.trade));
        Ok(fills)
    }

    /// Executions of one order. Where they are told in the quote currency, their base amounts are
    /// rounded, and the last one takes what is missing to the amount that the order itself names.
    async fn fills_of(&self, symbol: &Symbol, id: &str) -> Answer<Vec<OwnTrade>> {
        let mut fills = self.fills(symbol, &[("order_ids", id.to_owned())]).await?;
        fills.retain(|told| told.trade.venue_order_id == id);
        let in_quote = fills.iter().any(|told| told.in_quote);
        let mut trades: Vec<OwnTrade> = fills.into_iter().map(|told| told.trade).collect();
        if !in_quote {
            return Ok(trades);
        }
        let order = self.order(symbol, Reference::Venue(id)).await?;
        let order = order.ok_or_else(|| unknown(format!("the venue has no order {id}")))?;
        let sum: Qty = trades.iter().map(|trade| trade.fill.amount).sum();
        let rest = order.executed - sum;
        let allowed = order.executed.times(ROUNDED_MOST).unwrap_or_default();
        match trades.last_mut() {
            Some(last) if rest.abs() <= allowed => last.fill.amount += rest,
            _ => {
                return Err(unknown(format!(
                    "order {id} executed {}, and its executions add up to {sum}",
                    order.executed
                )));
            }
        }
        Ok(trades)
    }
}

#[async_trait]
impl ExchangeApi for Coinbase {
    fn facts(&self) -> &'static VenueFacts {
        &FACTS
    }

    /// The 32 digits as a UUID.
    fn wire_id(&self, id: &ClientOrderId) -> String {
        let digits = id.as_str();
        let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
        [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
    }

    async fn time(&self) -> Answer<Timestamp> {
        moment(&self.public("time", &|_| Vec::new()).await?, "epochMillis")
    }

    async fn markets(&self) -> Answer<Markets> {
        let spot = |_now_ms: i64| vec![("product_type", "SPOT".to_owned())];
        let reply = self.public("market/products", &spot).await?;
        let mut markets = Markets::new();
        let mut steps = BTreeMap::new();
        for product in list(&reply, "products")? {
            let Some((rules, quote_step)) = market_rules(product) else { continue };
            steps.insert(rules.symbol.clone(), quote_step);
            markets.insert(rules.symbol.clone(), rules);
        }
        if markets.is_empty() {
            return Err(unknown("the list of products holds no spot market that can be read"));
        }
        *self.quote_steps.lock().unwrap_or_else(PoisonError::into_inner) = steps;
        Ok(markets)
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        let (seconds, granularity) = (timeframe.seconds(), FACTS.timeframe(timeframe)?);
        let limit = limit.clamp(1, FACTS.candles_per_request);
        let length = i64::from(seconds) * i64::try_from(limit).unwrap_or(1);
        let range = |now_ms: i64| {
            let start =
                since.map_or(now_ms.div_euclid(1000) - length, |since| since.ms().div_euclid(1000));
            vec![
                ("start", start.to_string()),
                ("end", (start + length).to_string()),
                ("granularity", granularity.to_owned()),
            ]
        };
        let path = format!("market/products/{}/candles", product_id(symbol));
        let reply = self.public(&path, &range).await?;
        // Newest first.
        let rows = list(&reply, "candles")?.iter().rev();
        let candles = rows.map(candle_of).collect::<Answer<Vec<Candle>>>()?;
        candles_asked_for(candles, since, limit)
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        let questions = symbols.iter().map(|symbol| self.ticker(symbol)).collect::<Vec<_>>();
        let answers: Vec<Answer<Option<TickerQuote>>> =
            futures_util::stream::iter(questions).buffered(TICKERS_AT_ONCE).collect().await;
        answers.into_iter().filter_map(Result::transpose).collect()
    }

    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book> {
        let product = product_id(symbol);
        let parameters =
            |_now_ms: i64| vec![("product_id", product.clone()), ("limit", depth.to_string())];
        let reply = self.public("market/product_book", &parameters).await?;
        let book = field(&reply, "pricebook")?;
        if text(book, "product_id")? != product {
            return Err(unknown(format!("the book is not of {symbol}")));
        }
        Ok(Book { bids: levels(book, "bids")?, asks: levels(book, "asks")? })
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        read::balances(&self.pages("accounts", "accounts", &[]).await?)
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        let client_id = self.wire_id(&order.id);
        let body = json!({
            "client_order_id": client_id,
            "product_id": product_id(&order.symbol),
            "side": if order.side == Side::Buy { "BUY" } else { "SELL" },
            "order_configuration": { "market_market_ioc": self.size(order).await? },
        });
        let reply = self.write("orders", &body).await?;
        if !flag(&reply, "success")? {
            return Err(refusal::order_refusal(&reply));
        }
        let placed = field(&reply, "success_response")?;
        if maybe_text(placed, "client_order_id").is_some_and(|id| id != client_id) {
            return Err(unknown("the acknowledgement is of another order"));
        }
        Ok(Placed::Accepted { venue_order_id: text(placed, "order_id")?.to_owned() })
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        let order = match of {
            Reference::Venue(id) => {
                let path = format!("orders/historical/{}", encode(id));
                match self.read(&path, &[]).await {
                    Ok(reply) => Some(field(&reply, "order")?.clone()),
                    Err(ApiError::Refused { refusal: Refusal::NotFound, .. }) => None,
                    Err(error) => return Err(error),
                }
            }
            Reference::Client(id) => self.by_client_id(symbol, id).await?,
        };
        order.map(|order| order_state(&order, symbol)).transpose()
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        let mut parameters = vec![("order_status", "OPEN".to_owned())];
        parameters.extend(symbol.map(|symbol| ("product_ids", product_id(symbol))));
        let mut orders = Vec::new();
        for order in self.historical(&parameters).await? {
            let product = text(&order, "product_id")?;
            let market = match symbol {
                Some(symbol) if product == product_id(symbol) => symbol.clone(),
                Some(_) => continue,
                // Futures have names that are no spot market.
                None => match symbol_of(product) {
                    Some(symbol) => symbol,
                    None => continue,
                },
            };
            orders.push(order_state(&order, &market)?);
        }
        Ok(orders)
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        let parameters =
            [("product_ids", product_id(symbol)), ("start_date", iso_text(since.ms()))];
        let mut orders = Vec::new();
        for order in self.historical(&parameters).await? {
            if text(&order, "product_id")? == product_id(symbol) {
                orders.push(order_state(&order, symbol)?);
            }
        }
        orders.retain(|order| order.status != OrderStatus::Open);
        Ok(orders)
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        let parameters = [
            ("product_ids", product_id(symbol)),
            ("start_sequence_timestamp", iso_text(since.ms())),
        ];
        let (in_quote, plain): (Vec<Told>, Vec<Told>) =
            self.fills(symbol, &parameters).await?.into_iter().partition(|told| told.in_quote);
        let mut trades: Vec<OwnTrade> = plain.into_iter().map(|told| told.trade).collect();
        let by_cost: BTreeSet<String> =
            in_quote.into_iter().map(|told| told.trade.venue_order_id).collect();
        trades.retain(|trade| !by_cost.contains(&trade.venue_order_id));
        for id in &by_cost {
            trades.extend(self.fills_of(symbol, id).await?);
        }
        trades.retain(|trade| trade.fill.at >= since);
        trades.sort_by(oldest_first);
        Ok(trades)
    }

    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>> {
        self.fills_of(symbol, venue_order_id).await
    }

    async fn cancel(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<()> {
        let id = match of {
            Reference::Venue(id) => id.to_owned(),
            // Orders are cancelled by the venue's id only.
            Reference::Client(_) => match self.order(symbol, of).await? {
                Some(order) => order.venue_order_id,
                None => {
                    return Err(refused(Refusal::NotFound, "no order", "no order has this id"));
                }
            },
        };
        let reply = self.write("orders/batch_cancel", &json!({ "order_ids": [id] })).await?;
        let [result] = list(&reply, "results")? else {
            return Err(unknown("batch_cancel does not answer for one order"));
        };
        if flag(result, "success")? {
            return Ok(());
        }
        Err(refusal::cancel_refusal(text(result, "failure_reason")?))
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        read::key_rights(&self.read("key_permissions", &[]).await?)
    }
}
