"""Bybit v5 spot of a unified account. Orders are only acknowledged, and always name the unit of their amount."""

from decimal import Decimal

import forge
from forge import Forge, Reply, plain

WINDOW_MS = 5000
WEEK_MS = 7 * 86_400_000


def ident(symbol):
    return symbol.replace("/", "")


def ok(result):
    return Reply({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": forge.NOW_MS + 20})


def listed(rows, cursor=""):
    return ok({"nextPageCursor": cursor, "category": "spot", "list": rows})


def said(code, text, status=200, headers=None):
    return Reply({"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": forge.NOW_MS + 20}, status, headers)


def instrument(symbol, tick, step, *, low, market_high="83", cost="5", status="Trading", precision="0.0000000001"):
    base, quote = symbol.split("/")
    return {
        "symbol": ident(symbol), "baseCoin": base, "quoteCoin": quote, "innovation": "0", "status": status, "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {"basePrecision": step, "quotePrecision": precision, "minOrderQty": low, "maxOrderQty": "17000000000",
                          "minOrderAmt": cost, "maxOrderAmt": "8000000", "maxLimitOrderQty": "17000000000", "maxMarketOrderQty": market_high},
        "priceFilter": {"tickSize": tick}, "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    }


INSTRUMENTS = [
    instrument("BTC/USDT", "0.1", "0.000001", low="0.000011", precision="0.0000001"),
    instrument("ETH/BTC", "0.000001", "0.0001", low="0.0005", cost="0.0001", market_high="1400"),
    instrument("SHIB/USDT", "0.00000001", "1", low="100", market_high="8000000000"),
    instrument("ODD/USDT", "0.05", "0.0025", low="0.0075", cost="1"),
    instrument("WEI/USDT", "0.0001", "0.000000000000000001", low="0.000000000000000001", market_high="9000000000"),
    instrument("TEN/USDT", "0.0001", "10", low="50", market_high="500000000"),
    instrument("HALT/USDT", "0.01", "0.01", low="0.01", status="PreLaunch"),
]

STEPS = {
    "BTC/USDT": ("0.000001", 2, 8, "64000.5"),
    "ETH/BTC": ("0.0001", 1, 7, "0.052"),
    "SHIB/USDT": ("1", 3, 10, "0.00001"),
    "ODD/USDT": ("0.0025", 1, 9, "3.5"),
    "WEI/USDT": ("0.000000000000000001", 17, 27, "0.5"),
    "TEN/USDT": ("10", 1, 8, "0.02"),
}
COSTS = {"BTC/USDT": "0.1", "ETH/BTC": "0.000001", "SHIB/USDT": "0.00000001", "ODD/USDT": "0.05", "WEI/USDT": "0.0001"}


def spot_markets(x):
    return x.fetch_spot_markets({})


def rules(rows):
    """ccxt does not know the limit of market orders."""
    made = forge.markets(rows)
    raw = {row["symbol"]: row["info"] for row in rows}
    for row in made:
        row["max_amount"] = plain(raw[row["symbol"]]["lotSizeFilter"]["maxMarketOrderQty"])
    return made


def build():
    f = Forge(
        "bybit",
        keys={"api_key": "golden-bybit-key", "secret": "golden-bybit-secret-0123456789"},
        config={"options": {"recvWindow": WINDOW_MS, "enableUnifiedMargin": False, "enableUnifiedAccount": True, "unifiedMarginStatus": 6}},
        # A referral tag.
        ignore_headers=["Referer"],
    )
    f.load_markets([listed(INSTRUMENTS)], spot_markets)
    public(f)
    account(f)
    market_orders(f)
    looked_up(f)
    refused(f)
    return f


def public(f):
    f.case("the venue's clock", {"method": "time"}, lambda x: x.fetch_time(),
           ok({"timeSecond": "1760000123", "timeNano": "1760000123476000000"}), forge.time)
    f.case("instruments and their filters", {"method": "markets"}, spot_markets, listed(INSTRUMENTS), rules)

    def two_pages(x):
        first = x.fetch_spot_markets({})
        return first + x.fetch_spot_markets({"cursor": "page%3D2"})

    f.case("instruments on two pages", {"method": "markets"}, two_pages,
           [listed(INSTRUMENTS[:3], "page%3D2"), listed(INSTRUMENTS[3:])], rules)

    def bars(rows):
        return ok({"category": "spot", "symbol": "any", "list": rows})

    newest = [["1760000400000", "122000.5", "122500", "121999.9", "122400.1", "0.00001", "1.22"],
              ["1759996800000", "121900.1", "122100.1", "121800", "122000.5", "12.34567", "1505555.5"]]
    f.case("the newest candles", {"method": "candles", "symbol": "BTC/USDT", "timeframe": "1h", "limit": 2},
           lambda x: x.fetch_ohlcv("BTC/USDT", "1h", None, 2), bars(newest), forge.candles)
    for timeframe, since, length in (("1m", 1759996800000, 60), ("15m", 1759996800000, 900), ("4h", 1759968000000, 14400), ("6h", 1759968000000, 21600),
                                     ("12h", 1759968000000, 43200), ("1d", 1759968000000, 86400), ("1w", 1759968000000, 604800)):
        end = since + 500 * length * 1000 - 1
        row = [str(since), "0.00001234", "0.000013", "0.000012", "0.0000125", "123456789", "1543.2"]
        call = {"method": "candles", "symbol": "SHIB/USDT", "timeframe": timeframe, "since": since, "limit": 500}
        f.case(f"candles of {timeframe} since a moment", call,
               lambda x: x.fetch_ohlcv("SHIB/USDT", timeframe, since, 500, {"until": end}), bars([row]), forge.candles)
    # ccxt asks from the next multiple of the length, which for weeks is a Thursday; Bybit's weeks start on Mondays.
    for timeframe, interval, since, length in (("1h", "60", 1759996800001, 3600000), ("1w", "W", 1759708800000, 604800000)):
        request = {"category": "spot", "symbol": "ETHBTC", "interval": interval, "limit": 10, "start": since, "end": since + 10 * length - 1}
        rows = [["1760313600000", "0.0365", "0.037", "0.036", "0.0369", "12.5", "0.46"], ["1759708800000", "0.036", "0.0366", "0.0359", "0.0365", "9.5", "0.34"]]
        f.case(f"candles of {timeframe} since a moment that is no multiple of it",
               {"method": "candles", "symbol": "ETH/BTC", "timeframe": timeframe, "since": since, "limit": 10},
               lambda x: x.publicGetV5MarketKline(request), bars(rows),
               lambda _made: forge.candles(row for row in f.exchange().parse_ohlcvs(rows) if row[0] >= since))

    def ticker(symbol, last, bid, ask):
        return {"symbol": ident(symbol), "bid1Price": bid, "bid1Size": "2", "ask1Price": ask, "ask1Size": "1.8", "lastPrice": last,
                "prevPrice24h": last, "price24hPcnt": "0.01", "highPrice24h": last, "lowPrice24h": last, "turnover24h": "2",
                "volume24h": "1", "usdIndexPrice": last}

    rows = [ticker("BTC/USDT", "122400.1", "122400", "122400.1"), ticker("ETH/BTC", "0.03654", "0.03653", "0.03655"),
            ticker("SHIB/USDT", "0.000012345", "0.000012344", "")]
    f.case("one ticker", {"method": "tickers", "symbols": ["BTC/USDT"]}, lambda x: {"BTC/USDT": x.fetch_ticker("BTC/USDT", {"category": "spot"})},
           listed(rows[:1]), forge.tickers)
    for symbols in (["BTC/USDT", "ETH/BTC"], ["ETH/BTC", "BTC/USDT", "SHIB/USDT"]):
        f.case(f"{len(symbols)} tickers", {"method": "tickers", "symbols": symbols}, lambda x: x.fetch_tickers(symbols), listed(rows), forge.tickers)
    depth = {"s": "BTCUSDT", "a": [["122400.1", "1.1"], ["122410", "0.00001"]], "b": [["122400", "0.5"], ["122399.9", "12.00001"]],
             "ts": 1760000123400, "u": 7, "seq": 9, "cts": 1760000123399}
    for levels in (5, 200):
        f.case(f"a book of {levels} levels", {"method": "book", "symbol": "BTC/USDT", "depth": levels},
               lambda x: x.fetch_order_book("BTC/USDT", levels), ok(depth), forge.book)


def account(f):
    def reply(rows):
        coins = [{"availableToBorrow": "", "bonus": "0", "accruedInterest": "0", "availableToWithdraw": "", "totalOrderIM": "0",
                  "equity": total, "totalPositionMM": "0", "usdValue": "1", "unrealisedPnl": "0", "collateralSwitch": True,
                  "spotHedgingQty": "0", "borrowAmount": "0.0", "totalPositionIM": "0", "walletBalance": total, "cumRealisedPnl": "0",
                  "locked": used, "marginCollateral": True, "coin": coin, "spotBorrow": "0"} for coin, total, used in rows]
        return ok({"list": [{"totalEquity": "3.3", "accountIMRate": "0", "totalMarginBalance": "3", "totalInitialMargin": "0",
                             "accountType": "UNIFIED", "totalAvailableBalance": "3", "accountMMRate": "0", "totalPerpUPL": "0",
                             "totalWalletBalance": "3", "accountLTV": "0", "totalMaintenanceMargin": "0", "coin": coins}]})

    call = {"method": "balances"}
    run = lambda x: x.fetch_balance()
    f.case("balances with locked funds", call, run, reply([("BTC", "0.12445678", "0.001"), ("USDT", "1050.1", "0"), ("ETH", "2.5", "2.5")]), forge.balances)
    f.case("balances of sizes that a float cannot hold", call, run,
           reply([("SHIB", "9999999999.99999999", "0.00000001"), ("WEI", "123456789.123456789123456789", "0")]), forge.balances)
    f.case("an account without funds", call, run, reply([]), forge.balances)

    def query_api(permissions, read_only=0, addresses=("192.0.2.1",), ends="1970-01-01T00:00:00Z"):
        return ok({"id": "13770661", "note": "golden", "apiKey": "golden-bybit-key", "readOnly": read_only, "secret": "",
                   "permissions": {"ContractTrade": [], "Spot": [], "Wallet": [], "Options": [], "Derivatives": [], "CopyTrading": [],
                                   "BlockTrade": [], "Exchange": [], "NFT": [], "Affiliate": [], **permissions},
                   "ips": list(addresses), "type": 1, "deadlineDay": 83, "expiredAt": ends, "createdAt": "2025-01-16T06:44:33Z",
                   "unified": 0, "uta": 1, "userID": 1, "inviterID": 0, "vipLevel": "No VIP", "mktMakerLevel": "0", "affiliateID": 0})

    trade = {"Spot": ["SpotTrade"]}
    for name, reply, expected in (
        ("a key that may trade", query_api(trade), forge.rights(read=True, trade=True, withdraw=False, address_bound=True)),
        ("a key that may withdraw", query_api({**trade, "Wallet": ["AccountTransfer", "Withdraw"]}),
         forge.rights(read=True, trade=True, withdraw=True, address_bound=True)),
        ("a key that may transfer", query_api({**trade, "Wallet": ["AccountTransfer"]}),
         forge.rights(read=True, trade=True, withdraw=True, address_bound=True)),
        ("a key that ends, for any address", query_api(trade, addresses=["*"], ends="2026-01-16T06:44:33Z"),
         forge.rights(read=True, trade=True, withdraw=False, address_bound=False, expires_at=1768545873000)),
        ("a key that may only read", query_api(trade, read_only=1), forge.rights(read=True, trade=False, withdraw=False, address_bound=True)),
        ("a key with a right that nobody knows", query_api({**trade, "FiatBybitPay": ["FiatPayOrder"]}),
         forge.rights(read=True, trade=True, withdraw=True, address_bound=True)),
    ):
        f.case(name, {"method": "key_rights"}, lambda x: x.privateGetV5UserQueryApi(), reply, expected)


def ask_order(symbol, side, wire, amount=None, cost=None):
    """What our adapter asks for: a unit, immediate or cancel, and never on credit."""
    params = {"clientOrderId": wire, "timeInForce": "IOC"}
    if cost is None:
        return lambda x: x.create_order(symbol, "market", side, amount, None, {**params, "isLeverage": 0})
    return lambda x: x.create_order(symbol, "market", side, "1000000", None, {**params, "cost": cost, "marketUnit": "quoteCoin", "isLeverage": 0})


def place(f, name, symbol, side, **size):
    reply = lambda wire: ok({"orderId": str(f.random.randint(10**18, 10**19)), "orderLinkId": wire})
    f.market_order(name, symbol, side, price=STEPS[symbol][3], ask=ask_order, reply=reply, **size)


def market_orders(f):
    place(f, "a buy by base amount", "BTC/USDT", "buy", amount="0.12345")
    place(f, "a sell", "ETH/BTC", "sell", amount="2.5")
    place(f, "a buy by cost", "BTC/USDT", "buy", cost="1000.2")
    for number, symbol, side, amount in f.fuzzed_amounts(STEPS):
        place(f, f"fuzzed amount {number}: {side} {amount} {symbol}", symbol, side, amount=amount)
    for number, symbol, cost in f.fuzzed_costs(COSTS, 4, 11):
        place(f, f"fuzzed cost {number}: {cost} into {symbol}", symbol, "buy", cost=cost)


def order_row(symbol, side, client_id, *, order_id="1321003749386327552", status="Filled", amount="1", executed="1", cost="100",
              unit="baseCoin", at=None):
    return {
        "symbol": ident(symbol), "orderType": "Market", "orderLinkId": client_id, "slLimitPrice": "0", "orderId": order_id,
        "cancelType": "UNKNOWN", "avgPrice": "", "stopOrderType": "", "lastPriceOnCreated": "", "orderStatus": status,
        "createType": "CreateByUser", "takeProfit": "", "cumExecValue": cost, "tpslMode": "", "smpType": "None", "triggerDirection": 0,
        "blockTradeId": "", "isLeverage": "0", "rejectReason": "EC_NoError", "price": "0", "orderIv": "",
        "createdTime": str(at or forge.NOW_MS - 5000), "tpTriggerBy": "", "positionIdx": 0, "timeInForce": "IOC", "leavesValue": "0",
        "updatedTime": str((at or forge.NOW_MS) + 2), "side": side.capitalize(), "smpGroup": 0, "triggerPrice": "0.0", "tpLimitPrice": "0",
        "cumExecFee": "0.0001", "leavesQty": "0", "slTriggerBy": "", "closeOnTrigger": False, "placeType": "", "cumExecQty": executed,
        "reduceOnly": False, "qty": amount, "stopLoss": "", "marketUnit": unit, "smpOrderId": "", "triggerBy": "",
    }


def neutral(made):
    """In base only where the order says so; the executed cost is the venue's own."""
    raw = made["info"]
    overrides = {
        "amount": plain(raw["qty"]) if raw["marketUnit"] == "baseCoin" else None,
        "executed": plain(raw["cumExecQty"]),
        "executed_cost": plain(raw["cumExecValue"]),
        "fills": [],
    }
    # ccxt calls it closed; the rest of the order was cancelled.
    if raw["orderStatus"] == "PartiallyFilledCanceled":
        overrides["status"] = "ended"
    return forge.order(made, **overrides)


def execution(symbol, side, number, order_id, client_id, price, amount, fee, asset, at):
    return {
        "symbol": ident(symbol), "orderType": "Market", "underlyingPrice": "", "orderLinkId": client_id, "orderId": order_id, "stopOrderType": "",
        "execTime": str(at), "feeCurrency": asset, "createType": "", "feeRate": "0.001", "tradeIv": "", "blockTradeId": "", "markPrice": "",
        "execPrice": price, "markIv": "", "orderQty": "1", "orderPrice": "0", "execValue": plain(Decimal(price) * Decimal(amount)),
        "closedSize": "", "execType": "Trade", "seq": 7, "side": side.capitalize(), "indexPrice": "", "leavesQty": "0", "isMaker": False,
        "execFee": fee, "execId": str(number), "marketUnit": "", "execQty": amount, "extraFees": "",
    }


def looked_up(f):
    ours, wire = f.client_id()
    row = order_row("BTC/USDT", "buy", wire, amount="0.5", executed="0.5", cost="61200.005")
    parse = lambda rows: lambda _made: neutral(f.exchange().parse_order(rows[0]))

    def ask(x, key, value, *paths):
        request = {"category": "spot", "symbol": "BTCUSDT", key: value}
        for path in paths:
            (x.privateGetV5OrderRealtime if path == "open" else x.privateGetV5OrderHistory)(dict(request))

    by_client = {"method": "order", "symbol": "BTC/USDT", "client_id": ours}
    f.case("an order by its venue id", {"method": "order", "symbol": "BTC/USDT", "venue_order_id": "1321003749386327552"},
           lambda x: ask(x, "orderId", "1321003749386327552", "open"), listed([row]), parse([row]))
    f.case("an order by our id", by_client, lambda x: ask(x, "orderLinkId", wire, "open"), listed([row]), parse([row]))
    f.case("an order that is history", by_client, lambda x: ask(x, "orderLinkId", wire, "open", "closed"), [listed([]), listed([row])], parse([row]))
    f.case("an order that the venue does not know", by_client, lambda x: ask(x, "orderLinkId", wire, "open", "closed"), [listed([]), listed([])], None)
    spent = order_row("BTC/USDT", "buy", wire, amount="1000.2", executed="0.00817", cost="1000.0080817", unit="quoteCoin", status="PartiallyFilledCanceled")
    f.case("an order by cost", by_client, lambda x: ask(x, "orderLinkId", wire, "open"), listed([spent]), parse([spent]))
    for status, executed, cost in (("New", "0", "0"), ("PartiallyFilled", "0.25", "30600"), ("PartiallyFilledCanceled", "0.25", "30600"),
                                   ("Cancelled", "0", "0"), ("Rejected", "0", "0"), ("Deactivated", "0", "0")):
        made = order_row("BTC/USDT", "sell", wire, amount="0.5", executed=executed, cost=cost, status=status)
        f.case(f"an order that is {status}", by_client, lambda x: ask(x, "orderLinkId", wire, "open"), listed([made]), parse([made]))
    rows = [order_row("ETH/BTC", "buy", "web_1", order_id="5", status="New", amount="2", executed="0", cost="0"),
            order_row("ETH/BTC", "sell", "", order_id="6", status="PartiallyFilled", amount="3", executed="1", cost="0.0365")]
    every = lambda rows: lambda _made: [neutral(f.exchange().parse_order(row)) for row in rows]
    f.case("open orders of a market", {"method": "open_orders", "symbol": "ETH/BTC"},
           lambda x: x.privateGetV5OrderRealtime({"category": "spot", "openOnly": 0, "limit": 50, "symbol": "ETHBTC"}), listed(rows), every(rows))
    mixed = [rows[0], order_row("SHIB/USDT", "sell", "web_3", order_id="7", status="New", amount="100000", executed="0", cost="0")]

    def two_pages(x):
        x.privateGetV5OrderRealtime({"category": "spot", "openOnly": 0, "limit": 50})
        x.privateGetV5OrderRealtime({"category": "spot", "openOnly": 0, "limit": 50, "cursor": "a%3A1"})

    f.case("open orders of all markets, on two pages", {"method": "open_orders"}, two_pages,
           [listed(mixed[:1], "a%3A1"), listed(mixed[1:])], every(mixed))
    f.case("no open orders", {"method": "open_orders"},
           lambda x: x.privateGetV5OrderRealtime({"category": "spot", "openOnly": 0, "limit": 50}), listed([]), [])
    since = 1759990000000
    week = {"startTime": since, "endTime": since + WEEK_MS - 1}
    rows = [order_row("BTC/USDT", "sell", "web_4", order_id="12", at=since + 2000, status="Cancelled", executed="0", cost="0"),
            order_row("BTC/USDT", "buy", wire, order_id="11", at=since + 1000)]
    closed = {"method": "closed_orders", "symbol": "BTC/USDT", "since": since}
    f.case("finished orders since a moment", closed,
           lambda x: x.privateGetV5OrderHistory({"category": "spot", "symbol": "BTCUSDT", "limit": 50, **week}), listed(rows), every(rows[::-1]))
    rows = [execution("BTC/USDT", "sell", 503, "29", "web_4", "122000", "1", "122", "USDT", since + 99),
            execution("BTC/USDT", "buy", 502, "28", wire, "122400.5", "0.02345", "0.00002345", "BTC", since + 20),
            execution("BTC/USDT", "buy", 501, "28", wire, "122400.1", "0.1", "0.0001", "BTC", since + 10)]

    def trades(rows):
        x = f.exchange()
        return [forge.own_trade(x.parse_trade(row), client_id=row["orderLinkId"]) for row in reversed(rows)]

    request = {"category": "spot", "symbol": "BTCUSDT", "execType": "Trade", "limit": 100}
    f.case("own trades since a moment", {"method": "own_trades", "symbol": "BTC/USDT", "since": since},
           lambda x: x.privateGetV5ExecutionList({**request, **week}), listed(rows), lambda _made: trades(rows))
    earlier = since - WEEK_MS

    def two_weeks(x):
        x.privateGetV5ExecutionList({**request, "startTime": earlier, "endTime": since - 1})
        x.privateGetV5ExecutionList({**request, **week})

    f.case("own trades of more than a week", {"method": "own_trades", "symbol": "BTC/USDT", "since": earlier}, two_weeks,
           [listed([]), listed(rows)], lambda _made: trades(rows))
    f.case("trades of an order", {"method": "order_trades", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: x.privateGetV5ExecutionList({"category": "spot", "symbol": "BTCUSDT", "orderId": "28", "execType": "Trade", "limit": 100}),
           listed(rows[1:]), lambda _made: trades(rows[1:]))
    done = ok({"orderId": "28", "orderLinkId": wire})
    f.case("a cancel by our id", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
           lambda x: x.cancel_order(None, "BTC/USDT", {"orderLinkId": wire}), done, None)
    f.case("a cancel by the venue's id", {"method": "cancel", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: x.cancel_order("28", "BTC/USDT"), done, None)


def refused(f):
    ours, wire = f.client_id()
    order = {"method": "market_order", "client_id": ours, "symbol": "BTC/USDT", "side": "buy", "base": "0.5", "reference_price": "64000"}
    run = ask_order("BTC/USDT", "buy", wire, amount="0.5")
    for name, reply, kind, code, agrees in (
        ("not enough funds", said(170131, "Insufficient balance."), "funds", "170131", True),
        ("an id that was used before", said(170141, "Duplicate clientOrderId"), "duplicate_id", "170141", False),
        ("an amount below the minimum", said(170136, "Order quantity below the lower limit."), "parameters", "170136", True),
        ("too small a cost", said(170140, "Order value exceeded lower limit."), "parameters", "170140", True),
        ("too many decimals", said(170137, "Order quantity decimal is too long."), "parameters", "170137", True),
        ("a parameter error", said(10001, "params error"), "parameters", "10001", True),
        ("an unknown market", said(170121, "Invalid symbol."), "market", "170121", False),
        ("a clock that is off", said(10002, "invalid request, please check your server timestamp"), "clock", "10002", False),
        ("a wrong key", said(10003, "API key is invalid."), "auth", "10003", True),
        ("a wrong signature", said(10004, "Error sign, please check your signature generation algorithm."), "auth", "10004", True),
        ("a right that is missing", said(10005, "Permission denied, please check your API key permissions."), "auth", "10005", True),
        ("a key that ended", said(33004, "Your api key has expired."), "auth", "33004", True),
        ("another address", said(10010, "Unmatched IP, please check your API key's bound IP addresses."), "auth", "10010", True),
        ("too many requests", said(10006, "Too many visits!", headers={"x-bapi-limit-reset-timestamp": str(forge.NOW_MS + 900)}), "rate_limited", "10006", True),
    ):
        f.error(f"an order refused for {name}", order, run, reply, kind, code, ccxt_agrees=agrees)
    for name, reply in (
        ("a server time-out", said(10000, "Server Timeout")),
        ("a server error", said(10016, "Internal System Error")),
        ("an order time-out", said(170007, "Timeout waiting for response from backend server.")),
        ("a creation time-out", said(170146, "Order creation timeout")),
        ("a code that nobody listed", said(179999, "Surprise.")),
        ("a bad gateway", Reply("<html>502</html>", 502)),
        ("a page instead of JSON", Reply("<html>200</html>", 200)),
    ):
        f.error(f"an order that met {name}", order, run, reply, "unknown")
    f.error("a cancel of an order that is gone", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
            lambda x: x.cancel_order(None, "BTC/USDT", {"orderLinkId": wire}), said(170213, "Order does not exist."), "not_found", "170213", ccxt_agrees=False)
    f.error("an address that sent too much", {"method": "time"}, lambda x: x.fetch_time(), Reply("access too frequent", 403), "rate_limited")
