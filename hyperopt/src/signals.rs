//! Entry and exit signals of the Keltner channel, by the indicators of `keel-core`.

use keel_core::candle::Bars;
use keel_core::indicator::{KeltnerParams, keltner_channel};

/// A signal per row; it acts at the open of the next row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    /// The close crossed above the upper band on a bar with volume.
    pub enter: Vec<bool>,
    /// The close crossed below the lower band on a bar with volume.
    pub exit: Vec<bool>,
}

/// The signals of every row, seeded on the first one.
#[must_use]
pub fn signals(bars: Bars<'_>, params: KeltnerParams) -> Signals {
    let channel = keltner_channel(bars.open, bars.high, bars.low, bars.close, params);
    let traded = |crossed: Vec<bool>| {
        crossed.into_iter().zip(bars.volume).map(|(cross, volume)| cross && *volume > 0.0).collect()
    };
    Signals {
        enter: traded(channel.close_crossed_upper(bars.close)),
        exit: traded(channel.close_crossed_lower(bars.close)),
    }
}
