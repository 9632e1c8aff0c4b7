//! The archive of market caps: one file per asset, a row for each cap that was used, only ever
//! added to, in the form that a replay reads.

use crate::coingecko::CapQuote;
use keel_core::asset::Ticker;
use keel_core::ports::PortError;
use keel_core::time::Timestamp;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

const HEADER: &str = "date,cap_usd,price_usd,as_of,id\n";
/// The end of a file in which its last row is looked for; a row takes about 100 bytes.
const TAIL_BYTES: u64 = 4096;

/// Adds the caps that were used, with the time they were fetched at.
///
/// # Errors
/// When a file cannot be written, and when its last row is from later than `fetched_at`: a replay
/// reads rows in the order of time.
pub(crate) fn append(
    directory: &Path,
    fetched_at: Timestamp,
    caps: &[(Ticker, String, CapQuote)],
) -> Result<(), PortError> {
    let failed = |path: &Path, error: std::io::Error| {
        PortError(format!("the archive of caps, {}: {error}", path.display()))
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    for (ticker, id, quote) in caps {
        let path = directory.join(format!("{ticker}.csv"));
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(|error| failed(&path, error))?;
        let last = mend(&mut file).map_err(|error| failed(&path, error))?;
        let last_at = last.as_deref().and_then(|row| row.split(',').next()?.parse().ok());
        if last_at.is_some_and(|last_at: Timestamp| last_at >= fetched_at) {
            return Err(PortError(format!(
                "the archive of caps, {}: its last row is from {}, so nothing from {fetched_at} is \
                 added; was the clock set back?",
                path.display(),
                last_at.unwrap_or_default()
            )));
        }
        let header = if last.is_none() { HEADER } else { "" };
        let price = quote.price_usd.map(|price| price.to_string()).unwrap_or_default();
        let (cap, as_of) = (quote.cap_usd, quote.as_of);
        file.write_all(format!("{header}{fetched_at},{cap},{price},{as_of},{id}\n").as_bytes())
            .map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Cuts a row off that a crash or a full disk left unfinished, and gives the last whole one.
fn mend(file: &mut File) -> std::io::Result<Option<String>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = tail.split_off(whole);
    if !torn.is_empty() {
        file.set_len(length - torn.len() as u64)?;
    }
    Ok(String::from_utf8_lossy(&tail).lines().last().map(str::to_owned))
}
