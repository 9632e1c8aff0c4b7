"""OKX spot, v5. Orders name the unit of their amount and carry the moment at which they expire."""

import json

import forge
from forge import Forge, Reply, plain

WINDOW_MS = 5000


def instrument(symbol, tick, lot, *, low=None, market_high="1000000", market_cost="1000000", state="live"):
    base, quote = symbol.split("/")
    return {
        "alias": "", "auctionEndTime": "", "baseCcy": base, "category": "1", "contTdSwTime": "", "ctMult": "", "ctType": "",
        "ctVal": "", "ctValCcy": "", "expTime": "", "futureSettlement": False, "groupId": "1", "instFamily": "",
        "instId": f"{base}-{quote}", "instIdCode": 1, "instType": "SPOT", "lever": "", "listTime": "1548133413000", "lotSz": lot,
        "maxIcebergSz": "9999999999", "maxLmtAmt": "20000000", "maxLmtSz": "9999999999", "maxMktAmt": market_cost,
        "maxMktSz": market_high, "maxStopSz": "1000000", "maxTriggerSz": "9999999999", "maxTwapSz": "9999999999",
        "minSz": low or lot, "optType": "", "quoteCcy": quote, "ruleType": "normal", "settleCcy": "", "state": state, "stk": "",
        "tickSz": tick, "uly": "",
    }


INSTRUMENTS = {"code": "0", "msg": "", "data": [
    instrument("BTC/USDT", "0.1", "0.00000001", low="0.00001"),
    instrument("ETH/BTC", "0.00001", "0.000001", low="0.001"),
    instrument("SHIB/USDT", "0.000000001", "1", low="100000"),
    instrument("ODD/USDT", "0.05", "0.0025", low="0.0075"),
    instrument("WEI/USDT", "0.0001", "0.000000000000000001"),
    instrument("TEN/USDT", "0.0001", "10", low="50"),
    instrument("HALT/USDT", "0.01", "0.01", state="suspend"),
]}

STEPS = {
    "BTC/USDT": ("0.00000001", 4, 11, "64000.5"),
    "ETH/BTC": ("0.000001", 4, 10, "0.052"),
    "SHIB/USDT": ("1", 6, 12, "0.00001"),
    "ODD/USDT": ("0.0025", 1, 9, "3.5"),
    "WEI/USDT": ("0.000000000000000001", 17, 27, "0.5"),
    "TEN/USDT": ("10", 1, 8, "0.02"),
}
TICKS = {"BTC/USDT": "0.1", "ETH/BTC": "0.00001", "SHIB/USDT": "0.000000001", "ODD/USDT": "0.05", "WEI/USDT": "0.0001"}
WINDOW = {"expTime": str(forge.NOW_MS + WINDOW_MS)}


def ident(symbol):
    return symbol.replace("/", "-")


def ok(rows):
    return Reply({"code": "0", "msg": "", "data": rows})


def order_row(symbol, side, client_id, *, order_id="680800019749904384", state="filled", amount="1", executed="1", price="100",
              unit="base_ccy", at=None):
    return {
        "accFillSz": executed, "algoClOrdId": "", "algoId": "", "attachAlgoClOrdId": "", "attachAlgoOrds": [],
        "avgPx": price if executed != "0" else "", "cTime": str(at or forge.NOW_MS - 5000), "cancelSource": "",
        "cancelSourceReason": "", "category": "normal", "ccy": "", "clOrdId": client_id, "fee": "-0.001", "feeCcy": symbol.split("/")[0],
        "fillPx": price, "fillSz": executed, "fillTime": str((at or forge.NOW_MS) + 2), "instId": ident(symbol), "instType": "SPOT",
        "isTpLimit": "false", "lever": "", "linkedAlgoOrd": {"algoId": ""}, "ordId": order_id, "ordType": "market", "pnl": "0",
        "posSide": "", "px": "", "pxType": "", "pxUsd": "", "pxVol": "", "quickMgnType": "", "rebate": "0", "rebateCcy": "USDT",
        "reduceOnly": "false", "side": side, "slOrdPx": "", "slTriggerPx": "", "slTriggerPxType": "", "source": "", "state": state,
        "stpId": "", "stpMode": "cancel_maker", "sz": amount, "tag": "", "tdMode": "cash", "tgtCcy": unit, "tpOrdPx": "",
        "tpTriggerPx": "", "tpTriggerPxType": "", "tradeId": "", "uTime": str((at or forge.NOW_MS) + 3),
    }


def fill_row(symbol, side, number, order_id, price, amount, fee, asset, at, client_id=""):
    return {
        "side": side, "fillSz": amount, "fillPx": price, "fillPxVol": "", "fillFwdPx": "", "fee": fee, "fillPnl": "0",
        "ordId": order_id, "feeRate": "-0.001", "instType": "SPOT", "fillPxUsd": "", "instId": ident(symbol), "clOrdId": client_id,
        "posSide": "net", "billId": f"77{number}", "subType": "1", "fillMarkVol": "", "tag": "", "fillTime": str(at), "execType": "T",
        "fillIdxPx": "", "tradeId": str(number), "fillMarkPx": "", "feeCcy": asset, "ts": str(at + 1),
    }


def build():
    f = Forge(
        "okx",
        keys={"api_key": "golden-okx-key", "secret": "golden-okx-secret-0123456789", "password": "golden words"},
        config={"options": {"fetchMarkets": {"types": ["spot"]}, "createOrder": "privatePostTradeOrder"}},
    )
    f.load_markets([ok_instruments()], spot_markets)
    public(f)
    account(f)
    market_orders(f)
    looked_up(f)
    refused(f)
    return f


def ok_instruments():
    return Reply(INSTRUMENTS)


def spot_markets(x):
    return x.fetch_markets_by_type("spot", {})


def rules(rows):
    """OKX names no smallest cost, and its limit of a market order is in USDT, not in base units."""
    made = forge.markets(rows)
    for row in made:
        row["max_amount"] = None
        row["min_cost"] = "0"
    return made


def public(f):
    f.case("the venue's clock", {"method": "time"}, lambda x: x.fetch_time(), ok([{"ts": "1760000123999"}]), forge.time)
    f.case("instruments and their filters", {"method": "markets"}, spot_markets, ok_instruments(), rules)

    def bar(at, values, confirmed="1"):
        return [str(at), *values, "1505555.5", "1505555.5", confirmed]

    newest = [bar(1760000400000, ["122000.5", "122500", "121999.9", "122400.1", "0.00001"], "0"),
              bar(1759996800000, ["121900.1", "122100.1", "121800", "122000.5", "12.34567"])]
    f.case("the newest candles", {"method": "candles", "symbol": "BTC/USDT", "timeframe": "1h", "limit": 2},
           lambda x: x.fetch_ohlcv("BTC/USDT", "1h", None, 2), ok(newest), forge.candles)
    for timeframe, since in (("1m", 1759996800000), ("15m", 1759996800000), ("4h", 1759968000000), ("6h", 1759968000000),
                             ("1d", 1759968000000), ("1w", 1759708800000)):
        row = bar(since, ["0.00001234", "0.000013", "0.000012", "0.0000125", "123456789"])
        f.case(f"candles of {timeframe} since a moment",
               {"method": "candles", "symbol": "SHIB/USDT", "timeframe": timeframe, "since": since, "limit": 300},
               lambda x: x.fetch_ohlcv("SHIB/USDT", timeframe, since, 300), ok([row]), forge.candles)
    long_ago = 1577836800000
    f.case("candles of long ago", {"method": "candles", "symbol": "BTC/USDT", "timeframe": "1h", "since": long_ago, "limit": 100},
           lambda x: x.fetch_ohlcv("BTC/USDT", "1h", long_ago, 100),
           ok([bar(long_ago, ["7195.2", "7196.3", "7175.5", "7177", "511.9"])]), forge.candles)
    f.case("no candles", {"method": "candles", "symbol": "ETH/BTC", "timeframe": "1h", "since": 1759996800000, "limit": 10},
           lambda x: x.fetch_ohlcv("ETH/BTC", "1h", 1759996800000, 10), ok([]), forge.candles)

    def ticker(symbol, last, bid, ask, at):
        return {"instType": "SPOT", "instId": ident(symbol), "last": last, "lastSz": "1", "askPx": ask, "askSz": "3", "bidPx": bid,
                "bidSz": "2", "open24h": last, "high24h": last, "low24h": last, "volCcy24h": "2", "vol24h": "1", "ts": str(at),
                "sodUtc0": last, "sodUtc8": last}

    rows = [ticker("BTC/USDT", "122400.1", "122400", "122400.1", 1760000123321), ticker("ETH/BTC", "0.03654", "0.03653", "0.03655", 1760000122000),
            ticker("SHIB/USDT", "0.000012345", "0.000012344", "0.000012346", 1760000121000)]
    for symbols in (["BTC/USDT", "SHIB/USDT"], ["ETH/BTC", "BTC/USDT", "SHIB/USDT"]):
        f.case(f"{len(symbols)} tickers", {"method": "tickers", "symbols": symbols}, lambda x: x.fetch_tickers(symbols), ok(rows), forge.tickers)
    depth = {"asks": [["122400.1", "1.1", "0", "4"], ["122410", "0.00001", "0", "1"]],
             "bids": [["122400", "0.5", "0", "2"], ["122399.9", "12.00001", "0", "9"]], "ts": "1760000123400", "seqId": 7}
    for levels in (5, 100):
        f.case(f"a book of {levels} levels", {"method": "book", "symbol": "BTC/USDT", "depth": levels},
               lambda x: x.fetch_order_book("BTC/USDT", levels), ok([depth]), forge.book)


def account(f):
    def reply(rows):
        details = [{"ccy": asset, "cashBal": total, "eq": total, "availBal": free, "availEq": "", "frozenBal": used, "ordFrozen": used,
                    "liab": "", "uTime": "1759999999000", "disEq": "1", "eqUsd": "1", "upl": "0", "interest": "", "crossLiab": "",
                    "isoEq": "0", "isoLiab": "", "isoUpl": "0", "maxLoan": "", "mgnRatio": "", "notionalLever": "", "stgyEq": "0",
                    "twap": "0", "uplLiab": "", "spotInUseAmt": "", "borrowFroz": "", "spotIsoBal": "0"} for asset, total, free, used in rows]
        return ok([{"adjEq": "", "borrowFroz": "", "details": details, "imr": "", "isoEq": "0", "mgnRatio": "", "mmr": "",
                    "notionalUsd": "", "ordFroz": "", "totalEq": "100.5", "uTime": "1759999999000", "upl": ""}])

    call = {"method": "balances"}
    f.case("balances with locked funds", call, lambda x: x.fetch_balance(),
           reply([("BTC", "0.12445678", "0.12345678", "0.001"), ("USDT", "1050.1", "1050.1", "0"), ("ETH", "2.5", "0", "2.5")]), forge.balances)
    f.case("balances of sizes that a float cannot hold", call, lambda x: x.fetch_balance(),
           reply([("SHIB", "10000000000", "9999999999.99999999", "0.00000001"),
                  ("WEI", "123456789.123456789123456789", "123456789.123456789123456789", "0")]), forge.balances)
    f.case("an account without funds", call, lambda x: x.fetch_balance(), reply([]), forge.balances)

    def config(perm, ip):
        return ok([{"acctLv": "1", "acctStpMode": "cancel_maker", "autoLoan": False, "ctIsoMode": "automatic", "enableSpotBorrow": False,
                    "greeksType": "PA", "ip": ip, "type": "0", "kycLv": "3", "label": "golden", "level": "Lv1", "levelTmp": "",
                    "liquidationGear": "-1", "mainUid": "44705892343619584", "mgnIsoMode": "automatic", "opAuth": "0", "perm": perm,
                    "posMode": "long_short_mode", "roleType": "0", "spotBorrowAutoRepay": False, "spotOffsetType": "",
                    "spotRoleType": "0", "spotTraderInsts": [], "traderInsts": [], "uid": "44705892343619584"}])

    for name, perm, ip, expected in (
        ("a key that may trade", "read_only,trade", "192.0.2.1", forge.rights(read=True, trade=True, withdraw=False, address_bound=True)),
        ("a key that may withdraw", "read_only,withdraw,trade", "192.0.2.1,192.0.2.2", forge.rights(read=True, trade=True, withdraw=True, address_bound=True)),
        ("a key that may only read, from anywhere", "read_only", "", forge.rights(read=True, trade=False, withdraw=False, address_bound=False)),
    ):
        f.case(name, {"method": "key_rights"}, lambda x: x.privateGetAccountConfig(), config(perm, ip), expected)


def with_expiry(x):
    """ccxt has no option for the header `expTime`; it is added where our adapter adds it."""
    sign = x.sign

    def signed(path, api=["public"], method="GET", params={}):
        made = sign(path, api, method, params)
        if method == "POST":
            made["headers"].update(WINDOW)
        return made

    x.sign = signed
    return x


def ask_order(symbol, side, wire, amount=None, cost=None):
    """What our adapter asks for: the unit is always named, also on sells."""
    params = {"clOrdId": wire, "tgtCcy": "base_ccy" if cost is None else "quote_ccy"}
    if cost is None:
        return lambda x: with_expiry(x).create_order(symbol, "market", side, amount, None, params)
    return lambda x: with_expiry(x).create_order(symbol, "market", side, "1000000", None, {**params, "cost": cost})


def place(f, name, symbol, side, **size):
    reply = lambda wire: Reply({"code": "0", "msg": "", "inTime": "1", "outTime": "2", "data": [
        {"clOrdId": wire, "ordId": str(f.random.randint(10**17, 10**18)), "tag": "", "ts": str(forge.NOW_MS), "sCode": "0", "sMsg": ""}]})
    f.market_order(name, symbol, side, price=STEPS[symbol][3], ask=ask_order, reply=reply, **size)


def market_orders(f):
    place(f, "a buy by base amount", "BTC/USDT", "buy", amount="0.12345")
    place(f, "a sell", "ETH/BTC", "sell", amount="2.5")
    place(f, "a buy by cost", "BTC/USDT", "buy", cost="1000.2")
    for number, symbol, side, amount in f.fuzzed_amounts(STEPS):
        place(f, f"fuzzed amount {number}: {side} {amount} {symbol}", symbol, side, amount=amount)
    for number, symbol, cost in f.fuzzed_costs(TICKS, 4, 11):
        place(f, f"fuzzed cost {number}: {cost} into {symbol}", symbol, "buy", cost=cost)


def neutral(made):
    """An order by cost has no base amount. OKX does not say what was paid; ccxt's product is not compared."""
    raw = made["info"]
    row = forge.order(made, amount=None if raw["tgtCcy"] == "quote_ccy" else plain(raw["sz"]), fills=[])
    del row["executed_cost"]
    return row


def looked_up(f):
    ours, wire = f.client_id()
    row = order_row("BTC/USDT", "buy", wire, amount="0.5", executed="0.5", price="122400.01")
    f.case("an order by its venue id", {"method": "order", "symbol": "BTC/USDT", "venue_order_id": "680800019749904384"},
           lambda x: x.fetch_order("680800019749904384", "BTC/USDT"), ok([row]), neutral)
    by_client = {"method": "order", "symbol": "BTC/USDT", "client_id": ours}
    run = lambda x: x.fetch_order("", "BTC/USDT", {"clOrdId": wire})
    f.case("an order by our id", by_client, run, ok([row]), neutral)
    f.case("an order by cost", by_client, run,
           ok([order_row("BTC/USDT", "buy", wire, amount="1000.2", executed="0.00817", price="122400.01", unit="quote_ccy")]), neutral)
    for state, executed in (("live", "0"), ("partially_filled", "0.25"), ("canceled", "0.25"), ("canceled", "0"), ("mmp_canceled", "0")):
        made = order_row("BTC/USDT", "sell", wire, amount="0.5", executed=executed, price="122400", state=state)
        f.case(f"an order that is {state} with {executed} executed", by_client, run, ok([made]), neutral)
    f.case("an order that the venue does not know", by_client, forge.absent(run),
           Reply({"code": "51603", "data": [], "msg": "Order does not exist"}), None)
    rows = [order_row("ETH/BTC", "buy", "web1", order_id="5", state="live", amount="2", executed="0"),
            order_row("ETH/BTC", "sell", "", order_id="6", state="partially_filled", amount="3", executed="1", price="0.0365")]
    listed = lambda made: [neutral(row) for row in made]
    f.case("open orders of a market", {"method": "open_orders", "symbol": "ETH/BTC"},
           lambda x: x.privateGetTradeOrdersPending({"instType": "SPOT", "instId": "ETH-BTC", "limit": "100"}), ok(rows),
           lambda _made: listed(parsed(f, rows)))
    mixed = [rows[0], order_row("SHIB/USDT", "sell", "web3", order_id="7", state="live", amount="100000", executed="0")]
    f.case("open orders of all markets", {"method": "open_orders"},
           lambda x: x.privateGetTradeOrdersPending({"instType": "SPOT", "limit": "100"}), ok(mixed), lambda _made: listed(parsed(f, mixed)))
    f.case("no open orders", {"method": "open_orders"},
           lambda x: x.privateGetTradeOrdersPending({"instType": "SPOT", "limit": "100"}), ok([]), [])
    since = 1759990000000
    rows = [order_row("BTC/USDT", "sell", "web4", order_id="12", at=since + 2000, state="canceled", executed="0"),
            order_row("BTC/USDT", "buy", wire, order_id="11", at=since + 1000)]
    f.case("finished orders since a moment", {"method": "closed_orders", "symbol": "BTC/USDT", "since": since},
           lambda x: x.privateGetTradeOrdersHistory({"instType": "SPOT", "instId": "BTC-USDT", "begin": str(since), "limit": "100"}),
           ok(rows), lambda _made: listed(parsed(f, rows)))
    rows = [fill_row("BTC/USDT", "sell", 503, "29", "122000", "1", "-0.15", "OKB", since + 99),
            fill_row("BTC/USDT", "buy", 502, "28", "122400.5", "0.02345", "-0.00002345", "BTC", since + 20, wire),
            fill_row("BTC/USDT", "buy", 501, "28", "122400.1", "0.1", "-0.0001", "BTC", since + 10, wire)]
    f.case("own trades since a moment", {"method": "own_trades", "symbol": "BTC/USDT", "since": since},
           lambda x: x.privateGetTradeFills({"instType": "SPOT", "instId": "BTC-USDT", "begin": str(since), "limit": "100"}),
           ok(rows), lambda _made: trades(f, rows))
    f.case("trades of an order", {"method": "order_trades", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: x.privateGetTradeFills({"instType": "SPOT", "instId": "BTC-USDT", "ordId": "28", "limit": "100"}),
           ok(rows[1:]), lambda _made: trades(f, rows[1:]))
    done = Reply({"code": "0", "msg": "", "data": [{"clOrdId": wire, "ordId": "28", "ts": "1760000123457", "sCode": "0", "sMsg": ""}]})
    f.case("a cancel by our id", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
           lambda x: with_expiry(x).cancel_order("", "BTC/USDT", {"clOrdId": wire}), done, None)
    f.case("a cancel by the venue's id", {"method": "cancel", "symbol": "BTC/USDT", "venue_order_id": "28"},
           lambda x: with_expiry(x).cancel_order("28", "BTC/USDT"), done, None)


def parsed(f, rows):
    x = f.exchange()
    return [x.parse_order(json.loads(json.dumps(row))) for row in rows]


def trades(f, rows):
    x = f.exchange()
    made = [x.parse_trade(row, x.market("BTC/USDT")) for row in rows]
    ids = {row["tradeId"]: row["clOrdId"] for row in rows}
    return [forge.own_trade(row, client_id=ids[row["id"]] or None) for row in sorted(made, key=lambda row: row["timestamp"])]


def refused(f):
    ours, wire = f.client_id()
    order = {"method": "market_order", "client_id": ours, "symbol": "BTC/USDT", "side": "buy", "base": "0.5", "reference_price": "64000"}
    run = ask_order("BTC/USDT", "buy", wire, amount="0.5")

    def inner(code, text):
        return Reply({"code": "1", "msg": "All operations failed", "data": [
            {"clOrdId": wire, "ordId": "", "tag": "", "ts": "1", "sCode": code, "sMsg": text}]})

    outer = lambda code, text, status=200, headers=None: Reply({"code": code, "msg": text, "data": []}, status, headers)
    for name, reply, kind, code in (
        ("not enough funds", inner("51008", "Order failed. Insufficient USDT balance in account"), "funds", "51008"),
        ("an id that was used before", inner("51016", "Client order ID already exists."), "duplicate_id", "51016"),
        ("an amount below the minimum", inner("51020", "Your order should meet or exceed the minimum order amount."), "parameters", "51020"),
        ("an unknown market", inner("51001", "Instrument ID does not exist"), "market", "51001"),
        ("a parameter error", outer("51000", "Parameter ordType error"), "parameters", "51000"),
        ("a clock that is off", outer("50102", "Timestamp request expired", 401), "clock", "50102"),
        ("a wrong signature", outer("50113", "Invalid Sign", 401), "auth", "50113"),
        ("a wrong key", outer("50111", "Invalid OK-ACCESS-KEY", 401), "auth", "50111"),
        ("another address", outer("50110", "Your IP is not in the whitelist", 401), "auth", "50110"),
        ("too many requests", outer("50011", "Too Many Requests", 429), "rate_limited", None),
    ):
        f.error(f"an order refused for {name}", order, run, reply, kind, code, ccxt_agrees=code in ("51008", "51000", "50113", None))
    for name, reply in (
        ("a time-out inside the venue", outer("50004", "API endpoint request timeout (does not mean that the request was successful or failed, please check the request result).")),
        ("an order time-out", inner("51149", "Order timed out. Please try again later.")),
        ("an unavailable service", outer("50001", "Service temporarily unavailable", 503)),
        ("a busy system", outer("50026", "System error, please try again later.", 500)),
        ("a code that nobody listed", inner("59999", "Surprise.")),
        ("a page instead of JSON", Reply("<html>200</html>", 200)),
    ):
        f.error(f"an order that met {name}", order, run, reply, "unknown")
    f.error("a cancel of an order that is gone", {"method": "cancel", "symbol": "BTC/USDT", "client_id": ours},
            lambda x: with_expiry(x).cancel_order("", "BTC/USDT", {"clOrdId": wire}),
            inner("51400", "Cancellation failed as the order does not exist."), "not_found", "51400")
