//! The decisions of Keel.
//!
//! Policy plus an observation of the world gives a plan; a guard that did not write the plan reads
//! it; the plan is written down, carried out without further choices, and compared with what the
//! venues then say. Nothing in this crate reads a clock, a file, a variable, a socket or a random
//! source: they come in as values or through the ports.

pub mod allocation;
pub mod amount;
pub mod asset;
pub mod candle;
pub mod cycle;
pub mod decision;
pub mod dominance;
mod execute;
mod explain;
pub mod guard;
pub mod indicator;
pub mod limits;
pub mod market;
mod observe;
pub mod order;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod question;
pub mod reconcile;
pub mod record;
pub mod resample;
pub mod signal;
pub mod snapshot;
pub mod state;
pub mod strategy;
pub mod targets;
pub mod time;
mod view;
