//! The task that listens: fresh commands of allowed users become requests, everything else is
//! dropped.

use crate::command::{Answer, COMMANDS, Command, Request, Typed, help, parse};
use crate::confirm::Confirmations;
use crate::event::{Event, EventKind};
use crate::gate::{Rules, Verdict, judge};
use crate::notifier::Notifier;
use crate::offset::Seen;
use crate::random;
use crate::settings::{Limits, Settings};
use crate::wire::{Button, Wire, WireError};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use teloxide::types::Update;
use tokio::sync::{Semaphore, mpsc};

/// Dropped updates that are logged; a stranger must not fill the log.
const DROPS_LOGGED_MAX: u32 = 20;
/// Two conflicts within this time are not one program that replaces another.
const CONFLICTS_APART: Duration = Duration::from_secs(120);
/// Commands whose answers are awaited at the same time.
const REQUESTS_MAX: usize = 16;
/// What the button of a confirmation says, before the code.
const BUTTON: &str = "rebalance:";

/// Listens until nobody wants commands any more. While the bot is read by somebody else it looks from
/// time to time whether it still is: what was said meanwhile is not obeyed.
pub(crate) async fn run(
    wire: Wire,
    notifier: Notifier,
    commands: mpsc::Sender<Request>,
    settings: Settings,
) {
    let rules = Rules {
        allowed_user_ids: settings.allowed_user_ids.clone(),
        chat_id: wire.chat_id(),
        age_max_s: i64::try_from(settings.limits.command_age_max.as_secs()).unwrap_or(60),
    };
    let mut listener = Listener {
        seen: Seen::load(settings.offset_file.clone(), &settings.token),
        confirmations: Confirmations::new(settings.limits.confirmation_age_max),
        limits: settings.limits,
        waiting: Arc::new(Semaphore::new(REQUESTS_MAX)),
        wire,
        notifier,
        commands,
        rules,
        bot_name: None,
        failures: 0,
        conflict_at: None,
        is_off: false,
        drops_logged: 0,
    };
    let pause = settings.limits.conflict_pause;
    while let Some(reason) = listener.listen().await {
        if !std::mem::replace(&mut listener.is_off, true) {
            tracing::error!(reason, "Telegram commands are off; trading goes on");
            let event = Event::new(EventKind::Error, "Telegram commands are off").body(format!(
                "{reason}. Whether it still is so is looked at every {} minutes. If it was not you, \
                 revoke the token at BotFather.",
                pause.as_secs().div_ceil(60)
            ));
            listener.notifier.notify(event);
        }
        tokio::time::sleep(pause).await;
    }
}

struct Listener {
    wire: Wire,
    notifier: Notifier,
    commands: mpsc::Sender<Request>,
    rules: Rules,
    limits: Limits,
    seen: Seen,
    confirmations: Confirmations,
    waiting: Arc<Semaphore>,
    bot_name: Option<String>,
    failures: u32,
    conflict_at: Option<Instant>,
    /// Whether it was told that commands are off.
    is_off: bool,
    drops_logged: u32,
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Listener {
    /// Returns why commands are given up; `None` when nobody wants them any more.
    async fn listen(&mut self) -> Option<&'static str> {
        while !self.commands.is_closed() {
            match self.greet().await {
                Ok(()) => break,
                Err(error) => {
                    if let Some(reason) = self.failed(error).await {
                        return Some(reason);
                    }
                }
            }
        }
        self.failures = 0;
        let since = Instant::now();
        while !self.commands.is_closed() {
            let offset = self.seen.next(now_ms()).and_then(|next| i32::try_from(next).ok());
            match self.wire.updates(offset, self.limits.poll_timeout).await {
                Ok(updates) => {
                    self.failures = 0;
                    // Two readers take turns for a while before one of them is refused.
                    let is_alone =
                        since.elapsed() >= CONFLICTS_APART.min(self.limits.conflict_pause);
                    if self.is_off && is_alone {
                        self.is_off = false;
                        tracing::info!("Telegram commands are on again");
                        let event = Event::new(EventKind::Error, "Telegram commands are on again");
                        self.notifier.notify(event);
                    }
                    for update in updates {
                        self.handle(&update).await;
                    }
                }
                Err(error) => {
                    if let Some(reason) = self.failed(error).await {
                        return Some(reason);
                    }
                }
            }
        }
        None
    }

    /// Asks for the name, offers the commands, and forgets what came before the start.
    async fn greet(&mut self) -> Result<(), WireError> {
        self.bot_name = self.wire.name().await?;
        if let Err(error) = self.wire.offer(COMMANDS.iter().map(|row| (row.name, row.doc))).await {
            tracing::debug!(%error, "the menu of commands could not be set");
        }
        // The newest one alone; asking for the one after it makes Telegram forget the others.
        if let Some(newest) = self.wire.updates(Some(-1), Duration::ZERO).await?.last() {
            self.seen.pass(newest.id.0, now_ms());
            self.keep();
            tracing::info!("Telegram messages from before the start are ignored");
        }
        Ok(())
    }

    /// Waits as long as the error asks for; a reason to give up ends listening.
    async fn failed(&mut self, error: WireError) -> Option<&'static str> {
        self.failures = self.failures.saturating_add(1);
        let backoff =
            random::backoff(self.limits.backoff_first, self.limits.backoff_max, self.failures);
        let wait = match error {
            WireError::RetryAfter(wait) => wait.min(Duration::from_secs(3600)) + backoff,
            WireError::Conflict(reason) => {
                let before = self.conflict_at.replace(Instant::now());
                if self.is_off || before.is_some_and(|before| before.elapsed() < CONFLICTS_APART) {
                    return Some(reason);
                }
                tracing::warn!(reason, "Telegram commands may be read by another program");
                backoff
            }
            error => {
                if self.failures == 1 {
                    tracing::warn!(%error, "no Telegram commands for now; trading goes on");
                }
                backoff
            }
        };
        tokio::time::sleep(wait).await;
        None
    }

    /// Whether what passed is remembered over a restart. If not, it must not be obeyed.
    fn keep(&self) -> bool {
        let kept = self.seen.keep();
        if let Err(error) = &kept {
            tracing::error!(%error, "Telegram commands are ignored, because they cannot be noted");
        }
        kept.is_ok()
    }

    async fn handle(&mut self, update: &Update) {
        if !self.seen.pass(update.id.0, now_ms()) {
            return;
        }
        let verdict = judge(update, &self.rules, now_ms() / 1000);
        if !matches!(verdict, Verdict::Drop(_)) && !self.keep() {
            return;
        }
        match verdict {
            Verdict::Text { user_id, chat_id, text } => self.typed(user_id, chat_id, &text),
            Verdict::Button { user_id, chat_id, query, data } => {
                if let Err(error) = self.wire.release_button(query).await {
                    tracing::debug!(%error, "a Telegram button stays pressed");
                }
                if let Some(code) = data.strip_prefix(BUTTON) {
                    self.confirm(user_id, chat_id, code);
                }
            }
            Verdict::Drop(reason) => self.dropped(update, reason),
        }
    }

    fn dropped(&mut self, update: &Update, reason: &str) {
        if self.drops_logged < DROPS_LOGGED_MAX {
            self.drops_logged += 1;
            let user_id = update.from().map_or(0, |user| user.id.0);
            tracing::warn!(user_id, reason, "a Telegram message is ignored");
        }
    }

    fn typed(&mut self, user_id: u64, chat_id: i64, text: &str) {
        match parse(text, self.bot_name.as_deref()) {
            Typed::Command(Command::Help) => self.notifier.reply(chat_id, help(), None),
            Typed::Command(command) => self.request(command, user_id, chat_id),
            Typed::Rebalance(None) => self.ask(user_id, chat_id),
            Typed::Rebalance(Some(code)) => self.confirm(user_id, chat_id, &code),
            Typed::Wrong(hint) => self.notifier.reply(chat_id, Answer::text(hint), None),
            Typed::Nothing => {}
        }
    }

    fn ask(&mut self, user_id: u64, chat_id: i64) {
        let Some(code) = self.confirmations.issue(user_id, chat_id, Instant::now()) else {
            let answer = Answer::text("No random code could be made; try again later.");
            self.notifier.reply(chat_id, answer, None);
            return;
        };
        let seconds = self.limits.confirmation_age_max.as_secs();
        let answer = Answer::text(format!(
            "Distribute the portfolio now? Press the button or type /rebalance {code} within {seconds} s."
        ));
        let button = Button { label: "Rebalance".to_owned(), data: format!("{BUTTON}{code}") };
        self.notifier.reply(chat_id, answer, Some(button));
    }

    fn confirm(&mut self, user_id: u64, chat_id: i64, code: &str) {
        if self.confirmations.take(user_id, chat_id, code, Instant::now()) {
            self.request(Command::Rebalance, user_id, chat_id);
        } else {
            let answer =
                Answer::text("That code is not good any more. Type /rebalance for a new one.");
            self.notifier.reply(chat_id, answer, None);
        }
    }

    /// Hands the command over; the answer is awaited beside, so that listening goes on.
    fn request(&self, command: Command, user_id: u64, chat_id: i64) {
        tracing::info!(user_id, ?command, "a Telegram command");
        let busy = || {
            let answer = Answer::text("Too many commands at once; try again in a minute.");
            self.notifier.reply(chat_id, answer, None);
        };
        let Ok(permit) = Arc::clone(&self.waiting).try_acquire_owned() else { return busy() };
        let (request, mut answer) = Request::new(command, user_id);
        if self.commands.try_send(request).is_err() {
            return busy();
        }
        let (notifier, patience) = (self.notifier.clone(), self.limits.answer_timeout);
        tokio::spawn(async move {
            let _permit = permit;
            let answer = match tokio::time::timeout(patience, &mut answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    let wait = "This takes longer; the answer follows.";
                    notifier.reply(chat_id, Answer::text(wait), None);
                    answer.await
                }
            };
            let answer = answer.unwrap_or_else(|_| Answer::text("Keel ended before it answered."));
            notifier.reply(chat_id, answer, None);
        });
    }
}
