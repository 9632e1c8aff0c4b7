//! The run as tables for other programs.

mod frames;
pub mod tax;
mod trades;

pub use frames::{Column, Table, Values, daily, equity, weights};
pub use trades::trades;

/// A table that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ExportError(String);

pub(crate) fn failed(error: impl std::fmt::Display) -> ExportError {
    ExportError(error.to_string())
}
