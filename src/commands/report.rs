//! `keel report`: the report of any run, from its journal.

use crate::cli::ConfigArg;
use crate::commands::demo;
use crate::exit::{Code, Failure};
use crate::output;
use crate::recorded::{self, Span};
use crate::replay;
use keel_config::Config;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::tape::Tape;
use std::path::{Path, PathBuf};

/// Writes the report of a run (demo, replay, paper or live) from its journal: one HTML file, a
/// picture, and tables beside it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  keel report -c demo-output/portfolio_config.json --out demo-report
  keel report -c my.json --data data --from 2024-01-01 --to 2024-06-30")]
pub struct Args {
    #[command(flatten)]
    pub(super) source: Source,
    /// Where the report goes.
    #[arg(long, value_name = "DIR", default_value = "keel-report")]
    out: PathBuf,
}

/// Which part of which journal.
#[derive(Debug, clap::Args)]
pub struct Source {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// The journal. Default: the one of the configuration.
    #[arg(long, value_name = "FILE")]
    pub(super) journal: Option<PathBuf>,
    /// Directory with the candles of the run: adds the channels of the signals.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// First moment, UTC.
    #[arg(long, visible_alias = "since", value_name = "DATE")]
    pub(super) from: Option<Timestamp>,
    /// Last moment, UTC; a day without a time of day is included.
    #[arg(long, visible_alias = "until", value_name = "DATE")]
    pub(super) to: Option<String>,
}

impl Source {
    /// The cycles that are asked for.
    ///
    /// # Errors
    /// A date that is none.
    pub(super) fn span(&self) -> Result<Span, Failure> {
        let to = self.to.as_deref().map(end_of).transpose()?;
        Ok(Span { from: self.from, to })
    }

    /// The journal's file.
    pub(super) fn journal<'a>(&'a self, config: &'a Config) -> &'a Path {
        self.journal.as_deref().unwrap_or(&config.paths.journal)
    }

    /// The candles of the run: recorded ones, or the demo's generated anew.
    ///
    /// # Errors
    /// Data that cannot be used.
    pub(super) fn tape(&self, config: &Config, mode: &str) -> Result<Option<Tape>, Failure> {
        match &self.data {
            Some(root) => {
                let recording = replay::load(config, root)?;
                for note in &recording.notes {
                    output::remark(format!("note: {note}"));
                }
                Ok(Some(recording.tape))
            }
            None => demo::tape_of(mode),
        }
    }
}

/// A day without a time means its end, so that `--to 2024-08-31` includes that day.
fn end_of(text: &str) -> Result<Timestamp, Failure> {
    let moment: Timestamp =
        text.parse().map_err(|error| Failure::new(Code::BadInput, format!("--to: {error}")))?;
    let is_day = !text.contains(['T', ' ']);
    Ok(if is_day { moment.plus_ms(Timeframe::D1.ms()) } else { moment.plus_ms(1) })
}

/// Runs the command.
///
/// # Errors
/// When configuration, journal or data cannot be used, or the files cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.source.config.load()?;
    let journal = args.source.journal(&config);
    let mut story = recorded::story(&config, journal, args.source.span()?)?;
    if story.cycles.is_empty() {
        return Err(Failure::new(
            Code::BadInput,
            format!(
                "{}: no finished cycle in that time; expected at least one: choose other dates with --from and --to",
                journal.display()
            ),
        ));
    }
    if let Some(tape) = args.source.tape(&config, &story.kind)? {
        recorded::add_channels(&mut story, &config, &tape);
    }
    let files = keel_report::write(&args.out, &story)
        .map_err(|error| Failure::from_error(Code::CannotWrite, &error))?;
    for file in files {
        output::line(file.display());
    }
    Ok(())
}
