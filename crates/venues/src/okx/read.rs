//! OKX's replies.

use crate::api::{Answer, Book, KeyRights, OrderState, OrderStatus, OwnTrade, TickerQuote};
use crate::http::Reply;
use crate::wire::{
    AMOUNT_MAX, Row, amount, computed, decimal, levels, list, maybe, maybe_price, maybe_text,
    moment, most_rows, name, parse_as, price, qty, read_decimal, text, unknown, words,
};
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker};
use keel_core::market::MarketRules;
use keel_core::order::{Fee, Fill, Side};
use keel_core::plan::Markets;
use keel_core::state::Balance;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Instruments {
    code: String,
    data: Vec<Row<Instrument>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instrument {
    base_ccy: String,
    quote_ccy: String,
    lot_sz: String,
    min_sz: String,
    state: String,
}

/// The spot markets; those with names that are no tickers of ours are left out.
pub(super) fn markets(reply: &Reply) -> Answer<Markets> {
    let table: Instruments = parse_as(reply)?;
    if table.code != "0" {
        return Err(unknown(format!("code {} with a table of markets", words(&table.code))));
    }
    let markets: Markets = most_rows(table.data.into_iter().map(|row| row.0))?
        .iter()
        .filter_map(|row| {
            let symbol = Symbol::new(row.base_ccy.parse().ok()?, row.quote_ccy.parse().ok()?);
            Some((symbol.clone(), rules(symbol, row)))
        })
        .collect();
    if markets.is_empty() {
        return Err(unknown("a table without a single market"));
    }
    Ok(markets)
}

/// There is no smallest cost. The largest market order (`maxMktSz`) is in USDT and not in the base
/// currency, so it does not become a limit of the amount; beyond it the venue refuses.
fn rules(symbol: Symbol, row: &Instrument) -> MarketRules {
    let positive = |text: &str| {
        read_decimal(text).filter(|value| *value > Decimal::ZERO).map(|value| value.min(AMOUNT_MAX))
    };
    // Markets before their start have empty rules.
    let (step, min) = (positive(&row.lot_sz), positive(&row.min_sz));
    MarketRules {
        symbol,
        amount_step: Qty::new(step.unwrap_or_default()),
        min_amount: Qty::new(min.unwrap_or_default()),
        max_amount: None,
        min_cost: Decimal::ZERO,
        active: row.state == "live" && step.is_some() && min.is_some(),
    }
}

/// `BTC-USDT`; `None` for names that are none of ours.
pub(super) fn symbol(row: &Value) -> Answer<Option<Symbol>> {
    let id = text(row, "instId")?;
    Ok(id.split_once('-').and_then(|(base, quote)| {
        Some(Symbol::new(base.parse::<Ticker>().ok()?, quote.parse().ok()?))
    }))
}

pub(super) fn tickers(rows: &[Value], asked: &[Symbol]) -> Answer<Vec<TickerQuote>> {
    let mut quotes = Vec::new();
    for row in rows {
        let Some(symbol) = symbol(row)?.filter(|symbol| asked.contains(symbol)) else { continue };
        // Empty: nothing was ever traded there.
        let Some(last) = maybe_price(row, "last") else { continue };
        quotes.push(TickerQuote {
            symbol,
            last,
            bid: maybe_price(row, "bidPx"),
            ask: maybe_price(row, "askPx"),
            as_of: Some(moment(row, "ts")?),
        });
    }
    Ok(quotes)
}

pub(super) fn book(rows: &[Value]) -> Answer<Book> {
    let book = only(rows)?;
    Ok(Book { bids: levels(book, "bids")?, asks: levels(book, "asks")? })
}

/// The single row of an answer that has one.
pub(super) fn only(rows: &[Value]) -> Answer<&Value> {
    match rows {
        [row] if row.is_object() => Ok(row),
        _ => Err(unknown(format!("{} rows, expected one", rows.len()))),
    }
}

/// Funds of the trading account. What is listed is what is held; borrowed funds are refused, because
/// nothing here may trade on credit.
pub(super) fn balances(rows: &[Value]) -> Answer<BTreeMap<Ticker, Balance>> {
    let mut balances = BTreeMap::new();
    for row in list(only(rows)?, "details")? {
        let asset = text(row, "ccy")?;
        if maybe_text(row, "liab")
            .is_some_and(|liability| read_decimal(liability) != Some(Decimal::ZERO))
        {
            return Err(unknown(format!(
                "the account owes {asset}; expected a spot account without loans"
            )));
        }
        let balance = Balance { free: qty(row, "availBal")?, used: qty(row, "frozenBal")? };
        let Ok(ticker) = asset.parse::<Ticker>() else { continue };
        if balances.insert(ticker, balance).is_some() {
            return Err(unknown(format!("the balance of {asset} is listed twice")));
        }
    }
    Ok(balances)
}

fn side(row: &Value) -> Answer<Side> {
    match text(row, "side")? {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => Err(unknown(format!("an order of side `{}`", words(other)))),
    }
}

pub(super) fn order(row: &Value) -> Answer<Option<OrderState>> {
    let Some(symbol) = symbol(row)? else { return Ok(None) };
    let side = side(row)?;
    let status = match text(row, "state")? {
        "live" | "partially_filled" => OrderStatus::Open,
        "filled" => OrderStatus::Filled,
        "canceled" | "mmp_canceled" => OrderStatus::Ended,
        other => return Err(unknown(format!("an order of state `{}`", words(other)))),
    };
    // Market buys are by cost unless they say otherwise.
    let by_cost = match maybe_text(row, "tgtCcy") {
        Some(unit) => unit == "quote_ccy",
        None => side == Side::Buy && text(row, "ordType")? == "market",
    };
    Ok(Some(OrderState {
        venue_order_id: text(row, "ordId")?.to_owned(),
        client_id: maybe_text(row, "clOrdId").unwrap_or_default().to_owned(),
        symbol,
        side,
        status,
        amount: if by_cost { None } else { Some(qty(row, "sz")?) },
        executed: executed(row)?,
        executed_cost: None,
        created_at: Some(moment(row, "cTime")?),
        fills: Vec::new(),
    }))
}

/// An empty text says that nothing was executed.
fn executed(row: &Value) -> Answer<Qty> {
    match maybe(row, "accFillSz") {
        Some(Value::String(text)) if text.is_empty() => Ok(Qty::ZERO),
        _ => amount(row, "accFillSz").map(Qty::new),
    }
}

pub(super) fn trade(row: &Value, symbol: &Symbol) -> Answer<OwnTrade> {
    let (price, amount) = (price(row, "fillPx")?, qty(row, "fillSz")?);
    let cost = computed(price.get().checked_mul(amount.get()))?;
    let asset = text(row, "feeCcy")?
        .parse()
        .map_err(|error| unknown(format!("the fee's asset: {error}")))?;
    // What is paid is negative there, a rebate positive.
    let fee = Fee { asset, amount: Qty::new(-decimal(row, "fee")?) };
    let at = moment(row, "ts")?;
    Ok(OwnTrade {
        venue_order_id: text(row, "ordId")?.to_owned(),
        client_id: maybe_text(row, "clOrdId").map(str::to_owned),
        symbol: symbol.clone(),
        side: side(row)?,
        fill: Fill { trade_id: name(row, "tradeId")?, price, amount, cost, fee, at },
    })
}

pub(super) fn key_rights(rows: &[Value]) -> Answer<KeyRights> {
    let row = only(rows)?;
    let names: Vec<String> =
        text(row, "perm")?.split(',').map(|name| name.trim().to_owned()).collect();
    let has = |right: &str| names.iter().any(|name| name == right);
    // Spot orders are sent as `cash`, which these two modes do not have (51000).
    let margin = match maybe_text(row, "acctLv") {
        Some("3") => Some("multi-currency margin"),
        Some("4") => Some("portfolio margin"),
        _ => None,
    };
    let borrows = ["enableSpotBorrow", "autoLoan"]
        .into_iter()
        .filter(|setting| row.get(setting).and_then(Value::as_bool) == Some(true));
    Ok(KeyRights {
        read: Some(has("read_only")),
        trade: Some(has("trade")),
        // A right that is neither reading nor trading is taken for one that moves funds.
        withdraw: Some(names.iter().any(|name| !["read_only", "trade"].contains(&name.as_str()))),
        address_bound: Some(maybe_text(row, "ip").is_some()),
        expires_at: None,
        names,
        obstacle: margin.map(|mode| {
            format!(
                "the account is in {mode} mode, in which the exchange refuses orders without loans; \
                 set its account mode to Spot or Futures there"
            )
        }),
        warnings: borrows
            .map(|setting| {
                format!(
                    "the account may borrow ({setting} is on); Keel trades owned funds only: turn \
                     borrowing off at the exchange"
                )
            })
            .collect(),
    })
}
