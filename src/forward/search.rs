//! The search of one window: the exact backtests of `hyperopt`, on candles that had closed by then.

use super::Window;
use crate::backtesting::History;
use hyperopt::backtest::{RawMember, Source, series};
use hyperopt::dominance::Align;
use hyperopt::losses::Loss;
use hyperopt::outcome::Period;
use hyperopt::rules::Rules;
use hyperopt::samplers::Sampler;
use hyperopt::space::Space;
use hyperopt::study::{Study, search};
use hyperopt::timerange::TimeRange;
use keel_core::asset::Symbol;
use keel_core::candle::Candle;
use keel_core::indicator::KeltnerParams;
use keel_core::policy::AssetPolicy;
use keel_core::strategy::{Params, Stage};
use keel_core::time::{Timeframe, Timestamp};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How the parameters are searched.
#[derive(Debug)]
pub struct Search {
    /// What is made small.
    pub loss: &'static Loss,
    /// Which points are visited.
    pub sampler: &'static Sampler,
    /// How many, where the sampler does not visit all.
    pub epochs: usize,
    /// Seed of the sampler.
    pub seed: u64,
    /// Points of the position and of the trend stage.
    pub spaces: [Space; 2],
    /// The rules of the single-asset backtests.
    pub rules: Rules,
}

/// Why an asset keeps the parameters it had.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is nothing to search on.
    #[error("{0}")]
    NoData(String),
    /// The series cannot be made.
    #[error(transparent)]
    Series(#[from] hyperopt::backtest::BacktestError),
    /// The search found nothing.
    #[error(transparent)]
    Study(#[from] hyperopt::study::StudyError),
}

/// What the search of a window found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Position and trend of each asset, in the order of the policy.
    pub(super) params: Vec<[Params; 2]>,
    /// Settings that were tried.
    pub(super) tried: u64,
    /// Assets that kept what they had.
    pub(super) notes: Vec<String>,
}

impl Search {
    /// The best parameters of every asset before `window`'s split. An asset that cannot be searched
    /// keeps the configured ones, and a note says why.
    pub(super) fn best(&self, history: &History, window: &Window) -> Found {
        let mut found = Found::default();
        for asset in &history.config.policy.assets {
            let mut params = [asset.position_params.clone(), asset.trend_params.clone()];
            for (stage, slot) in [Stage::Position, Stage::Trend].into_iter().zip(&mut params) {
                match self.stage(history, window, asset, stage) {
                    Ok((best, tried)) => {
                        *slot = best;
                        found.tried += tried;
                    }
                    Err(error) => found.notes.push(format!(
                        "{} {} keeps its parameters in the window from {}: {error}",
                        asset.ticker,
                        stage.name(),
                        &window.split.to_string()[..10]
                    )),
                }
            }
            found.params.push(params);
        }
        found
    }

    fn stage(
        &self,
        history: &History,
        window: &Window,
        asset: &AssetPolicy,
        stage: Stage,
    ) -> Result<(Params, u64), SearchError> {
        let (timeframe, space) = match stage {
            Stage::Position => (asset.position_interval, &self.spaces[0]),
            Stage::Trend => (asset.trend_interval, &self.spaces[1]),
        };
        let source = match stage {
            Stage::Position => Source::Position(candles(history, asset, timeframe, window.split)?),
            Stage::Trend => members(history, asset, timeframe, window.split)?,
        };
        let range = TimeRange {
            start_ms: Some(window.train_from.ms()),
            // The last bar that has closed when the test begins.
            stop_ms: Some(window.split.ms() - timeframe.ms()),
        };
        let series = series(&source, timeframe, range, self.rules.startup)?;
        let period = Period::of(&series.traded, self.rules.startup, self.rules.wallet)
            .ok_or_else(|| SearchError::NoData("no candle is left after the startup".to_owned()))?;
        let study = Study {
            series: &series,
            rules: &self.rules,
            space,
            period,
            loss: self.loss,
            sampler: self.sampler,
            epochs: self.epochs,
            seed: self.seed,
            partial: None,
        };
        let found = search(&study, &AtomicBool::new(false), &|_| {})?;
        let KeltnerParams { window, atr, mult } = space.params(found.point(found.best));
        let value = |name: &str, default: f64| match name {
            "kc_window" => f64::from(window),
            "kc_atr" => f64::from(atr),
            "kc_mult" => mult,
            _ => default,
        };
        let values =
            asset.strategy.params.iter().map(|spec| value(spec.name, spec.default)).collect();
        Ok((Params::new(values), found.outcomes.len() as u64))
    }
}

/// The bars of an asset that had closed by `by`.
fn candles(
    history: &History,
    asset: &AssetPolicy,
    timeframe: Timeframe,
    by: Timestamp,
) -> Result<Arc<Vec<Candle>>, SearchError> {
    let stablecoin = history.config.policy.stablecoin.clone();
    let symbol = Symbol::new(asset.ticker.clone(), stablecoin);
    let series = history
        .recording
        .tape
        .venues
        .get(&asset.venue)
        .and_then(|venue| venue.candles.get(&symbol)?.get(&timeframe));
    let closed: Vec<Candle> = series
        .into_iter()
        .flat_map(|series| series.iter())
        .filter(|candle| candle.open_time_ms + timeframe.ms() <= by.ms())
        .collect();
    if closed.is_empty() {
        let why = format!("no {timeframe} candles of {} by then", asset.ticker);
        return Err(SearchError::NoData(why));
    }
    Ok(Arc::new(closed))
}

/// Every asset with candles and a cap by then; the others were not listed yet.
fn members(
    history: &History,
    target: &AssetPolicy,
    timeframe: Timeframe,
    by: Timestamp,
) -> Result<Source, SearchError> {
    let caps = &history.recording.tape.caps;
    let members: Vec<RawMember> = history
        .config
        .policy
        .assets
        .iter()
        .filter_map(|asset| {
            let points = caps.get(&asset.ticker)?;
            let known = points.partition_point(|point| point.as_of <= by).checked_sub(1)?;
            Some(RawMember {
                ticker: asset.ticker.to_string(),
                market_cap: points[known].cap_usd,
                candles: candles(history, asset, timeframe, by).ok()?,
            })
        })
        .collect();
    Ok(Source::Trend { target: target.ticker.to_string(), members, align: Align::Common })
}
