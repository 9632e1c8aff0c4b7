//! `keel doctor` against exchanges, CoinGecko and Telegram with one thing wrong at a time.

use crate::support::{Bench, each, finish, rising, status, told};
use keel_simex::SimexConfig;
use keel_simex::config::KeyConfig;
use keel_simex::faults::{Fault, When};
use keel_simex::prices::Place;
use keel_simex::rules::MarketStatus;
use serde_json::Value;

/// Something wrong, and what the doctor says about it.
struct Case {
    world: fn(&mut SimexConfig),
    spoil: fn(&mut Bench),
    code: i32,
    severity: &'static str,
    area: &'static str,
    words: &'static str,
}

/// A case in which only the bench is spoilt.
const fn case(
    spoil: fn(&mut Bench),
    code: i32,
    severity: &'static str,
    area: &'static str,
    words: &'static str,
) -> Case {
    Case { world: |_| {}, spoil, code, severity, area, words }
}

fn key(bench: &Bench, place: Place, change: fn(&mut KeyConfig)) {
    bench.simex.with(|world| {
        world.venues.get_mut(&place).unwrap().keys.values_mut().for_each(change);
    });
}

const CASES: &[Case] = &[
    case(|_| {}, 0, "ok", "exchanges", "smallest order 5 USDT"),
    case(|_| {}, 0, "ok", "telegram", "commands are on"),
    case(|_| {}, 0, "ok", "market caps", "caps of all 5 ids, and their prices agree"),
    case(
        |bench| bench.simex.set_skew(Place::Okx, 3_000),
        0,
        "note",
        "exchanges",
        "Keel allows for it, but look at NTP",
    ),
    case(
        |bench| bench.simex.set_skew(Place::Binance, -90_000),
        7,
        "problem",
        "exchanges",
        "set the clock of this computer",
    ),
    Case {
        world: |world| {
            let venue = world.venues.get_mut(&Place::Okx).unwrap();
            venue.markets.retain(|market| market != "LINK/USDT");
        },
        ..case(|_| {}, 7, "problem", "exchanges", "okx has no such market")
    },
    case(
        |bench| {
            assert!(bench.simex.set_market(Place::Binance, "BNB/USDT", MarketStatus::Halted));
        },
        0,
        "note",
        "exchanges",
        "takes no orders there now",
    ),
    Case {
        world: |world| {
            world.venues.get_mut(&Place::Binance).unwrap().min_notional = 400.into();
        },
        ..case(|_| {}, 0, "note", "exchanges", "smallest order 400 USDT: more than min_order")
    },
    case(
        |bench| bench.simex.set_withdraw_right(Place::Binance, true),
        7,
        "problem",
        "keys",
        "can withdraw or transfer funds",
    ),
    case(
        |bench| key(bench, Place::Okx, |key| key.trade = false),
        7,
        "problem",
        "keys",
        "cannot trade",
    ),
    case(
        |bench| bench.simex.set_revoked(Place::Okx, true),
        7,
        "problem",
        "keys",
        "the rights of its key could not be read",
    ),
    case(
        |bench| key(bench, Place::Okx, |key| key.address_bound = false),
        0,
        "note",
        "keys",
        "bind it to this computer's",
    ),
    case(
        |bench| {
            bench.simex.fault(Fault::standing("*", When::Before, status(503, "")).at("okx"));
        },
        7,
        "problem",
        "exchanges",
        "its time could not be read",
    ),
    case(
        |bench| {
            bench.config["portfolio_assets"][1]["coingecko_id"] = "no-such-coin".into();
            bench.write_config();
        },
        7,
        "problem",
        "market caps",
        "no market cap for the id no-such-coin",
    ),
    case(
        |bench| {
            bench.config["portfolio_assets"][1]["coingecko_id"] = "ethereum".into();
            bench.write_config();
        },
        7,
        "problem",
        "market caps",
        "the id is that of another coin",
    ),
    case(
        |bench| {
            bench.simex.fault(Fault::standing("*", When::Before, status(429, "")).at("coingecko"));
        },
        7,
        "problem",
        "market caps",
        "CoinGecko",
    ),
    case(
        |bench| {
            let other = "100000001:another-telegram-token-0000000000000".into();
            bench.config["telegram_credentials"]["main"]["apiKey"] = other;
            bench.write_config();
        },
        7,
        "problem",
        "telegram",
        "token",
    ),
    case(
        |bench| {
            let words =
                r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#;
            let fault = Fault::standing("getChat", When::Before, status(400, words));
            bench.simex.fault(fault.at("telegram"));
        },
        7,
        "problem",
        "telegram",
        "cannot write to the chat",
    ),
    case(
        |bench| {
            let words = r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#;
            let fault = Fault::standing("sendChatAction", When::Before, status(403, words));
            bench.simex.fault(fault.at("telegram"));
        },
        7,
        "problem",
        "telegram",
        "bot was blocked by the user",
    ),
    case(
        |bench| {
            bench.simex.with(|world| world.telegram.webhook = Some("https://elsewhere".to_owned()));
        },
        7,
        "problem",
        "telegram",
        "a webhook is set",
    ),
    case(
        |bench| {
            // A file system without any room.
            bench.config["paths"]["journal_path"] = "/proc/keel/keel.sqlite".into();
            bench.write_config();
        },
        7,
        "problem",
        "disk",
        "0 MiB free for the journal",
    ),
];

#[test]
fn the_doctor_finds_what_keeps_from_trading_and_sends_nothing() {
    each(CASES, |case| {
        let mut world = rising();
        (case.world)(&mut world);
        let mut bench = Bench::new(world);
        bench.connect_chat();
        (case.spoil)(&mut bench);
        let output = finish(&mut bench.command(&["doctor", "--json"]));
        assert_eq!(output.status.code(), Some(case.code), "{}: {}", case.words, told(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_it = |finding: &&Value| {
            finding["severity"] == case.severity
                && finding["area"] == case.area
                && format!("{} {}", finding["subject"], finding["text"]).contains(case.words)
        };
        let findings = report["findings"].as_array().unwrap();
        assert!(findings.iter().any(|finding| is_it(&finding)), "{}: {report:#}", case.words);
        let problems = findings.iter().filter(|finding| finding["severity"] == "problem").count();
        assert_eq!(problems == 0, case.code == 0, "{report:#}");
        assert_eq!(bench.orders_sent(), 0);
        // For people it says the same.
        let output = finish(&mut bench.command(&["doctor"]));
        assert_eq!(output.status.code(), Some(case.code));
        let words = case.words.split(':').next().unwrap();
        assert!(told(&output).contains(words), "{}", told(&output));
    });
}
