//! A simulated exchange, a configuration for it, and the program.

use keel_simex::config::PriceSource;
use keel_simex::faults::Action;
use keel_simex::journal::RequestRecord;
pub use keel_simex::practice::USER_ID;
use keel_simex::prices::Place;
use keel_simex::server::Double;
use keel_simex::{Simex, SimexConfig};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No process of a test lives longer.
const LONGEST: Duration = Duration::from_secs(300);
/// So many exchanges of one test run at once.
const SIDE_BY_SIDE: usize = 75;

/// An asset of a test's portfolio.
pub struct Asset {
    pub ticker: &'static str,
    pub venue: &'static str,
    pub coingecko_id: &'static str,
    pub level: u32,
}

pub const fn asset(
    ticker: &'static str,
    venue: &'static str,
    coingecko_id: &'static str,
    level: u32,
) -> Asset {
    Asset { ticker, venue, coingecko_id, level }
}

/// Two venues, five assets.
pub const PORTFOLIO: [Asset; 5] = [
    asset("BTC", "binance", "bitcoin", 1),
    asset("ETH", "binance", "ethereum", 1),
    asset("BNB", "binance", "binancecoin", 2),
    asset("SOL", "okx", "solana", 2),
    asset("LINK", "okx", "chainlink", 2),
];

/// Where orders go: the exchange and its endpoint.
pub const ORDERS: [(&str, &str); 2] =
    [("binance", "POST /api/v3/order"), ("okx", "POST /api/v5/trade/order")];

/// An answer with this status and body.
pub fn status(code: u16, body: &str) -> Action {
    Action::Status { code, body: body.to_owned(), headers: BTreeMap::new() }
}

/// A running exchange and a directory with a configuration for it.
pub struct Bench {
    pub simex: Simex,
    pub config: Value,
    directory: TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// A world in which ETH, SOL and LINK have been rising for an hour, faster than the others, so that
/// their signals buy on both venues; then prices stand still until a test moves them.
pub fn rising() -> SimexConfig {
    let mut config = SimexConfig {
        prices: PriceSource::Files { files: candles(), end_now: true },
        ..SimexConfig::default()
    };
    // Binance publishes its limits, so that more is allowed and the cycles come faster.
    if let Some(binance) = config.venues.get_mut(&Place::Binance) {
        binance.limit_factor = 100;
    }
    config
}

/// A candle file for each asset: four flat hours, and an hour of rising.
fn candles() -> BTreeMap<String, PathBuf> {
    static FILES: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let rises = [
        ("BTC", 60_000.0, 0.0001),
        ("ETH", 3_000.0, 0.001),
        ("BNB", 550.0, 0.0001),
        ("SOL", 150.0, 0.001),
        ("LINK", 12.0, 0.001),
    ];
    let make = || {
        rises
            .iter()
            .map(|(ticker, first, rise)| {
                let mut text = String::from("timestamp,open,high,low,close,volume\n");
                let mut price: f64 = *first;
                for minute in 0..300_i64 {
                    // A little noise, so that the channel has a width.
                    let wave = 1.0 + 0.0002 * f64::from(u32::try_from(minute % 3).unwrap());
                    let (open, close) =
                        (price, price * wave * if minute < 240 { 1.0 } else { 1.0 + rise });
                    let time = 1_700_000_040_000 + minute * 60_000;
                    let (high, low) = (open.max(close), open.min(close));
                    text += &format!("{time},{open},{high},{low},{close},100\n");
                    price = if minute < 240 { *first } else { close / wave };
                }
                let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
                    .join(format!("wire-{}-{ticker}.csv", std::process::id()));
                std::fs::write(&path, text).unwrap();
                ((*ticker).to_owned(), path)
            })
            .collect()
    };
    FILES.get_or_init(make).clone()
}

impl Bench {
    pub fn new(world: SimexConfig) -> Self {
        Self::with_assets(world, &PORTFOLIO)
    }

    pub fn with_assets(world: SimexConfig, assets: &[Asset]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let simex = runtime.block_on(Simex::start(world)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = config(&simex, assets);
        let bench = Self { simex, config, directory, _runtime: runtime };
        bench.write_config();
        bench.write_strategies(assets);
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// How many requests for orders the exchanges have seen.
    pub fn orders_sent(&self) -> u64 {
        self.simex.calls(Double::Binance, ORDERS[0].1) + self.simex.calls(Double::Okx, ORDERS[1].1)
    }

    /// How often the faults of an endpoint have struck, requests that they still hold up included.
    pub fn struck(&self, endpoint: &str) -> u64 {
        self.simex.with(|world| {
            let lines = world.script.lines().filter(|(fault, _)| fault.endpoint == endpoint);
            lines.map(|(_, struck)| struck).sum()
        })
    }

    /// Lets the daemon report to the user of the exchange's chat, and obey them.
    pub fn connect_chat(&mut self) {
        self.config["telegram"] = json!({
            "enabled": true, "credentials_key": "main", "allowed_user_ids": [USER_ID],
            "api_url": self.simex.url(Double::Telegram),
        });
        self.config["telegram_credentials"] = json!({ "main": {
            "apiKey": self.simex.config().telegram_token, "chatId": USER_ID.to_string(),
        }});
        self.write_config();
    }

    /// How often a bot has forgotten what was said before its start; after that it listens.
    pub fn bots_that_listen(&self) -> usize {
        let is_greeting = |request: &&RequestRecord| {
            request.endpoint == "getUpdates" && request.parameters.contains("\"offset\":-1")
        };
        self.simex.requests().iter().filter(is_greeting).count()
    }

    /// Trades live until it is stopped.
    pub fn daemon(&self) -> Daemon {
        Daemon::quiet(&mut self.command(&["trade", "--live", "--yes"]))
    }

    /// Writes `config` to its file, readable by its owner alone.
    pub fn write_config(&self) {
        self.write(&self.config);
    }

    /// Writes another configuration in its place.
    pub fn write(&self, config: &Value) {
        let path = self.path("keel.json");
        std::fs::write(&path, serde_json::to_string_pretty(config).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Channels so narrow that signals come at once.
    fn write_strategies(&self, assets: &[Asset]) {
        std::fs::create_dir_all(self.path("strategies")).unwrap();
        for asset in assets {
            let file = self.path(&format!("strategies/{}.json", asset.ticker));
            let strategy = json!({
                "position_kc_window": 5, "position_kc_atr": 5, "position_kc_mult": 0.2,
                "trend_kc_window": 5, "trend_kc_atr": 5, "trend_kc_mult": 0.2,
            });
            std::fs::write(file, strategy.to_string()).unwrap();
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keel"));
        command
            .args(arguments)
            .args(["-c", "keel.json"])
            .current_dir(self.directory.path())
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    /// Runs live cycles under strace with these arguments.
    pub fn traced(&self, arguments: &[&str], cycles: u64) -> Output {
        let cycles = cycles.to_string();
        let plain = self.command(&["trade", "--live", "--yes", "--cycles", &cycles]);
        let mut command = Command::new("strace");
        // The last -o counts: nothing is kept unless it is asked for.
        command.args(["-qq", "-o", "/dev/null"]).args(arguments).arg(plain.get_program());
        command.args(plain.get_args()).current_dir(self.directory.path()).stdin(Stdio::null());
        finish(&mut command)
    }

    /// Trades live for so many cycles and gives what was printed.
    pub fn trade(&self, cycles: u64) -> Output {
        let cycles = cycles.to_string();
        let mut command = self.command(&["trade", "--live", "--yes", "--cycles", &cycles]);
        finish(&mut command)
    }

    pub fn traded(&self, cycles: u64) {
        let output = self.trade(cycles);
        assert!(output.status.success(), "{}", told(&output));
    }

    /// What the journal says, by an independent reader.
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let connection = rusqlite::Connection::open_with_flags(
            self.path("keel.sqlite"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )
        .unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                (0..columns)
                    .map(|column| {
                        Ok(match row.get_ref(column)? {
                            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                            rusqlite::types::ValueRef::Text(text) => {
                                String::from_utf8_lossy(text).into_owned()
                            }
                            other => format!("{other:?}"),
                        })
                    })
                    .collect()
            })
            .unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// After any trouble with orders: a process that runs for a while resolves every order, nothing
    /// was sent twice, nothing is lost.
    pub fn settles(&self) {
        self.simex.clear_faults();
        let mut slow = self.config.clone();
        slow["bot_settings"]["cycle_sleep_duration_seconds"] = 1.into();
        self.write(&slow);
        // What a kill left half done is put right by a writer, not by a reader.
        self.traded(1);
        let start = Instant::now();
        while self.unresolved() > 0 {
            assert!(start.elapsed() < Duration::from_secs(200), "never settled: {}", self.log());
            // Without the balances from before the order, absence takes six look-ups, two minutes.
            let output = self.run_for(Duration::from_secs(200), || self.unresolved() == 0);
            assert!(output.status.success(), "{}", told(&output));
        }
        self.audit();
        self.balances_agree();
    }

    /// Cycles that ended.
    pub fn cycles_done(&self) -> u64 {
        self.path("keel.sqlite")
            .exists()
            .then(|| self.try_query("SELECT COALESCE(MAX(cycle), 0) FROM cycles"))
            .flatten()
            .and_then(|rows| rows[0][0].parse().ok())
            .unwrap_or(0)
    }

    /// Orders whose outcome is not known.
    pub fn unresolved(&self) -> usize {
        let sql = "SELECT id FROM intents WHERE COALESCE((SELECT outcome FROM outcomes WHERE
             outcomes.id = intents.id ORDER BY place DESC LIMIT 1), 'unknown') = 'unknown'";
        self.try_query(sql).map_or(0, |rows| rows.len())
    }

    /// Trades live until something is so, or the time is over, and stops it by SIGTERM.
    pub fn run_for(&self, longest: Duration, mut is_so: impl FnMut() -> bool) -> Output {
        let mut command = self.command(&["trade", "--live", "--yes"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        while start.elapsed() < longest && !is_so() {
            std::thread::sleep(Duration::from_millis(500));
        }
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        child.wait_with_output().unwrap()
    }

    /// The same, or nothing while the journal cannot be read.
    pub fn try_query(&self, sql: &str) -> Option<Vec<Vec<String>>> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.query(sql))).ok()
    }

    /// What `status.json` says.
    pub fn status(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path("status.json")).unwrap()).unwrap()
    }

    /// The last decision about it is that its exchange lacks funds.
    pub fn is_short_of_funds(&self, ticker: &str) -> bool {
        let reason = self.query(&format!(
            "SELECT reason FROM decisions WHERE ticker = '{ticker}' AND cycle = (SELECT MAX(cycle)
             FROM cycles WHERE cause <> 'none')"
        ));
        reason.first().is_some_and(|row| {
            ["funds_on_other_exchange", "insufficient_funds"].contains(&row[0].as_str())
        })
    }

    /// What the daemon believes to hold is what the exchanges hold, to the last digit.
    pub fn balances_agree(&self) {
        self.traded(1);
        let state = self.query("SELECT state FROM state");
        let state: Value = serde_json::from_str(&state[0][0]).unwrap();
        for asset in self.config["portfolio_assets"].as_array().unwrap() {
            let (ticker, venue) = (asset["ticker"].as_str().unwrap(), &asset["exchange"]);
            let Some(place) = place(venue.as_str().unwrap()) else { continue };
            let known = &state["assets"][ticker]["balance"]["free"];
            assert_eq!(decimal(known), self.free(place, ticker), "{ticker} at {venue}");
            let known = &state["stablecoin"][venue.as_str().unwrap()]["free"];
            assert_eq!(decimal(known), self.free(place, "USDT"), "{venue}");
        }
    }

    /// What can be traded of an asset at an exchange, by the exchange's books.
    pub fn free(&self, place: Place, ticker: &str) -> Decimal {
        self.simex.balances(place).get(ticker).map_or(Decimal::ZERO, |held| held.free)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("logs/keel.log")).unwrap_or_default()
    }

    /// The journal's name of an exchange's order, if it has it.
    fn known(&self, venue: &str, id: &str) -> Option<String> {
        let rows = self.query(&format!(
            "SELECT intents.id FROM intents WHERE REPLACE(intents.id, '-', '') = \
             REPLACE('{id}', '-', '') AND venue = '{venue}'"
        ));
        assert!(rows.len() < 2, "{venue}: {id} is in the journal twice");
        rows.into_iter().next().map(|mut row| row.remove(0))
    }

    /// Exchanges with orders that the journal does not know.
    pub fn with_unknown_orders(&self) -> BTreeSet<String> {
        let report = self.simex.oracle();
        let unknown = report
            .venues
            .iter()
            .filter(|(venue, seen)| seen.orders.keys().any(|id| self.known(venue, id).is_none()));
        unknown.map(|(venue, _)| venue.clone()).collect()
    }

    /// Nothing was sent twice or faster than the exchange allows, its books add up, and the journal
    /// knows every order of the exchange with exactly what was executed and what it cost in fees.
    pub fn audit(&self) {
        let report = self.simex.oracle();
        assert_eq!(report.duplicates(), Vec::<&str>::new(), "sent twice");
        assert_eq!(report.faults(), Vec::<&str>::new(), "the exchange's own books");
        for (venue, seen) in &report.venues {
            for (id, executed) in &seen.executed {
                let known = self.known(venue, id);
                let known = known.unwrap_or_else(|| panic!("{venue}: {id} is not in the journal"));
                let fills = self.query(&format!("SELECT amount FROM fills WHERE id = '{known}'"));
                let booked: Decimal =
                    fills.iter().map(|row| row[0].parse::<Decimal>().unwrap()).sum();
                assert_eq!(booked, *executed, "{venue}: order {id}");
            }
            let sql = format!("SELECT fee_asset, fee_amount FROM fills WHERE venue = '{venue}'");
            let mut fees: BTreeMap<String, Decimal> = BTreeMap::new();
            for fee in self.query(&sql) {
                *fees.entry(fee[0].clone()).or_default() += fee[1].parse::<Decimal>().unwrap();
            }
            fees.retain(|_, fee| !fee.is_zero());
            let mut taken = seen.fees.clone();
            taken.retain(|_, fee| !fee.is_zero());
            assert_eq!(fees, taken, "{venue}: fees");
        }
        self.unknown_orders_kept_their_assets();
        let turned_away = |request: &&RequestRecord| matches!(request.status, 429 | 418);
        let requests = self.simex.requests();
        let turned_away: Vec<_> = requests.iter().filter(turned_away).collect();
        assert!(turned_away.is_empty(), "above the exchange's limits: {turned_away:?}");
    }

    /// While nobody knows what became of an order, nothing else is sent in its assets at its exchange;
    /// the stablecoin is not frozen.
    fn unknown_orders_kept_their_assets(&self) {
        // A cycle's orders are dated by its beginning, and so are the outcomes that it finds for
        // earlier ones.
        let orders = self.query(
            "SELECT id, venue, symbol, created_at_ms,
             COALESCE((SELECT outcome FROM outcomes WHERE outcomes.id = intents.id
                 ORDER BY place LIMIT 1), 'unknown'),
             COALESCE((SELECT MIN(at_ms) FROM outcomes WHERE outcomes.id = intents.id
                 AND outcome <> 'unknown'), 9223372036854775807)
             FROM intents ORDER BY created_at_ms, leg",
        );
        let ms = |text: &String| text.parse::<i64>().unwrap();
        for (number, order) in orders.iter().enumerate() {
            let assets: Vec<&str> = order[2].split('/').filter(|asset| *asset != "USDT").collect();
            let known_at = ms(&order[5]);
            let meanwhile =
                orders[number + 1..].iter().take_while(|later| ms(&later[3]) < known_at);
            for later in meanwhile.filter(|later| later[1] == order[1]) {
                // In its own cycle it may have ended before the next one was sent.
                let is_over = later[3] == order[3] && order[4] != "unknown";
                let shares = later[2].split('/').any(|asset| assets.contains(&asset));
                assert!(is_over || !shares, "{later:?} while {order:?} was not known");
            }
        }
    }
}

fn place(venue: &str) -> Option<Place> {
    match venue {
        "binance" => Some(Place::Binance),
        "okx" => Some(Place::Okx),
        _ => None,
    }
}

fn decimal(text: &Value) -> Decimal {
    text.as_str().unwrap().parse().unwrap()
}

/// A process that does not outlive its test.
pub struct Daemon(pub Child);

impl Daemon {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// A daemon that is watched from outside only.
    pub fn quiet(command: &mut Command) -> Self {
        Self::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Asks it to stop, which takes five seconds at most: that is promised.
    pub fn stop(mut self) -> ExitStatus {
        let start = Instant::now();
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(5), "still there after 5 s");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Trades until something is so, and is killed then, as by a power cut.
    pub fn kill_when(mut self, is_so: impl FnMut() -> bool) {
        wait_for("the moment of the kill", is_so);
        self.kill();
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether strace is there. Tests that need it skip without it, unless `KEEL_REQUIRE_STRACE` is set,
/// as `.ci/run` does.
pub fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").output().is_ok_and(|out| out.status.success());
    if !found {
        let is_required = std::env::var_os("KEEL_REQUIRE_STRACE").is_some();
        assert!(!is_required, "strace is not installed");
        eprintln!("skipped: strace is not installed");
    }
    found
}

/// Does the same with many things side by side: most of the time passes in waiting.
pub fn each<T: Sync>(things: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..things.len().min(SIDE_BY_SIDE) {
            scope.spawn(|| {
                while let Some(thing) = things.get(next.fetch_add(1, Ordering::SeqCst)) {
                    work(thing);
                }
            });
        }
    });
}

/// Waits for the end of a process, but not for ever.
pub fn finish(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(LONGEST).is_err() {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = sender.send(());
    output
}

pub fn told(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Waits until something is so.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn config(simex: &Simex, assets: &[Asset]) -> Value {
    let venues = simex.config();
    let mut exchanges = serde_json::Map::new();
    let mut credentials = serde_json::Map::new();
    for (place, venue) in &venues.venues {
        let name = format!("{place:?}").to_lowercase();
        let double = if name == "okx" { Double::Okx } else { Double::Binance };
        exchanges.insert(
            name.clone(),
            json!({ "credentials_key": name, "urls": { "api": simex.url(double) } }),
        );
        let key = &venue.keys[0];
        credentials.insert(
            name,
            json!({ "apiKey": key.key, "secret": key.secret, "password": key.passphrase }),
        );
    }
    let mut portfolio = vec![json!({ "ticker": "USDT", "level": 0, "exchange": "N/A" })];
    portfolio.extend(assets.iter().map(|asset| {
        json!({
            "ticker": asset.ticker, "level": asset.level, "exchange": asset.venue,
            "coingecko_id": asset.coingecko_id, "position_interval": 60, "trend_interval": 60,
            "strategy_file": format!("{}.json", asset.ticker), "strategy_name": "keltner_channel",
        })
    }));
    json!({
        "bot_settings": {
            "dry_run": false, "cycle_sleep_duration_seconds": 0.1, "retry_delay_seconds_network": 0.05,
            "indicator_history_size": 200, "max_indicator_history_size": 1000,
            "min_order_value_usd": 15, "rebalance_threshold_percentage": 0.01,
        },
        "paths": {
            "portfolio_strategies_dir": "strategies", "global_status_file_path": "status.json",
            "log_dir": "logs",
        },
        "limits": {
            "max_orders_per_day": 100_000, "max_turnover_per_day": 10_000, "max_orders_per_cycle": 1000,
        },
        "coingecko": { "base_url": format!("{}/api/v3", simex.url(Double::Coingecko)) },
        "exchange_configurations": exchanges,
        "exchanges_credentials": credentials,
        "portfolio_assets": portfolio,
    })
}
