//! One question to a strategy, with everything its answer depends on.
//!
//! The same question has the same answer, so a simulation may remember it; it can never give another
//! one than working it out would.

use crate::candle::Window;
use crate::dominance::{DominanceFrame, Member};
use crate::signal::{Signal, confirmed};
use crate::strategy::{Params, Strategy};

/// The signals at the newest bar and at the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// At the newest closed bar.
    pub prev_1: Signal,
    /// At the bar before.
    pub prev_2: Signal,
}

/// The bars a strategy is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// An asset's own candles.
    Price(&'a Window),
    /// The dominance of one member among all.
    Dominance {
        /// Everybody's candles and caps.
        members: &'a [Member],
        /// Whose dominance.
        at: usize,
    },
}

/// A question to a strategy.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who is asked.
    pub strategy: &'static Strategy,
    /// With which parameters.
    pub params: &'a Params,
    /// How many bars must carry a signal before it counts.
    pub confirmation: usize,
    /// About what.
    pub asked: Asked<'a>,
}

impl Question<'_> {
    /// Works the answer out. `frame` is the one of the members, made once for all of them.
    pub(crate) fn answer(&self, frame: Option<&DominanceFrame<'_>>) -> Newest {
        let signals = match (&self.asked, frame) {
            (Asked::Price(window), _) => (self.strategy.signals)(window.bars(), self.params),
            (Asked::Dominance { at, .. }, Some(frame)) => {
                (self.strategy.signals)(frame.candles(*at).bars(), self.params)
            }
            (Asked::Dominance { members, at }, None) => {
                let frame = DominanceFrame::new(members);
                (self.strategy.signals)(frame.candles(*at).bars(), self.params)
            }
        };
        newest(&signals, self.confirmation)
    }
}

/// What counts at the newest bar and at the one before.
#[must_use]
pub fn newest(signals: &[Signal], confirmation: usize) -> Newest {
    Newest {
        prev_1: confirmed(signals, confirmation),
        prev_2: confirmed(&signals[..signals.len().saturating_sub(1)], confirmation),
    }
}
