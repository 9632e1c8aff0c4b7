//! The task that sends: one message after the other, at the pace that Telegram allows.

use crate::command::Part;
use crate::event::{Content, Document};
use crate::notifier::Notifier;
use crate::outbox::Outgoing;
use crate::random;
use crate::settings::Limits;
use crate::text::{MESSAGE_UNITS_MAX, escape, split};
use crate::wire::{Button, Wire, WireError};
use std::collections::VecDeque;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

/// One request's worth of a message.
#[derive(Debug)]
enum Piece {
    Text { html: String, plain: String, button: Option<Button> },
    Document(Document),
}

/// The longest wait that Telegram may ask for.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// Room for the markup and the title around a piece.
const MARKUP_UNITS: usize = 96;
/// The most of a file that is read into memory.
const DOCUMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Sends until the notifier is gone.
pub(crate) async fn run(wire: Wire, notifier: Notifier, limits: Limits) {
    let is_group = wire.chat_id().is_none_or(|id| id < 0);
    let pause = limits.message_pause * if is_group { 3 } else { 1 };
    let mut failures = 0;
    while let Some(outgoing) = notifier.next().await {
        let was_sent = send(&wire, &outgoing, &limits, pause, &mut failures).await;
        notifier.done(!was_sent && outgoing.is_event);
    }
}

/// Sends all pieces of a message. `false` when it was given up.
async fn send(
    wire: &Wire,
    outgoing: &Outgoing,
    limits: &Limits,
    pause: Duration,
    failures: &mut u32,
) -> bool {
    let mut pieces = pieces(outgoing);
    let mut was_sent = true;
    while let Some(piece) = pieces.front() {
        if Instant::now() > outgoing.expires_at {
            return false;
        }
        let wait = match send_piece(wire, outgoing, piece).await {
            Ok(()) => {
                if *failures > 0 {
                    tracing::info!("Telegram answers again");
                }
                *failures = 0;
                pieces.pop_front();
                pause
            }
            Err(WireError::RetryAfter(wait)) => {
                tracing::debug!(seconds = wait.as_secs(), "Telegram asks to wait");
                wait.min(WAIT_MAX) + random::jittered(limits.backoff_first)
            }
            Err(WireError::Refused(reason)) => {
                tracing::warn!(reason, "a message was refused by Telegram and is dropped");
                pieces.pop_front();
                was_sent = false;
                pause
            }
            Err(error) => {
                *failures = failures.saturating_add(1);
                if *failures == 1 {
                    tracing::warn!(%error, "messages wait for Telegram; trading goes on");
                }
                random::backoff(limits.backoff_first, limits.backoff_max, *failures)
            }
        };
        tokio::time::sleep(wait).await;
    }
    was_sent
}

async fn send_piece(wire: &Wire, outgoing: &Outgoing, piece: &Piece) -> Result<(), WireError> {
    let (target, is_silent) = (outgoing.target, outgoing.is_silent);
    match piece {
        Piece::Text { html, plain, button } => {
            let button = button.as_ref();
            match wire.send_text(target, html, true, is_silent, button).await {
                // Better without bold than not at all.
                Err(WireError::Refused(_)) => {
                    wire.send_text(target, plain, false, is_silent, button).await
                }
                sent => sent,
            }
        }
        Piece::Document(document) => match bytes(document) {
            Ok(bytes) => wire.send_document(target, &document.name, bytes, is_silent).await,
            // Who asked for it is told; a report says enough without it.
            Err(why) if outgoing.is_event => {
                tracing::debug!(why, "a file is left out of a message");
                Ok(())
            }
            Err(why) => wire.send_text(target, &why, false, is_silent, None).await,
        },
    }
}

/// What is in a document, or in words why there is nothing to send.
fn bytes(document: &Document) -> Result<Vec<u8>, String> {
    let name = &document.name;
    let bytes = match &document.content {
        Content::Bytes(bytes) => bytes.clone(),
        Content::FileTail { path, bytes_max } => {
            tail(path, *bytes_max).map_err(|error| format!("{name} cannot be read ({error})."))?
        }
    };
    if bytes.is_empty() { Err(format!("{name} is empty.")) } else { Ok(bytes) }
}

/// The last bytes of a file, from the beginning of a line.
fn tail(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let bytes_max = bytes_max.min(DOCUMENT_BYTES_MAX);
    let start = length.saturating_sub(bytes_max);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    if start > 0
        && let Some(end) = bytes.iter().position(|byte| *byte == b'\n')
    {
        bytes.drain(..=end);
    }
    Ok(bytes)
}

fn pieces(outgoing: &Outgoing) -> VecDeque<Piece> {
    let room = MESSAGE_UNITS_MAX - MARKUP_UNITS;
    let mut pieces = VecDeque::new();
    let mut title = outgoing.title.clone();
    for part in &outgoing.parts {
        match part {
            Part::Text(text) => match title.take() {
                Some(title) => titled(&title, text, room, &mut pieces),
                None => pieces.extend(split(text, room).into_iter().map(|plain| Piece::Text {
                    html: escape(&plain),
                    plain,
                    button: None,
                })),
            },
            Part::Table(text) => {
                if let Some(title) = title.take() {
                    titled(&title, "", room, &mut pieces);
                }
                pieces.extend(split(text, room).into_iter().map(|plain| Piece::Text {
                    html: format!("<pre>{}</pre>", escape(&plain)),
                    plain,
                    button: None,
                }));
            }
            Part::Document(document) => {
                if let Some(title) = title.take() {
                    titled(&title, "", room, &mut pieces);
                }
                pieces.push_back(Piece::Document(document.clone()));
            }
        }
    }
    if let Some(title) = title {
        titled(&title, "", room, &mut pieces);
    }
    let last_text = pieces.iter_mut().rev().find_map(|piece| match piece {
        Piece::Text { button, .. } => Some(button),
        Piece::Document(_) => None,
    });
    if let Some(button) = last_text {
        button.clone_from(&outgoing.button);
    }
    pieces
}

/// The first line in bold, then the text.
fn titled(title: &str, text: &str, room: usize, pieces: &mut VecDeque<Piece>) {
    let all = if text.is_empty() { title.to_owned() } else { format!("{title}\n{text}") };
    for (i, plain) in split(&all, room).into_iter().enumerate() {
        let html = match plain.split_once('\n') {
            _ if i > 0 => escape(&plain),
            None => format!("<b>{}</b>", escape(&plain)),
            Some((first, rest)) => format!("<b>{}</b>\n{}", escape(first), escape(rest)),
        };
        pieces.push_back(Piece::Text { html, plain, button: None });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_tail_of_a_file_begins_with_a_whole_line() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keel.log");
        std::fs::write(&path, "first\nsecond\nthird\n").unwrap();
        assert_eq!(tail(&path, 10).unwrap(), b"third\n");
        assert_eq!(tail(&path, 1000).unwrap(), b"first\nsecond\nthird\n");
    }
}
