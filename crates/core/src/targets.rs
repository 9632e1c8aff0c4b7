//! Targets: what each asset should be worth, from its market cap and its signals.

use crate::allocation::Candidate;
use crate::amount::{Money, decimal_from_weight};
use crate::policy::Settings;
use crate::signal::{Signal, effective};
use rust_decimal::Decimal;

/// What a target depends on, for one tradable asset.
#[derive(Clone, Copy, Debug)]
pub struct TargetInput {
    /// 1 major, 2 and above altcoin.
    pub level: u32,
    /// Market capitalisation; `None` or not above 0 means unknown and counts as none.
    pub market_cap: Option<f64>,
    /// Position signal.
    pub position: Signal,
    /// Trend signal.
    pub trend: Signal,
    /// What is held, in the primary stablecoin.
    pub value: Money,
}

/// What came out, for one asset or the stablecoin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Share of all caps, 0..=1; 0 for the stablecoin.
    pub dominance: f64,
    /// Weight in the portfolio.
    pub ratio: Decimal,
    /// `ratio * total`.
    pub target: Money,
    /// `target - value`; 0 inside the drift band.
    pub change: Money,
    /// `|change| / target` before the band was applied, where there is a target.
    pub drift: Option<Decimal>,
    /// Scaled down by the altcoin cap.
    pub capped: bool,
}

/// Targets of a whole portfolio. The ratios sum to exactly 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// Value of everything that can be distributed.
    pub total: Money,
    /// The primary stablecoin.
    pub stablecoin: Target,
    /// The assets, in the order they came.
    pub assets: Vec<Target>,
}

/// A portfolio worth this or less is not distributed.
#[must_use]
pub fn nothing_to_distribute(total: Money) -> bool {
    total.get() <= Decimal::new(1, 6)
}

/// Section 5 of the specification. `stablecoin_value` is the free stablecoin of all venues.
#[must_use]
pub fn targets(inputs: &[TargetInput], stablecoin_value: Money, settings: &Settings) -> Targets {
    let total = stablecoin_value + inputs.iter().map(|input| input.value).sum();
    let dominance = dominance(inputs);
    let (ratios, capped) = ratios(inputs, &dominance, settings);
    let assets: Vec<Target> = inputs
        .iter()
        .enumerate()
        .map(|(i, input)| Target {
            dominance: dominance[i],
            capped: capped && input.level >= 2 && !ratios[i].is_zero(),
            ..target(ratios[i], total, input.value, settings)
        })
        .collect();
    // What the others leave is the stablecoin's, so the ratios sum to exactly 1.
    let rest = Decimal::ONE - ratios.iter().sum::<Decimal>();
    let stablecoin = target(rest, total, stablecoin_value, settings);
    Targets { total, stablecoin, assets }
}

fn dominance(inputs: &[TargetInput]) -> Vec<f64> {
    let cap = |input: &TargetInput| {
        input.market_cap.filter(|cap| cap.is_finite() && *cap > 0.0).unwrap_or(0.0)
    };
    let total: f64 = inputs.iter().map(cap).sum();
    inputs.iter().map(|input| if total > 0.0 { cap(input) / total } else { 0.0 }).collect()
}

/// The weights as decimals, and whether the altcoin cap was in force.
fn ratios(inputs: &[TargetInput], dominance: &[f64], settings: &Settings) -> (Vec<Decimal>, bool) {
    let signals: Vec<(Signal, Signal)> =
        inputs.iter().map(|input| effective(input.position, input.trend)).collect();
    let trending: Vec<usize> = (0..inputs.len()).filter(|i| signals[*i].1 == Signal::Buy).collect();
    let candidates: Vec<Candidate> =
        trending.iter().map(|i| Candidate { dominance: dominance[*i] }).collect();
    let mut weights = vec![0.0_f64; inputs.len()];
    for (i, weight) in trending.iter().zip((settings.allocation.weigh)(&candidates)) {
        // A trending asset whose price signal is not a buy leaves its share to the stablecoin.
        if signals[*i].0 == Signal::Buy {
            weights[*i] = weight;
        }
    }
    let altcoins = |i: &usize| inputs[*i].level >= 2;
    let altcoin_sum: f64 = (0..inputs.len()).filter(altcoins).map(|i| weights[i]).sum();
    let capped = altcoin_sum > settings.max_alt_coin_ratio;
    if capped {
        for i in (0..inputs.len()).filter(altcoins) {
            weights[i] *= settings.max_alt_coin_ratio / altcoin_sum;
        }
    }
    let sum: f64 = weights.iter().sum();
    if sum > 1.0 {
        for weight in &mut weights {
            *weight /= sum;
        }
    }
    let mut left = Decimal::ONE;
    let ratios = weights
        .into_iter()
        .map(|weight| {
            // Rounded down, and never beyond what is left of 1: sixteen digits of f64 can exceed 1.
            let ratio = decimal_from_weight(weight).unwrap_or(Decimal::ZERO).min(left);
            left -= ratio;
            ratio
        })
        .collect();
    (ratios, capped)
}

fn target(ratio: Decimal, total: Money, value: Money, settings: &Settings) -> Target {
    let target = Money::new(ratio * total.get());
    let change = target - value;
    let drift = change.abs().fraction_of(target).filter(|_| target.is_positive());
    let inside = drift.is_some_and(|drift| drift < settings.rebalance_threshold);
    Target {
        dominance: 0.0,
        ratio,
        target,
        change: if inside { Money::ZERO } else { change },
        drift,
        capped: false,
    }
}
