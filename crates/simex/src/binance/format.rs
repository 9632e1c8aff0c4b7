//! Numbers and words as Binance writes them.

use crate::orders::{Amount, Fill, Kind, Lifetime, Order, Side, Status};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde_json::{Value, json};

/// Eight places.
pub(super) fn eight(value: Decimal) -> String {
    format!("{value:.8}")
}

/// A measured number on the grid of a market, eight places.
pub(super) fn on_grid(value: f64, step: Decimal) -> String {
    let value = Decimal::from_f64(value).unwrap_or_default();
    eight((value / step).round() * step)
}

pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::New => "NEW",
        Status::PartiallyFilled => "PARTIALLY_FILLED",
        Status::Filled => "FILLED",
        Status::Cancelled => "CANCELED",
        Status::Expired => "EXPIRED",
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Market => "MARKET",
        Kind::Limit { lifetime: Lifetime::PostOnly, .. } => "LIMIT_MAKER",
        Kind::Limit { .. } => "LIMIT",
    }
}

const fn lifetime(kind: Kind) -> &'static str {
    match kind {
        Kind::Limit { lifetime: Lifetime::Immediate, .. } => "IOC",
        Kind::Limit { lifetime: Lifetime::FillOrKill, .. } => "FOK",
        Kind::Market | Kind::Limit { .. } => "GTC",
    }
}

const fn price(kind: Kind) -> Decimal {
    match kind {
        Kind::Market => Decimal::ZERO,
        Kind::Limit { price, .. } => price,
    }
}

fn quote_amount(order: &Order) -> Decimal {
    match order.amount {
        Amount::Quote(cost) => cost,
        Amount::Base(_) => Decimal::ZERO,
    }
}

/// An order in the answers of queries.
pub(super) fn order(order: &Order, symbol: &str) -> Value {
    let mut answer = json!({
        "symbol": symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": true,
        "workingTime": order.created_ms,
    });
    extend(&mut answer, terms(order));
    answer
}

/// What every answer says about an order.
fn terms(order: &Order) -> Value {
    json!({
        "price": eight(price(order.kind)),
        "origQty": eight(order.base_amount),
        "executedQty": eight(order.executed),
        "origQuoteOrderQty": eight(quote_amount(order)),
        "cummulativeQuoteQty": eight(order.executed_cost),
        "status": status(order.status),
        "timeInForce": lifetime(order.kind),
        "type": kind(order.kind),
        "side": side(order.side),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    })
}

/// An order in the answer to its placement.
pub(super) fn placed(order: &Order, symbol: &str, fills: &[&Fill], detail: &str) -> Value {
    let mut answer = json!({
        "symbol": symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": order.created_ms,
    });
    if detail != "ACK" {
        extend(&mut answer, terms(order));
        extend(&mut answer, json!({"workingTime": order.created_ms}));
    }
    if detail == "FULL" {
        let fills: Vec<Value> = fills
            .iter()
            .map(|fill| {
                json!({
                    "price": eight(fill.price),
                    "qty": eight(fill.amount),
                    "commission": eight(fill.fee),
                    "commissionAsset": fill.fee_asset,
                    "tradeId": fill.id,
                })
            })
            .collect();
        extend(&mut answer, json!({"fills": fills}));
    }
    answer
}

/// An order in the answer to its cancellation.
pub(super) fn cancelled(order: &Order, symbol: &str, new_client_id: &str, now_ms: i64) -> Value {
    let mut answer = json!({
        "symbol": symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": new_client_id,
        "transactTime": now_ms,
    });
    extend(&mut answer, terms(order));
    answer
}

/// An execution in the list of own trades.
pub(super) fn trade(fill: &Fill, symbol: &str) -> Value {
    json!({
        "symbol": symbol,
        "id": fill.id,
        "orderId": fill.order,
        "orderListId": -1,
        "price": eight(fill.price),
        "qty": eight(fill.amount),
        "quoteQty": eight(fill.cost),
        "commission": eight(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at_ms,
        "isBuyer": fill.side == Side::Buy,
        "isMaker": fill.maker,
        "isBestMatch": true,
    })
}

fn extend(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
