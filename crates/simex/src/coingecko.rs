//! The CoinGecko double: the market list, from the same prices as the venues.

use crate::limits::{Counters, window_left_ms};
use crate::prices::Place;
use crate::world::{Call, Reply, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CALLS_PER_MINUTE: u64 = 30;
const MINUTE_MS: i64 = 60_000;

/// What can be set at this double.
#[derive(Clone, Debug, Default)]
pub struct Coingecko {
    /// Keys that are accepted; empty: any, and none.
    pub keys: Vec<String>,
    /// Market caps that differ from price times supply, by CoinGecko's names.
    pub caps: BTreeMap<String, f64>,
    /// Names that are left out of lists.
    pub hidden: Vec<String>,
    /// The prices were last updated so long ago.
    pub age_ms: i64,
    /// Multiplies the limit; 0 counts as 1.
    pub limit_factor: u64,
    /// Use of the limit.
    pub counters: Counters,
}

/// Answers a request.
pub fn handle(world: &mut World, call: &Call) -> Reply {
    let now = world.clock.now_ms() + call.skew_ms;
    let limit = CALLS_PER_MINUTE * world.coingecko.limit_factor.max(1);
    if world.coingecko.counters.add("calls per minute", 1, MINUTE_MS, now) > limit {
        let message = "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to subscribe to our API plans for higher rate limits.";
        return error(429, message).with("retry-after", window_left_ms(MINUTE_MS, now) / 1000 + 1);
    }
    let parameters: BTreeMap<String, String> =
        url::form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
    let named = |header: &str, query: &str| {
        Some(call.header(header).to_owned())
            .filter(|key| !key.is_empty())
            .or_else(|| parameters.get(query).cloned())
    };
    let key = named("x-cg-demo-api-key", "x_cg_demo_api_key")
        .or_else(|| named("x-cg-pro-api-key", "x_cg_pro_api_key"));
    let known = &world.coingecko.keys;
    if !known.is_empty() && key.is_none_or(|key| !known.contains(&key)) {
        return Reply::json(
            401,
            &json!({"status": {"error_code": 10002, "error_message": "API Key Missing"}}),
        );
    }
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/api/v3/ping") => Reply::json(200, &json!({"gecko_says": "(V3) To the Moon!"})),
        ("GET", "/api/v3/coins/markets") => markets(world, &parameters, now),
        ("GET", "/api/v3/simple/price") => simple_price(world, &parameters, now),
        _ => Reply::json(
            404,
            &json!({"error": "Incorrect path. Please check https://www.coingecko.com/api/"}),
        ),
    }
}

fn error(status: u16, message: &str) -> Reply {
    let body = json!({"status": {"error_code": status, "error_message": message}});
    Reply::json(status, &body)
}

/// One coin as the lists tell it.
struct Coin {
    id: String,
    symbol: String,
    price: f64,
    cap: f64,
    supply: f64,
    day_ago: f64,
}

fn coins(world: &World, now: i64) -> Vec<Coin> {
    let seen = now - world.coingecko.age_ms;
    let price = |ticker: &str, at| world.prices.price(Place::Coingecko, ticker, at);
    let mut coins: Vec<Coin> = world
        .assets
        .iter()
        .filter(|asset| !world.coingecko.hidden.contains(&asset.coingecko_id))
        .filter_map(|asset| {
            let now_price = price(&asset.ticker, seen)?;
            let set = world.coingecko.caps.get(&asset.coingecko_id).copied();
            Some(Coin {
                id: asset.coingecko_id.clone(),
                symbol: asset.ticker.to_lowercase(),
                price: now_price,
                cap: set.unwrap_or(asset.supply * now_price),
                supply: asset.supply,
                day_ago: price(&asset.ticker, seen - 86_400_000).unwrap_or(now_price),
            })
        })
        .collect();
    coins.sort_by(|a, b| b.cap.total_cmp(&a.cap));
    coins
}

fn markets(world: &World, parameters: &BTreeMap<String, String>, now: i64) -> Reply {
    if !parameters.contains_key("vs_currency") {
        return Reply::json(422, &json!({"error": "Missing parameter vs_currency"}));
    }
    let wanted: Option<Vec<&str>> = parameters.get("ids").map(|ids| ids.split(',').collect());
    let number = |name: &str, usual: usize| {
        parameters.get(name).and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let (size, page) = (number("per_page", 100).clamp(1, 250), number("page", 1).max(1));
    let updated = timestamp(now - world.coingecko.age_ms);
    let rows: Vec<Value> = coins(world, now)
        .iter()
        .enumerate()
        .filter(|(_, coin)| wanted.as_ref().is_none_or(|ids| ids.contains(&coin.id.as_str())))
        .skip(size * (page - 1))
        .take(size)
        .map(|(rank, coin)| row(coin, rank + 1, &updated))
        .collect();
    Reply::json(200, &Value::Array(rows))
}

fn row(coin: &Coin, rank: usize, updated: &str) -> Value {
    json!({
        "id": coin.id,
        "symbol": coin.symbol,
        "name": coin.id,
        "image": "",
        "current_price": coin.price,
        "market_cap": coin.cap.round(),
        "market_cap_rank": rank,
        "fully_diluted_valuation": coin.cap.round(),
        "total_volume": (coin.cap * 0.03).round(),
        "high_24h": coin.price.max(coin.day_ago),
        "low_24h": coin.price.min(coin.day_ago),
        "price_change_24h": coin.price - coin.day_ago,
        "price_change_percentage_24h": (coin.price / coin.day_ago - 1.0) * 100.0,
        "market_cap_change_24h": 0.0,
        "market_cap_change_percentage_24h": 0.0,
        "circulating_supply": coin.supply,
        "total_supply": coin.supply,
        "max_supply": null,
        "ath": coin.price,
        "ath_change_percentage": 0.0,
        "ath_date": updated,
        "atl": coin.price,
        "atl_change_percentage": 0.0,
        "atl_date": updated,
        "roi": null,
        "last_updated": updated,
    })
}

fn simple_price(world: &World, parameters: &BTreeMap<String, String>, now: i64) -> Reply {
    let ids = parameters.get("ids").map_or("", String::as_str);
    let mut answer = serde_json::Map::new();
    for coin in coins(world, now) {
        if ids.split(',').any(|id| id == coin.id) {
            let row = json!({"usd": coin.price, "usd_market_cap": coin.cap, "last_updated_at": (now - world.coingecko.age_ms) / 1000});
            answer.insert(coin.id, row);
        }
    }
    Reply::json(200, &Value::Object(answer))
}

/// ISO 8601 in UTC with milliseconds (days to dates after Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
fn timestamp(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1000)
}
