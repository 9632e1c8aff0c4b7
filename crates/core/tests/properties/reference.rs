//! Section 5 of the specification once more, in plain `f64`, written without a look at the code.

use crate::portfolio::Portfolio;
use keel_core::signal::Signal;

pub(crate) struct Reference {
    pub(crate) total: f64,
    pub(crate) dominance: Vec<f64>,
    pub(crate) ratio: Vec<f64>,
    pub(crate) stablecoin_ratio: f64,
}

fn number(value: rust_decimal::Decimal) -> f64 {
    value.to_string().parse().unwrap()
}

pub(crate) fn reference(portfolio: &Portfolio) -> Reference {
    let n = portfolio.assets.len();
    let mut total: f64 = portfolio.stablecoin_free.values().map(|free| number(free.get())).sum();
    for asset in &portfolio.assets {
        total += number(asset.free.get()) * number(asset.price.get());
    }
    let caps: Vec<f64> = portfolio.assets.iter().map(|a| a.market_cap.unwrap_or(0.0)).collect();
    let all_caps: f64 = caps.iter().sum();
    let dominance: Vec<f64> =
        caps.iter().map(|cap| if all_caps > 0.0 { cap / all_caps } else { 0.0 }).collect();
    let mut trending = vec![false; n];
    let mut buying = vec![false; n];
    for (i, asset) in portfolio.assets.iter().enumerate() {
        // Section 3: if either signal is 0, both count as -1.
        let spoken = asset.position != Signal::None && asset.trend != Signal::None;
        trending[i] = spoken && asset.trend == Signal::Buy;
        buying[i] = spoken && asset.position == Signal::Buy;
    }
    let trending_caps: f64 = (0..n).filter(|i| trending[*i]).map(|i| caps[i]).sum();
    let trending_count = (0..n).filter(|i| trending[*i] && caps[*i] > 0.0).count();
    let mut ratio = vec![0.0; n];
    for i in 0..n {
        if !trending[i] || !buying[i] || caps[i] <= 0.0 {
            continue;
        }
        ratio[i] = match portfolio.settings.allocation.name {
            "dominance" => caps[i] / trending_caps,
            "equal" => 1.0 / trending_count as f64,
            other => panic!("the reference does not know the policy {other}"),
        };
    }
    let is_altcoin = |i: usize| portfolio.assets[i].level >= 2;
    let altcoins: f64 = (0..n).filter(|i| is_altcoin(*i)).map(|i| ratio[i]).sum();
    let most = portfolio.settings.max_alt_coin_ratio;
    if altcoins > most {
        for i in (0..n).filter(|i| is_altcoin(*i)) {
            ratio[i] = ratio[i] / altcoins * most;
        }
    }
    let invested: f64 = ratio.iter().sum();
    Reference { total, dominance, stablecoin_ratio: 1.0 - invested, ratio }
}
