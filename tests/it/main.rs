//! What a user relies on, in one binary.
#![expect(missing_docs, reason = "tests")]

#[cfg(test)]
mod cli_config;
#[cfg(test)]
mod cli_data;
#[cfg(test)]
mod keel;
mod plan_cases;
mod runs;
mod shared;
