//! `.env` files: names and values for the environment, beside the working directory.

use crate::document::{Report, Source};
use crate::problem::{ConfigErrors, Fault, ProblemKind};
use std::collections::BTreeMap;

/// Reads the text of a `.env` file.
///
/// A line is blank, a `# comment`, or `NAME=value`, with `export ` allowed in front. A value in
/// single quotes is taken as it is; in double quotes, `\n`, `\t`, `\"`, `\\` and `\$` are escapes;
/// without quotes it ends at ` #`. Nothing is expanded.
///
/// # Errors
/// Every line that is none of these, and names that occur twice; never with the value.
pub fn parse_dotenv(text: &str) -> Result<BTreeMap<String, String>, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(".env", text);
    let mut report = Report::new(&source);
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut offset = 0;
    for line in text.split('\n') {
        match read_line(line) {
            Ok(None) => {}
            Ok(Some((name, value))) => {
                if values.insert(name.to_owned(), value).is_some() {
                    let fault =
                        Fault::new(ProblemKind::DuplicateKey, "duplicate name", "each name once")
                            .action("remove one of the two");
                    report.add(offset, name, fault);
                }
            }
            Err(seen) => {
                let fault = Fault::new(ProblemKind::Syntax, seen, "NAME=value or # comment");
                report.add(offset, "", fault);
            }
        }
        offset += line.len() + 1;
    }
    let problems = report.into_problems();
    if problems.is_empty() { Ok(values) } else { Err(ConfigErrors::new(problems)) }
}

fn read_line(line: &str) -> Result<Option<(&str, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line.split_once('=').ok_or("a line without `=`")?;
    let name = name.trim_end();
    let is_name = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        return Err("a name that is not made of letters, digits and `_`");
    }
    Ok(Some((name, read_value(value.trim())?)))
}

fn read_value(value: &str) -> Result<String, &'static str> {
    if value.contains('\0') {
        return Err("a NUL character");
    }
    if let Some(rest) = value.strip_prefix('\'') {
        let (inside, after) = rest.split_once('\'').ok_or("a quote that is not closed")?;
        return after_quote(after).map(|()| inside.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        let end = if value.starts_with('#') { Some(0) } else { value.find(" #") };
        return Ok(value.get(..end.unwrap_or(value.len())).unwrap_or(value).trim_end().to_owned());
    };
    let mut inside = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next() {
            None => return Err("a quote that is not closed"),
            Some('"') => return after_quote(letters.as_str()).map(|()| inside),
            Some('\\') => match letters.next() {
                Some('n') => inside.push('\n'),
                Some('t') => inside.push('\t'),
                Some(same @ ('"' | '\\' | '$')) => inside.push(same),
                _ => return Err("an unknown escape after `\\`"),
            },
            Some(letter) => inside.push(letter),
        }
    }
}

fn after_quote(after: &str) -> Result<(), &'static str> {
    let after = after.trim_start();
    if after.is_empty() || after.starts_with('#') {
        Ok(())
    } else {
        Err("text after the closing quote")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_quoted_comes_back_and_nothing_panics(value in "[^'\\n\\r\\x00]*", junk in any::<String>()) {
            let read = parse_dotenv(&format!("A='{value}'")).unwrap();
            prop_assert_eq!(&read["A"], &value);
            let _ = parse_dotenv(&junk);
        }
    }

    #[test]
    fn the_usual_notations_are_read() {
        let text =
            "# keys\r\nA=1\r\nexport B = 'two # $x'\n\nC=\"a\\nb\\\"\" # why\nD=x y # z\nE=\nF=a#b";
        let values = parse_dotenv(text).unwrap();
        let expected =
            [("A", "1"), ("B", "two # $x"), ("C", "a\nb\""), ("D", "x y"), ("E", ""), ("F", "a#b")];
        assert_eq!(
            values,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        );
    }

    #[test]
    fn every_bad_line_is_told_without_its_value() {
        let errors =
            parse_dotenv("A=canary\nnonsense canary\n1A=canary\nB=\"canary\nA=canary").unwrap_err();
        let lines: Vec<Option<usize>> = errors.problems().iter().map(|p| p.line).collect();
        assert_eq!(lines, [Some(2), Some(3), Some(4), Some(5)]);
        assert!(!format!("{errors} {errors:?}").contains("canary"), "{errors}");
    }
}
