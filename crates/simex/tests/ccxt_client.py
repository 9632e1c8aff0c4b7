"""Python ccxt against the simulated venues: an independent reading of both protocols.

Reads one JSON object from standard input: `urls`, `keys` and `control` of a running simulation.
Prints one line per check and exits with 1 when any failed.
"""

import json
import sys
import traceback
import urllib.request

import ccxt

WORLD = json.load(sys.stdin)
FAILED = []


def check(name, truth, seen=""):
    print(("ok    " if truth else "FAIL  ") + name + ("" if truth else f": {seen}"))
    if not truth:
        FAILED.append(name)


def control(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(WORLD["control"] + "/_simex/" + path, data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as reply:
        return json.load(reply)


def moved(urls, base):
    """The same URLs with scheme and host replaced."""
    if isinstance(urls, dict):
        return {name: moved(url, base) for name, url in urls.items()}
    parts = urls.split("/", 3)
    return base + ("/" + parts[3] if len(parts) > 3 else "")


def client(venue, **changes):
    keys = WORLD["keys"][venue]
    settings = {
        "apiKey": keys["key"],
        "secret": keys["secret"],
        "password": keys["passphrase"],
        "enableRateLimit": False,
        "timeout": 10_000,
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchMargins": False,
        },
    }
    if venue == "okx":
        # One order per request, as Keel sends them, instead of a batch of one.
        settings["options"]["createOrder"] = "privatePostTradeOrder"
    settings.update(changes)
    exchange = getattr(ccxt, venue)(settings)
    exchange.session.trust_env = False
    exchange.urls["api"] = moved(
        {"rest": "https://{hostname}"} if venue == "okx" else exchange.urls["api"],
        WORLD["urls"][venue],
    )
    return exchange


def refused(name, kind, call):
    try:
        answer = call()
    except kind as error:
        check(f"{name} is {kind.__name__}", True)
        return error
    except Exception as error:
        check(f"{name} is {kind.__name__}", False, f"{type(error).__name__}: {error}")
        return error
    check(f"{name} is {kind.__name__}", False, f"was accepted: {answer}")
    return None


def reads(exchange, venue):
    markets = exchange.load_markets()
    check(f"{venue}: markets", {"BTC/USDT", "ETH/BTC"} <= set(markets), list(markets))
    market = markets["ETH/USDT"]
    check(f"{venue}: a market has steps", market["precision"]["amount"] == 0.0001, market["precision"])
    balance = exchange.fetch_balance()
    check(f"{venue}: balances", balance["USDT"]["free"] == 10_000, balance.get("USDT"))
    for timeframe, seconds in (("1m", 60), ("1h", 3600), ("4h", 14400)):
        candles = exchange.fetch_ohlcv("ETH/USDT", timeframe, limit=50)
        steps = {b[0] - a[0] for a, b in zip(candles, candles[1:])}
        whole = all(c[3] <= min(c[1], c[4]) <= max(c[1], c[4]) <= c[2] for c in candles)
        check(f"{venue}: {timeframe} candles", len(candles) == 50 and steps == {seconds * 1000} and whole, (len(candles), steps))
    since = candles[0][0] - 20 * 14_400_000
    older = exchange.fetch_ohlcv("ETH/USDT", "4h", since=since, limit=30)
    check(f"{venue}: candles since", older[0][0] == since and len(older) == 30, (older[0][0], since, len(older)))
    ticker = exchange.fetch_ticker("ETH/USDT")
    check(f"{venue}: ticker", ticker["bid"] < ticker["ask"] and ticker["last"] > 0, ticker)
    book = exchange.fetch_order_book("ETH/USDT", 20)
    check(f"{venue}: book", len(book["bids"]) == 20 and book["bids"][0][0] < book["asks"][0][0], book)
    check(f"{venue}: time", abs(exchange.fetch_time() - exchange.milliseconds()) < 5_000)


def orders(exchange, venue):
    named = f"ccxt{venue}1"
    bought = exchange.create_order("ETH/USDT", "market", "buy", 0.1, None, {"clientOrderId": named, "tgtCcy": "base_ccy"} if venue == "okx" else {"clientOrderId": named})
    found = exchange.fetch_order(bought["id"], "ETH/USDT")
    check(f"{venue}: market buy by amount", found["status"] == "closed" and found["filled"] == 0.1, found)
    by_client_id = {"clOrdId": named} if venue == "okx" else {"origClientOrderId": named}
    again = exchange.fetch_order(None if venue == "okx" else "", "ETH/USDT", by_client_id)
    check(f"{venue}: look-up by client id", again["id"] == bought["id"] and again["clientOrderId"] == named, again)
    by_cost = exchange.create_market_buy_order_with_cost("ETH/USDT", 300)
    found = exchange.fetch_order(by_cost["id"], "ETH/USDT")
    check(f"{venue}: market buy by cost", 290 < found["cost"] <= 300, found["cost"])
    sold = exchange.create_order("ETH/USDT", "market", "sell", 0.05)
    found = exchange.fetch_order(sold["id"], "ETH/USDT")
    check(f"{venue}: market sell", found["filled"] == 0.05, found)
    trades = exchange.fetch_my_trades("ETH/USDT")
    mine = [trade for trade in trades if trade["order"] == bought["id"]]
    check(f"{venue}: own trades", sum(t["amount"] for t in mine) == 0.1 and mine[0]["fee"]["currency"] == "ETH", trades)
    price = exchange.fetch_ticker("ETH/USDT")["last"] * 0.8
    waiting = exchange.create_order("ETH/USDT", "limit", "buy", 0.1, exchange.price_to_precision("ETH/USDT", price))
    open_ids = [order["id"] for order in exchange.fetch_open_orders("ETH/USDT")]
    check(f"{venue}: open orders", open_ids == [waiting["id"]], open_ids)
    exchange.cancel_order(waiting["id"], "ETH/USDT")
    check(f"{venue}: cancelled", exchange.fetch_order(waiting["id"], "ETH/USDT")["status"] == "canceled")
    check(f"{venue}: nothing open", exchange.fetch_open_orders("ETH/USDT") == [])
    closed = {order["id"] for order in exchange.fetch_closed_orders("ETH/USDT")}
    check(f"{venue}: closed orders", {bought["id"], by_cost["id"], sold["id"]} <= closed, closed)
    balance = exchange.fetch_balance()
    ledger = control(f"balances/{venue}")
    check(f"{venue}: balances are the ledger's", float(ledger["ETH"]["free"]) == balance["ETH"]["free"], balance["ETH"])


def refusals(exchange, venue):
    refused(f"{venue}: a bad signature", ccxt.AuthenticationError, lambda: client(venue, secret="wrong").fetch_balance())
    refused(f"{venue}: a bad key", ccxt.AuthenticationError, lambda: client(venue, apiKey="wrong").fetch_balance())
    raw = {
        "binance": lambda: exchange.publicGetKlines({"symbol": "NOPEUSDT", "interval": "1h"}),
        "okx": lambda: exchange.publicGetMarketTicker({"instId": "NOPE-USDT"}),
    }[venue]
    refused(f"{venue}: a bad symbol", ccxt.BadSymbol, raw)
    base = {"tgtCcy": "base_ccy"} if venue == "okx" else {}
    small = {
        "binance": lambda: exchange.privatePostOrder({"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.0010"}),
        "okx": lambda: exchange.privatePostTradeOrder({"instId": "ETH-USDT", "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "0.00001", "tgtCcy": "base_ccy"}),
    }[venue]
    below = refused(f"{venue}: below the minimum", ccxt.BaseError, small)
    wanted = "NOTIONAL" if venue == "binance" else "51020"
    check(f"{venue}: below the minimum names {wanted}", wanted in str(below), below)
    refused(f"{venue}: insufficient funds", ccxt.InsufficientFunds, lambda: exchange.create_order("BTC/USDT", "market", "buy", 1, None, dict(base)))
    refused(f"{venue}: an unknown order", ccxt.OrderNotFound, lambda: exchange.fetch_order("1", "ETH/USDT"))
    refused(f"{venue}: cancelling an unknown order", ccxt.OrderNotFound, lambda: exchange.cancel_order("1", "ETH/USDT"))


def rate_limit(exchange, venue):
    def hammer():
        for _ in range(60):
            exchange.publicGetDepth({"symbol": "ETHUSDT", "limit": 5000}) if venue == "binance" else exchange.publicGetPublicTime()

    refused(f"{venue}: too many requests", ccxt.RateLimitExceeded if venue == "okx" else ccxt.DDoSProtection, hammer)


for name in ("binance", "okx"):
    for part in (reads, orders, refusals, rate_limit):
        exchange = client(name)
        try:
            if part is not reads:
                exchange.load_markets()
            part(exchange, name)
        except Exception:
            check(f"{name}: {part.__name__} to its end", False, traceback.format_exc())

oracle = control("oracle")
for name, venue in oracle["venues"].items():
    check(f"{name}: books balance", venue["faults"] == [], venue["faults"])
    check(f"{name}: nothing twice", venue["duplicates"] == [] or venue["duplicates"] == [""], venue["duplicates"])
sys.exit(1 if FAILED else 0)
