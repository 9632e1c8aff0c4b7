//! What a run did about data that is missing, short or odd: one sentence each.

use crate::engine::Scenario;
use crate::run::Run;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::CandleSeries;
use keel_core::policy::AssetPolicy;
use keel_core::time::{Timeframe, Timestamp};
use std::collections::BTreeMap;

/// Caps that are further apart than this are missing in between.
const CAP_GAP_DAYS: i64 = 7;
/// A last price below this part of the highest one is a fall to nothing.
const COLLAPSED: f64 = 0.02;
/// Notes of cycles that are repeated one by one; the others are counted.
const CYCLE_NOTES_MAX: usize = 10;

fn day(moment: Timestamp) -> String {
    moment.to_string().chars().take(10).collect()
}

fn days(ms: i64) -> i64 {
    ms / Timeframe::D1.ms()
}

/// The sentences about every asset's candles and caps between the first and the last cycle.
pub(crate) fn of_run(scenario: &Scenario<'_>, run: &Run) -> Vec<String> {
    let (Some(first), Some(last)) = (run.moments.first(), run.moments.last()) else {
        return vec!["no cycle lies in the range, so nothing was run".to_owned()];
    };
    let mut told: Vec<(String, Vec<&Ticker>)> = Vec::new();
    for asset in &scenario.policy.assets {
        let mut sentences = of_candles(scenario, run, asset, *first, *last);
        sentences.extend(of_caps(scenario, asset, *first, *last));
        for sentence in sentences {
            match told.iter_mut().find(|(known, _)| *known == sentence) {
                Some((_, tickers)) => tickers.push(&asset.ticker),
                None => told.push((sentence, vec![&asset.ticker])),
            }
        }
    }
    told.into_iter()
        .map(|(sentence, tickers)| {
            let names: Vec<&str> = tickers.iter().map(|ticker| ticker.as_str()).collect();
            format!("{}: {sentence}", names.join(", "))
        })
        .collect()
}

fn of_candles(
    scenario: &Scenario<'_>,
    run: &Run,
    asset: &AssetPolicy,
    first: Timestamp,
    last: Timestamp,
) -> Vec<String> {
    let symbol = Symbol::new(asset.ticker.clone(), scenario.policy.stablecoin.clone());
    let by_timeframe =
        scenario.tape.venues.get(&asset.venue).and_then(|venue| venue.candles.get(&symbol));
    // Their absence is told by whoever loaded the data, with the place where they were looked for.
    let Some(finest) = by_timeframe.and_then(|series| series.values().next()) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    let step = finest.timeframe().ms();
    let opens = finest.open_time_ms();
    let (Some(starts), Some(ends)) = (opens.first(), opens.last()) else { return notes };
    let (starts, ends) = (Timestamp::from_ms(*starts), Timestamp::from_ms(*ends + step));
    if starts > first {
        notes.push(format!(
            "candles start on {} inside the range; takes part once both signals have spoken, and in the benchmarks from then on",
            day(starts)
        ));
    }
    if last.since_ms(ends) > 2 * step {
        notes.push(ended(run, asset, finest, ends));
    }
    notes.extend(holes(finest, first, last));
    notes
}

/// An asset whose candles end before the run does.
fn ended(run: &Run, asset: &AssetPolicy, series: &CandleSeries, ends: Timestamp) -> String {
    let ticker = &asset.ticker;
    let highest = series.iter().map(|candle| candle.close).fold(0.0, f64::max);
    let last = series.get(series.len().saturating_sub(1)).map_or(0.0, |candle| candle.close);
    let collapse = if last < highest * COLLAPSED {
        format!(
            "; it had fallen to {last} from {highest}, as before a delisting, and whoever held it could not sell"
        )
    } else {
        String::new()
    };
    let held =
        run.weights.get(ticker).and_then(|weights| weights.last()).copied().map_or(0.0, f64::from);
    let end_value = run.equity.last().copied().unwrap_or(0.0);
    let consequence = if held > 0.0 {
        format!(
            "{:.2} {} of the end value of {:.2} is {ticker} at that price; if it is worth nothing, {:.2} is left",
            held * end_value,
            run.stablecoin,
            end_value,
            end_value * (1.0 - held)
        )
    } else {
        "nothing of it was held at the end".to_owned()
    };
    format!(
        "candles end on {} inside the range, at {last}{collapse}; from then on it keeps that price and is not traded (stale data); {consequence}",
        day(ends)
    )
}

/// Missing bars between the first and the last cycle, when there are any.
fn holes(series: &CandleSeries, first: Timestamp, last: Timestamp) -> Option<String> {
    let gaps = series.gaps();
    let inside: Vec<_> = gaps.iter().filter(|gap| gap.from >= first && gap.from <= last).collect();
    let longest = inside.iter().max_by_key(|gap| gap.bars)?;
    let bars: usize = inside.iter().map(|gap| gap.bars).sum();
    Some(format!(
        "{bars} {} candles are missing in {} places, the longest {} from {}; the last price stands in them, dominance carries it forward, and signals older than two candles wait",
        series.timeframe(),
        inside.len(),
        longest.bars,
        longest.from
    ))
}

fn of_caps(
    scenario: &Scenario<'_>,
    asset: &AssetPolicy,
    first: Timestamp,
    last: Timestamp,
) -> Vec<String> {
    let ticker = &asset.ticker;
    let points = scenario.tape.caps.get(ticker).map_or(&[][..], Vec::as_slice);
    let mut notes = Vec::new();
    let (Some(start), Some(end)) = (points.first(), points.last()) else { return notes };
    if start.as_of > first {
        notes.push(format!(
            "market caps start on {} inside the range; not traded before",
            day(start.as_of)
        ));
    }
    let gap = |from: Timestamp, to: Timestamp| {
        (to.since_ms(from) > CAP_GAP_DAYS * Timeframe::D1.ms()).then_some((from, to))
    };
    let between = points.windows(2).filter_map(|pair| gap(pair[0].as_of, pair[1].as_of));
    let after = gap(end.as_of, last);
    let overlapping = between
        .chain(after)
        .filter(|(from, to)| *to > first && *from < last)
        .map(|(from, to)| (from.max(first), to.min(last)));
    for (from, to) in overlapping {
        notes.push(missing_caps(from, to));
    }
    notes
}

fn missing_caps(from: Timestamp, to: Timestamp) -> String {
    format!(
        "no market caps from {} to {} ({} days); the last known is used and marked as stale",
        day(from),
        day(to),
        days(to.since_ms(from))
    )
}

/// What the cycles themselves had to say, the same sentence once.
pub(crate) fn of_cycles(notes: &BTreeMap<String, u64>) -> Vec<String> {
    let mut told: Vec<String> = notes
        .iter()
        .take(CYCLE_NOTES_MAX)
        .map(
            |(note, times)| {
                if *times > 1 { format!("{note} (in {times} cycles)") } else { note.clone() }
            },
        )
        .collect();
    if let Some(more) = notes.len().checked_sub(CYCLE_NOTES_MAX).filter(|more| *more > 0) {
        told.push(format!("{more} more notes of cycles like these"));
    }
    told
}
