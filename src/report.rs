//! The table at the end of a run: the portfolio beside what the same money would have done without it.

use crate::exit::Failure;
use crate::output;
use crate::simulation::{Summary, cost_models, summarize};
use keel_config::Config;
use keel_core::time::Timeframe;
use keel_sim::benchmark::benchmarks;
use keel_sim::tape::Tape;

/// Total return in percent, annualised volatility is left to the backtest; the deepest fall from a
/// peak in percent.
struct Figures {
    end: f64,
    return_percent: f64,
    drawdown_percent: f64,
}

fn figures(values: &[f64], capital: f64) -> Figures {
    let mut peak = capital;
    let mut drawdown: f64 = 0.0;
    for value in values {
        peak = peak.max(*value);
        drawdown = drawdown.max(1.0 - value / peak);
    }
    let end = values.last().copied().unwrap_or(capital);
    Figures {
        end,
        return_percent: (end / capital - 1.0) * 100.0,
        drawdown_percent: drawdown * 100.0,
    }
}

/// Prints what a finished run came to.
///
/// # Errors
/// When the journal cannot be read.
pub fn print(config: &Config, tape: &Tape) -> Result<(), Failure> {
    let policy = &config.policy;
    let summary = summarize(config, policy)?;
    let (Some(first), Some(last)) = (summary.moments.first(), summary.moments.last()) else {
        output::line("No cycle was run.");
        return Ok(());
    };
    let deposit = crate::simulation::first_deposit(config);
    let capital: f64 = deposit
        .iter()
        .filter(|(_, ticker, _)| **ticker == policy.stablecoin)
        .map(|(_, _, amount)| amount.to_f64())
        .sum();
    let capital = if capital > 0.0 { capital } else { summary.values[0] };
    let cost = keel_core::amount::Qty::new(cost_models(config).trade_cost()).to_f64();
    let mut rows = vec![row("Keel", &figures(&summary.values, capital))];
    let others = benchmarks(tape, policy, &summary.moments, capital, cost);
    for benchmark in &others {
        rows.push(row(benchmark.name, &figures(&benchmark.values, capital)));
    }
    #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
    let days = last.since_ms(*first) as f64 / Timeframe::D1.ms() as f64;
    output::line(format!(
        "\n{} to {} ({days:.0} days, {} cycles), {} {} at the start, after fees\n",
        &first.to_string()[..10],
        &last.to_string()[..10],
        summary.moments.len(),
        output::decimal(rust_decimal::Decimal::try_from(capital).unwrap_or_default(), 0),
        policy.stablecoin
    ));
    output::line(output::table(&["", "end value", "return", "max drawdown"], 1, rows));
    output::line(format!("\n{}", costs(&summary, capital)));
    for benchmark in &others {
        output::line(format!("{:<13} {}", format!("{}:", benchmark.name), benchmark.doc));
    }
    Ok(())
}

fn row(name: &str, figures: &Figures) -> Vec<String> {
    let money = |value: f64| {
        rust_decimal::Decimal::try_from(value)
            .map_or_else(|_| "unknown".to_owned(), |value| output::decimal(value, 2))
    };
    vec![
        name.to_owned(),
        money(figures.end),
        format!("{:+.2} %", figures.return_percent),
        format!("{:.2} %", figures.drawdown_percent),
    ]
}

fn costs(summary: &Summary, capital: f64) -> String {
    let orders = summary.direct_orders + summary.stable_orders;
    let turnover = keel_core::amount::Money::new(summary.traded).to_f64() / capital;
    let unfilled = if summary.unfilled_orders > 0 {
        format!(", {} of them refused or filled in part", summary.unfilled_orders)
    } else {
        String::new()
    };
    format!(
        "{orders} orders ({} direct, {} against the stablecoin{unfilled}); traded {} ({turnover:.1} times the capital); fees {}\n",
        summary.direct_orders,
        summary.stable_orders,
        output::decimal(summary.traded, 2),
        output::decimal(summary.fees, 2),
    )
}
