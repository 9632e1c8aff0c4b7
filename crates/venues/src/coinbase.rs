//! Coinbase Advanced Trade, REST v3, spot. USD and USDC are different quote currencies with their own
//! product names, and stay so.

use crate::api::{
    Answer, ApiError, Book, Bucket, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OrderStatus, OwnTrade, Placed, Reference, Refusal, TickerQuote, VenueFacts,
};
use crate::http::{Charge, Kind, Method, Reply, Request};
use crate::venue::{Connection, Venue};
use crate::wire::{
    amount, base64_bytes, candle, candles_asked_for, decimal, encode, exact, field, flag, hex,
    iso_text, list, maybe, maybe_price, maybe_text, moment, moment_iso, parse_json, plain, price,
    qty, query, refused, sha256, status_error, text, unknown, with_query, words,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::market::MarketRules;
use keel_core::order::{ClientOrderId, Fee, Fill, Side};
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

/// The row in the table of venues.
pub(crate) static VENUE: Venue =
    Venue { facts: &FACTS, connect: |connection| Box::new(Coinbase::new(connection)) };

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
    buckets: &[
        Bucket { name: "private", units: 30, per: Duration::from_secs(1) },
        Bucket { name: "public", units: 10, per: Duration::from_secs(1) },
    ],
    used: |_| Vec::new(),
};

/// How long a token is good for.
const TOKEN_SECONDS: i64 = 120;
const PUBLIC: [Charge; 1] = [Charge { bucket: "public", units: 1 }];
const PRIVATE: [Charge; 1] = [Charge { bucket: "private", units: 1 }];
/// Entries in a page.
const PAGE: &str = "250";
/// Pages read before a list is called too long.
const PAGES_MAX: usize = 20;
/// Pages in which an order with our id is looked for: it is among the newest 1,000 of its market.
const PAGES_SEARCHED: usize = 4;
const ORDERS: &str = "orders/historical/batch";
/// Places of a base amount that is made from a quote amount.
const BASE_PLACES: u32 = 8;
/// How much of an order the rounding of its executions may leave over: a thousandth.
const ROUNDED_MOST: Decimal = Decimal::from_parts(1, 0, 0, false, 3);
/// Tickers asked for at the same time; the venue has no question for several that gives last prices.
const TICKERS_AT_ONCE: usize = 4;

/// Lengths of bars in seconds and the venue's names for them.
const GRANULARITIES: [(u32, &str); 9] = [
    (60, "ONE_MINUTE"),
    (300, "FIVE_MINUTE"),
    (900, "FIFTEEN_MINUTE"),
    (1800, "THIRTY_MINUTE"),
    (3600, "ONE_HOUR"),
    (7200, "TWO_HOUR"),
    (14_400, "FOUR_HOUR"),
    (21_600, "SIX_HOUR"),
    (86_400, "ONE_DAY"),
];

/// The venue's name and everybody else's.
const ALIASES: [(&str, &str); 1] = [("CGLD", "CELO")];

/// Reasons for which an order was not placed, without the `PREVIEW_` that some carry. What is not here
/// is unknown, `UNKNOWN_FAILURE_REASON` among it.
const ORDER_REFUSALS: [(&str, Refusal); 34] = [
    ("DUPLICATE_CLIENT_ORDER_ID", Refusal::DuplicateId),
    ("INSUFFICIENT_FUND", Refusal::Funds),
    ("INSUFFICIENT_FUNDS", Refusal::Funds),
    ("INSUFFICIENT_LEDGER_BALANCE", Refusal::Funds),
    ("INVALID_LEDGER_BALANCE", Refusal::Funds),
    ("UNSUPPORTED_ORDER_CONFIGURATION", Refusal::Parameters),
    ("INVALID_ORDER_CONFIG", Refusal::Parameters),
    ("INVALID_ORDER_TYPE", Refusal::Parameters),
    ("INVALID_REQUEST", Refusal::Parameters),
    ("INVALID_SIDE", Refusal::Parameters),
    ("INVALID_SIZE_PRECISION", Refusal::Parameters),
    ("INVALID_PRICE_PRECISION", Refusal::Parameters),
    ("INVALID_QUOTE_SIZE_PRECISION", Refusal::Parameters),
    ("INVALID_BASE_SIZE_TOO_LARGE", Refusal::Parameters),
    ("INVALID_BASE_SIZE_TOO_SMALL", Refusal::Parameters),
    ("INVALID_QUOTE_SIZE_TOO_LARGE", Refusal::Parameters),
    ("INVALID_QUOTE_SIZE_TOO_SMALL", Refusal::Parameters),
    ("INVALID_PRICE_TOO_LARGE", Refusal::Parameters),
    ("INVALID_LIMIT_PRICE", Refusal::Parameters),
    ("INVALID_LIMIT_PRICE_POST_ONLY", Refusal::Parameters),
    ("BREACHED_PRICE_LIMIT", Refusal::Parameters),
    ("INVALID_MARGIN_TYPE", Refusal::Parameters),
    ("INVALID_LEVERAGE", Refusal::Parameters),
    ("INVALID_PRODUCT_ID", Refusal::Market),
    ("INVALID_NO_LIQUIDITY", Refusal::Market),
    ("ORDER_ENTRY_DISABLED", Refusal::Market),
    ("INELIGIBLE_PAIR", Refusal::Market),
    ("UNTRADABLE_PRODUCT", Refusal::Market),
    ("MISSING_PRODUCT_PRICE_BOOK", Refusal::Market),
    ("MISSING_MARKET_TRADE_DATA", Refusal::Market),
    ("GEOFENCING_RESTRICTION", Refusal::Market),
    ("MISSING_COMMISSION_RATE", Refusal::Other),
    ("INVALID_COMMISSION_CONFIGURATION", Refusal::Other),
    ("COMMANDER_REJECTED_NEW_ORDER", Refusal::Other),
];

/// Reasons for which an order was not cancelled.
const CANCEL_REFUSALS: [(&str, Refusal); 7] = [
    ("UNKNOWN_CANCEL_ORDER", Refusal::NotFound),
    ("ORDER_IS_FULLY_FILLED", Refusal::NotFound),
    ("INVALID_CANCEL_REQUEST", Refusal::Parameters),
    ("INVALID_CANCEL_PRODUCT_ID", Refusal::Parameters),
    ("DUPLICATE_CANCEL_REQUEST", Refusal::Other),
    ("COMMANDER_REJECTED_CANCEL_ORDER", Refusal::Other),
    ("NOT_ALLOWED_TO_CANCEL", Refusal::Other),
];

/// `error` in replies with a status from 400 to 499.
const ERRORS: [(&str, Refusal); 9] = [
    ("INVALID_ARGUMENT", Refusal::Parameters),
    ("PERMISSION_DENIED", Refusal::Auth),
    ("UNAUTHENTICATED", Refusal::Auth),
    ("unauthorized", Refusal::Auth),
    ("authentication_error", Refusal::Auth),
    ("NOT_FOUND", Refusal::NotFound),
    ("not_found", Refusal::NotFound),
    ("rate_limit_exceeded", Refusal::RateLimited { wait: None }),
    ("resource_exhausted", Refusal::RateLimited { wait: None }),
];

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
        let answer = value_of(reply);
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
        let Some(trade) = list(&reply, "trades")?.first() else { return Ok(None) };
        if maybe_text(trade, "product_id").is_some_and(|product| product != product_id(symbol)) {
            return Err(unknown(format!("the reply is not about {symbol}")));
        }
        Ok(Some(TickerQuote {
            symbol: symbol.clone(),
            last: price(trade, "price")?,
            bid: maybe_price(&reply, "best_bid"),
            ask: maybe_price(&reply, "best_ask"),
            as_of: Some(moment_of(trade, "time")?),
        }))
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

/// An execution, and whether the venue told its size in the quote currency.
struct Told {
    trade: OwnTrade,
    in_quote: bool,
}

fn oldest_first(a: &OwnTrade, b: &OwnTrade) -> std::cmp::Ordering {
    (a.fill.at, &a.fill.trade_id).cmp(&(b.fill.at, &b.fill.trade_id))
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
        let seconds = timeframe.seconds();
        let granularity = GRANULARITIES.iter().find(|(known, _)| *known == seconds);
        let Some((_, granularity)) = granularity else {
            return Err(ApiError::NotSent(format!(
                "coinbase has no {timeframe} candles; it has 1m 5m 15m 30m 1h 2h 4h 6h 1d"
            )));
        };
        let limit = limit.clamp(1, FACTS.candles_per_request);
        let length = i64::from(seconds) * i64::try_from(limit).unwrap_or(1);
        let range = |now_ms: i64| {
            let start =
                since.map_or(now_ms.div_euclid(1000) - length, |since| since.ms().div_euclid(1000));
            vec![
                ("start", start.to_string()),
                ("end", (start + length).to_string()),
                ("granularity", (*granularity).to_owned()),
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
        let mut balances: BTreeMap<Ticker, Balance> = BTreeMap::new();
        for account in self.pages("accounts", "accounts", &[]).await? {
            if !is_spot(&account) {
                continue;
            }
            let currency = text(&account, "currency")?;
            let ticker = ticker_of(currency).ok_or_else(|| {
                unknown(format!("an account in `{}`, which is no asset name", words(currency)))
            })?;
            let free = qty(field(&account, "available_balance")?, "value")?;
            let held = match maybe(&account, "hold") {
                Some(hold) => qty(hold, "value")?,
                None => Qty::ZERO,
            };
            let sum = balances.entry(ticker).or_default();
            sum.free += free;
            sum.used += held;
        }
        Ok(balances)
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
            return Err(order_refusal(&reply));
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
        Err(by_table(&CANCEL_REFUSALS, text(result, "failure_reason")?, ""))
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        let reply = self.read("key_permissions", &[]).await?;
        let rights = reply.as_object().into_iter().flatten();
        let names: Vec<String> = rights
            .filter(|(name, value)| name.starts_with("can_") && **value != Value::Bool(false))
            .map(|(name, _)| name.clone())
            .collect();
        flag(&reply, "can_transfer")?;
        // A right that nobody has heard of counts as a right to move funds.
        let harmless = |name: &String| ["can_view", "can_trade"].contains(&name.as_str());
        Ok(KeyRights {
            read: Some(flag(&reply, "can_view")?),
            trade: Some(flag(&reply, "can_trade")?),
            withdraw: Some(!names.iter().all(harmless)),
            address_bound: None,
            expires_at: None,
            names,
        })
    }
}

/// The key in an API secret: a private key of the curve P-256 as PEM, in either of its two forms.
/// Variables of the environment often hold it on one line, with `\n` written out.
fn signing_key(secret: &str) -> Result<SigningKey, String> {
    let pem = zeroize::Zeroizing::new(secret.trim().replace("\\n", "\n"));
    let key = SecretKey::from_sec1_pem(&pem).ok().or_else(|| SecretKey::from_pkcs8_pem(&pem).ok());
    key.map(SigningKey::from).ok_or_else(|| {
        let ed25519 = base64_bytes(secret).is_some_and(|bytes| [32, 64].contains(&bytes.len()));
        let seen = if ed25519 { "an Ed25519 key" } else { "no private key that can be read" };
        format!(
            "the API secret of coinbase is {seen}; expected PEM that begins with `-----BEGIN EC PRIVATE KEY-----`: \
             make a key with the signature algorithm ECDSA"
        )
    })
}

/// A token for one request (JWT, ES256). Its `nonce` is a digest of the request and the time, and the
/// signature follows RFC 6979, so that the same request at the same moment has the same token.
fn token(key: &SigningKey, name: &str, verb: &str, url: &str, body: &str, now_ms: i64) -> String {
    let nonce = hex(&sha256(format!("{verb} {url} {body} {now_ms}").as_bytes()));
    let nonce = nonce.get(..32).unwrap_or_default();
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    let now = now_ms.div_euclid(1000);
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": name, "nonce": nonce });
    let claims = json!({
        "aud": ["retail_rest_api_proxy"],
        "iss": "coinbase-cloud",
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "sub": name,
        "iat": now,
        "uri": format!("{verb} {place}"),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// The reply, or the refusal in it.
fn value_of(reply: &Reply) -> Answer<Value> {
    if let Some(error) = status_error(reply) {
        return Err(error);
    }
    if reply.status < 300 {
        return parse_json(reply);
    }
    // The body of a 401 is a bare word.
    if reply.status == 401 {
        return Err(refused(Refusal::Auth, "HTTP 401", &reply.body));
    }
    let value = parse_json(reply)?;
    let code = maybe_text(&value, "error").unwrap_or("no `error`");
    let message = ["message", "error_details", "error_description"];
    let message = message.iter().find_map(|key| maybe_text(&value, key)).unwrap_or_default();
    if code == "unknown" && message.ends_with("was not found") {
        return Err(refused(Refusal::NotFound, code, message));
    }
    Err(by_table(&ERRORS, code, message))
}

fn by_table(table: &[(&str, Refusal)], code: &str, message: &str) -> ApiError {
    match table.iter().find(|(known, _)| *known == code) {
        Some((_, refusal)) => refused(*refusal, code, message),
        None => unknown(words(&format!("{code}: {message}"))),
    }
}

/// Why `success` is false. The reply has up to four places for the reason; those that know nothing
/// begin with `UNKNOWN`.
fn order_refusal(reply: &Value) -> ApiError {
    let inner = maybe(reply, "error_response").unwrap_or(&Value::Null);
    let message = maybe_text(inner, "message").or_else(|| maybe_text(inner, "error_details"));
    let reasons = [
        maybe_text(inner, "new_order_failure_reason"),
        maybe_text(inner, "error"),
        maybe_text(inner, "preview_failure_reason"),
        maybe_text(reply, "failure_reason"),
    ];
    let mut said = reasons.into_iter().flatten().filter(|reason| !reason.starts_with("UNKNOWN"));
    let reason = said.next().unwrap_or("UNKNOWN_FAILURE_REASON");
    let bare = reason.strip_prefix("PREVIEW_").unwrap_or(reason);
    match ORDER_REFUSALS.iter().find(|(known, _)| *known == bare) {
        Some((_, refusal)) => refused(*refusal, reason, message.unwrap_or_default()),
        None => unknown(words(&format!("{reason}: {}", message.unwrap_or_default()))),
    }
}

fn ticker_of(name: &str) -> Option<Ticker> {
    let ours = ALIASES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
    ours.parse().ok()
}

/// `BTC-USD`.
fn product_id(symbol: &Symbol) -> String {
    let theirs = |ticker: &Ticker| {
        let ours = ticker.as_str();
        let alias = ALIASES.iter().find(|(_, alias)| *alias == ours);
        alias.map_or(ours, |(theirs, _)| theirs).to_owned()
    };
    format!("{}-{}", theirs(&symbol.base), theirs(&symbol.quote))
}

fn symbol_of(product: &str) -> Option<Symbol> {
    let (base, quote) = product.split_once('-')?;
    Some(Symbol::new(ticker_of(base)?, ticker_of(quote)?))
}

/// The rules of a market and the step of its quote amounts; `None` for what is no spot market or
/// cannot be read, which is then not traded.
fn market_rules(product: &Value) -> Option<(MarketRules, Decimal)> {
    let symbol = symbol_of(maybe_text(product, "product_id")?)?;
    let positive = |key: &str| maybe(product, key).and_then(exact).filter(|v| *v > Decimal::ZERO);
    let off = |key: &str| product.get(key).and_then(Value::as_bool) == Some(false);
    if maybe_text(product, "product_type")? != "SPOT" {
        return None;
    }
    // Each of these stops market orders; one that is missing is not taken for "no".
    let stops =
        ["is_disabled", "cancel_only", "limit_only", "post_only", "trading_disabled", "view_only"];
    let open = maybe_text(product, "status") == Some("online") && stops.into_iter().all(off);
    let rules = MarketRules {
        symbol,
        amount_step: Qty::new(positive("base_increment")?),
        min_amount: Qty::new(positive("base_min_size")?),
        max_amount: positive("base_max_size").map(Qty::new),
        min_cost: positive("quote_min_size")?,
        active: open && !product.get("auction_mode").and_then(Value::as_bool).unwrap_or(false),
    };
    Some((rules, positive("quote_increment")?))
}

/// Wallets of the consumer platform; vaults and the accounts of futures are no spot funds.
fn is_spot(account: &Value) -> bool {
    let kind = maybe_text(account, "type").unwrap_or_default();
    let platform = maybe_text(account, "platform").unwrap_or("ACCOUNT_PLATFORM_CONSUMER");
    !kind.contains("VAULT") && platform == "ACCOUNT_PLATFORM_CONSUMER"
}

fn candle_of(row: &Value) -> Answer<Candle> {
    let start: i64 = text(row, "start")?
        .parse()
        .map_err(|_| unknown("a candle's `start` is no moment in seconds"))?;
    let values = [
        field(row, "open")?,
        field(row, "high")?,
        field(row, "low")?,
        field(row, "close")?,
        field(row, "volume")?,
    ];
    candle(&Value::from(start.saturating_mul(1000)), values)
}

fn levels(book: &Value, side: &str) -> Answer<Vec<(Price, Qty)>> {
    list(book, side)?
        .iter()
        .map(|level| Ok((price(level, "price")?, qty(level, "size")?)))
        .collect()
}

fn moment_of(object: &Value, key: &str) -> Answer<Timestamp> {
    let text = text(object, key)?;
    moment_iso(text).ok_or_else(|| unknown(format!("`{key}` is `{}`, no moment", words(text))))
}

fn side_of(entry: &Value) -> Answer<Side> {
    match text(entry, "side")? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        other => Err(unknown(format!("the side is `{}`", words(other)))),
    }
}

/// An amount that is empty before anything was executed.
fn executed_amount(order: &Value, key: &str) -> Answer<Decimal> {
    match order.get(key).and_then(Value::as_str) {
        Some("") => Ok(Decimal::ZERO),
        _ => amount(order, key),
    }
}

fn order_state(order: &Value, symbol: &Symbol) -> Answer<OrderState> {
    let id = text(order, "order_id")?;
    let product = text(order, "product_id")?;
    if product != product_id(symbol) {
        return Err(unknown(format!("order {id} is of {}, expected {symbol}", words(product))));
    }
    let executed = executed_amount(order, "filled_size")?;
    let status = match text(order, "status")? {
        "PENDING" | "OPEN" | "QUEUED" | "CANCEL_QUEUED" | "EDIT_QUEUED" => OrderStatus::Open,
        "FILLED" => OrderStatus::Filled,
        "FAILED" if executed.is_zero() => OrderStatus::Rejected,
        "CANCELLED" | "EXPIRED" | "FAILED" => OrderStatus::Ended,
        other => return Err(unknown(format!("order {id} is `{}`", words(other)))),
    };
    let mut kinds = maybe(order, "order_configuration").and_then(Value::as_object).into_iter();
    let asked = kinds.find_map(|kinds| kinds.values().find_map(|kind| maybe(kind, "base_size")));
    Ok(OrderState {
        venue_order_id: id.to_owned(),
        client_id: maybe_text(order, "client_order_id").unwrap_or_default().to_owned(),
        symbol: symbol.clone(),
        side: side_of(order)?,
        status,
        amount: asked.and_then(exact).map(Qty::new),
        executed: Qty::new(executed),
        executed_cost: Some(executed_amount(order, "filled_value")?),
        created_at: Some(moment_of(order, "created_time")?),
        fills: Vec::new(),
    })
}

/// Fills of orders by cost give their size in the quote currency.
fn told(fill: &Value, symbol: &Symbol) -> Answer<Told> {
    let price = price(fill, "price")?;
    let size = amount(fill, "size")?;
    let in_quote = maybe(fill, "size_in_quote").and_then(Value::as_bool).unwrap_or(false);
    let (base, cost) = if in_quote {
        (size.checked_div(price.get()).map(|base| base.trunc_with_scale(BASE_PLACES)), Some(size))
    } else {
        (Some(size), size.checked_mul(price.get()))
    };
    let (Some(base), Some(cost)) = (base, cost) else {
        return Err(unknown("a fill is beyond 28 digits"));
    };
    let trade = OwnTrade {
        venue_order_id: text(fill, "order_id")?.to_owned(),
        client_id: None,
        symbol: symbol.clone(),
        side: side_of(fill)?,
        fill: Fill {
            trade_id: text(fill, "trade_id")?.to_owned(),
            price,
            amount: Qty::new(base),
            cost: cost.normalize(),
            fee: Fee {
                asset: symbol.quote.clone(),
                amount: Qty::new(decimal(fill, "commission")?),
            },
            at: moment_of(fill, "trade_time")?,
        },
    };
    Ok(Told { trade, in_quote })
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::pkcs8::{EncodePrivateKey as _, LineEnding};

    const URL: &str = "https://api.coinbase.com/api/v3/brokerage/accounts?limit=250";
    const NOW_MS: i64 = 1_760_000_123_456;

    /// The invented key of the goldens.
    fn golden(name: &str) -> String {
        let golden: Value =
            serde_json::from_str(include_str!("../tests/goldens/coinbase.json")).unwrap();
        golden["keys"][name].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_is_the_one_that_python_signs_and_the_same_every_time() {
        let key = signing_key(&golden("secret")).unwrap();
        let made = || token(&key, &golden("api_key"), "GET", URL, "", NOW_MS);
        // `create_auth_token` of ccxt 4.5.90 with this nonce, which signs by RFC 6979 too.
        assert_eq!(
            hex(&sha256(made().as_bytes())),
            "da9fab6b9545f4484a570f29197851d4abddf034aac2d73b4675db644971899f"
        );
        assert_eq!(made(), made());
        let later = token(&key, &golden("api_key"), "GET", URL, "", NOW_MS + 1);
        assert_ne!(made(), later, "a repeated question is signed afresh");
    }

    #[test]
    fn a_key_is_read_in_both_forms_and_on_one_line() {
        let sec1 = golden("secret");
        let key = signing_key(&sec1).unwrap();
        let pkcs8 = SecretKey::from(&key).to_pkcs8_pem(LineEnding::LF).unwrap();
        for form in [pkcs8.as_str(), &sec1.replace('\n', "\\n"), &format!("\n {sec1} \n")] {
            assert_eq!(signing_key(form).unwrap(), key);
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused_with_what_to_do() {
        let why = signing_key(&base64::engine::general_purpose::STANDARD.encode([7; 64]));
        let why = why.unwrap_err();
        assert!(why.contains("Ed25519") && why.contains("ECDSA"), "{why}");
        let why = signing_key("c2VjcmV0").unwrap_err();
        assert!(!why.contains("c2VjcmV0"), "a secret is never shown: {why}");
    }
}
