"""Writes the reference figures that crates/backtest/tests/reference.rs compares with.

    pip install quantstats empyrical-reloaded
    python tools/reference_statistics.py > crates/backtest/tests/reference/statistics.json

The curve is made here from a fixed linear congruential generator, so that nothing is downloaded. It
has flat days, gains and losses. Periods per year are 365, the risk-free rate is 0.
"""

import json
import warnings

warnings.filterwarnings("ignore")

import empyrical
import pandas
import quantstats.stats as quantstats


def curve(seed, days, drift, volatility):
    """Values of one unit, the first one 1.0: sums of four uniform numbers as daily changes."""
    state, value, values = seed, 1.0, [1.0]
    for day in range(days):
        total = 0.0
        for _ in range(4):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            total += (state >> 11) / 2**53
        change = 0.0 if day % 11 == 3 else drift + volatility * (total - 2.0)
        value *= 1.0 + change
        values.append(value)
    return values


def figures(values):
    dates = pandas.date_range("2021-01-01", periods=len(values), freq="D")
    prices = pandas.Series(values, index=dates)
    returns = prices.pct_change().dropna()
    drawdowns = quantstats.drawdown_details(quantstats.to_drawdown_series(prices))
    return {
        "total_return": empyrical.cum_returns_final(returns),
        "cagr": empyrical.annual_return(returns, annualization=365),
        "volatility": quantstats.volatility(returns, periods=365),
        "sharpe": quantstats.sharpe(returns, periods=365),
        "sortino": quantstats.sortino(returns, periods=365),
        "calmar": empyrical.calmar_ratio(returns, annualization=365),
        "max_drawdown": -empyrical.max_drawdown(returns),
        "longest_drawdown_days": int(drawdowns["days"].max()) if len(drawdowns) else 0,
        "win_rate": quantstats.win_rate(returns),
        "profit_factor": quantstats.profit_factor(returns, prepare_returns=False)
        if "prepare_returns" in quantstats.profit_factor.__code__.co_varnames
        else quantstats.profit_factor(returns),
        "expectancy": returns.mean(),
        "best_day": quantstats.best(returns),
        "worst_day": quantstats.worst(returns),
        "empyrical_volatility": empyrical.annual_volatility(returns, annualization=365),
        "empyrical_sharpe": empyrical.sharpe_ratio(returns, annualization=365),
        "empyrical_sortino": empyrical.sortino_ratio(returns, annualization=365),
    }


def main():
    cases = [(1, 1460, 0.0008, 0.06), (7, 365, -0.0005, 0.03), (42, 90, 0.002, 0.1), (3, 800, 0.0, 0.02)]
    out = []
    for case in cases:
        values = curve(*case)
        out.append({"values": values, "figures": figures(values)})
    versions = {"quantstats": __import__("quantstats").__version__, "empyrical": empyrical.__version__}
    print(json.dumps({"versions": versions, "curves": out}))


main()
