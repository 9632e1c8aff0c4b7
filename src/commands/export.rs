//! `keel export`: the trades of a run for tax programs.

use super::report::Source;
use crate::exit::{Code, Failure};
use crate::recorded;
use keel_report::export::tax::{self, FORMATS, Format};
use std::io::Write as _;
use std::path::PathBuf;

/// Writes every execution of a run for a tax program, one row each, exact.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel export -c my.json --format koinly --from 2024-01-01 --to 2024-12-31 > koinly-2024.csv
  keel export -c my.json --format ledger --out ledger.csv")]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// For which program: koinly, cointracking, or ledger for any other.
    #[arg(long, value_parser = format, value_name = "NAME")]
    format: &'static Format,
    /// Where it goes. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn format(name: &str) -> Result<&'static Format, String> {
    tax::find(name).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        format!("expected one of {}", known.join(", "))
    })
}

/// Runs the command.
///
/// # Errors
/// When there is no journal, or the file cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.source.config.load()?;
    let story = recorded::story(&config, args.source.journal(&config), args.source.span()?)?;
    let csv = tax::csv(&story, args.format)
        .map_err(|error| Failure::from_error(Code::CannotWrite, &error))?;
    match &args.out {
        Some(path) => keel_files::write_atomic(path, &csv).map_err(|error| {
            Failure::new(
                Code::CannotWrite,
                format!("{} cannot be written ({error}); choose another file", path.display()),
            )
        }),
        None => {
            let written = std::io::stdout().lock().write_all(&csv);
            match written {
                // A reader that went away is no failure.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    Err(Failure::from_error(Code::CannotWrite, &error))
                }
                _ => Ok(()),
            }
        }
    }
}
