//! What can be reported, and how loud.

use std::path::PathBuf;
use std::time::Instant;

/// What happened, as the configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// Keel started.
    Startup,
    /// Keel ends.
    Shutdown,
    /// A cycle sent orders.
    Cycle,
    /// An order was filled.
    Fill,
    /// Something failed.
    Error,
    /// Trading was paused, stopped or started.
    Pause,
    /// Candles or prices are too old to trade on.
    StaleData,
    /// An exchange refused the API key.
    RejectedKey,
    /// What became of an order is not known.
    UnknownOrder,
    /// Keel stopped trading by itself.
    Halt,
    /// Market capitalisations are too old.
    CapsStale,
    /// A changed configuration was refused; the last good one stays.
    ConfigRejected,
    /// An exchange went away or came back.
    ExchangeStatus,
}

/// How an event is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// With a sound.
    On,
    /// Without a sound.
    Silent,
    /// Not at all.
    Off,
}

/// What is kept when too much waits. Later ones are kept longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    Low,
    Normal,
    High,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Startup,
        Self::Shutdown,
        Self::Cycle,
        Self::Fill,
        Self::Error,
        Self::Pause,
        Self::StaleData,
        Self::RejectedKey,
        Self::UnknownOrder,
        Self::Halt,
        Self::CapsStale,
        Self::ConfigRejected,
        Self::ExchangeStatus,
    ];

    /// The name in `telegram.notification_settings`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
            Self::Cycle => "cycle",
            Self::Fill => "fill",
            Self::Error => "error",
            Self::Pause => "pause",
            Self::StaleData => "stale_data",
            Self::RejectedKey => "rejected_key",
            Self::UnknownOrder => "unknown_order",
            Self::Halt => "halt",
            Self::CapsStale => "caps_stale",
            Self::ConfigRejected => "config_rejected",
            Self::ExchangeStatus => "exchange_status",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) const fn priority(self) -> Priority {
        match self {
            Self::Cycle | Self::Fill => Priority::Low,
            Self::Startup | Self::Shutdown | Self::CapsStale | Self::ExchangeStatus => {
                Priority::Normal
            }
            Self::Error
            | Self::Pause
            | Self::StaleData
            | Self::RejectedKey
            | Self::UnknownOrder
            | Self::Halt
            | Self::ConfigRejected => Priority::High,
        }
    }
}

impl Loudness {
    /// The word of the configuration: `on`, `silent` or `off`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        match name {
            "on" => Some(Self::On),
            "silent" => Some(Self::Silent),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Something to report. Texts are plain: markup in them is shown as it is written.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// The first line, in bold.
    pub title: String,
    /// Further lines; may be empty.
    pub body: String,
    /// Files that go with it.
    pub documents: Vec<Document>,
    pub(crate) at: Instant,
}

impl Event {
    /// An event of now.
    #[must_use]
    pub fn new(kind: EventKind, title: impl Into<String>) -> Self {
        Self {
            kind,
            title: title.into(),
            body: String::new(),
            documents: Vec::new(),
            at: Instant::now(),
        }
    }

    /// With further lines.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// With a file.
    #[must_use]
    pub fn document(mut self, document: Document) -> Self {
        self.documents.push(document);
        self
    }
}

/// A file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name in the chat.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The end of a file as it is when the message is sent, so that waiting costs no memory.
    FileTail {
        /// Where it is.
        path: PathBuf,
        /// How much of its end.
        bytes_max: u64,
    },
}

impl Document {
    /// A document from memory.
    #[must_use]
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), content: Content::Bytes(bytes.into()) }
    }

    /// The last `bytes_max` bytes of a file, read when it is sent.
    #[must_use]
    pub fn file_tail(name: impl Into<String>, path: impl Into<PathBuf>, bytes_max: u64) -> Self {
        Self { name: name.into(), content: Content::FileTail { path: path.into(), bytes_max } }
    }
}
