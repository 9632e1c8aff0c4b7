//! What ends a command early, and the exit code that says so.

use std::error::Error;
use std::fmt;

/// Why a command ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something typed, or a file named, is wrong: exit code 2.
    Input(Box<dyn Error + Send + Sync>),
    /// Something else: exit code 1.
    Other(Box<dyn Error + Send + Sync>),
    /// Some assets failed; what and why was said when it happened: exit code 1.
    Partly(String),
    /// Ctrl-C; what was done is kept: exit code 130.
    Interrupted,
}

impl Failure {
    pub(crate) fn input(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Input(error.into())
    }

    pub(crate) fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Other(_) | Self::Partly(_) => 1,
            Self::Interrupted => 130,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) | Self::Other(error) => f.write_str(&chain(error.as_ref())),
            Self::Partly(what) => f.write_str(what),
            Self::Interrupted => {
                f.write_str("interrupted; what was done is kept, run the same command to go on")
            }
        }
    }
}

/// An error and its sources, once each.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
