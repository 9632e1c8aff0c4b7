//! Digests over rows: each cycle's covers its own rows and the digest before it.

use sha2::{Digest, Sha256};

/// The tables whose rows a cycle's digest covers, each in its own order of writing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Table {
    Intents,
    Outcomes,
    Fills,
    Decisions,
}

/// The digest so far, and the rows of the cycle that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    last: [u8; 32],
    tables: [Sha256; 4],
}

impl Chain {
    /// Adds a row: every column as text, led by its length, so that no two different rows give the
    /// same bytes.
    pub(super) fn row<T: AsRef<str>>(&mut self, table: Table, columns: &[T]) {
        absorb(&mut self.tables[table as usize], columns);
    }

    /// The same of columns that were written down with their lengths already.
    pub(super) fn encoded(&mut self, table: Table, columns: &[u8]) {
        self.tables[table as usize].update(columns);
    }

    /// Goes on behind cycles that were folded.
    pub(super) const fn skip_to(&mut self, digest: [u8; 32]) {
        self.last = digest;
    }

    /// Ends a cycle, given its own row, and returns its digest.
    pub(super) fn seal<T: AsRef<str>>(&mut self, cycle: &[T]) -> [u8; 32] {
        let mut all = Sha256::new();
        all.update(self.last);
        for table in &mut self.tables {
            all.update(std::mem::take(table).finalize());
        }
        absorb(&mut all, cycle);
        self.last = all.finalize().into();
        self.last
    }

    /// The digest of the last sealed cycle.
    pub(super) const fn last(&self) -> &[u8; 32] {
        &self.last
    }
}

fn absorb<T: AsRef<str>>(hasher: &mut Sha256, columns: &[T]) {
    for column in columns {
        let column = column.as_ref();
        hasher.update((column.len() as u64).to_le_bytes());
        hasher.update(column.as_bytes());
    }
}

/// Digest of texts.
pub(super) fn of_text(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    absorb(&mut hasher, parts);
    hasher.finalize().into()
}

/// Lowercase hexadecimal.
pub(super) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_letter_between_columns_changes_the_digest() {
        assert_ne!(of_text(&["ab", "c"]), of_text(&["a", "bc"]));
        assert_ne!(of_text(&["a", ""]), of_text(&["", "a"]));
    }
}
