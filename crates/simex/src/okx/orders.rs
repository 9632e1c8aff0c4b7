//! Orders: placing, asking, cancelling, lists.

use super::format;
use super::{Answer, Desk, MARKET_ORDER_USDT_MAX, Refusal, refuse};
use crate::orders::{Amount, Fill, Kind, Lifetime, NewOrder, Order, Reject, Side};
use crate::prices::Place;
use crate::rules::MarketRules;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde_json::{Value, json};

fn words(reject: Reject, market: &MarketRules, side: Side) -> (&'static str, String) {
    let fixed = |code, text: &str| (code, text.to_owned());
    match reject {
        Reject::DuplicateId => fixed("51016", "Client order ID already exists."),
        Reject::Funds => {
            let asset = if side == Side::Buy { &market.quote } else { &market.base };
            ("51008", format!("Order failed. Insufficient {asset} balance in account."))
        }
        Reject::UnknownMarket => {
            fixed("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        }
        Reject::Halted => fixed("51022", "Trading for this instrument is suspended."),
        Reject::LotSize => fixed("51121", "Order quantity must be a multiple of the lot size."),
        Reject::MarketLotSize => {
            fixed("51201", "The highest limit amount of each market order is 1,000,000 USDT.")
        }
        Reject::PriceStep => fixed("51000", "Parameter px error"),
        Reject::PriceBand => fixed("51006", "Order price is not within the price limit."),
        Reject::Notional => {
            fixed("51020", "Your order should meet or exceed the minimum order amount.")
        }
        Reject::TooManyOpen => {
            fixed("51174", "The number of pending orders reached the upper limit.")
        }
        Reject::WouldTrade => fixed("51007", "A post-only order would have traded at once."),
        Reject::UnknownOrder | Reject::AlreadyOver => fixed(
            "51400",
            "Cancellation failed as the order has been filled, canceled or does not exist.",
        ),
    }
}

/// A refusal inside a row of an answer with HTTP status 200.
fn in_row(code: &'static str, message: &str, id: &str, client_id: &str, now_ms: i64) -> Refusal {
    let row = json!({
        "ordId": id,
        "clOrdId": client_id,
        "tag": "",
        "ts": now_ms.to_string(),
        "sCode": code,
        "sMsg": message,
    });
    Refusal { status: 200, code, message: message.to_owned(), row: Some(row) }
}

fn legal_client_id(id: &str) -> bool {
    (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Desk<'_> {
    fn read_order(&self) -> Result<(NewOrder, MarketRules), Refusal> {
        let market = self.market()?;
        if self.need("tdMode")? != "cash" {
            // A plain spot account has no margin.
            return Err(in_row(
                "51010",
                "Request unsupported under current account mode",
                "",
                self.value("clOrdId").unwrap_or(""),
                self.now_ms,
            ));
        }
        let side = match self.need("side")? {
            "buy" => Side::Buy,
            "sell" => Side::Sell,
            _ => return Err(Self::wrong("side")),
        };
        let kind = self.read_kind()?;
        let size = self
            .decimal("sz")?
            .ok_or_else(|| refuse(400, "50014", "Parameter sz can not be empty"))?;
        let by_quote = match self.value("tgtCcy") {
            None => side == Side::Buy,
            Some("quote_ccy") => true,
            Some("base_ccy") => false,
            Some(_) => return Err(Self::wrong("tgtCcy")),
        };
        let amount =
            if kind == Kind::Market && by_quote { Amount::Quote(size) } else { Amount::Base(size) };
        let client_id = self.value("clOrdId").unwrap_or("").to_owned();
        if !client_id.is_empty() && !legal_client_id(&client_id) {
            return Err(Self::wrong("clOrdId"));
        }
        Ok((NewOrder { client_id, market: market.name(), side, kind, amount }, market))
    }

    fn read_kind(&self) -> Result<Kind, Refusal> {
        let lifetime = match self.need("ordType")? {
            "market" => return Ok(Kind::Market),
            "limit" => Lifetime::UntilCancelled,
            "ioc" => Lifetime::Immediate,
            "fok" => Lifetime::FillOrKill,
            "post_only" => Lifetime::PostOnly,
            _ => return Err(Self::wrong("ordType")),
        };
        let price = self.decimal("px")?.ok_or_else(|| Self::wrong("px"))?;
        Ok(Kind::Limit { price, lifetime })
    }

    pub(super) fn new_order(&mut self) -> Answer {
        let (order, market) = self.read_order()?;
        let now = self.now_ms;
        let refused = |code, message: &str| in_row(code, message, "", &order.client_id, now);
        if let Amount::Base(amount) = order.amount
            && amount < market.min_amount
        {
            let message = "Your order should meet or exceed the minimum order amount.";
            return Err(refused("51020", message));
        }
        if order.kind == Kind::Market
            && self.value_of(&order, &market) > Decimal::from(MARKET_ORDER_USDT_MAX)
        {
            let (code, message) = words(Reject::MarketLotSize, &market, order.side);
            return Err(refused(code, &message));
        }
        let placed = self.venue.exchange.place(self.prices, &order, now);
        let id = placed.map_err(|reject| {
            let (code, message) = words(reject, &market, order.side);
            in_row(code, &message, "", &order.client_id, now)
        })?;
        Ok(vec![json!({
            "clOrdId": order.client_id,
            "ordId": id.to_string(),
            "tag": "",
            "ts": now.to_string(),
            "sCode": "0",
            "sMsg": "Order placed",
        })])
    }

    /// The value of an order in dollars; nothing when the market has no price.
    fn value_of(&self, order: &NewOrder, market: &MarketRules) -> Decimal {
        let exchange = &self.venue.exchange;
        let average = exchange.average_price(self.prices, market, self.now_ms);
        let cost = match order.amount {
            Amount::Quote(cost) => cost,
            Amount::Base(amount) => amount * average.unwrap_or_default(),
        };
        let dollars = self.prices.price(Place::Okx, &market.quote, self.now_ms);
        cost * dollars.and_then(Decimal::from_f64).unwrap_or_default()
    }

    fn hidden(&self, id: u64) -> bool {
        self.call.stale && self.venue.exchange.newest_order() == Some(id)
    }

    /// The order of `ordId` or `clOrdId`; of several with one client id, the latest.
    fn find_order(&self, market: &MarketRules) -> Result<Option<Order>, Refusal> {
        let name = market.name();
        let exchange = &self.venue.exchange;
        let found = match (self.value("ordId"), self.value("clOrdId")) {
            (Some(id), _) => {
                let id: u64 = id.parse().map_err(|_| Self::wrong("ordId"))?;
                exchange.orders.get(&id).filter(|order| order.market == name)
            }
            (None, Some(client_id)) => exchange
                .orders
                .values()
                .rev()
                .find(|order| order.client_id == client_id && order.market == name),
            (None, None) => {
                return Err(refuse(
                    400,
                    "51003",
                    "Either client order ID or order ID is required.",
                ));
            }
        };
        Ok(found.filter(|order| !self.hidden(order.id)).cloned())
    }

    pub(super) fn cancel_order(&mut self) -> Answer {
        let market = self.market()?;
        let client_id = self.value("clOrdId").unwrap_or("").to_owned();
        let given = self.value("ordId").unwrap_or("").to_owned();
        let found = self.find_order(&market)?;
        let now = self.now_ms;
        let cancelled = match &found {
            None => Err(Reject::UnknownOrder),
            Some(order) => self.venue.exchange.cancel(order.id, now),
        };
        cancelled.map_err(|reject| {
            let (code, message) = words(reject, &market, Side::Buy);
            in_row(code, &message, &given, &client_id, now)
        })?;
        let id = found.map_or(given, |order| order.id.to_string());
        Ok(vec![json!({
            "clOrdId": client_id, "ordId": id, "ts": now.to_string(), "sCode": "0", "sMsg": "",
        })])
    }

    fn row(&self, order: &Order) -> Value {
        let fills: Vec<&Fill> = self.venue.exchange.fills_of(order.id).collect();
        let fee: Decimal = fills.iter().map(|fill| fill.fee).sum();
        let asset = fills.first().map_or_else(
            || match order.side {
                Side::Buy => order.market.split('/').next().unwrap_or(""),
                Side::Sell => order.market.split('/').nth(1).unwrap_or(""),
            },
            |fill| fill.fee_asset.as_str(),
        );
        format::order(order, fills.last().copied(), (fee, asset))
    }

    pub(super) fn query_order(&self) -> Answer {
        let market = self.market()?;
        let order = self.find_order(&market)?;
        let order = order.ok_or_else(|| refuse(200, "51603", "Order does not exist"))?;
        Ok(vec![self.row(&order)])
    }

    /// Newest first; `after` and `before` are numbers of orders.
    fn list(&self, wanted: impl Fn(&Order) -> bool) -> Answer {
        let only = if self.value("instId").is_some() { Some(self.market()?.name()) } else { None };
        let number = |value: Option<i64>| value.and_then(|id| u64::try_from(id).ok());
        let (after, before) = (number(self.whole("after")?), number(self.whole("before")?));
        let (begin, end) = (self.whole("begin")?, self.whole("end")?);
        let limit = self.limit(100, 100)?;
        let orders = self.venue.exchange.orders.values().rev();
        Ok(orders
            .filter(|order| wanted(order) && !self.hidden(order.id))
            .filter(|order| only.as_ref().is_none_or(|name| *name == order.market))
            .filter(|order| after.is_none_or(|after| order.id < after))
            .filter(|order| before.is_none_or(|before| order.id > before))
            .filter(|order| begin.is_none_or(|begin| order.created_ms >= begin))
            .filter(|order| end.is_none_or(|end| order.created_ms <= end))
            .take(limit)
            .map(|order| self.row(order))
            .collect())
    }

    pub(super) fn orders_pending(&self) -> Answer {
        self.list(|order| order.status.is_open())
    }

    pub(super) fn orders_history(&self) -> Answer {
        if self.need("instType")? != "SPOT" {
            return Ok(Vec::new());
        }
        self.list(|order| !order.status.is_open())
    }

    /// Newest first; `after` and `before` are numbers of bills.
    pub(super) fn fills(&self) -> Answer {
        let only = if self.value("instId").is_some() { Some(self.market()?.name()) } else { None };
        let order: Option<u64> = match self.value("ordId") {
            None => None,
            Some(id) => Some(id.parse().map_err(|_| Self::wrong("ordId"))?),
        };
        let bill = |value: Option<i64>| {
            value.and_then(|id| u64::try_from(id).ok()).map(|id| id.saturating_sub(500_000_000))
        };
        let (after, before) = (bill(self.whole("after")?), bill(self.whole("before")?));
        let (begin, end) = (self.whole("begin")?, self.whole("end")?);
        let limit = self.limit(100, 100)?;
        let exchange = &self.venue.exchange;
        Ok(exchange
            .fills
            .iter()
            .rev()
            .filter(|fill| !self.hidden(fill.order))
            .filter(|fill| only.as_ref().is_none_or(|name| *name == fill.market))
            .filter(|fill| order.is_none_or(|order| fill.order == order))
            .filter(|fill| after.is_none_or(|after| fill.id < after))
            .filter(|fill| before.is_none_or(|before| fill.id > before))
            .filter(|fill| begin.is_none_or(|begin| fill.at_ms >= begin))
            .filter(|fill| end.is_none_or(|end| fill.at_ms <= end))
            .take(limit)
            .map(|fill| {
                let named = exchange.orders.get(&fill.order).map_or("", |order| &order.client_id);
                format::fill(fill, named)
            })
            .collect())
    }
}
