//! Orders: what is meant, what happened, and names that make a repeat recognisable.

use crate::amount::{Money, Price, Qty};
use crate::asset::{Symbol, Ticker, VenueId};
use crate::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fmt::Write as _;

/// Buy or sell the base currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Base in, quote out.
    Buy,
    /// Base out, quote in.
    Sell,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        })
    }
}

/// Asset against asset, or asset against the primary stablecoin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderKind {
    /// One order instead of a sell and a buy.
    Direct,
    /// Through the primary stablecoin.
    Stable,
}

impl OrderKind {
    /// `direct` or `stable`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Stable => "stable",
        }
    }
}

/// A market order that the plan asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOrder {
    /// Direct or through the stablecoin.
    pub kind: OrderKind,
    /// Where.
    pub venue: VenueId,
    /// The market.
    pub symbol: Symbol,
    /// Which way.
    pub side: Side,
    /// Amount of the base currency, on the market's grid.
    pub amount: Qty,
    /// What that amount is worth in the primary stablecoin.
    pub value: Money,
}

/// The name of one attempt at one order, derived so that a replay gives the same name and a new
/// attempt a new one: 32 hexadecimal digits, accepted as a client order id by every venue.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientOrderId(String);

impl ClientOrderId {
    /// `H(deployment, cycle, leg, attempt)`, led by 8 digits of the deployment's own hash.
    #[must_use]
    pub fn derive(deployment: &str, cycle: u64, leg: u32, attempt: u32) -> Self {
        let tag = hex(&Sha256::digest(format!("deployment:{deployment}")), 4);
        let rest = hex(&Sha256::digest(format!("{deployment}:{cycle}:{leg}:{attempt}")), 12);
        let mut id = tag + &rest;
        // Shaped as a version 8 UUID, which some venues insist on.
        id.replace_range(12..13, "8");
        id.replace_range(16..17, "8");
        Self(id)
    }

    /// The same name, led by the tag of the account that the order is for.
    #[must_use]
    pub fn with_tag(mut self, tag: &AccountTag) -> Self {
        self.0.replace_range(..tag.0.len(), &tag.0);
        self
    }

    /// The 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first 8 digits of every order that is sent with one API key. They do not depend on the
/// journal: orders of a lost one, or of another installation with the same key, are told from those
/// of strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountTag(String);

impl AccountTag {
    /// The tag of the account that `api_key` (its public part, not the secret) opens at `venue`.
    #[must_use]
    pub fn new(venue: &VenueId, api_key: &str) -> Self {
        // A key is private: 32 bits of a digest that is made for this and nothing else say nothing of it.
        Self(hex(&Sha256::digest(format!("keel account tag\0{venue}\0{api_key}")), 4))
    }

    /// The 8 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ClientOrderId {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected the 32 hexadecimal digits of an order, as `keel trades` shows them")
        }
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first `bytes` bytes in lowercase hexadecimal.
pub(crate) fn hex(digest: &[u8], bytes: usize) -> String {
    digest.iter().take(bytes).fold(String::with_capacity(bytes * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One attempt at one order, written down before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its derived name.
    pub id: ClientOrderId,
    /// The cycle it belongs to.
    pub cycle: u64,
    /// Its number in the cycle, from 0, in the order of execution.
    pub leg: u32,
    /// What is asked for.
    pub order: PlannedOrder,
    /// Price of the market when it was planned, quote per base.
    pub reference_price: Price,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// What was paid for an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// In which asset.
    pub asset: Ticker,
    /// How much of it.
    pub amount: Qty,
}

/// A part of an order that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The venue's name for it; the same name is the same execution.
    pub trade_id: String,
    /// Quote per base.
    pub price: Price,
    /// Base amount.
    pub amount: Qty,
    /// Quote amount, as the venue books it: `price * amount` in the venue's own rounding.
    pub cost: Decimal,
    /// What it cost on top.
    pub fee: Fee,
    /// When.
    pub at: Timestamp,
}

/// What became of an order. Not knowing is an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Executed in full.
    Filled {
        /// Its executions.
        fills: Vec<Fill>,
    },
    /// Executed in part, and over.
    Partial {
        /// Its executions; may be empty.
        fills: Vec<Fill>,
    },
    /// Definitely not executed.
    Rejected {
        /// The venue's words.
        reason: String,
    },
    /// Nobody knows. It is looked up, never sent again.
    Unknown {
        /// What went wrong.
        cause: String,
    },
}

impl Outcome {
    /// `filled`, `partial`, `rejected` or `unknown`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Filled { .. } => "filled",
            Self::Partial { .. } => "partial",
            Self::Rejected { .. } => "rejected",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Why it was not executed, or why nobody knows.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Rejected { reason } => Some(reason),
            Self::Unknown { cause } => Some(cause),
            Self::Filled { .. } | Self::Partial { .. } => None,
        }
    }

    /// The executions, if any are known.
    #[must_use]
    pub fn fills(&self) -> &[Fill] {
        match self {
            Self::Filled { fills } | Self::Partial { fills } => fills,
            Self::Rejected { .. } | Self::Unknown { .. } => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_repeat_for_a_replay_and_differ_for_everything_else() {
        let id = |deployment, cycle, leg, attempt| {
            ClientOrderId::derive(deployment, cycle, leg, attempt).as_str().to_owned()
        };
        assert_eq!(id("a", 1, 2, 0), id("a", 1, 2, 0));
        let others = [id("b", 1, 2, 0), id("a", 2, 2, 0), id("a", 1, 3, 0), id("a", 1, 2, 1)];
        for other in &others {
            assert_ne!(*other, id("a", 1, 2, 0));
        }
        let text = id("a", 1, 2, 0);
        assert_eq!(text.len(), 32);
        assert!(text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
        assert_eq!(text[..8], id("a", 99, 0, 0)[..8], "the deployment's tag leads");
    }

    #[test]
    fn installations_with_one_key_share_the_tag_and_no_id() {
        let venue: VenueId = "binance".parse().unwrap();
        let tag = AccountTag::new(&venue, "key");
        let id = |deployment| ClientOrderId::derive(deployment, 1, 2, 0).with_tag(&tag);
        let (one, two) = (id("a"), id("b"));
        assert_ne!(one, two);
        for id in [&one, &two] {
            assert!(id.as_str().starts_with(tag.as_str()), "{id}");
            assert_eq!(id.as_str().parse(), Ok(id.clone()), "still 32 digits");
        }
        assert_ne!(tag, AccountTag::new(&venue, "another key"));
        assert_ne!(tag, AccountTag::new(&"okx".parse().unwrap(), "key"));
    }
}
