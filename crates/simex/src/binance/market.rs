//! Public endpoints: markets, candles, tickers, book.

use super::format::{eight, on_grid};
use super::{
    Answer, Desk, ORDERS_PER_10_SECONDS, ORDERS_PER_DAY, RAW_REQUESTS_PER_5_MINUTES, Refusal,
    WEIGHT_PER_MINUTE, refuse, symbol_of,
};
use crate::prices::Place;
use crate::rules::{MarketRules, MarketStatus};
use crate::world::{BarRange, bars};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

/// The length of a candle by Binance's name of it.
fn interval_ms(name: &str) -> Option<i64> {
    let (number, unit) = name.split_at(name.len().checked_sub(1)?);
    let known =
        ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"];
    let unit = match unit {
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        _ => return None,
    };
    if !known.contains(&name) {
        return None;
    }
    Some(number.parse::<i64>().ok()? * unit)
}

impl Desk<'_> {
    pub(super) fn exchange_info(&self) -> Answer {
        let listed = self.wanted_markets()?;
        let symbols: Vec<Value> = listed.iter().map(market).collect();
        let limit = |kind: &str, interval: &str, number: u64, units: u64| {
            json!({
                "rateLimitType": kind, "interval": interval, "intervalNum": number,
                "limit": self.granted(units),
            })
        };
        Ok(json!({
            "timezone": "UTC",
            "serverTime": self.now_ms,
            "rateLimits": [
                limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_PER_MINUTE),
                limit("ORDERS", "SECOND", 10, ORDERS_PER_10_SECONDS),
                limit("ORDERS", "DAY", 1, ORDERS_PER_DAY),
                limit("RAW_REQUESTS", "MINUTE", 5, RAW_REQUESTS_PER_5_MINUTES),
            ],
            "exchangeFilters": [],
            "symbols": symbols,
        }))
    }

    /// The markets of `symbol` or `symbols`, or all.
    fn wanted_markets(&self) -> Result<Vec<MarketRules>, Refusal> {
        if self.has("symbol") {
            return Ok(vec![self.market()?]);
        }
        let Some(list) = self.value("symbols") else {
            let markets = self.venue.exchange.markets.values();
            return Ok(markets
                .filter(|rules| rules.status != MarketStatus::Delisted)
                .cloned()
                .collect());
        };
        let names: Vec<String> = serde_json::from_str(list).map_err(|_| {
            super::illegal(
                "symbols",
                "^\\[(\"[A-Z0-9-_.]{1,20}\"(,\"[A-Z0-9-_.]{1,20}\"){0,}){0,1}\\]$",
            )
        })?;
        names.iter().map(|name| self.market_called(name)).collect()
    }

    pub(super) fn depth(&self) -> Answer {
        let market = self.market()?;
        let limit = self.limit(100, 5000)?;
        let book = self.venue.exchange.book(self.prices, &market, self.now_ms);
        let levels = |side: &[(Decimal, Decimal)]| -> Vec<Value> {
            side.iter()
                .take(limit)
                .map(|(price, amount)| json!([eight(*price), eight(*amount)]))
                .collect()
        };
        Ok(json!({
            "lastUpdateId": self.now_ms,
            "bids": levels(&book.bids),
            "asks": levels(&book.asks),
        }))
    }

    pub(super) fn klines(&mut self) -> Answer {
        let market = self.market()?;
        let interval = self.need("interval")?;
        let step_ms =
            interval_ms(&interval).ok_or_else(|| refuse(400, -1120, "Invalid interval."))?;
        let range = BarRange {
            step_ms,
            from_ms: self.whole("startTime")?,
            to_ms: self.whole("endTime")?,
            limit: self.limit(500, 1000)?,
            history_from_ms: self.history_from_ms,
            now_ms: self.now_ms,
        };
        let found = bars(self.prices, self.cache, Place::Binance, &market, range);
        let rows: Vec<Value> = found
            .iter()
            .map(|bar| {
                let quote_volume = bar.volume * (bar.open + bar.close) / 2.0;
                let grid = Decimal::new(1, 8);
                json!([
                    bar.open_time_ms,
                    on_grid(bar.open, market.tick),
                    on_grid(bar.high, market.tick),
                    on_grid(bar.low, market.tick),
                    on_grid(bar.close, market.tick),
                    on_grid(bar.volume, market.step),
                    bar.open_time_ms + step_ms - 1,
                    on_grid(quote_volume, grid),
                    100,
                    on_grid(bar.volume / 2.0, market.step),
                    on_grid(quote_volume / 2.0, grid),
                    "0",
                ])
            })
            .collect();
        Ok(Value::Array(rows))
    }

    pub(super) fn average_price(&self) -> Answer {
        let market = self.market()?;
        let mean = self.venue.exchange.average_price(self.prices, &market, self.now_ms);
        Ok(json!({
            "mins": 5,
            "price": eight(mean.unwrap_or_default()),
            "closeTime": self.now_ms,
        }))
    }

    /// One object for `symbol`, else a list.
    pub(super) fn tickers(&mut self, form: fn(&mut Self, &MarketRules) -> Value) -> Answer {
        let markets = self.wanted_markets()?;
        let mut rows: Vec<Value> = markets.iter().map(|market| form(self, market)).collect();
        match (self.has("symbol"), rows.pop()) {
            (true, Some(only)) => Ok(only),
            (_, last) => {
                rows.extend(last);
                Ok(Value::Array(rows))
            }
        }
    }

    fn last(&self, market: &MarketRules) -> Decimal {
        self.venue.exchange.last_price(self.prices, market, self.now_ms).unwrap_or_default()
    }

    pub(super) fn price_ticker(&mut self, market: &MarketRules) -> Value {
        json!({"symbol": symbol_of(market), "price": eight(self.last(market))})
    }

    pub(super) fn book_ticker(&mut self, market: &MarketRules) -> Value {
        let book = self.venue.exchange.book(self.prices, market, self.now_ms);
        let (bid, bid_amount) = book.bids.first().copied().unwrap_or_default();
        let (ask, ask_amount) = book.asks.first().copied().unwrap_or_default();
        json!({
            "symbol": symbol_of(market),
            "bidPrice": eight(bid),
            "bidQty": eight(bid_amount),
            "askPrice": eight(ask),
            "askQty": eight(ask_amount),
        })
    }

    pub(super) fn day_ticker(&mut self, market: &MarketRules) -> Value {
        let now = self.now_ms;
        let last = self.last(market);
        let then = self.venue.exchange.last_price(self.prices, market, now - DAY_MS);
        let open = then.unwrap_or(last);
        let change = last - open;
        let percent = if open.is_zero() { open } else { change / open * Decimal::ONE_HUNDRED };
        let mut ticker = self.book_ticker(market);
        let rest = json!({
            "priceChange": eight(change),
            "priceChangePercent": format!("{percent:.3}"),
            "weightedAvgPrice": eight((last + open) / Decimal::TWO),
            "prevClosePrice": eight(open),
            "lastPrice": eight(last),
            "lastQty": eight(market.step),
            "openPrice": eight(open),
            "highPrice": eight(last.max(open)),
            "lowPrice": eight(last.min(open)),
            "volume": "1000.00000000",
            "quoteVolume": eight(Decimal::from(1000) * last),
            "openTime": now - DAY_MS,
            "closeTime": now,
            "firstId": 1,
            "lastId": 1000,
            "count": 1000,
        });
        if let (Value::Object(ticker), Value::Object(rest)) = (&mut ticker, rest) {
            ticker.extend(rest);
        }
        ticker
    }
}

/// A market with its filters.
fn market(rules: &MarketRules) -> Value {
    let trading = rules.status == MarketStatus::Trading;
    json!({
        "symbol": symbol_of(rules),
        "status": if trading { "TRADING" } else { "HALT" },
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": false,
        "ocoAllowed": false,
        "otoAllowed": false,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": filters(rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    })
}

fn filters(rules: &MarketRules) -> Value {
    json!([
        {"filterType": "PRICE_FILTER", "minPrice": eight(rules.tick), "maxPrice": "100000000.00000000", "tickSize": eight(rules.tick)},
        {"filterType": "LOT_SIZE", "minQty": eight(rules.min_amount), "maxQty": eight(rules.max_amount), "stepSize": eight(rules.step)},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": eight(rules.max_market_amount), "stepSize": "0.00000000"},
        {"filterType": "PERCENT_PRICE_BY_SIDE", "bidMultiplierUp": "5", "bidMultiplierDown": "0.2", "askMultiplierUp": "5", "askMultiplierDown": "0.2", "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": eight(rules.min_notional), "applyMinToMarket": true, "maxNotional": eight(rules.max_notional), "applyMaxToMarket": true, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ])
}
