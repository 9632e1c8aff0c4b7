//! Commands and options.

use clap::{Args, Parser, Subcommand, ValueEnum};
use hyperopt::dominance::Align;
use hyperopt::request::{RawParams, RawRequest};
use hyperopt::walk_forward::Scheme;
use serde_json::Value;
use std::path::PathBuf;

/// Searches the Keltner parameters of each asset, exactly, and says how far to trust the result.
///
/// Exit codes: 0 done, 1 something failed, 2 wrong input, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Search both stages of each asset and write its strategy file
    Run(RunArgs),
    /// Run one set of parameters
    Backtest(BacktestArgs),
    /// List the searches kept in the results directory
    List(ResultsArgs),
    /// Show one search of the list
    Show(ShowArgs),
    /// Search one window of time after the other and apply each result to the next
    WalkForward(WalkForwardArgs),
    /// Print the indicator values as CSV
    Bands(BandsArgs),
}

/// Which stages to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StageChoice {
    /// The asset's own price.
    Position,
    /// Its dominance.
    Trend,
    /// Both; only then is a strategy file written.
    Both,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SearchArgs {
    /// Portfolio configuration
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Data directory with `ohlcv/` and `marketcap/`
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Stages to search
    #[arg(long, value_enum, default_value = "both")]
    pub(crate) stage: StageChoice,
    /// Only these assets, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "TICKERS")]
    pub(crate) assets: Vec<String>,
    /// Loss to make small: sortino, sortino-published, sortino-guarded, sharpe, calmar, profit,
    /// profit-drawdown, max-drawdown, composite
    #[arg(long, default_value = "sortino", value_name = "NAME")]
    pub(crate) hyperopt_loss: String,
    /// Range to search in, such as 20230101-20240101
    #[arg(long, value_name = "A-B", allow_hyphen_values = true)]
    pub(crate) timerange: Option<String>,
    /// Threads; all processors unless given
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Fee of each side as a ratio
    #[arg(long, default_value_t = 0.001)]
    pub(crate) fee: f64,
    /// Money at the start of each backtest
    #[arg(long, default_value_t = 1000.0)]
    pub(crate) wallet: f64,
    /// Startup candles
    #[arg(long, default_value_t = 60)]
    pub(crate) startup: usize,
    /// How assets are matched in the trend stage
    #[arg(long, value_enum, default_value = "common")]
    pub(crate) align: Align,
    /// Space of the position stage, such as window=5..60,mult=1.00..4.00:0.01,atrs=5..60
    #[arg(long, value_name = "SPACE")]
    pub(crate) position_space: Option<String>,
    /// Space of the trend stage
    #[arg(long, value_name = "SPACE")]
    pub(crate) trend_space: Option<String>,
    /// Market caps as JSON, {"BTC": 1e12, ...}, instead of the archive in the data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) caps: Option<PathBuf>,
    /// Read candles of this venue instead of each asset's own
    #[arg(long, value_name = "VENUE")]
    pub(crate) venue: Option<String>,
    /// Where results are kept
    #[arg(long, default_value = "hyperopt-results", value_name = "DIR")]
    pub(crate) results: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// grid visits every point; random and tpe visit --epochs of them
    #[arg(long, default_value = "grid", value_name = "NAME")]
    pub(crate) sampler: String,
    /// Points that random and tpe visit
    #[arg(short, long, default_value_t = 500)]
    pub(crate) epochs: usize,
    /// Seed of random and tpe
    #[arg(long, default_value_t = 42, value_name = "N")]
    pub(crate) random_state: u64,
    /// Write no strategy file that is not robust, not even a new one. Files that exist are replaced
    /// only by robust ones anyway
    #[arg(long)]
    pub(crate) require_robust: bool,
    /// Write strategy files whatever the figures say
    #[arg(long, conflicts_with = "require_robust")]
    pub(crate) force: bool,
    /// Directory of the strategy files, instead of the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) strategies: Option<PathBuf>,
    /// Leave the walk-forward out, which takes about as long as three searches
    #[arg(long)]
    pub(crate) no_walk_forward: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WalkForwardArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// Only this scheme; both unless given
    #[arg(long, value_enum)]
    pub(crate) scheme: Option<Scheme>,
    /// Number of windows
    #[arg(long, default_value_t = 4)]
    pub(crate) windows: usize,
    /// Length of a training window in test lengths
    #[arg(long, default_value_t = 2)]
    pub(crate) training: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    /// Where results are kept
    #[arg(long, default_value = "hyperopt-results", value_name = "DIR")]
    pub(crate) results: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Number in the list
    pub(crate) number: usize,
    #[command(flatten)]
    pub(crate) results: ResultsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SeriesArgs {
    /// Candle file: .parquet, .feather, .csv or .csv.gz
    #[arg(long, value_name = "FILE")]
    candles: Option<PathBuf>,
    /// position or trend
    #[arg(long)]
    stage: Option<String>,
    /// Portfolio of the trend stage, JSON with `target` and `assets`
    #[arg(long, value_name = "FILE")]
    portfolio: Option<String>,
    /// How assets are matched in the trend stage
    #[arg(long, value_enum)]
    align: Option<Align>,
    /// Length of a candle, such as 15m
    #[arg(long, value_name = "TF")]
    timeframe: Option<String>,
    /// Parameters, as window=14,mult=2.1,atrs=11
    #[arg(long, value_parser = params, value_name = "PARAMS")]
    params: Option<RawParams>,
    /// Startup candles [default: 60]
    #[arg(long, value_name = "N")]
    startup: Option<usize>,
    /// Range to trade in, such as 20230101-20240101
    #[arg(long, value_name = "A-B", allow_hyphen_values = true)]
    timerange: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BandsArgs {
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    #[command(flatten)]
    pub(crate) series: SeriesArgs,
    /// Fee of each side as a ratio [default: 0.001]
    #[arg(long)]
    fee: Option<f64>,
    /// Money at the start [default: 1000]
    #[arg(long)]
    wallet: Option<f64>,
    /// `unlimited` or an amount [default: unlimited]
    #[arg(long)]
    stake: Option<String>,
    /// Slots that share an unlimited stake [default: 1]
    #[arg(long, value_name = "N")]
    max_open_trades: Option<u32>,
    /// Stop-loss ratio, such as -0.1
    #[arg(long, allow_hyphen_values = true)]
    stoploss: Option<f64>,
    /// Profit ratios by minutes, such as {"0": 0.05}
    #[arg(long, value_name = "JSON")]
    roi: Option<String>,
    /// Let the stop follow the price
    #[arg(long)]
    trailing_stop: bool,
    /// Distance of the trailing stop once the offset is passed
    #[arg(long, value_name = "RATIO")]
    trailing_stop_positive: Option<f64>,
    /// Profit from which the positive distance counts
    #[arg(long, value_name = "RATIO")]
    trailing_stop_positive_offset: Option<f64>,
    /// Keep the stop where it is until the offset is reached
    #[arg(long)]
    trailing_only_offset_is_reached: bool,
    /// Run the requests of a JSON array and print an array of replies
    #[arg(long, value_name = "FILE", conflicts_with_all = ["candles", "params", "timeframe"])]
    pub(crate) cases: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn params(text: &str) -> Result<RawParams, String> {
    let wrong = || format!("`{text}` is not of the form window=14,mult=2.1,atrs=11");
    let (mut window, mut mult, mut atrs) = (None, None, None);
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        match name.trim() {
            "window" => window = value.trim().parse().ok(),
            "mult" => mult = value.trim().parse().ok(),
            "atrs" => atrs = value.trim().parse().ok(),
            _ => return Err(wrong()),
        }
    }
    match (window, mult, atrs) {
        (Some(window), Some(mult), Some(atrs)) => Ok(RawParams { window, mult, atrs }),
        _ => Err(wrong()),
    }
}

impl SeriesArgs {
    fn request(&self) -> Result<RawRequest, &'static str> {
        let timeframe =
            self.timeframe.clone().ok_or("give the candles' length with --timeframe")?;
        let params = self.params.ok_or("give --params window=14,mult=2.1,atrs=11")?;
        Ok(RawRequest {
            name: None,
            candles: self.candles.clone(),
            stage: self.stage.clone(),
            timeframe,
            params,
            portfolio: self.portfolio.clone().map(Value::String),
            align: self.align,
            fee: None,
            wallet: None,
            stake: None,
            max_open_trades: None,
            startup: self.startup,
            timerange: self.timerange.clone(),
            stoploss: None,
            roi: None,
            trailing_stop: None,
            trailing_stop_positive: None,
            trailing_stop_positive_offset: None,
            trailing_only_offset_is_reached: None,
        })
    }
}

impl BandsArgs {
    pub(crate) fn request(&self) -> Result<RawRequest, &'static str> {
        // Without a range there is nothing to load before it.
        let startup = self.series.startup.or_else(|| self.series.timerange.is_none().then_some(0));
        Ok(RawRequest { startup, ..self.series.request()? })
    }
}

impl BacktestArgs {
    pub(crate) fn request(&self) -> Result<RawRequest, &'static str> {
        Ok(RawRequest {
            fee: self.fee,
            wallet: self.wallet,
            stake: self.stake.clone().map(Value::String),
            max_open_trades: self.max_open_trades,
            stoploss: self.stoploss,
            roi: self.roi.clone().map(Value::String),
            trailing_stop: Some(self.trailing_stop),
            trailing_stop_positive: self.trailing_stop_positive,
            trailing_stop_positive_offset: self.trailing_stop_positive_offset,
            trailing_only_offset_is_reached: Some(self.trailing_only_offset_is_reached),
            ..self.series.request()?
        })
    }
}
