//! One file per subcommand.

pub mod analyze;
pub mod backtest;
pub mod check;
pub mod config;
pub mod data;
pub mod demo;
pub mod doctor;
pub mod export;
mod findings;
pub mod forward_test;
pub mod lookahead;
pub mod parity;
pub mod plan;
pub mod report;
pub mod status;
pub mod sweep;
pub mod trade;
pub mod trades;
pub mod warmup;
pub mod why;
