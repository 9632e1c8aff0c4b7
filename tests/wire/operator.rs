//! What an operator types while cycles run.

use crate::support::{Asset, Bench, PORTFOLIO, asset, rising, told, wait_for};
use keel_simex::faults::{Action, Fault, When};
use keel_simex::prices::Place;
use keel_simex::server::Double;
use rust_decimal::Decimal;
use serde_json::json;
use std::process::{Child, Stdio};

const USER: i64 = 42;
/// An order is under way for so long.
const SLOW: Action = Action::DelayMs(5000);

fn bench(assets: &[Asset]) -> Bench {
    let mut bench = Bench::with_assets(rising(), assets);
    bench.config["telegram"] = json!({
        "enabled": true, "credentials_key": "bot", "allowed_user_ids": [USER],
        "api_url": bench.simex.url(Double::Telegram),
    });
    let token = bench.simex.config().telegram_token.clone();
    bench.config["telegram_credentials"] =
        json!({ "bot": { "apiKey": token, "chatId": USER.to_string() } });
    bench.write_config();
    bench
}

fn start(bench: &Bench) -> Child {
    let polls = bench.simex.calls(Double::Telegram, "getUpdates");
    let mut command = bench.command(&["trade", "--live", "--yes"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the bot to listen", || bench.simex.calls(Double::Telegram, "getUpdates") > polls);
    child
}

/// Says it, and waits for a message with these words that was not there before.
fn ask(bench: &Bench, text: &str, words: &str) {
    let before = bench.simex.sent_texts().len();
    bench.simex.say(USER, USER, text);
    wait_for(words, || bench.simex.sent_texts()[before..].iter().any(|sent| sent.contains(words)));
}

fn orders_sent(bench: &Bench) -> usize {
    [Place::Binance, Place::Okx].map(|place| bench.simex.orders(place).len()).iter().sum()
}

fn cycles(bench: &Bench) -> u64 {
    let rows = bench.try_query("SELECT COALESCE(MAX(cycle), 0) FROM cycles");
    rows.and_then(|rows| rows[0][0].parse().ok()).unwrap_or(0)
}

#[test]
fn a_stop_holds_back_the_orders_of_a_running_cycle_and_a_start_makes_up_for_them() {
    let bench = bench(&PORTFOLIO);
    bench.simex.fault(Fault::next("POST *", When::After, SLOW));
    let mut keel = start(&bench);
    wait_for("the first order", || orders_sent(&bench) == 1);
    ask(&bench, "/stop", "Trading is stopped");
    wait_for("the cycle to end", || cycles(&bench) > 0);
    let held_back = bench.query("SELECT detail FROM outcomes WHERE outcome = 'rejected'");
    assert!(!held_back.is_empty() && orders_sent(&bench) == 1, "{}", bench.log());
    assert!(held_back.iter().all(|row| row[0] == "not sent: trading is paused by the operator"));
    let until = cycles(&bench) + 3;
    wait_for("more cycles", || cycles(&bench) >= until);
    assert_eq!(orders_sent(&bench), 1);
    ask(&bench, "/start", "Trading goes on");
    wait_for("what was held back", || orders_sent(&bench) > held_back.len());
    keel.kill().unwrap();
    keel.wait().unwrap();
    bench.settles();
}

#[test]
fn a_stop_holds_although_the_cycle_in_which_it_came_is_killed() {
    // One order only, so that none is left behind that was written down and never sent.
    let bench = bench(&[asset("ETH", "binance", "ethereum", 1), asset("BTC", "okx", "bitcoin", 1)]);
    bench.simex.fault(Fault::next("POST *", When::After, SLOW));
    let mut keel = start(&bench);
    wait_for("the first order", || orders_sent(&bench) == 1);
    ask(&bench, "/stop", "Trading is stopped");
    keel.kill().unwrap();
    keel.wait().unwrap();
    assert!(bench.simex.deposit(Place::Binance, "USDT", Decimal::from(5000)));
    let again = bench.trade(3);
    let text = told(&again);
    assert!(again.status.success() && text.contains("trading is paused"), "{text}");
    assert_eq!(orders_sent(&bench), 1);
    std::fs::remove_file(bench.path("keel.paused")).unwrap();
    bench.settles();
    assert!(orders_sent(&bench) > 1, "{}", bench.log());
}
