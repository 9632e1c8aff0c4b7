//! The venues' own limits, as they are for everybody.

use crate::support::{Asset, Bench, asset};
use keel_simex::SimexConfig;
use keel_simex::config::{coin, default_venue, stablecoin};
use keel_simex::prices::Place;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Of each venue's limit, Keel plans to use so much.
const PLANNED_PERCENT: u64 = 80;

/// A start with nothing in memory, when every market's executions and all candles are read, and
/// distributions after it, with a book for each order.
#[test]
fn fifty_assets_on_two_venues_are_traded_within_the_venues_own_limits() {
    let assets: Vec<Asset> = (0..50)
        .map(|number| {
            let name: &'static str = format!("C{number}").leak();
            let id: &'static str = format!("coin-{number}").leak();
            asset(name, if number % 2 == 0 { "binance" } else { "okx" }, id, 2)
        })
        .collect();
    let mut world = SimexConfig {
        assets: vec![stablecoin("USDT", 118.0e9, "tether")],
        venues: BTreeMap::new(),
        ..SimexConfig::default()
    };
    for (place, name) in [(Place::Binance, "binance"), (Place::Okx, "okx")] {
        let here = assets.iter().filter(|asset| asset.venue == name);
        let markets: Vec<String> = here.map(|asset| format!("{}/USDT", asset.ticker)).collect();
        let markets: Vec<&str> = markets.iter().map(String::as_str).collect();
        world.venues.insert(place, default_venue(name, &markets, Decimal::from(5)));
    }
    world.assets.extend(assets.iter().enumerate().map(|(number, asset)| {
        let price = 1.0 + 0.1 * f64::from(u32::try_from(number).unwrap());
        coin(asset.ticker, price, 1.0e9 / price, asset.coingecko_id, 2)
    }));
    let mut bench = Bench::with_assets(world, &assets);
    bench.config["bot_settings"]["indicator_history_size"] = 1000.into();
    bench.write_config();
    bench.traded(2);
    assert!(bench.simex.deposit(Place::Binance, "USDT", 5_000.into()));
    assert!(bench.simex.deposit(Place::Okx, "USDT", 5_000.into()));
    bench.traded(3);

    assert!(bench.orders_sent() > 10, "{} orders: {}", bench.orders_sent(), bench.log());
    let refused: Vec<_> = bench
        .simex
        .requests()
        .into_iter()
        .filter(|request| [418, 429].contains(&request.status))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let report = bench.simex.oracle();
    for (venue, seen) in &report.venues {
        eprintln!("{venue}: at most {:?}", seen.peak_use);
    }
    let weight = report.venues["binance"].peak_use["weight per minute"];
    assert!(weight <= 6_000 * PLANNED_PERCENT / 100, "{weight}");
}
