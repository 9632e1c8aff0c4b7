//! What strategies said, remembered by the exact bars they were asked about, so that a thousand runs
//! over one tape work each answer out once.
//!
//! A question that was never asked is worked out by the cycle itself, as in the daemon; an answer is
//! only given to the same question: the same rows of the same series, the same caps per price, the
//! same parameters.

use keel_core::amount::Qty;
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::limits::Depth;
use keel_core::plan::Markets;
use keel_core::policy::{AssetPolicy, Policy};
use keel_core::ports::{CapPoint, Clock as _, MarketData, PortError, PricePoint};
use keel_core::question::{Asked, Newest, Question};
use keel_core::strategy::Windows;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::tape::{ReplayMarket, Tape, TapeClock};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

/// Answers about one series: for each end of a window, in order.
#[derive(Debug)]
struct Table {
    /// Keeps the series where it lies, so that no other one can get its name.
    _series: Window,
    first_end: usize,
    answers: Vec<Newest>,
}

/// What a table is about: series, parameters, confirmation, size of the windows.
type TableKey = (usize, &'static str, Vec<u64>, usize, usize);

/// The bars of one member of a dominance frame: series, rows, and the bits of its cap per price.
type Part = (usize, usize, usize, u64);

/// A frame that trends were asked about.
#[derive(Debug)]
struct Frame {
    parts: Vec<Part>,
    /// Keep the series where they lie, so that no other ones can get their names.
    _windows: Vec<Window>,
    /// By place, strategy, parameters and confirmation.
    answers: BTreeMap<(usize, &'static str, Vec<u64>, usize), Newest>,
}

/// The answers of all runs over one tape; shared by threads.
#[derive(Debug, Default)]
pub struct Memory {
    tables: RwLock<BTreeMap<TableKey, Arc<Table>>>,
    /// By the end of the first member's window, which is nearly unique.
    frames: RwLock<BTreeMap<(usize, usize), Vec<Frame>>>,
}

fn bits(question: &Question<'_>) -> Vec<u64> {
    question.params.values().iter().map(|value| value.to_bits()).collect()
}

fn parts(question: &Question<'_>) -> Option<Vec<Part>> {
    let Asked::Dominance { members, .. } = question.asked else { return None };
    Some(
        members
            .iter()
            .map(|member| {
                let (series, rows) = member.window.identity();
                (series, rows.start, rows.end, member.cap_per_price.to_bits())
            })
            .collect(),
    )
}

impl Memory {
    /// Works out, on all cores, what the price signals of a policy say in every cycle.
    pub fn prepare(&self, tape: &Tape, policy: &Policy, moments: &[Timestamp]) {
        let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return };
        let known = |key: &TableKey| {
            self.tables.read().unwrap_or_else(PoisonError::into_inner).contains_key(key)
        };
        let made: Vec<(TableKey, Arc<Table>)> = policy
            .assets
            .par_iter()
            .filter_map(|asset| {
                let symbol = Symbol::new(asset.ticker.clone(), policy.stablecoin.clone());
                let series = tape
                    .venues
                    .get(&asset.venue)?
                    .candles
                    .get(&symbol)?
                    .get(&asset.position_interval)?;
                let whole = Window::whole(Arc::clone(series));
                let settings = &policy.settings;
                let key = (
                    whole.identity().0,
                    asset.strategy.name,
                    asset.position_params.values().iter().map(|value| value.to_bits()).collect(),
                    settings.signal_confirmation_cycles,
                    settings.indicator_history_size,
                );
                if known(&key) {
                    return None;
                }
                let ends: Range<usize> = series.closed_by(*first)..series.closed_by(*last) + 1;
                let windows = Windows {
                    size: settings.indicator_history_size,
                    ends: ends.clone(),
                    confirmation: settings.signal_confirmation_cycles,
                };
                let answers =
                    asset.strategy.newest_of(whole.bars(), &asset.position_params, &windows);
                Some((key, Arc::new(Table { _series: whole, first_end: ends.start, answers })))
            })
            .collect();
        self.tables.write().unwrap_or_else(PoisonError::into_inner).extend(made);
    }
}

/// Market data of a tape with a memory.
#[derive(Clone, Debug)]
pub struct RememberingMarket<'a> {
    market: ReplayMarket<'a>,
    clock: &'a TapeClock,
    memory: &'a Memory,
    history: usize,
    /// The tables that may answer this policy's questions, by series.
    tables: BTreeMap<usize, Vec<(TableKey, Arc<Table>)>>,
    /// Trends are asked again by other runs, so that remembering them pays.
    trends: bool,
}

impl<'a> RememberingMarket<'a> {
    /// `trends` says whether answers about dominance are kept for other runs.
    #[must_use]
    pub fn new(
        tape: &'a Tape,
        clock: &'a TapeClock,
        memory: &'a Memory,
        policy: &Policy,
        trends: bool,
    ) -> Self {
        let mut tables: BTreeMap<usize, Vec<(TableKey, Arc<Table>)>> = BTreeMap::new();
        let known = memory.tables.read().unwrap_or_else(PoisonError::into_inner);
        let settings = &policy.settings;
        let asked = |key: &TableKey| {
            (key.3, key.4) == (settings.signal_confirmation_cycles, settings.indicator_history_size)
        };
        for (key, table) in known.iter().filter(|(key, _)| asked(key)) {
            tables.entry(key.0).or_default().push((key.clone(), Arc::clone(table)));
        }
        let market = ReplayMarket::new(tape, clock);
        Self { market, clock, memory, history: settings.indicator_history_size, tables, trends }
    }

    fn price_answer(&self, question: &Question<'_>, window: &Window) -> Option<Newest> {
        let (series, rows) = window.identity();
        // Another size than the table's is another question, except at the start of the series.
        if rows.start != rows.end.saturating_sub(self.history) {
            return None;
        }
        let same = |key: &TableKey| {
            let params = question.params.values();
            key.1 == question.strategy.name
                && key.3 == question.confirmation
                && key.2.len() == params.len()
                && key.2.iter().zip(params).all(|(bits, value)| *bits == value.to_bits())
        };
        let (_, table) = self.tables.get(&series)?.iter().find(|(key, _)| same(key))?;
        table.answers.get(rows.end.checked_sub(table.first_end)?).copied()
    }
}

/// The place of a frame in the memory: where its first member's window ends, and its first row.
fn place(parts: &[Part]) -> (usize, usize) {
    parts.first().map_or((0, 0), |part| (part.2, part.1))
}

impl MarketData for RememberingMarket<'_> {
    async fn markets(&self, venue: &VenueId) -> Result<Arc<Markets>, PortError> {
        self.market.markets(venue).await
    }

    async fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        self.market.candles(venue, symbol, timeframe, limit).await
    }

    async fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        self.market.prices(venue, symbols).await
    }

    fn prices_are_recorded(&self) -> bool {
        self.market.prices_are_recorded()
    }

    async fn caps(&self, assets: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        self.market.caps(assets).await
    }

    async fn reference_prices(
        &self,
        assets: &[AssetPolicy],
    ) -> Result<BTreeMap<Ticker, PricePoint>, PortError> {
        self.market.reference_prices(assets).await
    }

    async fn peg(&self, stablecoin: &Ticker) -> Result<Option<PricePoint>, PortError> {
        self.market.peg(stablecoin).await
    }

    async fn depth(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        amount: Qty,
    ) -> Result<Depth, PortError> {
        self.market.depth(venue, symbol, amount).await
    }

    fn recall(&self, question: &Question<'_>) -> Option<Newest> {
        let Asked::Dominance { at, .. } = question.asked else {
            let Asked::Price(window) = question.asked else { return None };
            return self.price_answer(question, window);
        };
        if !self.trends {
            return None;
        }
        let parts = parts(question)?;
        let frames = self.memory.frames.read().unwrap_or_else(PoisonError::into_inner);
        let frame = frames.get(&place(&parts))?.iter().find(|frame| frame.parts == parts)?;
        let key = (at, question.strategy.name, bits(question), question.confirmation);
        frame.answers.get(&key).copied()
    }

    fn keep(&self, question: &Question<'_>, answer: Newest) {
        let Asked::Dominance { at, members } = question.asked else { return };
        let Some(parts) = parts(question).filter(|_| self.trends) else { return };
        let key = (at, question.strategy.name, bits(question), question.confirmation);
        let mut frames = self.memory.frames.write().unwrap_or_else(PoisonError::into_inner);
        let here = frames.entry(place(&parts)).or_default();
        match here.iter_mut().find(|frame| frame.parts == parts) {
            Some(frame) => {
                frame.answers.insert(key, answer);
            }
            None => here.push(Frame {
                parts,
                _windows: members.iter().map(|member| member.window.clone()).collect(),
                answers: BTreeMap::from([(key, answer)]),
            }),
        }
    }
}

impl RememberingMarket<'_> {
    /// The moment the tape stands at.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
