//! `keel analyze`: a run or a trade log by asset, by month and by reason, and where the result came
//! from.

use super::report::Source;
use crate::exit::{Code, Failure};
use crate::output;
use crate::recorded;
use crate::trade_log;
use keel_report::analysis::{Analysis, analysis};
use keel_report::attribution::{Attribution, Costs, attribution};
use keel_report::story::Story;
use rust_decimal::Decimal;
use serde_json::json;
use std::path::PathBuf;

/// Says where the result of a run came from (market, signals, allocation, altcoin cap, fees,
/// slippage, direct pairs) and shows it by asset, by month and by reason.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel analyze -c demo-output/portfolio_config.json
  keel analyze -c my.json --from 2024-01-01 --json
  keel trades -c my.json --export csv > trades.csv; keel analyze --trades trades.csv

A trade log has no prices between its orders: from it alone, costs and realised gains are known, and
not what market, signals and weights did. docs/analysis.md defines every part.")]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// A CSV file of `keel trades --export csv` instead of a journal; needs no configuration.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["journal", "data"])]
    trades: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is no journal or log, or it cannot be read.
pub fn run(args: &Args) -> Result<(), Failure> {
    let span = args.source.span()?;
    let story = match &args.trades {
        Some(path) => trade_log::story(path, span)?,
        None => {
            let config = args.source.config.load()?;
            recorded::story(&config, args.source.journal(&config), span)?
        }
    };
    if story.cycles.is_empty() && story.orders.is_empty() {
        return Err(Failure::new(
            Code::BadInput,
            "nothing happened in that time; choose other dates with --from and --to",
        ));
    }
    let (tables, parts) = (analysis(&story), attribution(&story));
    if args.json {
        output::json(&json!({
            "run": story.kind,
            "stablecoin": story.stablecoin,
            "attribution": parts,
            "analysis": tables,
        }));
    } else {
        print(&story, &tables, parts.as_ref());
    }
    Ok(())
}

fn money(value: Decimal) -> String {
    output::decimal(value, 2)
}

/// Hundredths of a percent of what was traded.
fn bps(cost: Decimal, traded: Decimal) -> String {
    let rate = cost.checked_div(traded).unwrap_or_default() * Decimal::from(10_000);
    output::decimal(rate, 1)
}

fn print(story: &Story, tables: &Analysis, parts: Option<&Attribution>) {
    output::line(format!("{}, in {}\n", story.kind, story.stablecoin));
    match parts {
        Some(parts) => print_parts(parts),
        None => output::line(
            "From a trade log alone nobody can tell what market, signals and weights did; costs and realised gains follow.",
        ),
    }
    print_assets(tables, parts.is_some());
    print_months(tables, parts.is_some());
    print_reasons(tables, parts.is_some());
    print_direct(tables);
}

fn print_parts(parts: &Attribution) {
    let mut rows: Vec<Vec<String>> = parts
        .parts
        .iter()
        .map(|part| vec![part.name.to_owned(), part.doc.to_owned(), money(part.value)])
        .collect();
    rows.push(vec!["result".to_owned(), "the sum of all parts".to_owned(), money(parts.total)]);
    output::line(output::table(&["part", "what it is", "value"], 2, rows));
    output::line(format!(
        "\n{} at the start, {} at the end, {} paid in; {} of fees and {} of slippage were really paid\n",
        money(parts.start),
        money(parts.end),
        money(parts.flows),
        money(parts.fees_paid),
        money(parts.slippage_paid)
    ));
}

fn print_assets(tables: &Analysis, has_values: bool) {
    let rows = tables
        .assets
        .iter()
        .map(|asset| {
            let value = |value: Decimal| if has_values { money(value) } else { String::new() };
            vec![
                asset.ticker.clone(),
                value(asset.gain),
                money(asset.costs.fees),
                money(asset.costs.slippage),
                value(asset.net),
                money(asset.realised),
                asset.costs.orders.to_string(),
                money(asset.costs.traded),
            ]
        })
        .collect();
    let header = ["asset", "gain", "fees", "slippage", "net", "realised", "orders", "traded"];
    output::line(output::table(&header, 1, rows));
}

fn print_months(tables: &Analysis, has_values: bool) {
    let rows = tables
        .months
        .iter()
        .map(|month| {
            let value = |text: String| if has_values { text } else { String::new() };
            vec![
                month.month.clone(),
                value(money(month.end)),
                value(money(month.gain)),
                value(format!("{:+} %", month.return_percent)),
                month.costs.orders.to_string(),
                money(month.costs.traded),
                money(month.costs.fees),
                money(month.costs.slippage),
            ]
        })
        .collect();
    let header = ["month", "end", "gain", "return", "orders", "traded", "fees", "slippage"];
    output::line(format!("\n{}", output::table(&header, 1, rows)));
}

fn print_reasons(tables: &Analysis, has_decisions: bool) {
    if !has_decisions {
        return;
    }
    let cost = |costs: &Costs| {
        vec![
            costs.orders.to_string(),
            money(costs.traded),
            money(costs.fees),
            money(costs.slippage),
        ]
    };
    let orders = tables
        .why
        .iter()
        .map(|row| [vec![row.why.to_owned()], cost(&row.costs)].concat())
        .collect();
    let header = ["orders because", "orders", "traded", "fees", "slippage"];
    output::line(format!("\n{}", output::table(&header, 1, orders)));
    let left = tables
        .reasons
        .iter()
        .map(|row| {
            vec![
                row.reason.clone(),
                row.most.clone(),
                row.decisions.to_string(),
                row.wanted.to_string(),
                money(row.largest),
            ]
        })
        .collect();
    let header = ["left alone because", "most often", "decisions", "wanted a change", "largest"];
    output::line(format!("\n{}", output::table(&header, 2, left)));
}

fn print_direct(tables: &Analysis) {
    let paid = &tables.direct.paid;
    if paid.orders == 0 {
        output::line("\nNo direct orders.");
        return;
    }
    let instead = tables.direct.fees_instead + tables.direct.slippage_instead;
    output::line(format!(
        "\n{} direct orders of {} paid {} of fees and slippage ({} bps); a sell and a buy through the stablecoin would have paid {} ({} bps): {} saved",
        paid.orders,
        money(paid.traded),
        money(paid.fees + paid.slippage),
        bps(paid.fees + paid.slippage, paid.traded),
        money(instead),
        bps(instead, paid.traded),
        money(tables.direct_saved)
    ));
}
