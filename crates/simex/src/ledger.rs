//! Double-entry books: every movement has two sides, and nothing appears or vanishes.

use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

/// Whose an amount is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// The customer, free to use.
    Free,
    /// The customer, bound in open orders.
    Locked,
    /// The customer, in a place that cannot be traded (earn, staking).
    Elsewhere,
    /// The other side of trades.
    Market,
    /// The venue's fees.
    Fees,
    /// Beyond the venue: deposits come from there.
    Outside,
}

/// Why something moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// From outside.
    Deposit,
    /// To outside.
    Withdrawal,
    /// Bound for an order, or freed again.
    Lock,
    /// An execution.
    Trade,
    /// Its fee.
    Fee,
    /// Between the tradable account and another place.
    Transfer,
}

/// One movement: `amount` of `asset` from one party to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Exchange time.
    pub at_ms: i64,
    /// Why.
    pub reason: Reason,
    /// What.
    pub asset: String,
    /// How much, above zero.
    pub amount: Decimal,
    /// Whose it was.
    pub from: Party,
    /// Whose it is.
    pub to: Party,
    /// The order it belongs to.
    pub order: Option<u64>,
}

/// Free and locked amounts of an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// Free to use.
    pub free: Decimal,
    /// Bound in open orders.
    pub locked: Decimal,
}

/// The books of one account.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    sums: BTreeMap<(Party, String), Decimal>,
    entries: Vec<Entry>,
}

impl Ledger {
    /// What a party has of an asset; the counterparties may be below zero.
    #[must_use]
    pub fn sum(&self, party: Party, asset: &str) -> Decimal {
        self.sums.get(&(party, asset.to_owned())).copied().unwrap_or_default()
    }

    /// The customer's amounts, every asset that was ever touched.
    #[must_use]
    pub fn holdings(&self) -> BTreeMap<String, Holding> {
        let mut holdings: BTreeMap<String, Holding> = BTreeMap::new();
        for ((party, asset), amount) in &self.sums {
            match party {
                Party::Free => holdings.entry(asset.clone()).or_default().free = *amount,
                Party::Locked => holdings.entry(asset.clone()).or_default().locked = *amount,
                _ => {}
            }
        }
        holdings
    }

    /// Books a movement. `false`: the customer does not have it, nothing was booked.
    pub fn book(&mut self, entry: Entry) -> bool {
        let owned = matches!(entry.from, Party::Free | Party::Locked | Party::Elsewhere);
        if owned && self.sum(entry.from, &entry.asset) < entry.amount {
            return false;
        }
        if entry.amount <= Decimal::ZERO {
            return entry.amount.is_zero();
        }
        *self.sums.entry((entry.from, entry.asset.clone())).or_default() -= entry.amount;
        *self.sums.entry((entry.to, entry.asset.clone())).or_default() += entry.amount;
        self.entries.push(entry);
        true
    }

    /// All movements, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What does not hold: the sums of an asset over all parties are zero, the customer is never
    /// below zero, and the movements added up again give the sums. Empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut totals: BTreeMap<&str, Decimal> = BTreeMap::new();
        for ((party, asset), amount) in &self.sums {
            *totals.entry(asset).or_default() += amount;
            let owned = matches!(party, Party::Free | Party::Locked | Party::Elsewhere);
            if owned && *amount < Decimal::ZERO {
                faults.push(format!("{party:?} has {amount} {asset}"));
            }
        }
        for (asset, total) in totals {
            if !total.is_zero() {
                faults.push(format!("{asset}: all parties add up to {total} instead of 0"));
            }
        }
        let mut again: BTreeMap<(Party, String), Decimal> = BTreeMap::new();
        for entry in &self.entries {
            *again.entry((entry.from, entry.asset.clone())).or_default() -= entry.amount;
            *again.entry((entry.to, entry.asset.clone())).or_default() += entry.amount;
        }
        if again != self.sums {
            faults.push("the movements added up again differ from the sums".to_owned());
        }
        faults
    }
}
