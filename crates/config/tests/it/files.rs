//! What good files mean: the policy, strategy files, reloading, the files that are shipped.

use crate::support::{Desk, SEED_SHAPED, edited};
use keel_config::{
    IfMissing, LogLevel, ReloadOutcome, Reloader, effective, load, read_strategy, starter,
    write_missing_strategies, write_strategy,
};
use keel_core::strategy::Params;
use keel_core::time::Timeframe;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) fn shipped() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../portfolio/configs");
    ["portfolio_config.json", "live.example.json", "replay.example.json"]
        .map(|name| dir.join(name))
        .into()
}

#[test]
fn a_file_of_the_python_program_loads_unchanged() {
    let desk = Desk::new();
    let config = desk.load(SEED_SHAPED).unwrap();
    let policy = &config.policy;
    assert_eq!(policy.stablecoin.as_str(), "USDT");
    assert_eq!(policy.parked.len(), 1);
    let [btc] = policy.assets.as_slice() else { panic!("one tradable asset") };
    assert_eq!((btc.ticker.as_str(), btc.venue.as_str(), btc.level), ("BTC", "binance", 1));
    assert_eq!((btc.position_interval, btc.trend_interval), (Timeframe::H1, Timeframe::H4));
    assert_eq!(btc.trend_params, Params::new(vec![20.0, 10.0, 2.0]));
    // Exactly what was typed, which is not what an f64 would hold.
    assert_eq!(policy.settings.min_order_value.get(), Decimal::new(125, 1));
    assert_eq!(policy.settings.balance_adjustment_factor_buy, Decimal::new(995, 3));
    assert_eq!(config.bot.initial_stablecoin_balance.get().to_string(), "1000.10");
    assert_eq!(config.bot.cycle_sleep, Duration::from_secs(60));
    assert_eq!(config.bot.max_retries_network, 3);
    assert_eq!(config.logging.level, LogLevel::Info);
    assert_eq!(config.paths.journal, desk.path("state/keel.sqlite"));
}

#[test]
fn what_is_absent_has_the_default_of_the_specification() {
    let minimal = r#"{
        "bot_settings": {},
        "paths": { "portfolio_strategies_dir": "DIR", "global_status_file_path": "status.json" },
        "exchange_configurations": { "okx": {} },
        "portfolio_assets": [
            { "ticker": "USDT", "level": 0 },
            { "ticker": "BTC", "level": 1, "exchange": "okx", "coingecko_id": "bitcoin",
              "position_interval": 900, "trend_interval": 3600,
              "strategy_file": "b.json", "strategy_name": "keltner_channel" }
        ]
    }"#;
    let config = Desk::new().load(minimal).unwrap();
    assert_eq!(config.policy.settings, keel_core::policy::Settings::default());
    assert!(config.bot.dry_run);
    assert_eq!(config.paths.journal, Path::new("keel.sqlite"));
    assert_eq!(config.paper.max_volume_share, Decimal::new(25, 2));
    let shown = effective(&config);
    assert_eq!(shown["paper"]["fee_bps"], 10);
    assert_eq!(shown["bot_settings"]["dry_run"], true);
    assert_eq!(shown["paths"]["journal_path"], "keel.sqlite");
}

#[test]
fn the_shipped_files_and_the_starter_load() {
    for path in shipped() {
        let config = load(&path, &|_| Some("set".to_owned()));
        // The live example keeps keys in files that a checkout does not have.
        if path.ends_with("live.example.json") {
            let errors = config.unwrap_err();
            assert!(
                errors.problems().iter().all(|p| p.seen.contains("./secrets/okx_")),
                "{errors}"
            );
            continue;
        }
        let config = config.unwrap();
        assert!(config.bot.dry_run, "{}", path.display());
    }
    let config = Desk::new().load(&starter()).unwrap();
    assert!(config.bot.dry_run);
}

#[test]
fn loading_writes_nothing_and_missing_strategies_are_written_on_request() {
    let desk = Desk::new();
    let config = desk.load(SEED_SHAPED).unwrap();
    assert!(!desk.path("strategies").exists());
    let written = write_missing_strategies(&config).unwrap();
    assert_eq!(
        written,
        [desk.path("strategies/USDT_strategy.json"), desk.path("strategies/BTC_strategy.json")]
    );
    let text = std::fs::read_to_string(&written[1]).unwrap();
    insta::assert_snapshot!(text, @r#"
    {
      "position_kc_atr": 10,
      "position_kc_mult": 2,
      "position_kc_window": 20,
      "trend_kc_atr": 10,
      "trend_kc_mult": 2,
      "trend_kc_window": 20
    }
    "#);
    let again = desk.load(SEED_SHAPED).unwrap();
    assert!(again.strategy_files.iter().all(|file| !file.is_missing));
    assert!(write_missing_strategies(&again).unwrap().is_empty());
    let names: Vec<_> = std::fs::read_dir(desk.path("strategies")).unwrap().collect();
    assert_eq!(names.len(), 2, "no temporary file stays");
}

#[test]
fn strategy_files_are_checked_key_by_key() {
    let desk = Desk::new();
    let bad = r#"{
  "position_kc_windw": 20,
  "position_kc_atr": 0,
  "position_kc_mult": "2",
  "trend_kc_window": 20.5,
  "trend_kc_atr": 10.0,
  "trend_kc_mult": 0.0,
  "trend_kc_mult": 2.0
}"#;
    desk.write("strategies/BTC_strategy.json", bad);
    insta::assert_snapshot!(desk.problems(SEED_SHAPED));
}

#[test]
fn strategy_values_survive_a_round_trip() {
    let desk = Desk::new();
    let config = desk.load(SEED_SHAPED).unwrap();
    let file = &config.strategy_files[1];
    let mut values: BTreeMap<String, f64> = file.strategy.default_file(false);
    values.insert("position_kc_mult".to_owned(), 2.300_000_000_000_000_3);
    values.insert("position_kc_window".to_owned(), 35.0);
    write_strategy(&file.path, &values).unwrap();
    let read = read_strategy(file, IfMissing::UseDefaults).unwrap();
    assert_eq!(read.position, Params::new(vec![35.0, 10.0, 2.300_000_000_000_000_3]));
    assert!(std::fs::read_to_string(&file.path).unwrap().contains("\"position_kc_window\": 35,"));
    values.insert("position_kc_mult".to_owned(), f64::NAN);
    assert!(write_strategy(&file.path, &values).is_err());
    assert_eq!(read_strategy(file, IfMissing::UseDefaults).unwrap(), read, "the old file stays");
}

#[test]
fn zeros_belong_to_stablecoins_only() {
    let desk = Desk::new();
    let zeros = keel_core::strategy::STRATEGIES[0].default_file(true);
    write_strategy(&desk.path("strategies/USDT_strategy.json"), &zeros).unwrap();
    assert!(desk.load(SEED_SHAPED).is_ok());
    write_strategy(&desk.path("strategies/BTC_strategy.json"), &zeros).unwrap();
    assert_eq!(desk.load(SEED_SHAPED).unwrap_err().problems().len(), 6);
}

#[test]
fn a_bad_edit_keeps_the_last_good_configuration_and_is_told_once() {
    let desk = Desk::new();
    let mut reloader = Reloader::new(desk.load(SEED_SHAPED).unwrap());
    let comment = edited("// Written", "// Still written");
    assert_eq!(reloader.offer(desk.load(&comment)), ReloadOutcome::Unchanged);
    let told = |outcome| match outcome {
        ReloadOutcome::KeptLastGood { first_time, .. } => first_time,
        other => panic!("{other:?}"),
    };
    let typo = edited("\"dry_run\"", "\"dry_rum\"");
    assert!(told(reloader.offer(desk.load(&typo))));
    assert!(!told(reloader.offer(desk.load(&typo))));
    assert!(told(reloader.offer(desk.load("{"))), "another mistake is news");
    assert!(reloader.current().bot.dry_run);
    assert_eq!(reloader.offer(desk.load(&comment)), ReloadOutcome::RightAgain);
    assert_eq!(reloader.offer(desk.load(&comment)), ReloadOutcome::Unchanged);
    assert!(told(reloader.offer(desk.load(&typo))));
    let paths = vec!["bot_settings.min_order_value_usd".to_owned()];
    let larger = desk.load(&edited("12.50", "20"));
    assert_eq!(reloader.offer(larger), ReloadOutcome::Changed { paths, waiting: Vec::new() });
    assert_eq!(reloader.current().policy.settings.min_order_value.get(), Decimal::from(20));
    assert!(told(reloader.offer(desk.load(&typo))), "after a good file, it is news again");
}

#[test]
fn a_changed_strategy_file_is_a_change() {
    let desk = Desk::new();
    let mut reloader = Reloader::new(desk.load(SEED_SHAPED).unwrap());
    let mut values = keel_core::strategy::STRATEGIES[0].default_file(false);
    values.insert("trend_kc_window".to_owned(), 50.0);
    write_strategy(&desk.path("strategies/BTC_strategy.json"), &values).unwrap();
    let path = desk.path("strategies/BTC_strategy.json").display().to_string();
    let outcome = reloader.offer(desk.load(SEED_SHAPED));
    assert_eq!(outcome, ReloadOutcome::Changed { paths: vec![path], waiting: Vec::new() });
}

#[test]
fn writing_the_missing_strategy_files_changes_nothing() {
    let desk = Desk::new();
    let mut reloader = Reloader::new(desk.load(SEED_SHAPED).unwrap());
    write_missing_strategies(reloader.current()).unwrap();
    assert_eq!(reloader.offer(desk.load(SEED_SHAPED)), ReloadOutcome::Unchanged);
    assert!(reloader.current().strategy_files.iter().all(|file| !file.is_missing));
}

#[test]
fn what_only_a_start_reads_waits_for_the_next_one() {
    let desk = Desk::new();
    let first = SEED_SHAPED.to_owned();
    let mut reloader = Reloader::new(desk.load(&first).unwrap());
    let running = reloader.current().clone();
    let waits = |keys: &[&str]| ReloadOutcome::Changed {
        paths: Vec::new(),
        waiting: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    for (from, to, key) in [
        ("\"sandbox\": false", "\"sandbox\": true", "exchange_configurations.binance.sandbox"),
        ("DIR/state/status.json", "DIR/status.json", "paths.global_status_file_path"),
        ("\"level\": \"info\"", "\"level\": \"debug\"", "logging.level"),
        ("1000.10", "2000", "bot_settings.initial_stablecoin_balance"),
        (
            "\"credentials_key\": \"bot\"",
            "\"credentials_key\": \"other\"",
            "telegram.credentials_key",
        ),
    ] {
        assert!(first.contains(from), "{from}");
        let mut keys = vec![key];
        if key.starts_with("paths.") {
            // The journal and the archive of caps are beside the status file.
            keys.extend(["paths.journal_path", "coingecko"]);
        }
        let edit = first.replacen(from, to, 1);
        assert_eq!(reloader.offer(desk.load(&edit)), waits(&keys));
        assert_eq!(reloader.offer(desk.load(&edit)), ReloadOutcome::Unchanged, "told once");
        assert_eq!(*reloader.current(), running);
        assert_eq!(reloader.offer(desk.load(&first)), waits(&[]), "changed back");
    }
    let both = first.replacen("DIR/logs", "DIR/other", 1).replacen("12.50", "20", 1);
    let paths = vec!["bot_settings.min_order_value_usd".to_owned()];
    let waiting = vec!["paths.log_dir".to_owned()];
    assert_eq!(reloader.offer(desk.load(&both)), ReloadOutcome::Changed { paths, waiting });
    assert_eq!(reloader.current().paths, running.paths);
    assert_eq!(effective(reloader.current())["paths"], effective(&running)["paths"]);
    assert_eq!(effective(reloader.current())["bot_settings"]["min_order_value_usd"], 20);
}

#[test]
fn another_primary_stablecoin_waits_for_the_next_start_and_the_rest_of_the_edit_with_it() {
    let desk = Desk::new();
    let first = SEED_SHAPED.to_owned();
    let mut reloader = Reloader::new(desk.load(&first).unwrap());
    let running = reloader.current().clone();
    let other = first
        .replacen("\"ticker\": \"USDC\"", "\"ticker\": \"DAI\"", 1)
        .replacen("\"ticker\": \"USDT\"", "\"ticker\": \"USDC\"", 1)
        .replacen("12.50", "20", 1);
    let waiting = [
        "bot_settings.min_order_value_usd",
        "portfolio_assets[0].ticker",
        "portfolio_assets[2].ticker",
    ];
    let waits =
        ReloadOutcome::Changed { paths: Vec::new(), waiting: waiting.map(str::to_owned).into() };
    assert_eq!(reloader.offer(desk.load(&other)), waits);
    assert_eq!(*reloader.current(), running, "prices and the paper account are in the first one");
    assert_eq!(reloader.offer(desk.load(&other)), ReloadOutcome::Unchanged, "told once");
    let back = ReloadOutcome::Changed { paths: Vec::new(), waiting: Vec::new() };
    assert_eq!(reloader.offer(desk.load(&first)), back);
    let with_id = first.replacen("\"coingecko_id\": null", "\"coingecko_id\": \"tether\"", 1);
    let waiting = vec!["portfolio_assets[0].coingecko_id".to_owned()];
    let waits = ReloadOutcome::Changed { paths: Vec::new(), waiting };
    assert_eq!(reloader.offer(desk.load(&with_id)), waits);
}

#[test]
fn an_exchange_that_the_start_did_not_connect_to_waits_for_the_next_one() {
    let desk = Desk::new();
    let first = edited("\"binance\": {", "\"okx\": {}, \"binance\": {");
    let mut reloader = Reloader::new(desk.load(&first).unwrap());
    let running = reloader.current().clone();
    let waits = |keys: &[&str]| ReloadOutcome::Changed {
        paths: Vec::new(),
        waiting: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let moved = first.replacen("\"exchange\": \"binance\"", "\"exchange\": \"okx\"", 1);
    let all = ["portfolio_assets[1].exchange", "exchange_configurations.okx"];
    assert_eq!(reloader.offer(desk.load(&moved)), waits(&all));
    assert_eq!(*reloader.current(), running, "its assets could not be read, and nothing be traded");
    assert_eq!(reloader.offer(desk.load(&moved)), ReloadOutcome::Unchanged, "told once");

    // What came with the same edit waits too: it may belong to it.
    let more = moved.replacen("12.50", "20", 1);
    let mut values = keel_core::strategy::STRATEGIES[0].default_file(false);
    values.insert("trend_kc_window".to_owned(), 50.0);
    write_strategy(&desk.path("strategies/BTC_strategy.json"), &values).unwrap();
    let file = desk.path("strategies/BTC_strategy.json").display().to_string();
    let all = ["bot_settings.min_order_value_usd", all[0], &file, all[1]];
    assert_eq!(reloader.offer(desk.load(&more)), waits(&all));
    assert_eq!(*reloader.current(), running);

    let paths = vec!["bot_settings.min_order_value_usd".to_owned(), file];
    let taken = ReloadOutcome::Changed { paths, waiting: Vec::new() };
    assert_eq!(reloader.offer(desk.load(&first.replacen("12.50", "20", 1))), taken);
}
