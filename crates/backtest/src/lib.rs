//! The whole portfolio over history: backtests, sweeps, statistics.
//!
//! A backtest is the daemon's own cycle over a tape, with a store that keeps what reports need.

pub mod activity;
mod benchmarks;
mod collect;
mod data_notes;
pub mod engine;
pub mod grid;
pub mod lookahead;
pub mod memory;
pub mod run;
pub mod statistics;
pub mod sweep;
pub mod warmup;

pub use engine::{Deposit, Scenario};
pub use run::Run;
