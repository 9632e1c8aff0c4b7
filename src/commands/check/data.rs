//! What a replay of a configuration needs from a data directory, and what is there.

use super::Report;
use crate::commands::data::{count, moment, said};
use keel_config::Config;
use keel_core::asset::{Symbol, VenueId};
use keel_core::market::MarketRules;
use keel_core::policy::AssetPolicy;
use keel_core::resample::{bar_start, fills};
use keel_core::time::{TIMEFRAMES, Timeframe, Timestamp};
use keel_data::{CandleStore, Verification};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From when to when something is known.
type Range = (Timestamp, Timestamp);

pub(super) fn check(config: &Config, root: &Path, report: &mut Report) {
    report.begin("candles");
    if !root.is_dir() {
        report.problem(root.display(), "there is no directory of that name; expected one as in docs/data.md");
        return;
    }
    let store = CandleStore::at(root);
    let mut candles: BTreeMap<&str, Range> = BTreeMap::new();
    for asset in &config.policy.assets {
        let market = Recorded {
            asset,
            venue: recorded_venue(config, &asset.venue, report),
            symbol: Symbol::new(asset.ticker.clone(), config.policy.stablecoin.clone()),
        };
        if let Some(range) = check_candles(&store, &market, report) {
            candles.insert(asset.ticker.as_str(), range);
        }
    }
    together(config, &candles, report);
    report.begin("caps");
    for asset in &config.policy.assets {
        let range = candles.get(asset.ticker.as_str()).copied();
        check_caps(config, root, asset, range, report);
    }
    report.begin("markets");
    for venue in config.policy.venues() {
        check_rules(config, root, &venue, report);
    }
}

/// An asset, and where its candles were recorded.
struct Recorded<'a> {
    asset: &'a AssetPolicy,
    venue: VenueId,
    symbol: Symbol,
}

/// The venue whose files stand for `venue`: `options.replay_venue` of its configuration, or itself.
fn recorded_venue(config: &Config, venue: &VenueId, report: &mut Report) -> VenueId {
    let named = config.venues.get(venue).and_then(|venue| venue.options.get("replay_venue"));
    match named.map(|value| (value, value.as_str().and_then(|name| name.parse().ok()))) {
        None => venue.clone(),
        Some((_, Some(recorded))) => recorded,
        Some((value, None)) => {
            let text = format!(
                "options.replay_venue is {value}; expected the name of a venue in the data directory"
            );
            report.problem(format!("exchange_configurations.{venue}"), text);
            venue.clone()
        }
    }
}

/// Verifies every file that a replay reads for an asset. Returns the range that all its intervals
/// cover.
fn check_candles(store: &CandleStore, market: &Recorded<'_>, report: &mut Report) -> Option<Range> {
    let Recorded { asset, venue, symbol } = market;
    let needed = BTreeSet::from([asset.position_interval, asset.trend_interval]);
    // Hours are read for the traded volume, even where no signal needs them.
    let read = needed.iter().copied().chain([Timeframe::H1]).collect::<BTreeSet<_>>();
    let mut good: BTreeMap<Timeframe, Verification> = BTreeMap::new();
    let mut is_broken = false;
    for (seconds, _) in TIMEFRAMES {
        let Some(timeframe) = Timeframe::from_seconds(u64::from(seconds)) else { continue };
        let path = store.path(venue, symbol, timeframe);
        if !read.iter().any(|coarse| fills(timeframe, *coarse)) || !path.exists() {
            continue;
        }
        match store.verify(venue, symbol, timeframe) {
            Ok(file) if file.can_be_loaded() => {
                good.insert(timeframe, file);
            }
            Ok(file) => {
                is_broken = true;
                report.problem(&asset.ticker, bad_rows(market, timeframe, &file));
            }
            Err(error) => {
                is_broken = true;
                report.problem(&asset.ticker, said(&error));
            }
        }
    }
    let mut common: Option<Range> = None;
    let mut is_complete = true;
    for wanted in needed {
        match reaching_furthest(&good, wanted) {
            Some((range, file)) => {
                covered(market, wanted, range, file, report);
                common = Some(
                    common.map_or(range, |(first, last)| (first.max(range.0), last.min(range.1))),
                );
            }
            None => {
                is_complete = false;
                // A broken file has been told, and may be the one that is missed here.
                if !is_broken {
                    let path = store.path(venue, symbol, wanted);
                    report.problem(
                        &asset.ticker,
                        format!(
                            "no {wanted} candles of {symbol} at {venue}, nor finer ones: it would not be traded; import them to {}",
                            path.display()
                        ),
                    );
                }
            }
        }
    }
    common.filter(|_| is_complete)
}

fn bad_rows(market: &Recorded<'_>, timeframe: Timeframe, file: &Verification) -> String {
    let rows = count(file.counts.values().sum(), "bad row", "bad rows");
    let first = file.problems.first().map(ToString::to_string).unwrap_or_default();
    format!(
        "{}: {rows}, first {first}; `keel data verify DIR --venue {} --symbol {} --timeframe {timeframe}` shows them all",
        file.path.display(),
        market.venue,
        market.symbol
    )
}

/// The file whose bars, made as long as wanted, end latest; of equals the coarsest, as in a replay.
fn reaching_furthest(
    good: &BTreeMap<Timeframe, Verification>,
    wanted: Timeframe,
) -> Option<(Range, &Verification)> {
    let mut best: Option<(Range, &Verification)> = None;
    for (timeframe, file) in good.iter().rev().filter(|(finer, _)| fills(**finer, wanted)) {
        let (Some(first), Some(last)) = (file.first, file.last) else { continue };
        // The last bar counts only once its last finer bar is there.
        let closed = last.plus_ms(timeframe.ms());
        let range = (bar_start(wanted, first), bar_start(wanted, closed).plus_ms(-wanted.ms()));
        if range.0 <= range.1 && best.is_none_or(|(known, _)| range.1 > known.1) {
            best = Some((range, file));
        }
    }
    best
}

fn covered(
    market: &Recorded<'_>,
    wanted: Timeframe,
    (first, last): Range,
    file: &Verification,
    report: &mut Report,
) {
    let gaps = match file.gaps.len() {
        0 => "no gaps".to_owned(),
        n => format!(
            "{} ({} missing)",
            count(n, "gap", "gaps"),
            count(file.missing_bars(), "bar", "bars")
        ),
    };
    let made = if file.timeframe == wanted {
        String::new()
    } else {
        format!("made from {} candles with ", file.timeframe)
    };
    let venue = &market.asset.venue;
    let place = if market.venue == *venue {
        venue.to_string()
    } else {
        format!("{venue} (recorded at {})", market.venue)
    };
    report.ok(
        &market.asset.ticker,
        format!(
            "{} at {place}, {wanted} from {} to {}, {made}{gaps}",
            market.symbol,
            moment(first),
            moment(last)
        ),
    );
}

/// What holds for all assets: when they have candles together, and which of them end early.
fn together(config: &Config, candles: &BTreeMap<&str, Range>, report: &mut Report) {
    let Some(newest) = candles.values().map(|(_, last)| *last).max() else { return };
    let longest = config
        .policy
        .assets
        .iter()
        .map(|asset| asset.position_interval.max(asset.trend_interval).ms())
        .max()
        .unwrap_or_default();
    for (ticker, (_, last)) in candles {
        // Bars of different lengths start at different moments before the same end.
        if newest.since_ms(*last) > 2 * longest {
            let text = format!(
                "its candles end at {}, those of others at {}: it is not traded after that",
                moment(*last),
                moment(newest)
            );
            report.note(ticker, text);
        }
    }
    let latest_start = candles.iter().max_by_key(|(_, (first, _))| *first);
    let earliest = candles.values().map(|(first, _)| *first).min();
    if let (Some((ticker, (first, _))), Some(earliest)) = (latest_start, earliest)
        && first.since_ms(earliest) > longest
    {
        let text = format!(
            "not every asset has candles from the start: the first begin at {}, the last, of {ticker}, at {}",
            moment(earliest),
            moment(*first)
        );
        report.note("", text);
    }
}

fn check_caps(
    config: &Config,
    root: &Path,
    asset: &AssetPolicy,
    candles: Option<Range>,
    report: &mut Report,
) {
    let ticker = &asset.ticker;
    let path = match keel_data::find_caps(root, ticker) {
        Ok(path) => path,
        Err(error) => {
            report.problem(ticker, format!("{}; without it, it would not be traded", said(&error)));
            return;
        }
    };
    let caps = match keel_data::read_caps(&path) {
        Ok(caps) => caps,
        Err(error) => {
            report.problem(ticker, said(&error));
            return;
        }
    };
    let (Some(first), Some(last)) = (caps.points().first(), caps.points().last()) else { return };
    let days = match caps.missing_days() {
        0 => "no days missing".to_owned(),
        n => format!("{} missing", count(n, "day", "days")),
    };
    report.ok(ticker, format!("from {} to {}, {days}", moment(first.as_of), moment(last.as_of)));
    let Some((candles_first, candles_last)) = candles else { return };
    let stale_ms = i64::try_from(config.policy.settings.market_cap_stale_threshold_seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    let late_ms = candles_last.since_ms(last.as_of);
    if late_ms > stale_ms {
        let text = format!(
            "carried forward since {}, {} before the last candle",
            moment(last.as_of),
            days_in(late_ms)
        );
        report.note(ticker, text);
    }
    if first.as_of.since_ms(candles_first) >= Timeframe::D1.ms() {
        let text = format!(
            "none before {}, {} after the first candle: it is not traded until then",
            moment(first.as_of),
            days_in(first.as_of.since_ms(candles_first))
        );
        report.note(ticker, text);
    }
}

fn days_in(ms: i64) -> String {
    count(usize::try_from(ms / Timeframe::D1.ms()).unwrap_or(0), "day", "days")
}

fn check_rules(config: &Config, root: &Path, venue: &VenueId, report: &mut Report) {
    const ASSUMED: &str =
        "a replay takes multiples of 0.00000001 and orders of at least 5 in the quote currency";
    let recorded = recorded_venue(config, venue, &mut Report::default());
    let Some(path) = rules_path(root, &recorded) else {
        report.note(venue, format!("no recorded market rules; {ASSUMED}"));
        return;
    };
    let rules = match read_rules(root, &recorded, &path) {
        Ok(rules) => rules,
        Err(text) => {
            report.problem(venue, text);
            return;
        }
    };
    let symbols: Vec<Symbol> = config
        .policy
        .assets
        .iter()
        .filter(|asset| asset.venue == *venue)
        .map(|asset| Symbol::new(asset.ticker.clone(), config.policy.stablecoin.clone()))
        .collect();
    let known = |symbol: &Symbol| rules.iter().find(|rules| rules.symbol == *symbol);
    let found = symbols.iter().filter(|symbol| known(symbol).is_some()).count();
    report.ok(
        venue,
        format!(
            "rules for {found} of {} in {}",
            count(symbols.len(), "market", "markets"),
            path.display()
        ),
    );
    for symbol in &symbols {
        match known(symbol) {
            None => report.note(venue, format!("no rules for {symbol}; {ASSUMED}")),
            Some(rules) if !rules.active => report.note(
                venue,
                format!("{symbol} is listed as closed; a replay trades it while it has candles"),
            ),
            Some(_) => {}
        }
    }
}

/// `<root>/markets/<venue>.json`, or the newest recorded `exchangeInfo` reply.
fn rules_path(root: &Path, venue: &VenueId) -> Option<PathBuf> {
    let own = keel_data::markets_path(root, venue);
    if own.exists() {
        return Some(own);
    }
    let directory = root.join("exchange_responses").join(venue.as_str());
    std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("v3_exchangeInfo"))
        })
        .max()
}

fn read_rules(root: &Path, venue: &VenueId, path: &Path) -> Result<Vec<MarketRules>, String> {
    if path == keel_data::markets_path(root, venue) {
        keel_data::read_markets(path).map_err(|error| said(&error))
    } else {
        keel_data::read_binance_exchange_info(path)
            .map(|list| list.markets)
            .map_err(|error| said(&error))
    }
}
