//! Buy when the close breaks out above the Keltner channel, sell when it breaks out below.

mod windows;

use super::{ParamKind, ParamSpec, Params, Strategy};
use crate::candle::Bars;
use crate::indicator::{Decay, KeltnerParams};
use crate::signal::Signal;

pub(super) const STRATEGY: Strategy = Strategy {
    name: "keltner_channel",
    doc: "buy when the close crosses above the upper Keltner band, sell below the lower one",
    params: &[
        ParamSpec {
            name: "kc_window",
            kind: ParamKind::Integer { min: 1 },
            default: 20.0,
            doc: "span of the middle line, in bars",
        },
        ParamSpec {
            name: "kc_atr",
            kind: ParamKind::Integer { min: 1 },
            default: 10.0,
            doc: "bars of the average true range",
        },
        ParamSpec {
            name: "kc_mult",
            kind: ParamKind::Number { above: 0.0 },
            default: 2.0,
            doc: "how many average true ranges the bands lie from the middle",
        },
    ],
    signals,
    windows: Some(windows::newest),
};

/// The parameters of a stage of `keltner_channel`, for those who draw its channel.
#[must_use]
pub fn keltner_params(params: &Params) -> KeltnerParams {
    let whole = |value: f64| {
        // `as` saturates: a value beyond the range was refused when the file was read.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked on reading"
        )]
        let whole = value as u32;
        whole
    };
    match params.values() {
        [window, atr, mult] => {
            KeltnerParams { window: whole(*window), atr: whole(*atr), mult: *mult }
        }
        _ => KeltnerParams { window: 20, atr: 10, mult: 2.0 },
    }
}

/// The channel of `indicator::keltner_channel`, its crossings and the carried signal in one pass
/// and without intermediate columns. A test holds the two equal.
fn signals(bars: Bars<'_>, params: &Params) -> Vec<Signal> {
    let params = keltner_params(params);
    let (middle_decay, atr_decay) = (Decay::span(params.window), Decay::one_over(params.atr));
    let mut out = Vec::with_capacity(bars.close.len());
    let (Some(open), Some(high), Some(low), Some(close)) =
        (bars.open.first(), bars.high.first(), bars.low.first(), bars.close.first())
    else {
        return out;
    };
    let mut middle = (open + high + low + close) / 4.0;
    let mut atr = high - low;
    let mut was_above = *close > middle + atr * params.mult;
    let mut was_below = *close < middle - atr * params.mult;
    let mut signal = Signal::None;
    out.push(signal);
    let rest = bars.open[1..].iter().zip(&bars.high[1..]).zip(&bars.low[1..]);
    for (((open, high), low), pair) in rest.zip(bars.close.windows(2)) {
        let (before, close) = (pair[0], pair[1]);
        let range = larger(larger(high - low, (high - before).abs()), (low - before).abs());
        middle = middle_decay.step(middle, (open + high + low + close) / 4.0);
        atr = atr_decay.step(atr, range);
        let above = close > middle + atr * params.mult;
        let below = close < middle - atr * params.mult;
        if above && !was_above {
            signal = Signal::Buy;
        }
        // Checked second, as the seed writes it second; both at once would need crossed bands.
        if below && !was_below {
            signal = Signal::Sell;
        }
        out.push(signal);
        (was_above, was_below) = (above, below);
    }
    out
}

/// `f64::max` for numbers: without its rule for NaN this is a single instruction.
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::keltner_channel;
    use crate::strategy::Windows;
    use proptest::prelude::*;

    fn reference(bars: Bars<'_>, params: KeltnerParams) -> Vec<Signal> {
        let channel = keltner_channel(bars.open, bars.high, bars.low, bars.close, params);
        let buys = channel.close_crossed_upper(bars.close);
        let sells = channel.close_crossed_lower(bars.close);
        let mut signal = Signal::None;
        buys.into_iter()
            .zip(sells)
            .map(|(buy, sell)| {
                if buy {
                    signal = Signal::Buy;
                }
                if sell {
                    signal = Signal::Sell;
                }
                signal
            })
            .collect()
    }

    proptest! {
        #[test]
        fn one_pass_equals_the_indicators(
            steps in proptest::collection::vec((-5_i32..=5, 0_u32..3, 0_u32..3), 0..200),
            window in 1_u32..30, atr in 1_u32..30, mult in 0.1_f64..3.0
        ) {
            let mut close = Vec::new();
            let (mut open, mut high, mut low) = (Vec::new(), Vec::new(), Vec::new());
            let mut price = 100.0;
            for (step, up, down) in steps {
                open.push(price);
                price += f64::from(step);
                close.push(price);
                high.push(price.max(price - f64::from(step)) + f64::from(up));
                low.push(price.min(price - f64::from(step)) - f64::from(down));
            }
            let volume = vec![1.0; close.len()];
            let bars = Bars { open: &open, high: &high, low: &low, close: &close, volume: &volume };
            let params = Params::new(vec![f64::from(window), f64::from(atr), mult]);
            prop_assert_eq!(
                signals(bars, &params),
                reference(bars, KeltnerParams { window, atr, mult })
            );
        }

        #[test]
        fn many_windows_together_equal_each_by_itself(
            steps in proptest::collection::vec((-5_i32..=5, 0_u32..3, 0_u32..3), 1..700),
            window in 1_u32..12, atr in 1_u32..12, mult in 0.1_f64..3.0,
            size in 1_usize..500, from in 0_usize..300, confirmation in 1_usize..4
        ) {
            let mut columns: [Vec<f64>; 4] = Default::default();
            let mut price = 1000.0;
            for (step, up, down) in steps {
                let next = price + f64::from(step) * 0.37;
                let row = [
                    price,
                    price.max(next) + f64::from(up),
                    price.min(next) - f64::from(down),
                    next,
                ];
                for (column, value) in columns.iter_mut().zip(row) {
                    column.push(value);
                }
                price = next;
            }
            let [open, high, low, close] = &columns;
            let bars = Bars { open, high, low, close, volume: close };
            let params = Params::new(vec![f64::from(window), f64::from(atr), mult]);
            let windows = Windows { size, ends: from.min(close.len())..close.len() + 1, confirmation };
            let together = windows::newest(bars, &params, &windows);
            let apart = crate::strategy::Strategy { windows: None, ..STRATEGY };
            prop_assert_eq!(together, apart.newest_of(bars, &params, &windows));
        }
    }
}
