//! What a user of hyperopt relies on.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small made-up numbers"
)]

mod cli;
mod data;
mod freqtrade_cases;
mod kernel_equality;
mod market;
mod robustness;
mod study;
