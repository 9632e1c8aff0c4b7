//! Faults strike the calls that a script names, before or after they take effect.

use crate::client::{binance, http, public, read, still};
use keel_simex::Simex;
use keel_simex::faults::{Action, Body, Fault, When};
use keel_simex::prices::Place;
use keel_simex::server::Double;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ORDER: &str = "POST /api/v3/order";
const BUY: &str = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001";

async fn buy(simex: &Simex) -> Result<(u16, String), reqwest::Error> {
    let reply = binance(simex, "POST", "/api/v3/order", BUY).send().await?;
    let status = reply.status().as_u16();
    Ok((status, reply.text().await?))
}

#[tokio::test]
async fn a_dropped_connection_executes_or_not_as_the_script_says() {
    let simex = Simex::start(still()).await.unwrap();
    simex.fault(Fault::next(ORDER, When::Before, Action::Drop));
    assert!(buy(&simex).await.is_err());
    assert_eq!(simex.orders(Place::Binance).len(), 0);
    simex.fault(Fault::next(ORDER, When::After, Action::Drop));
    assert!(buy(&simex).await.is_err());
    assert_eq!(simex.orders(Place::Binance).len(), 1);
    simex.fault(Fault::next(ORDER, When::After, Action::Reset));
    assert!(buy(&simex).await.is_err());
    assert_eq!(simex.orders(Place::Binance).len(), 2);
    assert_eq!(buy(&simex).await.unwrap().0, 200);
    assert_eq!(simex.calls(Double::Binance, ORDER), 4);
}

#[tokio::test]
async fn a_reset_comes_after_exactly_so_many_bytes() {
    let simex = Simex::start(still()).await.unwrap();
    for bytes in [0, 1, 17, 60] {
        let endpoint = "GET /api/v3/ping";
        simex.fault(Fault::next(endpoint, When::After, Action::ResetAt(bytes)));
        let address = simex.url(Double::Binance).replace("http://", "");
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /api/v3/ping HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 256];
        let end = loop {
            match stream.read(&mut buffer).await {
                Ok(0) => break None,
                Ok(count) => seen.extend_from_slice(&buffer[..count]),
                Err(error) => break Some(error.kind()),
            }
        };
        assert_eq!(end, Some(std::io::ErrorKind::ConnectionReset), "after {bytes}");
        // A reset may overtake bytes that are on their way; it never lets more through.
        assert!(seen.len() as u64 <= bytes, "{} of {bytes}", seen.len());
    }
}

#[tokio::test]
async fn answers_are_replaced_or_spoiled() {
    let simex = Simex::start(still()).await.unwrap();
    let status = |code, body: &str| Action::Status {
        code,
        body: body.to_owned(),
        headers: BTreeMap::from([("retry-after".to_owned(), "7".to_owned())]),
    };
    let unknown = r#"{"code":-1007,"msg":"Timeout waiting for response from backend server. Send status unknown; execution status unknown."}"#;
    simex.fault(Fault::next(ORDER, When::After, status(503, unknown)));
    assert_eq!(buy(&simex).await.unwrap(), (503, unknown.to_owned()));
    assert_eq!(simex.orders(Place::Binance).len(), 1);
    simex.fault(Fault::next(ORDER, When::Before, status(500, "")));
    assert_eq!(buy(&simex).await.unwrap().0, 500);
    assert_eq!(simex.orders(Place::Binance).len(), 1);
    let bodies =
        [Body::Html, Body::Empty, Body::Cut, Body::WrongShape, Body::Text("null".to_owned())];
    for body in bodies {
        simex.fault(Fault::next(ORDER, When::After, Action::Body(body.clone())));
        let (status, text) = buy(&simex).await.unwrap();
        assert_eq!(status, 200);
        let usable = serde_json::from_str::<serde_json::Value>(&text)
            .is_ok_and(|value| value.get("orderId").is_some());
        assert!(!usable, "{body:?} gave {text}");
    }
    assert_eq!(simex.orders(Place::Binance).len(), 6);
}

#[tokio::test]
async fn scripts_count_calls_and_stand_until_they_are_cleared() {
    let simex = Simex::start(still()).await.unwrap();
    let refuse = Action::Status { code: 503, body: String::new(), headers: BTreeMap::new() };
    simex.fault(Fault::next("GET /api/v3/time", When::After, refuse.clone()).at_call(2).times(2));
    let time = async || read(public(&simex, Double::Binance, "/api/v3/time")).await.0;
    assert_eq!([time().await, time().await, time().await, time().await], [200, 503, 503, 200]);
    simex.fault(Fault::standing("*", When::Before, refuse).at("binance"));
    assert_eq!([time().await, time().await], [503, 503]);
    assert_eq!(read(public(&simex, Double::Okx, "/api/v5/public/time")).await.0, 200);
    simex.clear_faults();
    assert_eq!(time().await, 200);
}

#[tokio::test]
async fn a_delayed_request_takes_effect_although_nobody_waits() {
    let simex = Simex::start(still()).await.unwrap();
    simex.fault(Fault::next(ORDER, When::Before, Action::DelayMs(400)));
    let impatient =
        binance(&simex, "POST", "/api/v3/order", BUY).timeout(Duration::from_millis(100));
    assert!(impatient.send().await.is_err());
    assert_eq!(simex.orders(Place::Binance).len(), 0);
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if !simex.orders(Place::Binance).is_empty() {
            break;
        }
    }
    assert_eq!(simex.orders(Place::Binance).len(), 1);
}

#[tokio::test]
async fn a_repeated_delivery_executes_twice_and_the_oracle_sees_it() {
    let simex = Simex::start(still()).await.unwrap();
    simex.fault(Fault::next(ORDER, When::Before, Action::Duplicate));
    let sent = binance(&simex, "POST", "/api/v3/order", &format!("{BUY}&newClientOrderId=twice"));
    assert_eq!(read(sent).await.0, 200);
    assert_eq!(simex.oracle().duplicates(), ["twice"]);
    assert_eq!(simex.oracle().faults(), Vec::<&str>::new());
}

#[tokio::test]
async fn stale_answers_do_not_know_the_newest_order() {
    let simex = Simex::start(still()).await.unwrap();
    assert_eq!(buy(&simex).await.unwrap().0, 200);
    simex.fault(Fault::next("GET *", When::After, Action::Stale).times(2));
    let orders = "symbol=BTCUSDT&orderId=1000";
    let found = async || read(binance(&simex, "GET", "/api/v3/order", orders)).await.1;
    assert_eq!(found().await["code"], -2013);
    let (_, account) =
        read(binance(&simex, "GET", "/api/v3/account", "omitZeroBalances=true")).await;
    assert_eq!(account["balances"][0]["free"], "10000.00000000");
    assert_eq!(found().await["orderId"], 1000);
}

#[tokio::test]
async fn a_skewed_venue_refuses_the_time_of_others() {
    let simex = Simex::start(still()).await.unwrap();
    simex.set_skew(Place::Binance, 60_000);
    assert!(buy(&simex).await.unwrap().1.contains("-1021"));
    simex.set_skew(Place::Binance, 0);
    simex.fault(Fault::next(ORDER, When::Before, Action::SkewMs(-5_000)));
    assert!(buy(&simex).await.unwrap().1.contains("ahead of the server"));
    assert_eq!(buy(&simex).await.unwrap().0, 200);
}

#[tokio::test]
async fn requests_are_recorded_with_the_moment_of_their_first_byte() {
    let simex = Simex::start(still()).await.unwrap();
    let before = keel_simex::clock::wall_us();
    assert_eq!(buy(&simex).await.unwrap().0, 200);
    let all = http().get(format!("{}/api/v3/ping", simex.url(Double::Binance)));
    assert_eq!(read(all).await.0, 200);
    let after = keel_simex::clock::wall_us();
    let requests = simex.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].signed && !requests[1].signed);
    assert!(!requests[0].parameters.contains("signature"));
    assert!(requests.iter().all(|one| (before..=after).contains(&one.first_byte_us)));
}

#[tokio::test]
async fn a_request_can_be_cut_off_at_every_byte_and_takes_effect_only_when_whole() {
    let simex = Simex::start(still()).await.unwrap();
    let address = simex.url(Double::Binance).replace("http://", "");
    let key = &simex.config().venues[&Place::Binance].keys[0];
    let request = binance(&simex, "POST", "/api/v3/order", BUY).build().unwrap();
    let query = request.url().query().unwrap();
    let text = format!(
        "POST /api/v3/order HTTP/1.1\r\nhost: x\r\nx-mbx-apikey: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{query}",
        key.key,
        query.len()
    );
    let length = text.len() as u64;
    for bytes in [0, 1, 20, length / 2, length - 1, length] {
        simex.reset_request_at(Double::Binance, bytes);
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut reply = [0; 64];
        let answered = stream.read(&mut reply).await.is_ok_and(|count| count > 0);
        assert_eq!(answered, bytes == length, "at byte {bytes} of {length}");
    }
    assert_eq!(simex.orders(Place::Binance).len(), 1);
}
