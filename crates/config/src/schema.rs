//! The table as a JSON Schema, for editors.

use crate::table::{
    Field, Kind, LOG_LEVELS, NOTIFICATION_EVENTS, NOTIFICATION_MODES, Need, SECTIONS, Section,
    Shape,
};
use keel_core::time::TIMEFRAMES;
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of the configuration, with descriptions and defaults. What it
/// refuses, `load` refuses too; rules between values are left to `load`.
#[must_use]
pub fn schema() -> Value {
    let properties: Map<String, Value> =
        SECTIONS.iter().map(|section| (section.key.to_owned(), of_section(section))).collect();
    let required: Vec<&str> =
        SECTIONS.iter().filter(|section| section.is_required).map(|section| section.key).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Keel portfolio configuration",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of_section(section: &Section) -> Value {
    let object = object(section);
    let mut schema = match section.shape {
        Shape::Object => object,
        Shape::Map(_) => json!({ "type": "object", "additionalProperties": object }),
        Shape::List => json!({ "type": "array", "items": object, "minItems": 2 }),
    };
    if let Value::Object(map) = &mut schema {
        map.insert("description".to_owned(), json!(section.doc));
        if section.key == "exchange_configurations" {
            let pattern = json!({ "pattern": "^[a-z0-9_-]{1,32}$" });
            map.insert("propertyNames".to_owned(), pattern);
        }
    }
    schema
}

fn object(section: &Section) -> Value {
    let mut properties = Map::new();
    for field in section.fields {
        properties.insert(field.key.to_owned(), of_field(field));
        if let Some(alias) = field.alias {
            properties.insert(alias.to_owned(), of_field(field));
        }
    }
    let with = |need: Need| -> Vec<&str> {
        section.fields.iter().filter(|field| field.need == need).map(|field| field.key).collect()
    };
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "required": with(Need::Required),
        "additionalProperties": false,
    });
    let tradable = with(Need::Tradable);
    if let (Value::Object(map), false) = (&mut object, tradable.is_empty()) {
        map.insert("if".to_owned(), json!({ "properties": { "level": { "const": 0 } } }));
        map.insert("else".to_owned(), json!({ "required": tradable }));
    }
    object
}

fn of_field(field: &Field) -> Value {
    let mut schema = of_kind(&field.kind);
    if field.is_nullable {
        schema = json!({ "anyOf": [schema, { "type": "null" }] });
    }
    if let Value::Object(map) = &mut schema {
        map.insert("description".to_owned(), json!(field.doc));
        if let Some(default) = field.default.and_then(|text| serde_json::from_str(text).ok()) {
            map.insert("default".to_owned(), default);
        }
    }
    schema
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Decimal(bounds) => {
            let at = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
            let min = if bounds.is_above_min { "exclusiveMinimum" } else { "minimum" };
            json!({ "type": "number", min: at(bounds.min), "maximum": at(bounds.max) })
        }
        Kind::Interval => {
            let seconds = TIMEFRAMES.iter().map(|(seconds, _)| *seconds);
            json!({ "enum": std::iter::once(0).chain(seconds).collect::<Vec<u32>>() })
        }
        Kind::Choice(names) => json!({ "enum": names() }),
        Kind::LogLevel => level(),
        Kind::Ticker => json!({ "type": "string", "pattern": "^[A-Za-z0-9]{1,32}$" }),
        Kind::Venue => json!({ "type": "string", "pattern": "^(N/A|[a-z0-9_-]{1,32})$" }),
        Kind::CoinGeckoId => json!({ "type": "string", "pattern": "^[a-z0-9._-]{1,128}$" }),
        Kind::Text | Kind::Secret => json!({ "type": "string" }),
        Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::FileName => {
            json!({ "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$" })
        }
        Kind::ChatId => json!({ "type": ["string", "integer"] }),
        Kind::Url => json!({ "type": "string", "pattern": "^https?://" }),
        Kind::UserIds => {
            json!({ "type": "array", "items": { "type": "integer", "minimum": 1 } })
        }
        Kind::Notifications => notifications(),
        Kind::Options => json!({ "type": "object" }),
        Kind::Urls => json!({
            "type": "object",
            "additionalProperties": { "type": "string", "pattern": "^(https?|wss?)://" },
        }),
        Kind::LogLevels => json!({ "type": "object", "additionalProperties": level() }),
        Kind::Balances => json!({
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": { "type": "number", "minimum": 0 },
            },
        }),
    }
}

fn notifications() -> Value {
    let modes = json!({ "enum": NOTIFICATION_MODES });
    let properties: Map<String, Value> =
        NOTIFICATION_EVENTS.iter().map(|name| ((*name).to_owned(), modes.clone())).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn level() -> Value {
    let names = LOG_LEVELS.iter().map(|(name, _)| *name);
    let both: Vec<String> =
        names.clone().map(str::to_owned).chain(names.map(str::to_lowercase)).collect();
    json!({ "enum": both })
}
