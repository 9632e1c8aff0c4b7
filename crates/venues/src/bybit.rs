//! Bybit v5, spot of a unified account. `docs/venues.md` holds the card with the evidence.

mod read;
mod refusal;

use crate::api::{
    Answer, ApiError, Book, Bucket, ExchangeApi, KeyRights, MarketOrder, OrderAmount, OrderState,
    OrderStatus, OwnTrade, Placed, Reference, Refusal, TickerQuote, VenueFacts,
};
use crate::guard::guarded;
use crate::http::{Charge, Kind, Method, Reply, Request};
use crate::sign;
use crate::venue::{Connection, Keys, Venue};
use crate::wire;
use async_trait::async_trait;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::order::Side;
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use read::{balance, cursor, market, order_state, own_trades, rights, rows};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long after its timestamp Bybit accepts a request, in ms.
const WINDOW_MS: u64 = 5000;
/// Histories are read in pieces of at most a week, which is as much as Bybit gives at once.
const WEEK_MS: i64 = 7 * 86_400_000;
/// Bybit keeps two years: no honest `since` needs more pieces.
const WEEKS_MAX: usize = 110;
/// A list that goes on for longer is broken off with an error instead of being cut silently.
const PAGES_MAX: usize = 40;

const ADDRESS: Charge = Charge { bucket: "address", units: 1 };
const ORDER: Charge = Charge { bucket: "order", units: 1 };
const ACCOUNT: Charge = Charge { bucket: "account", units: 1 };

static FACTS: VenueFacts = VenueFacts {
    id: "bybit",
    urls: &[("rest", "https://api.bybit.com")],
    sandbox_urls: &[("rest", "https://api-testnet.bybit.com")],
    validity: Duration::from_millis(WINDOW_MS),
    buys_by_cost: false,
    needs_password: false,
    tells_key_rights: true,
    candles_per_request: 1000,
    timeframes: &[
        ("1m", "1"),
        ("3m", "3"),
        ("5m", "5"),
        ("15m", "15"),
        ("30m", "30"),
        ("1h", "60"),
        ("2h", "120"),
        ("4h", "240"),
        ("6h", "360"),
        ("12h", "720"),
        ("1d", "D"),
        ("1w", "W"),
    ],
    history_max: None,
    buckets: &[
        Bucket { name: "address", units: 600, per: Duration::from_secs(5) },
        Bucket { name: "order", units: 20, per: Duration::from_secs(1) },
        Bucket { name: "account", units: 50, per: Duration::from_secs(1) },
    ],
    used: unnamed_use,
};

/// Bybit counts for every endpoint on its own and does not say in its headers which one it means.
const fn unnamed_use(_: &Reply) -> Vec<crate::api::Used> {
    Vec::new()
}

/// The row of the table of venues.
pub(crate) const VENUE: Venue = Venue { facts: &FACTS, connect };

fn connect(connection: Connection) -> Box<dyn ExchangeApi> {
    guarded(connection, |connection| Bybit { connection, names: RwLock::default() })
}

struct Bybit {
    connection: Connection,
    /// Markets by Bybit's name, which does not show where the base ends.
    names: RwLock<Arc<BTreeMap<String, Symbol>>>,
}

#[async_trait]
impl ExchangeApi for Bybit {
    fn facts(&self) -> &'static VenueFacts {
        &FACTS
    }

    async fn time(&self) -> Answer<Timestamp> {
        let reply = self.public("/v5/market/time", "").await?;
        wire::moment(&reply, "time")
    }

    async fn markets(&self) -> Answer<Markets> {
        let mut listed = Vec::new();
        let mut query = "category=spot".to_owned();
        for _ in 0..PAGES_MAX {
            let reply = self.public("/v5/market/instruments-info", &query).await?;
            listed.extend(rows(&reply)?.iter().map(market));
            if let Some(cursor) = cursor(&reply) {
                query = format!("category=spot&cursor={cursor}");
                continue;
            }
            let mut rules = Markets::new();
            let mut names = BTreeMap::new();
            for (name, rule) in wire::most_rows(listed)?.into_iter().flatten() {
                names.insert(name, rule.symbol.clone());
                rules.insert(rule.symbol.clone(), rule);
            }
            if rules.is_empty() {
                return Err(wire::unknown("the list of markets is empty"));
            }
            *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
            return Ok(rules);
        }
        Err(endless())
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        let interval = FACTS.timeframe(timeframe)?;
        let limit = limit.clamp(1, FACTS.candles_per_request);
        let mut query =
            format!("category=spot&symbol={}&interval={interval}&limit={limit}", name(symbol));
        if let Some(since) = since {
            let span_ms = timeframe.ms() * i64::try_from(limit).unwrap_or(1);
            query +=
                &format!("&start={}&end={}", since.ms(), since.ms().saturating_add(span_ms - 1));
        }
        let reply = self.public("/v5/market/kline", &query).await?;
        let mut candles: Vec<Candle> = rows(&reply)?
            .iter()
            .map(|row| wire::candle_row(row, [0, 1, 2, 3, 4, 5]))
            .collect::<Answer<_>>()?;
        candles.reverse();
        wire::candles_asked_for(candles, since, limit)
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        let query = match symbols {
            [] => return Ok(Vec::new()),
            [symbol] => format!("category=spot&symbol={}", name(symbol)),
            _ => "category=spot".to_owned(),
        };
        let wanted: BTreeMap<String, &Symbol> =
            symbols.iter().map(|symbol| (name(symbol), symbol)).collect();
        let reply = self.public("/v5/market/tickers", &query).await?;
        let mut quotes = Vec::new();
        for row in rows(&reply)? {
            let Some(symbol) = wanted.get(wire::text(row, "symbol")?) else { continue };
            let Some(last) = wire::maybe_price(row, "lastPrice") else { continue };
            quotes.push(TickerQuote {
                symbol: (*symbol).clone(),
                last,
                bid: wire::maybe_price(row, "bid1Price"),
                ask: wire::maybe_price(row, "ask1Price"),
                // The moment of the reply says nothing about the age of the quote.
                as_of: None,
            });
        }
        Ok(quotes)
    }

    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book> {
        let query = format!("category=spot&symbol={}&limit={}", name(symbol), depth.clamp(1, 200));
        let reply = self.public("/v5/market/orderbook", &query).await?;
        let result = wire::field(&reply, "result")?;
        wire::same(wire::text(result, "s")?, &name(symbol))?;
        Ok(Book { bids: wire::levels(result, "b")?, asks: wire::levels(result, "a")? })
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        let reply =
            self.private("/v5/account/wallet-balance", "accountType=UNIFIED", ACCOUNT).await?;
        let [account] = rows(&reply)? else {
            return Err(wire::unknown("expected the balances of one unified account"));
        };
        let mut balances = BTreeMap::new();
        for row in wire::list(account, "coin")? {
            // A name that cannot be a ticker cannot be traded by us.
            let Ok(ticker) = wire::text(row, "coin")?.parse::<Ticker>() else { continue };
            balances.insert(ticker, balance(row)?);
        }
        Ok(balances)
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        let mut body = vec![
            ("symbol", json!(name(&order.symbol))),
            ("side", json!(if order.side == Side::Buy { "Buy" } else { "Sell" })),
            ("orderType", json!("Market")),
            ("timeInForce", json!("IOC")),
            ("orderLinkId", json!(self.wire_id(&order.id))),
            ("category", json!("spot")),
        ];
        // The unit is always named: without it a buy is in quote and a sell in base.
        body.extend(match order.amount {
            OrderAmount::Base(amount) => {
                [("marketUnit", json!("baseCoin")), ("qty", json!(wire::plain(amount.get())))]
            }
            OrderAmount::Quote(cost) => {
                [("qty", json!(wire::plain(cost))), ("marketUnit", json!("quoteCoin"))]
            }
        });
        // Spot only: a unified account would otherwise borrow what is missing.
        body.push(("isLeverage", json!(0)));
        let reply = self.write("/v5/order/create", &body).await?;
        let result = wire::field(&reply, "result")?;
        wire::same(wire::text(result, "orderLinkId")?, &self.wire_id(&order.id))?;
        Ok(Placed::Accepted { venue_order_id: wire::text(result, "orderId")?.to_owned() })
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        let (key, id) = self.key_of(of);
        let query = format!("category=spot&symbol={}&{key}={id}", name(symbol));
        // Orders that are over leave the first list for the second one.
        for path in ["/v5/order/realtime", "/v5/order/history"] {
            let reply = self.private(path, &query, ACCOUNT).await?;
            let mut found: Option<OrderState> = None;
            for row in rows(&reply)? {
                wire::same(wire::text(row, "symbol")?, &name(symbol))?;
                wire::same(wire::text(row, key)?, &id)?;
                let state = order_state(row, symbol)?;
                if found.as_ref().is_some_and(|other| other.venue_order_id != state.venue_order_id)
                {
                    return Err(wire::unknown(format!("two orders are called {id}")));
                }
                found.get_or_insert(state);
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        let mut query = "category=spot&openOnly=0&limit=50".to_owned();
        if let Some(symbol) = symbol {
            query += &format!("&symbol={}", name(symbol));
        }
        let rows = self.pages("/v5/order/realtime", &query).await?.0;
        let names = match symbol {
            Some(symbol) => Arc::new(BTreeMap::from([(name(symbol), symbol.clone())])),
            None => self.names().await?,
        };
        let mut orders = Vec::new();
        for row in &rows {
            let market = wire::text(row, "symbol")?;
            let Some(known) = names.get(market) else {
                // Another's, in a market that was listed since or whose name is none of ours.
                if symbol.is_none() && !wire::is_like_ours(wire::maybe_text(row, "orderLinkId")) {
                    continue;
                }
                return Err(wire::unknown(format!(
                    "an open order is in the market {}, which was not asked for or is not listed",
                    wire::words(market)
                )));
            };
            let state = order_state(row, known)?;
            if state.status == OrderStatus::Open {
                orders.push(state);
            }
        }
        Ok(orders)
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        let query = format!("category=spot&symbol={}&limit=50", name(symbol));
        // Pages can overlap.
        let mut orders = BTreeMap::new();
        for row in self.history("/v5/order/history", &query, since).await? {
            wire::same(wire::text(&row, "symbol")?, &name(symbol))?;
            let state = order_state(&row, symbol)?;
            if state.status != OrderStatus::Open {
                orders.insert((state.created_at, state.venue_order_id.clone()), state);
            }
        }
        Ok(orders.into_values().collect())
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        let query = format!("category=spot&symbol={}&execType=Trade&limit=100", name(symbol));
        let rows = self.history("/v5/execution/list", &query, since).await?;
        own_trades(&rows, symbol)
    }

    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>> {
        let query = format!(
            "category=spot&symbol={}&orderId={}&execType=Trade&limit=100",
            name(symbol),
            sign::encode(venue_order_id)
        );
        let rows = self.pages("/v5/execution/list", &query).await?.0;
        for row in &rows {
            wire::same(wire::text(row, "orderId")?, venue_order_id)?;
        }
        own_trades(&rows, symbol)
    }

    async fn cancel(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<()> {
        let mut body = vec![("symbol", json!(name(symbol))), ("orderFilter", json!("Order"))];
        match of {
            Reference::Venue(id) => {
                body.extend([("orderId", json!(id)), ("category", json!("spot"))])
            }
            Reference::Client(id) => {
                body.extend([
                    ("category", json!("spot")),
                    ("orderLinkId", json!(self.wire_id(id))),
                ]);
            }
        }
        let reply = self.write("/v5/order/cancel", &body).await?;
        wire::text(wire::field(&reply, "result")?, "orderId").map(|_| ())
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        let reply = self.private("/v5/user/query-api", "", ACCOUNT).await?;
        rights(wire::field(&reply, "result")?)
    }
}

impl Bybit {
    async fn public(&self, path: &str, query: &str) -> Answer<Value> {
        let url = sign::with_query(&self.url(path), query);
        let build = move |_| Request {
            method: Method::Get,
            url: url.clone(),
            headers: Vec::new(),
            body: None,
        };
        let reply = self.connection.transport.send(Kind::PublicRead, &[ADDRESS], &build).await?;
        self.read(&reply)
    }

    async fn private(&self, path: &str, query: &str, charge: Charge) -> Answer<Value> {
        let keys = self.keys()?;
        let url = format!("{}?{query}", self.url(path));
        let build = move |now_ms| Request {
            method: Method::Get,
            url: url.clone(),
            headers: signed(keys, now_ms, query),
            body: None,
        };
        let reply =
            self.connection.transport.send(Kind::PrivateRead, &[ADDRESS, charge], &build).await?;
        self.read(&reply)
    }

    async fn write(&self, path: &str, fields: &[(&str, Value)]) -> Answer<Value> {
        let keys = self.keys()?;
        let body = object_text(fields);
        let url = self.url(path);
        let build = move |now_ms| Request {
            method: Method::Post,
            url: url.clone(),
            headers: signed(keys, now_ms, &body),
            body: Some(body.clone()),
        };
        let reply = self.connection.transport.send(Kind::Write, &[ADDRESS, ORDER], &build).await?;
        match self.read(&reply) {
            // What stands before Bybit said it, and Bybit does not say what that means for an order.
            Err(ApiError::Refused { code, message, .. }) if code == "HTTP 403" => {
                Err(wire::unknown(format!("{code}: {message}")))
            }
            answer => answer,
        }
    }

    /// All pages of a list, and the venue's time of the last reply.
    async fn pages(&self, path: &str, query: &str) -> Answer<(Vec<Value>, Timestamp)> {
        let mut all = Vec::new();
        let mut seen = BTreeSet::new();
        let mut page = query.to_owned();
        for _ in 0..PAGES_MAX {
            let reply = self.private(path, &page, ACCOUNT).await?;
            let found = rows(&reply)?;
            all.extend(found.iter().cloned());
            match cursor(&reply) {
                Some(cursor) if !found.is_empty() && seen.insert(cursor.to_owned()) => {
                    page = format!("{query}&cursor={cursor}");
                }
                _ => return Ok((all, wire::moment(&reply, "time")?)),
            }
        }
        Err(endless())
    }

    /// A history from `since` to now, a week at a time.
    async fn history(&self, path: &str, query: &str, since: Timestamp) -> Answer<Vec<Value>> {
        let mut all = Vec::new();
        let mut from = since.ms();
        for _ in 0..WEEKS_MAX {
            let until = from + WEEK_MS - 1;
            let (rows, now) =
                self.pages(path, &format!("{query}&startTime={from}&endTime={until}")).await?;
            all.extend(rows);
            if until >= now.ms() {
                return Ok(all);
            }
            from = until + 1;
        }
        Err(wire::unknown(format!("{since} is further back than Bybit's history")))
    }

    /// The table of names, which is fetched when `markets` was not called before.
    async fn names(&self) -> Answer<Arc<BTreeMap<String, Symbol>>> {
        let known = || Arc::clone(&self.names.read().unwrap_or_else(PoisonError::into_inner));
        if known().is_empty() {
            self.markets().await?;
        }
        Ok(known())
    }

    fn key_of(&self, of: Reference<'_>) -> (&'static str, String) {
        match of {
            Reference::Venue(id) => ("orderId", sign::encode(id)),
            Reference::Client(id) => ("orderLinkId", self.wire_id(id)),
        }
    }

    fn url(&self, path: &str) -> String {
        self.connection.urls.get("rest").map_or_else(String::new, |base| format!("{base}{path}"))
    }

    fn keys(&self) -> Answer<&Keys> {
        self.connection
            .keys
            .as_ref()
            .ok_or_else(|| ApiError::NotSent("bybit has no API key".to_owned()))
    }

    /// The body of a reply that says yes.
    fn read(&self, reply: &Reply) -> Answer<Value> {
        let answer = refusal::accepted(reply);
        if let Err(ApiError::Refused { refusal: Refusal::RateLimited { wait }, .. }) = &answer {
            self.connection.transport.pause(wait.unwrap_or(Duration::from_secs(1)));
        }
        answer
    }
}

/// The headers of a signed request; `covered` is the query of a GET or the body of a POST.
fn signed(keys: &Keys, now_ms: i64, covered: &str) -> Vec<(&'static str, String)> {
    let message = format!("{now_ms}{}{WINDOW_MS}{covered}", keys.api_key.as_str());
    let signature = sign::hmac_sha256(keys.secret.as_bytes(), message.as_bytes());
    vec![
        ("Content-Type", "application/json".to_owned()),
        ("X-BAPI-API-KEY", keys.api_key.to_string()),
        ("X-BAPI-TIMESTAMP", now_ms.to_string()),
        ("X-BAPI-RECV-WINDOW", WINDOW_MS.to_string()),
        ("X-BAPI-SIGN", sign::hex(&signature)),
    ]
}

/// A JSON object with its fields in the order given, which the signature covers.
fn object_text(fields: &[(&str, Value)]) -> String {
    let object: Map<String, Value> =
        fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    Value::Object(object).to_string()
}

/// Bybit's name of a market.
fn name(symbol: &Symbol) -> String {
    format!("{}{}", symbol.base, symbol.quote)
}

fn endless() -> ApiError {
    wire::unknown(format!("the list did not end after {PAGES_MAX} pages"))
}
