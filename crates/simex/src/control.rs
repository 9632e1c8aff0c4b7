//! The control plane: what [`crate::simex::Simex`] can do, over HTTP and in JSON.

use crate::clock::ClockMode;
use crate::exchange::{FeeAsset, Quirks};
use crate::faults::Fault;
use crate::oracle::report;
use crate::prices::Place;
use crate::rules::MarketStatus;
use crate::world::{Call, Reply, VenueState, World};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

type Answer = Result<Value, String>;

/// Answers a request.
pub fn handle(world: &mut World, call: &Call) -> Reply {
    let path = call.path.strip_prefix("/_simex/").unwrap_or("");
    let answer = match call.method.as_str() {
        "GET" => read(world, path),
        "POST" => write(world, path, &call.body),
        "DELETE" if path == "faults" => {
            world.script.clear();
            Some(Ok(json!({})))
        }
        _ => None,
    };
    match answer {
        Some(Ok(value)) => Reply::json(200, &value),
        Some(Err(problem)) => Reply::json(400, &json!({"error": problem})),
        None => Reply::json(404, &json!({"error": "see docs/practice.md for the paths"})),
    }
}

fn read(world: &mut World, path: &str) -> Option<Answer> {
    let now_ms = world.clock.now_ms();
    let shown = |value: Result<Value, serde_json::Error>| value.map_err(|error| error.to_string());
    Some(match path {
        "time" => Ok(json!({"now_ms": now_ms})),
        "oracle" => shown(serde_json::to_value(report(world))),
        "requests" => shown(serde_json::to_value(world.journal.records().collect::<Vec<_>>())),
        "counters" => Ok(json!({
            "requests": world.journal.counts(),
            "peak_use": world.venues.iter().map(|(place, venue)| {
                (format!("{place:?}").to_lowercase(), json!(venue.counters.peaks()))
            }).collect::<serde_json::Map<_, _>>(),
        })),
        "faults" => {
            let lines: Vec<Value> = world
                .script
                .lines()
                .map(|(fault, struck)| json!({"fault": fault, "struck": struck}))
                .collect();
            Ok(Value::Array(lines))
        }
        "prices" => {
            let mut prices = serde_json::Map::new();
            for ticker in world.prices.tickers() {
                let price = world.prices.price(Place::Binance, ticker, now_ms);
                prices.insert(ticker.to_owned(), json!(price));
            }
            Ok(Value::Object(prices))
        }
        "telegram/sent" => shown(serde_json::to_value(&world.telegram.sent)),
        other => {
            let (kind, venue) = other.split_once('/')?;
            let place: Place = serde_json::from_value(json!(venue)).ok()?;
            let exchange = &world.venues.get(&place)?.exchange;
            match kind {
                "ledger" => shown(serde_json::to_value(exchange.ledger.entries())),
                "balances" => shown(serde_json::to_value(exchange.balances(false))),
                "orders" => {
                    shown(serde_json::to_value(exchange.orders.values().collect::<Vec<_>>()))
                }
                "fills" => shown(serde_json::to_value(&exchange.fills)),
                _ => return None,
            }
        }
    })
}

#[derive(Deserialize)]
struct SetPrice {
    asset: String,
    #[serde(default)]
    place: Option<Place>,
    #[serde(default)]
    price: Option<f64>,
    #[serde(default)]
    factor: Option<f64>,
    #[serde(default)]
    pinned: bool,
}

#[derive(Deserialize)]
struct Advance {
    ms: i64,
}

#[derive(Deserialize)]
struct SetMarket {
    venue: Place,
    market: String,
    status: MarketStatus,
}

#[derive(Deserialize)]
struct Flow {
    venue: Place,
    asset: String,
    amount: Decimal,
}

#[derive(Deserialize)]
struct SetKey {
    venue: Place,
    #[serde(default)]
    read: Option<bool>,
    #[serde(default)]
    trade: Option<bool>,
    #[serde(default)]
    withdraw: Option<bool>,
    #[serde(default)]
    revoked: Option<bool>,
}

#[derive(Deserialize)]
struct SetVenue {
    venue: Place,
    #[serde(default)]
    fee_asset: Option<FeeAsset>,
    #[serde(default)]
    fee_rate: Option<Decimal>,
    #[serde(default)]
    skew_ms: Option<i64>,
    #[serde(default)]
    quirks: Option<Quirks>,
    #[serde(default)]
    book: Option<crate::book::BookShape>,
    #[serde(default)]
    limit_factor: Option<u64>,
}

#[derive(Deserialize)]
struct Say {
    user: i64,
    #[serde(default)]
    chat: Option<i64>,
    text: String,
}

#[derive(Deserialize)]
struct Press {
    user: i64,
    #[serde(default)]
    chat: Option<i64>,
    message: i64,
    data: String,
}

#[derive(Deserialize)]
struct ResetRequest {
    double: String,
    bytes: u64,
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("the body: {error}"))
}

fn write(world: &mut World, path: &str, bytes: &[u8]) -> Option<Answer> {
    let done = |result: Result<(), String>| result.map(|()| json!({}));
    Some(match path {
        "faults" => done(body::<Fault>(bytes).map(|fault| world.script.add(fault))),
        "reset-request" => done(body::<ResetRequest>(bytes).and_then(|wanted| {
            let cut = world.request_cuts.get(&wanted.double);
            cut.map(|cut| cut.set(wanted.bytes, ""))
                .ok_or_else(|| format!("{}: no such double", wanted.double))
        })),
        "clock" => done(body::<ClockMode>(bytes).map(|mode| world.clock.set(mode))),
        "advance" => done(body::<Advance>(bytes).map(|by| world.clock.advance(by.ms))),
        "price" => done(body(bytes).and_then(|wanted| set_price(world, wanted))),
        "market" => done(body(bytes).and_then(|wanted| set_market(world, wanted))),
        "deposit" => done(body(bytes).and_then(|flow| move_funds(world, flow, true))),
        "withdraw" => done(body(bytes).and_then(|flow| move_funds(world, flow, false))),
        "key" => done(body(bytes).and_then(|wanted| set_key(world, wanted))),
        "venue" => done(body(bytes).and_then(|wanted| set_venue(world, wanted))),
        "telegram/say" => body::<Say>(bytes).map(|say| {
            let now = world.clock.now_ms();
            let chat = say.chat.unwrap_or(say.user);
            json!({"update_id": world.telegram.say(say.user, chat, &say.text, now)})
        }),
        "telegram/press" => body::<Press>(bytes).map(|press| {
            let now = world.clock.now_ms();
            let chat = press.chat.unwrap_or(press.user);
            let bot = &mut world.telegram;
            json!({"update_id": bot.press(press.user, chat, press.message, &press.data, now)})
        }),
        "telegram/update" => {
            body::<Value>(bytes).map(|update| json!({"update_id": world.telegram.inject(update)}))
        }
        _ => return None,
    })
}

fn venue(world: &mut World, place: Place) -> Result<&mut VenueState, String> {
    world.venues.get_mut(&place).ok_or_else(|| format!("{place:?} is not simulated"))
}

fn set_price(world: &mut World, wanted: SetPrice) -> Result<(), String> {
    let now = world.clock.now_ms();
    world.cache.forget_from(now);
    let prices = &mut world.prices;
    let known = match (wanted.price, wanted.factor) {
        (Some(price), None) => prices.set(&wanted.asset, wanted.place, price, wanted.pinned, now),
        (None, Some(factor)) => prices.multiply(&wanted.asset, wanted.place, factor, now),
        _ => return Err("expected either price or factor".to_owned()),
    };
    if known { Ok(()) } else { Err(format!("{}: unknown asset", wanted.asset)) }
}

fn set_market(world: &mut World, wanted: SetMarket) -> Result<(), String> {
    let markets = &mut venue(world, wanted.venue)?.exchange.markets;
    let rules = markets
        .get_mut(&wanted.market)
        .ok_or_else(|| format!("{}: no such market; expected BASE/QUOTE", wanted.market))?;
    rules.status = wanted.status;
    Ok(())
}

fn move_funds(world: &mut World, flow: Flow, into: bool) -> Result<(), String> {
    let now = world.venue_now(flow.venue);
    let exchange = &mut venue(world, flow.venue)?.exchange;
    let moved = if into {
        exchange.deposit(&flow.asset, flow.amount, now)
    } else {
        exchange.withdraw(&flow.asset, flow.amount, now)
    };
    if moved { Ok(()) } else { Err("not above zero, or more than is free".to_owned()) }
}

fn set_key(world: &mut World, wanted: SetKey) -> Result<(), String> {
    for key in venue(world, wanted.venue)?.keys.values_mut() {
        key.read = wanted.read.unwrap_or(key.read);
        key.trade = wanted.trade.unwrap_or(key.trade);
        key.withdraw = wanted.withdraw.unwrap_or(key.withdraw);
        key.revoked = wanted.revoked.unwrap_or(key.revoked);
    }
    Ok(())
}

fn set_venue(world: &mut World, wanted: SetVenue) -> Result<(), String> {
    let venue = venue(world, wanted.venue)?;
    let exchange = &mut venue.exchange;
    if let Some(fee_asset) = wanted.fee_asset {
        exchange.fee_asset = fee_asset;
    }
    exchange.fee_rate = wanted.fee_rate.unwrap_or(exchange.fee_rate);
    exchange.shape = wanted.book.unwrap_or(exchange.shape);
    if let Some(quirks) = wanted.quirks {
        exchange.quirks = quirks;
    }
    venue.skew_ms = wanted.skew_ms.unwrap_or(venue.skew_ms);
    venue.limit_factor = wanted.limit_factor.unwrap_or(venue.limit_factor).max(1);
    Ok(())
}
