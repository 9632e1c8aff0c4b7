//! docs/faults.md against the tests that it names, and against the rows that must have one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::Path;

/// Rows of the fault catalogue that Keel promises a test for.
const REQUIRED: [RangeInclusive<u32>; 15] = [
    1..=26,
    28..=28,
    30..=30,
    35..=35,
    40..=40,
    43..=43,
    46..=46,
    63..=71,
    73..=75,
    78..=78,
    83..=88,
    91..=91,
    93..=93,
    100..=102,
    106..=106,
];

/// The names of the test functions below a directory that run without being asked for by name.
fn tests(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut attributes = Vec::new();
            for line in text.lines().map(str::trim) {
                if line.starts_with("#[") {
                    attributes.push(line);
                    continue;
                }
                let function = line.trim_start_matches("async ").strip_prefix("fn ");
                let is_test = attributes.iter().any(|line| line.ends_with("test]"))
                    && !attributes.iter().any(|line| line.starts_with("#[ignore"));
                if let Some((name, _)) =
                    function.filter(|_| is_test).and_then(|f| f.split_once('('))
                {
                    names.insert(name.to_owned());
                }
                attributes.clear();
            }
        }
    }
}

/// The numbers in a name: `f001_f004_…` is about rows 1 and 4.
fn rows_of(name: &str) -> impl Iterator<Item = u32> {
    let digits = |part: &str| part.strip_prefix('f').filter(|rest| rest.len() == 3)?.parse().ok();
    name.split('_').filter_map(digits).collect::<Vec<u32>>().into_iter()
}

#[test]
fn every_promised_row_of_the_catalogue_has_tests_that_exist_and_carry_its_number() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for directory in ["crates", "src", "tests"] {
        tests(&root.join(directory), &mut known);
    }
    let page = std::fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let mut told: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| F")) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let row = columns[1][1..].parse().unwrap();
        let names: BTreeSet<&str> = columns[3].split('`').skip(1).step_by(2).collect();
        for name in &names {
            assert!(known.contains(*name), "F{row}: no test {name}");
            assert!(rows_of(name).any(|number| number == row), "F{row} is not in {name}");
        }
        assert!(told.insert(row, names).is_none(), "F{row} twice");
    }
    for row in REQUIRED.into_iter().flatten() {
        assert!(told.get(&row).is_some_and(|names| !names.is_empty()), "F{row} has no test");
    }
    for name in &known {
        for row in rows_of(name) {
            let is_told = told.get(&row).is_some_and(|names| names.contains(name.as_str()));
            assert!(is_told, "{name} is not in row F{row} of docs/faults.md");
        }
    }
}
