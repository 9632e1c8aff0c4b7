//! The `keel` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    keel::cli::main()
}
