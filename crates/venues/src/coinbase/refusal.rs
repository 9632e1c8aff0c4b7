//! Which of Coinbase's answers are refusals. Whatever is not listed here is not known.

use crate::api::{Answer, ApiError, Refusal};
use crate::http::Reply;
use crate::wire::{maybe, maybe_text, parse_json, refused, status_error, unknown, words};
use serde_json::Value;

/// Reasons for which an order was not placed, without the `PREVIEW_` that some carry. What is not here
/// is unknown, `UNKNOWN_FAILURE_REASON` among it.
const ORDER_REFUSALS: [(&str, Refusal); 34] = [
    ("DUPLICATE_CLIENT_ORDER_ID", Refusal::DuplicateId),
    ("INSUFFICIENT_FUND", Refusal::Funds),
    ("INSUFFICIENT_FUNDS", Refusal::Funds),
    ("INSUFFICIENT_LEDGER_BALANCE", Refusal::Funds),
    ("INVALID_LEDGER_BALANCE", Refusal::Funds),
    ("UNSUPPORTED_ORDER_CONFIGURATION", Refusal::Parameters),
    ("INVALID_ORDER_CONFIG", Refusal::Parameters),
    ("INVALID_ORDER_TYPE", Refusal::Parameters),
    ("INVALID_REQUEST", Refusal::Parameters),
    ("INVALID_SIDE", Refusal::Parameters),
    ("INVALID_SIZE_PRECISION", Refusal::Parameters),
    ("INVALID_PRICE_PRECISION", Refusal::Parameters),
    ("INVALID_QUOTE_SIZE_PRECISION", Refusal::Parameters),
    ("INVALID_BASE_SIZE_TOO_LARGE", Refusal::Parameters),
    ("INVALID_BASE_SIZE_TOO_SMALL", Refusal::Parameters),
    ("INVALID_QUOTE_SIZE_TOO_LARGE", Refusal::Parameters),
    ("INVALID_QUOTE_SIZE_TOO_SMALL", Refusal::Parameters),
    ("INVALID_PRICE_TOO_LARGE", Refusal::Parameters),
    ("INVALID_LIMIT_PRICE", Refusal::Parameters),
    ("INVALID_LIMIT_PRICE_POST_ONLY", Refusal::Parameters),
    ("BREACHED_PRICE_LIMIT", Refusal::Parameters),
    ("INVALID_MARGIN_TYPE", Refusal::Parameters),
    ("INVALID_LEVERAGE", Refusal::Parameters),
    ("INVALID_PRODUCT_ID", Refusal::Market),
    ("INVALID_NO_LIQUIDITY", Refusal::Market),
    ("ORDER_ENTRY_DISABLED", Refusal::Market),
    ("INELIGIBLE_PAIR", Refusal::Market),
    ("UNTRADABLE_PRODUCT", Refusal::Market),
    ("MISSING_PRODUCT_PRICE_BOOK", Refusal::Market),
    ("MISSING_MARKET_TRADE_DATA", Refusal::Market),
    ("GEOFENCING_RESTRICTION", Refusal::Market),
    ("MISSING_COMMISSION_RATE", Refusal::Other),
    ("INVALID_COMMISSION_CONFIGURATION", Refusal::Other),
    ("COMMANDER_REJECTED_NEW_ORDER", Refusal::Other),
];

/// Reasons for which an order was not cancelled.
const CANCEL_REFUSALS: [(&str, Refusal); 7] = [
    ("UNKNOWN_CANCEL_ORDER", Refusal::NotFound),
    ("ORDER_IS_FULLY_FILLED", Refusal::NotFound),
    ("INVALID_CANCEL_REQUEST", Refusal::Parameters),
    ("INVALID_CANCEL_PRODUCT_ID", Refusal::Parameters),
    ("DUPLICATE_CANCEL_REQUEST", Refusal::Other),
    ("COMMANDER_REJECTED_CANCEL_ORDER", Refusal::Other),
    ("NOT_ALLOWED_TO_CANCEL", Refusal::Other),
];

/// `error` in replies with a status from 400 to 499.
const ERRORS: [(&str, Refusal); 9] = [
    ("INVALID_ARGUMENT", Refusal::Parameters),
    ("PERMISSION_DENIED", Refusal::Auth),
    ("UNAUTHENTICATED", Refusal::Auth),
    ("unauthorized", Refusal::Auth),
    ("authentication_error", Refusal::Auth),
    ("NOT_FOUND", Refusal::NotFound),
    ("not_found", Refusal::NotFound),
    ("rate_limit_exceeded", Refusal::RateLimited { wait: None }),
    ("resource_exhausted", Refusal::RateLimited { wait: None }),
];

/// The reply, or the refusal in it.
pub(super) fn value_of(reply: &Reply) -> Answer<Value> {
    if let Some(error) = status_error(reply) {
        return Err(error);
    }
    if reply.status < 300 {
        return parse_json(reply);
    }
    // The body of a 401 is a bare word.
    if reply.status == 401 {
        return Err(refused(Refusal::Auth, "HTTP 401", &reply.body));
    }
    let value = parse_json(reply)?;
    let code = maybe_text(&value, "error").unwrap_or("no `error`");
    let message = ["message", "error_details", "error_description"];
    let message = message.iter().find_map(|key| maybe_text(&value, key)).unwrap_or_default();
    if code == "unknown" && message.ends_with("was not found") {
        return Err(refused(Refusal::NotFound, code, message));
    }
    Err(by_table(&ERRORS, code, message))
}

fn by_table(table: &[(&str, Refusal)], code: &str, message: &str) -> ApiError {
    match table.iter().find(|(known, _)| *known == code) {
        Some((_, refusal)) => refused(*refusal, code, message),
        None => unknown(words(&format!("{code}: {message}"))),
    }
}

/// Why `success` is false. The reply has up to four places for the reason; those that know nothing
/// begin with `UNKNOWN`.
pub(super) fn order_refusal(reply: &Value) -> ApiError {
    let inner = maybe(reply, "error_response").unwrap_or(&Value::Null);
    let message = maybe_text(inner, "message").or_else(|| maybe_text(inner, "error_details"));
    let reasons = [
        maybe_text(inner, "new_order_failure_reason"),
        maybe_text(inner, "error"),
        maybe_text(inner, "preview_failure_reason"),
        maybe_text(reply, "failure_reason"),
    ];
    let mut said = reasons.into_iter().flatten().filter(|reason| !reason.starts_with("UNKNOWN"));
    let reason = said.next().unwrap_or("UNKNOWN_FAILURE_REASON");
    let bare = reason.strip_prefix("PREVIEW_").unwrap_or(reason);
    match ORDER_REFUSALS.iter().find(|(known, _)| *known == bare) {
        Some((_, refusal)) => refused(*refusal, reason, message.unwrap_or_default()),
        None => unknown(words(&format!("{reason}: {}", message.unwrap_or_default()))),
    }
}

/// Why an order was not cancelled.
pub(super) fn cancel_refusal(reason: &str) -> ApiError {
    by_table(&CANCEL_REFUSALS, reason, "")
}
