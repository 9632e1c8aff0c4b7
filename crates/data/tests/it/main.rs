//! What a user of the data files relies on.

#[cfg(test)]
mod candle_files;
#[cfg(test)]
mod caps;
#[cfg(test)]
mod markets;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod store;

#[cfg(test)]
mod support {
    use keel_core::candle::Candle;
    use std::error::Error;
    use std::path::PathBuf;

    /// 2024-01-01T00:00:00Z.
    pub(crate) const START_MS: i64 = 1_704_067_200_000;
    pub(crate) const HOUR_MS: i64 = 3_600_000;

    /// Hourly bars that differ from each other.
    pub(crate) fn hours(count: i32) -> Vec<Candle> {
        (0..count).map(|row| bar(i64::from(row), f64::from(row + 10))).collect()
    }

    /// The bar of an hour, at a price.
    pub(crate) fn bar(hour: i64, price: f64) -> Candle {
        Candle {
            open_time_ms: START_MS + hour * HOUR_MS,
            open: price,
            high: price * 1.1,
            low: price * 0.9,
            close: price * 1.01,
            volume: price / 3.0,
        }
    }

    /// The recorded data, if it is on this machine.
    pub(crate) fn shared(part: &str) -> Option<PathBuf> {
        let root = std::env::var_os("KEEL_SHARED").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            PathBuf::from,
        );
        let path = root.join(part);
        if path.exists() {
            return Some(path);
        }
        println!("skipped: {} is not there", path.display());
        None
    }

    /// An error with all its causes, as a user sees it.
    pub(crate) fn chain(error: &dyn Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        text
    }
}
