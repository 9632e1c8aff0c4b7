//! The indicators against pandas, over made-up candles (see `tests/golden/make.py`).

use keel_core::indicator::{
    KeltnerParams, average_true_range, keltner_channel, true_range, typical_price,
};
use serde_json::Value;

fn numbers(values: &Value) -> Vec<f64> {
    let values = values.as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn flags(values: &Value) -> Vec<bool> {
    values.as_array().unwrap().iter().map(|value| value.as_bool().unwrap()).collect()
}

fn assert_equal(name: &str, ours: &[f64], theirs: &Value) {
    let theirs = numbers(theirs);
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (row, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        let equal = (our.is_nan() && their.is_nan()) || (our - their).abs() <= 1e-9 * their.abs();
        assert!(equal, "{name}, row {row}: {our}, pandas says {their}");
    }
}

#[test]
fn indicators_equal_pandas() {
    let golden: Value = serde_json::from_str(include_str!("../golden/keltner.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let params = KeltnerParams {
            window: u32::try_from(case["params"]["window"].as_u64().unwrap()).unwrap(),
            atr: u32::try_from(case["params"]["atr"].as_u64().unwrap()).unwrap(),
            mult: case["params"]["mult"].as_f64().unwrap(),
        };
        let candle = |name: &str| numbers(&case["candles"][name]);
        let (open, high, low, close) =
            (candle("open"), candle("high"), candle("low"), candle("close"));
        let channel = keltner_channel(&open, &high, &low, &close, params);
        let columns = [
            ("typical", typical_price(&open, &high, &low, &close)),
            ("true_range", true_range(&high, &low, &close)),
            ("atr", average_true_range(&high, &low, &close, params.atr)),
            ("width", channel.width_percent()),
            ("middle", channel.middle.clone()),
            ("upper", channel.upper.clone()),
            ("lower", channel.lower.clone()),
        ];
        for (name, column) in &columns {
            assert_equal(name, column, &case["columns"][name]);
        }
        // The difference of two nearly equal bands loses digits, so %B is compared where the
        // bands are apart; where pandas has none, we have none.
        let percent_b = channel.percent_b(&close);
        for (row, (our, their)) in
            percent_b.iter().zip(numbers(&case["columns"]["percent_b"])).enumerate()
        {
            assert_eq!(our.is_nan(), their.is_nan(), "row {row}");
            assert!(our.is_nan() || (our - their).abs() <= 1e-9 * their.abs().max(1.0), "{row}");
        }
        let crosses = [
            ("close_upper", channel.close_crossed_upper(&close)),
            ("high_upper", channel.high_crossed_upper(&high)),
            ("close_lower", channel.close_crossed_lower(&close)),
            ("low_lower", channel.low_crossed_lower(&low)),
        ];
        for (name, ours) in crosses {
            assert_eq!(ours, flags(&case["crosses"][name]), "{name}");
            assert!(ours.contains(&true), "{name} never happens, so nothing was compared");
        }
    }
}
