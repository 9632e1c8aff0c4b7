//! Kraken's replies, and its names of assets and markets.

use crate::api::{Answer, KeyRights, OrderState, OrderStatus, OwnTrade, TickerQuote};
use crate::wire::{
    amount, bounded, candle, credible_price, exact, exact_rule, field, list, maybe, maybe_text,
    moment_ms, price, qty, step_of_places, text, unknown, words,
};
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::market::MarketRules;
use keel_core::order::{Fee, Fill, Side};
use keel_core::state::Balance;
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Names from before the venue dropped its prefixes. The list is closed: newer assets have none, and
/// taking an `X` or `Z` from them would make `ZETA` another coin.
const OLD_NAMES: [(&str, &str); 22] = [
    ("XDAO", "DAO"),
    ("XETC", "ETC"),
    ("XETH", "ETH"),
    ("XICN", "ICN"),
    ("XLTC", "LTC"),
    ("XMLN", "MLN"),
    ("XNMC", "NMC"),
    ("XREP", "REP"),
    ("XXBT", "XBT"),
    ("XXDG", "XDG"),
    ("XXLM", "XLM"),
    ("XXMR", "XMR"),
    ("XXRP", "XRP"),
    ("XXVN", "XVN"),
    ("XZEC", "ZEC"),
    ("ZAUD", "AUD"),
    ("ZCAD", "CAD"),
    ("ZEUR", "EUR"),
    ("ZGBP", "GBP"),
    ("ZJPY", "JPY"),
    ("ZKRW", "KRW"),
    ("ZUSD", "USD"),
];
/// The venue's name and everybody else's. It kept names that moved on to other coins elsewhere: its
/// `LUNA` is the coin from before the split.
const ALIASES: [(&str, &str); 7] = [
    ("XBT", "BTC"),
    ("XDG", "DOGE"),
    ("LUNA", "LUNC"),
    ("LUNA2", "LUNA"),
    ("UST", "USTC"),
    ("REP", "REPV1"),
    ("REPV2", "REP"),
];

/// Our name of an asset, from its full or its short name at the venue.
fn ticker_of(name: &str) -> Option<Ticker> {
    let short = OLD_NAMES.iter().find(|(old, _)| *old == name).map_or(name, |(_, short)| short);
    let ours = ALIASES.iter().find(|(theirs, _)| *theirs == short).map_or(short, |(_, ours)| ours);
    ours.parse().ok()
}

fn short_name(ticker: &Ticker) -> &str {
    let ours = ticker.as_str();
    ALIASES.iter().find(|(_, alias)| *alias == ours).map_or(ours, |(theirs, _)| theirs)
}

fn old_name(short: &str) -> &str {
    OLD_NAMES.iter().find(|(_, known)| *known == short).map_or(short, |(old, _)| old)
}

/// The name that requests use and orders carry: `XBTUSDT`.
pub(super) fn pair_name(symbol: &Symbol) -> String {
    format!("{}{}", short_name(&symbol.base), short_name(&symbol.quote))
}

/// Every name that the venue uses for a market: `XBTUSD`, `XXBTZUSD`, `XBT/USD`.
pub(super) fn pair_names(symbol: &Symbol) -> [String; 3] {
    let (base, quote) = (short_name(&symbol.base), short_name(&symbol.quote));
    [
        format!("{base}{quote}"),
        format!("{}{}", old_name(base), old_name(quote)),
        format!("{base}/{quote}"),
    ]
}

/// The entry of a market, by any of its names.
pub(super) fn of_market<'a>(result: &'a Value, symbol: &Symbol) -> Option<&'a Value> {
    pair_names(symbol).iter().find_map(|name| maybe(result, name))
}

pub(super) fn only_market<'a>(result: &'a Value, symbol: &Symbol) -> Answer<&'a Value> {
    of_market(result, symbol).ok_or_else(|| unknown(format!("the reply is not about {symbol}")))
}

pub(super) fn object<'a>(value: &'a Value, key: &str) -> Answer<&'a Map<String, Value>> {
    let found = field(value, key)?;
    found.as_object().ok_or_else(|| unknown(format!("`{key}` is no object")))
}

/// The rules of a market; `None` for what is no spot market or cannot be read, which is then not traded.
pub(super) fn market_rules(pair: &Value) -> Option<MarketRules> {
    let base = ticker_of(maybe_text(pair, "base")?)?;
    let quote = ticker_of(maybe_text(pair, "quote")?)?;
    let symbol = Symbol::new(base, quote);
    let currencies = ["aclass_base", "aclass_quote"]
        .into_iter()
        .all(|key| maybe_text(pair, key).is_none_or(|class| class == "currency"));
    // Another exchange's, listed here as well: orders go to the international one.
    if maybe_text(pair, "execution_venue").is_some_and(|venue| venue != "international") {
        return None;
    }
    // Dark pools (`XBTUSD.d`) and markets that a request could not name are left out.
    if !currencies || maybe_text(pair, "altname")? != pair_name(&symbol) {
        return None;
    }
    let places = u32::try_from(pair.get("lot_decimals")?.as_u64()?).ok()?;
    let lots = maybe(pair, "lot_multiplier").map_or(Some(Decimal::ONE), exact_rule)?;
    let min_cost = maybe(pair, "costmin").map_or(Some(Decimal::ZERO), exact_rule)?;
    Some(MarketRules {
        symbol,
        amount_step: Qty::new(step_of_places(places)?.checked_mul(lots)?),
        min_amount: Qty::new(maybe(pair, "ordermin").map_or(Some(Decimal::ZERO), exact_rule)?),
        max_amount: None,
        min_cost,
        active: maybe_text(pair, "status") == Some("online"),
    })
}

/// `[seconds, open, high, low, close, vwap, volume, count]`.
pub(super) fn candle_of_row(row: &Value) -> Answer<Candle> {
    let at = |place: usize| {
        row.get(place).ok_or_else(|| unknown(format!("a candle has no value number {place}")))
    };
    let seconds = at(0)?.as_i64().ok_or_else(|| unknown("a candle's time is no whole number"))?;
    let open_time = Value::from(seconds.saturating_mul(1000));
    candle(&open_time, [at(1)?, at(2)?, at(3)?, at(4)?, at(6)?])
}

/// The venue gives no moment for its quotes.
pub(super) fn ticker_quote(symbol: &Symbol, quote: &Value) -> Answer<TickerQuote> {
    let first = |key: &str| -> Option<Price> {
        maybe(quote, key)?.get(0).and_then(exact).and_then(credible_price)
    };
    Ok(TickerQuote {
        symbol: symbol.clone(),
        last: first("c").ok_or_else(|| unknown(format!("{symbol} has no last price")))?,
        bid: first("b"),
        ask: first("a"),
        as_of: None,
    })
}

/// What is behind the name of a balance that earns in Kraken Rewards by itself.
const EARNING: &str = ".F";

/// Spot balances by our names. What earns by itself is traded under the name without `.F`, which the
/// venue's documentation asks for, and an order holds it there: it may hold more than that name has.
/// Other suffixes (`.S`, `.M`, `.B`, `.P`, `.T`, `.HOLD`) are staked, bonded, shares or on hold, and
/// not spot.
pub(super) fn balances(result: &Value) -> Answer<BTreeMap<Ticker, Balance>> {
    let listed = result.as_object().ok_or_else(|| unknown("BalanceEx is no object"))?;
    let mut sums: BTreeMap<Ticker, (Decimal, Decimal)> = BTreeMap::new();
    for (name, entry) in listed {
        let base = name.strip_suffix(EARNING).unwrap_or(name);
        if base.contains('.') {
            continue;
        }
        let ticker = ticker_of(base)
            .ok_or_else(|| unknown(format!("a balance of `{name}`, which is no asset name")))?;
        let (total, held) = sums.entry(ticker).or_default();
        *total += amount(entry, "balance")?;
        *held += amount(entry, "hold_trade")?;
    }
    let spot = sums.into_iter().map(|(ticker, (total, held))| {
        let held = held.min(total);
        (ticker, Balance { free: Qty::new(total - held), used: Qty::new(held) })
    });
    Ok(spot.collect())
}

fn side_of(entry: &Value) -> Answer<Side> {
    match text(entry, "type")? {
        "buy" => Ok(Side::Buy),
        "sell" => Ok(Side::Sell),
        other => Err(unknown(format!("the side is `{}`", words(other)))),
    }
}

pub(super) fn order_state(id: &str, order: &Value, symbol: &Symbol) -> Answer<OrderState> {
    let description = field(order, "descr")?;
    let pair = text(description, "pair")?;
    if !pair_names(symbol).iter().any(|name| name == pair) {
        return Err(unknown(format!("order {id} is of `{pair}`, expected {symbol}")));
    }
    let by_cost = maybe_text(order, "oflags").is_some_and(|flags| flags.contains("viqc"));
    let asked = qty(order, "vol")?;
    let executed = qty(order, "vol_exec")?;
    let status = match text(order, "status")? {
        "pending" | "open" => OrderStatus::Open,
        "closed" if by_cost || executed >= asked => OrderStatus::Filled,
        "closed" | "canceled" | "expired" => OrderStatus::Ended,
        other => {
            return Err(unknown(format!("order {id} is `{}`", words(other))));
        }
    };
    Ok(OrderState {
        venue_order_id: id.to_owned(),
        client_id: maybe_text(order, "cl_ord_id").unwrap_or_default().to_owned(),
        symbol: symbol.clone(),
        side: side_of(description)?,
        status,
        amount: (!by_cost).then_some(asked),
        executed,
        executed_cost: Some(amount(order, "cost")?),
        created_at: Some(moment_of_seconds(order, "opentm")?),
        fills: Vec::new(),
    })
}

/// The trades of a market among these, oldest first.
pub(super) fn trades_of(entries: &[(String, Value)], symbol: &Symbol) -> Answer<Vec<OwnTrade>> {
    let names = pair_names(symbol);
    let mut trades = Vec::new();
    for (id, trade) in entries {
        let pair = text(trade, "pair")?;
        if names.iter().any(|name| name == pair) {
            trades.push(own_trade(id, trade, symbol)?);
        }
    }
    trades.sort_by(|a, b| (a.fill.at, &a.fill.trade_id).cmp(&(b.fill.at, &b.fill.trade_id)));
    Ok(trades)
}

fn own_trade(id: &str, trade: &Value, symbol: &Symbol) -> Answer<OwnTrade> {
    Ok(OwnTrade {
        venue_order_id: text(trade, "ordertxid")?.to_owned(),
        client_id: maybe_text(trade, "cl_ord_id").map(str::to_owned),
        symbol: symbol.clone(),
        side: side_of(trade)?,
        fill: Fill {
            trade_id: id.to_owned(),
            price: price(trade, "price")?,
            amount: qty(trade, "vol")?,
            cost: amount(trade, "cost")?,
            // Orders are sent with `fciq`: the fee is in the quote currency.
            fee: Fee { asset: symbol.quote.clone(), amount: qty(trade, "fee")? },
            at: moment_of_seconds(trade, "time")?,
        },
    })
}

/// A moment in seconds with a fraction, cut to the millisecond.
pub(super) fn moment_of_seconds(object: &Value, key: &str) -> Answer<Timestamp> {
    let ms = amount(object, key)?.checked_mul(Decimal::ONE_THOUSAND).and_then(|ms| ms.to_i64());
    let moment = ms.and_then(|ms| moment_ms(&Value::from(ms)));
    moment.ok_or_else(|| unknown(format!("`{key}` is no moment in seconds")))
}

/// Rights that cannot move funds out of the spot account. Every other, also one that nobody has heard
/// of, counts as a right to withdraw.
const HARMLESS_RIGHTS: [&str; 9] = [
    "query-funds",
    "add-funds",
    "query-open-trades",
    "query-closed-trades",
    "modify-trades",
    "close-trades",
    "query-ledger",
    "export-data",
    "create-ws-token",
];

pub(super) fn key_rights(result: &Value) -> Answer<KeyRights> {
    let names = list(result, "permissions")?
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect::<Option<Vec<String>>>()
        .ok_or_else(|| unknown("`permissions` holds something that is no text"))?;
    let has = |right: &str| names.iter().any(|name| name == right);
    let reads = ["query-funds", "query-open-trades", "query-closed-trades"];
    let until = maybe(result, "validUntil").and_then(bounded).filter(|until| !until.is_zero());
    Ok(KeyRights {
        read: Some(reads.into_iter().all(has)),
        trade: Some(has("modify-trades")),
        withdraw: Some(names.iter().any(|name| !HARMLESS_RIGHTS.contains(&name.as_str()))),
        address_bound: maybe(result, "ipAllowlist")
            .and_then(Value::as_array)
            .map(|addresses| !addresses.is_empty()),
        expires_at: until.and_then(|until| until.to_i64()).map(Timestamp::from_seconds),
        names,
        ..KeyRights::default()
    })
}
