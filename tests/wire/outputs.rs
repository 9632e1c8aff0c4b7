//! What leaves the process, and what must not.

use crate::support::{Bench, ORDERS, USER_ID, finish, has_strace, rising, status, told, wait_for};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use keel_simex::SimexConfig;
use keel_simex::faults::{Action, Body, Fault, When};
use keel_simex::prices::Place;
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Output;

/// Secrets that look like nothing else, with signs that encodings change.
const BINANCE_KEY: &str = "Vq8+Zt3/Lw0pXn5Yc7=Rk1Hd6Gb9Js2Mf4Ta";
const BINANCE_SECRET: &str = "b0/Qe7+Uw3Iy9=Oz5Px1Kc8Nv2Dg6Lh4RjS";
const OKX_KEY: &str = "3fa7-91Xc+Wm/5Ke=Zr8Tb2Yq6Ud0Pn4Hs";
const OKX_SECRET: &str = "C5Jt9Wx+2Bv/7Nq=Ey4Mk8Ro1Lg6Zi0Fd3";
const OKX_PASSPHRASE: &str = "h8+Sj4/Gq6=Xw2Vb0Tn";
const COINGECKO_KEY: &str = "CG-x7Kp2Rv9Lm4Qz6Wt1Yd8Ns3Bf";
const TELEGRAM_SECRET: &str = "AAGq7_Xw2-Lt9RvZ4mKc1Yp6Nb8Hd3Js0Fe";

const SECRETS: [(&str, &str); 7] = [
    ("the key of binance", BINANCE_KEY),
    ("the secret of binance", BINANCE_SECRET),
    ("the key of okx", OKX_KEY),
    ("the secret of okx", OKX_SECRET),
    ("the passphrase of okx", OKX_PASSPHRASE),
    ("the key of CoinGecko", COINGECKO_KEY),
    ("the token of Telegram", TELEGRAM_SECRET),
];

/// Length of the fragments that must not be seen.
const FRAGMENT_BYTES: usize = 8;

/// Finds fragments of the secrets in any usual encoding. Needles are kept by their first bytes.
struct Search(HashMap<[u8; FRAGMENT_BYTES], Vec<(&'static str, Vec<u8>)>>);

impl Search {
    fn new() -> Self {
        let mut search = Self(HashMap::new());
        for (name, secret) in SECRETS {
            for fragment in secret.as_bytes().windows(FRAGMENT_BYTES) {
                for needle in encodings(fragment) {
                    let start = needle[..FRAGMENT_BYTES].try_into().unwrap();
                    search.0.entry(start).or_default().push((name, needle));
                }
            }
        }
        search
    }

    /// The first leak in `bytes`: of what, and as what.
    fn leak(&self, bytes: &[u8]) -> Option<(&'static str, String)> {
        (0..bytes.len().saturating_sub(FRAGMENT_BYTES - 1)).find_map(|at| {
            let start: [u8; FRAGMENT_BYTES] = bytes[at..at + FRAGMENT_BYTES].try_into().unwrap();
            let needles = self.0.get(&start)?;
            let found = needles.iter().find(|(_, needle)| bytes[at..].starts_with(needle))?;
            Some((found.0, String::from_utf8_lossy(&found.1).into_owned()))
        })
    }
}

fn encodings(fragment: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![fragment.to_owned()];
    let (mut hex, mut percent, mut plus) = (String::new(), String::new(), String::new());
    for byte in fragment {
        let _ = write!(hex, "{byte:02x}");
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            percent.push(char::from(*byte));
            plus.push(char::from(*byte));
        } else {
            let _ = write!(percent, "%{byte:02X}");
            let _ = write!(plus, "%{byte:02x}");
        }
    }
    all.extend([hex.to_uppercase(), hex, percent, plus].map(String::into_bytes));
    // As Rust and JSON show bytes.
    let list = format!("{fragment:?}");
    all.push(list.trim_matches(['[', ']']).replace(' ', "").into_bytes());
    all.push(list.trim_matches(['[', ']']).to_owned().into_bytes());
    // Wherever it stands in a longer text: only digits that hold nothing but the fragment.
    for shift in 0..3_usize {
        let text = [&[0; 2][..shift], fragment].concat();
        let digits = (shift * 8).div_ceil(6)..text.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            all.push(engine.encode(&text)[digits.clone()].to_owned().into_bytes());
        }
    }
    all
}

/// Everything below a directory, by name.
fn files(directory: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn world() -> SimexConfig {
    let mut world = rising();
    let keys = [
        (Place::Binance, [BINANCE_KEY, BINANCE_SECRET, ""]),
        (Place::Okx, [OKX_KEY, OKX_SECRET, OKX_PASSPHRASE]),
    ];
    for (place, texts) in keys {
        let key = &mut world.venues.get_mut(&place).unwrap().keys[0];
        [key.key, key.secret, key.passphrase] = texts.map(str::to_owned);
    }
    world.telegram_token = format!("100000001:{TELEGRAM_SECRET}");
    world
}

/// A bench with every kind of output, and secrets given in each of the three ways.
fn canaries() -> Bench {
    let mut bench = Bench::new(world());
    bench.connect_chat();
    fs::write(bench.path("okx-secret"), OKX_SECRET).unwrap();
    fs::set_permissions(bench.path("okx-secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let config = &mut bench.config;
    config["exchanges_credentials"]["okx"]["secret"] = "file:okx-secret".into();
    config["coingecko"]["api_key"] = "${KEEL_TEST_COINGECKO_KEY}".into();
    config["logging"] = json!({ "level": "TRACE" });
    config["paths"]["portfolio_export_path"] = "portfolio.csv".into();
    config["paths"]["ohlcv_export_dir"] = "ohlcv".into();
    bench.write_config();
    bench
}

fn environment(command: &mut std::process::Command) {
    command.env("KEEL_TEST_COINGECKO_KEY", COINGECKO_KEY);
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
}

#[test]
fn f093_no_output_holds_a_secret() {
    let search = Search::new();
    // The search finds what it is for, however it is wrapped.
    for (name, secret) in SECRETS {
        for shift in ["", "x", "xy"] {
            let text = STANDARD_NO_PAD.encode(format!("{shift}{secret}{shift}"));
            assert_eq!(search.leak(text.as_bytes()).unwrap().0, name);
        }
        assert_eq!(search.leak(format!("{:?}", secret.as_bytes()).as_bytes()).unwrap().0, name);
        assert_eq!(search.leak(&secret.as_bytes()[9..17]).unwrap().0, name);
    }

    let bench = canaries();
    let mut printed: Vec<(String, Vec<u8>)> = Vec::new();
    let mut run = |arguments: &[&str]| -> Output {
        let mut command = bench.command(arguments);
        environment(&mut command);
        let output = finish(&mut command);
        for (kind, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            printed.push((format!("{kind} of {arguments:?}"), bytes.clone()));
        }
        output
    };
    let live = |cycles| ["trade", "--live", "--yes", "--cycles", cycles];

    // Answers to orders are lost, cut, pages, or say nothing; so are those to questions.
    let page = "<html><title>403</title>blocked</html>";
    for (double, endpoint) in ORDERS {
        for (call, action) in
            [(1, Action::Drop), (2, status(500, page)), (3, Action::Body(Body::Html))]
        {
            let fault = Fault::next(endpoint, When::After, action);
            bench.simex.fault(fault.at(double).at_call(call));
        }
    }
    assert!(run(&live("3")).status.success());
    for action in [status(401, page), status(500, page), Action::Reset, Action::Body(Body::Cut)] {
        bench.simex.fault(Fault::standing("*", When::Before, action));
        run(&live("1"));
        bench.simex.clear_faults();
    }
    // A running daemon whose keys are revoked, whose configuration is spoilt, and who is asked for
    // everything that it may tell.
    let mut command = bench.command(&["trade", "--live", "--yes"]);
    environment(&mut command);
    let before = bench.bots_that_listen();
    let files_of = |name: &str| fs::File::create(bench.path(name)).unwrap();
    let mut child = command.stdout(files_of("stdout")).stderr(files_of("stderr")).spawn().unwrap();
    wait_for("the bot", || bench.bots_that_listen() > before);
    let asked = [
        "/show_config",
        "/logs",
        "/report",
        "/status",
        "/status table",
        "/health",
        "/balance",
        "/profit",
        "/trades 50",
        "/plan",
        "/why ETH",
        "/performance",
        "/daily",
        "/reload_config",
    ];
    for question in asked {
        bench.simex.say(USER_ID, USER_ID, question);
    }
    let sent = || bench.simex.with(|world| world.telegram.sent.clone());
    let files_wanted = ["config.json", "keel.log", "trades.csv", "portfolio.csv", "status.json"];
    wait_for("the answers", || {
        let sent = sent();
        let is_there =
            |name: &&str| sent.iter().any(|sent| sent.file_name.as_deref() == Some(name));
        files_wanted.iter().all(is_there)
    });
    let good = fs::read_to_string(bench.path("keel.json")).unwrap();
    let at = good.find(BINANCE_SECRET).unwrap();
    for spoilt in [
        good.replace("\"secret\"", "\"secrets\""),
        good.replace("\"apiKey\"", "\"api_key\""),
        good.replace("http://", &format!("http://{BINANCE_KEY}:{BINANCE_SECRET}@")),
        good[..at + 12].to_owned(),
    ] {
        let rejected = bench.log().matches("the last good one stays").count();
        fs::write(bench.path("keel.json"), &spoilt).unwrap();
        wait_for("the refusal", || {
            bench.log().matches("the last good one stays").count() > rejected
        });
        run(&["check"]);
    }
    fs::write(bench.path("keel.json"), &good).unwrap();
    bench.simex.set_revoked(Place::Binance, true);
    bench.simex.set_revoked(Place::Okx, true);
    assert!(bench.simex.deposit(Place::Binance, "USDT", 500.into()));
    wait_for("the refusals", || bench.log().contains("the API key is rejected"));
    std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    child.wait().unwrap();
    run(&live("1"));
    run(&["doctor"]);
    for place in [Place::Binance, Place::Okx] {
        bench.simex.set_revoked(place, false);
    }
    for arguments in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["config", "show"],
        &["config", "show", "--json"],
        &["check"],
        &["status"],
        &["trades"],
        &["why", "ETH"],
        &["trade", "--live", "--yes", "--cycles", "x"],
    ] {
        run(arguments);
    }

    let mut outputs = printed;
    files(&bench.path(""), &mut outputs);
    outputs.retain(|(name, _)| !name.ends_with("keel.json") && !name.ends_with("okx-secret"));
    outputs.extend(sent().iter().map(|sent| {
        (format!("chat: {} {}", sent.method, sent.text), format!("{sent:?}").into_bytes())
    }));
    for name in ["keel.log", "status.json", "portfolio.csv", "keel.sqlite", "stderr"] {
        assert!(
            outputs.iter().any(|(path, bytes)| path.ends_with(name) && !bytes.is_empty()),
            "{name}"
        );
    }
    assert!(bench.log().contains("TRACE") || bench.log().contains("DEBUG"));
    for (name, bytes) in &outputs {
        let leak = search.leak(bytes);
        assert!(leak.is_none(), "{name}: {leak:?}");
    }
}

/// The system refuses another thread, which a look-up of a name needs: the process panics, ends, and
/// its backtrace is harmless.
#[test]
fn f093_f107_a_panic_ends_the_process_and_shows_no_secret() {
    if !has_strace() {
        return;
    }
    let mut bench = canaries();
    let url = bench.config["exchange_configurations"]["binance"]["urls"]["api"].as_str().unwrap();
    let named = url.replace("127.0.0.1", "localhost");
    bench.config["exchange_configurations"]["binance"]["urls"]["api"] = named.into();
    bench.write_config();
    let search = Search::new();
    let key = format!("KEEL_TEST_COINGECKO_KEY={COINGECKO_KEY}");
    // Some threads are there from the start; without those there is an error, and no panic.
    let panics = (1..=4).filter(|count| {
        let rule = format!("inject=clone,clone3:error=EAGAIN:when={count}+");
        let rules = ["-E", &key, "-E", "RUST_BACKTRACE=full", "-e", &rule];
        let output = bench.traced(&rules, 1);
        let words = told(&output);
        assert_eq!(search.leak(words.as_bytes()), None);
        assert_eq!(search.leak(bench.log().as_bytes()), None);
        let is_panic = words.contains("panicked");
        assert_eq!(output.status.code() == Some(101), is_panic, "{words}");
        is_panic
    });
    assert!(panics.count() > 0);
}

#[test]
fn f101_keys_that_others_can_read_are_refused() {
    let secret_file = |bench: &mut Bench| {
        fs::write(bench.path("secret"), OKX_SECRET).unwrap();
        fs::set_permissions(bench.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        bench.config["exchanges_credentials"]["okx"]["secret"] = "file:secret".into();
        bench.write_config();
    };
    let open = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    type Spoil<'a> = &'a dyn Fn(&mut Bench);
    let cases: [(&str, Spoil<'_>); 3] = [
        ("chmod 600", &|bench| open(&bench.path("keel.json"))),
        ("chmod 600", &|bench| {
            secret_file(bench);
            open(&bench.path("secret"));
        }),
        ("symbolic link", &|bench| {
            secret_file(bench);
            fs::rename(bench.path("secret"), bench.path("elsewhere")).unwrap();
            symlink("elsewhere", bench.path("secret")).unwrap();
        }),
    ];
    for (words, spoil) in cases {
        let mut bench = Bench::new(world());
        spoil(&mut bench);
        let output = bench.trade(1);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(words), "{}", told(&output));
        assert_eq!(Search::new().leak(told(&output).as_bytes()), None);
        assert!(!bench.path("keel.sqlite").exists());
        assert_eq!(bench.simex.requests().len(), 0);
    }
}

#[test]
fn f101_a_running_process_leaves_no_core_and_shows_no_secret_to_other_processes() {
    let bench = Bench::new(world());
    let daemon = bench.daemon();
    wait_for("a cycle", || bench.path("status.json").exists());
    let read = |name: &str| fs::read(format!("/proc/{}/{name}", daemon.0.id())).unwrap();
    let limits = String::from_utf8(read("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(Search::new().leak(&read("cmdline")), None);
    // No file that it made can be read by others.
    for name in ["keel.sqlite", "keel.sqlite-wal", "status.json", "logs/keel.log"] {
        let mode = fs::metadata(bench.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
    daemon.stop();
}

/// Nobody else can look into the process from before it knows a key.
#[test]
fn f101_the_process_cannot_be_dumped_before_it_reads_its_keys() {
    if !has_strace() {
        return;
    }
    let bench = Bench::new(world());
    let trace = bench.path("trace").display().to_string();
    let output = bench.traced(&["-e", "trace=prctl,openat", "-o", &trace], 1);
    assert!(output.status.success(), "{}", told(&output));
    let calls = fs::read_to_string(&trace).unwrap();
    let place = |what: &str| calls.find(what).unwrap_or_else(|| panic!("{what}: {calls}"));
    assert!(place("PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0") < place("keel.json"));
}
