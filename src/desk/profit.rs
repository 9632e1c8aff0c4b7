//! `/profit`, `/daily` and `/performance`: what was gained, from the journal.

use super::{DeskContext, NO_CYCLE, minute};
use crate::journal::{BookedFill, CycleRow, JournalError, Reader};
use crate::output;
use keel_core::time::{Timeframe, Timestamp};
use keel_telegram::Answer;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Differences below this are rounding or fees, not deposits.
const DEPOSIT_MIN: Decimal = Decimal::ONE;

/// The gain since the first cycle, beside what came or went in the stablecoin.
pub(super) fn profit(context: &DeskContext, reader: &Reader) -> Result<Answer, JournalError> {
    let (Some(first), Some(last)) = (reader.cycle(Some(1))?, reader.cycle(None)?) else {
        return Ok(Answer::text(NO_CYCLE));
    };
    let stablecoin = &context.config.policy.stablecoin;
    let (start, end) = (number(&first.total_before), number(&last.total_after));
    let (mut moved, mut movements) = (Decimal::ZERO, 0_u64);
    reader.each_pause(|after, before_next| {
        let difference = number(&before_next) - number(&after);
        if difference.abs() >= DEPOSIT_MIN {
            moved += difference;
            movements += 1;
        }
    })?;
    let gain = end - start - moved;
    let mut lines = vec![
        format!(
            "Gain {} {stablecoin} ({}) since {}",
            signed(gain),
            change(gain, start),
            minute(Timestamp::from_ms(first.at_ms))
        ),
        format!(
            "From {} to {} {stablecoin} in {} cycles",
            output::decimal(start, 2),
            output::decimal(end, 2),
            last.cycle
        ),
    ];
    if movements > 0 {
        lines.push(format!(
            "Deposits and withdrawals of {stablecoin} between cycles, not counted as gain: {} ({movements} times)",
            signed(moved)
        ));
    }
    lines.push(
        "Percent is of the first value. Fees are in it; deposits and withdrawals of other assets count as gain."
            .to_owned(),
    );
    Ok(Answer::text(lines.join("\n")))
}

/// Value at the end of each of the last days, UTC, and what changed.
pub(super) fn daily(
    context: &DeskContext,
    reader: &Reader,
    days: usize,
    now: Timestamp,
) -> Result<Answer, JournalError> {
    let days = i64::try_from(days).unwrap_or(i64::MAX).max(1);
    let today = Timeframe::D1.floor(now).ms();
    let since = today.saturating_sub((days - 1).saturating_mul(Timeframe::D1.ms()));
    let ends = reader.day_ends(since)?;
    let Some(earliest) = ends.first() else {
        return Ok(Answer::text("No cycle has finished in these days."));
    };
    let mut before = match reader.cycle_before(since)? {
        Some(cycle) => number(&cycle.total_after),
        // The first day begins with the first cycle of all.
        None => reader.cycle(Some(1))?.map_or_else(
            || number(&earliest.total_before),
            |cycle: CycleRow| number(&cycle.total_before),
        ),
    };
    let mut rows = Vec::new();
    for end in &ends {
        let value = number(&end.total_after);
        let date = Timestamp::from_ms(end.at_ms).to_string();
        rows.push(vec![
            date.get(..10).unwrap_or(&date).to_owned(),
            output::decimal(value, 2),
            signed(value - before),
            change(value - before, before),
        ]);
        before = value;
    }
    rows.reverse();
    let header = ["day", context.config.policy.stablecoin.as_str(), "change", ""];
    Ok(Answer::table(output::table(&header, 1, rows))
        .and_text("Days are UTC; deposits and withdrawals are part of the change."))
}

/// What each asset gained: what it is worth now and brought, less what it was worth and cost.
pub(super) fn performance(context: &DeskContext, reader: &Reader) -> Result<Answer, JournalError> {
    let Some(state) = context.state(reader)? else { return Ok(Answer::text(NO_CYCLE)) };
    let stablecoin = context.config.policy.stablecoin.as_str();
    let mut books: BTreeMap<String, Book> = BTreeMap::new();
    for decision in reader.decisions(1)? {
        books.entry(decision.ticker).or_default().start = number(&decision.value);
    }
    for (ticker, asset) in &state.assets {
        books.entry(ticker.to_string()).or_default().end = asset.value.get();
    }
    reader.each_fill(|fill| count(&fill, stablecoin, &mut books))?;
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
        "Gain of each asset since the first cycle, after fees; percent of what was put in.",
    ))
}

/// What went into an asset and came out of it, in the stablecoin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Book {
    start: Decimal,
    end: Decimal,
    bought: Decimal,
    sold: Decimal,
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

fn number(text: &str) -> Decimal {
    text.parse().unwrap_or_default()
}

fn signed(value: Decimal) -> String {
    let sign = if value.is_sign_negative() || value.is_zero() { "" } else { "+" };
    format!("{sign}{}", output::decimal(value, 2))
}

fn change(gain: Decimal, of: Decimal) -> String {
    gain.checked_div(of)
        .map_or_else(String::new, |share| format!("{} %", signed(share * Decimal::ONE_HUNDRED)))
}
