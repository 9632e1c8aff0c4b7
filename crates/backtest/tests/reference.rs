//! The figures equal those of quantstats and empyrical on the same curves.
//! `tools/reference_statistics.py` made `reference/statistics.json` and names the versions.

#![allow(clippy::unwrap_used)]

use keel_backtest::run::Flow;
use keel_backtest::statistics::{DailyCurve, of_curve};
use keel_core::time::{Timeframe, Timestamp};
use serde_json::Value;

const REFERENCE: &str = include_str!("reference/statistics.json");

fn moments(count: usize) -> Vec<Timestamp> {
    let day = |i| Timestamp::from_ms(1_609_459_200_000 + i * Timeframe::D1.ms());
    (0..i64::try_from(count).unwrap()).map(day).collect()
}

#[track_caller]
fn expect_close(name: &str, found: f64, expected: f64) {
    let close = (found - expected).abs() <= 1e-9 * expected.abs().max(1e-12);
    assert!(close, "{name} is {found}, expected {expected}");
}

#[test]
fn the_figures_equal_quantstats_and_empyrical() {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    for case in reference["curves"].as_array().unwrap() {
        let values: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let expected = |name: &str| case["figures"][name].as_f64().unwrap();
        let found = of_curve(&DailyCurve { moments: moments(values.len()), values });
        for (name, found) in [
            ("total_return", Some(found.total_return)),
            ("cagr", found.cagr),
            ("volatility", found.volatility),
            ("sharpe", found.sharpe),
            ("sortino", found.sortino),
            ("calmar", found.calmar),
            ("max_drawdown", Some(found.max_drawdown)),
            ("win_rate", found.win_rate),
            ("profit_factor", found.profit_factor),
            ("expectancy", found.expectancy),
            ("best_day", found.best_day),
            ("worst_day", found.worst_day),
            ("empyrical_volatility", found.volatility),
            ("empyrical_sharpe", found.sharpe),
            ("empyrical_sortino", found.sortino),
        ] {
            expect_close(name, found.unwrap(), expected(name));
        }
        assert_eq!(
            case["figures"]["longest_drawdown_days"].as_u64().unwrap(),
            found.longest_drawdown_days as u64
        );
    }
}

#[test]
fn deposits_and_withdrawals_leave_every_figure_as_it_is() {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    let values: Vec<f64> = reference["curves"][0]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect();
    let moments = moments(values.len());
    let flows: Vec<Flow> = [(100, 5_000.0), (500, -700.0), (900, 12_345.0)]
        .iter()
        .map(|(day, amount)| Flow { at: moments[*day], amount: *amount })
        .collect();
    let mut money = 1000.0;
    let equity: Vec<f64> = (0..values.len())
        .map(|day| {
            if day > 0 {
                money *= values[day] / values[day - 1];
            }
            money +=
                flows.iter().filter(|flow| flow.at == moments[day]).map(|f| f.amount).sum::<f64>();
            money
        })
        .collect();
    let alone = of_curve(&DailyCurve { moments: moments.clone(), values });
    let with_flows = of_curve(&DailyCurve::new(&moments, &equity, &flows, 1000.0));
    expect_close("return", with_flows.total_return, alone.total_return);
    expect_close("sharpe", with_flows.sharpe.unwrap(), alone.sharpe.unwrap());
    expect_close("drawdown", with_flows.max_drawdown, alone.max_drawdown);
    assert_eq!(with_flows.days, alone.days);
}

#[test]
fn a_curve_without_losses_has_no_ratio_that_divides_by_them() {
    let curve = DailyCurve { moments: moments(4), values: vec![1.0, 1.1, 1.2, 1.3] };
    let found = of_curve(&curve);
    assert_eq!((found.sortino, found.calmar, found.profit_factor), (None, None, None));
    assert_eq!(found.win_rate, Some(1.0));
    assert_eq!(of_curve(&DailyCurve::default()).cagr, None);
}
