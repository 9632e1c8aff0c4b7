//! Requests and replies, and the port that carries them. Adapters build the ones and read the others;
//! what is between them (limits, retries, sockets) is a [`Transport`].

use async_trait::async_trait;
use std::time::Duration;

/// HTTP verbs that venues use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// DELETE.
    Delete,
}

/// What may be done about a request that went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anybody may ask, any number of times.
    PublicRead,
    /// The same for all markets and their rules at once, which is the longest answer of a venue.
    MarketTable,
    /// A read with the account's key. The transport asks for a fresh signature for every attempt.
    PrivateRead,
    /// It changes something at the venue. Never sent twice.
    Write,
}

impl Kind {
    /// Whether it needs no key, and leaves a part of the limits to what does.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::PublicRead | Self::MarketTable)
    }
}

/// A request, ready to be sent. It holds signatures: `Debug` is not derived.
#[derive(Clone)]
pub struct Request {
    /// Verb.
    pub method: Method,
    /// Scheme, host, path and query.
    pub url: String,
    /// Headers in the order they are sent.
    pub headers: Vec<(&'static str, String)>,
    /// Body of a POST.
    pub body: Option<String>,
}

/// A reply, whatever its status. Its body is text of at most 8 MiB, a table of markets of at most 32 MiB.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers by lowercase name.
    pub headers: Vec<(String, String)>,
    /// Decompressed body.
    pub body: String,
}

impl Reply {
    /// The header of that lowercase name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A request that got no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Not a byte of it left.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have arrived.
    #[error("no reply: {0}")]
    NoReply(String),
}

/// What a limiter charges for a request: a bucket of the venue and its cost there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Name of the bucket in the venue's table of limits.
    pub bucket: &'static str,
    /// Units of it.
    pub units: u32,
}

/// Carries one request. Implementations wait for their limiter first, give the present time to the
/// closure that signs, and send the result exactly once; for reads they may do all of that again.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends what `build` makes of the venue's present time in milliseconds.
    ///
    /// # Errors
    /// See [`TransportError`]. A reply of any status is `Ok`.
    async fn send(
        &self,
        kind: Kind,
        charges: &[Charge],
        build: &(dyn Fn(i64) -> Request + Send + Sync),
    ) -> Result<Reply, TransportError>;

    /// The venue told to wait: nothing goes to this host before the time is over.
    fn pause(&self, wait: Duration);

    /// The venue published how many units of a bucket it grants: they are the limit from now on,
    /// unless they cannot be true.
    fn adopt(&self, bucket: &str, units: u32);

    /// This computer's time in milliseconds.
    fn local_now_ms(&self) -> i64;

    /// The venue's clock minus this computer's, in milliseconds: requests are built with the venue's
    /// time by it from now on.
    fn set_clock_offset(&self, offset_ms: i64);
}
