//! Public endpoints: instruments, candles, tickers, book.

use super::format::{instrument, on_grid, plain};
use super::{Answer, Desk, MARKET_ORDER_USDT_MAX, Refusal};
use crate::candles::bar_start;
use crate::prices::Place;
use crate::rules::{MarketRules, MarketStatus};
use crate::world::{BarRange, bars};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How many bars the list of new ones goes back, the open one included.
const NEW_BARS: i64 = 1440;

/// Which of the two lists of candles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bars {
    /// The newest ones, with the one that is still forming.
    New,
    /// All that are finished.
    Finished,
}

/// The length of a candle by OKX's name of it. Those without `utc` begin at 16:00 UTC (midnight in
/// Hong Kong) from six hours on, which is not simulated: only their UTC forms are known here.
fn bar_ms(name: &str) -> Option<i64> {
    Some(match name {
        "1m" => 60_000,
        "3m" => 180_000,
        "5m" => 300_000,
        "15m" => 900_000,
        "30m" => 1_800_000,
        "1H" => HOUR_MS,
        "2H" => 2 * HOUR_MS,
        "4H" => 4 * HOUR_MS,
        "6Hutc" => 6 * HOUR_MS,
        "12Hutc" => 12 * HOUR_MS,
        "1Dutc" => DAY_MS,
        "2Dutc" => 2 * DAY_MS,
        "3Dutc" => 3 * DAY_MS,
        "1Wutc" => 7 * DAY_MS,
        _ => return None,
    })
}

impl Desk<'_> {
    pub(super) fn instruments(&self) -> Answer {
        if self.need("instType")? != "SPOT" {
            return Ok(Vec::new());
        }
        let only = if self.value("instId").is_some() { Some(self.market()?.name()) } else { None };
        let markets = self.venue.exchange.markets.values();
        Ok(markets
            .filter(|rules| rules.status != MarketStatus::Delisted)
            .filter(|rules| only.as_ref().is_none_or(|name| *name == rules.name()))
            .map(|rules| row(rules, self.history_from_ms))
            .collect())
    }

    pub(super) fn tickers(&self) -> Answer {
        if self.need("instType")? != "SPOT" {
            return Ok(Vec::new());
        }
        let markets = self.venue.exchange.markets.values();
        let listed = markets.filter(|rules| rules.status != MarketStatus::Delisted);
        Ok(listed.map(|rules| self.quote(rules)).collect())
    }

    pub(super) fn ticker(&self) -> Answer {
        Ok(vec![self.quote(&self.market()?)])
    }

    fn quote(&self, rules: &MarketRules) -> Value {
        let exchange = &self.venue.exchange;
        let at = |at_ms| exchange.last_price(self.prices, rules, at_ms).unwrap_or_default();
        let (last, open) = (at(self.now_ms), at(self.now_ms - DAY_MS));
        let book = exchange.book(self.prices, rules, self.now_ms);
        let (bid, bid_size) = book.bids.first().copied().unwrap_or_default();
        let (ask, ask_size) = book.asks.first().copied().unwrap_or_default();
        json!({
            "instType": "SPOT",
            "instId": instrument(&rules.name()),
            "last": plain(last),
            "lastSz": plain(rules.step),
            "askPx": plain(ask),
            "askSz": plain(ask_size),
            "bidPx": plain(bid),
            "bidSz": plain(bid_size),
            "open24h": plain(open),
            "high24h": plain(last.max(open)),
            "low24h": plain(last.min(open)),
            "volCcy24h": plain(last * Decimal::ONE_THOUSAND),
            "vol24h": "1000",
            "ts": self.now_ms.to_string(),
            "sodUtc0": plain(open),
            "sodUtc8": plain(open),
        })
    }

    pub(super) fn books(&self) -> Answer {
        let rules = self.market()?;
        let depth = match self.whole("sz")? {
            None => 1,
            Some(depth) => usize::try_from(depth).unwrap_or(1).clamp(1, 400),
        };
        let book = self.venue.exchange.book(self.prices, &rules, self.now_ms);
        let levels = |side: &[(Decimal, Decimal)]| -> Vec<Value> {
            let levels = side.iter().take(depth);
            levels.map(|(price, amount)| json!([plain(*price), plain(*amount), "0", "1"])).collect()
        };
        let (asks, bids) = (levels(&book.asks), levels(&book.bids));
        let ts = self.now_ms.to_string();
        Ok(vec![json!({"asks": asks, "bids": bids, "ts": ts, "seqId": self.now_ms})])
    }

    /// Newest first. `after`: older than this; `before`: newer than this.
    pub(super) fn candles(&mut self, which: Bars) -> Answer {
        let most = if which == Bars::New { 300 } else { 100 };
        let rules = self.market()?;
        let step_ms =
            bar_ms(self.value("bar").unwrap_or("1m")).ok_or_else(|| Self::wrong("bar"))?;
        let limit = self.limit(100, most)?;
        let (older, newer) = (self.whole("after")?, self.whole("before")?);
        let open = bar_start(self.now_ms, step_ms);
        let (history_from_ms, last_ms) = match which {
            Bars::New => (self.history_from_ms.max(open - (NEW_BARS - 1) * step_ms), self.now_ms),
            Bars::Finished => (self.history_from_ms, open - 1),
        };
        let to_ms = older.map_or(last_ms, |older| last_ms.min(older - 1));
        // The newest ones that are asked for: page from their end.
        let newest = bar_start(to_ms, step_ms);
        let count = i64::try_from(limit).unwrap_or(1);
        let earliest = newest - (count - 1) * step_ms;
        let from_ms = Some(newer.map_or(earliest, |newer| earliest.max(newer + 1)));
        let range = BarRange {
            step_ms,
            from_ms,
            to_ms: Some(to_ms),
            limit,
            history_from_ms,
            now_ms: self.now_ms,
        };
        let found = bars(self.prices, self.cache, Place::Okx, &rules, range);
        Ok(found
            .iter()
            .rev()
            .map(|bar| {
                let turnover = bar.volume * (bar.open + bar.close) / 2.0;
                let turnover = on_grid(turnover, Decimal::new(1, 8));
                let closed = bar.open_time_ms + step_ms <= self.now_ms;
                json!([
                    bar.open_time_ms.to_string(),
                    on_grid(bar.open, rules.tick),
                    on_grid(bar.high, rules.tick),
                    on_grid(bar.low, rules.tick),
                    on_grid(bar.close, rules.tick),
                    on_grid(bar.volume, rules.step),
                    turnover,
                    turnover,
                    if closed { "1" } else { "0" },
                ])
            })
            .collect())
    }

    pub(super) fn currencies(&self) -> Answer {
        let wanted = self.value("ccy");
        Ok(self
            .assets
            .iter()
            .filter(|asset| {
                wanted.is_none_or(|names| names.split(',').any(|name| name == asset.ticker))
            })
            .map(|asset| {
                json!({
                    "ccy": asset.ticker,
                    "name": asset.coingecko_id,
                    "chain": format!("{}-Simulated", asset.ticker),
                    "canDep": true,
                    "canWd": true,
                    "canInternal": true,
                    "minWd": "1",
                    "maxWd": "1000000",
                    "minFee": "0",
                    "maxFee": "0",
                    "fee": "0",
                    "minDep": "0",
                    "wdTickSz": "8",
                    "mainNet": true,
                    "needTag": false,
                })
            })
            .collect::<Vec<Value>>())
    }

    pub(super) fn trade_fee(&self) -> Result<Vec<Value>, Refusal> {
        let rate = plain(-self.venue.exchange.fee_rate);
        Ok(vec![json!({
            "instType": "SPOT", "level": "Lv1", "maker": rate, "taker": rate,
            "makerU": "", "takerU": "", "makerUSDC": "", "takerUSDC": "", "category": "1",
            "ts": self.now_ms.to_string(),
        })])
    }
}

fn row(rules: &MarketRules, listed_ms: i64) -> Value {
    let trading = rules.status == MarketStatus::Trading;
    json!({
        "instType": "SPOT",
        "instId": instrument(&rules.name()),
        "uly": "",
        "instFamily": "",
        "category": "1",
        "baseCcy": rules.base,
        "quoteCcy": rules.quote,
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "optType": "",
        "stk": "",
        "listTime": listed_ms.to_string(),
        "expTime": "",
        "lever": "",
        "tickSz": plain(rules.tick),
        "lotSz": plain(rules.step),
        "minSz": plain(rules.min_amount),
        "ctType": "",
        "alias": "",
        "state": if trading { "live" } else { "suspend" },
        "ruleType": "normal",
        "maxLmtSz": plain(rules.max_amount),
        "maxMktSz": MARKET_ORDER_USDT_MAX.to_string(),
        "maxLmtAmt": "20000000",
        "maxMktAmt": MARKET_ORDER_USDT_MAX.to_string(),
        "maxTwapSz": plain(rules.max_amount),
        "maxIcebergSz": plain(rules.max_amount),
        "maxTriggerSz": plain(rules.max_amount),
        "maxStopSz": "1000000",
    })
}
