//! Books of our own: what the fills must have done to every balance.

use keel_core::asset::{Ticker, VenueId};
use keel_core::order::{Fill, Intent, Side};
use keel_core::record::Execution;
use keel_sim::paper::PaperAccount;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Amounts by venue and asset.
pub(crate) type Books = BTreeMap<(VenueId, Ticker), Decimal>;

pub(crate) fn books_of(account: &PaperAccount) -> Books {
    account
        .iter()
        .map(|(venue, ticker, amount)| ((venue.clone(), ticker.clone()), amount.get()))
        .collect()
}

/// Enters one fill, leg by leg.
pub(crate) fn enter(books: &mut Books, intent: &Intent, fill: &Fill) {
    let order = &intent.order;
    let mut add = |ticker: &Ticker, amount: Decimal| {
        *books.entry((order.venue.clone(), ticker.clone())).or_default() += amount;
    };
    match order.side {
        Side::Buy => {
            add(&order.symbol.base, fill.amount.get());
            add(&order.symbol.quote, -fill.cost);
        }
        Side::Sell => {
            add(&order.symbol.base, -fill.amount.get());
            add(&order.symbol.quote, fill.cost);
        }
    }
    add(&fill.fee.asset, -fill.fee.amount.get());
}

/// `books` after `executions`.
pub(crate) fn after(books: &Books, executions: &[Execution]) -> Books {
    let mut books = books.clone();
    for execution in executions {
        for fill in execution.outcome.fills() {
            enter(&mut books, &execution.intent, fill);
        }
    }
    books
}

/// Without the accounts that are empty, for comparisons.
pub(crate) fn non_zero(books: &Books) -> Books {
    books
        .iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(place, amount)| (place.clone(), amount.normalize()))
        .collect()
}
