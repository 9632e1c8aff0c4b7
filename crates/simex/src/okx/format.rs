//! Numbers and rows as OKX writes them: text, no zeros at the end, empty text for nothing.

use crate::orders::{Amount, Fill, Kind, Lifetime, Order, Side, Status};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde_json::{Value, json};

pub(super) fn plain(value: Decimal) -> String {
    value.normalize().to_string()
}

/// A measured number on the grid of a market.
pub(super) fn on_grid(value: f64, step: Decimal) -> String {
    let value = Decimal::from_f64(value).unwrap_or_default();
    plain((value / step).round() * step)
}

pub(super) fn instrument(market: &str) -> String {
    market.replace('/', "-")
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Market => "market",
        Kind::Limit { lifetime: Lifetime::UntilCancelled, .. } => "limit",
        Kind::Limit { lifetime: Lifetime::Immediate, .. } => "ioc",
        Kind::Limit { lifetime: Lifetime::FillOrKill, .. } => "fok",
        Kind::Limit { lifetime: Lifetime::PostOnly, .. } => "post_only",
    }
}

/// OKX has no expiry: what ends before it is filled is cancelled.
const fn state(status: Status) -> &'static str {
    match status {
        Status::New => "live",
        Status::PartiallyFilled => "partially_filled",
        Status::Filled => "filled",
        Status::Cancelled | Status::Expired => "canceled",
    }
}

pub(super) fn order(order: &Order, last: Option<&Fill>, fees: (Decimal, &str)) -> Value {
    let average = if order.executed.is_zero() {
        String::new()
    } else {
        plain((order.executed_cost / order.executed).round_dp(12))
    };
    let (size, unit) = match order.amount {
        Amount::Base(amount) => (amount, "base_ccy"),
        Amount::Quote(cost) => (cost, "quote_ccy"),
    };
    let price = match order.kind {
        Kind::Market => String::new(),
        Kind::Limit { price, .. } => plain(price),
    };
    let mut row = json!({
        "instType": "SPOT",
        "instId": instrument(&order.market),
        "tgtCcy": if order.kind == Kind::Market { unit } else { "" },
        "ccy": "",
        "ordId": order.id.to_string(),
        "clOrdId": order.client_id,
        "tag": "",
        "px": price,
        "sz": plain(size),
        "pnl": "0",
        "ordType": kind(order.kind),
        "side": side(order.side),
        "posSide": "net",
        "tdMode": "cash",
        "accFillSz": plain(order.executed),
        "avgPx": average,
        "state": state(order.status),
        "lever": "",
        "feeCcy": fees.1,
        "fee": plain(-fees.0),
        "rebateCcy": "",
        "rebate": "0",
        "source": "",
        "category": "normal",
        "reduceOnly": "false",
        "cancelSource": if order.status == Status::Cancelled { "1" } else { "" },
        "cancelSourceReason": "",
        "attachAlgoOrds": [],
        "uTime": order.updated_ms.to_string(),
        "cTime": order.created_ms.to_string(),
    });
    row["fillPx"] = json!(last.map_or_else(String::new, |fill| plain(fill.price)));
    row["fillSz"] = json!(last.map_or_else(|| "0".to_owned(), |fill| plain(fill.amount)));
    row["tradeId"] = json!(last.map_or_else(String::new, |fill| fill.id.to_string()));
    row["fillTime"] = json!(last.map_or_else(String::new, |fill| fill.at_ms.to_string()));
    row
}

pub(super) fn fill(fill: &Fill, client_id: &str) -> Value {
    json!({
        "instType": "SPOT",
        "instId": instrument(&fill.market),
        "tradeId": fill.id.to_string(),
        "ordId": fill.order.to_string(),
        "clOrdId": client_id,
        "billId": (fill.id + 500_000_000).to_string(),
        "subType": if fill.side == Side::Buy { "1" } else { "2" },
        "tag": "",
        "fillPx": plain(fill.price),
        "fillSz": plain(fill.amount),
        "fillIdxPx": "",
        "fillPnl": "0",
        "fillPxVol": "",
        "fillPxUsd": "",
        "fillMarkVol": "",
        "fillFwdPx": "",
        "fillMarkPx": "",
        "side": side(fill.side),
        "posSide": "net",
        "execType": if fill.maker { "M" } else { "T" },
        "feeCcy": fill.fee_asset,
        "fee": plain(-fill.fee),
        "ts": fill.at_ms.to_string(),
        "fillTime": fill.at_ms.to_string(),
        "feeRate": "",
    })
}
