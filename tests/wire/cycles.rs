//! Ordinary days.

use crate::support::{Bench, rising, told, wait_for};
use keel_simex::prices::Place;
use rust_decimal::Decimal;
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
    let drift = |ticker: &str| {
        let number = |key: &str| status[ticker][key].to_string().parse::<f64>().unwrap();
        let (target, change) = (number("target_value"), number("change").abs());
        (target, change)
    };
    for ticker in tickers {
        let (target, change) = drift(ticker);
        assert!(
            change <= (0.01 * target).max(15.0) + 1.0 || bench.is_short_of_funds(ticker),
            "{ticker}: {change} off its target of {target}\n{status:#}"
        );
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
