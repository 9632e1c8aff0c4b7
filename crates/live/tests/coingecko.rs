//! Market caps over HTTP on loopback: what counts as an answer, and how often is asked.
#![allow(clippy::unwrap_used)]

mod double;

use double::{Double, START, VirtualTime, price, symbol, ticker, venue};
use keel_core::cycle::{CycleOptions, World, run_cycle};
use keel_core::market::MarketRules;
use keel_core::policy::{AssetPolicy, Policy, Settings};
use keel_core::ports::{Clock, MarketData};
use keel_core::state::State;
use keel_core::strategy::STRATEGIES;
use keel_core::time::{Timeframe, Timestamp};
use keel_live::Venues;
use keel_live::coingecko::{CoinGecko, CoinGeckoSettings, Key};
use keel_live::market::LiveMarket;
use keel_net::Lookup;
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

/// Answers requests with the replies it was given, one each, and keeps what it was asked.
#[derive(Clone, Default)]
struct Host {
    replies: Arc<Mutex<VecDeque<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Host {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = self.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(count) => head.extend_from_slice(&buffer[..count]),
                    }
                }
                host.requests.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                let reply = host.replies.lock().unwrap().pop_front().unwrap_or_default();
                let _ = stream.write_all(reply.as_bytes()).await;
            }
        });
        format!("http://{address}/api/v3")
    }

    fn reply(&self, status: &str, headers: &str, body: &str) {
        self.replies.lock().unwrap().push_back(format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        ));
    }

    fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

const BITCOIN: &str = r#"[{"id":"bitcoin","symbol":"btc","current_price":100.5,"market_cap":2.0e12,
    "last_updated":"2023-11-14T22:13:00.123Z"}]"#;

async fn client(host: &Host, settings: CoinGeckoSettings) -> CoinGecko {
    CoinGecko::new(CoinGeckoSettings { base_url: host.start().await, ..settings }).unwrap()
}

fn ids(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn minutes(count: i64) -> Timestamp {
    START.plus_ms(count * 60_000)
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

fn bitcoin(id: &str) -> AssetPolicy {
    let strategy = &STRATEGIES[0];
    AssetPolicy {
        ticker: ticker("BTC"),
        level: 1,
        venue: venue("double"),
        coingecko_id: Some(id.to_owned()),
        position_interval: Timeframe::H1,
        trend_interval: Timeframe::H4,
        strategy,
        position_params: strategy.defaults(),
        trend_params: strategy.defaults(),
    }
}

#[test]
fn all_ids_go_in_one_request_with_the_key_in_its_header() {
    run(async {
        for (key, header) in [
            (Key::Demo(Zeroizing::new("k1".to_owned())), "x-cg-demo-api-key: k1"),
            (Key::Pro(Zeroizing::new("k2".to_owned())), "x-cg-pro-api-key: k2"),
        ] {
            let host = Host::default();
            host.reply("200 OK", "", BITCOIN);
            let client = client(&host, CoinGeckoSettings { key, ..Default::default() }).await;
            let caps = client.caps(&ids(&["ethereum", "bitcoin", "bitcoin"]), START).await.unwrap();
            let quote = &caps.quotes["bitcoin"];
            assert_eq!((quote.cap_usd, quote.price_usd), (2.0e12, Some(price("100.5"))));
            assert_eq!(quote.as_of.to_string(), "2023-11-14T22:13:00Z");
            let request = host.requests.lock().unwrap()[0].clone();
            assert!(
                request.starts_with(
                    "GET /api/v3/coins/markets?vs_currency=usd&ids=bitcoin%2Cethereum&per_page=250"
                ),
                "{request}"
            );
            assert!(request.contains(header), "{request}");
        }
    });
}

#[test]
fn f065_what_is_no_list_of_our_coins_is_no_answer_and_the_last_good_one_is_kept_with_its_age() {
    let bodies = [
        ("200 OK", "<!DOCTYPE html><html>Just a moment...</html>"),
        ("200 OK", ""),
        ("200 OK", "[]"),
        ("200 OK", "{\"error\":\"x\"}"),
        ("200 OK", &BITCOIN[..60]),
        ("200 OK", r#"[{"id":"dogecoin","market_cap":1,"last_updated":"2023-11-14T22:13:00Z"}]"#),
        ("403 Forbidden", "error code: 1020"),
        ("500 Internal Server Error", BITCOIN),
        ("503 Service Unavailable", ""),
        ("307 Temporary Redirect", ""),
    ];
    run(async {
        for (status, body) in bodies {
            let host = Host::default();
            host.reply(status, "", body);
            let none = client(&host, CoinGeckoSettings::default()).await;
            let refused = none.caps(&ids(&["bitcoin"]), START).await.unwrap_err();
            assert!(refused.0.starts_with("CoinGecko"), "{refused}");
            assert!(!refused.0.contains("127.0.0.1"), "{refused}");

            let host = Host::default();
            host.reply("200 OK", "", BITCOIN);
            host.reply(status, "", body);
            let client = client(&host, CoinGeckoSettings::default()).await;
            let good = client.caps(&ids(&["bitcoin"]), START).await.unwrap();
            let kept = client.caps(&ids(&["bitcoin"]), minutes(10)).await.unwrap();
            assert_eq!(kept.quotes, good.quotes, "{status}: {body}");
            assert_eq!(kept.notes.len(), 1, "{kept:?}");
            assert!(kept.notes[0].starts_with("market caps are 10 minutes old: "), "{kept:?}");
        }
    });
}

#[test]
fn f065_after_too_many_requests_nobody_asks_before_the_pause_is_over() {
    run(async {
        for (header, pause_minutes) in [
            ("retry-after: 600\r\n", 10),
            ("retry-after: 5\r\n", 1),
            ("retry-after: -1\r\n", 1),
            ("retry-after: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 1),
            ("retry-after: 99999999999\r\n", 24 * 60),
            ("", 1),
        ] {
            let host = Host::default();
            host.reply("429 Too Many Requests", header, "");
            host.reply("200 OK", "", BITCOIN);
            let client = client(&host, CoinGeckoSettings::default()).await;
            let bitcoin = ids(&["bitcoin"]);
            client.caps(&bitcoin, START).await.unwrap_err();
            client.caps(&bitcoin, minutes(pause_minutes).plus_ms(-1)).await.unwrap_err();
            assert_eq!(host.asked(), 1, "{header}");
            client.caps(&bitcoin, minutes(pause_minutes)).await.unwrap();
            assert_eq!(host.asked(), 2, "{header}");
        }
    });
}

#[test]
fn there_is_at_most_one_request_a_minute_and_none_while_the_answer_is_young() {
    run(async {
        let host = Host::default();
        for _ in 0..3 {
            host.reply("200 OK", "", BITCOIN);
        }
        let client = client(&host, CoinGeckoSettings::default()).await;
        for second in 0..=300 {
            client.caps(&ids(&["bitcoin"]), START.plus_ms(second * 1000)).await.unwrap();
        }
        assert_eq!(host.asked(), 2, "the second one after five minutes");
        let soon = minutes(5).plus_ms(1000);
        let with_new = ids(&["bitcoin", "ethereum"]);
        assert!(!client.caps(&with_new, soon).await.unwrap().is_new);
        assert!(client.caps(&with_new, minutes(6)).await.unwrap().is_new, "a new id is asked for");
    });
}

#[test]
fn f081_f098_nothing_is_asked_at_an_address_inside_the_network() {
    for inside in ["http://169.254.169.254/api", "https://10.0.0.5/api/v3", "file:///etc/passwd"] {
        let settings = CoinGeckoSettings { base_url: inside.to_owned(), ..Default::default() };
        assert!(CoinGecko::new(settings).is_err(), "{inside}");
    }
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = CoinGeckoSettings {
            base_url: format!("https://api.coingecko.example:{port}/api/v3"),
            lookup: Lookup::new(|_| std::future::ready(Ok(vec![[127, 0, 0, 1].into()]))),
            ..Default::default()
        };
        let client = CoinGecko::new(settings).unwrap();
        let why = client.caps(&ids(&["bitcoin"]), START).await.unwrap_err().to_string();
        assert!(why.contains("api.coingecko.example leads to 127.0.0.1"), "{why}");
        assert!(listener.accept().is_err(), "nobody connected");
    });
}

#[test]
fn a_host_that_never_answers_is_given_up() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = CoinGeckoSettings {
            base_url: format!("http://{}", listener.local_addr().unwrap()),
            timeout: Duration::from_millis(200),
            ..Default::default()
        };
        let client = CoinGecko::new(settings).unwrap();
        client.caps(&ids(&["bitcoin"]), START).await.unwrap_err();
    });
}

#[test]
fn f083_an_answer_without_end_is_given_up() {
    run(async {
        let chunk = ["10000\r\n", &"x".repeat(64 * 1024), "\r\n"].concat();
        for (head, piece, pause_ms) in [
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk.as_str(), 0),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2147483648\r\n\r\n", &chunk, 0),
            ("HTTP/1.1 200 OK\r\nx-long: ", &chunk, 0),
            ("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", "x", 10),
            ("HTTP/1.1 200 OK\r\nx-slow: ", "x", 10),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (head, piece) = (head.to_owned(), piece.to_owned());
            let host = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                let mut bytes = head.len();
                let mut sent = stream.write_all(head.as_bytes()).await;
                // Ends when the other side hangs up.
                while sent.is_ok() {
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    sent = stream.write_all(piece.as_bytes()).await;
                    bytes += piece.len();
                }
                bytes
            });
            let settings = CoinGeckoSettings {
                base_url: format!("http://{address}"),
                timeout: Duration::from_secs(if pause_ms == 0 { 60 } else { 1 }),
                ..Default::default()
            };
            let client = CoinGecko::new(settings).unwrap();
            client.caps(&ids(&["bitcoin"]), START).await.unwrap_err();
            drop(client);
            // What is read ends at 8 MiB; some more waits in the buffers of the system.
            let bytes = host.await.unwrap();
            assert!(bytes < 64 * 1024 * 1024, "{bytes} bytes were taken");
        }
    });
}

#[test]
fn numbers_that_are_no_caps_are_left_out() {
    let row = |id: &str, cap: &str, updated: &str| {
        format!(r#"{{"id":"{id}","current_price":1,"market_cap":{cap},"last_updated":{updated}}}"#)
    };
    let now = r#""2023-11-14T22:13:00.000Z""#;
    let rows = [
        row("good", "5", now),
        row("null", "null", now),
        row("zero", "0", now),
        row("negative", "-1", now),
        row("huge", "1e999", now),
        row("text", "\"7\"", now),
        row("undated", "5", "null"),
        row("tomorrow", "5", r#""2023-11-15T22:13:00.000Z""#),
    ];
    run(async move {
        let host = Host::default();
        host.reply("200 OK", "", &format!("[{}]", rows.join(",")));
        let client = client(&host, CoinGeckoSettings::default()).await;
        let all = ["good", "null", "zero", "negative", "huge", "text", "undated", "tomorrow"];
        let caps = client.caps(&ids(&all), START).await.unwrap();
        assert_eq!(caps.quotes.keys().collect::<Vec<_>>(), ["good"]);
    });
}

#[test]
fn f058_a_cap_whose_price_is_not_the_venues_is_refused_and_the_others_are_archived() {
    run(async {
        for (told, accepted) in
            [("100.5", true), ("109", true), ("112", false), ("0.1", false), ("null", false)]
        {
            let directory = tempfile::tempdir().unwrap();
            let host = Host::default();
            host.reply("200 OK", "", &BITCOIN.replace("100.5", told));
            let settings = CoinGeckoSettings {
                archive: Some(directory.path().to_owned()),
                ..Default::default()
            };
            let client = client(&host, settings).await;
            let time = VirtualTime::new();
            let double = Double::new(&time);
            let mut venues = Venues::new();
            venues.insert(venue("double"), Arc::clone(&double) as _);
            let market =
                LiveMarket::new(venues, Arc::clone(&time) as _, ticker("USDT"), Some(client));
            market.prices(&venue("double"), &[symbol("BTC/USDT")]).await.unwrap();
            let caps = market.caps(&[bitcoin("bitcoin")]).await.unwrap();
            assert_eq!(caps.contains_key(&ticker("BTC")), accepted, "{told}");
            let refused = market.refused_caps();
            assert_eq!(refused.contains_key(&ticker("BTC")), !accepted, "{refused:?}");
            let again = market.caps(&[bitcoin("bitcoin")]).await.unwrap();
            assert_eq!(again.len(), caps.len());
            let archive = std::fs::read_to_string(directory.path().join("BTC.csv"));
            if accepted {
                let archive = archive.unwrap();
                let rows: Vec<&str> = archive.lines().collect();
                assert_eq!(rows.len(), 2, "{archive}");
                assert_eq!(rows[0], "date,cap_usd,price_usd,as_of,id");
                assert!(rows[1].starts_with(&format!("{},2000000000000,{told},", time.now())));
            } else {
                assert!(archive.is_err());
            }
        }
    });
}

/// A market at one venue with BTC at 100 and USDC fallen to 0.9, and the caps of `client`.
fn market(time: &Arc<VirtualTime>, client: CoinGecko) -> (LiveMarket, Arc<Double>) {
    let double = Double::new(time);
    let mut venues = Venues::new();
    venues.insert(venue("double"), Arc::clone(&double) as _);
    let market = LiveMarket::new(venues, Arc::clone(time) as _, ticker("USDT"), Some(client));
    (market.with_stablecoin_id(Some("tether".to_owned())), double)
}

/// An answer about bitcoin and tether of the present.
fn coins(time: &VirtualTime, bitcoin: &str, tether: &str) -> String {
    let now = time.now();
    format!(
        r#"[{{"id":"bitcoin","current_price":{bitcoin},"market_cap":2.0e12,"last_updated":"{now}"}},
           {{"id":"tether","current_price":{tether},"market_cap":8.0e10,"last_updated":"{now}"}}]"#
    )
}

#[test]
fn f057_coingecko_says_which_of_two_coins_fell_in_the_request_that_is_made_anyway() {
    run(async {
        for tether in ["1.001", "0.93"] {
            let (host, time) = (Host::default(), VirtualTime::new());
            host.reply("200 OK", "", &coins(&time, "100", tether));
            let (market, double) = market(&time, client(&host, CoinGeckoSettings::default()).await);
            {
                let mut inner = double.inner();
                let pair = symbol("USDC/USDT");
                inner.markets.insert(pair.clone(), MarketRules::unlimited(pair.clone()));
                inner.prices.insert(pair, price("0.9"));
            }
            let usdt = ticker("USDT");
            let why = market.peg(&usdt).await.unwrap_err().0;
            assert!(why.contains("which of them moved"), "{why}");
            market.reference_prices(&[bitcoin("bitcoin")]).await.unwrap();
            assert_eq!(market.peg(&usdt).await.unwrap().unwrap().price, price(tether));
            assert!(host.requests.lock().unwrap()[0].contains("ids=bitcoin%2Ctether&"));
            time.advance_ms(31 * 60_000);
            market.peg(&usdt).await.unwrap_err();
            // A fall in a market of now counts, whatever an answer of minutes ago says.
            double.inner().prices.insert(symbol("USDC/USDT"), price("1.25"));
            assert_eq!(market.peg(&usdt).await.unwrap().unwrap().price, price("0.8"));
            assert_eq!(host.asked(), 1);
        }
    });
}

#[test]
fn f057_the_id_of_another_coin_is_no_witness_of_the_stablecoin() {
    run(async {
        for (told, is_believed) in
            [("64000", false), ("1.11", false), ("1.09", true), ("0.3", true)]
        {
            let (host, time) = (Host::default(), VirtualTime::new());
            host.reply("200 OK", "", &coins(&time, "100", told));
            let (market, _) = market(&time, client(&host, CoinGeckoSettings::default()).await);
            market.reference_prices(&[bitcoin("bitcoin")]).await.unwrap();
            match market.peg(&ticker("USDT")).await {
                Ok(point) => assert!(is_believed && point.unwrap().price == price(told), "{told}"),
                Err(why) => assert!(!is_believed && why.0.contains("another coin"), "{why}"),
            }
        }
    });
}

#[test]
fn a_cap_is_compared_with_prices_of_its_own_time_and_a_refused_one_in_every_cycle() {
    run(async {
        let (host, time) = (Host::default(), VirtualTime::new());
        host.reply("200 OK", "", &coins(&time, "100", "1"));
        let (market, double) = market(&time, client(&host, CoinGeckoSettings::default()).await);
        let believed = async |cost: &str| {
            double.inner().prices.insert(symbol("BTC/USDT"), price(cost));
            market.prices(&venue("double"), &[symbol("BTC/USDT")]).await.unwrap();
            let caps = market.caps(&[bitcoin("bitcoin")]).await.unwrap();
            assert_eq!(market.refused_caps().is_empty(), !caps.is_empty());
            !caps.is_empty()
        };
        assert!(believed("100").await);
        time.advance_ms(31 * 60_000);
        assert!(believed("150").await, "CoinGecko is away, and the market has moved since");
        host.reply("200 OK", "", &coins(&time, "100", "1"));
        time.advance_ms(60_000);
        assert!(!believed("150").await, "prices of one time that differ");
        assert!(believed("105").await, "asked again in the next cycle, without a request");
        assert!(!believed("150").await);
        let asked = host.asked();
        time.advance_ms(31 * 60_000);
        assert!(!believed("100").await, "an old answer acquits no id either");
        assert_eq!((asked, host.asked()), (3, 4), "away again");
    });
}

/// With bars of a day a cap was read once a day, and was more than a day old before midnight.
#[test]
fn caps_are_taken_in_every_cycle_from_the_answer_that_is_there() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let (host, time) = (Host::default(), VirtualTime::new());
        let settings = CoinGeckoSettings {
            archive: Some(directory.path().to_owned()),
            ..CoinGeckoSettings::default()
        };
        let (market, double) = market(&time, client(&host, settings).await);
        double.inner().candles.insert(symbol("BTC/USDT"), Vec::new());
        let policy = Policy {
            settings: Settings::default(),
            stablecoin: ticker("USDT"),
            assets: vec![AssetPolicy { trend_interval: Timeframe::D1, ..bitcoin("bitcoin") }],
            parked: Vec::new(),
        };
        let account = PaperAccount::default();
        let mut broker = PaperBroker::new(&market, ticker("USDT"), CostModels::default(), account);
        let (mut store, mut state) = (MemoryStore::default(), State::default());
        for cycle in 0..30 {
            host.reply("200 OK", "", &coins(&time, "100", "1"));
            let mut world =
                World { clock: &*time, market: &market, broker: &mut broker, store: &mut store };
            let options = CycleOptions::default();
            run_cycle(&mut world, &policy, &mut state, &options).await.unwrap();
            let as_of = state.assets[&ticker("BTC")].market_cap_as_of.unwrap();
            assert!(time.now().since_ms(as_of) < 1000, "cycle {cycle}: {as_of}");
            assert_eq!(host.asked(), cycle + 1);
            time.advance_ms(10 * 60_000);
        }
        let archive = std::fs::read_to_string(directory.path().join("BTC.csv")).unwrap();
        assert_eq!(archive.lines().count(), 1 + 5, "a row an hour: {archive}");
    });
}

#[test]
fn more_than_250_ids_take_two_requests_and_half_an_answer_is_none() {
    run(async {
        let coin = |id: &str| {
            format!(
                r#"[{{"id":"{id}","current_price":1,"market_cap":2,"last_updated":"2023-11-14T22:13:00Z"}}]"#
            )
        };
        let names: Vec<String> = (0..251).map(|i| format!("coin-{i:03}")).collect();
        let host = Host::default();
        host.reply("200 OK", "", &coin("coin-000"));
        host.reply("200 OK", "", &coin("coin-250"));
        let client = client(&host, CoinGeckoSettings::default()).await;
        let caps = client.caps(&names, START).await.unwrap();
        assert_eq!(caps.quotes.keys().collect::<Vec<_>>(), ["coin-000", "coin-250"]);
        assert_eq!(host.asked(), 2);
        host.reply("200 OK", "", &coin("coin-001"));
        host.reply("503 Service Unavailable", "", "");
        let kept = client.caps(&names, minutes(10)).await.unwrap();
        assert!(!kept.is_new);
        assert_eq!(kept.quotes, caps.quotes);
    });
}

/// Rows of the archive after a cap of `START` was added to what a file held before.
async fn archived_after(before: &str) -> (String, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("BTC.csv");
    std::fs::write(&file, before).unwrap();
    let host = Host::default();
    host.reply("200 OK", "", BITCOIN);
    let settings =
        CoinGeckoSettings { archive: Some(directory.path().to_owned()), ..Default::default() };
    let client = client(&host, settings).await;
    let time = VirtualTime::new();
    let market = LiveMarket::new(Venues::new(), time as _, ticker("USDT"), Some(client));
    market.caps(&[bitcoin("bitcoin")]).await.unwrap();
    (std::fs::read_to_string(file).unwrap(), market.take_notes())
}

#[test]
fn a_row_that_a_crash_left_unfinished_does_not_spoil_the_archive() {
    run(async {
        let header = "date,cap_usd,price_usd,as_of,id\n";
        let old = "2023-11-14T22:00:00Z,1,1,2023-11-14T22:00:00Z,bitcoin\n";
        let new = format!("{START},2000000000000,100.5,2023-11-14T22:13:00Z,bitcoin\n");
        let whole = format!("{header}{old}");
        for cut in 0..=whole.len() {
            let lines_left: usize = whole[..cut].matches('\n').count();
            let expected = match lines_left {
                0 | 1 => format!("{header}{new}"),
                _ => format!("{whole}{new}"),
            };
            let (archive, notes) = archived_after(&whole[..cut]).await;
            assert_eq!(archive, expected, "cut at {cut}");
            assert_eq!(notes, Vec::<String>::new());
        }
    });
}

#[test]
fn a_clock_that_was_set_back_adds_nothing_to_the_archive_and_says_so() {
    run(async {
        let before = "date,cap_usd,price_usd,as_of,id\n\
                      2024-01-01T00:00:00Z,1,1,2024-01-01T00:00:00Z,bitcoin\n";
        let (archive, notes) = archived_after(before).await;
        assert_eq!(archive, before);
        assert!(notes[0].contains("its last row is from 2024-01-01"), "{notes:?}");
    });
}

#[test]
fn coingecko_is_the_second_source_of_prices() {
    run(async {
        let host = Host::default();
        host.reply("200 OK", "", BITCOIN);
        let client = client(&host, CoinGeckoSettings::default()).await;
        let time = VirtualTime::new();
        let market =
            LiveMarket::new(Venues::new(), Arc::clone(&time) as _, ticker("USDT"), Some(client));
        let points = market.reference_prices(&[bitcoin("bitcoin")]).await.unwrap();
        assert_eq!(points[&ticker("BTC")].price, price("100.5"));
        assert!(points[&ticker("BTC")].as_of <= time.now());
    });
}
