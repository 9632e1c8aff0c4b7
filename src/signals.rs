//! Ctrl-C and SIGTERM.

use crate::exit::{Code, Failure};
use crate::simulation;
use tokio::signal::unix::{SignalKind, signal};

/// From now on neither Ctrl-C nor SIGTERM ends the process: `then` is called, in a thread of its
/// own, so that the loop need not be idle to hear of it.
///
/// # Errors
/// When the system refuses.
pub(crate) fn on_stop(then: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::from_error(Code::Failed, &error);
    let runtime = simulation::runtime()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt()).map_err(failed)?,
            signal(SignalKind::terminate()).map_err(failed)?,
        )
    };
    let listen = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        then();
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(failed)?;
    Ok(())
}
