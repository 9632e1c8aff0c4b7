//! What an operator or the system may ask of a running daemon.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Requests to the loop. They are flags: asking twice is asking once.
#[derive(Debug, Default)]
pub struct Controls {
    paused: AtomicBool,
    distribute: AtomicBool,
    reload: AtomicBool,
    stopping: AtomicBool,
    wake: Notify,
}

impl Controls {
    /// Decide and record, but send nothing; or trade again.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether orders are held back.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Start a cycle now, and distribute whatever the signals say.
    pub fn ask_to_distribute(&self) {
        self.distribute.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether a distribution was asked for; forgotten with the answer.
    pub fn take_distribute(&self) -> bool {
        self.distribute.swap(false, Ordering::SeqCst)
    }

    /// Read the configuration again now.
    pub fn ask_to_reload(&self) {
        self.reload.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether a reload was asked for; forgotten with the answer.
    pub fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::SeqCst)
    }

    /// End. From now on no order leaves.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether the daemon is to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Whether orders may leave.
    #[must_use]
    pub fn may_trade(&self) -> bool {
        !self.is_stopping() && !self.is_paused()
    }

    /// Returns when something was asked for since the last time.
    pub async fn asked(&self) {
        self.wake.notified().await;
    }
}
