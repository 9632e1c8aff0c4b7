//! Reading and writing candle files of every kind.

use crate::support::{START_MS, bar, chain, hours};
use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use keel_core::candle::Candle;
use keel_data::{read_candles, write_csv, write_parquet};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

fn values(candles: &[Candle]) -> Vec<(&'static str, ArrayRef)> {
    let column = |pick: fn(&Candle) -> f64| -> ArrayRef {
        Arc::new(candles.iter().map(pick).collect::<Float64Array>())
    };
    vec![
        ("open", column(|c| c.open)),
        ("high", column(|c| c.high)),
        ("low", column(|c| c.low)),
        ("close", column(|c| c.close)),
        ("volume", column(|c| c.volume)),
    ]
}

fn feather(
    path: &Path,
    columns: Vec<(&'static str, ArrayRef)>,
    compression: Option<CompressionType>,
) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = FileWriter::try_new_with_options(file, &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

fn parquet(path: &Path, columns: Vec<(&'static str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn utc_ns(candles: &[Candle]) -> ArrayRef {
    let ns = candles.iter().map(|c| c.open_time_ms * 1_000_000);
    Arc::new(TimestampNanosecondArray::from_iter_values(ns).with_timezone("UTC"))
}

fn utc_ms(candles: &[Candle]) -> ArrayRef {
    let ms = candles.iter().map(|c| c.open_time_ms);
    Arc::new(TimestampMillisecondArray::from_iter_values(ms).with_timezone("UTC"))
}

/// What a file of these columns is refused with.
fn refused(columns: Vec<(&'static str, ArrayRef)>) -> String {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("x.parquet");
    parquet(&path, columns);
    chain(&read_candles(&path).unwrap_err())
}

fn refused_csv(text: &str) -> String {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("x.csv");
    fs::write(&path, text).unwrap();
    chain(&read_candles(&path).unwrap_err())
}

fn read_csv(text: &str) -> Vec<Candle> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("x.csv");
    fs::write(&path, text).unwrap();
    read_candles(&path).unwrap()
}

/// Any rows at all: unordered, doubled, with impossible prices; only finite.
fn any_rows() -> impl Strategy<Value = Vec<Candle>> {
    let number = -1e300..1e300_f64;
    let tiny = prop_oneof![number.clone(), Just(0.1), Just(1e-12), Just(0.0), Just(5e-324)];
    let row = (
        100_000_000_000_i64..100_000_000_000_000,
        [number.clone(), number.clone(), number.clone(), number],
        tiny,
    );
    let row = row.prop_map(|(open_time_ms, [open, high, low, close], volume)| Candle {
        open_time_ms,
        open,
        high,
        low,
        close,
        volume,
    });
    proptest::collection::vec(row, 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_written_is_read_bit_for_bit(rows in any_rows()) {
        let directory = TempDir::new().unwrap();
        for name in ["x.parquet", "x.csv", "x.csv.gz"] {
            let path = directory.path().join(name);
            if name == "x.parquet" { write_parquet(&path, &rows).unwrap() } else { write_csv(&path, &rows).unwrap() }
            prop_assert_eq!(&read_candles(&path).unwrap(), &rows);
            let first = fs::read(&path).unwrap();
            if name == "x.parquet" { write_parquet(&path, &rows).unwrap() } else { write_csv(&path, &rows).unwrap() }
            prop_assert_eq!(fs::read(&path).unwrap(), first, "the same rows give the same bytes");
        }
        prop_assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nothing is left over");
    }
}

#[test]
fn feather_files_of_freqtrade_are_read() {
    let rows = hours(300);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("BTC_USDT-1h.feather");
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for date in [utc_ns(&rows), utc_ms(&rows)] {
            let mut columns = vec![("date", date)];
            columns.extend(values(&rows));
            feather(&path, columns, compression);
            assert_eq!(read_candles(&path).unwrap(), rows);
        }
    }
}

#[test]
fn parquet_may_have_other_columns_in_between_and_arrow_times() {
    let rows = hours(5);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("x.parquet");
    let mut columns: Vec<(&'static str, ArrayRef)> =
        vec![("note", Arc::new(StringArray::from(vec!["a"; 5])))];
    columns.extend(values(&rows).into_iter().rev());
    columns.push(("date", utc_ns(&rows)));
    columns.push(("trades", Arc::new(Int64Array::from(vec![1; 5]))));
    parquet(&path, columns);
    assert_eq!(read_candles(&path).unwrap(), rows);
}

#[test]
fn csv_of_other_tools_is_read() {
    let expected = vec![Candle {
        open_time_ms: START_MS,
        open: 1.5,
        high: 2.0,
        low: 1.0,
        close: 1.25,
        volume: 0.1,
    }];
    for text in [
        "timestamp,open,high,low,close,volume\n1704067200000,1.5,2,1,1.25,0.1\n",
        "Date,Open,High,Low,Close,Volume\n2024-01-01,1.5,2,1,1.25,0.1",
        "\u{feff}date,open,high,low,close,volume\r\n2024-01-01 00:00:00+00:00,1.5,2,1,1.25,1e-1\r\n",
        "open_time,open,high,low,close,volume,close_time\n1704067200000000,1.5,2.0,1.0,1.25,0.1,9\n",
        "volume,close,low,high,open,time\n0.1,1.25,1,2,1.5,1704067200\n",
        "timestamp, open, high, low, close, volume\n1704067200000000000, 1.5, 2, 1, 1.25, .1\n",
    ] {
        assert_eq!(read_csv(text), expected, "{text}");
    }
}

#[test]
fn rows_are_kept_as_they_stand() {
    let text = "timestamp,open,high,low,close,volume\n\
        1704070800000,-1,0,1,2,-3\n1704067200000,1,1,1,1,1\n1704067200000,1,1,1,1,1\n";
    let rows = read_csv(text);
    assert_eq!(rows.len(), 3);
    assert_eq!((rows[0].open, rows[0].volume), (-1.0, -3.0));
    assert!(rows[0].open_time_ms > rows[1].open_time_ms);
}

#[test]
fn bad_csv_values_are_named_with_row_and_column() {
    let header = "timestamp,open,high,low,close,volume\n1704067200000,1,1,1,1,1\n";
    for (row, said) in [
        ("1704070800000,NaN,1,1,1,1", "row 2, column `open`: seen `NaN`, expected a finite number"),
        ("1704070800000,1,inf,1,1,1", "row 2, column `high`: seen `inf`, expected a finite number"),
        ("1704070800000,1,1,,1,1", "row 2, column `low`: seen nothing, expected a finite number"),
        ("1704070800000,1,1,1,1 000,1", "row 2, column `close`: seen `1 000`"),
        (
            "yesterday,1,1,1,1,1",
            "row 2, column `timestamp`: seen `yesterday`, expected a whole epoch",
        ),
        ("1704070800000,1,1,1,1", "previous record has 6 fields"),
    ] {
        let message = refused_csv(&format!("{header}{row}\n"));
        assert!(message.contains(said), "{message}");
        assert!(message.contains("x.csv"), "{message}");
    }
}

#[test]
fn files_that_are_no_candle_files_are_refused() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        chain(&read_candles(&path).unwrap_err())
    };
    for name in ["a.parquet", "a.feather", "a.csv", "a.csv.gz"] {
        let message = at(name, b"");
        assert!(message.contains("has no candles; expected at least one row"), "{message}");
    }
    for name in ["b.parquet", "b.feather", "b.csv.gz"] {
        let message = at(name, b"PK\x03\x04 this is something else altogether, a photograph maybe");
        assert!(message.contains(name) && message.contains("is not a readable"), "{message}");
    }
    let message = at("b1.feather", b"FEA1 and so on");
    assert!(message.contains("Feather version 1"), "{message}");
    let message = at("c.csv", b"timestamp,open,high,low,close,volume\n");
    assert!(message.contains("has no candles"), "{message}");
    let message = at("d.csv", b"1704067200000,1,1,1,1,1\n");
    assert!(
        message.contains("has no column `timestamp` or `date` or `open_time` or `time`"),
        "{message}"
    );
    let message = at("e.csv", b"\xff\xfe\x00garbage,\xff\n\xff,\xff\n");
    assert!(message.contains("e.csv"), "{message}");
    let message = at("f.xlsx", b"x");
    assert!(
        message.contains("expected a name ending in .parquet, .feather, .csv or .csv.gz"),
        "{message}"
    );

    let folder = directory.path().join("folder.parquet");
    fs::create_dir(&folder).unwrap();
    let message = chain(&read_candles(&folder).unwrap_err());
    assert!(message.contains("is a directory; expected a candle file"), "{message}");
    let message = chain(&read_candles(&directory.path().join("none.csv")).unwrap_err());
    assert!(message.contains("could not read") && message.contains("No such file"), "{message}");
}

#[test]
fn columns_that_are_missing_or_of_another_kind_are_named() {
    let rows = hours(3);
    let mut columns = vec![("date", utc_ms(&rows))];
    columns.extend(values(&rows).into_iter().filter(|(name, _)| *name != "close"));
    let message = refused(columns);
    assert!(
        message.contains("has no column `close`; its columns are `date, open, high, low, volume`"),
        "{message}"
    );

    let mut columns: Vec<(&'static str, ArrayRef)> =
        vec![("date", Arc::new(StringArray::from(vec!["2024-01-01"; 3])))];
    columns.extend(values(&rows));
    let message = refused(columns);
    assert!(
        message.contains("column `timestamp`")
            && message.contains("holds Utf8; expected 64-bit integers in milliseconds"),
        "{message}"
    );
}

#[test]
fn nothing_and_nan_in_binary_files_are_named() {
    let rows = [bar(0, 1.0), bar(1, 1.0), Candle { low: f64::NAN, ..bar(2, 1.0) }];
    let mut columns = vec![("date", utc_ms(&rows))];
    columns.extend(values(&rows));
    let message = refused(columns);
    assert!(
        message.contains("row 3, column `low`: seen NaN, expected a finite number"),
        "{message}"
    );

    let rows = hours(2);
    let mut columns = vec![("date", utc_ms(&rows))];
    columns.extend(values(&rows));
    columns[4].1 = Arc::new(Float64Array::from(vec![Some(1.0), None]));
    let message = refused(columns);
    assert!(
        message.contains("row 2, column `close`: seen nothing, expected a finite number"),
        "{message}"
    );

    let mut columns: Vec<(&'static str, ArrayRef)> =
        vec![("timestamp", Arc::new(Int64Array::from(vec![None, Some(1)])))];
    columns.extend(values(&rows));
    let message = refused(columns);
    assert!(message.contains("row 1, column `timestamp`: seen nothing"), "{message}");
}

#[test]
fn times_outside_of_history_are_refused() {
    let rows = hours(1);
    for time in [i64::MIN, i64::MAX, 100_000_000_000_000] {
        let mut columns: Vec<(&'static str, ArrayRef)> =
            vec![("timestamp", Arc::new(Int64Array::from(vec![time])))];
        columns.extend(values(&rows));
        let message = refused(columns);
        assert!(message.contains("row 1, column `timestamp`"), "{message}");
    }
}

/// Plain CSV is left out: cut between two lines it is a shorter file, and cannot be told from one.
#[test]
fn truncated_files_are_refused_at_every_length() {
    let rows = hours(200);
    let directory = TempDir::new().unwrap();
    let whole = directory.path().join("whole.parquet");
    write_parquet(&whole, &rows).unwrap();
    let mut feather_columns = vec![("date", utc_ns(&rows))];
    feather_columns.extend(values(&rows));
    let whole_feather = directory.path().join("whole.feather");
    feather(&whole_feather, feather_columns, Some(CompressionType::LZ4_FRAME));
    let whole_gz = directory.path().join("whole.csv.gz");
    write_csv(&whole_gz, &rows).unwrap();
    for (path, ending) in [(whole, "parquet"), (whole_feather, "feather"), (whole_gz, "csv.gz")] {
        let bytes = fs::read(&path).unwrap();
        let cut = directory.path().join(format!("cut.{ending}"));
        let step = (bytes.len() / 400).max(1);
        for length in (0..bytes.len()).step_by(step).chain(bytes.len() - 20..bytes.len()) {
            fs::write(&cut, &bytes[..length]).unwrap();
            assert!(read_candles(&cut).is_err(), "{ending} cut to {length} of {}", bytes.len());
        }
    }
}

/// A flipped bit may give other numbers, which only checks of the rows can find, but never a crash.
#[test]
fn damaged_files_never_crash() {
    let rows = hours(64);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("whole.parquet");
    write_parquet(&path, &rows).unwrap();
    let mut feather_columns = vec![("date", utc_ns(&rows))];
    feather_columns.extend(values(&rows));
    let feather_path = directory.path().join("whole.feather");
    feather(&feather_path, feather_columns, Some(CompressionType::ZSTD));
    let mut refused = 0;
    for (path, ending) in [(path, "parquet"), (feather_path, "feather")] {
        let bytes = fs::read(&path).unwrap();
        let damaged = directory.path().join(format!("damaged.{ending}"));
        for (at, flip) in
            (0..bytes.len()).zip([0x01, 0x80, 0xff, 0x10].into_iter().cycle()).step_by(5)
        {
            let mut copy = bytes.clone();
            copy[at] ^= flip;
            fs::write(&damaged, &copy).unwrap();
            refused += usize::from(read_candles(&damaged).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn writing_is_refused_where_reading_would_misunderstand() {
    let directory = TempDir::new().unwrap();
    let early = Candle { open_time_ms: 0, ..bar(0, 1.0) };
    let message = chain(&write_csv(&directory.path().join("x.csv"), &[early]).unwrap_err());
    assert!(message.contains("before 1973-03-03"), "{message}");
    assert!(write_csv(&directory.path().join("x.parquet"), &hours(1)).is_err());
    let message =
        chain(&write_parquet(&directory.path().join("no/such/x.parquet"), &hours(1)).unwrap_err());
    assert!(message.contains("could not write"), "{message}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
