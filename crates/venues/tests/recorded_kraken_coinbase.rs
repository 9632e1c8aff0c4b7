//! Recorded replies of Kraken and Coinbase through their adapters, and what their goldens do not cover. `shared` holds the recordings; where
//! they are missing, these tests skip with a message.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use keel_core::amount::Qty;
use keel_core::order::Side;
use keel_core::time::{Timeframe, Timestamp};
use keel_venues::api::{ExchangeApi, OrderStatus, Placed, Reference};
use rust_decimal::Decimal;
use support::{Canned, adapter, client_id, recorded, symbol};

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn qty(text: &str) -> Qty {
    Qty::new(decimal(text))
}

fn replying(id: &str, body: &str) -> Box<dyn ExchangeApi> {
    adapter(id, Canned::new(&[(200, body)]))
}

#[tokio::test]
async fn kraken_markets_of_2021_are_named_as_the_venue_names_them() {
    let Some(body) = recorded("kraken/AssetPairs_full_2021-04.json.gz") else { return };
    let markets = replying("kraken", &body).markets().await.unwrap();
    let listed: serde_json::Value = serde_json::from_str(&body).unwrap();
    let mut seen = 0;
    for pair in listed["result"].as_object().unwrap().values() {
        // Dark pools have no public name, and are no markets for us.
        let Some(name) = pair["wsname"].as_str() else { continue };
        // Staked ether against ether is no spot market.
        if name == "ETH2.S/ETH" {
            continue;
        }
        let ours = name.replace("XBT", "BTC").replace("XDG", "DOGE");
        let ours = ours.replace("REP/", "REPV1/").replace("REPV2/", "REP/");
        let rules = &markets[&symbol(&ours)];
        assert_eq!(rules.min_amount, qty(pair["ordermin"].as_str().unwrap()), "{name}");
        assert_eq!(rules.amount_step, qty("0.00000001"), "{name}");
        seen += 1;
    }
    assert_eq!((seen, markets.len()), (292, 292));
    // The recording is older than `status`: what does not say that it is open is not traded.
    assert!(markets.values().all(|rules| !rules.active));
}

#[tokio::test]
async fn kraken_markets_of_2025_say_that_they_are_open() {
    let Some(body) = recorded("kraken/fixtures/http_asset_pairs.json") else { return };
    let markets = replying("kraken", &body).markets().await.unwrap();
    let rules = &markets[&symbol("BTC/USDT")];
    assert!(rules.active);
    assert_eq!((rules.min_amount, rules.min_cost), (qty("0.00005"), decimal("0.5")));
}

#[tokio::test]
async fn kraken_prices_are_read() {
    let btc = symbol("BTC/USDT");
    if let Some(body) = recorded("kraken/fixtures/http_server_time.json") {
        let time = replying("kraken", &body).time().await.unwrap();
        assert_eq!(time, Timestamp::from_seconds(1_762_820_224));
    }
    if let Some(body) = recorded("kraken/fixtures/http_ticker.json") {
        let quotes = replying("kraken", &body).tickers(std::slice::from_ref(&btc)).await.unwrap();
        assert_eq!(quotes[0].last.get(), decimal("105899.4"));
        assert_eq!(quotes[0].bid.unwrap().get(), decimal("105944.2"));
        assert_eq!(quotes[0].ask.unwrap().get(), decimal("105944.3"));
        assert_eq!(quotes[0].as_of, None);
    }
    if let Some(body) = recorded("kraken/fixtures/http_order_book.json") {
        let book = replying("kraken", &body).book(&btc, 5).await.unwrap();
        assert_eq!((book.bids.len(), book.asks.len()), (5, 5));
        assert!(book.bids[0].0 < book.asks[0].0);
        assert_eq!(book.asks[1].1, qty("0.095"));
    }
    if let Some(body) = recorded("kraken/fixtures/http_ohlc.json.gz") {
        let minute = Timeframe::from_seconds(60).unwrap();
        let api = replying("kraken", &body);
        let candles = api.candles(&btc, minute, None, 720).await.unwrap();
        assert_eq!(candles.len(), 720);
        assert!(candles.iter().all(|candle| candle.open_time_ms % 60_000 == 0));
    }
}

#[tokio::test]
async fn kraken_orders_and_trades_are_read() {
    let btc = symbol("BTC/USDT");
    let since = Timestamp::from_seconds(1_688_000_000);
    if let Some(body) = recorded("kraken/fixtures/http_open_orders.json") {
        let orders = replying("kraken", &body).open_orders(Some(&btc)).await.unwrap();
        assert_eq!(orders.len(), 1);
        assert_eq!(orders[0].venue_order_id, "O26VBY-ISGAE-JP5TLU");
        assert_eq!(orders[0].status, OrderStatus::Open);
        assert_eq!(orders[0].created_at, Some(Timestamp::from_ms(1_688_583_840_864)));
    }
    if let Some(body) = recorded("kraken/fixtures/http_closed_orders.json") {
        let api = replying("kraken", &body);
        let orders = api.closed_orders(&symbol("ETH/USDT"), since).await.unwrap();
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].side, orders[0].status), (Side::Sell, OrderStatus::Filled));
        assert_eq!(
            (orders[0].executed, orders[0].executed_cost),
            (qty("1"), Some(decimal("1850")))
        );
        let none = replying("kraken", &body).order(&btc, Reference::Client(&client_id())).await;
        assert!(none.is_err(), "a list of closed orders is no list of open ones: {none:?}");
    }
    if let Some(body) = recorded("kraken/fixtures/http_trades_history.json") {
        let trades = replying("kraken", &body).own_trades(&btc, since).await.unwrap();
        assert_eq!(trades.len(), 1);
        assert_eq!(trades[0].fill.trade_id, "TCCCTY-WJ6EO-4FP4VZ");
        assert_eq!(trades[0].fill.fee.asset.as_str(), "USDT");
        assert_eq!(trades[0].fill.cost, decimal("14750.25"));
    }
    if let Some(body) = recorded("kraken/fixtures_b/example-tradehistory-data.json") {
        // Old pair names: XLTCXXBT and XBTUSD.
        let since = Timestamp::from_seconds(1_300_000_000);
        let trades = replying("kraken", &body).own_trades(&symbol("LTC/BTC"), since).await.unwrap();
        assert!(trades.iter().any(|trade| trade.venue_order_id == "ONRNOX-DVI4W-76DL6Q-1"));
    }
    if let Some(body) =
        recorded("kraken/fixtures_b/example-openorders-in-transaction-currency-data.json")
    {
        let orders = replying("kraken", &body).open_orders(Some(&symbol("BTC/EUR"))).await.unwrap();
        assert_eq!(orders[0].amount, None, "a volume in the quote currency is no base amount");
    }
}

#[tokio::test]
async fn kraken_shows_the_trades_of_all_markets_in_one_answer() {
    let trade = |id: &str, pair: &str, second: u32| {
        format!(
            r#""{id}":{{"ordertxid":"O{id}","pair":"{pair}","time":{second}.5,"type":"buy","price":"2","cost":"4","fee":"0.01","vol":"2"}}"#
        )
    };
    let trades = [
        trade("T3", "SOLUSDT", 1_700_000_300),
        trade("T2", "XBTUSDT", 1_700_000_200),
        trade("T1", "SOLUSDT", 1_700_000_100),
    ];
    let body =
        format!(r#"{{"error":[],"result":{{"trades":{{{}}},"count":3}}}}"#, trades.join(","));
    let transport = Canned::new(&[(200, &body)]);
    let api = adapter("kraken", transport.clone());
    let since = |second| Timestamp::from_seconds(second);
    let wanted = [
        (symbol("BTC/USDT"), since(1_700_000_000)),
        (symbol("SOL/USDT"), since(1_700_000_200)),
        (symbol("ETH/USDT"), since(1_700_000_000)),
    ];
    let found = api.own_trades_in(&wanted).await.unwrap();
    let ids = |market: &str| -> Vec<&str> {
        found[&symbol(market)].iter().map(|trade| trade.fill.trade_id.as_str()).collect()
    };
    assert_eq!(ids("BTC/USDT"), ["T2"]);
    assert_eq!(ids("SOL/USDT"), ["T3"], "T1 was before the moment that was asked for");
    assert!(ids("ETH/USDT").is_empty());
    let requests = transport.requests();
    assert_eq!(requests.len(), 1);
    let body = requests[0].body.as_deref().unwrap();
    assert!(body.contains("start=1699999999"), "{body}");
}

#[tokio::test]
async fn kraken_acknowledgements_are_read() {
    for path in
        ["kraken/fixtures/http_add_order_spot.json", "kraken/fixtures_b/example-order-data.json"]
    {
        let Some(body) = recorded(path) else { continue };
        let placed =
            replying("kraken", &body).market_order(&support::buy("BTC/USDT", "0.01")).await;
        let Placed::Accepted { venue_order_id } = placed.unwrap() else { panic!("{path}") };
        assert!(venue_order_id.starts_with('O'));
    }
    if let Some(body) = recorded("kraken/fixtures/http_cancel_order_spot.json") {
        let done =
            replying("kraken", &body).cancel(&symbol("BTC/USDT"), Reference::Venue("O1")).await;
        assert_eq!(done, Ok(()));
    }
}

#[tokio::test]
async fn coinbase_products_are_read() {
    let Some(body) = recorded("coinbase/fixtures/http_products.json") else { return };
    let markets = replying("coinbase", &body).markets().await.unwrap();
    assert_eq!(markets.len(), 2, "a market in USD and one in USDC");
    let rules = &markets[&symbol("BTC/USDC")];
    assert!(rules.active);
    assert_eq!((rules.amount_step, rules.min_amount), (qty("0.00000001"), qty("0.00000001")));
    assert_eq!((rules.min_cost, rules.max_amount), (decimal("1"), Some(qty("3400"))));
}

#[tokio::test]
async fn coinbase_products_of_the_older_interface_are_no_answer() {
    // The full list of 2021 is of the Exchange API, whose shape is another.
    let Some(body) = recorded("coinbase/products_full_2021-04.json.gz") else { return };
    assert!(replying("coinbase", &body).markets().await.is_err());
}

#[tokio::test]
async fn coinbase_prices_are_read() {
    let btc = symbol("BTC/USD");
    if let Some(body) = recorded("coinbase/fixtures/http_ticker.json") {
        let quotes = replying("coinbase", &body).tickers(std::slice::from_ref(&btc)).await.unwrap();
        assert_eq!(quotes[0].last.get(), decimal("68923.67"));
        assert_eq!(quotes[0].bid.unwrap().get(), decimal("68923.66"));
        assert_eq!(quotes[0].as_of.unwrap().to_string(), "2026-04-07T00:28:58.544Z");
    }
    if let Some(body) = recorded("coinbase/fixtures/http_product_book.json") {
        let book = replying("coinbase", &body).book(&btc, 5).await.unwrap();
        assert_eq!((book.bids.len(), book.asks.len()), (5, 5));
        assert!(book.bids[0].0 < book.asks[0].0);
    }
    if let Some(body) = recorded("coinbase/fixtures/http_candles.json") {
        let candles =
            replying("coinbase", &body).candles(&btc, Timeframe::H1, None, 2).await.unwrap();
        assert_eq!(candles[0].open_time_ms, 1_712_188_800_000, "oldest first");
        assert!((candles[1].volume - 355.828_962_43).abs() < 1e-9);
    }
}

#[tokio::test]
async fn coinbase_accounts_orders_and_fills_are_read() {
    let btc = symbol("BTC/USD");
    let since = Timestamp::from_seconds(1_600_000_000);
    if let Some(body) = recorded("coinbase/fixtures/http_accounts.json") {
        let balances = replying("coinbase", &body).balances().await.unwrap();
        let usd = &balances[&"USD".parse().unwrap()];
        assert_eq!((usd.free, usd.used), (qty("10000.5"), qty("450")));
    }
    if let Some(body) = recorded("coinbase/fixtures/http_order.json") {
        let api = replying("coinbase", &body);
        let order = api.order(&btc, Reference::Venue("0000-000000-000000")).await.unwrap().unwrap();
        assert_eq!((order.side, order.status), (Side::Buy, OrderStatus::Open));
        assert_eq!((order.amount, order.executed), (Some(qty("0.001")), qty("0.001")));
        let other = replying("coinbase", &body);
        let other = other.order(&symbol("ETH/USD"), Reference::Venue("0000-000000-000000")).await;
        assert!(other.is_err(), "an order of another market is no answer: {other:?}");
    }
    if let Some(body) = recorded("coinbase/fixtures/http_orders_list.json") {
        let eth = symbol("ETH/USD");
        let orders = replying("coinbase", &body).closed_orders(&eth, since).await.unwrap();
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].amount, orders[0].executed_cost), (None, Some(decimal("100"))));
    }
    if let Some(body) = recorded("coinbase/fixtures/http_fills.json") {
        let trades = replying("coinbase", &body).own_trades(&btc, since).await.unwrap();
        assert_eq!(trades.len(), 1);
        assert_eq!(trades[0].fill.cost, decimal("225.61725"));
        assert_eq!(trades[0].fill.fee.asset.as_str(), "USD");
    }
}

fn kraken_trades(numbers: std::ops::Range<usize>) -> String {
    // Newest first: the first number is the latest trade.
    let trades: serde_json::Map<String, serde_json::Value> = numbers
        .map(|number| {
            let trade = serde_json::json!({
                "ordertxid": format!("O{number}"), "pair": "XBTUSDT", "type": "buy", "vol": "1",
                "price": "100", "cost": "100", "fee": "0", "time": 1_760_000_000 - number,
            });
            (format!("T{number}"), trade)
        })
        .collect();
    serde_json::json!({"error": [], "result": {"trades": trades}}).to_string()
}

/// Made by hand or by another program while nobody looked.
#[tokio::test]
async fn f021_kraken_histories_of_thousands_of_trades_are_read_to_their_end() {
    let (btc, since) = (symbol("BTC/USDT"), Timestamp::from_ms(1_700_000_000_000));
    let page = |number: usize| kraken_trades(50 * number..50 * number + 50);
    let mut pages: Vec<String> = (0..20).map(page).collect();
    // Three trades came meanwhile, and the answer to one page is lost.
    let moved = |number: usize| kraken_trades(50 * number - 3..50 * number + 47);
    pages.extend([kraken_trades(0..50), moved(20), moved(21), "lost".to_owned()]);
    pages.extend([kraken_trades(0..50), moved(22), kraken_trades(1147..1160)]);
    // What was read is not read again for the next market.
    pages.push(kraken_trades(0..50));
    let replies: Vec<(u16, &str)> = pages.iter().map(|page| (200, page.as_str())).collect();
    let transport = Canned::new(&replies);
    let api = adapter("kraken", transport.clone());
    let long = api.own_trades(&btc, since).await.unwrap_err().to_string();
    assert!(long.contains("the next one goes on with it"), "{long}");
    api.own_trades(&btc, since).await.unwrap_err();
    let trades = api.own_trades(&btc, since).await.unwrap();
    assert_eq!(trades.len(), 1160);
    assert!(trades.windows(2).all(|pair| pair[0].fill.at < pair[1].fill.at), "each once");
    let last = transport.requests().last().unwrap().body.clone().unwrap();
    assert!(last.ends_with("ofs=1147"), "{last}");
    assert_eq!(api.own_trades(&symbol("ETH/USDT"), since).await.unwrap(), []);
    assert_eq!(transport.requests().len(), replies.len());
}

#[tokio::test]
async fn f021_kraken_orders_of_others_in_markets_that_are_none_of_ours_are_left_out() {
    let open = |id: &str| {
        serde_json::json!({"error": [], "result": {"open": {"O1": {
            "cl_ord_id": id, "status": "open", "opentm": 1_760_000_000, "vol": "1", "vol_exec": "0",
            "cost": "0", "descr": {"pair": "AAPLxUSD", "type": "buy"}}}}})
        .to_string()
    };
    let markets = r#"{"error":[],"result":{"XBTUSDT":{"altname":"XBTUSDT","base":"XXBT","quote":"USDT","lot_decimals":8,"status":"online"}}}"#;
    for (id, is_ours) in [("", false), ("by-hand", false), (client_id().as_str(), true)] {
        let api = adapter("kraken", Canned::new(&[(200, &open(id)), (200, markets)]));
        let orders = api.open_orders(None).await;
        assert_eq!(orders.is_err(), is_ours, "{id}: {orders:?}");
        assert!(orders.is_err() || orders.unwrap().is_empty());
    }
}
