//! Whatever is done to an exchange, its books balance to the last digit.

use keel_simex::clock::ClockMode;
use keel_simex::config::PriceSource;
use keel_simex::config::SimexConfig;
use keel_simex::exchange::FeeAsset;
use keel_simex::oracle::venue_report;
use keel_simex::orders::{Amount, Kind, Lifetime, NewOrder, Side};
use keel_simex::prices::Place;
use keel_simex::world::World;
use proptest::prelude::*;
use rust_decimal::Decimal;

#[derive(Clone, Debug)]
enum Step {
    Order { market: usize, buy: bool, quote: bool, units: i64, limit_bps: Option<i64>, life: u8 },
    Cancel(usize),
    Deposit(usize, i64),
    Withdraw(usize, i64),
    Price(usize, i64),
    Fee(u8),
    Fraction(u8),
}

const ASSETS: [&str; 5] = ["USDT", "BTC", "ETH", "DOGE", "BNB"];
const MARKETS: [&str; 4] = ["BTC/USDT", "ETH/BTC", "DOGE/USDT", "BNB/USDT"];

fn step() -> impl Strategy<Value = Step> {
    let order = (0..4_usize, any::<bool>(), any::<bool>(), 1..5_000_i64).prop_flat_map(
        |(market, buy, quote, units)| {
            (prop::option::of(-300..300_i64), 0..4_u8).prop_map(move |(limit_bps, life)| {
                Step::Order { market, buy, quote, units, limit_bps, life }
            })
        },
    );
    prop_oneof![
        6 => order,
        2 => (0..50_usize).prop_map(Step::Cancel),
        1 => (0..5_usize, 1..10_000_i64).prop_map(|(asset, units)| Step::Deposit(asset, units)),
        1 => (0..5_usize, 1..10_000_i64).prop_map(|(asset, units)| Step::Withdraw(asset, units)),
        2 => (1..5_usize, -900..900_i64).prop_map(|(asset, bps)| Step::Price(asset, bps)),
        1 => (0..3_u8).prop_map(Step::Fee),
        1 => (0..10_u8).prop_map(Step::Fraction),
    ]
}

fn take(world: &mut World, step: &Step, number: usize) {
    let now = world.clock.now_ms();
    let World { prices, venues, .. } = world;
    let exchange = &mut venues.get_mut(&Place::Binance).unwrap().exchange;
    match step {
        Step::Order { market, buy, quote, units, limit_bps, life } => {
            let rules = exchange.markets[MARKETS[*market]].clone();
            let last = exchange.last_price(prices, &rules, now).unwrap();
            let kind = limit_bps.map_or(Kind::Market, |bps| {
                let price = last + last * Decimal::new(bps, 4);
                let price = keel_simex::rules::round_down(price, rules.tick);
                let lifetime = match life {
                    0 => Lifetime::Immediate,
                    1 => Lifetime::FillOrKill,
                    2 => Lifetime::PostOnly,
                    _ => Lifetime::UntilCancelled,
                };
                Kind::Limit { price, lifetime }
            });
            let by_cost = *quote && kind == Kind::Market;
            let amount = if by_cost {
                Amount::Quote(Decimal::new(*units, 2) * rules.min_notional.max(rules.tick))
            } else {
                Amount::Base(rules.step * Decimal::from(*units))
            };
            let side = if *buy { Side::Buy } else { Side::Sell };
            let client_id = format!("c{}", number % 20);
            let new = NewOrder { client_id, market: rules.name(), side, kind, amount };
            let _ = exchange.place(prices, &new, now);
        }
        Step::Cancel(at) => {
            let id = exchange.orders.keys().nth(*at).copied().unwrap_or(0);
            let _ = exchange.cancel(id, now);
        }
        Step::Deposit(asset, units) => {
            exchange.deposit(ASSETS[*asset], Decimal::new(*units, 3), now);
        }
        Step::Withdraw(asset, units) => {
            exchange.withdraw(ASSETS[*asset], Decimal::new(*units, 3), now);
        }
        Step::Price(asset, bps) => {
            let factor = 1.0 + f64::from(i32::try_from(*bps).unwrap()) / 10_000.0;
            prices.multiply(ASSETS[*asset], None, factor, now);
        }
        Step::Fee(kind) => {
            exchange.fee_asset = match kind {
                0 => FeeAsset::Received,
                1 => FeeAsset::Quote,
                _ => FeeAsset::Coin("BNB".to_owned()),
            };
        }
        Step::Fraction(tenths) => {
            exchange.quirks.fill_fraction = Some(Decimal::new(i64::from(*tenths), 1));
        }
    }
    world.clock.advance(1_000);
    let now = world.clock.now_ms();
    let World { prices, venues, .. } = world;
    venues.get_mut(&Place::Binance).unwrap().exchange.settle(prices, now);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_operations_conserve(steps in prop::collection::vec(step(), 1..60)) {
        let mut config = SimexConfig {
            clock: ClockMode::Manual { now_ms: 1_700_000_000_000 },
            prices: PriceSource::Flat,
            ..SimexConfig::default()
        };
        if let Some(venue) = config.venues.get_mut(&Place::Binance) {
            venue.book.level_usd = 700.0;
            venue.book.levels = 5;
            for asset in ["BTC", "ETH", "DOGE", "BNB"] {
                venue.balances.insert(asset.to_owned(), Decimal::new(12_345, 4));
            }
        }
        let mut world = World::new(&config).unwrap();
        for (number, step) in steps.iter().enumerate() {
            take(&mut world, step, number);
            let report = venue_report(&world.venues[&Place::Binance].exchange);
            prop_assert_eq!(&report.faults, &Vec::<String>::new(), "after {:?}", step);
        }
    }
}
