//! What waits to be sent: bounded, the important kept longest, what was dropped counted.

use crate::command::Part;
use crate::event::{Event, EventKind, Priority};
use crate::wire::{Button, Target};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A message to send.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) target: Target,
    pub(crate) title: Option<String>,
    pub(crate) parts: Vec<Part>,
    pub(crate) button: Option<Button>,
    pub(crate) is_silent: bool,
    pub(crate) expires_at: Instant,
    pub(crate) is_event: bool,
}

/// The waiting line.
#[derive(Debug)]
pub(crate) struct Outbox {
    events_max: usize,
    event_age_max: Duration,
    replies: VecDeque<Outgoing>,
    events: VecDeque<Waiting>,
    /// Events that were dropped since the last message that told so.
    dropped: u64,
}

#[derive(Debug)]
struct Waiting {
    event: Event,
    is_silent: bool,
    times: u64,
}

const LOST: &str = "dropped while Telegram could not be reached";
/// Replies that wait at most; there is one for each command of an allowed user.
const REPLIES_MAX: usize = 32;
/// A reply that comes later than this answers a question nobody remembers.
const REPLY_AGE_MAX: Duration = Duration::from_secs(600);

impl Outbox {
    pub(crate) const fn new(events_max: usize, event_age_max: Duration) -> Self {
        Self {
            events_max,
            event_age_max,
            replies: VecDeque::new(),
            events: VecDeque::new(),
            dropped: 0,
        }
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> usize {
        self.replies.len() + self.events.len()
    }

    /// Adds an event. The same event again is counted, not added.
    pub(crate) fn push(&mut self, event: Event, is_silent: bool) {
        let same = self.events.iter_mut().find(|waiting| {
            let known = &waiting.event;
            known.kind == event.kind
                && known.title == event.title
                && known.body == event.body
                && known.documents == event.documents
        });
        if let Some(same) = same {
            same.times += 1;
            same.event.at = event.at;
            return;
        }
        self.events.push_back(Waiting { event, is_silent, times: 1 });
        if self.events.len() > self.events_max {
            let least = (0..self.events.len())
                .min_by_key(|&place| (self.priority(place), place))
                .unwrap_or_default();
            let times = self.events.remove(least).map_or(0, |waiting| waiting.times);
            self.count_dropped(times);
        }
    }

    fn priority(&self, place: usize) -> Option<Priority> {
        self.events.get(place).map(|waiting| waiting.event.kind.priority())
    }

    /// Adds an answer to a command.
    pub(crate) fn reply(&mut self, chat_id: i64, parts: Vec<Part>, button: Option<Button>) {
        if self.replies.len() >= REPLIES_MAX {
            self.replies.pop_front();
        }
        self.replies.push_back(Outgoing {
            target: Target::Chat(chat_id),
            title: None,
            parts,
            button,
            is_silent: false,
            expires_at: Instant::now() + REPLY_AGE_MAX,
            is_event: false,
        });
    }

    pub(crate) const fn count_dropped(&mut self, times: u64) {
        self.dropped = self.dropped.saturating_add(times);
    }

    /// The next message: answers first, then what was dropped, then events by age.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Outgoing> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        while let Some(waiting) = self.events.front()
            && now.saturating_duration_since(waiting.event.at) > self.event_age_max
        {
            let times = waiting.times;
            self.events.pop_front();
            self.count_dropped(times);
        }
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            let event = Event::new(
                EventKind::Error,
                match dropped {
                    1 => format!("1 message was {LOST}"),
                    _ => format!("{dropped} messages were {LOST}"),
                },
            )
            .body("The log has them all.");
            return Some(self.outgoing(Waiting { event, is_silent: true, times: 1 }));
        }
        let waiting = self.events.pop_front()?;
        Some(self.outgoing(waiting))
    }

    fn outgoing(&self, waiting: Waiting) -> Outgoing {
        let Waiting { event, is_silent, times } = waiting;
        let title =
            if times > 1 { format!("{} ({times} times)", event.title) } else { event.title };
        let mut parts = Vec::new();
        if !event.body.is_empty() {
            parts.push(Part::Text(event.body));
        }
        parts.extend(event.documents.into_iter().map(Part::Document));
        Outgoing {
            target: Target::Configured,
            title: Some(title),
            parts,
            button: None,
            is_silent,
            expires_at: event.at + self.event_age_max,
            is_event: true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn titles(outbox: &mut Outbox, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| outbox.pop(now)).filter_map(|outgoing| outgoing.title).collect()
    }

    #[test]
    fn the_least_important_and_oldest_goes_first_when_too_much_waits() {
        let mut outbox = Outbox::new(3, Duration::from_secs(3600));
        outbox.push(Event::new(EventKind::Halt, "halt"), false);
        for i in 0..4 {
            outbox.push(Event::new(EventKind::Fill, format!("fill {i}")), false);
        }
        outbox.push(Event::new(EventKind::Startup, "startup"), false);
        assert_eq!(outbox.len(), 3);
        let titles = titles(&mut outbox, Instant::now());
        assert!(titles[0].starts_with("3 messages were dropped"), "{titles:?}");
        assert_eq!(&titles[1..], ["halt", "fill 3", "startup"]);
    }

    #[test]
    fn the_same_again_is_counted() {
        let mut outbox = Outbox::new(3, Duration::from_secs(3600));
        for _ in 0..1000 {
            outbox.push(Event::new(EventKind::Error, "kraken does not answer"), false);
        }
        let titles = titles(&mut outbox, Instant::now());
        assert_eq!(titles, ["kraken does not answer (1000 times)"]);
    }

    #[test]
    fn what_is_too_old_is_counted_and_not_sent() {
        let hour = Duration::from_secs(3600);
        let mut outbox = Outbox::new(9, hour);
        outbox.push(Event::new(EventKind::Error, "a"), false);
        outbox.push(Event::new(EventKind::Error, "b"), false);
        let later = Instant::now() + hour + Duration::from_secs(1);
        assert_eq!(
            titles(&mut outbox, later),
            ["2 messages were dropped while Telegram could not be reached"]
        );
    }
}
