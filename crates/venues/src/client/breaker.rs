//! A circuit breaker: a host that keeps failing is left alone for a while.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

const FAILURES_IN_A_ROW: usize = 5;
const WINDOW: usize = 20;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// A probe that has not ended by then was given up by its caller.
const PROBE_MAX: Duration = Duration::from_secs(90);

/// Opens at five failures in a row, or when more than half of the last twenty calls failed; then
/// lets one probe through after 30 seconds, and after twice as long each time the probe fails.
#[derive(Debug)]
pub(super) struct Breaker {
    failed: VecDeque<bool>,
    pause: Duration,
    open_until: Option<Instant>,
    probing_since: Option<Instant>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failed: VecDeque::new(), pause: FIRST_PAUSE, open_until: None, probing_since: None }
    }
}

impl Breaker {
    /// Whether a call may be made now; otherwise how long it is closed to calls. Calls that may not
    /// probe wait until [`Self::heal`].
    pub(super) fn admit(&mut self, now: Instant, may_probe: bool) -> Result<(), Duration> {
        let Some(until) = self.open_until else { return Ok(()) };
        if now < until {
            return Err(until - now);
        }
        if !may_probe
            || self.probing_since.is_some_and(|since| now.duration_since(since) < PROBE_MAX)
        {
            return Err(Duration::from_secs(1));
        }
        self.probing_since = Some(now);
        Ok(())
    }

    /// Whether calls that may not probe are kept back.
    pub(super) const fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// Something else shows that the host is well: calls go on once the pause is over. The next pause
    /// is longer all the same, until a call succeeds.
    pub(super) fn heal(&mut self, now: Instant) {
        if self.open_until.is_some_and(|until| now >= until) {
            let pause = (self.pause * 2).min(LONGEST_PAUSE);
            *self = Self { pause, ..Self::default() };
        }
    }

    /// A call that was admitted was not made after all.
    pub(super) fn withdraw(&mut self) {
        self.probing_since = None;
    }

    /// How an admitted call ended.
    pub(super) fn record(&mut self, failed: bool, now: Instant) {
        self.failed.push_back(failed);
        if self.failed.len() > WINDOW {
            self.failed.pop_front();
        }
        if self.open_until.is_some() {
            // Calls that were under way when it opened tell nothing new; only the probe does.
            if self.probing_since.take().is_some() {
                if failed {
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                    self.open_until = Some(now + self.pause);
                } else {
                    *self = Self::default();
                }
            }
        } else if self.too_many() {
            self.open_until = Some(now + self.pause);
        } else if !failed {
            self.pause = FIRST_PAUSE;
        }
    }

    fn too_many(&self) -> bool {
        let in_a_row = self.failed.iter().rev().take_while(|failed| **failed).count();
        let failures = self.failed.iter().filter(|failed| **failed).count();
        in_a_row >= FAILURES_IN_A_ROW || self.failed.len() == WINDOW && failures * 2 > WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_open_it_and_a_probe_that_succeeds_closes_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            assert!(breaker.admit(at(0), true).is_ok());
            breaker.record(true, at(0));
        }
        assert_eq!(breaker.admit(at(10), true), Err(Duration::from_secs(20)));
        assert!(breaker.admit(at(30), true).is_ok());
        assert!(breaker.admit(at(30), true).is_err(), "one probe only");
        breaker.record(true, at(31));
        assert_eq!(breaker.admit(at(31), true), Err(Duration::from_secs(60)));
        assert!(breaker.admit(at(91), true).is_ok());
        breaker.record(false, at(92));
        assert!(breaker.admit(at(92), true).is_ok());
        assert!(breaker.admit(at(92), true).is_ok());
    }

    #[test]
    fn what_must_not_be_tried_out_waits_until_something_else_shows_that_the_host_is_well() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let fail = |breaker: &mut Breaker, now| {
            for _ in 0..FAILURES_IN_A_ROW {
                assert!(breaker.admit(now, false).is_ok());
                breaker.record(true, now);
            }
        };
        let mut breaker = Breaker::default();
        fail(&mut breaker, at(0));
        breaker.heal(at(10));
        assert!(breaker.admit(at(29), false).is_err(), "not before its time");
        assert!(breaker.admit(at(500), false).is_err(), "time alone shows nothing");
        breaker.heal(at(500));
        fail(&mut breaker, at(500));
        assert_eq!(breaker.admit(at(500), false), Err(2 * FIRST_PAUSE));
        breaker.heal(at(600));
        assert!(breaker.admit(at(600), false).is_ok());
        breaker.record(false, at(600));
        fail(&mut breaker, at(600));
        assert_eq!(breaker.admit(at(600), false), Err(FIRST_PAUSE), "a success forgives");
    }

    #[test]
    fn a_probe_whose_caller_went_away_does_not_close_the_host_for_ever() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.record(true, start);
        }
        let probe = start + FIRST_PAUSE;
        assert!(breaker.admit(probe, true).is_ok());
        assert!(breaker.admit(probe + Duration::from_secs(30), true).is_err());
        assert!(breaker.admit(probe + PROBE_MAX, true).is_ok());
    }

    #[test]
    fn more_than_half_of_twenty_open_it_and_the_pause_ends_at_ten_minutes() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for call in 0..20 {
            assert!(breaker.admit(start, true).is_ok(), "{call}");
            breaker.record(call % 2 == 0 || call == 1, start);
        }
        assert!(breaker.admit(start, true).is_err());
        let mut now = start + FIRST_PAUSE;
        let mut last = Duration::ZERO;
        for _ in 0..8 {
            assert!(breaker.admit(now, true).is_ok());
            breaker.record(true, now);
            last = breaker.admit(now, true).unwrap_err();
            now += last;
        }
        assert_eq!(last, LONGEST_PAUSE);
    }
}
