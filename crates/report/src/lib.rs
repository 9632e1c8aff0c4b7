//! Reports of a run: HTML, PNG, tables, tax exports.
