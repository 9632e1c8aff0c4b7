//! Mistakes, and what is said about them.

use crate::support::{Desk, SEED_SHAPED, edited};
use keel_config::{ProblemKind, load, load_for_trading, load_for_venues};
use keel_core::time::Timeframe;
use proptest::prelude::*;

const TEN_MISTAKES: &str = r#"{
  "bot_settings": {
    "dry_rum": true,
    "cycle_sleep_duration_seconds": "60",
    "rebalance_threshold_percentage": 1.5,
    "indicator_history_size": 1000,
    "indicator_history_size": 2000
  },
  "paths": { "global_status_file_path": "DIR/status.json" },
  "exchange_configurations": { "binance": { "credentials_key": "binanc" } },
  "exchanges_credentials": { "binance": { "apiKey": "${KEY}", "secret": "${SECRET}" } },
  "portfolio_asset": [],
  "portfolio_assets": [
    { "ticker": "USDT", "level": 0, "exchange": "N/A" },
    { "ticker": "BTC", "level": 1, "exchange": "binanse", "coingecko_id": "bitcoin",
      "position_interval": "1h", "trend_interval": 14401,
      "strategy_file": "../BTC.json", "strategy_name": "keltner" }
  ]
}
"#;

#[test]
fn every_mistake_is_told_in_one_run() {
    insta::assert_snapshot!(Desk::new().problems(TEN_MISTAKES));
}

#[test]
fn problems_for_programs_have_the_same_facts() {
    let desk = Desk::new();
    let errors = desk.load(TEN_MISTAKES).unwrap_err();
    let first = serde_json::to_value(&errors.problems()[0]).unwrap();
    assert_eq!(first["path"], "bot_settings.dry_rum");
    assert_eq!((&first["line"], &first["column"]), (&3.into(), &5.into()));
    assert_eq!((&first["kind"], &first["suggestion"]), (&"unknown_key".into(), &"dry_run".into()));
    assert!(errors.problems().is_sorted_by_key(|problem| (problem.line, problem.column)));
}

#[test]
fn rules_between_values_are_checked() {
    let desk = Desk::new();
    for (from, to, expected) in [
        ("\"level\": 1.0", "\"level\": 0", "portfolio_assets: no tradable asset"),
        ("\"ticker\": \"USDC\"", "\"ticker\": \"btc\"", "\"btc\" again, after portfolio_assets[1]"),
        ("\"exchange\": \"binance\", ", "", "portfolio_assets[1].exchange: missing key"),
        ("\"exchange\": \"binance\"", "\"exchange\": \"N/A\"", "\"N/A\" on a tradable asset"),
        ("\"exchange\": \"binance\"", "\"exchange\": \"okx\"", "\"okx\" is not in exchange_config"),
        ("\"position_interval\": 3600", "\"position_interval\": 0", "0 on a tradable asset"),
        (
            "\"position_interval\": 3600",
            "\"position_interval\": 61",
            "61; expected a bar length in seconds: 60 (1m), 180 (3m), 300 (5m), 900 (15m), 1800 (30m), 3600 (1h), 7200 (2h), 14400 (4h), 21600 (6h), 28800 (8h), 43200 (12h), 86400 (1d), 604800 (1w)",
        ),
        ("\"coingecko_id\": \"bitcoin\"", "\"coingecko_id\": null", "coingecko_id: missing key"),
        (
            "\"credentials_key\": \"binance_main\"",
            "\"credentials_key\": \"binance_man\"",
            "did you mean binance_main?",
        ),
        (
            "\"enabled\": false, \"credentials_key\": \"bot\"",
            "\"enabled\": true",
            "missing key, although Telegram is enabled",
        ),
        (
            "\"credentials_key\": \"bot\"",
            "\"allowed_user_ids\": [12, -3]",
            "-3; expected an array of user numbers such as [123456789]",
        ),
        (
            "\"credentials_key\": \"bot\"",
            "\"allowed_user_ids\": [\"@owner\"]",
            "expected an array of user numbers such as [123456789]",
        ),
        (
            "\"credentials_key\": \"bot\"",
            "\"notification_settings\": { \"fills\": \"on\" }",
            "telegram.notification_settings.fills: unknown event; did you mean fill?",
        ),
        (
            "\"credentials_key\": \"bot\"",
            "\"notification_settings\": { \"fill\": \"silence\" }",
            "\"silence\"; expected one of on, silent, off; did you mean silent?",
        ),
        (
            "\"credentials_key\": \"bot\"",
            "\"api_url\": \"http://user:pass@127.0.0.1\"",
            "expected an http or https URL without user name, password and query",
        ),
        (
            "\"dry_run\": true",
            "\"indicator_history_size\": 6000",
            "6000; expected at most max_indicator_history_size, which is 5000",
        ),
        (
            "\"dry_run\": true",
            "\"cycle_sleep_duration_seconds\": 5",
            "mean the same; expected one of them",
        ),
        (
            "\"dry_run\": true",
            "\"dry_run\": \"false\"",
            "a string \"false\"; expected true or false; did you mean false?",
        ),
        ("\"dry_run\": true", "\"dry_run\": 1", "a number 1; expected true or false"),
        ("\"dry_run\": true", "\"dry_run\": null", "null; expected true or false"),
        (
            "\"max_retries_network\": 3.0",
            "\"max_retries_network\": 3.5",
            "3.5; expected a whole number, 0 to 100",
        ),
        ("0.995", "0", "0; expected a number above 0 and at most 1"),
        ("\"level\": \"info\"", "\"level\": \"inof\"", "did you mean INFO?"),
        (
            "\"ccxt\": \"WARNING\"",
            "\"ccxt\": 3",
            "logging.external_lib_levels.ccxt: 3; expected one of",
        ),
        (
            "\"strategy_file\": \"BTC_strategy.json\"",
            "\"strategy_file\": \"..%2fBTC.json\"",
            "a plain file name",
        ),
        (
            "\"binance\": {",
            "\"Kraken\": {}, \"binance\": {",
            "exchange_configurations.Kraken: \"Kraken\"; expected the id of an exchange in lowercase letters, digits, `-` and `_`; did you mean kraken?",
        ),
        ("\"log_filename\"", "\"dry_run\"", "unknown key; did you mean bot_settings.dry_run?"),
        (
            "\"telegram\":",
            "\"paper\": { \"initial_balances\": { \"binance\": { \"BTX\": 1 } } }, \"telegram\":",
            "paper.initial_balances.binance.BTX: \"BTX\" is not in portfolio_assets",
        ),
        (
            "\"telegram\":",
            "\"paper\": { \"initial_balances\": { \"binance\": { \"BTC\": -1 } } }, \"telegram\":",
            "-1; expected an amount of at least 0",
        ),
        (
            "\"sandbox\": false,",
            "\"urls\": { \"rest\": \"https://me:pw@host\" },",
            "urls.rest: a string; expected an http",
        ),
        (
            "{ \"adjustForTimeDifference\": true }",
            "{ \"a\": 1, \"a\": 2 }",
            "options.a: duplicate key",
        ),
    ] {
        let shown = desk.problems(&edited(from, to));
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(shown.contains(expected), "{shown}\nshould contain\n{expected}");
    }
}

#[test]
fn a_portfolio_needs_a_stablecoin_and_its_sections() {
    let desk = Desk::new();
    let no_stablecoin = SEED_SHAPED.replace("\"level\": 0", "\"level\": 2");
    assert!(desk.problems(&no_stablecoin).contains("no stablecoin"));
    let shown = desk.problems("{}");
    for section in ["bot_settings", "paths", "portfolio_assets"] {
        assert!(shown.contains(&format!("{section}: missing section")), "{shown}");
    }
    assert_eq!(shown.lines().count(), 3, "{shown}");
}

#[test]
fn files_that_cannot_be_read_say_what_to_do() {
    let desk = Desk::new();
    let errors = load(&desk.path("none.json"), &|_| None).unwrap_err();
    assert!(desk.shown(&errors).contains("keel config new DIR/none.json"), "{errors}");
    assert_eq!(errors.problems()[0].kind, ProblemKind::File);
    let errors = load(&desk.path(""), &|_| None).unwrap_err();
    assert!(errors.to_string().contains("is a directory"), "{errors}");
    let large = format!("{SEED_SHAPED}{}", " ".repeat(1024 * 1024));
    assert!(desk.problems(&large).contains("larger than 1048576 bytes"));
}

#[test]
fn exchanges_that_the_program_does_not_have_are_refused() {
    let desk = Desk::new();
    let path = desk.write("config.json", SEED_SHAPED);
    let errors = load_for_venues(&path, &|_| None, &["binanceus", "okx"]).unwrap_err();
    assert!(errors.to_string().contains("is not a supported exchange"), "{errors}");
    assert!(errors.to_string().contains("did you mean binanceus?"), "{errors}");
    assert!(load_for_venues(&path, &|_| None, &["binance"]).is_ok());
}

#[test]
fn intervals_whose_candles_an_exchange_does_not_have_are_refused_for_trading_only() {
    let desk = Desk::new();
    let bars = |venue: &str| {
        let names = match venue {
            "binance" => "1m 1h 4h 8h 1d 1w",
            "okx" => "1h 4h 1d 1w",
            "kraken" => "1h 4h 1d",
            _ => return None,
        };
        names.split(' ').map(|name| name.parse().ok()).collect::<Option<Vec<Timeframe>>>()
    };
    let eth = |venue: &str, position: u32, trend: u32| {
        let asset = format!(
            r#"{{ "ticker": "ETH", "level": 1, "exchange": "{venue}", "coingecko_id": "ethereum",
            "position_interval": {position}, "trend_interval": {trend},
            "strategy_file": "ETH.json", "strategy_name": "keltner_channel" }},
            {{ "ticker": "USDC", "level": 0 }}"#
        );
        edited("{ \"ticker\": \"USDC\", \"level\": 0 }", &asset).replacen(
            "\"binance\": {",
            &format!("\"{venue}\": {{}}, \"binance\": {{"),
            1,
        )
    };
    let told = |text: &str| {
        let path = desk.write("config.json", text);
        load(&path, &|_| None).unwrap();
        load_for_trading(&path, &|_| None, &bars).map_or_else(|e| desk.shown(&e), |_| String::new())
    };
    assert_eq!(told(SEED_SHAPED), "");
    assert_eq!(told(&eth("okx", 3600, 604_800)), "");
    assert_eq!(told(&eth("elsewhere", 180, 14_400)), "", "nobody knows what it has");
    let position = told(&eth("okx", 28_800, 14_400));
    assert!(position.starts_with("DIR/config.json:"), "{position}");
    assert!(
        position.ends_with(
            ": portfolio_assets[2].position_interval: 28800 (8h), and okx has no such candles; \
             expected one that okx has: 3600 (1h), 14400 (4h), 86400 (1d), 604800 (1w)"
        ),
        "{position}"
    );
    // The trend of the one needs the candles of the other.
    let weekly = eth("kraken", 3600, 14_400).replacen("14400.0", "604800", 1);
    let trend = told(&weekly);
    assert!(
        trend.ends_with(
            ": portfolio_assets[1].trend_interval: 604800 (1w), and kraken has no such candles of \
             ETH: a trend needs those of all tradable assets; expected one that all their \
             exchanges have: 3600 (1h), 14400 (4h), 86400 (1d)"
        ),
        "{trend}"
    );
    assert_eq!(trend.lines().count(), 1, "{trend}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damaged_files_never_panic_and_never_turn_live(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        printable in any::<bool>(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let desk = Desk::new();
        let mut bytes = SEED_SHAPED.replace("DIR", &desk.path("").display().to_string()).into_bytes();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = if printable { 32 + byte % 95 } else { byte };
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let path = desk.path("config.json");
        std::fs::write(&path, bytes).unwrap();
        if let Ok(config) = load(&path, &|_| None) {
            prop_assert!(config.bot.dry_run);
        }
    }
}
