//! Indicator values as CSV, to look at or to compare.

use crate::backtest::Series;
use keel_core::indicator::{KeltnerParams, average_true_range, keltner_channel, true_range};
use std::fmt::Write;

/// One line per row: the candle that the signals are made on, true range, its mean, the channel,
/// and whether the close crossed the upper (`up`) or the lower band (`dn`).
#[must_use]
pub fn bands_csv(series: &Series, params: KeltnerParams) -> String {
    let bars = series.signal_bars();
    let range = true_range(bars.high, bars.low, bars.close);
    let atr = average_true_range(bars.high, bars.low, bars.close, params.atr);
    let channel = keltner_channel(bars.open, bars.high, bars.low, bars.close, params);
    let up = channel.close_crossed_upper(bars.close);
    let down = channel.close_crossed_lower(bars.close);
    let mut csv =
        String::from("row,timestamp,open,high,low,close,volume,tr,atr,lower,mid,upper,up,dn\n");
    for row in 0..series.len() {
        let values = [
            bars.open[row],
            bars.high[row],
            bars.low[row],
            bars.close[row],
            bars.volume[row],
            range[row],
            atr[row],
            channel.lower[row],
            channel.middle[row],
            channel.upper[row],
        ];
        // Writing to a string cannot fail.
        let _ = write!(csv, "{row},{}", series.traded.open_time_ms[row]);
        for value in values {
            let _ = write!(csv, ",{value}");
        }
        let _ = writeln!(csv, ",{},{}", u8::from(up[row]), u8::from(down[row]));
    }
    csv
}
