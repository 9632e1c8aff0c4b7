//! `keel plan --snapshot`: sections 5 and 6 of the specification as a question and an answer in JSON.

use crate::amount::{Money, Price, Qty};
use crate::asset::{Symbol, Ticker, VenueId};
use crate::market::MarketRules;
use crate::order::PlannedOrder;
use crate::plan::{AssetView, Markets, Plan, PlanInput, plan};
use crate::policy::Settings;
use crate::signal::Signal;
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A what-if question.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    #[serde(default)]
    settings: SnapshotSettings,
    stablecoin: Ticker,
    #[serde(default)]
    stablecoin_free: BTreeMap<VenueId, Amount>,
    assets: Vec<SnapshotAsset>,
    #[serde(default)]
    markets: BTreeMap<VenueId, Vec<SnapshotMarket>>,
    #[serde(default)]
    constrain_funding: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotSettings {
    min_order_value_usd: Option<Amount>,
    max_alt_coin_ratio: Option<f64>,
    rebalance_threshold_percentage: Option<Amount>,
    allocation_policy: Option<String>,
    constrain_funding: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotAsset {
    ticker: Ticker,
    level: u32,
    exchange: VenueId,
    price: Amount,
    #[serde(default)]
    free: Amount,
    last_market_cap: Option<f64>,
    position_signal: Signal,
    trend_signal: Signal,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum SnapshotMarket {
    Name(Symbol),
    Rules(SnapshotRules),
}

#[derive(Clone, Debug, Deserialize)]
struct SnapshotRules {
    symbol: Symbol,
    amount_step: Option<Amount>,
    min_amount: Option<Amount>,
    min_cost: Option<Amount>,
}

/// An amount read from its text, number or string, between 0 and 10^15: larger ones are typing
/// errors, and products of two of them still fit the decimal range.
#[derive(Clone, Copy, Debug, Default)]
struct Amount(Decimal);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = match &value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            other => return Err(D::Error::custom(format!("expected a number, found {other}"))),
        };
        let parsed = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text));
        let amount =
            parsed.map_err(|_| D::Error::custom(format!("expected a number, found `{text}`")))?;
        let largest = Decimal::new(1_000_000_000_000_000, 0);
        if amount.is_sign_negative() && !amount.is_zero() || amount > largest {
            return Err(D::Error::custom(format!("expected 0 to 1e15, found {text}")));
        }
        Ok(Self(amount))
    }
}

/// Why a snapshot has no plan.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not a snapshot.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
    /// A value that means nothing.
    #[error("{0}")]
    Value(String),
}

/// The plan of one snapshot (an object), or of each in an array.
///
/// # Errors
/// What is wrong with the first snapshot that cannot be read, with its place.
pub fn answer(question: Value) -> Result<Value, SnapshotError> {
    match question {
        Value::Array(snapshots) => snapshots
            .into_iter()
            .enumerate()
            .map(|(i, snapshot)| {
                answer_one(snapshot)
                    .map_err(|error| SnapshotError::Value(format!("snapshot {i}: {error}")))
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array),
        one => answer_one(one),
    }
}

fn answer_one(question: Value) -> Result<Value, SnapshotError> {
    let id = question.get("id").cloned();
    let snapshot: Snapshot = serde_json::from_value(question)?;
    let settings = settings(&snapshot)?;
    let assets = assets(&snapshot)?;
    let markets: BTreeMap<VenueId, Markets> = snapshot
        .markets
        .iter()
        .map(|(venue, markets)| (venue.clone(), markets.iter().map(rules).collect()))
        .collect();
    let mut free: BTreeMap<VenueId, Money> = snapshot
        .stablecoin_free
        .iter()
        .map(|(venue, amount)| (venue.clone(), Money::new(amount.0)))
        .collect();
    for asset in &assets {
        free.entry(asset.venue.clone()).or_default();
    }
    let input = PlanInput {
        settings: &settings,
        stablecoin: &snapshot.stablecoin,
        stablecoin_free: &free,
        assets: &assets,
        markets: &markets.iter().map(|(venue, markets)| (venue.clone(), markets)).collect(),
        constrain_funding: snapshot.constrain_funding
            || snapshot.settings.constrain_funding.unwrap_or(false),
    };
    let plan = plan(&input);
    let mut answer = plan_json(&plan, &snapshot.stablecoin, &assets);
    if let (Some(id), Some(object)) = (id, answer.as_object_mut()) {
        object.insert("id".to_owned(), id);
    }
    Ok(answer)
}

fn settings(snapshot: &Snapshot) -> Result<Settings, SnapshotError> {
    let typed = &snapshot.settings;
    let mut settings = Settings::default();
    if let Some(value) = typed.min_order_value_usd {
        settings.min_order_value = Money::new(value.0);
    }
    if let Some(value) = typed.rebalance_threshold_percentage {
        settings.rebalance_threshold = value.0;
    }
    if let Some(value) = typed.max_alt_coin_ratio {
        if !(0.0..=1.0).contains(&value) {
            return Err(SnapshotError::Value(format!(
                "settings.max_alt_coin_ratio: expected 0 to 1, found {value}"
            )));
        }
        settings.max_alt_coin_ratio = value;
    }
    if let Some(name) = &typed.allocation_policy {
        settings.allocation = crate::allocation::find(name).ok_or_else(|| {
            SnapshotError::Value(format!(
                "settings.allocation_policy: expected one of {}, found `{name}`",
                crate::allocation::ALLOCATIONS
                    .iter()
                    .map(|a| a.name)
                    .collect::<Vec<_>>()
                    .join(", ")
            ))
        })?;
    }
    Ok(settings)
}

fn assets(snapshot: &Snapshot) -> Result<Vec<AssetView>, SnapshotError> {
    let mut seen = std::collections::BTreeSet::new();
    snapshot
        .assets
        .iter()
        .enumerate()
        .map(|(i, asset)| {
            let wrong = |what: &str| SnapshotError::Value(format!("assets[{i}]: {what}"));
            if asset.ticker == snapshot.stablecoin {
                return Err(wrong("the stablecoin belongs in stablecoin_free, not in assets"));
            }
            if !seen.insert(asset.ticker.clone()) {
                return Err(wrong(&format!("{} is listed twice", asset.ticker)));
            }
            if asset.level == 0 {
                return Err(wrong("level 0 is a stablecoin; expected 1 or more"));
            }
            if asset.price.0.is_zero() {
                return Err(wrong("price: expected more than 0"));
            }
            Ok(AssetView {
                ticker: asset.ticker.clone(),
                level: asset.level,
                venue: asset.exchange.clone(),
                price: Price::new(asset.price.0),
                free: Qty::new(asset.free.0),
                market_cap: asset.last_market_cap,
                position: asset.position_signal,
                trend: asset.trend_signal,
                blocked: None,
            })
        })
        .collect()
}

fn rules(market: &SnapshotMarket) -> (Symbol, MarketRules) {
    let rules = match market {
        SnapshotMarket::Name(symbol) => MarketRules::unlimited(symbol.clone()),
        SnapshotMarket::Rules(rules) => MarketRules {
            amount_step: Qty::new(rules.amount_step.unwrap_or_default().0),
            min_amount: Qty::new(rules.min_amount.unwrap_or_default().0),
            min_cost: rules.min_cost.unwrap_or_default().0,
            ..MarketRules::unlimited(rules.symbol.clone())
        },
    };
    (rules.symbol.clone(), rules)
}

/// A decimal as a JSON number with all its digits.
#[must_use]
pub fn number(value: Decimal) -> Value {
    let text = value.normalize().to_string();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn plan_json(plan: &Plan, stablecoin: &Ticker, assets: &[AssetView]) -> Value {
    let row = |ticker: &Ticker, target: &crate::targets::Target| {
        json!({
            "ticker": ticker,
            "dominance": target.dominance,
            "ratio": number(target.ratio),
            "target_value": number(target.target.get()),
            "change": number(target.change.get()),
        })
    };
    let mut targets = vec![row(stablecoin, &plan.targets.stablecoin)];
    targets.extend(
        assets.iter().zip(&plan.targets.assets).map(|(asset, target)| row(&asset.ticker, target)),
    );
    let mut skipped = Vec::new();
    for (asset, reason) in assets.iter().zip(&plan.reasons) {
        if let Some(reason) = reason {
            let mut entry = Map::new();
            entry.insert("ticker".to_owned(), json!(asset.ticker));
            entry.insert("reason".to_owned(), json!(reason.code()));
            entry.insert("detail".to_owned(), json!(reason.to_string()));
            skipped.push(Value::Object(entry));
        }
    }
    json!({
        "total_value": number(plan.targets.total.get()),
        "targets": targets,
        "orders": plan.orders.iter().map(order_json).collect::<Vec<_>>(),
        "skipped": skipped,
    })
}

/// One planned order as JSON.
#[must_use]
pub fn order_json(order: &PlannedOrder) -> Value {
    json!({
        "kind": order.kind,
        "exchange": order.venue,
        "symbol": order.symbol,
        "side": order.side,
        "amount": number(order.amount.get()),
        "value": number(order.value.get()),
    })
}
