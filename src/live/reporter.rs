//! Tells the world what happened: files, log, messages. It cannot change a cycle, and what it cannot
//! write it says once.

use crate::status;
use crate::{logging, output};
use keel_config::Config;
use keel_core::record::CycleRecord;
use keel_core::state::State;

/// What happened outside of a cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The daemon runs, in this mode.
    Started(String),
    /// Trading was stopped, or goes on.
    Paused(bool),
    /// The configuration changed in these places.
    Reloaded(Vec<String>),
    /// The configuration was edited and is wrong; the last good one stays.
    ConfigRejected(String),
    /// What the comparison with the venues found.
    Account(String),
    /// What was odd about market data.
    Market(String),
    /// Something failed that ends the process.
    Error(String),
}

/// Files, log and messages.
#[derive(Debug, Default)]
pub struct Reporter {
    file_error: Option<String>,
}

impl Reporter {
    /// A cycle ended.
    pub fn cycle(&mut self, config: &Config, record: &CycleRecord, state: &State) {
        logging::cycle(record);
        self.write_files(config, state);
        output::remark(line(config, record));
    }

    /// Something else happened.
    pub fn event(&mut self, event: Event) {
        match &event {
            Event::Started(mode) => tracing::info!("started: {mode}"),
            Event::Paused(true) => {
                tracing::warn!("trading is stopped; cycles go on without orders")
            }
            Event::Paused(false) => tracing::info!("trading goes on"),
            Event::Reloaded(paths) => {
                tracing::info!(changed = paths.join(", "), "the configuration was read again");
            }
            Event::ConfigRejected(problems) => {
                tracing::error!("the configuration is wrong, the last good one stays: {problems}");
            }
            Event::Account(note) | Event::Market(note) => tracing::warn!("{note}"),
            Event::Error(error) => tracing::error!("{error}"),
        }
    }

    fn write_files(&mut self, config: &Config, state: &State) {
        let status = &config.paths.status_file;
        let mut written = status::write(status, &config.policy, state)
            .map_err(|error| format!("{} could not be written ({error})", status.display()));
        if let Some(path) = &config.paths.portfolio_export {
            written = written.and(
                status::write_csv(path, &config.policy, state)
                    .map_err(|error| format!("{} could not be written ({error})", path.display())),
            );
        }
        let error = written.err();
        if error != self.file_error {
            match &error {
                Some(error) => tracing::error!("{error}; trading goes on, the journal is complete"),
                None => tracing::info!("status files can be written again"),
            }
            self.file_error = error;
        }
    }
}

fn line(config: &Config, record: &CycleRecord) -> String {
    let mut line = format!(
        "{}  cycle {}  {} {}",
        &record.at.to_string()[..19],
        record.cycle,
        output::decimal(record.total_after.get(), 2),
        config.policy.stablecoin
    );
    for execution in &record.executions {
        let order = &execution.intent.order;
        line.push_str(&format!(
            "; {} {} {} at {}: {}",
            order.side,
            order.amount,
            order.symbol,
            order.venue,
            execution.outcome.name()
        ));
    }
    line
}
