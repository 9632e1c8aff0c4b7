"""Prints how many trials a second stock Freqtrade does on the last 35,040 candles of a file."""

import logging
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path
from unittest.mock import PropertyMock, patch

warnings.filterwarnings("ignore")
import pandas as pd  # noqa: E402
from ccxt import TICK_SIZE  # noqa: E402
from freqtrade.data.history import get_datahandler  # noqa: E402
from freqtrade.enums import CandleType, RunMode  # noqa: E402
from freqtrade.optimize.backtesting import Backtesting  # noqa: E402
from freqtrade.strategy import IStrategy  # noqa: E402

logging.disable(logging.CRITICAL)
EXCHANGE = "freqtrade.exchange.exchange.Exchange"
PARAMS = {"window": 14, "mult": 2.1, "atrs": 11}


class Keltner(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "15m"
    minimal_roi = {}
    stoploss = -1.0
    startup_candle_count = 60
    use_exit_signal = True
    exit_profit_only = False
    exit_profit_offset = 0.0
    ignore_roi_if_entry_signal = False
    ignore_buying_expired_candle_after = 0
    disable_dataframe_checks = False
    position_adjustment_enable = False
    max_entry_position_adjustment = -1
    order_types = {"entry": "limit", "exit": "limit", "stoploss": "limit", "stoploss_on_exchange": False}
    order_time_in_force = {"entry": "GTC", "exit": "GTC"}
    max_open_trades = 1

    def ft_bot_start(self, **_):
        pass

    def populate_indicators(self, df, _):
        typical = df[["open", "high", "low", "close"]].sum(axis=1) / 4
        before = df["close"].shift(1)
        spread = pd.DataFrame({"a": df.high - df.low, "b": abs(df.high - before), "c": abs(df.low - before)})
        atr = spread.max(axis=1).fillna(0).ewm(alpha=1 / PARAMS["atrs"], adjust=False).mean() * PARAMS["mult"]
        middle = typical.ewm(span=PARAMS["window"], adjust=False).mean()
        df["upper"], df["lower"] = middle + atr, middle - atr
        return df

    def populate_entry_trend(self, df, _):
        crossed = (df.close > df.upper) & (df.close.shift(1) <= df.upper.shift(1)) & (df.volume > 0)
        df.loc[crossed, "enter_long"] = 1
        return df

    def populate_exit_trend(self, df, _):
        crossed = (df.close < df.lower) & (df.close.shift(1) >= df.lower.shift(1)) & (df.volume > 0)
        df.loc[crossed, "exit_long"] = 1
        return df


def market():
    none = {"min": None, "max": None}
    return {
        "id": "A", "symbol": "A/USD", "base": "A", "quote": "USD", "active": True, "spot": True, "swap": False,
        "type": "spot", "precision": {"amount": 1e-8, "price": 1e-8}, "contractSize": None, "info": {},
        "limits": {"amount": none, "cost": none, "price": none, "leverage": none},
    }


def main(candles, trials):
    directory = Path(tempfile.mkdtemp())
    frame = pd.read_parquet(candles).tail(35_040).copy()
    frame["date"] = pd.to_datetime(frame["timestamp"], unit="ms", utc=True)
    columns = ["date", "open", "high", "low", "close", "volume"]
    get_datahandler(directory, "feather").ohlcv_store("A/USD", "15m", frame[columns], CandleType.SPOT)
    config = {
        "stake_currency": "USD", "stake_amount": "unlimited", "dry_run_wallet": 1000, "dry_run": True,
        "max_open_trades": 1, "tradable_balance_ratio": 0.99, "amend_last_stake_amount": False,
        "last_stake_amount_min_ratio": 0.5, "timeframe": "15m", "runmode": RunMode.BACKTEST, "fee": 0.001,
        "exchange": {"name": "binance", "key": "", "secret": "", "pair_whitelist": ["A/USD"], "pair_blacklist": []},
        "pairlists": [{"method": "StaticPairList"}], "datadir": directory, "user_data_dir": directory,
        "dataformat_ohlcv": "feather", "dataformat_trades": "feather", "trading_mode": "spot", "margin_mode": "",
        "candle_type_def": CandleType.SPOT, "stoploss": -1.0, "minimal_roi": {}, "export": "none",
        "entry_pricing": {"price_side": "same", "use_order_book": False},
        "exit_pricing": {"price_side": "same", "use_order_book": False},
        "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"}, "internals": {}, "original_config": {},
        "strategy": "Keltner", "disableparamexport": True,
    }
    values = {
        "reload_markets": None, "validate_config": None, "validate_timeframes": None,
        "get_fee": 0.001, "ohlcv_candle_limit": 1000,
        "get_min_pair_stake_amount": None, "get_max_pair_stake_amount": float("inf"),
    }
    for name, value in values.items():
        patch(f"{EXCHANGE}.{name}", return_value=value).start()
    for name, value in {"markets": {"A/USD": market()}, "precisionMode": TICK_SIZE, "precision_mode_price": TICK_SIZE}.items():
        patch(f"{EXCHANGE}.{name}", PropertyMock(return_value=value)).start()
    strategy = Keltner(dict(config))
    with patch("freqtrade.optimize.backtesting.StrategyResolver.load_strategy", return_value=strategy):
        backtesting = Backtesting(config)
    data, timerange = backtesting.load_bt_data()
    dice = random.Random(1)
    started = time.monotonic()
    for _ in range(trials):
        PARAMS.update(window=dice.randint(5, 60), mult=dice.randint(100, 400) / 100, atrs=dice.randint(5, 60))
        backtesting.backtest_one_strategy(strategy, {pair: frame.copy() for pair, frame in data.items()}, timerange)
    print(trials / (time.monotonic() - started))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
