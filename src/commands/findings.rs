//! Findings: what `keel check` and `keel doctor` report.

use crate::commands::data::count;
use crate::exit::{Code, Failure};
use crate::output;
use keel_config::Problem;
use serde::Serialize;
use serde_json::json;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Must be mended.
    Problem,
}

/// One line of the report.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at: `configuration`, `candles`.
    pub(super) area: &'static str,
    pub(super) severity: Severity,
    /// The asset, venue or file it is about; empty when it is about the whole area.
    pub(super) subject: String,
    pub(super) text: String,
    /// Where in a file of the configuration it is, and what to write there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Problem>,
}

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) area: &'static str,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) const fn begin(&mut self, area: &'static str) {
        self.area = area;
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        subject: impl ToString,
        text: impl Into<String>,
    ) {
        let (area, subject) = (self.area, subject.to_string());
        self.findings.push(Finding { area, severity, subject, text: text.into(), problem: None });
    }

    pub(super) fn ok(&mut self, subject: impl ToString, text: impl Into<String>) {
        self.add(Severity::Ok, subject, text);
    }

    pub(super) fn note(&mut self, subject: impl ToString, text: impl Into<String>) {
        self.add(Severity::Note, subject, text);
    }

    pub(super) fn problem(&mut self, subject: impl ToString, text: impl Into<String>) {
        self.add(Severity::Problem, subject, text);
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Prints the report. With problems it is a failure that has nothing more to say.
pub(super) fn conclude(report: &Report, json: bool) -> Result<(), Failure> {
    let is_fine = report.count(Severity::Problem) == 0;
    if json {
        print_json(report, if is_fine { "fine" } else { "problems" });
    } else {
        print(report);
    }
    if is_fine { Ok(()) } else { Err(Failure::new(Code::ProblemsFound, "")) }
}

/// Prints the report for people.
fn print(report: &Report) {
    let mut area = "";
    for (finding, subjects) in joined(&report.findings) {
        if finding.area != area {
            output::line(format!("{}{}", if area.is_empty() { "" } else { "\n" }, finding.area));
            area = finding.area;
        }
        let mark = match finding.severity {
            Severity::Ok => "ok     ",
            Severity::Note => "note   ",
            Severity::Problem => "PROBLEM",
        };
        // Errors of files begin with the name of the file themselves.
        let is_said = finding.subject.is_empty() || finding.text.starts_with(&finding.subject);
        let text = if is_said {
            finding.text.clone()
        } else {
            format!("{}: {}", subjects.join(", "), finding.text)
        };
        output::line(format!("  {mark}  {text}"));
    }
    let notes = count(report.count(Severity::Note), "note", "notes");
    output::line(match report.count(Severity::Problem) {
        0 => format!("\nFine: no problems, {notes}."),
        problems => format!(
            "\n{} to mend, {notes}. Nothing was changed.",
            count(problems, "problem", "problems")
        ),
    });
}

/// What is the same of several assets, said once with all of them, where it was said first.
fn joined(findings: &[Finding]) -> Vec<(&Finding, Vec<&str>)> {
    let mut lines: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for finding in findings {
        let said = lines.iter_mut().find(|(first, _)| {
            (first.area, first.severity, &first.text)
                == (finding.area, finding.severity, &finding.text)
        });
        match said {
            Some((_, subjects)) => subjects.push(&finding.subject),
            None => lines.push((finding, vec![&finding.subject])),
        }
    }
    lines
}

/// Prints the report for programs.
pub(super) fn print_json(report: &Report, verdict: &str) {
    output::json(&json!({
        "verdict": verdict,
        "problems": report.count(Severity::Problem),
        "notes": report.count(Severity::Note),
        "findings": report.findings,
    }));
}
