//! Reports and commands in a Telegram chat.
