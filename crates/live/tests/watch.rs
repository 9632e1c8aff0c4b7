//! What the comparison with the venue finds: late executions, orders of others, markets that are
//! gone; and what only the operator can decide.
#![allow(clippy::unwrap_used)]

mod double;

use double::desk::{Desk, cause, connect, executed};
use double::{Double, Fate, VirtualTime, id, intent, qty, symbol, ticker, venue};
use keel_core::amount::Qty;
use keel_core::order::{Intent, Outcome, Side};
use keel_core::ports::{Broker, Clock};
use keel_core::state::Balance;
use keel_live::broker::Reconciliation;
use keel_venues::api::{OrderStatus, Refusal};
use pollster::block_on;
use rust_decimal::Decimal;
use std::collections::BTreeSet;

#[test]
fn f009_a_request_that_was_delivered_twice_halts_the_account_with_its_extra_execution_booked() {
    for names_trades in [true, false] {
        let mut desk = Desk::new();
        desk.venue.inner().names_trades = names_trades;
        desk.venue.fate(Fate::DeliveredTwice);
        let (first, outcome) = desk.buy(0);
        assert!(matches!(outcome, Outcome::Filled { .. }));
        let found = desk.reconcile();
        assert!(found.halted[&venue("double")].contains("late fill"), "{found:?}");
        let second = desk.venue.inner().trades[1].fill.clone();
        assert_eq!(desk.broker.take_late(), [(first.id, second)], "for the journal");
        desk.reconcile();
        assert!(desk.broker.take_late().is_empty(), "once");
        let (_, next) = desk.buy(1);
        assert!(cause(&next).contains("halted"), "{next:?}");
        assert_eq!(desk.venue.inner().writes, 1);
        assert_eq!(desk.balances().unwrap()[&ticker("USDT")].free, qty("800"));
    }
}

#[test]
fn f021_orders_of_others_are_told_once_and_left_alone() {
    let mut desk = Desk::new();
    desk.time.advance_ms(1000);
    desk.venue.foreign("by-hand", &symbol("BTC/USDT"), Side::Sell, "0.5");
    desk.venue.foreign_open("by-hand-2", &symbol("ETH/USDT"), Side::Sell, "1");
    let found = desk.reconcile();
    assert_eq!(found.notes.len(), 2, "{found:?}");
    assert!(found.halted.is_empty());
    let again = desk.reconcile();
    assert!(again.notes.is_empty(), "{again:?}");
    let (_, outcome) = desk.buy(0);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
}

#[test]
fn nothing_is_sent_before_the_account_was_reconciled() {
    let time = VirtualTime::new();
    let double = Double::new(&time);
    let mut broker = connect(&time, &double, None);
    double.inner().down = true;
    let found = block_on(broker.reconcile(&BTreeSet::new(), time.now()));
    assert!(found.unread.contains_key(&venue("double")));
    let intent = intent(0, "BTC/USDT", Side::Buy, "1", time.now());
    let outcome = block_on(broker.place(&intent));
    assert!(cause(&outcome).contains("not reconciled"), "{outcome:?}");
    assert_eq!(double.inner().writes, 0);
}

#[test]
fn f046_a_clock_that_is_told_too_late_is_asked_for_once_more_and_then_not_believed() {
    let mut desk = Desk::new();
    desk.venue.inner().late_reads_ms = [15_000].into();
    assert_eq!(desk.reconcile(), Reconciliation::default());
    desk.venue.fate(Fate::RequestLost);
    desk.buy(0);
    let checkpoint = desk.broker.checkpoint().unwrap();
    assert!(checkpoint.contains("\"offset_ms\":0,"), "{checkpoint}");
    desk.venue.inner().late_reads_ms = [15_000; 3].into();
    let found = desk.reconcile();
    assert!(found.unread[&venue("double")].contains("came too late"), "{found:?}");
}

#[test]
fn f075_a_balance_that_nobody_can_hold_is_no_answer() {
    let desk = Desk::new();
    let most = Qty::new(Decimal::MAX);
    for balance in [Balance { free: most, used: most }, Balance { free: most, used: Qty::ZERO }] {
        desk.venue.inner().balances.insert(ticker("ETH"), balance);
        let why = desk.balances().unwrap_err();
        assert!(why.contains("balance of ETH") && why.contains("too large"), "{why}");
    }
}

#[test]
fn an_order_is_not_concluded_from_a_balance_that_nobody_can_hold() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.buy(0);
    let most = Qty::new(Decimal::MAX);
    desk.venue.inner().balances.insert(ticker("BTC"), Balance { free: most, used: most });
    let outcome = desk.resolve(&intent, 5);
    assert!(cause(&outcome).contains("too large"), "{outcome:?}");
}

#[test]
fn a_late_fill_of_a_settled_order_is_booked_and_halts() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::Expires { tenths: 5 });
    let (intent, outcome) = desk.buy(0);
    assert!(desk.reconcile().halted.is_empty());
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    assert!(desk.reconcile().halted.is_empty());
    desk.venue.execute_late(&intent.id, "0.2");
    let found = desk.reconcile();
    assert!(found.halted[&venue("double")].contains("late fill"), "{found:?}");
    assert_eq!(executed(&outcome), qty("0.5"));
}

#[test]
fn f009_a_second_delivery_before_a_restart_is_found_when_the_order_is_known_again() {
    let mut desk = Desk::new();
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.venue.fate(Fate::DeliveredTwice);
    let (intent, _) = desk.buy(0);
    // Killed before the answer was written down, and started again a while later.
    desk.time.advance_ms(600_000);
    desk.restart(Some(&checkpoint));
    assert!(desk.reconcile().halted.is_empty(), "nobody has looked at the order yet");
    let outcome = desk.look_up(&intent);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    let found = desk.reconcile();
    assert!(found.halted[&venue("double")].contains("late fill"), "{found:?}");
}

#[test]
fn a_late_fill_while_the_process_was_down_for_days_halts() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::Expires { tenths: 5 });
    let (intent, _) = desk.buy(0);
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.venue.execute_late(&intent.id, "0.2");
    desk.time.advance_ms(3 * 24 * 3_600_000);
    desk.restart(Some(&checkpoint));
    let found = desk.reconcile();
    assert!(found.halted[&venue("double")].contains("late fill"), "{found:?}");
}

#[test]
fn an_execution_whose_order_the_venue_does_not_show_yet_is_not_called_foreign() {
    let mut desk = Desk::new();
    desk.venue.inner().names_trades = false;
    let (intent, _) = desk.buy(0);
    desk.venue.execute_late(&intent.id, "0.2");
    desk.venue.inner().orders_purged = true;
    assert!(desk.reconcile().halted.is_empty());
    desk.venue.inner().orders_purged = false;
    let found = desk.reconcile();
    assert!(found.halted[&venue("double")].contains("late fill"), "{found:?}");
}

#[test]
fn f061_a_delisted_market_does_not_keep_its_venue_from_starting() {
    let mut desk = Desk::new();
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.venue.inner().delisted.insert(symbol("ETH/USDT"));
    desk.restart(Some(&checkpoint));
    let found = desk.reconcile();
    assert!(found.unread.is_empty() && found.halted.is_empty(), "{found:?}");
    assert!(found.notes.len() == 1 && found.notes[0].contains("ETH/USDT"), "{found:?}");
    let (_, outcome) = desk.buy(0);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    assert_eq!(desk.reconcile(), Reconciliation::default(), "told once");
}

/// What nobody can decide by evidence goes to the operator, whose word then counts.
fn assert_the_operator_decides(desk: &mut Desk, intent: &Intent) {
    let outcome = desk.resolve(intent, 15);
    assert!(cause(&outcome).starts_with("quarantined: "), "{outcome:?}");
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    assert!(desk.broker.release(&intent.id));
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    let outcome = desk.resolve(intent, 8);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
}

#[test]
fn f061_an_order_whose_market_is_delisted_is_decided_by_the_operator() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.place(intent(0, "ETH/USDT", Side::Buy, "1", desk.time.now()));
    desk.venue.inner().delisted.insert(symbol("ETH/USDT"));
    assert_the_operator_decides(&mut desk, &intent);
}

#[test]
fn an_execution_of_an_order_that_the_venue_does_not_show_is_decided_by_the_operator() {
    let mut desk = Desk::new();
    desk.venue.inner().names_trades = false;
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.buy(0);
    desk.venue.foreign("", &symbol("BTC/USDT"), Side::Buy, "0.3");
    desk.venue.inner().orders_purged = true;
    assert_the_operator_decides(&mut desk, &intent);
}

#[test]
fn every_reason_of_a_halt_is_kept() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::Overfilled { tenths: 12 });
    desk.buy(0);
    let other = id("another installation", 77, 0);
    desk.venue.foreign(other.as_str(), &symbol("BTC/USDT"), Side::Buy, "1");
    desk.reconcile();
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    let reasons = desk.halted().unwrap();
    assert!(reasons.contains("were executed") && reasons.contains("second instance"), "{reasons}");
}

#[test]
fn f015_an_order_too_old_for_the_venues_memory_is_decided_by_the_operator() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.buy(0);
    desk.restart(None);
    desk.time.advance_ms(3 * 24 * 3_600_000);
    assert_the_operator_decides(&mut desk, &intent);
}

#[test]
fn a_list_of_open_orders_that_lags_behind_halts_nothing() {
    let mut desk = Desk::new();
    let (first, _) = desk.buy(0);
    let mut listed = desk.venue.inner().orders[0].state.clone();
    listed.status = OrderStatus::Open;
    desk.venue.inner().lists_as_open = vec![listed];
    for _ in 0..2 {
        assert_eq!(desk.reconcile(), Reconciliation::default());
        desk.time.advance_ms(60_000);
    }
    desk.venue.inner().lists_as_open.clear();
    desk.venue.inner().orders[0].state.status = OrderStatus::Open;
    let found = desk.reconcile();
    let reason = format!("order {} was filled and is open at the venue", first.id);
    assert_eq!(found.halted[&venue("double")], reason);
}

#[test]
fn an_order_that_was_called_rejected_and_is_listed_as_open_halts_at_once() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::Refused(Refusal::Funds));
    let (first, _) = desk.buy(0);
    desk.venue.foreign_open(first.id.as_str(), &symbol("BTC/USDT"), Side::Buy, "1");
    desk.venue.inner().orders_purged = true;
    let found = desk.reconcile();
    assert!(found.halted[&venue("double")].contains("was rejected and is open"), "{found:?}");
}

/// The outcome after the operator's word, which a restart does not forget.
fn released(desk: &mut Desk, intent: &Intent) -> Outcome {
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    assert!(desk.broker.release(&intent.id));
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    desk.resolve(intent, 10)
}

fn assert_quarantined(outcome: &Outcome, why: &str) {
    let cause = cause(outcome);
    assert!(cause.starts_with("quarantined: ") && cause.contains(why), "{outcome:?}");
}

#[test]
fn f013_an_order_of_another_amount_under_our_id_is_booked_as_it_is_when_the_operator_says_so() {
    let mut desk = Desk::new();
    let wanted = intent(0, "BTC/USDT", Side::Buy, "1", desk.time.now());
    desk.venue.foreign(wanted.id.as_str(), &symbol("BTC/USDT"), Side::Buy, "0.4");
    desk.venue.fate(Fate::RequestLost);
    let (wanted, outcome) = desk.place(wanted);
    assert_quarantined(&outcome, "its amount is 0.4 instead of 1");
    let outcome = released(&mut desk, &wanted);
    assert!(matches!(outcome, Outcome::Partial { .. }), "{outcome:?}");
    desk.assert_books(&[(&wanted, &outcome)]);
    assert!(desk.reconcile().halted.is_empty());
}

#[test]
fn f013_an_order_of_another_market_or_side_under_our_id_is_never_ours_whatever_the_operator_says() {
    for (market, side) in [("ETH/USDT", Side::Buy), ("BTC/USDT", Side::Sell)] {
        let mut desk = Desk::new();
        let wanted = intent(0, "BTC/USDT", Side::Buy, "1", desk.time.now());
        desk.venue.foreign(wanted.id.as_str(), &symbol(market), side, "1");
        let impostor = desk.venue.inner().orders[0].state.clone();
        desk.venue.inner().impostor = Some(impostor);
        desk.venue.fate(Fate::RequestLost);
        let (wanted, outcome) = desk.place(wanted);
        assert_quarantined(&outcome, "for this id, but its");
        let outcome = released(&mut desk, &wanted);
        assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
        let found = desk.reconcile();
        assert!(found.halted[&venue("double")].contains("carries the id of order"), "{found:?}");
        assert!(desk.broker.take_late().is_empty(), "it is no execution of that order");
    }
}

#[test]
fn f013_executions_of_several_orders_under_one_id_are_all_booked_when_the_operator_says_so() {
    let mut desk = Desk::new();
    let wanted = intent(0, "BTC/USDT", Side::Buy, "1", desk.time.now());
    for amount in ["0.3", "0.2"] {
        desk.venue.foreign(wanted.id.as_str(), &symbol("BTC/USDT"), Side::Buy, amount);
    }
    desk.venue.inner().orders_purged = true;
    desk.venue.fate(Fate::RequestLost);
    let (wanted, outcome) = desk.place(wanted);
    assert_quarantined(&outcome, "executions of several orders");
    let outcome = released(&mut desk, &wanted);
    assert_eq!(executed(&outcome), qty("0.5"), "{outcome:?}");
    desk.assert_books(&[(&wanted, &outcome)]);
    assert!(desk.reconcile().halted.is_empty());
}

#[test]
fn an_execution_that_two_orders_claim_stays_with_the_first_whatever_the_operator_says() {
    let mut desk = Desk::new();
    let (first, filled) = desk.buy(0);
    desk.venue.fate(Fate::RequestLost);
    let second = intent(1, "BTC/USDT", Side::Buy, "1", desk.time.now());
    let mut impostor = desk.venue.inner().orders[0].state.clone();
    impostor.client_id = second.id.as_str().to_owned();
    impostor.fills = desk.venue.inner().trades.iter().map(|trade| trade.fill.clone()).collect();
    desk.venue.inner().impostor = Some(impostor);
    let (second, outcome) = desk.place(second);
    assert_quarantined(&outcome, "is already booked for order");
    let outcome = released(&mut desk, &second);
    assert_eq!(outcome, Outcome::Partial { fills: Vec::new() });
    desk.assert_books(&[(&first, &filled), (&second, &outcome)]);
}

#[test]
fn f012_executions_that_never_add_up_are_decided_by_the_operator() {
    for is_listed in [true, false] {
        let mut desk = Desk::new();
        desk.venue.inner().fills_with_order = is_listed;
        desk.venue.inner().fills_per_order = 2;
        desk.venue.fate(Fate::OpenFor(20_000));
        let (intent, _) = desk.buy(0);
        desk.time.advance_ms(60_000);
        desk.balances().unwrap();
        let hidden = desk.venue.inner().trades.pop().unwrap();
        let outcome = desk.resolve(&intent, 15);
        assert_quarantined(&outcome, "add up to 0.5");
        let told = desk.reconcile().notes;
        assert!(told.iter().any(|note| note.contains(intent.id.as_str())), "{told:?}");
        let outcome = released(&mut desk, &intent);
        assert!(matches!(outcome, Outcome::Partial { .. }), "{outcome:?}");
        assert_eq!(executed(&outcome), qty("0.5"));
        // It was hidden, and not imagined.
        desk.venue.inner().trades.push(hidden);
        assert!(desk.reconcile().halted[&venue("double")].contains("late fill"));
    }
}

#[test]
fn f012_an_order_that_is_called_filled_without_an_amount_is_decided_by_the_operator() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::OpenFor(20_000));
    let (intent, _) = desk.buy(0);
    desk.time.advance_ms(60_000);
    desk.balances().unwrap();
    desk.venue.inner().orders[0].state.executed = Qty::ZERO;
    desk.venue.inner().fills_with_order = false;
    let outcome = desk.resolve(&intent, 15);
    assert_quarantined(&outcome, "called filled, yet without an executed amount");
    let outcome = released(&mut desk, &intent);
    assert_eq!(executed(&outcome), qty("1"), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f015_a_part_of_the_executions_is_all_of_them_when_the_operator_says_so() {
    let mut desk = Desk::new();
    desk.venue.inner().down = true;
    desk.venue.fate(Fate::CancelledAfter { ms: 500, tenths: 4 });
    let (intent, _) = desk.buy(0);
    desk.venue.inner().down = false;
    desk.venue.inner().orders_purged = true;
    desk.venue.inner().balances.get_mut(&ticker("BTC")).unwrap().free += qty("0.2");
    let early = desk.resolve(&intent, 3);
    assert!(!cause(&early).starts_with("quarantined"), "the venue may lag behind: {early:?}");
    let outcome = desk.resolve(&intent, 15);
    assert_quarantined(&outcome, "the venue shows a part of the executions");
    let outcome = released(&mut desk, &intent);
    assert!(matches!(outcome, Outcome::Partial { .. }), "{outcome:?}");
    assert_eq!(executed(&outcome), qty("0.4"));
}

#[test]
fn an_order_that_is_only_unknown_can_be_released_too() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.buy(0);
    desk.venue.inner().balances.get_mut(&ticker("BTC")).unwrap().free += qty("1");
    let outcome = desk.resolve(&intent, 2);
    assert!(cause(&outcome).contains("moved without explanation"), "{outcome:?}");
    let outcome = released(&mut desk, &intent);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
    assert!(!desk.broker.release(&intent.id), "there is nothing left to decide");
}
