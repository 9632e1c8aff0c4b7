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
