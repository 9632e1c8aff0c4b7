//! Every call of the interface, for tests that go over all of them.

use super::{NOW_MS, buy, client_id, symbol};
use keel_core::asset::Symbol;
use keel_core::order::Side;
use keel_core::time::{Timeframe, Timestamp};
use keel_venues::api::{Answer, ExchangeApi, MarketOrder, Reference};
use std::fmt::Debug;

/// The calls, and whether an empty list can be the truth.
pub const CALLS: [(&str, bool); 15] = [
    ("time", false),
    ("markets", false),
    ("candles", true),
    ("tickers", true),
    ("book", false),
    ("balances", true),
    ("market_order", false),
    ("order", true),
    ("order_by_client_id", true),
    ("open_orders", true),
    ("closed_orders", true),
    ("own_trades", true),
    ("order_trades", true),
    ("cancel", false),
    ("key_rights", false),
];

fn shown<T: Debug>(answer: Answer<T>) -> Answer<String> {
    answer.map(|value| format!("{value:?}"))
}

/// Makes one of them.
pub async fn call(api: &dyn ExchangeApi, name: &str) -> Answer<String> {
    let market: Symbol = symbol("BTC/USDT");
    let since = Timestamp::from_ms(NOW_MS - 3_600_000);
    let id = client_id();
    match name {
        "time" => shown(api.time().await),
        "markets" => shown(api.markets().await),
        "candles" => shown(api.candles(&market, Timeframe::H1, Some(since), 10).await),
        "tickers" => shown(api.tickers(std::slice::from_ref(&market)).await),
        "book" => shown(api.book(&market, 5).await),
        "balances" => shown(api.balances().await),
        // A sell: some venues are asked for a market's unit before a buy, which is no write yet.
        "market_order" => {
            let order = MarketOrder { side: Side::Sell, ..buy("BTC/USDT", "0.01") };
            shown(api.market_order(&order).await)
        }
        "order" => shown(api.order(&market, Reference::Venue("28")).await),
        "order_by_client_id" => shown(api.order(&market, Reference::Client(&id)).await),
        "open_orders" => shown(api.open_orders(Some(&market)).await),
        "closed_orders" => shown(api.closed_orders(&market, since).await),
        "own_trades" => shown(api.own_trades(&market, since).await),
        "order_trades" => shown(api.order_trades(&market, "28").await),
        "cancel" => shown(api.cancel(&market, Reference::Venue("28")).await),
        "key_rights" => shown(api.key_rights().await),
        other => panic!("no call {other}"),
    }
}
