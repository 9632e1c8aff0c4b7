//! Prices of assets over time: a generated or recorded path, and what was set or moved by hand.

use keel_core::asset::{Ticker, VenueId};
use keel_core::candle::CandleSeries;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::generate::{GeneratedAsset, GeneratedMarket, generate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;

/// Where a price is seen. An override may hold for one place only, so that sources disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The Binance double.
    Binance,
    /// The OKX double.
    Okx,
    /// The CoinGecko double.
    Coingecko,
}

/// An asset of the simulated world.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssetSpec {
    /// Ticker, upper case.
    pub ticker: String,
    /// Price in dollars when the simulation starts.
    pub price: f64,
    /// Units in existence, for caps.
    pub supply: f64,
    /// CoinGecko's name of it.
    pub coingecko_id: String,
    /// Places decimals of amounts.
    pub amount_places: u32,
    /// A coin that stays at its price unless it is moved.
    #[serde(default)]
    pub stable: bool,
}

/// Vertices of a path: milliseconds and dollars.
type Vertices = Vec<(i64, f64)>;

/// What holds from a moment on.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// The path times this.
    Scaled(f64),
    /// Exactly this, whatever the path does.
    Pinned(f64),
}

#[derive(Clone, Debug)]
struct Override {
    from_ms: i64,
    place: Option<Place>,
    change: Change,
}

/// The price of one asset over time.
#[derive(Clone, Debug)]
struct Path {
    vertices: Vertices,
    seed: u64,
    noise: f64,
    overrides: Vec<Override>,
}

/// All prices.
#[derive(Clone, Debug, Default)]
pub struct PriceBoard {
    paths: BTreeMap<String, Path>,
}

/// A number in [-1, 1) that depends on nothing but its arguments (the finaliser of SplitMix64).
fn hash_noise(seed: u64, cell: i64) -> f64 {
    let mut x = seed ^ cell.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let unit = (x >> 11) as f64 / 9_007_199_254_740_992.0;
    unit * 2.0 - 1.0
}

fn ratio(part: i64, whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "spans of time are far below 2^52 ms")]
    let value = part as f64 / whole as f64;
    value
}

/// Noise between whole cells of `period_ms`, straight lines between them.
fn value_noise(seed: u64, at_ms: i64, period_ms: i64) -> f64 {
    let cell = at_ms.div_euclid(period_ms);
    let within = ratio(at_ms.rem_euclid(period_ms), period_ms);
    let (left, right) = (hash_noise(seed, cell), hash_noise(seed, cell + 1));
    left + (right - left) * within
}

impl Path {
    fn flat(price: f64) -> Self {
        Self { vertices: vec![(0, price)], seed: 0, noise: 0.0, overrides: Vec::new() }
    }

    /// Moves the whole path so that it is at `price` at a moment.
    fn scale_to(&mut self, price: f64, at_ms: i64) {
        let factor = price / self.base(at_ms);
        for (_, vertex) in &mut self.vertices {
            *vertex *= factor;
        }
    }

    /// The price without overrides.
    fn base(&self, at_ms: i64) -> f64 {
        let next = self.vertices.partition_point(|(time, _)| *time <= at_ms);
        if next == 0 {
            return self.vertices.first().map_or(0.0, |(_, price)| *price);
        }
        let (from, left) = self.vertices[next - 1];
        let Some((to, right)) = self.vertices.get(next) else { return left };
        let within = ratio(at_ms - from, to - from);
        let line = left + (right - left) * within;
        if self.noise == 0.0 {
            return line;
        }
        // Nothing is added at the vertices, so coarse candles keep their opens.
        let envelope = 4.0 * within * (1.0 - within);
        let rough = value_noise(self.seed, at_ms, MINUTE_MS)
            + value_noise(self.seed ^ 1, at_ms, 5 * MINUTE_MS);
        line * (1.0 + self.noise * envelope * rough)
    }

    /// How many overrides have begun by then; they are in order of their beginning.
    fn begun(&self, at_ms: i64) -> usize {
        self.overrides.partition_point(|change| change.from_ms <= at_ms)
    }

    fn at(&self, place: Place, at_ms: i64) -> f64 {
        let matches = |change: &&Override| change.place.is_none_or(|one| one == place);
        let begun = &self.overrides[..self.begun(at_ms)];
        match begun.iter().rev().find(matches).map(|change| change.change) {
            Some(Change::Pinned(price)) => price,
            Some(Change::Scaled(factor)) => self.base(at_ms) * factor,
            None => self.base(at_ms),
        }
    }

    /// Moments in `[from, to)` at which the path bends or jumps; the one before a jump too.
    fn bends(&self, from_ms: i64, to_ms: i64, into: &mut Vec<i64>) {
        let first = self.vertices.partition_point(|(time, _)| *time < from_ms);
        into.extend(
            self.vertices[first..].iter().map(|(time, _)| *time).take_while(|time| *time < to_ms),
        );
        for change in &self.overrides[self.begun(from_ms - 1)..self.begun(to_ms)] {
            into.extend(
                [change.from_ms - 1, change.from_ms]
                    .into_iter()
                    .filter(|at| (from_ms..to_ms).contains(at)),
            );
        }
    }
}

/// Open, a low or high, the other, close: the path inside a recorded candle.
fn vertices_of(series: &CandleSeries) -> Vertices {
    let step = series.timeframe().ms();
    let mut vertices = Vec::with_capacity(series.len() * 4);
    for candle in series.iter() {
        let rising = candle.close >= candle.open;
        let (first, second) =
            if rising { (candle.low, candle.high) } else { (candle.high, candle.low) };
        vertices.push((candle.open_time_ms, candle.open));
        vertices.push((candle.open_time_ms + step / 4, first));
        vertices.push((candle.open_time_ms + step * 3 / 4, second));
        vertices.push((candle.open_time_ms + step - 1, candle.close));
    }
    vertices
}

impl PriceBoard {
    /// Prices that stand still.
    #[must_use]
    pub fn flat(assets: &[AssetSpec]) -> Self {
        let paths =
            assets.iter().map(|asset| (asset.ticker.clone(), Path::flat(asset.price))).collect();
        Self { paths }
    }

    /// A market from a seed, with `history_hours` before `now_ms` and `future_hours` after it; later
    /// the prices stand still.
    ///
    /// # Errors
    /// When a ticker or a price cannot be used.
    pub fn generated(
        assets: &[AssetSpec],
        seed: u64,
        now_ms: i64,
        history_hours: usize,
        future_hours: usize,
    ) -> Result<Self, String> {
        let mut board = Self::flat(assets);
        let here: VenueId = "simex".parse().map_err(|error| format!("simex: {error}"))?;
        let moving: Vec<&AssetSpec> = assets.iter().filter(|asset| !asset.stable).collect();
        let mut generated = Vec::new();
        for (index, asset) in moving.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a few dozen assets")]
            let spread = index as f64;
            let ticker: Ticker =
                asset.ticker.parse().map_err(|error| format!("{}: {error}", asset.ticker))?;
            generated.push(GeneratedAsset {
                ticker,
                venue: here.clone(),
                price: asset.price,
                supply: asset.supply,
                beta: 1.0 + 0.05 * (spread % 7.0),
                own_volatility: 0.003 + 0.0005 * (spread % 5.0),
            });
        }
        let hour = Timeframe::H1.ms();
        let back = i64::try_from(history_hours).unwrap_or(0) * hour;
        let start = Timeframe::H1.floor(Timestamp::from_ms(now_ms - back));
        let stablecoin: Ticker = "USD".parse().map_err(|error| format!("USD: {error}"))?;
        let hours = history_hours + future_hours;
        let tape =
            generate(&GeneratedMarket { seed, start, hours, stablecoin, assets: generated })?;
        for venue in tape.venues.values() {
            for (symbol, series) in &venue.candles {
                let Some(series) = series.get(&Timeframe::H1) else { continue };
                let ticker = symbol.base.as_str();
                board.replace(ticker, vertices_of(series), seed ^ hash_name(ticker), 0.0008);
                let wanted = moving.iter().find(|asset| asset.ticker == ticker);
                if let (Some(path), Some(asset)) = (board.paths.get_mut(ticker), wanted) {
                    path.scale_to(asset.price, now_ms);
                }
            }
        }
        Ok(board)
    }

    fn replace(&mut self, ticker: &str, vertices: Vertices, seed: u64, noise: f64) {
        if !vertices.is_empty() {
            let path = Path { vertices, seed, noise, overrides: Vec::new() };
            self.paths.insert(ticker.to_owned(), path);
        }
    }

    /// Replays recorded candles as the prices of an asset in dollars.
    pub fn replay(&mut self, ticker: &str, series: &CandleSeries) {
        self.replace(ticker, vertices_of(series), 0, 0.0);
    }

    /// The price of an asset in dollars; `None` for an unknown one.
    #[must_use]
    pub fn price(&self, place: Place, ticker: &str, at_ms: i64) -> Option<f64> {
        self.paths.get(ticker).map(|path| path.at(place, at_ms))
    }

    /// The price of `base` in `quote`.
    #[must_use]
    pub fn rate(&self, place: Place, base: &str, quote: &str, at_ms: i64) -> Option<f64> {
        let quote = self.price(place, quote, at_ms)?;
        (quote > 0.0).then_some(self.price(place, base, at_ms)? / quote)
    }

    /// Moments in `[from, to)` at which the rate bends or jumps.
    #[must_use]
    pub fn bends(&self, base: &str, quote: &str, from_ms: i64, to_ms: i64) -> Vec<i64> {
        let mut moments = Vec::new();
        for ticker in [base, quote] {
            if let Some(path) = self.paths.get(ticker) {
                path.bends(from_ms, to_ms, &mut moments);
            }
        }
        moments
    }

    /// Sets the price from `from_ms` on. With `pinned` it stays there, otherwise it moves on from
    /// there as the path does. `false`: unknown asset or not a price.
    pub fn set(
        &mut self,
        ticker: &str,
        place: Option<Place>,
        price: f64,
        pinned: bool,
        from_ms: i64,
    ) -> bool {
        let Some(path) = self.paths.get_mut(ticker) else { return false };
        let base = path.base(from_ms);
        let change = if pinned || base <= 0.0 {
            Change::Pinned(price)
        } else {
            Change::Scaled(price / base)
        };
        let at = path.begun(from_ms);
        path.overrides.insert(at, Override { from_ms, place, change });
        true
    }

    /// Multiplies the price from `from_ms` on, e.g. by 0.9 for a fall of a tenth.
    pub fn multiply(
        &mut self,
        ticker: &str,
        place: Option<Place>,
        factor: f64,
        from_ms: i64,
    ) -> bool {
        let seen = self.price(place.unwrap_or(Place::Binance), ticker, from_ms);
        seen.is_some_and(|price| self.set(ticker, place, price * factor, false, from_ms))
    }

    /// The known assets.
    pub fn tickers(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }
}

/// A number for a name (FNV-1a).
fn hash_name(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
