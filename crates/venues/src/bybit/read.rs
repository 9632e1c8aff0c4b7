//! What the rows of Bybit's replies say.

use super::name;
use crate::api::{Answer, KeyRights, OrderState, OrderStatus, OwnTrade};
use crate::wire;
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker};
use keel_core::market::MarketRules;
use keel_core::order::{Fee, Fill, Side};
use keel_core::state::Balance;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn rows(reply: &Value) -> Answer<&[Value]> {
    wire::list(wire::field(reply, "result")?, "list")
}

/// The name of the next page; Bybit hands it out encoded, and takes it back so.
pub(super) fn cursor(reply: &Value) -> Option<&str> {
    wire::maybe_text(reply.get("result")?, "nextPageCursor")
}

/// A market's rules under Bybit's name; `None` for names that cannot be ours.
pub(super) fn market(row: &Value) -> Answer<Option<(String, MarketRules)>> {
    let (base, quote) = (wire::text(row, "baseCoin")?, wire::text(row, "quoteCoin")?);
    let (Ok(base), Ok(quote)) = (base.parse::<Ticker>(), quote.parse::<Ticker>()) else {
        return Ok(None);
    };
    let symbol = Symbol::new(base, quote);
    if wire::text(row, "symbol")? != name(&symbol) {
        return Ok(None);
    }
    let lot = wire::field(row, "lotSizeFilter")?;
    let largest = ["maxMarketOrderQty", "maxOrderQty"]
        .into_iter()
        .find(|key| wire::maybe_text(lot, key).is_some());
    // Deprecated: the smallest order is `minOrderAmt`, in the quote currency.
    let is_told = |smallest: &Value| smallest.as_str() != Some("");
    let min_amount = if wire::maybe(lot, "minOrderQty").is_some_and(is_told) {
        wire::rule(lot, "minOrderQty")?
    } else {
        Decimal::ZERO
    };
    let rule = MarketRules {
        amount_step: Qty::new(wire::rule(lot, "basePrecision")?),
        min_amount: Qty::new(min_amount),
        max_amount: largest.map(|key| wire::rule(lot, key).map(Qty::new)).transpose()?,
        min_cost: wire::rule(lot, "minOrderAmt")?,
        active: wire::text(row, "status")? == "Trading",
        symbol,
    };
    Ok(Some((name(&rule.symbol), rule)))
}

/// What is owned of a coin. Borrowed funds are in Bybit's balance and do not count.
pub(super) fn balance(row: &Value) -> Answer<Balance> {
    let or_zero = |key: &str| match wire::maybe_text(row, key) {
        Some(_) => wire::amount(row, key),
        None => Ok(Decimal::ZERO),
    };
    let (used, borrowed) = (or_zero("locked")?, or_zero("spotBorrow")?);
    let total = wire::decimal(row, "walletBalance")?;
    let free = total
        .checked_sub(borrowed)
        .and_then(|own| own.checked_sub(used))
        .and_then(wire::not_negative)
        .ok_or_else(|| {
            let coin = wire::words(wire::maybe_text(row, "coin").unwrap_or_default());
            wire::unknown(format!("the account owes {coin} (balance {total}, locked {used}, borrowed {borrowed}); repay it, Keel trades owned funds only"))
        })?;
    Ok(Balance { free: Qty::new(free), used: Qty::new(used) })
}

fn side(row: &Value) -> Answer<Side> {
    match wire::text(row, "side")? {
        "Buy" => Ok(Side::Buy),
        "Sell" => Ok(Side::Sell),
        other => {
            Err(wire::unknown(format!("`side` is `{}`, expected Buy or Sell", wire::words(other))))
        }
    }
}

pub(super) fn order_state(row: &Value, symbol: &Symbol) -> Answer<OrderState> {
    let side = side(row)?;
    let executed = wire::qty(row, "cumExecQty")?;
    let status = match wire::text(row, "orderStatus")? {
        "New" | "PartiallyFilled" | "Untriggered" | "Triggered" => OrderStatus::Open,
        "Filled" => OrderStatus::Filled,
        "Cancelled" | "PartiallyFilledCanceled" | "Deactivated" => OrderStatus::Ended,
        // Bybit also rejects the rest of an order that was executed in part.
        "Rejected" if executed.is_positive() => OrderStatus::Ended,
        "Rejected" => OrderStatus::Rejected,
        other => {
            return Err(wire::unknown(format!(
                "`orderStatus` is `{}`, which is not documented",
                wire::words(other)
            )));
        }
    };
    let in_base = match wire::maybe_text(row, "marketUnit") {
        Some(unit) => unit == "baseCoin",
        None => wire::text(row, "orderType")? != "Market" || side == Side::Sell,
    };
    Ok(OrderState {
        venue_order_id: wire::text(row, "orderId")?.to_owned(),
        client_id: wire::maybe_text(row, "orderLinkId").unwrap_or_default().to_owned(),
        symbol: symbol.clone(),
        side,
        status,
        amount: if in_base { Some(wire::qty(row, "qty")?) } else { None },
        executed,
        executed_cost: match wire::maybe_text(row, "cumExecValue") {
            Some(_) => Some(wire::amount(row, "cumExecValue")?),
            None => None,
        },
        created_at: Some(wire::moment(row, "createdTime")?),
        fills: Vec::new(),
    })
}

pub(super) fn own_trades(rows: &[Value], symbol: &Symbol) -> Answer<Vec<OwnTrade>> {
    let mut trades = BTreeMap::new();
    for row in rows {
        wire::same(wire::text(row, "symbol")?, &name(symbol))?;
        let trade = own_trade(row, symbol)?;
        trades.insert((trade.fill.at, trade.fill.trade_id.clone()), trade);
    }
    Ok(trades.into_values().collect())
}

fn own_trade(row: &Value, symbol: &Symbol) -> Answer<OwnTrade> {
    let side = side(row)?;
    // Without a name the fee is in what was bought.
    let fee_asset = match wire::maybe_text(row, "feeCurrency") {
        Some(name) => name.parse().map_err(|_| wire::unknown("`feeCurrency` is not a ticker"))?,
        None if side == Side::Buy => symbol.base.clone(),
        None => symbol.quote.clone(),
    };
    Ok(OwnTrade {
        venue_order_id: wire::text(row, "orderId")?.to_owned(),
        client_id: wire::maybe_text(row, "orderLinkId").map(str::to_owned),
        symbol: symbol.clone(),
        side,
        fill: Fill {
            trade_id: wire::text(row, "execId")?.to_owned(),
            price: wire::price(row, "execPrice")?,
            amount: wire::qty(row, "execQty")?,
            cost: wire::amount(row, "execValue")?,
            fee: Fee { asset: fee_asset, amount: Qty::new(wire::decimal(row, "execFee")?) },
            at: wire::moment(row, "execTime")?,
        },
    })
}

/// Groups of rights that cannot move funds away. Every other group counts as one that can.
const GROUPS_WITHOUT_FUNDS: [&str; 8] = [
    "ContractTrade",
    "Spot",
    "Options",
    "Derivatives",
    "CopyTrading",
    "BlockTrade",
    "NFT",
    "Affiliate",
];

pub(super) fn rights(result: &Value) -> Answer<KeyRights> {
    let groups = wire::field(result, "permissions")?
        .as_object()
        .ok_or_else(|| wire::unknown("`permissions` is not an object"))?;
    let mut names = Vec::new();
    let mut withdraw = false;
    let mut spot = false;
    for (group, list) in groups {
        for right in list.as_array().map(Vec::as_slice).unwrap_or_default() {
            let right = right.as_str().ok_or_else(|| wire::unknown("a right is not a text"))?;
            spot |= group == "Spot" && right == "SpotTrade";
            withdraw |= !GROUPS_WITHOUT_FUNDS.contains(&group.as_str());
            names.push(format!("{group}:{}", wire::words(right)));
        }
    }
    let read_only = wire::field(result, "readOnly")?
        .as_i64()
        .ok_or_else(|| wire::unknown("`readOnly` is not a number"))?;
    let addresses = wire::list(result, "ips")?;
    Ok(KeyRights {
        read: Some(true),
        trade: Some(spot && read_only == 0),
        withdraw: Some(withdraw),
        address_bound: Some(
            !addresses.is_empty() && addresses.iter().all(|address| address != "*"),
        ),
        // Keys that never end carry the start of 1970.
        expires_at: wire::maybe_text(result, "expiredAt").and_then(wire::moment_iso),
        names,
        ..KeyRights::default()
    })
}
