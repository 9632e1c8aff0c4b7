//! Reading: the walk that checks every digest, and the questions of `status`, `why` and `trades`.

use super::chain::{Chain, Table};
use super::fold::{self, Folded, Scan};
use super::open::{JournalError, open_for_reading};
use keel_core::state::State;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use std::path::Path;

/// One cycle, as it was stored.
#[derive(Clone, Debug, Serialize)]
pub struct CycleRow {
    /// Its number.
    pub cycle: u64,
    /// When it started, milliseconds.
    pub at_ms: i64,
    /// Why it distributed, or `none`.
    pub trigger: String,
    /// Value before the orders.
    pub total_before: String,
    /// Value after the orders.
    pub total_after: String,
    /// Free stablecoin after the orders.
    pub stablecoin_after: String,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// One decision, as it was stored.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionRow {
    /// The cycle.
    pub cycle: u64,
    /// The asset.
    pub ticker: String,
    /// Where it is traded.
    pub venue: String,
    /// Price in the stablecoin, empty when unknown.
    pub price: String,
    /// Amount that could be traded.
    pub free: String,
    /// `free * price`.
    pub value: String,
    /// Market cap in USD, empty when unknown.
    pub market_cap: String,
    /// Position signal.
    pub position: i8,
    /// Trend signal.
    pub trend: i8,
    /// Share of all caps.
    pub dominance: String,
    /// Weight in the portfolio.
    pub ratio: String,
    /// Target value.
    pub target: String,
    /// Target minus value, 0 inside the band.
    pub change: String,
    /// `capped`, `cap_stale`.
    pub flags: String,
    /// `buy`, `sell` or `hold`.
    pub action: String,
    /// Reason code, empty when there is none.
    pub reason: String,
    /// The reason as a sentence.
    pub detail: String,
}

/// One order with what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct TradeRow {
    /// The order's own name at the venue.
    pub id: String,
    /// The cycle.
    pub cycle: u64,
    /// When it was written down, milliseconds.
    pub at_ms: i64,
    /// `direct` or `stable`.
    pub kind: String,
    /// Where.
    pub venue: String,
    /// The market.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Base amount that was asked for.
    pub amount: String,
    /// Its value in the stablecoin.
    pub value: String,
    /// Price of the market when it was planned.
    pub reference_price: String,
    /// `filled`, `partial`, `rejected` or `unknown`.
    pub outcome: String,
    /// The venue's words, when it refused.
    pub detail: String,
    /// Base amount that was executed.
    pub filled: String,
    /// Quote amount that was paid or received.
    pub cost: String,
    /// Fees, `0.001 BTC`; several joined by ` + `.
    pub fee: String,
}

/// One execution, as it was stored.
#[derive(Clone, Debug, Serialize)]
pub struct FillRow {
    /// The order's own name.
    pub id: String,
    /// The venue's name for the execution.
    pub trade_id: String,
    /// Quote per base.
    pub price: String,
    /// Base amount.
    pub amount: String,
    /// Quote amount.
    pub cost: String,
    /// What the fee was paid in.
    pub fee_asset: String,
    /// How much of it.
    pub fee_amount: String,
    /// When, milliseconds.
    pub at_ms: i64,
}

/// One execution with the order it belongs to, as it was stored.
#[derive(Clone, Debug)]
pub struct BookedFill {
    /// The market.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Base amount of the order.
    pub order_amount: String,
    /// What that was worth in the stablecoin.
    pub order_value: String,
    /// Base amount that was executed.
    pub amount: String,
    /// Quote amount that was paid or received.
    pub cost: String,
    /// What the fee was paid in.
    pub fee_asset: String,
    /// How much of it.
    pub fee_amount: String,
}

const TRADES: &str = "SELECT i.id, i.cycle, i.created_at_ms, i.kind, i.venue, i.symbol, i.side,
    i.amount, i.value, i.reference_price, COALESCE(o.outcome, 'unknown'), COALESCE(o.detail, '')
    FROM intents i LEFT JOIN outcomes o ON o.place =
    (SELECT MAX(place) FROM outcomes WHERE outcomes.id = i.id)";

/// Recomputes every digest in order. The inner error says what does not match.
pub(super) fn walk(connection: &Connection) -> rusqlite::Result<Result<(Chain, u64), String>> {
    let mut chain = Chain::default();
    let mut previous = 0_u64;
    let mut folded = fold::runs(connection)?.into_iter().peekable();
    let mut intents = Rows::new(connection, Table::Intents)?;
    let mut outcomes = Rows::new(connection, Table::Outcomes)?;
    let mut fills = Rows::new(connection, Table::Fills)?;
    let mut decisions = Rows::new(connection, Table::Decisions)?;
    let (mut intents, mut outcomes, mut fills, mut decisions) =
        (intents.open()?, outcomes.open()?, fills.open()?, decisions.open()?);
    let mut cycles = connection.prepare(
        "SELECT cycle, at_ms, cause, total_before, total_after, stablecoin_after, notes, digest
         FROM cycles ORDER BY cycle",
    )?;
    let mut cycles = cycles.query([])?;
    while let Some(row) = cycles.next()? {
        let cycle: u64 = row.get(0)?;
        while let Some((run, digest)) = folded.next_if(|(run, _)| run.first < cycle) {
            if let Err(seen) = skip(&mut chain, &run, &digest) {
                return Ok(Err(seen));
            }
        }
        for table in [&mut intents, &mut outcomes, &mut fills, &mut decisions] {
            table.absorb_to(cycle, &mut chain)?;
        }
        let mut columns = vec![cycle.to_string(), row.get::<_, i64>(1)?.to_string()];
        for column in 2..7 {
            columns.push(row.get(column)?);
        }
        if row.get::<_, Vec<u8>>(7)? != chain.seal(&columns) {
            return Ok(Err(format!("the rows of cycle {cycle} do not match their digest")));
        }
        previous = cycle;
    }
    if let Some((run, _)) = folded.next() {
        return Ok(Err(format!("the cycles after {} are missing", run.last)));
    }
    // Intents and outcomes of a cycle that never ended: the next one's digest will cover them.
    for table in [&mut intents, &mut outcomes, &mut fills] {
        table.absorb_to(u64::MAX, &mut chain)?;
    }
    if decisions.absorb_to(u64::MAX, &mut chain)? > 0 {
        return Ok(Err(format!("there are decisions after the last cycle {previous}")));
    }
    Ok(Ok((chain, previous)))
}

/// Passes folded cycles: the digest before them must be the one that they followed, and their row
/// as it was written.
fn skip(chain: &mut Chain, run: &Folded, digest: &[u8]) -> Result<(), String> {
    let after = run.after.as_slice().try_into();
    match after {
        Ok(after) if run.before == chain.last() && digest == run.digest() => {
            chain.skip_to(after);
            Ok(())
        }
        _ => Err(format!(
            "the folded cycles {} to {} do not match their digest",
            run.first, run.last
        )),
    }
}

/// A table in the order in which its rows were written.
struct Rows<'c> {
    table: Table,
    statement: rusqlite::Statement<'c>,
}

struct OpenRows<'s> {
    table: Table,
    rows: rusqlite::Rows<'s>,
    /// The cycle of the next row, whose columns are in `columns`.
    next: Option<u64>,
    /// As they are digested: each led by its length.
    columns: Vec<u8>,
}

impl<'c> Rows<'c> {
    fn new(connection: &'c Connection, table: Table) -> rusqlite::Result<Self> {
        // The first column is the cycle that covers the row; the rest are what was digested.
        let sql = match table {
            Table::Intents => {
                "SELECT cycle, id, cycle, leg, kind, venue, symbol, side, amount, value,
                 reference_price, created_at_ms FROM intents ORDER BY cycle, leg"
            }
            Table::Outcomes => {
                "SELECT cycle, id, cycle, outcome, detail, at_ms FROM outcomes ORDER BY place"
            }
            Table::Fills => {
                "SELECT cycle, venue, trade_id, id, cycle, price, amount, cost, fee_asset,
                 fee_amount, at_ms FROM fills ORDER BY place"
            }
            Table::Decisions => "SELECT cycle, * FROM decisions ORDER BY cycle, place",
        };
        Ok(Self { table, statement: connection.prepare(sql)? })
    }

    fn open(&mut self) -> rusqlite::Result<OpenRows<'_>> {
        let table = self.table;
        let rows = self.statement.query([])?;
        let mut rows = OpenRows { table, rows, next: None, columns: Vec::new() };
        rows.advance()?;
        Ok(rows)
    }
}

impl OpenRows<'_> {
    fn advance(&mut self) -> rusqlite::Result<()> {
        self.columns.clear();
        self.next = match self.rows.next()? {
            None => None,
            Some(row) => {
                for column in 1..row.as_ref().column_count() {
                    encode(row, column, &mut self.columns)?;
                }
                Some(row.get(0)?)
            }
        };
        Ok(())
    }

    /// Adds the rows up to and including `cycle`; returns how many there were.
    fn absorb_to(&mut self, cycle: u64, chain: &mut Chain) -> rusqlite::Result<usize> {
        let mut count = 0;
        while self.next.is_some_and(|of| of <= cycle) {
            chain.encoded(self.table, &self.columns);
            count += 1;
            self.advance()?;
        }
        Ok(count)
    }
}

/// A column as the text that was digested, behind its length. A start does this for every value of
/// the journal, so nothing is copied twice.
fn encode(row: &Row<'_>, column: usize, into: &mut Vec<u8>) -> rusqlite::Result<()> {
    use rusqlite::types::ValueRef;
    let mut text = |text: &[u8]| {
        into.extend((text.len() as u64).to_le_bytes());
        into.extend(text);
    };
    match row.get_ref(column)? {
        ValueRef::Integer(value) => text(value.to_string().as_bytes()),
        ValueRef::Text(bytes) => text(bytes),
        other => {
            let seen = other.data_type();
            return Err(rusqlite::Error::InvalidColumnType(column, "column".into(), seen));
        }
    }
    Ok(())
}

/// A journal that is only read.
#[derive(Debug)]
pub struct Reader {
    path: std::path::PathBuf,
    connection: Connection,
}

impl Reader {
    /// Opens the journal at `path`; a running keel may be using it, and what is read is as it was at
    /// the first question.
    ///
    /// # Errors
    /// When there is none, or it is not one.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let connection = open_for_reading(path)?;
        let reader = Self { path: path.to_owned(), connection };
        reader.connection.execute_batch("BEGIN").map_err(|error| reader.failed(error))?;
        Ok(reader)
    }

    fn failed(&self, source: rusqlite::Error) -> JournalError {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                JournalError::Damaged { path: self.path.clone(), seen: source.to_string() }
            }
            Some(rusqlite::ErrorCode::ReadOnly) => JournalError::HalfWritten(self.path.clone()),
            _ => JournalError::Sqlite { path: self.path.clone(), source },
        }
    }

    /// Checks every digest. Returns the number of the last cycle.
    ///
    /// # Errors
    /// What does not match.
    pub fn verify(&self) -> Result<u64, JournalError> {
        let walked = walk(&self.connection).map_err(|error| self.failed(error))?;
        walked
            .map(|(_, last)| last)
            .map_err(|seen| JournalError::Damaged { path: self.path.clone(), seen })
    }

    /// The state after the last committed group, if any cycle has finished.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn state(&self) -> Result<Option<State>, JournalError> {
        let json: Option<String> = self
            .connection
            .query_row("SELECT state FROM state WHERE cycle > 0", [], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(error))?;
        json.map(|json| {
            serde_json::from_str(&json).map_err(|error| JournalError::Damaged {
                path: self.path.clone(),
                seen: format!("the state: {error}"),
            })
        })
        .transpose()
    }

    /// What the broker remembers, in its own format; empty before it remembers anything.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn checkpoint(&self) -> Result<String, JournalError> {
        self.connection
            .query_row("SELECT broker FROM state", [], |row| row.get(0))
            .optional()
            .map(Option::unwrap_or_default)
            .map_err(|error| self.failed(error))
    }

    /// What kind of run it belongs to.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn mode(&self) -> Result<String, JournalError> {
        self.connection
            .query_row("SELECT value FROM meta WHERE key = 'mode'", [], |row| row.get(0))
            .map_err(|error| self.failed(error))
    }

    /// The cycle with this number, or the last one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cycle(&self, number: Option<u64>) -> Result<Option<CycleRow>, JournalError> {
        self.connection
            .query_row(
                "SELECT cycle, at_ms, cause, total_before, total_after, stablecoin_after, notes
                 FROM cycles WHERE ?1 IS NULL OR cycle = ?1 ORDER BY cycle DESC LIMIT 1",
                params![number],
                cycle_row,
            )
            .optional()
            .map_err(|error| self.failed(error))
    }

    /// The cycles that were folded, in order: they have no record of their own any more.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn folded(&self) -> Result<Vec<Folded>, JournalError> {
        let runs = fold::runs(&self.connection).map_err(|error| self.failed(error))?;
        Ok(runs.into_iter().map(|(run, _)| run).collect())
    }

    /// The cycles that will be folded when they are old enough.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn foldable(&self) -> Result<Vec<Folded>, JournalError> {
        Scan::new(&self.connection)
            .and_then(|mut scan| scan.next(&self.connection, i64::MAX, u32::MAX))
            .map_err(|error| self.failed(error))
    }

    /// Every cycle that has its record, in order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn cycles(&self) -> Result<Vec<CycleRow>, JournalError> {
        self.all(
            "SELECT cycle, at_ms, cause, total_before, total_after, stablecoin_after, notes
             FROM cycles ORDER BY cycle",
            params![],
            cycle_row,
        )
    }

    /// The number of the last cycle that distributed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last_distribution(&self) -> Result<Option<u64>, JournalError> {
        self.connection
            .query_row("SELECT MAX(cycle) FROM cycles WHERE cause <> 'none'", [], |row| row.get(0))
            .map_err(|error| self.failed(error))
    }

    /// All decisions of a cycle, in order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn decisions(&self, cycle: u64) -> Result<Vec<DecisionRow>, JournalError> {
        self.all(
            "SELECT cycle, ticker, venue, price, free, value, market_cap, position, trend,
             dominance, ratio, target, change, flags, action, reason, detail
             FROM decisions WHERE cycle = ?1 ORDER BY place",
            params![cycle],
            decision_row,
        )
    }

    /// Orders with their outcomes, in the order they were sent; of one cycle, or all.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn trades(&self, cycle: Option<u64>) -> Result<Vec<TradeRow>, JournalError> {
        let order = "WHERE ?1 IS NULL OR i.cycle = ?1 ORDER BY i.cycle, i.leg";
        let trades = self.all(&format!("{TRADES} {order}"), params![cycle], trade_row)?;
        self.with_fills(trades)
    }

    /// Orders whose outcome is not known, in the order they were sent.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn unresolved(&self) -> Result<Vec<TradeRow>, JournalError> {
        let order = "WHERE COALESCE(o.outcome, 'unknown') = 'unknown' ORDER BY i.cycle, i.leg";
        self.all(&format!("{TRADES} {order}"), params![], trade_row)
    }

    /// The last `count` orders with their outcomes, in the order they were sent.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn last_trades(&self, count: usize) -> Result<Vec<TradeRow>, JournalError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let order = "ORDER BY i.cycle DESC, i.leg DESC LIMIT ?1";
        let mut trades = self.all(&format!("{TRADES} {order}"), params![count], trade_row)?;
        trades.reverse();
        self.with_fills(trades)
    }

    /// The last cycle of each UTC day from `since_ms` on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn day_ends(&self, since_ms: i64) -> Result<Vec<CycleRow>, JournalError> {
        self.all(
            "SELECT cycle, at_ms, cause, total_before, total_after, stablecoin_after, notes
             FROM cycles WHERE cycle IN
             (SELECT MAX(cycle) FROM cycles WHERE at_ms >= ?1 GROUP BY at_ms / 86400000)
             ORDER BY cycle",
            params![since_ms],
            cycle_row,
        )
    }

    /// The last cycle before `before_ms`, or `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cycle_before(&self, before_ms: i64) -> Result<Option<CycleRow>, JournalError> {
        let found = self.all(
            "SELECT cycle, at_ms, cause, total_before, total_after, stablecoin_after, notes
             FROM cycles WHERE at_ms < ?1 ORDER BY cycle DESC LIMIT 1",
            params![before_ms],
            cycle_row,
        )?;
        Ok(found.into_iter().next())
    }

    /// Calls `visit` with each execution, in the order they were written.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn each_fill(&self, mut visit: impl FnMut(BookedFill)) -> Result<(), JournalError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(
                "SELECT i.symbol, i.side, i.amount, i.value, f.amount, f.cost, f.fee_asset,
                 f.fee_amount FROM fills f JOIN intents i ON i.id = f.id ORDER BY f.place",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                visit(BookedFill {
                    symbol: row.get(0)?,
                    side: row.get(1)?,
                    order_amount: row.get(2)?,
                    order_value: row.get(3)?,
                    amount: row.get(4)?,
                    cost: row.get(5)?,
                    fee_asset: row.get(6)?,
                    fee_amount: row.get(7)?,
                });
            }
            Ok(())
        };
        read().map_err(|error| self.failed(error))
    }

    fn with_fills(&self, mut trades: Vec<TradeRow>) -> Result<Vec<TradeRow>, JournalError> {
        let mut statement = self
            .connection
            .prepare("SELECT amount, cost, fee_asset, fee_amount FROM fills WHERE id = ?1 ORDER BY place")
            .map_err(|error| self.failed(error))?;
        for trade in &mut trades {
            let fills = statement
                .query_map([&trade.id], |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get::<_, String>(3)?,
                    ))
                })
                .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
                .map_err(|error| self.failed(error))?;
            let sum = |column: fn(&(String, String, String, String)) -> &String| {
                fills
                    .iter()
                    .filter_map(|fill| column(fill).parse::<rust_decimal::Decimal>().ok())
                    .sum::<rust_decimal::Decimal>()
                    .normalize()
                    .to_string()
            };
            trade.filled = sum(|fill| &fill.0);
            trade.cost = sum(|fill| &fill.1);
            trade.fee = fills
                .iter()
                .map(|fill| format!("{} {}", fill.3, fill.2))
                .collect::<Vec<_>>()
                .join(" + ");
        }
        Ok(trades)
    }

    /// Calls `each` with every decision of the cycles from `first` to `last`, in order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn each_decision(
        &self,
        first: u64,
        last: u64,
        mut each: impl FnMut(DecisionRow),
    ) -> Result<(), JournalError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(
                "SELECT cycle, ticker, venue, price, free, value, market_cap, position, trend,
                 dominance, ratio, target, change, flags, action, reason, detail
                 FROM decisions WHERE cycle BETWEEN ?1 AND ?2 ORDER BY cycle, place",
            )?;
            let mut rows = statement.query(params![first, last])?;
            while let Some(row) = rows.next()? {
                each(decision_row(row)?);
            }
            Ok(())
        };
        read().map_err(|error| self.failed(error))
    }

    /// Every execution, in the order in which they became known.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn fills(&self) -> Result<Vec<FillRow>, JournalError> {
        self.all(
            "SELECT id, trade_id, price, amount, cost, fee_asset, fee_amount, at_ms FROM fills
             ORDER BY place",
            params![],
            |row| {
                Ok(FillRow {
                    id: row.get(0)?,
                    trade_id: row.get(1)?,
                    price: row.get(2)?,
                    amount: row.get(3)?,
                    cost: row.get(4)?,
                    fee_asset: row.get(5)?,
                    fee_amount: row.get(6)?,
                    at_ms: row.get(7)?,
                })
            },
        )
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, JournalError> {
        let read = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare(sql)?;
            statement.query_map(params, map)?.collect()
        };
        read().map_err(|error| self.failed(error))
    }
}

fn cycle_row(row: &Row<'_>) -> rusqlite::Result<CycleRow> {
    let notes: String = row.get(6)?;
    Ok(CycleRow {
        cycle: row.get(0)?,
        at_ms: row.get(1)?,
        trigger: row.get(2)?,
        total_before: row.get(3)?,
        total_after: row.get(4)?,
        stablecoin_after: row.get(5)?,
        notes: notes.lines().map(str::to_owned).collect(),
    })
}

fn decision_row(row: &Row<'_>) -> rusqlite::Result<DecisionRow> {
    Ok(DecisionRow {
        cycle: row.get(0)?,
        ticker: row.get(1)?,
        venue: row.get(2)?,
        price: row.get(3)?,
        free: row.get(4)?,
        value: row.get(5)?,
        market_cap: row.get(6)?,
        position: row.get(7)?,
        trend: row.get(8)?,
        dominance: row.get(9)?,
        ratio: row.get(10)?,
        target: row.get(11)?,
        change: row.get(12)?,
        flags: row.get(13)?,
        action: row.get(14)?,
        reason: row.get(15)?,
        detail: row.get(16)?,
    })
}

fn trade_row(row: &Row<'_>) -> rusqlite::Result<TradeRow> {
    Ok(TradeRow {
        id: row.get(0)?,
        cycle: row.get(1)?,
        at_ms: row.get(2)?,
        kind: row.get(3)?,
        venue: row.get(4)?,
        symbol: row.get(5)?,
        side: row.get(6)?,
        amount: row.get(7)?,
        value: row.get(8)?,
        reference_price: row.get(9)?,
        outcome: row.get(10)?,
        detail: row.get(11)?,
        filled: String::new(),
        cost: String::new(),
        fee: String::new(),
    })
}
