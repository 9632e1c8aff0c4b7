#!/usr/bin/env python3
"""Writes keltner.json: indicators by pandas over made-up candles, for tests/properties/golden.rs.

    pip install pandas==3.1.1 && python3 make.py
"""

import json
import pathlib
import random

import pandas as pd

ROWS = 120
CASES = [
    {"seed": 1, "window": 20, "atr": 10, "mult": 2.0},
    {"seed": 2, "window": 1, "atr": 1, "mult": 0.2},
    {"seed": 3, "window": 7, "atr": 33, "mult": 1.25},
    {"seed": 4, "window": 60, "atr": 2, "mult": 0.1},
]


def candles(seed):
    """A random walk with jumps and a flat stretch; six decimals, as a venue would quote."""
    rng = random.Random(seed)
    price, rows = 100.0 * 10 ** rng.randint(-3, 3), []
    for row in range(ROWS):
        flat = 50 <= row < 65
        open_ = price if rng.random() < 0.8 else price * (1 + rng.gauss(0, 0.01))
        close = open_ if flat else open_ * (1 + rng.gauss(0, 0.012))
        high = max(open_, close) * (1 if flat else 1 + abs(rng.gauss(0, 0.004)))
        low = min(open_, close) * (1 if flat else 1 - abs(rng.gauss(0, 0.004)))
        if flat:
            open_ = high = low = close = price
        rows.append([float(f"{value:.9g}") for value in (open_, high, low, close)])
        price = rows[-1][3]
    return pd.DataFrame(rows, columns=["open", "high", "low", "close"])


def cross(now, line, above):
    before, line_before = now.shift(1), line.shift(1)
    hit = (now > line) & (before <= line_before) if above else (now < line) & (before >= line_before)
    return [bool(value) for value in hit]


def case(window, atr, mult, seed):
    df = candles(seed)
    typical = (df.open + df.high + df.low + df.close) / 4
    middle = typical.ewm(span=window, adjust=False).mean()
    previous = df.close.shift(1)
    ranges = pd.concat([df.high - df.low, (df.high - previous).abs(), (df.low - previous).abs()], axis=1)
    true_range = ranges.max(axis=1)
    average = true_range.ewm(alpha=1 / atr, adjust=False).mean()
    upper, lower = middle + mult * average, middle - mult * average
    columns = {
        "typical": typical,
        "true_range": true_range,
        "atr": average,
        "middle": middle,
        "upper": upper,
        "lower": lower,
        "width": (upper - lower) / middle * 100,
        "percent_b": (df.close - lower) / (upper - lower),
    }
    return {
        "params": {"window": window, "atr": atr, "mult": mult},
        "candles": {name: list(df[name]) for name in df.columns},
        # A band of no width has no %B: null.
        "columns": {
            name: [None if pd.isna(value) else float(f"{value:.15g}") for value in column]
            for name, column in columns.items()
        },
        "crosses": {
            "close_upper": cross(df.close, upper, True),
            "high_upper": cross(df.high, upper, True),
            "close_lower": cross(df.close, lower, False),
            "low_lower": cross(df.low, lower, False),
        },
    }


here = pathlib.Path(__file__).parent
cases = [case(**parameters) for parameters in CASES]
(here / "keltner.json").write_text(json.dumps({"pandas": pd.__version__, "cases": cases}, separators=(",", ":")) + "\n")
