//! Which updates were handled, kept over restarts, so that a command is never obeyed twice.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// After a quiet week Telegram numbers updates anew; some days before that, numbers count no more.
const NUMBERS_VALID_MS: i64 = 5 * 24 * 3600 * 1000;

/// The last update that was handled.
#[derive(Debug)]
pub(crate) struct Seen {
    path: Option<PathBuf>,
    mark: Mark,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Which bot, as a part of a digest of its token: another bot has other numbers.
    bot: String,
    update_id: Option<u32>,
    at_ms: i64,
}

impl Seen {
    /// What is remembered of this bot. A missing or unreadable file is as good as none: old
    /// commands are refused by their age, too.
    pub(crate) fn load(path: Option<PathBuf>, token: &str) -> Self {
        let digest = Sha256::digest(token.as_bytes());
        let bot: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let mark = path
            .as_ref()
            .and_then(|path| std::fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice::<Mark>(&bytes).ok())
            .filter(|mark| mark.bot == bot)
            .unwrap_or_else(|| Mark { bot, ..Mark::default() });
        Self { path, mark }
    }

    /// Whether the update is new; if so it is not new any more.
    pub(crate) fn pass(&mut self, update_id: u32, now_ms: i64) -> bool {
        if self.next(now_ms).is_some_and(|next| update_id < next) {
            return false;
        }
        self.mark.update_id = Some(update_id);
        self.mark.at_ms = now_ms;
        true
    }

    /// Remembers over a restart what passed, before anything is done about it. Updates that are
    /// dropped anyway need not be: strangers must not cause writes.
    ///
    /// # Errors
    /// When it cannot be remembered, so that it must not be obeyed.
    pub(crate) fn keep(&self) -> std::io::Result<()> {
        if let Some(path) = &self.path {
            keel_files::write_atomic(path, &serde_json::to_vec(&self.mark)?)?;
        }
        Ok(())
    }

    /// The number of the next update, unless that is too long ago to tell.
    pub(crate) fn next(&self, now_ms: i64) -> Option<u32> {
        let is_valid = now_ms.saturating_sub(self.mark.at_ms) < NUMBERS_VALID_MS;
        self.mark.update_id.filter(|_| is_valid).map(|id| id.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn handled_updates_are_remembered_over_restarts_and_forgotten_after_days() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("telegram.json");
        let path = Some(file.clone());
        let mut seen = Seen::load(path.clone(), "1:a");
        assert!(seen.pass(7, 1000));
        seen.keep().unwrap();
        assert!(!seen.pass(7, 1000));
        let mut again = Seen::load(path.clone(), "1:a");
        assert!(!again.pass(6, 2000) && !again.pass(7, 2000));
        assert!(again.pass(8, 2000));
        let mut other_bot = Seen::load(path, "2:b");
        assert!(other_bot.pass(3, 3000));
        other_bot.keep().unwrap();
        assert!(other_bot.pass(1, 3000 + NUMBERS_VALID_MS), "numbered anew");
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains("2:b"));
    }

    #[test]
    fn what_cannot_be_remembered_is_not_obeyed() {
        let place = tempfile::tempdir().unwrap();
        let mut seen = Seen::load(Some(place.path().to_owned()), "1:a");
        assert!(seen.pass(1, 0));
        assert!(seen.keep().is_err());
    }
}
