//! The whole daemon as a process, in live mode, against the simulated exchange on loopback.
//! `docs/faults.md` says which test stands for which row of the fault catalogue.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

mod chat;
mod crash;
mod cycles;
mod daemon;
mod disk;
mod doctor;
mod faults;
mod limits;
mod outputs;
mod rights;
mod soak;
mod support;
