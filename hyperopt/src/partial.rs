//! What a search has found so far, on disk, so that a stopped one goes on where it was.
//!
//! Records are appended as they come and each carries a checksum: a search that was killed loses at
//! most the record it was writing.

use crate::backtest::Series;
use crate::candles::Candles;
use crate::outcome::Outcome;
use crate::rules::Rules;
use crate::space::Space;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"KEELHO1\n";
const OUTCOME_BYTES: usize = 64;
const CHECK_BYTES: usize = 8;

/// What outcomes depend on; equal fingerprints have equal outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a search.
    #[must_use]
    pub fn of(series: &Series, rules: &Rules, space: &Space) -> Self {
        let mut hash = Sha256::new();
        let mut candles = |candles: &Candles| {
            hash.update(candles.timeframe.name());
            for time in &candles.open_time_ms {
                hash.update(time.to_le_bytes());
            }
            let columns =
                [&candles.open, &candles.high, &candles.low, &candles.close, &candles.volume];
            for value in columns.into_iter().flatten() {
                hash.update(value.to_bits().to_le_bytes());
            }
        };
        candles(&series.traded);
        if let Some(share) = &series.share {
            candles(share);
        }
        hash.update(format!("{rules:?}{space:?}"));
        Self(hash.finalize().into())
    }

    /// As hexadecimal text.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Outcomes of consecutive points.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Number of the first point.
    pub first: usize,
    /// Outcomes from there on.
    pub outcomes: Vec<Outcome>,
}

/// A file of records, open for more.
#[derive(Debug)]
pub struct Partial {
    file: File,
}

impl Partial {
    /// Opens the file of a search and returns its records so far; none if it belongs to another
    /// search or does not exist, in which case it starts empty.
    ///
    /// # Errors
    /// What the file system said.
    pub fn open(path: &Path, fingerprint: Fingerprint) -> io::Result<(Self, Vec<Record>)> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(mut file) => {
                file.read_to_end(&mut bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let header = [MAGIC.as_slice(), &fingerprint.0].concat();
        let (records, good) = match bytes.strip_prefix(header.as_slice()) {
            Some(rest) => read(rest),
            None => (Vec::new(), 0),
        };
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        let keep = if records.is_empty() { 0 } else { header.len() + good };
        // Whatever follows the last whole record was cut off while it was written.
        file.set_len(keep as u64)?;
        io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        if records.is_empty() {
            file.write_all(&header)?;
        }
        Ok((Self { file }, records))
    }

    /// Appends a record.
    ///
    /// # Errors
    /// What the file system said; the record is as if it had never been written then.
    pub fn append(&mut self, first: usize, outcomes: &[Outcome]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(16 + outcomes.len() * OUTCOME_BYTES + CHECK_BYTES);
        bytes.extend((first as u64).to_le_bytes());
        bytes.extend((outcomes.len() as u64).to_le_bytes());
        for outcome in outcomes {
            bytes.extend(outcome.trades.to_le_bytes());
            bytes.extend(outcome.wins.to_le_bytes());
            for value in floats(outcome) {
                bytes.extend(value.to_bits().to_le_bytes());
            }
        }
        let check = checksum(&bytes);
        bytes.extend(check);
        self.file.write_all(&bytes)
    }
}

const fn floats(outcome: &Outcome) -> [f64; 7] {
    [
        outcome.profit,
        outcome.daily_sum,
        outcome.daily_squares,
        outcome.daily_down_squares,
        outcome.drop,
        outcome.drop_from,
        outcome.drop_to,
    ]
}

fn checksum(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    std::array::from_fn(|place| digest[place])
}

/// The whole records at the start of `bytes` and the length that they take.
fn read(bytes: &[u8]) -> (Vec<Record>, usize) {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some((record, length)) = read_one(&bytes[at..]) {
        records.push(record);
        at += length;
    }
    (records, at)
}

fn read_one(bytes: &[u8]) -> Option<(Record, usize)> {
    let word = |at: usize| -> Option<[u8; 8]> { bytes.get(at..at + 8)?.try_into().ok() };
    let number = |at: usize| usize::try_from(u64::from_le_bytes(word(at)?)).ok();
    let (first, count) = (number(0)?, number(8)?);
    let end = count.checked_mul(OUTCOME_BYTES)?.checked_add(16)?;
    if bytes.get(end..end.checked_add(CHECK_BYTES)?)? != checksum(&bytes[..end]) {
        return None;
    }
    let outcomes = (0..count)
        .map(|place| {
            let at = 16 + place * OUTCOME_BYTES;
            let half = |at: usize| -> Option<u32> {
                Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
            };
            let float =
                |place: usize| Some(f64::from_bits(u64::from_le_bytes(word(at + 8 + place * 8)?)));
            Some(Outcome {
                trades: half(at)?,
                wins: half(at + 4)?,
                profit: float(0)?,
                daily_sum: float(1)?,
                daily_squares: float(2)?,
                daily_down_squares: float(3)?,
                drop: float(4)?,
                drop_from: float(5)?,
                drop_to: float(6)?,
            })
        })
        .collect::<Option<_>>()?;
    Some((Record { first, outcomes }, end + CHECK_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(trades: u32) -> Outcome {
        Outcome {
            trades,
            wins: 1,
            profit: 0.1 + f64::from(trades),
            drop: -0.0,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_killed_search_keeps_every_whole_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("partial.bin");
        let (mine, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let (mut partial, before) = Partial::open(&path, mine).unwrap();
        assert!(before.is_empty());
        partial.append(0, &[outcome(1), outcome(2)]).unwrap();
        partial.append(7, &[outcome(3)]).unwrap();
        drop(partial);
        // As if killed in the middle of a third record.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[9; 50]).unwrap();
        drop(file);
        let (mut partial, records) = Partial::open(&path, mine).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(
            (records[0].first, &records[0].outcomes[..]),
            (0, &[outcome(1), outcome(2)][..])
        );
        assert_eq!(records[1], Record { first: 7, outcomes: vec![outcome(3)] });
        partial.append(9, &[outcome(4)]).unwrap();
        drop(partial);
        assert_eq!(Partial::open(&path, mine).unwrap().1.len(), 3);
        assert!(Partial::open(&path, other).unwrap().1.is_empty(), "another search starts anew");
        assert!(Partial::open(&path, mine).unwrap().1.is_empty());
    }
}
