//! Rows of the fault catalogue that need the whole program. Tests carry the row's number.

use crate::support::{Bench, ORDERS, asset, each, finish, rising, status, told, wait_for};
use keel_simex::exchange::FeeAsset;
use keel_simex::faults::{Action, Body, Fault, When};
use keel_simex::orders::NewOrder;
use keel_simex::prices::Place;
use keel_simex::rules::MarketStatus;
use keel_simex::server::Double;
use rust_decimal::Decimal;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn f001_f004_executed_orders_whose_answers_are_lost_are_booked_once() {
    let bench = Bench::new(rising());
    for (double, endpoint) in ORDERS {
        bench.simex.fault(Fault::next(endpoint, When::After, Action::Drop).at(double));
        let lost = Fault::next(endpoint, When::After, status(503, "<html>busy</html>"));
        bench.simex.fault(lost.at(double).at_call(2));
    }
    bench.traded(1);
    bench.settles();
    let refused = bench.query("SELECT COUNT(*) FROM outcomes WHERE outcome = 'rejected'");
    assert_eq!(refused[0][0], "0", "what was executed is never called refused");
}

#[test]
fn f002_f005_orders_that_never_arrived_are_proven_absent_before_they_are_planned_again() {
    let bench = Bench::new(rising());
    for (double, endpoint) in ORDERS {
        bench.simex.fault(Fault::next(endpoint, When::Before, Action::Drop).at(double));
    }
    bench.traded(1);
    let sent = bench.orders_sent();
    assert!(sent > 0);
    bench.settles();
    let proven = bench.query("SELECT detail FROM outcomes WHERE outcome = 'rejected'");
    assert!(proven.iter().any(|row| row[0].starts_with("never accepted")), "{proven:?}");
}

#[test]
fn f007_f008_a_body_that_is_no_answer_is_unknown_and_an_inner_refusal_is_a_refusal() {
    let bench = Bench::new(rising());
    let [(binance, order), (okx, okx_order)] = ORDERS;
    for (call, body) in [(1, Body::Html), (2, Body::Empty), (3, Body::Cut)] {
        let fault = Fault::next(order, When::After, Action::Body(body));
        bench.simex.fault(fault.at(binance).at_call(call));
    }
    // Not even the question what became of it is answered in this cycle.
    let fault = Fault::standing("GET /api/v3/order", When::Before, Action::Body(Body::Html));
    bench.simex.fault(fault.at(binance));
    let inner = r#"{"code":"1","msg":"","data":[{"clOrdId":"x","ordId":"","sCode":"51008","sMsg":"Order failed. Insufficient USDT balance."}]}"#;
    bench.simex.fault(Fault::next(okx_order, When::Before, status(200, inner)).at(okx));
    bench.traded(1);
    let outcomes = bench.query("SELECT outcome, detail FROM outcomes ORDER BY place");
    assert!(outcomes.iter().any(|row| row[0] == "unknown"), "{outcomes:?}");
    assert!(
        outcomes.iter().any(|row| row[0] == "rejected" && row[1].contains("51008")),
        "{outcomes:?}"
    );
    bench.settles();
}

#[test]
fn f009_the_execution_of_an_order_that_was_delivered_twice_is_in_the_journal_and_in_the_trades() {
    let bench = Bench::new(rising());
    bench.traded(1);
    bench.simex.deposit(Place::Binance, "USDT", 1_000_000.into());
    let twice = bench.simex.with(|world| {
        let now = world.venue_now(Place::Binance);
        let exchange = &mut world.venues.get_mut(&Place::Binance).unwrap().exchange;
        let order = exchange.orders.values().next().unwrap();
        let again = NewOrder {
            client_id: order.client_id.clone(),
            market: order.market.clone(),
            side: order.side,
            kind: order.kind,
            amount: order.amount,
        };
        exchange.place(&world.prices, &again, now).unwrap();
        again.client_id
    });
    for _ in 0..2 {
        bench.traded(1);
        let executed = bench.simex.with(|world| {
            let exchange = &world.venues[&Place::Binance].exchange;
            let is_its = |id: u64| exchange.orders[&id].client_id == twice;
            exchange.fills.iter().filter(|fill| is_its(fill.order)).cloned().collect::<Vec<_>>()
        });
        let venue: BTreeSet<_> = executed.iter().map(|fill| vec![fill.id.to_string()]).collect();
        let booked = bench.query(&format!("SELECT trade_id FROM fills WHERE id = '{twice}'"));
        assert_eq!(booked.len(), executed.len(), "{}", bench.log());
        assert_eq!(BTreeSet::from_iter(booked), venue);

        let trades = finish(&mut bench.command(&["trades", "--json"]));
        let trades: serde_json::Value = serde_json::from_slice(&trades.stdout).unwrap();
        let trade = trades.as_array().unwrap().iter().find(|trade| trade["id"] == twice);
        let filled: Decimal = trade.unwrap()["filled"].as_str().unwrap().parse().unwrap();
        assert_eq!(filled, executed.iter().map(|fill| fill.amount).sum());
        assert_eq!(trade.unwrap()["outcome"], "filled");
    }
    assert!(bench.log().contains("late fill"), "{}", bench.log());
}

/// An order that failed is tried once more, in the next cycle, and then waits for the next signal,
/// which may come with every minute.
fn tried_twice_at_most(bench: &Bench) {
    let often = bench.query(
        "SELECT symbol, COUNT(*) FROM intents WHERE id IN (SELECT id FROM outcomes WHERE outcome =
         'rejected') GROUP BY venue, symbol, created_at_ms / 60000 HAVING COUNT(*) > 2",
    );
    assert!(often.is_empty(), "{often:?}");
}

#[test]
fn f022_a_refused_order_is_tried_once_more_and_then_waits_for_the_next_signal() {
    let bench = Bench::new(rising());
    let body = r#"{"code":-2010,"msg":"Account has insufficient balance for requested action."}"#;
    let fault = Fault::standing(ORDERS[0].1, When::Before, status(400, body));
    bench.simex.fault(fault.at("binance"));
    bench.traded(12);
    let ids = bench.query("SELECT id FROM intents WHERE venue = 'binance'");
    let sent = bench.simex.calls(Double::Binance, ORDERS[0].1);
    assert_eq!(sent, u64::try_from(ids.len()).unwrap(), "one request for each intent");
    assert!(sent >= 2, "it was tried once more");
    tried_twice_at_most(&bench);
    bench.settles();
}

const BOOKS: [&str; 2] = ["GET /api/v3/depth", "GET /api/v5/market/books"];

/// Buys with a deposit; when the first request of an endpoint is on its way, something happens. A few
/// more cycles follow.
fn buys_while(bench: &Bench, place: Place, endpoint: &str, happens: impl FnOnce()) {
    bench.traded(1);
    assert!(bench.simex.deposit(place, "USDT", 2_000.into()));
    bench.simex.fault(Fault::next(endpoint, When::Before, Action::DelayMs(2000)));
    let daemon = bench.daemon();
    wait_for(endpoint, || bench.struck(endpoint) > 0);
    happens();
    let done = bench.cycles_done();
    wait_for("more cycles", || bench.cycles_done() >= done + 10);
    assert_eq!(daemon.stop().code(), Some(0));
}

/// The funds leave after the plan was made, or the price rises after the book was read.
#[test]
fn f073_an_order_without_its_funds_is_refused_and_the_next_one_fits_what_is_there() {
    let cases = [
        (Place::Binance, BOOKS[0], "-2010", None),
        (Place::Okx, BOOKS[1], "51008", None),
        (Place::Binance, ORDERS[0].1, "-2010", Some("ETH")),
    ];
    each(&cases, |(place, endpoint, code, rises)| {
        let bench = Bench::new(rising());
        buys_while(&bench, *place, endpoint, || match rises {
            Some(ticker) => assert!(bench.simex.move_price(ticker, 1.1)),
            None => {
                let left = Decimal::from(100);
                let taken = bench.free(*place, "USDT") - left;
                assert!(bench.simex.withdraw(*place, "USDT", taken));
            }
        });
        let refused = bench.query(&format!(
            "SELECT symbol, cycle, amount FROM intents WHERE id IN
             (SELECT id FROM outcomes WHERE outcome = 'rejected' AND detail LIKE '%{code}%')"
        ));
        assert_eq!(refused.len(), 1, "{endpoint}: {refused:?}\n{}", bench.log());
        let [symbol, cycle, amount] = &refused[0][..] else { panic!("{refused:?}") };
        let later = bench.query(&format!(
            "SELECT amount FROM intents WHERE symbol = '{symbol}' AND cycle > {cycle} AND
             side = 'buy' AND venue = '{}'",
            format!("{place:?}").to_lowercase()
        ));
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        let is_less = |row: &Vec<String>| number(&row[0]) < number(amount);
        assert!(later.iter().all(is_less), "{endpoint}: {amount}, then {later:?}");
        tried_twice_at_most(&bench);
        bench.settles();
    });
}

/// The order that is on its way does not hang on it, and the next distribution starts from what is
/// there.
#[test]
fn f070_a_withdrawal_while_orders_are_sent_is_noted_and_the_rest_is_distributed() {
    let cases = [(Place::Binance, BOOKS[0], "ETH"), (Place::Okx, BOOKS[1], "SOL")];
    each(&cases, |(place, endpoint, ticker)| {
        let bench = Bench::new(rising());
        buys_while(&bench, *place, endpoint, || {
            let half = bench.free(*place, ticker) / Decimal::TWO;
            assert!(bench.simex.withdraw(*place, ticker, half.round_dp(2)));
        });
        let noted = bench.query(&format!(
            "SELECT cycle FROM cycles WHERE notes LIKE '%{ticker}%came or went otherwise%'"
        ));
        assert_eq!(noted.len(), 1, "{ticker}: {}", bench.log());
        let refused = bench.query("SELECT detail FROM outcomes WHERE outcome = 'rejected'");
        assert!(refused.is_empty(), "{ticker}: {refused:?}");
        assert!(!bench.log().contains("halted"), "{ticker}: {}", bench.log());
        bench.settles();
    });
}

#[test]
fn f040_one_installation_trades_an_account_and_others_wait_for_the_operator() {
    let bench = Bench::new(rising());
    let first = bench.daemon();
    wait_for("the first to trade", || bench.orders_sent() > 0);
    let second = bench.trade(1);
    assert_eq!(second.status.code(), Some(5), "{}", told(&second));

    // The same keys on another computer, where there is no journal.
    traded_elsewhere(&bench, &[]);
    assert_eq!(first.stop().code(), Some(0));
    let halt = "trading at binance is halted: second instance or lost journal";
    let log = std::fs::read_to_string(bench.path("other/logs/keel.log")).unwrap();
    assert!(log.contains(halt), "{log}");
    // Whatever was sent is in the journal of the first.
    bench.settles();
    let sent = bench.orders_sent();
    bench.simex.deposit(Place::Binance, "USDT", 5000.into());
    traded_elsewhere(&bench, &[]);
    assert_eq!(bench.orders_sent(), sent, "it is still halted");
    traded_elsewhere(&bench, &["--resume", "binance", "--resume", "okx"]);
    let resumed = bench.orders_sent();
    assert!(resumed > sent, "the operator lets it go on");

    bench.simex.deposit(Place::Binance, "USDT", 5000.into());
    bench.traded(1);
    assert_eq!(bench.orders_sent(), resumed, "now the first sees orders that are not its own");
    assert!(bench.log().contains(halt), "{}", bench.log());
}

/// One cycle in another directory, with whatever of the journal is there already.
pub fn traded_elsewhere(bench: &Bench, arguments: &[&str]) {
    std::fs::create_dir_all(bench.path("other/strategies")).unwrap();
    for entry in std::fs::read_dir(bench.path("strategies")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), bench.path("other/strategies").join(entry.file_name()))
            .unwrap();
    }
    std::fs::copy(bench.path("keel.json"), bench.path("other/keel.json")).unwrap();
    let always = ["trade", "--live", "--yes", "--cycles", "1"];
    let mut other = bench.command(&[&always[..], arguments].concat());
    let output = finish(other.current_dir(bench.path("other")));
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn f043_a_stop_in_the_middle_of_an_order_ends_in_time_and_the_order_is_found_again() {
    let bench = Bench::new(rising());
    let fault = Fault::next(ORDERS[0].1, When::After, Action::DelayMs(12_000));
    bench.simex.fault(fault.at("binance"));
    let daemon = bench.daemon();
    wait_for("the order", || bench.simex.calls(Double::Binance, ORDERS[0].1) > 0);
    let sent = bench.orders_sent();
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(bench.orders_sent(), sent, "nothing more is sent after the stop");
    bench.settles();
}

/// How a process ends while its order is on the way.
#[derive(Clone, Copy, Debug)]
enum End {
    Stop,
    Kill,
    /// It goes on, and reads the answer.
    None,
}

/// Holds up the first order of a venue for so long, ends the process meanwhile, and gives what the
/// journal says of the order in the end, how much of it was executed, and how many executions other
/// orders in its market had.
fn held_up(
    bench: &Bench,
    (venue, endpoint): (&str, &str),
    ms: u64,
    end: End,
) -> (String, Decimal, usize) {
    bench.simex.fault(Fault::next(endpoint, When::Before, Action::DelayMs(ms)).at(venue));
    let mut daemon = bench.daemon();
    wait_for("the order", || bench.struck(endpoint) > 0);
    match end {
        End::Stop => assert_eq!(daemon.stop().code(), Some(0)),
        End::Kill => daemon.kill(),
        End::None => {
            wait_for("the cycle", || bench.cycles_done() > 0);
            assert_eq!(daemon.stop().code(), Some(0));
        }
    }
    let executed = |id: &str| {
        let report = &bench.simex.oracle().venues[venue];
        let named = report.executed.iter().find(|(other, _)| other.replace('-', "") == id);
        named.map_or(Decimal::ZERO, |(_, amount)| *amount)
    };
    let first = format!(
        "SELECT REPLACE(id, '-', ''), id FROM intents WHERE venue = '{venue}'
         ORDER BY cycle, leg LIMIT 1"
    );
    let id = bench.query(&first).remove(0);
    if !matches!(end, End::None) {
        assert_eq!(executed(&id[0]), Decimal::ZERO, "{venue} {end:?}: not executed by then");
    }
    bench.settles();
    let last = format!(
        "SELECT outcome || ': ' || detail FROM outcomes WHERE id = '{}' ORDER BY place DESC LIMIT 1",
        id[1]
    );
    let others = format!(
        "SELECT fills.id FROM fills JOIN intents USING (id) WHERE id <> '{0}'
         AND symbol = (SELECT symbol FROM intents WHERE id = '{0}')",
        id[1]
    );
    (bench.query(&last).remove(0).remove(0), executed(&id[0]), bench.query(&others).len())
}

#[test]
fn f003_f043_an_order_that_executes_after_the_process_is_gone_is_booked_once_by_the_next_one() {
    each(&ORDERS.map(|order| [End::Stop, End::Kill].map(|end| (order, end))).concat(), |case| {
        let bench = Bench::new(rising());
        // Within its validity, and after the longest time that a stop takes.
        let (outcome, executed, _) = held_up(&bench, case.0, 4000, case.1);
        assert!(outcome.starts_with("filled"), "{case:?}: {outcome}");
        assert!(executed > Decimal::ZERO, "{case:?}");
    });
}

/// Longer than its validity: the venue does not carry it out. OKX says so with a code that could as
/// well mean that it did.
#[test]
fn f003_an_order_that_arrives_after_its_validity_is_never_executed_and_planned_again() {
    let cases = ORDERS.map(|order| [End::Stop, End::Kill, End::None].map(|end| (order, end)));
    each(&cases.concat(), |case| {
        let bench = Bench::new(rising());
        let (outcome, executed, others) = held_up(&bench, case.0, 7000, case.1);
        let expected = match case {
            (("binance", _), End::None) => "rejected: clock or nonce refused",
            _ => "rejected: never accepted",
        };
        assert!(outcome.starts_with(expected), "{case:?}: {outcome}");
        assert_eq!(executed, Decimal::ZERO, "{case:?}");
        assert!(others > 0, "{case:?}: planned again");
    });
}

#[test]
fn f046_a_skewed_venue_clock_is_measured_and_a_jump_is_a_refusal() {
    let mut world = rising();
    world.venues.get_mut(&Place::Binance).unwrap().skew_ms = 20_000;
    let bench = Bench::new(world);
    let fault = Fault::next(ORDERS[0].1, When::Before, Action::SkewMs(-90_000));
    bench.simex.fault(fault.at("binance"));
    bench.traded(2);
    let outcomes = bench.query("SELECT outcome, detail FROM outcomes ORDER BY place");
    assert!(
        outcomes.iter().any(|row| row[0] == "rejected" && row[1].contains("-1021")),
        "{outcomes:?}"
    );
    assert!(outcomes.iter().any(|row| row[0] == "filled"), "{outcomes:?}");
    bench.settles();
}

#[test]
fn f061_a_market_that_is_halted_after_its_table_was_read_is_left_alone_once_it_refused() {
    let mut bench = Bench::new(rising());
    bench.config["bot_settings"]["cycle_sleep_duration_seconds"] = 2.into();
    bench.write_config();
    let mut is_halted = false;
    let left_alone =
        "SELECT cycle FROM decisions WHERE ticker = 'ETH' AND reason = 'market_halted'";
    let output = bench.run_for(Duration::from_secs(150), || {
        if bench.orders_sent() == 0 {
            return false;
        }
        if !is_halted {
            bench.simex.set_market(Place::Binance, "ETH/USDT", MarketStatus::Halted);
            is_halted = true;
        }
        // Something to distribute whenever balances are read again.
        bench.simex.deposit(Place::Binance, "USDT", 1000.into());
        bench.try_query(left_alone).is_some_and(|rows| !rows.is_empty())
    });
    assert!(output.status.success(), "{}", told(&output));
    let refused = bench.query("SELECT id FROM outcomes WHERE detail LIKE '%Market is closed%'");
    assert!((1..=10).contains(&refused.len()), "{refused:?}");
    assert!(!bench.query(left_alone).is_empty(), "the table was not read again");
}

/// There are no WebSockets; what they could do, a REST interface can that never answers, answers in
/// drops, or talks nonsense.
#[test]
fn f063_f064_a_venue_that_falls_silent_or_talks_nonsense_is_not_traded_and_then_read_again() {
    let troubles = [
        (When::Before, Action::DelayMs(60_000)),
        (When::After, Action::DripMs(1000)),
        (When::Before, Action::Body(Body::WrongShape)),
    ];
    each(&troubles, |(when, trouble)| {
        let mut bench = Bench::new(rising());
        // A read that hangs is given up after 15 s, and is not tried again: that takes a minute.
        bench.config["bot_settings"]["max_retries_network"] = 0.into();
        bench.write_config();
        let here = || bench.simex.calls(Double::Binance, ORDERS[0].1);
        let there = || bench.simex.calls(Double::Okx, ORDERS[1].1);
        let daemon = bench.daemon();
        wait_for("orders on both", || here() > 0 && there() > 0);
        bench.simex.fault(Fault::standing("GET *", *when, trouble.clone()).at("okx"));
        // The cycle that the trouble comes in may still send what it planned before.
        let done = bench.cycles_done();
        wait_for("cycles", || bench.cycles_done() >= done + 2);
        for _ in 0..2 {
            let (done, before) = (bench.cycles_done(), (here(), there()));
            for place in [Place::Binance, Place::Okx] {
                assert!(bench.simex.deposit(place, "USDT", 1_000.into()));
            }
            wait_for("orders elsewhere", || here() > before.0);
            wait_for("more cycles", || bench.cycles_done() >= done + 5);
            assert_eq!(there(), before.1, "{trouble:?}: {}", bench.log());
            let reasons = bench.query(
                "SELECT DISTINCT reason FROM decisions WHERE venue = 'okx' AND cycle =
                 (SELECT MAX(cycle) FROM cycles)",
            );
            assert_eq!(reasons, [["exchange_unavailable"]], "{trouble:?}");
        }
        bench.simex.clear_faults();
        let before = there();
        wait_for("orders of what was deposited", || there() > before);
        assert_eq!(daemon.stop().code(), Some(0));
        bench.settles();
    });
}

/// Funds in earn are not spot: a sell of everything leaves them where they are, and asks for no more
/// than is free.
#[test]
fn f067_what_is_set_aside_in_earn_is_not_sold_and_the_rest_is() {
    let cases = [(Place::Binance, "ETH"), (Place::Okx, "SOL")];
    each(&cases, |(place, ticker)| {
        let bench = Bench::new(rising());
        let daemon = bench.daemon();
        wait_for("the first orders", || bench.cycles_done() > 1);
        let half = (bench.free(*place, ticker) / Decimal::TWO).round_dp(2);
        assert!(half > Decimal::ZERO, "{ticker}: {}", bench.log());
        bench.simex.with(|world| {
            let now = world.venue_now(*place);
            let exchange = &mut world.venues.get_mut(place).unwrap().exchange;
            assert!(exchange.set_aside(ticker, half, false, now));
        });
        let (done, free) = (bench.cycles_done(), bench.free(*place, ticker));
        wait_for("cycles", || bench.cycles_done() >= done + 2);
        // The next bar closes far below the channel.
        assert!(bench.simex.move_price(ticker, 0.85));
        let is_sold = || bench.free(*place, ticker) < free / Decimal::ONE_HUNDRED;
        wait_for("the sell", is_sold);
        assert_eq!(daemon.stop().code(), Some(0));
        assert!(bench.query("SELECT id FROM outcomes WHERE outcome = 'rejected'").is_empty());
        bench.settles();
    });
}

/// The coin that fees are paid in is used up between two executions of one order: the rest of its
/// fees are taken from what it buys.
#[test]
fn f069_a_fee_coin_that_runs_out_in_the_middle_of_an_order_is_booked_as_it_was() {
    let assets = [
        asset("BTC", "binance", "bitcoin", 1),
        asset("ETH", "binance", "ethereum", 1),
        asset("SOL", "binance", "solana", 2),
    ];
    // One that the portfolio does not hold, and one that it does.
    each(&["BNB", "SOL"], |coin| {
        let mut world = rising();
        let venue = world.venues.get_mut(&Place::Binance).unwrap();
        venue.fee_asset = FeeAsset::Coin((*coin).to_owned());
        venue.book.level_usd = 500.0;
        // A thousandth of 500 USDT, one and a half times.
        let price = if *coin == "BNB" { 550 } else { 150 };
        venue.balances.insert((*coin).to_owned(), Decimal::new(75, 2) / Decimal::from(price));
        let bench = Bench::with_assets(world, &assets);
        bench.traded(2);
        assert!(bench.simex.deposit(Place::Binance, "USDT", 3_000.into()));
        bench.traded(2);
        let mixed = bench.query(&format!(
            "SELECT id FROM fills GROUP BY id
             HAVING SUM(fee_asset = '{coin}') > 0 AND SUM(fee_asset = 'ETH') > 1"
        ));
        assert!(!mixed.is_empty(), "{coin}: {}", bench.log());
        for word in ["halted", "without an order of ours", "otherwise"] {
            assert!(!bench.log().contains(word), "{coin}: {}", bench.log());
        }
        bench.settles();
    });
}

#[test]
fn f071_dust_makes_no_orders_and_no_log_storm() {
    let bench = Bench::new(rising());
    bench.traded(2);
    let orders = bench.orders_sent();
    assert!(bench.simex.deposit(Place::Binance, "BNB", "0.0001".parse().unwrap()));
    assert!(bench.simex.deposit(Place::Binance, "USDT", "0.5".parse().unwrap()));
    let said_in = |cycles| {
        let before = bench.log().lines().count();
        bench.traded(cycles);
        bench.log().lines().count() - before
    };
    // The first start sees the dust come.
    said_in(1);
    let (few, many) = (said_in(5), said_in(20));
    assert_eq!(bench.orders_sent(), orders);
    // Each minute may bring a signal, which is told.
    assert!(many <= few + 2, "{few} lines in 5 cycles, {many} in 20: {}", bench.log());
}

/// Files that are no configuration, though a part of one may be in them.
fn no_configurations(good: &str) -> [Vec<u8>; 7] {
    [
        vec![b' '; 20 * 1024 * 1024],
        "[".repeat(100_000).into_bytes(),
        vec![0xff, 0xfe, 0x00, 0x7b],
        b"{\"bot_settings\": \0}".to_vec(),
        good.replace("\"dry_run\"", "\"dry_rum\"").into_bytes(),
        good.replacen('{', "{\"limits\": {},", 1).into_bytes(),
        Vec::new(),
    ]
}

#[test]
fn f100_a_configuration_that_is_none_changes_nothing() {
    let bench = Bench::new(rising());
    let good = std::fs::read_to_string(bench.path("keel.json")).unwrap();
    for text in no_configurations(&good) {
        std::fs::write(bench.path("keel.json"), &text).unwrap();
        let output = bench.trade(1);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    }
    assert!(!bench.path("keel.sqlite").exists());
    assert_eq!(bench.orders_sent(), 0);
}

#[test]
fn f100_a_running_daemon_keeps_its_configuration_whatever_is_written_over_it() {
    let bench = Bench::new(rising());
    let good = std::fs::read_to_string(bench.path("keel.json")).unwrap();
    let daemon = bench.daemon();
    wait_for("orders", || bench.orders_sent() > 0);
    let refused = || bench.log().matches("the last good one stays").count();
    for (number, text) in no_configurations(&good).into_iter().enumerate() {
        // In one step, and with the rights of the old one: the file itself is all that is wrong.
        std::fs::copy(bench.path("keel.json"), bench.path("next.json")).unwrap();
        std::fs::write(bench.path("next.json"), &text).unwrap();
        std::fs::rename(bench.path("next.json"), bench.path("keel.json")).unwrap();
        wait_for("the note", || refused() > number);
        let (done, sent) = (bench.cycles_done(), bench.simex.calls(Double::Binance, ORDERS[0].1));
        assert!(bench.simex.deposit(Place::Binance, "USDT", 500.into()));
        let is_traded = || bench.simex.calls(Double::Binance, ORDERS[0].1) > sent;
        wait_for("orders by the old one", is_traded);
        wait_for("cycles", || bench.cycles_done() > done + 2);
        assert_eq!(refused(), number + 1, "told once: {}", bench.log());
    }
    assert_eq!(daemon.stop().code(), Some(0));
    bench.write_config();
    bench.settles();
}

#[test]
fn f065_without_caps_the_last_known_are_used() {
    let bench = Bench::new(rising());
    bench.traded(1);
    let fault = Fault::standing("*", When::Before, status(429, ""));
    bench.simex.fault(fault.at("coingecko"));
    bench.traded(1);
    assert!(bench.log().contains("CoinGecko"), "{}", bench.log());
    let last = bench.query("SELECT COUNT(*) FROM decisions WHERE reason = 'no_market_cap'");
    assert_eq!(last[0][0], "0", "caps of the state are used");
    bench.settles();
}

/// Some bytes of the order's request have left, or all but one.
#[test]
fn f084_an_order_that_is_cut_off_on_its_way_is_proven_absent_and_planned_again() {
    each(
        &[(Double::Binance, 1), (Double::Binance, 150), (Double::Okx, 40), (Double::Okx, 300)],
        |cut| {
            let (double, bytes) = *cut;
            let bench = Bench::new(rising());
            bench.simex.reset_order_at(double, bytes);
            bench.traded(1);
            let unknown = bench.query("SELECT detail FROM outcomes WHERE outcome = 'unknown'");
            assert_eq!(unknown.len(), 1, "{cut:?}: {unknown:?}");
            bench.settles();
            let proven = bench.query("SELECT detail FROM outcomes WHERE outcome = 'rejected'");
            assert!(proven[0][0].starts_with("never accepted"), "{cut:?}: {proven:?}");
        },
    );
}

/// Everybody can read the prices of a venue; its account, its orders, or everything for this region
/// is out of reach.
#[test]
fn f085_a_venue_that_answers_in_part_or_not_here_does_not_keep_the_other() {
    let region = r#"{"code":0,"msg":"Service unavailable from a restricted location according to 'b. Eligibility'"}"#;
    let cases = [
        ("GET /api/v3/account", status(503, "down")),
        ("*", status(451, region)),
        (ORDERS[0].1, status(503, "down")),
    ];
    each(&cases, |(endpoint, answer)| {
        let bench = Bench::new(rising());
        bench.traded(1);
        let fault = Fault::standing(endpoint, When::Before, answer.clone());
        bench.simex.fault(fault.at("binance"));
        let before = bench.simex.oracle();
        let elsewhere = bench.simex.calls(Double::Okx, ORDERS[1].1);
        let place = [Place::Binance, Place::Okx];
        assert!(place.into_iter().all(|place| bench.simex.deposit(place, "USDT", 500.into())));
        let output = bench.trade(2);
        assert!(output.status.success(), "{endpoint}: {}", told(&output));
        assert!(bench.simex.calls(Double::Okx, ORDERS[1].1) > elsewhere, "{endpoint}");
        let orders =
            |report: &keel_simex::oracle::OracleReport| report.venues["binance"].orders.len();
        assert_eq!(orders(&bench.simex.oracle()), orders(&before), "{endpoint}");
        let sent = bench.query("SELECT COUNT(*) FROM intents WHERE venue = 'binance'");
        let asked = bench.simex.calls(Double::Binance, ORDERS[0].1);
        assert_eq!(sent[0][0], asked.to_string(), "{endpoint}: one request for each intent");
        bench.settles();
    });
}

#[test]
fn f086_a_key_that_is_refused_at_the_start_is_for_the_operator() {
    let bench = Bench::new(rising());
    bench.simex.set_revoked(Place::Binance, true);
    let output = bench.trade(1);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("API key"), "{}", told(&output));
    assert_eq!(bench.orders_sent(), 0);
    bench.simex.set_revoked(Place::Binance, false);
    bench.traded(1);
    bench.settles();
}

#[test]
fn f086_a_key_that_is_revoked_while_it_trades_is_told_once_and_costs_the_other_venue_nothing() {
    let mut bench = Bench::new(rising());
    bench.connect_chat();
    bench.config["telegram"]["notification_settings"] = json!({ "rejected_key": "silent" });
    bench.write_config();
    let daemon = bench.daemon();
    wait_for("a cycle", || bench.cycles_done() > 0);
    bench.simex.set_revoked(Place::Binance, true);
    let private = || {
        let all = bench.simex.requests();
        all.iter().filter(|request| request.double == "binance" && request.signed).count()
    };
    let (asked, done) = (private(), bench.cycles_done());
    let elsewhere = bench.simex.calls(Double::Okx, ORDERS[1].1);
    assert!(bench.simex.withdraw(Place::Okx, "USDT", 500.into()));
    wait_for("orders elsewhere", || bench.simex.calls(Double::Okx, ORDERS[1].1) > elsewhere);
    wait_for("many cycles", || bench.cycles_done() >= done + 30);
    assert!(private() <= asked + 4, "{} questions with a revoked key", private() - asked);
    let told = || bench.simex.sent_texts().iter().filter(|text| text.contains("API key")).count();
    wait_for("the message", || told() > 0);
    let requests = bench.simex.requests();
    let message = requests.iter().find(|request| request.parameters.contains("API key")).unwrap();
    assert!(message.parameters.contains("\"disable_notification\":true"), "{}", message.parameters);
    bench.simex.set_revoked(Place::Binance, false);
    let before = bench.simex.calls(Double::Binance, ORDERS[0].1);
    assert!(bench.simex.deposit(Place::Binance, "USDT", 500.into()));
    wait_for("orders again", || bench.simex.calls(Double::Binance, ORDERS[0].1) > before);
    assert_eq!(told(), 1, "{:#?}", bench.simex.sent_texts());
    assert_eq!(daemon.stop().code(), Some(0));
    bench.settles();
}

#[test]
fn f087_proxy_variables_are_ignored() {
    let bench = Bench::new(rising());
    // The system accepts for it: a connection that nobody takes is still in its queue afterwards.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = bench.command(&["trade", "--live", "--yes", "--cycles", "1"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
    {
        command.env(name, &url);
    }
    let output = finish(&mut command);
    let asked = proxy.accept().map_err(|error| error.kind());
    assert_eq!(asked.err(), Some(ErrorKind::WouldBlock), "the proxy was asked");
    assert!(output.status.success(), "{}", told(&output));
    assert!(bench.orders_sent() > 0);
}

#[test]
fn f102_a_key_that_can_withdraw_is_refused() {
    let bench = Bench::new(rising());
    bench.simex.set_withdraw_right(Place::Okx, true);
    let output = bench.trade(1);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("withdraw"), "{}", told(&output));
    assert_eq!(bench.orders_sent(), 0);
    let doctor = finish(&mut bench.command(&["doctor"]));
    assert_eq!(doctor.status.code(), Some(7), "{}", told(&doctor));
}
