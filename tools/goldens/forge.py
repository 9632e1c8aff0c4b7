"""Drives Python ccxt offline and records, per case, the requests it makes and what it reads from the
replies we invented. A venue file says what to call; this file freezes, records and neutralises.

Neutral form: times in ms, decimals as plain strings, names as in keel's `api.rs`.
"""

import base64
import json
import random
from decimal import Decimal, getcontext

import ccxt

# Amounts of 27 digits on a step of 1e-18 must not be rounded by the generator itself.
getcontext().prec = 60

NOW_MS = 1_760_000_123_456
"""The frozen clock: 2025-10-09T08:55:23.456Z."""

STATUS = {
    "open": "open",
    "closed": "filled",
    "canceled": "ended",
    "expired": "ended",
    "rejected": "rejected",
}

CCXT_ERRORS = {
    "auth": ("AuthenticationError", "PermissionDenied", "AccountSuspended", "AccountNotEnabled"),
    "clock": ("InvalidNonce",),
    "rate_limited": ("RateLimitExceeded", "DDoSProtection"),
    "funds": ("InsufficientFunds",),
    "parameters": ("InvalidOrder", "BadRequest", "ArgumentsRequired"),
    "market": ("BadSymbol",),
    "not_found": ("OrderNotFound",),
    "duplicate_id": ("DuplicateOrderId",),
}


def plain(value):
    """A decimal in plain notation without trailing zeros, or None."""
    if value is None or value == "":
        return None
    text = format(Decimal(str(value)).normalize(), "f")
    return "0" if text in ("-0", "") else text


def drop_none(row):
    """Without the fields that ccxt does not know; what is missing in a golden is not compared."""
    return {key: value for key, value in row.items() if value is not None}


def split_jwt(value):
    """Claims of a token whose signature is random by design; its verification is the reader's."""
    parts = value.split(".")
    decode = lambda part: json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return {"jwt": {"header": decode(parts[0]), "claims": decode(parts[1])}}


class Reply:
    """A reply of the venue, invented by us in the shape of its documentation."""

    def __init__(self, body, status=200, headers=None):
        self.text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
        self.status = status
        self.headers = headers or {}

    def neutral(self):
        row = {"status": self.status, "body": self.text}
        if self.headers:
            row["headers"] = self.headers
        return row


class Forge:
    """Collects the cases of one venue."""

    def __init__(self, venue, *, keys, config=None, ignore_headers=(), wire_id=None, seed=1, now_ms=NOW_MS):
        self.venue = venue
        self.keys = keys
        self.config = config or {}
        self.ignore_headers = {name.lower() for name in ignore_headers}
        self.wire_id = wire_id or (lambda client_id: client_id)
        self.random = random.Random(f"{venue}:{seed}")
        self.now_ms = now_ms
        self.cases = []
        self.prelude = []
        self.markets = None
        self.client_id_count = 0

    # -- driving ccxt ---------------------------------------------------------------------------

    def exchange(self):
        """A fresh ccxt object with frozen clock and text numbers, and markets when there are some."""
        x = getattr(ccxt, self.venue)({
            "apiKey": self.keys["api_key"],
            "secret": self.keys["secret"],
            "password": self.keys.get("password", ""),
            "enableRateLimit": False,
            **self.config,
        })
        # ccxt hands out numbers as the venue wrote them instead of rounding them to f64.
        x.number = str
        now = self.now_ms
        x.milliseconds = lambda: now
        x.seconds = lambda: now // 1000
        x.microseconds = lambda: now * 1000
        for name, length in (("uuid", 36), ("uuid16", 16), ("uuid22", 22), ("uuid5", 5)):
            setattr(x, name, lambda *_args, _length=length: "f" * _length)
        if self.markets is not None:
            x.set_markets(self.markets)
        return x

    def record(self, x, replies):
        """Replaces the network of `x`; gives the list that fills with exchanges."""
        waiting = list(replies)
        done = []

        def fetch(url, method="GET", headers=None, body=None):
            if not waiting:
                raise AssertionError(f"{self.venue}: one more request than replies: {method} {url}")
            reply = waiting.pop(0)
            done.append({"request": self.request(url, method, headers, body), "reply": reply.neutral()})
            try:
                parsed = json.loads(reply.text)
            except ValueError:
                parsed = None
            x.last_http_response, x.last_json_response = reply.text, parsed
            x.last_response_headers = reply.headers
            x.handle_errors(reply.status, "", url, method, reply.headers, reply.text, parsed, headers, body)
            if reply.status >= 400:
                x.handle_http_status_code(reply.status, "", url, method, reply.text)
            return parsed

        x.fetch = fetch
        return done, waiting

    def request(self, url, method, headers, body):
        kept = {}
        for name, value in (headers or {}).items():
            if name.lower() in self.ignore_headers:
                continue
            if name.lower() == "authorization" and value.startswith("Bearer ") and value.count(".") == 2:
                kept[name] = split_jwt(value.removeprefix("Bearer "))
            else:
                kept[name] = str(value)
        row = {"method": method, "url": url}
        if kept:
            row["headers"] = kept
        if body is not None:
            row["body"] = body
        return row

    def load_markets(self, replies, run=lambda x: x.fetch_markets(), keep=lambda market: market["spot"]):
        """Takes the invented market table through ccxt's own parser, for this and the later cases."""
        x = self.exchange()
        done, waiting = self.record(x, replies)
        markets = [market for market in run(x) if keep(market)]
        assert not waiting, f"{self.venue}: {len(waiting)} replies of the market table were not asked for"
        self.markets = markets
        self.prelude = done
        return markets

    # -- cases ----------------------------------------------------------------------------------

    def case(self, name, call, run, replies, result):
        """One case. `result` is a neutral value, or a function from ccxt's result to one."""
        x = self.exchange()
        done, waiting = self.record(x, replies if isinstance(replies, list) else [replies])
        parsed = run(x)
        assert not waiting, f"{self.venue}, {name}: {len(waiting)} replies were not asked for"
        value = result(parsed) if callable(result) else result
        self.add(name, call, done, {"ok": value})

    def error(self, name, call, run, reply, expected, code=None, ccxt_agrees=True):
        """A refusal by a listed code (`expected` in CCXT_ERRORS or "other"), or "unknown"."""
        x = self.exchange()
        done, _ = self.record(x, reply if isinstance(reply, list) else [reply])
        raised = None
        try:
            run(x)
        except ccxt.BaseError as error:
            raised = type(error)
        names = [] if raised is None else [cls.__name__ for cls in raised.__mro__]
        if ccxt_agrees and expected in CCXT_ERRORS:
            allowed = CCXT_ERRORS[expected]
            assert any(name in allowed for name in names), f"{self.venue}, {name}: ccxt raised {names[:1]}, not one of {allowed}"
        result = {"unknown": True} if expected == "unknown" else {"refused": drop_none({"kind": expected, "code": code})}
        result["ccxt"] = names[0] if names else "no error"
        self.add(name, call, done, result)

    def add(self, name, call, exchanges, result):
        assert all(case["name"] != name for case in self.cases), f"{self.venue}: two cases named {name}"
        self.cases.append({"name": name, "call": call, "exchanges": exchanges, "result": result})

    def market_order(self, name, symbol, side, *, price, ask, reply, amount=None, cost=None, result=None):
        """A market order by `amount` or by `cost`. `ask` makes ccxt's call, `reply` the reply to our client id."""
        ours, wire = self.client_id()
        call = {"method": "market_order", "client_id": ours, "symbol": symbol, "side": side, "reference_price": price}
        call |= {"base": amount} if cost is None else {"quote": cost}
        self.case(name, call, ask(symbol, side, wire, amount, cost), reply(wire), result or accepted)

    # -- invented values ------------------------------------------------------------------------

    def client_id(self):
        """32 hexadecimal digits in keel's form, and the same as the venue gets it."""
        self.client_id_count += 1
        digits = f"{self.random.getrandbits(128):032x}"
        ours = digits[:12] + "8" + digits[13:16] + "8" + digits[17:]
        return ours, self.wire_id(ours)

    def on_grid(self, step, digits_min, digits_max):
        """A random multiple of `step` whose count of steps has so many digits."""
        digits = self.random.randint(digits_min, digits_max)
        count = self.random.randint(10 ** (digits - 1), 10**digits - 1)
        return plain(Decimal(step) * count)

    def fuzzed_amounts(self, steps):
        """Number, market, side and amount of orders on the grids of `steps`: step, fewest and most digits, and more."""
        for number in range(16):
            symbol, side = self.random.choice(sorted(steps)), self.random.choice(["buy", "sell"])
            yield number, symbol, side, self.on_grid(*steps[symbol][:3])

    def fuzzed_costs(self, steps, digits_min, digits_max):
        """Number, market and cost of buys on the grids of `steps`."""
        for number in range(6):
            symbol = self.random.choice(sorted(steps))
            yield number, symbol, self.on_grid(steps[symbol], digits_min, digits_max)

    def whole(self):
        return {
            "venue": self.venue,
            "oracle": f"ccxt {ccxt.__version__}",
            "now_ms": self.now_ms,
            "keys": self.keys,
            "prelude": self.prelude,
            "cases": self.cases,
        }


def to_text(made):
    """One line per case, so that a change shows as one line."""
    whole = made.whole()
    cases = whole.pop("cases")
    compact = lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    lines = [f'{compact(key)}:{compact(value)},' for key, value in whole.items()]
    body = ",\n".join(compact(case) for case in cases)
    return "{\n" + "\n".join(lines) + '\n"cases":[\n' + body + "\n]\n}\n"


def absent(run, errors=ccxt.OrderNotFound):
    """`run` for an order that is not there: ccxt raises one of `errors`, our adapter answers None."""
    def without_order(x):
        try:
            run(x)
        except errors:
            return None
        raise AssertionError("ccxt found an order")

    return without_order


# -- neutral forms of ccxt's results --------------------------------------------------------------


def time(ms):
    return ms


def markets(rows):
    """Spot markets as rules. A venue file overrides fields that ccxt does not keep."""
    made = []
    for market in rows:
        limits = market["limits"]
        made.append({
            "symbol": market["symbol"],
            "amount_step": plain(market["precision"]["amount"]),
            "min_amount": plain(limits["amount"]["min"]) or "0",
            "max_amount": plain(limits["amount"]["max"]),
            "min_cost": plain(limits["cost"]["min"]) or "0",
            "active": bool(market["active"]),
        })
    return sorted(made, key=lambda row: row["symbol"])


def candles(rows):
    return [[row[0]] + [plain(value) for value in row[1:6]] for row in rows]


def tickers(by_symbol):
    return [
        {
            "symbol": ticker["symbol"],
            "last": plain(ticker["last"]),
            "bid": plain(ticker["bid"]),
            "ask": plain(ticker["ask"]),
            "as_of": ticker["timestamp"],
        }
        for ticker in sorted(by_symbol.values(), key=lambda ticker: ticker["symbol"])
    ]


def book(made):
    side = lambda levels: [[plain(level[0]), plain(level[1])] for level in levels]
    return {"bids": side(made["bids"]), "asks": side(made["asks"])}


def balances(made):
    names = sorted(made["free"])
    rows = {name: {"free": plain(made["free"][name]), "used": plain(made["used"][name])} for name in names}
    return {name: row for name, row in rows.items() if row != {"free": "0", "used": "0"}}


def fill(trade, order_at=None):
    """Where the venue gives executions no time of their own, it is the order's."""
    fee = trade["fee"] or {}
    return drop_none({
        "trade_id": trade["id"],
        "price": plain(trade["price"]),
        "amount": plain(trade["amount"]),
        "cost": plain(trade["cost"]),
        "fee_asset": fee.get("currency"),
        "fee": plain(fee.get("cost")),
        "at": trade["timestamp"] or order_at,
    })


def own_trade(trade, **more):
    return {
        "venue_order_id": trade["order"],
        "symbol": trade["symbol"],
        "side": trade["side"],
        "fill": fill(trade),
        **more,
    }


def own_trades(rows):
    return [own_trade(trade) for trade in sorted(rows, key=lambda trade: trade["timestamp"])]


def order(made, **overrides):
    """An order; `overrides` name the fields in which the venue's own text says more than ccxt."""
    row = {
        "venue_order_id": made["id"],
        "client_id": made["clientOrderId"] or "",
        "symbol": made["symbol"],
        "side": made["side"],
        "status": STATUS.get(made["status"]),
        "amount": plain(made["amount"]),
        "executed": plain(made["filled"]) or "0",
        "executed_cost": plain(made["cost"]),
        "created_at": made["timestamp"],
        "fills": [fill(trade, made["timestamp"]) for trade in made["trades"]],
    }
    row.update(overrides)
    assert row["status"] is not None, f"status {made['status']} has no neutral form"
    return row


def orders(rows, **overrides):
    return [order(row, **overrides) for row in rows]


def placed(made, **overrides):
    return {"state": order(made, **overrides)}


def accepted(made):
    return {"accepted": made["id"]}


def cancelled(_made):
    return None


def rights(*, read=None, trade=None, withdraw=None, address_bound=None, expires_at=None):
    return {
        "read": read,
        "trade": trade,
        "withdraw": withdraw,
        "address_bound": address_bound,
        "expires_at": expires_at,
    }
