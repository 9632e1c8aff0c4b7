//! Coinbase's replies, and its names of assets and markets.

use crate::api::{Answer, KeyRights, OrderState, OrderStatus, OwnTrade, TickerQuote};
use crate::wire::{
    amount, candle, computed, decimal, exact_rule, field, flag, list, maybe, maybe_price,
    maybe_text, moment_iso, price, qty, text, unknown, words,
};
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::market::MarketRules;
use keel_core::order::{Fee, Fill, Side};
use keel_core::state::Balance;
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;

/// Places of a base amount that is made from a quote amount.
const BASE_PLACES: u32 = 8;
/// The venue's name and everybody else's.
const ALIASES: [(&str, &str); 1] = [("CGLD", "CELO")];

fn ticker_of(name: &str) -> Option<Ticker> {
    let ours = ALIASES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
    ours.parse().ok()
}

/// `BTC-USD`.
pub(super) fn product_id(symbol: &Symbol) -> String {
    let theirs = |ticker: &Ticker| {
        let ours = ticker.as_str();
        let alias = ALIASES.iter().find(|(_, alias)| *alias == ours);
        alias.map_or(ours, |(theirs, _)| theirs).to_owned()
    };
    format!("{}-{}", theirs(&symbol.base), theirs(&symbol.quote))
}

pub(super) fn symbol_of(product: &str) -> Option<Symbol> {
    let (base, quote) = product.split_once('-')?;
    Some(Symbol::new(ticker_of(base)?, ticker_of(quote)?))
}

/// The rules of a market and the step of its quote amounts; `None` for what is no spot market or
/// cannot be read, which is then not traded.
pub(super) fn market_rules(product: &Value) -> Option<(MarketRules, Decimal)> {
    let symbol = symbol_of(maybe_text(product, "product_id")?)?;
    let positive =
        |key: &str| maybe(product, key).and_then(exact_rule).filter(|v| *v > Decimal::ZERO);
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

pub(super) fn balances(accounts: &[Value]) -> Answer<BTreeMap<Ticker, Balance>> {
    let mut balances: BTreeMap<Ticker, Balance> = BTreeMap::new();
    for account in accounts {
        if !is_spot(account) {
            continue;
        }
        let currency = text(account, "currency")?;
        let ticker = ticker_of(currency).ok_or_else(|| {
            unknown(format!("an account in `{}`, which is no asset name", words(currency)))
        })?;
        let free = qty(field(account, "available_balance")?, "value")?;
        let held = match maybe(account, "hold") {
            Some(hold) => qty(hold, "value")?,
            None => Qty::ZERO,
        };
        let sum = balances.entry(ticker).or_default();
        sum.free += free;
        sum.used += held;
    }
    Ok(balances)
}

pub(super) fn candle_of(row: &Value) -> Answer<Candle> {
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

/// The quote of a market, unless nothing was ever traded there.
pub(super) fn ticker_quote(reply: &Value, symbol: &Symbol) -> Answer<Option<TickerQuote>> {
    let Some(trade) = list(reply, "trades")?.first() else { return Ok(None) };
    if maybe_text(trade, "product_id").is_some_and(|product| product != product_id(symbol)) {
        return Err(unknown(format!("the reply is not about {symbol}")));
    }
    Ok(Some(TickerQuote {
        symbol: symbol.clone(),
        last: price(trade, "price")?,
        bid: maybe_price(reply, "best_bid"),
        ask: maybe_price(reply, "best_ask"),
        as_of: Some(moment_of(trade, "time")?),
    }))
}

pub(super) fn levels(book: &Value, side: &str) -> Answer<Vec<(Price, Qty)>> {
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

pub(super) fn order_state(order: &Value, symbol: &Symbol) -> Answer<OrderState> {
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
    let in_base = |kind: &&Value| maybe(kind, "base_size").is_some_and(|size| *size != "");
    let asked = kinds.find_map(|kinds| kinds.values().find(in_base));
    Ok(OrderState {
        venue_order_id: id.to_owned(),
        client_id: maybe_text(order, "client_order_id").unwrap_or_default().to_owned(),
        symbol: symbol.clone(),
        side: side_of(order)?,
        status,
        amount: asked.map(|kind| qty(kind, "base_size")).transpose()?,
        executed: Qty::new(executed),
        executed_cost: Some(executed_amount(order, "filled_value")?),
        created_at: Some(moment_of(order, "created_time")?),
        fills: Vec::new(),
    })
}

/// An execution, and whether the venue told its size in the quote currency.
pub(super) struct Told {
    pub(super) trade: OwnTrade,
    pub(super) in_quote: bool,
}

pub(super) fn oldest_first(a: &OwnTrade, b: &OwnTrade) -> std::cmp::Ordering {
    (a.fill.at, &a.fill.trade_id).cmp(&(b.fill.at, &b.fill.trade_id))
}

/// Fills of orders by cost give their size in the quote currency.
pub(super) fn told(fill: &Value, symbol: &Symbol) -> Answer<Told> {
    let price = price(fill, "price")?;
    let size = amount(fill, "size")?;
    let in_quote = maybe(fill, "size_in_quote").and_then(Value::as_bool).unwrap_or(false);
    let (base, cost) = if in_quote {
        (computed(size.checked_div(price.get()))?.trunc_with_scale(BASE_PLACES), size)
    } else {
        (size, computed(size.checked_mul(price.get()))?)
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

pub(super) fn key_rights(reply: &Value) -> Answer<KeyRights> {
    let rights = reply.as_object().into_iter().flatten();
    let names: Vec<String> = rights
        .filter(|(name, value)| name.starts_with("can_") && **value != Value::Bool(false))
        .map(|(name, _)| name.clone())
        .collect();
    flag(reply, "can_transfer")?;
    // A right that nobody has heard of counts as a right to move funds.
    let harmless = |name: &String| ["can_view", "can_trade"].contains(&name.as_str());
    Ok(KeyRights {
        read: Some(flag(reply, "can_view")?),
        trade: Some(flag(reply, "can_trade")?),
        withdraw: Some(!names.iter().all(harmless)),
        address_bound: None,
        expires_at: None,
        names,
        ..KeyRights::default()
    })
}
