//! Market capitalisations.

use crate::support::chain;
use keel_core::time::Timestamp;
use keel_data::{CapPoint, CapSeries, find_caps, read_caps, write_caps};
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

fn read(text: &str) -> Result<CapSeries, String> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("BTC.csv");
    fs::write(&path, text).unwrap();
    read_caps(&path).map_err(|error| chain(&error))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_capitalisation_is_known_from_its_moment_on_and_not_before() {
    let caps = read(
        "date,cap_usd,price_usd\n2024-01-01,100.5,1\n2024-01-02,200,1\n2024-01-05T06:00:00Z,300,\n",
    )
    .unwrap();
    let cap =
        |moment: &str| caps.as_of(at(moment)).map(|point| (point.as_of.to_string(), point.cap_usd));
    assert_eq!(cap("2023-12-31T23:59:59Z"), None);
    assert_eq!(cap("2024-01-01"), Some(("2024-01-01T00:00:00Z".to_owned(), 100.5)));
    assert_eq!(cap("2024-01-01T23:59:59Z"), Some(("2024-01-01T00:00:00Z".to_owned(), 100.5)));
    assert_eq!(cap("2024-01-05T05:59Z"), Some(("2024-01-02T00:00:00Z".to_owned(), 200.0)));
    assert_eq!(cap("2030-01-01"), Some(("2024-01-05T06:00:00Z".to_owned(), 300.0)));
    assert_eq!(caps.missing_days(), 2);
}

#[test]
fn bad_rows_are_named() {
    let header = "date,cap_usd\n2024-01-01,100\n";
    for (row, said) in [
        (
            "2024-01-01,100",
            "row 2, column `date`: seen `2024-01-01`, expected a moment later than the row above",
        ),
        ("2023-12-31,100", "row 2, column `date`"),
        (
            "2024-01-02,NaN",
            "row 2, column `cap_usd`: seen `NaN`, expected a finite number above zero",
        ),
        ("2024-01-02,0", "row 2, column `cap_usd`: seen `0`"),
        ("2024-01-02,-5", "row 2, column `cap_usd`: seen `-5`"),
        ("2024-01-02,inf", "row 2, column `cap_usd`: seen `inf`"),
        ("2024-01-02,", "row 2, column `cap_usd`: seen ``"),
        ("2024-02-30,1", "row 2, column `date`: seen `2024-02-30`, expected a whole epoch"),
    ] {
        let message = read(&format!("{header}{row}\n")).unwrap_err();
        assert!(message.contains(said) && message.contains("BTC.csv"), "{message}");
    }
    assert!(read("").unwrap_err().contains("has no column `date`"));
    assert!(read("date,cap_usd\n").unwrap_err().contains("has no capitalisation"));
    assert!(read("date,price\n2024-01-01,1\n").unwrap_err().contains("has no column `cap_usd`"));
}

#[test]
fn the_file_of_an_asset_is_found_unless_it_is_ambiguous() {
    let root = TempDir::new().unwrap();
    let directory = root.path().join("marketcap");
    fs::create_dir(&directory).unwrap();
    let ticker = "BTC".parse().unwrap();
    assert!(
        find_caps(root.path(), &ticker)
            .unwrap_err()
            .to_string()
            .contains("no file of capitalisations for BTC")
    );
    fs::write(directory.join("BTC.csv.gz"), b"").unwrap();
    assert_eq!(find_caps(root.path(), &ticker).unwrap(), directory.join("BTC.csv.gz"));
    fs::write(directory.join("BTC.csv"), b"").unwrap();
    assert!(find_caps(root.path(), &ticker).unwrap_err().to_string().contains("two files"));
}

#[test]
fn a_truncated_or_foreign_file_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("BTC.csv.gz");
    let points: Vec<CapPoint> = (0..200)
        .map(|day| CapPoint {
            as_of: Timestamp::from_seconds(day * 86_400),
            cap_usd: 1e9 + 7.0 / 3.0,
        })
        .collect();
    write_caps(&path, &points).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        assert!(read_caps(&path).is_err(), "cut to {length} of {}", bytes.len());
    }
    assert!(read_caps(directory.path()).is_err());
    let folder = directory.path().join("folder.csv");
    fs::create_dir(&folder).unwrap();
    assert!(read_caps(&folder).is_err());
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("BTC.csv");
    let point = |seconds, cap_usd| CapPoint { as_of: Timestamp::from_seconds(seconds), cap_usd };
    for points in
        [vec![], vec![point(1, 1.0), point(1, 1.0)], vec![point(1, f64::NAN)], vec![point(1, 0.0)]]
    {
        assert!(write_caps(&path, &points).is_err(), "{points:?}");
    }
    assert!(write_caps(&directory.path().join("BTC.txt"), &[point(1, 1.0)]).is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_written_is_read_bit_for_bit(
        rows in proptest::collection::btree_map(0_i64..4_000_000_000_000, 1e-300..1e300_f64, 1..40)
    ) {
        let points: Vec<CapPoint> = rows
            .into_iter()
            .map(|(ms, cap_usd)| CapPoint { as_of: Timestamp::from_ms(ms / 1000 * 1000 + ms % 7 * 1000), cap_usd })
            .collect();
        let mut points = points;
        points.sort_by_key(|point| point.as_of);
        points.dedup_by_key(|point| point.as_of);
        let directory = TempDir::new().unwrap();
        for name in ["A.csv", "A.csv.gz"] {
            let path = directory.path().join(name);
            write_caps(&path, &points).unwrap();
            let read = read_caps(&path).unwrap();
            prop_assert_eq!(read.points(), &points[..]);
        }
    }
}
