//! The live daemon and its chat: what it tells, whom it obeys, and that neither can hold up trading.

use crate::support::{
    Asset, Bench, Daemon, ORDERS, PORTFOLIO, USER_ID, asset, rising, status, told, wait_for,
};
use keel_simex::faults::{Action, Fault, When};
use keel_simex::prices::Place;
use keel_simex::server::Double;
use keel_simex::telegram::Sent;
use serde_json::{Value, json};
use std::fs;

/// Somebody whom the configuration does not name.
const STRANGER_ID: i64 = 7;
const GROUP_ID: i64 = -1007;

/// An order is under way for so long.
const SLOW: Action = Action::DelayMs(5000);

fn talking() -> Bench {
    with_assets(&PORTFOLIO)
}

fn with_assets(assets: &[Asset]) -> Bench {
    let mut bench = Bench::with_assets(rising(), assets);
    bench.connect_chat();
    bench
}

fn sent(bench: &Bench) -> Vec<Sent> {
    bench.simex.with(|world| world.telegram.sent.clone())
}

/// A daemon whose bot listens.
fn listening(bench: &Bench) -> Daemon {
    let before = bench.bots_that_listen();
    let daemon = bench.daemon();
    wait_for("the bot", || bench.bots_that_listen() > before);
    daemon
}

/// The user says something; the answer is what holds `expected`.
fn ask(bench: &Bench, text: &str, expected: &str) -> Sent {
    let before = sent(bench).len();
    bench.simex.say(USER_ID, USER_ID, text);
    let answer = || sent(bench).into_iter().skip(before).find(|sent| sent.text.contains(expected));
    wait_for(&format!("{expected:?} in the answer to {text}"), || answer().is_some());
    answer().unwrap()
}

/// A document of this name that was sent after so many messages.
fn document(bench: &Bench, name: &str, after: usize) -> Option<String> {
    sent(bench)
        .into_iter()
        .skip(after)
        .find(|sent| sent.file_name.as_deref() == Some(name))
        .map(|sent| sent.document.unwrap())
}

fn count(bench: &Bench, sql: &str) -> u64 {
    bench.try_query(sql).map_or(0, |rows| rows[0][0].parse().unwrap())
}

/// Funds go out; a cycle sells to follow, where it may. (Funds that come in soon after an order of
/// ours count a minute later.)
fn withdraw(bench: &Bench) {
    assert!(bench.simex.withdraw(Place::Okx, "USDT", 300.into()));
}

fn trades(bench: &Bench) {
    let before = bench.orders_sent();
    withdraw(bench);
    wait_for("orders", || bench.orders_sent() > before);
}

/// So many further cycles end.
fn cycles_pass(bench: &Bench, wanted: u64) {
    let before = bench.cycles_done();
    wait_for("cycles", || bench.cycles_done() >= before + wanted);
}

/// What the button under a message says to the bot.
fn button(sent: &Sent) -> String {
    let markup: Value = serde_json::from_str(&sent.parameters["reply_markup"]).unwrap();
    markup["inline_keyboard"][0][0]["callback_data"].as_str().unwrap().to_owned()
}

fn press(bench: &Bench, user_id: i64, sent: &Sent) {
    bench.simex.with(|world| {
        let now_ms = world.clock.now_ms();
        world.telegram.press(user_id, USER_ID, sent.message_id, &button(sent), now_ms)
    });
}

#[test]
fn a_cycle_that_acted_sends_its_orders_and_log_and_status_as_files() {
    let bench = talking();
    let daemon = bench.daemon();
    wait_for("the status", || document(&bench, "status.json", 0).is_some());
    let status: Value = serde_json::from_str(&document(&bench, "status.json", 0).unwrap()).unwrap();
    assert!(status["ETH"]["target_value"].as_f64().unwrap() > 0.0, "{status:#}");
    assert!(document(&bench, "keel.log", 0).unwrap().contains("distributed"));
    let filled = count(&bench, "SELECT COUNT(*) FROM outcomes WHERE outcome = 'filled'");
    assert!(filled > 0);
    let texts = bench.simex.sent_texts();
    let told = |what: &str| texts.iter().filter(|text| text.contains(what)).count() as u64;
    assert_eq!(told("Filled: "), filled, "{texts:#?}");
    assert_eq!(told("Keel 0"), 1, "{texts:#?}");
    assert_eq!(told("distributed, because of: start"), 1, "{texts:#?}");
    daemon.stop();
    wait_for("the farewell", || {
        bench.simex.sent_texts().iter().any(|text| text.contains("Keel ends: it was told to"))
    });
    assert!(sent(&bench).iter().all(|sent| sent.chat_id == USER_ID.to_string()));
    bench.settles();
}

#[test]
fn the_chat_asks_stops_starts_and_rebalances() {
    let bench = talking();
    let daemon = listening(&bench);
    wait_for("a cycle", || bench.cycles_done() > 0);
    let status = ask(&bench, "/status", "Trading is on").text;
    assert!(status.contains("ETH: ") && status.contains("real money"), "{status}");
    for venue in ["binance", "okx"] {
        let balance = ask(&bench, "/balance", venue).text;
        assert!(balance.contains("USDT"), "{balance}");
    }
    let health = ask(&bench, "/health", "Last cycle").text;
    assert!(health.contains("binance: works") && health.contains("okx: works"), "{health}");

    ask(&bench, "/stop", "Trading is stopped");
    cycles_pass(&bench, 1);
    let before = bench.orders_sent();
    withdraw(&bench);
    cycles_pass(&bench, 3);
    assert_eq!(bench.orders_sent(), before, "nothing is traded while stopped");
    // A restart does not forget what the operator wants.
    assert!(daemon.stop().success());
    let daemon = listening(&bench);
    cycles_pass(&bench, 3);
    assert_eq!(bench.orders_sent(), before, "nothing is traded while stopped");

    let requested = || count(&bench, "SELECT COUNT(*) FROM cycles WHERE cause = 'requested'");
    ask(&bench, "/start", "Trading goes on");
    wait_for("the distribution", || requested() == 1);
    trades(&bench);
    let question = ask(&bench, "/rebalance", "Distribute the portfolio now?");
    let before = requested();
    cycles_pass(&bench, 3);
    assert_eq!(requested(), before, "not before it is confirmed");
    press(&bench, USER_ID, &question);
    wait_for("the distribution", || requested() > before);
    // The button is good once.
    let after = requested();
    press(&bench, USER_ID, &question);
    ask(&bench, "/version", "Keel 0");
    cycles_pass(&bench, 3);
    assert_eq!(requested(), after);
    daemon.stop();
    bench.settles();
}

#[test]
fn a_stop_holds_back_the_orders_of_a_running_cycle_and_a_start_makes_up_for_them() {
    let bench = talking();
    bench.simex.fault(Fault::next("POST *", When::After, SLOW));
    let daemon = listening(&bench);
    wait_for("the first order", || bench.orders_sent() == 1);
    ask(&bench, "/stop", "Trading is stopped");
    wait_for("the cycle to end", || bench.cycles_done() > 0);
    let held_back = bench.query("SELECT ticker FROM decisions WHERE reason = 'exchange_closed'");
    assert!(!held_back.is_empty() && bench.orders_sent() == 1, "{}", bench.log());
    assert_eq!(count(&bench, "SELECT COUNT(*) FROM intents"), 1, "what is held back is no order");
    cycles_pass(&bench, 3);
    assert_eq!(bench.orders_sent(), 1);
    ask(&bench, "/start", "Trading goes on");
    daemon.kill_when(|| bench.orders_sent() > held_back.len() as u64);
    bench.settles();
}

#[test]
fn a_stop_holds_although_the_cycle_in_which_it_came_is_killed() {
    // One order only, so that none is left behind that was written down and never sent.
    let bench =
        with_assets(&[asset("ETH", "binance", "ethereum", 1), asset("BTC", "okx", "bitcoin", 1)]);
    bench.simex.fault(Fault::next("POST *", When::After, SLOW));
    let daemon = listening(&bench);
    wait_for("the first order", || bench.orders_sent() == 1);
    ask(&bench, "/stop", "Trading is stopped");
    daemon.kill_when(|| true);
    assert!(bench.simex.deposit(Place::Binance, "USDT", 5_000.into()));
    let again = bench.trade(3);
    let text = told(&again);
    assert!(again.status.success() && text.contains("trading is paused"), "{text}");
    assert_eq!(bench.orders_sent(), 1);
    fs::remove_file(bench.path("keel.paused")).unwrap();
    bench.settles();
    assert!(bench.orders_sent() > 1, "{}", bench.log());
}

#[test]
fn f086_a_start_that_is_refused_is_told_in_the_chat_and_the_log() {
    let bench = talking();
    bench.simex.set_revoked(Place::Binance, true);
    let output = bench.trade(1);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    let texts = bench.simex.sent_texts();
    assert!(
        texts.len() == 1
            && texts[0].contains("Keel could not start")
            && texts[0].contains("API key"),
        "{texts:#?}"
    );
    let log = bench.log();
    assert!(log.contains("ERROR") && log.contains("Keel ends: binance: the API key"), "{log}");
    assert_eq!(bench.bots_that_listen(), 0, "nobody would obey");
    // What a journal of another kind of run is, too.
    bench.simex.set_revoked(Place::Binance, false);
    fs::remove_file(bench.path("keel.sqlite")).unwrap();
    fs::write(bench.path("keel.sqlite"), "something else").unwrap();
    assert_eq!(bench.trade(1).status.code(), Some(4));
    assert_eq!(bench.simex.sent_texts().len(), 2);
}

#[test]
fn f086_a_key_that_is_refused_at_a_later_start_closes_its_exchange_alone() {
    let bench = talking();
    bench.traded(1);
    bench.simex.set_revoked(Place::Binance, true);
    let before = bench.simex.calls(Double::Binance, ORDERS[0].1);
    let daemon = bench.daemon();
    let sent = |what: &str| bench.simex.sent_texts().iter().filter(|t| t.contains(what)).count();
    wait_for("the key", || sent("Look at the key of an exchange") > 0);
    trades(&bench);
    assert_eq!(bench.simex.calls(Double::Binance, ORDERS[0].1), before);
    assert_eq!((sent("binance is away"), sent("Look at this")), (0, 0));
    assert_eq!(daemon.stop().code(), Some(0));
    bench.simex.set_revoked(Place::Binance, false);
    bench.settles();
}

#[test]
fn f058_an_id_of_another_coin_is_told_and_while_some_of_it_is_held_nothing_is_traded() {
    let mut bench = talking();
    let right = bench.config.clone();
    let assets = bench.config["portfolio_assets"].as_array_mut().unwrap();
    let btc = assets.iter_mut().find(|asset| asset["ticker"] == "BTC").unwrap();
    btc["coingecko_id"] = "ethereum".into();
    bench.write_config();
    assert!(bench.simex.deposit(Place::Binance, "BTC", "0.1".parse().unwrap()));
    let daemon = bench.daemon();
    let told = |what: &str| bench.simex.sent_texts().iter().filter(|t| t.contains(what)).count();
    wait_for("the id", || told("the id is that of another coin") > 0);
    wait_for("the reason", || told("BTC is held and never had a price") > 0);
    cycles_pass(&bench, 5);
    assert_eq!(bench.orders_sent(), 0);
    assert_eq!(told("Nothing is traded"), 1, "once");
    bench.write(&right);
    wait_for("orders", || bench.orders_sent() > 0);
    assert_eq!(daemon.stop().code(), Some(0));
    bench.config = right;
    bench.settles();
}

#[test]
fn f088_strangers_groups_and_second_hand_commands_do_not_reach_the_daemon() {
    let bench = talking();
    let daemon = listening(&bench);
    wait_for("a cycle", || bench.cycles_done() > 0);
    let question = ask(&bench, "/rebalance", "Distribute the portfolio now?");
    let before = sent(&bench).len();
    let now_s = bench.simex.now_ms() / 1000;
    let message = |more: Value| {
        let mut message = json!({
            "message_id": 1, "date": now_s, "text": "/stop",
            "from": {"id": USER_ID, "is_bot": false, "first_name": "User", "username": "user"},
            "chat": {"id": USER_ID, "type": "private", "first_name": "User"},
        });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    // The stranger has the user's name; only numbers count.
    bench.simex.say(STRANGER_ID, STRANGER_ID, "/stop");
    bench.simex.say(USER_ID, GROUP_ID, "/stop");
    bench.simex.say(STRANGER_ID, GROUP_ID, "/stop");
    let forwarded = json!({"type": "hidden_user", "sender_user_name": "x", "date": 1});
    bench.simex.with(|world| {
        let bot = &mut world.telegram;
        bot.inject(json!({ "message": message(json!({"forward_origin": forwarded})) }));
        bot.inject(json!({ "edited_message": message(json!({"edit_date": 1})) }));
        bot.inject(json!({ "channel_post": message(json!({"chat": {"id": GROUP_ID, "type": "channel", "title": "C"}})) }));
        bot.inject(json!({ "message": message(json!({"date": 1})) }));
    });
    press(&bench, STRANGER_ID, &question);
    // They are read in their order: when this is answered, all of them were judged.
    ask(&bench, "/status", "Trading is on");
    trades(&bench);
    assert_eq!(count(&bench, "SELECT COUNT(*) FROM cycles WHERE cause = 'requested'"), 0);
    let texts: Vec<String> = sent(&bench).into_iter().skip(before).map(|sent| sent.text).collect();
    assert!(!texts.iter().any(|text| text.contains("stopped")), "{texts:#?}");
    assert!(sent(&bench).iter().all(|sent| sent.chat_id == USER_ID.to_string()));
    assert!(bench.log().contains("a Telegram message is ignored"), "{}", bench.log());
    daemon.stop();
}

#[test]
fn f091_an_outage_of_the_chat_costs_messages_and_no_trade() {
    let bench = talking();
    let everything = |action| Fault::standing("*", When::Before, action).at("telegram");
    bench.simex.fault(everything(Action::Reset));
    let daemon = bench.daemon();
    wait_for("a cycle", || bench.cycles_done() > 0);
    trades(&bench);
    // More than the 64 messages that may wait.
    let good = fs::read_to_string(bench.path("keel.json")).unwrap();
    let refused = || bench.log().matches("the last good one stays").count();
    for number in 0..66 {
        let before = refused();
        fs::write(bench.path("keel.json"), good.replace("dry_run", &format!("dry_{number}")))
            .unwrap();
        wait_for("the refusal of the configuration", || refused() > before);
    }
    fs::write(bench.path("keel.json"), &good).unwrap();
    trades(&bench);
    assert!(sent(&bench).is_empty());
    bench.simex.clear_faults();
    let told = |what: &str| bench.simex.sent_texts().iter().any(|text| text.contains(what));
    wait_for("what was dropped", || told("messages were dropped while Telegram could not be"));
    wait_for("what was kept", || told("The configuration is wrong"));
    // What is said while the bot does not listen is not obeyed.
    let polls = || bench.simex.calls(Double::Telegram, "getUpdates");
    let before = polls();
    wait_for("the bot to listen", || polls() > before);
    ask(&bench, "/version", "Keel 0");

    // Asked to wait, kept waiting, and told that somebody else reads the messages.
    let wait = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 2","parameters":{"retry_after":2}}"#;
    let conflict = r#"{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"}"#;
    for action in [status(429, wait), Action::DelayMs(60_000), status(409, conflict)] {
        bench.simex.fault(everything(action));
        trades(&bench);
        cycles_pass(&bench, 2);
        bench.simex.clear_faults();
    }
    bench.simex.fault(everything(status(502, "<html>bad gateway</html>")));
    assert!(daemon.stop().success(), "a chat that is away does not hold up a stop");
    let refused = bench.query("SELECT COUNT(*) FROM outcomes WHERE outcome <> 'filled'");
    assert_eq!(refused[0][0], "0", "every order was filled");
    bench.settles();
}
