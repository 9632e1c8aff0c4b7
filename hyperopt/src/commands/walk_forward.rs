//! `hyperopt walk-forward`.

use super::assets::Desk;
use super::interrupt;
use crate::cli::WalkForwardArgs;
use crate::failure::{Failure, chain};
use crate::output::{remark, say};
use hyperopt::walk_forward::{Plan, Scheme, WalkForward, WalkForwardError, walk_forward};
use keel_core::time::Timestamp;
use serde_json::{Value, json};

pub(crate) fn run(arguments: &WalkForwardArgs) -> Result<(), Failure> {
    let desk = Desk::open(&arguments.search)?;
    let stop = interrupt::flag()?;
    let schemes =
        arguments.scheme.map_or_else(|| vec![Scheme::Anchored, Scheme::Rolling], |s| vec![s]);
    let (mut replies, mut failed) = (Vec::new(), 0);
    for asset in &desk.assets {
        for stage in &desk.stages {
            let name = format!("{} {}", asset.ticker, stage.name());
            let result = desk.load(asset, *stage).and_then(|loaded| {
                schemes
                    .iter()
                    .map(|scheme| {
                        let plan = Plan {
                            scheme: *scheme,
                            windows: arguments.windows,
                            training_lengths: arguments.training.max(1),
                        };
                        let space = desk.space(*stage);
                        Ok(walk_forward(
                            &loaded.series,
                            &desk.rules,
                            space,
                            desk.loss,
                            plan,
                            &stop,
                        )?)
                    })
                    .collect::<Result<Vec<WalkForward>, super::assets::AnyError>>()
            });
            match result {
                Ok(walks) if arguments.json => replies.push(json!({
                    "asset": asset.ticker.to_string(), "stage": stage.name(), "walks": walks,
                })),
                Ok(walks) => {
                    for walk in &walks {
                        say(&table(&name, walk))?;
                    }
                }
                Err(error) => {
                    if matches!(error.downcast_ref(), Some(WalkForwardError::Interrupted)) {
                        return Err(Failure::Interrupted);
                    }
                    remark(&format!("{name} failed: {}", chain(error.as_ref())));
                    failed += 1;
                }
            }
        }
    }
    if arguments.json {
        say(&serde_json::to_string_pretty(&Value::Array(replies)).map_err(Failure::other)?)?;
    }
    if failed > 0 {
        return Err(Failure::Partly(format!("{failed} walks failed")));
    }
    Ok(())
}

fn table(name: &str, walk: &WalkForward) -> String {
    let scheme = match walk.scheme {
        Scheme::Anchored => "anchored",
        Scheme::Rolling => "rolling",
    };
    let mut lines = vec![format!("{name}, {scheme}")];
    for fold in &walk.folds {
        lines.push(format!(
            "  {} to {}: window={} mult={} atrs={}, loss {:.4} in training, {:.4} after; {} trades, profit {:.2} %",
            Timestamp::from_ms(fold.test_from_ms),
            Timestamp::from_ms(fold.test_to_ms),
            fold.window,
            fold.mult,
            fold.atrs,
            fold.train_loss,
            fold.test_loss,
            fold.test_trades,
            fold.test_profit * 100.0,
        ));
    }
    let efficiency =
        walk.efficiency.map_or_else(|| "unknown".to_owned(), |share| format!("{share:.2}"));
    lines.push(format!(
        "  all tests: profit {:.2} %, yearly Sharpe {:.2}, efficiency {efficiency}",
        walk.profit * 100.0,
        walk.daily.sharpe() * 365_f64.sqrt(),
    ));
    lines.join("\n")
}
