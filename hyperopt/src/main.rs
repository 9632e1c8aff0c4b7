//! Placeholder entry point; the search is built in this crate.
fn main() {}
