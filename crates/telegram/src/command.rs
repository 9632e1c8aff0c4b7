//! The commands: what can be asked, how it is typed, and what comes back.

use crate::event::Document;
use tokio::sync::oneshot;

/// What an operator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Trade again after `Stop` or `Pause`.
    Start,
    /// Stop trading: no order leaves from now on.
    Stop,
    /// Keep what is held and send no new orders; data and signals stay up to date.
    Pause,
    /// What is held and what it should be; with `table`, as a table.
    Status {
        /// Whether each asset is a row of a table.
        table: bool,
    },
    /// Balances at each exchange.
    Balance,
    /// What was gained since the first cycle.
    Profit,
    /// Gain of each of the last days.
    Daily {
        /// How many days.
        days: usize,
    },
    /// Gain of each asset.
    Performance,
    /// The last orders.
    Trades {
        /// How many.
        last: usize,
    },
    /// Targets and orders of the last decision.
    Plan,
    /// The last decision about an asset.
    Why {
        /// Which.
        ticker: String,
    },
    /// Distribute now. Arrives only after it was confirmed.
    Rebalance,
    /// The end of the log.
    Logs,
    /// The report files.
    Report,
    /// The configuration without credentials.
    ShowConfig,
    /// Read the configuration again.
    ReloadConfig,
    /// Whether everything works.
    Health,
    /// Which Keel this is.
    Version,
    /// The list of commands. Answered by this crate.
    Help,
}

/// One row of `/help` and of the menu.
#[derive(Clone, Copy, Debug)]
pub struct CommandRow {
    /// The word after the slash.
    pub name: &'static str,
    /// What may follow it.
    pub arguments: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

const fn row(name: &'static str, arguments: &'static str, doc: &'static str) -> CommandRow {
    CommandRow { name, arguments, doc }
}

/// The commands, as they are listed.
pub const COMMANDS: [CommandRow; 19] = [
    row("start", "", "trade again after /stop or /pause, distribute now"),
    row("stop", "", "stop trading: no order leaves from now on"),
    row("pause", "", "keep what is held, send no new orders"),
    row("status", "[table]", "value, weights and targets, signals"),
    row("balance", "", "balances at each exchange"),
    row("profit", "", "gain since the first cycle"),
    row("daily", "[n]", "gain of each of the last n days"),
    row("performance", "", "gain of each asset"),
    row("trades", "[n]", "the last n orders"),
    row("plan", "", "targets and orders of the last decision"),
    row("why", "TICKER", "why an asset was traded or not"),
    row("rebalance", "", "distribute now, after a confirmation"),
    row("logs", "", "the end of the log as a file"),
    row("report", "", "status, portfolio and trades as files"),
    row("show_config", "", "the configuration without credentials"),
    row("reload_config", "", "read the configuration again"),
    row("health", "", "last cycle, exchanges, data ages"),
    row("version", "", "version of Keel"),
    row("help", "", "this list"),
];

const DAYS_DEFAULT: usize = 7;
const DAYS_MAX: usize = 90;
const TRADES_DEFAULT: usize = 10;
const TRADES_MAX: usize = 200;

/// What a message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A command.
    Command(Command),
    /// `/rebalance`, which has to be confirmed, with the code if one was typed.
    Rebalance(Option<String>),
    /// Something to answer with this hint.
    Wrong(String),
    /// Not for this bot.
    Nothing,
}

/// Reads a message. `bot_name` is the bot's name without `@`: in a group, commands may be addressed.
#[must_use]
pub(crate) fn parse(text: &str, bot_name: Option<&str>) -> Typed {
    let mut words = text.split_whitespace();
    let Some(first) = words.next().and_then(|word| word.strip_prefix('/')) else {
        return Typed::Wrong("Commands begin with a slash: /help lists them.".to_owned());
    };
    let (name, addressed) =
        first.split_once('@').map_or((first, None), |(name, bot)| (name, Some(bot)));
    if let Some(addressed) = addressed
        && !bot_name.is_some_and(|ours| ours.eq_ignore_ascii_case(addressed))
    {
        return Typed::Nothing;
    }
    let argument = words.next();
    if words.next().is_some() {
        return Typed::Wrong("That is one word too many: /help lists the commands.".to_owned());
    }
    command(&name.to_ascii_lowercase(), argument)
}

fn command(name: &str, argument: Option<&str>) -> Typed {
    let typed = match (name, argument) {
        ("status", Some(word)) if word.eq_ignore_ascii_case("table") => {
            Command::Status { table: true }
        }
        ("status", None) => Command::Status { table: false },
        ("status", Some(_)) => {
            return Typed::Wrong("Nothing but `table` may follow /status.".to_owned());
        }
        ("daily", argument) => match count(argument, DAYS_DEFAULT, DAYS_MAX) {
            Ok(days) => Command::Daily { days },
            Err(hint) => return Typed::Wrong(hint),
        },
        ("trades", argument) => match count(argument, TRADES_DEFAULT, TRADES_MAX) {
            Ok(last) => Command::Trades { last },
            Err(hint) => return Typed::Wrong(hint),
        },
        ("why", Some(ticker)) if is_ticker(ticker) => {
            Command::Why { ticker: ticker.to_ascii_uppercase() }
        }
        ("why", _) => return Typed::Wrong("Which asset? Type /why BTC.".to_owned()),
        ("rebalance", code) => return Typed::Rebalance(code.map(str::to_owned)),
        (name, None) => match without_argument(name) {
            Some(command) => command,
            None => return Typed::Wrong("No such command: /help lists them.".to_owned()),
        },
        (name, Some(_)) if without_argument(name).is_some() => {
            return Typed::Wrong(format!("/{name} takes nothing after it."));
        }
        _ => return Typed::Wrong("No such command: /help lists them.".to_owned()),
    };
    Typed::Command(typed)
}

fn without_argument(name: &str) -> Option<Command> {
    Some(match name {
        "start" => Command::Start,
        "stop" => Command::Stop,
        // Freqtrade's older names for the same.
        "pause" | "stopentry" | "stopbuy" => Command::Pause,
        "status" => Command::Status { table: false },
        "balance" => Command::Balance,
        "profit" => Command::Profit,
        "performance" => Command::Performance,
        "plan" => Command::Plan,
        "logs" => Command::Logs,
        "report" => Command::Report,
        "show_config" => Command::ShowConfig,
        "reload_config" => Command::ReloadConfig,
        "health" => Command::Health,
        "version" => Command::Version,
        "help" => Command::Help,
        _ => return None,
    })
}

fn is_ticker(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn count(argument: Option<&str>, default: usize, max: usize) -> Result<usize, String> {
    let Some(argument) = argument else { return Ok(default) };
    match argument.parse() {
        Ok(count) if (1..=max).contains(&count) => Ok(count),
        _ => Err(format!("Expected a number from 1 to {max}.")),
    }
}

/// A command that waits for its answer.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Who asks: a user of the allow-list.
    pub user_id: u64,
    reply: oneshot::Sender<Answer>,
}

impl Request {
    /// A request and where its answer arrives.
    #[must_use]
    pub fn new(command: Command, user_id: u64) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Self { command, user_id, reply }, answer)
    }

    /// Answers. Nobody may be waiting any more; that is no fault.
    pub fn answer(self, answer: Answer) {
        let _ = self.reply.send(answer);
    }
}

/// What comes back, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its parts.
    pub parts: Vec<Part>,
}

/// A part of an answer. Texts are plain: markup in them is shown as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Running text.
    Text(String),
    /// Text in columns.
    Table(String),
    /// A file.
    Document(Document),
}

impl Answer {
    /// An answer of running text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// An answer of columns.
    #[must_use]
    pub fn table(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Table(text.into())] }
    }

    /// With further text.
    #[must_use]
    pub fn and_text(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Text(text.into()));
        self
    }

    /// With further columns.
    #[must_use]
    pub fn and_table(mut self, text: impl Into<String>) -> Self {
        self.parts.push(Part::Table(text.into()));
        self
    }

    /// With a file.
    #[must_use]
    pub fn and_document(mut self, document: Document) -> Self {
        self.parts.push(Part::Document(document));
        self
    }
}

/// The answer to `/help`.
pub(crate) fn help() -> Answer {
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|row| {
            let space = if row.arguments.is_empty() { "" } else { " " };
            format!("/{}{space}{}: {}", row.name, row.arguments, row.doc)
        })
        .collect();
    Answer::text(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_command_is_understood() {
        for row in COMMANDS {
            let argument = if row.name == "why" { " btc" } else { "" };
            let typed = parse(&format!("/{}{argument}", row.name), None);
            assert!(
                matches!(typed, Typed::Command(_) | Typed::Rebalance(None)),
                "{}: {typed:?}",
                row.name
            );
        }
    }

    #[test]
    fn arguments_are_read_and_wrong_ones_are_answered_with_a_hint() {
        let command = |text: &str| match parse(text, Some("keel_bot")) {
            Typed::Command(command) => Some(command),
            _ => None,
        };
        assert_eq!(command("/status table"), Some(Command::Status { table: true }));
        assert_eq!(command("/status Table"), Some(Command::Status { table: true }));
        let Typed::Wrong(hint) = parse("/status tabel", None) else { panic!() };
        assert!(hint.contains("`table`"), "{hint}");
        assert_eq!(command("/STATUS@Keel_Bot"), Some(Command::Status { table: false }));
        assert_eq!(command("/daily 30"), Some(Command::Daily { days: 30 }));
        assert_eq!(command("/trades"), Some(Command::Trades { last: 10 }));
        assert_eq!(command("/why btc"), Some(Command::Why { ticker: "BTC".to_owned() }));
        assert_eq!(parse("/status@other_bot", Some("keel_bot")), Typed::Nothing);
        for wrong in [
            "hello",
            "",
            "/",
            "/nothing",
            "/daily x",
            "/daily 0",
            "/trades 1e9",
            "/why",
            "/why <b>",
            "/stop now",
            "/status table please",
            "/forceexit all",
        ] {
            assert!(matches!(parse(wrong, None), Typed::Wrong(_)), "{wrong}");
        }
    }
}
