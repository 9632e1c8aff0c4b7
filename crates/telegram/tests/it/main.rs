//! The crate against a double of the Bot API on loopback.
#![allow(clippy::unwrap_used, missing_docs)]

mod commands;
mod double;
mod faults;
