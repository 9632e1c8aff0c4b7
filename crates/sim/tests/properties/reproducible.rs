//! The same seed gives the same journal, on any number of threads.

use crate::scenario::{Scenario, Wishes};
use rayon::ThreadPoolBuilder;

/// Enough assets that the signals are computed in parallel.
const WIDE: Wishes =
    Wishes { assets: 64, cycles: 24, ragged: true, flows: true, faults: true, thin: false };

fn journal(seed: u64, wishes: Wishes, threads: usize) -> String {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    // Debug shows every digit of every number, f64 included.
    pool.install(|| format!("{:#?}", Scenario::new(seed, wishes).run()))
}

#[test]
fn one_and_two_threads_write_the_same_bytes() {
    for seed in [200, 201] {
        let one = journal(seed, WIDE, 1);
        assert!(one.contains("Filled"), "seed {seed}: nothing was traded");
        let (two, again) = (journal(seed, WIDE, 2), journal(seed, WIDE, 2));
        assert!(one == two, "seed {seed}: one thread and two differ");
        assert!(two == again, "seed {seed}: two runs differ");
    }
}

#[test]
fn another_seed_writes_another_journal() {
    let narrow = Wishes { cycles: 6, ..Wishes::CALM };
    assert_ne!(journal(210, narrow, 1), journal(211, narrow, 1));
}
