//! Recorded replies of Binance and OKX, read by their adapters.
#![allow(clippy::unwrap_used)]

mod support;

use keel_core::asset::Symbol;
use keel_core::time::{Timeframe, Timestamp};
use keel_venues::api::{ApiError, ExchangeApi, OrderStatus, Reference};
use keel_venues::http::Kind;
use support::{Canned, adapter, recorded, symbol};

fn replying(venue: &str, body: &str) -> Box<dyn ExchangeApi> {
    adapter(venue, Canned::new(&[(200, body)]))
}

#[tokio::test]
async fn binances_table_of_markets() {
    let Some(body) = recorded("binance/v3_exchangeInfo_full_2024-09-08.json.gz") else { return };
    let transport = Canned::new(&[(200, &body)]);
    let markets = adapter("binance", transport.clone()).markets().await.unwrap();
    assert_eq!(markets.len(), 1248);
    let bitcoin = &markets[&symbol("BTC/USDT")];
    assert_eq!(bitcoin.amount_step.to_string(), "0.00001");
    assert_eq!(bitcoin.min_amount.to_string(), "0.00001");
    assert_eq!(bitcoin.max_amount.unwrap().to_string(), "129.84957276");
    assert_eq!(bitcoin.min_cost.to_string(), "5");
    assert!(bitcoin.active);
    assert!(markets.values().all(|market| market.amount_step.is_positive()));
    let adopted = transport.adopted.lock().unwrap().clone();
    assert_eq!(adopted, [("weight".to_owned(), 6000), ("orders".to_owned(), 50)]);
}

#[tokio::test]
async fn limits_that_binance_publishes_are_adopted_where_they_are_understood() {
    let row = |kind: &str, interval: &str, number: u32, limit: &str| {
        format!(
            r#"{{"rateLimitType":"{kind}","interval":"{interval}","intervalNum":{number},"limit":{limit}}}"#
        )
    };
    let market = r#"{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT",
        "orderTypes":["MARKET"],"isSpotTradingAllowed":true,"filters":[]}"#;
    let understood =
        [row("REQUEST_WEIGHT", "MINUTE", 1, "1200"), row("ORDERS", "SECOND", 10, "100")];
    let not = [
        row("REQUEST_WEIGHT", "MINUTE", 5, "9"),
        row("REQUEST_WEIGHT", "HOUR", 1, "9"),
        row("ORDERS", "DAY", 1, "200000"),
        row("RAW_REQUESTS", "MINUTE", 5, "61000"),
        row("REQUEST_WEIGHT", "MINUTE", 1, "-1"),
        row("REQUEST_WEIGHT", "MINUTE", 1, "1.5"),
        row("REQUEST_WEIGHT", "MINUTE", 1, "99999999999"),
        row("REQUEST_WEIGHT", "MINUTE", 1, "null"),
        "7".to_owned(),
    ];
    for (limits, expected) in [
        (format!("[{}]", understood.join(",")), vec![("weight", 1200), ("orders", 100)]),
        (format!("[{}]", not.join(",")), Vec::new()),
        ("[]".to_owned(), Vec::new()),
        ("{}".to_owned(), Vec::new()),
        ("null".to_owned(), Vec::new()),
    ] {
        let body = format!(r#"{{"rateLimits":{limits},"symbols":[{market}]}}"#);
        let transport = Canned::new(&[(200, &body)]);
        assert!(adapter("binance", transport.clone()).markets().await.is_ok(), "{limits}");
        let adopted = transport.adopted.lock().unwrap();
        let adopted: Vec<(&str, u32)> =
            adopted.iter().map(|(bucket, units)| (bucket.as_str(), *units)).collect();
        assert_eq!(adopted, expected, "{limits}");
    }
}

#[tokio::test]
async fn binances_books() {
    for (file, market) in [
        ("BLZETH", "BLZ/ETH"),
        ("LRCBTC", "LRC/BTC"),
        ("NKNUSDT", "NKN/USDT"),
        ("RUNEEUR", "RUNE/EUR"),
    ] {
        let Some(body) = recorded(&format!("binance/v3_depth_{file}.json.gz")) else { return };
        let book = replying("binance", &body).book(&symbol(market), 100).await.unwrap();
        assert!(book.bids.windows(2).all(|pair| pair[0].0 > pair[1].0), "{file}");
        assert!(book.asks.windows(2).all(|pair| pair[0].0 < pair[1].0), "{file}");
        assert!(book.bids[0].0 < book.asks[0].0, "{file}");
    }
}

#[tokio::test]
async fn binances_candles_time_and_account() {
    let Some(body) = recorded("binance/fixtures/http_spot_market_klines.json") else { return };
    let minute: Timeframe = "1m".parse().unwrap();
    let api = replying("binance", &body);
    let candles = api.candles(&symbol("BTC/USDT"), minute, None, 1000).await.unwrap();
    assert_eq!((candles[0].open_time_ms, candles[0].volume), (1_634_943_780_000, 21.63272));
    let body = recorded("binance/fixtures/http_spot_market_time.json").unwrap();
    let time = replying("binance", &body).time().await.unwrap();
    assert_eq!(time, Timestamp::from_ms(1_633_835_466_289));
    let body = recorded("binance/fixtures/account_response.json").unwrap();
    let balances = replying("binance", &body).balances().await.unwrap();
    assert_eq!(balances[&"LTC".parse().unwrap()].free.to_string(), "4763368.68006011");
}

#[tokio::test]
async fn binances_orders_and_trades() {
    let Some(body) = recorded("binance/fixtures/order_response.json") else { return };
    let litecoin: Symbol = symbol("LTC/BTC");
    let order = replying("binance", &body).order(&litecoin, Reference::Venue("1")).await.unwrap();
    let order = order.unwrap();
    assert_eq!((order.status, order.client_id.as_str()), (OrderStatus::Open, "myOrder1"));
    let elsewhere =
        replying("binance", &body).order(&symbol("BTC/USDT"), Reference::Venue("1")).await;
    assert!(matches!(elsewhere, Err(ApiError::Unknown(_))));
    let body = recorded("binance/fixtures/account_trades_response.json").unwrap();
    let trades =
        replying("binance", &body).order_trades(&symbol("BNB/BTC"), "100234").await.unwrap();
    let fill = &trades[0].fill;
    assert_eq!((fill.trade_id.as_str(), fill.cost.to_string().as_str()), ("28457", "48.000012"));
    assert_eq!((fill.fee.asset.as_str(), fill.fee.amount.to_string().as_str()), ("BNB", "10.1"));
    let body = recorded("binance/fixtures/cancel_order_response.json").unwrap();
    assert!(replying("binance", &body).cancel(&litecoin, Reference::Venue("4")).await.is_ok());
    // What answers one question does not answer another.
    let body = recorded("binance/fixtures/ticker_24hr_response.json").unwrap();
    assert!(replying("binance", &body).tickers(&[symbol("BNB/BTC")]).await.is_err());
}

#[tokio::test]
async fn okxs_table_of_markets() {
    let Some(body) = recorded("okx/v5_public_instruments_SPOT_full_2022-05.json.gz") else {
        return;
    };
    let markets = replying("okx", &body).markets().await.unwrap();
    assert_eq!(markets.len(), 513);
    let bitcoin = &markets[&symbol("BTC/USDT")];
    assert_eq!(bitcoin.amount_step.to_string(), "0.00000001");
    assert_eq!(bitcoin.min_amount.to_string(), "0.00001");
    assert_eq!(bitcoin.max_amount, None, "the venue's limit of market orders is in USDT");
    let Some(body) = recorded("okx/fixtures/http_get_instruments_swap.json") else { return };
    assert!(replying("okx", &body).markets().await.is_err(), "futures are no spot markets");
}

#[tokio::test]
async fn okxs_candles_book_and_balances() {
    let Some(body) = recorded("okx/fixtures/http_get_candlesticks_full.json") else { return };
    let minute: Timeframe = "1m".parse().unwrap();
    let market = symbol("BTC/USDT");
    let candles = replying("okx", &body).candles(&market, minute, None, 10).await.unwrap();
    assert_eq!(candles[0].open_time_ms, 1_747_093_980_000, "oldest first");
    // Oldest first from the venue is not what it documents.
    let body = recorded("okx/fixtures/http_get_candlesticks.json").unwrap();
    assert!(replying("okx", &body).candles(&market, minute, None, 10).await.is_err());
    let body = recorded("okx/fixtures/http_get_order_book.json").unwrap();
    let book = replying("okx", &body).book(&market, 3).await.unwrap();
    assert_eq!(book.asks[2].1.to_string(), "2.0584253");
    let body = recorded("okx/fixtures/http_get_account_balance.json").unwrap();
    let balances = replying("okx", &body).balances().await.unwrap();
    let dollars = balances[&"USDT".parse().unwrap()];
    assert_eq!(dollars.free.to_string(), "94.42612990333333");
    assert_eq!(dollars.used.to_string(), "5.468566666666667");
}

#[tokio::test]
async fn okxs_futures_orders_are_not_ours() {
    let Some(body) = recorded("okx/fixtures/http_get_orders_pending.json") else { return };
    let orders = replying("okx", &body).open_orders(None).await.unwrap();
    assert!(orders.is_empty(), "BTC-USDT-SWAP is no spot market: {orders:?}");
}

#[tokio::test]
async fn f083_the_table_of_markets_of_binance_may_be_long() {
    let transport = Canned::new(&[]);
    let _ = adapter("binance", transport.clone()).markets().await;
    let kinds: Vec<Kind> = transport.sent.lock().unwrap().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Kind::MarketTable]);
}
