//! `/logs`, `/report` and `/show_config`: files.

use crate::commands::trades::write_csv;
use crate::journal::{JournalError, Reader};
use keel_config::{Config, effective};
use keel_telegram::{Answer, Document};

/// How much of the end of a log is sent.
pub(super) const LOG_BYTES_MAX: u64 = 512 * 1024;
/// The largest status or portfolio file that is sent.
pub(super) const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Orders in the report.
const TRADES: usize = 1000;

pub(super) fn log(config: &Config) -> Document {
    let path = config.paths.log_dir.join(&config.paths.log_filename);
    Document::file_tail(config.paths.log_filename.clone(), path, LOG_BYTES_MAX)
}

pub(super) fn status(config: &Config) -> Document {
    Document::file_tail("status.json", &config.paths.status_file, FILE_BYTES_MAX)
}

/// The end of the log.
pub(super) fn logs(config: &Config) -> Answer {
    Answer::default().and_document(log(config))
}

/// The configuration that applies; credentials show as references.
pub(super) fn show_config(config: &Config, reader: &Reader) -> Result<Answer, JournalError> {
    let shown = serde_json::to_string_pretty(&effective(config)).unwrap_or_default();
    let bot = &config.bot;
    let settings = &config.policy.settings;
    let text = format!(
        "A {}; {} assets, parked in {}; a cycle each {} s; smallest order {} {}; band {} %.",
        reader.mode()?,
        config.policy.assets.len(),
        config.policy.stablecoin,
        bot.cycle_sleep.as_secs_f64(),
        settings.min_order_value.get().normalize(),
        config.policy.stablecoin,
        (settings.rebalance_threshold * rust_decimal::Decimal::ONE_HUNDRED).normalize(),
    );
    Ok(Answer::text(text).and_document(Document::bytes("config.json", shown)))
}

/// Status, portfolio and the last orders as files.
pub(super) fn report(config: &Config, reader: &Reader) -> Result<Answer, JournalError> {
    let mut answer = Answer::default().and_document(status(config));
    if let Some(path) = config.paths.portfolio_export.as_ref().filter(|path| path.exists()) {
        let portfolio = Document::file_tail("portfolio.csv", path, FILE_BYTES_MAX);
        answer = answer.and_document(portfolio);
    }
    let trades = reader.last_trades(TRADES)?;
    let mut csv = Vec::new();
    if !trades.is_empty() && write_csv(&trades, &mut csv).is_ok() {
        answer = answer.and_document(Document::bytes("trades.csv", csv));
    }
    Ok(answer)
}
