//! How a command ends: exit codes and messages.

use crate::journal::JournalError;
use keel_config::{ConfigErrors, Problem};
use keel_core::ports::StoreError;

/// Exit codes, as documented in `docs/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// A failure without a code of its own.
    Failed = 1,
    /// The command line, the configuration, a strategy file or another input is wrong.
    BadInput = 2,
    /// Candles or caps are missing or damaged.
    BadData = 3,
    /// The journal or the status file cannot be used.
    BadState = 4,
    /// The journal is used by another keel.
    InUse = 5,
    /// Something could not be written: permission, space.
    CannotWrite = 6,
    /// `keel check` or `keel data verify` found problems.
    ProblemsFound = 7,
    /// Stopped by Ctrl-C; what was done is kept.
    Interrupted = 130,
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub code: Code,
    /// What was seen, what was expected and what to type.
    pub message: String,
    /// Where the message is about files of the configuration: each problem by itself.
    pub problems: Vec<Problem>,
}

impl Failure {
    /// A failure with its message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), problems: Vec::new() }
    }

    /// A failure from an error and its sources, joined by `: `.
    pub fn from_error(code: Code, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Some libraries repeat their source in their own message.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self::new(code, message)
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        let problems = errors.problems().to_vec();
        Self { problems, ..Self::new(Code::BadInput, errors.to_string()) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let seen = Self::from_error(Code::CannotWrite, &error).message;
        let todo = "nothing more is sent: see to it that its disk has room and can be written, then start again to continue";
        Self::new(Code::CannotWrite, format!("{seen}; {todo}"))
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let code = match &error {
            JournalError::InUse(_) => Code::InUse,
            JournalError::Io { .. } | JournalError::Sqlite { .. } => Code::CannotWrite,
            JournalError::Absent(_) => Code::BadInput,
            _ => Code::BadState,
        };
        Self::new(code, error.to_string())
    }
}
