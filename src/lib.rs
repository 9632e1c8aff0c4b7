//! The edges of Keel: files, terminal, clock and journal around the pure core.

pub mod backtesting;
mod candle_export;
pub mod cli;
pub mod commands;
pub mod daemon;
pub mod desk;
pub mod exit;
pub mod forward;
pub mod journal;
mod lines;
pub mod live;
pub mod logging;
pub mod output;
pub mod parity;
pub mod recorded;
pub mod replay;
pub mod report;
mod signals;
pub mod simulation;
pub mod status;
pub mod trade_log;
