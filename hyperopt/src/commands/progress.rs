//! The progress bar of a search.

use hyperopt::losses::{Loss, Seen};
use hyperopt::outcome::{Outcome, Period};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::time::Duration;

/// Counts points and shows the best loss so far.
pub(super) struct Progress<'a> {
    bar: ProgressBar,
    best: Mutex<f64>,
    loss: &'a Loss,
    period: Period,
}

impl<'a> Progress<'a> {
    pub(super) fn new(title: &str, points: usize, loss: &'a Loss, period: Period) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(points as u64),
            ProgressDrawTarget::stderr_with_hz(10),
        );
        let template = "{prefix} {bar:30} {human_pos}/{human_len} {per_sec} ETA {eta} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        Self { bar, best: Mutex::new(f64::INFINITY), loss, period }
    }

    pub(super) fn add(&self, outcomes: &[Outcome]) {
        let least = outcomes
            .iter()
            .map(|outcome| self.loss.of(outcome, &self.period, &Seen::default()))
            .min_by(f64::total_cmp);
        let mut best = self.best.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(least) = least
            && least < *best
        {
            *best = least;
            self.bar.set_message(format!("best {least:.6}"));
        }
        drop(best);
        self.bar.inc(outcomes.len() as u64);
    }

    /// Clears the bar and tells how long it stood.
    pub(super) fn finish(self) -> Duration {
        let elapsed = self.bar.elapsed();
        self.bar.finish_and_clear();
        elapsed
    }
}
