//! The document against the table: every key known, every value of its kind, nothing missing.

use crate::document::{Report, Source, describe, quote, type_name};
use crate::problem::{Fault, ProblemKind, nearest};
use crate::table::{Field, Need, SECTIONS, Section, Shape};
use crate::value::{Typed, child, report_duplicates};
use crate::{secret, value};
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use keel_core::asset::VenueId;
use std::collections::BTreeMap;

/// A checked document: what was typed, by section.
pub(crate) struct Checked {
    sections: BTreeMap<&'static str, Vec<Record>>,
    /// Sections that could not be read as what they should be.
    broken: Vec<&'static str>,
}

/// One object with fields.
pub(crate) struct Record {
    /// Its name in a map; empty otherwise.
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) offset: usize,
    section: &'static Section,
    slots: BTreeMap<&'static str, Slot>,
}

enum Slot {
    Value(Typed, usize),
    Null,
    Wrong,
}

/// Checks every key of the document.
pub(crate) fn check(root: &Object<'_>, report: &mut Report<'_>) -> Checked {
    report_duplicates(root, "", report);
    let mut checked = Checked { sections: BTreeMap::new(), broken: Vec::new() };
    for prop in &root.properties {
        let key = prop.name.as_str();
        let Some(section) = SECTIONS.iter().find(|section| section.key == key) else {
            let keys = SECTIONS.iter().map(|section| section.key);
            report.add(prop.range.start, child("", key), unknown_key(key, keys, "top level"));
            continue;
        };
        if checked.sections.contains_key(section.key) {
            continue;
        }
        match records(section, &prop.value, report) {
            Some(records) => {
                checked.sections.insert(section.key, records);
            }
            None => checked.broken.push(section.key),
        }
    }
    for section in SECTIONS {
        if checked.sections.contains_key(section.key) || checked.broken.contains(&section.key) {
            continue;
        }
        if section.is_required {
            let expected = match section.shape {
                Shape::List => "an array of objects",
                Shape::Object | Shape::Map(_) => "an object",
            };
            let fault = Fault::new(ProblemKind::MissingKey, "missing section", expected)
                .action(format!("add \"{}\": {}", section.key, lower_doc(section.doc)));
            report.add(root.range.start, section.key, fault);
            checked.broken.push(section.key);
        } else if section.shape == Shape::Object {
            let absent = Record {
                name: String::new(),
                path: section.key.to_owned(),
                offset: root.range.start,
                section,
                slots: BTreeMap::new(),
            };
            checked.sections.insert(section.key, vec![absent]);
        }
    }
    checked
}

impl Checked {
    /// The objects of a section, in the order of the file.
    pub(crate) fn records(&self, section: &str) -> &[Record] {
        self.sections.get(section).map_or(&[], Vec::as_slice)
    }

    /// The one object of a section with [`Shape::Object`].
    pub(crate) fn record(&self, section: &str) -> Option<&Record> {
        self.records(section).first()
    }

    pub(crate) fn is_broken(&self, section: &str) -> bool {
        self.broken.contains(&section)
    }
}

impl Record {
    /// What was typed, or the default of the table; `None` when there is neither.
    pub(crate) fn value(&self, key: &str) -> Option<Typed> {
        match self.slots.get(key) {
            Some(Slot::Value(typed, _)) => Some(typed.clone()),
            Some(Slot::Wrong) => None,
            Some(Slot::Null) | None => {
                self.section.field(key).and_then(|field| default_of(self.section, field))
            }
        }
    }

    /// Whether the value was refused already, so that rules have nothing to add.
    pub(crate) fn is_wrong(&self, key: &str) -> bool {
        matches!(self.slots.get(key), Some(Slot::Wrong))
    }

    /// Where the value is, or the object when there is none.
    pub(crate) fn offset_of(&self, key: &str) -> usize {
        match self.slots.get(key) {
            Some(Slot::Value(_, offset)) => *offset,
            _ => self.offset,
        }
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        child(&self.path, key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        match self.value(key) {
            Some(Typed::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some(Typed::Whole(whole)) => Some(whole),
            _ => None,
        }
    }

    pub(crate) fn boolean(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            Some(Typed::Bool(boolean)) => Some(boolean),
            _ => None,
        }
    }

    pub(crate) fn secret(&self, key: &str) -> Option<secret::SecretRef> {
        match self.value(key) {
            Some(Typed::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// The fields with the values that apply.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static Field, Option<Typed>)> {
        self.section.fields.iter().map(|field| (field, self.value(field.key)))
    }
}

/// The default of a field, read like a typed value.
pub(crate) fn default_of(section: &Section, field: &Field) -> Option<Typed> {
    let text = format!("{{\"{}\": {}}}", field.key, field.default?);
    let source = Source::new("default", &text);
    let root = source.parse().ok()?;
    let value = &root.properties.first()?.value;
    value::check(&field.kind, value, section.is_private, field.key, &mut Report::new(&source))
}

/// `None` when the section has the wrong type, which then has been reported.
fn records(
    section: &'static Section,
    value: &Value<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<Record>> {
    match (section.shape, value) {
        (Shape::Object, Value::Object(object)) => {
            Some(vec![record(section, "", section.key.to_owned(), object, report)])
        }
        (Shape::Map(_), Value::Object(map)) => {
            report_duplicates(map, section.key, report);
            let mut records: Vec<Record> = Vec::new();
            for prop in &map.properties {
                let name = prop.name.as_str();
                let path = child(section.key, name);
                if section.key == "exchange_configurations" && name.parse::<VenueId>().is_err() {
                    let lower = name.to_ascii_lowercase();
                    let fault = Fault::new(
                        ProblemKind::BadValue,
                        quote(name),
                        "the id of an exchange in lowercase letters, digits, `-` and `_`",
                    )
                    .suggest(lower.parse::<VenueId>().is_ok().then_some(lower));
                    report.add(prop.range.start, path, fault);
                } else if let Some(object) = object_at(&prop.value, &path, section, report)
                    && records.iter().all(|record| record.name != name)
                {
                    records.push(record(section, name, path, object, report));
                }
            }
            Some(records)
        }
        (Shape::List, Value::Array(array)) => Some(
            array
                .elements
                .iter()
                .enumerate()
                .filter_map(|(index, element)| {
                    let path = format!("{}[{index}]", section.key);
                    let object = object_at(element, &path, section, report)?;
                    Some(record(section, "", path, object, report))
                })
                .collect(),
        ),
        _ => {
            let expected = match section.shape {
                Shape::Object => "an object: { ... }",
                Shape::Map(_) => "an object of named objects: { \"name\": { ... } }",
                Shape::List => "an array of objects: [ { ... } ]",
            };
            let fault = Fault::new(ProblemKind::WrongType, type_name(value), expected);
            report.add(value.start(), section.key, fault);
            None
        }
    }
}

fn object_at<'v, 'a>(
    value: &'v Value<'a>,
    path: &str,
    section: &Section,
    report: &mut Report<'_>,
) -> Option<&'v Object<'a>> {
    if let Value::Object(object) = value {
        return Some(object);
    }
    let seen = if section.is_private { type_name(value).to_owned() } else { describe(value) };
    report.add(value.start(), path, Fault::new(ProblemKind::WrongType, seen, "an object: { ... }"));
    None
}

fn record(
    section: &'static Section,
    name: &str,
    path: String,
    object: &Object<'_>,
    report: &mut Report<'_>,
) -> Record {
    // Where credentials are, an unknown key may be one; it is reported below, without its name.
    if !section.is_private
        || object.properties.iter().all(|p| section.field(p.name.as_str()).is_some())
    {
        report_duplicates(object, &path, report);
    }
    let mut slots: BTreeMap<&'static str, Slot> = BTreeMap::new();
    for prop in &object.properties {
        let key = prop.name.as_str();
        let Some(field) = section.field(key) else {
            let keys = section
                .fields
                .iter()
                .flat_map(|field| std::iter::once(field.key).chain(field.alias));
            let fault = unknown_key(key, keys, section.key);
            let shown =
                if section.is_private { child(&path, secret::REDACTED) } else { child(&path, key) };
            report.add(prop.range.start, shown, fault);
            continue;
        };
        let field_path = child(&path, key);
        if slots.contains_key(field.key) {
            let is_alias = object.properties.iter().any(|p| {
                p.name.as_str() != key
                    && section.field(p.name.as_str()).is_some_and(|f| f.key == field.key)
            });
            if is_alias {
                let alias = field.alias.unwrap_or(field.key);
                let fault = Fault::new(
                    ProblemKind::DuplicateKey,
                    format!("{} and {alias} mean the same", field.key),
                    "one of them",
                )
                .action("remove one of the two");
                report.add(prop.range.start, field_path, fault);
            }
            continue;
        }
        let slot = match &prop.value {
            Value::NullKeyword(_) if field.is_nullable => Slot::Null,
            value => {
                match value::check(&field.kind, value, section.is_private, &field_path, report) {
                    Some(typed) => Slot::Value(typed, value.start()),
                    None => Slot::Wrong,
                }
            }
        };
        slots.insert(field.key, slot);
    }
    let record = Record { name: name.to_owned(), path, offset: object.range.start, section, slots };
    for field in section.fields.iter().filter(|field| field.need == Need::Required) {
        if !record.slots.contains_key(field.key) {
            report.add(record.offset, record.path_of(field.key), missing_key(field));
        }
    }
    record
}

/// The fault of a required key that is absent.
pub(crate) fn missing_key(field: &Field) -> Fault {
    Fault::new(ProblemKind::MissingKey, "missing key", field.kind.expected())
}

fn unknown_key<'k>(key: &str, keys: impl Iterator<Item = &'k str> + Clone, place: &str) -> Fault {
    let expected = format!("one of {}", keys.clone().collect::<Vec<_>>().join(", "));
    let fault = Fault::new(ProblemKind::UnknownKey, "unknown key", expected);
    if let Some(near) = nearest(key, keys) {
        return fault.suggest(Some(near));
    }
    // A key that another section has was put in the wrong place.
    let elsewhere = SECTIONS
        .iter()
        .filter(|section| section.key != place)
        .find_map(|section| section.field(key).map(|field| section.path(field)));
    fault.suggest(elsewhere)
}

/// A sentence of the table as part of a message.
fn lower_doc(doc: &str) -> String {
    let mut letters = doc.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
