//! The whole portfolio over history: backtests, sweeps, statistics.
//!
//! A backtest is the daemon's own cycle over a tape, with a store that keeps what reports need.

pub mod run;
pub mod statistics;
