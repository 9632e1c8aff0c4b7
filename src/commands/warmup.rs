//! `keel warmup`: how many candles of history decisions depend on.

use crate::backtesting::HistoryArgs;
use crate::exit::{Code, Failure};
use crate::output;
use keel_backtest::engine::Scenario;
use keel_backtest::lookahead::spread;
use keel_backtest::warmup::{Row, Warmup, warmup};
use keel_core::time::Timestamp;

/// Moments that are asked when nothing else is said.
const MOMENTS: usize = 100;
/// Histories that are compared when nothing else is said, with the configuration's and its double.
const HISTORIES: [usize; 6] = [50, 100, 200, 300, 500, 750];
/// Candles a history may have.
const HISTORY_MAX: usize = 100_000;

/// Lets a fresh portfolio decide with shorter and longer histories of candles, and counts the
/// decisions that differ from those with the longest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  keel warmup -c my.json --data data --timerange 20220101- --histories 100,200,400,800,1600")]
pub struct Args {
    #[command(flatten)]
    history: HistoryArgs,
    /// Histories in candles; the longest is what the others are compared with.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    histories: Vec<usize>,
    /// How many moments of the range are asked, evenly spread.
    #[arg(long, value_name = "N", default_value_t = MOMENTS)]
    moments: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Configuration, data or histories that cannot be used.
pub fn run(args: &Args) -> Result<(), Failure> {
    let history = args.history.load()?;
    let settings = &history.config.policy.settings;
    let mut histories = args.histories.clone();
    if histories.is_empty() {
        let configured = settings.indicator_history_size;
        histories.extend(HISTORIES.iter().filter(|history| **history < configured));
        histories.extend([configured, (2 * configured).min(HISTORY_MAX)]);
    }
    histories.sort_unstable();
    histories.dedup();
    let usable = histories.first().is_some_and(|first| *first > 0)
        && histories.last().is_some_and(|last| *last <= HISTORY_MAX);
    if histories.len() < 2 || !usable {
        return Err(Failure::new(
            Code::BadInput,
            format!("--histories: expected at least two numbers from 1 to {HISTORY_MAX}"),
        ));
    }
    let moments: Vec<Timestamp> = spread(history.moments.len(), args.moments)
        .into_iter()
        .map(|cycle| history.moments[cycle])
        .collect();
    let scenario: Scenario<'_> =
        history.scenario_with("warmup".to_owned(), &history.config.policy, &moments);
    let progress = output::Progress::new("moments", moments.len());
    let found = warmup(&scenario, &histories, &|| progress.one_more())
        .map_err(|error| Failure::from_error(Code::Failed, &error))?;
    progress.end();
    if args.json {
        output::json(&serde_json::to_value(&found).unwrap_or_default());
    } else {
        print(&found, settings.indicator_history_size);
    }
    Ok(())
}

fn print(found: &Warmup, configured: usize) {
    output::line(format!(
        "Decisions of a fresh portfolio at {} moments, compared with those from {} candles of history:\n",
        found.moments, found.longest
    ));
    let share = |part: usize, row: &Row| {
        #[expect(clippy::cast_precision_loss, reason = "a count of decisions")]
        let percent = 100.0 * part as f64 / row.decisions.max(1) as f64;
        format!("{percent:.2} %")
    };
    let rows = found
        .rows
        .iter()
        .map(|row| {
            vec![
                row.history.to_string(),
                row.decisions.to_string(),
                share(row.positions, row),
                share(row.trends, row),
                share(row.weights, row),
            ]
        })
        .collect();
    let header = ["candles", "decisions", "position differs", "trend differs", "weight differs"];
    output::line(output::table(&header, 0, rows));
    let verdict = match found.enough {
        Some(enough) => format!("From {enough} candles on no decision differs."),
        None => {
            "Even the longest but one differs: ask with longer histories (--histories).".to_owned()
        }
    };
    output::line(format!(
        "\n{verdict} The configuration fetches {configured} first.\nAn asset that is younger than a history takes no part in the trends made from it, which moves the others too."
    ));
}
