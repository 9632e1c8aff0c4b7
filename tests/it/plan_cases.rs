//! The worked examples of sections 5 and 6 of the specification.

use crate::shared::shared;
use serde_json::Value;

fn close(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return a == b };
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

#[track_caller]
fn same(case: &Value, what: &str, ours: &Value, expected: &Value, keys: &[&str]) {
    let (ours, expected) = (ours.as_array().unwrap(), expected.as_array().unwrap());
    assert_eq!(
        ours.len(),
        expected.len(),
        "case {}: number of {what}: {ours:#?} {expected:#?}",
        case["id"]
    );
    for (i, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        for key in keys {
            assert!(
                close(&ours[key], &expected[key]),
                "case {}: {what}[{i}].{key}: ours {} expected {}",
                case["id"],
                ours[key],
                expected[key]
            );
        }
    }
}

#[test]
fn every_worked_plan_is_reproduced() {
    let Some(path) = shared("cases/plan.json") else { return };
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let plans = keel_core::snapshot::answer(cases.clone()).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 60);
    for (case, plan) in cases.iter().zip(plans.as_array().unwrap()) {
        let expected = &case["expect"];
        assert!(close(&plan["total_value"], &expected["total_value"]), "case {}", case["id"]);
        same(
            case,
            "targets",
            &plan["targets"],
            &expected["targets"],
            &["ticker", "dominance", "ratio", "target_value", "change"],
        );
        same(
            case,
            "orders",
            &plan["orders"],
            &expected["orders"],
            &["kind", "exchange", "symbol", "side", "amount", "value"],
        );
    }
}
