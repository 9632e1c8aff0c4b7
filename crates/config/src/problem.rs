//! What is wrong with a file, where, and what to type instead.

use serde::Serialize;
use std::fmt;

/// The sort of a [`Problem`], for programs that read `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The file could not be read at all.
    File,
    /// The text is not JSON with comments.
    Syntax,
    /// A key that the table of fields does not have.
    UnknownKey,
    /// A key that occurs twice in one object.
    DuplicateKey,
    /// A required key or section is absent.
    MissingKey,
    /// A value of the wrong JSON type.
    WrongType,
    /// A value of the right type that is not allowed.
    BadValue,
    /// Values that are fine alone but not together.
    Conflict,
    /// A credential that cannot be used as it is kept.
    Secret,
}

/// One thing that is wrong. Never holds the content of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as it was named by the caller or by the configuration.
    pub file: String,
    /// JSON path such as `portfolio_assets[2].exchange`; empty for the whole file.
    pub path: String,
    /// Line, from 1; `None` when the file could not be read.
    pub line: Option<usize>,
    /// Column in characters, from 1; `None` when the file could not be read.
    pub column: Option<usize>,
    /// The sort of problem.
    pub kind: ProblemKind,
    /// What was seen.
    pub seen: String,
    /// What was expected.
    pub expected: String,
    /// The nearest valid key or value, if one is near.
    pub suggestion: Option<String>,
    /// What to do or type, if that is more than to correct the value.
    pub action: Option<String>,
}

impl fmt::Display for Problem {
    /// `file:12:18: bot_settings.dry_rum: unknown key; did you mean dry_run?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.seen)?;
        // The nearest key says more than the list of all keys of the section.
        let is_answered = self.kind == ProblemKind::UnknownKey && self.suggestion.is_some();
        if !is_answered {
            write!(f, "; expected {}", self.expected)?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean {suggestion}?")?;
        }
        if let Some(action) = &self.action {
            let joint = if self.suggestion.is_some() { " " } else { "; " };
            write!(f, "{joint}{action}")?;
        }
        Ok(())
    }
}

/// Every problem found in one run: those of the configuration by position, then those of the
/// strategy files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(crate) const fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problems; at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigErrors {
    /// One line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// A problem before it has a place.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    kind: ProblemKind,
    seen: String,
    expected: String,
    suggestion: Option<String>,
    action: Option<String>,
}

impl Fault {
    pub(crate) fn new(
        kind: ProblemKind,
        seen: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { kind, seen: seen.into(), expected: expected.into(), suggestion: None, action: None }
    }

    pub(crate) fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    pub(crate) fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// The problem of a whole file, without a position.
    pub(crate) fn of_file(self, file: impl Into<String>) -> Problem {
        self.at(file.into(), String::new(), None)
    }

    pub(crate) fn at(self, file: String, path: String, place: Option<(usize, usize)>) -> Problem {
        Problem {
            file,
            path,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            kind: self.kind,
            seen: self.seen,
            expected: self.expected,
            suggestion: self.suggestion,
            action: self.action,
        }
    }
}

/// The candidate nearest to `seen`, if it is near enough to have been meant: a few slips away, or
/// else the only one that begins like it.
pub(crate) fn nearest<'a>(
    seen: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let lower = seen.to_lowercase();
    let length = lower.chars().count();
    // One slip for each three letters; more than that is another word.
    let allowed = (length / 3).max(1);
    let by_slips = candidates
        .iter()
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| *candidate);
    let by_start = || {
        let mut longer =
            candidates.iter().filter(|c| length >= 3 && c.to_lowercase().starts_with(&lower));
        longer.next().filter(|_| longer.next().is_none()).copied()
    };
    by_slips.or_else(by_start).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_only_when_it_is_near() {
        let words = ["dry_run", "min_order_value_usd", "1h"];
        assert_eq!(nearest("dry_rum", words).as_deref(), Some("dry_run"));
        assert_eq!(nearest("DRY_RUN", words).as_deref(), Some("dry_run"));
        assert_eq!(nearest("min_order_value", words).as_deref(), Some("min_order_value_usd"));
        assert_eq!(nearest("min_ord", words).as_deref(), Some("min_order_value_usd"));
        assert_eq!(nearest("min", ["min_a_long_name", "min_another_name"]), None);
        assert_eq!(nearest("leverage", words), None);
        assert_eq!(nearest("", []), None);
    }
}
