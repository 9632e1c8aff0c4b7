//! Strategies: each turns bars into a signal. One file and one row in [`STRATEGIES`] adds one.

mod keltner_channel;

pub use keltner_channel::keltner_params;

use crate::candle::Bars;
use crate::question::{Newest, newest};
use crate::signal::Signal;
use std::collections::BTreeMap;

/// What a strategy's parameter holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamKind {
    /// A whole number, at least `min`.
    Integer {
        /// The smallest allowed value.
        min: u32,
    },
    /// A number above `above`.
    Number {
        /// Every allowed value is larger.
        above: f64,
    },
}

/// One parameter of one stage. Its key in a strategy file is `position_<name>` or `trend_<name>`.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Name without the stage.
    pub name: &'static str,
    /// Type and range.
    pub kind: ParamKind,
    /// What a new strategy file gets.
    pub default: f64,
    /// One sentence for help and editors.
    pub doc: &'static str,
}

/// Values of one stage's parameters, in the order of [`Strategy::params`].
#[derive(Clone, Debug, PartialEq)]
pub struct Params(Vec<f64>);

impl Params {
    /// Values in the order of [`Strategy::params`].
    #[must_use]
    pub const fn new(values: Vec<f64>) -> Self {
        Self(values)
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.0
    }
}

/// The signals that count at the end of each window.
pub type NewestOfWindows = fn(Bars<'_>, &Params, &Windows) -> Vec<Newest>;

/// A row of [`STRATEGIES`].
pub struct Strategy {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One sentence for help.
    pub doc: &'static str,
    /// Parameters of each stage.
    pub params: &'static [ParamSpec],
    /// The signal after each bar: the last buy or sell so far, `None` before the first.
    /// One output per bar; only bars up to that one are read.
    pub signals: fn(Bars<'_>, &Params) -> Vec<Signal>,
    /// The same for many windows of one series, faster than one by one and equal to it bit for bit
    /// (a test holds them together); `None` where nobody wrote it.
    pub windows: Option<NewestOfWindows>,
}

/// Windows of one series: for each end, the newest bars before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Bars in each window; fewer where the series has no more before the end.
    pub size: usize,
    /// Rows after the last one of each window, in order, at most the length of the series.
    pub ends: std::ops::Range<usize>,
    /// How many bars must carry a signal before it counts.
    pub confirmation: usize,
}

impl Strategy {
    /// The answer for each window.
    #[must_use]
    pub fn newest_of(&self, bars: Bars<'_>, params: &Params, windows: &Windows) -> Vec<Newest> {
        match self.windows {
            Some(together) => together(bars, params, windows),
            None => windows
                .ends
                .clone()
                .map(|end| {
                    let part = bars.part(end.saturating_sub(windows.size)..end);
                    newest(&(self.signals)(part, params), windows.confirmation)
                })
                .collect(),
        }
    }
}

impl std::fmt::Debug for Strategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Strategy {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Every strategy there is.
pub static STRATEGIES: &[Strategy] = &[keltner_channel::STRATEGY];

/// The strategy called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Strategy> {
    STRATEGIES.iter().find(|strategy| strategy.name == name)
}

/// Position or trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// On the asset's own price.
    Position,
    /// On its dominance.
    Trend,
}

impl Stage {
    /// `position` or `trend`, as in the keys of strategy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Trend => "trend",
        }
    }
}

impl Strategy {
    /// The key of a parameter in a strategy file: `position_kc_window`.
    #[must_use]
    pub fn key(stage: Stage, param: &ParamSpec) -> String {
        format!("{}_{}", stage.name(), param.name)
    }

    /// The defaults of one stage.
    #[must_use]
    pub fn defaults(&self) -> Params {
        Params(self.params.iter().map(|param| param.default).collect())
    }

    /// What a new strategy file holds: the defaults of both stages, zeros for a stablecoin.
    #[must_use]
    pub fn default_file(&self, is_stablecoin: bool) -> BTreeMap<String, f64> {
        [Stage::Position, Stage::Trend]
            .into_iter()
            .flat_map(|stage| {
                self.params.iter().map(move |param| {
                    (Self::key(stage, param), if is_stablecoin { 0.0 } else { param.default })
                })
            })
            .collect()
    }
}
