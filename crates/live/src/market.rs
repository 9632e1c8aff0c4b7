//! Market data of real venues.

use crate::Venues;
use crate::coingecko::{CapQuote, CoinGecko};
use crate::history::{History, Source};
use crate::same_words;
use crate::time::{Time, clock_offset_ms};
use futures_util::StreamExt as _;
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::limits::{Depth, REFERENCE_AGE_MAX_MS};
use keel_core::plan::Markets;
use keel_core::policy::{AssetPolicy, Policy};
use keel_core::ports::{CapPoint, MarketData, PortError, PricePoint};
use keel_core::time::{Timeframe, Timestamp};
use keel_venues::api::{Book, ExchangeApi, TickerQuote};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// Market tables are read again after this time.
const MARKETS_MS: i64 = 3_600_000;
/// After a failure, the next try comes after this time.
const MARKETS_RETRY_MS: i64 = 60_000;
/// The same for a table that is in doubt, so that refusals for other reasons do not make a storm.
const MARKETS_DOUBTED_MS: i64 = 10_000;
/// A table that could not be read again is used for so long.
const MARKETS_KEPT_MS: i64 = 6 * 3_600_000;
/// A venue's clock is measured again after this time.
const OFFSET_MS: i64 = 60_000;
/// A reading of it that could not be renewed is used for so long.
const OFFSET_KEPT_MS: i64 = 600_000;
/// A price from further ahead than this is a mistake, not a difference of clocks.
const AHEAD_MS: i64 = 60_000;
/// Questions under way at one time.
const CONCURRENT: usize = 8;
/// Levels of a book that are asked for, and how many when these do not hold the order.
const LEVELS: [usize; 2] = [50, 500];
/// What a stablecoin should be worth.
const DOLLAR: &str = "USD";
/// Coins that stand for a dollar, in the order in which they are believed, and how much a stablecoin
/// may be worth in them. Beyond that the coin may have fallen itself, whatever the stablecoin did, and
/// somebody else must say which of them moved. A stablecoin worth less than a coin is taken to have
/// fallen: hardly ever did a coin rise far above its dollar.
const COINS: [(&str, Decimal); 4] =
    [("USDC", COIN_MOST), ("USDT", COIN_MOST), ("DAI", COIN_MOST), ("FDUSD", COIN_MOST)];
const COIN_MOST: Decimal = Decimal::from_parts(103, 0, 0, false, 2);
/// The archive of caps gets a row so often: a replay needs no more, and files stay small.
const ARCHIVE_MS: i64 = 3_600_000;

/// A venue's clock beside ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// How far the venue's is ahead, milliseconds.
    pub offset_ms: i64,
    /// When it was measured, by ours.
    pub at: Timestamp,
}

/// What was last read of a venue.
#[derive(Default)]
struct Seen {
    markets: Option<(Timestamp, Arc<Markets>)>,
    /// The venue has refused an order that the table allows.
    markets_doubted: bool,
    /// When and why the table could not be read, until it could.
    markets_failed: Option<(Timestamp, String)>,
    clock: Option<ClockReading>,
    /// When the clock was last asked for.
    clock_asked: Option<Timestamp>,
    histories: BTreeMap<(Symbol, Timeframe), History>,
    prices: BTreeMap<Symbol, PricePoint>,
}

/// Candles that a cycle will ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Want {
    /// Where.
    pub venue: VenueId,
    /// The market.
    pub symbol: Symbol,
    /// Length of the bars.
    pub timeframe: Timeframe,
    /// How many.
    pub limit: usize,
}

/// The candles that the signals of a policy start from.
fn wants(policy: &Policy) -> Vec<Want> {
    let mut wants: Vec<Want> = policy
        .assets
        .iter()
        .flat_map(|asset| {
            [asset.position_interval, asset.trend_interval].map(|timeframe| Want {
                venue: asset.venue.clone(),
                symbol: Symbol::new(asset.ticker.clone(), policy.stablecoin.clone()),
                timeframe,
                limit: policy.settings.indicator_history_size,
            })
        })
        .collect();
    wants.sort();
    wants.dedup();
    wants
}

/// Candles, prices, market rules and caps of real venues.
pub struct LiveMarket {
    venues: Venues,
    time: Arc<dyn Time>,
    stablecoin: Ticker,
    stablecoin_id: Option<String>,
    caps: Option<CoinGecko>,
    seen: Mutex<BTreeMap<VenueId, Seen>>,
    notes: Mutex<Vec<String>>,
    /// What was last told of caps that could not be read.
    caps_told: Mutex<Vec<String>>,
    /// When the caps were fetched that were archived last.
    archived_at: Mutex<Option<Timestamp>>,
    verdicts: Mutex<BTreeMap<Ticker, Verdict>>,
}

/// What came of comparing CoinGecko's price of an id with the venue's price of the asset.
struct Verdict {
    id: String,
    objection: Option<String>,
}

impl std::fmt::Debug for LiveMarket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveMarket")
            .field("venues", &self.venues.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl LiveMarket {
    /// Market data of `venues`. Caps are compared with the venues' prices in `stablecoin`; without
    /// `caps` there are none.
    #[must_use]
    pub fn new(
        venues: Venues,
        time: Arc<dyn Time>,
        stablecoin: Ticker,
        caps: Option<CoinGecko>,
    ) -> Self {
        let seen = venues.keys().map(|venue| (venue.clone(), Seen::default())).collect();
        Self {
            venues,
            time,
            stablecoin,
            stablecoin_id: None,
            caps,
            seen: Mutex::new(seen),
            notes: Mutex::default(),
            caps_told: Mutex::default(),
            archived_at: Mutex::default(),
            verdicts: Mutex::default(),
        }
    }

    /// Asks CoinGecko for the stablecoin too, with the other ids: its price is a witness of the peg.
    #[must_use]
    pub fn with_stablecoin_id(self, stablecoin_id: Option<String>) -> Self {
        Self { stablecoin_id, ..self }
    }

    /// What the operator should know since the last call.
    #[must_use]
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.notes))
    }

    /// The venue has refused an order that its market table allows: the table is read again by the
    /// next question for it.
    pub fn doubt_markets(&self, venue: &VenueId) {
        self.with(venue, |seen| seen.markets_doubted = true);
    }

    /// Fetches candles of many markets, several at a time, so that the questions that follow find
    /// them here. What fails is asked for again then.
    pub async fn prefetch(&self, wants: &[Want]) {
        // Once for all, not once for each question that is under way.
        let venues: BTreeSet<&VenueId> = wants.iter().map(|want| &want.venue).collect();
        for venue in venues {
            drop(self.clock_offset_ms(venue).await);
        }
        futures_util::stream::iter(wants)
            .map(|want| async move {
                drop(self.candles(&want.venue, &want.symbol, want.timeframe, want.limit).await);
            })
            .buffered(CONCURRENT)
            .collect::<Vec<()>>()
            .await;
    }

    /// The candles that the signals of `policy` start from, as far as they were fetched.
    #[must_use]
    pub fn in_use(&self, policy: &Policy) -> Vec<(Want, Window)> {
        let window = |want: Want| {
            let key = (want.symbol.clone(), want.timeframe);
            let window = self.with(&want.venue, |seen| {
                let offset_ms = seen.clock.map_or(0, |clock| clock.offset_ms);
                let now = self.time.now().plus_ms(offset_ms);
                seen.histories.get(&key).map(|history| history.window(now, want.limit))
            })?;
            Some((want, window))
        };
        wants(policy).into_iter().filter_map(window).collect()
    }

    /// How far a venue's clock is ahead of ours, in milliseconds.
    ///
    /// # Errors
    /// When the venue does not tell its time.
    pub async fn clock_offset_ms(&self, venue: &VenueId) -> Result<i64, PortError> {
        let api = self.api(venue)?;
        let now = self.time.now();
        let is_younger = |at: Timestamp, ms: i64| (0..ms).contains(&now.since_ms(at));
        let (known, is_due) = self.with(venue, |seen| {
            let known = seen.clock.filter(|clock| is_younger(clock.at, OFFSET_KEPT_MS));
            let is_due = !seen.clock_asked.is_some_and(|at| is_younger(at, OFFSET_MS));
            if is_due {
                seen.clock_asked = Some(now);
            }
            (known.map(|clock| clock.offset_ms), is_due)
        });
        if let Some(offset_ms) = known.filter(|_| !is_due) {
            return Ok(offset_ms);
        }
        match clock_offset_ms(&**api, &*self.time).await {
            Ok(offset_ms) => {
                let at = self.time.now();
                self.with(venue, |seen| seen.clock = Some(ClockReading { offset_ms, at }));
                Ok(offset_ms)
            }
            Err(error) => known.ok_or_else(|| {
                PortError(format!(
                    "{venue} does not tell its time, so nothing can be dated: {error}"
                ))
            }),
        }
    }

    /// What was last measured of the clocks, without asking again.
    #[must_use]
    pub fn clocks(&self) -> BTreeMap<VenueId, ClockReading> {
        lock(&self.seen)
            .iter()
            .filter_map(|(venue, seen)| Some((venue.clone(), seen.clock?)))
            .collect()
    }

    fn api(&self, venue: &VenueId) -> Result<&Arc<dyn ExchangeApi>, PortError> {
        self.venues
            .get(venue)
            .ok_or_else(|| PortError(format!("there is no connection to {venue}")))
    }

    fn with<T>(&self, venue: &VenueId, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(lock(&self.seen).entry(venue.clone()).or_default())
    }

    fn note(&self, note: String) {
        let mut notes = lock(&self.notes);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// The price of one quote, if it is one.
    fn price(&self, venue: &VenueId, quote: &TickerQuote, now: Timestamp) -> Option<PricePoint> {
        let symbol = &quote.symbol;
        let (bid, ask) = (quote.bid?, quote.ask?);
        if !quote.last.is_positive() || !bid.is_positive() || !ask.is_positive() {
            return None;
        }
        if bid > ask {
            self.note(format!(
                "{venue}: {symbol} has no price: its bid {bid} is above its ask {ask}"
            ));
            return None;
        }
        let as_of = quote.as_of.unwrap_or(now);
        if as_of > now.plus_ms(AHEAD_MS) {
            self.note(format!(
                "{venue}: {symbol} has no price: it is dated {as_of}, in the future"
            ));
            return None;
        }
        Some(PricePoint { price: quote.last, as_of: as_of.min(now) })
    }

    fn is_recent(&self, as_of: Timestamp) -> bool {
        self.time.now().since_ms(as_of) <= REFERENCE_AGE_MAX_MS
    }

    /// The ids of the assets and of the stablecoin: every question is for all of them, so that one
    /// answer serves all.
    fn ids(&self, assets: &[AssetPolicy]) -> Vec<String> {
        let of_assets = assets.iter().filter_map(|asset| asset.coingecko_id.clone());
        of_assets.chain(self.stablecoin_id.clone()).collect()
    }

    /// What the stablecoin is worth in `other`, by the first venue where that is at most `most`. What
    /// could not tell is left in `silence`.
    async fn worth(
        &self,
        stablecoin: &Ticker,
        other: &str,
        most: Decimal,
        silence: &mut Option<PortError>,
    ) -> Option<PricePoint> {
        let other: Ticker = other.parse().ok().filter(|other| other != stablecoin)?;
        let direct = Symbol::new(stablecoin.clone(), other.clone());
        let inverse = Symbol::new(other, stablecoin.clone());
        for venue in self.venues.keys() {
            let markets = match self.markets(venue).await {
                Ok(markets) => markets,
                Err(error) => {
                    *silence = Some(error);
                    continue;
                }
            };
            for symbol in [&direct, &inverse] {
                let Some(rules) = markets.get(symbol) else { continue };
                let told = if rules.active { self.in_book(venue, symbol).await } else { Ok(None) };
                let told = told.map(|told| {
                    let point = told.filter(|point| self.is_recent(point.as_of))?;
                    let price = point.price.get();
                    let price =
                        if *symbol == direct { price } else { Decimal::ONE.checked_div(price)? };
                    Some(PricePoint { price: Price::new(price), ..point })
                });
                *silence = Some(match told {
                    Ok(Some(point)) if point.price.get() <= most => return Some(point),
                    Ok(Some(point)) => PortError(format!(
                        "by {symbol} at {venue} it is worth {}, and nobody says which of them moved",
                        point.price.get().round_dp(4)
                    )),
                    Ok(None) => PortError(format!("{symbol} at {venue} tells no recent price")),
                    Err(error) => error,
                });
            }
        }
        None
    }

    /// The last price of a market as far as its book holds it: a single wild trade is none.
    async fn in_book(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
    ) -> Result<Option<PricePoint>, PortError> {
        let quotes = self.api(venue)?.tickers(std::slice::from_ref(symbol)).await;
        let quotes = quotes.map_err(|error| PortError(error.to_string()))?;
        let now = self.time.now();
        Ok(quotes.iter().find(|quote| quote.symbol == *symbol).and_then(|quote| {
            let point = self.price(venue, quote, now)?;
            let price = point.price.clamp(quote.bid?, quote.ask?);
            Some(PricePoint { price, ..point })
        }))
    }

    /// Checks caps against the venue's own prices: an id of another coin shows in its price. A price of
    /// long ago is not compared with one of now: what was found when it was young stays.
    fn without_collisions(
        &self,
        client: &CoinGecko,
        assets: &[AssetPolicy],
        quotes: &BTreeMap<String, CapQuote>,
    ) -> Vec<(Ticker, String, CapQuote)> {
        let mut caps = Vec::new();
        let mut verdicts = lock(&self.verdicts);
        let mut earlier = std::mem::take(&mut *verdicts);
        for asset in assets {
            let Some(id) = &asset.coingecko_id else { continue };
            let symbol = Symbol::new(asset.ticker.clone(), self.stablecoin.clone());
            let here = self.with(&asset.venue, |seen| seen.prices.get(&symbol).copied());
            let here = here.map(|point| point.price);
            let quote = quotes.get(id);
            let is_old = quote.is_some_and(|quote| !self.is_recent(quote.as_of));
            let kept = earlier.remove(&asset.ticker).filter(|kept| is_old && kept.id == *id);
            let (is_kept, objection) = match kept {
                Some(kept) => (true, kept.objection),
                None => (false, cap_objection(id, &asset.venue, here, quote, client)),
            };
            if objection.is_none()
                && let Some(quote) = quote
            {
                caps.push((asset.ticker.clone(), id.clone(), *quote));
            }
            if is_kept || objection.is_some() || here.is_some() {
                let verdict = Verdict { id: id.clone(), objection };
                verdicts.insert(asset.ticker.clone(), verdict);
            }
        }
        caps
    }

    /// Assets whose market cap was not believed when caps were last asked for, and why.
    #[must_use]
    pub fn refused_caps(&self) -> BTreeMap<Ticker, String> {
        let verdicts = lock(&self.verdicts);
        let refused = |(ticker, verdict): (&Ticker, &Verdict)| {
            Some((ticker.clone(), verdict.objection.clone()?))
        };
        verdicts.iter().filter_map(refused).collect()
    }

    /// Tells once what keeps caps from being read, however often they are asked for meanwhile.
    fn note_caps(&self, notes: Vec<String>) {
        let told = std::mem::replace(&mut *lock(&self.caps_told), notes.clone());
        for note in notes.into_iter().filter(|note| !told.iter().any(|old| same_words(old, note))) {
            self.note(note);
        }
    }

    /// Whether caps that were fetched then belong into the archive. A clock that was set back is for
    /// the archive to find.
    fn is_to_archive(&self, fetched_at: Timestamp) -> bool {
        let mut last = lock(&self.archived_at);
        let is_due = last.is_none_or(|last| {
            fetched_at != last && !(0..ARCHIVE_MS).contains(&fetched_at.since_ms(last))
        });
        if is_due {
            *last = Some(fetched_at);
        }
        is_due
    }
}

/// Why the cap that CoinGecko has for an id is not the cap of what costs `here` at the venue.
#[must_use]
pub fn cap_objection(
    id: &str,
    venue: &VenueId,
    here: Option<Price>,
    quote: Option<&CapQuote>,
    client: &CoinGecko,
) -> Option<String> {
    let Some(quote) = quote else {
        return Some(format!("CoinGecko has no market cap for the id {id}"));
    };
    // Without a price of its own the asset is not traded anyway.
    let here = here?.to_f64();
    match quote.price_usd {
        None => {
            Some(format!("the cap of CoinGecko's id {id} is refused: it has no price to compare"))
        }
        Some(there) if (there.to_f64() / here - 1.0).abs() <= client.price_deviation_max() => None,
        Some(there) => Some(format!(
            "the cap of CoinGecko's id {id} is refused: its price is {there} USD, and {venue} says {here}; \
             if this stays so, the id is that of another coin"
        )),
    }
}

impl MarketData for LiveMarket {
    async fn markets(&self, venue: &VenueId) -> Result<Arc<Markets>, PortError> {
        let api = self.api(venue)?;
        let now = self.time.now();
        let (known, failed, doubted) = self.with(venue, |seen| {
            (seen.markets.clone(), seen.markets_failed.clone(), seen.markets_doubted)
        });
        let is_due = |at: Timestamp, ms: i64| !(0..ms).contains(&now.since_ms(at));
        let known = known.filter(|(at, _)| !is_due(*at, MARKETS_KEPT_MS));
        if let Some((at, markets)) = &known
            && !is_due(*at, if doubted { MARKETS_DOUBTED_MS } else { MARKETS_MS })
        {
            return Ok(Arc::clone(markets));
        }
        let cause = match failed.filter(|(at, _)| !is_due(*at, MARKETS_RETRY_MS)) {
            Some((_, cause)) => cause,
            None => match read_markets(&**api, known.as_ref().map(|(_, old)| &**old)).await {
                Ok(markets) => {
                    let markets = Arc::new(markets);
                    self.with(venue, |seen| {
                        seen.markets = Some((now, Arc::clone(&markets)));
                        seen.markets_failed = None;
                        seen.markets_doubted = false;
                    });
                    return Ok(markets);
                }
                Err(cause) => {
                    self.with(venue, |seen| seen.markets_failed = Some((now, cause.clone())));
                    cause
                }
            },
        };
        let (at, markets) = known.ok_or_else(|| PortError(cause.clone()))?;
        self.note(format!("{venue}: the market table of {at} stays in use: {cause}"));
        Ok(markets)
    }

    fn history_max(&self, venue: &VenueId) -> Option<usize> {
        self.api(venue).ok()?.facts().history_max
    }

    async fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        let api = self.api(venue)?;
        let now = self.time.now().plus_ms(self.clock_offset_ms(venue).await?);
        let key = (symbol.clone(), timeframe);
        let mut history = self
            .with(venue, |seen| seen.histories.get(&key).cloned())
            .unwrap_or_else(|| History::new(timeframe));
        let source = Source { api: &**api, symbol, timeframe, now };
        let mut notes = Vec::new();
        history.bring_up_to_date(&source, limit, &mut notes).await.map_err(PortError)?;
        for note in notes {
            self.note(format!("{venue}: {note}"));
        }
        let window = history.window(now, limit);
        self.with(venue, |seen| seen.histories.insert(key, history));
        Ok(window)
    }

    async fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        if symbols.is_empty() {
            return Ok(Vec::new());
        }
        let quotes = self
            .api(venue)?
            .tickers(symbols)
            .await
            .map_err(|error| PortError(error.to_string()))?;
        let now = self.time.now();
        let by_symbol: BTreeMap<&Symbol, &TickerQuote> =
            quotes.iter().map(|quote| (&quote.symbol, quote)).collect();
        let points: Vec<Option<PricePoint>> =
            symbols.iter().map(|symbol| self.price(venue, by_symbol.get(symbol)?, now)).collect();
        self.with(venue, |seen| {
            for (symbol, point) in symbols.iter().zip(&points) {
                match point {
                    Some(point) => seen.prices.insert(symbol.clone(), *point),
                    None => seen.prices.remove(symbol),
                };
            }
        });
        Ok(points)
    }

    async fn caps(&self, assets: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        let client = self
            .caps
            .as_ref()
            .ok_or_else(|| PortError("no source of caps is set up".to_owned()))?;
        let answer = client.caps(&self.ids(assets), self.time.now()).await?;
        self.note_caps(answer.notes);
        let believed = self.without_collisions(client, assets, &answer.quotes);
        if self.is_to_archive(answer.fetched_at)
            && let Err(PortError(cause)) = client.archive(answer.fetched_at, &believed)
        {
            self.note(cause);
        }
        Ok(believed
            .into_iter()
            .map(|(ticker, _, quote)| {
                (ticker, CapPoint { cap_usd: quote.cap_usd, as_of: quote.as_of })
            })
            .collect())
    }

    async fn reference_prices(
        &self,
        assets: &[AssetPolicy],
    ) -> Result<BTreeMap<Ticker, PricePoint>, PortError> {
        let Some(client) = &self.caps else { return Ok(BTreeMap::new()) };
        let answer = client.caps(&self.ids(assets), self.time.now()).await?;
        Ok(assets
            .iter()
            .filter_map(|asset| {
                let quote = answer.quotes.get(asset.coingecko_id.as_ref()?)?;
                let point = PricePoint { price: quote.price_usd?, as_of: quote.as_of };
                Some((asset.ticker.clone(), point))
            })
            .collect())
    }

    async fn peg(&self, stablecoin: &Ticker) -> Result<Option<PricePoint>, PortError> {
        if stablecoin.as_str() == DOLLAR {
            let price = Price::new(Decimal::ONE);
            return Ok(Some(PricePoint { price, as_of: self.time.now() }));
        }
        let mut silence = None;
        for (other, most) in std::iter::once((DOLLAR, Decimal::MAX)).chain(COINS) {
            let told = self.worth(stablecoin, other, most, &mut silence).await;
            if told.is_some() {
                return Ok(told);
            }
        }
        // What it says is minutes old: markets of now come first.
        if let (Some(client), Some(id)) = (&self.caps, &self.stablecoin_id) {
            let why = match client.stablecoin(id) {
                Ok(point) if self.is_recent(point.as_of) => return Ok(Some(point)),
                Ok(_) => PortError(format!("CoinGecko tells no recent price of {id}")),
                Err(why) => why,
            };
            silence.get_or_insert(why);
        }
        silence.map_or(Ok(None), Err)
    }

    async fn depth(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        amount: Qty,
    ) -> Result<Depth, PortError> {
        let api = self.api(venue)?;
        let mut book = Book::default();
        for levels in LEVELS {
            book = api.book(symbol, levels).await.map_err(|error| PortError(error.to_string()))?;
            let held = |side: &[(Price, Qty)]| {
                let mut amounts = side.iter().map(|(_, available)| available.get());
                amounts.try_fold(Decimal::ZERO, Decimal::checked_add)
            };
            let less = held(&book.bids).zip(held(&book.asks)).map(|(bids, asks)| bids.min(asks));
            let less = less.ok_or_else(|| {
                PortError(format!(
                    "{venue}: no amounts are as large as in the order book of {symbol}"
                ))
            })?;
            if less >= amount.get() {
                break;
            }
        }
        Ok(Depth::Book { bids: book.bids, asks: book.asks })
    }
}

/// A new market table; one that lost half of the markets is no answer.
async fn read_markets(api: &dyn ExchangeApi, old: Option<&Markets>) -> Result<Markets, String> {
    let markets = api.markets().await.map_err(|error| error.to_string())?;
    let known = old.map_or(0, Markets::len);
    if markets.len() * 2 < known {
        let seen = markets.len();
        return Err(format!("its new market table has {seen} markets, the last one had {known}"));
    }
    Ok(markets)
}
