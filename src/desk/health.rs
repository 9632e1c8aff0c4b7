//! `/health`: whether everything works.

use super::{DeskContext, ago, held, minute, trading};
use crate::journal::{JournalError, Reader};
use keel_core::time::Timestamp;
use keel_telegram::Answer;

/// A cycle that is later than so many pauses is late.
const PAUSES_LATE: i64 = 3;
/// Nor is it late before this, since a cycle takes time itself.
const LATE_MIN_MS: i64 = 180_000;

pub(super) fn health(
    context: &DeskContext,
    reader: &Reader,
    now: Timestamp,
) -> Result<Answer, JournalError> {
    let mut lines = vec![format!(
        "Keel {} started {} ago; trading is {}.{}",
        env!("CARGO_PKG_VERSION"),
        ago(now, context.started_at),
        trading(context),
        held(context)
    )];
    if let Some((at, why)) = &context.refused {
        lines.push(format!("The configuration on disk is refused since {}: {why}", minute(*at)));
    }
    if !context.waiting.is_empty() {
        lines.push(format!("Changed, and needs a restart: {}.", context.waiting.join(", ")));
    }
    match reader.cycle(None)? {
        None => lines.push("Last cycle: none yet.".to_owned()),
        Some(cycle) => {
            let at = Timestamp::from_ms(cycle.at_ms);
            let pause_ms = i64::try_from(context.config.bot.cycle_sleep.as_millis());
            let limit = pause_ms.unwrap_or(i64::MAX).saturating_mul(PAUSES_LATE).max(LATE_MIN_MS);
            let late = if now.since_ms(at) > limit { ", late" } else { "" };
            lines.push(format!(
                "Last cycle: {} at {}, {} ago{late}.",
                cycle.cycle,
                minute(at),
                ago(now, at)
            ));
        }
    }
    for (venue, health) in &context.venues {
        let trouble = health.trouble.as_deref().unwrap_or("works");
        let clock = health.clock.map_or_else(
            || "not measured".to_owned(),
            |clock| {
                let (offset_ms, ago) = (clock.offset_ms, ago(now, clock.at));
                format!("{offset_ms:+} ms from this one, measured {ago} ago")
            },
        );
        lines.push(format!("{venue}: {trouble}; its clock: {clock}."));
    }
    if let Some(state) = context.state(reader)? {
        lines.push(caps(context, &state, now));
        lines.push(match state.unresolved.len() {
            0 => "Orders of unknown outcome: none.".to_owned(),
            count => format!("Orders of unknown outcome: {count}; their markets are left alone."),
        });
    }
    // They were true then; whether they still are is for the lines above.
    lines.extend(context.notes.iter().map(|(at, note)| format!("{}: {note}", minute(*at))));
    Ok(Answer::text(lines.join("\n")))
}

fn caps(context: &DeskContext, state: &keel_core::state::State, now: Timestamp) -> String {
    let policy = &context.config.policy;
    let of = |asset: &keel_core::policy::AssetPolicy| {
        state.assets.get(&asset.ticker).and_then(|known| known.market_cap_as_of)
    };
    let missing: Vec<&str> = policy
        .assets
        .iter()
        .filter(|asset| of(asset).is_none())
        .map(|asset| asset.ticker.as_str())
        .collect();
    let oldest = policy.assets.iter().filter_map(of).min();
    let age = oldest.map_or_else(
        || "none yet".to_owned(),
        |oldest| {
            let limit = policy.settings.market_cap_stale_threshold_seconds;
            let age_s = u64::try_from(now.since_ms(oldest) / 1000).unwrap_or(0);
            let stale = if age_s > limit { ", too old" } else { "" };
            format!("the oldest is {} old{stale}", ago(now, oldest))
        },
    );
    let missing = if missing.is_empty() || oldest.is_none() {
        String::new()
    } else {
        format!("; missing for {}", missing.join(", "))
    };
    format!("Market caps: {age}{missing}.")
}
