//! Ordinary days.

use crate::support::{Asset, Bench, PORTFOLIO, rising, told, wait_for};
use keel_simex::prices::Place;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::process::Stdio;

#[test]
fn a_live_run_buys_what_its_signals_say_and_its_books_are_the_exchanges() {
    let bench = Bench::new(rising());
    bench.traded(3);
    let orders = bench.query("SELECT COUNT(*) FROM intents");
    assert_ne!(orders[0][0], "0", "nothing was traded: {}", bench.log());
    bench.audit();
    bench.balances_agree();
}

/// Deposits and price moves on two venues over hundreds of cycles. How many cycles can be set with
/// `KEEL_WIRE_CYCLES`; the figure in docs/performance.md is from 500.
#[test]
fn after_hundreds_of_cycles_with_deposits_and_moves_the_weights_are_inside_the_band() {
    let cycles: u64 =
        std::env::var("KEEL_WIRE_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let bench = Bench::new(rising());
    let count = cycles.to_string();
    let mut command = bench.command(&["trade", "--live", "--yes", "--cycles", &count]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let tickers = ["BTC", "ETH", "BNB", "SOL", "LINK"];
    for step in 0..cycles / 4 {
        wait_for("a few cycles", || bench.cycles_done() >= step * 4);
        let place = if step % 2 == 0 { Place::Binance } else { Place::Okx };
        let ticker = tickers[usize::try_from(step).unwrap() % tickers.len()];
        let factor = if step % 3 == 0 { 0.93 } else { 1.05 };
        assert!(bench.simex.move_price(ticker, factor));
        if step % 7 == 6 {
            bench.simex.withdraw(place, "USDT", Decimal::from(50));
        } else {
            assert!(bench.simex.deposit(place, "USDT", Decimal::from(40 + step)));
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    // Everything was moved under its feet until the end: one more start comes to rest.
    bench.traded(3);
    bench.audit();
    bench.balances_agree();
    let status = bench.status();
    let number =
        |asset: &Asset, key: &str| status[asset.ticker][key].to_string().parse::<f64>().unwrap();
    let mut short = BTreeSet::new();
    for asset in &PORTFOLIO {
        let (target, value) = (number(asset, "target_value"), number(asset, "value_in_stable"));
        if (target - value).abs() > (0.01 * target).max(15.0) + 1.0 {
            let is_excused = value < target && bench.is_short_of_funds(asset.ticker);
            assert!(is_excused, "{}: {value} instead of {target}\n{status:#}", asset.ticker);
            short.insert(asset.venue);
        }
    }
    // Nothing moves from one exchange to another: one can be too poor for its targets, but then its
    // money is used up, and the other has too much.
    assert!(short.len() <= 1, "{short:?}");
    for venue in short {
        let place = if venue == "okx" { Place::Okx } else { Place::Binance };
        let here = PORTFOLIO.iter().filter(|asset| asset.venue == venue);
        let held: f64 = here.map(|asset| number(asset, "value_in_stable")).sum();
        let free: f64 = bench.simex.balances(place)["USDT"].free.to_string().parse().unwrap();
        assert!(free < 0.02 * held + 15.0, "{venue}: {free} besides {held}");
    }
}

#[test]
fn paper_trading_signs_nothing_f106() {
    let mut bench = Bench::new(rising());
    bench.config["bot_settings"]["dry_run"] = true.into();
    bench.write_config();
    let output = crate::support::finish(&mut bench.command(&["trade", "--cycles", "3"]));
    assert!(output.status.success(), "{}", told(&output));
    let fills = bench.query("SELECT COUNT(*) FROM fills");
    assert_ne!(fills[0][0], "0", "the paper account traded: {}", bench.log());
    let signed = bench.simex.requests().iter().filter(|request| request.signed).count();
    assert_eq!(signed, 0);
}
