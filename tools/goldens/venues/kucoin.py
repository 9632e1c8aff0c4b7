"""KuCoin spot by its HF endpoints. Orders are only acknowledged, and carry the window in which they may be accepted."""

import json
from decimal import Decimal

import forge
from forge import Forge, Reply, plain

WINDOW_MS = 5000
WEEK_MS = 7 * 86_400_000


def ident(symbol):
    return symbol.replace("/", "-")


def ok(data):
    return Reply({"code": "200000", "data": data})


def said(code, text, status=200, headers=None):
    return Reply({"code": code, "msg": text}, status, headers)


def market_row(symbol, tick, step, quote_step, *, low, high="10000000000", funds="0.1", trading=True, code=None):
    base, quote = symbol.split("/")
    return {
        "symbol": code or ident(symbol), "name": ident(symbol), "baseCurrency": base, "quoteCurrency": quote, "feeCurrency": quote,
        "market": "USDS", "baseMinSize": low, "quoteMinSize": quote_step, "baseMaxSize": high, "quoteMaxSize": "99999999",
        "baseIncrement": step, "quoteIncrement": quote_step, "priceIncrement": tick, "priceLimitRate": "0.1", "minFunds": funds,
        "isMarginEnabled": False, "enableTrading": trading, "feeCategory": 1, "makerFeeCoefficient": "1.00",
        "takerFeeCoefficient": "1.00", "st": False, "callauctionIsEnabled": False,
    }


SYMBOLS = [
    market_row("BTC/USDT", "0.1", "0.00000001", "0.000001", low="0.00001"),
    market_row("ETH/BTC", "0.00001", "0.0000001", "0.00000001", low="0.0001", funds="0.00001"),
    market_row("SHIB/USDT", "0.000000001", "1", "0.000001", low="1000", high="99999999999"),
    market_row("ODD/USDT", "0.05", "0.0025", "0.05", low="0.0075"),
    market_row("WEI/USDT", "0.0001", "0.000000000000000001", "0.0001", low="0.000000000000000001"),
    market_row("TEN/USDT", "0.0001", "10", "0.01", low="50"),
    # KuCoin keeps the code of a renamed currency.
    market_row("WAXP/USDT", "0.0001", "0.0001", "0.00001", low="0.1", code="WAX-USDT"),
    market_row("HALT/USDT", "0.01", "0.01", "0.01", low="0.01", trading=False),
]

STEPS = {
    "BTC/USDT": ("0.00000001", 4, 10, "64000.5"),
    "ETH/BTC": ("0.0000001", 4, 10, "0.052"),
    "SHIB/USDT": ("1", 4, 11, "0.00001"),
    "ODD/USDT": ("0.0025", 1, 9, "3.5"),
    "WEI/USDT": ("0.000000000000000001", 17, 27, "0.5"),
    "TEN/USDT": ("10", 1, 8, "0.02"),
    "WAXP/USDT": ("0.0001", 4, 9, "0.02"),
}
COSTS = {"BTC/USDT": "0.000001", "ETH/BTC": "0.00000001", "SHIB/USDT": "0.000001", "ODD/USDT": "0.05", "WEI/USDT": "0.0001"}
CODES = {row["name"].replace("-", "/"): row["symbol"] for row in SYMBOLS}


def spot_markets(x):
    return x.fetch_markets({"fetchTickersFees": False, "marginables": False})


def build():
    f = Forge(
        "kucoin",
        keys={"api_key": "golden-kucoin-key", "secret": "golden-kucoin-secret-0123456789", "password": "golden words"},
        config={"options": {"hf": True, "uta": False, "fetchMarkets": {"types": ["spot"], "fetchTickersFees": False}}},
        # Referral tags.
        ignore_headers=["KC-API-PARTNER", "KC-API-PARTNER-SIGN", "KC-API-PARTNER-VERIFY"],
    )
    f.load_markets([ok(SYMBOLS)], without_account)
    public(f)
    account(f)
    market_orders(f)
    looked_up(f)
    refused(f)
    return f


def without_account(x):
    """With keys, ccxt would also ask which kind of account it is."""
    x.load_migration_status = lambda *_arguments: {}
    return spot_markets(x)


def rules(rows):
    """ccxt knows the smallest `funds`, but not the smallest value of an order by amount."""
    made = forge.markets(rows)
    raw = {row["symbol"]: row["info"] for row in rows}
    for row in made:
        row["min_cost"] = plain(max(Decimal(raw[row["symbol"]]["minFunds"]), Decimal(row["min_cost"])))
    return made


def public(f):
    f.case("the venue's clock", {"method": "time"}, lambda x: x.fetch_time(),
           Reply({"code": "200000", "msg": "success", "data": 1760000123999}), forge.time)
    f.case("markets and their filters", {"method": "markets"}, without_account, ok(SYMBOLS), rules)
    newest = [["1760000400", "122000.5", "122400.1", "122500", "121999.9", "0.00001", "1.22"],
              ["1759996800", "121900.1", "122000.5", "122100.1", "121800", "12.34567", "1505555.5"]]
    f.case("the newest candles", {"method": "candles", "symbol": "BTC/USDT", "timeframe": "1h", "limit": 2},
           lambda x: x.fetch_ohlcv("BTC/USDT", "1h", None, 2), ok(newest), forge.candles)
    for timeframe, since in (("1m", 1759996800000), ("15m", 1759996800000), ("4h", 1759968000000), ("8h", 1759968000000),
                             ("1d", 1759968000000)):
        row = [str(since // 1000), "0.00001234", "0.0000125", "0.000013", "0.000012", "123456789", "1543.2"]
        f.case(f"candles of {timeframe} since a moment",
               {"method": "candles", "symbol": "SHIB/USDT", "timeframe": timeframe, "since": since, "limit": 500},
               lambda x: x.fetch_ohlcv("SHIB/USDT", timeframe, since, 500), ok([row]), forge.candles)
    f.case("no candles", {"method": "candles", "symbol": "ETH/BTC", "timeframe": "1h", "since": 1759996800000, "limit": 10},
           lambda x: x.fetch_ohlcv("ETH/BTC", "1h", 1759996800000, 10), ok([]), forge.candles)

    def ticker(symbol, last, bid, ask):
        return {"symbol": CODES[symbol], "symbolName": ident(symbol), "buy": bid, "bestBidSize": "1", "sell": ask, "bestAskSize": "1",
                "changeRate": "0.01", "changePrice": "1", "high": last, "low": last, "vol": "1", "volValue": "2", "last": last,
                "averagePrice": last, "takerFeeRate": "0.001", "makerFeeRate": "0.001", "takerCoefficient": "1", "makerCoefficient": "1"}

    rows = [ticker("BTC/USDT", "122400.1", "122400", "122400.1"), ticker("ETH/BTC", "0.03654", "0.03653", "0.03655"),
            ticker("SHIB/USDT", "0.000012345", "0.000012344", None), ticker("WAXP/USDT", "0.0211", "0.021", "0.0212")]
    f.case("one ticker", {"method": "tickers", "symbols": ["BTC/USDT"]}, lambda x: {"BTC/USDT": x.fetch_ticker("BTC/USDT")},
           ok({**rows[0], "time": 1760000123000}), forge.tickers)
    for symbols in (["BTC/USDT", "WAXP/USDT"], ["ETH/BTC", "BTC/USDT", "SHIB/USDT"]):
        f.case(f"{len(symbols)} tickers", {"method": "tickers", "symbols": symbols}, lambda x: x.fetch_tickers(symbols),
               ok({"time": 1760000122000, "ticker": rows}), forge.tickers)
    depth = {"time": 1760000123400, "sequence": "7", "bids": [["122400", "0.5"], ["122399.9", "12.00001"]],
             "asks": [["122400.1", "1.1"], ["122410", "0.00001"]]}
    for levels in (20, 100):
        f.case(f"a book of {levels} levels", {"method": "book", "symbol": "BTC/USDT", "depth": levels},
               lambda x: x.fetch_order_book("BTC/USDT", levels), ok(depth), forge.book)


def account(f):
    def reply(rows):
        return ok([{"id": str(number), "currency": code, "type": "trade", "balance": plain(Decimal(free) + Decimal(used)),
                    "available": free, "holds": used} for number, (code, free, used) in enumerate(rows)])

    call = {"method": "balances"}
    # Since 2024 the accounts `trade_hf` and `trade` are one, by the latter name.
    run = lambda x: x.fetch_balance({"hf": False})
    f.case("balances with locked funds", call, run, reply([("BTC", "0.12345678", "0.001"), ("USDT", "1050.1", "0"), ("ETH", "0", "2.5")]), forge.balances)
    f.case("balances of sizes that a float cannot hold", call, run,
           reply([("SHIB", "9999999999.99999999", "0.00000001"), ("WEI", "123456789.123456789123456789", "0")]), forge.balances)
    f.case("the balance of a renamed currency", call, run, reply([("WAX", "12.5", "0")]), forge.balances)
    f.case("an account without funds", call, run, reply([]), forge.balances)

    def api_key(permission, addresses="192.0.2.1"):
        return ok({"remark": "golden", "apiKey": "golden-kucoin-key", "apiVersion": 3, "permission": permission, "ipWhitelist": addresses,
                   "createdAt": 1729590819000, "uid": 1, "isMaster": True, "kycStatus": 2})

    for name, reply, expected in (
        ("a key that may trade", api_key("General,Spot"), forge.rights(read=True, trade=True, withdraw=False, address_bound=True)),
        ("a key that may withdraw", api_key("General,Spot,Withdrawal"), forge.rights(read=True, trade=True, withdraw=True, address_bound=True)),
        ("a key that may transfer, from anywhere", api_key("General,Spot,InnerTransfer", ""),
         forge.rights(read=True, trade=True, withdraw=True, address_bound=False)),
        ("a key that may only read", api_key("General"), forge.rights(read=True, trade=False, withdraw=False, address_bound=True)),
    ):
        f.case(name, {"method": "key_rights"}, lambda x: x.privateGetUserApiKey(), reply, expected)


def ask_order(symbol, side, wire, amount=None, cost=None):
    params = {"clientOid": wire, "clientTimestamp": forge.NOW_MS, "allowMaxTimeWindow": WINDOW_MS}
    if cost is None:
        return lambda x: x.create_order(symbol, "market", side, amount, None, params)
    return lambda x: x.create_order(symbol, "market", side, None, None, {**params, "cost": cost})


def place(f, name, symbol, side, **size):
    reply = lambda wire: ok({"orderId": f"{f.random.getrandbits(96):024x}", "clientOid": wire})
    f.market_order(name, symbol, side, price=STEPS[symbol][3], ask=ask_order, reply=reply, **size)


def market_orders(f):
    place(f, "a buy by base amount", "BTC/USDT", "buy", amount="0.12345")
    place(f, "a sell", "ETH/BTC", "sell", amount="2.5")
    place(f, "a buy by cost", "BTC/USDT", "buy", cost="1000.2")
    for number, symbol, side, amount in f.fuzzed_amounts(STEPS):
        place(f, f"fuzzed amount {number}: {side} {amount} {symbol}", symbol, side, amount=amount)
    for number, symbol, cost in f.fuzzed_costs(COSTS, 4, 11):
        place(f, f"fuzzed cost {number}: {cost} into {symbol}", symbol, "buy", cost=cost)


def order_row(symbol, side, client_id, *, order_id="65ba3fc497c9e300079f2003", active=False, cancelled=False, size="1", funds="0",
              executed="1", cost="100", at=None):
    return {
        "id": order_id, "clientOid": client_id, "symbol": CODES[symbol], "opType": "DEAL", "type": "market", "side": side, "price": "0",
        "size": size, "funds": funds, "dealSize": executed, "dealFunds": cost, "remainSize": "0", "remainFunds": "0", "cancelledSize": "0",
        "cancelledFunds": "0", "fee": "0.1", "feeCurrency": "USDT", "stp": None, "timeInForce": "GTC", "postOnly": False, "hidden": False,
        "iceberg": False, "visibleSize": "0", "cancelAfter": 0, "channel": "API", "remark": None, "tags": None, "cancelExist": cancelled,
        "tradeType": "TRADE", "inOrderBook": active, "active": active, "tax": "0", "createdAt": at or forge.NOW_MS - 5000,
        "lastUpdatedAt": (at or forge.NOW_MS) + 2,
    }


def neutral(made):
    """By cost there is no base amount. ccxt calls every cancelled order so, also one that was executed in full."""
    raw = made["info"]
    return forge.order(
        made,
        amount=plain(raw["size"]) if Decimal(raw["size"]) > 0 else None,
        executed=plain(raw["dealSize"]),
        executed_cost=plain(raw["dealFunds"]),
        fills=[],
    )


def looked_up(f):
    ours, wire = f.client_id()
    row = order_row("BTC/USDT", "buy", wire, size="0.5", executed="0.5", cost="61200.005")
    by_client = {"method": "order", "symbol": "BTC/USDT", "client_id": ours}
    run = lambda x: x.fetch_order(None, "BTC/USDT", {"clientOid": wire})
    f.case("an order by its venue id", {"method": "order", "symbol": "BTC/USDT", "venue_order_id": "65ba3fc497c9e300079f2003"},
           lambda x: x.fetch_order("65ba3fc497c9e300079f2003", "BTC/USDT"), ok(row), neutral)
    f.case("an order by our id", by_client, run, ok(row), neutral)
    f.case("an order of a renamed market", {"method": "order", "symbol": "WAXP/USDT", "client_id": ours},
           lambda x: x.fetch_order(None, "WAXP/USDT", {"clientOid": wire}), ok(order_row("WAXP/USDT", "sell", wire)), neutral)
    for name, made in (
        ("by cost that is filled", order_row("BTC/USDT", "buy", wire, size="0", funds="1000.2", executed="0.00817", cost="1000.1999")),
        ("by cost of which a part was cancelled", order_row("BTC/USDT", "buy", wire, size="0", funds="1000.2", executed="0.004", cost="489.6", cancelled=True)),
        ("that is open", order_row("BTC/USDT", "sell", wire, size="0.5", executed="0", cost="0", active=True)),
        ("that is executed in part", order_row("BTC/USDT", "sell", wire, size="0.5", executed="0.25", cost="30600", active=True)),
        ("that was cancelled after a part", order_row("BTC/USDT", "sell", wire, size="0.5", executed="0.25", cost="30600", cancelled=True)),
        ("that was cancelled", order_row("BTC/USDT", "sell", wire, size="0.5", executed="0", cost="0", cancelled=True)),
    ):
        f.case(f"an order {name}", by_client, run, ok(made), neutral)
    for name, reply in (
        ("says that it does not exist", said("400100", "The order does not exist.")),
        ("says that it does not exist, by name", said("order_not_exist", "order_not_exist", 404)),
    ):
        f.case(f"an order of which the venue {name}", by_client, forge.absent(run), reply, None)
    f.case("an order of which the venue says nothing", by_client, nothing(run), ok(None), None)
    rows = [order_row("ETH/BTC", "buy", "web_1", order_id="5", size="2", executed="0", cost="0", active=True),
            order_row("ETH/BTC", "sell", None, order_id="6", size="3", executed="1", cost="0.0365", active=True)]
    every = lambda rows: lambda _made: [neutral(f.exchange().parse_order(json.loads(json.dumps(row)))) for row in rows]

    def page(rows, number=1, total=None):
        total = len(rows) if total is None else total
        return ok({"currentPage": number, "pageSize": 50, "totalNum": total, "totalPage": -(-total // 50), "items": rows})

    # This ccxt does not know the pages that KuCoin put in place of one list: it signs our request.
    def ask_page(x, code, number=1):
        return x.request("hf/orders/active/page", ["private"], "GET", {"symbol": code, "pageNum": number, "pageSize": 50})

    f.case("open orders of a market", {"method": "open_orders", "symbol": "ETH/BTC"},
           lambda x: ask_page(x, "ETH-BTC"), page(rows), every(rows))
    many = [order_row("ETH/BTC", "buy", None, order_id=str(100 + number), size="2", executed="0", cost="0", active=True) for number in range(50)]
    f.case("open orders of a market on two pages", {"method": "open_orders", "symbol": "ETH/BTC"},
           lambda x: [ask_page(x, "ETH-BTC", number) for number in (1, 2)], [page(many, 1, 52), page(rows, 2, 52)], every(many + rows))
    f.case("no open orders of a market", {"method": "open_orders", "symbol": "ETH/BTC"},
           lambda x: ask_page(x, "ETH-BTC"), page(None, total=0), [])
    other = [order_row("WAXP/USDT", "sell", "web_3", order_id="7", size="100", executed="0", cost="0", active=True)]

    def market_by_market(x):
        x.privateGetHfOrdersActiveSymbols()
        ask_page(x, "ETH-BTC")
        ask_page(x, "WAX-USDT")

    f.case("open orders of all markets", {"method": "open_orders"}, market_by_market,
           [ok({"symbols": ["ETH-BTC", "WAX-USDT"]}), page(rows), page(other)], every(rows + other))
    f.case("no open orders", {"method": "open_orders"}, lambda x: x.privateGetHfOrdersActiveSymbols(), ok({"symbols": []}), [])
    since = 1759990000000
    week = {"startAt": since, "endAt": since + WEEK_MS - 1}
    rows = [order_row("BTC/USDT", "sell", "web_4", order_id="12", at=since + 2000, executed="0", cost="0", cancelled=True),
            order_row("BTC/USDT", "buy", wire, order_id="11", at=since + 1000)]
    f.case("finished orders since a moment", {"method": "closed_orders", "symbol": "BTC/USDT", "since": since},
           lambda x: x.privateGetHfOrdersDone({"symbol": "BTC-USDT", **week, "limit": 100}), ok({"lastId": 9, "items": rows}), every(rows[::-1]))

    def fill_row(number, order_id, side, price, amount, fee, at):
        return {"id": number + 90000, "symbol": "BTC-USDT", "tradeId": number, "orderId": order_id, "counterOrderId": "9", "side": side,
                "liquidity": "taker", "forceTaker": False, "price": price, "size": amount, "funds": plain(Decimal(price) * Decimal(amount)),
                "fee": fee, "feeRate": "0.001", "feeCurrency": "USDT", "stop": "", "tradeType": "TRADE", "taxRate": "0", "tax": "0",
                "type": "market", "createdAt": at}

    rows = [fill_row(503, "29", "sell", "122000", "1", "122", since + 99), fill_row(502, "28", "buy", "122400.5", "0.02345", "2.870291725", since + 20),
            fill_row(501, "28", "buy", "122400.1", "0.1", "12.24001", since + 10)]
    trades = lambda rows: lambda _made: forge.own_trades([f.exchange().parse_trade(row) for row in rows])
    f.case("own trades since a moment", {"method": "own_trades", "symbol": "BTC/USDT", "since": since},
           lambda x: x.privateGetHfFills({"symbol": "BTC-USDT", **week, "limit": 100}), ok({"items": rows, "lastId": 9}), trades(rows))
    earlier = since - WEEK_MS

    def two_weeks(x):
        x.privateGetHfFills({"symbol": "BTC-USDT", "startAt": earlier, "endAt": since - 1, "limit": 100})
        x.privateGetHfFills({"symbol": "BTC-USDT", **week, "limit": 100})

    f.case("own trades of more than a week", {"method": "own_trades", "symbol": "BTC/USDT", "since": earlier}, two_weeks,
           [ok({"items": [], "lastId": None}), ok({"items": rows, "lastId": 9})], trades(rows))
    many = [fill_row(1000 + number, "28", "buy", "122400.1", "0.001", "0.1", since + 500 - number) for number in range(100)]

    def two_pages(x):
        x.privateGetHfFills({"symbol": "BTC-USDT", "orderId": "28", "limit": 100})
        x.privateGetHfFills({"symbol": "BTC-USDT", "orderId": "28", "limit": 100, "lastId": 77})

    f.case("trades of an order on two pages", {"method": "order_trades", "symbol": "BTC/USDT", "venue_order_id": "28"}, two_pages,
           [ok({"items": many, "lastId": 77}), ok({"items": rows[1:], "lastId": 9})], trades(many + rows[1:]))
    f.case("trades of an order", {"method": "order_trades", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: x.privateGetHfFills({"symbol": "BTC-USDT", "orderId": "28", "limit": 100}), ok({"items": rows[1:], "lastId": 9}), trades(rows[1:]))
    f.case("a cancel by our id", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
           lambda x: x.cancel_order(None, "BTC/USDT", {"clientOid": wire}), ok({"clientOid": wire}), None)
    f.case("a cancel by the venue's id", {"method": "cancel", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: x.cancel_order("28", "BTC/USDT"), ok({"orderId": "28"}), None)


def nothing(run):
    """ccxt makes an order of Nones out of no data."""
    def without_order(x):
        try:
            made = run(x)
        except Exception:
            return None
        assert made is None or made["id"] is None
        return None

    return without_order


def refused(f):
    ours, wire = f.client_id()
    order = {"method": "market_order", "client_id": ours, "symbol": "BTC/USDT", "side": "buy", "base": "0.5", "reference_price": "64000"}
    run = ask_order("BTC/USDT", "buy", wire, amount="0.5")
    for name, reply, kind, code, agrees in (
        ("not enough funds", said("200004", "Balance insufficient!"), "funds", "200004", True),
        ("too small an amount", said("400100", "Order size below the minimum requirement."), "parameters", "400100", True),
        ("too small a cost", said("600101", "The order funds should more then 0.1 USDT."), "parameters", "600101", True),
        ("a wrong step", said("600100", "Order size increment invalid."), "parameters", "600100", True),
        ("an unsupported market", said("400100", "Unsupported trading pair."), "market", "400100", True),
        ("an unknown market", said("400600", "validation.createOrder.symbolNotAvailable"), "market", "400600", True),
        ("a market that does not exist", said("900001", "symbol not exists"), "market", "900001", False),
        ("a clock that is off", said("400002", "Invalid KC-API-TIMESTAMP", 400), "clock", "400002", True),
        ("a wrong key", said("400003", "KC-API-KEY not exists", 401), "auth", "400003", True),
        ("a wrong passphrase", said("400004", "Invalid KC-API-PASSPHRASE", 401), "auth", "400004", True),
        ("a wrong signature", said("400005", "Invalid KC-API-SIGN", 401), "auth", "400005", True),
        ("another address", said("400006", "The requested ip address is not in the api whitelist", 401), "auth", "400006", True),
        ("a right that is missing", said("400007", "Access denied, require more permission.", 403), "auth", "400007", True),
        ("too many requests", said("429000", "Too many requests", 429, {"gw-ratelimit-reset": "1500"}), "rate_limited", "429000", True),
    ):
        f.error(f"an order refused for {name}", order, run, reply, kind, code, ccxt_agrees=agrees)
    for name, reply in (
        ("an internal error", said("300000", "Internal error")),
        ("a server error", said("500000", "Internal Server Error", 500)),
        ("a network time-out inside the venue", said("408000", "Network timeout, please try again later")),
        ("a complaint about its id", said("400100", "clientOid already exists")),
        ("a code that nobody listed", said("199999", "Surprise.")),
        ("a refusal that says yes", said("200000", "Unsuccessful!")),
        ("a bad gateway", Reply("<html>502</html>", 502)),
        ("a page instead of JSON", Reply("<html>200</html>", 200)),
    ):
        f.error(f"an order that met {name}", order, run, reply, "unknown")
    f.error("a cancel of an order that is gone", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
            lambda x: x.cancel_order(None, "BTC/USDT", {"clientOid": wire}),
            said("400100", "order_not_exist_or_not_allow_to_cancel"), "not_found", "400100")
