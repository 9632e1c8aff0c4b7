//! docs/faults.md against the tests that it names.

use std::path::Path;

/// Test functions of the sources, as text.
fn sources(directory: &Path, text: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_row_of_the_fault_page_has_the_tests_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for directory in ["crates", "src", "tests"] {
        sources(&root.join(directory), &mut text);
    }
    let page = std::fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let mut rows = 0;
    for line in page.lines().filter(|line| line.starts_with("| F")) {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let names: Vec<&str> = columns[3].split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{line}");
        for name in names {
            assert!(text.contains(&format!("fn {name}(")), "{}: no test {name}", columns[1]);
        }
        rows += 1;
    }
    assert!(rows >= 60, "{rows} rows");
}
