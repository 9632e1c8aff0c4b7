//! Files as text with positions: read within limits, then parsed with the place of each value.

use crate::problem::{ConfigErrors, Fault, Problem, ProblemKind};
use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// Largest configuration or strategy file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Deepest nesting of objects and arrays; the outermost object counts as one.
pub const DEPTH_MAX: usize = 16;

/// A file's text and who else can read it.
pub(crate) struct FileText {
    pub(crate) text: Zeroizing<String>,
    /// No group or other permission bit is set.
    pub(crate) is_owner_only: bool,
}

/// Reads a text file of at most [`FILE_BYTES_MAX`] bytes. `Ok(None)` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<FileText>, ConfigErrors> {
    let file_name = path.display().to_string();
    let failed = |error: &std::io::Error| {
        let seen = format!("cannot be read: {error}");
        Fault::new(ProblemKind::File, seen, "a readable file").of_file(file_name.as_str())
    };
    // Asked before opening: opening a named pipe would wait for a writer.
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error).into()),
    };
    if !metadata.is_file() {
        let seen = if metadata.is_dir() { "is a directory" } else { "is not a regular file" };
        let fault = Fault::new(ProblemKind::File, seen, "a regular file with JSON");
        return Err(fault.of_file(file_name).into());
    }
    let file = File::open(path).map_err(|error| failed(&error))?;
    // Of the open file, so that the permissions belong to the text that is read.
    let is_owner_only = is_owner_only(&file.metadata().map_err(|error| failed(&error))?);
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    let text = decode(&file_name, &bytes)?;
    Ok(Some(FileText { text, is_owner_only }))
}

/// Bytes as text: UTF-8 with or without a byte order mark, no NUL, not empty, not too large.
pub(crate) fn decode(file: &str, bytes: &[u8]) -> Result<Zeroizing<String>, ConfigErrors> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        let seen = format!("is larger than {FILE_BYTES_MAX} bytes");
        let expected = format!("at most {FILE_BYTES_MAX} bytes");
        return Err(Fault::new(ProblemKind::File, seen, expected).of_file(file).into());
    }
    let at = |fault: Fault, place| -> ConfigErrors {
        fault.at(file.to_owned(), String::new(), Some(place)).into()
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (valid, _) = bytes.split_at(error.valid_up_to());
            let valid = Zeroizing::new(String::from_utf8_lossy(valid).into_owned());
            let place = Source::new(file, &valid).place(valid.len());
            let fault = Fault::new(ProblemKind::Syntax, "a byte that is not UTF-8", "UTF-8 text");
            return Err(at(fault.action("save the file as UTF-8"), place));
        }
    };
    if let Some(offset) = text.find('\0') {
        let place = Source::new(file, text).place(offset);
        return Err(at(Fault::new(ProblemKind::Syntax, "a NUL character", "text"), place));
    }
    if text.trim().is_empty() {
        return Err(at(Fault::new(ProblemKind::Syntax, "an empty file", "a JSON object"), (1, 1)));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(unix)]
pub(crate) fn is_owner_only(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 == 0
}

/// Where permissions cannot be asked for, a file counts as readable by others.
#[cfg(not(unix))]
pub(crate) fn is_owner_only(_metadata: &fs::Metadata) -> bool {
    false
}

/// The text of one file, and where its lines begin.
pub(crate) struct Source<'a> {
    file: String,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &str, text: &'a str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(offset, _)| offset + 1))
            .collect();
        Self { file: file.to_owned(), text, line_starts }
    }

    /// Line and column of a byte offset, both from 1, columns in characters.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// The object that the text holds, with positions.
    pub(crate) fn parse(&self) -> Result<Object<'a>, ConfigErrors> {
        let options = ParseOptions {
            allow_comments: true,
            allow_loose_object_property_names: false,
            allow_trailing_commas: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed =
            parse_to_ast(self.text, &CollectOptions::default(), &options).map_err(|error| {
                // Only the kind is shown: it never quotes the text, which may be a credential.
                let seen = format!("not JSON: {}", lower_first(&error.kind().to_string()));
                self.syntax(error.range().start, seen, "JSON, with or without comments")
            })?;
        let root = match parsed.value {
            Some(Value::Object(root)) => root,
            Some(other) => {
                return Err(self.syntax(
                    other.start(),
                    format!("{} at the top", type_name(&other)),
                    "an object: { ... }",
                ));
            }
            None => return Err(self.syntax(0, "only comments".to_owned(), "an object: { ... }")),
        };
        if let Some(offset) = root.properties.iter().find_map(|prop| too_deep(&prop.value, 2)) {
            let seen = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(self.syntax(offset, seen, "a flatter document"));
        }
        Ok(root)
    }

    fn syntax(&self, offset: usize, seen: String, expected: &str) -> ConfigErrors {
        let problem = Fault::new(ProblemKind::Syntax, seen, expected).at(
            self.file.clone(),
            String::new(),
            Some(self.place(offset)),
        );
        problem.into()
    }
}

/// Collects the problems of one file.
pub(crate) struct Report<'a> {
    source: &'a Source<'a>,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(crate) const fn new(source: &'a Source<'a>) -> Self {
        Self { source, problems: Vec::new() }
    }

    pub(crate) fn add(&mut self, offset: usize, path: impl Into<String>, fault: Fault) {
        let place = Some(self.source.place(offset));
        self.problems.push(fault.at(self.source.file.clone(), path.into(), place));
    }

    /// The problems by position.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }
}

/// Where the document is nested too deeply, if it is.
fn too_deep(value: &Value<'_>, depth: usize) -> Option<usize> {
    let deeper = |child: &Value<'_>| too_deep(child, depth + 1);
    match value {
        Value::Object(_) | Value::Array(_) if depth > DEPTH_MAX => Some(value.start()),
        Value::Object(object) => object.properties.iter().find_map(|prop| deeper(&prop.value)),
        Value::Array(array) => array.elements.iter().find_map(deeper),
        _ => None,
    }
}

/// The JSON type with its article, for messages.
pub(crate) const fn type_name(value: &Value<'_>) -> &'static str {
    match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "a boolean",
        Value::Object(_) => "an object",
        Value::Array(_) => "an array",
        Value::NullKeyword(_) => "null",
    }
}

/// A value for a message: scalars as they were typed, cut when long.
pub(crate) fn describe(value: &Value<'_>) -> String {
    match value {
        Value::StringLit(text) => quote(&text.value),
        Value::NumberLit(number) => shorten(number.value),
        Value::BooleanLit(boolean) => boolean.value.to_string(),
        other => type_name(other).to_owned(),
    }
}

/// Text in quotes with its control characters escaped, cut when long.
pub(crate) fn quote(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX).chain("...".chars()).collect()
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let parsed = decode("x.json", bytes)
            .and_then(|text| Source::new("x.json", &text).parse().map(|_| ()));
        parsed.map_or_else(|problem| problem.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn broken_files_are_refused_with_their_place() {
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(600), "]".repeat(600));
        let deep_enough = format!("{{\"a\": {}{}}}", "[".repeat(15), "]".repeat(15));
        assert_eq!(shown(deep_enough.as_bytes()), "ok");
        assert!(shown(deep.as_bytes()).contains("nest"), "{}", shown(deep.as_bytes()));
        for (bytes, expected) in [
            (&b""[..], "x.json:1:1: an empty file; expected a JSON object"),
            (b"\xef\xbb\xbf{}", "ok"),
            (b"// only\n{ /* this */ }", "ok"),
            (b"// only", "x.json:1:1: only comments; expected an object: { ... }"),
            (b"[]", "x.json:1:1: an array at the top; expected an object: { ... }"),
            (
                b"{\n \"\xc3\xa9\": \xff}",
                "x.json:2:7: a byte that is not UTF-8; expected UTF-8 text; save the file as UTF-8",
            ),
            (b"{\"a\": \"\0\"}", "x.json:1:8: a NUL character; expected text"),
        ] {
            assert_eq!(shown(bytes), expected);
        }
        for bad in ["{\"a\": 1,}", "{\"a\" 1}", "{\"a\": 0x1}", "{\"a\": +1}", "{} {}", "{'a': 1}"]
        {
            assert!(shown(bad.as_bytes()).contains("x.json:1:"), "{}", shown(bad.as_bytes()));
        }
        let large = vec![b' '; 1024 * 1024 + 1];
        assert!(shown(&large).contains("larger than 1048576 bytes"));
    }

    #[test]
    fn columns_count_characters() {
        let source = Source::new("x", "ab\n\u{e9}\u{e9}x");
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(3), (2, 1));
        assert_eq!(source.place(7), (2, 3));
    }
}
