//! From a checked document to the configuration. Runs only when no problem was found.

use crate::check::{Checked, Record};
use crate::config::{
    BotSettings, CoinGecko, Config, ExchangeCredentials, Logging, Options, Paper, Paths, Telegram,
    TelegramCredentials, VenueConfig,
};
use crate::rules::venue_of;
use crate::secret::REDACTED;
use crate::strategy::StrategyParams;
use crate::table::{SECTIONS, Shape, log_level};
use crate::value::Typed;
use keel_core::amount::{Money, Qty};
use keel_core::asset::{Ticker, VenueId};
use keel_core::limits::Limits;
use keel_core::policy::{AssetPolicy, ParkedAsset, Policy, Settings};
use keel_core::time::Timeframe;
use keel_core::{allocation, strategy};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration that a checked document means. `None` when a value that the table or a rule
/// guarantees is absent, which would be a mistake of this crate.
pub(crate) fn config(
    path: &Path,
    checked: &Checked,
    params: &BTreeMap<String, StrategyParams>,
) -> Option<Config> {
    let bot = checked.record("bot_settings")?;
    let mut strategy_files = Vec::new();
    let paths = paths(checked.record("paths")?)?;
    let policy =
        policy(bot, checked.record("limits")?, checked.records("portfolio_assets"), params)?;
    for asset in checked.records("portfolio_assets") {
        let ticker = asset.text("ticker")?;
        if let Some(read) = params.get(&ticker) {
            strategy_files.push(read.file.clone());
        }
    }
    Some(Config {
        path: path.to_owned(),
        stablecoin_id: primary_stablecoin(checked).and_then(|asset| asset.text("coingecko_id")),
        policy,
        bot: bot_settings(bot)?,
        effective: effective(checked, &paths),
        coingecko: coingecko(checked.record("coingecko")?, &paths.status_file)?,
        paths,
        logging: logging(checked.record("logging")?)?,
        venues: named(checked, "exchange_configurations", venue)?
            .into_iter()
            .map(|(id, venue)| Some((id.parse().ok()?, venue)))
            .collect::<Option<_>>()?,
        exchange_credentials: named(checked, "exchanges_credentials", exchange_credentials)?,
        telegram: telegram(checked.record("telegram")?)?,
        telegram_credentials: named(checked, "telegram_credentials", telegram_credentials)?,
        paper: paper(checked.record("paper")?)?,
        strategy_files,
    })
}

fn limits(limits: &Record) -> Option<Limits> {
    let count = |key: &str| u32::try_from(limits.whole(key)?).ok();
    Some(Limits {
        price_band: decimal(limits, "price_band")?,
        max_spread_bps: decimal(limits, "max_spread_bps")?,
        max_slippage_bps: decimal(limits, "max_slippage_bps")?,
        max_orders_per_cycle: count("max_orders_per_cycle")?,
        max_orders_per_day: count("max_orders_per_day")?,
        max_turnover_per_cycle: decimal(limits, "max_turnover_per_cycle")?,
        max_turnover_per_day: decimal(limits, "max_turnover_per_day")?,
        max_depeg: decimal(limits, "max_depeg")?,
    })
}

fn coingecko(coingecko: &Record, status_file: &Path) -> Option<CoinGecko> {
    let beside = status_file.parent().unwrap_or_else(|| Path::new("")).join("marketcap");
    Some(CoinGecko {
        base_url: coingecko.text("base_url"),
        api_key: coingecko.secret("api_key"),
        is_pro: coingecko.text("plan")? == "pro",
        archive: coingecko.text("archive_dir").map_or(beside, PathBuf::from),
        max_price_deviation: decimal(coingecko, "max_price_deviation")?,
    })
}

fn primary_stablecoin(checked: &Checked) -> Option<&Record> {
    checked.records("portfolio_assets").iter().find(|asset| asset.whole("level") == Some(0))
}

fn policy(
    bot: &Record,
    limited: &Record,
    assets: &[Record],
    params: &BTreeMap<String, StrategyParams>,
) -> Option<Policy> {
    let settings = Settings {
        min_order_value: Money::new(decimal(bot, "min_order_value_usd")?),
        max_alt_coin_ratio: decimal(bot, "max_alt_coin_ratio")?.to_f64()?,
        rebalance_threshold: decimal(bot, "rebalance_threshold_percentage")?,
        signal_confirmation_cycles: size(bot, "signal_confirmation_cycles")?,
        indicator_history_size: size(bot, "indicator_history_size")?,
        max_indicator_history_size: size(bot, "max_indicator_history_size")?,
        market_cap_stale_threshold_seconds: bot.whole("market_cap_stale_threshold_seconds")?,
        balance_adjustment_factor_buy: decimal(bot, "balance_adjustment_factor_buy")?,
        balance_adjustment_factor_sell: decimal(bot, "balance_adjustment_factor_sell")?,
        allocation: allocation::find(&bot.text("allocation_policy")?)?,
        limits: limits(limited)?,
    };
    let mut stablecoin: Option<Ticker> = None;
    let (mut tradable, mut parked) = (Vec::new(), Vec::new());
    for asset in assets {
        let ticker: Ticker = asset.text("ticker")?.parse().ok()?;
        let level = u32::try_from(asset.whole("level")?).ok()?;
        let venue: Option<VenueId> = match venue_of(asset) {
            Some(venue) => Some(venue.parse().ok()?),
            None => None,
        };
        if level > 0 {
            let read = params.get(ticker.as_str())?;
            tradable.push(AssetPolicy {
                ticker,
                level,
                venue: venue?,
                coingecko_id: asset.text("coingecko_id"),
                position_interval: Timeframe::from_seconds(asset.whole("position_interval")?)?,
                trend_interval: Timeframe::from_seconds(asset.whole("trend_interval")?)?,
                strategy: strategy::find(&asset.text("strategy_name")?)?,
                position_params: read.position.clone(),
                trend_params: read.trend.clone(),
            });
        } else if stablecoin.is_none() {
            stablecoin = Some(ticker);
        } else {
            parked.push(ParkedAsset { ticker, venue });
        }
    }
    Some(Policy { settings, stablecoin: stablecoin?, assets: tradable, parked })
}

fn bot_settings(bot: &Record) -> Option<BotSettings> {
    Some(BotSettings {
        dry_run: bot.boolean("dry_run")?,
        cycle_sleep: duration(bot, "cycle_sleep_duration_seconds")?,
        max_retries_network: u32::try_from(bot.whole("max_retries_network")?).ok()?,
        retry_delay_network: duration(bot, "retry_delay_seconds_network")?,
        initial_stablecoin_balance: Money::new(decimal(bot, "initial_stablecoin_balance")?),
    })
}

fn paths(paths: &Record) -> Option<Paths> {
    let optional = |key: &str| paths.text(key).map(PathBuf::from);
    let status_file = optional("global_status_file_path")?;
    let beside = status_file.parent().unwrap_or_else(|| Path::new("")).join("keel.sqlite");
    Some(Paths {
        strategies_dir: optional("portfolio_strategies_dir")?,
        journal: optional("journal_path").unwrap_or(beside),
        status_file,
        log_dir: optional("log_dir")?,
        log_filename: paths.text("log_filename")?,
        portfolio_export: optional("portfolio_export_path"),
        ohlcv_export_dir: optional("ohlcv_export_dir"),
    })
}

fn logging(logging: &Record) -> Option<Logging> {
    Some(Logging { level: log_level(&logging.text("level")?)?, json: logging.boolean("json")? })
}

fn venue(venue: &Record) -> Option<VenueConfig> {
    Some(VenueConfig {
        credentials_key: venue.text("credentials_key"),
        sandbox: venue.boolean("sandbox")?,
        options: options(venue)?,
        urls: texts(venue, "urls")?,
    })
}

fn exchange_credentials(credentials: &Record) -> Option<ExchangeCredentials> {
    Some(ExchangeCredentials {
        api_key: credentials.secret("apiKey")?,
        secret: credentials.secret("secret")?,
        password: credentials.secret("password"),
    })
}

fn telegram(telegram: &Record) -> Option<Telegram> {
    Some(Telegram {
        enabled: telegram.boolean("enabled")?,
        credentials_key: telegram.text("credentials_key"),
        allowed_user_ids: match telegram.value("allowed_user_ids") {
            Some(Typed::Ids(ids)) => ids,
            _ => return None,
        },
        notification_settings: texts(telegram, "notification_settings")?,
        api_url: telegram.text("api_url"),
    })
}

fn telegram_credentials(credentials: &Record) -> Option<TelegramCredentials> {
    Some(TelegramCredentials {
        token: credentials.secret("apiKey")?,
        chat_id: credentials.secret("chatId")?,
    })
}

fn paper(paper: &Record) -> Option<Paper> {
    let initial_balances = match paper.value("initial_balances") {
        Some(Typed::Balances(balances)) => Some(
            balances
                .into_iter()
                .map(|(venue, amounts)| {
                    let amounts = amounts
                        .into_iter()
                        .map(|(ticker, amount)| Some((ticker.parse().ok()?, Qty::new(amount))))
                        .collect::<Option<_>>()?;
                    Some((venue.parse().ok()?, amounts))
                })
                .collect::<Option<_>>()?,
        ),
        _ => None,
    };
    Some(Paper {
        fee_bps: decimal(paper, "fee_bps")?,
        half_spread_bps: decimal(paper, "half_spread_bps")?,
        slippage_bps_per_percent_of_volume: decimal(paper, "slippage_bps_per_percent_of_volume")?,
        max_volume_share: decimal(paper, "max_volume_share")?,
        initial_balances,
    })
}

fn named<T>(
    checked: &Checked,
    section: &str,
    make: fn(&Record) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    checked
        .records(section)
        .iter()
        .map(|record| Some((record.name.clone(), make(record)?)))
        .collect()
}

fn decimal(record: &Record, key: &str) -> Option<Decimal> {
    match record.value(key) {
        Some(Typed::Decimal(decimal)) => Some(decimal),
        _ => None,
    }
}

fn size(record: &Record, key: &str) -> Option<usize> {
    usize::try_from(record.whole(key)?).ok()
}

/// Seconds, to the millisecond.
fn duration(record: &Record, key: &str) -> Option<Duration> {
    let ms = (decimal(record, key)? * Decimal::ONE_THOUSAND).round().to_u64()?;
    Some(Duration::from_millis(ms))
}

fn texts(record: &Record, key: &str) -> Option<BTreeMap<String, String>> {
    match record.value(key) {
        Some(Typed::Texts(texts)) => Some(texts),
        _ => None,
    }
}

fn options(record: &Record) -> Option<Options> {
    match record.value("options") {
        Some(Typed::Options(options)) => Some(options),
        _ => None,
    }
}

/// What applies, key by key of the table, without any credential.
fn effective(checked: &Checked, paths: &Paths) -> Value {
    let mut root = Map::new();
    for section in SECTIONS {
        let records = checked.records(section.key);
        let shown = match section.shape {
            Shape::Object => records
                .first()
                .map_or(Value::Null, |record| shown_record(record, section.is_private)),
            Shape::Map(_) => records
                .iter()
                .map(|record| (record.name.clone(), shown_record(record, section.is_private)))
                .collect::<Map<_, _>>()
                .into(),
            Shape::List => {
                records.iter().map(|record| shown_record(record, section.is_private)).collect()
            }
        };
        root.insert(section.key.to_owned(), shown);
    }
    // The one default that depends on another value.
    if let Some(Value::Object(shown)) = root.get_mut("paths") {
        shown.insert("journal_path".to_owned(), json!(paths.journal.display().to_string()));
    }
    Value::Object(root)
}

fn shown_record(record: &Record, private: bool) -> Value {
    let shown = record.fields().map(|(field, value)| {
        let shown = match value {
            None => Value::Null,
            Some(Typed::Bool(boolean)) => Value::Bool(boolean),
            Some(Typed::Whole(whole)) => json!(whole),
            Some(Typed::Decimal(decimal)) => number(decimal),
            Some(Typed::Text(text)) => Value::String(text),
            Some(Typed::Secret(secret)) => Value::String(secret.shown()),
            Some(Typed::Options(options)) => Value::Object(shown_options(options.0, private)),
            Some(Typed::Texts(texts)) => json!(texts),
            Some(Typed::Ids(ids)) => json!(ids),
            Some(Typed::Balances(balances)) => balances
                .into_iter()
                .map(|(venue, amounts)| {
                    let amounts: Map<String, Value> = amounts
                        .into_iter()
                        .map(|(ticker, amount)| (ticker, number(amount)))
                        .collect();
                    (venue, Value::Object(amounts))
                })
                .collect::<Map<_, _>>()
                .into(),
        };
        (field.key.to_owned(), shown)
    });
    Value::Object(shown.collect())
}

fn number(decimal: Decimal) -> Value {
    let text = decimal.to_string();
    text.parse::<serde_json::Number>().map_or(Value::String(text), Value::Number)
}

/// Options, with what may be a credential hidden: everything beside credentials, and elsewhere
/// what is named like one.
fn shown_options(options: Map<String, Value>, hide_all: bool) -> Map<String, Value> {
    options
        .into_iter()
        .map(|(name, value)| {
            let lower = name.to_lowercase();
            let is_named_like_one = ["key", "secret", "token", "pass", "auth", "private"]
                .iter()
                .any(|part| lower.contains(part));
            let shown = match value {
                _ if hide_all || is_named_like_one => Value::String(REDACTED.to_owned()),
                Value::Object(inner) => Value::Object(shown_options(inner, false)),
                other => other,
            };
            (name, shown)
        })
        .collect()
}
