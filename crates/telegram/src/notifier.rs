//! Where the daemon leaves its reports.

use crate::command::{Answer, Request};
use crate::event::{Event, EventKind, Loudness};
use crate::outbox::{Outbox, Outgoing};
use crate::settings::Settings;
use crate::wire::Button;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Takes events. Never blocks, never fails, holds a bounded number; clones share one line.
#[derive(Clone)]
pub struct Notifier {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    outbox: Mutex<Outbox>,
    loudness: Mutex<BTreeMap<EventKind, Loudness>>,
    /// 1 while a message is being sent.
    in_hand: AtomicUsize,
    /// How many messages wait or are being sent.
    pending: watch::Sender<usize>,
    /// Kept so that the daemon's receiver does not end.
    _commands: mpsc::Sender<Request>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

/// A poisoned lock guards a queue of texts, which is good enough whatever happened.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notifier {
    pub(crate) fn new(settings: &Settings, commands: mpsc::Sender<Request>) -> Self {
        let limits = &settings.limits;
        let outbox = Outbox::new(limits.events_waiting_max, limits.event_age_max);
        Self {
            shared: Some(Arc::new(Shared {
                outbox: Mutex::new(outbox),
                loudness: Mutex::new(settings.notifications.clone()),
                in_hand: AtomicUsize::new(0),
                pending: watch::Sender::new(0),
                _commands: commands,
            })),
        }
    }

    /// One that sends nothing, for when Telegram is not in use.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { shared: None }
    }

    /// Reports an event, unless its kind is off.
    pub fn notify(&self, event: Event) {
        let Some(shared) = &self.shared else { return };
        let loudness = lock(&shared.loudness).get(&event.kind).copied();
        match loudness.unwrap_or(Loudness::On) {
            Loudness::Off => {}
            loudness => {
                lock(&shared.outbox).push(event, loudness == Loudness::Silent);
                shared.publish();
            }
        }
    }

    /// Takes new notification settings, after the configuration was read again.
    pub fn set_loudness(&self, loudness: BTreeMap<EventKind, Loudness>) {
        if let Some(shared) = &self.shared {
            *lock(&shared.loudness) = loudness;
        }
    }

    /// How many messages are not sent yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| *shared.pending.borrow())
    }

    /// Waits until everything is sent, at most `longest`, for the end of the program.
    pub async fn flush(&self, longest: Duration) {
        let Some(shared) = &self.shared else { return };
        let mut pending = shared.pending.subscribe();
        // Time over or all sent: the program ends either way.
        let _ = tokio::time::timeout(longest, pending.wait_for(|pending| *pending == 0)).await;
    }

    pub(crate) fn reply(&self, chat_id: i64, answer: Answer, button: Option<Button>) {
        if let Some(shared) = &self.shared {
            lock(&shared.outbox).reply(chat_id, answer.parts, button);
            shared.publish();
        }
    }

    /// Waits for the next message. It stays pending until [`Self::done`].
    pub(crate) async fn next(&self) -> Option<Outgoing> {
        let shared = self.shared.as_ref()?;
        let mut pending = shared.pending.subscribe();
        loop {
            let next = lock(&shared.outbox).pop(Instant::now());
            if next.is_some() {
                shared.in_hand.store(1, Ordering::Relaxed);
                shared.publish();
                return next;
            }
            pending.changed().await.ok()?;
        }
    }

    /// The message that `next` gave was sent, or given up.
    pub(crate) fn done(&self, was_dropped: bool) {
        let Some(shared) = &self.shared else { return };
        if was_dropped {
            lock(&shared.outbox).count_dropped(1);
        }
        shared.in_hand.store(0, Ordering::Relaxed);
        shared.publish();
    }
}

impl Shared {
    fn publish(&self) {
        let waiting = lock(&self.outbox).len();
        self.pending.send_replace(waiting + self.in_hand.load(Ordering::Relaxed));
    }
}
