//! A backtest as JSON.

use crate::backtest::{Backtest, Series};
use crate::losses::sortino::Parts;
use crate::trade::ExitReason;
use keel_core::indicator::KeltnerParams;
use serde::Serialize;

/// What `hyperopt backtest --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Reply {
    params: ParamsReply,
    min_date_ms: i64,
    max_date_ms: i64,
    trades: Vec<TradeReply>,
    summary: Summary,
    loss: LossReply,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ParamsReply {
    window: u32,
    mult: f64,
    atrs: u32,
}

#[derive(Clone, Debug, Serialize)]
struct TradeReply {
    open_ms: i64,
    close_ms: i64,
    open_rate: f64,
    close_rate: f64,
    amount: f64,
    stake_amount: f64,
    profit_ratio: f64,
    profit_abs: f64,
    exit_reason: ExitReason,
}

#[derive(Clone, Debug, Serialize)]
struct LossReply {
    sortino: Parts,
    #[serde(rename = "sortino-published")]
    sortino_published: Parts,
}

/// Figures of a set of trades, named as Freqtrade names them.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Number of trades.
    pub trade_count: u32,
    /// Profit over the wallet.
    pub profit_total: f64,
    /// Profit in quote units.
    pub profit_total_abs: f64,
    /// Wallet at the end.
    pub final_balance: f64,
    /// Wallet at the start.
    pub starting_balance: f64,
    /// Trades with a profit.
    pub wins: u32,
    /// Trades with neither.
    pub draws: u32,
    /// Trades with a loss.
    pub losses: u32,
    /// Mean profit ratio of a trade.
    pub profit_mean: f64,
    /// Deepest drop in quote units.
    pub max_drawdown_abs: f64,
    /// Relative drawdown at the deepest drop.
    pub drawdown_at_max_abs: f64,
    /// Largest relative drawdown.
    pub max_relative_drawdown: f64,
    /// Last close over the first, less 1.
    pub market_change: f64,
}

impl Summary {
    /// The figures of a backtest.
    #[must_use]
    pub fn of(backtest: &Backtest, series: &Series, startup: usize) -> Self {
        let (outcome, period) = (&backtest.outcome, &backtest.period);
        let count = |keep: fn(f64) -> bool| {
            let kept = backtest.trades.iter().filter(|trade| keep(trade.profit_abs)).count();
            u32::try_from(kept).unwrap_or(u32::MAX)
        };
        let ratios: f64 = backtest.trades.iter().map(|trade| trade.profit_ratio).sum();
        let (mut profit, mut high, mut deepest) = (0.0, 0.0_f64, 0.0_f64);
        for trade in &backtest.trades {
            profit += trade.profit_abs;
            high = high.max(profit);
            deepest = deepest.max((high - profit) / (period.wallet + high));
        }
        let close = &series.traded.close;
        let (first, last) = (close[startup], close[close.len() - 1]);
        Self {
            trade_count: outcome.trades,
            profit_total: outcome.profit_ratio(period),
            profit_total_abs: outcome.profit,
            final_balance: period.wallet + outcome.profit,
            starting_balance: period.wallet,
            wins: count(|profit| profit > 0.0),
            draws: count(|profit| profit == 0.0),
            losses: count(|profit| profit < 0.0),
            profit_mean: if outcome.trades == 0 { 0.0 } else { ratios / f64::from(outcome.trades) },
            max_drawdown_abs: outcome.drop,
            drawdown_at_max_abs: outcome.relative_drawdown(period),
            max_relative_drawdown: deepest,
            market_change: (last - first) / first,
        }
    }
}

impl Reply {
    /// The reply to a request.
    #[must_use]
    pub fn of(backtest: &Backtest, series: &Series, params: KeltnerParams, startup: usize) -> Self {
        let times = &series.traded.open_time_ms;
        Self {
            params: ParamsReply { window: params.window, mult: params.mult, atrs: params.atr },
            min_date_ms: backtest.period.first_ms,
            max_date_ms: backtest.period.last_ms,
            trades: backtest
                .trades
                .iter()
                .map(|trade| TradeReply {
                    open_ms: times[trade.open_row],
                    close_ms: times[trade.close_row],
                    open_rate: trade.open_rate,
                    close_rate: trade.close_rate,
                    amount: trade.amount,
                    stake_amount: trade.stake_amount,
                    profit_ratio: trade.profit_ratio,
                    profit_abs: trade.profit_abs,
                    exit_reason: trade.exit_reason,
                })
                .collect(),
            summary: Summary::of(backtest, series, startup),
            loss: LossReply {
                sortino: backtest.sortino(),
                sortino_published: backtest.sortino_published(),
            },
        }
    }
}
