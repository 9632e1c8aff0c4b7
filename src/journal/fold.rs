//! Folding: cycles of the past in which nothing happened and nothing new was said become one row
//! for each run of them, which keeps the digests on both of its sides.
//!
//! A daemon runs a cycle each minute, and nearly all of them say what the one before said. What is
//! older than a week keeps every cycle that had orders or said something new, one of each hour, and
//! the last of each UTC day, so that a journal grows with orders and not with minutes.

use super::Journal;
use super::chain::{hex, of_text};
use keel_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use std::collections::BTreeMap;

/// Younger cycles keep their own record.
const KEPT_MS: i64 = 7 * 86_400_000;
/// The most that the end of one cycle looks at: an old journal is folded in days, and no cycle waits.
const STEP: u32 = 120;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Cycles in a row that said what an earlier one said.
#[derive(Clone, Debug, Serialize)]
pub struct Folded {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// The cycle whose record stands for them.
    pub alike: u64,
    /// How many; a crash leaves numbers without a cycle.
    pub cycles: u64,
    /// When the first one started, milliseconds.
    pub from_ms: i64,
    /// When the last one started.
    pub to_ms: i64,
    /// Digest of the cycle before the first.
    #[serde(skip)]
    pub(super) before: Vec<u8>,
    /// Digest of the last one, which covers all of them and from which the chain goes on.
    #[serde(skip)]
    pub(super) after: Vec<u8>,
}

impl Folded {
    /// What is found when a column of its row was changed.
    pub(super) fn digest(&self) -> [u8; 32] {
        let numbers = [self.first, self.last, self.alike, self.cycles].map(|n| n.to_string());
        let [first, last, alike, cycles] = &numbers;
        let (from, to) = (self.from_ms.to_string(), self.to_ms.to_string());
        of_text(&[first, last, alike, cycles, &from, &to, &hex(&self.before), &hex(&self.after)])
    }

    /// Whether `next` goes on where this one ends.
    fn takes(&mut self, next: &Self) -> bool {
        let goes_on = self.after == next.before && self.alike == next.alike;
        if goes_on {
            (self.last, self.to_ms) = (next.last, next.to_ms);
            self.cycles += next.cycles;
            self.after.clone_from(&next.after);
        }
        goes_on
    }
}

/// The runs in order, each with the digest that was stored with it. A journal of the first schema has
/// none.
pub(super) fn runs(connection: &Connection) -> rusqlite::Result<Vec<(Folded, Vec<u8>)>> {
    let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if schema < 2 {
        return Ok(Vec::new());
    }
    connection
        .prepare(
            "SELECT first, last, alike, cycles, from_ms, to_ms, before, after, digest FROM folded
             ORDER BY first",
        )?
        .query_map([], |row| Ok((run(row)?, row.get(8)?)))?
        .collect()
}

fn run(row: &rusqlite::Row<'_>) -> rusqlite::Result<Folded> {
    Ok(Folded {
        first: row.get(0)?,
        last: row.get(1)?,
        alike: row.get(2)?,
        cycles: row.get(3)?,
        from_ms: row.get(4)?,
        to_ms: row.get(5)?,
        before: row.get(6)?,
        after: row.get(7)?,
    })
}

/// A cycle that keeps its record.
#[derive(Clone, Debug)]
struct Kept {
    cycle: u64,
    at_ms: i64,
    said: [u8; 32],
}

/// Goes through the cycles in their order and tells which can be folded. What it remembers begins
/// with it: after a start one cycle more of each cause is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    /// The last cycle that it looked at, and its digest.
    at: u64,
    digest: Vec<u8>,
    /// By cause, the last one that is kept.
    kept: BTreeMap<String, Kept>,
    /// The last one that is kept whatever its cause: its hour, and what was held.
    hour: i64,
    held: [u8; 32],
}

/// What one cycle is, as far as folding asks.
struct Seen {
    cycle: u64,
    at_ms: i64,
    cause: String,
    notes: String,
    digest: Vec<u8>,
}

impl Scan {
    /// Goes on behind the last run.
    pub(super) fn new(connection: &Connection) -> rusqlite::Result<Self> {
        let last = runs(connection)?.pop().map(|(run, _)| (run.last, run.after));
        let (at, digest) = last.unwrap_or((0, vec![0; 32]));
        Ok(Self { at, digest, ..Self::default() })
    }

    /// Looks at `most` cycles that started before `before_ms`; returns the runs among them.
    pub(super) fn next(
        &mut self,
        connection: &Connection,
        before_ms: i64,
        most: u32,
    ) -> rusqlite::Result<Vec<Folded>> {
        let seen: Vec<Seen> = connection
            .prepare_cached(
                "SELECT cycle, at_ms, cause, notes, digest FROM cycles WHERE cycle > ?1
                 ORDER BY cycle LIMIT ?2",
            )?
            .query_map(params![self.at, i64::from(most) + 1], |row| {
                Ok(Seen {
                    cycle: row.get(0)?,
                    at_ms: row.get(1)?,
                    cause: row.get(2)?,
                    notes: row.get(3)?,
                    digest: row.get(4)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let mut runs: Vec<Folded> = Vec::new();
        // A clock that was wrong for a while may have dated cycles into the future: these do not wait.
        let young = before_ms..=before_ms.saturating_add(KEPT_MS);
        // The newest cycle is never folded: it has none behind it.
        for pair in seen.windows(2) {
            let [cycle, next] = pair else { break };
            if young.contains(&cycle.at_ms) {
                break;
            }
            if let Some(run) = self.look(connection, cycle, next.at_ms)?
                && !runs.last_mut().is_some_and(|last| last.takes(&run))
            {
                runs.push(run);
            }
            (self.at, self.digest) = (cycle.cycle, cycle.digest.clone());
        }
        Ok(runs)
    }

    /// The run of this cycle alone, or `None` when it keeps its record.
    fn look(
        &mut self,
        connection: &Connection,
        cycle: &Seen,
        next_ms: i64,
    ) -> rusqlite::Result<Option<Folded>> {
        let (said, held) = said(connection, cycle)?;
        let hour = cycle.at_ms.div_euclid(HOUR_MS);
        let like = self.kept.get(&cycle.cause).filter(|like| like.said == said);
        let is_shown = |like: &Kept| match cycle.cause.as_str() {
            // Any record of that hour shows what everything was worth.
            "none" => hour == self.hour,
            // But the last one that distributed is what the operator asks for.
            _ => hour == like.at_ms.div_euclid(HOUR_MS),
        };
        let ends_day = cycle.at_ms.div_euclid(DAY_MS) != next_ms.div_euclid(DAY_MS);
        if let Some(like) = like
            && held == self.held
            && is_shown(like)
            && !ends_day
            && !has_orders(connection, self.at, cycle.cycle)?
        {
            return Ok(Some(Folded {
                first: cycle.cycle,
                last: cycle.cycle,
                alike: like.cycle,
                cycles: 1,
                from_ms: cycle.at_ms,
                to_ms: cycle.at_ms,
                before: self.digest.clone(),
                after: cycle.digest.clone(),
            }));
        }
        let kept = Kept { cycle: cycle.cycle, at_ms: cycle.at_ms, said };
        self.kept.insert(cycle.cause.clone(), kept);
        (self.hour, self.held) = (hour, held);
        Ok(None)
    }
}

/// Digests of what a cycle said, without the figures that move with every price, and of what was held
/// in it.
fn said(connection: &Connection, cycle: &Seen) -> rusqlite::Result<([u8; 32], [u8; 32])> {
    let is_zero = |text: &str| text.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'));
    let words = cycle.notes.chars().filter(|char| !char.is_ascii_digit() && *char != '.');
    let (mut said, mut held) = (vec![words.collect::<String>()], Vec::new());
    let mut statement = connection.prepare_cached(
        "SELECT ticker, venue, flags, action, reason, position, trend, price = '', market_cap = '',
         change, free FROM decisions WHERE cycle = ?1 ORDER BY place",
    )?;
    let mut rows = statement.query([cycle.cycle])?;
    while let Some(row) = rows.next()? {
        let ticker: String = row.get(0)?;
        for column in 1..5 {
            said.push(row.get(column)?);
        }
        for column in 5..9 {
            said.push(row.get::<_, i64>(column)?.to_string());
        }
        said.push(is_zero(&row.get::<_, String>(9)?).to_string());
        held.extend([ticker.clone(), row.get(10)?]);
        said.push(ticker);
    }
    let digest = |texts: &[String]| of_text(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    Ok((digest(&said), digest(&held)))
}

/// Whether the digest of the cycle after `before`, up to `cycle`, covers anything about orders.
fn has_orders(connection: &Connection, before: u64, cycle: u64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM intents WHERE cycle > ?1 AND cycle <= ?2)
             OR EXISTS (SELECT 1 FROM outcomes WHERE cycle > ?1 AND cycle <= ?2)
             OR EXISTS (SELECT 1 FROM fills WHERE cycle > ?1 AND cycle <= ?2)",
        )?
        .query_row([before, cycle], |row| row.get(0))
}

impl Journal {
    /// Folds what has grown old, a few cycles at a time, within the transaction that ends a cycle.
    pub(super) fn fold(&mut self, now: Timestamp) -> rusqlite::Result<()> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        for mut run in scan.next(&self.connection, now.ms().saturating_sub(KEPT_MS), STEP)? {
            for table in ["decisions", "cycles"] {
                self.connection
                    .prepare_cached(&format!("DELETE FROM {table} WHERE cycle BETWEEN ?1 AND ?2"))?
                    .execute([run.first, run.last])?;
            }
            let last = self
                .connection
                .prepare_cached(
                    "SELECT first, last, alike, cycles, from_ms, to_ms, before, after FROM folded
                     ORDER BY first DESC LIMIT 1",
                )?
                .query_row([], self::run)
                .optional()?;
            if let Some(mut last) = last
                && last.takes(&run)
            {
                run = last;
            }
            let digest = run.digest();
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO folded VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    run.first,
                    run.last,
                    run.alike,
                    run.cycles,
                    run.from_ms,
                    run.to_ms,
                    run.before,
                    run.after,
                    digest
                ])?;
        }
        Ok(())
    }
}
