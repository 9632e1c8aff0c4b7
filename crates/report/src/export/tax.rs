//! Trades for tax programs: one row for each execution, every amount exact.
//!
//! A direct order is one trade of two coins; nothing passes through the stablecoin. The three formats
//! differ in what they do with the fee: Koinly books it on top of the amounts, CoinTracking wants
//! it already inside them, and the ledger shows the change of each balance.

use super::frames::harmless;
use super::{ExportError, failed};
use crate::story::{Order, Story};
use keel_core::order::{Fill, Side};
use keel_core::time::Timestamp;
use rust_decimal::Decimal;

/// A format, as its row in the table of formats.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// What it is called on the command line.
    pub name: &'static str,
    /// One sentence for help.
    pub doc: &'static str,
    header: &'static [&'static str],
    rows: fn(&Execution<'_>) -> Vec<Vec<String>>,
}

/// Every format there is.
pub static FORMATS: &[Format] = &[
    Format {
        name: "koinly",
        doc: "Koinly's universal template; the fee is on top of the amounts",
        header: &[
            "Date",
            "Sent Amount",
            "Sent Currency",
            "Received Amount",
            "Received Currency",
            "Fee Amount",
            "Fee Currency",
            "Net Worth Amount",
            "Net Worth Currency",
            "Label",
            "Description",
            "TxHash",
        ],
        rows: koinly,
    },
    Format {
        name: "cointracking",
        doc: "CoinTracking's CSV import; the amounts hold the fee, as it asks for",
        header: &[
            "Type",
            "Buy Amount",
            "Buy Currency",
            "Sell Amount",
            "Sell Currency",
            "Fee",
            "Fee Currency",
            "Exchange",
            "Trade-Group",
            "Comment",
            "Date",
            "Tx-ID",
        ],
        rows: cointracking,
    },
    Format {
        name: "ledger",
        doc: "a generic ledger with everything that is known, for spreadsheets and other programs",
        header: &[
            "time",
            "exchange",
            "market",
            "side",
            "received_amount",
            "received_asset",
            "sent_amount",
            "sent_asset",
            "fee_amount",
            "fee_asset",
            "price",
            "order_id",
            "trade_id",
        ],
        rows: ledger,
    },
];

/// The format called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// One execution and its order.
struct Execution<'a> {
    order: &'a Order,
    fill: &'a Fill,
}

impl Execution<'_> {
    /// What came in, before the fee.
    fn received(&self) -> (Decimal, &str) {
        let symbol = &self.order.order().symbol;
        match self.order.order().side {
            Side::Buy => (self.fill.amount.get(), symbol.base.as_str()),
            Side::Sell => (self.fill.cost, symbol.quote.as_str()),
        }
    }

    /// What went out, before the fee.
    fn sent(&self) -> (Decimal, &str) {
        let symbol = &self.order.order().symbol;
        match self.order.order().side {
            Side::Buy => (self.fill.cost, symbol.quote.as_str()),
            Side::Sell => (self.fill.amount.get(), symbol.base.as_str()),
        }
    }

    fn fee(&self) -> (Decimal, &str) {
        (self.fill.fee.amount.get(), self.fill.fee.asset.as_str())
    }

    /// The venue's own name of the execution, with the venue, because two venues may use the same.
    fn name(&self) -> String {
        format!("{}:{}", self.order.order().venue, self.fill.trade_id)
    }
}

/// All executions of a run.
///
/// # Errors
/// Never in practice: it is written to memory.
pub fn csv(story: &Story, format: &Format) -> Result<Vec<u8>, ExportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(format.header).map_err(failed)?;
    for order in &story.orders {
        for fill in order.fills() {
            for row in (format.rows)(&Execution { order, fill }) {
                writer.write_record(row.iter().map(|cell| harmless(cell))).map_err(failed)?;
            }
        }
    }
    writer.into_inner().map_err(failed)
}

fn plain(amount: Decimal) -> String {
    amount.normalize().to_string()
}

/// `2024-01-31 12:30:00`, in UTC.
fn second(at: Timestamp) -> String {
    at.to_string().chars().take(19).collect::<String>().replace('T', " ")
}

fn koinly(execution: &Execution<'_>) -> Vec<Vec<String>> {
    let ((sent, sent_in), (received, received_in), (fee, fee_in)) =
        (execution.sent(), execution.received(), execution.fee());
    let order = execution.order.order();
    vec![vec![
        format!("{} UTC", second(execution.fill.at)),
        plain(sent),
        sent_in.to_owned(),
        plain(received),
        received_in.to_owned(),
        if fee.is_zero() { String::new() } else { plain(fee) },
        if fee.is_zero() { String::new() } else { fee_in.to_owned() },
        String::new(),
        String::new(),
        String::new(),
        format!("{} {} at {}", order.side, order.symbol, order.venue),
        execution.name(),
    ]]
}

fn cointracking(execution: &Execution<'_>) -> Vec<Vec<String>> {
    let ((mut sent, sent_in), (mut received, received_in), (fee, fee_in)) =
        (execution.sent(), execution.received(), execution.fee());
    let order = execution.order.order();
    let is_third = fee_in != sent_in && fee_in != received_in;
    if fee_in == received_in {
        received -= fee;
    } else if fee_in == sent_in {
        sent += fee;
    }
    let row = |kind: &str, buy: [String; 2], sell: [String; 2], fee: [String; 2], id: String| {
        let [buy, buy_in] = buy;
        let [sell, sell_in] = sell;
        let [fee, fee_in] = fee;
        vec![
            kind.to_owned(),
            buy,
            buy_in,
            sell,
            sell_in,
            fee,
            fee_in,
            order.venue.to_string(),
            "Keel".to_owned(),
            format!("{} {}", order.side, order.symbol),
            second(execution.fill.at),
            id,
        ]
    };
    let none = || [String::new(), String::new()];
    let paid = || [plain(fee), fee_in.to_owned()];
    let mut rows = vec![row(
        "Trade",
        [plain(received), received_in.to_owned()],
        [plain(sent), sent_in.to_owned()],
        if fee.is_zero() { none() } else { paid() },
        execution.name(),
    )];
    // A fee in a third coin is not taken off that coin unless a row of its own says so.
    if is_third && !fee.is_zero() {
        rows.push(row("Other Fee", none(), paid(), none(), format!("{}:fee", execution.name())));
    }
    rows
}

fn ledger(execution: &Execution<'_>) -> Vec<Vec<String>> {
    let ((sent, sent_in), (received, received_in), (fee, fee_in)) =
        (execution.sent(), execution.received(), execution.fee());
    let order = execution.order.order();
    vec![vec![
        execution.fill.at.to_string(),
        order.venue.to_string(),
        order.symbol.to_string(),
        order.side.to_string(),
        plain(received),
        received_in.to_owned(),
        plain(sent),
        sent_in.to_owned(),
        plain(fee),
        fee_in.to_owned(),
        plain(execution.fill.price.get()),
        execution.order.intent.id.to_string(),
        execution.fill.trade_id.clone(),
    ]]
}
