//! `hyperopt backtest`, for one request or a file of them.

use crate::cli::BacktestArgs;
use crate::failure::{Failure, chain};
use crate::output::say;
use hyperopt::backtest::{backtest, series};
use hyperopt::reply::{Reply, Summary};
use hyperopt::request::{CandleCache, RawRequest};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;

type AnyError = Box<dyn Error + Send + Sync>;

pub(crate) fn run(arguments: &BacktestArgs) -> Result<(), Failure> {
    if let Some(path) = &arguments.cases {
        return cases(path);
    }
    let raw = arguments.request().map_err(Failure::input)?;
    let folder = Path::new("");
    let cache = CandleCache::default();
    if arguments.json {
        let reply = reply(&raw, folder, &cache).map_err(Failure::Input)?;
        return say(&serde_json::to_string_pretty(&reply).map_err(Failure::other)?);
    }
    say(&text(&raw, folder, &cache).map_err(Failure::Input)?)
}

fn reply(raw: &RawRequest, folder: &Path, cache: &CandleCache) -> Result<Reply, AnyError> {
    let request = raw.resolve(folder, cache)?;
    let startup = request.rules.startup;
    let series = series(&request.source, request.timeframe, request.range, startup)?;
    let result = backtest(&series, request.params, &request.rules)?;
    Ok(Reply::of(&result, &series, request.params, startup))
}

fn text(raw: &RawRequest, folder: &Path, cache: &CandleCache) -> Result<String, AnyError> {
    let request = raw.resolve(folder, cache)?;
    let startup = request.rules.startup;
    let series = series(&request.source, request.timeframe, request.range, startup)?;
    let result = backtest(&series, request.params, &request.rules)?;
    let summary = Summary::of(&result, &series, startup);
    let parts = result.sortino();
    let moment = keel_core::time::Timestamp::from_ms;
    Ok(format!(
        "{} to {}, {} candles\n\
         {} trades: {} won, {} drawn, {} lost\n\
         profit {:.2} ({:.2} %), market {:.2} %\n\
         deepest drop {:.2} ({:.2} %)\n\
         sortino {:.4}, trade penalty {:.4}, drawdown penalty {:.4}\n\
         loss {:.6}, as published {:.6}",
        moment(result.period.first_ms),
        moment(result.period.last_ms),
        series.len(),
        summary.trade_count,
        summary.wins,
        summary.draws,
        summary.losses,
        summary.profit_total_abs,
        summary.profit_total * 100.0,
        summary.market_change * 100.0,
        summary.max_drawdown_abs,
        summary.drawdown_at_max_abs * 100.0,
        parts.sortino,
        parts.trade_penalty,
        parts.drawdown_penalty,
        parts.loss,
        result.sortino_published().loss,
    ))
}

/// A request that fails answers with `{"error": ...}` in its place; the others are run.
fn cases(path: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("could not read {}: {error}", path.display())))?;
    let requests: Vec<Value> = serde_json::from_str(&text).map_err(|error| {
        Failure::input(format!(
            "{} is not an array of requests: {error}; expected [{{\"candles\": ..., \"timeframe\": ..., \"params\": ...}}]",
            path.display()
        ))
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let cache = CandleCache::default();
    let replies: Vec<Result<Reply, AnyError>> = requests
        .into_par_iter()
        .map(|value| {
            let raw: RawRequest = serde_json::from_value(value)?;
            reply(&raw, folder, &cache)
        })
        .collect();
    let failed = replies.iter().filter(|reply| reply.is_err()).count();
    let values: Vec<Value> = replies
        .into_iter()
        .map(|reply| match reply {
            Ok(reply) => serde_json::to_value(reply).map_err(Failure::other),
            Err(error) => Ok(json!({ "error": chain(error.as_ref()) })),
        })
        .collect::<Result<_, _>>()?;
    say(&serde_json::to_string(&values).map_err(Failure::other)?)?;
    if failed > 0 {
        return Err(Failure::input(format!(
            "{failed} of {} requests failed; each says why in its place",
            values.len()
        )));
    }
    Ok(())
}
