//! `/profit`, `/daily` and `/performance`: what was gained, from the journal.

use super::flows::{deposits, flows, number, sum, told};
use super::{DeskContext, NO_CYCLE, minute};
use crate::journal::{BookedFill, CycleRow, JournalError, Reader};
use crate::output;
use keel_core::time::{Timeframe, Timestamp};
use keel_telegram::Answer;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// The gain since the first cycle, beside what came or went.
pub(super) fn profit(context: &DeskContext, reader: &Reader) -> Result<Answer, JournalError> {
    let (Some(first), Some(last)) = (first_cycle(reader)?, reader.cycle(None)?) else {
        return Ok(Answer::text(NO_CYCLE));
    };
    let stablecoin = &context.config.policy.stablecoin;
    let (start, end) = (number(&first.total_before), number(&last.total_after));
    let flows = flows(reader, first.cycle, last.cycle)?;
    let gain = end - start - sum(&flows);
    let mut lines = vec![
        format!(
            "Gain {} {stablecoin} ({}) since {}",
            signed(gain),
            change(gain, start + deposits(&flows)),
            minute(Timestamp::from_ms(first.at_ms))
        ),
        format!(
            "From {} to {} {stablecoin} in {} cycles",
            output::decimal(start, 2),
            output::decimal(end, 2),
            last.cycle
        ),
    ];
    let shown = |value| format!("{} {stablecoin}", signed(value));
    let told = told(&flows, shown).into_iter();
    lines.extend(told.map(|text| format!("Not counted as gain: {text}")));
    lines.push("Fees are taken off. Percent is of the first value and the deposits.".to_owned());
    Ok(Answer::text(lines.join("\n")))
}

/// Value at the end of each of the last days, UTC, and what was gained.
pub(super) fn daily(
    context: &DeskContext,
    reader: &Reader,
    days: usize,
    now: Timestamp,
) -> Result<Answer, JournalError> {
    let days = i64::try_from(days).unwrap_or(i64::MAX).max(1);
    let today = Timeframe::D1.floor(now).ms();
    let since = today.saturating_sub((days - 1).saturating_mul(Timeframe::D1.ms()));
    let mut ends = reader.day_ends(since)?;
    let first = first_cycle(reader)?;
    ends.retain(|end| first.as_ref().is_some_and(|first| end.cycle >= first.cycle));
    let (Some(first), Some(last)) = (first, ends.last()) else {
        return Ok(Answer::text("No cycle has finished in these days."));
    };
    // The first day begins with the first cycle of all.
    let earlier = reader.cycle_before(since)?.filter(|cycle| cycle.cycle >= first.cycle);
    let (from, mut before) = match earlier {
        Some(cycle) => (cycle.cycle, number(&cycle.total_after)),
        None => (first.cycle, number(&first.total_before)),
    };
    let stablecoin = context.config.policy.stablecoin.as_str();
    let mut flows = flows(reader, from, last.cycle)?;
    let (mut rows, mut remarks) = (Vec::new(), Vec::new());
    for end in &ends {
        let value = number(&end.total_after);
        let date = Timestamp::from_ms(end.at_ms).to_string();
        let date = date.get(..10).unwrap_or(&date).to_owned();
        let later = flows.split_off(flows.partition_point(|flow| flow.at_ms <= end.at_ms));
        let gain = value - before - sum(&flows);
        let shown = |value| format!("{} {stablecoin}", signed(value));
        remarks.extend(told(&flows, shown).into_iter().map(|text| format!("{date}: {text}")));
        let change = change(gain, before + deposits(&flows));
        rows.push(vec![date, output::decimal(value, 2), signed(gain), change]);
        (before, flows) = (value, later);
    }
    rows.reverse();
    remarks.push("Days are UTC; only what was traded or changed its price is gain.".to_owned());
    Ok(Answer::table(output::table(&["day", stablecoin, "gain", ""], 1, rows))
        .and_text(remarks.join("\n")))
}

/// The first cycle that ended and knew what everything is worth. A crash may have cost some.
fn first_cycle(reader: &Reader) -> Result<Option<CycleRow>, JournalError> {
    let last = reader.cycle(None)?.map_or(0, |cycle| cycle.cycle);
    for at in 1..=last {
        if let Some(cycle) = reader.cycle(Some(at))?.filter(|cycle| is_worth(&cycle.total_before)) {
            let decisions = reader.decisions(at)?;
            if decisions.iter().all(|decision| decision.reason != "total_unknown") {
                return Ok(Some(cycle));
            }
        }
    }
    Ok(None)
}

fn is_worth(total: &str) -> bool {
    number(total) > Decimal::ZERO
}

/// What each asset gained: what it is worth now and brought, less what it was worth and cost.
pub(super) fn performance(context: &DeskContext, reader: &Reader) -> Result<Answer, JournalError> {
    let (Some(state), Some(first), Some(last)) =
        (context.state(reader)?, first_cycle(reader)?, reader.cycle(None)?)
    else {
        return Ok(Answer::text(NO_CYCLE));
    };
    let stablecoin = context.config.policy.stablecoin.as_str();
    let mut books: BTreeMap<String, Book> = BTreeMap::new();
    for decision in reader.decisions(first.cycle)? {
        books.entry(decision.ticker).or_default().start = number(&decision.value);
    }
    for (ticker, asset) in &state.assets {
        books.entry(ticker.to_string()).or_default().end = asset.value.get();
    }
    reader.each_fill(|fill| count(&fill, stablecoin, &mut books))?;
    for flow in flows(reader, first.cycle, last.cycle)? {
        for (ticker, value) in flow.moved {
            let book = books.entry(ticker).or_default();
            *(if value > Decimal::ZERO { &mut book.bought } else { &mut book.sold }) += value.abs();
        }
        for (ticker, value) in flow.managed {
            let book = books.entry(ticker).or_default();
            // What comes back was put in before; only what it is worth more is new.
            let back = value.clamp(Decimal::ZERO, book.left);
            book.left -= back;
            book.sold -= back;
            if value > Decimal::ZERO {
                book.bought += value - back;
            } else {
                book.left -= value;
                book.sold -= value;
            }
        }
    }
    books.remove(stablecoin);
    let mut rows: Vec<(Decimal, Vec<String>)> = books
        .into_iter()
        .filter(|(_, book)| *book != Book::default())
        .map(|(ticker, book)| {
            let gain = book.end + book.sold - book.start - book.bought;
            let row = vec![
                ticker,
                signed(gain),
                change(gain, book.start + book.bought),
                book.fills.to_string(),
            ];
            (gain, row)
        })
        .collect();
    if rows.is_empty() {
        return Ok(Answer::text("Nothing was held or traded yet."));
    }
    rows.sort_by(|(left, _), (right, _)| right.cmp(left));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let table = output::table(&["asset", stablecoin, "", "fills"], 1, rows);
    Ok(Answer::table(table).and_text(
        "Gain of each asset since the first cycle, after fees and without deposits; percent of what was put in.",
    ))
}

/// What went into an asset and came out of it, in the stablecoin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Book {
    start: Decimal,
    end: Decimal,
    bought: Decimal,
    sold: Decimal,
    /// Of what was sold, what only left the configuration.
    left: Decimal,
    fills: u64,
}

fn count(fill: &BookedFill, stablecoin: &str, books: &mut BTreeMap<String, Book>) {
    let Some((base, quote)) = fill.symbol.split_once('/') else { return };
    let amount = number(&fill.amount);
    // An order between two assets is worth the part of its planned value that was executed.
    let value = if quote == stablecoin {
        number(&fill.cost)
    } else {
        let part = amount.checked_div(number(&fill.order_amount)).unwrap_or_default();
        number(&fill.order_value) * part
    };
    let is_buy = fill.side == "buy";
    for (ticker, is_in) in [(base, is_buy), (quote, !is_buy)] {
        let book = books.entry(ticker.to_owned()).or_default();
        *(if is_in { &mut book.bought } else { &mut book.sold }) += value;
        book.fills += u64::from(ticker == base || quote != stablecoin);
    }
    // A fee in the asset is seen in its balance; one in the stablecoin belongs to the base.
    if fill.fee_asset == stablecoin
        && let Some(book) = books.get_mut(base)
    {
        book.bought += number(&fill.fee_amount);
    }
}

fn signed(value: Decimal) -> String {
    let sign = if value.is_sign_negative() || value.is_zero() { "" } else { "+" };
    format!("{sign}{}", output::decimal(value, 2))
}

fn change(gain: Decimal, of: Decimal) -> String {
    gain.checked_div(of)
        .map_or_else(String::new, |share| format!("{} %", signed(share * Decimal::ONE_HUNDRED)))
}
