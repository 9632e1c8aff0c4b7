//! What a simulated trade costs: fee, spread, slippage and how much of it is filled.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The four models of a paper broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostModels {
    /// Taker fee, in hundredths of a percent of what is received; taken from it.
    pub fee_bps: Decimal,
    /// Half the distance between bid and ask, in hundredths of a percent of the mid price.
    pub half_spread_bps: Decimal,
    /// Price impact: hundredths of a percent for each percent of the last hour's volume that the
    /// order takes.
    pub slippage_bps_per_percent: Decimal,
    /// The largest share of the last hour's volume that is filled; the rest of an order is not.
    pub max_volume_share: Decimal,
}

impl Default for CostModels {
    /// A taker on a large venue: 10 bps fee, 2 bps half-spread, 1 bp per percent of the volume, at
    /// most a quarter of it.
    fn default() -> Self {
        Self {
            fee_bps: Decimal::new(10, 0),
            half_spread_bps: Decimal::new(2, 0),
            slippage_bps_per_percent: Decimal::ONE,
            max_volume_share: Decimal::new(25, 2),
        }
    }
}

const BPS: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

impl CostModels {
    /// How far from the mid price an order trades, as a fraction. `volume_share` is the order's
    /// share of the last hour's volume, `None` when the volume is unknown.
    #[must_use]
    pub fn price_offset(&self, volume_share: Option<Decimal>) -> Decimal {
        let percent = volume_share.unwrap_or_default() * Decimal::ONE_HUNDRED;
        (self.half_spread_bps + self.slippage_bps_per_percent * percent) / BPS
    }

    /// The fee on a received amount.
    #[must_use]
    pub fn fee(&self, received: Decimal) -> Decimal {
        received * self.fee_bps / BPS
    }

    /// How much of `amount` is filled when `volume` was traded in the last hour.
    #[must_use]
    pub fn fillable(&self, amount: Decimal, volume: Option<Decimal>) -> Decimal {
        volume.map_or(amount, |volume| amount.min(volume * self.max_volume_share))
    }

    /// What a trade of ordinary size costs, as a fraction of its value: fee and half-spread.
    #[must_use]
    pub fn trade_cost(&self) -> Decimal {
        (self.fee_bps + self.half_spread_bps) / BPS
    }
}
