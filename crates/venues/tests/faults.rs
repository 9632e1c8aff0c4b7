//! What goes wrong at venues, over every row of the table: the catalogue's faults that an adapter
//! decides about. A venue without its lines here fails these tests.
#![allow(clippy::unwrap_used)]

mod support;

use keel_core::amount::Qty;
use keel_core::order::Side;
use keel_core::time::{Timeframe, Timestamp};
use keel_venues::api::{
    Answer, ApiError, ExchangeApi, MarketOrder, OrderAmount, Placed, Reference, Refusal,
};
use keel_venues::http::{Method, Request};
use keel_venues::venue::VENUES;
use std::sync::Arc;
use support::{Canned, NOW_MS, adapter, buy, client_id, symbol};

const PRODUCT: &str = r#"{"product_id":"BTC-USDT","quote_increment":"0.01"}"#;

fn ids() -> impl Iterator<Item = &'static str> {
    VENUES.iter().map(|venue| venue.facts.id)
}

/// The line of a venue in a table of these tests.
fn line<'a, T>(table: &'a [(&str, T)], id: &str) -> &'a T {
    let found = table.iter().find(|(venue, _)| *venue == id);
    &found.unwrap_or_else(|| panic!("{id} has no line here; every venue needs one")).1
}

/// A market sell of half a bitcoin: no venue asks anything before it sends one.
fn sell() -> MarketOrder {
    MarketOrder { side: Side::Sell, ..buy("BTC/USDT", "0.5") }
}

async fn answer_to_sell(id: &str, status: u16, body: &str) -> Answer<Placed> {
    adapter(id, Canned::new(&[(status, body)])).market_order(&sell()).await
}

/// A venue's refusal of an order with this code, in its own shape and status.
fn refusal(id: &str, code: &str, message: &str) -> (u16, String) {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (text, words) = (quoted(code), quoted(message));
    match id {
        "binance" => (400, format!(r#"{{"code":{code},"msg":{words}}}"#)),
        "okx" => (
            200,
            format!(
                r#"{{"code":"1","msg":"","data":[{{"ordId":"","clOrdId":"","sCode":{text},"sMsg":{words}}}]}}"#
            ),
        ),
        "bybit" => {
            (200, format!(r#"{{"retCode":{code},"retMsg":{words},"result":{{}},"time":{NOW_MS}}}"#))
        }
        "kucoin" => (200, format!(r#"{{"code":{text},"msg":{words}}}"#)),
        "kraken" => (200, format!(r#"{{"error":[{text}]}}"#)),
        "coinbase" => (
            200,
            format!(
                r#"{{"success":false,"failure_reason":"UNKNOWN_FAILURE_REASON","error_response":{{"error":{text},"message":{words}}}}}"#
            ),
        ),
        other => panic!("{other} has no shape of a refusal here; every venue needs one"),
    }
}

/// An acknowledgement of [`sell`].
fn acknowledgement(api: &dyn ExchangeApi) -> String {
    let id = api.wire_id(&client_id());
    match api.facts().id {
        "binance" => format!(
            r#"{{"symbol":"BTCUSDT","orderId":28,"clientOrderId":"{id}","transactTime":{NOW_MS},"origQty":"0.5","executedQty":"0.5","cummulativeQuoteQty":"25000","status":"FILLED","type":"MARKET","side":"SELL","fills":[]}}"#
        ),
        "okx" => format!(
            r#"{{"code":"0","msg":"","data":[{{"ordId":"28","clOrdId":"{id}","sCode":"0","sMsg":""}}]}}"#
        ),
        "bybit" => format!(
            r#"{{"retCode":0,"retMsg":"OK","result":{{"orderId":"28","orderLinkId":"{id}"}},"time":{NOW_MS}}}"#
        ),
        "kucoin" => {
            format!(r#"{{"code":"200000","data":{{"orderId":"28","clientOid":"{id}"}}}}"#)
        }
        "kraken" => r#"{"error":[],"result":{"txid":["28"],"descr":{"order":"x"}}}"#.to_owned(),
        "coinbase" => format!(
            r#"{{"success":true,"success_response":{{"order_id":"28","product_id":"BTC-USDT","side":"SELL","client_order_id":"{id}"}}}}"#
        ),
        other => panic!("{other} has no acknowledgement here; every venue needs one"),
    }
}

#[test]
fn an_order_is_called_by_its_32_digits_and_at_coinbase_as_a_uuid() {
    let ours = client_id();
    for id in ids() {
        let theirs = adapter(id, Canned::new(&[])).wire_id(&ours);
        assert_eq!(theirs.replace('-', ""), ours.as_str(), "{id}");
        assert_eq!(theirs.matches('-').count(), if id == "coinbase" { 4 } else { 0 }, "{id}");
    }
}

#[tokio::test]
async fn an_acknowledgement_is_one() {
    for id in ids() {
        let body = acknowledgement(adapter(id, Canned::new(&[])).as_ref());
        let placed = answer_to_sell(id, 200, &body).await.unwrap();
        let name = match placed {
            Placed::Accepted { venue_order_id } => venue_order_id,
            Placed::State(state) => state.venue_order_id,
        };
        assert_eq!(name, "28", "{id}");
    }
}

#[tokio::test]
async fn f004_f005_a_failing_server_or_a_redirect_says_nothing_about_an_order() {
    for id in ids() {
        let fine = acknowledgement(adapter(id, Canned::new(&[])).as_ref());
        for status in [301, 302, 307, 308, 500, 502, 503, 504, 520] {
            for body in [fine.as_str(), "", "<html>busy</html>", "{}"] {
                let answer = answer_to_sell(id, status, body).await;
                assert!(matches!(answer, Err(ApiError::Unknown(_))), "{id} {status}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn f006_codes_that_mean_unknown_are_unknown_one_by_one() {
    let table: [(&str, &[&str]); 6] = [
        ("binance", &["-1000", "-1001", "-1006", "-1007", "-1008", "-1016", "-2026", "-9999", "0"]),
        ("okx", &["50001", "50004", "50005", "50013", "50026", "51149", "59999", "1", "x"]),
        ("bybit", &["10000", "10016", "170007", "170032", "170035", "170146", "999999", "-1"]),
        ("kucoin", &["500000", "300000", "999999", "200000000", "x", "0"]),
        (
            "kraken",
            &[
                "EService:Unavailable",
                "EService:Busy",
                "EService:Timeout",
                "EService:Deadline elapsed",
                "EService:Market in cancel_only mode",
                "EGeneral:Internal error",
                "EGeneral:Unknown method",
                "EAPI:Feature disabled",
                "EFunding:Unknown asset",
                "",
            ],
        ),
        (
            "coinbase",
            &[
                "UNKNOWN_FAILURE_REASON",
                "UNKNOWN",
                "OUT_OF_COFFEE",
                "insufficient_fund",
                "INTERNAL",
            ],
        ),
    ];
    for id in ids() {
        for code in *line(&table, id) {
            let (status, body) = refusal(id, code, "said the venue");
            let answer = answer_to_sell(id, status, &body).await;
            assert!(matches!(answer, Err(ApiError::Unknown(_))), "{id} {code}: {answer:?}");
        }
    }
}

/// The ranges in which a venue's documented refusals lie. Read from the venues' lists, not from the
/// adapters.
fn may_be_documented(id: &str, code: i64) -> bool {
    match id {
        "binance" => {
            matches!(code, -1003 | -1013 | -1015 | -1021 | -1022 | -1199..=-1100 | -2015..=-2010)
        }
        "okx" => matches!(code, 50000..=50199 | 51000..=51999),
        "bybit" => matches!(code, 10001..=10010 | 10029 | 33_004 | 170_116..=170_213),
        "kucoin" => {
            matches!(code, 200_001..=200_004 | 400_001..=400_999 | 411_100 | 429_000 | 600_100..=600_101 | 900_001)
        }
        _ => false,
    }
}

#[tokio::test]
async fn f006_no_code_that_nobody_listed_is_taken_for_a_refusal() {
    for id in ids() {
        let refused = |answer: &Answer<Placed>| !matches!(answer, Err(ApiError::Unknown(_)));
        // Signatures on a curve are slow, and the codes of these two are words.
        let steps = if ["coinbase", "kraken"].contains(&id) { 50 } else { 1500 };
        for step in 0..steps {
            for code in [step * 71, step * 173, -step * 3] {
                let (status, body) = refusal(id, &code.to_string(), "surprise");
                let answer = answer_to_sell(id, status, &body).await;
                assert!(
                    !refused(&answer) || may_be_documented(id, code),
                    "{id} {code}: {answer:?}"
                );
            }
        }
        for code in ["EOrdre:x", "e", "ORDER", "51008 ", "+51008", "-2010x", "INSUFFICIENT", "null"]
        {
            let text = if ["binance", "bybit"].contains(&id) {
                format!("\"{code}\"")
            } else {
                code.to_owned()
            };
            let (status, body) = refusal(id, &text, "surprise");
            let answer = answer_to_sell(id, status, &body).await;
            assert!(!refused(&answer), "{id} {code}: {answer:?}");
        }
    }
}

/// Every call of an adapter that asks or writes, with its name.
async fn every_call(
    api: &dyn ExchangeApi,
    which: usize,
) -> Option<(&'static str, Option<ApiError>)> {
    let market = symbol("BTC/USDT");
    let since = Timestamp::from_ms(NOW_MS - 60_000);
    let id = client_id();
    Some(match which {
        0 => ("time", api.time().await.err()),
        1 => ("markets", api.markets().await.err()),
        2 => ("candles", api.candles(&market, Timeframe::H1, Some(since), 5).await.err()),
        3 => ("tickers", api.tickers(&[market, symbol("ETH/USDT")]).await.err()),
        4 => ("book", api.book(&market, 5).await.err()),
        5 => ("balances", api.balances().await.err()),
        6 => ("market_order", api.market_order(&sell()).await.err()),
        7 => ("order by ours", api.order(&market, Reference::Client(&id)).await.err()),
        8 => ("order by theirs", api.order(&market, Reference::Venue("28")).await.err()),
        9 => ("open_orders", api.open_orders(Some(&market)).await.err()),
        10 => ("closed_orders", api.closed_orders(&market, since).await.err()),
        11 => ("own_trades", api.own_trades(&market, since).await.err()),
        12 => ("order_trades", api.order_trades(&market, "28").await.err()),
        13 => ("cancel", api.cancel(&market, Reference::Venue("28")).await.err()),
        14 => ("key_rights", api.key_rights().await.err()),
        _ => return None,
    })
}

#[tokio::test]
async fn f007_a_page_a_fragment_or_another_shape_is_never_an_answer() {
    let bodies = [
        "",
        "<html><body>Please wait</body></html>",
        "null",
        "true",
        "42",
        "\"ok\"",
        "{",
        "{}",
        r#"{"error":"#,
        r#"{"surprise":{"rows":[1,2]}}"#,
        r#"{"error":[],"result":null}"#,
        r#"{"code":"0","data":null}"#,
        r#"{"code":"200000"}"#,
        r#"{"retCode":0,"retMsg":"OK"}"#,
        r#"{"success":true}"#,
        "\u{0}\u{1}",
    ];
    for id in ids() {
        for body in bodies {
            let mut which = 0;
            // The same reply to everything that a call may ask.
            let many: Vec<(u16, &str)> = vec![(200, body); 12];
            while let Some((call, error)) =
                every_call(adapter(id, Canned::new(&many)).as_ref(), which).await
            {
                assert!(
                    matches!(error, Some(ApiError::Unknown(_))),
                    "{id}: {call} took {body:?} for an answer: {error:?}"
                );
                which += 1;
            }
        }
    }
}

#[tokio::test]
async fn f008_a_refusal_inside_of_a_success_is_a_refusal_with_its_reason() {
    let inner_of_okx = |code: &str| {
        let data = format!(r#"[{{"ordId":"","clOrdId":"","sCode":"{code}","sMsg":"said OKX"}}]"#);
        [
            format!(r#"{{"code":"0","msg":"","data":{data}}}"#),
            format!(r#"{{"code":"1","msg":"","data":{data}}}"#),
        ]
    };
    for id in ids() {
        let cases: Vec<(String, Refusal, &str)> = match id {
            "okx" => [
                ("51008", Refusal::Funds),
                ("51020", Refusal::Parameters),
                ("51016", Refusal::DuplicateId),
            ]
            .into_iter()
            .flat_map(|(code, kind)| inner_of_okx(code).map(|body| (body, kind, code)))
            .collect(),
            "kraken" => vec![
                (
                    refusal(id, "EOrder:Insufficient funds", "").1,
                    Refusal::Funds,
                    "EOrder:Insufficient funds",
                ),
                (
                    refusal(id, "EGeneral:Invalid arguments:volume", "").1,
                    Refusal::Parameters,
                    "EGeneral:Invalid arguments:volume",
                ),
            ],
            "coinbase" => vec![
                (refusal(id, "INSUFFICIENT_FUND", "no").1, Refusal::Funds, "INSUFFICIENT_FUND"),
                (
                    refusal(id, "INVALID_SIZE_PRECISION", "no").1,
                    Refusal::Parameters,
                    "INVALID_SIZE_PRECISION",
                ),
            ],
            "bybit" => vec![
                (refusal(id, "170131", "no").1, Refusal::Funds, "170131"),
                (refusal(id, "170140", "no").1, Refusal::Parameters, "170140"),
            ],
            "kucoin" => vec![
                (refusal(id, "200004", "Balance insufficient!").1, Refusal::Funds, "200004"),
                (refusal(id, "400100", "size too small").1, Refusal::Parameters, "400100"),
            ],
            // Binance says no by its status.
            "binance" => {
                let body = refusal(id, "-2010", "Account has insufficient balance").1;
                assert!(matches!(answer_to_sell(id, 200, &body).await, Err(ApiError::Unknown(_))));
                Vec::new()
            }
            other => panic!("{other} has no line here; every venue needs one"),
        };
        for (body, kind, expected) in cases {
            match answer_to_sell(id, 200, &body).await {
                Err(ApiError::Refused { refusal, code, .. }) => {
                    assert_eq!((refusal, code.as_str()), (kind, expected), "{id}");
                }
                other => panic!("{id} {expected}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn f011_an_id_that_was_used_before_is_neither_a_rejection_nor_a_success() {
    let table: [(&str, &[(&str, &str)]); 6] = [
        ("binance", &[("-2010", "Duplicate order sent.")]),
        ("okx", &[("51016", "Duplicated client order ID")]),
        ("bybit", &[("170141", "Duplicate clientOrderId")]),
        // The venue documents no code; a complaint about the id is not known, and looked up too.
        ("kucoin", &[("400100", "clientOid has been used")]),
        (
            "kraken",
            &[
                ("EOrder:Duplicate order", ""),
                ("EOrder:cl_ord_id in use", ""),
                ("EGeneral:Invalid arguments:cl_ord_id", ""),
            ],
        ),
        ("coinbase", &[("DUPLICATE_CLIENT_ORDER_ID", "")]),
    ];
    for id in ids() {
        for (code, message) in *line(&table, id) {
            let (status, body) = refusal(id, code, message);
            let answer = answer_to_sell(id, status, &body).await;
            let evidence = matches!(
                answer,
                Err(ApiError::Refused { refusal: Refusal::DuplicateId, .. } | ApiError::Unknown(_))
            );
            assert!(evidence, "{id} {code}: {answer:?}");
            assert_eq!(
                id == "kucoin",
                matches!(answer, Err(ApiError::Unknown(_))),
                "{id} {code}: {answer:?}"
            );
        }
    }
}

/// The order that an adapter sends, as one text of URL and body.
async fn sent(id: &str, order: &MarketOrder) -> (Request, String) {
    let transport = Canned::new(&[(200, PRODUCT)]);
    let _ = adapter(id, Arc::clone(&transport)).market_order(order).await;
    let request = transport.requests().pop().unwrap();
    let text = format!("{} {}", request.url, request.body.as_deref().unwrap_or_default());
    (request, text)
}

/// Parts of an order as it is sent.
type Parts = &'static [&'static str];

#[tokio::test]
async fn f023_the_unit_of_a_market_buy_is_the_one_that_was_meant() {
    // By base amount, by cost, and what neither may hold beside it.
    let table: [(&str, (Parts, Parts)); 6] = [
        ("binance", (&["&quantity=0.5&"], &["&quoteOrderQty=100.25&"])),
        (
            "okx",
            (
                &[r#""sz":"0.5""#, r#""tgtCcy":"base_ccy""#],
                &[r#""sz":"100.25""#, r#""tgtCcy":"quote_ccy""#],
            ),
        ),
        (
            "bybit",
            (
                &[r#""qty":"0.5""#, r#""marketUnit":"baseCoin""#],
                &[r#""qty":"100.25""#, r#""marketUnit":"quoteCoin""#],
            ),
        ),
        ("kucoin", (&[r#""size":"0.5""#], &[r#""funds":"100.25""#])),
        (
            "kraken",
            (&["&volume=0.5&", "&oflags=fciq&"], &["&volume=100.25&", "&oflags=fciq%2Cviqc&"]),
        ),
        // Half a bitcoin at the plan's 50,000.
        ("coinbase", (&[r#""quote_size":"25000""#], &[r#""quote_size":"100.25""#])),
    ];
    for id in ids() {
        let (base, cost) = *line(&table, id);
        let by_base = sent(id, &buy("BTC/USDT", "0.5")).await.1;
        let by_cost = OrderAmount::Quote("100.25".parse().unwrap());
        let by_cost = sent(id, &MarketOrder { amount: by_cost, ..buy("BTC/USDT", "1") }).await.1;
        for (wanted, other, text) in [(base, cost, &by_base), (cost, base, &by_cost)] {
            assert!(wanted.iter().all(|part| text.contains(part)), "{id}: {text}");
            assert!(!other.iter().any(|part| text.contains(part)), "{id}: {text}");
        }
        let sold = sent(id, &sell()).await.1;
        assert!(sold.contains("0.5") && !sold.contains("25000"), "{id} sells by base: {sold}");
    }
}

#[tokio::test]
async fn f023_an_amount_keeps_every_digit_and_never_gets_an_exponent() {
    for id in ids() {
        for amount in ["0.00000001", "123456789012.12345678", "100000000", "0.1"] {
            let order = MarketOrder {
                amount: OrderAmount::Base(Qty::new(amount.parse().unwrap())),
                ..sell()
            };
            let text = sent(id, &order).await.1;
            assert!(text.contains(amount), "{id} {amount}: {text}");
        }
    }
}

/// The nonce in a signed body of Kraken.
fn nonce(request: &Request) -> i64 {
    let body = request.body.as_deref().unwrap();
    body.split('&').next().unwrap().strip_prefix("nonce=").unwrap().parse().unwrap()
}

#[tokio::test]
async fn f053_nonces_rise_also_in_one_millisecond_and_when_the_clock_is_set_back() {
    let transport = Canned::new(&[]);
    let api = adapter("kraken", Arc::clone(&transport));
    let ask = || api.balances();
    let _ = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask(), ask(), ask());
    transport.set_clock(NOW_MS - 3_600_000);
    let _ = tokio::join!(ask(), ask(), ask());
    transport.set_clock(NOW_MS + 5);
    let _ = ask().await;
    let nonces: Vec<i64> = transport.requests().iter().map(nonce).collect();
    assert_eq!(nonces.len(), 12);
    assert!(nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
    assert_eq!(nonces[0], NOW_MS * 1000, "microseconds of the venue's clock");
    assert_eq!(*nonces.last().unwrap(), (NOW_MS + 5) * 1000, "and back to it when it has passed");
}

#[tokio::test]
async fn f053_a_restart_goes_on_above_the_last_nonce_because_the_venues_clock_did() {
    let first = Canned::new(&[]);
    let _ = adapter("kraken", Arc::clone(&first)).balances().await;
    let second = Canned::new(&[]);
    second.set_clock(NOW_MS + 1);
    let _ = adapter("kraken", Arc::clone(&second)).balances().await;
    assert!(nonce(&second.requests()[0]) > nonce(&first.requests()[0]));
}

#[tokio::test]
async fn f053_private_questions_of_kraken_take_turns() {
    let transport = Canned::new(&[]);
    let api = adapter("kraken", Arc::clone(&transport));
    let market = symbol("BTC/USDT");
    let order = sell();
    let _ = tokio::join!(
        api.balances(),
        api.market_order(&order),
        api.open_orders(Some(&market)),
        api.key_rights()
    );
    assert_eq!(transport.most_at_once(), 1);
}

/// A balance of bitcoin: 1 free, 2 in orders; `minus` puts a minus before the free amount.
fn bitcoin(id: &str, minus: &str) -> String {
    let total = if minus.is_empty() { "3" } else { "-1" };
    match id {
        "binance" => format!(
            r#"{{"balances":[{{"asset":"BTC","free":"{minus}1","locked":"2"}},{{"asset":"LDBTC","free":"5","locked":"0"}}]}}"#
        ),
        "okx" => format!(
            r#"{{"code":"0","msg":"","data":[{{"details":[{{"ccy":"BTC","availBal":"{minus}1","frozenBal":"2","liab":""}}]}}]}}"#
        ),
        "bybit" => format!(
            r#"{{"retCode":0,"retMsg":"OK","time":{NOW_MS},"result":{{"list":[{{"accountType":"UNIFIED","coin":[{{"coin":"BTC","walletBalance":"{total}","locked":"2","spotBorrow":"0"}}]}}]}}}}"#
        ),
        "kucoin" => format!(
            r#"{{"code":"200000","data":[{{"currency":"BTC","type":"trade","balance":"{total}","available":"{minus}1","holds":"2"}}]}}"#
        ),
        "kraken" => format!(
            r#"{{"error":[],"result":{{"XXBT":{{"balance":"0","hold_trade":"2"}},"XBT.F":{{"balance":"{total}","hold_trade":"0"}},"XBT.M":{{"balance":"7","hold_trade":"0"}},"XBT.S":{{"balance":"7","hold_trade":"0"}},"XBT.B":{{"balance":"7","hold_trade":"0"}}}}}}"#
        ),
        "coinbase" => format!(
            r#"{{"accounts":[{{"currency":"BTC","type":"ACCOUNT_TYPE_CRYPTO","available_balance":{{"value":"{minus}1"}},"hold":{{"value":"2"}}}},{{"currency":"BTC","type":"ACCOUNT_TYPE_VAULT","available_balance":{{"value":"5"}},"hold":{{"value":"0"}}}}],"has_next":false,"cursor":""}}"#
        ),
        other => panic!("{other} has no balances here; every venue needs some"),
    }
}

/// What KuCoin's names mean it asks first.
const KUCOIN_SYMBOLS: &str = r#"{"code":"200000","data":[{"symbol":"BTC-USDT","baseCurrency":"BTC","quoteCurrency":"USDT","baseMinSize":"0.00001","quoteMinSize":"0.1","baseMaxSize":"10000","baseIncrement":"0.00000001","minFunds":"0.1","enableTrading":true}]}"#;

fn replies<'a>(id: &str, body: &'a str) -> Vec<(u16, &'a str)> {
    if id == "kucoin" { vec![(200, KUCOIN_SYMBOLS), (200, body)] } else { vec![(200, body)] }
}

#[tokio::test]
async fn f067_funds_in_orders_or_in_earn_are_not_free() {
    for id in ids() {
        let body = bitcoin(id, "");
        let balances = adapter(id, Canned::new(&replies(id, &body))).balances().await.unwrap();
        let names: Vec<&str> = balances.keys().map(|ticker| ticker.as_str()).collect();
        assert_eq!(names, ["BTC"], "{id}");
        let bitcoin = balances.values().next().unwrap();
        let amounts = (bitcoin.free.to_string(), bitcoin.used.to_string());
        assert_eq!(amounts, ("1".to_owned(), "2".to_owned()), "{id}");
    }
}

/// Balances of Kraken, as `name free used`.
async fn kraken_balances(rows: &[(&str, &str, &str)]) -> Vec<String> {
    let rows: serde_json::Map<String, serde_json::Value> = rows
        .iter()
        .map(|(name, balance, held)| {
            ((*name).to_owned(), serde_json::json!({"balance": balance, "hold_trade": held}))
        })
        .collect();
    let body = serde_json::json!({"error": [], "result": rows}).to_string();
    let balances = adapter("kraken", Canned::new(&[(200, &body)])).balances().await.unwrap();
    balances.iter().map(|(ticker, row)| format!("{ticker} {} {}", row.free, row.used)).collect()
}

#[tokio::test]
async fn f067_what_earns_by_itself_at_kraken_is_there_to_be_traded() {
    // Bought coins move there on their own: read as nothing, they would be bought again.
    let rows = [("XXBT", "0", "0"), ("XBT.F", "1.5", "0")];
    assert_eq!(kraken_balances(&rows).await, ["BTC 1.5 0"]);
    let rows = [("USDT.F", "7", "0"), ("USD.F", "9", "0"), ("ZUSD", "1", "0")];
    assert_eq!(kraken_balances(&rows).await, ["USD 10 0", "USDT 7 0"]);
    let rows = [("XXBT", "1", "0"), ("XBT.F", "2", "0"), ("XDG.F", "3", "0")];
    assert_eq!(kraken_balances(&rows).await, ["BTC 3 0", "DOGE 3 0"]);
    // An order holds more than the base name has.
    let rows = [("USDT", "1", "4"), ("USDT.F", "5", "0")];
    assert_eq!(kraken_balances(&rows).await, ["USDT 2 4"]);
    let rows = [("USDT", "1", "7"), ("USDT.F", "5", "0")];
    assert_eq!(kraken_balances(&rows).await, ["USDT 0 6"]);
    let rows = ["ETH.S", "ETH2.S", "ETH.M", "ETH.B", "ETH.P", "ETH.T", "USD.HOLD", "SOL03.S.F"];
    assert_eq!(kraken_balances(&rows.map(|name| (name, "1", "0"))).await, Vec::<String>::new());
}

#[tokio::test]
async fn f074_orders_are_spot_only_and_negative_balances_are_refused() {
    // What the order must say, and where it must go.
    let table: [(&str, (&str, &str)); 6] = [
        ("binance", ("https://api.binance.com/api/v3/order", "type=MARKET")),
        ("okx", ("https://www.okx.com/api/v5/trade/order", r#""tdMode":"cash""#)),
        ("bybit", ("https://api.bybit.com/v5/order/create", r#""isLeverage":0"#)),
        ("kucoin", ("https://api.kucoin.com/api/v1/hf/orders", r#""type":"market""#)),
        ("kraken", ("https://api.kraken.com/0/private/AddOrder", "ordertype=market")),
        ("coinbase", ("https://api.coinbase.com/api/v3/brokerage/orders", "market_market_ioc")),
    ];
    for id in ids() {
        let (url, part) = *line(&table, id);
        let (request, text) = sent(id, &buy("BTC/USDT", "0.5")).await;
        assert_eq!((request.method, request.url.as_str()), (Method::Post, url), "{id}");
        assert!(text.contains(part), "{id}: {text}");
        let lower = text.to_ascii_lowercase();
        assert!(!lower.contains("margin") && !lower.contains("borrow"), "{id}: {text}");
        assert_eq!(lower.contains("leverage"), id == "bybit", "{id}: {text}");

        let body = bitcoin(id, "-");
        let answer = adapter(id, Canned::new(&replies(id, &body))).balances().await;
        assert!(matches!(answer, Err(ApiError::Unknown(_))), "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn f074_debts_are_refused_also_when_the_balance_is_above_zero() {
    let okx = r#"{"code":"0","msg":"","data":[{"details":[{"ccy":"BTC","availBal":"1","frozenBal":"0","liab":"-0.5"}]}]}"#;
    let bybit = r#"{"retCode":0,"retMsg":"OK","time":1760000123456,"result":{"list":[{"coin":[{"coin":"BTC","walletBalance":"1","locked":"0","spotBorrow":"2"}]}]}}"#;
    for (id, body) in [("okx", okx), ("bybit", bybit)] {
        let answer = adapter(id, Canned::new(&[(200, body)])).balances().await;
        assert!(matches!(answer, Err(ApiError::Unknown(_))), "{id}: {answer:?}");
    }
}

#[tokio::test]
async fn f076_two_names_of_one_asset_are_one_asset() {
    let body = r#"{"error":[],"result":{"XXBT":{"balance":"1","hold_trade":"0"},"XBT":{"balance":"2","hold_trade":"0.5"},"XXDG":{"balance":"7","hold_trade":"0"},"ZUSD":{"balance":"9","hold_trade":"0"},"ZETA":{"balance":"3","hold_trade":"0"}}}"#;
    let balances = adapter("kraken", Canned::new(&[(200, body)])).balances().await.unwrap();
    let shown: Vec<String> = balances
        .iter()
        .map(|(ticker, row)| format!("{ticker} {} {}", row.free, row.used))
        .collect();
    assert_eq!(shown, ["BTC 2.5 0.5", "DOGE 7 0", "USD 9 0", "ZETA 3 0"]);

    let body = r#"{"accounts":[{"currency":"CGLD","available_balance":{"value":"1"}},{"currency":"CELO","available_balance":{"value":"2"}}],"cursor":""}"#;
    let balances = adapter("coinbase", Canned::new(&[(200, body)])).balances().await.unwrap();
    assert_eq!(balances[&"CELO".parse().unwrap()].free.to_string(), "3");
    assert_eq!(balances.len(), 1);
}

#[tokio::test]
async fn f076_an_asset_that_is_listed_twice_is_not_counted_twice() {
    let twice = |row: &str, whole: &str| whole.replace("ROW", &format!("{row},{row}"));
    let cases = [
        ("binance", twice(r#"{"asset":"BTC","free":"1","locked":"0"}"#, r#"{"balances":[ROW]}"#)),
        (
            "okx",
            twice(
                r#"{"ccy":"BTC","availBal":"1","frozenBal":"0"}"#,
                r#"{"code":"0","msg":"","data":[{"details":[ROW]}]}"#,
            ),
        ),
        (
            "bybit",
            twice(
                r#"{"coin":"BTC","walletBalance":"1","locked":"0"}"#,
                r#"{"retCode":0,"retMsg":"OK","time":1760000123456,"result":{"list":[{"coin":[ROW]}]}}"#,
            ),
        ),
    ];
    for (id, body) in cases {
        let answer = adapter(id, Canned::new(&[(200, &body)])).balances().await;
        let counted = answer.map(|balances| balances[&"BTC".parse().unwrap()].free.to_string());
        assert_ne!(counted, Ok("2".to_owned()), "{id}");
    }
}

#[tokio::test]
async fn f076_markets_are_asked_for_by_the_venues_name_and_answered_by_ours() {
    let transport = Canned::new(&[(
        200,
        r#"{"error":[],"result":{"XXBTZUSD":{"a":["2"],"b":["1"],"c":["1.5"]},"XDGUSD":{"a":["2"],"b":["1"],"c":["1.5"]}}}"#,
    )]);
    let asked = [symbol("BTC/USD"), symbol("DOGE/USD")];
    let quotes = adapter("kraken", Arc::clone(&transport)).tickers(&asked).await.unwrap();
    assert!(transport.requests()[0].url.ends_with("?pair=XBTUSD%2CXDGUSD"));
    assert_eq!(
        quotes.iter().map(|quote| &quote.symbol).collect::<Vec<_>>(),
        [&asked[0], &asked[1]]
    );
}

#[tokio::test]
async fn f076_names_that_kraken_uses_for_other_coins_are_the_coins_that_everybody_means() {
    // LUNA there is the coin from before the split, and UST the dollar that it broke with.
    let names =
        [("LUNA", "LUNC"), ("LUNA2", "LUNA"), ("UST", "USTC"), ("XREP", "REPV1"), ("REPV2", "REP")];
    let rows = names.map(|(theirs, _)| (theirs, "1", "0"));
    let mut ours = names.map(|(_, ours)| format!("{ours} 1 0"));
    ours.sort();
    assert_eq!(kraken_balances(&rows).await, ours);
    for (theirs, ours) in names {
        let short = theirs.trim_start_matches('X');
        let pair = serde_json::json!({"altname": format!("{short}USD"), "aclass_base": "currency", "base": theirs,
            "aclass_quote": "currency", "quote": "ZUSD", "lot_decimals": 8, "lot_multiplier": 1, "ordermin": "1",
            "costmin": "0.5", "status": "online"});
        let id = if theirs == "XREP" { "XREPZUSD".to_owned() } else { format!("{theirs}USD") };
        let pairs = serde_json::json!({"error": [], "result": {id.clone(): pair}}).to_string();
        let quote = serde_json::json!({"error": [], "result": {id: {"a": ["2"], "b": ["1"], "c": ["1.5"]}}});
        let transport = Canned::new(&[(200, &pairs), (200, &quote.to_string())]);
        let api = adapter("kraken", Arc::clone(&transport));
        let market = symbol(&format!("{ours}/USD"));
        assert!(api.markets().await.unwrap().contains_key(&market), "{theirs}");
        let quotes = api.tickers(std::slice::from_ref(&market)).await.unwrap();
        assert_eq!(quotes[0].symbol, market);
        let asked = &transport.requests()[1].url;
        assert!(asked.ends_with(&format!("?pair={short}USD")), "{asked}");
    }
}

#[tokio::test]
async fn f076_a_market_of_another_exchange_in_krakens_table_is_none_of_its_markets() {
    let pair = |altname: &str, venue: Option<&str>| {
        let mut pair = serde_json::json!({"altname": altname, "base": altname.trim_end_matches("USDT"), "quote": "USDT",
            "lot_decimals": 8, "ordermin": "1", "status": "online"});
        if let Some(venue) = venue {
            pair["execution_venue"] = venue.into();
        }
        pair
    };
    let body = serde_json::json!({"error": [], "result": {
        "AUSDT": pair("AUSDT", None),
        "BUSDT": pair("BUSDT", Some("international")),
        "CUSDT": pair("CUSDT", Some("bitnomial_exchange")),
    }})
    .to_string();
    let markets = adapter("kraken", Canned::new(&[(200, &body)])).markets().await.unwrap();
    let names: Vec<String> = markets.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["A/USDT", "B/USDT"]);
}

/// A row of a venue's table of markets.
fn market_row(id: &str, base: &str) -> String {
    match id {
        "binance" => format!(
            r#"{{"symbol":"{base}USDT","status":"TRADING","baseAsset":"{base}","quoteAsset":"USDT","orderTypes":["MARKET"],"isSpotTradingAllowed":true,"filters":[{{"filterType":"LOT_SIZE","stepSize":"0.1","minQty":"0.1","maxQty":"9"}}]}}"#
        ),
        "okx" => format!(
            r#"{{"baseCcy":"{base}","quoteCcy":"USDT","lotSz":"0.1","minSz":"0.1","state":"live"}}"#
        ),
        "bybit" => format!(
            r#"{{"symbol":"{base}USDT","baseCoin":"{base}","quoteCoin":"USDT","status":"Trading","lotSizeFilter":{{"basePrecision":"0.1","minOrderAmt":"5"}}}}"#
        ),
        "kucoin" => format!(
            r#"{{"symbol":"{base}-USDT","baseCurrency":"{base}","quoteCurrency":"USDT","baseMinSize":"0.1","quoteMinSize":"0.1","baseMaxSize":"9","baseIncrement":"0.1","enableTrading":true}}"#
        ),
        "kraken" => format!(
            r#"{{"altname":"{base}USDT","base":"{base}","quote":"USDT","lot_decimals":1,"ordermin":"0.1","costmin":"0.5","status":"online"}}"#
        ),
        "coinbase" => format!(
            r#"{{"product_id":"{base}-USDT","product_type":"SPOT","status":"online","base_increment":"0.1","base_min_size":"0.1","quote_min_size":"1","quote_increment":"0.01"}}"#
        ),
        other => panic!("{other} has no row of a market here; every venue needs one"),
    }
}

/// A table of these rows.
fn market_table(id: &str, rows: &[String]) -> String {
    let list = rows.join(",");
    match id {
        "binance" => format!(r#"{{"rateLimits":[],"symbols":[{list}]}}"#),
        "okx" => format!(r#"{{"code":"0","msg":"","data":[{list}]}}"#),
        "bybit" => format!(
            r#"{{"retCode":0,"retMsg":"OK","result":{{"nextPageCursor":"","list":[{list}]}},"time":{NOW_MS}}}"#
        ),
        "kucoin" => format!(r#"{{"code":"200000","data":[{list}]}}"#),
        "kraken" => {
            let named =
                rows.iter().enumerate().map(|(number, row)| format!(r#""P{number}":{row}"#));
            format!(r#"{{"error":[],"result":{{{}}}}}"#, named.collect::<Vec<_>>().join(","))
        }
        "coinbase" => format!(r#"{{"products":[{list}],"num_products":{}}}"#, rows.len()),
        other => panic!("{other} has no table of markets here; every venue needs one"),
    }
}

#[tokio::test]
async fn f062_an_odd_row_costs_its_own_market_and_a_table_of_odd_rows_is_none() {
    for id in ids() {
        let rows: Vec<String> =
            ('A'..='T').map(|letter| market_row(id, &letter.to_string())).collect();
        let read = async |rows: &[String]| {
            let body = market_table(id, rows);
            adapter(id, Canned::new(&[(200, &body)])).markets().await
        };
        let seen = read(&rows).await.map(|markets| markets.len());
        assert_eq!(seen, Ok(20), "{id}");
        let spoiled =
            |to: &str| market_row(id, "ODD").replace("0.1", to).replace(":1,", &format!(":{to},"));
        for odd in ["{}", "null", "[]", "7", &spoiled("x"), &spoiled("-0.1"), &spoiled("")] {
            let odd = odd.replace(":x,", r#":"x","#).replace(":,", ":null,");
            for place in [0, 10, 20] {
                let mut rows = rows.clone();
                rows.insert(place, odd.clone());
                let markets =
                    read(&rows).await.unwrap_or_else(|error| panic!("{id} {odd}: {error}"));
                let fine =
                    markets.values().filter(|rules| rules.active || id == "coinbase").count();
                assert_eq!(fine, 20, "{id} {odd}");
            }
        }
        let odd = vec!["{}".to_owned(); 3];
        let nothing = read(&odd).await;
        assert!(matches!(nothing, Err(ApiError::Unknown(_))), "{id}: {nothing:?}");
        // These two list much that is no spot market, and cannot tell it from what cannot be read.
        if !["kraken", "coinbase"].contains(&id) {
            let many = read(&[rows, odd].concat()).await;
            let Err(ApiError::Unknown(why)) = many else { panic!("{id}: {many:?}") };
            assert!(why.contains("3 of 23"), "{id}: {why}");
        }
    }
}

/// What a venue says about a key that may read and trade on the spot market; `MORE` and `MAY` are places
/// for another right.
fn rights(id: &str, more: bool) -> String {
    let body = match id {
        "binance" => {
            r#"{"ipRestrict":true,"enableReading":true,"enableSpotAndMarginTrading":true,"enableWithdrawals":false,"enableTeleport":MAY}"#
        }
        "okx" => {
            r#"{"code":"0","msg":"","data":[{"perm":"read_only,tradeMORE","ip":"192.0.2.1"}]}"#
        }
        "bybit" => {
            r#"{"retCode":0,"retMsg":"OK","time":1760000123456,"result":{"readOnly":0,"ips":["192.0.2.1"],"permissions":{"Spot":["SpotTrade"],"Teleport":[LIST]}}}"#
        }
        "kucoin" => {
            r#"{"code":"200000","data":{"permission":"General,SpotMORE","ipWhitelist":"192.0.2.1"}}"#
        }
        "kraken" => {
            r#"{"error":[],"result":{"ipAllowlist":["192.0.2.1"],"permissions":["query-funds","query-open-trades","query-closed-trades","modify-trades","close-trades"NEXT]}}"#
        }
        "coinbase" => {
            r#"{"can_view":true,"can_trade":true,"can_transfer":false,"can_teleport":MAY}"#
        }
        other => panic!("{other} has no rights here; every venue needs some"),
    };
    let pick = |right: &'static str| if more { right } else { "" };
    body.replace("MAY", if more { "true" } else { "false" })
        .replace("MORE", pick(",teleport"))
        .replace("LIST", pick(r#""Teleport""#))
        .replace("NEXT", pick(r#","teleport""#))
}

#[tokio::test]
async fn f102_a_right_that_nobody_has_heard_of_counts_as_a_right_to_move_funds() {
    for id in ids() {
        for more in [false, true] {
            let body = rights(id, more);
            let rights = adapter(id, Canned::new(&[(200, &body)])).key_rights().await.unwrap();
            assert_eq!((rights.read, rights.trade), (Some(true), Some(true)), "{id}");
            assert_eq!(rights.withdraw, Some(more), "{id}: {:?}", rights.names);
        }
    }
}

#[tokio::test]
async fn f074_an_okx_account_that_cannot_trade_without_loans_or_may_borrow_says_so() {
    let rights = async |settings: &str| {
        let body = format!(
            r#"{{"code":"0","msg":"","data":[{{"perm":"read_only,trade","ip":"192.0.2.1"{settings}}}]}}"#
        );
        adapter("okx", Canned::new(&[(200, &body)])).key_rights().await.unwrap()
    };
    for (mode, name) in [("3", "multi-currency margin"), ("4", "portfolio margin")] {
        let rights = rights(&format!(r#","acctLv":"{mode}""#)).await;
        let why = rights.obstacle.unwrap();
        assert!(why.contains(name) && why.contains("Spot"), "{why}");
    }
    let off = r#","enableSpotBorrow":false,"autoLoan":false"#;
    for settings in ["", r#","acctLv":"1""#, r#","acctLv":"2""#, off] {
        let rights = rights(settings).await;
        assert_eq!((rights.obstacle, rights.warnings), (None, Vec::new()), "{settings}");
    }
    for flag in ["enableSpotBorrow", "autoLoan"] {
        let rights = rights(&format!(r#","acctLv":"1","{flag}":true"#)).await;
        assert_eq!((rights.trade, rights.obstacle), (Some(true), None));
        let [warning] = rights.warnings.as_slice() else { panic!("{flag}: {:?}", rights.warnings) };
        assert!(warning.contains(flag) && warning.contains("borrow"), "{warning}");
    }
}

#[tokio::test]
async fn f086_a_key_that_okx_does_not_know_may_be_one_of_another_region() {
    let body = r#"{"msg":"API key doesn't exist","code":"50119"}"#;
    let answer = adapter("okx", Canned::new(&[(401, body)])).balances().await;
    let Err(ApiError::Refused { refusal: Refusal::Auth, message, .. }) = answer else {
        panic!("{answer:?}")
    };
    for part in ["API key doesn't exist", "urls.api", "https://eea.okx.com", "https://us.okx.com"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn f086_a_key_that_ended_is_told_as_one_that_is_refused() {
    let (status, body) = refusal("bybit", "33004", "Your api key has expired");
    let api = adapter("bybit", Canned::new(&[(status, &body)]));
    let answer = api.balances().await;
    let refused = matches!(answer, Err(ApiError::Refused { refusal: Refusal::Auth, .. }));
    assert!(refused, "{answer:?}");
    assert!(api.key_refused().is_some_and(|words| words.contains("expired")));
}

#[tokio::test]
async fn an_order_whose_unit_could_not_be_read_was_not_sent() {
    let transport = Canned::new(&[(503, "")]);
    let answer =
        adapter("coinbase", Arc::clone(&transport)).market_order(&buy("BTC/USDT", "0.5")).await;
    assert!(matches!(answer, Err(ApiError::NotSent(_))), "{answer:?}");
    assert!(transport.requests().iter().all(|request| request.method == Method::Get));
}
