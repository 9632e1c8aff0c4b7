//! The log file: one line, or one JSON object, per event, at the paths and level of the configuration.

mod rotate;

use crate::exit::{Code, Failure};
use keel_config::Config;
use keel_core::record::CycleRecord;
use rotate::RotatingFile;
use std::sync::Mutex;
use tracing::level_filters::LevelFilter;

/// Starts writing `<log_dir>/<log_filename>`, appending. May be called once per process; what the
/// libraries below Keel log is left out.
///
/// # Errors
/// When the file cannot be opened.
pub fn start(config: &Config) -> Result<(), Failure> {
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
    let layer = tracing_subscriber::fmt::layer().with_writer(Mutex::new(file)).with_ansi(false);
    let layer = if config.logging.json { layer.json().boxed() } else { layer.boxed() };
    let level = config.logging.level.name().parse().unwrap_or(LevelFilter::INFO);
    let ours = tracing_subscriber::filter::Targets::new().with_target("keel", level);
    // A second start in one process keeps the first log.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    Ok(())
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
