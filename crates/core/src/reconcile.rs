//! Do the balances follow from the fills? What does not is money that came or went otherwise.

use crate::asset::{Ticker, VenueId};
use crate::order::Side;
use crate::policy::Policy;
use crate::record::Execution;
use crate::state::State;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Free and locked together, as the state knows them: the assets, and the stablecoin at each venue.
pub(crate) type Holdings = (BTreeMap<Ticker, Decimal>, BTreeMap<VenueId, Decimal>);

pub(crate) fn balances(state: &State) -> Holdings {
    let sum = |balance: &crate::state::Balance| (balance.free + balance.used).get();
    (
        state.assets.iter().map(|(ticker, asset)| (ticker.clone(), sum(&asset.balance))).collect(),
        state.stablecoin.iter().map(|(venue, balance)| (venue.clone(), sum(balance))).collect(),
    )
}

/// What the fills of one cycle moved, by venue and asset: base and quote exactly, and fees in
/// whatever asset they were taken.
#[must_use]
pub fn moved(executions: &[Execution]) -> BTreeMap<(VenueId, Ticker), Decimal> {
    let mut moved: BTreeMap<(VenueId, Ticker), Decimal> = BTreeMap::new();
    for execution in executions {
        let order = &execution.intent.order;
        for fill in execution.outcome.fills() {
            let (base, quote) = match order.side {
                Side::Buy => (fill.amount.get(), -fill.cost),
                Side::Sell => (-fill.amount.get(), fill.cost),
            };
            let mut add = |ticker: &Ticker, amount: Decimal| {
                *moved.entry((order.venue.clone(), ticker.clone())).or_default() += amount;
            };
            add(&order.symbol.base, base);
            add(&order.symbol.quote, quote);
            add(&fill.fee.asset, -fill.fee.amount.get());
        }
    }
    moved
}

/// One sentence for each balance that does not follow from the fills: a deposit, a withdrawal, a
/// fee that was not reported, or an execution we do not know of.
pub(crate) fn unexplained(
    policy: &Policy,
    before: &Holdings,
    after: &State,
    executions: &[Execution],
) -> Vec<String> {
    let moved = moved(executions);
    let after = balances(after);
    let mut notes = Vec::new();
    let mut compare = |venue: &VenueId, ticker: &Ticker, before: Decimal, after: Decimal| {
        let expected =
            before + moved.get(&(venue.clone(), ticker.clone())).copied().unwrap_or_default();
        let difference = after - expected;
        if difference.abs() > Decimal::new(1, 12) {
            notes.push(format!(
                "{venue}: {ticker} is {after}, {expected} follows from the fills: {difference} came or went otherwise"
            ));
        }
    };
    for asset in &policy.assets {
        let of =
            |held: &BTreeMap<Ticker, Decimal>| held.get(&asset.ticker).copied().unwrap_or_default();
        compare(&asset.venue, &asset.ticker, of(&before.0), of(&after.0));
    }
    for venue in policy.venues() {
        let of = |held: &BTreeMap<VenueId, Decimal>| held.get(&venue).copied().unwrap_or_default();
        compare(&venue, &policy.stablecoin, of(&before.1), of(&after.1));
    }
    notes
}
