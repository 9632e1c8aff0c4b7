//! The table against everything that is made from it.

use crate::files::shipped;
use crate::support::Desk;
use keel_config::{Need, SECTIONS, effective, reference, schema, starter};
use serde_json::{Value, json};

#[test]
fn the_reference_page_has_every_row_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    for line in reference().lines() {
        assert!(page.contains(line), "docs/configuration.md lacks the line\n{line}");
    }
}

#[test]
fn every_key_is_in_the_starter_the_schema_and_the_effective_configuration() {
    let (starter, schema) = (starter(), schema());
    let shown = effective(&Desk::new().load(&starter).unwrap());
    for section in SECTIONS {
        for field in section.fields {
            let path = section.path(field);
            assert!(starter.contains(&format!("\"{}\":", field.key)), "{path}");
            assert!(starter.contains(field.doc), "{path}");
            let of_section = &schema["properties"][section.key];
            let object = match of_section.get("items").or(of_section.get("additionalProperties")) {
                Some(Value::Object(inner)) => Value::Object(inner.clone()),
                _ => of_section.clone(),
            };
            let property = &object["properties"][field.key];
            assert_eq!(property["description"], field.doc, "{path}");
            if let Some(default) = field.default {
                let default: Value = serde_json::from_str(default).unwrap();
                assert_eq!(property["default"], default, "{path}");
            }
            let shown = match &shown[section.key] {
                Value::Array(items) => &items[0],
                Value::Object(map) if map.contains_key(field.key) => &shown[section.key],
                Value::Object(map) => map.values().next().unwrap(),
                _ => panic!("{path} is not shown"),
            };
            assert!(shown.get(field.key).is_some(), "{path}");
        }
    }
}

#[test]
fn each_key_is_either_needed_or_has_a_documented_meaning_when_absent() {
    for section in SECTIONS {
        for field in section.fields {
            let is_said =
                field.need != Need::Optional || field.default.is_some() || field.is_nullable;
            assert!(is_said, "{}", section.path(field));
            assert!(!field.doc.is_empty() && !field.doc.ends_with('.'), "{}", section.path(field));
        }
    }
}

#[test]
fn the_schema_accepts_the_shipped_files_and_refuses_mistakes() {
    let schema = schema();
    for path in shipped() {
        let value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(faults(&schema, &value, ""), Vec::<String>::new(), "{}", path.display());
        for (pointer, bad) in [
            ("/bot_settings/dry_run", json!("no")),
            ("/bot_settings/max_alt_coin_ratio", json!(2)),
            ("/bot_settings/min_order_value_usd", json!(-1)),
            ("/portfolio_assets/0/position_interval", json!(61)),
            ("/portfolio_assets/0/strategy_name", json!("keltner")),
            ("/portfolio_assets/0", json!({ "ticker": "BTC", "level": 1 })),
            ("/paths", json!({ "typo": 1 })),
        ] {
            let mut wrong = value.clone();
            *wrong.pointer_mut(pointer).unwrap() = bad;
            assert!(!faults(&schema, &wrong, "").is_empty(), "{pointer}");
        }
    }
}

/// The part of JSON Schema that the schema uses, except patterns.
fn faults(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fault = |what: &str| found.push(format!("{path}: {what}"));
    let is_type = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("unknown type {other}"),
    };
    match &schema["type"] {
        Value::String(name) if !is_type(name) => fault("type"),
        Value::Array(names) if !names.iter().any(|name| is_type(name.as_str().unwrap())) => {
            fault("type");
        }
        _ => {}
    }
    if let Value::Array(allowed) = &schema["enum"]
        && !allowed.contains(value)
    {
        fault("enum");
    }
    for (bound, is_out) in [
        ("minimum", (|value, bound| value < bound) as fn(f64, f64) -> bool),
        ("exclusiveMinimum", |value, bound| value <= bound),
        ("maximum", |value, bound| value > bound),
    ] {
        if let (Some(bound_value), Some(number)) = (schema[bound].as_f64(), value.as_f64())
            && is_out(number, bound_value)
        {
            fault(bound);
        }
    }
    if let Value::Array(options) = &schema["anyOf"]
        && options.iter().all(|option| !faults(option, value, path).is_empty())
    {
        fault("anyOf");
    }
    if let Some(object) = value.as_object() {
        for key in schema["required"].as_array().into_iter().flatten() {
            if !object.contains_key(key.as_str().unwrap()) {
                fault(&format!("lacks {key}"));
            }
        }
        for (key, inner) in object {
            let path = format!("{path}/{key}");
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(schema), _) => found.extend(faults(schema, inner, &path)),
                (None, Value::Bool(false)) => found.push(format!("{path}: unknown")),
                (None, Value::Object(_)) => {
                    found.extend(faults(&schema["additionalProperties"], inner, &path));
                }
                (None, _) => {}
            }
        }
        if schema.get("if").is_some() && object.get("level") != Some(&json!(0)) {
            found.extend(faults(&schema["else"], value, path));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema.get("items").is_some() {
            found.extend(faults(&schema["items"], item, &format!("{path}[{index}]")));
        }
    }
    found
}
