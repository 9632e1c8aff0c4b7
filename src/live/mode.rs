//! Which kind of trading a configuration and a command line mean together.

use crate::exit::{Code, Failure};
use crate::journal::Mode;
use keel_config::Config;

/// Paper, unless the configuration and the command line both say otherwise.
///
/// # Errors
/// When the two contradict each other, or test environments are mixed with real ones.
pub fn decide(config: &Config, live: bool) -> Result<Mode, Failure> {
    let wrong = |text: String| Err(Failure::new(Code::BadInput, text));
    let path = config.path.display();
    match (config.bot.dry_run, live) {
        (true, false) => Ok(Mode::Paper),
        (true, true) => wrong(format!(
            "--live was given, but bot_settings.dry_run is true in {path}: set it to false to trade, or leave --live out to paper-trade"
        )),
        (false, false) => wrong(format!(
            "bot_settings.dry_run is false in {path}: add --live to send orders, or set it to true to paper-trade"
        )),
        (false, true) => {
            let sandboxes = config.used_venues().filter(|(_, venue)| venue.sandbox).count();
            match sandboxes {
                0 => Ok(Mode::Live),
                all if all == config.used_venues().count() => Ok(Mode::Sandbox),
                some => wrong(format!(
                    "{some} of the exchanges in {path} have sandbox: true and others have not; expected all or none of those in use"
                )),
            }
        }
    }
}
