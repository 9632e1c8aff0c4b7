//! The policy: what the operator wants, already checked. Made by the configuration at the edge.

use crate::allocation::Allocation;
use crate::amount::Money;
use crate::asset::{Symbol, Ticker, VenueId};
use crate::limits::Limits;
use crate::strategy::{Params, Strategy};
use crate::time::Timeframe;
use rust_decimal::Decimal;

/// Settings of the whole portfolio. The defaults are those of the specification.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// No order below this value.
    pub min_order_value: Money,
    /// Cap on the sum of weights of assets with `level >= 2`, 0..=1; 1 is no cap.
    pub max_alt_coin_ratio: f64,
    /// Drift band, a fraction of the target value.
    pub rebalance_threshold: Decimal,
    /// A signal counts once the last so many closed candles carry it.
    pub signal_confirmation_cycles: usize,
    /// Candles fetched first.
    pub indicator_history_size: usize,
    /// Candles fetched at most.
    pub max_indicator_history_size: usize,
    /// Caps older than this are used, but flagged.
    pub market_cap_stale_threshold_seconds: u64,
    /// Haircut when a buy must be cut to what is free.
    pub balance_adjustment_factor_buy: Decimal,
    /// Haircut when a sell must be cut to what is free.
    pub balance_adjustment_factor_sell: Decimal,
    /// How the trending assets share the portfolio.
    pub allocation: &'static Allocation,
    /// What no order may exceed.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_order_value: Money::new(Decimal::new(15, 0)),
            max_alt_coin_ratio: 1.0,
            rebalance_threshold: Decimal::new(1, 2),
            signal_confirmation_cycles: 1,
            indicator_history_size: 1000,
            max_indicator_history_size: 5000,
            market_cap_stale_threshold_seconds: 86_400,
            balance_adjustment_factor_buy: Decimal::new(99, 2),
            balance_adjustment_factor_sell: Decimal::new(9999, 4),
            allocation: crate::allocation::default(),
            limits: Limits::default(),
        }
    }
}

/// A tradable asset (`level >= 1`).
#[derive(Clone, Debug, PartialEq)]
pub struct AssetPolicy {
    /// Our name.
    pub ticker: Ticker,
    /// 1 major, 2 and above altcoin.
    pub level: u32,
    /// Where it is held and traded.
    pub venue: VenueId,
    /// Its id at CoinGecko, if it has a market cap.
    pub coingecko_id: Option<String>,
    /// Bars of the position signal.
    pub position_interval: Timeframe,
    /// Bars of the trend signal.
    pub trend_interval: Timeframe,
    /// What makes its signals.
    pub strategy: &'static Strategy,
    /// Parameters of the position stage.
    pub position_params: Params,
    /// Parameters of the trend stage.
    pub trend_params: Params,
}

/// A stablecoin other than the primary one: shown, never traded and not part of the total.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkedAsset {
    /// Our name.
    pub ticker: Ticker,
    /// Where it is held, if the configuration says.
    pub venue: Option<VenueId>,
}

/// Everything a cycle needs to know about what the operator wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Settings of the whole portfolio.
    pub settings: Settings,
    /// The primary stablecoin: prices, values and the parking place.
    pub stablecoin: Ticker,
    /// Tradable assets, in the order of the configuration. Tickers are unique.
    pub assets: Vec<AssetPolicy>,
    /// Other stablecoins.
    pub parked: Vec<ParkedAsset>,
}

impl Policy {
    /// The venues of the tradable assets, each once, in alphabetical order.
    #[must_use]
    pub fn venues(&self) -> Vec<VenueId> {
        let mut venues: Vec<VenueId> =
            self.assets.iter().map(|asset| asset.venue.clone()).collect();
        venues.sort();
        venues.dedup();
        venues
    }

    /// The markets of a venue's assets against the stablecoin, in the order of the configuration.
    #[must_use]
    pub fn markets_at(&self, venue: &VenueId) -> Vec<Symbol> {
        self.assets
            .iter()
            .filter(|asset| asset.venue == *venue)
            .map(|asset| Symbol::new(asset.ticker.clone(), self.stablecoin.clone()))
            .collect()
    }

    /// The tradable asset called `ticker`.
    #[must_use]
    pub fn asset(&self, ticker: &Ticker) -> Option<&AssetPolicy> {
        self.assets.iter().find(|asset| asset.ticker == *ticker)
    }
}
