//! Forward tests: parameters searched on one period, applied to the next, window after window.
//!
//! The account is carried from window to window with what it holds, so the out-of-sample curve is
//! one run that pays for every change of parameters. Beside each window stands what the same
//! parameters earned on the period they come from.

mod search;

pub use search::{Search, SearchError};

use crate::backtesting::History;
use crate::recorded;
use keel_backtest::engine::{self, Scenario};
use keel_backtest::statistics::Statistics;
use keel_core::policy::Policy;
use keel_core::ports::StoreError;
use keel_core::strategy::{Params, Stage};
use keel_core::time::Timestamp;
use keel_report::recorder::Recorder;
use keel_report::story::Story;
use keel_sim::memory::MemoryStore;
use serde::Serialize;
use std::collections::BTreeMap;

/// A period to search and the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First moment of the search.
    pub train_from: Timestamp,
    /// End of the search and begin of the test.
    pub split: Timestamp,
    /// End of the test; not part of it.
    pub end: Timestamp,
}

/// The windows of a range: the first test begins `train_ms` after `start`; a last test that would be
/// shorter than half of `test_ms` is left out.
#[must_use]
pub fn windows(start: Timestamp, end: Timestamp, train_ms: i64, test_ms: i64) -> Vec<Window> {
    let mut found = Vec::new();
    let mut split = start.plus_ms(train_ms);
    while end.since_ms(split) * 2 >= test_ms {
        let until = split.plus_ms(test_ms).min(end);
        found.push(Window { train_from: split.plus_ms(-train_ms), split, end: until });
        split = until;
    }
    found
}

/// Where the parameters of a candidate come from.
#[derive(Debug)]
pub enum Parameters {
    /// Searched anew before each window.
    Searched(Box<Search>),
    /// The same in every window: position and trend of each asset, in the order of the policy.
    Fixed(Vec<[Params; 2]>),
}

/// A portfolio with a source of parameters.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// Its name in the table and of its directory.
    pub name: String,
    /// Configuration and data.
    pub history: &'a History,
    /// Its parameters.
    pub parameters: Parameters,
}

/// The parameters of one asset in one window.
pub type Chosen = BTreeMap<String, [Params; 2]>;

/// One window, tested.
#[derive(Clone, Debug, Serialize)]
pub struct Tested {
    /// First moment of the search.
    pub train_from: String,
    /// Begin of the test.
    pub split: String,
    /// End of the test.
    pub end: String,
    /// What the parameters earned where they were searched.
    pub inside: Statistics,
    /// What they earned afterwards.
    pub outside: Statistics,
    /// Settings that were tried.
    pub tried: u64,
    /// What the search had to say.
    pub notes: Vec<String>,
    /// The parameters, by asset.
    #[serde(skip)]
    pub chosen: Chosen,
}

/// A candidate, tested in every window.
#[derive(Debug)]
pub struct Result {
    /// Its name.
    pub name: String,
    /// The windows.
    pub windows: Vec<Tested>,
    /// The tests as one run.
    pub story: Story,
    /// Figures of that run.
    pub outside: Statistics,
    /// Mean Sharpe ratio where the parameters were searched, weighted by days.
    pub inside_sharpe: Option<f64>,
    /// Mean daily return where the parameters were searched.
    pub inside_daily: Option<f64>,
}

impl Result {
    /// Mean daily return of the tests over that of the searches; `None` when the searches lost.
    #[must_use]
    pub fn kept(&self) -> Option<f64> {
        let inside = self.inside_daily.filter(|inside| *inside > 0.0)?;
        Some(self.outside.expectancy? / inside)
    }
}

/// Why a test ended early.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The paper account could not be carried over.
    #[error("the paper account between two windows is damaged")]
    Account(#[source] serde_json::Error),
    /// A run failed.
    #[error(transparent)]
    Run(#[from] StoreError),
}

/// Tests a candidate. `progress` hears the number of finished windows.
///
/// # Errors
/// Never in practice: nothing is written.
pub fn test(
    candidate: &Candidate<'_>,
    windows: &[Window],
    progress: &mut dyn FnMut(usize),
) -> std::result::Result<Result, ForwardError> {
    let history = candidate.history;
    let base = &history.config.policy;
    let mut story = Story::new(candidate.name.clone(), "forward test", base);
    let mut account = history.scenario(String::new()).account;
    let mut tested = Vec::new();
    let mut last_run = None;
    for (number, window) in windows.iter().enumerate() {
        let (params, tried, notes) = match &candidate.parameters {
            Parameters::Fixed(params) => (params.clone(), 0, Vec::new()),
            Parameters::Searched(search) => {
                let found = search.best(history, window);
                (found.params, found.tried, found.notes)
            }
        };
        let policy = with(base, &params);
        let inside = {
            let moments = moments(&policy, window.train_from, window.split);
            let scenario = Scenario {
                deposits: Vec::new(),
                ..history.scenario_with("search".to_owned(), &policy, &moments)
            };
            engine::run(&scenario)?.statistics
        };
        let moments = moments(&policy, window.split, window.end);
        let scenario = Scenario {
            account: account.clone(),
            deposits: Vec::new(),
            deployment: format!("forward-{number}"),
            ..history.scenario_with(candidate.name.clone(), &policy, &moments)
        };
        let mut recorder = Recorder::<MemoryStore>::new(story, None);
        let (run, _, checkpoint) = engine::run_into(&scenario, &mut recorder, &mut |_| {})?;
        story = recorder.story;
        if let Some(checkpoint) = checkpoint {
            account = serde_json::from_str(&checkpoint).map_err(ForwardError::Account)?;
        }
        let chosen = base.assets.iter().map(|asset| asset.ticker.to_string()).zip(params).collect();
        tested.push(Tested {
            train_from: window.train_from.to_string(),
            split: window.split.to_string(),
            end: window.end.to_string(),
            inside,
            outside: run.statistics.clone(),
            tried,
            notes,
            chosen,
        });
        last_run = Some(run);
        progress(number + 1);
    }
    Ok(finish(candidate, tested, story, last_run.as_ref()))
}

fn finish(
    candidate: &Candidate<'_>,
    windows: Vec<Tested>,
    mut story: Story,
    last_run: Option<&keel_backtest::Run>,
) -> Result {
    let history = candidate.history;
    if let Some(run) = last_run {
        recorded::complete(&mut story, &history.config, &history.recording.tape, run);
    }
    let cost =
        keel_core::amount::Qty::new(crate::simulation::cost_models(&history.config).trade_cost())
            .to_f64();
    // The benchmarks of the last window know nothing of the ones before.
    story.benchmarks = keel_report::benchmark::from_records(&story, cost);
    // Parameters change from window to window, so channels with one set of them would mislead.
    if matches!(candidate.parameters, Parameters::Searched(_)) {
        story.channels.clear();
        story.honesty.in_sample = Some(false);
        story.honesty.settings_tried = Some(windows.iter().map(|window| window.tried).sum());
        story.facts.retain(|(name, _)| !story.assets.iter().any(|asset| asset.ticker == *name));
    }
    for window in &windows {
        let of = |statistics: &Statistics| format!("{:+.2} %", statistics.total_return * 100.0);
        story.facts.push((
            format!("window from {}", &window.split[..10]),
            format!(
                "searched from {}, {} settings tried; {} where searched, {} to {}",
                &window.train_from[..10],
                window.tried,
                of(&window.inside),
                of(&window.outside),
                &window.end[..10]
            ),
        ));
        story.notes.extend(window.notes.iter().cloned());
    }
    let outside = keel_report::figures::lines(&story)
        .into_iter()
        .next()
        .map_or_else(Statistics::default, |line| line.figures);
    Result {
        name: candidate.name.clone(),
        inside_sharpe: mean(&windows, |statistics| statistics.sharpe),
        inside_daily: mean(&windows, |statistics| statistics.expectancy),
        windows,
        story,
        outside,
    }
}

/// The mean of a figure of the searches, weighted by their days.
fn mean(windows: &[Tested], figure: fn(&Statistics) -> Option<f64>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "days of a few centuries")]
    let weighted: Vec<(f64, f64)> = windows
        .iter()
        .filter_map(|window| Some((figure(&window.inside)?, window.inside.days as f64)))
        .collect();
    let days: f64 = weighted.iter().map(|(_, days)| days).sum();
    let sum: f64 = weighted.iter().map(|(value, days)| value * days).sum();
    (days > 0.0).then(|| sum / days)
}

/// The moments from `from` to before `to`.
fn moments(policy: &Policy, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    engine::moments(from, to.plus_ms(-1), engine::step(&policy.assets)).collect()
}

/// The policy with other parameters.
fn with(base: &Policy, params: &[[Params; 2]]) -> Policy {
    let mut policy = base.clone();
    for (asset, [position, trend]) in policy.assets.iter_mut().zip(params) {
        asset.position_params = position.clone();
        asset.trend_params = trend.clone();
    }
    policy
}

/// The parameters of a policy as they stand.
#[must_use]
pub fn as_configured(policy: &Policy) -> Vec<[Params; 2]> {
    let of = |asset: &keel_core::policy::AssetPolicy| {
        [asset.position_params.clone(), asset.trend_params.clone()]
    };
    policy.assets.iter().map(of).collect()
}

/// The content of a strategy file with these parameters.
#[must_use]
pub fn strategy_file(
    asset: &keel_core::policy::AssetPolicy,
    [position, trend]: &[Params; 2],
) -> BTreeMap<String, f64> {
    [(Stage::Position, position), (Stage::Trend, trend)]
        .into_iter()
        .flat_map(|(stage, params)| {
            asset
                .strategy
                .params
                .iter()
                .zip(params.values())
                .map(move |(spec, value)| (keel_core::strategy::Strategy::key(stage, spec), *value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_is_tested_after_the_days_it_was_searched_on() {
        const DAY: i64 = 86_400_000;
        let start: Timestamp = "2024-01-01".parse().unwrap();
        let found = windows(start, start.plus_ms(100 * DAY), 40 * DAY, 25 * DAY);
        assert_eq!(found.len(), 2, "ten days are less than half a test");
        for pair in found.windows(2) {
            assert_eq!(pair[0].end, pair[1].split, "no day is left out or tested twice");
        }
        for window in &found {
            assert_eq!(window.split.since_ms(window.train_from), 40 * DAY);
            assert!(window.end > window.split);
        }
        assert_eq!(windows(start, start.plus_ms(30 * DAY), 40 * DAY, 25 * DAY), []);
    }
}
