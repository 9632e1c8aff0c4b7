//! Sharpe, profit and win rate, less drawdown: the blend of the rebalancer's forerunner.

use super::Loss;

/// Half the score is risk-adjusted return; profit and win rate share the rest. The forerunner gives
/// no numbers; these keep each part between about -1 and 3 on usual results.
const SHARPE_WEIGHT: f64 = 0.5;
const PROFIT_WEIGHT: f64 = 0.3;
const WIN_RATE_WEIGHT: f64 = 0.2;
const DRAWDOWN_WEIGHT: f64 = 0.5;

pub(super) const LOSS: Loss = Loss {
    name: "composite",
    doc: "-(0.5 Sharpe + 0.3 profit ratio + 0.2 win rate - 0.5 drawdown)",
    evaluate: |outcome, period, _| {
        let sharpe = outcome.daily_sharpe(period) * 365_f64.sqrt();
        let win_rate = f64::from(outcome.wins) / f64::from(outcome.trades);
        -(SHARPE_WEIGHT * sharpe
            + PROFIT_WEIGHT * outcome.profit_ratio(period)
            + WIN_RATE_WEIGHT * win_rate
            - DRAWDOWN_WEIGHT * outcome.relative_drawdown(period))
    },
};
