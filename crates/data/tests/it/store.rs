//! The candle store: listing, loading, checking, importing.

use crate::support::{HOUR_MS, START_MS, bar, chain, hours};
use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::Candle;
use keel_core::time::{Timeframe, Timestamp};
use keel_data::{
    CandleStore, ImportMode, ImportOptions, ImportReport, Problem, StoreError, import,
    read_candles, write_csv, write_parquet,
};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

struct Desk {
    root: TempDir,
    venue: VenueId,
    symbol: Symbol,
}

impl Desk {
    fn new() -> Self {
        Self {
            root: TempDir::new().unwrap(),
            venue: "binance".parse().unwrap(),
            symbol: "BTC/USDT".parse().unwrap(),
        }
    }

    fn store(&self) -> CandleStore {
        CandleStore::at(self.root.path())
    }

    fn path(&self, timeframe: Timeframe) -> PathBuf {
        self.store().path(&self.venue, &self.symbol, timeframe)
    }

    /// Puts rows into the store without any check.
    fn put(&self, timeframe: Timeframe, rows: &[Candle]) {
        let path = self.path(timeframe);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_parquet(&path, rows).unwrap();
    }

    fn load(&self, timeframe: Timeframe) -> Result<keel_data::Loaded, StoreError> {
        self.store().load(&self.venue, &self.symbol, timeframe)
    }

    fn verify(&self) -> keel_data::Verification {
        self.store().verify(&self.venue, &self.symbol, Timeframe::H1).unwrap()
    }

    fn import(&self, rows: &[Candle], options: ImportOptions) -> Result<ImportReport, StoreError> {
        let file = self.root.path().join("download.csv");
        write_csv(&file, rows).unwrap();
        import(&file, &self.venue, &self.symbol, None, self.root.path(), options)
    }

    fn stored(&self) -> Vec<Candle> {
        read_candles(&self.path(Timeframe::H1)).unwrap()
    }
}

fn shown(error: StoreError) -> String {
    chain(&error)
}

const DROP_BAD: ImportOptions =
    ImportOptions { mode: ImportMode::Merge, drop_bad: true, closed_by: None };
const REPLACE: ImportOptions =
    ImportOptions { mode: ImportMode::Replace, drop_bad: false, closed_by: None };

#[test]
fn a_listing_says_what_is_there_in_order() {
    let desk = Desk::new();
    let mut rows = hours(10);
    rows.remove(4);
    rows.remove(4);
    rows[0].volume = 0.0;
    desk.put(Timeframe::H1, &rows);
    desk.put(Timeframe::M15, &hours(2));
    let other = desk.root.path().join("ohlcv/binance/AAVE-USDT");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("1h.parquet"), b"broken").unwrap();
    fs::write(other.join("notes.txt"), b"hello").unwrap();
    let listing = desk.store().list().unwrap();
    let names: Vec<String> =
        listing.files.iter().map(|f| format!("{} {} {}", f.venue, f.symbol, f.timeframe)).collect();
    assert_eq!(names, ["binance BTC/USDT 15m", "binance BTC/USDT 1h"]);
    let hourly = &listing.files[1];
    assert_eq!(
        (hourly.rows, hourly.gaps, hourly.missing_bars, hourly.zero_volume_bars),
        (8, 1, 2, 1)
    );
    assert_eq!(hourly.first, Some(Timestamp::from_ms(START_MS)));
    assert_eq!(hourly.last, Some(Timestamp::from_ms(START_MS + 9 * HOUR_MS)));
    assert_eq!(hourly.bytes, fs::metadata(&hourly.path).unwrap().len());
    assert_eq!((listing.unreadable.len(), listing.ignored.len()), (1, 1));
}

#[test]
fn venues_directly_below_the_root_are_found_too() {
    let desk = Desk::new();
    desk.put(Timeframe::H1, &hours(4));
    let bare = CandleStore::at(&desk.root.path().join("ohlcv"));
    assert_eq!(bare, desk.store());
    assert_eq!(bare.list().unwrap().files.len(), 1);
}

#[test]
fn a_store_that_is_not_there_says_what_to_do() {
    let desk = Desk::new();
    let message = shown(desk.store().list().unwrap_err());
    assert!(message.contains("import a file first"), "{message}");
    let message = shown(desk.load(Timeframe::H1).unwrap_err());
    assert!(message.contains("no 1h candles of BTC/USDT on binance"), "{message}");
    assert!(message.contains("there are none"), "{message}");
}

#[test]
fn coarser_bars_come_from_the_coarsest_finer_file() {
    let desk = Desk::new();
    let quarters: Vec<Candle> = (0..64)
        .map(|row| Candle { open_time_ms: START_MS + row * 900_000, ..bar(0, 5.0) })
        .collect();
    desk.put(Timeframe::M15, &quarters);
    let from_quarters = desk.load(Timeframe::H4).unwrap();
    assert_eq!(
        (from_quarters.series.len(), from_quarters.resampled_from),
        (4, Some(Timeframe::M15))
    );
    desk.put(Timeframe::H1, &hours(11));
    let loaded = desk.load(Timeframe::H4).unwrap();
    assert_eq!((loaded.series.len(), loaded.resampled_from), (2, Some(Timeframe::H1)));
    assert_eq!(loaded.path, desk.path(Timeframe::H1));
    let exact = desk.load(Timeframe::H1).unwrap();
    assert_eq!((exact.series.len(), exact.resampled_from), (11, None));
    let message = shown(desk.load("5m".parse().unwrap()).unwrap_err());
    assert!(message.contains("there are 15m 1h"), "{message}");
}

#[test]
fn a_broken_file_is_never_replaced_by_a_finer_one() {
    let desk = Desk::new();
    desk.put(Timeframe::H1, &hours(8));
    fs::write(desk.path(Timeframe::H4), b"PAR1 broken").unwrap();
    let message = shown(desk.load(Timeframe::H4).unwrap_err());
    assert!(message.contains("4h.parquet is not a readable Parquet file"), "{message}");
}

#[test]
fn exact_duplicates_are_merged_and_every_other_defect_is_refused() {
    let desk = Desk::new();
    let good = hours(6);
    let mut doubled = good.clone();
    doubled.insert(3, good[2]);
    doubled.insert(3, good[2]);
    desk.put(Timeframe::H1, &doubled);
    let loaded = desk.load(Timeframe::H1).unwrap();
    assert_eq!((loaded.series.len(), loaded.duplicates_merged), (6, 2));

    let spoil = |change: fn(&mut Vec<Candle>)| {
        let mut rows = good.clone();
        change(&mut rows);
        desk.put(Timeframe::H1, &rows);
        shown(desk.load(Timeframe::H1).unwrap_err())
    };
    for (message, said) in [
        (
            spoil(|rows| rows.swap(2, 3)),
            "row 4 (2024-01-01T02:00:00Z): the time is before the row above",
        ),
        (spoil(|rows| rows[2].close = f64::NAN), "row 3, column `close`: seen NaN"),
        (
            spoil(|rows| rows[2].low = 0.0),
            "row 3 (2024-01-01T02:00:00Z): a price is zero or negative",
        ),
        (
            spoil(|rows| rows[2].open = -1.0),
            "row 3 (2024-01-01T02:00:00Z): a price is zero or negative",
        ),
        (
            spoil(|rows| rows[2].volume = -1.0),
            "row 3 (2024-01-01T02:00:00Z): the volume is negative",
        ),
        (spoil(|rows| rows[2].high = rows[2].low), "high and low do not enclose open and close"),
        (
            spoil(|rows| rows[5].open_time_ms += 1),
            "row 6 (2024-01-01T05:00:00.001Z): the time is not on the timeframe's grid",
        ),
        (
            spoil(|rows| rows[3].open_time_ms -= HOUR_MS),
            "row 4 (2024-01-01T02:00:00Z): the time is that of the row above, with other values",
        ),
    ] {
        assert!(message.contains(said) && message.contains("1h.parquet"), "{message}");
    }
}

#[test]
fn verifying_finds_everything_and_stays_short() {
    let desk = Desk::new();
    let mut rows = hours(100);
    for row in &mut rows[10..60] {
        row.low = -1.0;
    }
    rows[70].open = f64::NAN;
    rows.swap(80, 81);
    let copy = rows[90];
    rows.insert(91, copy);
    desk.put(Timeframe::H1, &rows);
    let found = desk.verify();
    let counts: Vec<(Problem, usize)> = found.counts.iter().map(|(p, n)| (*p, *n)).collect();
    assert_eq!(
        counts,
        [
            (Problem::Unreadable, 1),
            (Problem::NotPositive, 50),
            (Problem::OutOfOrder, 1),
            (Problem::Duplicate, 1),
        ]
    );
    assert_eq!(found.problems.len(), 23);
    assert!(!found.is_clean() && !found.can_be_loaded());

    let mut rows = hours(5);
    rows.push(rows[4]);
    desk.put(Timeframe::H1, &rows);
    let found = desk.verify();
    assert!(!found.is_clean() && found.can_be_loaded());
    desk.put(Timeframe::H1, &hours(5));
    assert!(desk.verify().is_clean());
}

#[test]
fn an_import_sorts_merges_duplicates_and_finds_the_timeframe() {
    let desk = Desk::new();
    let mut rows = hours(6);
    rows.remove(3);
    let second = Candle { open: 1.0, high: 99.0, low: 0.5, close: 7.0, volume: 0.25, ..rows[1] };
    let first = rows[1];
    rows.push(second);
    rows.push(rows[2]);
    let report = desk.import(&rows, ImportOptions::default()).unwrap();
    assert_eq!(report.timeframe, Timeframe::H1);
    assert_eq!((report.rows_read, report.rows, report.added), (7, 5, 5));
    assert_eq!((report.duplicates_merged, report.differing_duplicates), (2, 1));
    assert!(report.was_sorted && report.written);
    assert_eq!((report.gaps.len(), report.gaps[0].bars), (1, 1));
    let merged = desk.load(Timeframe::H1).unwrap().series.get(1).unwrap();
    let expected = Candle { high: 99.0, low: 0.5, close: 7.0, ..first };
    assert_eq!(
        merged, expected,
        "first open, highest high, lowest low, last close, largest volume"
    );
}

#[test]
fn the_store_keeps_its_bars_unless_told_to_replace_them() {
    let desk = Desk::new();
    desk.import(&hours(5), ImportOptions::default()).unwrap();
    let newer: Vec<Candle> = (3..8).map(|hour| bar(hour, 500.0)).collect();
    let report = desk.import(&newer, ImportOptions::default()).unwrap();
    assert_eq!((report.added, report.conflicts, report.rows), (3, 2, 8));
    assert_eq!(report.conflict_examples[0].stored, hours(5)[3]);
    assert_eq!(desk.stored()[..5], hours(5)[..]);
    let report = desk.import(&newer, REPLACE).unwrap();
    assert_eq!((report.added, report.conflicts, report.rows), (0, 2, 8));
    assert_eq!(desk.stored()[3..], newer[..]);
    assert_eq!(desk.stored()[..3], hours(3)[..]);
    let report = desk.import(&newer, ImportOptions::default()).unwrap();
    assert!(!report.written);
}

#[test]
fn bad_rows_stop_an_import_unless_they_are_to_be_dropped() {
    let desk = Desk::new();
    let mut rows = hours(6);
    rows[1].low = 0.0;
    rows[4].open_time_ms += 60_000;
    let message = shown(desk.import(&rows, ImportOptions::default()).unwrap_err());
    assert!(message.contains("has 2 bad rows, first row 2 (2024-01-01T01:00:00Z)"), "{message}");
    assert!(message.contains("--drop-bad"), "{message}");
    assert!(!desk.path(Timeframe::H1).exists());
    let report = desk.import(&rows, DROP_BAD).unwrap();
    assert_eq!((report.bad_rows, report.rows), (2, 4));
    assert_eq!(report.bad_row_examples[1].row, 5);
    let all_bad: Vec<Candle> = hours(3).into_iter().map(|c| Candle { low: -1.0, ..c }).collect();
    let message = shown(desk.import(&all_bad, DROP_BAD).unwrap_err());
    assert!(message.contains("has no usable candle"), "{message}");
    assert_eq!(desk.stored().len(), 4);
}

#[test]
fn an_import_into_a_broken_file_is_refused_and_changes_nothing() {
    let desk = Desk::new();
    let mut rows = hours(5);
    rows[2].low = -1.0;
    desk.put(Timeframe::H1, &rows);
    let before = fs::read(desk.path(Timeframe::H1)).unwrap();
    for options in [ImportOptions::default(), REPLACE, DROP_BAD] {
        let message = shown(desk.import(&hours(9), options).unwrap_err());
        assert!(message.contains("row 3") && message.contains("1h.parquet"), "{message}");
    }
    assert_eq!(fs::read(desk.path(Timeframe::H1)).unwrap(), before);
}

#[test]
fn the_timeframe_must_fit_the_bars() {
    let desk = Desk::new();
    let file = desk.root.path().join("download.csv");
    let try_as = |rows: &[Candle], timeframe: Option<&str>| {
        write_csv(&file, rows).unwrap();
        let timeframe = timeframe.map(|name| name.parse().unwrap());
        let options = ImportOptions::default();
        import(&file, &desk.venue, &desk.symbol, timeframe, desk.root.path(), options)
            .map_err(shown)
    };
    let message = try_as(&hours(5), Some("15m")).unwrap_err();
    assert!(message.contains("no two bars") && message.contains("the closest are 1h"), "{message}");
    let message = try_as(&hours(1), None).unwrap_err();
    assert!(message.contains("--timeframe"), "{message}");
    assert_eq!(try_as(&hours(1), Some("1h")).unwrap().rows, 1);
    let odd: Vec<Candle> =
        (0..4).map(|row| Candle { open_time_ms: START_MS + row * 7000, ..bar(0, 1.0) }).collect();
    let message = try_as(&odd, None).unwrap_err();
    assert!(message.contains("7000 ms apart"), "{message}");
}

#[test]
fn shorter_bars_never_pass_as_longer_ones() {
    let desk = Desk::new();
    let file = desk.root.path().join("download.csv");
    let try_as_4h = |rows: &[Candle], options: ImportOptions| {
        write_csv(&file, rows).unwrap();
        let timeframe = Some(Timeframe::H4);
        import(&file, &desk.venue, &desk.symbol, timeframe, desk.root.path(), options)
            .map_err(shown)
    };
    // Every fourth hour lies on the grid of four hours and would pass for such a bar.
    for options in [ImportOptions::default(), DROP_BAD] {
        let message = try_as_4h(&hours(48), options).unwrap_err();
        assert!(message.contains("1h apart") && message.contains("--to 4h"), "{message}");
    }
    assert!(!desk.path(Timeframe::H4).exists());
    // One stray row among bars of four hours is a bad row, and no reason to doubt the others.
    let mut rows: Vec<Candle> = (0..12).map(|bar_of_4h| bar(bar_of_4h * 4, 10.0)).collect();
    rows.insert(1, bar(1, 10.0));
    let message = try_as_4h(&rows, ImportOptions::default()).unwrap_err();
    assert!(message.contains("has 1 bad row, first row 2"), "{message}");
    let report = try_as_4h(&rows, DROP_BAD).unwrap();
    assert_eq!((report.bad_rows, report.rows), (1, 12));
}

#[test]
fn a_bar_that_had_not_closed_is_left_out() {
    let desk = Desk::new();
    let now = Timestamp::from_ms(START_MS + 5 * HOUR_MS - 1);
    let options = ImportOptions { closed_by: Some(now), ..ImportOptions::default() };
    let report = desk.import(&hours(5), options).unwrap();
    assert_eq!((report.unclosed_bars, report.rows), (1, 4));
}

#[test]
fn a_coarser_file_is_written_but_never_shortened() {
    let desk = Desk::new();
    desk.put(Timeframe::H1, &hours(11));
    let store = desk.store();
    let report = store.resample_to(&desk.venue, &desk.symbol, Timeframe::H4).unwrap();
    assert_eq!((report.rows, report.from, report.incomplete_bars), (2, Timeframe::H1, 0));
    assert_eq!(desk.load(Timeframe::H4).unwrap().resampled_from, None);
    desk.put(Timeframe::H1, &hours(7));
    let before = fs::read(desk.path(Timeframe::H4)).unwrap();
    let message = shown(store.resample_to(&desk.venue, &desk.symbol, Timeframe::H4).unwrap_err());
    assert!(message.contains("would lose 1 bar, first 2024-01-01T04:00:00Z"), "{message}");
    assert_eq!(fs::read(desk.path(Timeframe::H4)).unwrap(), before);
}

#[test]
fn imports_at_the_same_time_do_not_lose_bars() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for part in 0..8_i64 {
            let desk = &desk;
            scope.spawn(move || {
                let rows: Vec<Candle> =
                    (part * 5..part * 5 + 5).map(|hour| bar(hour, 3.0)).collect();
                let file = desk.root.path().join(format!("{part}.csv"));
                write_csv(&file, &rows).unwrap();
                let options = ImportOptions::default();
                import(&file, &desk.venue, &desk.symbol, None, desk.root.path(), options).unwrap();
            });
        }
    });
    assert_eq!(desk.load(Timeframe::H1).unwrap().series.len(), 40);
    assert_eq!(desk.store().list().unwrap().ignored.len(), 0);
}
