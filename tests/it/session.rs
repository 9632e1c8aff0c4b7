//! The loop on live markets, in a world that never answers.

use crate::desk::config;
use keel::desk::DeskContext;
use keel::exit::Code;
use keel::journal::{Durability, Journal, Mode, NewJournal};
use keel::live::controls::Controls;
use keel::live::gate::Gate;
use keel::live::reporter::Reporter;
use keel::live::session::{Account, Feed, Findings, Session};
use keel_config::{Config, Reloader};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::Window;
use keel_core::order::{Intent, Outcome};
use keel_core::plan::Markets;
use keel_core::policy::{AssetPolicy, Policy};
use keel_core::ports::{Broker, CapPoint, Clock as _, MarketData, PortError, PricePoint};
use keel_core::state::{Balance, State};
use keel_core::time::{Timeframe, Timestamp};
use keel_live::market::{ClockReading, Want};
use keel_live::time::MachineTime;
use keel_telegram::Notifier;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// From when on nothing is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Silent {
    Comparison,
    ReadingAhead,
    Cycle,
}

impl MarketData for Silent {
    async fn markets(&self, _: &VenueId) -> Result<Arc<Markets>, PortError> {
        pending().await
    }

    async fn candles(
        &self,
        _: &VenueId,
        _: &Symbol,
        _: Timeframe,
        _: usize,
    ) -> Result<Window, PortError> {
        pending().await
    }

    async fn prices(
        &self,
        _: &VenueId,
        _: &[Symbol],
    ) -> Result<Vec<Option<PricePoint>>, PortError> {
        pending().await
    }

    async fn caps(&self, _: &[AssetPolicy]) -> Result<BTreeMap<Ticker, CapPoint>, PortError> {
        pending().await
    }
}

impl Feed for Silent {
    async fn prepare(&self, _: &Policy, _: &State, _: Timestamp) {
        if *self == Self::ReadingAhead {
            pending().await
        }
    }

    fn doubt_markets(&self, _: &VenueId) {}

    fn take_notes(&self) -> Vec<String> {
        Vec::new()
    }

    fn in_use(&self, _: &Policy) -> Vec<(Want, Window)> {
        Vec::new()
    }

    fn refused_caps(&self) -> BTreeMap<Ticker, String> {
        BTreeMap::new()
    }

    fn clocks(&self) -> BTreeMap<VenueId, ClockReading> {
        BTreeMap::new()
    }
}

impl Broker for Silent {
    async fn balances(&self, _: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        pending().await
    }

    async fn place(&mut self, _: &Intent) -> Outcome {
        pending().await
    }

    async fn look_up(&mut self, _: &Intent) -> Outcome {
        pending().await
    }
}

impl Account for Silent {
    async fn reconcile(&mut self, _: &BTreeSet<String>) -> Findings {
        match self {
            Self::Comparison => pending().await,
            _ => Findings::default(),
        }
    }

    fn halted(&self) -> BTreeMap<VenueId, String> {
        BTreeMap::new()
    }

    fn watch(&mut self, _: &Config) {}
}

/// In time that a test moves: a quarter of an hour is over at once.
#[test]
fn a_step_that_never_ends_ends_the_process() {
    for silent in [Silent::Comparison, Silent::ReadingAhead, Silent::Cycle] {
        let place = TempDir::new().unwrap();
        let config = config(place.path());
        let new = NewJournal { mode: Mode::Paper, deployment: "test".to_owned() };
        let (journal, _) =
            Journal::open(&config.paths.journal, &new, Durability::EachWrite).unwrap();
        let desk = Arc::new(Mutex::new(DeskContext::new(config.clone(), MachineTime.now())));
        let controls = Arc::new(Controls::new(&config.paths.journal));
        let session = Session {
            clock: &MachineTime,
            market: &silent,
            broker: Gate::new(silent, Arc::clone(&controls)),
            journal,
            tags: BTreeMap::new(),
            mode: Mode::Paper,
            state: State::default(),
            config: Reloader::new(config.clone()),
            load: &|| Ok(config.clone()),
            controls,
            reporter: Reporter::new(Notifier::disabled(), desk),
            cycles: None,
            is_paused: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let failure = runtime.block_on(session.run()).unwrap_err();
        assert_eq!(failure.code, Code::Failed, "{silent:?}");
        let text = &failure.message;
        assert!(text.contains("did not end within 15 minutes; start again"), "{silent:?}: {text}");
    }
}
