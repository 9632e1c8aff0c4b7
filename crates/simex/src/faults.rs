//! Faults on request: which call, before or after it took effect, and what goes wrong.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether the request has taken effect when the fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// It has not; faults that answer or break off mean that it never will.
    #[default]
    Before,
    /// It has.
    After,
}

/// What becomes of the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A web page, as proxies send.
    Html,
    /// Nothing.
    Empty,
    /// The first half.
    Cut,
    /// JSON of another shape.
    WrongShape,
    /// This text.
    Text(String),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The answer (or, before, the handling) comes later by so many milliseconds.
    DelayMs(u64),
    /// The connection is closed without a reply.
    Drop,
    /// The connection is reset (RST) without a reply.
    Reset,
    /// The connection is reset after so many bytes of the reply.
    ResetAt(u64),
    /// Another answer.
    Status {
        /// HTTP status.
        code: u16,
        /// Body; empty when left out.
        #[serde(default)]
        body: String,
        /// Headers, e.g. `retry-after`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// The answer's status stays, its body changes.
    Body(Body),
    /// The request is handled twice, as when something on the way repeats it.
    Duplicate,
    /// The answer is from before the newest order: old balances, no such order.
    Stale,
    /// The venue's clock is ahead by so many milliseconds (behind, below zero) during this request.
    SkewMs(i64),
    /// The body comes in slow drops of one byte per so many milliseconds.
    DripMs(u64),
}

/// One line of a fault script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// `binance`, `okx`, `coingecko` or `telegram`; left out: any.
    #[serde(default)]
    pub double: Option<String>,
    /// Method and path, e.g. `POST /api/v3/order`, or a Telegram method; a `*` at the end stands for
    /// any rest, `*` alone for every call.
    pub endpoint: String,
    /// Only requests whose query or body contains this.
    #[serde(default)]
    pub contains: Option<String>,
    /// The first matching call that is hit; 1 is the next one.
    #[serde(default = "first")]
    pub call: u64,
    /// How many calls are hit from there; left out: all until the faults are cleared.
    #[serde(default = "once")]
    pub times: Option<u64>,
    /// Before or after the request takes effect.
    #[serde(default)]
    pub when: When,
    /// What goes wrong.
    pub action: Action,
}

const fn first() -> u64 {
    1
}

// `times` left out means once; an explicit null means for ever.
#[expect(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
const fn once() -> Option<u64> {
    Some(1)
}

impl Fault {
    /// A fault that strikes the next call of an endpoint, once.
    #[must_use]
    pub fn next(endpoint: &str, when: When, action: Action) -> Self {
        Self {
            double: None,
            endpoint: endpoint.to_owned(),
            contains: None,
            call: 1,
            times: Some(1),
            when,
            action,
        }
    }

    /// A fault that strikes every call of an endpoint until it is cleared.
    #[must_use]
    pub fn standing(endpoint: &str, when: When, action: Action) -> Self {
        Self { times: None, ..Self::next(endpoint, when, action) }
    }

    /// The same, from the n-th matching call on.
    #[must_use]
    pub fn at_call(mut self, call: u64) -> Self {
        self.call = call;
        self
    }

    /// The same, for so many calls.
    #[must_use]
    pub const fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// The same, at one double only.
    #[must_use]
    pub fn at(mut self, double: &str) -> Self {
        self.double = Some(double.to_owned());
        self
    }

    fn matches(&self, double: &str, endpoint: &str, parameters: &str) -> bool {
        let named = self
            .endpoint
            .strip_suffix('*')
            .map_or_else(|| self.endpoint == endpoint, |start| endpoint.starts_with(start));
        named
            && self.double.as_deref().is_none_or(|one| one == double)
            && self.contains.as_deref().is_none_or(|text| parameters.contains(text))
    }
}

/// A script with its counts.
#[derive(Clone, Debug, Default)]
pub struct Script {
    lines: Vec<(Fault, u64, u64)>,
}

impl Script {
    /// Adds a line; its calls are counted from now.
    pub fn add(&mut self, fault: Fault) {
        self.lines.push((fault, 0, 0));
    }

    /// Removes all lines.
    pub fn clear(&mut self) {
        self.lines.clear();
    }

    /// The lines, and how often each has struck.
    pub fn lines(&self) -> impl Iterator<Item = (&Fault, u64)> {
        self.lines.iter().map(|(fault, _, struck)| (fault, *struck))
    }

    /// What strikes this call.
    pub fn strike(
        &mut self,
        double: &str,
        endpoint: &str,
        parameters: &str,
    ) -> Vec<(When, Action)> {
        let mut actions = Vec::new();
        for (fault, seen, struck) in &mut self.lines {
            if !fault.matches(double, endpoint, parameters) {
                continue;
            }
            *seen += 1;
            let due =
                *seen >= fault.call && fault.times.is_none_or(|times| *seen - fault.call < times);
            if due {
                *struck += 1;
                actions.push((fault.when, fault.action.clone()));
            }
        }
        actions
    }
}
