//! Ordinary days.

use crate::support::{Bench, rising};

#[test]
fn a_live_run_buys_what_its_signals_say_and_its_books_are_the_exchanges() {
    let bench = Bench::new(rising());
    bench.traded(3);
    let orders = bench.query("SELECT COUNT(*) FROM intents");
    assert_ne!(orders[0][0], "0", "nothing was traded: {}", bench.log());
    bench.audit();
}
