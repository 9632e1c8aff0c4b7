//! `keel sweep`: settings of the whole portfolio over recorded candles.

use crate::backtesting::HistoryArgs;
use crate::exit::{Code, Failure};
use crate::output;
use hyperopt::honesty::{Measured, luck};
use hyperopt::statistics::Moments;
use keel_backtest::grid::{self, Axis, Point};
use keel_backtest::sweep::{Daily, Limit, Trial, sweep};
use serde_json::json;
use std::path::PathBuf;

/// Rows of the table when nothing else is said.
const ROWS: usize = 20;
/// Points that one sweep may have.
const POINTS_MAX: usize = 1_000_000;

/// Runs the portfolio once for each point of a grid over settings of the whole portfolio, and shows
/// the points that none beats in return, drawdown and turnover.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel sweep -c my.json --data data --timerange 20210101-20221231 \\
    --grid rebalance_threshold_percentage=0.01,0.05,0.1 --grid max_alt_coin_ratio=0.2..1:5 \\
    --limit 'max_drawdown<=0.35'
  keel sweep -c my.json --data data --grid min_order_value_usd=15..500:50 \\
    --grid trend_interval=1h,4h,1d --random 40 --seed 7 --csv sweep.csv

Settings: rebalance_threshold_percentage, max_alt_coin_ratio, min_order_value_usd,
signal_confirmation_cycles, allocation_policy, position_interval, trend_interval.")]
pub struct Args {
    #[command(flatten)]
    history: HistoryArgs,
    /// Values of a setting: KEY=VALUE,VALUE or KEY=FROM..TO:COUNT. Each --grid is an axis.
    #[arg(long, value_name = "KEY=VALUES", required = true)]
    grid: Vec<String>,
    /// Try this many points drawn from the grid instead of all.
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// Which points are drawn; the same seed gives the same points.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// A bound that a point must keep, such as 'max_drawdown<=0.35'. May be repeated.
    #[arg(long, value_name = "LIMIT")]
    limit: Vec<Limit>,
    /// Show every point, not only those that none beats.
    #[arg(long)]
    all: bool,
    /// Write every point into this CSV file.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Print every point as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// A grid, configuration or data that cannot be used, or a file that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let bad = |message: String| Failure::new(Code::BadInput, message);
    let config = args.history.config.load()?;
    let axes: Vec<Axis> = args
        .grid
        .iter()
        .map(|text| Axis::parse(text, &config.policy))
        .collect::<Result<_, _>>()
        .map_err(|error| bad(format!("--grid: {error}")))?;
    let mut keys: Vec<&str> = axes.iter().map(|axis| axis.setting.key).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(bad(format!("--grid: {} is given twice; name each key once", twice[0])));
    }
    let asked = args.random.unwrap_or_else(|| grid::size(&axes));
    if asked == 0 || asked.min(grid::size(&axes)) > POINTS_MAX {
        return Err(bad(format!(
            "{asked} points are asked for; expected 1 to {POINTS_MAX}: use --random"
        )));
    }
    let points: Vec<Point> = match args.random {
        Some(count) => grid::drawn(&axes, count, args.seed),
        None => grid::points(&axes),
    };
    let history = args.history.load_with(&grid::timeframes(&axes))?;
    let scenario = history.scenario("sweep".to_owned());
    let progress = output::Progress::new("settings", points.len());
    let range = (history.from, history.to);
    let trials = sweep(&scenario, range, &axes, &points, &args.limit, &|| progress.one_more())
        .map_err(|error| Failure::from_error(Code::Failed, &error))?;
    progress.end();
    if let Some(path) = &args.csv {
        let bytes =
            csv(&axes, &trials).map_err(|error| Failure::from_error(Code::Failed, &error))?;
        keel_files::write_atomic(path, &bytes).map_err(|error| {
            Failure::new(
                Code::CannotWrite,
                format!("{} could not be written ({error})", path.display()),
            )
        })?;
    }
    let verdict = Verdict::of(&trials);
    if args.json {
        let keys: Vec<&str> = axes.iter().map(|axis| axis.setting.key).collect();
        output::json(&json!({
            "keys": keys,
            "grid_points": grid::size(&axes),
            "trials": trials,
            "best_sharpe": verdict.map(|verdict| verdict.json(&trials)),
            "data_notes": history.notes,
        }));
    } else {
        print(args, &axes, &trials, verdict);
    }
    Ok(())
}

/// The best Sharpe ratio, and how much of it the number of trials explains.
#[derive(Clone, Copy)]
struct Verdict {
    best: usize,
    lucky: f64,
    deflated: f64,
}

fn measured(daily: &Daily) -> Measured {
    let Daily { count, sharpe, skewness, kurtosis } = *daily;
    Measured { sharpe, count, skewness, kurtosis }
}

impl Verdict {
    fn of(trials: &[Trial]) -> Option<Self> {
        let best = (0..trials.len())
            .filter(|i| trials[*i].allowed)
            .max_by(|a, b| trials[*a].sharpe.total_cmp(&trials[*b].sharpe).then(b.cmp(a)))?;
        let sharpes: Vec<f64> = trials.iter().map(|trial| trial.daily.sharpe).collect();
        let variance = Moments::of(&sharpes).deviation.powi(2);
        #[expect(clippy::cast_precision_loss, reason = "at most a million points")]
        let count = trials.len() as f64;
        let year = keel_backtest::statistics::DAYS_PER_YEAR.sqrt();
        Some(Self {
            best,
            lucky: luck(count, variance) * year,
            deflated: measured(&trials[best].daily).deflated(count, variance),
        })
    }

    fn json(self, trials: &[Trial]) -> serde_json::Value {
        json!({
            "point": trials[self.best].point,
            "sharpe": trials[self.best].sharpe,
            "tried": trials.len(),
            "expected_by_luck": self.lucky,
            "deflated_probability": self.deflated,
        })
    }
}

fn print(args: &Args, axes: &[Axis], trials: &[Trial], verdict: Option<Verdict>) {
    let allowed = trials.iter().filter(|trial| trial.allowed).count();
    let front = trials.iter().filter(|trial| trial.on_front).count();
    let limits = if args.limit.is_empty() {
        String::new()
    } else {
        format!(", {allowed} within the limits")
    };
    output::line(format!(
        "{} of {} points tried{limits}; {front} of them are beaten by none in return, drawdown and turnover\n",
        trials.len(),
        grid::size(axes)
    ));
    let mut shown: Vec<&Trial> = trials.iter().filter(|trial| args.all || trial.on_front).collect();
    shown.sort_by(|a, b| b.total_return.total_cmp(&a.total_return));
    let hidden = shown.len().saturating_sub(if args.all { usize::MAX } else { ROWS });
    shown.truncate(if args.all { usize::MAX } else { ROWS });
    let mut header: Vec<&str> = axes.iter().map(|axis| axis.setting.key).collect();
    header.extend(["return", "max drawdown", "turnover", "Sharpe", "fees", "trades"]);
    let rows = shown
        .into_iter()
        .map(|trial| {
            let mut row = trial.point.clone();
            row.extend([
                format!("{:+.2} %", trial.total_return * 100.0),
                format!("{:.2} %", trial.max_drawdown * 100.0),
                format!("{:.1}", trial.turnover),
                format!("{:.2}", trial.sharpe),
                format!("{:.0}", trial.fees),
                trial.trades.to_string(),
            ]);
            row
        })
        .collect();
    output::line(output::table(&header, axes.len(), rows));
    if hidden > 0 {
        output::line(format!("... and {hidden} more; --csv or --json has them all"));
    }
    match verdict {
        None => output::line("\nNo point keeps the limits."),
        Some(verdict) => output::line(format!(
            "\nThe best Sharpe ratio is {:.2}. {} points were tried; the best of as many without any skill would show {:.2}.\nThe probability that its true ratio is above that is {:.1} % ({}).",
            trials[verdict.best].sharpe,
            trials.len(),
            verdict.lucky,
            verdict.deflated * 100.0,
            if verdict.deflated >= hyperopt::robustness::DSR_MIN {
                "accepted from 95 % on"
            } else {
                "95 % are needed: do not trust it"
            }
        )),
    }
}

fn csv(axes: &[Axis], trials: &[Trial]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<&str> = axes.iter().map(|axis| axis.setting.key).collect();
    header.extend([
        "end_value",
        "total_return",
        "cagr",
        "volatility",
        "sharpe",
        "sortino",
        "calmar",
        "max_drawdown",
        "turnover",
        "fees",
        "trades",
        "exposure",
        "allowed",
        "on_front",
    ]);
    out.write_record(&header)?;
    for trial in trials {
        let mut row = trial.point.clone();
        let figures = [
            trial.end_value,
            trial.total_return,
            trial.cagr,
            trial.volatility,
            trial.sharpe,
            trial.sortino,
            trial.calmar,
            trial.max_drawdown,
            trial.turnover,
            trial.fees,
        ];
        row.extend(figures.iter().map(f64::to_string));
        row.push(trial.trades.to_string());
        row.push(trial.exposure.to_string());
        row.push(trial.allowed.to_string());
        row.push(trial.on_front.to_string());
        out.write_record(&row)?;
    }
    out.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}
