//! Which of Binance's answers are refusals. Whatever is not listed here is not known.

use crate::api::{Answer, ApiError, Refusal};
use crate::http::Reply;
use crate::wire::{field, parse_json, refused, retry_after, status_error, text, unknown};
use serde_json::Value;

/// The body of a success, or why there is none.
pub(super) fn body(reply: &Reply) -> Answer<Value> {
    check(reply)?;
    let value = parse_json(reply)?;
    if value.get("code").is_some() && value.get("msg").is_some() {
        return Err(unknown("success with an error code in it"));
    }
    Ok(value)
}

/// Whether the status says success, without a look at the body.
pub(super) fn check(reply: &Reply) -> Answer<()> {
    match status_error(reply) {
        Some(error) => Err(error),
        None if (200..300).contains(&reply.status) => Ok(()),
        None => Err(error(reply)),
    }
}

fn error(reply: &Reply) -> ApiError {
    let read = || -> Answer<ApiError> {
        let value = parse_json(reply)?;
        let code =
            field(&value, "code")?.as_i64().ok_or_else(|| unknown("a code that is no number"))?;
        let message = text(&value, "msg")?;
        Ok(refusal(code, message, reply).map_or_else(
            || {
                unknown(format!(
                    "HTTP {}: code {code}, {}",
                    reply.status,
                    crate::wire::words(message)
                ))
            },
            |refusal| refused(refusal, code.to_string(), message),
        ))
    };
    read().unwrap_or_else(|error| error)
}

/// Source: the venue's list of error codes; what it calls unknown or a time-out is missing here.
fn refusal(code: i64, message: &str, reply: &Reply) -> Option<Refusal> {
    let message = message.to_ascii_lowercase();
    Some(match code {
        -1003 | -1015 => Refusal::RateLimited { wait: retry_after(reply) },
        -1013 if message.contains("market is closed") => Refusal::Market,
        -1013 => Refusal::Parameters,
        -1021 => Refusal::Clock,
        -1022 | -2014 | -2015 => Refusal::Auth,
        -1121 => Refusal::Market,
        -1199..=-1100 => Refusal::Parameters,
        -2010 if message.contains("duplicate order") => Refusal::DuplicateId,
        -2010 if message.contains("market is closed") => Refusal::Market,
        -2010 if message.contains("balance") => Refusal::Funds,
        -2010 => Refusal::Other,
        -2011 | -2013 => Refusal::NotFound,
        _ => return None,
    })
}
