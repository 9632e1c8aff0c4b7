//! `/trades`, `/plan` and `/why`: orders and the decisions behind them.

use super::{DeskContext, held, minute};
use crate::commands::why;
use crate::journal::{JournalError, Reader, TradeRow};
use crate::output;
use keel_core::time::Timestamp;
use keel_telegram::Answer;
use rust_decimal::Decimal;

const NO_DECISION: &str = "No cycle has distributed yet.";

/// The last orders, the newest first.
pub(super) fn trades(
    context: &DeskContext,
    reader: &Reader,
    last: usize,
) -> Result<Answer, JournalError> {
    let trades = reader.last_trades(last)?;
    if trades.is_empty() {
        return Ok(Answer::text("No orders yet."));
    }
    let lines: Vec<String> = trades.iter().rev().map(|trade| line(context, trade)).collect();
    Ok(Answer::text(lines.join("\n")))
}

fn line(context: &DeskContext, trade: &TradeRow) -> String {
    let filled = match (trade.filled.parse::<Decimal>(), trade.cost.parse::<Decimal>()) {
        (Ok(filled), Ok(cost)) if !filled.is_zero() => {
            let price = cost.checked_div(filled).unwrap_or_default();
            format!(" {} at {}", output::price(&trade.filled), output::price(&price.to_string()))
        }
        _ => String::new(),
    };
    let detail =
        if trade.detail.is_empty() { String::new() } else { format!(": {}", trade.detail) };
    format!(
        "{} {} {} {} at {}, {} {} ({}{filled}{detail})",
        minute(Timestamp::from_ms(trade.at_ms)),
        trade.side,
        output::price(&trade.amount),
        trade.symbol,
        trade.venue,
        output::money(&trade.value, 2),
        context.config.policy.stablecoin,
        trade.outcome,
    )
}

/// Targets and orders of the last cycle that distributed.
pub(super) fn plan(context: &DeskContext, reader: &Reader) -> Result<Answer, JournalError> {
    let Some(number) = reader.last_distribution()? else { return Ok(Answer::text(NO_DECISION)) };
    let Some(cycle) = reader.cycle(Some(number))? else { return Ok(Answer::text(NO_DECISION)) };
    let stablecoin = context.config.policy.stablecoin.as_str();
    let decisions = reader.decisions(number)?;
    let rows = decisions
        .iter()
        .map(|decision| {
            let weight = decision.ratio.parse::<Decimal>().unwrap_or_default();
            vec![
                decision.ticker.clone(),
                super::holdings::percent(weight),
                output::money(&decision.target, 2),
                output::money(&decision.change, 2),
                decision.action.clone(),
            ]
        })
        .collect();
    let table = output::table(&["asset", "weight", "target", "change", ""], 1, rows);
    let mut answer = Answer::text(format!(
        "Cycle {number} at {}, because of: {}. Worth {} {stablecoin} before its orders; amounts are in {stablecoin}.",
        minute(Timestamp::from_ms(cycle.at_ms)),
        cycle.trigger,
        output::money(&cycle.total_before, 2)
    ))
    .and_table(table);
    let mut lines: Vec<String> =
        reader.trades(Some(number))?.iter().map(|trade| line(context, trade)).collect();
    if lines.is_empty() {
        lines.push("No orders.".to_owned());
    }
    let kept = decisions.iter().filter(|decision| !decision.detail.is_empty());
    lines.extend(kept.map(|decision| format!("{}: {}", decision.ticker, decision.detail)));
    lines.extend(cycle.notes.iter().map(|note| format!("Note: {note}")));
    answer = answer.and_text(format!("{}{}", lines.join("\n"), held(context)));
    Ok(answer)
}

/// The last decision about an asset, in words.
pub(super) fn why(
    context: &DeskContext,
    reader: &Reader,
    ticker: &str,
) -> Result<Answer, JournalError> {
    let Some(number) = reader.last_distribution()? else { return Ok(Answer::text(NO_DECISION)) };
    let Some(cycle) = reader.cycle(Some(number))? else { return Ok(Answer::text(NO_DECISION)) };
    let decisions = reader.decisions(number)?;
    let Some(decision) = decisions.iter().find(|row| row.ticker.eq_ignore_ascii_case(ticker))
    else {
        let known: Vec<&str> = decisions.iter().map(|row| row.ticker.as_str()).collect();
        return Ok(Answer::text(format!(
            "There is no decision about {ticker}; expected one of {}.",
            known.join(", ")
        )));
    };
    let trades: Vec<TradeRow> = reader
        .trades(Some(number))?
        .into_iter()
        .filter(|trade| trade.symbol.split('/').any(|part| part == decision.ticker))
        .collect();
    let stablecoin = context.config.policy.stablecoin.as_str();
    let lines: Vec<String> = why::explain(&cycle, decision, &trades, stablecoin)
        .iter()
        // The columns of a terminal do not line up in a chat.
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    Ok(Answer::text(lines.join("\n")))
}
