"""Binance spot. Orders ask for the FULL reply; every signed call states its validity window."""

from decimal import Decimal

import forge
from forge import Forge, Reply, plain

WINDOW_MS = 5000


def market_row(symbol, base, quote, tick, step, *, low=None, high="9000000", market_high="0", market_step="0",
               notional="5", status="TRADING", spot=True):
    return {
        "symbol": symbol, "status": status, "baseAsset": base, "baseAssetPrecision": 8, "quoteAsset": quote,
        "quotePrecision": 8, "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True, "ocoAllowed": True, "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": spot, "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": low or step, "maxQty": high, "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": market_high, "stepSize": market_step},
            {"filterType": "NOTIONAL", "minNotional": notional, "applyMinToMarket": True, "maxNotional": "9000000",
             "applyMaxToMarket": False, "avgPriceMins": 5},
        ],
        "permissions": [], "permissionSets": [["SPOT"]], "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
    }


EXCHANGE_INFO = {
    "timezone": "UTC",
    "serverTime": forge.NOW_MS,
    "rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}],
    "exchangeFilters": [],
    "symbols": [
        market_row("BTCUSDT", "BTC", "USDT", "0.01000000", "0.00001000", market_high="120.50000000"),
        market_row("ETHBTC", "ETH", "BTC", "0.00001000", "0.00010000", notional="0.00010000", market_high="3000.00000000"),
        market_row("SHIBUSDT", "SHIB", "USDT", "0.00000001", "1.00", low="1.00", high="46116860414.00", market_high="18446744073.00"),
        market_row("ODDUSDT", "ODD", "USDT", "0.00050000", "0.00250000", low="0.00750000", notional="1.00000000"),
        market_row("WEIUSDT", "WEI", "USDT", "0.00000001", "0.000000000000000001", high="9000000000.000000000000000000"),
        market_row("1INCHUSDT", "1INCH", "USDT", "0.00010000", "0.10000000", market_high="410000.00000000"),
        market_row("TENUSDT", "TEN", "USDT", "0.00010000", "10.00000000", low="50.00000000"),
        market_row("HALTUSDT", "HALT", "USDT", "0.01000000", "0.01000000", status="BREAK"),
    ],
}

STEPS = {
    "BTC/USDT": ("0.00001", 1, 7, "64000.5"),
    "ETH/BTC": ("0.0001", 1, 7, "0.052"),
    "SHIB/USDT": ("1", 4, 11, "0.00001"),
    "ODD/USDT": ("0.0025", 1, 9, "3.5"),
    "WEI/USDT": ("0.000000000000000001", 17, 27, "0.5"),
    "1INCH/USDT": ("0.1", 1, 6, "0.25"),
    "TEN/USDT": ("10", 1, 8, "0.02"),
}
TICKS = {"BTC/USDT": "0.01", "ETH/BTC": "0.00001", "SHIB/USDT": "0.00000001", "ODD/USDT": "0.0005", "WEI/USDT": "0.00000001"}


def ident(symbol):
    return symbol.replace("/", "")


def order_row(symbol, side, client_id, *, order_id=28, status="FILLED", amount="1", executed="1", cost="100", at=None, **more):
    return {
        "symbol": ident(symbol), "orderId": order_id, "orderListId": -1, "clientOrderId": client_id, "price": "0.00000000",
        "origQty": amount, "executedQty": executed, "cummulativeQuoteQty": cost, "status": status, "timeInForce": "GTC",
        "type": "MARKET", "side": side.upper(), "stopPrice": "0.00000000", "icebergQty": "0.00000000",
        "time": at or forge.NOW_MS - 5000, "updateTime": (at or forge.NOW_MS - 5000) + 3, "isWorking": True,
        "workingTime": at or forge.NOW_MS - 5000, "origQuoteOrderQty": "0.00000000", "selfTradePreventionMode": "EXPIRE_MAKER",
        **more,
    }


def placed_row(symbol, side, client_id, amount, executed, cost, fills, status="FILLED", order_id=28, quote_amount="0.00000000"):
    return {
        "symbol": ident(symbol), "orderId": order_id, "orderListId": -1, "clientOrderId": client_id,
        "transactTime": forge.NOW_MS + 31, "price": "0.00000000", "origQty": amount, "executedQty": executed,
        "origQuoteOrderQty": quote_amount, "cummulativeQuoteQty": cost, "status": status, "timeInForce": "GTC",
        "type": "MARKET", "side": side.upper(), "workingTime": forge.NOW_MS + 31, "fills": fills,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def fill_row(price, amount, fee, asset, number):
    return {"price": price, "qty": amount, "commission": fee, "commissionAsset": asset, "tradeId": number}


def build():
    f = Forge(
        "binance",
        keys={"api_key": "golden-binance-key", "secret": "golden-binance-secret-0123456789"},
        config={"options": {
            "recvWindow": WINDOW_MS, "fetchMarkets": {"types": ["spot"]}, "warnOnFetchOpenOrdersWithoutSymbol": False,
            "fetchCurrencies": False, "fetchMargins": False,
        }},
    )
    f.load_markets([Reply(EXCHANGE_INFO)], all_markets)
    public(f)
    account(f)
    market_orders(f)
    fuzzed_orders(f)
    looked_up(f)
    refused(f)
    return f


def all_markets(x):
    """Without the permission sets, which make the reply larger than the 8 MiB that are read."""
    return x.fetch_markets({"showPermissionSets": "false"})


def rules(rows):
    """Our limit of a market order is the lower of two filters."""
    made = forge.markets(rows)
    by_symbol = {row["symbol"]: row for row in rows}
    for row in made:
        market_max = by_symbol[row["symbol"]]["limits"]["market"]["max"]
        if market_max is not None and Decimal(market_max) > 0:
            row["max_amount"] = plain(min(Decimal(row["max_amount"]), Decimal(market_max)))
    return made


def public(f):
    f.case("the venue's clock", {"method": "time"}, lambda x: x.fetch_time(), Reply({"serverTime": 1760000123999}), forge.time)
    f.case("markets and their filters", {"method": "markets"}, all_markets, Reply(EXCHANGE_INFO), rules)
    bars = [
        [1759996800000, "121900.01", "122100.10", "121800.00", "122000.55", "12.34567", 1760000399999, "1505555.5", 9001, "6.1", "744000.1", "0"],
        [1760000400000, "122000.55", "122500.00", "121999.99", "122400.01", "0.00001", 1760003999999, "1.22", 1, "0", "0", "0"],
    ]
    f.case("the newest candles", {"method": "candles", "symbol": "BTC/USDT", "timeframe": "1h", "limit": 2},
           lambda x: x.fetch_ohlcv("BTC/USDT", "1h", None, 2), Reply(bars), forge.candles)
    for timeframe, since in (("1m", 1759996800000), ("15m", 1759996800000), ("4h", 1759968000000), ("1d", 1759968000000), ("1w", 1759708800000)):
        row = [since, "0.00001234", "0.00001300", "0.00001200", "0.00001250", "123456789.00", since + 59999, "1543.2", 12, "1", "1", "0"]
        f.case(f"candles of {timeframe} since a moment",
               {"method": "candles", "symbol": "SHIB/USDT", "timeframe": timeframe, "since": since, "limit": 500},
               lambda x: x.fetch_ohlcv("SHIB/USDT", timeframe, since, 500), Reply([row]), forge.candles)
    f.case("no candles", {"method": "candles", "symbol": "ETH/BTC", "timeframe": "1h", "since": 1759996800000, "limit": 10},
           lambda x: x.fetch_ohlcv("ETH/BTC", "1h", 1759996800000, 10), Reply([]), forge.candles)

    def ticker(symbol, last, bid, ask):
        return {"symbol": ident(symbol), "priceChange": "1", "priceChangePercent": "1.0", "weightedAvgPrice": last,
                "prevClosePrice": last, "lastPrice": last, "lastQty": "1", "bidPrice": bid, "bidQty": "3.1", "askPrice": ask,
                "askQty": "2.2", "openPrice": last, "highPrice": last, "lowPrice": last, "volume": "10", "quoteVolume": "20",
                "openTime": 1759913723456, "closeTime": 1760000123321, "firstId": 1, "lastId": 9, "count": 9}

    f.case("one ticker", {"method": "tickers", "symbols": ["BTC/USDT"]}, lambda x: x.fetch_tickers(["BTC/USDT"]),
           Reply([ticker("BTC/USDT", "122400.01000000", "122400.00000000", "122400.01000000")]), forge.tickers)
    f.case("two tickers", {"method": "tickers", "symbols": ["ETH/BTC", "1INCH/USDT"]},
           lambda x: x.fetch_tickers(["ETH/BTC", "1INCH/USDT"]),
           Reply([ticker("ETH/BTC", "0.03654", "0.03653", "0.03655"), ticker("1INCH/USDT", "0.2518", "0.2517", "0.2519")]), forge.tickers)
    depth = {"lastUpdateId": 71, "bids": [["122400.00000000", "0.50000000"], ["122399.99000000", "12.00001000"]],
             "asks": [["122400.01000000", "1.10000000"], ["122410.00000000", "0.00001000"]]}
    for limit in (5, 100):
        f.case(f"a book of {limit} levels", {"method": "book", "symbol": "BTC/USDT", "depth": limit},
               lambda x: x.fetch_order_book("BTC/USDT", limit), Reply(depth), forge.book)


def account(f):
    def reply(rows):
        return Reply({"makerCommission": 10, "takerCommission": 10, "canTrade": True, "canWithdraw": False, "canDeposit": True,
                      "updateTime": 1759999999000, "accountType": "SPOT", "permissions": ["SPOT"], "uid": 7,
                      "balances": [{"asset": asset, "free": free, "locked": locked} for asset, free, locked in rows]})

    call = {"method": "balances"}
    f.case("balances with locked funds", call, lambda x: x.fetch_balance(),
           reply([("BTC", "0.12345678", "0.00100000"), ("USDT", "1050.10000000", "0.00000000"), ("ETH", "0.00000000", "2.5")]), forge.balances)
    f.case("balances of sizes that a float cannot hold", call, lambda x: x.fetch_balance(),
           reply([("SHIB", "9999999999.99999999", "0.00000001"), ("WEI", "123456789.123456789123456789", "0")]), forge.balances)

    def restrictions(**flags):
        return {"ipRestrict": True, "createTime": 1698645219000, "enableReading": True, "enableWithdrawals": False,
                "enableInternalTransfer": False, "enableMargin": False, "enableFutures": False, "permitsUniversalTransfer": False,
                "enableVanillaOptions": False, "enableFixApiTrade": False, "enableFixReadOnly": False,
                "enableSpotAndMarginTrading": True, "enablePortfolioMarginTrading": False, **flags}

    for name, flags, expected in (
        ("a key that may trade only", {}, forge.rights(read=True, trade=True, withdraw=False, address_bound=True)),
        ("a key that may withdraw", {"enableWithdrawals": True}, forge.rights(read=True, trade=True, withdraw=True, address_bound=True)),
        ("a key that may transfer", {"permitsUniversalTransfer": True, "ipRestrict": False},
         forge.rights(read=True, trade=True, withdraw=True, address_bound=False)),
        ("a key that may only read", {"enableSpotAndMarginTrading": False},
         forge.rights(read=True, trade=False, withdraw=False, address_bound=True)),
    ):
        f.case(name, {"method": "key_rights"}, lambda x: x.sapiGetAccountApiRestrictions(), Reply(restrictions(**flags)), expected)


def ask_order(symbol, side, wire, amount=None, cost=None):
    params = {"newClientOrderId": wire}
    if cost is None:
        return lambda x: x.create_order(symbol, "market", side, amount, None, params)
    return lambda x: x.create_order(symbol, "market", side, None, None, {**params, "cost": cost})


def place(f, name, symbol, side, *, reply, **size):
    f.market_order(name, symbol, side, price=STEPS[symbol][3], ask=ask_order, reply=reply,
                   result=lambda made: forge.placed(made, **no_amount(size.get("cost"))), **size)


def no_amount(cost):
    """Of an order by cost, `origQty` is what was executed and not what was asked for."""
    return {} if cost is None else {"amount": None}


def market_orders(f):
    place(f, "a buy by base amount, in two executions", "BTC/USDT", "buy", amount="0.12345", reply=lambda wire: Reply(placed_row(
        "BTC/USDT", "buy", wire, "0.12345000", "0.12345000", "15110.29", [
            fill_row("122400.01", "0.1", "0.0001", "BTC", 501), fill_row("122400.5", "0.02345", "0.00002345", "BTC", 502)])))
    place(f, "a sell with the fee in a third asset", "ETH/BTC", "sell", amount="2.5", reply=lambda wire: Reply(placed_row(
        "ETH/BTC", "sell", wire, "2.50000000", "2.50000000", "0.09135000", [fill_row("0.03654", "2.5", "0.00007", "BNB", 77)])))
    place(f, "a buy by cost", "BTC/USDT", "buy", cost="1000.25", reply=lambda wire: Reply(placed_row(
        "BTC/USDT", "buy", wire, "0.00817000", "0.00817000", "1000.00808", [fill_row("122400.01", "0.00817", "0.00000817", "BTC", 9)],
        quote_amount="1000.25000000")))
    place(f, "a buy that is acknowledged as new", "1INCH/USDT", "buy", amount="100", reply=lambda wire: Reply(placed_row(
        "1INCH/USDT", "buy", wire, "100.00000000", "0.00000000", "0.00000000", [], status="NEW")))
    place(f, "a sell that expired after a part", "BTC/USDT", "sell", amount="3", reply=lambda wire: Reply(placed_row(
        "BTC/USDT", "sell", wire, "3.00000000", "1.00000000", "122000.00", [fill_row("122000", "1", "122", "USDT", 10)], status="EXPIRED")))
    place(f, "a buy that expired without any execution", "ETH/BTC", "buy", amount="0.5", reply=lambda wire: Reply(placed_row(
        "ETH/BTC", "buy", wire, "0.50000000", "0.00000000", "0.00000000", [], status="EXPIRED")))


def fuzzed_orders(f):
    for number, symbol, side, amount in f.fuzzed_amounts(STEPS):
        price = STEPS[symbol][3]
        cost = plain(Decimal(amount) * Decimal(price))
        place(f, f"fuzzed amount {number}: {side} {amount} {symbol}", symbol, side, amount=amount, reply=lambda wire: Reply(placed_row(
            symbol, side, wire, amount, amount, cost, [fill_row(price, amount, "0.00000001", "BNB", 1000 + number)], order_id=9000 + number)))
    for number, symbol, cost in f.fuzzed_costs(TICKS, 4, 11):
        place(f, f"fuzzed cost {number}: {cost} into {symbol}", symbol, "buy", cost=cost, reply=lambda wire: Reply(placed_row(
            symbol, "buy", wire, "1", "1", cost, [fill_row(cost, "1", "0", "BNB", 2000 + number)], quote_amount=cost)))


def looked_up(f):
    ours, wire = f.client_id()
    row = order_row("BTC/USDT", "buy", wire, order_id=4611686018427387904, amount="0.5", executed="0.5", cost="61200.00500")
    f.case("an order by its venue id", {"method": "order", "symbol": "BTC/USDT", "venue_order_id": "4611686018427387904"},
           lambda x: x.fetch_order("4611686018427387904", "BTC/USDT"), Reply(row), forge.order)
    by_client = {"method": "order", "symbol": "BTC/USDT", "client_id": ours}
    run = lambda x: x.fetch_order("", "BTC/USDT", {"clientOrderId": wire})
    f.case("an order by our id", by_client, run, Reply(row), forge.order)
    for status, executed, cost in (("NEW", "0", "0"), ("PARTIALLY_FILLED", "0.25", "30600"), ("CANCELED", "0.25", "30600"),
                                   ("EXPIRED", "0.1", "12240"), ("EXPIRED_IN_MATCH", "0", "0"), ("REJECTED", "0", "0")):
        made = order_row("BTC/USDT", "sell", wire, amount="0.5", executed=executed, cost=cost, status=status)
        f.case(f"an order that is {status}", by_client, run, Reply(made), forge.order)
    f.case("an order that the venue does not know", by_client, forge.absent(run),
           Reply({"code": -2013, "msg": "Order does not exist."}, 400), None)
    rows = [order_row("ETH/BTC", "buy", "web_1", order_id=5, status="NEW", amount="2", executed="0", cost="0"),
            order_row("ETH/BTC", "sell", "web_2", order_id=6, status="PARTIALLY_FILLED", amount="3", executed="1", cost="0.0365")]
    f.case("open orders of a market", {"method": "open_orders", "symbol": "ETH/BTC"},
           lambda x: x.fetch_open_orders("ETH/BTC"), Reply(rows), forge.orders)
    mixed = [rows[0], order_row("SHIB/USDT", "sell", "web_3", order_id=7, status="NEW", amount="100000", executed="0", cost="0")]
    f.case("open orders of all markets", {"method": "open_orders"}, lambda x: x.fetch_open_orders(), Reply(mixed), forge.orders)
    f.case("no open orders", {"method": "open_orders"}, lambda x: x.fetch_open_orders(), Reply([]), forge.orders)
    since = 1759990000000
    rows = [order_row("BTC/USDT", "buy", wire, order_id=11, at=since + 1000),
            order_row("BTC/USDT", "sell", "web_4", order_id=12, at=since + 2000, status="CANCELED", executed="0", cost="0"),
            order_row("BTC/USDT", "sell", "web_5", order_id=13, at=since + 3000, status="NEW", executed="0", cost="0")]
    f.case("finished orders since a moment", {"method": "closed_orders", "symbol": "BTC/USDT", "since": since},
           lambda x: x.fetch_orders("BTC/USDT", since, 1000), Reply(rows),
           lambda made: forge.orders([row for row in made if row["status"] != "open"]))

    def trade(number, order_id, price, amount, cost, fee, asset, at, buyer):
        return {"symbol": "BTCUSDT", "id": number, "orderId": order_id, "orderListId": -1, "price": price, "qty": amount, "quoteQty": cost,
                "commission": fee, "commissionAsset": asset, "time": at, "isBuyer": buyer, "isMaker": False, "isBestMatch": True}

    rows = [trade(501, 28, "122400.01000000", "0.10000000", "12240.00100000", "0.00010000", "BTC", since + 10, True),
            trade(502, 28, "122400.50000000", "0.02345000", "2870.29172500", "0.00002345", "BTC", since + 10, True),
            trade(503, 29, "122000.00000000", "1.00000000", "122000.00000000", "0.15000000", "BNB", since + 99, False)]
    f.case("own trades since a moment", {"method": "own_trades", "symbol": "BTC/USDT", "since": since},
           lambda x: x.privateGetMyTrades({"symbol": "BTCUSDT", "startTime": since, "limit": 1000}), Reply(rows),
           lambda _made: forge.own_trades(f.exchange().parse_trades(rows, f.exchange().market("BTC/USDT"))))
    f.case("trades of an order", {"method": "order_trades", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: x.privateGetMyTrades({"symbol": "BTCUSDT", "orderId": "28", "limit": 1000}), Reply(rows[:2]),
           lambda _made: forge.own_trades(f.exchange().parse_trades(rows[:2], f.exchange().market("BTC/USDT"))))
    cancelled = {**order_row("BTC/USDT", "buy", "new-id", status="CANCELED", executed="0", cost="0"), "origClientOrderId": wire,
                 "transactTime": forge.NOW_MS}
    f.case("a cancel by our id", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
           lambda x: x.cancel_order("", "BTC/USDT", {"clientOrderId": wire}), Reply(cancelled), None)
    f.case("a cancel by the venue's id", {"method": "cancel", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: x.cancel_order("28", "BTC/USDT"), Reply(cancelled), None)


def refused(f):
    ours, wire = f.client_id()
    order = {"method": "market_order", "client_id": ours, "symbol": "BTC/USDT", "side": "buy", "base": "0.5", "reference_price": "64000"}
    run = ask_order("BTC/USDT", "buy", wire, amount="0.5")
    said = lambda code, text, status=400, headers=None: Reply({"code": code, "msg": text}, status, headers)
    for name, reply, kind, code in (
        ("not enough funds", said(-2010, "Account has insufficient balance for requested action."), "funds", "-2010"),
        ("an id that was used before", said(-2010, "Duplicate order sent."), "duplicate_id", "-2010"),
        ("an amount off the filter", said(-1013, "Filter failure: LOT_SIZE"), "parameters", "-1013"),
        ("too small a cost", said(-1013, "Filter failure: NOTIONAL"), "parameters", "-1013"),
        ("a bad parameter", said(-1111, "Parameter 'quantity' has too much precision."), "parameters", "-1111"),
        ("a clock that is off", said(-1021, "Timestamp for this request is outside of the recvWindow."), "clock", "-1021"),
        ("a wrong signature", said(-1022, "Signature for this request is not valid."), "auth", "-1022"),
        ("a key without the right", said(-2015, "Invalid API-key, IP, or permissions for action.", 401), "auth", "-2015"),
        ("a malformed key", said(-2014, "API-key format invalid.", 401), "auth", "-2014"),
        ("an unknown market", said(-1121, "Invalid symbol."), "market", "-1121"),
    ):
        f.error(f"an order refused for {name}", order, run, reply, kind, code, ccxt_agrees=kind not in ("duplicate_id", "clock"))
    for name, status in (("429", 429), ("418", 418)):
        f.error(f"a read refused with {name}", {"method": "time"}, lambda x: x.fetch_time(),
                said(-1003, "Too much request weight used.", status, {"retry-after": "17"}), "rate_limited")
    for name, reply in (
        ("503", said(-1000, "Service unavailable", 503)),
        ("an internal time-out", said(-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown.", 408)),
        ("an unexpected response", said(-1006, "An unexpected response was received from the message bus.", 400)),
        ("a code that nobody listed", said(-9999, "Surprise.", 400)),
        ("a page instead of JSON", Reply("<html>200</html>", 200)),
    ):
        f.error(f"an order that met {name}", order, run, reply, "unknown")
    f.error("a cancel of an order that is gone", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
            lambda x: x.cancel_order("", "BTC/USDT", {"clientOrderId": wire}), said(-2011, "Unknown order sent."), "not_found", "-2011")
