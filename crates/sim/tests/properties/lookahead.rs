//! What is decided at a moment depends on nothing that comes later.

use crate::scenario::{Dice, Scenario, Wishes, both_timeframes};
use keel_core::candle::{Candle, CandleSeries};
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::tape::Tape;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tape without anything that closes or is stamped after `now`.
fn cut(tape: &Tape, now: Timestamp) -> Tape {
    let mut cut = tape.clone();
    for venue in cut.venues.values_mut() {
        for series in venue.candles.values_mut().flat_map(BTreeMap::values_mut) {
            let past: Vec<Candle> = series.iter().take(series.closed_by(now)).collect();
            *series = Arc::new(CandleSeries::new(series.timeframe(), &past).unwrap());
        }
    }
    for points in cut.caps.values_mut() {
        points.retain(|point| point.as_of <= now);
    }
    cut
}

/// The tape with every later bar and cap replaced by nonsense, holes included.
fn garbled(tape: &Tape, now: Timestamp, dice: &mut Dice) -> Tape {
    let mut garbled = tape.clone();
    for venue in garbled.venues.values_mut() {
        for by_timeframe in venue.candles.values_mut() {
            let hourly = &by_timeframe[&Timeframe::H1];
            let past = hourly.closed_by(now);
            let mut bars: Vec<Candle> = hourly.iter().collect();
            for bar in &mut bars[past..] {
                let price = 1e-3 * (1 + dice.roll(1_000_000_000)) as f64;
                *bar = Candle {
                    open: price,
                    high: price * 3.0,
                    low: price / 5.0,
                    close: price * 1.5,
                    volume: dice.roll(1000) as f64,
                    ..*bar
                };
            }
            let mut row = 0;
            bars.retain(|_| {
                row += 1;
                row <= past || !dice.one_in(4)
            });
            *by_timeframe = both_timeframes(&bars);
        }
    }
    for points in garbled.caps.values_mut() {
        for point in points.iter_mut().filter(|point| point.as_of > now) {
            point.cap_usd = 1.0 + dice.roll(1_000_000) as f64;
        }
    }
    garbled
}

#[test]
fn a_plan_depends_on_nothing_that_comes_later() {
    let ragged = Wishes { ragged: true, flows: true, cycles: 40, ..Wishes::CALM };
    let mut executions = 0;
    for seed in 220..226 {
        let whole = Scenario::new(seed, ragged);
        let expected = whole.run();
        executions += expected.executed.len();
        let mut dice = Dice::new(seed, 7);
        // The last cycle of each shorter run is a plan on `[..t]`; those before it are, too.
        for cycles in [1, 2, 14, 23, 40] {
            let now = whole.moment(cycles - 1);
            for tape in [cut(&whole.tape, now), garbled(&whole.tape, now, &mut dice)] {
                let run = Scenario { tape, cycles, ..whole.clone() }.run();
                assert_eq!(
                    run.cycles[..],
                    expected.cycles[..cycles],
                    "seed {seed}: the first {cycles} cycles saw the future"
                );
            }
        }
    }
    assert!(executions > 30, "only {executions} executions");
}
