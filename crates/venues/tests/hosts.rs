//! Where requests go, and where they never go: hosts, look-ups of names, and addresses behind them.
#![allow(clippy::unwrap_used)]

mod loopback;

use keel_net::Lookup;
use keel_venues::client::{Gates, HttpOptions, HttpTransport};
use keel_venues::http::{Kind, Reply, TransportError};
use loopback::{FACTS, Server, options, reply, send, transport};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const KINDS: [Kind; 3] = [Kind::PublicRead, Kind::PrivateRead, Kind::Write];

fn server() -> Server {
    Server::answering(|_, _| reply(200, "", "{}"))
}

/// A transport whose look-ups are answered with this, by their number from 0.
fn looking_up(
    url: &str,
    answer: impl Fn(usize) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> (HttpTransport, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let lookup =
        Lookup::new(move |_| std::future::ready(answer(counted.fetch_add(1, Ordering::SeqCst))));
    let options = HttpOptions { lookup, ..options() };
    (HttpTransport::new(url, &FACTS, &Gates::default(), options).unwrap(), asked)
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Why it was not sent.
fn not_sent(answer: Result<Reply, TransportError>) -> String {
    match answer {
        Err(TransportError::NotSent(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn f081_a_venue_whose_name_leads_inside_is_not_talked_to() {
    let server = server();
    let url = format!("https://api.venue.example:{}", server.address.port());
    for inside in [
        vec!["127.0.0.1"],
        vec!["10.0.0.5"],
        vec!["169.254.169.254"],
        vec!["::1"],
        // One of several is enough: which of them is taken is left to chance.
        vec!["1.1.1.1", "127.0.0.1"],
    ] {
        for kind in KINDS {
            let found = addresses(&inside);
            let (transport, _) = looking_up(&url, move |_| Ok(found.clone()));
            let why = not_sent(send(&transport, &url, kind).await);
            let address = inside.last().unwrap();
            assert!(why.contains("api.venue.example") && why.contains(address), "{why}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn f081_a_name_that_cannot_be_looked_up_was_not_sent_and_is_looked_up_again() {
    let server = server();
    let url = format!("http://localhost:{}", server.address.port());
    let flapping = |number: usize| match number % 2 {
        0 => Err(io::Error::other("SERVFAIL")),
        _ => Ok(addresses(&["127.0.0.1"])),
    };
    let (transport, asked) = looking_up(&url, flapping);
    let why = not_sent(send(&transport, &url, Kind::Write).await);
    assert!(why.contains("localhost") && why.contains("SERVFAIL"), "{why}");
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (1, 0), "one try, no bytes");
    assert!(send(&transport, &url, Kind::Write).await.is_ok());
    assert!(send(&transport, &url, Kind::PublicRead).await.is_ok(), "a read tries again itself");
    assert_eq!((asked.load(Ordering::SeqCst), server.count()), (4, 2));
}

#[tokio::test]
async fn f081_a_look_up_without_an_end_is_given_up_as_not_sent() {
    let url = "https://api.venue.example";
    let lookup = Lookup::new(|_| std::future::pending());
    let options = HttpOptions { lookup, timeout: Duration::from_millis(300), ..options() };
    let transport = HttpTransport::new(url, &FACTS, &Gates::default(), options).unwrap();
    not_sent(send(&transport, url, Kind::Write).await);
}

#[tokio::test]
async fn f081_an_address_that_leads_nowhere_gives_way_to_the_next() {
    let server = server();
    let url = format!("http://localhost:{}", server.address.port());
    let (transport, _) = looking_up(&url, |_| Ok(addresses(&["::1", "127.0.0.1"])));
    assert!(send(&transport, &url, Kind::Write).await.is_ok());
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn f098_localhost_is_this_computer_whatever_the_look_up_says() {
    let url = "http://localhost:1";
    let (transport, _) = looking_up(url, |_| Ok(addresses(&["1.1.1.1"])));
    let why = not_sent(send(&transport, url, Kind::Write).await);
    assert!(why.contains("localhost") && why.contains("1.1.1.1"), "{why}");
}

#[test]
fn f098_a_base_url_that_leads_inside_is_refused_at_the_start() {
    for (url, named) in [
        ("https://169.254.169.254/latest", "169.254.169.254"),
        ("https://10.0.0.5", "10.0.0.5"),
        ("https://[fe80::1]", "fe80::1"),
        ("http://api.venue.example", "https"),
        ("file:///etc/passwd", "host"),
    ] {
        let refused = HttpTransport::new(url, &FACTS, &Gates::default(), options()).err().unwrap();
        assert!(refused.contains(named), "{url}: {refused}");
    }
}

#[tokio::test]
async fn f098_a_connection_carries_nothing_to_another_host() {
    let (server, other) = (server(), server());
    for url in [other.url(), "https://api.venue.example".to_owned()] {
        for kind in KINDS {
            let transport = transport(&server.url());
            let why = not_sent(send(&transport, &url, kind).await);
            assert!(why.contains(&server.address.to_string()), "{why}");
            assert!(send(&transport, &server.url(), Kind::Write).await.is_ok());
        }
    }
    assert_eq!(other.connections(), 0);
}
