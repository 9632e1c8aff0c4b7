//! `keel doctor`: whether everything outside of Keel is as trading needs it.

use super::check;
use super::findings::{Report, conclude};
use crate::cli::{self, ConfigArg};
use crate::exit::Failure;
use crate::live::account::{objection, remarks};
use crate::live::coingecko;
use crate::live::connect::{Link, Links};
use crate::simulation;
use keel_config::{Config, Credentials};
use keel_core::amount::Price;
use keel_core::asset::{Symbol, VenueId};
use keel_core::ports::Clock as _;
use keel_live::market::cap_objection;
use keel_live::time::MachineTime;
use keel_venues::api::{KeyRights, TickerQuote};
use std::collections::BTreeMap;
use std::path::Path;

/// Asks the exchanges, CoinGecko and Telegram whether a run can trade: clocks, keys and their rights,
/// markets and minimums, balances, disk space. Reads only; no order is sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  keel doctor -c my.json

Keys are looked at when the configuration is live (\"dry_run\": false), or with --keys. Exit code 0
without problems, 7 with problems, 2 when the configuration itself is wrong.")]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Look at the API keys although the configuration paper-trades.
    #[arg(long)]
    keys: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Clocks further apart than this are worth a note, and beyond the second figure a problem.
const OFFSET_NOTE_MS: i64 = 500;
const OFFSET_PROBLEM_MS: i64 = 30_000;
/// Free space below which a journal may not live for long.
const FREE_BYTES_MIN: u64 = 200 * 1024 * 1024;

/// Runs the command.
///
/// # Errors
/// When the configuration is wrong, or something has problems; the report has said which.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = check::load(&args.config, ConfigArg::load_for_trading, args.json)?;
    let credentials = cli::resolve_credentials(&config)?;
    let with_keys = args.keys || !config.bot.dry_run;
    let links = Links::new(&config, Some(&credentials).filter(|_| with_keys))?;
    let mut report = Report::default();
    report.begin("configuration");
    check::configuration(&config, &mut report);
    check::paths(&config, &mut report);
    disk(&config, &mut report);
    if with_keys {
        for problem in &credentials.unresolved {
            report.problem("credentials", problem.to_string());
        }
    }
    simulation::runtime()?.block_on(async {
        let mut prices = BTreeMap::new();
        for (id, link) in links.iter() {
            report.begin("exchanges");
            venue(&config, id, link, &mut prices, &mut report).await;
            if with_keys {
                keys(&credentials, id, link, &mut report).await;
            }
        }
        caps(&config, &credentials, &prices, &mut report).await;
        telegram(&config, &credentials, &mut report).await;
    });
    conclude(&report, args.json)
}

fn disk(config: &Config, report: &mut Report) {
    report.begin("disk");
    let journal = &config.paths.journal;
    let parent = journal.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or_else(|| Path::new("."));
    let existing = directory.ancestors().find(|part| part.exists()).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(existing) {
        Err(error) => report.problem(existing.display(), format!("cannot be looked at: {error}")),
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            let text = format!("{} MiB free for the journal", free / (1024 * 1024));
            if free < FREE_BYTES_MIN {
                report.problem(existing.display(), format!("{text}; expected 200 or more"));
            } else {
                report.ok(existing.display(), text);
            }
        }
    }
}

/// Clock, markets and prices: what anybody may ask. Takes note of the prices.
async fn venue(
    config: &Config,
    id: &VenueId,
    link: &Link,
    prices: &mut BTreeMap<Symbol, Price>,
    report: &mut Report,
) {
    match Links::set_clock(link).await {
        Err(error) => {
            report.problem(id, format!("its time could not be read: {error}"));
            return;
        }
        Ok(sample) => {
            let text = format!("its clock is {} ms from ours", sample.offset_ms);
            match sample.offset_ms.abs() {
                0..=OFFSET_NOTE_MS => report.ok(id, text),
                501..=OFFSET_PROBLEM_MS => {
                    report.note(id, format!("{text}; Keel allows for it, but look at NTP"));
                }
                _ => report.problem(id, format!("{text}; set the clock of this computer")),
            }
        }
    }
    let markets = match link.api.markets().await {
        Ok(markets) => markets,
        Err(error) => {
            report.problem(id, format!("its markets could not be read: {error}"));
            return;
        }
    };
    let symbols = config.policy.markets_at(id);
    let quotes = match link.api.tickers(&symbols).await {
        Ok(quotes) => quotes,
        Err(error) => {
            report.problem(id, format!("its prices could not be read: {error}"));
            return;
        }
    };
    prices.extend(quotes.iter().map(|quote| (quote.symbol.clone(), quote.last)));
    for symbol in &symbols {
        let Some(rules) = markets.get(symbol) else {
            report.problem(symbol, format!("{id} has no such market"));
            continue;
        };
        if !rules.active {
            report.note(symbol, format!("{id} takes no orders there now"));
            continue;
        }
        let is_it = |quote: &&TickerQuote| quote.symbol == *symbol;
        let Some(quote) = quotes.iter().find(is_it) else {
            report.problem(symbol, format!("{id} gives no price"));
            continue;
        };
        let smallest = rules
            .min_amount
            .value_at(quote.last)
            .map_or(rules.min_cost, |value| value.get().max(rules.min_cost));
        let wanted = config.policy.settings.min_order_value.get();
        let text = format!(
            "at {id}: price {}, smallest order {} {}",
            quote.last.get().normalize(),
            smallest.round_dp(2).normalize(),
            symbol.quote
        );
        if smallest > wanted {
            report.note(
                symbol,
                format!("{text}: more than min_order_value_usd ({wanted}), so small changes wait"),
            );
        } else {
            report.ok(symbol, text);
        }
    }
}

async fn keys(credentials: &Credentials, id: &VenueId, link: &Link, report: &mut Report) {
    report.begin("keys");
    if !credentials.venues.contains_key(id) {
        report.problem(id, "no API key; set credentials_key and exchanges_credentials");
        return;
    }
    match link.api.key_rights().await {
        Err(error) => {
            report.problem(id, format!("the rights of its key could not be read: {error}"))
        }
        Ok(rights) => rights_found(id, &rights, report),
    }
    match link.api.balances().await {
        Err(error) => report.problem(id, format!("balances could not be read: {error}")),
        Ok(balances) => {
            let held = balances.values().filter(|balance| balance.free.is_positive()).count();
            report.ok(id, format!("balances can be read; assets held: {held}"));
        }
    }
}

fn rights_found(id: &VenueId, rights: &KeyRights, report: &mut Report) {
    match objection(rights) {
        Some(objection) => report.problem(id, objection),
        None => report.ok(id, format!("key rights: {}", rights.names.join(", "))),
    }
    if rights.withdraw.is_none() {
        report.note(id, "it does not tell whether the key can withdraw: look at it there yourself");
    }
    if rights.address_bound == Some(false) {
        report.note(id, "the key works from any address: bind it to this computer's");
    }
    for text in remarks(rights, MachineTime.now()) {
        report.note(id, text);
    }
}

async fn caps(
    config: &Config,
    credentials: &Credentials,
    prices: &BTreeMap<Symbol, Price>,
    report: &mut Report,
) {
    report.begin("market caps");
    let ids: Vec<String> =
        config.policy.assets.iter().filter_map(|asset| asset.coingecko_id.clone()).collect();
    let asked: Vec<String> = ids.iter().chain(&config.stablecoin_id).cloned().collect();
    // A look is no fetch of a run: it does not go into the archive.
    let client = match coingecko(config, credentials, false) {
        Err(failure) => return report.problem("CoinGecko", failure.message),
        Ok(client) => client,
    };
    let quotes = match client.caps(&asked, MachineTime.now()).await {
        Err(error) => return report.problem("CoinGecko", error.to_string()),
        Ok(caps) => caps.quotes,
    };
    let mut are_fine = true;
    for asset in &config.policy.assets {
        let Some(id) = &asset.coingecko_id else { continue };
        let symbol = Symbol::new(asset.ticker.clone(), config.policy.stablecoin.clone());
        let price = prices.get(&symbol).copied();
        if let Some(why) = cap_objection(id, &asset.venue, price, quotes.get(id), &client) {
            report.problem(&asset.ticker, why);
            are_fine = false;
        }
    }
    if let Some(id) = &config.stablecoin_id
        && let Err(why) = client.stablecoin(id)
    {
        report.problem(&config.policy.stablecoin, why.to_string());
    }
    if are_fine {
        report.ok("CoinGecko", format!("caps of all {} ids, and their prices agree", ids.len()));
    }
}

async fn telegram(config: &Config, credentials: &Credentials, report: &mut Report) {
    report.begin("telegram");
    if !config.telegram.enabled {
        report.ok("", "off (telegram.enabled)");
        return;
    }
    if credentials.telegram.is_none() {
        report.problem("", "no token or chat; set telegram_credentials");
        return;
    }
    let settings = match crate::desk::telegram_settings(config, credentials) {
        Ok(Some(settings)) => settings,
        Ok(None) => return,
        Err(failure) => return report.problem("", failure.message),
    };
    match keel_telegram::probe(&settings).await {
        Err(problem) => report.problem("", problem),
        Ok(bot) if settings.allowed_user_ids.is_empty() => {
            let text = "can write to the chat; commands are off (telegram.allowed_user_ids)";
            report.ok("", format!("{} {text}", bot.name));
        }
        Ok(bot) if bot.has_webhook => report.problem(
            "",
            format!(
                "a webhook is set for {}, so that commands do not arrive: if it was not you, revoke the token at BotFather; otherwise remove it with deleteWebhook",
                bot.name
            ),
        ),
        Ok(bot) => report.ok("", format!("{} can write to the chat; commands are on", bot.name)),
    }
}
