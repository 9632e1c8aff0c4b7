//! One request over a socket, exactly once, with everything bounded.

use crate::http::{Kind, Method, Reply, Request, TransportError};
use keel_net::{Lookup, host_of};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response};
use std::time::Duration;

const BODY_MAX: usize = 8 * 1024 * 1024;
/// Binance's table of markets comes near the other bound.
const TABLE_MAX: usize = 32 * 1024 * 1024;
const HEADERS_MAX: usize = 64 * 1024;

/// Two clients to one host: reads keep their connections; a write always gets a fresh one, because a
/// kept connection may just be closing, and then nobody knows whether the order arrived.
pub(super) struct Wire {
    host: String,
    reads: Client,
    writes: Client,
}

impl Wire {
    /// To the host of this URL, and to no other.
    pub(super) fn new(base_url: &str, timeout: Duration, lookup: &Lookup) -> Result<Self, String> {
        let client = |idle| {
            keel_net::client(lookup.clone())
                .gzip(true)
                .http1_only()
                .pool_max_idle_per_host(idle)
                .pool_idle_timeout(Duration::from_secs(30))
                // Shorter than the whole, so that a connection that never came is told as such.
                .connect_timeout(timeout * 2 / 3)
                .timeout(timeout)
                .build()
                .map_err(|error| format!("no HTTP client: {}", why(error)))
        };
        Ok(Self { host: host_of(base_url)?, reads: client(4)?, writes: client(0)? })
    }

    /// Host and port.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) async fn send(&self, kind: Kind, request: Request) -> Result<Reply, TransportError> {
        let host = host_of(&request.url).map_err(TransportError::NotSent)?;
        if host != self.host {
            let why = format!("a request to {host} on a connection to {}", self.host);
            return Err(TransportError::NotSent(why));
        }
        let client = if kind == Kind::Write { &self.writes } else { &self.reads };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut building = client.request(method, request.url).headers(headers(&request.headers)?);
        if let Some(body) = request.body {
            building = building.body(body);
        }
        let ready = building.build().map_err(|error| TransportError::NotSent(why(error)))?;
        match client.execute(ready).await {
            Ok(response) => {
                read(response, if kind == Kind::MarketTable { TABLE_MAX } else { BODY_MAX }).await
            }
            Err(error) if error.is_connect() || error.is_builder() => {
                Err(TransportError::NotSent(why(error)))
            }
            Err(error) => Err(TransportError::NoReply(why(error))),
        }
    }
}

async fn read(mut response: Response, body_max: usize) -> Result<Reply, TransportError> {
    let no_reply = |why: String| TransportError::NoReply(why);
    let size: usize =
        response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > HEADERS_MAX {
        return Err(no_reply(format!("{size} bytes of headers, at most {HEADERS_MAX} are read")));
    }
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| no_reply(why(error)))? {
        if body.len() + chunk.len() > body_max {
            return Err(no_reply(format!("the body is longer than {body_max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    let body = String::from_utf8(body).map_err(|_| no_reply("the body is not UTF-8".to_owned()))?;
    Ok(Reply { status, headers, body })
}

fn headers(pairs: &[(&'static str, String)]) -> Result<HeaderMap, TransportError> {
    let mut map = HeaderMap::new();
    for (name, text) in pairs {
        // The value may be a key: the message names the header only.
        let wrong = || {
            TransportError::NotSent(format!(
                "header `{name}` holds a character that headers cannot carry"
            ))
        };
        let mut value = HeaderValue::from_str(text).map_err(|_| wrong())?;
        value.set_sensitive(true);
        map.append(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
    }
    Ok(map)
}

/// Why a request failed, in words for messages.
fn why(error: reqwest::Error) -> String {
    crate::wire::words(&keel_net::without_url(error))
}
