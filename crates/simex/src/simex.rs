//! The running simulation: servers on loopback, and everything a test may do to it.

use crate::config::SimexConfig;
use crate::exchange::{FeeAsset, Quirks};
use crate::faults::Fault;
use crate::journal::RequestRecord;
use crate::ledger::Holding;
use crate::oracle::{OracleReport, report};
use crate::orders::Order;
use crate::prices::Place;
use crate::rules::MarketStatus;
use crate::server::{Double, Shared, serve};
use crate::wire::WireListener;
use crate::world::{VenueState, World};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running simulation. It ends when it is dropped.
pub struct Simex {
    shared: Shared,
    config: SimexConfig,
    addresses: BTreeMap<Double, SocketAddr>,
    servers: Vec<JoinHandle<()>>,
}

impl Simex {
    /// Starts all servers on 127.0.0.1, within the caller's tokio runtime.
    ///
    /// # Errors
    /// When the configuration cannot be used or a port is taken.
    pub async fn start(config: SimexConfig) -> Result<Self, String> {
        let shared = Shared::new(World::new(&config)?);
        let mut addresses = BTreeMap::new();
        let mut servers = Vec::new();
        for double in Double::ALL {
            let port = config.ports.get(double.name()).copied().unwrap_or(0);
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .await
                .map_err(|error| format!("127.0.0.1:{port} for {}: {error}", double.name()))?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
            addresses.insert(double, address);
            let cut = shared.world().request_cuts.get(double.name()).cloned().unwrap_or_default();
            let listener = WireListener { listener, cut };
            servers.push(tokio::spawn(serve(listener, shared.clone(), double)));
        }
        Ok(Self { shared, config, addresses, servers })
    }

    /// The base URL of a double, without a slash at the end.
    #[must_use]
    pub fn url(&self, double: Double) -> String {
        self.addresses.get(&double).map_or_else(String::new, |address| format!("http://{address}"))
    }

    /// What it was started with, keys included.
    #[must_use]
    pub const fn config(&self) -> &SimexConfig {
        &self.config
    }

    /// Looks at or changes everything; nothing is served meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let result = work(&mut self.shared.world());
        self.shared.news.notify_waiters();
        result
    }

    fn venue<T>(&self, place: Place, work: impl FnOnce(&mut VenueState, i64) -> T) -> Option<T> {
        self.with(|world| {
            let now = world.venue_now(place);
            world.venues.get_mut(&place).map(|venue| work(venue, now))
        })
    }

    /// Exchange time, milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.with(|world| world.clock.now_ms())
    }

    /// Moves the clock.
    pub fn advance(&self, by_ms: i64) {
        self.with(|world| world.clock.advance(by_ms));
    }

    /// Puts a venue's clock ahead (behind, below zero) of the others.
    pub fn set_skew(&self, place: Place, skew_ms: i64) {
        self.venue(place, |venue, _| venue.skew_ms = skew_ms);
    }

    /// Sets the price of an asset in dollars from now on, at one place or everywhere. With `pinned`
    /// it stays there. `false`: unknown asset.
    pub fn set_price(&self, ticker: &str, place: Option<Place>, price: f64, pinned: bool) -> bool {
        self.with(|world| {
            let now = world.clock.now_ms();
            world.cache.forget_from(now);
            world.prices.set(ticker, place, price, pinned, now)
        })
    }

    /// Multiplies the price of an asset from now on. `false`: unknown asset.
    pub fn move_price(&self, ticker: &str, factor: f64) -> bool {
        self.with(|world| {
            let now = world.clock.now_ms();
            world.cache.forget_from(now);
            world.prices.multiply(ticker, None, factor, now)
        })
    }

    /// Halts, delists or reopens a market. `false`: no such market.
    pub fn set_market(&self, place: Place, market: &str, status: MarketStatus) -> bool {
        let set = self.venue(place, |venue, _| {
            let found = venue.exchange.markets.get_mut(market);
            found.map(|rules| rules.status = status).is_some()
        });
        set == Some(true)
    }

    /// Brings funds in. `false`: unknown venue or no amount.
    pub fn deposit(&self, place: Place, asset: &str, amount: Decimal) -> bool {
        self.venue(place, |venue, now| venue.exchange.deposit(asset, amount, now)) == Some(true)
    }

    /// Takes free funds out. `false`: there are not as many.
    pub fn withdraw(&self, place: Place, asset: &str, amount: Decimal) -> bool {
        self.venue(place, |venue, now| venue.exchange.withdraw(asset, amount, now)) == Some(true)
    }

    /// Makes a venue forget a key, or know it again.
    pub fn set_revoked(&self, place: Place, revoked: bool) {
        self.venue(place, |venue, _| {
            for key in venue.keys.values_mut() {
                key.revoked = revoked;
            }
        });
    }

    /// Gives a venue's keys the right to withdraw, or takes it.
    pub fn set_withdraw_right(&self, place: Place, withdraw: bool) {
        self.venue(place, |venue, _| {
            for key in venue.keys.values_mut() {
                key.withdraw = withdraw;
            }
        });
    }

    /// Sets what fees are paid in.
    pub fn set_fee_asset(&self, place: Place, fee_asset: FeeAsset) {
        self.venue(place, |venue, _| venue.exchange.fee_asset = fee_asset);
    }

    /// Sets deviations of a venue.
    pub fn set_quirks(&self, place: Place, quirks: Quirks) {
        self.venue(place, |venue, _| venue.exchange.quirks = quirks);
    }

    /// Adds a line to the fault script; its calls are counted from now.
    pub fn fault(&self, fault: Fault) {
        self.with(|world| world.script.add(fault));
    }

    /// Resets the connection of the next request at a double once so many of its bytes have come. The
    /// request takes no effect, unless it is not longer than that.
    pub fn reset_request_at(&self, double: Double, bytes: u64) {
        self.reset_at(double, bytes, "");
    }

    /// The same for the next request that is a POST: an order.
    pub fn reset_order_at(&self, double: Double, bytes: u64) {
        self.reset_at(double, bytes, "POST ");
    }

    fn reset_at(&self, double: Double, bytes: u64, start: &'static str) {
        self.with(|world| {
            if let Some(cut) = world.request_cuts.get(double.name()) {
                cut.set(bytes, start);
            }
        });
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.with(|world| world.script.clear());
    }

    /// A user says something to the bot. Gives the number of the update.
    pub fn say(&self, user_id: i64, chat_id: i64, text: &str) -> i64 {
        self.with(|world| {
            let now = world.clock.now_ms();
            world.telegram.say(user_id, chat_id, text, now)
        })
    }

    /// Texts (captions) of what the bot sent, oldest first.
    #[must_use]
    pub fn sent_texts(&self) -> Vec<String> {
        self.with(|world| world.telegram.sent.iter().map(|sent| sent.text.clone()).collect())
    }

    /// Every accepted order of a venue, oldest first.
    #[must_use]
    pub fn orders(&self, place: Place) -> Vec<Order> {
        let orders = |venue: &mut VenueState, _| venue.exchange.orders.values().cloned().collect();
        self.venue(place, orders).unwrap_or_default()
    }

    /// The balances of a venue.
    #[must_use]
    pub fn balances(&self, place: Place) -> BTreeMap<String, Holding> {
        self.venue(place, |venue, _| venue.exchange.balances(false)).unwrap_or_default()
    }

    /// The requests that arrived, oldest first, as far as they are kept.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.with(|world| world.journal.records().cloned().collect())
    }

    /// How often an endpoint (`POST /api/v3/order`) of a double was called.
    #[must_use]
    pub fn calls(&self, double: Double, endpoint: &str) -> u64 {
        self.with(|world| {
            let counts = world.journal.counts().get(double.name());
            counts.and_then(|counts| counts.get(endpoint)).copied().unwrap_or(0)
        })
    }

    /// What really happened.
    #[must_use]
    pub fn oracle(&self) -> OracleReport {
        self.with(|world| report(world))
    }
}

impl Drop for Simex {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}
