//! Confirmations: a code for one user in one chat, good once and for a short time.

use crate::random;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Codes that were given out.
#[derive(Debug)]
pub(crate) struct Confirmations {
    age_max: Duration,
    pending: BTreeMap<(u64, i64), Pending>,
}

#[derive(Debug)]
struct Pending {
    code: String,
    at: Instant,
}

impl Confirmations {
    pub(crate) const fn new(age_max: Duration) -> Self {
        Self { age_max, pending: BTreeMap::new() }
    }

    /// A new code, which replaces an older one of the same user and chat. `None` when the system
    /// has no random numbers.
    pub(crate) fn issue(&mut self, user_id: u64, chat_id: i64, now: Instant) -> Option<String> {
        let code = format!("{:08X}", random::bits()?);
        let pending = Pending { code: code.clone(), at: now };
        self.pending.insert((user_id, chat_id), pending);
        Some(code)
    }

    /// Whether the code is the one that was given out. It is used up in any case, so that nobody
    /// can try codes.
    pub(crate) fn take(&mut self, user_id: u64, chat_id: i64, code: &str, now: Instant) -> bool {
        self.pending.remove(&(user_id, chat_id)).is_some_and(|pending| {
            pending.code.eq_ignore_ascii_case(code)
                && now.saturating_duration_since(pending.at) <= self.age_max
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_code_is_good_once_for_its_user_and_for_a_minute() {
        let minute = Duration::from_secs(60);
        let start = Instant::now();
        let mut codes = Confirmations::new(minute);
        let code = codes.issue(1, 1, start).unwrap();
        assert!(!codes.take(2, 1, &code, start), "another user");
        assert!(!codes.take(1, 2, &code, start), "another chat");
        assert!(codes.take(1, 1, &code, start + minute));
        assert!(!codes.take(1, 1, &code, start), "a second time");
        let late = codes.issue(1, 1, start).unwrap();
        assert!(!codes.take(1, 1, &late, start + minute + Duration::from_secs(1)));
        let guessed = codes.issue(1, 1, start).unwrap();
        assert!(!codes.take(1, 1, "00000000x", start));
        assert!(!codes.take(1, 1, &guessed, start), "a wrong guess uses it up");
    }
}
