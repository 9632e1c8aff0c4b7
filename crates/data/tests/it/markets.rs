//! Market rules.

use crate::support::chain;
use keel_core::market::MarketRules;
use keel_data::{
    MarketList, markets_path, read_binance_exchange_info, read_markets, write_markets,
};
use std::fs;
use tempfile::TempDir;

fn own(text: &str) -> Result<Vec<MarketRules>, String> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("okx.json");
    fs::write(&path, text).unwrap();
    read_markets(&path).map_err(|error| chain(&error))
}

fn binance(symbols: &str) -> Result<MarketList, String> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("info.json");
    fs::write(&path, format!("{{\"timezone\": \"UTC\", \"symbols\": [{symbols}]}}")).unwrap();
    read_binance_exchange_info(&path).map_err(|error| chain(&error))
}

fn market(base: &str, status: &str, filters: &str) -> String {
    format!(
        "{{\"symbol\": \"{base}USDT\", \"status\": \"{status}\", \"baseAsset\": \"{base}\", \
         \"quoteAsset\": \"USDT\", \"isSpotTradingAllowed\": true, \"filters\": [{filters}]}}"
    )
}

const LOT: &str = r#"{"filterType": "LOT_SIZE", "minQty": "0.00010000", "maxQty": "9000", "stepSize": "0.00010000"}"#;

#[test]
fn numbers_and_texts_give_exact_decimals() {
    let markets = own(
        r#"[{"symbol": "ETH/USDT", "amount_step": 0.1, "min_amount": "1e-8", "min_cost": 5, "max_amount": 123456789.123456789012345, "active": false},
            {"symbol": "BTC/USDT", "amount_step": "0.00001", "min_amount": 0.00001, "min_cost": "5.0"}]"#,
    )
    .unwrap();
    let names: Vec<String> = markets.iter().map(|m| m.symbol.to_string()).collect();
    assert_eq!(names, ["BTC/USDT", "ETH/USDT"]);
    assert_eq!(markets[0].min_amount.to_string(), "0.00001");
    assert_eq!((markets[0].max_amount, markets[0].active), (None, true));
    assert_eq!(markets[1].amount_step.to_string(), "0.1");
    assert_eq!(markets[1].min_amount.to_string(), "0.00000001");
    assert_eq!(markets[1].max_amount.unwrap().to_string(), "123456789.123456789012345");
    assert!(!markets[1].active);
}

#[test]
fn what_was_written_is_read_again() {
    let root = TempDir::new().unwrap();
    let path = markets_path(root.path(), &"okx".parse().unwrap());
    fs::create_dir(path.parent().unwrap()).unwrap();
    let markets = own(
        r#"[{"symbol": "A/B", "amount_step": "0.1", "min_amount": "1", "min_cost": "0", "max_amount": "7", "active": false},
            {"symbol": "C/B", "amount_step": "0", "min_amount": "0", "min_cost": "0"}]"#,
    )
    .unwrap();
    write_markets(&path, &markets).unwrap();
    assert_eq!(read_markets(&path).unwrap(), markets);
    let twice = [markets[0].clone(), markets[0].clone()];
    assert!(write_markets(&path, &twice).is_err());
    assert_eq!(read_markets(&path).unwrap(), markets);
}

#[test]
fn nonsense_is_refused_with_its_place() {
    let entry = |field: &str| {
        format!(
            r#"[{{"symbol": "A/B", "amount_step": "1", "min_amount": "1", "min_cost": "1", {field}}}]"#
        )
    };
    for (text, said) in [
        (entry(r#""max_amount": "-1""#), "seen \"-1\", expected a decimal"),
        (entry(r#""max_amount": true"#), "seen true"),
        (entry(r#""max_amount": "0.00000000000000000000000000000000001""#), "at most 28 digits"),
        (entry(r#""lot": "1""#), "unknown field `lot`"),
        (r#"[{"symbol": "AB"}]"#.to_owned(), "expected BASE/QUOTE"),
        ("{}".to_owned(), "is not a list of markets"),
        (String::new(), "EOF"),
        (r#"[{"symbol": "A/B", "amount_step": 1, "min_amount": 1, "min_cost": 1}, {"symbol": "A/B", "amount_step": 1, "min_amount": 1, "min_cost": 1}]"#.to_owned(), "market A/B"),
    ] {
        let message = own(&text).unwrap_err();
        assert!(message.contains(said) && message.contains("okx.json"), "{message}");
    }
}

#[test]
fn binance_rules_are_the_stricter_of_both_lot_sizes() {
    let filters = format!(
        "{LOT}, {}, {}, {}",
        r#"{"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "2255.71583723", "stepSize": "0.00100000"}"#,
        r#"{"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": true}"#,
        r#"{"filterType": "SOMETHING_NEW", "limit": 10}"#,
    );
    let list = binance(&market("ETH", "TRADING", &filters)).unwrap();
    let rules = &list.markets[0];
    assert_eq!(rules.symbol.to_string(), "ETH/USDT");
    assert_eq!(rules.amount_step.to_string(), "0.001");
    assert_eq!(rules.min_amount.to_string(), "0.0001");
    assert_eq!(rules.max_amount.unwrap().to_string(), "2255.71583723");
    assert_eq!(rules.min_cost.to_string(), "5");
    assert!(rules.active);
    let halted = binance(&market("ETH", "BREAK", LOT)).unwrap();
    assert!(!halted.markets[0].active);
    assert_eq!(halted.markets[0].max_amount.unwrap().to_string(), "9000");
}

#[test]
fn names_that_are_no_tickers_are_skipped_and_counted() {
    let list =
        binance(&format!("{}, {}", market("币安", "TRADING", LOT), market("BTC", "TRADING", LOT)))
            .unwrap();
    assert_eq!(list.markets.len(), 1);
    assert_eq!(list.skipped, ["币安USDT"]);
    let message = binance(&market("BTC", "TRADING", "")).unwrap_err();
    assert!(message.contains("market BTCUSDT") && message.contains("no LOT_SIZE"), "{message}");
}
