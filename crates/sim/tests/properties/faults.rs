//! Ports that fail on purpose, the same way for the same seed.

use crate::scenario::Dice;
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::{CandleSeries, Window};
use keel_core::limits::Depth;
use keel_core::order::{ClientOrderId, Intent, Outcome};
use keel_core::plan::Markets;
use keel_core::policy::AssetPolicy;
use keel_core::ports::{Broker, CapPoint, Clock, MarketData, PortError, PricePoint};
use keel_core::record::Execution;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use keel_sim::paper::PaperBroker;
use keel_sim::tape::{ReplayMarket, TapeClock};
use rust_decimal::Decimal;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// A question to a venue that can go unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Markets,
    Prices,
    Candles,
    Caps,
    Balances,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Refused,
    /// Executed, but the answer is lost.
    AnswerLost,
    /// Never arrived, and nobody knows.
    RequestLost,
}

/// What the stablecoin's own market says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peg {
    NoMarket,
    NoAnswer,
    Price { cents: i64, minutes_old: i64 },
}

/// What the venues say their prices are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quotes {
    Honest,
    NoAnswer,
    /// So many percent of the truth.
    Percent(i64),
}

/// Which questions fail and what happens to orders.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    seed: Option<u64>,
    /// Every order meets this fate; otherwise the seed decides.
    pub(crate) every_order: Option<Fate>,
    /// How long an order's outcome stays unknown.
    pub(crate) hours_unknown: i64,
    /// A venue whose balances cannot be read before a moment.
    pub(crate) unread_before: Option<(VenueId, Timestamp)>,
    /// From this moment on every venue answers that there are no candles.
    pub(crate) no_candles_from: Option<Timestamp>,
    /// Whose four-hour candles cannot be read, and when.
    pub(crate) unread_trends: Option<(BTreeSet<Ticker>, Range<Timestamp>)>,
    /// A venue that shows the newest candles only, and how many.
    pub(crate) keeps: Option<(VenueId, usize)>,
    /// What is said of the stablecoin from which moment on; before, no market tells.
    pub(crate) peg: Vec<(Timestamp, Peg)>,
    /// Prices are quotes of venues instead of recorded ones: which, from which moment on.
    pub(crate) quotes: Vec<(Timestamp, Quotes)>,
}

impl Faults {
    pub(crate) const fn none() -> Self {
        Self {
            seed: None,
            every_order: Some(Fate::Arrives),
            hours_unknown: 0,
            unread_before: None,
            no_candles_from: None,
            unread_trends: None,
            keeps: None,
            peg: Vec::new(),
            quotes: Vec::new(),
        }
    }

    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { seed: Some(seed), every_order: None, hours_unknown: 5, ..Self::none() }
    }

    /// Every order meets `fate`; nothing else goes wrong.
    pub(crate) fn all_orders(fate: Fate, hours_unknown: i64) -> Self {
        Self { every_order: Some(fate), hours_unknown, ..Self::none() }
    }

    fn dice(&self, now: Timestamp, words: &str) -> Option<Dice> {
        let seed = self.seed?;
        // A stream per moment and question; the sum only has to differ often enough.
        let stream = words.bytes().fold(now.ms().unsigned_abs(), |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        Some(Dice::new(seed ^ 0xfa17, stream))
    }

    /// Whether this question goes unanswered now.
    pub(crate) fn unanswered(&self, question: Question, venue: &str, now: Timestamp) -> bool {
        let odds = if question == Question::Candles { 60 } else { 15 };
        self.dice(now, &format!("{question:?} {venue}")).is_some_and(|mut dice| dice.one_in(odds))
    }

    fn fate(&self, intent: &Intent) -> Fate {
        if let Some(fate) = self.every_order {
            return fate;
        }
        let dice = self.dice(intent.created_at, intent.id.as_str());
        dice.map_or(Fate::Arrives, |mut dice| match dice.roll(12) {
            0 => Fate::Refused,
            1 => Fate::AnswerLost,
            2 => Fate::RequestLost,
            _ => Fate::Arrives,
        })
    }
}

/// What holds at a moment.
fn at<T>(timeline: &[(Timestamp, T)], now: Timestamp) -> Option<&T> {
    timeline.iter().rev().find(|(from, _)| *from <= now).map(|(_, what)| what)
}

/// Order books that empty once so many orders were sent.
#[derive(Default)]
pub(crate) struct Books {
    /// Markets against anything but this have empty books.
    pub(crate) only_against: Option<Ticker>,
    pub(crate) empty_after: usize,
    pub(crate) sent: Cell<usize>,
    /// Which books were read, and how many orders had been sent by then.
    pub(crate) reads: RefCell<Vec<(Symbol, usize)>>,
}

impl Books {
    /// A deep book around `middle`, or an empty one.
    fn read(&self, symbol: &Symbol, middle: Price) -> Depth {
        self.reads.borrow_mut().push((symbol.clone(), self.sent.get()));
        let is_thin = self.only_against.as_ref().is_some_and(|quote| symbol.quote != *quote);
        if is_thin || self.sent.get() >= self.empty_after {
            return Depth::Book { bids: Vec::new(), asks: Vec::new() };
        }
        let level = |thousandths: i64| {
            let price = Price::new(middle.get() * Decimal::new(thousandths, 3));
            vec![(price, Qty::new(Decimal::from(1_000_000_000_000_i64)))]
        };
        Depth::Book { bids: level(999), asks: level(1001) }
    }
}

/// A market that sometimes does not answer.
pub(crate) struct FaultyMarket<'a> {
    pub(crate) inner: &'a ReplayMarket<'a>,
    pub(crate) clock: &'a TapeClock,
    pub(crate) faults: &'a Faults,
    pub(crate) books: Option<&'a Books>,
}

impl FaultyMarket<'_> {
    fn ask(&self, question: Question, venue: &str) -> Result<(), PortError> {
        if self.faults.unanswered(question, venue, self.clock.now()) {
            return Err(PortError(format!("{question:?} of {venue}: no answer")));
        }
        Ok(())
    }
}

impl MarketData for FaultyMarket<'_> {
    async fn markets(&self, venue: &VenueId) -> Result<Arc<Markets>, PortError> {
        self.ask(Question::Markets, venue.as_str())?;
        self.inner.markets(venue).await
    }

    async fn candles(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        timeframe: Timeframe,
        limit: usize,
    ) -> Result<Window, PortError> {
        self.ask(Question::Candles, &format!("{venue} {symbol}"))?;
        if self.faults.no_candles_from.is_some_and(|from| self.clock.now() >= from) {
            return Ok(Window::whole(Arc::new(CandleSeries::empty(timeframe))));
        }
        if let Some((tickers, when)) = &self.faults.unread_trends
            && timeframe == Timeframe::H4
            && tickers.contains(&symbol.base)
            && when.contains(&self.clock.now())
        {
            return Err(PortError(format!("four-hour candles of {symbol}: no answer")));
        }
        let limit = self.history_max(venue).map_or(limit, |most| most.min(limit));
        self.inner.candles(venue, symbol, timeframe, limit).await
    }

    fn history_max(&self, venue: &VenueId) -> Option<usize> {
        self.faults.keeps.as_ref().filter(|(keeps, _)| keeps == venue).map(|(_, most)| *most)
    }

    async fn prices(
        &self,
        venue: &VenueId,
        symbols: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        self.ask(Question::Prices, venue.as_str())?;
        let mut prices = self.inner.prices(venue, symbols).await?;
        match at(&self.faults.quotes, self.clock.now()) {
            None | Some(Quotes::Honest) => {}
            Some(Quotes::NoAnswer) => return Err(PortError("no answer".to_owned())),
            Some(Quotes::Percent(percent)) => {
                for point in prices.iter_mut().flatten() {
                    point.price = Price::new(point.price.get() * Decimal::new(*percent, 2));
                }
            }
        }
        Ok(prices)
    }

    fn prices_are_recorded(&self) -> bool {
        self.faults.quotes.is_empty()
    }

    async fn caps(&self, assets: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        self.ask(Question::Caps, "caps")?;
        self.inner.caps(assets).await
    }

    async fn depth(&self, venue: &VenueId, symbol: &Symbol, _: Qty) -> Result<Depth, PortError> {
        let Some(books) = self.books else { return Ok(Depth::NotRecorded) };
        let middle = self.inner.prices(venue, std::slice::from_ref(symbol)).await?[0].unwrap();
        Ok(books.read(symbol, middle.price))
    }

    async fn peg(&self, _: &Ticker) -> Result<Option<PricePoint>, PortError> {
        let now = self.clock.now();
        match at(&self.faults.peg, now) {
            None | Some(Peg::NoMarket) => Ok(None),
            Some(Peg::NoAnswer) => Err(PortError("no answer".to_owned())),
            Some(Peg::Price { cents, minutes_old }) => {
                let price = Price::new(Decimal::new(*cents, 2));
                Ok(Some(PricePoint { price, as_of: now.plus_ms(-minutes_old * 60_000) }))
            }
        }
    }
}

/// A broker whose answers get lost.
pub(crate) struct FaultyBroker<'a, M> {
    pub(crate) inner: PaperBroker<'a, M>,
    clock: &'a TapeClock,
    faults: &'a Faults,
    /// Every order that was sent, in order.
    pub(crate) placed: Vec<ClientOrderId>,
    /// What the account really did, whether or not it was told.
    pub(crate) executed: Vec<Execution>,
    /// What is true of orders whose answer was lost, and from when on the venue says it.
    hidden: BTreeMap<ClientOrderId, (Outcome, Timestamp)>,
    /// How often balances were asked for, and at which moment.
    asked: RefCell<(Timestamp, BTreeMap<VenueId, usize>)>,
}

impl<'a, M: MarketData> FaultyBroker<'a, M> {
    pub(crate) const fn new(
        inner: PaperBroker<'a, M>,
        clock: &'a TapeClock,
        faults: &'a Faults,
    ) -> Self {
        Self {
            inner,
            clock,
            faults,
            placed: Vec::new(),
            executed: Vec::new(),
            hidden: BTreeMap::new(),
            asked: RefCell::new((Timestamp::from_ms(0), BTreeMap::new())),
        }
    }

    /// How often this was asked before at this moment.
    fn asked_before(&self, venue: &VenueId, now: Timestamp) -> usize {
        let mut asked = self.asked.borrow_mut();
        if asked.0 != now {
            *asked = (now, BTreeMap::new());
        }
        let times = asked.1.entry(venue.clone()).or_default();
        *times += 1;
        *times - 1
    }

    async fn execute(&mut self, intent: &Intent) -> Outcome {
        let outcome = self.inner.place(intent).await;
        self.executed.push(Execution { intent: intent.clone(), outcome: outcome.clone() });
        outcome
    }

    fn hide(&mut self, intent: &Intent, truth: Outcome) -> Outcome {
        let known_from = self.clock.now().plus_ms(self.faults.hours_unknown * Timeframe::H1.ms());
        self.hidden.insert(intent.id.clone(), (truth, known_from));
        Outcome::Unknown { cause: "the connection was cut".to_owned() }
    }
}

impl<M: MarketData> Broker for FaultyBroker<'_, M> {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        let now = self.clock.now();
        let unread = |(unread, until): &(VenueId, Timestamp)| unread == venue && now < *until;
        // The first answer of a cycle says nothing about the later ones.
        let question = match self.asked_before(venue, now) {
            0 => venue.to_string(),
            times => format!("{venue} again {times}"),
        };
        if self.faults.unread_before.as_ref().is_some_and(unread)
            || self.faults.unanswered(Question::Balances, &question, now)
        {
            return Err(PortError(format!("balances of {venue}: no answer")));
        }
        self.inner.balances(venue).await
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        self.placed.push(intent.id.clone());
        match self.faults.fate(intent) {
            Fate::Arrives => self.execute(intent).await,
            Fate::Refused => Outcome::Rejected { reason: "refused on purpose".to_owned() },
            Fate::AnswerLost => {
                let truth = self.execute(intent).await;
                self.hide(intent, truth)
            }
            Fate::RequestLost => {
                let truth = Outcome::Rejected { reason: "no such order".to_owned() };
                self.hide(intent, truth)
            }
        }
    }

    async fn look_up(&mut self, intent: &Intent) -> Outcome {
        let now = self.clock.now();
        match self.hidden.get(&intent.id) {
            Some((truth, from)) if now >= *from => truth.clone(),
            _ => Outcome::Unknown { cause: "no answer yet".to_owned() },
        }
    }
}
