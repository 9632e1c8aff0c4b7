//! What arrived: every request, when its first byte came, and what was answered.

use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// A request as it was seen.
#[derive(Clone, Debug, Serialize)]
pub struct RequestRecord {
    /// Counts from 1 over all doubles.
    pub number: u64,
    /// Which double.
    pub double: String,
    /// Method and path; Telegram methods by name.
    pub endpoint: String,
    /// When its first byte arrived, microseconds since 1970 by the machine's clock.
    pub first_byte_us: i64,
    /// Exchange time at which it was handled, milliseconds.
    pub handled_ms: i64,
    /// Query and body without the signature.
    pub parameters: String,
    /// It carried a signature.
    pub signed: bool,
    /// Status of the answer before faults; 0: it was not handled at all.
    pub status: u16,
    /// Faults that were applied to it.
    pub faults: Vec<String>,
}

/// The newest requests, and counts of all.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    keep: usize,
    records: VecDeque<RequestRecord>,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    total: u64,
}

impl Journal {
    /// A journal of the newest `keep` requests.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Adds a record and numbers it.
    pub fn add(&mut self, mut record: RequestRecord) {
        self.total += 1;
        record.number = self.total;
        let counts = self.counts.entry(record.double.clone()).or_default();
        *counts.entry(record.endpoint.clone()).or_default() += 1;
        if self.records.len() >= self.keep {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    /// The kept records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &RequestRecord> {
        self.records.iter()
    }

    /// How often each endpoint was called, by double.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<String, BTreeMap<String, u64>> {
        &self.counts
    }
}
