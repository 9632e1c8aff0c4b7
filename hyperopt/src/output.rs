//! Lines for the user: results on standard output, everything else on standard error.

use crate::failure::Failure;
use std::io::{self, Write};

/// A result, to standard output.
pub(crate) fn say(line: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{line}") {
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::other),
    }
}

/// A remark, to standard error. Nobody is left to tell when that fails.
pub(crate) fn remark(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

pub(crate) fn complain(failure: &Failure) {
    remark(&format!("error: {failure}"));
}
