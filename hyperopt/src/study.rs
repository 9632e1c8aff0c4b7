//! A search from the first point to the best one, resumable.

use crate::backtest::{Series, run};
use crate::kernel::Kernel;
use crate::losses::{Loss, Seen};
use crate::outcome::{Outcome, Period};
use crate::partial::{Fingerprint, Partial};
use crate::rules::Rules;
use crate::samplers::{BATCH, History, Sampler, Visit};
use crate::search::{best, sweep};
use crate::space::Space;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What to search, how, and where to keep what was found.
#[derive(Clone, Copy, Debug)]
pub struct Study<'a> {
    /// The candles.
    pub series: &'a Series,
    /// The rules, checked.
    pub rules: &'a Rules,
    /// The points.
    pub space: &'a Space,
    /// What the outcomes are measured over.
    pub period: Period,
    /// What to make small.
    pub loss: &'a Loss,
    /// Which points to visit.
    pub sampler: &'a Sampler,
    /// How many of them, where the sampler does not visit all.
    pub epochs: usize,
    /// Seed of the sampler.
    pub seed: u64,
    /// File of the unfinished search; `None` keeps nothing.
    pub partial: Option<&'a Path>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Numbers of the points visited, ascending; `None` for all.
    pub visited: Option<Vec<usize>>,
    /// Their outcomes, in that order.
    pub outcomes: Vec<Outcome>,
    /// Their losses, in that order.
    pub losses: Vec<f64>,
    /// Place of the best.
    pub best: usize,
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// Stopped on the way; what was done is kept.
    #[error("interrupted")]
    Interrupted,
    /// Nothing ever trades.
    #[error(
        "no point of the space trades: the prices never leave the channel, or no candle has volume; use more data or another space"
    )]
    NoTrades,
    /// The file of the unfinished search.
    #[error("could not keep the unfinished search in {}", path.display())]
    Partial {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// No point is to be visited.
    #[error("0 epochs search nothing; give at least 1 with --epochs")]
    NoEpochs,
}

impl Found {
    /// The number of the point at a place.
    #[must_use]
    pub fn point(&self, place: usize) -> usize {
        self.visited.as_ref().map_or(place, |visited| visited[place])
    }

    /// Places in the order of their losses, at most `most` of them.
    #[must_use]
    pub fn ranking(&self, most: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.losses.len()).collect();
        let order =
            |a: &usize, b: &usize| self.losses[*a].total_cmp(&self.losses[*b]).then(a.cmp(b));
        if places.len() > most && most > 0 {
            places.select_nth_unstable_by(most - 1, order);
            places.truncate(most);
        }
        places.sort_by(order);
        places
    }
}

/// Runs the search. `progress` hears the outcomes as they come in, in no particular order; the
/// result does not depend on the number of threads.
///
/// # Errors
/// Stopped, nothing trades, or the unfinished search cannot be kept.
pub fn search(
    study: &Study<'_>,
    stop: &AtomicBool,
    progress: &(dyn Fn(&[Outcome]) + Sync),
) -> Result<Found, StudyError> {
    let mut kept = Kept::open(study)?;
    let (visited, outcomes) = match study.sampler.visit {
        Visit::All => (None, all(study, &mut kept, stop, progress)?),
        Visit::Suggested(suggest) => {
            let (points, outcomes) = suggested(study, suggest, &mut kept, stop, progress)?;
            (Some(points), outcomes)
        }
    };
    let seen = Seen::of(&outcomes, &study.period);
    let (place, _) =
        best(&outcomes, study.loss, &study.period, &seen).ok_or(StudyError::NoEpochs)?;
    if outcomes.iter().all(|outcome| outcome.trades == 0) {
        return Err(StudyError::NoTrades);
    }
    let losses =
        outcomes.iter().map(|outcome| study.loss.of(outcome, &study.period, &seen)).collect();
    Ok(Found { visited, outcomes, losses, best: place })
}

fn all(
    study: &Study<'_>,
    kept: &mut Kept,
    stop: &AtomicBool,
    progress: &(dyn Fn(&[Outcome]) + Sync),
) -> Result<Vec<Outcome>, StudyError> {
    let kernel = Kernel::new(study.series, study.rules, study.space, study.period);
    let [windows, atrs, mults] = study.space.sizes();
    let mut outcomes = Vec::with_capacity(study.space.len());
    // A window at a time: enough work to share, little enough to lose.
    for window in 0..windows {
        let first = outcomes.len();
        if let Some(known) = kept.take(first, atrs * mults) {
            progress(&known);
            outcomes.extend(known);
            continue;
        }
        let pairs = window * atrs..(window + 1) * atrs;
        let new = sweep(&kernel, pairs, mults, stop, progress).ok_or(StudyError::Interrupted)?;
        kept.append(first, &new)?;
        outcomes.extend(new);
    }
    Ok(outcomes)
}

type Suggest = fn(&Space, &History, &mut ChaCha8Rng) -> usize;

fn suggested(
    study: &Study<'_>,
    suggest: Suggest,
    kept: &mut Kept,
    stop: &AtomicBool,
    progress: &(dyn Fn(&[Outcome]) + Sync),
) -> Result<(Vec<usize>, Vec<Outcome>), StudyError> {
    let mut dice = ChaCha8Rng::seed_from_u64(study.seed);
    let mut history = History::default();
    let mut found = BTreeMap::new();
    let epochs = study.epochs.min(study.space.len());
    while found.len() < epochs {
        if stop.load(Ordering::Relaxed) {
            return Err(StudyError::Interrupted);
        }
        let mut batch = Vec::new();
        while batch.len() < BATCH.min(epochs - found.len()) {
            let point = suggest(study.space, &history, &mut dice);
            if history.suggest(point) {
                batch.push(point);
            }
        }
        let known: Vec<Option<Outcome>> =
            batch.iter().map(|point| kept.take(*point, 1).map(|known| known[0])).collect();
        let outcomes: Vec<Outcome> = batch
            .par_iter()
            .zip(&known)
            .map(|(point, known)| {
                known.unwrap_or_else(|| {
                    let params = study.space.params(*point);
                    run(study.series, params, study.rules, study.period).outcome
                })
            })
            .collect();
        progress(&outcomes);
        for ((point, outcome), known) in batch.iter().zip(&outcomes).zip(&known) {
            if known.is_none() {
                kept.append(*point, &[*outcome])?;
            }
            found.insert(*point, *outcome);
            // The best downside is not known before the end; without it the loss is still a fair
            // guide to where to look.
            history.learn(*point, study.loss.of(outcome, &study.period, &Seen::default()));
        }
    }
    Ok(found.into_iter().unzip())
}

/// The records of an earlier run and the file for more.
struct Kept {
    path: PathBuf,
    file: Option<Partial>,
    records: BTreeMap<usize, Vec<Outcome>>,
}

impl Kept {
    fn open(study: &Study<'_>) -> Result<Self, StudyError> {
        let Some(path) = study.partial else {
            return Ok(Self { path: PathBuf::new(), file: None, records: BTreeMap::new() });
        };
        let fingerprint = Fingerprint::of(study.series, study.rules, study.space);
        let (file, records) = Partial::open(path, fingerprint)
            .map_err(|source| StudyError::Partial { path: path.to_owned(), source })?;
        let records = records.into_iter().map(|record| (record.first, record.outcomes)).collect();
        Ok(Self { path: path.to_owned(), file: Some(file), records })
    }

    fn take(&mut self, first: usize, count: usize) -> Option<Vec<Outcome>> {
        if self.records.get(&first)?.len() == count { self.records.remove(&first) } else { None }
    }

    fn append(&mut self, first: usize, outcomes: &[Outcome]) -> Result<(), StudyError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.append(first, outcomes)
            .map_err(|source| StudyError::Partial { path: self.path.clone(), source })
    }
}
