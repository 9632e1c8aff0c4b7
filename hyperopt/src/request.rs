//! A backtest as asked for, on the command line or in a file of cases.

use crate::backtest::{RawMember, Source};
use crate::dominance::Align;
use crate::rules::{Rules, Stake, Trailing};
use crate::timerange::{ParseTimeRangeError, TimeRange};
use keel_core::candle::Candle;
use keel_core::indicator::KeltnerParams;
use keel_core::strategy::Stage;
use keel_core::time::{ParseTimeframeError, Timeframe};
use keel_data::{CandleFileError, read_candles};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The keys of a request: the long options with underscores.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRequest {
    /// A name for messages.
    pub name: Option<String>,
    /// Candle file of the traded asset; in the trend stage the portfolio's may do.
    pub candles: Option<PathBuf>,
    /// `position` or `trend`.
    pub stage: Option<String>,
    /// Bar length.
    pub timeframe: String,
    /// The parameters.
    pub params: RawParams,
    /// A portfolio file, or its content.
    pub portfolio: Option<Value>,
    /// How rows are matched in the trend stage.
    pub align: Option<Align>,
    /// Fee of each side.
    pub fee: Option<f64>,
    /// Money at the start.
    pub wallet: Option<f64>,
    /// `"unlimited"` or an amount.
    pub stake: Option<Value>,
    /// Slots.
    pub max_open_trades: Option<u32>,
    /// Startup candles.
    pub startup: Option<usize>,
    /// `A-B`.
    pub timerange: Option<String>,
    /// Stop-loss ratio.
    pub stoploss: Option<f64>,
    /// Profit ratios by minutes, as an object or its text.
    pub roi: Option<Value>,
    /// Whether the stop follows the price.
    pub trailing_stop: Option<bool>,
    /// Its distance once the offset is passed.
    pub trailing_stop_positive: Option<f64>,
    /// Its offset.
    pub trailing_stop_positive_offset: Option<f64>,
    /// Whether it waits for the offset.
    pub trailing_only_offset_is_reached: Option<bool>,
}

/// Keltner parameters as typed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawParams {
    /// Span of the middle line.
    pub window: u32,
    /// Width in average true ranges.
    pub mult: f64,
    /// Bars of the average true range.
    pub atrs: u32,
}

/// A portfolio as typed.
#[derive(Clone, Debug, Deserialize)]
struct RawPortfolio {
    target: String,
    assets: Vec<RawAsset>,
}

#[derive(Clone, Debug, Deserialize)]
struct RawAsset {
    ticker: String,
    market_cap: f64,
    candles: PathBuf,
}

/// A request that has been understood and whose files have been read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The candles.
    pub source: Source,
    /// Bar length.
    pub timeframe: Timeframe,
    /// The range to trade in.
    pub range: TimeRange,
    /// The parameters.
    pub params: KeltnerParams,
    /// The rules.
    pub rules: Rules,
}

/// Why a request was not understood.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A candle file.
    #[error(transparent)]
    Candles(#[from] CandleFileError),
    /// The bar length.
    #[error(transparent)]
    Timeframe(#[from] ParseTimeframeError),
    /// The time range.
    #[error(transparent)]
    TimeRange(#[from] ParseTimeRangeError),
    /// A value of the wrong kind.
    #[error("{name} is {seen}; expected {expected}")]
    Value {
        /// The option.
        name: &'static str,
        /// What was given.
        seen: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A needed option is absent.
    #[error("{name} is missing; {hint}")]
    Missing {
        /// The option.
        name: &'static str,
        /// What to type.
        hint: &'static str,
    },
    /// The portfolio file.
    #[error("could not read the portfolio {}", path.display())]
    PortfolioFile {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// Its content.
    #[error(
        "the portfolio is not as expected: {{\"target\": \"XRP\", \"assets\": [{{\"ticker\": \"XRP\", \"market_cap\": 1e10, \"candles\": \"x.csv.gz\"}}]}}"
    )]
    Portfolio {
        /// What the parser said.
        source: serde_json::Error,
    },
}

/// Candle files read so far, so that a file of cases reads each one once.
#[derive(Debug, Default)]
pub struct CandleCache {
    files: Mutex<BTreeMap<PathBuf, Arc<Vec<Candle>>>>,
}

impl CandleCache {
    /// The rows of a file.
    ///
    /// # Errors
    /// What [`read_candles`] says.
    pub fn read(&self, path: &Path) -> Result<Arc<Vec<Candle>>, CandleFileError> {
        let known = |cache: &Self| {
            let files = cache.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            files.get(path).map(Arc::clone)
        };
        if let Some(rows) = known(self) {
            return Ok(rows);
        }
        let rows = Arc::new(read_candles(path)?);
        let mut files = self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Arc::clone(files.entry(path.to_owned()).or_insert(rows)))
    }
}

impl RawRequest {
    /// Understands the request and reads its files; relative paths count from `folder`.
    ///
    /// # Errors
    /// The first thing that is missing or wrong.
    pub fn resolve(&self, folder: &Path, cache: &CandleCache) -> Result<Request, RequestError> {
        let timeframe: Timeframe = self.timeframe.parse()?;
        let range = match self.timerange.as_deref() {
            None | Some("") => TimeRange::default(),
            Some(text) => text.parse()?,
        };
        let source = match self.stage()? {
            Stage::Position => {
                let path = self.candles.as_ref().ok_or(RequestError::Missing {
                    name: "candles",
                    hint: "give the traded asset's candle file with --candles FILE",
                })?;
                Source::Position(cache.read(&folder.join(path))?)
            }
            Stage::Trend => self.trend(folder, cache)?,
        };
        let params = KeltnerParams {
            window: self.params.window,
            atr: self.params.atrs,
            mult: self.params.mult,
        };
        Ok(Request { source, timeframe, range, params, rules: self.rules()? })
    }

    fn stage(&self) -> Result<Stage, RequestError> {
        match self.stage.as_deref() {
            None | Some("position") => Ok(Stage::Position),
            Some("trend") => Ok(Stage::Trend),
            Some(other) => Err(RequestError::Value {
                name: "stage",
                seen: format!("`{other}`"),
                expected: "position or trend",
            }),
        }
    }

    fn trend(&self, folder: &Path, cache: &CandleCache) -> Result<Source, RequestError> {
        let (portfolio, portfolio_folder) = self.portfolio(folder)?;
        let members = portfolio
            .assets
            .iter()
            .map(|asset| {
                let beside = portfolio_folder.join(&asset.candles);
                let path = match &self.candles {
                    Some(own) if asset.ticker == portfolio.target => folder.join(own),
                    _ if beside.exists() => beside,
                    _ => folder.join(&asset.candles),
                };
                Ok(RawMember {
                    ticker: asset.ticker.clone(),
                    market_cap: asset.market_cap,
                    candles: cache.read(&path)?,
                })
            })
            .collect::<Result<_, RequestError>>()?;
        Ok(Source::Trend {
            target: portfolio.target,
            members,
            align: self.align.unwrap_or_default(),
        })
    }

    fn portfolio(&self, folder: &Path) -> Result<(RawPortfolio, PathBuf), RequestError> {
        let parsed = |value: Value| {
            serde_json::from_value(value).map_err(|source| RequestError::Portfolio { source })
        };
        match &self.portfolio {
            None | Some(Value::Null) => Err(RequestError::Missing {
                name: "portfolio",
                hint: "the trend stage needs the portfolio with --portfolio FILE",
            }),
            Some(Value::String(path)) => {
                let path = folder.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| RequestError::PortfolioFile { path: path.clone(), source })?;
                let value = serde_json::from_str(&text)
                    .map_err(|source| RequestError::Portfolio { source })?;
                let beside = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
                Ok((parsed(value)?, beside))
            }
            Some(value) => Ok((parsed(value.clone())?, folder.to_owned())),
        }
    }

    fn rules(&self) -> Result<Rules, RequestError> {
        let usual = Rules::default();
        Ok(Rules {
            fee: self.fee.unwrap_or(usual.fee),
            wallet: self.wallet.unwrap_or(usual.wallet),
            stake: stake(self.stake.as_ref())?,
            max_open_trades: self.max_open_trades.unwrap_or(usual.max_open_trades),
            startup: self.startup.unwrap_or(usual.startup),
            stoploss: self.stoploss,
            roi: roi(self.roi.as_ref())?,
            trailing: self.trailing_stop.unwrap_or(false).then(|| Trailing {
                positive: self.trailing_stop_positive,
                offset: self.trailing_stop_positive_offset.unwrap_or(0.0),
                only_offset_is_reached: self.trailing_only_offset_is_reached.unwrap_or(false),
            }),
        })
    }
}

fn stake(value: Option<&Value>) -> Result<Stake, RequestError> {
    let wrong = |seen: &Value| RequestError::Value {
        name: "stake",
        seen: seen.to_string(),
        expected: "`unlimited` or an amount",
    };
    match value {
        None | Some(Value::Null) => Ok(Stake::Unlimited),
        Some(Value::String(text)) if text == "unlimited" => Ok(Stake::Unlimited),
        Some(Value::String(text)) => {
            text.parse().map(Stake::Fixed).map_err(|_| wrong(&Value::String(text.clone())))
        }
        Some(number) => number.as_f64().map(Stake::Fixed).ok_or_else(|| wrong(number)),
    }
}

fn roi(value: Option<&Value>) -> Result<BTreeMap<u32, f64>, RequestError> {
    let wrong = |seen: &Value| RequestError::Value {
        name: "roi",
        seen: seen.to_string(),
        expected: "ratios by minutes, such as {\"0\": 0.05, \"60\": 0.02}",
    };
    match value {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(text @ Value::String(inner)) => {
            let inner: Value = serde_json::from_str(inner).map_err(|_| wrong(text))?;
            if inner.is_string() { Err(wrong(text)) } else { roi(Some(&inner)) }
        }
        Some(Value::Object(entries)) => entries
            .iter()
            .map(|(minutes, ratio)| {
                let minutes =
                    minutes.parse().map_err(|_| wrong(&Value::String(minutes.clone())))?;
                Ok((minutes, ratio.as_f64().ok_or_else(|| wrong(ratio))?))
            })
            .collect(),
        Some(other) => Err(wrong(other)),
    }
}
