//! Rules that need more than one value: references, the stablecoin, credentials.

use crate::check::{Checked, Record, missing_key};
use crate::document::{Report, quote};
use crate::problem::{Fault, ProblemKind, nearest};
use crate::secret::{SecretRef, readable_by_others};
use crate::table::{Kind, Need, SECTIONS, interval_list, timeframes};
use crate::value::{Typed, child};
use keel_core::time::Timeframe;
use std::collections::BTreeMap;
use std::path::Path;

/// What the rules need to know besides the document.
pub(crate) struct Context<'a> {
    pub(crate) config_path: &'a Path,
    pub(crate) is_owner_only: bool,
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The venues that this program can talk to; `None` when the caller does not care.
    pub(crate) known_venues: Option<&'a [&'a str]>,
    /// The lengths of bars that an exchange serves, if it is known; `None` when candles come from
    /// files.
    pub(crate) bars: Option<&'a Bars<'a>>,
}

/// The lengths of bars that an exchange serves; `None` for one that nobody knows.
pub(crate) type Bars<'a> = dyn Fn(&str) -> Option<Vec<Timeframe>> + 'a;

/// Applies every rule.
pub(crate) fn apply(checked: &Checked, context: &Context<'_>, report: &mut Report<'_>) {
    history_sizes(checked, report);
    assets(checked, report);
    venues(checked, context, report);
    if let Some(bars) = context.bars {
        intervals(checked, bars, report);
    }
    telegram(checked, report);
    initial_balances(checked, report);
    literals(checked, context, report);
    if is_live(checked) {
        live_credentials(checked, context, report);
    }
}

/// The venue of an asset; `None` for `N/A` and `null`.
pub(crate) fn venue_of(asset: &Record) -> Option<String> {
    asset.text("exchange").filter(|venue| venue != "N/A")
}

fn is_live(checked: &Checked) -> bool {
    let bot = checked.record("bot_settings");
    bot.and_then(|bot| bot.boolean("dry_run")) == Some(false)
}

fn history_sizes(checked: &Checked, report: &mut Report<'_>) {
    let Some(bot) = checked.record("bot_settings") else { return };
    let first = bot.whole("indicator_history_size");
    let most = bot.whole("max_indicator_history_size");
    if let (Some(first), Some(most)) = (first, most)
        && first > most
    {
        let fault = Fault::new(
            ProblemKind::Conflict,
            first.to_string(),
            format!("at most max_indicator_history_size, which is {most}"),
        );
        report.add(
            bot.offset_of("indicator_history_size"),
            bot.path_of("indicator_history_size"),
            fault,
        );
    }
    if let (Some(cycles), Some(first)) = (bot.whole("signal_confirmation_cycles"), first)
        && cycles > first
    {
        let fault = Fault::new(
            ProblemKind::Conflict,
            cycles.to_string(),
            format!("at most indicator_history_size, which is {first}"),
        );
        let key = "signal_confirmation_cycles";
        report.add(bot.offset_of(key), bot.path_of(key), fault);
    }
}

fn assets(checked: &Checked, report: &mut Report<'_>) {
    if checked.is_broken("portfolio_assets") {
        return;
    }
    let assets = checked.records("portfolio_assets");
    // An asset whose level was refused may be the one that seems to be missing.
    let has_unknown = assets.iter().any(|asset| asset.whole("level").is_none());
    let missing = |what: &str, expected: &str| {
        Fault::new(ProblemKind::Conflict, format!("no {what}"), expected)
    };
    let place = assets.first().map_or(0, |asset| asset.offset);
    if !has_unknown && assets.iter().all(|asset| asset.whole("level") != Some(0)) {
        report.add(
            place,
            "portfolio_assets",
            missing("stablecoin", "an asset with level 0; the first one is the primary stablecoin"),
        );
    }
    if !has_unknown && assets.iter().all(|asset| asset.whole("level") == Some(0)) {
        report.add(
            place,
            "portfolio_assets",
            missing("tradable asset", "at least one asset with level 1 or above"),
        );
    }
    let mut tickers: BTreeMap<String, String> = BTreeMap::new();
    for asset in assets {
        if let Some(ticker) = asset.text("ticker") {
            // Venues write tickers in upper case, so `btc` and `BTC` would be one holding.
            if let Some(first) = tickers.get(&ticker.to_ascii_uppercase()) {
                let fault = Fault::new(
                    ProblemKind::Conflict,
                    format!("{} again, after {first}", quote(&ticker)),
                    "each ticker once",
                );
                report.add(asset.offset_of("ticker"), asset.path_of("ticker"), fault);
            } else {
                tickers.insert(ticker.to_ascii_uppercase(), asset.path.clone());
            }
        }
        if asset.whole("level").is_some_and(|level| level > 0) {
            tradable(asset, report);
        }
        asset_venue(asset, checked, report);
    }
}

/// What a tradable asset must have.
fn tradable(asset: &Record, report: &mut Report<'_>) {
    for (field, value) in asset.fields().filter(|(field, _)| field.need == Need::Tradable) {
        if asset.is_wrong(field.key) {
            continue;
        }
        let is_nothing = match &value {
            None => true,
            Some(Typed::Text(text)) => matches!(field.kind, Kind::Venue) && text == "N/A",
            Some(Typed::Whole(seconds)) => *seconds == 0,
            Some(_) => false,
        };
        if !is_nothing {
            continue;
        }
        let fault = match value {
            None => missing_key(field),
            Some(Typed::Whole(_)) => {
                Fault::new(ProblemKind::BadValue, "0 on a tradable asset", field.kind.expected())
            }
            Some(_) => Fault::new(
                ProblemKind::BadValue,
                "\"N/A\" on a tradable asset",
                field.kind.expected(),
            ),
        };
        report.add(asset.offset_of(field.key), asset.path_of(field.key), fault);
    }
}

fn asset_venue(asset: &Record, checked: &Checked, report: &mut Report<'_>) {
    let Some(venue) = venue_of(asset) else { return };
    if checked.is_broken("exchange_configurations") {
        return;
    }
    let names: Vec<&str> =
        checked.records("exchange_configurations").iter().map(|r| r.name.as_str()).collect();
    if !names.contains(&venue.as_str()) {
        let fault = Fault::new(
            ProblemKind::BadValue,
            format!("{} is not in exchange_configurations", quote(&venue)),
            one_of(&names, "an entry there"),
        )
        .suggest(nearest(&venue, names));
        report.add(asset.offset_of("exchange"), asset.path_of("exchange"), fault);
    }
}

/// An asset's own exchange must serve the bars of its position. A trend compares all tradable assets
/// with each other, so the exchange of each must serve the bars of every trend.
fn intervals(checked: &Checked, bars: &Bars<'_>, report: &mut Report<'_>) {
    let served: Vec<(&Record, String, Vec<Timeframe>)> = checked
        .records("portfolio_assets")
        .iter()
        .filter(|asset| asset.whole("level").is_some_and(|level| level > 0))
        .filter_map(|asset| {
            let venue = venue_of(asset)?;
            let served = bars(&venue)?;
            Some((asset, venue, served))
        })
        .collect();
    let by_all = |timeframe: &Timeframe| served.iter().all(|(.., bars)| bars.contains(timeframe));
    for (asset, venue, bars) in &served {
        let interval =
            |key: &str| asset.whole(key).and_then(|s| Some((s, Timeframe::from_seconds(s)?)));
        if let Some((seconds, timeframe)) = interval("position_interval")
            && !bars.contains(&timeframe)
        {
            let fault = Fault::new(
                ProblemKind::Conflict,
                format!("{seconds} ({timeframe}), and {venue} has no such candles"),
                format!("one that {venue} has: {}", interval_list(bars.iter().copied())),
            );
            let key = "position_interval";
            report.add(asset.offset_of(key), asset.path_of(key), fault);
        }
        if let Some((seconds, timeframe)) = interval("trend_interval")
            && let Some((other, at, _)) =
                served.iter().find(|(.., bars)| !bars.contains(&timeframe))
        {
            let ticker = other.text("ticker").unwrap_or_default();
            let possible = interval_list(timeframes().filter(by_all));
            let fault = Fault::new(
                ProblemKind::Conflict,
                format!(
                    "{seconds} ({timeframe}), and {at} has no such candles of {ticker}: \
                     a trend needs those of all tradable assets"
                ),
                format!("one that all their exchanges have: {possible}"),
            );
            let key = "trend_interval";
            report.add(asset.offset_of(key), asset.path_of(key), fault);
        }
    }
}

fn venues(checked: &Checked, context: &Context<'_>, report: &mut Report<'_>) {
    let keys: Vec<&str> =
        checked.records("exchanges_credentials").iter().map(|r| r.name.as_str()).collect();
    let is_dry = !is_live(checked);
    for venue in checked.records("exchange_configurations") {
        if let Some(known) = context.known_venues
            && !known.contains(&venue.name.as_str())
        {
            let fault = Fault::new(
                ProblemKind::BadValue,
                format!("{} is not a supported exchange", quote(&venue.name)),
                one_of(known, "a supported exchange"),
            )
            .suggest(nearest(&venue.name, known.iter().copied()));
            report.add(venue.offset, venue.path.clone(), fault);
        }
        if venue.is_wrong("credentials_key") || checked.is_broken("exchanges_credentials") {
            continue;
        }
        let fault = match venue.text("credentials_key") {
            Some(key) if keys.contains(&key.as_str()) => continue,
            Some(key) => unknown_credential(&key, &keys, "exchanges_credentials"),
            None if is_dry => continue,
            None => Fault::new(
                ProblemKind::MissingKey,
                "missing key",
                one_of(&keys, "an entry of exchanges_credentials"),
            ),
        };
        report.add(venue.offset_of("credentials_key"), venue.path_of("credentials_key"), fault);
    }
}

fn telegram(checked: &Checked, report: &mut Report<'_>) {
    let Some(telegram) = checked.record("telegram") else { return };
    if telegram.boolean("enabled") != Some(true)
        || telegram.is_wrong("credentials_key")
        || checked.is_broken("telegram_credentials")
    {
        return;
    }
    let keys: Vec<&str> =
        checked.records("telegram_credentials").iter().map(|r| r.name.as_str()).collect();
    let fault = match telegram.text("credentials_key") {
        Some(key) if keys.contains(&key.as_str()) => return,
        Some(key) => unknown_credential(&key, &keys, "telegram_credentials"),
        None => Fault::new(
            ProblemKind::MissingKey,
            "missing key, although Telegram is enabled",
            one_of(&keys, "an entry of telegram_credentials"),
        ),
    };
    let key = "credentials_key";
    report.add(telegram.offset_of(key), telegram.path_of(key), fault);
}

fn unknown_credential(key: &str, keys: &[&str], section: &str) -> Fault {
    // A name this long may be the credential itself, put where its name belongs.
    const NAME_CHARS_MAX: usize = 24;
    let length = key.chars().count();
    let seen = if length > NAME_CHARS_MAX {
        format!("a name of {length} characters that is not in {section}")
    } else {
        format!("{} is not in {section}", quote(key))
    };
    Fault::new(ProblemKind::BadValue, seen, one_of(keys, "an entry there"))
        .suggest(nearest(key, keys.iter().copied()))
}

fn initial_balances(checked: &Checked, report: &mut Report<'_>) {
    let Some(paper) = checked.record("paper") else { return };
    let Some(Typed::Balances(balances)) = paper.value("initial_balances") else { return };
    let venues: Vec<&str> =
        checked.records("exchange_configurations").iter().map(|r| r.name.as_str()).collect();
    let tickers: Vec<String> =
        checked.records("portfolio_assets").iter().filter_map(|r| r.text("ticker")).collect();
    let tickers: Vec<&str> = tickers.iter().map(String::as_str).collect();
    let (offset, path) = (paper.offset_of("initial_balances"), paper.path_of("initial_balances"));
    for (venue, amounts) in &balances {
        let path = child(&path, venue);
        if !checked.is_broken("exchange_configurations") && !venues.contains(&venue.as_str()) {
            let fault = Fault::new(
                ProblemKind::BadValue,
                format!("{} is not in exchange_configurations", quote(venue)),
                one_of(&venues, "an entry there"),
            )
            .suggest(nearest(venue, venues.iter().copied()));
            report.add(offset, path.clone(), fault);
        }
        for ticker in amounts.keys() {
            if checked.is_broken("portfolio_assets") || tickers.contains(&ticker.as_str()) {
                continue;
            }
            let fault = Fault::new(
                ProblemKind::BadValue,
                format!("{} is not in portfolio_assets", quote(ticker)),
                one_of(&tickers, "the ticker of an asset"),
            )
            .suggest(nearest(ticker, tickers.iter().copied()));
            report.add(offset, child(&path, ticker), fault);
        }
    }
}

/// A literal credential is fine only in a file that nobody else can read.
fn literals(checked: &Checked, context: &Context<'_>, report: &mut Report<'_>) {
    if context.is_owner_only {
        return;
    }
    for section in SECTIONS {
        for record in checked.records(section.key) {
            // A chat number opens nothing without the token.
            for (field, value) in
                record.fields().filter(|(field, _)| matches!(field.kind, Kind::Secret))
            {
                if let Some(Typed::Secret(SecretRef::Literal(_))) = value {
                    report.add(
                        record.offset_of(field.key),
                        record.path_of(field.key),
                        readable_by_others(context.config_path),
                    );
                }
            }
        }
    }
}

/// Credentials that a live run will use must be there now, not at the first order.
fn live_credentials(checked: &Checked, context: &Context<'_>, report: &mut Report<'_>) {
    let used: Vec<String> = checked
        .records("portfolio_assets")
        .iter()
        .filter(|asset| asset.whole("level").is_some_and(|level| level > 0))
        .filter_map(venue_of)
        .collect();
    let named: Vec<String> = checked
        .records("exchange_configurations")
        .iter()
        .filter(|venue| used.contains(&venue.name))
        .filter_map(|venue| venue.text("credentials_key"))
        .collect();
    let credentials = checked.records("exchanges_credentials");
    for record in credentials.iter().filter(|record| named.contains(&record.name)) {
        for key in ["apiKey", "secret"] {
            look_up(record, key, context, report);
        }
        if !matches!(record.secret("password"), None | Some(SecretRef::Blank)) {
            look_up(record, "password", context, report);
        }
    }
    let telegram = checked.record("telegram");
    let bot = telegram
        .filter(|telegram| telegram.boolean("enabled") == Some(true))
        .and_then(|telegram| telegram.text("credentials_key"));
    for record in checked.records("telegram_credentials") {
        if Some(&record.name) == bot.as_ref() {
            look_up(record, "apiKey", context, report);
            look_up(record, "chatId", context, report);
        }
    }
}

fn look_up(record: &Record, key: &str, context: &Context<'_>, report: &mut Report<'_>) {
    if let Some(reference) = record.secret(key)
        && let Err(fault) = reference.resolve(context.env)
    {
        report.add(record.offset_of(key), record.path_of(key), fault);
    }
}

fn one_of(names: &[&str], otherwise: &str) -> String {
    match names {
        [] => otherwise.to_owned(),
        [only] => (*only).to_owned(),
        _ => format!("one of {}", names.join(", ")),
    }
}
