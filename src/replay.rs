//! A tape from recorded files: candles, caps and market rules of a data directory.

use crate::exit::{Code, Failure};
use keel_config::Config;
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::CandleSeries;
use keel_core::market::MarketRules;
use keel_core::plan::Markets;
use keel_core::policy::AssetPolicy;
use keel_core::ports::CapPoint;
use keel_core::resample::{fills, resample};
use keel_core::time::{TIMEFRAMES, Timeframe, Timestamp};
use keel_data::CandleStore;
use keel_sim::tape::{Tape, VenueTape};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A tape and what is worth knowing about how it was made.
#[derive(Debug)]
pub struct Recording {
    /// The tape.
    pub tape: Tape,
    /// One sentence for each thing that is missing, carried forward, or taken from elsewhere.
    pub notes: Vec<String>,
    /// Names the files by their content, so that a run is never continued on other data.
    pub fingerprint: String,
}

/// The venue whose files stand for `venue`: `options.replay_venue` of its configuration, or itself.
fn recorded_venue(config: &Config, venue: &VenueId) -> Result<VenueId, Failure> {
    let named = config.venues.get(venue).and_then(|venue| venue.options.get("replay_venue"));
    match named {
        None => Ok(venue.clone()),
        Some(value) => value.as_str().and_then(|name| name.parse().ok()).ok_or_else(|| {
            Failure::new(
                Code::BadInput,
                format!(
                    "exchange_configurations.{venue}.options.replay_venue is {value}; expected the name of a venue in the data directory"
                ),
            )
        }),
    }
}

/// Loads what the configuration needs from `root`: for each asset the candles of its intervals and
/// of one hour (for volumes), its caps, and the rules of its markets.
///
/// # Errors
/// A file that cannot be used. What is absent is a note, unless nothing at all is there.
pub fn load(config: &Config, root: &Path) -> Result<Recording, Failure> {
    let store = CandleStore::at(root);
    let policy = &config.policy;
    let mut loader = Loader {
        root,
        store,
        notes: Vec::new(),
        fingerprint: Sha256::new(),
        rules: BTreeMap::new(),
    };
    let mut tape = Tape::default();
    for asset in &policy.assets {
        let recorded = recorded_venue(config, &asset.venue)?;
        let symbol = Symbol::new(asset.ticker.clone(), policy.stablecoin.clone());
        let candles = loader.candles(asset, &recorded, &symbol)?;
        let venue = tape.venues.entry(asset.venue.clone()).or_default();
        if !candles.is_empty() {
            venue.candles.insert(symbol, candles);
        }
        if let Some(points) = loader.caps(&asset.ticker)? {
            tape.caps.insert(asset.ticker.clone(), points);
        }
    }
    if tape.range().is_none() {
        return Err(Failure::new(
            Code::BadData,
            format!(
                "{}: no candles of any asset of the configuration; expected ohlcv/<venue>/<BASE>-<QUOTE>/<timeframe>.parquet below it: see `keel data list {0}`",
                root.display()
            ),
        ));
    }
    for (venue_id, venue) in &mut tape.venues {
        let recorded = recorded_venue(config, venue_id)?;
        let here: BTreeSet<Ticker> = policy
            .assets
            .iter()
            .filter(|asset| asset.venue == *venue_id)
            .map(|asset| asset.ticker.clone())
            .chain([policy.stablecoin.clone()])
            .collect();
        venue.markets = Arc::new(loader.markets(&recorded, venue, &here)?);
        loader.note_other_venue(venue_id, &recorded);
    }
    Ok(Recording {
        tape,
        notes: loader.notes,
        fingerprint: loader
            .fingerprint
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    })
}

struct Loader<'a> {
    root: &'a Path,
    store: CandleStore,
    notes: Vec<String>,
    fingerprint: Sha256,
    /// Rules by recorded venue; `None` when there are none.
    rules: BTreeMap<VenueId, Option<Vec<MarketRules>>>,
}

impl Loader<'_> {
    fn candles(
        &mut self,
        asset: &AssetPolicy,
        venue: &VenueId,
        symbol: &Symbol,
    ) -> Result<BTreeMap<Timeframe, Arc<CandleSeries>>, Failure> {
        let mut wanted = BTreeSet::from([asset.position_interval, asset.trend_interval]);
        wanted.insert(Timeframe::H1);
        let mut loaded = BTreeMap::new();
        for timeframe in wanted {
            let optional = timeframe == Timeframe::H1
                && asset.position_interval != timeframe
                && asset.trend_interval != timeframe;
            match self.longest(venue, symbol, timeframe)? {
                Some(series) => {
                    self.fingerprint_of(symbol, &series);
                    loaded.insert(timeframe, Arc::new(series));
                }
                None if optional => {}
                None => self.notes.push(format!(
                    "{}: no {timeframe} candles of {symbol} at {venue}; it will not be traded",
                    asset.ticker
                )),
            }
        }
        Ok(loaded)
    }

    /// The recorded file of a timeframe, or a finer one made coarser when it reaches further: some
    /// recordings end years earlier on one timeframe than on another.
    fn longest(
        &mut self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
    ) -> Result<Option<CandleSeries>, Failure> {
        let mut best: Option<(CandleSeries, Option<Timeframe>)> = None;
        for (seconds, _) in TIMEFRAMES.iter().rev() {
            let Some(finer) = Timeframe::from_seconds(u64::from(*seconds)) else { continue };
            if !fills(finer, timeframe) || !self.store.path(venue, symbol, finer).exists() {
                continue;
            }
            let loaded = self
                .store
                .load(venue, symbol, finer)
                .map_err(|error| Failure::from_error(Code::BadData, &error))?;
            let series = if finer == timeframe {
                loaded.series
            } else {
                resample(&loaded.series, timeframe)
                    .map_err(|error| Failure::from_error(Code::BadData, &error))?
                    .series
            };
            let end = |series: &CandleSeries| series.open_time_ms().last().copied();
            if best.as_ref().is_none_or(|(known, _)| end(&series) > end(known)) {
                best = Some((series, (finer != timeframe).then_some(finer)));
            }
        }
        Ok(best.map(|(series, from)| {
            if let Some(from) = from {
                self.notes
                    .push(format!("{symbol}: {timeframe} candles are made from {from} candles"));
            }
            series
        }))
    }

    fn fingerprint_of(&mut self, symbol: &Symbol, series: &CandleSeries) {
        self.fingerprint.update(symbol.to_string());
        self.fingerprint.update(series.timeframe().seconds().to_le_bytes());
        for candle in series.iter() {
            self.fingerprint.update(candle.open_time_ms.to_le_bytes());
            self.fingerprint.update(candle.close.to_bits().to_le_bytes());
        }
    }

    fn caps(&mut self, ticker: &Ticker) -> Result<Option<Vec<CapPoint>>, Failure> {
        let Ok(path) = keel_data::find_caps(self.root, ticker) else {
            self.notes.push(format!(
                "{ticker}: no market caps in {}; it will not be traded",
                self.root.join("marketcap").display()
            ));
            return Ok(None);
        };
        let series = keel_data::read_caps(&path)
            .map_err(|error| Failure::from_error(Code::BadData, &error))?;
        let points: Vec<CapPoint> = series
            .points()
            .iter()
            .map(|point| CapPoint { cap_usd: point.cap_usd, as_of: point.as_of })
            .collect();
        for point in &points {
            self.fingerprint.update(point.as_of.ms().to_le_bytes());
            self.fingerprint.update(point.cap_usd.to_bits().to_le_bytes());
        }
        Ok(Some(points))
    }

    /// Rules of the venue's markets among `here`. A market with candles was open while it was
    /// recorded, whatever a later list of rules says.
    fn markets(
        &mut self,
        recorded: &VenueId,
        venue: &VenueTape,
        here: &BTreeSet<Ticker>,
    ) -> Result<Markets, Failure> {
        if !self.rules.contains_key(recorded) {
            let rules = read_rules(self.root, recorded)?;
            if rules.is_none() {
                self.notes.push(format!(
                    "{recorded}: no recorded market rules; amounts are multiples of 0.00000001 and orders at least 5 in the quote currency"
                ));
            }
            self.rules.insert(recorded.clone(), rules);
        }
        let known = self.rules.get(recorded).and_then(Option::as_ref);
        let mut markets = Markets::new();
        for rules in known.into_iter().flatten() {
            let symbol = &rules.symbol;
            if here.contains(&symbol.base) && here.contains(&symbol.quote) {
                let active = rules.active || venue.candles.contains_key(symbol);
                markets.insert(symbol.clone(), MarketRules { active, ..rules.clone() });
            }
        }
        for symbol in venue.candles.keys() {
            markets.entry(symbol.clone()).or_insert_with(|| MarketRules {
                amount_step: Qty::new(Decimal::new(1, 8)),
                min_amount: Qty::new(Decimal::new(1, 8)),
                min_cost: Decimal::new(5, 0),
                ..MarketRules::unlimited(symbol.clone())
            });
        }
        Ok(markets)
    }

    fn note_other_venue(&mut self, venue: &VenueId, recorded: &VenueId) {
        if venue != recorded {
            self.notes.push(format!(
                "{venue}: replayed with the candles and rules recorded at {recorded} (options.replay_venue)"
            ));
        }
    }
}

/// `<root>/markets/<venue>.json`, or for Binance a recorded `exchangeInfo` reply.
fn read_rules(root: &Path, venue: &VenueId) -> Result<Option<Vec<MarketRules>>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::from_error(Code::BadData, error);
    let own = keel_data::markets_path(root, venue);
    if own.exists() {
        return keel_data::read_markets(&own).map(Some).map_err(|error| failed(&error));
    }
    let Some(reply) = exchange_info(root, venue) else { return Ok(None) };
    keel_data::read_binance_exchange_info(&reply)
        .map(|list| Some(list.markets))
        .map_err(|error| failed(&error))
}

/// The newest recorded `exchangeInfo` of a venue that speaks Binance's dialect.
fn exchange_info(root: &Path, venue: &VenueId) -> Option<PathBuf> {
    let directory = root.join("exchange_responses").join(venue.as_str());
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("v3_exchangeInfo"))
        })
        .collect();
    found.sort();
    found.pop()
}

/// The shortest interval of any asset: how far the tape moves the clock from cycle to cycle.
#[must_use]
pub fn step(assets: &[AssetPolicy]) -> Timeframe {
    assets
        .iter()
        .flat_map(|asset| [asset.position_interval, asset.trend_interval])
        .min()
        .unwrap_or(Timeframe::H1)
}

/// The moments of the cycles from `from` to `to`, both on the grid of `step`.
pub fn moments(
    from: Timestamp,
    to: Timestamp,
    step: Timeframe,
) -> impl Iterator<Item = Timestamp> + Clone {
    let first = step.floor(from.plus_ms(step.ms() - 1));
    let count = (to.since_ms(first) / step.ms() + 1).max(0);
    (0..count).map(move |i| first.plus_ms(i * step.ms()))
}
