//! Orders: placing, asking, cancelling, lists.

use super::format::{self, cancelled, placed, trade};
use super::{
    Answer, Desk, ORDERS_PER_10_SECONDS, ORDERS_PER_DAY, Refusal, illegal, missing, refuse,
    symbol_of,
};
use crate::orders::{Amount, Fill, Kind, Lifetime, NewOrder, Order, Reject, Side};
use crate::rules::MarketRules;
use serde_json::{Value, json};

const CLIENT_ID_RANGE: &str = "^[a-zA-Z0-9-_]{1,36}$";
const DAY_MS: i64 = 86_400_000;

fn rejected(reject: Reject) -> Refusal {
    let filter = |name: &str| refuse(400, -1013, &format!("Filter failure: {name}"));
    match reject {
        Reject::DuplicateId => refuse(400, -2010, "Duplicate order sent."),
        Reject::Funds => {
            refuse(400, -2010, "Account has insufficient balance for requested action.")
        }
        Reject::UnknownMarket => refuse(400, -1121, "Invalid symbol."),
        Reject::Halted => refuse(400, -1013, "Market is closed."),
        Reject::LotSize => filter("LOT_SIZE"),
        Reject::MarketLotSize => filter("MARKET_LOT_SIZE"),
        Reject::PriceStep => filter("PRICE_FILTER"),
        Reject::PriceBand => filter("PERCENT_PRICE_BY_SIDE"),
        Reject::Notional => filter("NOTIONAL"),
        Reject::TooManyOpen => filter("MAX_NUM_ORDERS"),
        Reject::WouldTrade => refuse(400, -2010, "Order would immediately match and take."),
        Reject::UnknownOrder | Reject::AlreadyOver => refuse(400, -2011, "Unknown order sent."),
    }
}

fn unwanted(name: &str) -> Refusal {
    refuse(400, -1106, &format!("Parameter '{name}' sent when not required."))
}

impl Desk<'_> {
    fn read_order(&self) -> Result<(NewOrder, MarketRules), Refusal> {
        let market = self.market()?;
        let side = match self.need("side")?.as_str() {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return Err(refuse(400, -1117, "Invalid side.")),
        };
        let kind = self.read_kind()?;
        let amount = match (self.decimal("quantity")?, self.decimal("quoteOrderQty")?) {
            (Some(_), Some(_)) => {
                return Err(refuse(400, -1128, "Combination of optional parameters invalid."));
            }
            (Some(base), None) => Amount::Base(base),
            (None, Some(quote)) if kind == Kind::Market => Amount::Quote(quote),
            (None, _) => return Err(missing("quantity")),
        };
        let client_id = match self.value("newClientOrderId") {
            None => format!("simex{:017x}", self.now_ms),
            Some(id) if legal_client_id(id) => id.to_owned(),
            Some(_) => return Err(illegal("newClientOrderId", CLIENT_ID_RANGE)),
        };
        Ok((NewOrder { client_id, market: market.name(), side, kind, amount }, market))
    }

    fn read_kind(&self) -> Result<Kind, Refusal> {
        let kind = self.need("type")?;
        if kind == "MARKET" {
            return match ["price", "timeInForce"].into_iter().find(|name| self.has(name)) {
                Some(name) => Err(unwanted(name)),
                None => Ok(Kind::Market),
            };
        }
        let lifetime = match kind.as_str() {
            "LIMIT" => match self.need("timeInForce")?.as_str() {
                "GTC" => Lifetime::UntilCancelled,
                "IOC" => Lifetime::Immediate,
                "FOK" => Lifetime::FillOrKill,
                _ => return Err(refuse(400, -1115, "Invalid timeInForce.")),
            },
            "LIMIT_MAKER" => Lifetime::PostOnly,
            _ => return Err(refuse(400, -1116, "Invalid orderType.")),
        };
        let price = self.decimal("price")?.ok_or_else(|| missing("price"))?;
        Ok(Kind::Limit { price, lifetime })
    }

    fn count_order(&mut self) -> Result<(), Refusal> {
        let now = self.now_ms;
        let limits = [
            ("orders per 10 seconds", 10_000, ORDERS_PER_10_SECONDS, "10 SECOND"),
            ("orders per day", DAY_MS, ORDERS_PER_DAY, "1 DAY"),
        ];
        for (name, per_ms, units, window) in limits {
            let granted = self.granted(units);
            if self.venue.counters.add(name, 1, per_ms, now) > granted {
                let message =
                    format!("Too many new orders; current limit is {granted} orders per {window}.");
                return Err(refuse(429, -1015, &message));
            }
        }
        Ok(())
    }

    pub(super) fn new_order(&mut self) -> Answer {
        let (order, market) = self.read_order()?;
        let detail = self.value("newOrderRespType").unwrap_or("FULL").to_owned();
        if !["ACK", "RESULT", "FULL"].contains(&detail.as_str()) {
            return Err(illegal("newOrderRespType", "^ACK$|^RESULT$|^FULL$"));
        }
        self.all_read()?;
        self.count_order()?;
        let exchange = &mut self.venue.exchange;
        let id = exchange.place(self.prices, &order, self.now_ms).map_err(rejected)?;
        let fills: Vec<&Fill> = exchange.fills_of(id).collect();
        let order = exchange.orders.get(&id).ok_or_else(|| rejected(Reject::UnknownOrder))?;
        Ok(placed(order, &symbol_of(&market), &fills, &detail))
    }

    pub(super) fn test_order(&mut self) -> Answer {
        let (order, _) = self.read_order()?;
        self.venue.exchange.check(self.prices, &order, self.now_ms).map_err(rejected)?;
        Ok(json!({}))
    }

    /// Not yet visible in stale answers.
    fn hidden(&self, id: u64) -> bool {
        self.call.stale && self.venue.exchange.newest_order() == Some(id)
    }

    fn find_order(&self, market: &MarketRules) -> Result<Option<Order>, Refusal> {
        let name = market.name();
        let exchange = &self.venue.exchange;
        let found = match (self.whole("orderId")?, self.value("origClientOrderId")) {
            (Some(id), _) => {
                let id = u64::try_from(id).unwrap_or(0);
                exchange.orders.get(&id).filter(|order| order.market == name)
            }
            (None, Some(client_id)) => exchange.by_client_id(&name, client_id),
            (None, None) => {
                let message = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!";
                return Err(refuse(400, -1102, message));
            }
        };
        Ok(found.filter(|order| !self.hidden(order.id)).cloned())
    }

    pub(super) fn query_order(&mut self) -> Answer {
        let market = self.market()?;
        let order = self.find_order(&market)?;
        let order = order.ok_or_else(|| refuse(400, -2013, "Order does not exist."))?;
        Ok(format::order(&order, &symbol_of(&market)))
    }

    pub(super) fn cancel_order(&mut self) -> Answer {
        let market = self.market()?;
        let order = self.find_order(&market)?;
        let order = order.ok_or_else(|| rejected(Reject::UnknownOrder))?;
        self.all_read()?;
        self.cancel_one(&market, order.id)
    }

    fn cancel_one(&mut self, market: &MarketRules, id: u64) -> Answer {
        let exchange = &mut self.venue.exchange;
        exchange.cancel(id, self.now_ms).map_err(rejected)?;
        let order = exchange.orders.get(&id).ok_or_else(|| rejected(Reject::UnknownOrder))?;
        let named = format!("simexcancel{id}");
        Ok(cancelled(order, &symbol_of(market), &named, self.now_ms))
    }

    pub(super) fn cancel_all(&mut self) -> Answer {
        let market = self.market()?;
        self.all_read()?;
        let name = market.name();
        let open: Vec<u64> = self
            .venue
            .exchange
            .open_orders()
            .filter(|order| order.market == name)
            .map(|order| order.id)
            .collect();
        if open.is_empty() {
            return Err(rejected(Reject::UnknownOrder));
        }
        let answers: Result<Vec<Value>, Refusal> =
            open.into_iter().map(|id| self.cancel_one(&market, id)).collect();
        answers.map(Value::Array)
    }

    pub(super) fn open_orders(&mut self) -> Answer {
        let only = if self.has("symbol") { Some(self.market()?.name()) } else { None };
        let exchange = &self.venue.exchange;
        let rows = exchange
            .open_orders()
            .filter(|order| only.as_ref().is_none_or(|name| *name == order.market))
            .filter(|order| !self.hidden(order.id))
            .map(|order| format::order(order, &order.market.replace('/', "")))
            .collect();
        Ok(Value::Array(rows))
    }

    /// `startTime` and `endTime`, at most a day apart.
    fn day_range(&self) -> Result<(Option<i64>, Option<i64>), Refusal> {
        let range = (self.whole("startTime")?, self.whole("endTime")?);
        if let (Some(from), Some(to)) = range
            && to - from > DAY_MS
        {
            let message = "More than 24 hours between startTime and endTime.";
            return Err(refuse(400, -1127, message));
        }
        Ok(range)
    }

    pub(super) fn all_orders(&mut self) -> Answer {
        let market = self.market()?;
        let name = market.name();
        let limit = self.limit(500, 1000)?;
        let first = self.whole("orderId")?.and_then(|id| u64::try_from(id).ok());
        let (from, to) = self.day_range()?;
        let wanted: Vec<&Order> = self
            .venue
            .exchange
            .orders
            .values()
            .filter(|order| order.market == name && !self.hidden(order.id))
            .filter(|order| first.is_none_or(|first| order.id >= first))
            .filter(|order| from.is_none_or(|from| order.created_ms >= from))
            .filter(|order| to.is_none_or(|to| order.created_ms <= to))
            .collect();
        let page = page(&wanted, limit, first.is_some() || from.is_some());
        let symbol = symbol_of(&market);
        Ok(Value::Array(page.iter().map(|order| format::order(order, &symbol)).collect()))
    }

    pub(super) fn my_trades(&mut self) -> Answer {
        let market = self.market()?;
        let name = market.name();
        let limit = self.limit(500, 1000)?;
        let number = |value: Option<i64>| value.and_then(|id| u64::try_from(id).ok());
        let order = number(self.whole("orderId")?);
        let first = number(self.whole("fromId")?);
        let (from, to) = self.day_range()?;
        // By time, or by the number of an order or of a trade.
        if (order.is_some() || first.is_some()) && (from.is_some() || to.is_some()) {
            return Err(refuse(400, -1128, "Combination of optional parameters invalid."));
        }
        let wanted: Vec<&Fill> = self
            .venue
            .exchange
            .fills
            .iter()
            .filter(|fill| fill.market == name && !self.hidden(fill.order))
            .filter(|fill| order.is_none_or(|order| fill.order == order))
            .filter(|fill| first.is_none_or(|first| fill.id >= first))
            .filter(|fill| from.is_none_or(|from| fill.at_ms >= from))
            .filter(|fill| to.is_none_or(|to| fill.at_ms <= to))
            .collect();
        let page = page(&wanted, limit, first.is_some() || from.is_some());
        let symbol = symbol_of(&market);
        Ok(Value::Array(page.iter().map(|fill| trade(fill, &symbol)).collect()))
    }
}

/// The first `limit` rows, or the last ones.
fn page<'a, T>(rows: &'a [&'a T], limit: usize, first: bool) -> &'a [&'a T] {
    if first { &rows[..rows.len().min(limit)] } else { &rows[rows.len().saturating_sub(limit)..] }
}

fn legal_client_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=36).contains(&id.len()) && id.bytes().all(legal)
}
