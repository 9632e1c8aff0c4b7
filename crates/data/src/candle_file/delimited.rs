//! CSV, plain or gzip-compressed.

use super::{
    CandleFileError, CellFault, FINITE, Kind, Row, TIME_NAMES, VALUE_NAMES, damaged, positions,
};
use crate::moment::{EXPECTED, FIRST_READABLE_MS, read_moment};
use flate2::Compression;
use flate2::write::GzEncoder;
use keel_core::candle::Candle;
use std::io::{self, Read, Write};
use std::path::Path;

pub(super) fn read(path: &Path, bytes: impl Read) -> Result<Vec<Row>, CandleFileError> {
    let damaged = |source: csv::Error| damaged(path, "CSV", source);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let layout = Layout::find(path, reader.headers().map_err(damaged)?)?;
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(damaged)? {
        rows.push(layout.row(&record, rows.len() + 1));
    }
    Ok(rows)
}

struct Layout {
    time: usize,
    values: [usize; 5],
}

impl Layout {
    fn find(path: &Path, header: &csv::StringRecord) -> Result<Self, CandleFileError> {
        // Spreadsheets put a byte order mark in front of the first name.
        let seen: Vec<String> = header
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').to_ascii_lowercase())
            .collect();
        let (time, values) = positions(path, &seen)?;
        Ok(Self { time, values })
    }

    fn row(&self, record: &csv::StringRecord, row: usize) -> Row {
        let text = |at: usize| record.get(at).unwrap_or_default();
        let fault = |column, text: &str, expected| {
            let seen = if text.is_empty() { "nothing".to_owned() } else { format!("`{text}`") };
            CellFault { row, column, seen, expected }
        };
        let moment = text(self.time);
        let open_time_ms =
            read_moment(moment).ok_or_else(|| fault(TIME_NAMES[0], moment, EXPECTED))?.ms();
        let mut numbers = [0.0; 5];
        for ((number, at), name) in numbers.iter_mut().zip(self.values).zip(VALUE_NAMES) {
            *number = text(at)
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .ok_or_else(|| fault(name, text(at), FINITE))?;
        }
        let [open, high, low, close, volume] = numbers;
        Ok(Candle { open_time_ms, open, high, low, close, volume })
    }
}

/// Writes candles as CSV with the header `timestamp,open,high,low,close,volume`; times are
/// milliseconds, numbers the shortest text that reads back as the same `f64`. A name ending in
/// `.csv.gz` is compressed. The file appears whole or not at all.
///
/// # Errors
/// A name that ends in neither `.csv` nor `.csv.gz`, a bar before 1973-03-03 (its epoch would be
/// read as seconds), and what the file system said; the file is as it was then.
pub fn write_csv(path: &Path, candles: &[Candle]) -> Result<(), CandleFileError> {
    let kind = Kind::of(path)?;
    if !matches!(kind, Kind::Csv | Kind::CsvGz) {
        return Err(CandleFileError::UnknownKind { path: path.to_path_buf() });
    }
    if let Some(at) = candles.iter().position(|c| c.open_time_ms < FIRST_READABLE_MS) {
        let open_time_ms = candles[at].open_time_ms;
        return Err(CandleFileError::TooEarlyForCsv { row: at + 1, open_time_ms });
    }
    keel_files::replace(path, |out| {
        if kind == Kind::Csv {
            return write_lines(out, candles);
        }
        let mut gz = GzEncoder::new(out, Compression::default());
        write_lines(&mut gz, candles)?;
        gz.finish().map(|_| ())
    })
    .map_err(|source: io::Error| CandleFileError::Write {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

fn write_lines(out: &mut dyn Write, candles: &[Candle]) -> io::Result<()> {
    writeln!(out, "timestamp,open,high,low,close,volume")?;
    for c in candles {
        writeln!(
            out,
            "{},{},{},{},{},{}",
            c.open_time_ms, c.open, c.high, c.low, c.close, c.volume
        )?;
    }
    Ok(())
}
