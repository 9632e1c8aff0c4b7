//! Live and paper trading on real venues: market data, orders that are sent once, caps.

pub mod broker;
mod cap_archive;
pub mod coingecko;
mod history;
pub mod market;
pub mod time;

use keel_core::asset::VenueId;
use keel_venues::api::ExchangeApi;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The adapters, by venue.
pub type Venues = BTreeMap<VenueId, Arc<dyn ExchangeApi>>;

/// Takes over a newer text, unless only figures in it changed, as in a pause that runs out: what is
/// told by its words is told once then.
pub fn renew(told: &mut String, newer: String) {
    if !same_words(told, &newer) {
        *told = newer;
    }
}

fn same_words(one: &str, other: &str) -> bool {
    let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
    words(one) == words(other)
}
