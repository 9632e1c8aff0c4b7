//! `keel trades`: every order and what became of it.

use crate::cli::ConfigArg;
use crate::exit::{Code, Failure};
use crate::journal::{Reader, TradeRow};
use crate::output;
use clap::ValueEnum;
use keel_core::time::Timestamp;
use rust_decimal::Decimal;
use serde_json::json;

/// Lists orders and what became of them, the newest last.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel trades -n 20
  keel trades --export csv > trades.csv")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Only the newest N orders; 0 shows all.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    last: usize,
    /// Only the orders of this cycle.
    #[arg(long)]
    cycle: Option<u64>,
    /// Write all orders to standard output in this format.
    #[arg(long, value_name = "FORMAT")]
    export: Option<Export>,
    /// Print JSON.
    #[arg(long, conflicts_with = "export")]
    json: bool,
}

/// Formats of an export.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Export {
    /// One row per order, with a header.
    Csv,
}

/// Runs the command.
///
/// # Errors
/// When there is no journal, or it cannot be read.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.load()?;
    let reader = Reader::open(&config.paths.journal)?;
    let mut trades = reader.trades(args.cycle)?;
    if let Some(Export::Csv) = args.export {
        return export_csv(&trades);
    }
    let total = trades.len();
    if args.last > 0 && total > args.last {
        trades.drain(..total - args.last);
    }
    if args.json {
        let rows: Vec<_> = trades.iter().map(to_json).collect();
        output::json(&json!(rows));
        return Ok(());
    }
    if trades.is_empty() {
        output::line("No orders yet.");
        return Ok(());
    }
    let rows = trades
        .iter()
        .map(|trade| {
            vec![
                Timestamp::from_ms(trade.at_ms).to_string(),
                trade.cycle.to_string(),
                trade.venue.clone(),
                trade.symbol.clone(),
                trade.side.clone(),
                trade.outcome.clone(),
                output::price(&trade.filled),
                price(trade).map_or_else(String::new, |price| output::price(&price.to_string())),
                output::money(&trade.value, 2),
                offset_bps(trade).map_or_else(String::new, |bps| format!("{bps}")),
                trade.fee.clone(),
            ]
        })
        .collect();
    let header = [
        "time", "cycle", "exchange", "market", "side", "outcome", "filled", "price", "value",
        "cost bps", "fee",
    ];
    output::line(output::table(&header, 6, rows));
    if total > trades.len() {
        output::line(format!("\n{} of {total} orders; -n 0 shows all", trades.len()));
    }
    Ok(())
}

fn number(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

/// The average price of what was filled.
fn price(trade: &TradeRow) -> Option<Decimal> {
    number(&trade.cost)?.checked_div(number(&trade.filled)?)?.round_sf(10).map(|p| p.normalize())
}

/// How much worse than the planned price the fills were, in hundredths of a percent, before fees.
fn offset_bps(trade: &TradeRow) -> Option<Decimal> {
    let (price, reference) = (price(trade)?, number(&trade.reference_price)?);
    let worse = if trade.side == "buy" { price - reference } else { reference - price };
    Some((worse.checked_div(reference)? * Decimal::from(10_000)).round_dp(1))
}

fn to_json(trade: &TradeRow) -> serde_json::Value {
    let mut row = json!(trade);
    if let Some(object) = row.as_object_mut() {
        object.insert("time".to_owned(), json!(Timestamp::from_ms(trade.at_ms).to_string()));
        object.insert("price".to_owned(), json!(price(trade).map(|price| price.to_string())));
        object.insert("cost_bps".to_owned(), json!(offset_bps(trade).map(|bps| bps.to_string())));
    }
    row
}

fn export_csv(trades: &[TradeRow]) -> Result<(), Failure> {
    write_csv(trades, std::io::stdout().lock()).map_err(|error| match error.kind() {
        csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::BrokenPipe => {
            std::process::exit(0)
        }
        _ => Failure::from_error(Code::CannotWrite, &error),
    })
}

/// Writes orders as CSV, with a header.
///
/// # Errors
/// When `out` does not take it.
pub fn write_csv(trades: &[TradeRow], out: impl std::io::Write) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record([
        "time",
        "cycle",
        "id",
        "exchange",
        "market",
        "side",
        "kind",
        "outcome",
        "amount",
        "filled",
        "price",
        "cost",
        "fee",
        "value",
        "reference_price",
        "cost_bps",
        "detail",
    ])?;
    for trade in trades {
        let shown = |value: Option<Decimal>| value.map_or_else(String::new, |v| v.to_string());
        writer.write_record([
            Timestamp::from_ms(trade.at_ms).to_string(),
            trade.cycle.to_string(),
            trade.id.clone(),
            trade.venue.clone(),
            trade.symbol.clone(),
            trade.side.clone(),
            trade.kind.clone(),
            trade.outcome.clone(),
            trade.amount.clone(),
            trade.filled.clone(),
            shown(price(trade)),
            trade.cost.clone(),
            trade.fee.clone(),
            trade.value.clone(),
            trade.reference_price.clone(),
            shown(offset_bps(trade)),
            trade.detail.clone(),
        ])?;
    }
    Ok(writer.flush()?)
}
