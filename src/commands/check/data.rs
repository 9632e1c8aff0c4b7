//! What a replay of a configuration needs from a data directory, and what is there.

use crate::commands::data::{count, moment, said};
use crate::commands::findings::Report;
use crate::exit::{Code, Failure};
use crate::replay::{self, Made, listed};
use keel_config::Config;
use keel_core::asset::{Symbol, VenueId};
use keel_core::candle::CandleSeries;
use keel_core::policy::AssetPolicy;
use keel_core::time::{Timeframe, Timestamp};
use keel_data::{CandleStore, CapFileError, Verification};
use keel_data::{Longest, MarketFiles};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// From when to when something is known.
type Range = (Timestamp, Timestamp);

pub(super) fn check(config: &Config, root: &Path, report: &mut Report) {
    report.begin("candles");
    if !root.is_dir() {
        report.problem(
            root.display(),
            "there is no directory of that name; expected one as in docs/data.md",
        );
        return;
    }
    let recorded = recorded_venues(config, report);
    let store = CandleStore::at(root);
    let mut desk = Desk { store: &store, made: Made::default(), report };
    let mut candles: BTreeMap<&str, Range> = BTreeMap::new();
    for asset in &config.policy.assets {
        let market = Recorded {
            asset,
            venue: recorded.get(&asset.venue).unwrap_or(&asset.venue),
            symbol: Symbol::new(asset.ticker.clone(), config.policy.stablecoin.clone()),
        };
        if let Some(range) = desk.candles(&market) {
            candles.insert(asset.ticker.as_str(), range);
        }
    }
    for text in desk.made.told() {
        desk.report.note("", text);
    }
    together(config, &candles, report);
    report.begin("caps");
    for asset in &config.policy.assets {
        let range = candles.get(asset.ticker.as_str()).copied();
        check_caps(config, root, asset, range, report);
    }
    report.begin("markets");
    for (venue, recorded) in &recorded {
        check_rules(config, root, (venue, recorded), report);
    }
}

/// The venues that assets are traded at, each with the one whose files a replay reads for it.
fn recorded_venues(config: &Config, report: &mut Report) -> BTreeMap<VenueId, VenueId> {
    let venues = config.policy.venues().into_iter().map(|venue| {
        let recorded = replay::recorded_venue(config, &venue).unwrap_or_else(|failure| {
            report.problem("", failure.message);
            venue.clone()
        });
        (venue, recorded)
    });
    venues.collect()
}

/// An asset, and where its candles were recorded.
struct Recorded<'a> {
    asset: &'a AssetPolicy,
    venue: &'a VenueId,
    symbol: Symbol,
}

/// What is at hand while the candles are looked at.
struct Desk<'a> {
    store: &'a CandleStore,
    made: Made,
    report: &'a mut Report,
}

impl Desk<'_> {
    /// Looks at every file that a replay reads for an asset. Returns the range that all its signals
    /// cover.
    fn candles(&mut self, market: &Recorded<'_>) -> Option<Range> {
        let Recorded { asset, venue, symbol } = market;
        let is_sound = self.verify(market);
        let mut files = MarketFiles::new(self.store, venue, symbol);
        let mut played = Vec::new();
        let mut missing = Vec::new();
        for timeframe in replay::wanted(asset) {
            let is_signalled = replay::is_signalled(asset, timeframe);
            match files.longest(timeframe) {
                Ok(Some(Longest { series, from, .. })) => {
                    self.made.add(timeframe, from, &asset.ticker);
                    if let Some(range) = range_of(&series).filter(|_| is_signalled) {
                        played.push((series, range));
                    }
                }
                Ok(None) if is_signalled => missing.push(timeframe),
                Ok(None) => {}
                // Broken files have been told already, and are missed here.
                Err(_) if !is_sound => {}
                Err(error) => {
                    let failure = Failure::from_error(Code::BadData, &error);
                    self.report.problem(&asset.ticker, failure.message);
                }
            }
        }
        if !played.is_empty() {
            self.report.ok(&asset.ticker, covered(market, &played));
        }
        if !missing.is_empty() {
            let text = format!(
                "no {} candles at {venue}, nor finer ones; not traded without them, `keel data import` brings them in",
                listed(&missing)
            );
            self.report.problem(&asset.ticker, text);
        }
        let ranges = played.iter().map(|(_, range)| *range);
        let needed = BTreeSet::from([asset.position_interval, asset.trend_interval]);
        ranges
            .reduce(|all, range| (all.0.max(range.0), all.1.min(range.1)))
            .filter(|_| played.len() == needed.len())
    }

    /// Whether every file of a market is sound; what is wrong in the others has been told then.
    fn verify(&mut self, market: &Recorded<'_>) -> bool {
        let Recorded { asset, venue, symbol } = market;
        let files: BTreeSet<Timeframe> = replay::wanted(asset)
            .into_iter()
            .flat_map(|wanted| MarketFiles::new(self.store, venue, symbol).sources(wanted))
            .collect();
        let mut is_sound = true;
        for timeframe in files {
            let problem = match self.store.verify(venue, symbol, timeframe) {
                Ok(file) if file.can_be_loaded() => continue,
                Ok(file) => bad_rows(market, timeframe, &file),
                Err(error) => said(&error),
            };
            is_sound = false;
            self.report.problem(&asset.ticker, problem);
        }
        is_sound
    }
}

fn range_of(series: &CandleSeries) -> Option<Range> {
    let times = series.open_time_ms();
    Some((Timestamp::from_ms(*times.first()?), Timestamp::from_ms(*times.last()?)))
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

/// Where the bars of an asset are from, and what they cover.
fn covered(market: &Recorded<'_>, played: &[(CandleSeries, Range)]) -> String {
    let venue = &market.asset.venue;
    let place = if market.venue == venue {
        venue.to_string()
    } else {
        format!("{venue} (recorded at {})", market.venue)
    };
    let lengths: Vec<String> = played
        .iter()
        .map(|(series, (first, last))| {
            let gaps = series.gaps();
            let missing = gaps.iter().map(|gap| gap.bars).sum();
            let gaps = match gaps.len() {
                0 => "no gaps".to_owned(),
                n => format!(
                    "{} ({} missing)",
                    count(n, "gap", "gaps"),
                    count(missing, "bar", "bars")
                ),
            };
            let timeframe = series.timeframe();
            format!("{timeframe} from {} to {}, {gaps}", moment(*first), moment(*last))
        })
        .collect();
    format!("at {place}, {}", lengths.join("; "))
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
                "candles end at {}, those of others at {}: not traded after that",
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
        Err(CapFileError::Absent { path, .. }) => {
            let text = format!(
                "no market caps in {}; not traded without them, expected <TICKER>.csv or <TICKER>.csv.gz as in docs/data.md",
                path.display()
            );
            report.problem(ticker, text);
            return;
        }
        Err(error) => {
            report.problem(ticker, said(&error));
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
            "none before {}, {} after the first candle: not traded until then",
            moment(first.as_of),
            days_in(first.as_of.since_ms(candles_first))
        );
        report.note(ticker, text);
    }
}

fn days_in(ms: i64) -> String {
    count(usize::try_from(ms / Timeframe::D1.ms()).unwrap_or(0), "day", "days")
}

fn check_rules(
    config: &Config,
    root: &Path,
    (venue, recorded): (&VenueId, &VenueId),
    report: &mut Report,
) {
    const ASSUMED: &str =
        "a replay takes multiples of 0.00000001 and orders of at least 5 in the quote currency";
    let rules = match replay::rules(root, recorded) {
        Ok(Some(rules)) => rules,
        Ok(None) => {
            report.note(venue, format!("no recorded market rules; {ASSUMED}"));
            return;
        }
        Err(failure) => {
            report.problem(venue, failure.message);
            return;
        }
    };
    let symbols = config.policy.markets_at(venue);
    let known = |symbol: &&Symbol| rules.markets.iter().find(|rules| rules.symbol == **symbol);
    let (found, unknown): (Vec<&Symbol>, Vec<&Symbol>) =
        symbols.iter().partition(|symbol| known(symbol).is_some());
    report.ok(
        venue,
        format!(
            "rules for {} of {} in {}",
            found.len(),
            count(symbols.len(), "market", "markets"),
            rules.path.display()
        ),
    );
    if !unknown.is_empty() {
        report.note(venue, format!("no rules for {}; {ASSUMED}", listed(&unknown)));
    }
    let closed: Vec<&Symbol> = found
        .into_iter()
        .filter(|symbol| known(symbol).is_some_and(|rules| !rules.active))
        .collect();
    if !closed.is_empty() {
        let text = format!(
            "listed as closed: {}; a replay trades there while there are candles",
            listed(&closed)
        );
        report.note(venue, text);
    }
}
