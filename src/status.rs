//! `status.json` and the portfolio CSV: the state for other programs, in the seed's layout.

use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::Ticker;
use keel_core::policy::Policy;
use keel_core::signal::{Signal, effective};
use keel_core::snapshot::number;
use keel_core::state::{AssetState, Balance, State};
use keel_core::time::Timestamp;
use keel_files::write_atomic;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::io;
use std::path::Path;

/// A state that is not there, or not a status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// It could not be read.
    #[error("{path} could not be read ({source})")]
    Read {
        /// The file.
        path: String,
        /// The system's words.
        source: io::Error,
    },
    /// It is not a status file.
    #[error(
        "{path} is not a status file: {seen}; expected one object per ticker: nothing was changed, move it away or set paths.global_status_file_path"
    )]
    Foreign {
        /// The file.
        path: String,
        /// What was seen.
        seen: String,
    },
}

/// Time of a signal's bucket, in the seed's units.
fn bucket(value: Option<i64>) -> Value {
    json!(value.unwrap_or(0))
}

fn signal(value: Signal) -> Value {
    json!(i8::from(value))
}

fn asset_json(asset: &AssetState) -> Value {
    let seconds =
        |at: Option<Timestamp>| at.map_or(Value::Null, |at| number(Decimal::new(at.ms(), 3)));
    // What counts: both are a sell while either is unknown.
    let newest = effective(asset.position.prev_1, asset.trend.prev_1);
    let before = effective(asset.position.prev_2, asset.trend.prev_2);
    json!({
        "price": asset.price.map_or(Value::Null, |price| number(price.get())),
        "dominance": finite(asset.dominance),
        "last_market_cap": asset.market_cap.map_or(Value::Null, finite),
        "last_market_cap_fetch_time": seconds(asset.market_cap_as_of),
        "position_last_check_bucket": bucket(asset.position.bucket),
        "trend_last_check_bucket": bucket(asset.trend.bucket),
        "position_signal_prev_1": signal(newest.0),
        "position_signal_prev_2": signal(before.0),
        "trend_signal_prev_1": signal(newest.1),
        "trend_signal_prev_2": signal(before.1),
        "free": number(asset.balance.free.get()),
        "used": number(asset.balance.used.get()),
        "value_in_stable": number(asset.value.get()),
        "ratio": number(asset.ratio),
        "target_value": number(asset.target.get()),
        "change": number(asset.change.get()),
        "done": asset.done,
    })
}

/// JSON has no NaN: what is not a number is null.
fn finite(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// The state in the seed's layout, one object per ticker, in the order of the configuration.
#[must_use]
pub fn to_json(policy: &Policy, state: &State) -> Value {
    let mut object = Map::new();
    let locked: Qty = state.stablecoin.values().map(|balance| balance.used).sum();
    let mut parking = state.parking.clone();
    parking.balance = Balance { free: Qty::new(state.stablecoin_free().get()), used: locked };
    parking.value = state.stablecoin_free();
    object.insert(policy.stablecoin.to_string(), asset_json(&parking));
    for asset in &policy.assets {
        let known = state.assets.get(&asset.ticker).cloned().unwrap_or_default();
        object.insert(asset.ticker.to_string(), asset_json(&known));
    }
    Value::Object(object)
}

/// Writes `status.json`, complete or not at all.
///
/// # Errors
/// When it could not be written.
pub fn write(path: &Path, policy: &Policy, state: &State) -> io::Result<()> {
    let text = serde_json::to_string_pretty(&to_json(policy, state))?;
    write_atomic(path, text.as_bytes())
}

/// Writes the portfolio snapshot as CSV: the columns of `status.json` behind ticker, level and venue.
///
/// # Errors
/// When it could not be written.
pub fn write_csv(path: &Path, policy: &Policy, state: &State) -> io::Result<()> {
    let status = to_json(policy, state);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let describe = |ticker: &str| {
        policy.assets.iter().find(|asset| asset.ticker.as_str() == ticker).map_or_else(
            || ("0".to_owned(), String::new()),
            |asset| (asset.level.to_string(), asset.venue.to_string()),
        )
    };
    for (i, (ticker, row)) in status.as_object().into_iter().flatten().enumerate() {
        let Some(row) = row.as_object() else { continue };
        if i == 0 {
            let header = ["ticker", "level", "exchange"].into_iter();
            writer.write_record(header.chain(row.keys().map(String::as_str)))?;
        }
        let (level, venue) = describe(ticker);
        let values = row.values().map(|value| match value {
            Value::Null => String::new(),
            other => other.to_string(),
        });
        writer.write_record([ticker.clone(), level, venue].into_iter().chain(values))?;
    }
    let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    write_atomic(path, &bytes)
}

/// Reads a status file of the seed, `NaN` and `Infinity` included, which become unknown. Tickers
/// that the policy does not know are left out.
///
/// # Errors
/// When the file is not a status file.
pub fn import(path: &Path, policy: &Policy) -> Result<State, StatusError> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| StatusError::Read { path: shown(), source })?;
    let foreign = |seen: String| StatusError::Foreign { path: shown(), seen };
    let value: Value =
        serde_json::from_str(&without_nan(&text)).map_err(|error| foreign(error.to_string()))?;
    let object =
        value.as_object().ok_or_else(|| foreign("the outermost value is not an object".into()))?;
    let mut state = State::default();
    let mut recognised = 0;
    for (ticker, fields) in object {
        let fields = fields
            .as_object()
            .filter(|fields| fields.contains_key("position_signal_prev_1"))
            .ok_or_else(|| foreign(format!("`{ticker}` has no position_signal_prev_1")))?;
        recognised += 1;
        let Some(asset) = ticker.parse::<Ticker>().ok().and_then(|ticker| policy.asset(&ticker))
        else {
            continue;
        };
        let known = asset_from(fields).map_err(|what| foreign(format!("`{ticker}`: {what}")))?;
        state.assets.insert(asset.ticker.clone(), known);
    }
    if recognised == 0 {
        return Err(foreign("it holds no ticker".to_owned()));
    }
    Ok(state)
}

/// The bare words that Python writes and JSON does not know, as null; text inside quotes stays.
fn without_nan(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let (mut in_string, mut escaped) = (false, false);
    while let Some(c) = rest.chars().next() {
        if !in_string
            && let Some(word) =
                ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| rest.starts_with(word))
        {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn asset_from(fields: &Map<String, Value>) -> Result<AssetState, String> {
    let decimal = |key: &str| -> Result<Option<Decimal>, String> {
        match fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                let text = number.to_string();
                let parsed = text.parse().or_else(|_| Decimal::from_scientific(&text));
                parsed.map(Some).map_err(|_| format!("{key} is {text}, expected a number"))
            }
            Some(other) => Err(format!("{key} is {other}, expected a number")),
        }
    };
    let float = |key: &str| fields.get(key).and_then(Value::as_f64).filter(|x| x.is_finite());
    let signal = |key: &str| -> Result<Signal, String> {
        Signal::try_from(float(key).unwrap_or(0.0)).map_err(|error| format!("{key}: {error}"))
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates; seconds of any real date fit")]
    let moment = |key: &str| float(key).map(|s| Timestamp::from_ms((s * 1000.0) as i64));
    let positive =
        |key: &str| Ok::<_, String>(decimal(key)?.filter(|value| *value > Decimal::ZERO));
    let mut asset = AssetState {
        price: positive("price")?.map(Price::new),
        market_cap: float("last_market_cap").filter(|cap| *cap > 0.0),
        market_cap_as_of: moment("last_market_cap_fetch_time"),
        dominance: float("dominance").unwrap_or(0.0),
        value: Money::new(decimal("value_in_stable")?.unwrap_or_default()),
        ratio: decimal("ratio")?.unwrap_or_default(),
        target: Money::new(decimal("target_value")?.unwrap_or_default()),
        change: Money::new(decimal("change")?.unwrap_or_default()),
        balance: Balance {
            free: Qty::new(positive("free")?.unwrap_or_default()),
            used: Qty::new(positive("used")?.unwrap_or_default()),
        },
        done: fields.get("done").and_then(Value::as_bool).unwrap_or(false),
        ..AssetState::default()
    };
    // The buckets are left out: which candle the seed looked at is not known, so both signals are
    // computed again in the first cycle, and until then the imported ones explain the holdings.
    asset.position.prev_1 = signal("position_signal_prev_1")?;
    asset.position.prev_2 = signal("position_signal_prev_2")?;
    asset.trend.prev_1 = signal("trend_signal_prev_1")?;
    asset.trend.prev_2 = signal("trend_signal_prev_2")?;
    Ok(asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_words_become_null_only_outside_of_strings() {
        assert_eq!(
            without_nan(r#"{"a NaN\" NaN": NaN, "b": -Infinity, "c": [Infinity]}"#),
            r#"{"a NaN\" NaN": null, "b": null, "c": [null]}"#
        );
    }

    fn policy() -> Policy {
        use keel_core::policy::{AssetPolicy, Settings};
        use keel_core::time::Timeframe;
        let strategy = keel_core::strategy::find("keltner_channel").unwrap();
        Policy {
            settings: Settings::default(),
            stablecoin: "USDT".parse().unwrap(),
            assets: vec![AssetPolicy {
                ticker: "BTC".parse().unwrap(),
                level: 1,
                venue: "binance".parse().unwrap(),
                coingecko_id: None,
                position_interval: Timeframe::H1,
                trend_interval: Timeframe::H4,
                strategy,
                position_params: strategy.defaults(),
                trend_params: strategy.defaults(),
            }],
            parked: Vec::new(),
        }
    }

    fn imported(text: &str) -> Result<State, StatusError> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("status.json");
        std::fs::write(&path, text).unwrap();
        import(&path, &policy())
    }

    #[test]
    fn a_status_of_the_seed_is_read_and_what_it_does_not_know_stays_unknown() {
        let state = imported(
            r#"{"BTC": {"price": 64000.5, "last_market_cap": NaN, "free": 0.25, "used": 0.0,
                "position_last_check_bucket": 480000, "position_signal_prev_1": 1.0,
                "position_signal_prev_2": -1.0, "trend_signal_prev_1": 0.0, "done": true},
                "GONE": {"position_signal_prev_1": 0.0}}"#,
        )
        .unwrap();
        assert_eq!(state.assets.len(), 1);
        let bitcoin = &state.assets[&"BTC".parse::<Ticker>().unwrap()];
        assert_eq!(bitcoin.price, Some(Price::new(Decimal::new(640_005, 1))));
        assert_eq!(bitcoin.balance.free, Qty::new(Decimal::new(25, 2)));
        assert_eq!(bitcoin.market_cap, None);
        assert_eq!((bitcoin.position.prev_1, bitcoin.position.prev_2), (Signal::Buy, Signal::Sell));
        assert_eq!(bitcoin.position.bucket, None, "the signals are computed again");
        // What we write, we read; of the signals what counts: both a sell while one is unknown.
        let written = to_json(&policy(), &state).to_string();
        let again = imported(&written).unwrap().assets.remove(&"BTC".parse().unwrap()).unwrap();
        assert_eq!((again.price, again.balance), (bitcoin.price, bitcoin.balance));
        assert_eq!((again.position.prev_1, again.trend.prev_1), (Signal::Sell, Signal::Sell));
    }

    #[test]
    fn other_files_are_not_taken_for_a_status() {
        for text in [
            "",
            "[]",
            "{}",
            "{\"BTC\": 1}",
            "{\"BTC\": {}}",
            "{\"BTC\": {\"position_signal_prev_1\": 2}}",
        ] {
            let error = imported(text).unwrap_err().to_string();
            assert!(error.contains("nothing was changed"), "{text}: {error}");
        }
    }
}
