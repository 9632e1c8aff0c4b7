//! The Binance dialect: what it answers, and what it refuses with which code.

use crate::client::{binance, frozen, http, public, read, still};
use keel_simex::Simex;
use keel_simex::exchange::Quirks;
use keel_simex::prices::Place;
use keel_simex::rules::MarketStatus;
use keel_simex::server::Double;
use rust_decimal::Decimal;

const ORDER: &str = "/api/v3/order";

async fn order(simex: &Simex, query: &str) -> (u16, serde_json::Value) {
    read(binance(simex, "POST", ORDER, query)).await
}

#[tokio::test]
async fn a_market_order_is_filled_and_found_by_its_client_id() {
    let simex = Simex::start(still()).await.unwrap();
    let sent = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01000&newClientOrderId=one";
    let (status, answer) = order(&simex, sent).await;
    assert_eq!((status, &answer["status"]), (200, &"FILLED".into()), "{answer}");
    assert_eq!(answer["executedQty"], "0.01000000");
    assert_eq!(answer["fills"][0]["commission"], "0.00001000");
    let asked = "symbol=BTCUSDT&origClientOrderId=one";
    let (_, found) = read(binance(&simex, "GET", ORDER, asked)).await;
    assert_eq!(found["orderId"], answer["orderId"]);
    let (_, trades) = read(binance(&simex, "GET", "/api/v3/myTrades", "symbol=BTCUSDT")).await;
    assert_eq!(trades[0]["orderId"], answer["orderId"]);
    let (_, account) = read(binance(&simex, "GET", "/api/v3/account", "")).await;
    let held = account["balances"].as_array().unwrap().iter().find(|row| row["asset"] == "BTC");
    assert_eq!(held.unwrap()["free"], "0.00999000");
    assert_eq!(simex.oracle().faults(), Vec::<&str>::new());
    // Nothing dedupes finished orders.
    assert_eq!(order(&simex, sent).await.0, 200);
    assert_eq!(simex.oracle().duplicates(), ["one"]);
}

#[tokio::test]
async fn refusals_carry_the_venues_codes() {
    let simex = Simex::start(still()).await.unwrap();
    let cases = [
        ("symbol=NOPE&side=BUY&type=MARKET&quantity=1", 400, -1121),
        ("symbol=BTCUSDT&side=BUY&type=MARKET", 400, -1102),
        ("symbol=BTCUSDT&side=LEFT&type=MARKET&quantity=1", 400, -1117),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1e-3", 400, -1100),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.0000000001", 400, -1111),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.000015", 400, -1013),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.00001", 400, -1013),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1", 400, -2010),
        ("symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01", 400, -2010),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&price=1", 400, -1106),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newClientOrderId=a%20b", 400, -1100),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&recvWindow=60001", 400, -1131),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&quantity=0.01", 400, -1101),
        ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&colour=red", 400, -1104),
    ];
    for (query, status, code) in cases {
        let (got, answer) = order(&simex, query).await;
        assert_eq!((got, answer["code"].as_i64()), (status, Some(code)), "{query}: {answer}");
    }
    let trades = "symbol=BTCUSDT&fromId=1&startTime=1";
    let (_, both) = read(binance(&simex, "GET", "/api/v3/myTrades", trades)).await;
    assert_eq!(both["code"], -1128, "{both}");
    let (_, unread) = read(public(&simex, Double::Binance, "/api/v3/time?symbol=BTCUSDT")).await;
    assert_eq!(unread["code"], -1104, "{unread}");
    simex.set_market(Place::Binance, "BTC/USDT", MarketStatus::Halted);
    let (_, closed) = order(&simex, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01").await;
    assert_eq!(closed["msg"], "Market is closed.");
    let (_, absent) = read(binance(&simex, "GET", ORDER, "symbol=BTCUSDT&orderId=1")).await;
    assert_eq!(absent["code"], -2013);
    let (_, absent) = read(binance(&simex, "DELETE", ORDER, "symbol=BTCUSDT&orderId=1")).await;
    assert_eq!(absent["code"], -2011);
    assert!(simex.orders(Place::Binance).is_empty());
}

#[tokio::test]
async fn keys_signatures_and_clocks_are_checked() {
    let simex = Simex::start(frozen()).await.unwrap();
    let account = "/api/v3/account";
    let base = simex.url(Double::Binance);
    let (status, answer) = read(http().get(format!("{base}{account}"))).await;
    assert_eq!((status, answer["code"].as_i64()), (401, Some(-2014)));
    let key = simex.config().venues[&Place::Binance].keys[0].key.clone();
    let url = format!("{base}{account}?timestamp={}&signature=00", simex.now_ms());
    let (status, answer) = read(http().get(url).header("X-MBX-APIKEY", key)).await;
    assert_eq!((status, answer["code"].as_i64()), (400, Some(-1022)));
    let late = binance(&simex, "GET", account, "");
    simex.advance(5_001);
    assert_eq!(read(late).await.1["code"], -1021);
    let early = binance(&simex, "GET", account, "");
    simex.advance(-1_000);
    assert_eq!(read(early).await.1["code"], -1021);
    simex.set_revoked(Place::Binance, true);
    let (status, answer) = read(binance(&simex, "GET", account, "")).await;
    assert_eq!((status, answer["code"].as_i64()), (401, Some(-2015)));
}

#[tokio::test]
async fn open_orders_lock_funds_refuse_their_id_again_and_can_be_cancelled() {
    let simex = Simex::start(frozen()).await.unwrap();
    let limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=50000&quantity=0.1&newClientOrderId=wait";
    assert_eq!(order(&simex, limit).await.1["status"], "NEW");
    assert_eq!(simex.balances(Place::Binance)["USDT"].locked, Decimal::from(5000));
    assert_eq!(order(&simex, limit).await.1["msg"], "Duplicate order sent.");
    let (_, open) = read(binance(&simex, "GET", "/api/v3/openOrders", "symbol=BTCUSDT")).await;
    assert_eq!(open.as_array().map(Vec::len), Some(1));
    let (_, gone) =
        read(binance(&simex, "DELETE", ORDER, "symbol=BTCUSDT&origClientOrderId=wait")).await;
    assert_eq!(gone["status"], "CANCELED");
    assert_eq!(simex.balances(Place::Binance)["USDT"].free, Decimal::from(10_000));
    assert_eq!(order(&simex, limit).await.0, 200);
    // The market falls to the limit.
    simex.set_price("BTC", None, 49_000.0, true);
    let asked = "symbol=BTCUSDT&origClientOrderId=wait";
    assert_eq!(read(binance(&simex, "GET", ORDER, asked)).await.1["status"], "FILLED");
    assert_eq!(simex.oracle().faults(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_market_order_in_a_thin_book_expires_with_a_part() {
    let mut config = still();
    if let Some(venue) = config.venues.get_mut(&Place::Binance) {
        venue.book.levels = 2;
        venue.book.level_usd = 600.0;
    }
    let simex = Simex::start(config).await.unwrap();
    let (_, answer) = order(&simex, "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.05000").await;
    assert_eq!(
        (&answer["status"], &answer["executedQty"]),
        (&"EXPIRED".into(), &"0.02000000".into())
    );
    let half = Quirks { fill_fraction: Some(Decimal::new(5, 1)), ..Quirks::default() };
    simex.set_quirks(Place::Binance, half);
    let (_, answer) = order(&simex, "symbol=BTCUSDT&side=BUY&type=MARKET&quoteOrderQty=600").await;
    assert_eq!(answer["status"], "EXPIRED", "{answer}");
    assert_eq!(simex.oracle().faults(), Vec::<&str>::new());
}

#[tokio::test]
async fn weights_are_counted_and_lead_to_429_and_then_418() {
    let simex = Simex::start(frozen()).await.unwrap();
    let everything = || public(&simex, Double::Binance, "/api/v3/exchangeInfo");
    let first = everything().send().await.unwrap();
    assert_eq!(first.headers()["x-mbx-used-weight-1m"], "20");
    simex.with(|world| {
        let now = world.venue_now(Place::Binance);
        let venue = world.venues.get_mut(&Place::Binance).unwrap();
        venue.counters.add("weight per minute", 5_980, 60_000, now);
    });
    let second = everything().send().await.unwrap();
    assert_eq!(second.status(), 429);
    assert!(second.headers().contains_key("retry-after"));
    let mut last = 429;
    for _ in 0..25 {
        last = everything().send().await.unwrap().status().as_u16();
    }
    assert_eq!(last, 418);
    simex.advance(180_000);
    assert_eq!(everything().send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_limits_that_are_published_are_the_ones_that_are_kept() {
    let mut config = frozen();
    config.venues.get_mut(&Place::Binance).unwrap().limit_factor = 2;
    let simex = Simex::start(config).await.unwrap();
    let everything = || public(&simex, Double::Binance, "/api/v3/exchangeInfo");
    let (_, info) = read(everything()).await;
    let weight = info["rateLimits"][0]["limit"].as_u64().unwrap();
    assert_eq!((weight, &info["rateLimits"][1]["limit"]), (12_000, &200.into()));
    simex.with(|world| {
        let now = world.venue_now(Place::Binance);
        let venue = world.venues.get_mut(&Place::Binance).unwrap();
        venue.counters.add("weight per minute", weight - 40, 60_000, now);
    });
    for status in [200, 429] {
        assert_eq!(read(everything()).await.0, status);
    }
}

#[tokio::test]
async fn candles_are_complete_and_agree_between_timeframes() {
    let simex = Simex::start(keel_simex::SimexConfig::default()).await.unwrap();
    let now = simex.now_ms();
    let path = |interval: &str, from: i64, limit: usize| {
        format!("/api/v3/klines?symbol=ETHUSDT&interval={interval}&startTime={from}&limit={limit}")
    };
    let day = now - now % 86_400_000 - 86_400_000;
    let candles = async |interval: &str, limit| {
        let (_, rows) = read(public(&simex, Double::Binance, &path(interval, day, limit))).await;
        rows.as_array().unwrap().clone()
    };
    let number =
        |row: &serde_json::Value, cell: usize| row[cell].as_str().unwrap().parse::<f64>().unwrap();
    let minutes = candles("1m", 240).await;
    let whole = candles("4h", 1).await;
    assert_eq!((minutes.len(), whole.len()), (240, 1));
    let highest = minutes.iter().map(|row| number(row, 2)).fold(0.0, f64::max);
    assert!((highest - number(&whole[0], 2)).abs() < 1e-9);
    assert_eq!(minutes[0][1], whole[0][1]);
    assert_eq!(minutes[239][4], whole[0][4]);
    let newest = read(public(
        &simex,
        Double::Binance,
        "/api/v3/klines?symbol=ETHUSDT&interval=4h&limit=1000",
    ))
    .await
    .1;
    let rows = newest.as_array().unwrap();
    assert_eq!(rows.len(), 1000);
    assert!(
        rows.windows(2)
            .all(|two| { two[1][0].as_i64().unwrap() - two[0][0].as_i64().unwrap() == 14_400_000 })
    );
    assert!(rows[999][6].as_i64().unwrap() >= now);
}
