//! What a simulated world is made of.

use crate::book::BookShape;
use crate::clock::ClockMode;
use crate::exchange::FeeAsset;
use crate::prices::{AssetSpec, Place};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where prices come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// They stand still at the prices of the assets until they are set.
    Flat,
    /// A made-up market.
    Generated {
        /// Same seed (and start of the clock), same prices.
        seed: u64,
        /// Hours before the start.
        history_hours: usize,
        /// Hours after the start; later the prices stand still.
        future_hours: usize,
    },
    /// Candle files by ticker, CSV with `timestamp,open,high,low,close,volume`; milliseconds or
    /// seconds since 1970. Assets without a file stand still.
    Files {
        /// Path by ticker.
        files: BTreeMap<String, PathBuf>,
        /// The last candle of each file is moved to end now, instead of keeping its own time.
        end_now: bool,
    },
}

/// A key of the venue's account.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// API key.
    pub key: String,
    /// Secret.
    pub secret: String,
    /// Passphrase, for OKX.
    #[serde(default)]
    pub passphrase: String,
    /// May read.
    #[serde(default = "yes")]
    pub read: bool,
    /// May trade.
    #[serde(default = "yes")]
    pub trade: bool,
    /// May withdraw.
    #[serde(default)]
    pub withdraw: bool,
    /// Bound to addresses.
    #[serde(default)]
    pub address_bound: bool,
    /// No longer known to the venue.
    #[serde(default)]
    pub revoked: bool,
}

const fn yes() -> bool {
    true
}

/// One simulated venue.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueConfig {
    /// Keys of its account.
    pub keys: Vec<KeyConfig>,
    /// First deposits by asset.
    pub balances: BTreeMap<String, Decimal>,
    /// Markets as `BASE/QUOTE`.
    pub markets: Vec<String>,
    /// Smallest order in the quote currency; 0: none.
    pub min_notional: Decimal,
    /// Fee as a fraction of the value.
    pub fee_rate: Decimal,
    /// What fees are paid in.
    pub fee_asset: FeeAsset,
    /// Width and depth of its books.
    pub book: BookShape,
    /// How far the venue's clock is ahead, milliseconds.
    #[serde(default)]
    pub skew_ms: i64,
    /// Multiplies the venue's limits, e.g. 100 to keep them out of the way.
    #[serde(default = "one")]
    pub limit_factor: u64,
}

const fn one() -> u64 {
    1
}

/// A simulated world. `SimexConfig::default()` is ready to run.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimexConfig {
    /// Its clock.
    pub clock: ClockMode,
    /// Its prices.
    pub prices: PriceSource,
    /// Its assets.
    pub assets: Vec<AssetSpec>,
    /// Its venues.
    pub venues: BTreeMap<Place, VenueConfig>,
    /// The token of the Telegram bot.
    pub telegram_token: String,
    /// Ports by double (`binance`, `okx`, `coingecko`, `telegram`, `control`); others take a free one.
    pub ports: BTreeMap<String, u16>,
    /// Requests that the journal keeps, the newest ones.
    pub journal_requests: usize,
}

/// A coin with its first price in dollars, its supply and the decimals of its amounts.
#[must_use]
pub fn coin(ticker: &str, price: f64, supply: f64, coingecko_id: &str, places: u32) -> AssetSpec {
    AssetSpec {
        ticker: ticker.to_owned(),
        price,
        supply,
        coingecko_id: coingecko_id.to_owned(),
        amount_places: places,
        stable: false,
    }
}

/// A coin that is worth a dollar.
#[must_use]
pub fn stablecoin(ticker: &str, supply: f64, coingecko_id: &str) -> AssetSpec {
    AssetSpec { stable: true, ..coin(ticker, 1.0, supply, coingecko_id, 2) }
}

/// The assets of the default world.
#[must_use]
pub fn default_assets() -> Vec<AssetSpec> {
    vec![
        coin("BTC", 60_000.0, 19.8e6, "bitcoin", 5),
        coin("ETH", 3_000.0, 120.4e6, "ethereum", 4),
        coin("BNB", 550.0, 145.9e6, "binancecoin", 3),
        coin("SOL", 150.0, 470.0e6, "solana", 3),
        coin("XRP", 0.6, 56.0e9, "ripple", 1),
        coin("DOGE", 0.12, 146.0e9, "dogecoin", 0),
        coin("LINK", 12.0, 627.0e6, "chainlink", 2),
        stablecoin("USDT", 118.0e9, "tether"),
        stablecoin("USDC", 35.0e9, "usd-coin"),
    ]
}

/// A venue with the given markets, 10,000 USDT, and one key.
#[must_use]
pub fn default_venue(name: &str, markets: &[&str], min_notional: Decimal) -> VenueConfig {
    VenueConfig {
        keys: vec![KeyConfig {
            key: format!("simex-{name}-key-0000000000000000000000000000000000000000"),
            secret: format!("simex-{name}-secret-0000000000000000000000000000000000"),
            passphrase: format!("simex-{name}-passphrase"),
            read: true,
            trade: true,
            withdraw: false,
            address_bound: true,
            revoked: false,
        }],
        balances: BTreeMap::from([("USDT".to_owned(), Decimal::from(10_000))]),
        markets: markets.iter().map(|market| (*market).to_owned()).collect(),
        min_notional,
        fee_rate: Decimal::new(1, 3),
        fee_asset: FeeAsset::Received,
        book: BookShape::default(),
        skew_ms: 0,
        limit_factor: 1,
    }
}

impl Default for SimexConfig {
    fn default() -> Self {
        let binance = [
            "BTC/USDT",
            "ETH/USDT",
            "BNB/USDT",
            "SOL/USDT",
            "XRP/USDT",
            "DOGE/USDT",
            "LINK/USDT",
            "USDC/USDT",
            "ETH/BTC",
            "BNB/BTC",
            "SOL/BTC",
            "LINK/BTC",
            "BTC/USDC",
            "ETH/USDC",
        ];
        let okx = [
            "BTC/USDT",
            "ETH/USDT",
            "SOL/USDT",
            "XRP/USDT",
            "DOGE/USDT",
            "LINK/USDT",
            "USDC/USDT",
            "ETH/BTC",
            "SOL/BTC",
        ];
        let five = Decimal::from(5);
        Self {
            clock: ClockMode::default(),
            prices: PriceSource::Generated { seed: 7, history_hours: 9_000, future_hours: 24 * 60 },
            assets: default_assets(),
            venues: BTreeMap::from([
                (Place::Binance, default_venue("binance", &binance, five)),
                (Place::Okx, default_venue("okx", &okx, Decimal::ZERO)),
            ]),
            telegram_token: "100000001:simex-telegram-token-000000000000".to_owned(),
            ports: BTreeMap::new(),
            journal_requests: 200_000,
        }
    }
}
