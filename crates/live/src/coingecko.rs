//! Market caps from CoinGecko: one request for all assets (one for every 250 of them), at most once
//! a minute.

use crate::cap_archive;
use crate::time::milliseconds;
use keel_core::amount::Price;
use keel_core::asset::Ticker;
use keel_core::ports::{PortError, PricePoint};
use keel_core::time::Timestamp;
use keel_net::{Lookup, without_url};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// The public host, also for demo keys.
pub const PUBLIC_URL: &str = "https://api.coingecko.com/api/v3";
/// The host for paid keys.
pub const PRO_URL: &str = "https://pro-api.coingecko.com/api/v3";

/// One request takes at most so many ids.
const IDS_MAX: usize = 250;
/// No two requests within this time.
const SPACING_MS: i64 = 60_000;
/// Bodies larger than this are no answer: 250 assets take about 250 KiB.
const BODY_MAX: usize = 8 * 1024 * 1024;
/// What the source says about its own pauses is believed between these two.
const PAUSE: std::ops::RangeInclusive<u64> = 1..=86_400;
/// A cap dated further ahead than this is a mistake.
const AHEAD_MS: i64 = 3_600_000;

/// Which key there is.
#[derive(Clone)]
pub enum Key {
    /// None: the limits are shared with everybody behind the same address.
    Nobody,
    /// A demo key.
    Demo(Zeroizing<String>),
    /// A paid key, which needs [`PRO_URL`].
    Pro(Zeroizing<String>),
}

/// How CoinGecko is reached.
#[derive(Clone)]
pub struct CoinGeckoSettings {
    /// Without a trailing slash, such as [`PUBLIC_URL`].
    pub base_url: String,
    /// Which key there is.
    pub key: Key,
    /// For a whole request.
    pub timeout: Duration,
    /// Answers are used for so long before the next request; never less than a minute. Five minutes
    /// are 8,640 requests in a month of 30 days.
    pub ttl: Duration,
    /// The largest difference between CoinGecko's price and the venue's, as a fraction, at which a
    /// cap is still believed to belong to the asset.
    pub price_deviation_max: f64,
    /// A directory that gets one file per asset, with a row for each cap that was used.
    pub archive: Option<PathBuf>,
    /// Where its host name leads.
    pub lookup: Lookup,
}

impl Default for CoinGeckoSettings {
    fn default() -> Self {
        Self {
            base_url: PUBLIC_URL.to_owned(),
            key: Key::Nobody,
            timeout: Duration::from_secs(15),
            ttl: Duration::from_secs(300),
            price_deviation_max: 0.1,
            archive: None,
            lookup: Lookup::default(),
        }
    }
}

/// What CoinGecko says about an id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapQuote {
    /// In USD, above 0.
    pub cap_usd: f64,
    /// In USD, where there is one.
    pub price_usd: Option<Price>,
    /// The moment that CoinGecko gives for it.
    pub as_of: Timestamp,
}

/// An answer, or the last good one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caps {
    /// By id; ids without a cap are left out.
    pub quotes: BTreeMap<String, CapQuote>,
    /// When CoinGecko gave it.
    pub fetched_at: Timestamp,
    /// It was fetched by this very question.
    pub is_new: bool,
    /// What the operator should know.
    pub notes: Vec<String>,
}

#[derive(Default)]
struct Memory {
    last_good: Option<(Timestamp, BTreeMap<String, CapQuote>)>,
    /// The ids of the last good answer's question.
    asked: BTreeSet<String>,
    /// The last failure, in words, until the next success.
    failure: Option<String>,
    next_at: Option<Timestamp>,
}

/// A client of CoinGecko.
pub struct CoinGecko {
    http: reqwest::Client,
    settings: CoinGeckoSettings,
    memory: Mutex<Memory>,
}

/// A request without a usable answer, and how long to wait if CoinGecko said so.
struct Failure {
    cause: String,
    wait_ms: Option<i64>,
}

impl From<String> for Failure {
    fn from(cause: String) -> Self {
        Self { cause, wait_ms: None }
    }
}

impl CoinGecko {
    /// A client.
    ///
    /// # Errors
    /// When the TLS library cannot be set up, or the base URL is none that may be asked
    /// ([`keel_net::host_of`]).
    pub fn new(settings: CoinGeckoSettings) -> Result<Self, PortError> {
        let refused = match keel_net::host_of(&settings.base_url) {
            Err(why) => Some(why),
            Ok(_) => {
                settings.base_url.contains(['?', '#']).then(|| "it ends in a query".to_owned())
            }
        };
        if let Some(why) = refused {
            return Err(PortError(format!(
                "the address of CoinGecko cannot be used: {why}; expected one such as {PUBLIC_URL}"
            )));
        }
        let http = keel_net::client(settings.lookup.clone())
            .timeout(settings.timeout)
            .build()
            .map_err(|error| PortError(format!("CoinGecko: {}", without_url(error))))?;
        Ok(Self { http, settings, memory: Mutex::default() })
    }

    /// The largest believable difference of prices, as a fraction.
    #[must_use]
    pub const fn price_deviation_max(&self) -> f64 {
        self.settings.price_deviation_max
    }

    /// Caps and prices of these ids. Within the time to live, within a minute of the last request,
    /// and while CoinGecko does not answer, the last good ones are given, with the time they were
    /// made.
    ///
    /// # Errors
    /// When there is no answer, and none from before.
    pub async fn caps(&self, ids: &[String], now: Timestamp) -> Result<Caps, PortError> {
        let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        if ids.is_empty() {
            return Ok(Caps { fetched_at: now, ..Caps::default() });
        }
        let may_ask = {
            let mut memory = self.memory();
            if self.is_fresh(&memory, &ids, now) {
                drop(memory);
                return self.last_good(now);
            }
            let wait = memory.next_at.map_or(0, |next| next.since_ms(now));
            // A clock that was set back must not silence us for longer than a pause can be.
            let waits = wait > 0 && wait <= i64::try_from(*PAUSE.end()).unwrap_or(0) * 1000;
            if !waits {
                memory.next_at = Some(now.plus_ms(SPACING_MS));
            }
            !waits
        };
        if !may_ask {
            return self.last_good(now);
        }
        match self.fetch(&ids, now).await {
            Ok(quotes) => {
                let mut memory = self.memory();
                memory.failure = None;
                memory.asked = ids.iter().map(|id| (*id).to_owned()).collect();
                memory.last_good = Some((now, quotes.clone()));
                Ok(Caps { quotes, fetched_at: now, is_new: true, notes: Vec::new() })
            }
            Err(failure) => {
                {
                    let mut memory = self.memory();
                    let wait_ms = failure.wait_ms.unwrap_or(SPACING_MS).max(SPACING_MS);
                    memory.next_at = Some(now.plus_ms(wait_ms));
                    memory.failure = Some(failure.cause);
                }
                self.last_good(now)
            }
        }
    }

    /// What the stablecoin with this id is worth in dollars, by the last good answer; nothing is asked.
    ///
    /// # Errors
    /// When it tells no price, or one that no stablecoin has.
    pub fn stablecoin(&self, id: &str) -> Result<PricePoint, PortError> {
        let told = self.known(id).and_then(|quote| Some((quote.price_usd?, quote.as_of)));
        let (price, as_of) =
            told.ok_or_else(|| PortError(format!("CoinGecko tells no price of {id}")))?;
        // Below a dollar it may be one that fell.
        if price.to_f64() - 1.0 > self.price_deviation_max() {
            let text =
                format!("CoinGecko's price of {id} is {price} USD: the id is that of another coin");
            return Err(PortError(text));
        }
        Ok(PricePoint { price, as_of })
    }

    /// What the last good answer said about an id.
    fn known(&self, id: &str) -> Option<CapQuote> {
        self.memory().last_good.as_ref().and_then(|(_, quotes)| quotes.get(id).copied())
    }

    /// Adds the caps that were used to the archive, if there is one.
    ///
    /// # Errors
    /// When a file cannot be written, or its last row is from later.
    pub fn archive(
        &self,
        fetched_at: Timestamp,
        caps: &[(Ticker, String, CapQuote)],
    ) -> Result<(), PortError> {
        self.settings
            .archive
            .as_deref()
            .map_or(Ok(()), |directory| cap_archive::append(directory, fetched_at, caps))
    }

    /// Whether the last answer covers the question and is young enough.
    fn is_fresh(&self, memory: &Memory, ids: &BTreeSet<&str>, now: Timestamp) -> bool {
        let ttl_ms = milliseconds(self.settings.ttl);
        memory.last_good.as_ref().is_some_and(|(at, _)| (0..ttl_ms).contains(&now.since_ms(*at)))
            && ids.iter().all(|id| memory.asked.contains(*id))
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_good(&self, now: Timestamp) -> Result<Caps, PortError> {
        let memory = self.memory();
        let failure = memory.failure.clone();
        match &memory.last_good {
            Some((at, quotes)) => {
                let minutes = now.since_ms(*at).max(0) / 60_000;
                let notes = failure
                    .map(|cause| format!("market caps are {minutes} minutes old: {cause}"))
                    .into_iter()
                    .collect();
                Ok(Caps { quotes: quotes.clone(), fetched_at: *at, is_new: false, notes })
            }
            None => Err(PortError(failure.unwrap_or_else(|| {
                "CoinGecko is being asked, and has not answered yet".to_owned()
            }))),
        }
    }

    /// All ids in one request, or in as few as CoinGecko allows.
    async fn fetch(
        &self,
        ids: &BTreeSet<&str>,
        now: Timestamp,
    ) -> Result<BTreeMap<String, CapQuote>, Failure> {
        let ids: Vec<&str> = ids.iter().copied().collect();
        let mut quotes = BTreeMap::new();
        for page in ids.chunks(IDS_MAX) {
            quotes.extend(self.fetch_page(page, now).await?);
        }
        Ok(quotes)
    }

    async fn fetch_page(
        &self,
        ids: &[&str],
        now: Timestamp,
    ) -> Result<BTreeMap<String, CapQuote>, Failure> {
        let list = ids.join(",");
        let url = url::Url::parse_with_params(
            &format!("{}/coins/markets", self.settings.base_url.trim_end_matches('/')),
            [("vs_currency", "usd"), ("ids", list.as_str()), ("per_page", "250")],
        )
        .map_err(|error| format!("CoinGecko: {error}"))?;
        let mut request = self.http.get(url);
        match &self.settings.key {
            Key::Nobody => {}
            Key::Demo(key) => request = request.header("x-cg-demo-api-key", sensitive(key)?),
            Key::Pro(key) => request = request.header("x-cg-pro-api-key", sensitive(key)?),
        }
        let failed = |error| format!("CoinGecko: {}", without_url(error));
        let mut reply = request.send().await.map_err(failed)?;
        let status = reply.status();
        if !status.is_success() {
            let wait = reply.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let wait_ms = wait
                .and_then(|text| text.trim().parse::<u64>().ok())
                .map(|s| milliseconds(Duration::from_secs(s.clamp(*PAUSE.start(), *PAUSE.end()))));
            let cause = format!("CoinGecko answered with status {}", status.as_u16());
            return Err(Failure { cause, wait_ms });
        }
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(format!("CoinGecko's answer is larger than {BODY_MAX} bytes").into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(read(&body, ids, now)?)
    }
}

/// The key as a header that no log shows.
fn sensitive(key: &str) -> Result<reqwest::header::HeaderValue, String> {
    let mut value = reqwest::header::HeaderValue::from_str(key)
        .map_err(|_| "the key of CoinGecko holds characters that no key has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads a body. Anything but a list of coins of which we asked for at least one is no answer.
fn read(body: &[u8], ids: &[&str], now: Timestamp) -> Result<BTreeMap<String, CapQuote>, String> {
    let rows: Vec<Value> = serde_json::from_slice(body).map_err(|_| {
        format!("CoinGecko's answer is not a list of coins, but begins with {}", beginning(body))
    })?;
    let mut quotes = BTreeMap::new();
    let mut known = 0;
    for row in &rows {
        let Some(id) = row.get("id").and_then(Value::as_str).filter(|id| ids.contains(id)) else {
            continue;
        };
        known += 1;
        let positive = |name: &str| {
            row.get(name).and_then(Value::as_f64).filter(|value| value.is_finite() && *value > 0.0)
        };
        let as_of = row.get("last_updated").and_then(Value::as_str).and_then(moment);
        if let (Some(cap_usd), Some(as_of)) = (positive("market_cap"), as_of)
            && as_of <= now.plus_ms(AHEAD_MS)
        {
            let price_usd = row.get("current_price").and_then(exact_price);
            quotes.insert(id.to_owned(), CapQuote { cap_usd, price_usd, as_of: as_of.min(now) });
        }
    }
    if known == 0 {
        return Err(format!("CoinGecko's answer holds none of the ids {}", shortened(ids)));
    }
    Ok(quotes)
}

/// The first few ids.
fn shortened(ids: &[&str]) -> String {
    let more = if ids.len() > 3 { ", ..." } else { "" };
    format!("{}{more}", ids[..ids.len().min(3)].join(", "))
}

/// A number in JSON, by its digits.
fn exact_price(value: &Value) -> Option<Price> {
    let text = value.as_number()?.to_string();
    let exact =
        if text.contains(['e', 'E']) { Decimal::from_scientific(&text) } else { text.parse() };
    exact.ok().map(|value| Price::new(value.normalize())).filter(|price| price.is_positive())
}

/// `2023-01-02T17:08:13.102Z`, to the second.
fn moment(text: &str) -> Option<Timestamp> {
    let whole = text.split(['.', 'Z', '+']).next()?;
    whole.parse().ok()
}

/// A few characters of a body, for an error message.
fn beginning(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(&body[..body.len().min(40)])
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    format!("`{text}`")
}
