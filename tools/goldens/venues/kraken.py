"""Kraken spot. Orders state a deadline and the currency of the fee; nonces are microseconds."""

from decimal import Decimal

import ccxt

import forge
from forge import Forge, Reply, plain

DEADLINE = "2025-10-09T08:55:33.456Z"
"""Ten seconds after the frozen clock."""


class Kraken(Forge):
    def exchange(self):
        """ccxt counts nonces in milliseconds; ours are microseconds of the same clock, rising."""
        x = super().exchange()
        given = []

        def nonce():
            given.append(None)
            return self.now_ms * 1000 + len(given) - 1

        x.incrementing_nonce = nonce
        return x

    def load_markets(self, replies, **how):
        """ccxt asks by the key of the table, we by `altname`; Kraken takes both. Keys stay in replies."""
        markets = super().load_markets(replies, **how)
        for market in markets:
            market["id"] = market["info"]["altname"]
        return markets


def pair_row(base, quote, places, price_places, low, cost, *, status="online", altname=None):
    short = lambda name: name[1:] if len(name) == 4 and name[0] in "XZ" else name
    return {
        "altname": altname or short(base) + short(quote), "wsname": f"{short(base)}/{short(quote)}", "aclass_base": "currency",
        "base": base, "aclass_quote": "currency", "quote": quote, "lot": "unit", "cost_decimals": 5,
        "pair_decimals": price_places, "lot_decimals": places, "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [],
        "fees": [[0, 0.4], [10000, 0.35]], "fees_maker": [[0, 0.25], [10000, 0.2]], "fee_volume_currency": "ZUSD",
        "margin_call": 80, "margin_stop": 40, "ordermin": low, "costmin": cost,
        "tick_size": plain(Decimal(1).scaleb(-price_places)), "status": status,
    }


PAIRS = {
    "XBTUSDT": pair_row("XXBT", "USDT", 8, 1, "0.00005", "0.5"),
    "XXBTZUSD": pair_row("XXBT", "ZUSD", 8, 1, "0.00005", "0.5"),
    "XDGUSDT": pair_row("XXDG", "USDT", 8, 7, "13", "0.5"),
    "SOLXBT": pair_row("SOL", "XXBT", 8, 8, "0.02", "0.00002"),
    "ETHUSDT": pair_row("XETH", "USDT", 8, 2, "0.001", "0.5"),
    "SHIBUSDT": pair_row("SHIB", "USDT", 5, 8, "170000", "0.5"),
    "ZETAUSDT": pair_row("ZETA", "USDT", 5, 4, "8", "0.5", altname="ZETAUSDT"),
    "WHOLEUSDT": pair_row("WHOLE", "USDT", 0, 4, "10", "0.5"),
    "HALTUSDT": pair_row("HALT", "USDT", 2, 4, "1", "0.5", status="cancel_only"),
}
PAIRS["ZETAUSDT"]["wsname"] = "ZETA/USDT"

STEPS = {
    "BTC/USDT": ("0.00000001", 5, 10, "121000"),
    "BTC/USD": ("0.00000001", 5, 10, "121000"),
    "DOGE/USDT": ("0.00000001", 9, 13, "0.25"),
    "SOL/BTC": ("0.00000001", 7, 11, "0.0018"),
    "SHIB/USDT": ("0.00001", 10, 15, "0.0000121"),
    "WHOLE/USDT": ("1", 2, 6, "3"),
}
# ccxt cuts a cost to the places of the price.
TICKS = {"BTC/USDT": "0.1", "SHIB/USDT": "0.00000001", "DOGE/USDT": "0.0000001", "SOL/BTC": "0.00000001"}


def said(*errors, status=200):
    return Reply({"error": list(errors)}, status)


def result(value):
    return Reply({"error": [], "result": value})


def order_row(pair, side, client_id, *, status="closed", volume="0.50000000", executed="0.50000000", cost="60500.00000",
              opened=1759999990.8648, flags="fciq", trades=None, price="121000.0"):
    row = {
        "refid": None, "userref": None, "cl_ord_id": client_id, "status": status, "opentm": opened, "starttm": 0, "expiretm": 0,
        "descr": {"pair": pair, "type": side, "ordertype": "market", "price": "0", "price2": "0", "leverage": "none",
                  "order": f"{side} {volume} {pair} @ market", "close": ""},
        "vol": volume, "vol_exec": executed, "cost": cost, "fee": "150.00000", "price": price, "stopprice": "0.00000",
        "limitprice": "0.00000", "misc": "", "oflags": flags, "reason": None,
    }
    if status != "open":
        row["closetm"] = opened + 0.1
    if trades is not None:
        row["trades"] = trades
    return row


def trade_row(order_id, pair, side, at, price, volume, cost, fee):
    return {"ordertxid": order_id, "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": pair, "time": at, "type": side, "ordertype": "market",
            "price": price, "cost": cost, "fee": fee, "vol": volume, "margin": "0.00000", "leverage": "0", "misc": "",
            "trade_id": 4503, "maker": False, "ledgers": []}


def build():
    f = Kraken(
        "kraken",
        keys={"api_key": "golden-kraken-key", "secret": "Z29sZGVuIGtyYWtlbiBzZWNyZXQsIGludmVudGVkLCAwMTIzNDU2Nzg5"},
        config={"options": {"adjustForTimeDifference": False}},
    )
    f.load_markets([result(PAIRS)], run=all_markets)
    public(f)
    account(f)
    market_orders(f)
    fuzzed_orders(f)
    looked_up(f)
    refused(f)
    return f


def all_markets(x):
    """Without the tokenised stocks, which ccxt asks for in a second question."""
    x.options["fetchMarkets"] = {"types": ["spot"]}
    return x.fetch_markets()


def public(f):
    f.case("the venue's clock", {"method": "time"}, lambda x: x.fetch_time(),
           result({"unixtime": 1760000123, "rfc1123": "Thu, 09 Oct 25 08:55:23 +0000"}), forge.time)
    f.case("markets and their rules", {"method": "markets"}, all_markets, result(PAIRS), forge.markets)
    bars = [
        [1759996800, "121900.1", "122100.2", "121800.0", "122000.5", "121950.0", "12.34567891", 901],
        [1760000400, "122000.5", "122500.0", "121999.9", "122400.1", "122001.0", "0.00000001", 1],
    ]
    f.case("the newest candles", {"method": "candles", "symbol": "BTC/USDT", "timeframe": "1h", "limit": 2},
           lambda x: x.fetch_ohlcv("BTC/USDT", "1h", None, 2), result({"XBTUSDT": bars, "last": 1759996800}), forge.candles)
    for timeframe, since in (("1m", 1759996800000), ("15m", 1759996800000), ("4h", 1759968000000), ("1d", 1759968000000)):
        row = [since // 1000, "0.2512345", "0.2600000", "0.2500000", "0.2550000", "0.2540000", "123456789.00000001", 12]
        f.case(f"candles of {timeframe} since a moment",
               {"method": "candles", "symbol": "DOGE/USDT", "timeframe": timeframe, "since": since, "limit": 500},
               lambda x: x.fetch_ohlcv("DOGE/USDT", timeframe, since, 500), result({"XDGUSDT": [row], "last": 1}), forge.candles)

    def quote(last, bid, ask):
        return {"a": [ask, "1", "1.000"], "b": [bid, "1", "1.000"], "c": [last, "0.00009443"], "v": ["0.7", "163.2"],
                "p": ["1", "1"], "t": [35, 3276], "l": ["1", "1"], "h": ["1", "1"], "o": "1"}

    f.case("one ticker", {"method": "tickers", "symbols": ["BTC/USDT"]}, lambda x: x.fetch_tickers(["BTC/USDT"]),
           result({"XBTUSDT": quote("122400.10000", "122400.00000", "122400.20000")}), forge.tickers)
    f.case("tickers of three markets", {"method": "tickers", "symbols": ["SOL/BTC", "DOGE/USDT", "ZETA/USDT"]},
           lambda x: x.fetch_tickers(["SOL/BTC", "DOGE/USDT", "ZETA/USDT"]),
           result({"SOLXBT": quote("0.00181", "0.0018", "0.00182"), "XDGUSDT": quote("0.2512345", "0.2512", "0.2513"),
                   "ZETAUSDT": quote("0.7", "0.69", "0.71")}), forge.tickers)
    f.case("a ticker that comes under the old name", {"method": "tickers", "symbols": ["BTC/USD"]},
           lambda x: x.publicGetTicker({"pair": "XBTUSD"}), result({"XXBTZUSD": quote("122400.1", "122400", "122400.2")}),
           [{"symbol": "BTC/USD", "last": "122400.1", "bid": "122400", "ask": "122400.2", "as_of": None}])
    depth = {"asks": [["122400.20000", "1.100", 1760000121], ["122410.00000", "0.001", 1760000120]],
             "bids": [["122400.00000", "0.500", 1760000122], ["122399.90000", "12.001", 1760000110]]}
    for limit in (5, 100):
        f.case(f"a book of {limit} levels", {"method": "book", "symbol": "BTC/USDT", "depth": limit},
               lambda x: x.fetch_order_book("BTC/USDT", limit), result({"XBTUSDT": depth}), forge.book)


def account(f):
    def reply(rows):
        return result({name: {"balance": balance, "hold_trade": held} for name, balance, held in rows})

    call = {"method": "balances"}
    f.case("balances with held funds, under old and new names", call, lambda x: x.fetch_balance(),
           reply([("XXBT", "0.1234567800", "0.0010000000"), ("ZUSD", "1050.1000", "0.0000"), ("XXDG", "10.5", "0"), ("USDT", "7", "2.5")]),
           forge.balances)
    f.case("balances of sizes that a float cannot hold", call, lambda x: x.fetch_balance(),
           reply([("SHIB", "9999999999999.99999", "0.00001"), ("SOL", "123456789.1234567891", "0")]), forge.balances)
    # ccxt shows them apart; the venue's documentation says that they are traded as one.
    f.case("what earns by itself is spot, and what is staked is not", call, lambda x: x.fetch_balance(),
           reply([("XXBT", "1", "2"), ("XBT.F", "5", "0"), ("ETH2.S", "3", "0"), ("DOT.M", "2", "0"), ("USDT.B", "9", "0")]),
           {"BTC": {"free": "4", "used": "2"}})
    f.case("an account without funds", call, lambda x: x.fetch_balance(), reply([]), forge.balances)

    def info(permissions, **more):
        return result({"apiKeyName": "keel", "apiKey": "golden-kraken-key", "nonce": "1760000123456000", "nonceWindow": 0,
                       "permissions": permissions, "iban": "AA00 N00N 0000 0000", "validUntil": "0", "queryFrom": "0", "queryTo": "0",
                       "createdTime": "1759000000", "modifiedTime": "1759000000", "ipAllowlist": [], "lastUsed": "1760000000", **more})

    trading = ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades"]
    bound = {"ipAllowlist": ["192.0.2.7"], "validUntil": "1790000000"}
    for name, reply, expected in (
        ("a key that may trade only", info(trading, **bound),
         forge.rights(read=True, trade=True, withdraw=False, address_bound=True, expires_at=1790000000000)),
        ("a key that may withdraw", info([*trading, "withdraw-funds"]), forge.rights(read=True, trade=True, withdraw=True, address_bound=False)),
        ("a key that may add addresses to withdraw to", info([*trading, "add-withdraw-address"]),
         forge.rights(read=True, trade=True, withdraw=True, address_bound=False)),
        ("a key with a right that nobody knows", info([*trading, "teleport-funds"]),
         forge.rights(read=True, trade=True, withdraw=True, address_bound=False)),
        ("a key that may only read", info(trading[:3]), forge.rights(read=True, trade=False, withdraw=False, address_bound=False)),
        ("a key that may not see closed orders", info(["query-funds", "query-open-trades", "modify-trades"]),
         forge.rights(read=False, trade=True, withdraw=False, address_bound=False)),
    ):
        f.case(name, {"method": "key_rights"}, lambda x: x.privatePostGetApiKeyInfo(), reply, expected)


def ask_order(symbol, side, wire, amount=None, cost=None):
    params = {"clientOrderId": wire, "oflags": "fciq", "deadline": DEADLINE}
    if cost is None:
        return lambda x: x.create_order(symbol, "market", side, amount, None, params)
    return lambda x: x.create_order(symbol, "market", side, "1000000", None, {**params, "cost": cost})


def place(f, name, symbol, side, amount=None, cost=None):
    described = f"{side} {amount or cost} {symbol} @ market"
    reply = lambda _wire: result({"txid": [f"OUF4EM-FRGI2-M{f.client_id_count:05}"], "descr": {"order": described}})
    f.market_order(name, symbol, side, price="1", ask=ask_order, reply=reply, amount=amount, cost=cost)


def market_orders(f):
    place(f, "a buy by base amount", "BTC/USDT", "buy", amount="0.12345678")
    place(f, "a buy in a market with an old name", "BTC/USD", "buy", amount="0.00005")
    place(f, "a sell", "SOL/BTC", "sell", amount="2.5")
    place(f, "a sell of whole units", "WHOLE/USDT", "sell", amount="120")
    place(f, "a buy by cost", "BTC/USDT", "buy", cost="1000.2")


def fuzzed_orders(f):
    for number, symbol, side, amount in f.fuzzed_amounts(STEPS):
        place(f, f"fuzzed amount {number}: {side} {amount} {symbol}", symbol, side, amount=amount)
    for number, symbol, cost in f.fuzzed_costs(TICKS, 3, 12):
        place(f, f"fuzzed cost {number}: {cost} into {symbol}", symbol, "buy", cost=cost)


def looked_up(f):
    ours, wire = f.client_id()
    name = "OB5VMB-B4U2U-DK2WRW"
    row = order_row("XBTUSDT", "buy", wire)
    by_name = {"method": "order", "symbol": "BTC/USDT", "venue_order_id": name}
    query = lambda x: x.privatePostQueryOrders({"trades": "true", "txid": name})
    read = lambda row: forge.order(f.exchange().parse_order({"id": name, **row}), fills=[])
    f.case("an order by its venue id", by_name, query, result({name: row}), read(row))
    for status, executed in (("pending", "0.00000000"), ("open", "0.10000000"), ("canceled", "0.10000000"), ("expired", "0.00000000")):
        made = order_row("XBTUSDT", "sell", wire, status=status, executed=executed, cost=plain(Decimal(executed) * 121000))
        f.case(f"an order that is {status}", by_name, query, result({name: made}), read(made))
    made = order_row("XBTUSDT", "buy", wire, volume="1000.00000", executed="0.00826446", cost="999.99966", flags="fciq,viqc")
    f.case("an order by cost", by_name, query, result({name: made}), {**read(made), "amount": None})
    f.case("an order that the venue does not know", by_name, forge.absent(query, (ccxt.OrderNotFound, ccxt.InvalidOrder)), said("EOrder:Unknown order"), None)
    f.case("an order that is not in the reply", by_name, query, result({}), None)

    by_client = {"method": "order", "symbol": "BTC/USDT", "client_id": ours}

    def both(x):
        x.fetch_open_orders(None, None, None, {"clientOrderId": wire})
        x.fetch_closed_orders(None, None, None, {"clientOrderId": wire})

    f.case("an open order by our id", by_client, lambda x: x.fetch_open_orders(None, None, None, {"clientOrderId": wire}),
           result({"open": {name: order_row("XBTUSDT", "buy", wire, status="open", executed="0", cost="0")}}),
           lambda made: forge.order(made[0]))
    f.case("a closed order by our id", by_client, both,
           [result({"open": {}}), result({"closed": {name: row}, "count": 1})], read(row))
    f.case("an id that no order has", by_client, both, [result({"open": {}}), result({"closed": {}, "count": 0})], None)
    other = order_row("XBTUSDT", "buy", "0" * 32)
    f.case("a venue that does not filter by our id", by_client, both,
           [result({"open": {}}), result({"closed": {"OTHER-ORDER": other}, "count": 1})], None)

    open_rows = {"O1": order_row("SOLXBT", "buy", wire, status="open", volume="2", executed="0", cost="0"),
                 "O2": order_row("XDGUSDT", "sell", None, status="open", volume="100", executed="50", cost="12.5", price="0.25", opened=1759999991.1115)}
    f.case("open orders of all markets", {"method": "open_orders"}, lambda x: x.fetch_open_orders(), result({"open": open_rows}), forge.orders)
    f.case("open orders of a market", {"method": "open_orders", "symbol": "DOGE/USDT"},
           lambda x: x.fetch_open_orders("DOGE/USDT"), result({"open": open_rows}),
           lambda made: forge.orders([row for row in made if row["symbol"] == "DOGE/USDT"]))
    f.case("no open orders", {"method": "open_orders"}, lambda x: x.fetch_open_orders(), result({"open": {}}), forge.orders)
    since = 1759990000500
    closed = {"O3": order_row("XBTUSDT", "sell", wire, status="canceled", executed="0", cost="0"), "O4": row,
              "O5": order_row("SOLXBT", "sell", None)}
    f.case("finished orders since a moment", {"method": "closed_orders", "symbol": "BTC/USDT", "since": since},
           lambda x: x.fetch_closed_orders("BTC/USDT", since), result({"closed": closed, "count": 3}),
           lambda _made: [forge.order(f.exchange().parse_order({"id": name, **closed[name]})) for name in ("O3", "O4")])

    trades = {"T1": trade_row(name, "XBTUSDT", "buy", 1759999991.8921, "121000.10000", "0.10000000", "12100.01000", "30.25003"),
              "T2": trade_row(name, "XBTUSDT", "buy", 1759999991.8922, "121000.20000", "0.40000000", "48400.08000", "121.00020"),
              "T3": trade_row("OX", "SOLXBT", "sell", 1759999992.1235, "0.0018", "10", "0.018", "0.00005")}
    parsed = lambda ids: [forge.own_trade(f.exchange().parse_trade({"id": id, **trades[id]})) for id in ids]
    f.case("own trades since a moment, newest first at the venue", {"method": "own_trades", "symbol": "BTC/USDT", "since": since},
           lambda x: x.fetch_my_trades(None, since), result({"trades": dict(reversed(trades.items())), "count": 3}),
           lambda _made: parsed(["T1", "T2"]))
    page = {f"T{number:03}": trade_row("OX", "SOLXBT", "sell", 1759999000.5 - number, "0.0018", "10", "0.018", "0.00005") for number in range(50)}

    def two_pages(x):
        x.privatePostTradesHistory({"start": since // 1000})
        x.privatePostTradesHistory({"start": since // 1000, "ofs": 50})

    f.case("own trades on two pages", {"method": "own_trades", "symbol": "BTC/USDT", "since": since}, two_pages,
           [result({"trades": page, "count": 52}), result({"trades": {"T1": trades["T1"], "T2": trades["T2"]}, "count": 52})],
           lambda _made: parsed(["T1", "T2"]))

    def of_order(x):
        query(x)
        x.privatePostQueryTrades({"txid": "T1,T2"})

    f.case("trades of an order", {"method": "order_trades", "symbol": "BTC/USDT", "venue_order_id": name}, of_order,
           [result({name: order_row("XBTUSDT", "buy", wire, trades=["T1", "T2"])}), result({"T1": trades["T1"], "T2": trades["T2"]})],
           lambda _made: parsed(["T1", "T2"]))
    f.case("a cancel by our id", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
           lambda x: x.cancel_order("", "BTC/USDT", {"clientOrderId": wire}), result({"count": 1}), None)
    f.case("a cancel by the venue's id", {"method": "cancel", "symbol": "BTC/USDT", "venue_order_id": name},
           lambda x: x.cancel_order(name, "BTC/USDT"), result({"count": 1, "pending": False}), None)


def refused(f):
    ours, wire = f.client_id()
    order = {"method": "market_order", "client_id": ours, "symbol": "BTC/USDT", "side": "buy", "base": "0.5", "reference_price": "64000"}
    run = ask_order("BTC/USDT", "buy", wire, amount="0.5")
    for text, kind, agrees in (
        ("EOrder:Insufficient funds", "funds", True),
        ("EOrder:Order minimum not met", "parameters", True),
        ("EOrder:Cost minimum not met", "parameters", False),
        ("EGeneral:Invalid arguments", "parameters", True),
        ("EGeneral:Invalid arguments:volume", "parameters", True),
        ("EQuery:Unknown asset pair", "market", False),
        ("EAPI:Invalid nonce", "clock", True),
        ("EAPI:Invalid key", "auth", True),
        ("EAPI:Invalid signature", "auth", False),
        ("EGeneral:Permission denied", "auth", True),
        ("EAPI:Rate limit exceeded", "rate_limited", True),
        ("EOrder:Rate limit exceeded", "rate_limited", False),
        ("EOrder:Duplicate order", "duplicate_id", False),
        ("EOrder:Orders limit exceeded", "other", False),
    ):
        f.error(f"an order refused with {text}", order, run, said(text), kind, text, ccxt_agrees=agrees)
    for name, reply in (
        ("EService:Unavailable", said("EService:Unavailable")),
        ("EService:Busy", said("EService:Busy")),
        ("EService:Deadline elapsed", said("EService:Deadline elapsed")),
        ("EGeneral:Internal error", said("EGeneral:Internal error")),
        ("an error that nobody listed", said("ESurprise:Out of coffee")),
        ("a listed error beside one that nobody listed", said("EOrder:Insufficient funds", "ESurprise:Out of coffee")),
        ("a page instead of JSON", Reply("<html>200</html>", 200)),
        ("503", said(status=503)),
        ("429", Reply("error code: 1015", 429)),
        ("an acknowledgement without a name", result({"descr": {"order": "buy 0.5 XBTUSDT @ market"}})),
        ("an acknowledgement without a result", Reply({"error": []})),
    ):
        f.error(f"an order that met {name}", order, run, reply, "unknown")
    f.error("a cancel of an order that is gone", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
            lambda x: x.cancel_order("", "BTC/USDT", {"clientOrderId": wire}), said("EOrder:Unknown order"), "not_found", "EOrder:Unknown order")
