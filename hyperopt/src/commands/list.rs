//! `hyperopt list` and `hyperopt show`.

use crate::cli::{ResultsArgs, ShowArgs};
use crate::failure::Failure;
use crate::output::say;
use hyperopt::report::honesty_rows;
use hyperopt::results::{StudyRecord, read_records};
use keel_core::time::Timestamp;

pub(crate) fn list(arguments: &ResultsArgs) -> Result<(), Failure> {
    let records = records(arguments)?;
    if arguments.json {
        return say(&serde_json::to_string_pretty(&records).map_err(Failure::other)?);
    }
    for (place, record) in records.iter().enumerate() {
        let best = record.top[0];
        let verdict = if record.refusal.is_empty() { "robust" } else { "not robust" };
        say(&format!(
            "{:3}  {:8} {:8} {:4} {:18} window={:<3} mult={:<5} atrs={:<3} loss {:>12.6}  {:>5} trades  {verdict}",
            place + 1,
            record.asset,
            record.stage,
            record.timeframe,
            record.loss,
            best.window,
            best.mult,
            best.atrs,
            best.loss,
            best.trades,
        ))?;
    }
    Ok(())
}

pub(crate) fn show(arguments: &ShowArgs) -> Result<(), Failure> {
    let records = records(&arguments.results)?;
    let count = records.len();
    let record =
        arguments.number.checked_sub(1).and_then(|place| records.get(place)).ok_or_else(|| {
            Failure::input(format!(
                "there is no search {}; `hyperopt list` shows 1 to {count}",
                arguments.number
            ))
        })?;
    if arguments.results.json {
        return say(&serde_json::to_string_pretty(record).map_err(Failure::other)?);
    }
    say(&format!(
        "{} {} on {} candles, {} to {}\n{} of {} points by {}, loss {}, fee {}\n",
        record.asset,
        record.stage,
        record.timeframe,
        Timestamp::from_ms(record.first_ms),
        Timestamp::from_ms(record.last_ms),
        record.visited,
        record.points,
        record.sampler,
        record.loss,
        record.fee,
    ))?;
    say("window  mult   atrs          loss  trades  wins      profit  drawdown")?;
    for point in &record.top {
        say(&format!(
            "{:6}  {:<5}  {:4}  {:>12.6}  {:6}  {:4}  {:>10.2}  {:>7.2} %",
            point.window,
            point.mult,
            point.atrs,
            point.loss,
            point.trades,
            point.wins,
            point.profit,
            point.relative_drawdown * 100.0,
        ))?;
    }
    say("")?;
    for (name, value, sentence) in honesty_rows(record) {
        say(&format!("{name}: {value}. {sentence}"))?;
    }
    Ok(())
}

fn records(arguments: &ResultsArgs) -> Result<Vec<StudyRecord>, Failure> {
    let records = read_records(&arguments.results).map_err(Failure::input)?;
    if records.is_empty() {
        let path = arguments.results.display();
        return Err(Failure::input(format!(
            "{path} holds no finished search; start one with `hyperopt run`"
        )));
    }
    Ok(records)
}
