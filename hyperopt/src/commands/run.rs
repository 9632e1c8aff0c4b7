//! `hyperopt run`: both stages of each asset, its strategy file and the report.

use super::assets::{AnyError, Desk, Loaded};
use super::interrupt;
use super::progress::Progress;
use crate::cli::RunArgs;
use crate::failure::{Failure, chain};
use crate::output::{remark, say};
use hyperopt::partial::Fingerprint;
use hyperopt::report::{self, Section};
use hyperopt::results::{
    Point, StudyRecord, point, read_records, write_record, write_text, write_trials,
};
use hyperopt::robustness::{Searched, assess};
use hyperopt::samplers::{self, SAMPLERS, Sampler, Visit};
use hyperopt::study::{Study, StudyError, search};
use hyperopt::walk_forward::{Plan, Scheme, WalkForward, WalkForwardError, walk_forward};
use keel_core::policy::AssetPolicy;
use keel_core::strategy::{Stage, Strategy};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

const TOP: usize = 20;

pub(crate) fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let desk = Desk::open(&arguments.search)?;
    let sampler = samplers::find(&arguments.sampler).ok_or_else(|| {
        let names: Vec<&str> = SAMPLERS.iter().map(|sampler| sampler.name).collect();
        let seen = &arguments.sampler;
        Failure::input(format!("`{seen}` is not a sampler; expected one of {}", names.join(", ")))
    })?;
    std::fs::create_dir_all(desk.results()).map_err(|error| {
        Failure::input(format!("could not make {}: {error}", desk.results().display()))
    })?;
    let stop = interrupt::flag()?;
    let mut run = Run { desk: &desk, arguments, sampler, stop: &stop, sections: Vec::new() };
    let mut failed = 0;
    for asset in &desk.assets {
        match run.asset(asset) {
            Ok(true) => {}
            Ok(false) => failed += 1,
            Err(failure) => {
                run.report()?;
                return Err(failure);
            }
        }
    }
    run.report()?;
    if failed > 0 {
        let all = desk.assets.len();
        return Err(Failure::Partly(format!("{failed} of {all} assets have no new strategy file")));
    }
    Ok(())
}

struct Run<'a> {
    desk: &'a Desk,
    arguments: &'a RunArgs,
    sampler: &'static Sampler,
    stop: &'a AtomicBool,
    sections: Vec<Section>,
}

impl Run<'_> {
    /// Searches the stages of an asset; true if nothing went wrong and nothing was refused.
    fn asset(&mut self, asset: &AssetPolicy) -> Result<bool, Failure> {
        let mut records = BTreeMap::new();
        let mut is_whole = true;
        for stage in &self.desk.stages {
            match self.stage(asset, *stage) {
                Ok(record) => {
                    records.insert(*stage, record);
                }
                Err(StageError::Interrupted) => return Err(Failure::Interrupted),
                Err(StageError::Failed(error)) => {
                    let stage = stage.name();
                    remark(&format!("{} {stage} failed: {}", asset.ticker, chain(error.as_ref())));
                    is_whole = false;
                }
            }
        }
        let [Some(position), Some(trend)] =
            [Stage::Position, Stage::Trend].map(|stage| records.get(&stage))
        else {
            if is_whole {
                let ticker = &asset.ticker;
                say(&format!("{ticker}: no strategy file, it needs both stages"))?;
            }
            return Ok(is_whole);
        };
        self.write_strategy(asset, position, trend)
    }

    fn stage(&mut self, asset: &AssetPolicy, stage: Stage) -> Result<StudyRecord, StageError> {
        let loaded = self.desk.load(asset, stage)?;
        let name = format!("{}-{}", asset.ticker, stage.name());
        let directory = self.desk.results().join(&name);
        std::fs::create_dir_all(&directory).map_err(AnyError::from)?;
        let partial = directory.join("partial.bin");
        let space = self.desk.space(stage);
        let study = Study {
            series: &loaded.series,
            rules: &self.desk.rules,
            space,
            period: loaded.period,
            loss: self.desk.loss,
            sampler: self.sampler,
            epochs: self.arguments.epochs,
            seed: self.arguments.random_state,
            partial: Some(&partial),
        };
        let points = match self.sampler.visit {
            Visit::All => space.len(),
            Visit::Suggested(_) => self.arguments.epochs.min(space.len()),
        };
        let progress = Progress::new(&name, points, self.desk.loss, loaded.period);
        let found = search(&study, self.stop, &|outcomes| progress.add(outcomes));
        let elapsed = progress.finish();
        let found = found?;
        let searched = Searched {
            series: &loaded.series,
            rules: &self.desk.rules,
            space,
            visited: found.visited.as_deref(),
            outcomes: &found.outcomes,
            period: &loaded.period,
            loss: self.desk.loss,
            best: found.best,
        };
        let robustness = assess(&searched);
        let walks = self.walks(&loaded, stage)?;
        let refusal = robustness.verdict().err().map_or_else(Vec::new, |refusal| refusal.reasons);
        let top: Vec<Point> = found
            .ranking(TOP)
            .into_iter()
            .map(|place| point(&found, space, &loaded.period, place))
            .collect();
        let record = StudyRecord {
            asset: asset.ticker.to_string(),
            stage: stage.name().to_owned(),
            timeframe: loaded.timeframe.name().to_owned(),
            loss: self.desk.loss.name.to_owned(),
            sampler: self.sampler.name.to_owned(),
            points: space.len(),
            visited: found.outcomes.len(),
            first_ms: loaded.period.first_ms,
            last_ms: loaded.period.last_ms,
            fee: self.desk.rules.fee,
            top,
            robustness,
            walk_forward: walks,
            refusal,
            fingerprint: Fingerprint::of(&loaded.series, &self.desk.rules, space).hex(),
        };
        write_trials(&directory, &found, space, &loaded.period).map_err(AnyError::from)?;
        write_record(&directory, &record).map_err(AnyError::from)?;
        // The finished results are on disk, so the unfinished ones are of no more use.
        std::fs::remove_file(&partial).map_err(AnyError::from)?;
        tell(&record, elapsed.as_secs_f64())?;
        self.sections.push(report::section(&searched, &found, &record));
        Ok(record)
    }

    fn walks(&self, loaded: &Loaded, stage: Stage) -> Result<Vec<WalkForward>, StageError> {
        if self.arguments.no_walk_forward {
            return Ok(Vec::new());
        }
        let mut walks = Vec::new();
        for scheme in [Scheme::Anchored, Scheme::Rolling] {
            let desk = self.desk;
            let plan = Plan::usual(scheme);
            match walk_forward(
                &loaded.series,
                &desk.rules,
                desk.space(stage),
                desk.loss,
                plan,
                self.stop,
            ) {
                Ok(walk) => walks.push(walk),
                Err(WalkForwardError::Interrupted) => return Err(StageError::Interrupted),
                Err(error) => {
                    remark(&format!("no walk-forward: {error}"));
                    break;
                }
            }
        }
        Ok(walks)
    }

    fn write_strategy(
        &self,
        asset: &AssetPolicy,
        position: &StudyRecord,
        trend: &StudyRecord,
    ) -> Result<bool, Failure> {
        let path = self.strategy_path(asset);
        let must_be_robust = self.arguments.require_robust || path.exists();
        let reasons: Vec<String> = [position, trend]
            .into_iter()
            .flat_map(|record| {
                record.refusal.iter().map(|reason| format!("{} {reason}", record.stage))
            })
            .collect();
        if must_be_robust && !self.arguments.force && !reasons.is_empty() {
            remark(&format!(
                "{}: {} is left as it is, not robust: {}; --force writes it anyway",
                asset.ticker,
                path.display(),
                reasons.join("; ")
            ));
            return Ok(false);
        }
        let mut values = BTreeMap::new();
        for (stage, record) in [(Stage::Position, position), (Stage::Trend, trend)] {
            let best = record.top[0];
            for param in asset.strategy.params {
                let value = match param.name {
                    "kc_window" => f64::from(best.window),
                    "kc_atr" => f64::from(best.atrs),
                    "kc_mult" => best.mult,
                    _ => param.default,
                };
                values.insert(Strategy::key(stage, param), value);
            }
        }
        if let Err(error) = write_file(&path, &values) {
            remark(&format!("{}: could not write {}: {error}", asset.ticker, path.display()));
            return Ok(false);
        }
        let doubt = if reasons.is_empty() {
            String::new()
        } else {
            format!(" (not robust: {})", reasons.join("; "))
        };
        say(&format!("{}: wrote {}{doubt}", asset.ticker, path.display()))?;
        Ok(true)
    }

    fn strategy_path(&self, asset: &AssetPolicy) -> PathBuf {
        let name = format!("{}_strategy.json", asset.ticker);
        if let Some(directory) = &self.arguments.strategies {
            return directory.join(name);
        }
        let config = &self.desk.config;
        let named = config.strategy_files.iter().find(|file| file.ticker == asset.ticker);
        named.map_or_else(|| config.paths.strategies_dir.join(name), |file| file.path.clone())
    }

    fn report(&self) -> Result<(), Failure> {
        if self.sections.is_empty() {
            return Ok(());
        }
        let path = self.desk.results().join("report.html");
        write_text(&path, &report::page(&self.sections)).map_err(Failure::other)?;
        let count = read_records(self.desk.results()).map_err(Failure::other)?.len();
        say(&format!("report: {}; {count} searches kept, see `hyperopt list`", path.display()))
    }
}

fn write_file(path: &std::path::Path, values: &BTreeMap<String, f64>) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    keel_config::write_strategy(path, values)
}

fn tell(record: &StudyRecord, seconds: f64) -> Result<(), Failure> {
    let best = record.top[0];
    let robustness = &record.robustness;
    let pbo = robustness
        .overfitting
        .map_or_else(|| "unknown".to_owned(), |judged| format!("{:.3}", judged.probability));
    #[expect(clippy::cast_precision_loss, reason = "a count for the eye")]
    let per_second = record.visited as f64 / seconds.max(1e-9);
    say(&format!(
        "{} {} {}: window={} mult={} atrs={}, loss {:.6}, {} trades, profit {:.2}; PBO {pbo}, DSR {:.3}; {} points in {seconds:.1} s ({per_second:.0}/s)",
        record.asset,
        record.stage,
        record.timeframe,
        best.window,
        best.mult,
        best.atrs,
        best.loss,
        best.trades,
        best.profit,
        robustness.dsr,
        record.visited,
    ))
}

enum StageError {
    Interrupted,
    Failed(AnyError),
}

impl From<AnyError> for StageError {
    fn from(error: AnyError) -> Self {
        Self::Failed(error)
    }
}

impl From<StudyError> for StageError {
    fn from(error: StudyError) -> Self {
        match error {
            StudyError::Interrupted => Self::Interrupted,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<Failure> for StageError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.to_string().into())
    }
}
