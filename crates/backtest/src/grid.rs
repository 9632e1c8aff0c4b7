//! Settings of the whole portfolio that a sweep may vary, and the points of a grid over them.

use keel_core::allocation;
use keel_core::amount::Money;
use keel_core::policy::Policy;
use keel_core::time::Timeframe;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeSet;

/// A setting that can be varied.
pub struct Setting {
    /// Its key in the configuration.
    pub key: &'static str,
    /// What its values are.
    pub expected: &'static str,
    /// Puts a value into a policy; `None` when it is not one.
    apply: fn(&mut Policy, &str) -> Option<()>,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.key)
    }
}

/// Every setting that can be varied.
pub static SETTINGS: &[Setting] = &[
    Setting {
        key: "rebalance_threshold_percentage",
        expected: "a fraction from 0 to 1",
        apply: |policy, text| {
            policy.settings.rebalance_threshold = fraction(text)?;
            Some(())
        },
    },
    Setting {
        key: "max_alt_coin_ratio",
        expected: "a fraction from 0 to 1",
        apply: |policy, text| {
            policy.settings.max_alt_coin_ratio = fraction(text)?.to_f64()?;
            Some(())
        },
    },
    Setting {
        key: "min_order_value_usd",
        expected: "an amount of at least 0",
        apply: |policy, text| {
            let value: Decimal = text.parse().ok()?;
            policy.settings.min_order_value =
                (value >= Decimal::ZERO).then(|| Money::new(value))?;
            Some(())
        },
    },
    Setting {
        key: "signal_confirmation_cycles",
        expected: "a whole number from 1 to 1000",
        apply: |policy, text| {
            let cycles: usize = text.parse().ok()?;
            policy.settings.signal_confirmation_cycles =
                (1..=1000).contains(&cycles).then_some(cycles)?;
            Some(())
        },
    },
    Setting {
        key: "allocation_policy",
        expected: "the name of an allocation policy, such as dominance or equal",
        apply: |policy, text| {
            policy.settings.allocation = allocation::find(text)?;
            Some(())
        },
    },
    Setting {
        key: "position_interval",
        expected: "a length of bars, such as 1h or 3600",
        apply: |policy, text| {
            let interval = interval(text)?;
            policy.assets.iter_mut().for_each(|asset| asset.position_interval = interval);
            Some(())
        },
    },
    Setting {
        key: "trend_interval",
        expected: "a length of bars, such as 4h or 14400",
        apply: |policy, text| {
            let interval = interval(text)?;
            policy.assets.iter_mut().for_each(|asset| asset.trend_interval = interval);
            Some(())
        },
    },
];

fn fraction(text: &str) -> Option<Decimal> {
    let value: Decimal = text.parse().ok()?;
    (Decimal::ZERO..=Decimal::ONE).contains(&value).then_some(value)
}

fn interval(text: &str) -> Option<Timeframe> {
    match text.parse::<u64>() {
        Ok(seconds) => Timeframe::from_seconds(seconds),
        Err(_) => text.parse().ok(),
    }
}

/// The values of one setting in a grid.
#[derive(Debug)]
pub struct Axis {
    /// The setting.
    pub setting: &'static Setting,
    /// Its values, in the order they were written.
    pub values: Vec<String>,
}

/// A grid that cannot be read: what was seen and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GridError(String);

/// Values that one `from..to:count` may stand for.
const STEPS_MAX: u32 = 10_000;

impl Axis {
    /// Reads `key=value,value,...`; `from..to:count` stands for evenly spaced values.
    ///
    /// # Errors
    /// A key that cannot be varied, or a value that is not one of it.
    pub fn parse(text: &str, policy: &Policy) -> Result<Self, GridError> {
        let keys = || SETTINGS.iter().map(|setting| setting.key).collect::<Vec<_>>().join(", ");
        let (key, values) = text.split_once('=').ok_or_else(|| {
            GridError(format!("`{text}` is not a part of a grid; expected KEY=VALUE,VALUE,..."))
        })?;
        let setting = SETTINGS.iter().find(|setting| setting.key == key).ok_or_else(|| {
            GridError(format!("`{key}` cannot be varied; expected one of {}", keys()))
        })?;
        let mut read = Vec::new();
        for value in values.split(',') {
            let found = match value.split_once("..") {
                Some((from, rest)) => spaced(from, rest).ok_or_else(|| {
                    GridError(format!(
                        "`{value}` is not a row of values; expected FROM..TO:COUNT, such as 0.01..0.05:5"
                    ))
                })?,
                None => vec![value.to_owned()],
            };
            for value in found {
                let mut probe = policy.clone();
                (setting.apply)(&mut probe, &value).ok_or_else(|| {
                    GridError(format!("{key}: `{value}` is seen, expected {}", setting.expected))
                })?;
                if !read.contains(&value) {
                    read.push(value);
                }
            }
        }
        Ok(Self { setting, values: read })
    }
}

fn spaced(from: &str, rest: &str) -> Option<Vec<String>> {
    let (to, count) = rest.split_once(':')?;
    let (from, to): (Decimal, Decimal) = (from.parse().ok()?, to.parse().ok()?);
    let count: u32 = count.parse().ok().filter(|count| (2..=STEPS_MAX).contains(count))?;
    let step = to.checked_sub(from)?.checked_div(Decimal::from(count - 1))?;
    (0..count)
        .map(|i| {
            let value = from.checked_add(step.checked_mul(Decimal::from(i))?)?;
            Some(value.round_dp(12).normalize().to_string())
        })
        .collect()
}

/// One point of a grid: a value for each axis, in their order.
pub type Point = Vec<String>;

/// All points of a grid, the last axis turning fastest.
#[must_use]
pub fn points(axes: &[Axis]) -> Vec<Point> {
    (0..size(axes)).map(|number| point(axes, number)).collect()
}

/// How many points a grid has; the largest number when it cannot be counted.
#[must_use]
pub fn size(axes: &[Axis]) -> usize {
    axes.iter().fold(1, |size: usize, axis| size.saturating_mul(axis.values.len()))
}

fn point(axes: &[Axis], mut number: usize) -> Point {
    let mut values: Point = axes
        .iter()
        .rev()
        .map(|axis| {
            let value = axis.values[number % axis.values.len()].clone();
            number /= axis.values.len();
            value
        })
        .collect();
    values.reverse();
    values
}

/// `count` different points drawn by `seed`, in the order of the grid; all when there are no more.
#[must_use]
pub fn drawn(axes: &[Axis], count: usize, seed: u64) -> Vec<Point> {
    let all = size(axes);
    if count >= all {
        return points(axes);
    }
    // Floyd's sampling: every subset is equally likely, and the work does not grow with the grid.
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen = BTreeSet::new();
    for last in all - count..all {
        let number = usize::try_from(below(&mut rng, last as u64 + 1)).unwrap_or(last);
        if !chosen.insert(number) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().map(|number| point(axes, number)).collect()
}

/// Uniform in `0..end`, without the bias of a remainder.
fn below(rng: &mut ChaCha8Rng, end: u64) -> u64 {
    let fair = u64::MAX - u64::MAX % end;
    loop {
        let drawn = rng.next_u64();
        if drawn < fair {
            return drawn % end;
        }
    }
}

/// The policy of a point; `None` for a value that does not belong to its axis.
#[must_use]
pub fn policy_of(policy: &Policy, axes: &[Axis], point: &Point) -> Option<Policy> {
    let mut changed = policy.clone();
    for (axis, value) in axes.iter().zip(point) {
        (axis.setting.apply)(&mut changed, value)?;
    }
    Some(changed)
}

/// Every interval that the grid asks candles of.
#[must_use]
pub fn timeframes(axes: &[Axis]) -> BTreeSet<Timeframe> {
    axes.iter()
        .filter(|axis| axis.setting.key.ends_with("_interval"))
        .flat_map(|axis| axis.values.iter().filter_map(|value| interval(value)))
        .collect()
}
