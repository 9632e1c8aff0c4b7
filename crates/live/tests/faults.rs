//! What happens to an order when the venue, the network or somebody else interferes. Each test is
//! named after its row of the fault catalogue.
#![allow(clippy::unwrap_used)]

mod double;

use double::desk::{Desk, cause, executed, is_unknown};
use double::{Double, Fate, FeeIn, VirtualTime, intent, qty, symbol, ticker, venue};
use keel_core::amount::Qty;
use keel_core::order::{Outcome, Side};
use keel_core::ports::{Broker, Clock};
use keel_live::broker::Reconciliation;
use keel_venues::api::Refusal;
use pollster::block_on;
use std::time::Duration;

#[test]
fn f001_a_lost_answer_is_looked_up_and_booked_and_nothing_is_sent_again() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::AnswerLost);
    let (intent, outcome) = desk.buy(0);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    assert_eq!(desk.venue.inner().writes, 1);
    desk.assert_books(&[(&intent, &outcome)]);
    let again = block_on(desk.broker.place(&intent));
    assert!(is_unknown(&again), "a second call sends nothing: {again:?}");
    assert_eq!(desk.venue.inner().writes, 1);
}

#[test]
fn f002_a_lost_request_is_called_absent_only_after_the_fence_and_on_all_evidence() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let sent_at = desk.time.now();
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome));
    let mut last = outcome;
    while is_unknown(&last) {
        desk.time.advance_ms(1000);
        last = desk.look_up(&intent);
        assert!(desk.time.now().since_ms(sent_at) < 120_000, "{last:?}");
    }
    assert!(cause(&last).starts_with("never accepted: "), "{last:?}");
    assert!(cause(&last).contains("the balances agree"), "{last:?}");
    assert!(desk.time.now().since_ms(sent_at) > 17_000, "validity 5 s, skew 2 s, margin 10 s");
    assert_eq!(desk.venue.inner().writes, 1);
    desk.assert_books(&[]);
}

#[test]
fn f002_an_answer_that_fits_no_new_order_does_not_say_that_it_was_refused() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::Refused(Refusal::NotFound));
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome), "{outcome:?}");
    let outcome = desk.resolve(&intent, 6);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
    assert_eq!(desk.venue.inner().writes, 1);
}

#[test]
fn f002_a_deposit_and_an_order_elsewhere_do_not_look_like_the_lost_order() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let (lost, _) = desk.buy(0);
    let (_, other) = desk.place(intent(1, "ETH/USDT", Side::Buy, "10", desk.time.now()));
    assert!(matches!(other, Outcome::Filled { .. }), "{other:?}");
    desk.venue.inner().balances.get_mut(&ticker("BTC")).unwrap().free += qty("0.3");
    let outcome = desk.resolve(&lost, 6);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
}

#[test]
fn f003_an_order_that_executes_after_the_first_not_found_is_booked() {
    for delay_ms in [1000, 4000, 12_000, 45_000, 70_000] {
        let time = VirtualTime::new();
        let venue = Double::with_validity(&time, Duration::from_secs(120));
        let mut desk = Desk::at(time, venue);
        desk.venue.fate(Fate::Delayed(delay_ms));
        let (intent, mut outcome) = desk.buy(0);
        for _ in 0..200 {
            if !is_unknown(&outcome) {
                break;
            }
            desk.time.advance_ms(1000);
            outcome = desk.look_up(&intent);
        }
        assert!(matches!(outcome, Outcome::Filled { .. }), "{delay_ms}: {outcome:?}");
        assert_eq!(desk.venue.inner().writes, 1);
        desk.assert_books(&[(&intent, &outcome)]);
    }
}

#[test]
fn f003_the_fence_counts_from_the_moment_at_which_an_order_left() {
    let time = VirtualTime::new();
    let venue = Double::with_validity(&time, Duration::from_secs(120));
    let mut desk = Desk::at(time, venue);
    desk.venue.inner().late_write_ms = 200_000;
    desk.venue.fate(Fate::Delayed(100_000));
    let (intent, _) = desk.buy(0);
    let outcome = desk.resolve(&intent, 6);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f003_what_was_read_before_the_fence_proves_nothing_after_it() {
    let time = VirtualTime::new();
    let venue = Double::with_validity(&time, Duration::from_secs(60));
    let mut desk = Desk::at(time, venue);
    desk.venue.fate(Fate::RequestLost);
    let sent_at = desk.time.now();
    let (intent, _) = desk.buy(0);
    desk.time.advance_ms(10_000);
    desk.look_up(&intent);
    desk.time.advance_ms(30_000);
    desk.venue.inner().late_reads_ms = [10_000; 4].into();
    let outcome = desk.look_up(&intent);
    assert!(desk.time.now().since_ms(sent_at) > 77_000, "it ended after the fence");
    assert!(cause(&outcome).contains("may still accept it"), "{outcome:?}");
    let outcome = desk.resolve(&intent, 2);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
}

#[test]
fn f004_an_executed_order_behind_a_server_error_is_booked_after_the_venue_recovers() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::AnswerLost);
    desk.venue.inner().failing_reads = 4;
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome), "{outcome:?}");
    let outcome = desk.resolve(&intent, 3);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f005_an_order_behind_a_server_error_that_was_not_executed_ends_as_never_accepted() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    desk.venue.inner().failing_reads = 4;
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome), "{outcome:?}");
    let outcome = desk.resolve(&intent, 6);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
    assert_eq!(desk.venue.executed(&intent.id), Qty::ZERO);
}

#[test]
fn f005_past_the_fence_one_look_up_that_finds_nothing_is_no_proof() {
    for (has_checkpoint, needed) in [(true, 3), (false, 6)] {
        let mut desk = Desk::new();
        desk.venue.fate(Fate::RequestLost);
        desk.venue.inner().down = true;
        let (intent, _) = desk.buy(0);
        let checkpoint = desk.broker.checkpoint().filter(|_| has_checkpoint);
        desk.restart(checkpoint.as_deref());
        desk.time.advance_ms(3_600_000);
        desk.venue.inner().down = false;
        let mut look_ups = 0;
        loop {
            let outcome = desk.look_up(&intent);
            look_ups += 1;
            if !is_unknown(&outcome) {
                assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
                break;
            }
            desk.time.advance_ms(60_000);
        }
        assert_eq!(look_ups, needed);
    }
}

#[test]
fn f014_a_finished_order_that_cannot_be_asked_for_by_id_is_found_in_the_lists() {
    let mut desk = Desk::new();
    desk.venue.inner().id_blind_until = desk.time.now().plus_ms(3_600_000);
    desk.venue.fate(Fate::CancelledAfter { ms: 1500, tenths: 6 });
    let (intent, outcome) = desk.buy(0);
    assert_eq!(executed(&outcome), qty("0.6"), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f011_an_id_that_was_used_before_is_neither_success_nor_refusal() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::Refused(Refusal::DuplicateId));
    let first = intent(0, "BTC/USDT", Side::Buy, "1", desk.time.now());
    let (_, outcome) = desk.place(first.clone());
    assert!(is_unknown(&outcome), "{outcome:?}");
    let outcome = desk.resolve(&first, 15);
    assert!(cause(&outcome).starts_with("quarantined: "), "{outcome:?}");
}

#[test]
fn f012_look_ups_that_lag_keep_the_order_unknown_until_the_sources_agree() {
    let mut desk = Desk::new();
    let until = desk.time.now().plus_ms(150_000);
    desk.venue.fate(Fate::AnswerLost);
    desk.venue.inner().id_blind_until = until;
    desk.venue.inner().lists_blind_until = until;
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome));
    let outcome = desk.resolve(&intent, 2);
    assert!(cause(&outcome).contains("moved without explanation"), "{outcome:?}");
    let outcome = desk.resolve(&intent, 3);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f012_an_order_that_only_the_lists_know_is_found_there() {
    for names_trades in [true, false] {
        let mut desk = Desk::new();
        desk.venue.inner().names_trades = names_trades;
        desk.venue.inner().id_blind_until = desk.time.now().plus_ms(600_000);
        desk.venue.fate(Fate::AnswerLost);
        let (intent, outcome) = desk.buy(0);
        assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
        desk.assert_books(&[(&intent, &outcome)]);
    }
}

#[test]
fn f012_an_execution_without_a_name_may_be_the_order_and_is_waited_for() {
    let mut desk = Desk::new();
    desk.venue.inner().orders_purged = true;
    desk.venue.inner().names_trades = false;
    desk.venue.fate(Fate::AnswerLost);
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome), "{outcome:?}");
    let outcome = desk.resolve(&intent, 2);
    assert!(cause(&outcome).contains("that the venue does not show"), "{outcome:?}");
    desk.venue.inner().orders_purged = false;
    let outcome = desk.resolve(&intent, 2);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f012_executions_that_do_not_add_up_yet_are_waited_for() {
    let mut desk = Desk::new();
    desk.venue.inner().fills_with_order = false;
    desk.venue.inner().fills_per_order = 2;
    desk.venue.fate(Fate::OpenFor(20_000));
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome), "{outcome:?}");
    desk.time.advance_ms(60_000);
    desk.balances().unwrap();
    let hidden = desk.venue.inner().trades.pop().unwrap();
    let outcome = desk.resolve(&intent, 3);
    assert!(is_unknown(&outcome) && cause(&outcome).contains("add up to"), "{outcome:?}");
    desk.venue.inner().trades.push(hidden);
    let outcome = desk.resolve(&intent, 3);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn an_execution_that_is_booked_for_another_order_is_not_booked_again() {
    let mut desk = Desk::new();
    let (first, filled) = desk.buy(0);
    desk.venue.fate(Fate::RequestLost);
    let second = intent(1, "BTC/USDT", Side::Buy, "1", desk.time.now());
    let mut impostor = desk.venue.inner().orders[0].state.clone();
    impostor.client_id = second.id.as_str().to_owned();
    desk.venue.inner().impostor = Some(impostor);
    let (_, outcome) = desk.place(second);
    assert!(cause(&outcome).starts_with("quarantined: "), "{outcome:?}");
    assert!(cause(&outcome).contains(first.id.as_str()), "{outcome:?}");
    desk.assert_books(&[(&first, &filled)]);
}

#[test]
fn f013_another_order_under_the_same_id_goes_into_quarantine() {
    let mut desk = Desk::new();
    desk.venue.foreign("x", &symbol("ETH/USDT"), Side::Sell, "1");
    let mut impostor = desk.venue.inner().orders[0].state.clone();
    desk.venue.fate(Fate::RequestLost);
    let wanted = intent(0, "BTC/USDT", Side::Buy, "1", desk.time.now());
    impostor.client_id = wanted.id.as_str().to_owned();
    desk.venue.inner().impostor = Some(impostor);
    let (wanted, outcome) = desk.place(wanted);
    assert!(cause(&outcome).starts_with("quarantined: "), "{outcome:?}");
    assert!(cause(&outcome).contains("ETH/USDT"), "{outcome:?}");
    let is_told = |found: &Reconciliation| {
        found
            .notes
            .iter()
            .any(|note| note.contains(wanted.id.as_str()) && note.contains("ETH/USDT"))
    };
    assert!(is_told(&desk.reconcile()), "the operator is told");
    let later = desk.resolve(&wanted, 100);
    assert_eq!(later, outcome, "only the operator decides");
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    assert!(is_told(&desk.reconcile()), "and told again after a restart");
    assert_eq!(desk.look_up(&wanted), outcome, "a restart does not release it");
}

#[test]
fn f015_when_the_venue_forgot_the_order_its_executions_and_the_balances_decide() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::AnswerLost);
    desk.venue.inner().down = true;
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome));
    desk.time.advance_ms(3 * 3_600_000);
    desk.venue.inner().down = false;
    desk.venue.inner().orders_purged = true;
    let outcome = desk.look_up(&intent);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f015_when_even_the_executions_are_forgotten_the_balances_put_it_into_quarantine() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::AnswerLost);
    desk.venue.inner().down = true;
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome));
    desk.venue.inner().down = false;
    desk.venue.inner().orders_purged = true;
    desk.venue.inner().trades_purged = true;
    let outcome = desk.resolve(&intent, 15);
    let released = desk.broker.release(&intent.id);
    assert!(released, "{outcome:?}");
    assert!(cause(&outcome).starts_with("quarantined: "), "{outcome:?}");
    assert!(cause(&outcome).contains("moved without explanation"), "{outcome:?}");
}

/// Of the order's amount without a price, or of a part of it with one.
#[test]
fn f015_what_moved_like_an_execution_goes_into_quarantine() {
    for (bought, paid) in [("1", "0"), ("0.4", "40")] {
        let mut desk = Desk::new();
        desk.venue.fate(Fate::RequestLost);
        let (intent, _) = desk.buy(0);
        desk.venue.inner().balances.get_mut(&ticker("BTC")).unwrap().free += qty(bought);
        desk.venue.inner().balances.get_mut(&ticker("USDT")).unwrap().free -= qty(paid);
        let outcome = desk.resolve(&intent, 15);
        assert!(cause(&outcome).starts_with("quarantined: "), "{bought}: {outcome:?}");
    }
}

#[test]
fn f016_an_acknowledgement_is_not_success() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RejectedLater);
    let (_, outcome) = desk.buy(0);
    assert!(cause(&outcome).contains("after it had acknowledged it"), "{outcome:?}");
    desk.venue.fate(Fate::Acknowledged);
    let (intent, outcome) = desk.buy(1);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f016_an_order_that_stays_open_is_unknown_until_it_is_over() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::OpenFor(40_000));
    let (intent, outcome) = desk.buy(0);
    assert!(is_unknown(&outcome), "{outcome:?}");
    let outcome = desk.resolve(&intent, 3);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
}

#[test]
fn f017_a_part_is_a_part_and_nothing_of_it_is_sent_again() {
    for tenths in [0, 3] {
        let mut desk = Desk::new();
        desk.venue.fate(Fate::Expires { tenths });
        let (intent, outcome) = desk.buy(0);
        assert!(matches!(outcome, Outcome::Partial { .. }), "{outcome:?}");
        assert_eq!(executed(&outcome), desk.venue.executed(&intent.id));
        assert_eq!(desk.venue.inner().writes, 1);
        desk.assert_books(&[(&intent, &outcome)]);
    }
}

#[test]
fn f018_doubled_and_shuffled_fills_are_booked_once_each() {
    let mut desk = Desk::new();
    desk.venue.inner().fills_per_order = 3;
    desk.venue.inner().fills_shuffled = true;
    let (intent, outcome) = desk.buy(0);
    assert_eq!(outcome.fills().len(), 3, "{outcome:?}");
    desk.venue.inner().fills_with_order = false;
    let (second, other) = desk.buy(1);
    assert_eq!(other.fills().len(), 3, "{other:?}");
    desk.assert_books(&[(&intent, &outcome), (&second, &other)]);
    assert!(desk.reconcile().halted.is_empty());
}

#[test]
fn f019_an_overfill_is_booked_as_it_is_and_halts_the_account_across_a_restart() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::Overfilled { tenths: 12 });
    let (intent, outcome) = desk.buy(0);
    assert_eq!(executed(&outcome), qty("1.2"));
    desk.assert_books(&[(&intent, &outcome)]);
    assert!(desk.halted().is_some());
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    assert!(desk.halted().is_some());
    desk.reconcile();
    let (_, next) = desk.buy(1);
    assert!(cause(&next).contains("halted"), "{next:?}");
    assert!(desk.broker.resume(&venue("double")));
    let (_, next) = desk.buy(2);
    assert!(matches!(next, Outcome::Filled { .. }), "{next:?}");
}

#[test]
fn f019_a_buy_by_cost_is_judged_by_what_it_cost() {
    // The price moves between the plan, at 100, and the order.
    for (price, bought) in [("80", "1.25"), ("125", "0.8")] {
        for is_forgotten in [false, true] {
            let time = VirtualTime::new();
            let double = Double::by_cost(&time);
            let mut desk = Desk::at(time, double);
            desk.venue.inner().prices.insert(symbol("BTC/USDT"), double::price(price));
            if is_forgotten {
                desk.venue.fate(Fate::AnswerLost);
                desk.venue.inner().orders_purged = true;
            }
            let (intent, mut outcome) = desk.buy(0);
            if is_forgotten {
                outcome = desk.resolve(&intent, 2);
            }
            assert_eq!(executed(&outcome), qty(bought), "{price}: {outcome:?}");
            desk.assert_books(&[(&intent, &outcome)]);
            assert_eq!(desk.halted(), None, "{price}");
        }
    }
    let time = VirtualTime::new();
    let double = Double::by_cost(&time);
    let mut desk = Desk::at(time, double);
    desk.venue.inner().prices.insert(symbol("BTC/USDT"), double::price("80"));
    desk.venue.fate(Fate::Overfilled { tenths: 11 });
    desk.buy(0);
    let reason = desk.halted().unwrap();
    assert!(reason.contains("asked for 100 USDT and 110 were spent"), "{reason}");
}

#[test]
fn f020_an_order_that_somebody_cancels_ends_with_what_was_executed() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::CancelledAfter { ms: 2500, tenths: 4 });
    let (intent, outcome) = desk.buy(0);
    assert!(matches!(outcome, Outcome::Partial { .. }), "{outcome:?}");
    assert_eq!(executed(&outcome), qty("0.4"));
    desk.assert_books(&[(&intent, &outcome)]);
}

#[test]
fn f022_a_documented_refusal_is_final() {
    let kinds = [
        Refusal::Auth,
        Refusal::Clock,
        Refusal::RateLimited { wait: None },
        Refusal::Funds,
        Refusal::Parameters,
        Refusal::Market,
        Refusal::Other,
    ];
    let mut desk = Desk::new();
    for (leg, refusal) in (0..).zip(kinds) {
        desk.venue.fate(Fate::Refused(refusal));
        let (_, outcome) = desk.buy(leg);
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{refusal}: {outcome:?}");
    }
    desk.venue.fate(Fate::NotSent);
    let (_, outcome) = desk.buy(50);
    assert!(cause(&outcome).starts_with("not sent: "), "{outcome:?}");
    desk.assert_books(&[]);
}

#[test]
fn f025_the_final_state_is_the_venues_when_a_cancel_races_the_fill() {
    for tenths in [0, 9, 10] {
        let mut desk = Desk::new();
        desk.venue.fate(Fate::CancelledAfter { ms: 700, tenths });
        let (intent, outcome) = desk.buy(0);
        assert!(!is_unknown(&outcome), "{outcome:?}");
        assert_eq!(executed(&outcome), desk.venue.executed(&intent.id));
        desk.assert_books(&[(&intent, &outcome)]);
    }
}

#[test]
fn f045_a_step_of_the_clock_does_not_bring_the_fence_nearer() {
    const HOUR: i64 = 3_600_000;
    for step_ms in [HOUR, -HOUR, 365 * 24 * HOUR] {
        let time = VirtualTime::new();
        let venue = Double::with_validity(&time, Duration::from_secs(60));
        let mut desk = Desk::at(time, venue);
        desk.venue.fate(Fate::Delayed(40_000));
        let (intent, mut outcome) = desk.buy(0);
        desk.time.step_ms(step_ms);
        for _ in 0..100 {
            if !is_unknown(&outcome) {
                break;
            }
            desk.time.advance_ms(1000);
            outcome = desk.look_up(&intent);
        }
        assert!(matches!(outcome, Outcome::Filled { .. }), "{step_ms}: {outcome:?}");
        desk.assert_books(&[(&intent, &outcome)]);
    }
}

#[test]
fn f045_a_machine_whose_clock_is_wrong_by_an_hour_still_finds_its_orders() {
    for step_ms in [3_600_000, -3_600_000] {
        let time = VirtualTime::new();
        time.step_ms(step_ms);
        let venue = Double::new(&time);
        let mut desk = Desk::at(time, venue);
        desk.venue.fate(Fate::AnswerLost);
        desk.venue.inner().id_blind_until = desk.time.true_now().plus_ms(3_600_000);
        let (intent, outcome) = desk.buy(0);
        assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
        desk.venue.execute_late(&intent.id, "0.1");
        let found = desk.reconcile();
        assert!(found.halted[&double::venue("double")].contains("late fill"), "{found:?}");
    }
}

#[test]
fn f068_a_snapshot_from_before_our_fill_never_shows_more_than_there_is() {
    let mut desk = Desk::new();
    let before = desk.venue.inner().balances.clone();
    desk.venue.inner().stale_balances = Some((desk.time.now().plus_ms(30_000), before));
    let (_, outcome) = desk.buy(0);
    assert!(matches!(outcome, Outcome::Filled { .. }));
    let balances = desk.balances().unwrap();
    assert_eq!(balances[&ticker("USDT")].free, qty("900"), "what was spent is gone");
    assert_eq!(balances[&ticker("BTC")].free, qty("2"), "what was bought is not there yet");
    desk.time.advance_ms(60_000);
    let balances = desk.balances().unwrap();
    assert_eq!(balances[&ticker("USDT")].free, qty("900"));
    assert_eq!(balances[&ticker("BTC")].free, qty("2.999"));
}

/// What the books say before an order decides later whether it was executed.
#[test]
fn f068_balances_that_know_of_one_fill_of_two_do_not_spoil_the_next_order() {
    let mut desk = Desk::new();
    desk.buy(0);
    let partial = desk.venue.inner().balances.clone();
    desk.buy(1);
    desk.venue.inner().stale_balances = Some((desk.time.now().plus_ms(10_000), partial));
    desk.balances().unwrap();
    desk.venue.fate(Fate::RequestLost);
    let (sell, _) = desk.place(intent(2, "BTC/USDT", Side::Sell, "1", desk.time.now()));
    let outcome = desk.resolve(&sell, 6);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
}

#[test]
fn f068_a_fill_that_was_found_later_does_not_spoil_the_next_order() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::AnswerLost);
    desk.venue.inner().down = true;
    let (first, _) = desk.buy(0);
    desk.venue.inner().down = false;
    let outcome = desk.resolve(&first, 3);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.venue.fate(Fate::RequestLost);
    let (second, _) = desk.buy(1);
    let outcome = desk.resolve(&second, 12);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
}

#[test]
fn f068_a_snapshot_that_catches_up_is_waited_for() {
    let mut desk = Desk::new();
    let before = desk.venue.inner().balances.clone();
    desk.venue.inner().stale_balances = Some((desk.time.now().plus_ms(1500), before));
    desk.buy(0);
    let balances = desk.balances().unwrap();
    assert_eq!(balances[&ticker("BTC")].free, qty("2.999"));
}

#[test]
fn f069_fees_are_booked_in_the_asset_they_were_taken_in() {
    for (fee_in, asset) in [(FeeIn::Received, "BTC"), (FeeIn::Quote, "USDT"), (FeeIn::Third, "BNB")]
    {
        let mut desk = Desk::new();
        desk.venue.inner().fee_in = fee_in;
        let (intent, outcome) = desk.buy(0);
        assert_eq!(outcome.fills()[0].fee.asset, ticker(asset));
        let balances = desk.balances().unwrap();
        desk.assert_books(&[(&intent, &outcome)]);
        assert_eq!(balances, desk.venue.inner().balances);
    }
}

#[test]
fn f070_a_deposit_while_an_order_is_looked_for_does_not_pass_for_its_execution() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.buy(0);
    for (name, amount) in [("BTC", "0.3"), ("USDT", "250")] {
        desk.venue.inner().balances.get_mut(&ticker(name)).unwrap().free += qty(amount);
    }
    let outcome = desk.resolve(&intent, 6);
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
}

#[test]
fn f075_an_account_that_is_suddenly_empty_is_unknown_not_empty() {
    let mut desk = Desk::new();
    desk.venue.inner().empty_balances = true;
    for _ in 0..10 {
        let refused = desk.balances().unwrap_err();
        assert!(refused.contains("missing is not zero"), "{refused}");
        desk.time.advance_ms(60_000);
    }
    let checkpoint = desk.broker.checkpoint().unwrap();
    desk.restart(Some(&checkpoint));
    desk.balances().unwrap_err();
    desk.venue.inner().empty_balances = false;
    assert_eq!(desk.balances().unwrap(), desk.venue.inner().balances);
}

#[test]
fn f075_an_empty_account_is_unknown_also_right_after_an_order() {
    let mut desk = Desk::new();
    desk.venue.inner().balances.retain(|name, _| ["USDT", "BTC"].contains(&name.as_str()));
    desk.time.advance_ms(300_000);
    desk.balances().unwrap_err();
    desk.time.advance_ms(300_000);
    desk.balances().unwrap();
    desk.reconcile();
    let (_, outcome) = desk.buy(0);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    desk.venue.inner().empty_balances = true;
    let refused = desk.balances().unwrap_err();
    assert!(refused.contains("suddenly empty"), "{refused}");
}

#[test]
fn f075_one_missing_holding_is_believed_only_when_it_stays_away() {
    let desk = Desk::new();
    desk.venue.inner().balances.remove(&ticker("ETH"));
    let refused = desk.balances().unwrap_err();
    assert!(refused.contains("ETH"), "{refused}");
    desk.time.advance_ms(300_000);
    desk.balances().unwrap();
}

#[test]
fn f075_selling_everything_of_an_asset_is_no_surprise() {
    let mut desk = Desk::new();
    let (_, outcome) = desk.place(intent(0, "BTC/USDT", Side::Sell, "2", desk.time.now()));
    assert!(matches!(outcome, Outcome::Filled { .. }));
    desk.venue.inner().balances.remove(&ticker("BTC"));
    desk.balances().unwrap();
}

#[test]
fn look_ups_keep_their_distance() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::OpenFor(3_600_000));
    let (intent, _) = desk.buy(0);
    let before = desk.venue.inner().reads;
    for _ in 0..600 {
        desk.time.advance_ms(1000);
        desk.look_up(&intent);
    }
    let reads = desk.venue.inner().reads - before;
    assert!(reads <= 14, "{reads} requests in ten minutes");
}

#[test]
fn f045_a_step_of_the_clock_does_not_make_many_look_ups_of_one_moment() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.buy(0);
    desk.restart(None);
    desk.look_up(&intent);
    desk.time.advance_ms(60_000);
    for _ in 0..8 {
        desk.time.step_ms(3_600_000);
        let outcome = desk.look_up(&intent);
        assert!(is_unknown(&outcome), "{outcome:?}");
    }
}

#[test]
fn f045_an_order_is_not_followed_for_longer_because_the_clock_is_set_back() {
    let mut desk = Desk::new();
    desk.venue.fate(Fate::OpenFor(3600));
    desk.venue.inner().clock_steps_ms = [-3_600_000].into();
    let sent_at = desk.time.true_now();
    let (_, outcome) = desk.buy(0);
    assert!(matches!(outcome, Outcome::Filled { .. }), "{outcome:?}");
    assert!(desk.time.true_now().since_ms(sent_at) < 15_000);
}

#[test]
fn f045_a_jump_of_the_clock_by_days_does_not_make_an_own_order_a_strangers() {
    let mut desk = Desk::new();
    desk.buy(0);
    desk.time.step_ms(9 * 24 * 3_600_000);
    // What the journal says of the last days, by that clock.
    desk.known.clear();
    for _ in 0..3 {
        assert_eq!(desk.reconcile(), Reconciliation::default());
    }
}

/// The order was written down by a clock that was ahead, and the process that looks for it knows only
/// how the clocks stand now.
#[test]
fn f045_an_order_in_flight_is_found_after_its_process_died_and_its_clock_was_corrected() {
    const HOUR: i64 = 3_600_000;
    for (step_ms, is_id_blind) in [(HOUR, false), (HOUR, true), (-HOUR, false), (-HOUR, true)] {
        let time = VirtualTime::new();
        time.step_ms(step_ms);
        let venue = Double::new(&time);
        let mut desk = Desk::at(time, venue);
        let checkpoint = desk.broker.checkpoint().unwrap();
        desk.venue.fate(Fate::DeliveredTwice);
        let (intent, _) = desk.buy(0);
        desk.time.step_ms(-step_ms);
        desk.time.advance_ms(30_000);
        if is_id_blind {
            desk.venue.inner().id_blind_until = desk.time.true_now().plus_ms(HOUR);
        }
        desk.restart(Some(&checkpoint));
        assert!(desk.reconcile().halted.is_empty());
        let outcome = desk.look_up(&intent);
        assert!(matches!(outcome, Outcome::Filled { .. }), "{step_ms}: {outcome:?}");
        let found = desk.reconcile();
        assert!(
            found.halted[&double::venue("double")].contains("late fill"),
            "the second delivery: {found:?}"
        );
    }
}

#[test]
fn executions_without_a_name_are_asked_about_once_and_not_all_at_a_time() {
    let mut desk = Desk::new();
    desk.venue.inner().names_trades = false;
    desk.venue.fate(Fate::RequestLost);
    let (intent, _) = desk.buy(0);
    for _ in 0..60 {
        desk.venue.foreign("", &symbol("BTC/USDT"), Side::Buy, "0.01");
        desk.venue.foreign("", &symbol("BTC/USDT"), Side::Sell, "0.01");
    }
    let first = desk.venue.inner().reads;
    let mut most = 0;
    let outcome = (0..12)
        .find_map(|_| {
            desk.time.advance_ms(60_000);
            let before = desk.venue.inner().reads;
            let outcome = desk.look_up(&intent);
            most = most.max(desk.venue.inner().reads - before);
            (!is_unknown(&outcome)).then_some(outcome)
        })
        .unwrap();
    assert!(cause(&outcome).starts_with("never accepted: "), "{outcome:?}");
    assert!(most <= 30, "{most} reads in one look-up");
    let all = desk.venue.inner().reads - first;
    assert!(all <= 90, "{all} reads altogether");
}
