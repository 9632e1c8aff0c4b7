//! Histories that are longer than one question may read: what was read is kept, and the next question
//! goes on from there. Otherwise an account with many trades would never be read.

use keel_core::time::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Entries in a page, fixed by the venue.
pub(super) const PAGE: usize = 50;
/// More entries than this are nobody's history.
const ENTRIES_MAX: usize = 100_000;
/// So long a long history is kept after it was read to its end: who asked for it may ask again for
/// another market.
const KEPT: Duration = Duration::from_secs(3600);

/// What is known of a history, without a gap from the newest entry of its time on.
#[derive(Debug, Default)]
pub(super) struct Past {
    entries: BTreeMap<String, Value>,
    /// It holds everything since that moment, as it was at that time.
    whole: Option<(Timestamp, Instant)>,
}

/// One reading of a history, newest entries first.
#[derive(Debug)]
pub(super) struct Reading {
    since: Timestamp,
    known: Past,
    /// Entries that are newer than all that was known; all of them when nothing was.
    newer: BTreeMap<String, Value>,
    is_joined: bool,
    pages: usize,
}

impl Reading {
    /// Goes on from what is known.
    pub(super) fn new(since: Timestamp, known: Past) -> Self {
        let is_old = known.whole.is_some_and(|(_, at)| at.elapsed() > KEPT);
        let is_endless = known.entries.len() > ENTRIES_MAX;
        let known = if is_old || is_endless { Past::default() } else { known };
        let is_joined = known.entries.is_empty();
        Self { since, known, newer: BTreeMap::new(), is_joined, pages: 0 }
    }

    /// Where the next page begins. What came meanwhile moves entries down, so that pages overlap and
    /// none is left out.
    pub(super) fn offset(&self) -> usize {
        if self.is_joined { self.known.entries.len() } else { self.newer.len() }
    }

    /// Takes a page; says whether it was the last one that is needed.
    pub(super) fn add(&mut self, page: &Map<String, Value>) -> bool {
        self.pages += 1;
        let is_met = page.keys().any(|id| self.known.entries.contains_key(id));
        self.newer.extend(page.iter().map(|(id, entry)| (id.clone(), entry.clone())));
        let is_last = page.len() < PAGE;
        if !self.is_joined && !is_met && is_last {
            // What was known is from before the moment that is asked for.
            self.known = Past::default();
        }
        self.is_joined |= is_met || is_last;
        if self.is_joined {
            self.known.entries.append(&mut self.newer);
        }
        let was_whole = self.known.whole.is_some_and(|(since, _)| since <= self.since);
        if is_last && !was_whole {
            self.known.whole = Some((self.since, Instant::now()));
        }
        is_last || (is_met && was_whole)
    }

    pub(super) fn entries(&self) -> Vec<(String, Value)> {
        self.known.entries.iter().map(|(id, entry)| (id.clone(), entry.clone())).collect()
    }

    /// What the next question goes on from: nothing after a short history, which is read anew.
    pub(super) fn keep(mut self, pages_max: usize) -> Past {
        if !self.is_joined && self.pages >= pages_max {
            return Past { entries: self.newer, whole: None };
        }
        let is_short = self.known.entries.len() < PAGE * pages_max;
        if is_short && self.known.whole.is_some() {
            self.known = Past::default();
        }
        self.known
    }
}
