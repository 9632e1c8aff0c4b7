//! `keel plan --snapshot`: what would be traded, as a pure question.

use crate::exit::{Code, Failure};
use crate::output;
use serde_json::Value;
use std::io::Read;
use std::path::PathBuf;

/// Prints the targets and orders of a snapshot, or of each snapshot in an array.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel plan --snapshot what-if.json
  keel plan --snapshot - --json < what-if.json

A snapshot holds settings, stablecoin, stablecoin_free, assets and markets: see docs/cli.md.")]
pub struct Args {
    /// A JSON file, or - for standard input.
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The largest snapshot that is read.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Runs the command.
///
/// # Errors
/// When the snapshot cannot be read or means nothing.
pub fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.snapshot.display();
    let bad = |what: String| Failure::new(Code::BadInput, format!("{shown}: {what}"));
    let mut text = String::new();
    let read = if args.snapshot.as_os_str() == "-" {
        std::io::stdin().lock().take(BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(&args.snapshot)
            .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| bad(format!("cannot be read ({error}); expected a JSON snapshot")))?;
    let question: Value = serde_json::from_str(&text).map_err(|error| {
        bad(format!("not JSON ({error}); expected a snapshot: see docs/cli.md"))
    })?;
    let answer = keel_core::snapshot::answer(question)
        .map_err(|error| bad(format!("{error}; expected a snapshot: see docs/cli.md")))?;
    if args.json {
        output::json(&answer);
        return Ok(());
    }
    match &answer {
        Value::Array(plans) => {
            for (i, plan) in plans.iter().enumerate() {
                output::line(format!("Snapshot {i}"));
                print(plan);
            }
        }
        plan => print(plan),
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn money(value: &Value) -> String {
    output::money(&text(value), 2)
}

fn print(plan: &Value) {
    let list = |key: &str| plan[key].as_array().cloned().unwrap_or_default();
    output::line(format!("Total value {}\n", money(&plan["total_value"])));
    let targets = list("targets")
        .iter()
        .map(|row| {
            let percent = |key: &str| format!("{:.2} %", row[key].as_f64().unwrap_or(0.0) * 100.0);
            vec![
                text(&row["ticker"]),
                percent("dominance"),
                percent("ratio"),
                money(&row["target_value"]),
                money(&row["change"]),
            ]
        })
        .collect();
    output::line(output::table(&["asset", "dominance", "weight", "target", "change"], 1, targets));
    let orders = list("orders");
    if orders.is_empty() {
        output::line("\nNo orders.");
    } else {
        let rows = orders
            .iter()
            .map(|order| {
                vec![
                    text(&order["kind"]),
                    text(&order["exchange"]),
                    text(&order["symbol"]),
                    text(&order["side"]),
                    text(&order["amount"]),
                    money(&order["value"]),
                ]
            })
            .collect();
        let header = ["order", "exchange", "market", "side", "amount", "value"];
        output::line(format!("\n{}", output::table(&header, 4, rows)));
    }
    for skipped in list("skipped") {
        output::line(format!("{}: {}", text(&skipped["ticker"]), text(&skipped["detail"])));
    }
    output::line("");
}
