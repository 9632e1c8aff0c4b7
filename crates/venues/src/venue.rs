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

#[cfg(test)]
mod tests {
    use super::*;
    use keel_core::time::{TIMEFRAMES, Timeframe};

    #[test]
    fn bars_that_a_venue_does_not_serve_on_our_grid_have_no_name_there() {
        for (id, missing) in [
            ("binance", ""),
            ("okx", "8h"),
            ("bybit", "8h"),
            ("kraken", "3m 2h 6h 8h 12h 1w"),
            ("kucoin", "1w"),
            ("coinbase", "3m 8h 12h 1w"),
        ] {
            let facts = venue(id).unwrap().facts;
            let missing: Vec<&str> = missing.split_whitespace().collect();
            assert_eq!(facts.served().count() + missing.len(), TIMEFRAMES.len(), "{id}");
            for (_, name) in TIMEFRAMES {
                let timeframe: Timeframe = name.parse().unwrap();
                assert_eq!(facts.timeframe(timeframe).is_err(), missing.contains(&name), "{id}");
            }
        }
    }
}
