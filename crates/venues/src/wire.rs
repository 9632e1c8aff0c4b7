//! What all adapters share to read replies: exact numbers out of JSON, numbers as text, and the refusal
//! to take a page, a fragment or a null for an answer.

mod figures;
mod table;

pub use figures::*;
pub use table::*;

use crate::api::{Answer, ApiError, Refusal};
use crate::http::{Reply, TransportError};
use keel_core::candle::{Candle, check_candle};
use keel_core::order::ClientOrderId;
use keel_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Moments outside of this, 2001 to 2286 in milliseconds, are seconds, microseconds or nonsense.
const PLAUSIBLE_MS: std::ops::Range<i64> = 1_000_000_000_000..10_000_000_000_000;

/// [`PRICE_MAX`], for analytics: the close of a candle can become a price.
const CANDLE_PRICE_MAX: f64 = 5e9;

/// The shortest and the longest pause that a venue can ask for.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// An answer that cannot be used.
pub fn unknown(what: impl Into<String>) -> ApiError {
    ApiError::Unknown(what.into())
}

/// A documented refusal, with the venue's code and words.
pub fn refused(refusal: Refusal, code: impl Into<String>, message: &str) -> ApiError {
    ApiError::Refused { refusal, code: code.into(), message: words(message) }
}

/// A foreign text for messages and logs: without control characters, at most 200 characters.
#[must_use]
pub fn words(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

impl From<TransportError> for ApiError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::NotSent(why) => Self::NotSent(why),
            TransportError::NoReply(why) => Self::Unknown(why),
        }
    }
}

/// What the HTTP status alone decides: 429 and 418 are rate limits, redirects and 5xx tell nothing.
/// `None`: the body decides. Venues that do not document 429 as a refusal before the engine must not
/// use this for writes.
#[must_use]
pub fn status_error(reply: &Reply) -> Option<ApiError> {
    match reply.status {
        200..=299 => None,
        429 | 418 => Some(refused(
            Refusal::RateLimited { wait: retry_after(reply) },
            format!("HTTP {}", reply.status),
            &reply.body,
        )),
        400..=499 => None,
        status => Some(unknown(format!("HTTP status {status}"))),
    }
}

/// The pause that `Retry-After` asks for, from one second to one day: seconds, or a date counted from
/// the reply's own `Date`. `None` without a readable header.
#[must_use]
pub fn retry_after(reply: &Reply) -> Option<Duration> {
    let text = reply.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let bounded = seconds.clamp(WAIT.0.as_secs_f64(), WAIT.1.as_secs_f64());
        return Duration::try_from_secs_f64(bounded).ok();
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(reply.header("date")?).ok()?;
    Some(bounded_wait(until.duration_since(now).unwrap_or_default()))
}

/// A pause of at least a second and at most a day.
#[must_use]
pub fn bounded_wait(wait: Duration) -> Duration {
    wait.clamp(WAIT.0, WAIT.1)
}

/// The JSON object or list of a reply.
///
/// # Errors
/// [`ApiError::Unknown`] for pages, empty and cut bodies, `null` and bare values.
pub fn parse_json(reply: &Reply) -> Answer<Value> {
    let value: Value = parse_as(reply)?;
    if value.is_object() || value.is_array() {
        return Ok(value);
    }
    Err(unknown(format!(
        "HTTP {} with {}, expected an object or a list",
        reply.status,
        shown(&value)
    )))
}

/// The body of a reply as a structure, for replies that are too large to be kept as [`Value`].
///
/// # Errors
/// [`ApiError::Unknown`] for everything that does not have its shape.
pub fn parse_as<T: DeserializeOwned>(reply: &Reply) -> Answer<T> {
    serde_json::from_str(&reply.body).map_err(|error| {
        let start: String = words(&reply.body).chars().take(40).collect();
        unknown(format!(
            "HTTP {} with a body of {} bytes that cannot be read ({error}); it starts with `{start}`",
            reply.status,
            reply.body.len()
        ))
    })
}

/// The value called `key`; absent and `null` are errors.
///
/// # Errors
/// [`ApiError::Unknown`] if there is none.
pub fn field<'a>(object: &'a Value, key: &str) -> Answer<&'a Value> {
    maybe(object, key).ok_or_else(|| unknown(format!("the reply has no `{key}`")))
}

/// The value called `key`, unless it is absent or `null`.
#[must_use]
pub fn maybe<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// The text called `key`, unless it is absent, `null` or empty.
#[must_use]
pub fn maybe_text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    maybe(object, key)?.as_str().filter(|text| !text.is_empty())
}

/// The text called `key`.
///
/// # Errors
/// [`ApiError::Unknown`] if there is none or it is empty.
pub fn text<'a>(object: &'a Value, key: &str) -> Answer<&'a str> {
    let value = field(object, key)?;
    value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| wrong(key, value, "a text"))
}

/// The name called `key`: a text, or a whole number taken by its digits.
///
/// # Errors
/// [`ApiError::Unknown`] if it is neither, or empty.
pub fn name(object: &Value, key: &str) -> Answer<String> {
    let value = field(object, key)?;
    match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        _ => Err(wrong(key, value, "a name")),
    }
}

/// The list called `key`.
///
/// # Errors
/// [`ApiError::Unknown`] if it is no list.
pub fn list<'a>(object: &'a Value, key: &str) -> Answer<&'a [Value]> {
    let value = field(object, key)?;
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(key, value, "a list"))
}

/// A value that is a list itself.
///
/// # Errors
/// [`ApiError::Unknown`] if it is no list.
pub fn items(value: &Value) -> Answer<&[Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong("reply", value, "a list"))
}

/// The truth value called `key`.
///
/// # Errors
/// [`ApiError::Unknown`] if it is none.
pub fn flag(object: &Value, key: &str) -> Answer<bool> {
    let value = field(object, key)?;
    value.as_bool().ok_or_else(|| wrong(key, value, "true or false"))
}

/// The moment called `key`, in milliseconds since 1970 as a number or as text.
///
/// # Errors
/// [`ApiError::Unknown`] if it is none, or lies outside of 2001 to 2286.
pub fn moment(object: &Value, key: &str) -> Answer<Timestamp> {
    let value = field(object, key)?;
    moment_ms(value).ok_or_else(|| wrong(key, value, "a moment in milliseconds"))
}

/// A moment in milliseconds, as a number or as text; `None` outside of 2001 to 2286.
#[must_use]
pub fn moment_ms(value: &Value) -> Option<Timestamp> {
    let ms = match value {
        Value::String(text) => text.parse().ok()?,
        other => other.as_i64()?,
    };
    PLAUSIBLE_MS.contains(&ms).then(|| Timestamp::from_ms(ms))
}

/// A moment written as `2024-08-31T23:00:00.123456Z`, to the millisecond.
#[must_use]
pub fn moment_iso(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let moment: Timestamp = seconds.parse().ok()?;
    Some(moment.plus_ms(ms)).filter(|moment| PLAUSIBLE_MS.contains(&moment.ms()))
}

/// `2024-08-31T23:00:00.000Z`, always with milliseconds.
#[must_use]
pub fn iso_text(now_ms: i64) -> String {
    let whole = Timestamp::from_ms(now_ms - now_ms.rem_euclid(1000)).to_string();
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), now_ms.rem_euclid(1000))
}

/// A candle from its start in milliseconds and open, high, low, close and base volume.
///
/// # Errors
/// [`ApiError::Unknown`] if a value is missing, no number, or impossible for a candle.
pub fn candle(open_time: &Value, values: [&Value; 5]) -> Answer<Candle> {
    let at = moment_ms(open_time)
        .ok_or_else(|| wrong("candle's time", open_time, "a moment in milliseconds"))?;
    let mut numbers = [0.0; 5];
    for (number, value) in numbers.iter_mut().zip(values) {
        *number = analytic(value).ok_or_else(|| wrong("candle", value, "a number"))?;
    }
    let [open, high, low, close, volume] = numbers;
    if high > CANDLE_PRICE_MAX {
        return Err(unknown(format!("candle of {at}: a price of {high}, which is not believed")));
    }
    let candle = Candle { open_time_ms: at.ms(), open, high, low, close, volume };
    check_candle(&candle).map_err(|fault| unknown(format!("candle of {at}: {fault}")))?;
    Ok(candle)
}

/// A candle from a list; `order` gives the places of time, open, high, low, close and base volume.
///
/// # Errors
/// As [`candle`], and if the list is too short.
pub fn candle_row(row: &Value, order: [usize; 6]) -> Answer<Candle> {
    let at = |place: usize| {
        row.get(place).ok_or_else(|| unknown(format!("a candle has no value number {place}")))
    };
    let [time, open, high, low, close, volume] = order;
    candle(at(time)?, [at(open)?, at(high)?, at(low)?, at(close)?, at(volume)?])
}

/// Candles that must be oldest first and rising, cut to what was asked for: from `since` on the first
/// `limit` of them, without it the last.
///
/// # Errors
/// [`ApiError::Unknown`] if two candles are the same or out of order.
pub fn candles_asked_for(
    mut candles: Vec<Candle>,
    since: Option<Timestamp>,
    limit: usize,
) -> Answer<Vec<Candle>> {
    if let Some(pair) = candles.windows(2).find(|pair| pair[1].open_time_ms <= pair[0].open_time_ms)
    {
        let at = Timestamp::from_ms(pair[1].open_time_ms);
        return Err(unknown(format!("the candle of {at} is not later than the one before it")));
    }
    match since {
        Some(since) => {
            candles.retain(|candle| candle.open_time_ms >= since.ms());
            candles.truncate(limit);
        }
        None => drop(candles.drain(..candles.len().saturating_sub(limit))),
    }
    Ok(candles)
}

/// A reply about something else is no answer to the question.
///
/// # Errors
/// [`ApiError::Unknown`] if the two are not the same.
pub fn same(seen: &str, expected: &str) -> Answer<()> {
    if seen == expected {
        return Ok(());
    }
    Err(unknown(format!("the reply is about `{}`, expected `{expected}`", words(seen))))
}

/// A finite number for analytics.
fn analytic(value: &Value) -> Option<f64> {
    let number: f64 = match value {
        Value::String(text) => text.parse().ok()?,
        Value::Number(number) => number.to_string().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn wrong(key: &str, seen: &Value, expected: &str) -> ApiError {
    unknown(format!("`{key}` is {}, expected {expected}", shown(seen)))
}

/// A value for a message; what is inside of lists and objects is nobody's business there.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("`{}`", words(text)),
        other => words(&other.to_string()),
    }
}

/// Whether an order that carries this id may be ours.
pub(crate) fn is_like_ours(client_id: Option<&str>) -> bool {
    client_id.is_some_and(|id| id.parse::<ClientOrderId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use serde_json::json;

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Reply { status, headers, body: body.to_owned() }
    }

    #[test]
    fn only_objects_and_lists_are_answers() {
        for body in ["", "<html>busy</html>", "{\"a\":", "null", "true", "12", "\"ok\"", "{} x"] {
            let answer = parse_json(&reply(200, &[], body));
            assert!(matches!(answer, Err(ApiError::Unknown(_))), "{body}: {answer:?}");
        }
        assert!(parse_json(&reply(200, &[], "{}")).is_ok());
        assert!(parse_json(&reply(200, &[], "[]")).is_ok());
    }

    #[test]
    fn numbers_are_exact_and_nonsense_is_refused() {
        let value: Value = serde_json::from_str(
            r#"{"n":9999999999.99999999,"s":"0.000000010","e":1e-8,"z":1e400}"#,
        )
        .unwrap();
        assert_eq!(decimal(&value, "n").unwrap().to_string(), "9999999999.99999999");
        assert_eq!(decimal(&value, "s").unwrap().to_string(), "0.00000001");
        assert_eq!(decimal(&value, "e").unwrap().to_string(), "0.00000001");
        assert!(decimal(&value, "z").is_err());
        let padded = json!({"v": "12345678901234567890.000000000000000000"});
        assert_eq!(exact(&padded["v"]).unwrap().to_string(), "12345678901234567890");
        for bad in [json!("NaN"), json!(""), json!("0x10"), json!(null), json!([1]), json!("1 000")]
        {
            assert!(decimal(&json!({ "v": bad }), "v").is_err(), "{bad}");
        }
        assert!(amount(&json!({"v": "-1"}), "v").is_err());
        assert!(price(&json!({"v": "0"}), "v").is_err());
        assert_eq!(plain(Decimal::new(100, 10)), "0.00000001");
        assert_eq!(plain(Decimal::new(5000, 1)), "500");
    }

    #[test]
    fn f051_moments_in_seconds_or_microseconds_are_refused() {
        for bad in [json!(1_700_000_000), json!(1_700_000_000_000_000_i64), json!("x"), json!(-1)] {
            assert!(moment(&json!({ "t": bad }), "t").is_err(), "{bad}");
        }
        let fine = moment(&json!({"t": "1700000000123"}), "t").unwrap();
        assert_eq!(fine.ms(), 1_700_000_000_123);
        assert_eq!(iso_text(1_607_418_537_715), "2020-12-08T09:08:57.715Z");
        assert_eq!(iso_text(1_607_418_537_000), "2020-12-08T09:08:57.000Z");
        let iso = |text| moment_iso(text).map(Timestamp::ms);
        assert_eq!(iso("2020-12-08T09:08:57.7154Z"), Some(1_607_418_537_715));
        assert_eq!(iso("2020-12-08T09:08:57Z"), Some(1_607_418_537_000));
        assert_eq!(iso("2020-12-08T09:08:57.x1Z"), None);
    }

    #[test]
    fn f078_a_pause_is_read_from_seconds_or_a_date_and_bounded() {
        let wait = |headers: &[(&str, &str)]| {
            retry_after(&reply(429, headers, "")).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(&[("retry-after", "12")]), Some(12));
        assert_eq!(wait(&[("retry-after", "-1")]), Some(1));
        assert_eq!(wait(&[("retry-after", "1000000000")]), Some(86_400));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "NaN")]), None);
        assert_eq!(wait(&[]), None);
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let later = "Wed, 21 Oct 2015 07:29:30 GMT";
        assert_eq!(wait(&[("date", date), ("retry-after", later)]), Some(90));
        assert_eq!(wait(&[("date", later), ("retry-after", date)]), Some(1));
    }

    #[test]
    fn a_status_decides_only_what_it_can() {
        assert!(matches!(status_error(&reply(503, &[], "{}")), Some(ApiError::Unknown(_))));
        assert!(matches!(status_error(&reply(307, &[], "{}")), Some(ApiError::Unknown(_))));
        assert!(matches!(
            status_error(&reply(418, &[("retry-after", "7")], "{}")),
            Some(ApiError::Refused { refusal: Refusal::RateLimited { wait: Some(wait) }, .. })
                if wait == Duration::from_secs(7)
        ));
        assert_eq!(status_error(&reply(400, &[], "{}")), None);
        assert_eq!(status_error(&reply(200, &[], "{}")), None);
    }

    #[test]
    fn candles_are_checked_and_cut() {
        let row = |time: i64| json!([time, "1", "2", "0.5", "1.5", "10"]);
        let read = |value: &Value| candle_row(value, [0, 1, 2, 3, 4, 5]);
        let hour = 3_600_000;
        let start = 1_700_000_000_000;
        let candles: Vec<Candle> = (0..4).map(|n| read(&row(start + n * hour)).unwrap()).collect();
        let since = Timestamp::from_ms(start + 1);
        let cut = candles_asked_for(candles.clone(), Some(since), 2).unwrap();
        assert_eq!(cut[0].open_time_ms, start + hour);
        assert_eq!(cut.len(), 2);
        let newest = candles_asked_for(candles.clone(), None, 1).unwrap();
        assert_eq!(newest[0].open_time_ms, start + 3 * hour);
        let twice = vec![candles[0], candles[0]];
        assert!(candles_asked_for(twice, None, 5).is_err());
        for bad in [
            json!([start, "1", "2", "0.5", "1.5"]),
            json!([0, 0, 0, 0, 0, 0]),
            json!([start, "1", "2", "0.5", null, "10"]),
            json!([start, "1", "2", "0.5", "NaN", "10"]),
            json!([start, "1", "2", "0.5", "0", "10"]),
            json!([start / 1000, "1", "2", "0.5", "1.5", "10"]),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_decimal_survives_the_way_out_and_back(units in any::<i64>(), places in 0_u32..20) {
            let value = Decimal::new(units, places);
            let text = plain(value);
            prop_assert!(!text.contains(['e', 'E']));
            prop_assert_eq!(read_decimal(&text), Some(value));
        }

        #[test]
        fn no_text_breaks_the_reader(body in ".{0,200}") {
            let _ = parse_json(&reply(200, &[], &body));
            let _ = read_decimal(&body);
            let _ = moment_iso(&body);
        }
    }
}
