//! One file per subcommand.

mod assets;
mod backtest;
mod bands;
mod interrupt;
mod list;
mod progress;
mod run;
mod walk_forward;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

pub(crate) fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Show(arguments) => list::show(&arguments),
        Command::WalkForward(arguments) => walk_forward::run(&arguments),
        Command::Bands(arguments) => bands::run(&arguments),
    }
}
