//! Assets, their candles and capitalisations, from the configuration and the data directory.

use crate::cli::{SearchArgs, StageChoice};
use crate::failure::Failure;
use hyperopt::backtest::{RawMember, Series, Source, series};
use hyperopt::losses::{self, LOSSES, Loss};
use hyperopt::outcome::Period;
use hyperopt::rules::Rules;
use hyperopt::space::Space;
use hyperopt::timerange::TimeRange;
use keel_config::Config;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::policy::AssetPolicy;
use keel_core::strategy::Stage;
use keel_core::time::{Timeframe, Timestamp};
use keel_data::{CandleStore, MarketFiles};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) type AnyError = Box<dyn Error + Send + Sync>;

/// What all searches of a run share.
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) rules: Rules,
    pub(super) loss: &'static Loss,
    pub(super) stages: Vec<Stage>,
    pub(super) assets: Vec<AssetPolicy>,
    range: TimeRange,
    arguments: SearchArgs,
    store: CandleStore,
    spaces: [Space; 2],
    caps: Option<BTreeMap<String, f64>>,
}

/// A series to search and what it is measured over.
pub(super) struct Loaded {
    pub(super) series: Series,
    pub(super) period: Period,
    pub(super) timeframe: Timeframe,
}

impl Desk {
    pub(super) fn open(arguments: &SearchArgs) -> Result<Self, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let config = keel_config::load(&arguments.config, &environment).map_err(Failure::input)?;
        let loss = losses::find(&arguments.hyperopt_loss).ok_or_else(|| {
            let names: Vec<&str> = LOSSES.iter().map(|loss| loss.name).collect();
            let seen = &arguments.hyperopt_loss;
            Failure::input(format!("`{seen}` is not a loss; expected one of {}", names.join(", ")))
        })?;
        let rules = Rules {
            fee: arguments.fee,
            wallet: arguments.wallet,
            startup: arguments.startup,
            ..Rules::default()
        };
        rules.check().map_err(Failure::input)?;
        let range = match &arguments.timerange {
            None => TimeRange::default(),
            Some(text) => text.parse().map_err(Failure::input)?,
        };
        let space = |text: &Option<String>, stage| match text {
            None => Ok(Space::of(stage)),
            Some(text) => text.parse().map_err(Failure::input),
        };
        let spaces = [
            space(&arguments.position_space, Stage::Position)?,
            space(&arguments.trend_space, Stage::Trend)?,
        ];
        if !arguments.data.is_dir() {
            let path = arguments.data.display();
            return Err(Failure::input(format!(
                "{path} is not a directory; give the one that holds `ohlcv` with --data DIR"
            )));
        }
        if let Some(jobs) = arguments.jobs {
            if jobs == 0 {
                return Err(Failure::input("0 threads do nothing; give at least 1 with --jobs"));
            }
            rayon::ThreadPoolBuilder::new()
                .num_threads(jobs)
                .build_global()
                .map_err(Failure::other)?;
        }
        let caps = arguments.caps.as_ref().map(read_caps).transpose()?;
        let assets = chosen(&config, &arguments.assets)?;
        let stages = match arguments.stage {
            StageChoice::Position => vec![Stage::Position],
            StageChoice::Trend => vec![Stage::Trend],
            StageChoice::Both => vec![Stage::Position, Stage::Trend],
        };
        let store = CandleStore::at(&arguments.data);
        let arguments = arguments.clone();
        Ok(Self { config, rules, loss, stages, assets, range, arguments, store, spaces, caps })
    }

    pub(super) const fn space(&self, stage: Stage) -> &Space {
        match stage {
            Stage::Position => &self.spaces[0],
            Stage::Trend => &self.spaces[1],
        }
    }

    pub(super) const fn results(&self) -> &PathBuf {
        &self.arguments.results
    }

    pub(super) fn load(&self, asset: &AssetPolicy, stage: Stage) -> Result<Loaded, AnyError> {
        let timeframe = match stage {
            Stage::Position => asset.position_interval,
            Stage::Trend => asset.trend_interval,
        };
        let source = match stage {
            Stage::Position => Source::Position(self.candles(asset, timeframe)?.candles),
            Stage::Trend => self.portfolio(asset, timeframe)?,
        };
        let series = series(&source, timeframe, self.range, self.rules.startup)?;
        if !series.traded.volume.iter().any(|volume| *volume > 0.0) {
            return Err("no candle has volume, so no signal counts; use data with volume".into());
        }
        let period = Period::of(&series.traded, self.rules.startup, self.rules.wallet)
            .ok_or("no candle is left after the startup candles")?;
        Ok(Loaded { series, period, timeframe })
    }

    fn candles(&self, asset: &AssetPolicy, timeframe: Timeframe) -> Result<RawMember, AnyError> {
        let venue: VenueId = match &self.arguments.venue {
            Some(venue) => venue.parse()?,
            None => asset.venue.clone(),
        };
        let symbol =
            Symbol { base: asset.ticker.clone(), quote: self.config.policy.stablecoin.clone() };
        // The same choice as a replay's: a finer file, made coarser, when it reaches further.
        let series = match MarketFiles::new(&self.store, &venue, &symbol).longest(timeframe)? {
            Some(longest) => longest.series,
            None => self.store.load(&venue, &symbol, timeframe)?.series,
        };
        Ok(RawMember {
            ticker: asset.ticker.to_string(),
            market_cap: 0.0,
            candles: Arc::new(series.iter().collect()),
        })
    }

    /// Every tradable asset takes part in the dominance, chosen or not.
    fn portfolio(&self, target: &AssetPolicy, timeframe: Timeframe) -> Result<Source, AnyError> {
        let mut members = Vec::new();
        for asset in &self.config.policy.assets {
            let member = self.candles(asset, timeframe).map_err(|error| {
                format!(
                    "{} is part of the dominance, but {}",
                    asset.ticker,
                    crate::failure::chain(error.as_ref())
                )
            })?;
            members.push(member);
        }
        let end = members
            .iter()
            .filter_map(|member| member.candles.last())
            .map(|candle| candle.open_time_ms + timeframe.ms())
            .min()
            .ok_or("there is no candle at all")?;
        let end = self.range.stop_ms.map_or(end, |stop| end.min(stop + timeframe.ms()));
        for (member, asset) in members.iter_mut().zip(&self.config.policy.assets) {
            member.market_cap = self.cap(&asset.ticker, Timestamp::from_ms(end))?;
        }
        let target = target.ticker.to_string();
        Ok(Source::Trend { target, members, align: self.arguments.align })
    }

    fn cap(&self, ticker: &Ticker, end: Timestamp) -> Result<f64, AnyError> {
        if let Some(caps) = &self.caps {
            return caps.get(ticker.as_str()).copied().ok_or_else(|| {
                format!("the file of market caps has none for {ticker}; add \"{ticker}\": CAP")
                    .into()
            });
        }
        let path = keel_data::find_caps(&self.arguments.data, ticker)?;
        let caps = keel_data::read_caps(&path)?;
        caps.as_of(end).map(|point| point.cap_usd).ok_or_else(|| {
            format!(
                "{} has no market cap of {ticker} from before {end}; give one with --caps FILE",
                path.display()
            )
            .into()
        })
    }
}

fn read_caps(path: &PathBuf) -> Result<BTreeMap<String, f64>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        let path = path.display();
        Failure::input(format!(
            "could not read market caps from {path}: {error}; expected {{\"BTC\": 1e12, ...}}"
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    serde_json::from_str(&text).map_err(|error| wrong(&error))
}

fn chosen(config: &Config, names: &[String]) -> Result<Vec<AssetPolicy>, Failure> {
    let assets = &config.policy.assets;
    let known = |name: &String| assets.iter().any(|asset| asset.ticker.as_str() == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let held: Vec<&str> = assets.iter().map(|asset| asset.ticker.as_str()).collect();
        return Err(Failure::input(format!(
            "{unknown} is not a tradable asset of the configuration; it has {}",
            held.join(", ")
        )));
    }
    let is_chosen =
        |asset: &&AssetPolicy| names.is_empty() || names.iter().any(|n| n == asset.ticker.as_str());
    Ok(assets.iter().filter(is_chosen).cloned().collect())
}
