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
    let run = |run: RunState| desk.lock().unwrap_or_else(PoisonError::into_inner).run = run;
    let text = match command {
        Command::Start => {
            run(RunState::Running);
            controls.set_paused(false);
            "Trading goes on with the next cycle."
        }
        Command::Stop => {
            run(RunState::Stopped);
            controls.set_paused(true);
            "Trading is stopped. What is held is kept; /start goes on."
        }
        Command::Pause => {
            run(RunState::Paused);
            controls.set_paused(true);
            "No new orders; data and signals stay up to date. /start goes on."
        }
        Command::Rebalance => {
            controls.ask_to_distribute();
            "A cycle starts now and distributes; its report follows."
        }
        Command::ReloadConfig => {
            controls.ask_to_reload();
            "The configuration is read again now. If it is wrong, the last good one stays and a message says so."
        }
        _ => return None,
    };
    Some(text.to_owned())
}
