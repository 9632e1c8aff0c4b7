//! The transport against a server that misbehaves: what is sent how often, what the caller is told,
//! and that nothing is without bounds.
#![allow(clippy::unwrap_used)]

mod loopback;

use flate2::Compression;
use flate2::write::GzEncoder;
use keel_core::amount::{Price, Qty};
use keel_core::order::{ClientOrderId, Side};
use keel_core::time::Timestamp;
use keel_venues::api::{
    Answer, ApiError, Bucket, ExchangeApi, MarketOrder, OrderAmount, Refusal, Used, VenueFacts,
};
use keel_venues::client::{ClockSample, Gates, HttpOptions, HttpTransport, measure_clock};
use keel_venues::http::{Kind, TransportError};
use keel_venues::venue::{Connection, Keys, venue};
use loopback::{FACTS, NOW_MS, Server, options, reply, send, transport};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

fn not_sent<T: std::fmt::Debug>(result: &Result<T, TransportError>) -> bool {
    matches!(result, Err(TransportError::NotSent(_)))
}

fn no_reply<T: std::fmt::Debug>(result: &Result<T, TransportError>) -> bool {
    matches!(result, Err(TransportError::NoReply(_)))
}

fn binance(transport: Arc<HttpTransport>, url: &str) -> Box<dyn ExchangeApi> {
    let secret = |text: &str| Zeroizing::new(text.to_owned());
    (venue("binance").unwrap().connect)(Connection {
        transport,
        urls: BTreeMap::from([("api".to_owned(), url.to_owned())]),
        keys: Some(Keys { api_key: secret("key"), secret: secret("secret"), password: None }),
        sandbox: false,
    })
}

#[tokio::test]
async fn f010_redirects_are_not_followed_and_a_post_is_sent_once() {
    for status in [301, 302, 307, 308] {
        let server =
            Server::answering(move |_, _| reply(status, "Location: /elsewhere\r\n", "moved"));
        let transport = transport(&server.url());
        let answer = send(&transport, &server.url(), Kind::Write).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(server.count(), 1, "{status}");
    }
}

#[tokio::test]
async fn f010_a_post_whose_connection_is_closed_without_a_reply_is_sent_once() {
    let server = Server::new(|stream, requests| {
        if let Some(head) = loopback::read_request(stream) {
            requests.lock().unwrap().push(head);
        }
    });
    let transport = transport(&server.url());
    assert!(no_reply(&send(&transport, &server.url(), Kind::Write).await));
    assert_eq!(server.count(), 1);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_write_never_uses_a_kept_connection_that_may_be_closing() {
    // Every connection is closed after its first reply, which does not say so.
    let server = Server::new(|stream, requests| {
        if let Some(head) = loopback::read_request(stream) {
            requests.lock().unwrap().push(head);
            let _ = stream.write_all(reply(200, "", "{}").as_bytes());
        }
    });
    let transport = transport(&server.url());
    for _ in 0..5 {
        send(&transport, &server.url(), Kind::PublicRead).await.unwrap();
        let answer = send(&transport, &server.url(), Kind::Write).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    let posts = server.requests.lock().unwrap().iter().filter(|r| r.starts_with("POST")).count();
    assert_eq!(posts, 5);
}

#[tokio::test]
async fn reads_are_tried_again_and_writes_are_not() {
    let server = Server::answering(|head, number| match number {
        _ if head.starts_with("POST") => reply(503, "", "{}"),
        0 => reply(503, "", "{}"),
        1 => reply(200, "", "<html>busy</html>"),
        _ => reply(200, "", "{\"fine\":1}"),
    });
    let transport = transport(&server.url());
    let answer = send(&transport, &server.url(), Kind::PrivateRead).await.unwrap();
    assert_eq!(answer.body, "{\"fine\":1}");
    assert_eq!(server.count(), 3);
    let answer = send(&transport, &server.url(), Kind::Write).await.unwrap();
    assert_eq!((answer.status, server.count()), (503, 4));
}

#[tokio::test]
async fn a_read_that_keeps_failing_gives_back_the_last_reply() {
    let server = Server::answering(|_, number| reply(500, "", &format!("{{\"n\":{number}}}")));
    let transport = transport(&server.url());
    let answer = send(&transport, &server.url(), Kind::PublicRead).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (500, "{\"n\":3}"));
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_host_that_keeps_failing_is_left_alone_but_not_for_the_other_kind() {
    let server = Server::answering(|head, _| {
        if head.starts_with("POST") { reply(200, "", "{}") } else { reply(502, "", "{}") }
    });
    let transport = transport(&server.url());
    for _ in 0..2 {
        let _ = send(&transport, &server.url(), Kind::PublicRead).await;
    }
    assert_eq!(server.count(), 5, "the fifth failure in a row was the last");
    assert!(not_sent(&send(&transport, &server.url(), Kind::PrivateRead).await));
    assert_eq!(server.count(), 5);
    assert!(send(&transport, &server.url(), Kind::Write).await.is_ok());
}

#[tokio::test]
async fn a_message_about_waiting_holds_no_figure_that_changes() {
    let server = Server::answering(|_, _| reply(502, "", "{}"));
    let (url, gates) = (server.url(), Gates::default());
    let transport = HttpTransport::new(&url, &FACTS, &gates, options()).unwrap();
    while send(&transport, &url, Kind::PublicRead).await.is_ok() {}
    let closed = send(&transport, &url, Kind::PublicRead).await.unwrap_err().to_string();
    transport.pause_until_ms(NOW_MS + 3_600_000);
    let paused = send(&transport, &url, Kind::Write).await.unwrap_err().to_string();
    for (words, cause) in [(closed, "failed too often"), (paused, "asked for a pause")] {
        assert!(words.contains(cause) && !words.contains(char::is_numeric), "{words}");
    }
}

#[tokio::test]
async fn an_order_that_waited_for_its_turn_does_not_leave_after_a_stop() {
    let server = Server::answering(|_, _| reply(200, "", "{}"));
    let transport = transport(&server.url());
    let is_stopped = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_stopped);
    transport.write_only_while(Arc::new(move || !asked.load(Ordering::SeqCst)));
    assert!(send(&transport, &server.url(), Kind::Write).await.is_ok());
    transport.pause_until_ms(NOW_MS + 1000);
    let url = server.url();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        is_stopped.store(true, Ordering::SeqCst);
    };
    let (waited, ()) = tokio::join!(send(&transport, &url, Kind::Write), stop);
    assert!(not_sent(&waited));
    assert_eq!(server.count(), 1);
    assert!(send(&transport, &server.url(), Kind::PrivateRead).await.is_ok(), "reads go on");
}

#[tokio::test]
async fn second_tries_have_a_budget_of_their_own() {
    // Every second call succeeds at once, so that the breaker stays closed.
    let server = Server::answering(|_, number| {
        if number % 3 == 0 { reply(200, "", "{}") } else { reply(500, "", "{}") }
    });
    let transport = HttpTransport::new(
        &server.url(),
        &FACTS,
        &Gates::default(),
        HttpOptions {
            retry: keel_venues::client::RetryPolicy { tries: 2, ..options().retry },
            ..options()
        },
    )
    .unwrap();
    let mut calls = 0;
    while server.count() < 100 && calls < 200 {
        let _ = send(&transport, &server.url(), Kind::PublicRead).await;
        calls += 1;
    }
    let retries = server.count().saturating_sub(calls);
    assert!(retries <= 10 + server.count() / 10, "{retries} second tries of {}", server.count());
}

#[tokio::test]
async fn f078_a_pause_stops_everything_to_the_host() {
    for (headers, status, body, shortest, longest) in [
        ("Retry-After: 7\r\n", 429, "{}", 6, 7),
        ("", 429, "{}", 20, 60),
        ("Retry-After: -1\r\n", 429, "{}", 0, 1),
        ("Retry-After: 1000000000\r\n", 418, "{}", 86_000, 86_400),
        ("Retry-After: soon\r\n", 418, "{}", 60, 300),
        (
            "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:29:00 GMT\r\n",
            429,
            "{}",
            55,
            60,
        ),
        ("", 403, "<html>blocked</html>", 590, 600),
    ] {
        let server = Server::answering(move |_, _| reply(status, headers, body));
        let gates = Gates::default();
        let make = || HttpTransport::new(&server.url(), &FACTS, &gates, options()).unwrap();
        let (transport, other) = (make(), make());
        let _ = send(&transport, &server.url(), Kind::Write).await;
        assert_eq!(server.count(), 1, "{headers}");
        let left = (other.paused_until_ms().unwrap() - NOW_MS) / 1000;
        assert!((shortest..=longest).contains(&left), "{headers} {status}: {left} s");
        for kind in [Kind::PublicRead, Kind::PrivateRead] {
            if shortest > 0 {
                assert!(not_sent(&send(&other, &server.url(), kind).await), "{headers} {kind:?}");
                assert_eq!(server.count(), 1, "{headers} {kind:?}");
            }
        }
    }
}

#[tokio::test]
async fn f078_a_pause_survives_a_restart_and_a_refused_key_is_no_pause() {
    let server = Server::answering(|_, _| reply(403, "", "{\"code\":-2015}"));
    let first = transport(&server.url());
    let _ = send(&first, &server.url(), Kind::PrivateRead).await;
    assert_eq!(first.paused_until_ms(), None, "a refusal with JSON is no firewall");
    first.pause_until_ms(NOW_MS + 3_600_000);
    let kept = first.paused_until_ms().unwrap();
    let restarted = transport(&server.url());
    restarted.pause_until_ms(kept);
    let before = server.count();
    assert!(not_sent(&send(&restarted, &server.url(), Kind::Write).await));
    assert_eq!(server.count(), before);
    let later = transport(&server.url());
    later.pause_until_ms(NOW_MS - 1);
    assert_eq!(later.paused_until_ms(), None);
}

#[tokio::test]
async fn f083_slow_and_endless_replies_end() {
    let quick = HttpOptions { timeout: Duration::from_millis(400), ..options() };
    let drip = Server::new(|stream, _| {
        let _ = loopback::read_request(stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while stream.write_all(b"1").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let silent = Server::new(|stream, _| {
        let _ = loopback::read_request(stream);
        let _ = stream.read(&mut [0]);
    });
    for server in [&drip, &silent] {
        let transport =
            HttpTransport::new(&server.url(), &FACTS, &Gates::default(), quick.clone()).unwrap();
        assert!(no_reply(&send(&transport, &server.url(), Kind::Write).await));
    }
}

#[tokio::test]
async fn f083_bodies_and_headers_have_a_size() {
    let endless = |head: &'static str, piece: Vec<u8>| {
        Server::new(move |stream, _| {
            let _ = loopback::read_request(stream);
            let _ = stream.write_all(head.as_bytes());
            // Far more than is read; ends when the other side hangs up.
            for _ in 0..1000 {
                if stream.write_all(&piece).is_err() {
                    return;
                }
            }
        })
    };
    let kib64 = vec![b'x'; 64 * 1024];
    let chunk = [b"10000\r\n", kib64.as_slice(), b"\r\n"].concat();
    for (server, what) in [
        (
            endless("HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n", kib64.clone()),
            "a long body",
        ),
        (endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk), "endless chunks"),
        (endless("HTTP/1.1 200 OK\r\n\r\n", kib64.clone()), "a body until the end"),
        (endless("HTTP/1.1 200 OK\r\nX-Long: ", kib64), "a long header"),
    ] {
        let transport = transport(&server.url());
        let answer = send(&transport, &server.url(), Kind::Write).await;
        assert!(no_reply(&answer), "{what}: {answer:?}");
        assert_eq!(server.connections(), 1, "{what}");
    }
    let many: String = (0..90).map(|n| format!("X-{n}: {}\r\n", "y".repeat(1000))).collect();
    let server = Server::answering(move |_, _| reply(200, &many, "{}"));
    assert!(no_reply(&send(&transport(&server.url()), &server.url(), Kind::Write).await));
}

#[tokio::test]
async fn f083_only_a_table_of_markets_may_be_longer_than_8_mib_and_no_longer_than_32() {
    let patient = HttpOptions { timeout: Duration::from_secs(30), ..options() };
    for (mib, kind, is_read) in [
        (9, Kind::PublicRead, false),
        (9, Kind::PrivateRead, false),
        (9, Kind::Write, false),
        (9, Kind::MarketTable, true),
        (33, Kind::MarketTable, false),
    ] {
        let body = format!("[\"{}\"]", "x".repeat(mib << 20));
        let server = Server::answering(move |_, _| reply(200, "", &body));
        let transport =
            HttpTransport::new(&server.url(), &FACTS, &Gates::default(), patient.clone()).unwrap();
        let answer = send(&transport, &server.url(), kind).await;
        let length = answer.as_ref().ok().map(|reply| reply.body.len());
        assert_eq!(length, is_read.then_some((mib << 20) + 4), "{mib} MiB {kind:?}");
        assert!(is_read || no_reply(&answer), "{mib} MiB {kind:?}");
    }
}

#[tokio::test]
async fn f083_a_gzip_bomb_is_not_inflated() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let server = Server::new(move |stream, _| {
        let _ = loopback::read_request(stream);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            bomb.len()
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&bomb);
    });
    let answer = send(&transport(&server.url()), &server.url(), Kind::Write).await;
    assert!(no_reply(&answer) && answer.unwrap_err().to_string().contains("longer"));
}

#[tokio::test]
async fn f084_a_reset_at_any_byte_is_told_by_its_phase() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", refused.local_addr().unwrap());
    drop(refused);
    assert!(not_sent(&send(&transport(&url), &url, Kind::Write).await));

    let whole = reply(200, "X-Mark: 1\r\n", "{\"orderId\":28}");
    let server = Server::answering({
        let whole = whole.clone();
        move |_, _| whole.clone()
    });
    let answer = send(&transport(&server.url()), &server.url(), Kind::Write).await.unwrap();
    assert_eq!(answer.body, "{\"orderId\":28}");
    let request_bytes = server.requests.lock().unwrap()[0].len();
    assert!(request_bytes > 150, "{request_bytes}");

    // A socket that is closed while bytes are unread sends a reset instead of its end.
    for read in 0..request_bytes {
        let server = Server::new(move |stream, _| {
            let _ = stream.read_exact(&mut vec![0; read]);
        });
        let answer = send(&transport(&server.url()), &server.url(), Kind::Write).await;
        assert!(no_reply(&answer), "after {read} bytes of the request: {answer:?}");
        assert_eq!(server.connections(), 1, "after {read} bytes of the request");
    }
    for written in 0..whole.len() {
        for unread in [0, 1] {
            let part = whole[..written].to_owned();
            let server = Server::new(move |stream, _| {
                let _ = stream.read_exact(&mut vec![0; request_bytes - unread]);
                let _ = stream.write_all(part.as_bytes());
            });
            let answer = send(&transport(&server.url()), &server.url(), Kind::Write).await;
            let end = if unread == 0 { "closed" } else { "reset" };
            assert!(no_reply(&answer), "{end} after {written} bytes of the reply: {answer:?}");
            assert_eq!(server.connections(), 1, "{end} after {written} bytes of the reply");
        }
    }
}

/// Twenty units in a minute: sixteen are planned, four at once, three of them for public reads.
static SMALL: VenueFacts = VenueFacts {
    buckets: &[Bucket { name: "weight", units: 20, per: Duration::from_secs(60) }],
    used: |reply| {
        let units = reply.header("x-used").and_then(|text| text.parse().ok());
        units.map(|units| Used { bucket: "weight", units }).into_iter().collect()
    },
    ..FACTS_OF_TEST
};
const FACTS_OF_TEST: VenueFacts = VenueFacts {
    id: "small",
    urls: &[],
    sandbox_urls: &[],
    validity: Duration::from_secs(5),
    buys_by_cost: false,
    needs_password: false,
    tells_key_rights: false,
    candles_per_request: 1,
    timeframes: &[],
    history_max: None,
    buckets: &[],
    used: |_| Vec::new(),
};

#[tokio::test]
async fn limits_are_shared_by_host_and_keep_something_for_orders() {
    let server = Server::answering(|_, _| reply(200, "", "{}"));
    let gates = Gates::default();
    let make = || HttpTransport::new(&server.url(), &SMALL, &gates, options()).unwrap();
    let (one, two) = (make(), make());
    for transport in [&one, &two, &one] {
        assert!(send(transport, &server.url(), Kind::PublicRead).await.is_ok());
    }
    assert!(not_sent(&send(&two, &server.url(), Kind::PublicRead).await));
    assert!(send(&two, &server.url(), Kind::PrivateRead).await.is_ok(), "kept for look-ups");
    assert!(not_sent(&send(&two, &server.url(), Kind::PrivateRead).await));
    assert_eq!(server.count(), 4);
    let elsewhere = Server::answering(|_, _| reply(200, "", "{}"));
    let other = HttpTransport::new(&elsewhere.url(), &SMALL, &gates, options()).unwrap();
    assert!(send(&other, &elsewhere.url(), Kind::PublicRead).await.is_ok());
}

#[tokio::test]
async fn f079_the_venues_own_count_is_adopted() {
    let server = Server::answering(|_, number| {
        reply(200, if number == 0 { "X-Used: 13\r\n" } else { "X-Used: 17\r\n" }, "{}")
    });
    let transport =
        HttpTransport::new(&server.url(), &SMALL, &Gates::default(), options()).unwrap();
    assert!(send(&transport, &server.url(), Kind::PublicRead).await.is_ok());
    assert!(not_sent(&send(&transport, &server.url(), Kind::PublicRead).await));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn the_clock_of_the_venue_is_measured_and_used() {
    let server = Server::answering(|head, _| {
        if head.starts_with("GET /api/v3/time") {
            reply(200, "", "{\"serverTime\":1700000004321}")
        } else {
            reply(400, "", "{\"code\":-2015,\"msg\":\"no\"}")
        }
    });
    let transport = Arc::new(transport_for_binance(&server.url()));
    let api = binance(Arc::clone(&transport), &server.url());
    let sample = measure_clock(&*api, || NOW_MS).await.unwrap();
    assert_eq!((sample.offset_ms, sample.round_trip_ms), (4321, 0));
    transport.set_clock_offset(sample.offset_ms);
    assert!(api.balances().await.is_err());
    let signed = server.requests.lock().unwrap().last().unwrap().clone();
    assert!(signed.contains("timestamp=1700000004321&"), "{signed}");
    assert_eq!(api.time().await.unwrap(), Timestamp::from_ms(1_700_000_004_321));
}

/// What is measured when the questions take this long, in milliseconds.
async fn measured(took_ms: [i64; 3]) -> Answer<ClockSample> {
    let server = Server::answering(|_, _| reply(200, "", "{\"serverTime\":1700000050000}"));
    let transport = Arc::new(transport_for_binance(&server.url()));
    let api = binance(Arc::clone(&transport), &server.url());
    let readings = AtomicUsize::new(0);
    let clock = || {
        let (question, answered) = {
            let reading = readings.fetch_add(1, Ordering::SeqCst);
            (reading / 2, reading % 2 == 1)
        };
        NOW_MS + if answered { took_ms[question] } else { 0 }
    };
    measure_clock(&*api, clock).await
}

#[tokio::test]
async fn f051_an_answer_that_waited_says_nothing_about_the_clock() {
    let sample = measured([16_000, 300, 1]).await.unwrap();
    assert_eq!((sample.offset_ms, sample.round_trip_ms), (49_850, 300), "quick enough");
    let sample = measured([1400, 800, 1000]).await.unwrap();
    assert_eq!((sample.offset_ms, sample.round_trip_ms), (49_600, 800));
    let sample = measured([16_000, 2000, 2001]).await.unwrap();
    assert_eq!((sample.offset_ms, sample.round_trip_ms), (49_000, 2000));
    // The clock was set back during the last one.
    let late = measured([16_000, 2001, -1]).await;
    assert!(matches!(late, Err(ApiError::Unknown(_))), "{late:?}");
}

#[tokio::test]
async fn a_read_refused_for_its_time_is_asked_once_more_after_the_clock_was_measured() {
    let refused = "{\"code\":-1021,\"msg\":\"Timestamp is outside of the recvWindow.\"}";
    let account = "{\"balances\":[{\"asset\":\"BTC\",\"free\":\"1\",\"locked\":\"0\"}]}";
    for is_repaired in [true, false] {
        let server = Server::answering(move |head, _| {
            if head.starts_with("GET /api/v3/time") {
                reply(200, "", "{\"serverTime\":1700000004321}")
            } else if is_repaired && head.contains("timestamp=1700000004321&") {
                reply(200, "", account)
            } else {
                reply(400, "", refused)
            }
        });
        let transport = Arc::new(transport_for_binance(&server.url()));
        let api = binance(Arc::clone(&transport), &server.url());
        let order = MarketOrder {
            id: ClientOrderId::derive("deployment of a test", 7, 0, 0),
            symbol: "BTC/USDT".parse().unwrap(),
            side: Side::Buy,
            amount: OrderAmount::Base(Qty::new("0.5".parse().unwrap())),
            reference_price: Price::new("50000".parse().unwrap()),
        };
        let answer = api.market_order(&order).await;
        let clock =
            |error: &ApiError| matches!(error, ApiError::Refused { refusal: Refusal::Clock, .. });
        assert!(answer.as_ref().is_err_and(clock), "{answer:?}");
        assert_eq!((server.count(), transport.clock_offset()), (1, 0), "an order is sent once");
        let answer = api.balances().await;
        assert_eq!(server.count(), 4, "the order, the read, the time and the read again");
        assert_eq!(transport.clock_offset(), 4321);
        assert_eq!(answer.is_ok(), is_repaired, "{answer:?}");
        assert!(is_repaired || answer.as_ref().is_err_and(clock), "{answer:?}");
    }
}

fn transport_for_binance(url: &str) -> HttpTransport {
    HttpTransport::new(url, venue("binance").unwrap().facts, &Gates::default(), options()).unwrap()
}

#[tokio::test]
async fn plain_http_to_another_computer_is_refused() {
    let error = HttpTransport::new("http://192.0.2.1", &FACTS, &Gates::default(), options()).err();
    assert!(error.unwrap().contains("https"));
    let server = Server::answering(|_, _| reply(200, "", "{}"));
    let answer = send(&transport(&server.url()), "http://192.0.2.1", Kind::Write).await;
    assert!(not_sent(&answer));
}

#[tokio::test]
async fn f066_a_host_that_drops_everybody_is_not_stormed() {
    let server = Server::new(|stream, _| {
        let _ = loopback::read_request(stream);
    });
    let transport = Arc::new(transport(&server.url()));
    let url = server.url();
    for _ in 0..3 {
        let calls = (0..50).map(|_| send(&transport, &url, Kind::PublicRead));
        for answer in futures_util::future::join_all(calls).await {
            assert!(answer.is_err());
        }
    }
    // The first fifty were under way together; after them there are a few second tries at most.
    assert!(server.connections() <= 60, "{} connections", server.connections());
}

#[tokio::test]
async fn f082_nothing_is_sent_before_the_venue_has_proved_who_it_is() {
    let quick = HttpOptions { timeout: Duration::from_millis(600), ..options() };
    let plain = Server::new(|stream, seen| {
        let mut start = [0; 16];
        let _ = stream.read(&mut start);
        seen.lock().unwrap().push(String::from_utf8_lossy(&start).into_owned());
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let stalled = Server::new(|stream, seen| {
        let mut start = [0; 16];
        let _ = stream.read(&mut start);
        seen.lock().unwrap().push(String::from_utf8_lossy(&start).into_owned());
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.read(&mut [0; 4096]);
    });
    for server in [plain, stalled] {
        let url = format!("https://{}", server.address);
        let transport = HttpTransport::new(&url, &FACTS, &Gates::default(), quick.clone()).unwrap();
        assert!(not_sent(&send(&transport, &url, Kind::Write).await));
        let seen = server.requests.lock().unwrap();
        assert_eq!(seen.len(), 1);
        assert!(!seen[0].contains("POST"), "{seen:?}");
    }
}
