//! What the rows of KuCoin's replies say.

use super::Names;
use crate::api::{Answer, OrderState, OrderStatus, OwnTrade, TickerQuote};
use crate::wire;
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::market::MarketRules;
use keel_core::order::{Fee, Fill, Side};
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The list called `key`. Where there is nothing, KuCoin also says `null` for it or for all of the data,
/// or leaves it out.
pub(super) fn listed<'a>(data: &'a Value, key: &str) -> Answer<&'a [Value]> {
    let may_lack_it = data.is_null() || data.is_object();
    if may_lack_it && wire::maybe(data, key).is_none() {
        return Ok(&[]);
    }
    wire::list(data, key)
}

/// KuCoin counts candles in seconds, and gives the close before the high.
pub(super) fn candle(row: &Value) -> Answer<Candle> {
    let seconds = row.get(0).and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok());
    let ms = seconds.and_then(|seconds| seconds.checked_mul(1000));
    let at = |place: usize| {
        row.get(place).ok_or_else(|| wire::unknown(format!("a candle has no value number {place}")))
    };
    wire::candle(&json!(ms), [at(1)?, at(3)?, at(4)?, at(2)?, at(5)?])
}

pub(super) fn ticker(row: &Value, symbol: &Symbol, as_of: Timestamp) -> Option<TickerQuote> {
    Some(TickerQuote {
        symbol: symbol.clone(),
        last: wire::maybe_price(row, "last")?,
        bid: wire::maybe_price(row, "buy"),
        ask: wire::maybe_price(row, "sell"),
        as_of: Some(as_of),
    })
}

/// A market's rules under KuCoin's code; `None` for names that cannot be ours.
pub(super) fn market(row: &Value) -> Answer<Option<(String, MarketRules)>> {
    let (base, quote) = (wire::text(row, "baseCurrency")?, wire::text(row, "quoteCurrency")?);
    let (Ok(base), Ok(quote)) = (base.parse::<Ticker>(), quote.parse::<Ticker>()) else {
        return Ok(None);
    };
    let smallest = wire::rule(row, "quoteMinSize")?;
    let rule = MarketRules {
        symbol: Symbol::new(base, quote),
        amount_step: Qty::new(wire::rule(row, "baseIncrement")?),
        min_amount: Qty::new(wire::rule(row, "baseMinSize")?),
        max_amount: Some(Qty::new(wire::rule(row, "baseMaxSize")?)),
        // Recordings from before 2022 have no smallest value of orders by amount.
        min_cost: match wire::maybe(row, "minFunds") {
            Some(_) => wire::rule(row, "minFunds")?.max(smallest),
            None => smallest,
        },
        active: wire::flag(row, "enableTrading")?,
    };
    Ok(Some((wire::text(row, "symbol")?.to_owned(), rule)))
}

fn side(row: &Value) -> Answer<Side> {
    match wire::text(row, "side")? {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => {
            Err(wire::unknown(format!("`side` is `{}`, expected buy or sell", wire::words(other))))
        }
    }
}

pub(super) fn order_state(row: &Value, symbol: &Symbol) -> Answer<OrderState> {
    let executed = wire::qty(row, "dealSize")?;
    let cost = wire::amount(row, "dealFunds")?;
    let asked = |key: &str| match wire::maybe_text(row, key) {
        Some(_) => wire::amount(row, key),
        None => Ok(Decimal::ZERO),
    };
    let (size, funds) = (asked("size")?, asked("funds")?);
    let live = if row.get("active").is_some() { "active" } else { "isActive" };
    let cancelled = wire::maybe(row, "cancelExist").and_then(Value::as_bool).unwrap_or(false);
    let whole = if size > Decimal::ZERO {
        executed.get() >= size
    } else {
        !cancelled && funds > Decimal::ZERO
    };
    let status = match (wire::flag(row, live)?, whole) {
        (true, _) => OrderStatus::Open,
        (false, true) if executed.is_positive() => OrderStatus::Filled,
        (false, _) => OrderStatus::Ended,
    };
    Ok(OrderState {
        venue_order_id: wire::text(row, "id")?.to_owned(),
        client_id: wire::maybe_text(row, "clientOid").unwrap_or_default().to_owned(),
        symbol: symbol.clone(),
        side: side(row)?,
        status,
        amount: Some(Qty::new(size)).filter(|size| size.is_positive()),
        executed,
        executed_cost: Some(cost),
        created_at: Some(wire::moment(row, "createdAt")?),
        fills: Vec::new(),
    })
}

pub(super) fn own_trades(rows: &[Value], symbol: &Symbol, names: &Names) -> Answer<Vec<OwnTrade>> {
    let mut trades = BTreeMap::new();
    for row in rows {
        let trade = own_trade(row, symbol, names)?;
        trades.insert((trade.fill.at, trade.fill.trade_id.clone()), trade);
    }
    Ok(trades.into_values().collect())
}

fn own_trade(row: &Value, symbol: &Symbol, names: &Names) -> Answer<OwnTrade> {
    let fee_code = wire::text(row, "feeCurrency")?;
    let asset = names.ticker(fee_code).ok_or_else(|| {
        wire::unknown(format!("the fee is in {}, which is no ticker", wire::words(fee_code)))
    })?;
    Ok(OwnTrade {
        venue_order_id: wire::text(row, "orderId")?.to_owned(),
        client_id: None,
        symbol: symbol.clone(),
        side: side(row)?,
        fill: Fill {
            trade_id: wire::name(row, "tradeId")?,
            price: wire::price(row, "price")?,
            amount: wire::qty(row, "size")?,
            cost: wire::amount(row, "funds")?,
            fee: Fee { asset, amount: Qty::new(wire::decimal(row, "fee")?) },
            at: wire::moment(row, "createdAt")?,
        },
    })
}
