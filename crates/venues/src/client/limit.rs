//! One limit of a venue: who may send now, and who has to wait how long. It reads no clock.

use governor::clock::{Clock as _, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// Percent of a venue's limit that is planned with.
const PLANNED_PERCENT: u32 = 80;
/// Percent of the plan that may be used at once.
const BURST_PERCENT: u32 = 25;
/// Percent of the plan that public reads leave to orders and their look-ups.
const KEPT_PERCENT: u32 = 20;
/// What a venue publishes is believed within this factor of what its documentation says: beyond it is
/// a mistake, and following it would end in a standstill or a ban.
const BELIEVED_FACTOR: u32 = 1000;

/// A part of the plan may be used at once, the rest flows back over the venue's window. Whatever else
/// happens, no window of that length, wherever it starts, holds more than the plan.
pub(super) struct Limit {
    documented: u32,
    granted: u32,
    per: Duration,
    plan: u32,
    all: Flow,
    public: Flow,
    /// What was charged within the last window, and its sum.
    log: VecDeque<(Instant, u32)>,
    used: u32,
}

/// So many units at once; each comes back after a while. Its clock is told the time with each call.
struct Flow {
    limiter: RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>,
    clock: FakeRelativeClock,
    told: Instant,
    burst: NonZeroU32,
}

impl Limit {
    /// `granted` units in every `per`.
    pub(super) fn new(granted: u32, per: Duration, now: Instant) -> Self {
        let plan = part(granted, PLANNED_PERCENT);
        let burst = part(plan, BURST_PERCENT);
        // A plan of a single unit has no parts: it flows back over two windows.
        let (refill, over) = if plan == 1 { (1, per * 2) } else { (plan - burst, per) };
        let flow = |burst, refill| Flow::new(burst, over / refill, now);
        Self {
            documented: granted,
            granted,
            per,
            plan,
            all: flow(burst, refill),
            public: flow(shared(burst), shared(refill)),
            log: VecDeque::new(),
            used: 0,
        }
    }

    /// Takes the units from the share of public reads, as [`Self::take`] does from the whole.
    pub(super) fn take_share(&mut self, now: Instant, units: u32) -> Option<Duration> {
        self.public.take(now, units)
    }

    /// Takes the units, or as many as there can ever be; otherwise says how long to wait.
    pub(super) fn take(&mut self, now: Instant, units: u32, is_public: bool) -> Option<Duration> {
        self.forget(now);
        let most = if is_public { shared(self.plan) } else { self.plan };
        let wait = self.until_room(now, units, most);
        if !wait.is_zero() {
            return Some(wait);
        }
        let wait = self.all.take(now, units);
        if wait.is_none() {
            self.log.push_back((now, units));
            self.used = self.used.saturating_add(units);
        }
        wait
    }

    /// Adopts the venue's own count of what was used in its running window.
    pub(super) fn learn(&mut self, now: Instant, used: u32) {
        self.forget(now);
        let used = used.min(self.granted);
        if used > self.used {
            // Somebody else uses the same address or key. Nobody knows since when: as of now, so that
            // it counts until the venue's window is over in any case.
            self.charge_before(now, used - self.used);
            self.log = VecDeque::from([(now, used)]);
            self.used = used;
        }
    }

    /// Adopts what the venue publishes as its limit, and says whether that changed anything. What was
    /// charged before counts on: nobody gets a fresh burst.
    pub(super) fn adopt(&mut self, now: Instant, granted: u32) -> bool {
        let least = (self.documented / BELIEVED_FACTOR).max(1);
        let most = self.documented.saturating_mul(BELIEVED_FACTOR);
        if granted == self.granted || !(least..=most).contains(&granted) {
            return false;
        }
        self.forget(now);
        let before = std::mem::replace(self, Self::new(granted, self.per, now));
        self.documented = before.documented;
        self.charge_before(now, before.used);
        self.log = before.log;
        self.used = before.used;
        true
    }

    fn charge_before(&mut self, now: Instant, units: u32) {
        self.all.charge(now, units);
        self.public.charge(now, units);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, units)) = self.log.front()
            && now.saturating_duration_since(*at) >= self.per
        {
            self.used = self.used.saturating_sub(*units);
            self.log.pop_front();
        }
    }

    /// How long until the window has room for these units below `most`.
    fn until_room(&self, now: Instant, units: u32, most: u32) -> Duration {
        let mut used = self.used;
        let mut wait = Duration::ZERO;
        for (at, charged) in &self.log {
            if used.saturating_add(units) <= most {
                break;
            }
            used = used.saturating_sub(*charged);
            wait = (*at + self.per).saturating_duration_since(now);
        }
        wait
    }
}

impl Flow {
    fn new(burst: u32, each: Duration, now: Instant) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(each.max(Duration::from_nanos(1)))
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        Self { limiter, clock, told: now, burst }
    }

    /// Takes the units, or as many as there can ever be; otherwise says how long to wait.
    fn take(&mut self, now: Instant, units: u32) -> Option<Duration> {
        self.clock.advance(now.saturating_duration_since(self.told));
        self.told = self.told.max(now);
        let units = NonZeroU32::new(units)?.min(self.burst);
        match self.limiter.check_n(units) {
            Ok(Err(not_yet)) => {
                Some(not_yet.wait_time_from(self.clock.now()).max(Duration::from_nanos(1)))
            }
            // More than the burst is never asked for.
            Ok(Ok(())) | Err(_) => None,
        }
    }

    /// Takes these units, or as many of them as there are.
    fn charge(&mut self, now: Instant, units: u32) {
        let mut left = units.min(self.burst.get());
        let mut part = left;
        while part > 0 {
            if self.take(now, part).is_none() {
                left -= part;
            } else {
                part /= 2;
            }
            part = part.min(left);
        }
    }
}

/// A part of so many units, at least one.
fn part(units: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(units) * u64::from(percent) / 100).unwrap_or(units).max(1)
}

/// What public reads may have of so many units.
fn shared(units: u32) -> u32 {
    part(units, 100 - KEPT_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A venue that counts what arrives in every window of a minute, wherever it starts.
    #[derive(Default)]
    struct Venue(Vec<(Instant, u32)>);

    impl Venue {
        /// Sends `units` as soon as the limit lets them through, and gives that moment.
        fn send(&mut self, limit: &mut Limit, mut now: Instant, units: u32) -> Instant {
            while let Some(wait) = limit.take(now, units, false) {
                now += wait;
            }
            self.0.push((now, units));
            now
        }

        /// The most that a window held which ends at `since` or later.
        fn most_since(&self, since: Instant) -> u32 {
            let ends = self.0.iter().map(|(at, _)| *at).filter(|end| *end >= since);
            let held = |end: Instant| {
                let inside = self.0.iter().filter(|(at, _)| *at <= end && *at + MINUTE > end);
                inside.map(|(_, units)| *units).sum()
            };
            ends.map(held).max().unwrap_or(0)
        }
    }

    #[test]
    fn a_limit_that_the_venue_lowers_is_kept_from_then_on() {
        let start = Instant::now();
        let (mut limit, mut venue) = (Limit::new(6000, MINUTE, start), Venue::default());
        let mut now = start;
        while now < start + MINUTE {
            now = venue.send(&mut limit, now, 20);
        }
        let before = venue.most_since(start);
        assert!(before > 4500, "the plan of the documented limit is used: {before}");
        assert!(limit.adopt(now, 1200));
        let lowered = now;
        while now < lowered + 5 * MINUTE {
            now = venue.send(&mut limit, now, 20);
            // What was sent before cannot be taken back, but nothing is added to it.
            assert!(venue.most_since(now) <= 960, "{}", venue.most_since(now));
        }
        assert!(venue.most_since(lowered + 2 * MINUTE) > 700, "the new plan is used too");
    }

    #[test]
    fn a_limit_that_the_venue_raises_is_used_without_a_fresh_burst() {
        let start = Instant::now();
        let (mut limit, mut venue) = (Limit::new(6000, MINUTE, start), Venue::default());
        while limit.take(start, 20, false).is_none() {
            venue.0.push((start, 20));
        }
        assert_eq!(venue.most_since(start), 1200);
        // The burst of the new plan is twice as large; what is gone of the old one stays gone.
        assert!(limit.adopt(start, 12_000));
        while limit.take(start, 20, false).is_none() {
            venue.0.push((start, 20));
        }
        assert_eq!(venue.most_since(start), 2400);
        let mut now = start;
        while now < start + 3 * MINUTE {
            now = venue.send(&mut limit, now, 20);
        }
        let most = venue.most_since(start);
        assert!((9000..=9600).contains(&most), "{most}");
    }

    #[test]
    fn a_limit_that_was_read_again_or_cannot_be_true_changes_nothing() {
        let start = Instant::now();
        let mut limit = Limit::new(6000, MINUTE, start);
        while limit.take(start, 20, false).is_none() {}
        for nonsense in [6000, 0, 5, 6_000_001, u32::MAX] {
            assert!(!limit.adopt(start, nonsense), "{nonsense}");
            assert!(limit.take(start, 20, false).is_some(), "{nonsense}");
        }
        // Up and down again: neither gives back what was used.
        assert!(limit.adopt(start, 6_000_000) && limit.adopt(start, 6000));
        assert!(limit.take(start, 20, false).is_some());
    }

    #[test]
    fn f079_what_others_use_counts_until_the_venues_window_is_over() {
        let start = Instant::now();
        let mut limit = Limit::new(6000, MINUTE, start);
        assert_eq!(limit.take(start, 20, true), None);
        let later = start + MINUTE / 2;
        for told in [4800, u32::MAX] {
            limit.learn(later, told);
            for is_public in [true, false] {
                assert_eq!(limit.take(later, 20, is_public), Some(MINUTE), "{told} {is_public}");
            }
        }
        assert_eq!(limit.take(later + MINUTE, 20, true), None);
    }

    #[test]
    fn krakens_counter_which_falls_with_time_is_never_full() {
        let kraken = crate::venue::VENUES.iter().find(|venue| venue.facts.id == "kraken").unwrap();
        let bucket = kraken.facts.buckets.iter().find(|bucket| bucket.name == "private").unwrap();
        let start = Instant::now();
        let mut limit = Limit::new(bucket.units, bucket.per, start);
        let (mut counter, mut now, mut calls) = (0.0_f64, start, 0);
        while now < start + 20 * MINUTE {
            let before = now;
            while let Some(wait) = limit.take(now, 2, false) {
                now += wait;
            }
            // The lowest tier: it falls by 0.33 a second, and a history adds 2.
            counter = (counter - 0.33 * (now - before).as_secs_f64()).max(0.0) + 2.0;
            assert!(counter <= 15.0, "{counter} after {calls} calls");
            calls += 1;
        }
        assert!(calls > 100, "{calls}");
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_the_plan_of_its_limit(
            steps in prop::collection::vec((0..20_000_u64, 1..300_u32, any::<bool>(), 0..9_u32), 1..300)
        ) {
            let start = Instant::now();
            let (mut limit, mut venue) = (Limit::new(6000, MINUTE, start), Venue::default());
            let mut now = start;
            for (pause_ms, units, is_public, change) in steps {
                now += Duration::from_millis(pause_ms);
                if change == 0 {
                    limit.adopt(now, units * 40);
                }
                if is_public && limit.take_share(now, units).is_some() {
                    continue;
                }
                if limit.take(now, units, is_public).is_none() {
                    venue.0.push((now, units));
                    prop_assert!(venue.most_since(now) <= limit.plan.max(units));
                }
            }
        }
    }
}
