//! A server on loopback that is told what to do with each connection, and transports to it.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use keel_net::Lookup;
use keel_venues::api::{Bucket, VenueFacts};
use keel_venues::client::{Gates, HttpOptions, HttpTransport, RetryPolicy};
use keel_venues::http::{Charge, Kind, Method, Request, Transport, TransportError};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const NOW_MS: i64 = 1_700_000_000_000;
pub const CHARGE: &[Charge] = &[Charge { bucket: "weight", units: 1 }];

pub static FACTS: VenueFacts = VenueFacts {
    id: "test",
    urls: &[],
    sandbox_urls: &[],
    validity: Duration::from_secs(5),
    buys_by_cost: false,
    needs_password: false,
    tells_key_rights: false,
    candles_per_request: 1,
    timeframes: &[],
    history_max: None,
    buckets: &[Bucket { name: "weight", units: 6000, per: Duration::from_secs(60) }],
    used: |_| Vec::new(),
};

/// What arrived: first lines of requests, in order.
pub struct Server {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Reads one request after the other from each connection and answers with what `reply` makes
    /// of its head and its number, from 0.
    pub fn answering(reply: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        Self::new(move |stream, requests: &Mutex<Vec<String>>| {
            while let Some(head) = read_request(stream) {
                let number = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(head.clone());
                    requests.len() - 1
                };
                if stream.write_all(reply(&head, number).as_bytes()).is_err() {
                    return;
                }
            }
        })
    }

    /// Does `handle` with each connection, which is closed after it.
    pub fn new(
        handle: impl Fn(&mut TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (counted, seen, handle) = (connections.clone(), requests.clone(), Arc::new(handle));
        std::thread::spawn(move || {
            for stream in listener.incoming().take(2000) {
                let Ok(mut stream) = stream else { return };
                counted.fetch_add(1, Ordering::SeqCst);
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
                let (seen, handle) = (seen.clone(), handle.clone());
                std::thread::spawn(move || handle(&mut stream, &seen));
            }
        });
        Self { address, connections, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The head of the next request, after its body was read too; `None` at the end of the connection.
pub fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    stream.read_exact(&mut body).ok()?;
    Some(format!("{head}{}", String::from_utf8_lossy(&body)))
}

/// A complete reply with these header lines (each ended by CRLF) and body.
pub fn reply(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Quick tries, without pauses between them.
pub fn options() -> HttpOptions {
    HttpOptions {
        retry: RetryPolicy {
            tries: 4,
            base: Duration::from_millis(1),
            total: Duration::from_millis(900),
        },
        timeout: Duration::from_secs(5),
        clock: || NOW_MS,
        random: || 0.0,
        lookup: Lookup::default(),
    }
}

pub fn transport(url: &str) -> HttpTransport {
    HttpTransport::new(url, &FACTS, &Gates::default(), options()).unwrap()
}

/// A request with a planted secret where a signature would be.
pub fn request(url: &str, method: Method) -> Request {
    Request {
        method,
        url: format!("{url}/order?signature=PLANTED"),
        headers: vec![("X-KEY", "PLANTED".to_owned())],
        body: (method == Method::Post).then(|| "quantity=1&signature=PLANTED".to_owned()),
    }
}

pub async fn send(
    transport: &HttpTransport,
    url: &str,
    kind: Kind,
) -> Result<keel_venues::http::Reply, TransportError> {
    let method = if kind == Kind::Write { Method::Post } else { Method::Get };
    let url = url.to_owned();
    let result = transport.send(kind, CHARGE, &move |_| request(&url, method)).await;
    assert!(!format!("{:?}", result.as_ref().err()).contains("PLANTED"), "a secret in {result:?}");
    result
}
