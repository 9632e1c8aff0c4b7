//! Single values: from what was typed to what it means, by the kind of the field.

use crate::config::Options;
use crate::document::{Report, describe, quote, type_name};
use crate::problem::{Fault, ProblemKind, nearest};
use crate::secret::SecretRef;
use crate::table::{Bounds, Kind, LOG_LEVELS, NOTIFICATION_EVENTS, NOTIFICATION_MODES, log_level};
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use keel_core::asset::{Ticker, VenueId};
use keel_core::time::Timeframe;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::{BTreeMap, BTreeSet};

/// A checked value.
#[derive(Clone, Debug)]
pub(crate) enum Typed {
    Bool(bool),
    Whole(u64),
    Decimal(Decimal),
    Text(String),
    Secret(SecretRef),
    Options(Options),
    Texts(BTreeMap<String, String>),
    Ids(BTreeSet<u64>),
    Balances(BTreeMap<String, BTreeMap<String, Decimal>>),
}

/// Checks one value. `None` when it was wrong, which then has been reported.
/// Values of a `private` section are credentials: messages say only their type.
pub(crate) fn check(
    kind: &Kind,
    value: &Value<'_>,
    private: bool,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Typed> {
    let checked = match kind {
        Kind::Options => match value {
            Value::Object(object) => {
                return options(object, path, report).map(Typed::Options);
            }
            _ => Err(wrong_type(kind, value, private)),
        },
        Kind::Urls => return texts(kind, value, private, path, report, url),
        Kind::Notifications => return notifications(kind, value, path, report),
        Kind::UserIds => user_ids(kind, value),
        Kind::LogLevels => return texts(kind, value, private, path, report, level_name),
        Kind::Balances => return balances(kind, value, path, report),
        _ => scalar(kind, value, private),
    };
    match checked {
        Ok(typed) => Some(typed),
        Err(fault) => {
            report.add(value.start(), path, fault);
            None
        }
    }
}

/// The exact decimal of a JSON number's text.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text).ok()
    }
}

/// Reports the keys that occur twice. An error, because the last one would silently win.
pub(crate) fn report_duplicates(object: &Object<'_>, path: &str, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for prop in &object.properties {
        if !seen.insert(prop.name.as_str()) {
            let fault = Fault::new(ProblemKind::DuplicateKey, "duplicate key", "each key once")
                .action("remove one of the two");
            report.add(prop.range.start, child(path, prop.name.as_str()), fault);
        }
    }
}

/// The path of a key inside an object.
pub(crate) fn child(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty()
        && key.len() <= 64
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/'));
    match (path.is_empty(), is_plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{}]", quote(key)),
    }
}

fn scalar(kind: &Kind, value: &Value<'_>, private: bool) -> Result<Typed, Fault> {
    let expected = || kind.expected();
    let bad = |seen: String| Fault::new(ProblemKind::BadValue, seen, kind.expected());
    match (kind, value) {
        (Kind::Bool, Value::BooleanLit(boolean)) => Ok(Typed::Bool(boolean.value)),
        (Kind::Whole { min, max }, Value::NumberLit(number)) => {
            let whole = decimal(number.value)
                .filter(|decimal| decimal.fract().is_zero())
                .and_then(|decimal| decimal.to_u64());
            match whole {
                Some(whole) if (*min..=*max).contains(&whole) => Ok(Typed::Whole(whole)),
                _ => Err(bad(describe(value))),
            }
        }
        (Kind::Decimal(bounds), Value::NumberLit(number)) => match decimal(number.value) {
            Some(decimal) if is_within(decimal, *bounds) => Ok(Typed::Decimal(decimal)),
            _ => Err(bad(describe(value))),
        },
        (Kind::Interval, Value::NumberLit(number)) => {
            let seconds = decimal(number.value)
                .filter(|decimal| decimal.fract().is_zero())
                .and_then(|decimal| decimal.to_u64());
            match seconds {
                Some(seconds) if seconds == 0 || Timeframe::from_seconds(seconds).is_some() => {
                    Ok(Typed::Whole(seconds))
                }
                _ => Err(bad(describe(value))),
            }
        }
        (Kind::Interval, Value::StringLit(text)) => {
            // Venues write bar lengths as names, so this slip has one sure correction.
            let meant = text.value.parse::<Timeframe>().ok();
            Err(wrong_type(kind, value, private)
                .suggest(meant.map(|timeframe| timeframe.seconds().to_string())))
        }
        (Kind::ChatId, Value::NumberLit(number)) => match decimal(number.value) {
            Some(id) if id.fract().is_zero() => {
                SecretRef::parse(&id.normalize().to_string()).map(Typed::Secret)
            }
            _ => Err(bad("a number with a fraction".to_owned())),
        },
        (Kind::ChatId, Value::StringLit(text)) => match SecretRef::parse(&text.value)? {
            SecretRef::Literal(id) if !is_chat(id.expose()) => {
                Err(bad("text that is not a chat".to_owned()))
            }
            reference => Ok(Typed::Secret(reference)),
        },
        // A URL may hold a password, so it is not repeated.
        (Kind::Url, Value::StringLit(text)) => match url(&text.value) {
            Ok(url) if url.starts_with("http") => Ok(Typed::Text(url)),
            _ => Err(bad("text that is no such URL".to_owned())),
        },
        (Kind::Secret, Value::StringLit(text)) => SecretRef::parse(&text.value).map(Typed::Secret),
        (_, Value::StringLit(text)) => self::text(kind, &text.value)
            .unwrap_or_else(|| Err(wrong_type(kind, value, private)))
            .map(Typed::Text),
        _ => Err(Fault::new(ProblemKind::WrongType, seen_type(value, private), expected())
            .suggest(typed_suggestion(kind, value))),
    }
}

/// `None` when the kind is not written as text.
fn text(kind: &Kind, text: &str) -> Option<Result<String, Fault>> {
    let bad = || Fault::new(ProblemKind::BadValue, quote(text), kind.expected());
    let when = |ok: bool| if ok { Ok(text.to_owned()) } else { Err(bad()) };
    let has_control = text.chars().any(char::is_control);
    Some(match kind {
        Kind::Choice(names) => {
            let names = names();
            if names.contains(&text) {
                Ok(text.to_owned())
            } else {
                Err(bad().suggest(nearest(text, names)))
            }
        }
        Kind::LogLevel => level_name(text).map_err(|suggestion| bad().suggest(suggestion)),
        Kind::Ticker => when(text.parse::<Ticker>().is_ok()),
        Kind::Venue => {
            let lower = text.to_ascii_lowercase();
            if text == "N/A" || text.parse::<VenueId>().is_ok() {
                Ok(text.to_owned())
            } else {
                let meant = lower.parse::<VenueId>().is_ok().then_some(lower);
                Err(bad().suggest(meant))
            }
        }
        Kind::CoinGeckoId => when(
            (1..=128).contains(&text.len())
                && text.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.')
                }),
        ),
        Kind::Text => when(!has_control),
        Kind::Path => when(!text.trim().is_empty() && !has_control && text.len() <= 4096),
        Kind::FileName => when(is_file_name(text)),
        _ => return None,
    })
}

/// A name that cannot leave its directory, whatever a platform or a decoder makes of it.
fn is_file_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with('.')
        && !text.contains("..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// A chat number, or the public name of a channel.
fn is_chat(text: &str) -> bool {
    let name = text.strip_prefix('@');
    let digits = text.strip_prefix('-').unwrap_or(text);
    match name {
        Some(name) => {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        }
        None => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
    }
}

fn is_within(value: Decimal, bounds: Bounds) -> bool {
    // Bounds are constants of the table; a test reads each of them.
    let (Some(min), Some(max)) = (decimal(bounds.min), decimal(bounds.max)) else { return false };
    value <= max && if bounds.is_above_min { value > min } else { value >= min }
}

fn wrong_type(kind: &Kind, value: &Value<'_>, private: bool) -> Fault {
    Fault::new(ProblemKind::WrongType, seen_type(value, private), kind.expected())
        .suggest(typed_suggestion(kind, value))
}

fn seen_type(value: &Value<'_>, private: bool) -> String {
    match value {
        Value::StringLit(_) | Value::NumberLit(_) if !private => {
            format!("{} {}", type_name(value), describe(value))
        }
        Value::BooleanLit(_) => format!("a boolean {}", describe(value)),
        _ => type_name(value).to_owned(),
    }
}

/// A number or boolean in quotes is meant without them.
fn typed_suggestion(kind: &Kind, value: &Value<'_>) -> Option<String> {
    let Value::StringLit(text) = value else { return None };
    let text = text.value.trim();
    match kind {
        Kind::Bool => nearest(text, ["true", "false"]),
        Kind::Whole { .. } | Kind::Decimal(_) => {
            let number: serde_json::Number = text.parse().ok()?;
            (text.len() <= 40).then(|| number.to_string())
        }
        _ => None,
    }
}

fn options(object: &Object<'_>, path: &str, report: &mut Report<'_>) -> Option<Options> {
    let mut has_duplicates = false;
    walk_objects(&Value::Object(object.clone()), path, &mut |object, path| {
        let names: BTreeSet<&str> = object.properties.iter().map(|p| p.name.as_str()).collect();
        has_duplicates |= names.len() < object.properties.len();
        report_duplicates(object, path, report);
    });
    match serde_json::Value::from(Value::Object(object.clone())) {
        serde_json::Value::Object(map) if !has_duplicates => Some(Options(map)),
        _ => None,
    }
}

fn walk_objects(value: &Value<'_>, path: &str, visit: &mut dyn FnMut(&Object<'_>, &str)) {
    match value {
        Value::Object(object) => {
            visit(object, path);
            for prop in &object.properties {
                walk_objects(&prop.value, &child(path, prop.name.as_str()), visit);
            }
        }
        Value::Array(array) => {
            for (index, element) in array.elements.iter().enumerate() {
                walk_objects(element, &format!("{path}[{index}]"), visit);
            }
        }
        _ => {}
    }
}

/// An object of names and texts, each read by `parse`; its error is the nearest valid text.
fn texts(
    kind: &Kind,
    value: &Value<'_>,
    private: bool,
    path: &str,
    report: &mut Report<'_>,
    parse: fn(&str) -> Result<String, Option<String>>,
) -> Option<Typed> {
    let Value::Object(object) = value else {
        report.add(value.start(), path, wrong_type(kind, value, private));
        return None;
    };
    report_duplicates(object, path, report);
    let mut texts = BTreeMap::new();
    let mut is_good = true;
    for prop in &object.properties {
        let name = prop.name.as_str();
        let parsed = match &prop.value {
            Value::StringLit(text) => parse(&text.value),
            _ => Err(None),
        };
        match parsed {
            Ok(text) => is_good &= texts.insert(name.to_owned(), text).is_none(),
            Err(suggestion) => {
                // A URL may hold a password, so it is not repeated.
                let (seen, expected) = if matches!(kind, Kind::Urls) {
                    (
                        type_name(&prop.value).to_owned(),
                        "an http, https, ws or wss URL without user name, password and query"
                            .to_owned(),
                    )
                } else {
                    (describe(&prop.value), Kind::LogLevel.expected())
                };
                let fault = Fault::new(ProblemKind::BadValue, seen, expected).suggest(suggestion);
                report.add(prop.value.start(), child(path, name), fault);
                is_good = false;
            }
        }
    }
    is_good.then_some(Typed::Texts(texts))
}

/// Numbers of users, of which each is positive.
fn user_ids(kind: &Kind, value: &Value<'_>) -> Result<Typed, Fault> {
    let Value::Array(array) = value else { return Err(wrong_type(kind, value, false)) };
    let ids = array.elements.iter().map(|element| match element {
        Value::NumberLit(number) => decimal(number.value)
            .filter(|id| id.fract().is_zero() && *id > Decimal::ZERO)
            .and_then(|id| id.to_u64())
            .ok_or_else(|| Fault::new(ProblemKind::BadValue, describe(element), kind.expected())),
        // A name can be taken over by somebody else; a number cannot.
        other => Err(wrong_type(kind, other, false)),
    });
    ids.collect::<Result<_, _>>().map(Typed::Ids)
}

/// Events and how they are sent.
fn notifications(
    kind: &Kind,
    value: &Value<'_>,
    path: &str,
    report: &mut Report<'_>,
) -> Option<Typed> {
    let Value::Object(object) = value else {
        report.add(value.start(), path, wrong_type(kind, value, false));
        return None;
    };
    report_duplicates(object, path, report);
    let mut settings = BTreeMap::new();
    let mut is_good = true;
    for prop in &object.properties {
        let name = prop.name.as_str();
        if !NOTIFICATION_EVENTS.contains(&name) {
            let expected = format!("one of {}", NOTIFICATION_EVENTS.join(", "));
            let fault = Fault::new(ProblemKind::UnknownKey, "unknown event", expected)
                .suggest(nearest(name, NOTIFICATION_EVENTS));
            report.add(prop.range.start, child(path, name), fault);
            is_good = false;
            continue;
        }
        match &prop.value {
            Value::StringLit(mode) if NOTIFICATION_MODES.contains(&&*mode.value) => {
                is_good &= settings.insert(name.to_owned(), mode.value.to_string()).is_none();
            }
            other => {
                let expected = format!("one of {}", NOTIFICATION_MODES.join(", "));
                let meant = match other {
                    Value::StringLit(text) => nearest(&text.value, NOTIFICATION_MODES),
                    _ => None,
                };
                let fault =
                    Fault::new(ProblemKind::BadValue, describe(other), expected).suggest(meant);
                report.add(other.start(), child(path, name), fault);
                is_good = false;
            }
        }
    }
    is_good.then_some(Typed::Texts(settings))
}

fn url(text: &str) -> Result<String, Option<String>> {
    let rest = ["https://", "http://", "wss://", "ws://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .ok_or(None)?;
    let host = rest.split('/').next().unwrap_or("");
    let is_good = !host.is_empty()
        && !rest.contains(['@', '?', '#'])
        && text.len() <= 2048
        && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if is_good { Ok(text.to_owned()) } else { Err(None) }
}

fn level_name(text: &str) -> Result<String, Option<String>> {
    match log_level(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(nearest(text, LOG_LEVELS.map(|(name, _)| name))),
    }
}

fn balances(kind: &Kind, value: &Value<'_>, path: &str, report: &mut Report<'_>) -> Option<Typed> {
    let Value::Object(venues) = value else {
        report.add(value.start(), path, wrong_type(kind, value, false));
        return None;
    };
    report_duplicates(venues, path, report);
    let mut balances: BTreeMap<String, BTreeMap<String, Decimal>> = BTreeMap::new();
    let mut is_good = true;
    for venue in &venues.properties {
        let venue_path = child(path, venue.name.as_str());
        let Value::Object(tickers) = &venue.value else {
            report.add(
                venue.value.start(),
                venue_path,
                Fault::new(
                    ProblemKind::WrongType,
                    describe(&venue.value),
                    "an object of tickers and amounts",
                ),
            );
            is_good = false;
            continue;
        };
        report_duplicates(tickers, &venue_path, report);
        let amounts = balances.entry(venue.name.as_str().to_owned()).or_default();
        for ticker in &tickers.properties {
            let amount = match &ticker.value {
                Value::NumberLit(number) => decimal(number.value),
                _ => None,
            };
            match amount.filter(|amount| *amount >= Decimal::ZERO) {
                Some(amount) => {
                    amounts.insert(ticker.name.as_str().to_owned(), amount);
                }
                None => {
                    report.add(
                        ticker.value.start(),
                        child(&venue_path, ticker.name.as_str()),
                        Fault::new(
                            ProblemKind::BadValue,
                            describe(&ticker.value),
                            "an amount of at least 0",
                        ),
                    );
                    is_good = false;
                }
            }
        }
    }
    is_good.then_some(Typed::Balances(balances))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_from_their_text() {
        assert_eq!(decimal("0.1").unwrap().to_string(), "0.1");
        assert_eq!(decimal("1e3").unwrap(), Decimal::from(1000));
        assert_eq!(decimal("1E-3").unwrap().to_string(), "0.001");
        assert_eq!(decimal("1e999"), None);
        assert_eq!(decimal(&"9".repeat(40)), None);
    }

    #[test]
    fn file_names_stay_in_their_directory() {
        for good in ["BTC_strategy.json", "a", "x-1.json"] {
            assert!(is_file_name(good), "{good}");
        }
        for bad in ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "..%2fx", "a..b", ".env"] {
            assert!(!is_file_name(bad), "{bad}");
        }
    }

    #[test]
    fn urls_carry_no_credentials() {
        assert!(url("https://api.example.com/v3").is_ok());
        assert!(url("ws://127.0.0.1:9000").is_ok());
        for bad in [
            "",
            "ftp://x",
            "https://",
            "https://user:pass@x/",
            "https://x y",
            "x",
            "https://x/?token=1",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
