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

/// What it means that another kind of trading was asked for than the one that runs, if it was:
/// `waiting` are the keys that wait for a restart.
#[must_use]
pub fn contradiction(mode: &Mode, waiting: &[String]) -> Option<String> {
    let is_paper = *mode == Mode::Paper;
    if waiting.iter().any(|key| key == "bot_settings.dry_run") {
        return Some(if is_paper {
            "bot_settings.dry_run is false now, but this is still paper trading: stop it and start `keel trade --live`, with paths of its own, to send orders".to_owned()
        } else {
            format!(
                "bot_settings.dry_run is true now, but this is a {mode}: no order is sent until it is false again. To paper-trade, stop it and start `keel trade` without --live, with paths of its own"
            )
        });
    }
    let key = waiting.iter().find(|key| key.ends_with(".sandbox")).filter(|_| !is_paper)?;
    Some(format!(
        "{key} was changed, but this is a {mode}: no order is sent until it is changed back. For another environment, stop it and start `keel trade --live`, with paths of its own"
    ))
}
