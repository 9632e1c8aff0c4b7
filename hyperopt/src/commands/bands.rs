//! `hyperopt bands`.

use crate::cli::BandsArgs;
use crate::failure::Failure;
use crate::output::say;
use hyperopt::backtest::series;
use hyperopt::bands::bands_csv;
use hyperopt::request::CandleCache;
use std::path::Path;

pub(crate) fn run(arguments: &BandsArgs) -> Result<(), Failure> {
    let raw = arguments.request().map_err(Failure::input)?;
    let request = raw.resolve(Path::new(""), &CandleCache::default()).map_err(Failure::input)?;
    let series = series(&request.source, request.timeframe, request.range, request.rules.startup)
        .map_err(Failure::input)?;
    say(bands_csv(&series, request.params).trim_end())
}
