//! The log file: one line, or one JSON object, per event, at the paths and level of the configuration.

mod rotate;

use crate::exit::{Code, Failure};
use crate::lines::{LOG, Lines, WhenFull};
use keel_config::Config;
use keel_core::ports::Clock as _;
use keel_core::record::CycleRecord;
use keel_live::time::MachineTime;
use rotate::RotatingFile;
use tracing::level_filters::LevelFilter;

/// Starts writing `<log_dir>/<log_filename>`, appending. May be called once per process; what the
/// libraries below Keel log is left out.
///
/// # Errors
/// When the file cannot be opened.
pub(crate) fn start(config: &Config, when_full: WhenFull) -> Result<(), Failure> {
    use tracing_subscriber::layer::{Layer, SubscriberExt};
    use tracing_subscriber::util::SubscriberInitExt;
    let path = config.paths.log_dir.join(&config.paths.log_filename);
    let cannot = |error: std::io::Error| {
        Failure::new(
            Code::CannotWrite,
            format!(
                "{} cannot be opened ({error}); expected a writable file: set paths.log_dir",
                path.display()
            ),
        )
    };
    std::fs::create_dir_all(&config.paths.log_dir).map_err(cannot)?;
    let file = RotatingFile::open(&path).map_err(cannot)?;
    let lost = if config.logging.json { lost_as_json } else { lost_as_text };
    let lines = Lines::start(file, when_full, lost).map_err(cannot)?;
    // A second start in one process keeps the first log.
    let lines = LOG.get_or_init(|| lines);
    let layer = tracing_subscriber::fmt::layer().with_writer(move || lines).with_ansi(false);
    let layer = if config.logging.json { layer.json().boxed() } else { layer.boxed() };
    let level = config.logging.level.name().parse().unwrap_or(LevelFilter::INFO);
    let ours = tracing_subscriber::filter::Targets::new().with_target("keel", level);
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    Ok(())
}

fn lost_as_text(count: u64) -> String {
    format!("{} WARN keel::logging: {count} log lines could not be written\n", MachineTime.now())
}

fn lost_as_json(count: u64) -> String {
    let line = serde_json::json!({
        "timestamp": MachineTime.now().to_string(),
        "level": "WARN",
        "fields": { "message": format!("{count} log lines could not be written") },
        "target": "keel::logging",
    });
    format!("{line}\n")
}

/// Logs a finished cycle: its orders and what the operator should know; quiet cycles only at debug.
pub fn cycle(record: &CycleRecord) {
    let (cycle, at) = (record.cycle, record.at);
    if record.executions.is_empty() {
        tracing::debug!(cycle, %at, trigger = record.trigger.name(), "nothing to trade");
    } else {
        tracing::info!(
            cycle,
            %at,
            trigger = record.trigger.name(),
            orders = record.executions.len(),
            total_before = %record.total_before,
            total_after = %record.total_after,
            "distributed"
        );
    }
    for execution in &record.executions {
        let order = &execution.intent.order;
        tracing::info!(
            cycle,
            id = %execution.intent.id,
            venue = %order.venue,
            side = %order.side,
            amount = %order.amount,
            market = %order.symbol,
            value = %order.value,
            outcome = execution.outcome.name(),
            cause = execution.outcome.cause(),
            "order"
        );
    }
    for note in &record.notes {
        tracing::warn!(cycle, %at, "{note}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_lines_are_told_in_the_format_of_the_log() {
        let line = lost_as_json(3);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line.ends_with('\n') && read["level"] == "WARN", "{line}");
        assert!(lost_as_text(3).ends_with(": 3 log lines could not be written\n"));
    }
}
