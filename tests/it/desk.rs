//! The answers in the chat, from a journal of three days.

use keel::desk::{DeskContext, RunState, VenueHealth, answer, left, of_cycle, telegram_settings};
use keel::journal::{Durability, Journal, Mode, NewJournal};
use keel::live::controls::Controls;
use keel::live::{operator, preview};
use keel_config::{Config, load, resolve_secrets};
use keel_core::amount::{Money, Price, Qty};
use keel_core::decision::{DecisionRecord, Reason};
use keel_core::order::{ClientOrderId, Fee, Fill, Intent, OrderKind, Outcome, PlannedOrder, Side};
use keel_core::ports::Store;
use keel_core::record::{CycleRecord, Execution, Trigger};
use keel_core::signal::Signal;
use keel_core::state::{AssetState, Balance, SignalState, State};
use keel_core::time::Timestamp;
use keel_live::market::ClockReading;
use keel_telegram::{Answer, Command, Content, EventKind, Part, Request};
use rust_decimal::Decimal;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::mpsc;

const CONFIG: &str = r#"{
  "bot_settings": { "cycle_sleep_seconds": 60 },
  "paths": {
    "portfolio_strategies_dir": "DIR/strategies",
    "global_status_file_path": "DIR/status.json",
    "log_dir": "DIR/logs"
  },
  "exchange_configurations": { "binance": {}, "okx": {} },
  "telegram": {
    "enabled": true, "credentials_key": "bot", "allowed_user_ids": [5000001],
    "notification_settings": { "fill": "silent", "cycle": "off" }, "api_url": "http://127.0.0.1:8081"
  },
  "telegram_credentials": { "bot": { "apiKey": "${TOKEN}", "chatId": 5000001 } },
  "portfolio_assets": [
    { "ticker": "USDT", "level": 0 },
    { "ticker": "BTC", "level": 1, "exchange": "binance", "coingecko_id": "bitcoin",
      "position_interval": 3600, "trend_interval": 14400, "strategy_file": "BTC.json",
      "strategy_name": "keltner_channel" },
    { "ticker": "ETH", "level": 1, "exchange": "okx", "coingecko_id": "ethereum",
      "position_interval": 3600, "trend_interval": 14400, "strategy_file": "ETH.json",
      "strategy_name": "keltner_channel" }
  ]
}"#;

const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
/// 2026-03-01T12:00Z.
const START_MS: i64 = 1_772_366_400_000;
const DAY_MS: i64 = 86_400_000;

fn money(text: &str) -> Money {
    Money::new(text.parse().unwrap())
}

fn qty(text: &str) -> Qty {
    Qty::new(text.parse().unwrap())
}

pub(crate) fn config(place: &Path) -> Config {
    let path = place.join("config.json");
    std::fs::write(&path, CONFIG.replace("DIR", &place.display().to_string())).unwrap();
    load(&path, &|name| (name == "TOKEN").then(|| TOKEN.to_owned())).unwrap()
}

fn decision(ticker: &str, free: &str, price: &str, ratio: &str, change: &str) -> DecisionRecord {
    let is_stablecoin = ticker == "USDT";
    let venue = if ticker == "BTC" { "binance" } else { "okx" };
    let value = free.parse::<Decimal>().unwrap() * price.parse::<Decimal>().unwrap();
    let ratio: Decimal = ratio.parse().unwrap();
    let below = Reason::BelowMinOrder { value: money("3"), minimum: money("15") };
    DecisionRecord {
        ticker: ticker.parse().unwrap(),
        venue: (!is_stablecoin).then(|| venue.parse().unwrap()),
        price: Some(Price::new(price.parse().unwrap())),
        free: qty(free),
        value: Money::new(value),
        market_cap: (!is_stablecoin).then_some(1.3e12),
        position: Signal::Buy,
        trend: Signal::Buy,
        dominance: 0.75,
        ratio,
        target: Money::new(ratio * Decimal::from(10_000)),
        change: money(change),
        capped: false,
        cap_stale: false,
        orders: Vec::new(),
        reason: if is_stablecoin { Some(Reason::ParkingPlace) } else { Some(below) },
    }
}

fn order(cycle: u64, leg: u32, symbol: &str, side: Side, amount: &str, value: &str) -> Intent {
    let venue = if symbol.starts_with("BTC") { "binance" } else { "okx" };
    Intent {
        id: ClientOrderId::derive("test", cycle, leg, 0),
        cycle,
        leg,
        order: PlannedOrder {
            kind: OrderKind::Stable,
            venue: venue.parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            side,
            amount: qty(amount),
            value: money(value),
        },
        reference_price: Price::new("50000".parse().unwrap()),
        created_at: Timestamp::from_ms(START_MS),
    }
}

fn filled(id: &str, amount: &str, price: &str, fee: (&str, &str)) -> Outcome {
    let (amount, price) = (qty(amount), Price::new(price.parse().unwrap()));
    Outcome::Filled {
        fills: vec![Fill {
            trade_id: id.to_owned(),
            price,
            amount,
            cost: amount.get() * price.get(),
            fee: Fee { asset: fee.1.parse().unwrap(), amount: qty(fee.0) },
            at: Timestamp::from_ms(START_MS),
        }],
    }
}

fn record(cycle: u64, days: i64, before: &str, after: &str, stablecoin: &str) -> CycleRecord {
    CycleRecord {
        cycle,
        at: Timestamp::from_ms(START_MS + days * DAY_MS),
        trigger: if cycle == 1 { Trigger::Start } else { Trigger::Signals },
        total_before: money(before),
        total_after: money(after),
        stablecoin_after: money(stablecoin),
        decisions: Vec::new(),
        executions: Vec::new(),
        settled: Vec::new(),
        notes: Vec::new(),
    }
}

fn asset(free: &str, price: &str, ratio: &str) -> AssetState {
    let signals = SignalState { prev_1: Signal::Buy, prev_2: Signal::Buy, ..Default::default() };
    AssetState {
        price: Some(Price::new(price.parse().unwrap())),
        market_cap_as_of: Some(Timestamp::from_ms(START_MS + DAY_MS)),
        balance: Balance { free: qty(free), used: Qty::default() },
        value: Money::new(free.parse::<Decimal>().unwrap() * price.parse::<Decimal>().unwrap()),
        ratio: ratio.parse().unwrap(),
        position: signals,
        trend: signals,
        ..Default::default()
    }
}

/// 10,000 at first; BTC bought; 500 came on the second day; on the third an order is unknown.
fn journal(config: &Config) -> (State, CycleRecord) {
    let new = NewJournal { mode: Mode::Live, deployment: "test".to_owned() };
    let (mut journal, _) =
        Journal::open(&config.paths.journal, &new, Durability::EachWrite).unwrap();
    let at = |days: i64| Timestamp::from_ms(START_MS + days * DAY_MS);
    let mut state = State { cycle: 1, cycle_at: Some(at(0)), ..State::default() };
    let buy = order(1, 0, "BTC/USDT", Side::Buy, "0.1", "5000");
    let outcome = filled("t1", "0.1", "50010", ("5.001", "USDT"));
    journal.write_intents(std::slice::from_ref(&buy)).unwrap();
    journal.write_outcome(&buy.id, &outcome, at(0)).unwrap();
    let mut first = record(1, 0, "10000", "9994.999", "4993.999");
    first.decisions = vec![
        decision("USDT", "10000", "1", "0.5", "-5000"),
        decision("BTC", "0", "50000", "0.5", "5000"),
        decision("ETH", "0", "2500", "0", "0"),
    ];
    first.executions = vec![Execution { intent: buy, outcome }];
    journal.commit(&first, &state, &|| None).unwrap();

    let mut second = record(2, 1, "10494.999", "10494.999", "5493.999");
    second.decisions = vec![
        decision("USDT", "5493.999", "1", "0.5", "0"),
        decision("BTC", "0.1", "50010", "0.5", "0"),
        decision("ETH", "0", "2500", "0", "0"),
    ];
    state.cycle = 2;
    journal.commit(&second, &state, &|| None).unwrap();

    let unknown = order(3, 0, "ETH/USDT", Side::Buy, "1", "2500");
    let outcome = Outcome::Unknown { cause: "no answer in time <html>".to_owned() };
    journal.write_intents(std::slice::from_ref(&unknown)).unwrap();
    journal.write_outcome(&unknown.id, &outcome, at(2)).unwrap();
    let mut third = record(3, 2, "10993.999", "10993.999", "5493.999");
    third.decisions = vec![
        decision("USDT", "5493.999", "1", "0.25", "-2500"),
        decision("BTC", "0.1", "55000", "0.5", "3"),
        decision("ETH", "0", "2500", "0.25", "2500"),
    ];
    third.notes = vec!["okx: the order book is thin".to_owned()];
    third.executions = vec![Execution { intent: unknown.clone(), outcome }];
    state.cycle = 3;
    state.cycle_at = Some(at(2));
    state.assets.insert("BTC".parse().unwrap(), asset("0.1", "55000", "0.5"));
    state.assets.insert("ETH".parse().unwrap(), asset("0", "2500", "0.25"));
    let held = Balance { free: qty("5493.999"), used: Qty::default() };
    state.stablecoin.insert("binance".parse().unwrap(), held);
    state.parking.ratio = "0.25".parse().unwrap();
    state.unresolved = vec![unknown];
    journal.commit(&third, &state, &|| None).unwrap();
    (state, third)
}

fn context(place: &Path) -> (DeskContext, CycleRecord) {
    let config = config(place);
    let (state, last) = journal(&config);
    let mut context = DeskContext::new(config, Timestamp::from_ms(START_MS));
    context.state = Some(state);
    let okx = VenueHealth { trouble: Some("does not answer".to_owned()), clock: None };
    let at = Timestamp::from_ms(START_MS + 2 * DAY_MS);
    let binance = VenueHealth { trouble: None, clock: Some(ClockReading { offset_ms: -120, at }) };
    context.venues.insert("okx".parse().unwrap(), okx);
    context.venues.insert("binance".parse().unwrap(), binance);
    context.notes = vec![(now(), "okx could not be read: no answer in time".to_owned())];
    (context, last)
}

const fn now() -> Timestamp {
    Timestamp::from_ms(START_MS + 2 * DAY_MS + 90_000)
}

/// An answer as a reader of the chat sees it; files by name and length.
fn shown(answer: &Answer) -> String {
    let parts: Vec<String> = answer
        .parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Table(text) => format!("[table]\n{text}"),
            Part::Document(document) => match &document.content {
                Content::Bytes(_) => format!("[file {}]", document.name),
                Content::FileTail { .. } => format!("[file {} from disk]", document.name),
            },
        })
        .collect();
    parts.join("\n")
}

#[test]
fn every_reading_command_has_an_answer_that_can_be_read_in_a_chat() {
    let place = TempDir::new().unwrap();
    let (mut context, _) = context(place.path());
    context.run = RunState::Paused;
    let commands = [
        Command::Status { table: false },
        Command::Status { table: true },
        Command::Balance,
        Command::Profit,
        Command::Daily { days: 7 },
        Command::Performance,
        Command::Trades { last: 1 },
        Command::Trades { last: 10 },
        Command::Plan,
        Command::Why { ticker: "BTC".to_owned() },
        Command::Why { ticker: "DOGE".to_owned() },
        Command::Health,
        Command::Logs,
        Command::Report,
        Command::ShowConfig,
    ];
    let mut all = String::new();
    for command in commands {
        let answer = shown(&answer(&command, &context, now()));
        assert!(!answer.is_empty(), "{command:?}");
        all.push_str(&format!("## {command:?}\n{answer}\n\n"));
    }
    insta::assert_snapshot!("desk_answers", all.trim_end());
}

#[test]
fn deposits_and_withdrawals_of_any_asset_are_no_gain_and_no_loss() {
    let place = TempDir::new().unwrap();
    let context = DeskContext::new(config(place.path()), Timestamp::from_ms(START_MS));
    let new = NewJournal { mode: Mode::Live, deployment: "test".to_owned() };
    let (mut journal, _) =
        Journal::open(&context.config.paths.journal, &new, Durability::EachWrite).unwrap();
    // The first cycle was lost to a crash, and the second could not read all. An ETH comes, rises by a
    // tenth, and 1,000 USDT go.
    let cycles = [
        ("4000", "0", "2500"),
        ("10000", "0", "2500"),
        ("10000", "1", "2500"),
        ("9000", "1", "2750"),
    ];
    for (number, (stablecoin, eth, price)) in (2..).zip(cycles) {
        let worth = stablecoin.parse::<Decimal>().unwrap()
            + eth.parse::<Decimal>().unwrap() * price.parse::<Decimal>().unwrap();
        let worth = worth.to_string();
        let mut record = record(number, 0, &worth, &worth, stablecoin);
        record.decisions = vec![
            decision("USDT", stablecoin, "1", "1", "0"),
            decision("ETH", eth, price, "0", "0"),
        ];
        if number == 2 {
            let cause = "okx was never read".to_owned();
            record.decisions[1].reason = Some(Reason::TotalUnknown { cause });
        }
        let mut state = State { cycle: number, ..State::default() };
        state.assets.insert("ETH".parse().unwrap(), asset(eth, price, "0"));
        journal.commit(&record, &state, &|| None).unwrap();
    }
    let answer = |command| shown(&answer(&command, &context, now()));
    let profit = answer(Command::Profit);
    assert!(profit.starts_with("Gain +250.00 USDT (+2.00 %)"), "{profit}");
    assert!(profit.contains("gain: deposits and withdrawals +1,500.00 USDT"), "{profit}");
    let daily = answer(Command::Daily { days: 3 });
    assert!(daily.contains("+250.00") && daily.contains("withdrawals +1,500.00 USDT"), "{daily}");
    let performance = answer(Command::Performance);
    assert!(performance.contains("ETH    +250.00  +10.00 %"), "{performance}");
}

/// Neither a deposit nor a withdrawal: the asset stays where it is, and the configuration changes.
#[test]
fn what_leaves_the_configuration_and_comes_back_is_no_withdrawal_and_counts_once() {
    let place = TempDir::new().unwrap();
    let context = DeskContext::new(config(place.path()), Timestamp::from_ms(START_MS));
    let new = NewJournal { mode: Mode::Live, deployment: "test".to_owned() };
    let (mut journal, _) =
        Journal::open(&context.config.paths.journal, &new, Durability::EachWrite).unwrap();
    // An ETH, held from the first cycle on, rises by 250 while it is left out and by 250 again after.
    let cycles = [Some("2500"), Some("2500"), None, None, Some("2750"), Some("3000")];
    for (number, eth) in (1..).zip(cycles) {
        let worth = 1000 + eth.map_or(0, |price| price.parse::<i64>().unwrap());
        let worth = worth.to_string();
        let mut record = record(number, 0, &worth, &worth, "1000");
        record.decisions = vec![decision("USDT", "1000", "1", "1", "0")];
        let mut state = State { cycle: number, ..State::default() };
        if let Some(price) = eth {
            record.decisions.push(decision("ETH", "1", price, "0", "0"));
            state.assets.insert("ETH".parse().unwrap(), asset("1", price, "0"));
        }
        journal.commit(&record, &state, &|| None).unwrap();
    }
    let answer = |command| shown(&answer(&command, &context, now()));
    let profit = answer(Command::Profit);
    assert!(profit.starts_with("Gain +250.00 USDT (+6.67 %)"), "{profit}");
    let told = "Not counted as gain: joined or left the configuration (ETH) +250.00 USDT";
    assert!(profit.contains(told) && !profit.contains("withdrawals +"), "{profit}");
    let performance = answer(Command::Performance);
    assert!(performance.contains("ETH    +250.00  +9.09 %"), "{performance}");
}

#[test]
fn what_is_held_and_left_out_of_the_configuration_is_said_with_its_worth() {
    let place = TempDir::new().unwrap();
    let before = config(place.path()).policy;
    let mut after = before.clone();
    after.assets.retain(|asset| asset.ticker.as_str() != "BTC");
    let mut state = State::default();
    state.assets.insert("BTC".parse().unwrap(), asset("0.1", "55000", "0.5"));
    state.assets.insert("ETH".parse().unwrap(), asset("0", "2500", "0.5"));
    let purse = Balance { free: qty("500"), used: Qty::default() };
    state.stablecoin.insert("binance".parse().unwrap(), purse);
    assert_eq!(left(&state, Some(&before), &before), Vec::<String>::new());
    let told = left(&state, Some(&before), &after);
    assert_eq!(
        told,
        [
            "BTC: 0.1 worth 5,500.00 USDT is still held at binance and no longer managed or counted",
            "USDT: 500.00 at binance is no longer counted",
        ]
    );
    assert_eq!(left(&state, None, &after).len(), 2, "at a start too");
    let mut moved = before.clone();
    for asset in &mut moved.assets {
        asset.venue = "okx".parse().unwrap();
    }
    assert!(left(&state, Some(&before), &moved)[0].starts_with("BTC: 0.1 "));
}

#[test]
fn answers_say_what_holds_orders_back_although_nobody_paused() {
    let place = TempDir::new().unwrap();
    let (mut context, _) = context(place.path());
    let why = "trading at okx is halted: a late fill";
    context.held.insert("the halt at okx".to_owned(), why.to_owned());
    let told = |command: &Command| shown(&answer(command, &context, now()));
    let status = told(&Command::Status { table: false });
    assert!(status.starts_with("Trading is on, but orders are held back"), "{status}");
    for command in [Command::Status { table: true }, Command::Plan, Command::Health] {
        let text = told(&command);
        assert!(text.contains(&format!("Held back: {why}")), "{text}");
    }
    let controls = Arc::new(Controls::new(&context.config.paths.journal));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (commands, receiver) = mpsc::channel(4);
        let desk = Arc::new(Mutex::new(context.clone()));
        tokio::spawn(operator::serve(receiver, desk, Arc::clone(&controls)));
        let ask = async |command| {
            let (request, answered) = Request::new(command, 1);
            commands.send(request).await.unwrap();
            shown(&answered.await.unwrap())
        };
        let text = ask(Command::Start).await;
        assert!(text.starts_with("Trading is not stopped") && text.contains(why), "{text}");
        let text = ask(Command::Rebalance).await;
        assert!(text.starts_with("A cycle starts now") && text.contains(why), "{text}");
        assert!(controls.take_distribute());
        controls.hold(Some("dry_run is true now".to_owned()));
        let text = ask(Command::Rebalance).await;
        assert!(text.starts_with("No order leaves now") && !controls.wants_cycle(), "{text}");
        ask(Command::Stop).await;
        let text = ask(Command::Start).await;
        assert!(text.contains("no order leaves yet") && text.contains(why), "{text}");
    });
}

#[test]
fn health_tells_a_configuration_that_is_refused_or_waits() {
    let place = TempDir::new().unwrap();
    let (mut context, _) = context(place.path());
    context.refused = Some((now(), "my.json:1:1: no JSON".to_owned()));
    context.waiting = vec!["coingecko".to_owned()];
    let health = shown(&answer(&Command::Health, &context, now()));
    let refused = "The configuration on disk is refused since 2026-03-03 12:01 UTC: my.json:1:1";
    assert!(health.contains(refused), "{health}");
    assert!(health.contains("needs a restart: coingecko."), "{health}");
}

#[test]
fn the_first_plan_shows_weights_targets_and_why_orders_are_not_larger() {
    let place = TempDir::new().unwrap();
    let (context, mut last) = context(place.path());
    let text = preview::shown(&context.config, &last, false);
    assert!(text.starts_with("The first cycle: 10,994.00 USDT in all, 1 order.\n"), "{text}");
    let btc = text.lines().find(|line| line.starts_with("BTC ")).unwrap();
    let columns: Vec<&str> = btc.split_whitespace().collect();
    assert_eq!(columns, ["BTC", "50.0", "%", "50.0", "%", "5,500.00", "5,000.00"]);
    assert!(text.contains("  ETH: an order of 3 would be"), "{text}");
    assert!(text.contains("note: okx: the order book is thin"), "{text}");
    last.executions.clear();
    let text = preview::shown(&context.config, &last, true);
    assert!(text.contains("0 orders.\nTrading is paused: none of them is sent"), "{text}");
}

#[test]
fn before_the_first_cycle_every_answer_says_so() {
    let place = TempDir::new().unwrap();
    let config = config(place.path());
    let context = DeskContext::new(config, Timestamp::from_ms(START_MS));
    let answer = |command| shown(&answer(&command, &context, now()));
    assert!(answer(Command::Status { table: false }).contains("keel.sqlite"), "no journal yet");
    let new = NewJournal { mode: Mode::Paper, deployment: "test".to_owned() };
    drop(Journal::open(&context.config.paths.journal, &new, Durability::EachWrite).unwrap());
    for command in [
        Command::Status { table: false },
        Command::Status { table: true },
        Command::Balance,
        Command::Profit,
        Command::Daily { days: 7 },
        Command::Performance,
        Command::Plan,
        Command::Why { ticker: "BTC".to_owned() },
    ] {
        let answer = answer(command);
        assert!(answer.contains("cycle has") || answer.contains("distributed yet"), "{answer}");
    }
    assert_eq!(answer(Command::Trades { last: 5 }), "No orders yet.");
    assert!(answer(Command::Health).contains("none yet"));
}

#[test]
fn the_configuration_is_shown_without_the_token() {
    let place = TempDir::new().unwrap();
    let (context, _) = context(place.path());
    let answer = answer(&Command::ShowConfig, &context, now());
    let Some(Part::Document(document)) = answer.parts.last() else { panic!("{answer:?}") };
    let Content::Bytes(bytes) = &document.content else { panic!("{document:?}") };
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains("${TOKEN}") && !text.contains("AAHdqTcv"), "{text}");
}

#[test]
fn a_cycle_that_sent_orders_is_reported_with_its_files() {
    let place = TempDir::new().unwrap();
    let (context, last) = context(place.path());
    let events = of_cycle(&context.config, &last);
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::UnknownOrder, EventKind::Cycle]);
    let names: Vec<&str> = events[1].documents.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["keel.log", "status.json"]);
    let all: Vec<String> =
        events.iter().map(|event| format!("{}\n{}", event.title, event.body)).collect();
    insta::assert_snapshot!("desk_events", all.join("\n\n"));
    let mut bought = record(4, 3, "1", "1", "1");
    let intent = order(4, 0, "BTC/USDT", Side::Buy, "0.1", "5000");
    let outcome = filled("t1", "0.1", "50010", ("5.001", "USDT"));
    bought.executions = vec![Execution { intent, outcome }];
    let told = of_cycle(&context.config, &bought);
    assert_eq!(told[0].body, "0.1 BTC for 5,001.00 USDT, at 50,010.00 USDT; fee 5.001 USDT");
    let mut quiet = record(4, 3, "1", "1", "1");
    assert!(of_cycle(&context.config, &quiet).is_empty());
    quiet.trigger = Trigger::Requested;
    let answer = of_cycle(&context.config, &quiet);
    assert!(answer.len() == 1 && answer[0].body.contains("No orders"), "{answer:?}");
}

#[test]
fn the_chat_gets_the_settings_of_the_configuration() {
    let place = TempDir::new().unwrap();
    let config = config(place.path());
    let env = |name: &str| (name == "TOKEN").then(|| TOKEN.to_owned());
    let credentials = resolve_secrets(&config, &env).unwrap();
    let settings = telegram_settings(&config, &credentials).unwrap().unwrap();
    assert_eq!((settings.token.as_str(), settings.chat_id.as_str()), (TOKEN, "5000001"));
    assert_eq!(settings.api_url.unwrap().as_str(), "http://127.0.0.1:8081/");
    assert!(settings.allowed_user_ids.contains(&5_000_001));
    assert_eq!(settings.notifications.len(), 2);
    let mut off = config;
    off.telegram.enabled = false;
    assert!(telegram_settings(&off, &credentials).unwrap().is_none());
}

#[test]
fn readers_are_served_at_once_and_the_rest_goes_to_the_daemon() {
    let place = TempDir::new().unwrap();
    let (context, _) = context(place.path());
    let journal = context.config.paths.journal.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (commands, receiver) = mpsc::channel(4);
        let controls = Arc::new(Controls::new(&journal));
        tokio::spawn(operator::serve(
            receiver,
            Arc::new(Mutex::new(context)),
            Arc::clone(&controls),
        ));
        let ask = async |command| {
            let (request, answered) = Request::new(command, 1);
            commands.send(request).await.unwrap();
            shown(&answered.await.unwrap())
        };
        assert!(ask(Command::Version).await.starts_with("Keel "));
        assert!(ask(Command::Start).await.contains("not stopped"));
        assert!(ask(Command::Stop).await.contains("is stopped"));
        assert!(controls.is_paused() && Controls::new(&journal).is_paused(), "over a restart");
        assert!(ask(Command::Status { table: false }).await.starts_with("Trading is stopped"));
        ask(Command::Pause).await;
        assert!(ask(Command::Health).await.contains("trading is paused"));
        assert!(ask(Command::Rebalance).await.contains("/start"));
        assert!(!controls.wants_cycle(), "what was refused must not wait for /start");
        assert!(ask(Command::Start).await.contains("goes on"));
        assert!(!controls.is_paused() && !Controls::new(&journal).is_paused());
        assert!(controls.take_distribute(), "what the signals said meanwhile is acted on");
        ask(Command::Rebalance).await;
        assert!(controls.take_distribute() && !controls.take_distribute());
        ask(Command::ReloadConfig).await;
        assert!(controls.take_reload() && !controls.take_reload());
    });
}
