//! Which of Kraken's errors are refusals. Whatever is not listed here is not known.

use crate::api::{Answer, ApiError, Refusal};
use crate::http::Reply;
use crate::wire::{field, list, parse_json, refused, unknown, words};
use serde_json::Value;
use std::time::Duration;

/// Documented refusals by how they begin, the first that fits. What is not here is unknown.
const REFUSALS: [(&str, Refusal); 25] = [
    ("EOrder:Rate limit exceeded", Refusal::RateLimited { wait: None }),
    ("EAPI:Rate limit exceeded", Refusal::RateLimited { wait: None }),
    ("EAuth:Rate limit exceeded", Refusal::RateLimited { wait: None }),
    ("EAuth:Too many requests", Refusal::RateLimited { wait: None }),
    ("EGeneral:Temporary lockout", Refusal::RateLimited { wait: Some(LOCKOUT) }),
    ("EAPI:Invalid nonce", Refusal::Clock),
    ("EAPI:Invalid key", Refusal::Auth),
    ("EAPI:Invalid signature", Refusal::Auth),
    ("EAuth:Account temporary disabled", Refusal::Auth),
    ("EAuth:Account unconfirmed", Refusal::Auth),
    ("EGeneral:Permission denied", Refusal::Auth),
    ("EOrder:Trading agreement required", Refusal::Auth),
    ("EAccount:Invalid permissions", Refusal::Market),
    ("EQuery:Unknown asset pair", Refusal::Market),
    ("EQuery:Invalid asset pair", Refusal::Market),
    ("EQuery:Unknown order", Refusal::NotFound),
    ("EOrder:Unknown order", Refusal::NotFound),
    ("EOrder:Insufficient", Refusal::Funds),
    ("EOrder:Order minimum not met", Refusal::Parameters),
    ("EOrder:Cost minimum not met", Refusal::Parameters),
    ("EOrder:Tick size check failed", Refusal::Parameters),
    ("EOrder:Invalid", Refusal::Parameters),
    ("EGeneral:Invalid arguments", Refusal::Parameters),
    ("EOrder:Unknown", Refusal::Other),
    ("EOrder:", Refusal::Other),
];
/// How long the venue shuts a key out that knocked too often; its documentation says "a few minutes".
const LOCKOUT: Duration = Duration::from_secs(15 * 60);

/// The result in the venue's envelope, or the refusal in it. Warnings (`W...`) are not refusals.
pub(super) fn result_of(reply: &Reply) -> Answer<Value> {
    let mut envelope = parse_json(reply)?;
    let errors = list(&envelope, "error")?;
    let mut refusals = Vec::new();
    for error in errors {
        let code = error.as_str().ok_or_else(|| unknown("an `error` that is no text"))?;
        if !code.starts_with('W') {
            refusals.push(refusal_of(code));
        }
    }
    // Of several errors, one that nobody listed decides: nobody knows then.
    let unlisted = refusals.iter().position(|error| matches!(error, ApiError::Unknown(_)));
    if !refusals.is_empty() {
        return Err(refusals.swap_remove(unlisted.unwrap_or(0)));
    }
    if !(200..300).contains(&reply.status) {
        return Err(unknown(format!("HTTP status {} without an error", reply.status)));
    }
    field(&envelope, "result")?;
    Ok(envelope.get_mut("result").map(Value::take).unwrap_or_default())
}

fn refusal_of(code: &str) -> ApiError {
    let lower = code.to_ascii_lowercase();
    let about_id = lower.contains("cl_ord_id") || lower.contains("client order id");
    if code.starts_with("EOrder:") && (lower.contains("duplicate") || about_id)
        || code.starts_with("EGeneral:") && about_id
    {
        return refused(Refusal::DuplicateId, code, code);
    }
    match REFUSALS.iter().find(|(start, _)| code.starts_with(start)) {
        Some((_, refusal)) => refused(*refusal, code, code),
        None => unknown(words(code)),
    }
}
