//! Every order, one row each.

use super::frames::{Table, Values};
use crate::story::{Order, Story};
use rust_decimal::Decimal;

fn words(story: &Story, text: impl Fn(&Order) -> String) -> Values {
    Values::Words(story.orders.iter().map(text).collect())
}

fn exact(story: &Story, number: impl Fn(&Order) -> Decimal) -> Values {
    Values::Exact(story.orders.iter().map(number).collect())
}

/// What was meant, what happened, what it cost and why.
#[must_use]
pub fn trades(story: &Story) -> Table {
    let fees_as_paid = |order: &Order| {
        let fees = order.fills().iter().map(|f| format!("{} {}", f.fee.amount, f.fee.asset));
        fees.collect::<Vec<_>>().join(" + ")
    };
    let cost = |order: &Order| order.fills().iter().map(|fill| fill.cost).sum::<Decimal>();
    Table::default()
        .with(
            "time",
            Values::Moments(story.orders.iter().map(|order| order.intent.created_at).collect()),
        )
        .with("cycle", Values::Whole(story.orders.iter().map(|order| order.intent.cycle).collect()))
        .with("id", words(story, |order| order.intent.id.to_string()))
        .with("exchange", words(story, |order| order.order().venue.to_string()))
        .with("market", words(story, |order| order.order().symbol.to_string()))
        .with("side", words(story, |order| order.order().side.to_string()))
        .with("kind", words(story, |order| order.order().kind.name().to_owned()))
        .with("why", words(story, |order| order.why.to_owned()))
        .with("outcome", words(story, |order| order.outcome.name().to_owned()))
        .with("amount", exact(story, |order| order.order().amount.get()))
        .with("filled", exact(story, Order::filled))
        .with("cost", exact(story, cost))
        .with("reference_price", exact(story, |order| order.intent.reference_price.get()))
        .with("value", exact(story, |order| order.order().value.get()))
        .with("fee", words(story, fees_as_paid))
        .with("fee_value", exact(story, |order| story.fees(order)))
        .with("slippage_value", exact(story, Order::slippage))
}
