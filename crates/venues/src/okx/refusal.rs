//! Which of OKX's answers are refusals. Whatever is not listed here is not known.

use crate::api::{Answer, ApiError, Refusal};
use crate::http::Reply;
use crate::wire::{list, maybe_text, parse_json, refused, status_error, text, unknown, words};
use serde_json::Value;
use std::time::Duration;

/// Limits are per two seconds.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// The rows of a success, or why there are none. A code of zero outside may hide a refusal inside,
/// and the other way round the code inside says more.
pub(super) fn rows(reply: &Reply) -> Answer<Vec<Value>> {
    check_status(reply)?;
    let mut value = parse_json(reply)?;
    let code = text(&value, "code")?;
    let inner = value.get("data").and_then(|data| data.get(0)).and_then(|row| {
        let code = maybe_text(row, "sCode")?;
        (code != "0").then(|| error(code, maybe_text(row, "sMsg").unwrap_or_default()))
    });
    if let Some(inner) = inner {
        return Err(inner);
    }
    if code != "0" {
        return Err(error(code, maybe_text(&value, "msg").unwrap_or_default()));
    }
    if !(200..300).contains(&reply.status) {
        return Err(unknown(format!("HTTP {} with the code of a success", reply.status)));
    }
    list(&value, "data")?;
    match value.get_mut("data").map(Value::take) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(unknown("a success without a list")),
    }
}

/// Whether the status leaves the decision to the body. It does for 429: the venue's own comes with its
/// code, and one of what stands before the venue says nothing about an order.
pub(super) fn check_status(reply: &Reply) -> Answer<()> {
    match status_error(reply) {
        Some(error @ ApiError::Unknown(_)) => Err(error),
        _ => Ok(()),
    }
}

/// "API key doesn't exist": the keys of two regions are known at addresses of their own only.
const NO_SUCH_KEY: &str = "50119";
const REGIONS: &str =
    "keys of accounts in the EEA or the US need urls.api https://eea.okx.com or https://us.okx.com";

fn error(code: &str, message: &str) -> ApiError {
    match refusal(code) {
        None => unknown(format!("code {}, {}", words(code), words(message))),
        Some(refusal) if code == NO_SUCH_KEY => {
            refused(refusal, code, &format!("{message}; {REGIONS}"))
        }
        Some(refusal) => refused(refusal, code, message),
    }
}

/// Source: the venue's list of error codes. Time-outs (50004, 51149), busy and failing systems
/// (50001, 50005, 50013, 50026) are missing on purpose: they say nothing about the order.
fn refusal(code: &str) -> Option<Refusal> {
    // Codes are five digits; anything else, such as `+51008`, is not one of theirs.
    let number: u32 = code.parse().ok().filter(|_| code.len() == 5)?;
    Some(match number {
        50011 | 50061 => Refusal::RateLimited { wait: Some(PAUSE) },
        50102 | 50112 => Refusal::Clock,
        50101 | 50103..=50107 | 50110 | 50111 | 50113 | 50114 | 50119 | 50120 => Refusal::Auth,
        51008 | 51119 | 51127 | 51131 => Refusal::Funds,
        51001 | 51015 | 51021 | 51022 | 51027..=51029 | 51155 => Refusal::Market,
        51016 => Refusal::DuplicateId,
        51400 | 51603 => Refusal::NotFound,
        50000 | 50002 | 50006 | 50014..=50016 | 50024 | 50025 => Refusal::Parameters,
        51000 | 51003..=51007 | 51010 | 51020 | 51031 | 51100..=51106 => Refusal::Parameters,
        51109 | 51110 | 51116 | 51118 | 51120..=51122 | 51124 => Refusal::Parameters,
        51136..=51139 | 51185 | 51201..=51204 => Refusal::Parameters,
        51009 | 51024 | 51025 | 51174 | 51401 | 51402 => Refusal::Other,
        _ => return None,
    })
}
