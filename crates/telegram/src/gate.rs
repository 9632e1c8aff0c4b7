//! Who is obeyed: allowed users, by number, in a private chat or the configured one, with fresh
//! messages that they typed themselves. Everything else is dropped without an answer.

use std::collections::BTreeSet;
use teloxide::types::{CallbackQuery, CallbackQueryId, Message, Update, UpdateKind};

/// What is allowed.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) allowed_user_ids: BTreeSet<u64>,
    /// The configured chat, where it is a number.
    pub(crate) chat_id: Option<i64>,
    pub(crate) age_max_s: i64,
}

/// What to do about an update.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// An allowed user typed this.
    Text { user_id: u64, chat_id: i64, text: String },
    /// An allowed user pressed a button. Its age is that of the code in it.
    Button { user_id: u64, chat_id: i64, query: CallbackQueryId, data: String },
    /// Nothing, for this reason.
    Drop(&'static str),
}

/// Judges an update at `now_s`, in seconds.
pub(crate) fn judge(update: &Update, rules: &Rules, now_s: i64) -> Verdict {
    match &update.kind {
        UpdateKind::Message(message) => typed(message, rules, now_s),
        UpdateKind::CallbackQuery(query) => pressed(query, rules),
        _ => Verdict::Drop("it is neither a message nor a button"),
    }
}

fn typed(message: &Message, rules: &Rules, now_s: i64) -> Verdict {
    let Some(user) = &message.from else { return Verdict::Drop("it has no sender") };
    let age_s = now_s.saturating_sub(message.date.timestamp());
    let chat_id = message.chat.id.0;
    let is_second_hand = message.forward_origin().is_some()
        || message.is_automatic_forward()
        || message.via_bot.is_some()
        || message.sender_chat.is_some()
        || message.sender_business_bot.is_some()
        || message.edit_date().is_some();
    if let Some(reason) = refused_user(user.id.0, user.is_bot, chat_id, rules) {
        Verdict::Drop(reason)
    } else if is_second_hand {
        Verdict::Drop("it was forwarded, edited, or sent for somebody else")
    } else if age_s.abs() > rules.age_max_s {
        Verdict::Drop("its time is too far from this clock's")
    } else if let Some(text) = message.text() {
        Verdict::Text { user_id: user.id.0, chat_id, text: text.to_owned() }
    } else {
        Verdict::Drop("it has no text")
    }
}

fn pressed(query: &CallbackQuery, rules: &Rules) -> Verdict {
    let Some(chat_id) = query.message.as_ref().map(|message| message.chat().id.0) else {
        return Verdict::Drop("the button belongs to no message");
    };
    let user = &query.from;
    match (refused_user(user.id.0, user.is_bot, chat_id, rules), &query.data) {
        (Some(reason), _) => Verdict::Drop(reason),
        (None, None) => Verdict::Drop("the button says nothing"),
        (None, Some(data)) => Verdict::Button {
            user_id: user.id.0,
            chat_id,
            query: query.id.clone(),
            data: data.clone(),
        },
    }
}

fn refused_user(user_id: u64, is_bot: bool, chat_id: i64, rules: &Rules) -> Option<&'static str> {
    // The number of a private chat is that of its user.
    let is_private = u64::try_from(chat_id).is_ok_and(|chat| chat == user_id);
    if is_bot || !rules.allowed_user_ids.contains(&user_id) {
        Some("its sender is not in telegram.allowed_user_ids")
    } else if !is_private && rules.chat_id != Some(chat_id) {
        Some("it came from a group that is not the configured chat")
    } else {
        None
    }
}
