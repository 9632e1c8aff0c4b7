//! Opening a journal: everything that could be wrong is found before anything is written.

use super::chain::{Chain, hex, of_text};
use super::fold::Scan;
use super::{Durability, Journal, Resumed};
use keel_core::amount::Money;
use keel_core::limits::DayUse;
use keel_core::order::{ClientOrderId, Fee, Fill, Intent, Outcome, PlannedOrder};
use keel_core::state::State;
use keel_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// "KEEL" in ASCII: tells our files from other programs' SQLite files.
const APPLICATION_ID: i64 = 0x4B45_454C;
/// Version of the tables.
const SCHEMA_VERSION: i64 = 2;
/// So many of the newest orders are named as ours whatever their age.
const NEWEST: i64 = 1000;

/// Schema 1.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE cycles (
    cycle INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, cause TEXT NOT NULL,
    total_before TEXT NOT NULL, total_after TEXT NOT NULL, stablecoin_after TEXT NOT NULL,
    notes TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE decisions (
    cycle INTEGER NOT NULL, place INTEGER NOT NULL, ticker TEXT NOT NULL, venue TEXT NOT NULL,
    price TEXT NOT NULL, free TEXT NOT NULL, value TEXT NOT NULL, market_cap TEXT NOT NULL,
    position INTEGER NOT NULL, trend INTEGER NOT NULL, dominance TEXT NOT NULL,
    ratio TEXT NOT NULL, target TEXT NOT NULL, change TEXT NOT NULL, flags TEXT NOT NULL,
    action TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (cycle, place)) WITHOUT ROWID;
CREATE TABLE intents (
    id TEXT PRIMARY KEY, cycle INTEGER NOT NULL, leg INTEGER NOT NULL, kind TEXT NOT NULL,
    venue TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, amount TEXT NOT NULL,
    value TEXT NOT NULL, reference_price TEXT NOT NULL, created_at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX intents_by_cycle ON intents (cycle, leg);
CREATE TABLE outcomes (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL, cycle INTEGER NOT NULL, outcome TEXT NOT NULL,
    detail TEXT NOT NULL, at_ms INTEGER NOT NULL);
CREATE INDEX outcomes_by_id ON outcomes (id);
CREATE INDEX outcomes_by_cycle ON outcomes (cycle);
CREATE TABLE fills (
    place INTEGER PRIMARY KEY, venue TEXT NOT NULL, trade_id TEXT NOT NULL, id TEXT NOT NULL, cycle INTEGER NOT NULL,
    price TEXT NOT NULL, amount TEXT NOT NULL, cost TEXT NOT NULL, fee_asset TEXT NOT NULL,
    fee_amount TEXT NOT NULL, at_ms INTEGER NOT NULL, UNIQUE (venue, trade_id, id));
CREATE INDEX fills_by_id ON fills (id);
CREATE INDEX fills_by_cycle ON fills (cycle);
CREATE TABLE state (
    slot INTEGER PRIMARY KEY CHECK (slot = 1), cycle INTEGER NOT NULL, state TEXT NOT NULL,
    broker TEXT NOT NULL, digest BLOB NOT NULL);
";

/// What schema 2 added. The index is for what is read each minute.
const TABLES_2: &str = "
CREATE TABLE folded (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, alike INTEGER NOT NULL, cycles INTEGER NOT NULL,
    from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, before BLOB NOT NULL, after BLOB NOT NULL,
    digest BLOB NOT NULL);
CREATE INDEX intents_by_time ON intents (created_at_ms);
PRAGMA user_version = 2;
";

/// What kind of run a journal belongs to. One kind is never continued as another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Recorded candles; the text names the tape, so that another tape is refused.
    Replay(String),
    /// The generated market.
    Demo(String),
    /// A paper account on live market data.
    Paper,
    /// Orders in the venues' test environments.
    Sandbox,
    /// Orders with real money.
    Live,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Replay(tape) => format!("replay of {tape}"),
            Self::Demo(seed) => format!("demo of {seed}"),
            Self::Paper => "paper account on live market data".to_owned(),
            Self::Sandbox => "run in the test environments of exchanges".to_owned(),
            Self::Live => "run with real money".to_owned(),
        })
    }
}

/// What a new journal is made with.
#[derive(Clone, Debug)]
pub struct NewJournal {
    /// What kind of run it is.
    pub mode: Mode,
    /// Names the installation in every order's id.
    pub deployment: String,
}

/// Why a journal cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is none where it was expected.
    #[error("{0}: no journal yet; run `keel trade` (or `keel demo`) with this configuration first")]
    Absent(PathBuf),
    /// Another process uses it.
    #[error(
        "{0} is used by another keel process; expected to be its only user: stop the other one, or give this run its own paths in the configuration"
    )]
    InUse(PathBuf),
    /// Not ours.
    #[error(
        "{path} is not a journal of Keel ({seen}); expected one or no file: move it away, or set paths.journal_path"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        seen: String,
    },
    /// Made by a newer version.
    #[error("{path} has schema {seen}, this keel knows up to {SCHEMA_VERSION}: use a newer keel")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        seen: i64,
    },
    /// Damaged.
    #[error(
        "{path} is damaged: {seen}; nothing was changed: restore it from a backup, or move it away to start anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        seen: String,
    },
    /// Its writer was killed in the middle of a write, which only a writer can undo.
    #[error(
        "{0} was left half written by a process that was killed; expected one that was closed or is in use: start `keel trade` (or `keel demo`) with this configuration once, which puts it right"
    )]
    HalfWritten(PathBuf),
    /// Another kind of run.
    #[error(
        "{path} belongs to a {seen}, this is a {expected}: move it away, or give this run its own paths in the configuration"
    )]
    OtherMode {
        /// The file.
        path: PathBuf,
        /// What it is.
        seen: String,
        /// What was wanted.
        expected: String,
    },
    /// The system refused.
    #[error(
        "{path} cannot be used ({source}); expected a writable file in a writable directory with free space"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error(
        "{path} cannot be used ({source}); expected a writable file in a writable directory with free space"
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        source: rusqlite::Error,
    },
}

impl Journal {
    /// Opens the journal at `path` for writing, or makes a new one. Returns where it stands, if it
    /// holds a finished cycle.
    ///
    /// # Errors
    /// Whatever makes the file unusable; the file is unchanged then.
    pub fn open(
        path: &Path,
        new: &NewJournal,
        durability: Durability,
    ) -> Result<(Self, Option<Resumed>), JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let sqlite = |source| JournalError::Sqlite { path: path.to_owned(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        let lock = lock(path)?;
        if path.exists() {
            check_file(path)?;
        } else {
            create(path, new)?;
        }
        let connection = Connection::open(path).map_err(sqlite)?;
        let schema = check_identity(&connection, path)?;
        check_mode(&connection, path, new)?;
        // Nothing is written, not even a setting, before every row was checked.
        let (chain, last_cycle, resumed) = verify(&connection, path)?;
        let synchronous = match durability {
            Durability::EachWrite | Durability::Groups { cycles: 0..=1 } => "FULL",
            // The paper account and the journal are one file: a lost group is played again.
            Durability::Groups { .. } => "OFF",
        };
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};"
            ))
            .map_err(sqlite)?;
        if schema < 2 {
            let upgrade = format!("BEGIN IMMEDIATE; {TABLES_2} COMMIT;");
            connection.execute_batch(&upgrade).map_err(sqlite)?;
        }
        // A tape has an end, and its report shows every cycle of it.
        let scan = match new.mode {
            Mode::Replay(_) | Mode::Demo(_) => None,
            Mode::Paper | Mode::Sandbox | Mode::Live => {
                Some(Scan::new(&connection).map_err(sqlite)?)
            }
        };
        let deployment = connection
            .query_row("SELECT value FROM meta WHERE key = 'deployment'", [], |row| row.get(0))
            .map_err(sqlite)?;
        let journal = Self {
            path: path.to_owned(),
            deployment,
            connection,
            durability,
            chain,
            last_cycle,
            scan,
            cycles_in_group: 0,
            in_transaction: false,
            _lock: lock,
        };
        Ok((journal, resumed))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ids of the orders that were written down since then, and of the newest ones whatever a
    /// clock that was set since says of their age.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn intent_ids(&self, since: Timestamp) -> Result<BTreeSet<String>, JournalError> {
        let read = || -> rusqlite::Result<BTreeSet<String>> {
            self.connection
                .prepare_cached(
                    "SELECT id FROM intents WHERE created_at_ms >= ?1 UNION SELECT id FROM \
                     (SELECT id FROM intents ORDER BY cycle DESC, leg DESC LIMIT ?2)",
                )?
                .query_map([since.ms(), NEWEST], |row| row.get(0))?
                .collect()
        };
        read().map_err(|source| JournalError::Sqlite { path: self.path.clone(), source })
    }

    /// Names the installation in every order's id; made with the journal.
    #[must_use]
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// Digest of everything up to the last finished cycle, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(self.chain.last())
    }
}

impl Drop for Journal {
    /// Folds the write-ahead log into the file, so that a stopped keel leaves one file. What fails
    /// here is only tidiness: everything committed is safe in either form.
    fn drop(&mut self) {
        if !self.in_transaction {
            let _ = self.connection.execute_batch("PRAGMA journal_mode = DELETE");
        }
    }
}

/// Opens a journal for reading; it may be in use by a running keel.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, JournalError> {
    if !path.exists() {
        return Err(JournalError::Absent(path.to_owned()));
    }
    check_file(path)?;
    // A connection stays with one thread, as the writer's does: locks would be a fifth of a check.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|source| JournalError::Sqlite { path: path.to_owned(), source })?;
    check_identity(&connection, path)?;
    Ok(connection)
}

/// Keeps a journal for one process; released by the system when the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough: a child that was started a moment ago has it too, until it
    /// runs its own program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn lock(path: &Path) -> Result<Lock, JournalError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let io = |source| JournalError::Io { path: lock_path.clone(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// SQLite takes an empty file for a new database; for us it is a journal that was cut to nothing.
fn check_file(path: &Path) -> Result<(), JournalError> {
    let metadata = std::fs::metadata(path)
        .map_err(|source| JournalError::Io { path: path.to_owned(), source })?;
    if !metadata.is_file() {
        return Err(JournalError::Foreign { path: path.to_owned(), seen: "not a file".to_owned() });
    }
    if metadata.len() == 0 {
        return Err(JournalError::Damaged {
            path: path.to_owned(),
            seen: "it is empty".to_owned(),
        });
    }
    Ok(())
}

/// Returns the version of its tables.
fn check_identity(connection: &Connection, path: &Path) -> Result<i64, JournalError> {
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
    };
    let unreadable = |error: rusqlite::Error| {
        let (path, seen) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ReadOnly) => JournalError::HalfWritten(path),
            Some(rusqlite::ErrorCode::NotADatabase) => JournalError::Foreign { path, seen },
            _ => JournalError::Damaged { path, seen },
        }
    };
    let application = pragma("application_id").map_err(unreadable)?;
    if application != APPLICATION_ID {
        let seen = "a database of another program".to_owned();
        return Err(JournalError::Foreign { path: path.to_owned(), seen });
    }
    let version = pragma("user_version").map_err(unreadable)?;
    if version > SCHEMA_VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), seen: version });
    }
    Ok(version)
}

fn check_mode(connection: &Connection, path: &Path, new: &NewJournal) -> Result<(), JournalError> {
    let damaged = |error: rusqlite::Error| JournalError::Damaged {
        path: path.to_owned(),
        seen: error.to_string(),
    };
    let meta = |key: &str| {
        connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get::<_, String>(0)
            })
            .map_err(damaged)
    };
    let (seen, expected) = (meta("mode")?, new.mode.to_string());
    if seen == expected {
        Ok(())
    } else {
        Err(JournalError::OtherMode { path: path.to_owned(), seen, expected })
    }
}

/// Makes a journal, as a whole or not at all: a process that is killed meanwhile leaves none.
fn create(path: &Path, new: &NewJournal) -> Result<(), JournalError> {
    let draft = || -> rusqlite::Result<Vec<u8>> {
        let mut draft = Connection::open_in_memory()?;
        draft.execute_batch(TABLES)?;
        draft.execute_batch(TABLES_2)?;
        for (key, value) in [("mode", new.mode.to_string()), ("deployment", new.deployment.clone())]
        {
            draft.execute("INSERT INTO meta VALUES (?1, ?2)", [key, &value])?;
        }
        draft.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}"))?;
        Ok(draft.serialize("main")?.to_vec())
    };
    let bytes = draft().map_err(|source| JournalError::Sqlite { path: path.to_owned(), source })?;
    keel_files::write_atomic(path, &bytes)
        .map_err(|source| JournalError::Io { path: path.to_owned(), source })
}

/// Walks through every row and the state, and compares the digests.
fn verify(
    connection: &Connection,
    path: &Path,
) -> Result<(Chain, u64, Option<Resumed>), JournalError> {
    let damaged = |seen: String| JournalError::Damaged { path: path.to_owned(), seen };
    let unreadable = |error: rusqlite::Error| damaged(error.to_string());
    let check: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unreadable)?;
    if check != "ok" {
        return Err(damaged(check));
    }
    let (chain, last_cycle) =
        super::read::walk(connection).map_err(unreadable)?.map_err(damaged)?;
    let row: Option<(u64, String, String, Vec<u8>)> = connection
        .query_row("SELECT cycle, state, broker, digest FROM state", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()
        .map_err(unreadable)?;
    // Intents of a cycle that never ended keep their names; the next cycle takes a new number.
    let latest: Option<u64> = connection
        .query_row("SELECT MAX(cycle) FROM intents", [], |row| row.get(0))
        .map_err(unreadable)?;
    let Some((cycle, state, broker, digest)) = row else {
        return match (last_cycle, latest) {
            (0, None) => Ok((chain, 0, None)),
            // It ended in its very first cycle, after orders were written down.
            (0, Some(latest)) => {
                let mut state = State { cycle: latest, ..State::default() };
                state.unresolved = unresolved(connection).map_err(unreadable)?.map_err(damaged)?;
                state.day = day_use(connection, state.day).map_err(unreadable)?;
                let settled = settled_after(connection, 0).map_err(unreadable)?.map_err(damaged)?;
                Ok((chain, 0, Some(Resumed { state, broker: None, settled })))
            }
            (n, _) => Err(damaged(format!("it holds {n} cycles and no state"))),
        };
    };
    if digest != of_text(&[&state, &broker]) {
        return Err(damaged("the state does not match its digest".to_owned()));
    }
    if cycle != last_cycle {
        return Err(damaged(format!("the state is of cycle {cycle}, the last is {last_cycle}")));
    }
    let mut state: State =
        serde_json::from_str(&state).map_err(|error| damaged(format!("the state: {error}")))?;
    state.unresolved = unresolved(connection).map_err(unreadable)?.map_err(damaged)?;
    state.day = day_use(connection, state.day).map_err(unreadable)?;
    let broker = Some(broker).filter(|text| !text.is_empty());
    state.cycle = state.cycle.max(latest.unwrap_or(0));
    let settled = settled_after(connection, last_cycle).map_err(unreadable)?.map_err(damaged)?;
    Ok((chain, last_cycle, Some(Resumed { state, broker, settled })))
}

/// What the intents say about the use of the daily limits: also those of a cycle that never ended.
fn day_use(connection: &Connection, known: DayUse) -> rusqlite::Result<DayUse> {
    let mut statement = connection.prepare(
        "SELECT created_at_ms, value FROM intents WHERE created_at_ms >=
         (SELECT MAX(created_at_ms) / 86400000 * 86400000 FROM intents)",
    )?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut counted = DayUse::default();
    for (at_ms, value) in rows {
        counted = counted.on(Timestamp::from_ms(at_ms));
        counted.orders = counted.orders.saturating_add(1);
        counted.turnover += Money::new(value.parse().unwrap_or_default());
    }
    // The state is exact for cycles that ended; the count is larger only after one that did not.
    let is_more = (counted.day, counted.orders) > (known.day, known.orders);
    Ok(if is_more { counted } else { known })
}

/// Intents whose last outcome is missing or unknown.
fn unresolved(connection: &Connection) -> rusqlite::Result<Result<Vec<Intent>, String>> {
    intents(
        connection,
        "COALESCE((SELECT outcome FROM outcomes WHERE outcomes.id = intents.id
         ORDER BY place DESC LIMIT 1), 'unknown') = 'unknown'",
        0,
    )
}

/// Orders whose outcome became known after the last finished cycle, which the broker's checkpoint
/// does not know yet.
fn settled_after(
    connection: &Connection,
    cycle: u64,
) -> rusqlite::Result<Result<Vec<(Intent, Outcome)>, String>> {
    let known = intents(
        connection,
        "(SELECT outcome FROM outcomes WHERE outcomes.id = intents.id AND outcomes.cycle > ?1
         ORDER BY place DESC LIMIT 1) IN ('filled', 'partial', 'rejected')",
        cycle,
    )?;
    let known = match known {
        Ok(known) => known,
        Err(error) => return Ok(Err(error)),
    };
    let mut settled = Vec::new();
    for intent in known {
        let (name, detail): (String, String) = connection.query_row(
            "SELECT outcome, detail FROM outcomes WHERE id = ?1 ORDER BY place DESC LIMIT 1",
            [intent.id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let fills = match fills(connection, &intent.id)? {
            Ok(fills) => fills,
            Err(error) => return Ok(Err(error)),
        };
        let outcome = match name.as_str() {
            "filled" => Outcome::Filled { fills },
            "partial" => Outcome::Partial { fills },
            _ => Outcome::Rejected { reason: detail },
        };
        settled.push((intent, outcome));
    }
    Ok(Ok(settled))
}

/// The executions of an order, as they were written.
fn fills(
    connection: &Connection,
    id: &ClientOrderId,
) -> rusqlite::Result<Result<Vec<Fill>, String>> {
    let mut statement = connection.prepare(
        "SELECT trade_id, price, amount, cost, fee_asset, fee_amount, at_ms FROM fills
         WHERE id = ?1 ORDER BY place",
    )?;
    let rows = statement
        .query_map([id.as_str()], |row| {
            let text = |column: usize| row.get::<_, String>(column);
            let columns = [text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?];
            Ok((columns, row.get::<_, i64>(6)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let parse = |(text, at_ms): ([String; 6], i64)| -> Option<Fill> {
        Some(Fill {
            trade_id: text[0].clone(),
            price: keel_core::amount::Price::new(text[1].parse().ok()?),
            amount: keel_core::amount::Qty::new(text[2].parse().ok()?),
            cost: text[3].parse().ok()?,
            fee: Fee {
                asset: text[4].parse().ok()?,
                amount: keel_core::amount::Qty::new(text[5].parse().ok()?),
            },
            at: Timestamp::from_ms(at_ms),
        })
    };
    let parsed: Option<Vec<Fill>> = rows.into_iter().map(parse).collect();
    Ok(parsed.ok_or_else(|| format!("an execution of order {id} cannot be read")))
}

/// The intents for which `condition` holds; `?1` in it is `cycle`.
fn intents(
    connection: &Connection,
    condition: &str,
    cycle: u64,
) -> rusqlite::Result<Result<Vec<Intent>, String>> {
    let mut statement = connection.prepare(&format!(
        "SELECT id, cycle, leg, kind, venue, symbol, side, amount, value, reference_price, created_at_ms
         FROM intents WHERE ?1 >= 0 AND {condition} ORDER BY cycle, leg",
    ))?;
    let rows = statement.query_map(params![cycle], |row| {
        let text = |column: usize| row.get::<_, String>(column);
        Ok((
            [text(0)?, text(3)?, text(4)?, text(5)?, text(6)?, text(7)?, text(8)?, text(9)?],
            row.get::<_, u64>(1)?,
            row.get::<_, u32>(2)?,
            row.get::<_, i64>(10)?,
        ))
    })?;
    let mut intents = Vec::new();
    for row in rows {
        let (text, cycle, leg, created_at_ms) = row?;
        let json = serde_json::json!({ "id": text[0], "kind": text[1], "side": text[4] });
        let parse = || -> Result<Intent, String> {
            let bad = |what: &str| format!("intent {}: {what}", text[0]);
            let decimal = |value: &str| value.parse().map_err(|_| bad("not a number"));
            let id: ClientOrderId =
                serde_json::from_value(json["id"].clone()).map_err(|_| bad("no id"))?;
            Ok(Intent {
                id,
                cycle,
                leg,
                order: PlannedOrder {
                    kind: serde_json::from_value(json["kind"].clone()).map_err(|_| bad("kind"))?,
                    venue: text[2].parse().map_err(|_| bad("venue"))?,
                    symbol: text[3].parse().map_err(|_| bad("symbol"))?,
                    side: serde_json::from_value(json["side"].clone()).map_err(|_| bad("side"))?,
                    amount: keel_core::amount::Qty::new(decimal(&text[5])?),
                    value: keel_core::amount::Money::new(decimal(&text[6])?),
                },
                reference_price: keel_core::amount::Price::new(decimal(&text[7])?),
                created_at: Timestamp::from_ms(created_at_ms),
            })
        };
        match parse() {
            Ok(intent) => intents.push(intent),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(intents))
}
