//! `keel forward-test`: parameters searched on the period before, applied to the period after.

use crate::backtesting::{History, HistoryArgs};
use crate::cli::ConfigArg;
use crate::exit::{Code, Failure};
use crate::forward::{self, Candidate, Parameters, Result as Tested, Search};
use crate::output;
use hyperopt::losses::{self, LOSSES};
use hyperopt::rules::Rules;
use hyperopt::samplers::{self, SAMPLERS};
use hyperopt::space::Space;
use keel_config::{IfMissing, StrategyFile, read_strategy};
use keel_core::strategy::{Params, Stage};
use keel_core::time::Timeframe;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Searches parameters on each period and runs the whole portfolio with them on the period after it,
/// which the search has not seen; ranks portfolios and parameter files by that.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel forward-test -c my.json --data data --timerange 20220101-20240831 --train 180d --test 30d
  keel forward-test -c a.json --also b.json --strategies tuned/ --data data --sampler tpe --epochs 300

Three sorts of candidates are ranked by what they earned out of sample: each configuration with
parameters searched anew before every window, with its own strategy files, and with those of each
--strategies directory. Each gets a report with its trade log in the output directory.")]
pub struct Args {
    #[command(flatten)]
    history: HistoryArgs,
    /// Further configurations to test beside the first. May be repeated.
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// Directories with strategy files to test as they are. May be repeated.
    #[arg(long, value_name = "DIR")]
    strategies: Vec<PathBuf>,
    /// Length of a search: 180d.
    #[arg(long, value_name = "DAYS", default_value = "180d", value_parser = days)]
    train: i64,
    /// Length of a test.
    #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = days)]
    test: i64,
    /// What the search makes small, as `hyperopt --help` lists them.
    #[arg(long, value_name = "NAME", default_value = LOSSES[0].name)]
    loss: String,
    /// Which points the search visits: grid visits all.
    #[arg(long, value_name = "NAME", default_value = SAMPLERS[0].name)]
    sampler: String,
    /// Points a sampler other than grid visits, for each asset, stage and window.
    #[arg(long, value_name = "N", default_value_t = 500)]
    epochs: usize,
    /// Seed of the sampler.
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Points of the position stage, such as window=5..60,mult=1.00..4.00:0.05,atrs=5..60:5.
    #[arg(long, value_name = "SPACE")]
    position_space: Option<String>,
    /// Points of the trend stage.
    #[arg(long, value_name = "SPACE")]
    trend_space: Option<String>,
    /// Where reports, trade logs and strategy files go.
    #[arg(long, value_name = "DIR", default_value = "forward-test")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// `30d` in milliseconds.
fn days(text: &str) -> Result<i64, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    match number.parse::<i64>() {
        Ok(days) if (1..=36_500).contains(&days) => Ok(days * Timeframe::D1.ms()),
        _ => Err(format!("`{text}` is not a number of days; expected such as 180d")),
    }
}

fn bad(message: impl Into<String>) -> Failure {
    Failure::new(Code::BadInput, message)
}

/// Runs the command.
///
/// # Errors
/// When configurations, data or options cannot be used, or files cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let histories = histories(args)?;
    let mut results: Vec<(Tested, PathBuf)> = Vec::new();
    for (name, history) in &histories {
        let windows = forward::windows(history.from, history.to, args.train, args.test);
        if windows.is_empty() {
            return Err(bad(format!(
                "{name}: {} to {} is too short for a search of {} and a test of {} days; use more data, or shorter ones with --train and --test",
                history.from,
                history.to,
                args.train / Timeframe::D1.ms(),
                args.test / Timeframe::D1.ms()
            )));
        }
        for candidate in candidates(args, name, history)? {
            output::remark(format!("{}: {} windows", candidate.name, windows.len()));
            let progress = output::Progress::new("windows", windows.len());
            let tested = forward::test(&candidate, &windows, &mut |done| progress.at(done))
                .map_err(|error| Failure::from_error(Code::Failed, &error))?;
            progress.end();
            let directory = args.out.join(&tested.name);
            write(&tested, history, &directory)?;
            results.push((tested, directory));
        }
    }
    // Of two that cannot be told apart the first one named stays first.
    results.sort_by(|(a, _), (b, _)| score(b).total_cmp(&score(a)));
    let rows: Vec<Vec<String>> =
        results.iter().enumerate().map(|(place, (tested, _))| row(place + 1, tested)).collect();
    keel_files::write_atomic(&args.out.join("ranking.csv"), ranking_csv(&rows)?.as_bytes())
        .map_err(|error| Failure::from_error(Code::CannotWrite, &error))?;
    if args.json {
        output::json(&json!(
            results.iter().map(|(tested, at)| to_json(tested, at)).collect::<Vec<_>>()
        ));
        return Ok(());
    }
    output::line(output::table(&HEADER, 2, rows));
    output::line(
        "\nRanked by the Sharpe ratio out of sample. `in sample` is what the same parameters earned on the\nperiods before the tests, where searched ones were found; `kept` is the share of its daily return that\nwas left. With few windows the order of close candidates is luck.",
    );
    output::line(format!(
        "\nReports, trade logs and strategy files are in {}/.",
        args.out.display()
    ));
    Ok(())
}

fn score(tested: &Tested) -> f64 {
    tested.outside.sharpe.filter(|sharpe| sharpe.is_finite()).unwrap_or(f64::NEG_INFINITY)
}

/// Each configuration with its data, under a name of its own.
fn histories(args: &Args) -> Result<Vec<(String, History)>, Failure> {
    let name_of = |path: &Path| {
        path.file_stem()
            .map_or_else(|| "portfolio".to_owned(), |s| s.to_string_lossy().into_owned())
    };
    let mut found = vec![(name_of(&args.history.config.config), args.history.load()?)];
    for path in &args.also {
        let other =
            HistoryArgs { config: ConfigArg { config: path.clone() }, ..args.history.clone() };
        let mut name = name_of(path);
        if found.iter().any(|(known, _)| *known == name) {
            name = format!("{name}-{}", found.len() + 1);
        }
        found.push((name, other.load()?));
    }
    Ok(found)
}

fn candidates<'a>(
    args: &Args,
    name: &str,
    history: &'a History,
) -> Result<Vec<Candidate<'a>>, Failure> {
    let policy = &history.config.policy;
    let mut found = vec![
        Candidate {
            name: format!("{name}-searched"),
            history,
            parameters: Parameters::Searched(Box::new(search(args, history)?)),
        },
        Candidate {
            name: format!("{name}-as-configured"),
            history,
            parameters: Parameters::Fixed(forward::as_configured(policy)),
        },
    ];
    for directory in &args.strategies {
        let label = directory
            .file_name()
            .map_or_else(|| "strategies".to_owned(), |name| name.to_string_lossy().into_owned());
        found.push(Candidate {
            name: format!("{name}-{label}"),
            history,
            parameters: Parameters::Fixed(from_files(history, directory)?),
        });
    }
    Ok(found)
}

fn search(args: &Args, history: &History) -> Result<Search, Failure> {
    let loss = losses::find(&args.loss).ok_or_else(|| {
        let names: Vec<&str> = LOSSES.iter().map(|loss| loss.name).collect();
        bad(format!("--loss {}: expected one of {}", args.loss, names.join(", ")))
    })?;
    let sampler = samplers::find(&args.sampler).ok_or_else(|| {
        let names: Vec<&str> = SAMPLERS.iter().map(|sampler| sampler.name).collect();
        bad(format!("--sampler {}: expected one of {}", args.sampler, names.join(", ")))
    })?;
    let space = |text: &Option<String>, stage| match text {
        None => Ok(Space::of(stage)),
        Some(text) => text.parse::<Space>().map_err(|error| bad(error.to_string())),
    };
    let fee = keel_core::amount::Qty::new(history.config.paper.fee_bps).to_f64() / 10_000.0;
    let rules = Rules { fee, ..Rules::default() };
    rules.check().map_err(|error| bad(error.to_string()))?;
    Ok(Search {
        loss,
        sampler,
        epochs: args.epochs,
        seed: args.seed,
        spaces: [
            space(&args.position_space, Stage::Position)?,
            space(&args.trend_space, Stage::Trend)?,
        ],
        rules,
    })
}

/// The parameters in a directory of strategy files; every asset must have one there.
fn from_files(history: &History, directory: &Path) -> Result<Vec<[Params; 2]>, Failure> {
    let mut found = Vec::new();
    for asset in &history.config.policy.assets {
        let known = history.config.strategy_files.iter().find(|file| file.ticker == asset.ticker);
        let name = known
            .and_then(|file| file.path.file_name())
            .map_or_else(|| format!("{}_strategy.json", asset.ticker).into(), ToOwned::to_owned);
        let path = directory.join(name);
        if !path.is_file() {
            return Err(bad(format!(
                "{} is missing; expected a strategy file of every asset in {}",
                path.display(),
                directory.display()
            )));
        }
        let file = StrategyFile {
            ticker: asset.ticker.clone(),
            path,
            strategy: asset.strategy,
            is_stablecoin: false,
            is_missing: false,
        };
        let read = read_strategy(&file, IfMissing::UseDefaults)?;
        found.push([read.position, read.trend]);
    }
    Ok(found)
}

/// The report with its trade log, and the strategy files of each window.
fn write(tested: &Tested, history: &History, directory: &Path) -> Result<(), Failure> {
    keel_report::write(directory, &tested.story)
        .map_err(|error| Failure::from_error(Code::CannotWrite, &error))?;
    for window in &tested.windows {
        let strategies = directory.join("strategies").join(&window.split[..10]);
        for asset in &history.config.policy.assets {
            let Some(params) = window.chosen.get(asset.ticker.as_str()) else { continue };
            let path = strategies.join(format!("{}_strategy.json", asset.ticker));
            std::fs::create_dir_all(&strategies)
                .and_then(|()| {
                    keel_config::write_strategy(&path, &forward::strategy_file(asset, params))
                })
                .map_err(|error| {
                    let text = format!("{} cannot be written ({error})", path.display());
                    Failure::new(Code::CannotWrite, text)
                })?;
        }
    }
    Ok(())
}

const HEADER: [&str; 12] = [
    "",
    "candidate",
    "windows",
    "return",
    "per year",
    "max drawdown",
    "Sharpe",
    "in sample",
    "day",
    "in sample",
    "kept",
    "orders",
];

fn row(place: usize, tested: &Tested) -> Vec<String> {
    let outside = &tested.outside;
    let ratio = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
    let percent = |value: f64| format!("{:+.2} %", value * 100.0);
    let day = |value: Option<f64>| {
        value.map_or_else(|| "-".to_owned(), |v| format!("{:+.3} %", v * 100.0))
    };
    vec![
        place.to_string(),
        tested.name.clone(),
        tested.windows.len().to_string(),
        percent(outside.total_return),
        outside.cagr.map_or_else(|| "-".to_owned(), percent),
        format!("{:.2} %", outside.max_drawdown * 100.0),
        ratio(outside.sharpe),
        ratio(tested.inside_sharpe),
        day(outside.expectancy),
        day(tested.inside_daily),
        tested.kept().map_or_else(|| "-".to_owned(), |kept| format!("{:.0} %", kept * 100.0)),
        tested.story.orders.len().to_string(),
    ]
}

fn ranking_csv(rows: &[Vec<String>]) -> Result<String, Failure> {
    let failed = |error: csv::Error| Failure::from_error(Code::CannotWrite, &error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "rank",
        "candidate",
        "windows",
        "return",
        "return_per_year",
        "max_drawdown",
        "sharpe",
        "sharpe_in_sample",
        "mean_day",
        "mean_day_in_sample",
        "kept",
        "orders",
    ];
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    let bytes =
        writer.into_inner().map_err(|error| Failure::from_error(Code::CannotWrite, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn to_json(tested: &Tested, directory: &Path) -> serde_json::Value {
    json!({
        "candidate": tested.name,
        "report": directory.join("report.html"),
        "out_of_sample": tested.outside,
        "in_sample_sharpe": tested.inside_sharpe,
        "in_sample_mean_day": tested.inside_daily,
        "kept": tested.kept(),
        "orders": tested.story.orders.len(),
        "windows": tested.windows,
    })
}
