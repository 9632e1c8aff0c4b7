//! What the accounts held when they were read, and what our fills moved since.

use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::order::{Fill, Side};
use keel_core::state::Balance;
use keel_core::time::Timestamp;
use keel_venues::wire::AMOUNT_MAX;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// So long after an own fill a venue's balances may still be those from before it.
const STALE_WITHIN_MS: i64 = 60_000;
/// So long after an own order a balance may be gone without surprise.
const EXPLAINED_WITHIN_MS: i64 = 600_000;
/// A holding that vanished without an order of ours is believed to be gone after this time.
const VANISHED_MS: i64 = 300_000;
/// The same for an account that is suddenly empty altogether.
const EMPTY_MS: i64 = 86_400_000;

pub(super) type Balances = BTreeMap<Ticker, Balance>;

/// Free and locked together.
pub(super) fn total(balance: Balance) -> Decimal {
    (balance.free + balance.used).get()
}

/// Why an answer cannot be the balances of a spot account, if it cannot.
pub(super) fn fault(balances: &Balances) -> Option<String> {
    let possible = Qty::ZERO..=Qty::new(AMOUNT_MAX);
    let (ticker, balance) = balances.iter().find(|(_, balance)| {
        !possible.contains(&balance.free) || !possible.contains(&balance.used)
    })?;
    Some(if balance.free.min(balance.used) < Qty::ZERO {
        format!("the balance of {ticker} is negative: this is not a plain spot account")
    } else {
        format!("the balance of {ticker} is too large to be one")
    })
}

/// What a fill moves: base, quote and fee.
pub(super) fn moves(symbol: &Symbol, side: Side, fill: &Fill) -> [(Ticker, Decimal); 3] {
    let (base, quote) = match side {
        Side::Buy => (fill.amount.get(), -fill.cost),
        Side::Sell => (-fill.amount.get(), fill.cost),
    };
    [
        (symbol.base.clone(), base),
        (symbol.quote.clone(), quote),
        (fill.fee.asset.clone(), -fill.fee.amount.get()),
    ]
}

/// The books of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// The last answer that was believed.
    pub(super) read: Option<Balances>,
    /// It was read by this process, so that `moved` counts from it.
    #[serde(skip)]
    is_current: bool,
    /// What our fills moved since that answer.
    #[serde(skip)]
    moved: BTreeMap<Ticker, Decimal>,
    /// Assets with a fill of which the last answer may or may not know.
    #[serde(skip)]
    uncertain: BTreeSet<Ticker>,
    /// What all our fills ever moved.
    #[serde(default)]
    pub(super) booked: BTreeMap<Ticker, Decimal>,
    /// The last order or fill of ours in an asset.
    #[serde(skip)]
    touched: BTreeMap<Ticker, Timestamp>,
    /// Something was exchanged for something else, and not by an order of ours. Until the account is
    /// compared with the venue, it may be that a second instance trades it.
    #[serde(skip)]
    pub(super) traded_elsewhere: bool,
    /// Since when a holding is missing from the answers.
    #[serde(skip)]
    missing_since: BTreeMap<Ticker, Timestamp>,
}

/// The books of all accounts.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) accounts: BTreeMap<VenueId, Account>,
    pub(super) notes: Vec<String>,
}

/// What to make of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It agrees with the books, or explains itself.
    Good(Balances),
    /// It is from before our last fills; the smaller of answer and books is in it.
    Stale(Balances),
    /// Holdings are missing that nothing explains.
    Incomplete(String),
}

impl Account {
    /// An order of ours concerns these assets now.
    pub(super) fn touch(&mut self, ticker: &Ticker, now: Timestamp) {
        self.touched.insert(ticker.clone(), now);
    }

    /// Books a movement by a fill of ours that came after the last answer.
    pub(super) fn book(&mut self, ticker: &Ticker, amount: Decimal, now: Timestamp) {
        *self.moved.entry(ticker.clone()).or_default() += amount;
        *self.booked.entry(ticker.clone()).or_default() += amount;
        self.touch(ticker, now);
    }

    /// Books a movement by a fill that was found later: the last answer may include it already.
    pub(super) fn book_found(&mut self, ticker: &Ticker, amount: Decimal, now: Timestamp) {
        *self.booked.entry(ticker.clone()).or_default() += amount;
        self.moved.remove(ticker);
        self.uncertain.insert(ticker.clone());
        self.touch(ticker, now);
    }

    /// What should be there by the last answer and our fills, if that can be said.
    pub(super) fn expected(&self, ticker: &Ticker) -> Option<Decimal> {
        if !self.is_current || self.uncertain.contains(ticker) {
            return None;
        }
        let read = self.read.as_ref()?.get(ticker).copied().unwrap_or_default();
        Some(total(read) + self.moved.get(ticker).copied().unwrap_or_default())
    }

    /// Decides what to make of an answer, and takes over what can be believed of it.
    pub(super) fn judge(&mut self, answer: &Balances, now: Timestamp) -> Judged {
        if let Some(cause) = self.missing(answer, now) {
            return Judged::Incomplete(cause);
        }
        self.traded_elsewhere |= self.moved_both_ways(answer, now);
        let before = self.read.take().unwrap_or_default();
        let mut result = answer.clone();
        let mut keep = answer.clone();
        let mut stale = false;
        let tickers: Vec<Ticker> = self.moved.keys().cloned().collect();
        for ticker in tickers {
            let moved = self.moved.get(&ticker).copied().unwrap_or_default();
            let was = before.get(&ticker).copied().unwrap_or_default();
            let is = answer.get(&ticker).copied().unwrap_or_default();
            let recent =
                self.touched.get(&ticker).is_some_and(|at| now.since_ms(*at) < STALE_WITHIN_MS);
            let is_unsure = self.uncertain.contains(&ticker);
            if moved.is_zero() || !recent || is_unsure || total(is) == total(was) + moved {
                self.moved.remove(&ticker);
                continue;
            }
            stale |= total(is) == total(was);
            let by_books = Qty::new((was.free.get() + moved).max(Decimal::ZERO));
            result.insert(ticker.clone(), Balance { free: is.free.min(by_books), used: is.used });
            keep.insert(ticker, was);
        }
        self.read = Some(keep);
        self.is_current = true;
        self.uncertain.clear();
        if stale { Judged::Stale(result) } else { Judged::Good(result) }
    }

    /// Whether some assets became more and others less, apart from those of our latest orders.
    fn moved_both_ways(&self, answer: &Balances, now: Timestamp) -> bool {
        let read = self.read.iter().flatten().map(|(ticker, _)| ticker);
        let (mut more, mut less) = (false, false);
        for ticker in read.chain(answer.keys()) {
            let is_ours =
                self.touched.get(ticker).is_some_and(|at| now.since_ms(*at) < STALE_WITHIN_MS);
            if let Some(expected) = self.expected(ticker).filter(|_| !is_ours) {
                let found = total(answer.get(ticker).copied().unwrap_or_default());
                more |= found > expected;
                less |= found < expected;
            }
        }
        more && less
    }

    /// Why the answer cannot be the whole account, if it cannot.
    fn missing(&mut self, answer: &Balances, now: Timestamp) -> Option<String> {
        let read = self.read.as_ref()?;
        let held = |balances: &Balances, ticker: &Ticker| {
            balances.get(ticker).is_some_and(|balance| total(*balance) > Decimal::ZERO)
        };
        let had: Vec<&Ticker> = read.keys().filter(|ticker| held(read, ticker)).collect();
        let empty = !answer.keys().any(|ticker| held(answer, ticker));
        let explained = |ticker: &Ticker| {
            self.touched.get(ticker).is_some_and(|at| now.since_ms(*at) < EXPLAINED_WITHIN_MS)
        };
        let gone: Vec<Ticker> = had
            .into_iter()
            .filter(|ticker| !held(answer, ticker) && (empty || !explained(ticker)))
            .cloned()
            .collect();
        self.missing_since.retain(|ticker, _| gone.contains(ticker));
        let patience = if empty { EMPTY_MS } else { VANISHED_MS };
        let mut waiting: Vec<&Ticker> = Vec::new();
        for ticker in &gone {
            let since = *self.missing_since.entry(ticker.clone()).or_insert(now);
            if now.since_ms(since) < patience {
                waiting.push(ticker);
            }
        }
        let first = waiting.first()?;
        Some(if empty {
            "the account held something and is suddenly empty: missing is not zero; if it was \
             emptied on purpose, this is believed after 24 hours"
                .to_owned()
        } else {
            format!(
                "{first} was held and is missing from the balances without an order of ours: \
                 missing is not zero; this is believed after 5 minutes"
            )
        })
    }
}
