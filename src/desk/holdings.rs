//! `/status` and `/balance`: what is held and what it should be.

use super::{DeskContext, NO_CYCLE, ago, held, minute, trading};
use crate::journal::{JournalError, Reader};
use crate::output;
use keel_core::policy::AssetPolicy;
use keel_core::signal::{Signal, effective};
use keel_core::state::{AssetState, State};
use keel_core::time::Timestamp;
use keel_telegram::Answer;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Running text: how it stands, each asset in a line.
pub(super) fn status(
    context: &DeskContext,
    reader: &Reader,
    now: Timestamp,
) -> Result<Answer, JournalError> {
    let Some(state) = context.state(reader)? else { return Ok(Answer::text(NO_CYCLE)) };
    let mut lines = vec![head(context, reader, &state, now)?];
    for (asset, known) in assets(context, &state) {
        let (position, trend) = signals(&known);
        lines.push(format!(
            "{}: {} (target {}), position {}, trend {}",
            asset.ticker,
            percent(share(&state, known.value.get())),
            percent(known.ratio),
            word(position),
            word(trend),
        ));
    }
    lines.push(format!(
        "{}: {} (target {})",
        context.config.policy.stablecoin,
        percent(share(&state, state.stablecoin_free().get())),
        percent(state.parking.ratio),
    ));
    lines.extend(remarks(context, reader, &state)?);
    Ok(Answer::text(lines.join("\n")))
}

/// The same as a table that is narrow enough for a phone.
pub(super) fn status_table(
    context: &DeskContext,
    reader: &Reader,
    now: Timestamp,
) -> Result<Answer, JournalError> {
    let Some(state) = context.state(reader)? else { return Ok(Answer::text(NO_CYCLE)) };
    let mut rows: Vec<Vec<String>> = assets(context, &state)
        .map(|(asset, known)| {
            let (position, trend) = signals(&known);
            vec![
                asset.ticker.to_string(),
                percent(share(&state, known.value.get())),
                percent(known.ratio),
                output::decimal(known.value.get(), 0),
                format!("{}/{}", letter(position), letter(trend)),
            ]
        })
        .collect();
    rows.push(vec![
        context.config.policy.stablecoin.to_string(),
        percent(share(&state, state.stablecoin_free().get())),
        percent(state.parking.ratio),
        output::decimal(state.stablecoin_free().get(), 0),
        String::new(),
    ]);
    let table = output::table(&["asset", "weight", "target", "value", "p/t"], 1, rows);
    let mut answer = Answer::text(head(context, reader, &state, now)?).and_table(table);
    let remarks = remarks(context, reader, &state)?;
    if !remarks.is_empty() {
        answer = answer.and_text(remarks.join("\n"));
    }
    Ok(answer)
}

/// Free and locked amounts at each exchange.
pub(super) fn balance(context: &DeskContext, reader: &Reader) -> Result<Answer, JournalError> {
    let Some(state) = context.state(reader)? else { return Ok(Answer::text(NO_CYCLE)) };
    let stablecoin = &context.config.policy.stablecoin;
    let mut by_venue: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let row = |ticker: String, free: Decimal, used: Decimal, value: Decimal| {
        vec![
            ticker,
            output::price(&free.to_string()),
            if used.is_zero() { String::new() } else { output::price(&used.to_string()) },
            output::decimal(value, 2),
        ]
    };
    for (venue, held) in &state.stablecoin {
        let (free, used) = (held.free.get(), held.used.get());
        let row = row(stablecoin.to_string(), free, used, free);
        by_venue.entry(venue.to_string()).or_default().push(row);
    }
    for (asset, known) in assets(context, &state) {
        let held = known.balance;
        let row =
            row(asset.ticker.to_string(), held.free.get(), held.used.get(), known.value.get());
        by_venue.entry(asset.venue.to_string()).or_default().push(row);
    }
    let mut answer = Answer::default();
    for (venue, rows) in by_venue {
        let table = output::table(&["asset", "free", "locked", stablecoin.as_str()], 1, rows);
        answer = answer.and_table(format!("{venue}\n{table}"));
    }
    let total = output::decimal(state.total().get(), 2);
    Ok(answer.and_text(format!("Together worth {total} {stablecoin}, as of the last cycle.")))
}

fn head(
    context: &DeskContext,
    reader: &Reader,
    state: &State,
    now: Timestamp,
) -> Result<String, JournalError> {
    let stablecoin = &context.config.policy.stablecoin;
    let when = state
        .cycle_at
        .map_or_else(String::new, |at| format!(" at {} ({} ago)", minute(at), ago(now, at)));
    Ok(format!(
        "Trading is {} ({}). Cycle {}{when}.{}\nWorth {} {stablecoin}, of it {} free.",
        trading(context),
        reader.mode()?,
        state.cycle,
        held(context),
        output::decimal(state.total().get(), 2),
        output::decimal(state.stablecoin_free().get(), 2),
    ))
}

fn remarks(
    context: &DeskContext,
    reader: &Reader,
    state: &State,
) -> Result<Vec<String>, JournalError> {
    let mut lines: Vec<String> = state
        .unresolved
        .iter()
        .map(|intent| {
            let order = &intent.order;
            format!(
                "Unresolved order: {} {} {} at {}, sent {}",
                order.side,
                order.amount,
                order.symbol,
                order.venue,
                minute(intent.created_at)
            )
        })
        .collect();
    let cycle = reader.cycle(Some(state.cycle))?;
    let notes = cycle.into_iter().flat_map(|cycle| cycle.notes);
    lines.extend(notes.map(|note| format!("Note: {note}")));
    if let Some((at, _)) = context.notes.last() {
        let count = context.notes.len();
        lines
            .push(format!("Notes about accounts: {count} in /health, the last of {}", minute(*at)));
    }
    Ok(lines)
}

fn assets<'a>(
    context: &'a DeskContext,
    state: &'a State,
) -> impl Iterator<Item = (&'a AssetPolicy, AssetState)> {
    context
        .config
        .policy
        .assets
        .iter()
        .map(|asset| (asset, state.assets.get(&asset.ticker).cloned().unwrap_or_default()))
}

/// The signals that count: position and trend.
fn signals(asset: &AssetState) -> (Signal, Signal) {
    effective(asset.position.prev_1, asset.trend.prev_1)
}

const fn word(signal: Signal) -> &'static str {
    match signal {
        Signal::Buy => "buy",
        Signal::Sell => "sell",
        Signal::None => "none",
    }
}

const fn letter(signal: Signal) -> &'static str {
    match signal {
        Signal::Buy => "b",
        Signal::Sell => "s",
        Signal::None => "-",
    }
}

fn share(state: &State, value: Decimal) -> Decimal {
    value.checked_div(state.total().get()).unwrap_or_default()
}

pub(super) fn percent(share: Decimal) -> String {
    format!("{} %", output::decimal(share * Decimal::ONE_HUNDRED, 1))
}
