//! What an operator or the system may ask of a running daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Requests to the loop. They are flags: asking twice is asking once.
#[derive(Debug)]
pub struct Controls {
    paused: AtomicBool,
    held: Mutex<Option<String>>,
    /// There while trading is paused. A file of its own, because the journal belongs to the cycle
    /// that is running, and a pause must hold even when that cycle is killed.
    pause_file: PathBuf,
    distribute: AtomicBool,
    reload: AtomicBool,
    /// Since when.
    stopping: watch::Sender<Option<Instant>>,
    wake: Notify,
}

impl Controls {
    /// Nothing is asked for; a pause from before the start goes on. Its file is beside `journal`.
    #[must_use]
    pub fn new(journal: &Path) -> Self {
        let pause_file = journal.with_extension("paused");
        Self {
            // What cannot be looked up counts as paused.
            paused: AtomicBool::new(pause_file.try_exists().unwrap_or(true)),
            held: Mutex::default(),
            pause_file,
            distribute: AtomicBool::default(),
            reload: AtomicBool::default(),
            stopping: watch::Sender::default(),
            wake: Notify::new(),
        }
    }

    /// Decide and record, but send nothing; or trade again. It holds from this moment on, also for
    /// a cycle that is running.
    ///
    /// # Errors
    /// When it could not be written down, so that a restart would forget it.
    pub fn set_paused(&self, paused: bool) -> io::Result<()> {
        self.paused.store(paused, Ordering::SeqCst);
        self.wake.notify_one();
        if paused {
            return keel_files::write_atomic(&self.pause_file, b"");
        }
        match std::fs::remove_file(&self.pause_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The file that is there while trading is paused.
    #[must_use]
    pub fn pause_file(&self) -> &Path {
        &self.pause_file
    }

    /// Whether orders are held back.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::SeqCst)
    }

    /// Orders are held back for this reason, until there is none; no operator can end that.
    pub fn hold(&self, reason: Option<String>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why orders are held back without a pause, if they are.
    #[must_use]
    pub fn held(&self) -> Option<String> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Start a cycle now, and distribute whatever the signals say.
    pub fn ask_to_distribute(&self) {
        self.distribute.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether a cycle is asked for, before its time.
    #[must_use]
    pub fn wants_cycle(&self) -> bool {
        self.distribute.load(Ordering::SeqCst) || self.reload.load(Ordering::SeqCst)
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
        self.stopping.send_modify(|since| {
            since.get_or_insert_with(Instant::now);
        });
        self.wake.notify_one();
    }

    /// Whether the daemon is to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.borrow().is_some()
    }

    /// Returns when a stop was asked for so long ago.
    pub async fn stopped_for(&self, time: Duration) {
        let mut stopping = self.stopping.subscribe();
        // The sender is ours: it is there as long as we are.
        let since = stopping.wait_for(Option::is_some).await.ok().and_then(|since| *since);
        if let Some(since) = since {
            tokio::time::sleep_until(since + time).await;
        }
    }

    /// Whether orders may leave.
    #[must_use]
    pub fn may_trade(&self) -> bool {
        !self.is_stopping() && !self.is_paused() && self.held().is_none()
    }

    /// Returns when something was asked for since the last time.
    pub async fn asked(&self) {
        self.wake.notified().await;
    }
}
