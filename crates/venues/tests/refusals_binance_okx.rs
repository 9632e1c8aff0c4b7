//! Binance and OKX: every code outside of the documented list of refusals leaves an order unknown.
#![allow(clippy::unwrap_used)]

mod support;

use keel_venues::api::{Answer, ApiError, Placed, Refusal};
use keel_venues::client::{Gates, HttpOptions, HttpTransport};
use keel_venues::venue::{Connection, Keys, venue};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Canned, adapter, buy, client_id, symbol};
use zeroize::Zeroizing;

/// An order that met this reply.
async fn ordered(venue: &str, replies: &[(u16, &str)]) -> Vec<Answer<Placed>> {
    let api = adapter(venue, Canned::new(replies));
    let order = buy("BTC/USDT", "0.01");
    let mut answers = Vec::new();
    for _ in replies {
        answers.push(api.market_order(&order).await);
    }
    answers
}

fn refusal(answer: &Answer<Placed>) -> Option<Refusal> {
    match answer {
        Err(ApiError::Refused { refusal, .. }) => Some(*refusal),
        Err(ApiError::Unknown(_)) => None,
        other => panic!("{other:?}"),
    }
}

/// The codes that are refusals, of all numbers. Every number is asked about with a question that is
/// not signed, which is quick; orders are asked for some, and for all refusals.
async fn refused_codes(
    venue: &str,
    numbers: std::ops::RangeInclusive<i64>,
    body: impl Fn(i64) -> String,
) -> Vec<i64> {
    let mut codes = Vec::new();
    let numbers: Vec<i64> = numbers.collect();
    for chunk in numbers.chunks(5000) {
        let bodies: Vec<String> = chunk.iter().map(|number| body(*number)).collect();
        let replies: Vec<(u16, &str)> = bodies.iter().map(|body| (400, body.as_str())).collect();
        let api = adapter(venue, Canned::new(&replies));
        for number in chunk {
            match api.time().await {
                Err(ApiError::Refused { .. }) => codes.push(*number),
                Err(ApiError::Unknown(_)) => {}
                other => panic!("{venue} {number}: {other:?}"),
            }
        }
    }
    let mut tried: Vec<i64> = numbers.into_iter().step_by(97).chain(codes.clone()).collect();
    tried.extend(codes.iter().flat_map(|code| [code - 1, code + 1]));
    let bodies: Vec<String> = tried.iter().map(|number| body(*number)).collect();
    let replies: Vec<(u16, &str)> = bodies.iter().map(|body| (400, body.as_str())).collect();
    for (number, answer) in tried.iter().zip(ordered(venue, &replies).await) {
        assert_eq!(refusal(&answer).is_some(), codes.contains(number), "{venue} {number}");
    }
    codes
}

#[tokio::test]
async fn f006_binance_refuses_by_its_listed_codes_only() {
    let codes = refused_codes("binance", -100_000..=5000, |n| {
        format!("{{\"code\":{n},\"msg\":\"words\"}}")
    })
    .await;
    let listed: Vec<i64> = [-2015, -2014, -2013, -2011, -2010]
        .into_iter()
        .chain(-1199..=-1100)
        .chain([-1022, -1021, -1015, -1013, -1003])
        .collect();
    assert_eq!(codes, listed);
}

#[tokio::test]
async fn f006_okx_refuses_by_its_listed_codes_only() {
    let inner = refused_codes("okx", -9..=100_000, |n| {
        format!(
            "{{\"code\":\"1\",\"msg\":\"\",\"data\":[{{\"sCode\":\"{n}\",\"sMsg\":\"words\"}}]}}"
        )
    })
    .await;
    let outer = refused_codes("okx", -9..=100_000, |n| {
        format!("{{\"code\":\"{n}\",\"msg\":\"words\",\"data\":[]}}")
    })
    .await;
    assert_eq!(inner, outer);
    assert!(inner.iter().all(|code| (50_000..52_000).contains(code)), "{inner:?}");
    for unknown in [50_001, 50_004, 50_005, 50_013, 50_026, 51_054, 51_149, 51_011] {
        assert!(!inner.contains(&unknown), "{unknown}");
    }
    for known in [50_011, 50_102, 50_113, 51_000, 51_001, 51_008, 51_016, 51_020, 51_603] {
        assert!(inner.contains(&known), "{known}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn a_text_as_a_code_is_no_refusal(code in "[^0-9\"\\\\\\p{C}][^\"\\\\\\p{C}]{0,12}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (venue, body) in [
            ("binance", format!("{{\"code\":\"{code}\",\"msg\":\"x\"}}")),
            ("okx", format!("{{\"code\":\"{code}\",\"msg\":\"x\",\"data\":[]}}")),
            ("okx", format!("{{\"code\":\"0\",\"data\":[{{\"sCode\":\"{code}\",\"ordId\":\"1\"}}]}}")),
        ] {
            let answers = runtime.block_on(ordered(venue, &[(200, &body), (400, &body)]));
            for answer in answers {
                prop_assert_eq!(refusal(&answer), None, "{} {}", venue, body);
            }
        }
    }
}

#[tokio::test]
async fn f006_a_server_error_is_unknown_whatever_its_code_says() {
    for (venue, body) in [
        ("binance", "{\"code\":-2010,\"msg\":\"Account has insufficient balance\"}"),
        ("okx", "{\"code\":\"51008\",\"msg\":\"Insufficient balance\",\"data\":[]}"),
    ] {
        for status in [500, 502, 503, 504] {
            let answers = ordered(venue, &[(status, body)]).await;
            assert_eq!(refusal(&answers[0]), None, "{venue} {status}");
        }
    }
}

#[tokio::test]
async fn f008_a_refusal_inside_of_a_success_is_a_refusal() {
    let body = "{\"code\":\"0\",\"msg\":\"\",\"data\":[{\"ordId\":\"\",\"clOrdId\":\"\",\
                \"sCode\":\"51008\",\"sMsg\":\"Insufficient USDT balance\"}]}";
    let answers = ordered("okx", &[(200, body)]).await;
    assert_eq!(refusal(&answers[0]), Some(Refusal::Funds));
    // A success that says neither yes nor no.
    let row = format!(
        "{{\"code\":\"0\",\"data\":[{{\"ordId\":\"7\",\"clOrdId\":\"{}\"}}]}}",
        client_id()
    );
    assert_eq!(refusal(&ordered("okx", &[(200, &row)]).await[0]), None);
}

#[tokio::test]
async fn f011_an_id_that_was_used_before_is_evidence_of_an_order() {
    for (venue, body) in [
        ("binance", "{\"code\":-2010,\"msg\":\"Duplicate order sent.\"}"),
        ("okx", "{\"code\":\"1\",\"data\":[{\"sCode\":\"51016\",\"sMsg\":\"duplicated\"}]}"),
    ] {
        let answers = ordered(venue, &[(400, body)]).await;
        assert_eq!(refusal(&answers[0]), Some(Refusal::DuplicateId), "{venue}");
    }
}

#[tokio::test]
async fn an_acknowledgement_of_another_order_is_unknown() {
    let okx = "{\"code\":\"0\",\"data\":[{\"ordId\":\"7\",\"clOrdId\":\"else\",\"sCode\":\"0\"}]}";
    let binance =
        format!("{{\"symbol\":\"ETHUSDT\",\"orderId\":7,\"clientOrderId\":\"{}\"}}", client_id());
    assert_eq!(refusal(&ordered("okx", &[(200, okx)]).await[0]), None);
    assert_eq!(refusal(&ordered("binance", &[(200, &binance)]).await[0]), None);
}

#[tokio::test]
async fn an_acknowledgement_alone_is_accepted() {
    let body = format!(
        "{{\"symbol\":\"BTCUSDT\",\"orderId\":7,\"clientOrderId\":\"{}\",\"transactTime\":1}}",
        client_id()
    );
    let answers = ordered("binance", &[(200, &body)]).await;
    assert_eq!(answers[0], Ok(Placed::Accepted { venue_order_id: "7".to_owned() }));
}

#[tokio::test]
async fn f080_too_many_requests_in_a_body_pause_the_host() {
    let transport = Canned::new(&[(200, "{\"code\":\"50011\",\"msg\":\"too many\",\"data\":[]}")]);
    let api = adapter("okx", Arc::clone(&transport));
    assert!(api.balances().await.is_err());
    assert_eq!(transport.pauses.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn f067_earn_is_not_spot_and_lido_is() {
    let row = |asset: &str, free: &str| {
        format!("{{\"asset\":\"{asset}\",\"free\":\"{free}\",\"locked\":\"0\"}}")
    };
    let rows = [row("BTC", "1"), row("LDBTC", "5"), row("LDO", "7"), row("币", "3")].join(",");
    let body = format!("{{\"balances\":[{rows}]}}");
    let balances = adapter("binance", Canned::new(&[(200, &body)])).balances().await.unwrap();
    let names: Vec<&str> = balances.keys().map(|ticker| ticker.as_str()).collect();
    assert_eq!(names, ["BTC", "LDO"]);
    assert_eq!(balances[&"BTC".parse().unwrap()].free.to_string(), "1");
}

#[tokio::test]
async fn f074_borrowed_or_negative_funds_are_refused() {
    let body = |free: &str, liability: &str| {
        format!(
            "{{\"code\":\"0\",\"data\":[{{\"details\":[{{\"ccy\":\"USDT\",\"availBal\":\"{free}\",\
             \"frozenBal\":\"0\",\"liab\":\"{liability}\"}}]}}]}}"
        )
    };
    for (free, liability, fine) in [
        ("10", "", true),
        ("10", "0", true),
        ("10", "-5", false),
        ("10", "5", false),
        ("-1", "", false),
        ("", "", false),
    ] {
        let answer = adapter("okx", Canned::new(&[(200, &body(free, liability))])).balances().await;
        assert_eq!(answer.is_ok(), fine, "{free} {liability}: {answer:?}");
    }
}

#[tokio::test]
async fn f075_an_empty_list_of_balances_is_no_empty_account_on_binance() {
    let answer = adapter("binance", Canned::new(&[(200, "{\"balances\":[]}")])).balances().await;
    assert!(matches!(answer, Err(ApiError::Unknown(_))));
}

#[tokio::test]
async fn a_key_that_is_no_hmac_key_is_refused_before_anything_is_sent() {
    let secret = |text: &str| Zeroizing::new(text.to_owned());
    let binance = venue("binance").unwrap();
    let url = "http://127.0.0.1:9";
    let transport =
        HttpTransport::new(url, binance.facts, &Gates::default(), HttpOptions::default());
    let api = (binance.connect)(Connection {
        transport: Arc::new(transport.unwrap()),
        urls: BTreeMap::from([("api".to_owned(), url.to_owned())]),
        keys: Some(Keys {
            api_key: secret("key"),
            secret: secret("-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----"),
            password: None,
        }),
        sandbox: false,
    });
    let Err(ApiError::NotSent(message)) = api.balances().await else { panic!("it was sent") };
    assert!(message.contains("HMAC") && !message.contains("MC4C"), "{message}");
}

#[tokio::test]
async fn a_long_way_back_is_read_page_by_page_on_binance() {
    let day = 86_400_000;
    let since = support::NOW_MS - 2 * day - 1000;
    let order = |id: u32, at: i64| {
        format!(
            "{{\"symbol\":\"BTCUSDT\",\"orderId\":{id},\"clientOrderId\":\"c{id}\",\"origQty\":\"1\",\
             \"executedQty\":\"1\",\"cummulativeQuoteQty\":\"5\",\"status\":\"FILLED\",\
             \"side\":\"BUY\",\"time\":{at}}}"
        )
    };
    let list = |rows: &[String]| format!("[{}]", rows.join(","));
    let full: Vec<String> = (1..=1000).map(|id| order(id, since + i64::from(id))).collect();
    let replies = [
        // The first answer is thrown away: it may end after a day.
        list(&[order(1, since + 1)]),
        list(&full),
        list(&[order(1001, since + 2000), order(1002, since + day + 5)]),
        list(&[order(1002, since + day + 5)]),
        list(&[]),
    ];
    let replies: Vec<(u16, &str)> = replies.iter().map(|body| (200, body.as_str())).collect();
    let transport = Canned::new(&replies);
    let api = adapter("binance", Arc::clone(&transport));
    let market = symbol("BTC/USDT");
    let since = keel_core::time::Timestamp::from_ms(since);
    let orders = api.closed_orders(&market, since).await.unwrap();
    let ids: Vec<u32> = orders.iter().map(|o| o.venue_order_id.parse().unwrap()).collect();
    assert_eq!(ids, (1..=1002).collect::<Vec<u32>>());
    assert_eq!(transport.requests().len(), 5);
}
