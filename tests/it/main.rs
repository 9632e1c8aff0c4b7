//! What a user relies on, in one binary.

#[cfg(test)]
mod backtest;
#[cfg(test)]
mod cli_config;
#[cfg(test)]
mod cli_data;
#[cfg(test)]
mod cli_environment;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod fault_catalogue;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod keel;
#[cfg(test)]
mod plan_cases;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod session;
#[cfg(test)]
mod shared;
