//! Market rules: recorded Binance lists, and this project's own small format.

use crate::decimal;
use flate2::read::MultiGzDecoder;
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::market::MarketRules;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Markets of a venue, in the order of their symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketList {
    /// The markets.
    pub markets: Vec<MarketRules>,
    /// The venue's own names of markets that were left out, because an asset in them has a name
    /// that is no [`Ticker`].
    pub skipped: Vec<String>,
}

/// Why a list of markets could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MarketFileError {
    /// The file system refused.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Not JSON, or not with these fields; the source names line and column.
    #[error("{} is not {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Where and what.
        source: serde_json::Error,
    },
    /// A market whose rules make no sense.
    #[error("market {market} in {}: {problem}", path.display())]
    Market {
        /// The file.
        path: PathBuf,
        /// The market.
        market: String,
        /// What is wrong with it and what was expected.
        problem: &'static str,
    },
    /// The file system refused; the file is as it was.
    #[error("could not write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

/// Where the rules of a venue's markets are kept: `<root>/markets/<venue>.json`.
#[must_use]
pub fn markets_path(root: &Path, venue: &VenueId) -> PathBuf {
    root.join("markets").join(format!("{venue}.json"))
}

/// Reads market rules: a JSON array of `{symbol, amount_step, min_amount, min_cost, max_amount?,
/// active?}`. Amounts are in base units, the cost in units of the quote currency, both as text or
/// as numbers, which are taken digit by digit. A market without `active` is active.
///
/// # Errors
/// A file that cannot be read, other content, an unknown field, a negative number, a market twice.
pub fn read_markets(path: &Path) -> Result<Vec<MarketRules>, MarketFileError> {
    let expected = "a list of markets; expected a JSON array of {\"symbol\": \"BTC/USDT\", \"amount_step\": \"0.00001\", \"min_amount\": \"0.00001\", \"min_cost\": \"5\"}";
    let entries: Vec<MarketEntry> = parse(path, expected)?;
    let rules = entries.into_iter().map(|entry| MarketRules {
        symbol: entry.symbol,
        amount_step: Qty::new(entry.amount_step),
        min_amount: Qty::new(entry.min_amount),
        max_amount: entry.max_amount.map(Qty::new),
        min_cost: entry.min_cost,
        active: entry.active,
    });
    in_order(path, rules)
}

/// Writes market rules for [`read_markets`], in the order of their symbols, decimals as text. The
/// file appears whole or not at all.
///
/// # Errors
/// A market twice, and what the file system said; the file is as it was then.
pub fn write_markets(path: &Path, markets: &[MarketRules]) -> Result<(), MarketFileError> {
    let entries: Vec<MarketEntry> = in_order(path, markets.iter().cloned())?
        .into_iter()
        .map(|rules| MarketEntry {
            symbol: rules.symbol,
            amount_step: rules.amount_step.get(),
            min_amount: rules.min_amount.get(),
            min_cost: rules.min_cost,
            max_amount: rules.max_amount.map(Qty::get),
            active: rules.active,
        })
        .collect();
    keel_files::replace(path, |out| {
        serde_json::to_writer_pretty(&mut *out, &entries)?;
        writeln!(out)
    })
    .map_err(|source| MarketFileError::Write { path: path.to_path_buf(), source })
}

/// Reads a recorded answer of Binance's `GET /api/v3/exchangeInfo`, plain or gzip-compressed.
///
/// The amount step and the smallest amount are the stricter of `LOT_SIZE` and `MARKET_LOT_SIZE`,
/// the largest amount the smaller of the two; the smallest cost is that of `NOTIONAL` or
/// `MIN_NOTIONAL`. A market is active while its status is `TRADING` and spot trading is allowed.
/// Decimals are taken digit by digit. Source: Binance Spot API documentation, "Filters".
///
/// # Errors
/// A file that cannot be read, other content, a market without a lot size, steps that do not fit.
pub fn read_binance_exchange_info(path: &Path) -> Result<MarketList, MarketFileError> {
    let expected = "an exchangeInfo answer of Binance; expected {\"symbols\": [...]}";
    let info: ExchangeInfo = parse(path, expected)?;
    let mut skipped = Vec::new();
    let mut rules = Vec::new();
    for market in info.symbols {
        let (Ok(base), Ok(quote)) =
            (market.base_asset.parse::<Ticker>(), market.quote_asset.parse::<Ticker>())
        else {
            skipped.push(market.symbol);
            continue;
        };
        rules.push(market.rules(Symbol::new(base, quote)).map_err(|problem| {
            MarketFileError::Market { path: path.to_path_buf(), market: market.symbol, problem }
        })?);
    }
    Ok(MarketList { markets: in_order(path, rules)?, skipped })
}

fn parse<T: for<'de> Deserialize<'de>>(
    path: &Path,
    expected: &'static str,
) -> Result<T, MarketFileError> {
    let failed = |source| MarketFileError::Read { path: path.to_path_buf(), source };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let mut text = Vec::new();
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz")) {
        MultiGzDecoder::new(file).read_to_end(&mut text).map_err(failed)?;
    } else {
        let mut file = file;
        file.read_to_end(&mut text).map_err(failed)?;
    }
    serde_json::from_slice(&text).map_err(|source| MarketFileError::Content {
        path: path.to_path_buf(),
        expected,
        source,
    })
}

fn in_order(
    path: &Path,
    rules: impl IntoIterator<Item = MarketRules>,
) -> Result<Vec<MarketRules>, MarketFileError> {
    let mut by_symbol = BTreeMap::new();
    for rule in rules {
        if let Some(twice) = by_symbol.insert(rule.symbol.clone(), rule) {
            return Err(MarketFileError::Market {
                path: path.to_path_buf(),
                market: twice.symbol.to_string(),
                problem: "it is listed twice, expected each market once",
            });
        }
    }
    Ok(by_symbol.into_values().collect())
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MarketEntry {
    symbol: Symbol,
    #[serde(deserialize_with = "decimal::deserialize")]
    amount_step: Decimal,
    #[serde(deserialize_with = "decimal::deserialize")]
    min_amount: Decimal,
    #[serde(deserialize_with = "decimal::deserialize")]
    min_cost: Decimal,
    #[serde(
        default,
        deserialize_with = "decimal::deserialize_option",
        skip_serializing_if = "Option::is_none"
    )]
    max_amount: Option<Decimal>,
    #[serde(default = "yes")]
    active: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<BinanceMarket>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BinanceMarket {
    symbol: String,
    status: String,
    base_asset: String,
    quote_asset: String,
    is_spot_trading_allowed: bool,
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(tag = "filterType", rename_all = "SCREAMING_SNAKE_CASE")]
enum Filter {
    LotSize(LotSize),
    MarketLotSize(LotSize),
    Notional(MinNotional),
    MinNotional(MinNotional),
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LotSize {
    #[serde(deserialize_with = "decimal::deserialize")]
    min_qty: Decimal,
    #[serde(deserialize_with = "decimal::deserialize")]
    max_qty: Decimal,
    #[serde(deserialize_with = "decimal::deserialize")]
    step_size: Decimal,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MinNotional {
    #[serde(deserialize_with = "decimal::deserialize")]
    min_notional: Decimal,
}

impl BinanceMarket {
    fn rules(&self, symbol: Symbol) -> Result<MarketRules, &'static str> {
        let mut lot: Option<LotSize> = None;
        let mut market_lot: Option<LotSize> = None;
        let mut min_cost = Decimal::ZERO;
        for filter in &self.filters {
            match filter {
                Filter::LotSize(found) => lot = Some(*found),
                Filter::MarketLotSize(found) => market_lot = Some(*found),
                // Binance may exempt market orders from it; an order that obeys is never refused.
                Filter::Notional(found) | Filter::MinNotional(found) => {
                    min_cost = min_cost.max(found.min_notional);
                }
                Filter::Other => {}
            }
        }
        let lot =
            lot.ok_or("it has no LOT_SIZE filter, expected one with minQty, maxQty, stepSize")?;
        let market_lot = market_lot.unwrap_or(lot);
        let step = lot.step_size.max(market_lot.step_size);
        let other = lot.step_size.min(market_lot.step_size);
        if !other.is_zero() && !(step % other).is_zero() {
            return Err("its LOT_SIZE and MARKET_LOT_SIZE steps are no multiples of each other");
        }
        // A limit of zero does not bind.
        let max_amount =
            [lot.max_qty, market_lot.max_qty].into_iter().filter(|max| !max.is_zero()).min();
        Ok(MarketRules {
            symbol,
            amount_step: Qty::new(step),
            min_amount: Qty::new(lot.min_qty.max(market_lot.min_qty)),
            max_amount: max_amount.map(Qty::new),
            min_cost,
            active: self.status == "TRADING" && self.is_spot_trading_allowed,
        })
    }
}
