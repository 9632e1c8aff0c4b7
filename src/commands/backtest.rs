//! `keel backtest`: the whole portfolio over recorded candles.

use crate::backtesting::{History, HistoryArgs};
use crate::exit::{Code, Failure};
use crate::journal::{Durability, Journal, Mode, NewJournal};
use crate::output;
use crate::recorded;
use crate::simulation::settings_fingerprint;
use keel_backtest::engine;
use keel_backtest::run::Run;
use keel_backtest::statistics::Statistics;
use keel_core::ports::StoreError;
use keel_report::recorder::Recorder;
use keel_report::story::Story;
use rust_decimal::Decimal;
use std::path::{Path, PathBuf};

/// Cycles that become durable together in the journal of a backtest.
const GROUP_CYCLES: u32 = 2_000;

/// Runs the daemon's own cycle over recorded candles, with a paper account, and shows what would have
/// happened beside what the same money would have done otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel backtest -c portfolio/configs/replay.example.json --data data --timerange 20210101-20240831
  keel backtest -c my.json --data data --fee 0.002 --capital 5000 --deposit 2023-01-01=500
  keel backtest -c my.json --data data --export backtest-output

Nothing is written without --export, --report or --journal.")]
pub struct Args {
    #[command(flatten)]
    history: HistoryArgs,
    /// Write run.json, equity.csv and trades.csv into this directory.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    /// Write the journal that `keel trade --replay` would write; the file must not exist.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Write a report into this directory: one HTML file, a picture, CSV and Parquet tables.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Print statistics, benchmarks and notes as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When configuration or data cannot be used, or a file cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    if let Some(path) = args.journal.as_ref().filter(|path| path.exists()) {
        return Err(Failure::new(
            Code::BadInput,
            format!("--journal {}: the file exists; expected a new one", path.display()),
        ));
    }
    let history = args.history.load()?;
    let run = backtest(&history, args)?;
    if let Some(directory) = &args.export {
        export(&run, directory)?;
    }
    if args.json {
        output::json(&summary(&run));
    } else {
        print(&run);
        if let Some(directory) = &args.export {
            output::line(format!("\nFiles are in {}/.", directory.display()));
        }
        if let Some(directory) = &args.report {
            output::line(format!("\nThe report is {}.", directory.join("report.html").display()));
        }
    }
    Ok(())
}

fn backtest(history: &History, args: &Args) -> Result<Run, Failure> {
    let title = args
        .history
        .config
        .config
        .file_stem()
        .map_or_else(|| "portfolio".to_owned(), |name| name.to_string_lossy().into_owned());
    let scenario = history.scenario(title);
    let total = history.moments.len();
    let progress = output::Progress::new("cycles", total);
    let mut step = |done| progress.at(done);
    let failed = |error: StoreError| Failure::from_error(Code::CannotWrite, &error);
    let mut journal = match &args.journal {
        None => None,
        Some(path) => {
            let new = NewJournal {
                mode: Mode::Replay(format!(
                    "{} from {} with settings {}",
                    history.recording.fingerprint,
                    history.from,
                    settings_fingerprint(&history.config)
                )),
                deployment: scenario.deployment.clone(),
            };
            let durability = Durability::Groups { cycles: GROUP_CYCLES };
            Some(Journal::open(path, &new, durability)?.0)
        }
    };
    let run = if args.report.is_none() && journal.is_none() {
        engine::run_with_progress(&scenario, &mut step).map_err(failed)?
    } else {
        let story = Story::new(scenario.title.clone(), "backtest", scenario.policy);
        let mut recorder = Recorder::new(story, journal.as_mut());
        let (run, state, account) =
            engine::run_into(&scenario, &mut recorder, &mut step).map_err(failed)?;
        let mut story = recorder.story;
        if let Some(journal) = &mut journal {
            journal.flush(&state, account).map_err(failed)?;
        }
        if let Some(directory) = &args.report {
            recorded::complete(&mut story, &history.config, &history.recording.tape, &run);
            keel_report::write(directory, &story)
                .map_err(|error| Failure::from_error(Code::CannotWrite, &error))?;
        }
        run
    };
    progress.end();
    Ok(run)
}

fn fraction(value: f64) -> String {
    format!("{:+.2} %", value * 100.0)
}

fn plain(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

fn money(value: f64) -> String {
    Decimal::try_from(value)
        .map_or_else(|_| "unknown".to_owned(), |value| output::decimal(value, 2))
}

fn row(name: &str, statistics: &Statistics, fees: f64) -> Vec<String> {
    vec![
        name.to_owned(),
        money(statistics.end_value),
        fraction(statistics.total_return),
        statistics.cagr.map_or_else(|| "-".to_owned(), fraction),
        statistics.volatility.map_or_else(|| "-".to_owned(), |v| format!("{:.1} %", v * 100.0)),
        plain(statistics.sharpe),
        plain(statistics.sortino),
        plain(statistics.calmar),
        format!("{:.2} %", statistics.max_drawdown * 100.0),
        format!("{} d", statistics.longest_drawdown_days),
        money(fees),
    ]
}

const HEADER: [&str; 11] = [
    "",
    "end value",
    "return",
    "CAGR",
    "volatility",
    "Sharpe",
    "Sortino",
    "Calmar",
    "max drawdown",
    "longest",
    "fees",
];

fn print(run: &Run) {
    let (Some(first), Some(last)) = (run.moments.first(), run.moments.last()) else {
        output::line("No cycle was run.");
        return;
    };
    output::line(format!(
        "{}: {} to {} ({} days, {} cycles), {} {} at the start, after fees\n",
        run.title,
        &first.to_string()[..10],
        &last.to_string()[..10],
        run.statistics.days,
        run.moments.len(),
        output::decimal(run.capital.get(), 2),
        run.stablecoin
    ));
    let own = &run.statistics;
    let mut rows = vec![row("Keel", own, own.activity.fees)];
    rows.extend(run.benchmarks.iter().map(|b| row(&b.name, &b.statistics, b.fees)));
    output::line(output::table(&HEADER, 1, rows));
    output::line(format!("\n{}", activity(run)));
    for benchmark in &run.benchmarks {
        output::line(format!("{:<13} {}", format!("{}:", benchmark.name), benchmark.doc));
    }
    if !run.data_notes.is_empty() {
        output::line("\nAbout the data:");
        for note in &run.data_notes {
            output::line(format!("- {note}"));
        }
    }
    output::line("\nHow far to trust it:");
    for sentence in honesty(run) {
        output::line(format!("- {sentence}"));
    }
    output::line(format!("\nSettings {}, data {}.", run.config_fingerprint, run.data_fingerprint));
}

fn activity(run: &Run) -> String {
    let own = &run.statistics;
    let did = &own.activity;
    let percent = |value: Option<f64>| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", value * 100.0))
    };
    let flows: f64 = run.flows.iter().map(|flow| flow.amount).sum();
    let mut lines = vec![
        format!(
            "{} trades, {} orders refused or filled in part; traded {} ({:.1} times the portfolio a year)",
            did.trades,
            run.unfilled.len(),
            money(did.traded),
            did.turnover_per_year
        ),
        format!("fees {}, spread and price impact {}", money(did.fees), money(did.slippage)),
        format!(
            "in the market {:.1} % of the time, {:.1} % of the value on average",
            did.time_in_market * 100.0,
            did.exposure * 100.0
        ),
        format!(
            "days with a gain {}, profit factor {}, mean day {}",
            percent(own.win_rate),
            plain(own.profit_factor),
            own.expectancy.map_or_else(|| "-".to_owned(), |day| format!("{:+.3} %", day * 100.0))
        ),
        format!(
            "sells with a gain {} of {}, profit factor {}, mean result {} {}",
            percent(did.closed.win_rate),
            did.closed.count,
            plain(did.closed.profit_factor),
            plain(did.closed.expectancy),
            run.stablecoin
        ),
    ];
    if !run.flows.is_empty() {
        lines.push(format!(
            "{} deposits and withdrawals, {} together; returns are time-weighted without them",
            run.flows.len(),
            money(flows)
        ));
    }
    lines.join("\n") + "\n"
}

/// What usually flatters a backtest, and how this one stands to it.
#[must_use]
pub fn honesty(run: &Run) -> Vec<String> {
    let fee = run.costs.fee_bps.normalize();
    vec![
        format!(
            "every order is a market order at the close of the last hour, {} bps of half-spread and {} bps per percent of that hour's volume worse, fee {fee} bps, at most {} % of the volume",
            run.costs.half_spread_bps.normalize(),
            run.costs.slippage_bps_per_percent.normalize(),
            (run.costs.max_volume_share * Decimal::ONE_HUNDRED).normalize()
        ),
        "decisions see closed candles only, and the market caps that were published by then: `keel lookahead` proves it".to_owned(),
        "the list of assets was chosen later than the data was made: assets that failed before are missing, in the benchmarks too".to_owned(),
        "the parameters of the strategies may have been searched on the same years; `keel forward-test` applies them to years they have not seen".to_owned(),
        "delays, outages of exchanges, taxes and transfers between exchanges are not modelled".to_owned(),
    ]
}

fn summary(run: &Run) -> serde_json::Value {
    serde_json::json!({
        "title": run.title,
        "config_fingerprint": run.config_fingerprint,
        "data_fingerprint": run.data_fingerprint,
        "stablecoin": run.stablecoin,
        "capital": run.capital,
        "costs": run.costs,
        "from": run.moments.first().map(ToString::to_string),
        "to": run.moments.last().map(ToString::to_string),
        "cycles": run.moments.len(),
        "flows": run.flows,
        "statistics": run.statistics,
        "benchmarks": run.benchmarks.iter().map(|benchmark| serde_json::json!({
            "name": benchmark.name,
            "doc": benchmark.doc,
            "fees": benchmark.fees,
            "statistics": benchmark.statistics,
        })).collect::<Vec<_>>(),
        "unfilled": run.unfilled.len(),
        "reasons": run.reasons,
        "data_notes": run.data_notes,
        "honesty": honesty(run),
    })
}

fn export(run: &Run, directory: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::new(
            Code::CannotWrite,
            format!("{} could not be written ({error})", path.display()),
        )
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let write = |name: &str, bytes: Vec<u8>| {
        let path = directory.join(name);
        keel_files::write_atomic(&path, &bytes).map_err(|error| failed(&path, &error))
    };
    let json = serde_json::to_vec(run).map_err(|error| failed(directory, &error))?;
    write("run.json", json)?;
    write("equity.csv", equity_csv(run).map_err(|error| failed(directory, &error))?)?;
    write("trades.csv", trades_csv(run).map_err(|error| failed(directory, &error))?)
}

fn equity_csv(run: &Run) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut header = vec!["time".to_owned(), "equity".to_owned(), "stable_share".to_owned()];
    header.extend(run.benchmarks.iter().map(|benchmark| benchmark.name.clone()));
    out.write_record(&header)?;
    for (row, at) in run.moments.iter().enumerate() {
        let mut record =
            vec![at.to_string(), run.equity[row].to_string(), run.stable_share[row].to_string()];
        record.extend(run.benchmarks.iter().map(|benchmark| benchmark.equity[row].to_string()));
        out.write_record(&record)?;
    }
    out.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

fn trades_csv(run: &Run) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "time",
        "cycle",
        "venue",
        "symbol",
        "side",
        "kind",
        "amount",
        "wanted",
        "price",
        "reference_price",
        "value",
        "cost",
        "fee_asset",
        "fee_amount",
        "fee_value",
        "slippage_value",
        "outcome",
        "trigger",
        "why",
        "why_quote",
    ])?;
    for trade in &run.trades {
        out.write_record([
            trade.at.to_string(),
            trade.cycle.to_string(),
            trade.venue.to_string(),
            trade.symbol.to_string(),
            trade.side.to_string(),
            trade.kind.name().to_owned(),
            trade.amount.to_string(),
            trade.wanted.to_string(),
            trade.price.to_string(),
            trade.reference_price.to_string(),
            trade.value.to_string(),
            trade.cost.to_string(),
            trade.fee_asset.to_string(),
            trade.fee_amount.to_string(),
            trade.fee_value.to_string(),
            trade.slippage_value.to_string(),
            trade.outcome.clone(),
            trade.trigger.clone(),
            trade.why.name().to_owned(),
            trade.why_quote.map_or_else(String::new, |why| why.name().to_owned()),
        ])?;
    }
    out.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}
