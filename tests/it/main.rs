//! What a user relies on, in one binary.
#![expect(missing_docs, reason = "tests")]

mod plan_cases;
mod shared;
