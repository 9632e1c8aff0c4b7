//! What is still held and that nothing is known of any more, since the configuration leaves it out.

use crate::output;
use keel_core::policy::Policy;
use keel_core::state::State;

/// Says of each asset of `state` that `policy` leaves out what is held of it, and of each exchange what
/// stablecoin lies there. `before` is the policy that the state is from, where it is known: an asset
/// that moved to another exchange leaves what it has at the old one.
#[must_use]
pub fn left(state: &State, before: Option<&Policy>, policy: &Policy) -> Vec<String> {
    let stablecoin = &policy.stablecoin;
    let assets = state.assets.iter().filter_map(|(ticker, known)| {
        let old = before.and_then(|before| before.asset(ticker));
        let is_there = |asset: &keel_core::policy::AssetPolicy| {
            old.is_none_or(|old| old.venue == asset.venue)
        };
        let amount = known.balance.free.get() + known.balance.used.get();
        let is_left = !amount.is_zero() && !policy.asset(ticker).is_some_and(is_there);
        let place = old.map(|old| format!(" at {}", old.venue)).unwrap_or_default();
        let worth = output::decimal(known.value.get(), 2);
        is_left.then(|| {
            format!(
                "{ticker}: {} worth {worth} {stablecoin} is still held{place} and no longer managed or counted",
                amount.normalize()
            )
        })
    });
    let venues = policy.venues();
    let purses = state.stablecoin.iter().filter_map(|(venue, held)| {
        let amount = held.free.get() + held.used.get();
        (!amount.is_zero() && !venues.contains(venue)).then(|| {
            format!("{stablecoin}: {} at {venue} is no longer counted", output::decimal(amount, 2))
        })
    });
    assets.chain(purses).collect()
}
