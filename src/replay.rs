//! A tape from recorded files: candles, caps and market rules of a data directory.

use crate::exit::{Code, Failure};
pub use keel_backtest::engine::{moments, step};
use keel_config::Config;
use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::CandleSeries;
use keel_core::market::MarketRules;
use keel_core::plan::Markets;
use keel_core::policy::AssetPolicy;
use keel_core::ports::CapPoint;
use keel_core::time::{Timeframe, Timestamp};
use keel_data::{CandleStore, CapFileError, Longest, MarketFiles};
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
    /// One sentence for each sort of thing that is missing or taken from elsewhere.
    pub notes: Vec<String>,
    /// Names the files by their content, so that a run is never continued on other data.
    pub fingerprint: String,
}

impl Recording {
    /// The part of a range for which there are candles; without an end it is theirs.
    ///
    /// # Errors
    /// When nothing is recorded in the range.
    pub fn cut(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<(Timestamp, Timestamp), Failure> {
        let Some((first, last)) = self.tape.range() else {
            return Err(Failure::new(Code::BadData, "the data directory holds no candles"));
        };
        let start = from.unwrap_or(first).max(first);
        let end = to.unwrap_or(last).min(last);
        if start < end {
            return Ok((start, end));
        }
        let said = |asked: Option<Timestamp>, open: &str| {
            asked.map_or_else(|| open.to_owned(), |asked| asked.to_string())
        };
        Err(Failure::new(
            Code::BadInput,
            format!(
                "nothing is recorded from {} to {}; the candles reach from {first} to {last}",
                said(from, "the start"),
                said(to, "the end"),
            ),
        ))
    }
}

/// Loads what the configuration needs from `root`: for each asset the candles of its intervals and
/// of one hour (for volumes), its caps, and the rules of its markets.
///
/// # Errors
/// A file that cannot be used. What is absent is a note, unless nothing at all is there.
pub fn load(config: &Config, root: &Path) -> Result<Recording, Failure> {
    load_with(config, root, &BTreeSet::new())
}

/// The same with candles of more lengths than the configuration's intervals.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    config: &Config,
    root: &Path,
    more: &BTreeSet<Timeframe>,
) -> Result<Recording, Failure> {
    let store = CandleStore::at(root);
    let policy = &config.policy;
    let mut loader = Loader {
        root,
        store: &store,
        notes: Notes::default(),
        fingerprint: Sha256::new(),
        rules: BTreeMap::new(),
    };
    let mut tape = Tape::default();
    for asset in &policy.assets {
        let recorded = recorded_venue(config, &asset.venue)?;
        let symbol = Symbol::new(asset.ticker.clone(), policy.stablecoin.clone());
        let candles = loader.candles(asset, &recorded, &symbol, more)?;
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
        if *venue_id != recorded {
            loader.notes.stand_ins.entry(recorded).or_default().push(venue_id.clone());
        }
    }
    Ok(Recording {
        tape,
        notes: loader.notes.told(root),
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
    store: &'a CandleStore,
    notes: Notes,
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
        more: &BTreeSet<Timeframe>,
    ) -> Result<BTreeMap<Timeframe, Arc<CandleSeries>>, Failure> {
        let mut loaded = BTreeMap::new();
        let mut missing = Vec::new();
        let mut files = MarketFiles::new(self.store, venue, symbol);
        for timeframe in &wanted(asset) | more {
            match files.longest(timeframe).map_err(|error| unusable(&error))? {
                Some(Longest { series, from, disputed }) => {
                    self.notes.made.add(timeframe, from, &asset.ticker);
                    if disputed > 0 {
                        self.notes.disputed.push((asset.ticker.clone(), timeframe, from, disputed));
                    }
                    self.fingerprint_of(symbol, &series);
                    loaded.insert(timeframe, Arc::new(series));
                }
                None if is_signalled(asset, timeframe) => missing.push(timeframe),
                None => {}
            }
        }
        if !missing.is_empty() {
            let key = (venue.clone(), missing);
            self.notes.no_candles.entry(key).or_default().push(asset.ticker.clone());
        }
        Ok(loaded)
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
        let path = match keel_data::find_caps(self.root, ticker) {
            Ok(path) => path,
            Err(CapFileError::Absent { .. }) => {
                self.notes.no_caps.push(ticker.clone());
                return Ok(None);
            }
            Err(error) => return Err(unusable(&error)),
        };
        let series = keel_data::read_caps(&path).map_err(|error| unusable(&error))?;
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
            let found = rules(self.root, recorded)?;
            if found.is_none() {
                self.notes.no_rules.push(recorded.clone());
            }
            self.rules.insert(recorded.clone(), found.map(|found| found.markets));
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
}

/// The option of an exchange that names the recorded one which stands for it.
pub(crate) const REPLAY_VENUE: &str = "replay_venue";

/// The venue whose files stand for `venue`: `options.replay_venue` of its configuration, or itself.
pub(crate) fn recorded_venue(config: &Config, venue: &VenueId) -> Result<VenueId, Failure> {
    let named = config.venues.get(venue).and_then(|venue| venue.options.get(REPLAY_VENUE));
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

/// The lengths of the bars that a replay reads for an asset: those of its signals, and hours for
/// the traded volume.
pub(crate) fn wanted(asset: &AssetPolicy) -> BTreeSet<Timeframe> {
    BTreeSet::from([asset.position_interval, asset.trend_interval, Timeframe::H1])
}

/// Whether a signal of an asset needs bars of this length.
pub(crate) fn is_signalled(asset: &AssetPolicy, timeframe: Timeframe) -> bool {
    [asset.position_interval, asset.trend_interval].contains(&timeframe)
}

/// Recorded rules of a venue's markets.
pub(crate) struct Rules {
    /// The file.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) markets: Vec<MarketRules>,
}

/// `<root>/markets/<venue>.json`, or for Binance a recorded `exchangeInfo` reply.
///
/// # Errors
/// A file that cannot be used.
pub(crate) fn rules(root: &Path, venue: &VenueId) -> Result<Option<Rules>, Failure> {
    let own = keel_data::markets_path(root, venue);
    let (path, read) = if own.exists() {
        let read = keel_data::read_markets(&own);
        (own, read)
    } else {
        let Some(reply) = exchange_info(root, venue) else { return Ok(None) };
        let read = keel_data::read_binance_exchange_info(&reply).map(|list| list.markets);
        (reply, read)
    };
    Ok(Some(Rules { path, markets: read.map_err(|error| unusable(&error))? }))
}

/// The newest recorded `exchangeInfo` of a venue that speaks Binance's dialect.
fn exchange_info(root: &Path, venue: &VenueId) -> Option<PathBuf> {
    let directory = root.join("exchange_responses").join(venue.as_str());
    std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with("v3_exchangeInfo"))
        })
        .max()
}

fn unusable(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Code::BadData, error)
}

/// Whose bars of one length are made from bars of another.
#[derive(Debug, Default)]
pub(crate) struct Made(BTreeMap<(Timeframe, Timeframe), Vec<Ticker>>);

impl Made {
    /// Takes down where the bars of an asset come from; bars as they were recorded are no news.
    pub(crate) fn add(&mut self, to: Timeframe, from: Timeframe, ticker: &Ticker) {
        if to != from {
            self.0.entry((to, from)).or_default().push(ticker.clone());
        }
    }

    /// A sentence for each pair of lengths.
    pub(crate) fn told(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|((to, from), tickers)| {
            format!("{to} candles of {} are made from {from} candles", listed(tickers))
        })
    }
}

/// What a recording lacks or takes from elsewhere, gathered so that a sentence names every asset
/// that it is about.
#[derive(Debug, Default)]
struct Notes {
    made: Made,
    /// By venue and the lengths that are missing.
    no_candles: BTreeMap<(VenueId, Vec<Timeframe>), Vec<Ticker>>,
    no_caps: Vec<Ticker>,
    /// Bars that two files of a market tell differently: which, the file that is used, how many.
    disputed: Vec<(Ticker, Timeframe, Timeframe, usize)>,
    no_rules: Vec<VenueId>,
    /// The venues that are replayed with the files of another one, by that one.
    stand_ins: BTreeMap<VenueId, Vec<VenueId>>,
}

impl Notes {
    fn told(&self, root: &Path) -> Vec<String> {
        let mut notes: Vec<String> = self.made.told().collect();
        for (ticker, timeframe, from, bars) in &self.disputed {
            notes.push(format!(
                "{ticker}: two files have its {timeframe} candles and differ in {bars} of them; those made from the {from} file are used, which reaches at least as far"
            ));
        }
        for ((venue, missing), tickers) in &self.no_candles {
            notes.push(format!(
                "{}: no {} candles at {venue}; not traded without them",
                listed(tickers),
                listed(missing)
            ));
        }
        if !self.no_caps.is_empty() {
            notes.push(format!(
                "{}: no market caps in {}; not traded without them",
                listed(&self.no_caps),
                root.join("marketcap").display()
            ));
        }
        if !self.no_rules.is_empty() {
            notes.push(format!(
                "{}: no recorded market rules; amounts are multiples of 0.00000001 and orders at least 5 in the quote currency",
                listed(&self.no_rules)
            ));
        }
        for (recorded, venues) in &self.stand_ins {
            notes.push(format!(
                "{}: replayed with the candles and rules recorded at {recorded} (options.replay_venue)",
                listed(venues)
            ));
        }
        notes
    }
}

/// `BTC`, `BTC and ETH`, `BTC, ETH and SOL`.
pub(crate) fn listed(names: &[impl ToString]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
