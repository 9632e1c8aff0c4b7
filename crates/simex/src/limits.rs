//! Counters over fixed windows of time, as venues keep them for their limits.

use std::collections::BTreeMap;

/// Units used in the running window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    used: u64,
}

/// Counters by name.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    windows: BTreeMap<String, Window>,
    peak: BTreeMap<String, u64>,
}

impl Counters {
    /// Adds `units` to a counter whose window is `per_ms` long, and gives the sum in the window.
    pub fn add(&mut self, name: &str, units: u64, per_ms: i64, now_ms: i64) -> u64 {
        let number = now_ms.div_euclid(per_ms);
        let window = self.windows.entry(name.to_owned()).or_default();
        if window.number != number {
            *window = Window { number, used: 0 };
        }
        window.used += units;
        let used = window.used;
        let peak = self.peak.entry(name.to_owned()).or_default();
        *peak = (*peak).max(used);
        used
    }

    /// The most that was used in any window, by counter.
    #[must_use]
    pub const fn peaks(&self) -> &BTreeMap<String, u64> {
        &self.peak
    }
}

/// Milliseconds until the running window of `per_ms` ends, at least 1.
#[must_use]
pub const fn window_left_ms(per_ms: i64, now_ms: i64) -> i64 {
    per_ms - now_ms.rem_euclid(per_ms)
}
