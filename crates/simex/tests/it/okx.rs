//! The OKX dialect: what it answers, and what it refuses with which code.

use crate::client::{frozen, okx, public, read, still};
use keel_simex::Simex;
use keel_simex::exchange::Quirks;
use keel_simex::prices::Place;
use keel_simex::server::Double;

const ORDER: &str = "/api/v5/trade/order";
const BUY: &str = r#"{"instId":"ETH-USDT","tdMode":"cash","side":"buy","ordType":"market","tgtCcy":"quote_ccy","sz":"300","clOrdId":"one"}"#;

async fn order(simex: &Simex, body: &str) -> (u16, serde_json::Value) {
    read(okx(simex, "POST", ORDER, body)).await
}

#[tokio::test]
async fn a_market_order_is_acknowledged_and_then_found_with_its_fills() {
    let simex = Simex::start(still()).await.unwrap();
    let (status, answer) = order(&simex, BUY).await;
    assert_eq!((status, &answer["data"][0]["sCode"]), (200, &"0".into()), "{answer}");
    let path = format!("{ORDER}?instId=ETH-USDT&clOrdId=one");
    let (_, found) = read(okx(&simex, "GET", &path, "")).await;
    let row = &found["data"][0];
    assert_eq!((&row["state"], &row["accFillSz"]), (&"filled".into(), &"0.0999".into()), "{row}");
    assert_eq!((&row["fee"], &row["feeCcy"]), (&"-0.0000999".into(), &"ETH".into()));
    let (_, fills) = read(okx(&simex, "GET", "/api/v5/trade/fills?instId=ETH-USDT", "")).await;
    assert_eq!(fills["data"][0]["clOrdId"], "one");
    let (_, balance) = read(okx(&simex, "GET", "/api/v5/account/balance", "")).await;
    let details = balance["data"][0]["details"].as_array().unwrap();
    let held = details.iter().find(|row| row["ccy"] == "ETH").unwrap();
    assert_eq!(held["availBal"], "0.0998001");
    assert_eq!(simex.oracle().faults(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_client_id_can_be_kept_unique_for_ever() {
    let simex = Simex::start(still()).await.unwrap();
    assert_eq!(order(&simex, BUY).await.1["code"], "0");
    assert_eq!(order(&simex, BUY).await.1["code"], "0");
    let quirks = Quirks { client_ids_for_ever: true, ..Quirks::default() };
    simex.set_quirks(Place::Okx, quirks);
    let (status, answer) = order(&simex, BUY).await;
    assert_eq!((status, &answer["data"][0]["sCode"]), (200, &"51016".into()), "{answer}");
}

#[tokio::test]
async fn refusals_are_in_the_envelope_or_in_the_row() {
    let simex = Simex::start(frozen()).await.unwrap();
    let body = |change: (&str, &str)| BUY.replace(change.0, change.1);
    let outer = |answer: &serde_json::Value| answer["code"].as_str().unwrap().to_owned();
    let (_, answer) = order(&simex, &body(("ETH-USDT", "NO-USDT"))).await;
    assert_eq!(outer(&answer), "51001");
    let (_, answer) = order(&simex, &body((r#""sz":"300""#, r#""sz":"20000""#))).await;
    assert_eq!((outer(&answer).as_str(), &answer["data"][0]["sCode"]), ("1", &"51008".into()));
    let (_, answer) =
        order(&simex, &body(("\"300\"", "\"0.00001\"")).replace("quote_ccy", "base_ccy")).await;
    assert_eq!(answer["data"][0]["sCode"], "51020", "{answer}");
    let (_, answer) =
        order(&simex, &body(("\"300\"", "\"0.10001\"")).replace("quote_ccy", "base_ccy")).await;
    assert_eq!(answer["data"][0]["sCode"], "51121", "{answer}");
    let (_, answer) = order(&simex, &body(("\"one\"", "\"with-dash\""))).await;
    assert_eq!(outer(&answer), "51000");
    let absent = format!("{ORDER}?instId=ETH-USDT&clOrdId=none");
    assert_eq!(outer(&read(okx(&simex, "GET", &absent, "")).await.1), "51603");
    let late = okx(&simex, "POST", ORDER, BUY).header("expTime", simex.now_ms() + 1_000);
    simex.advance(1_001);
    assert_eq!(outer(&read(late).await.1), "51149");
    let late = okx(&simex, "POST", ORDER, BUY);
    simex.advance(31_000);
    let (status, answer) = read(late).await;
    assert_eq!((status, outer(&answer).as_str()), (401, "50102"));
    let bad = okx(&simex, "POST", ORDER, BUY).body("{}");
    let (status, answer) = read(bad).await;
    assert_eq!((status, outer(&answer).as_str()), (401, "50113"));
    simex.set_revoked(Place::Okx, true);
    assert_eq!(outer(&order(&simex, BUY).await.1), "50111");
    assert!(simex.orders(Place::Okx).is_empty());
}

#[tokio::test]
async fn requests_are_counted_per_endpoint() {
    let simex = Simex::start(frozen()).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..11 {
        let (status, answer) = read(public(&simex, Double::Okx, "/api/v5/public/time")).await;
        statuses.push((status, answer["code"].as_str().unwrap().to_owned()));
    }
    assert_eq!(statuses[9], (200, "0".to_owned()));
    assert_eq!(statuses[10], (429, "50011".to_owned()));
}

#[tokio::test]
async fn candles_page_back_without_gaps_and_say_which_is_open() {
    let simex = Simex::start(keel_simex::SimexConfig::default()).await.unwrap();
    let path = "/api/v5/market/candles?instId=ETH-USDT&bar=1H&limit=300";
    let (_, newest) = read(public(&simex, Double::Okx, path)).await;
    let rows = newest["data"].as_array().unwrap().clone();
    assert_eq!((rows.len(), &rows[0][8], &rows[1][8]), (300, &"0".into(), &"1".into()));
    let time = |row: &serde_json::Value| row[0].as_str().unwrap().parse::<i64>().unwrap();
    let older = format!("{path}&after={}", time(&rows[299]));
    let (_, older) = read(public(&simex, Double::Okx, &older)).await;
    assert_eq!(time(&rows[299]) - time(&older["data"][0]), 3_600_000);
}

#[tokio::test]
async fn new_bars_go_back_a_little_and_the_others_are_finished() {
    let simex = Simex::start(keel_simex::SimexConfig::default()).await.unwrap();
    let bars = |list: &str, after: &str| {
        let path = format!("/api/v5/market/{list}?instId=ETH-USDT&bar=1H&limit=100{after}");
        let request = public(&simex, Double::Okx, &path);
        async { read(request).await.1["data"].as_array().unwrap().clone() }
    };
    let time = |row: &serde_json::Value| row[0].as_str().unwrap().parse::<i64>().unwrap();
    let open = time(&bars("candles", "").await[0]);
    let finished = bars("history-candles", "").await;
    assert_eq!((open - time(&finished[0]), &finished[0][8]), (3_600_000, &"1".into()));
    let border = format!("&after={}", open - 1430 * 3_600_000);
    assert_eq!(bars("candles", &border).await.len(), 9, "1440 with the open one");
    assert_eq!(bars("history-candles", &border).await.len(), 100);
}

#[tokio::test]
async fn the_largest_market_order_is_told_and_refused_by_its_value() {
    let simex = Simex::start(still()).await.unwrap();
    assert!(simex.deposit(Place::Okx, "USDT", 5_000_000.into()));
    let path = "/api/v5/public/instruments?instType=SPOT&instId=ETH-USDT";
    let (_, told) = read(public(&simex, Double::Okx, path)).await;
    assert_eq!(told["data"][0]["maxMktSz"], "1000000");
    for (size, unit, code) in [
        ("1000001", "quote_ccy", "51201"),
        ("334", "base_ccy", "51201"),
        ("999999", "quote_ccy", "0"),
        ("333", "base_ccy", "0"),
    ] {
        let size = format!(r#""sz":"{size}""#);
        let body = BUY.replace(r#""sz":"300""#, &size).replace("quote_ccy", unit);
        let (_, answer) = order(&simex, &body).await;
        assert_eq!(answer["data"][0]["sCode"], code, "{body}: {answer}");
    }
}
