//! The signals of many windows of one series at once.
//!
//! Two things make this fast, and neither changes a bit. Neighbouring windows run side by side, which
//! hides that in each of them every row waits for the one before. And exponential means forget where
//! they started: as soon as a window's two means have the same bits as those of one run over the
//! whole series, all that follows is the same too, and its crossings are taken from there.

use super::{keltner_params, larger};
use crate::candle::Bars;
use crate::indicator::Decay;
use crate::question::Newest;
use crate::signal::Signal;
use crate::strategy::{Params, Windows};

/// Windows that run side by side.
const LANES: usize = 8;
/// Rows between two comparisons with the run over the whole series.
const CHUNK: usize = 32;

/// The columns that every window shares, and the rules.
struct Channel<'a> {
    close: &'a [f64],
    /// High minus low, which is the true range of a window's first row.
    spread: Vec<f64>,
    range: Vec<f64>,
    typical: Vec<f64>,
    middle_decay: Decay,
    atr_decay: Decay,
    mult: f64,
}

/// Where a window's recursion stands after a row.
#[derive(Clone, Copy, Default)]
struct Means {
    middle: f64,
    atr: f64,
    was_above: bool,
    was_below: bool,
}

impl Means {
    fn has_bits_of(&self, other: &Self) -> bool {
        self.middle.to_bits() == other.middle.to_bits() && self.atr.to_bits() == other.atr.to_bits()
    }
}

/// The signal so far, and the confirmed one, row by row as `signal::confirmed` reads them.
#[derive(Clone, Copy)]
struct Standing {
    signal: Signal,
    /// Row at which the present run of equal signals began.
    since: usize,
    /// Value of the latest run before it that was long enough.
    before: Signal,
    confirmation: usize,
}

impl Standing {
    fn new(start: usize, confirmation: usize) -> Self {
        let signal = Signal::None;
        Self { signal, since: start, before: signal, confirmation: confirmation.max(1) }
    }

    fn cross(&mut self, row: usize, signal: Signal) {
        if signal != self.signal {
            self.before = self.at(row);
            (self.signal, self.since) = (signal, row);
        }
    }

    /// What counts when the rows before `end` are known.
    fn at(&self, end: usize) -> Signal {
        if end - self.since >= self.confirmation { self.signal } else { self.before }
    }
}

impl<'a> Channel<'a> {
    fn new(bars: Bars<'a>, params: &Params) -> Self {
        let params = keltner_params(params);
        let rows = bars.close.len();
        let spread: Vec<f64> = (0..rows).map(|row| bars.high[row] - bars.low[row]).collect();
        let range = (0..rows)
            .map(|row| {
                let Some(before) = row.checked_sub(1).map(|before| bars.close[before]) else {
                    return spread[row];
                };
                let up = larger(spread[row], (bars.high[row] - before).abs());
                larger(up, (bars.low[row] - before).abs())
            })
            .collect();
        let typical = (0..rows)
            .map(|row| (bars.open[row] + bars.high[row] + bars.low[row] + bars.close[row]) / 4.0)
            .collect();
        Self {
            close: bars.close,
            spread,
            range,
            typical,
            middle_decay: Decay::span(params.window),
            atr_decay: Decay::one_over(params.atr),
            mult: params.mult,
        }
    }

    fn first(&self, row: usize) -> Means {
        let (middle, atr) = (self.typical[row], self.spread[row]);
        Means {
            middle,
            atr,
            was_above: self.close[row] > middle + atr * self.mult,
            was_below: self.close[row] < middle - atr * self.mult,
        }
    }

    /// One row; the crossing in it, if there is one.
    fn step(&self, means: &mut Means, row: usize) -> Option<Signal> {
        let middle = self.middle_decay.step(means.middle, self.typical[row]);
        let atr = self.atr_decay.step(means.atr, self.range[row]);
        let above = self.close[row] > middle + atr * self.mult;
        let below = self.close[row] < middle - atr * self.mult;
        let buys = above && !means.was_above;
        let sells = below && !means.was_below;
        *means = Means { middle, atr, was_above: above, was_below: below };
        // A sell in the same row wins, as in one pass.
        if sells {
            Some(Signal::Sell)
        } else if buys {
            Some(Signal::Buy)
        } else {
            None
        }
    }
}

/// The run over the whole series: its means after each row, and its crossings.
struct Whole {
    means: Vec<Means>,
    crossings: Vec<(usize, Signal)>,
}

impl Whole {
    fn new(channel: &Channel<'_>) -> Self {
        let mut whole = Self { means: Vec::new(), crossings: Vec::new() };
        if channel.close.is_empty() {
            return whole;
        }
        let mut means = channel.first(0);
        whole.means.push(means);
        for row in 1..channel.close.len() {
            if let Some(signal) = channel.step(&mut means, row) {
                whole.crossings.push((row, signal));
            }
            whole.means.push(means);
        }
        whole
    }

    /// The rest of a window whose means after the row before `row` are those of the whole run.
    fn finish(&self, mut standing: Standing, row: usize, end: usize) -> Newest {
        let from = self.crossings.partition_point(|(at, _)| *at < row);
        let mut prev_2 = None;
        for (at, signal) in &self.crossings[from..] {
            if *at >= end {
                break;
            }
            if *at == end - 1 {
                prev_2 = Some(standing.at(end - 1));
            }
            standing.cross(*at, *signal);
        }
        let prev_2 = prev_2.unwrap_or_else(|| standing.at(end - 1));
        Newest { prev_1: standing.at(end), prev_2 }
    }
}

/// One window, row by row from where it stands.
fn by_itself(
    channel: &Channel<'_>,
    mut means: Means,
    mut standing: Standing,
    rows: std::ops::Range<usize>,
) -> Newest {
    let end = rows.end;
    // Nothing counts yet one row before the end of a window of one row.
    let mut prev_2 = if rows.is_empty() { Signal::None } else { standing.at(rows.start) };
    for row in rows {
        prev_2 = standing.at(row);
        if let Some(signal) = channel.step(&mut means, row) {
            standing.cross(row, signal);
        }
    }
    Newest { prev_1: standing.at(end), prev_2 }
}

pub(super) fn newest(bars: Bars<'_>, params: &Params, windows: &Windows) -> Vec<Newest> {
    let channel = Channel::new(bars, params);
    let whole = Whole::new(&channel);
    let mut answers = Vec::with_capacity(windows.ends.len());
    let mut end = windows.ends.start;
    while end < windows.ends.end {
        let start = |lane: usize| (end + lane).saturating_sub(windows.size);
        let together = end + LANES <= windows.ends.end && start(LANES - 1) + CHUNK < end;
        if together {
            answers.extend(side_by_side(&channel, &whole, windows, end));
            end += LANES;
        } else {
            answers.push(alone(&channel, windows, end));
            end += 1;
        }
    }
    answers
}

fn alone(channel: &Channel<'_>, windows: &Windows, end: usize) -> Newest {
    let start = end.saturating_sub(windows.size);
    if start == end {
        return Newest::default();
    }
    let standing = Standing::new(start, windows.confirmation);
    by_itself(channel, channel.first(start), standing, start + 1..end)
}

/// [`LANES`] windows with the ends `end`, `end + 1`, ...
fn side_by_side(
    channel: &Channel<'_>,
    whole: &Whole,
    windows: &Windows,
    end: usize,
) -> [Newest; LANES] {
    let start = |lane: usize| (end + lane).saturating_sub(windows.size);
    // Each lane by itself up to the row at which the last one has started.
    let mut row = start(LANES - 1) + 1;
    let mut means = [Means::default(); LANES];
    let mut standing = [Standing::new(0, windows.confirmation); LANES];
    for lane in 0..LANES {
        standing[lane] = Standing::new(start(lane), windows.confirmation);
        means[lane] = channel.first(start(lane));
        for earlier in start(lane) + 1..row {
            if let Some(signal) = channel.step(&mut means[lane], earlier) {
                standing[lane].cross(earlier, signal);
            }
        }
    }
    while row + CHUNK < end {
        chunk(channel, &mut means, &mut standing, row);
        row += CHUNK;
        if means.iter().all(|means| means.has_bits_of(&whole.means[row - 1])) {
            return std::array::from_fn(|lane| whole.finish(standing[lane], row, end + lane));
        }
    }
    std::array::from_fn(|lane| by_itself(channel, means[lane], standing[lane], row..end + lane))
}

/// [`CHUNK`] rows of every lane.
fn chunk(
    channel: &Channel<'_>,
    means: &mut [Means; LANES],
    standing: &mut [Standing; LANES],
    row: usize,
) {
    let mut middle: [f64; LANES] = std::array::from_fn(|lane| means[lane].middle);
    let mut atr: [f64; LANES] = std::array::from_fn(|lane| means[lane].atr);
    let mut was_above = mask(|lane| means[lane].was_above);
    let mut was_below = mask(|lane| means[lane].was_below);
    for row in row..row + CHUNK {
        let (typical, range, close) =
            (channel.typical[row], channel.range[row], channel.close[row]);
        let (mut above, mut below) = ([false; LANES], [false; LANES]);
        for lane in 0..LANES {
            middle[lane] = channel.middle_decay.step_straight(middle[lane], typical);
            atr[lane] = channel.atr_decay.step_straight(atr[lane], range);
            let width = atr[lane] * channel.mult;
            above[lane] = close > middle[lane] + width;
            below[lane] = close < middle[lane] - width;
        }
        let (above, below) = (mask(|lane| above[lane]), mask(|lane| below[lane]));
        let (buys, sells) = (above & !was_above, below & !was_below);
        if buys | sells != 0 {
            for (lane, standing) in standing.iter_mut().enumerate() {
                if sells >> lane & 1 == 1 {
                    standing.cross(row, Signal::Sell);
                } else if buys >> lane & 1 == 1 {
                    standing.cross(row, Signal::Buy);
                }
            }
        }
        (was_above, was_below) = (above, below);
    }
    for lane in 0..LANES {
        means[lane] = Means {
            middle: middle[lane],
            atr: atr[lane],
            was_above: was_above >> lane & 1 == 1,
            was_below: was_below >> lane & 1 == 1,
        };
    }
}

/// One bit per lane.
fn mask(of: impl Fn(usize) -> bool) -> u32 {
    (0..LANES).fold(0, |bits, lane| bits | u32::from(of(lane)) << lane)
}
