//! Everything that is simulated, in one value: clock, prices, venues, doubles, faults, journal.

use crate::candles::{Bar, HourCache, Market, bar, bar_start};
use crate::clock::Clock;
use crate::config::{KeyConfig, PriceSource, SimexConfig, VenueConfig};
use crate::exchange::Exchange;
use crate::faults::Script;
use crate::journal::Journal;
use crate::limits::Counters;
use crate::prices::{AssetSpec, Place, PriceBoard};
use crate::rules::MarketRules;
use crate::server::Double;
use crate::wire::RequestCut;
use keel_core::candle::{Candle, CandleSeries};
use keel_core::time::Timeframe;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::path::Path;

/// A request in the form that the dialects read.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Verb, upper case.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query as it was sent, without the question mark.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
    /// The answer is to be from before the newest order.
    pub stale: bool,
    /// The venue's clock is ahead by so much, for this call.
    pub skew_ms: i64,
}

impl Call {
    /// A header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as text; empty when it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("")
    }
}

/// An answer in the form that the server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers beside length and date.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: value.to_string().into_bytes() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// A venue with what its gate needs: keys and limits.
#[derive(Clone)]
pub struct VenueState {
    /// Account, markets, orders.
    pub exchange: Exchange,
    /// Keys by name.
    pub keys: BTreeMap<String, KeyConfig>,
    /// Use of limits.
    pub counters: Counters,
    /// Nothing is served before this exchange time.
    pub banned_until_ms: i64,
    /// Requests that came although the limit was used up.
    pub over_limit: u64,
    /// How far its clock is ahead.
    pub skew_ms: i64,
    /// Multiplies its limits.
    pub limit_factor: u64,
}

/// Everything.
pub struct World {
    /// The clock.
    pub clock: Clock,
    /// Prices.
    pub prices: PriceBoard,
    /// Past hours.
    pub cache: HourCache,
    /// Assets.
    pub assets: Vec<AssetSpec>,
    /// No candle starts before this.
    pub history_from_ms: i64,
    /// Venues.
    pub venues: BTreeMap<Place, VenueState>,
    /// The CoinGecko double.
    pub coingecko: crate::coingecko::Coingecko,
    /// The Telegram double.
    pub telegram: crate::telegram::Telegram,
    /// Faults to come.
    pub script: Script,
    /// What arrived.
    pub journal: Journal,
    /// Resets of requests that have not come in full, by double.
    pub request_cuts: BTreeMap<String, RequestCut>,
}

/// Reads `timestamp,open,high,low,close,volume` rows; a header row is skipped.
fn read_candles(path: &Path) -> Result<CandleSeries, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut candles = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<f64> = line.split(',').map_while(|cell| cell.trim().parse().ok()).collect();
        let [time, open, high, low, close, volume, ..] = cells.as_slice() else {
            if index == 0 || line.trim().is_empty() {
                continue;
            }
            return Err(format!("{name}, line {}: expected six numbers", index + 1));
        };
        #[expect(clippy::cast_possible_truncation, reason = "times in files are far below 2^53")]
        let time = *time as i64;
        let open_time_ms = if time < 100_000_000_000 { time * 1000 } else { time };
        let (open, high, low, close, volume) = (*open, *high, *low, *close, *volume);
        candles.push(Candle { open_time_ms, open, high, low, close, volume });
    }
    let step_ms = candles
        .windows(2)
        .map(|pair| pair[1].open_time_ms - pair[0].open_time_ms)
        .min()
        .filter(|step| *step > 0)
        .ok_or_else(|| format!("{name}: expected at least two rows in order of time"))?;
    let timeframe =
        u64::try_from(step_ms / 1000).ok().and_then(Timeframe::from_seconds).ok_or_else(|| {
            format!("{name}: rows are {step_ms} ms apart, expected a usual timeframe")
        })?;
    CandleSeries::new(timeframe, &candles).map_err(|error| format!("{name}: {error}"))
}

fn moved_to_end(series: &CandleSeries, now_ms: i64) -> Result<CandleSeries, String> {
    let step = series.timeframe().ms();
    let last = series.open_time_ms().last().copied().unwrap_or(0);
    let shift = bar_start(now_ms, step) - last;
    let moved: Vec<Candle> = series
        .iter()
        .map(|candle| Candle { open_time_ms: candle.open_time_ms + shift, ..candle })
        .collect();
    CandleSeries::new(series.timeframe(), &moved).map_err(|error| error.to_string())
}

fn price_board(config: &SimexConfig, now_ms: i64) -> Result<PriceBoard, String> {
    match &config.prices {
        PriceSource::Flat => Ok(PriceBoard::flat(&config.assets)),
        PriceSource::Generated { seed, history_hours, future_hours } => {
            PriceBoard::generated(&config.assets, *seed, now_ms, *history_hours, *future_hours)
        }
        PriceSource::Files { files, end_now } => {
            let mut board = PriceBoard::flat(&config.assets);
            for (ticker, path) in files {
                let series = read_candles(path)?;
                let series = if *end_now { moved_to_end(&series, now_ms)? } else { series };
                board.replay(ticker, &series);
            }
            Ok(board)
        }
    }
}

fn venue_state(
    place: Place,
    config: &VenueConfig,
    assets: &[AssetSpec],
    now_ms: i64,
) -> Result<VenueState, String> {
    let first_id = if place == Place::Okx { 1_000_000_000_000 } else { 1_000 };
    let mut exchange = Exchange::new(place, config.fee_rate, config.fee_asset.clone(), first_id);
    exchange.shape = config.book;
    let find = |ticker: &str| {
        assets
            .iter()
            .find(|asset| asset.ticker == ticker)
            .ok_or_else(|| format!("{ticker}: not among the assets of the simulated world"))
    };
    for name in &config.markets {
        let (base, quote) = name
            .split_once('/')
            .ok_or_else(|| format!("{name}: expected a market as BASE/QUOTE"))?;
        let quote = find(quote)?;
        let mut rules = MarketRules::usual(find(base)?, quote, config.min_notional);
        if !quote.stable {
            // The same value in a dearer quote, a power of ten.
            let mut value = config.min_notional;
            let mut price = quote.price;
            while price >= 10.0 {
                value /= Decimal::TEN;
                price /= 10.0;
            }
            rules.min_notional = value.normalize();
        }
        if place == Place::Okx {
            // Market orders are bounded by value there.
            rules.max_market_amount = rules.max_amount;
        }
        exchange.markets.insert(name.clone(), rules);
    }
    for (asset, amount) in &config.balances {
        find(asset)?;
        exchange.deposit(asset, *amount, now_ms);
    }
    Ok(VenueState {
        exchange,
        keys: config.keys.iter().map(|key| (key.key.clone(), key.clone())).collect(),
        counters: Counters::default(),
        banned_until_ms: 0,
        over_limit: 0,
        skew_ms: config.skew_ms,
        limit_factor: config.limit_factor.max(1),
    })
}

impl World {
    /// A world as configured, at the clock's time.
    ///
    /// # Errors
    /// When an asset, a market or a candle file cannot be used.
    pub fn new(config: &SimexConfig) -> Result<Self, String> {
        let clock = Clock::new(config.clock);
        let now_ms = clock.now_ms();
        let prices = price_board(config, now_ms)?;
        let mut venues = BTreeMap::new();
        for (place, venue) in &config.venues {
            venues.insert(*place, venue_state(*place, venue, &config.assets, now_ms)?);
        }
        let history_hours = match config.prices {
            PriceSource::Generated { history_hours, .. } => history_hours,
            PriceSource::Flat | PriceSource::Files { .. } => 24 * 365 * 6,
        };
        let history = i64::try_from(history_hours).unwrap_or(0) * 3_600_000;
        Ok(Self {
            clock,
            prices,
            cache: HourCache::default(),
            assets: config.assets.clone(),
            history_from_ms: now_ms - history,
            venues,
            coingecko: crate::coingecko::Coingecko::default(),
            telegram: crate::telegram::Telegram::new(&config.telegram_token),
            script: Script::default(),
            journal: Journal::new(config.journal_requests),
            request_cuts: Double::ALL
                .iter()
                .map(|double| (double.name().to_owned(), RequestCut::default()))
                .collect(),
        })
    }

    /// The time by a venue's clock.
    #[must_use]
    pub fn venue_now(&self, place: Place) -> i64 {
        self.clock.now_ms() + self.venues.get(&place).map_or(0, |venue| venue.skew_ms)
    }
}

/// Which candles are asked for.
#[derive(Clone, Copy, Debug)]
pub struct BarRange {
    /// Length, milliseconds.
    pub step_ms: i64,
    /// None that starts before this.
    pub from_ms: Option<i64>,
    /// None that starts after this.
    pub to_ms: Option<i64>,
    /// At most so many: the first ones with `from_ms`, else the last ones.
    pub limit: usize,
    /// The earliest that there are.
    pub history_from_ms: i64,
    /// The newest one is as far as this.
    pub now_ms: i64,
}

/// Bars of a market, oldest first.
#[must_use]
pub fn bars(
    prices: &PriceBoard,
    cache: &mut HourCache,
    place: Place,
    rules: &MarketRules,
    range: BarRange,
) -> Vec<Bar> {
    let step = range.step_ms;
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX / step);
    let newest = bar_start(range.now_ms.min(range.to_ms.unwrap_or(i64::MAX)), step);
    let earliest = match range.from_ms.map(|from| from.max(range.history_from_ms)) {
        Some(from) => bar_start(from + step - 1, step),
        None => bar_start(range.history_from_ms + step - 1, step).max(newest - (limit - 1) * step),
    };
    let dollars = prices.price(place, &rules.base, range.now_ms).unwrap_or(1.0);
    let volume_per_minute = 50_000.0 / dollars;
    let market = Market { place, base: &rules.base, quote: &rules.quote, volume_per_minute };
    let mut found = Vec::new();
    let mut start = earliest;
    while start <= newest && found.len() < range.limit {
        found.extend(bar(prices, cache, market, start, step, range.now_ms));
        start += step;
    }
    found
}
