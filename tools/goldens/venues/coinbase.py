"""Coinbase Advanced Trade. Market buys are told what to spend; tokens are compared by their claims."""

from decimal import ROUND_DOWN, Decimal

import ccxt

import forge
from forge import Forge, Reply, plain

SECRET = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEILs/Dri/Oc5SIogXqtSgbFnX/XepW3HiJYLVSCpWPJBCoAoGCCqGSM49
AwEHoUQDQgAEOI7n/HhzxyAzvuDOmuY73JuzUoX3bvyJ/jYBphaaRABrsQ+AyFTB
CATNmO5uotQgY4H5cz5Cmir2ThpaTiCXNw==
-----END EC PRIVATE KEY-----
"""


class Coinbase(Forge):
    def exchange(self):
        """The number used once in a token is random in ccxt; the same goldens must come out every time."""
        x = super().exchange()
        x.random_bytes = lambda length: "00" * length
        return x


def product_row(base, quote, step, tick, low, cost, *, high="3400", **more):
    return {
        "product_id": f"{base}-{quote}", "price": "1", "price_percentage_change_24h": "0.1", "volume_24h": "11005.02", "base_increment": step,
        "quote_increment": tick, "quote_min_size": cost, "quote_max_size": "150000000", "base_min_size": low, "base_max_size": high,
        "base_name": base, "quote_name": quote, "is_disabled": False, "new": False, "status": "online", "cancel_only": False,
        "limit_only": False, "post_only": False, "trading_disabled": False, "auction_mode": False, "product_type": "SPOT",
        "quote_currency_id": quote, "base_currency_id": base, "alias": "", "alias_to": [], "view_only": False, "price_increment": tick,
        **more,
    }


PRODUCTS = [
    product_row("BTC", "USD", "0.00000001", "0.01", "0.00000001", "1", alias_to=["BTC-USDC"]),
    product_row("BTC", "USDC", "0.00000001", "0.01", "0.00000001", "1", alias="BTC-USD"),
    product_row("ETH", "BTC", "0.00000001", "0.00001", "0.00000001", "0.0000016", high="2400"),
    product_row("DOGE", "USD", "0.1", "0.00001", "0.1", "1", high="31000000"),
    product_row("SHIB", "USD", "1", "0.00000001", "1", "1", high="500000000000"),
    product_row("CGLD", "USD", "0.01", "0.001", "0.01", "1", high="900000"),
    product_row("HALT", "USD", "0.01", "0.001", "0.01", "1", trading_disabled=True),
]

# Step of amounts, digits of their count, price, step of costs.
STEPS = {
    "BTC/USD": ("0.00000001", 5, 10, "121000.37", "0.01"),
    "BTC/USDC": ("0.00000001", 5, 10, "121000.37", "0.01"),
    "ETH/BTC": ("0.00000001", 7, 11, "0.03654", "0.00001"),
    "DOGE/USD": ("0.1", 3, 7, "0.25123", "0.00001"),
    "SHIB/USD": ("1", 6, 10, "0.00001234", "0.00000001"),
    "CELO/USD": ("0.01", 4, 8, "0.731", "0.001"),
}


def ident(symbol):
    return symbol.replace("CELO", "CGLD").replace("/", "-")


def build():
    f = Coinbase(
        "coinbase",
        keys={"api_key": "organizations/0a1b2c3d/apiKeys/4e5f6a7b", "secret": SECRET},
        wire_id=lambda ours: "-".join((ours[:8], ours[8:12], ours[12:16], ours[16:20], ours[20:])),
    )
    f.load_markets([Reply({"products": PRODUCTS, "num_products": len(PRODUCTS)})], run=products)
    public(f)
    account(f)
    market_orders(f)
    fuzzed_orders(f)
    looked_up(f)
    refused(f)
    return f


def products(x):
    """ccxt's own call asks for futures and fees as well."""
    rows = x.v3PublicGetBrokerageMarketProducts({"product_type": "SPOT"})["products"]
    return [x.parse_spot_market(row, {}) for row in rows]


def public(f):
    f.case("the venue's clock", {"method": "time"}, lambda x: x.fetch_time({"method": "v3PublicGetBrokerageTime"}),
           Reply({"iso": "2025-10-09T08:55:23Z", "epochSeconds": "1760000123", "epochMillis": "1760000123000"}), forge.time)
    f.case("products and their rules", {"method": "markets"}, products, Reply({"products": PRODUCTS, "num_products": len(PRODUCTS)}), forge.markets)
    closed = [{key: True} for key in ("is_disabled", "cancel_only", "limit_only", "post_only", "view_only", "auction_mode")] + [{"status": "delisted"}]
    rows = [product_row(f"C{number}", "USD", "0.01", "0.001", "0.01", "1", **change) for number, change in enumerate(closed)]
    f.case("products that take no market orders", {"method": "markets"}, products, Reply({"products": rows, "num_products": len(rows)}),
           [{"symbol": f"C{number}/USD", "active": False} for number in range(len(rows))])

    def bar(start, *values):
        return dict(zip(("start", "low", "high", "open", "close", "volume"), (str(start), *values)))

    bars = [bar(1760000400, "121999.99", "122500", "122000.55", "122400.01", "0.00000001"),
            bar(1759996800, "121800", "122100.1", "121900.01", "122000.55", "355.82896243")]
    f.case("the newest candles", {"method": "candles", "symbol": "BTC/USD", "timeframe": "1h", "limit": 2},
           lambda x: x.fetch_ohlcv("BTC/USD", "1h", None, 2), Reply({"candles": bars}), forge.candles)
    for timeframe, since in (("1m", 1759996800000), ("15m", 1759996800000), ("2h", 1759996800000), ("6h", 1759968000000), ("1d", 1759968000000)):
        row = bar(since // 1000, "0.24", "0.26", "0.25", "0.255", "123456789.1")
        f.case(f"candles of {timeframe} since a moment",
               {"method": "candles", "symbol": "DOGE/USD", "timeframe": timeframe, "since": since, "limit": 250},
               lambda x: x.fetch_ohlcv("DOGE/USD", timeframe, since, 250), Reply({"candles": [row]}), forge.candles)
    f.case("no candles", {"method": "candles", "symbol": "ETH/BTC", "timeframe": "1h", "since": 1759996800000, "limit": 10},
           lambda x: x.fetch_ohlcv("ETH/BTC", "1h", 1759996800000, 10), Reply({"candles": []}), forge.candles)

    def ticker(symbol, last, bid, ask, at):
        return Reply({"trades": [{"trade_id": "995098663", "product_id": ident(symbol), "price": last, "size": "0.00064", "time": at,
                                  "side": "SELL", "bid": "", "ask": "", "exchange": "coinbase"}], "best_bid": bid, "best_ask": ask})

    one = ticker("BTC/USDC", "122400.01", "122400", "122400.02", "2025-10-09T08:55:22.544778Z")
    two = ticker("CELO/USD", "0.731", "0.73", "0.732", "2025-10-09T08:50:00Z")
    each = lambda *symbols: lambda x: {symbol: x.fetch_ticker(symbol) for symbol in symbols}
    f.case("one ticker", {"method": "tickers", "symbols": ["BTC/USDC"]}, each("BTC/USDC"), [one], forge.tickers)
    f.case("two tickers", {"method": "tickers", "symbols": ["BTC/USDC", "CELO/USD"]}, each("BTC/USDC", "CELO/USD"), [one, two], forge.tickers)
    f.case("a market without trades", {"method": "tickers", "symbols": ["ETH/BTC"]},
           lambda x: x.v3PublicGetBrokerageMarketProductsProductIdTicker({"product_id": "ETH-BTC", "limit": 1}),
           Reply({"trades": [], "best_bid": "", "best_ask": ""}), [])
    level = lambda price, size: {"price": price, "size": size}
    depth = {"pricebook": {"product_id": "BTC-USD", "bids": [level("122400", "0.17189468"), level("122399.99", "2")],
                           "asks": [level("122400.01", "0.16987193"), level("122410", "0.00001")], "time": "2025-10-09T08:55:23.162782Z"}}
    for limit in (5, 100):
        f.case(f"a book of {limit} levels", {"method": "book", "symbol": "BTC/USD", "depth": limit},
               lambda x: x.fetch_order_book("BTC/USD", limit), Reply(depth), forge.book)


def account_row(currency, free, held, kind="ACCOUNT_TYPE_CRYPTO", platform="ACCOUNT_PLATFORM_CONSUMER"):
    return {"uuid": "8bfc20d7", "name": f"{currency} Wallet", "currency": currency, "available_balance": {"value": free, "currency": currency},
            "default": True, "active": True, "created_at": "2021-05-31T09:59:59Z", "updated_at": "2024-01-15T10:30:00Z", "deleted_at": None,
            "type": kind, "ready": True, "hold": {"value": held, "currency": currency}, "retail_portfolio_id": "p1", "platform": platform}


def account(f):
    def page(rows, cursor=""):
        return Reply({"accounts": rows, "has_next": cursor != "", "cursor": cursor, "size": len(rows)})

    call = {"method": "balances"}
    balance = lambda x: x.fetch_balance({"v3": True})
    rows = [account_row("BTC", "1.23456789", "0.005"), account_row("USD", "10000.50", "450.00", "ACCOUNT_TYPE_FIAT"), account_row("USDC", "7", "0"),
            account_row("CGLD", "3.5", "0")]
    f.case("balances with held funds", call, balance, page(rows), forge.balances)
    f.case("balances on two pages", call, balance, [page(rows[:2], "789100"), page(rows[2:])], forge.balances)
    f.case("balances of sizes that a float cannot hold", call, balance,
           page([account_row("SHIB", "9999999999999.99999999", "0.00000001")]), forge.balances)
    f.case("a vault and an account of futures are not spot", call, balance,
           page([account_row("BTC", "1", "0"), account_row("ETH", "5", "0", "ACCOUNT_TYPE_VAULT"),
                 account_row("USD", "9", "0", "ACCOUNT_TYPE_FIAT", "ACCOUNT_PLATFORM_CFM_CONSUMER")]),
           {"BTC": {"free": "1", "used": "0"}})
    f.case("an account without funds", call, balance, page([]), forge.balances)
    for name, view, trade, transfer, more in (
        ("a key that may trade only", True, True, False, {}),
        ("a key that may transfer", True, True, True, {}),
        ("a key that may only read", True, False, False, {}),
        ("a key with a right that nobody knows", True, True, False, {"can_teleport": True}),
    ):
        reply = {"can_view": view, "can_trade": trade, "can_transfer": transfer, "portfolio_uuid": "p1", "portfolio_type": "DEFAULT", **more}
        f.case(name, {"method": "key_rights"}, lambda x: x.v3PrivateGetBrokerageKeyPermissions(), Reply(reply),
               forge.rights(read=view, trade=trade, withdraw=transfer or bool(more)))


def placed(symbol, side, wire, name):
    return Reply({"success": True, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": name,
                  "success_response": {"order_id": name, "product_id": ident(symbol), "side": side.upper(), "client_order_id": wire},
                  "order_configuration": {"market_market_ioc": {}}})


def ask_order(symbol, side, wire, amount=None, cost=None):
    params = {"client_order_id": wire}
    if cost is None:
        return lambda x: x.create_order(symbol, "market", side, amount, STEPS[symbol][3], params)
    return lambda x: x.create_order(symbol, "market", side, None, None, {**params, "cost": cost})


def place(f, name, symbol, side, **size):
    reply = lambda wire: placed(symbol, side, wire, f"0000-{f.client_id_count:05}")
    f.market_order(name, symbol, side, price=STEPS[symbol][3], ask=ask_order, reply=reply, **size)


def market_orders(f):
    place(f, "a buy by base amount, sent as what it costs", "BTC/USD", "buy", amount="0.12345678")
    place(f, "a buy with USDC is another market than with USD", "BTC/USDC", "buy", amount="0.12345678")
    place(f, "a sell", "ETH/BTC", "sell", amount="2.5")
    place(f, "a buy by cost", "BTC/USD", "buy", cost="1000.25")


def fuzzed_orders(f):
    for number, symbol, side, amount in f.fuzzed_amounts(STEPS):
        price, tick = STEPS[symbol][3:]
        if side == "buy" and (Decimal(amount) * Decimal(price)).quantize(Decimal(tick), ROUND_DOWN) == 0:
            side = "sell"
        place(f, f"fuzzed amount {number}: {side} {amount} {symbol}", symbol, side, amount=amount)
    for number, symbol, cost in f.fuzzed_costs({symbol: row[4] for symbol, row in STEPS.items()}, 3, 12):
        place(f, f"fuzzed cost {number}: {cost} into {symbol}", symbol, "buy", cost=cost)


def order_row(name, symbol, side, client_id, *, status="FILLED", size=None, filled="0.5", average="121000", at="2025-10-09T08:55:18.123Z", **more):
    value = plain(Decimal(filled or "0") * Decimal(average or "0"))
    return {
        "order_id": name, "product_id": ident(symbol), "user_id": "u1", "order_configuration": {"market_market_ioc": size or {"base_size": "0.5"}},
        "side": side.upper(), "client_order_id": client_id, "status": status, "time_in_force": "IMMEDIATE_OR_CANCEL", "created_time": at,
        "completion_percentage": "100", "filled_size": filled, "average_filled_price": average, "fee": "", "number_of_fills": "1",
        "filled_value": value, "pending_cancel": False, "size_in_quote": False, "total_fees": "1.5", "size_inclusive_of_fees": False,
        "total_value_after_fees": value, "trigger_status": "INVALID_ORDER_TYPE", "order_type": "MARKET", "reject_reason": "", "settled": True,
        "product_type": "SPOT", "reject_message": "", "cancel_message": "", "order_placement_source": "RETAIL_ADVANCED", **more,
    }


def fill_row(number, order_id, symbol, side, price, size, at, *, in_quote=False, **more):
    return {"entry_id": f"e{number}", "trade_id": f"t{number}", "order_id": order_id, "trade_time": at, "trade_type": "FILL", "price": price,
            "size": size, "commission": "0.37", "product_id": ident(symbol), "sequence_timestamp": at, "liquidity_indicator": "TAKER",
            "size_in_quote": in_quote, "user_id": "u1", "side": side.upper(), "retail_portfolio_id": "p1", **more}


def looked_up(f):
    ours, wire = f.client_id()
    name = "8d1e3c52-1f4f-4dd4-a1c2-0d37a8a5b0c7"
    by_name = {"method": "order", "symbol": "BTC/USD", "venue_order_id": name}
    fetch = lambda x: x.fetch_order(name, "BTC/USD")
    row = order_row(name, "BTC/USD", "sell", wire)
    f.case("an order by its venue id", by_name, fetch, Reply({"order": row}), forge.order)
    for status, filled, average, ours_status in (
        ("OPEN", "0.1", "121000", "open"), ("PENDING", "0", "0", "open"), ("CANCELLED", "0.1", "121000", "ended"),
        ("EXPIRED", "0", "0", "ended"), ("FAILED", "0", "0", "rejected"), ("FAILED", "0.1", "121000", "ended"),
    ):
        made = order_row(name, "BTC/USD", "sell", wire, status=status, filled=filled, average=average)
        f.case(f"an order that is {status} after {filled}", by_name, fetch, Reply({"order": made}),
               lambda made: forge.order(made, status=ours_status, executed_cost=plain(Decimal(filled) * Decimal(average))))
    made = order_row(name, "BTC/USD", "buy", wire, size={"quote_size": "60500"})
    f.case("an order by cost", by_name, fetch, Reply({"order": made}), lambda made: forge.order(made, amount=None))
    gone = Reply({"error": "unknown", "error_details": "order with this orderID was not found", "message": "order with this orderID was not found"}, 404)
    f.case("an order that the venue does not know", by_name, forge.absent(fetch, ccxt.ExchangeError), gone, None)
    f.case("an order that is not found", by_name, forge.absent(fetch, ccxt.ExchangeError), Reply({"error": "NOT_FOUND", "message": "no"}, 404), None)

    by_client = {"method": "order", "symbol": "BTC/USD", "client_id": ours}
    batch = lambda **query: lambda x: x.v3PrivateGetBrokerageOrdersHistoricalBatch({"limit": 250, **query})
    page = lambda rows, cursor="": Reply({"orders": rows, "sequence": "0", "has_next": cursor != "", "cursor": cursor})
    one = lambda row: lambda _made: forge.order(f.exchange().parse_order(row))
    other = order_row("0000", "BTC/USD", "buy", "another")
    f.case("an order by our id, found in the list", by_client, batch(product_ids="BTC-USD"), page([other, row]), one(row))
    f.case("an id that no order has", by_client, batch(product_ids="BTC-USD"), page([other]), None)

    def two_pages(x):
        batch(product_ids="BTC-USD")(x)
        batch(product_ids="BTC-USD", cursor="789100")(x)

    f.case("an order by our id, on the second page", by_client, two_pages, [page([other], "789100"), page([row])], one(row))
    open_rows = [order_row("1", "ETH/BTC", "buy", "web_1", status="OPEN", filled="0", average="0"),
                 order_row("2", "CELO/USD", "sell", "web_2", status="OPEN", filled="0.1", average="0.7")]
    many = lambda rows: lambda _made: [forge.order(f.exchange().parse_order(row), executed_cost=row["filled_value"]) for row in rows]
    f.case("open orders of all markets", {"method": "open_orders"}, batch(order_status="OPEN"), page(open_rows), many(open_rows))
    f.case("open orders of a market", {"method": "open_orders", "symbol": "CELO/USD"}, batch(order_status="OPEN", product_ids="CGLD-USD"),
           page(open_rows[1:]), many(open_rows[1:]))
    f.case("no open orders", {"method": "open_orders"}, batch(order_status="OPEN"), page([]), [])
    since, since_text = 1759990000500, "2025-10-09T06:06:40.500Z"
    rows = [row, order_row("3", "BTC/USD", "buy", "web_3", status="CANCELLED", filled="0", average="0"),
            order_row("4", "BTC/USD", "buy", "web_4", status="OPEN", filled="0", average="0")]
    f.case("finished orders since a moment", {"method": "closed_orders", "symbol": "BTC/USD", "since": since},
           batch(product_ids="BTC-USD", start_date=since_text), page(rows), many(rows[:2]))

    fills = [fill_row(2, name, "BTC/USD", "sell", "121000.5", "0.4", "2025-10-09T08:55:18.500Z"),
             fill_row(1, name, "BTC/USD", "sell", "121000.25", "0.1", "2025-10-09T08:55:18.400Z"),
             fill_row(3, "0000", "BTC/USD", "buy", "62500", "100", "2025-10-09T08:55:19.123456Z", in_quote=True)]
    correction = fill_row(4, "0000", "BTC/USD", "buy", "1", "1", "2025-10-09T08:55:20Z", trade_type="CORRECTION")
    ask = lambda **query: lambda x: x.v3PrivateGetBrokerageOrdersHistoricalFills({"limit": 250, **query})
    trades = lambda rows: lambda _made: forge.own_trades([f.exchange().parse_trade(row) for row in rows])
    by_cost = order_row("0000", "BTC/USD", "buy", "another", size={"quote_size": "100"}, filled="0.0016", average="62500")

    def own(x):
        ask(product_ids="BTC-USD", start_sequence_timestamp=since_text)(x)
        ask(order_ids="0000")(x)
        x.fetch_order("0000", "BTC/USD")

    f.case("own trades since a moment, one of them told in the quote currency", {"method": "own_trades", "symbol": "BTC/USD", "since": since}, own,
           [Reply({"fills": [*fills, correction], "cursor": ""}), Reply({"fills": [fills[2], correction], "cursor": ""}), Reply({"order": by_cost})],
           trades(fills))
    halves = [fill_row(7, name, "BTC/USD", "buy", "62501.5", "50", "2025-10-09T08:55:19.1Z", in_quote=True),
              fill_row(8, name, "BTC/USD", "buy", "62499.7", "50", "2025-10-09T08:55:19.2Z", in_quote=True)]

    def of_order(x):
        ask(order_ids=name)(x)
        fetch(x)

    def as_read(_made):
        """Eight places of each, and what the order says is missing in the last one."""
        rows = [forge.own_trade(f.exchange().parse_trade(row)) for row in halves]
        first, second = "0.00079998", "0.00080003"
        for row, amount in zip(rows, (first, second)):
            row["fill"] |= {"amount": amount, "cost": "50", "price": plain(halves[rows.index(row)]["price"])}
        return rows

    f.case("trades of an order by cost add up to what it executed", {"method": "order_trades", "symbol": "BTC/USD", "venue_order_id": name}, of_order,
           [Reply({"fills": halves, "cursor": ""}), Reply({"order": order_row(name, "BTC/USD", "buy", wire, filled="0.00160001", average="62500")})],
           as_read)
    f.error("trades of an order by cost of which one is missing", {"method": "order_trades", "symbol": "BTC/USD", "venue_order_id": name}, of_order,
            [Reply({"fills": halves[:1], "cursor": ""}), Reply({"order": order_row(name, "BTC/USD", "buy", wire, filled="0.00160001")})], "unknown")
    f.case("trades of an order", {"method": "order_trades", "symbol": "BTC/USD", "venue_order_id": name}, ask(order_ids=name),
           Reply({"fills": fills[:2], "cursor": ""}), trades(fills[:2]))

    cancel = lambda x: x.cancel_orders([name], "BTC/USD")
    done = Reply({"results": [{"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": name}]})
    f.case("a cancel by the venue's id", {"method": "cancel", "symbol": "BTC/USD", "venue_order_id": name}, cancel, done, None)
    for reason, kind in (("UNKNOWN_CANCEL_ORDER", "not_found"), ("COMMANDER_REJECTED_CANCEL_ORDER", "other"), ("SURPRISE", "unknown")):
        refusal = Reply({"results": [{"success": False, "failure_reason": reason, "order_id": name}]})
        f.error(f"a cancel that met {reason}", {"method": "cancel", "symbol": "BTC/USD", "venue_order_id": name}, cancel, refusal, kind,
                None if kind == "unknown" else reason, ccxt_agrees=False)


def refused(f):
    ours, wire = f.client_id()
    order = {"method": "market_order", "client_id": ours, "symbol": "BTC/USD", "side": "sell", "base": "0.5", "reference_price": "64000"}
    run = lambda x: x.create_order("BTC/USD", "market", "sell", "0.5", None, {"client_order_id": wire})

    def no(error, preview="", reason=None, status=200, **more):
        inner = {"error": error, "message": "no", "error_details": "", "preview_failure_reason": preview or "UNKNOWN_PREVIEW_FAILURE_REASON"}
        if reason is not None:
            inner["new_order_failure_reason"] = reason
        return Reply({"success": False, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": "", "error_response": inner, **more}, status)

    for name, reply, kind, code, agrees in (
        ("not enough funds", no("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"), "funds", "INSUFFICIENT_FUND", True),
        ("a preview's reason only", no("UNKNOWN_FAILURE_REASON", "PREVIEW_INSUFFICIENT_FUND"), "funds", "PREVIEW_INSUFFICIENT_FUND", True),
        ("an amount off the step", no("INVALID_SIZE_PRECISION", reason="INVALID_SIZE_PRECISION"), "parameters", "INVALID_SIZE_PRECISION", False),
        ("too small an amount", no("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"), "parameters",
         "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL", False),
        ("an unknown market", no("INVALID_PRODUCT_ID"), "market", "INVALID_PRODUCT_ID", False),
        ("a market that is closed", no("ORDER_ENTRY_DISABLED"), "market", "ORDER_ENTRY_DISABLED", False),
        ("an id that was used before", no("DUPLICATE_CLIENT_ORDER_ID"), "duplicate_id", "DUPLICATE_CLIENT_ORDER_ID", False),
        ("the engine", no("COMMANDER_REJECTED_NEW_ORDER"), "other", "COMMANDER_REJECTED_NEW_ORDER", False),
        ("a bad argument", Reply({"error": "INVALID_ARGUMENT", "error_details": "x", "message": "x"}, 400), "parameters", "INVALID_ARGUMENT", True),
        ("a missing right", Reply({"error": "PERMISSION_DENIED", "message": "x"}, 403), "auth", "PERMISSION_DENIED", True),
        ("a wrong key", Reply("Unauthorized\n", 401), "auth", "HTTP 401", True),
    ):
        f.error(f"an order refused for {name}", order, run, reply, kind, code, ccxt_agrees=agrees)
    f.error("a read refused with 429", {"method": "key_rights"}, lambda x: x.v3PrivateGetBrokerageKeyPermissions(),
            Reply({"error": "rate_limit_exceeded", "message": "slow"}, 429), "rate_limited")
    for name, reply in (
        ("a reason that says nothing", no("UNKNOWN_FAILURE_REASON")),
        ("a reason that nobody listed", no("OUT_OF_COFFEE")),
        ("429", Reply("too many", 429)),
        ("500", Reply({"error": "INTERNAL", "message": "x"}, 500)),
        ("503", Reply("<html>busy</html>", 503)),
        ("a page instead of JSON", Reply("<html>200</html>", 200)),
        ("an error that nobody listed", Reply({"error": "unknown", "message": "x"}, 400)),
        ("a page of a firewall", Reply("<html>blocked</html>", 403)),
    ):
        f.error(f"an order that met {name}", order, run, reply, "unknown")
