//! Simulated worlds: answers to the core's questions that need no network.
//!
//! A tape of candles and caps (recorded or generated), a clock that it moves, and a paper broker
//! that fills orders at its prices. The models of fees, spread, slippage and fills are separate and
//! small, so that each can be read and replaced.

pub mod benchmark;
pub mod generate;
pub mod memory;
pub mod models;
pub mod paper;
pub mod tape;
