//! Names of assets, venues and markets. Each exists only through parsing, so no unchecked name exists.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A name that does not follow the pattern of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{seen}` is not a {kind}; expected {expected}")]
pub struct NameError {
    kind: &'static str,
    expected: &'static str,
    seen: String,
}

/// Names are kept in place and padded with zeros, which no name contains: a cycle compares names
/// hundreds of thousands of times, and this way none of them has to be fetched from elsewhere. The
/// order is that of the text.
const LENGTH_MAX: usize = 32;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; LENGTH_MAX]);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(LENGTH_MAX);
                str::from_utf8(&self.0[..length]).unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let ok: fn(u8) -> bool = $ok;
                if (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(ok) {
                    let mut name = [0; LENGTH_MAX];
                    name[..text.len()].copy_from_slice(text.as_bytes());
                    Ok(Self(name))
                } else {
                    Err(NameError { kind: $kind, expected: $expected, seen: text.to_owned() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

name_type!(
    /// Our name of an asset: `BTC`, `USDT`.
    Ticker,
    "ticker",
    "1 to 32 letters or digits, such as BTC",
    |b| b.is_ascii_alphanumeric()
);

name_type!(
    /// Our name of a venue: `binance`, `okx`.
    VenueId,
    "venue",
    "1 to 32 lowercase letters, digits, `-` or `_`, such as binance",
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_'
);

/// A spot market: what is bought and what pays for it. Written `BTC/USDT`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol {
    /// What is bought or sold.
    pub base: Ticker,
    /// What prices are in.
    pub quote: Ticker,
}

impl Symbol {
    /// The market of `base` priced in `quote`.
    #[must_use]
    pub const fn new(base: Ticker, quote: Ticker) -> Self {
        Self { base, quote }
    }
}

impl FromStr for Symbol {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (base, quote) = text.split_once('/').ok_or_else(|| NameError {
            kind: "market symbol",
            expected: "BASE/QUOTE, such as BTC/USDT",
            seen: text.to_owned(),
        })?;
        Ok(Self { base: base.parse()?, quote: quote.parse()? })
    }
}

impl TryFrom<String> for Symbol {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Symbol> for String {
    fn from(symbol: Symbol) -> Self {
        symbol.to_string()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.quote)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_pattern() {
        assert!("BTC".parse::<Ticker>().is_ok());
        assert!("1INCH".parse::<Ticker>().is_ok());
        for bad in ["", "BTC/USDT", "../x", "a b", &"X".repeat(33)] {
            assert!(bad.parse::<Ticker>().is_err(), "{bad}");
        }
        assert!("Binance".parse::<VenueId>().is_err());
        let longest = "X".repeat(32);
        assert_eq!(longest.parse::<Ticker>().unwrap().as_str(), longest);
        let ticker = |text: &str| text.parse::<Ticker>().unwrap();
        assert!(ticker("AB") < ticker("ABC") && ticker("ABC") < ticker("B"));
        let symbol: Symbol = "ETH/BTC".parse().unwrap();
        assert_eq!((symbol.base.as_str(), symbol.to_string().as_str()), ("ETH", "ETH/BTC"));
        assert!("ETHBTC".parse::<Symbol>().is_err());
    }
}
