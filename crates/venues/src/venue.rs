//! The table of venues. A new one is a file and a row.

use crate::api::{ExchangeApi, VenueFacts};
use crate::http::Transport;
use crate::{binance, bybit, coinbase, kraken, kucoin, okx};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Key, secret and passphrase of an account. `Debug` is not derived.
#[derive(Clone)]
pub struct Keys {
    /// API key.
    pub api_key: Zeroizing<String>,
    /// API secret, as the venue hands it out.
    pub secret: Zeroizing<String>,
    /// API passphrase, where the venue has one.
    pub password: Option<Zeroizing<String>>,
}

/// What an adapter is made of.
#[derive(Clone)]
pub struct Connection {
    /// Carries its requests.
    pub transport: Arc<dyn Transport>,
    /// Base URLs by the names in [`VenueFacts::urls`], all of them, without a trailing slash.
    pub urls: BTreeMap<String, String>,
    /// The account; without keys only public calls work.
    pub keys: Option<Keys>,
    /// The test environment is meant, for venues that mark it in a header.
    pub sandbox: bool,
}

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Venue {
    /// How the venue treats orders.
    pub facts: &'static VenueFacts,
    /// Makes the adapter.
    pub connect: fn(Connection) -> Box<dyn ExchangeApi>,
}

/// Every venue, by id.
pub static VENUES: &[Venue] =
    &[binance::VENUE, okx::VENUE, bybit::VENUE, kraken::VENUE, kucoin::VENUE, coinbase::VENUE];

/// The venue called `id`.
#[must_use]
pub fn venue(id: &str) -> Option<&'static Venue> {
    VENUES.iter().find(|venue| venue.facts.id == id)
}
