//! Reports of a run: HTML, PNG, tables, tax exports.

pub mod analysis;
pub mod attribution;
pub mod benchmark;
pub mod curve;
pub mod export;
pub mod figures;
pub mod html;
pub mod png;
pub mod recorder;
pub mod story;
mod write;

pub use write::{ReportError, write};
