//! Commands of operators: those that change something go to the loop, the others to the desk.
//! Neither waits for the other, nor for a cycle.

use super::controls::Controls;
use crate::desk::{self, DeskContext, RunState};
use keel_core::ports::Clock as _;
use keel_live::time::MachineTime;
use keel_telegram::{Answer, Command, Request};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Answers until nobody can ask any more.
pub async fn serve(
    mut commands: mpsc::Receiver<Request>,
    desk: Arc<Mutex<DeskContext>>,
    controls: Arc<Controls>,
) {
    while let Some(request) = commands.recv().await {
        tracing::info!(user = request.user_id, command = ?request.command, "asked in the chat");
        if let Some(text) = control(&request.command, &desk, &controls) {
            request.answer(Answer::text(text));
            continue;
        }
        let context = desk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A long journal takes seconds to read; a stop that is typed meanwhile must not wait.
        tokio::task::spawn_blocking(move || {
            let answer = desk::answer(&request.command, &context, MachineTime.now());
            request.answer(answer);
        });
    }
}

/// Passes on what changes something, and says what happens now.
fn control(command: &Command, desk: &Mutex<DeskContext>, controls: &Controls) -> Option<String> {
    let set_paused = |run: RunState| {
        desk.lock().unwrap_or_else(PoisonError::into_inner).run = run;
        controls.set_paused(run != RunState::Running)
    };
    // A pause is not all that may keep orders back, and only a pause is ended here.
    let held = || desk::held(&desk.lock().unwrap_or_else(PoisonError::into_inner));
    let text = match command {
        Command::Start if !controls.is_paused() => format!("Trading is not stopped.{}", held()),
        Command::Start => {
            let is_kept = set_paused(RunState::Running);
            // The signals of the meantime were seen and not acted on.
            controls.ask_to_distribute();
            let text = if controls.held().is_some() {
                "Trading is not stopped any more, but no order leaves yet."
            } else {
                "Trading goes on: a cycle starts now and distributes."
            };
            with_warning(text, is_kept) + &held()
        }
        Command::Stop => with_warning(
            "Trading is stopped: no order leaves any more, also not of a cycle that is running. What is held is kept. Type /start to go on.",
            set_paused(RunState::Stopped),
        ),
        Command::Pause => with_warning(
            "No new orders, also not of a cycle that is running; data and signals stay up to date. Type /start to go on.",
            set_paused(RunState::Paused),
        ),
        Command::Rebalance if controls.is_paused() => {
            "Trading is stopped, so nothing is distributed. /start comes first; it distributes as well."
                .to_owned()
        }
        Command::Rebalance if controls.held().is_some() => {
            format!("No order leaves now, so nothing is distributed.{}", held())
        }
        Command::Rebalance => {
            controls.ask_to_distribute();
            format!("A cycle starts now and distributes; its report follows.{}", held())
        }
        Command::ReloadConfig => {
            controls.ask_to_reload();
            "The configuration is read again now. A message says what changed or what is wrong with it; without one, it is the same as before."
                .to_owned()
        }
        _ => return None,
    };
    Some(text)
}

/// With a warning when a restart would forget what was asked for.
fn with_warning(text: &str, kept: std::io::Result<()>) -> String {
    match kept {
        Ok(()) => text.to_owned(),
        Err(error) => format!(
            "{text} But it could not be written down ({error}): a restart would not know of it."
        ),
    }
}
