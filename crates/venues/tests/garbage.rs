//! Every venue, every call, and replies that are none: never an answer, and after a write never more
//! than "nobody knows". A new venue passes through here by its row in the table.
#![allow(clippy::unwrap_used)]

mod support;

use keel_core::order::ClientOrderId;
use keel_venues::api::{Answer, ApiError, MarketOrder};
use keel_venues::http::Kind;
use keel_venues::venue::VENUES;
use serde_json::Value;
use std::sync::Arc;
use support::calls::{CALLS, call};
use support::{Canned, NOW_MS, adapter, buy};

/// What became of a call that met this reply each time it asked.
async fn met(venue: &str, name: &str, status: u16, body: &str) -> Answer<String> {
    let transport = Canned::new(&[(status, body); 8]);
    let answer = call(&*adapter(venue, Arc::clone(&transport)), name).await;
    assert!(!transport.requests().is_empty(), "{venue} {name}: nothing was asked: {answer:?}");
    let writes =
        transport.sent.lock().unwrap().iter().filter(|(kind, _)| *kind == Kind::Write).count();
    assert!(writes <= 1, "{venue} {name}: {writes} writes");
    answer
}

fn golden(venue: &str) -> Value {
    let path = format!("{}/tests/goldens/{venue}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The bodies that a venue's goldens answer this call with.
fn good_bodies(golden: &Value, name: &str) -> Vec<String> {
    let name = if name == "order_by_client_id" { "order" } else { name };
    let cases = golden["cases"].as_array().unwrap();
    let of_call = cases.iter().filter(|case| case["call"]["method"] == name);
    let exchanges = of_call.flat_map(|case| case["exchanges"].as_array().unwrap());
    exchanges
        .filter(|exchange| exchange["reply"]["status"] == 200)
        .map(|exchange| exchange["reply"]["body"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_page_a_fragment_or_nothing_is_never_an_answer() {
    for venue in VENUES {
        let venue = venue.facts.id;
        for (name, _) in CALLS {
            for body in GARBAGE {
                refuses(venue, name, 200, body).await;
            }
            for status in [201, 302, 500, 503, 530] {
                refuses(venue, name, status, "<html>busy</html>").await;
            }
        }
    }
}

const GARBAGE: [&str; 12] = [
    "",
    " ",
    "<html><body>Attention required</body></html>",
    "null",
    "true",
    "0",
    "\"ok\"",
    "{",
    "[[",
    "{\"code\":\"0\",\"data\":[",
    "\u{feff}",
    "{} {}",
];

async fn refuses(venue: &str, name: &str, status: u16, body: &str) {
    let answer = met(venue, name, status, body).await;
    let unknown = matches!(answer, Err(ApiError::Unknown(_)));
    assert!(unknown, "{venue} {name}: HTTP {status} with `{body}`: {answer:?}");
}

#[tokio::test]
async fn f007_a_good_reply_cut_anywhere_is_never_an_answer() {
    for venue in VENUES {
        let venue = venue.facts.id;
        let golden = golden(venue);
        for (name, _) in CALLS {
            let bodies = good_bodies(&golden, name);
            let Some(body) = bodies.iter().find(|body| body.starts_with(['{', '['])) else {
                continue;
            };
            let ends = (0..body.len()).filter(|end| body.is_char_boundary(*end));
            let step = (body.len() / 12).max(1);
            for end in ends.step_by(step).chain([body.trim_end().len() - 1]) {
                let answer = met(venue, name, 200, &body[..end]).await;
                let unknown = matches!(answer, Err(ApiError::Unknown(_)));
                assert!(unknown, "{venue} {name}: cut after {end} bytes: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn another_shape_is_never_an_answer() {
    let anywhere = ["[null]", "[1]", "[[]]", "[{}]", "{\"error\":null}", "{\"data\":null}"];
    let envelopes = [
        "[]",
        "{}",
        "{\"code\":\"0\",\"msg\":\"\",\"data\":[]}",
        "{\"code\":\"0\",\"msg\":\"\",\"data\":[{}]}",
        "{\"code\":\"200000\",\"data\":null}",
        "{\"code\":\"200000\",\"data\":{}}",
        "{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{}}",
        "{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{\"list\":[]}}",
        "{\"error\":[],\"result\":{}}",
        "{\"error\":[],\"result\":[]}",
        "{\"success\":true}",
    ];
    for venue in VENUES {
        let venue = venue.facts.id;
        for (name, may_be_empty) in CALLS {
            for body in anywhere {
                let answer = met(venue, name, 200, body).await;
                let unknown = matches!(answer, Err(ApiError::Unknown(_)));
                assert!(unknown, "{venue} {name}: `{body}`: {answer:?}");
            }
            for body in envelopes {
                let answer = met(venue, name, 200, body).await;
                let nothing = answer.as_ref().is_ok_and(|answer| {
                    may_be_empty && ["[]", "{}", "None"].contains(&answer.as_str())
                });
                let unknown = matches!(answer, Err(ApiError::Unknown(_)));
                assert!(nothing || unknown, "{venue} {name}: `{body}`: {answer:?}");
            }
        }
    }
}

/// Every way to spoil one value of a JSON text.
fn spoiled(body: &Value) -> Vec<Value> {
    let mut pointers = Vec::new();
    collect(body, String::new(), &mut pointers);
    let step = (pointers.len() / 8).max(1);
    let mut made = Vec::new();
    for pointer in pointers.into_iter().step_by(step) {
        for wrong in [Value::Null, "x".into(), (-1).into()] {
            let mut copy = body.clone();
            if let Some(place) = copy.pointer_mut(&pointer) {
                *place = wrong;
                made.push(copy);
            }
        }
    }
    made
}

fn collect(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Array(rows) => {
            for (row, inner) in rows.iter().enumerate() {
                collect(inner, format!("{at}/{row}"), pointers);
            }
        }
        Value::Object(fields) => {
            for (name, inner) in fields {
                collect(inner, format!("{at}/{name}"), pointers);
            }
        }
        _ => {}
    }
    if !at.is_empty() {
        pointers.push(at);
    }
}

#[tokio::test]
async fn one_wrong_value_in_a_good_reply_never_panics() {
    for venue in VENUES {
        let venue = venue.facts.id;
        let golden = golden(venue);
        for (name, _) in CALLS {
            for body in good_bodies(&golden, name).iter().take(1) {
                let Ok(body) = serde_json::from_str(body) else { continue };
                for wrong in spoiled(&body) {
                    let _ = met(venue, name, 200, &wrong.to_string()).await;
                }
            }
        }
    }
}

/// The order of a golden, as far as it matters for its acknowledgement.
fn order_of(call: &Value) -> Option<MarketOrder> {
    let id: ClientOrderId = serde_json::from_value(call["client_id"].clone()).ok()?;
    let amount = call["base"].as_str()?;
    Some(MarketOrder { id, ..buy(call["symbol"].as_str()?, amount) })
}

#[tokio::test]
async fn a_spoiled_acknowledgement_is_never_a_refusal() {
    for venue in VENUES {
        let venue = venue.facts.id;
        let golden = golden(venue);
        let mut tried = 0;
        for case in golden["cases"].as_array().unwrap() {
            let exchanges = case["exchanges"].as_array().unwrap();
            let accepted = case["result"].get("ok").is_some();
            let Some(order) = order_of(&case["call"]).filter(|_| accepted) else { continue };
            let text = |exchange: &Value| exchange["reply"]["body"].as_str().unwrap().to_owned();
            let Some(last) = exchanges.last() else { continue };
            let body: Value = serde_json::from_str(&text(last)).unwrap();
            // What the adapter asks before the order, such as the table of markets.
            let before: Vec<String> = golden["prelude"]
                .as_array()
                .into_iter()
                .flatten()
                .chain(&exchanges[..exchanges.len() - 1])
                .map(text)
                .collect();
            for wrong in spoiled(&body) {
                let wrong = wrong.to_string();
                let asked_for_markets = [vec![], before.clone()];
                for before in asked_for_markets {
                    let replies: Vec<(u16, &str)> = before
                        .iter()
                        .map(String::as_str)
                        .chain([wrong.as_str()])
                        .map(|body| (200, body))
                        .collect();
                    let transport = Canned::new(&replies);
                    let api = adapter(venue, Arc::clone(&transport));
                    if !before.is_empty() {
                        let _ = api.markets().await;
                    }
                    let answer = api.market_order(&order).await;
                    let sent = transport
                        .sent
                        .lock()
                        .unwrap()
                        .iter()
                        .filter(|(kind, _)| *kind == Kind::Write)
                        .count();
                    assert!(sent <= 1, "{venue}: {sent} orders");
                    if sent == 1 {
                        assert!(
                            matches!(answer, Ok(_) | Err(ApiError::Unknown(_))),
                            "{venue}: `{wrong}`: {answer:?}"
                        );
                        tried += 1;
                    }
                }
            }
            if tried > 100 {
                break;
            }
        }
        assert!(tried > 20, "{venue}: {tried} acknowledgements tried");
    }
}

/// The same reply with every figure that an amount or a price can be at the top of what a decimal
/// holds; moments, names and numbers of orders are left.
fn inflated(value: &Value) -> Value {
    let figure = Value::from("70000000000000000000000000000");
    match value {
        Value::Array(rows) => rows.iter().map(inflated).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, inner)| (name.clone(), inflated(inner))).collect()
        }
        Value::String(text) if is_figure(text) => figure,
        Value::Number(number) if is_figure(&number.to_string()) => figure,
        other => other.clone(),
    }
}

fn is_figure(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(|number| number > 0.0 && number < 1e9) && !text.starts_with("000")
}

#[tokio::test]
async fn figures_that_cannot_be_added_up_are_errors() {
    for venue in VENUES {
        let venue = venue.facts.id;
        let golden = golden(venue);
        let mut refused = 0;
        for (name, _) in CALLS {
            for body in good_bodies(&golden, name) {
                let Ok(body) = serde_json::from_str::<Value>(&body) else { continue };
                let answer = met(venue, name, 200, &inflated(&body).to_string()).await;
                match &answer {
                    Err(ApiError::Unknown(_)) => refused += 1,
                    // Some of the goldens are refusals.
                    Err(_) => {}
                    Ok(shown) => {
                        assert!(!shown.contains("7000000000000000"), "{venue} {name}: {shown}");
                    }
                }
            }
        }
        assert!(refused > 5, "{venue}: {refused}");
    }
}

#[tokio::test]
async fn two_levels_or_two_balances_of_7e28_are_no_book_and_no_account() {
    let huge = "70000000000000000000000000000";
    for (venue, book, balances) in [
        (
            "binance",
            format!(
                r#"{{"lastUpdateId":1,"bids":[["1","{huge}"],["1","{huge}"]],"asks":[["2","{huge}"]]}}"#
            ),
            format!(r#"{{"balances":[{{"asset":"BTC","free":"{huge}","locked":"{huge}"}}]}}"#),
        ),
        (
            "okx",
            format!(
                r#"{{"code":"0","data":[{{"bids":[["1","{huge}"],["1","{huge}"]],"asks":[]}}]}}"#
            ),
            format!(
                r#"{{"code":"0","data":[{{"details":[{{"ccy":"BTC","availBal":"{huge}","frozenBal":"{huge}"}}]}}]}}"#
            ),
        ),
        (
            "bybit",
            format!(
                r#"{{"retCode":0,"result":{{"s":"BTCUSDT","b":[["1","{huge}"],["1","{huge}"]],"a":[]}},"time":1760000123456}}"#
            ),
            format!(
                r#"{{"retCode":0,"result":{{"list":[{{"coin":[{{"coin":"BTC","walletBalance":"{huge}","locked":"1"}}]}}]}},"time":1760000123456}}"#
            ),
        ),
        (
            "kraken",
            format!(
                r#"{{"error":[],"result":{{"XXBTZUSD":{{"bids":[["1","{huge}",1]],"asks":[]}},"XBTUSDT":{{"bids":[["1","{huge}",1],["1","{huge}",1]],"asks":[]}}}}}}"#
            ),
            format!(
                r#"{{"error":[],"result":{{"XXBT":{{"balance":"{huge}","hold_trade":"0"}},"XBT":{{"balance":"{huge}","hold_trade":"0"}}}}}}"#
            ),
        ),
        (
            "kucoin",
            format!(
                r#"{{"code":"200000","data":{{"bids":[["1","{huge}"],["1","{huge}"]],"asks":[]}}}}"#
            ),
            format!(
                r#"{{"code":"200000","data":[{{"currency":"BTC","type":"trade","available":"{huge}","holds":"{huge}"}}]}}"#
            ),
        ),
        (
            "coinbase",
            format!(
                r#"{{"pricebook":{{"product_id":"BTC-USDT","bids":[{{"price":"1","size":"{huge}"}},{{"price":"1","size":"{huge}"}}],"asks":[]}}}}"#
            ),
            format!(
                r#"{{"accounts":[{{"currency":"BTC","available_balance":{{"value":"{huge}"}},"hold":{{"value":"{huge}"}}}},{{"currency":"BTC","available_balance":{{"value":"{huge}"}}}}],"has_next":false}}"#
            ),
        ),
    ] {
        for (name, body) in [("book", book), ("balances", balances)] {
            refuses(venue, name, 200, &body).await;
        }
    }
}

#[tokio::test]
async fn a_full_page_that_ends_with_the_last_number_there_is_is_read() {
    let row = |id: u64| {
        format!(
            r#"{{"symbol":"BTCUSDT","id":{id},"orderId":28,"price":"1","qty":"1","quoteQty":"1","commission":"0","commissionAsset":"BNB","time":{NOW_MS},"isBuyer":true}}"#
        )
    };
    let rows: Vec<String> = (0..999).chain([u64::MAX]).map(row).collect();
    let page = format!("[{}]", rows.join(","));
    let transport = Canned::new(&[(200, &page), (200, "[]")]);
    let answer = call(&*adapter("binance", Arc::clone(&transport)), "own_trades").await;
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(transport.requests().len(), 2);
}

#[tokio::test]
async fn a_market_whose_largest_order_is_huge_stays_a_market() {
    for venue in VENUES {
        let venue = venue.facts.id;
        let golden = golden(venue);
        for body in good_bodies(&golden, "markets").iter().take(1) {
            let plain = met(venue, "markets", 200, body).await.unwrap();
            let mut huge: Value = serde_json::from_str(body).unwrap();
            enlarge(&mut huge);
            let enlarged = met(venue, "markets", 200, &huge.to_string()).await.unwrap();
            let count = |shown: &str| shown.matches("MarketRules").count();
            assert_eq!(count(&enlarged), count(&plain), "{venue}");
            assert!(!enlarged.contains("99999999999999999"), "{venue}: {enlarged}");
        }
    }
}

/// Makes every largest order of a table of markets larger than any amount.
fn enlarge(value: &mut Value) {
    match value {
        Value::Array(rows) => rows.iter_mut().for_each(enlarge),
        Value::Object(fields) => {
            for (name, inner) in fields {
                if name.to_ascii_lowercase().contains("max")
                    && (inner.is_string() || inner.is_number())
                {
                    *inner = "99999999999999999999".into();
                } else {
                    enlarge(inner);
                }
            }
        }
        _ => {}
    }
}
