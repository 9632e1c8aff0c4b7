//! Binance's replies.

use crate::api::{Answer, Book, KeyRights, OrderState, OrderStatus, OwnTrade, TickerQuote};
use crate::http::Reply;
use crate::wire::{
    Row, Rule, amount, computed, decimal, field, flag, items, levels, list, maybe, maybe_price,
    maybe_text, moment, most_rows, name, not_negative, parse_as, price, qty, text, unknown,
};
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker};
use keel_core::market::MarketRules;
use keel_core::order::{Fee, Fill, Side};
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    #[serde(default)]
    rate_limits: Value,
    symbols: Vec<Row<MarketRow>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarketRow {
    status: String,
    base_asset: String,
    quote_asset: String,
    #[serde(default)]
    order_types: Vec<String>,
    is_spot_trading_allowed: bool,
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: String,
    step_size: Option<Rule>,
    min_qty: Option<Rule>,
    max_qty: Option<Rule>,
    min_notional: Option<Rule>,
}

/// Units that the venue grants, by the names of our buckets.
type Granted = Vec<(&'static str, u32)>;

/// The spot markets; those with names that are no tickers of ours are left out. With them come the
/// limits that the venue publishes.
pub(super) fn markets(reply: &Reply) -> Answer<(Markets, Granted)> {
    let info: Info = parse_as(reply)?;
    let markets: Markets = most_rows(info.symbols.into_iter().map(|row| row.0))?
        .iter()
        .filter_map(|row| {
            let symbol = Symbol::new(row.base_asset.parse().ok()?, row.quote_asset.parse().ok()?);
            Some((symbol.clone(), rules(symbol, row)))
        })
        .collect();
    if markets.is_empty() {
        return Err(unknown("a table without a single market"));
    }
    Ok((markets, granted(&info.rate_limits)))
}

/// Limits of other kinds or over other times are none of ours, and one that cannot be read does not
/// spoil the markets.
fn granted(limits: &Value) -> Granted {
    let bucket = |limit: &Value| {
        let over = (maybe_text(limit, "interval")?, limit.get("intervalNum")?.as_u64()?);
        let name = match (maybe_text(limit, "rateLimitType")?, over) {
            ("REQUEST_WEIGHT", ("MINUTE", 1)) => "weight",
            ("ORDERS", ("SECOND", 10)) => "orders",
            _ => return None,
        };
        Some((name, limit.get("limit")?.as_u64()?.try_into().ok()?))
    };
    limits.as_array().into_iter().flatten().filter_map(bucket).collect()
}

fn rules(symbol: Symbol, row: &MarketRow) -> MarketRules {
    let lots = || {
        row.filters
            .iter()
            .filter(|filter| ["LOT_SIZE", "MARKET_LOT_SIZE"].contains(&filter.filter_type.as_str()))
    };
    let largest = |values: &mut dyn Iterator<Item = Option<Rule>>| {
        values.flatten().map(|value| value.0).max().unwrap_or_default()
    };
    let notional = &mut row
        .filters
        .iter()
        .filter(|filter| ["NOTIONAL", "MIN_NOTIONAL"].contains(&filter.filter_type.as_str()))
        .map(|filter| filter.min_notional);
    // Zero says that this filter has no limit.
    let max =
        lots().filter_map(|lot| lot.max_qty).map(|max| max.0).filter(|max| !max.is_zero()).min();
    MarketRules {
        symbol,
        amount_step: Qty::new(largest(&mut lots().map(|lot| lot.step_size))),
        min_amount: Qty::new(largest(&mut lots().map(|lot| lot.min_qty))),
        max_amount: max.map(Qty::new),
        min_cost: largest(notional),
        active: row.status == "TRADING"
            && row.is_spot_trading_allowed
            && row.order_types.iter().any(|kind| kind == "MARKET")
            && lots().next().is_some(),
    }
}

/// Quotes of the markets that were asked for, by the venue's names.
pub(super) fn tickers(rows: &Value, asked: &BTreeMap<String, Symbol>) -> Answer<Vec<TickerQuote>> {
    let mut quotes = Vec::new();
    for row in items(rows)? {
        let Some(symbol) = asked.get(text(row, "symbol")?) else {
            return Err(unknown("a quote of a market that nobody asked for"));
        };
        // Zero: nothing was traded there within a day.
        if decimal(row, "lastPrice")?.is_zero() {
            continue;
        }
        quotes.push(TickerQuote {
            symbol: symbol.clone(),
            last: price(row, "lastPrice")?,
            bid: maybe_price(row, "bidPrice"),
            ask: maybe_price(row, "askPrice"),
            as_of: Some(moment(row, "closeTime")?),
        });
    }
    Ok(quotes)
}

pub(super) fn book(value: &Value) -> Answer<Book> {
    Ok(Book { bids: levels(value, "bids")?, asks: levels(value, "asks")? })
}

/// Spot balances. `LDBTC` beside `BTC` is bitcoin in flexible earn: not spot, and not an asset of
/// its own; `LDO` is one.
pub(super) fn balances(account: &Value) -> Answer<BTreeMap<Ticker, Balance>> {
    let rows = list(account, "balances")?;
    let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.get("asset")?.as_str()).collect();
    let mut balances = BTreeMap::new();
    for row in rows {
        let asset = text(row, "asset")?;
        if asset.strip_prefix("LD").is_some_and(|rest| names.contains(rest)) {
            continue;
        }
        let balance = Balance { free: qty(row, "free")?, used: qty(row, "locked")? };
        let Ok(ticker) = asset.parse::<Ticker>() else { continue };
        if balances.insert(ticker, balance).is_some() {
            return Err(unknown(format!("the balance of {asset} is listed twice")));
        }
    }
    if balances.is_empty() {
        return Err(unknown("a list of balances without a single asset"));
    }
    Ok(balances)
}

fn side(row: &Value) -> Answer<Side> {
    match text(row, "side")? {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        other => Err(unknown(format!("an order of side `{}`", crate::wire::words(other)))),
    }
}

pub(super) fn order(row: &Value, symbol: &Symbol) -> Answer<OrderState> {
    let status = match text(row, "status")? {
        "NEW" | "PENDING_NEW" | "PARTIALLY_FILLED" | "PENDING_CANCEL" => OrderStatus::Open,
        "FILLED" => OrderStatus::Filled,
        "CANCELED" | "EXPIRED" | "EXPIRED_IN_MATCH" => OrderStatus::Ended,
        "REJECTED" => OrderStatus::Rejected,
        other => {
            return Err(unknown(format!("an order of status `{}`", crate::wire::words(other))));
        }
    };
    let by_cost = maybe(row, "origQuoteOrderQty")
        .and_then(crate::wire::exact)
        .is_some_and(|cost| !cost.is_zero());
    let accepted = if maybe(row, "time").is_some() { "time" } else { "transactTime" };
    let created_at = moment(row, accepted)?;
    Ok(OrderState {
        venue_order_id: name(row, "orderId")?,
        client_id: text(row, "clientOrderId")?.to_owned(),
        symbol: symbol.clone(),
        side: side(row)?,
        status,
        amount: if by_cost { None } else { Some(qty(row, "origQty")?) },
        executed: qty(row, "executedQty")?,
        // Negative in old orders: the venue does not know it.
        executed_cost: not_negative(decimal(row, "cummulativeQuoteQty")?),
        created_at: Some(created_at),
        fills: match maybe(row, "fills") {
            None => Vec::new(),
            Some(fills) => items(fills)?
                .iter()
                .map(|row| fill(row, "tradeId", created_at))
                .collect::<Answer<_>>()?,
        },
    })
}

fn fill(row: &Value, id: &str, at: Timestamp) -> Answer<Fill> {
    let (price, amount_filled) = (price(row, "price")?, qty(row, "qty")?);
    let cost = match maybe(row, "quoteQty") {
        Some(_) => amount(row, "quoteQty")?,
        None => computed(price.get().checked_mul(amount_filled.get()))?,
    };
    let asset = text(row, "commissionAsset")?
        .parse()
        .map_err(|error| unknown(format!("the fee's asset: {error}")))?;
    // A rebate is a fee below zero.
    let fee = Fee { asset, amount: Qty::new(decimal(row, "commission")?) };
    Ok(Fill { trade_id: name(row, id)?, price, amount: amount_filled, cost, fee, at })
}

pub(super) fn trade(row: &Value, symbol: &Symbol) -> Answer<OwnTrade> {
    Ok(OwnTrade {
        venue_order_id: name(row, "orderId")?,
        client_id: None,
        symbol: symbol.clone(),
        side: if flag(row, "isBuyer")? { Side::Buy } else { Side::Sell },
        fill: fill(row, "id", moment(row, "time")?)?,
    })
}

/// Flags that cannot move funds out of the spot account.
const HARMLESS_RIGHTS: [&str; 5] = [
    "ipRestrict",
    "enableReading",
    "enableSpotAndMarginTrading",
    "enableFixApiTrade",
    "enableFixReadOnly",
];

pub(super) fn key_rights(value: &Value) -> Answer<KeyRights> {
    flag(value, "enableWithdrawals")?;
    let object = value.as_object().ok_or_else(|| unknown("rights that are no object"))?;
    let names: Vec<String> = object
        .iter()
        .filter(|(_, set)| **set == Value::Bool(true))
        .map(|(name, _)| name.clone())
        .collect();
    // Margin, futures and whatever else is set: taken for a right that moves funds.
    let moves_funds = |name: &String| !HARMLESS_RIGHTS.contains(&name.as_str());
    let expires = maybe(value, "tradingAuthorityExpirationTime");
    Ok(KeyRights {
        read: Some(flag(value, "enableReading")?),
        trade: Some(flag(value, "enableSpotAndMarginTrading")?),
        withdraw: Some(names.iter().any(moves_funds)),
        address_bound: Some(flag(value, "ipRestrict")?),
        expires_at: expires.and_then(crate::wire::moment_ms),
        names,
        ..KeyRights::default()
    })
}

/// The number of the last row, by which the next page is asked for.
pub(super) fn last_id(rows: &[Value], key: &str) -> Answer<Option<u64>> {
    rows.last()
        .map(|row| {
            field(row, key)?.as_u64().ok_or_else(|| unknown(format!("`{key}` is no number")))
        })
        .transpose()
}
