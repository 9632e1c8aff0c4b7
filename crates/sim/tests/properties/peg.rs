//! The dollar price of the stablecoin: watched where a market tells it, and then never guessed.

use crate::faults::Peg;
use crate::scenario::{Run, Scenario, Wishes};
use std::collections::BTreeSet;

/// Twelve hours each of what the stablecoin's own market says.
fn run(seed: u64, said: &[Peg]) -> Run {
    let mut scenario = Scenario::new(seed, Wishes { cycles: 12 * said.len(), ..Wishes::CALM });
    scenario.faults.peg =
        said.iter().enumerate().map(|(i, peg)| (scenario.moment(12 * i), *peg)).collect();
    scenario.run()
}

fn traded(run: &Run, part: usize) -> bool {
    run.cycles[12 * part..12 * (part + 1)].iter().any(|cycle| !cycle.executions.is_empty())
}

fn codes(run: &Run, part: usize) -> BTreeSet<&'static str> {
    let decisions = run.cycles[12 * part..12 * (part + 1)].iter().flat_map(|c| &c.decisions);
    decisions
        .filter(|decision| decision.venue.is_some())
        .map(|decision| decision.reason.as_ref().map_or("", |reason| reason.code()))
        .collect()
}

const fn dollar(minutes_old: i64) -> Peg {
    Peg::Price { cents: 100, minutes_old }
}

#[test]
fn f057_nothing_is_traded_while_the_stablecoin_is_off_its_peg_or_nobody_can_say() {
    let mut traded_with_a_peg = 0;
    for seed in 520..526 {
        let said = [
            Peg::NoAnswer,
            dollar(30),
            Peg::Price { cents: 65, minutes_old: 0 },
            dollar(0),
            dollar(31),
            dollar(0),
            Peg::NoAnswer,
        ];
        let run = run(seed, &said);
        for (part, code) in
            [(0, "peg_unknown"), (2, "stablecoin_depegged"), (4, "peg_unknown"), (6, "peg_unknown")]
        {
            assert!(!traded(&run, part), "seed {seed}: traded in part {part}");
            assert_eq!(codes(&run, part), BTreeSet::from([code]), "seed {seed}, part {part}");
        }
        for part in [1, 3, 5] {
            let codes = codes(&run, part);
            let blocked = |code: &&str| ["peg_unknown", "stablecoin_depegged"].contains(code);
            assert!(!codes.iter().any(blocked), "seed {seed}, part {part}: {codes:?}");
            traded_with_a_peg += usize::from(traded(&run, part));
        }
        let told = run.cycles[0].notes.iter().any(|note| note.contains("in dollars is unknown"));
        assert!(told, "{:?}", run.cycles[0].notes);
    }
    assert!(traded_with_a_peg > 9, "only {traded_with_a_peg}: the property was hardly tried");
}

/// A tape without a market of the stablecoin, or exchanges that list none.
#[test]
fn where_no_market_tells_the_peg_that_is_said_once_and_trading_goes_on() {
    let mut traded_unwatched = 0;
    for seed in 530..534 {
        let run = run(seed, &[Peg::NoMarket, Peg::NoMarket, dollar(0), Peg::NoMarket]);
        let told: Vec<u64> = run
            .cycles
            .iter()
            .filter(|cycle| cycle.notes.iter().any(|note| note.contains("is not watched")))
            .map(|cycle| cycle.cycle)
            .collect();
        assert_eq!(told, [1, 37], "seed {seed}");
        traded_unwatched += usize::from(traded(&run, 0)) + usize::from(traded(&run, 3));
    }
    assert!(traded_unwatched > 4, "only {traded_unwatched}: the property was hardly tried");
}
