//! What live market data may and may not say.
#![allow(clippy::unwrap_used)]

mod double;

use double::{Double, START, VirtualTime, intent, price, qty, symbol, ticker, venue};
use keel_core::amount::{Price, Qty};
use keel_core::candle::Candle;
use keel_core::market::MarketRules;
use keel_core::order::Side;
use keel_core::ports::{Broker, Clock, MarketData};
use keel_core::time::{Timeframe, Timestamp};
use keel_live::Venues;
use keel_live::market::{LiveMarket, Want};
use keel_sim::models::CostModels;
use keel_sim::paper::{PaperAccount, PaperBroker};
use keel_venues::api::{Book, TickerQuote};
use pollster::block_on;
use rust_decimal::Decimal;
use std::sync::Arc;

struct Desk {
    time: Arc<VirtualTime>,
    venue: Arc<Double>,
    market: LiveMarket,
}

const HOUR: i64 = 3_600_000;

fn bar(open_time_ms: i64) -> Candle {
    let price = 100.0 + (open_time_ms / HOUR % 7) as f64;
    Candle { open_time_ms, open: price, high: price, low: price, close: price, volume: 1.0 }
}

/// The start of the bar that is forming at the beginning of a test.
fn forming() -> i64 {
    Timeframe::H1.floor(START).ms()
}

impl Desk {
    /// With `bars` closed bars and the one that is forming.
    fn new(bars: i64) -> Self {
        let time = VirtualTime::new();
        let double = Double::new(&time);
        let all = (0..=bars).map(|i| bar(forming() - (bars - i) * HOUR)).collect();
        double.inner().candles.insert(symbol("BTC/USDT"), all);
        let mut venues = Venues::new();
        venues.insert(venue("double"), Arc::clone(&double) as _);
        let market = LiveMarket::new(venues, Arc::clone(&time) as _, ticker("USDT"), None);
        Self { time, venue: double, market }
    }

    fn candles(&self, limit: usize) -> Result<Vec<i64>, String> {
        let (venue, symbol) = (venue("double"), symbol("BTC/USDT"));
        block_on(self.market.candles(&venue, &symbol, Timeframe::H1, limit))
            .map(|window| window.open_time_ms().to_vec())
            .map_err(|error| error.0)
    }

    fn calls(&self) -> u32 {
        self.venue.inner().candle_calls
    }

    fn add(&self, candle: Candle) {
        self.venue.inner().candles.get_mut(&symbol("BTC/USDT")).unwrap().push(candle);
    }

    fn price(&self, quote: TickerQuote) -> Option<(Price, Timestamp)> {
        self.venue.inner().quotes = Some(vec![quote]);
        let found = block_on(self.market.prices(&venue("double"), &[symbol("BTC/USDT")])).unwrap();
        found[0].map(|point| (point.price, point.as_of))
    }

    fn quote(&self) -> TickerQuote {
        TickerQuote {
            symbol: symbol("BTC/USDT"),
            last: price("100"),
            bid: Some(price("99")),
            ask: Some(price("101")),
            as_of: Some(self.time.now()),
        }
    }
}

#[test]
fn pages_are_put_together_without_the_bar_that_is_forming() {
    let desk = Desk::new(450);
    let found = desk.candles(350).unwrap();
    let expected: Vec<i64> = (0..350).map(|i| forming() - (350 - i) * HOUR).collect();
    assert_eq!(found, expected);
}

#[test]
fn only_what_is_new_is_fetched() {
    let desk = Desk::new(450);
    let first = desk.candles(350).unwrap();
    let calls = desk.calls();
    assert_eq!(desk.candles(350).unwrap(), first, "the same question has the same answer");
    assert_eq!(desk.candles(100).unwrap(), first[250..]);
    assert_eq!(desk.calls(), calls, "nothing new can have closed");
    desk.time.advance_ms(HOUR);
    desk.add(bar(forming() + HOUR));
    let later = desk.candles(350).unwrap();
    assert_eq!(later[..349], first[1..]);
    assert_eq!(later[349], forming());
    assert_eq!(desk.calls(), calls + 1);
    assert_eq!(desk.candles(400).unwrap().len(), 400, "a longer window reaches further back");
}

#[test]
fn a_young_market_has_what_it_has_and_is_not_searched_again() {
    let desk = Desk::new(30);
    assert_eq!(desk.candles(350).unwrap().len(), 30);
    let calls = desk.calls();
    assert_eq!(desk.candles(350).unwrap().len(), 30);
    assert_eq!(desk.calls(), calls);
}

#[test]
fn f051_a_candle_from_the_future_spoils_the_answer() {
    let desk = Desk::new(30);
    desk.add(bar(forming() + 5 * HOUR));
    let refused = desk.candles(10).unwrap_err();
    assert!(refused.contains("the venue's time is"), "{refused}");
}

#[test]
fn f051_the_venues_clock_decides_what_is_closed() {
    let desk = Desk::new(30);
    let left = forming() + HOUR - desk.time.now().ms();
    desk.time.advance_ms(left + 1000);
    desk.venue.inner().clock_ahead_ms = -2000;
    assert!(desk.market.clocks().is_empty(), "what was not measured is not shown");
    assert_eq!(desk.candles(1).unwrap(), [forming() - HOUR]);
    let shown: Vec<i64> = desk.market.clocks().values().map(|clock| clock.offset_ms).collect();
    assert_eq!(shown, [-2000]);
    desk.time.advance_ms(120_000);
    assert_eq!(desk.candles(1).unwrap(), [forming()]);
}

#[test]
fn f051_an_answer_that_comes_late_does_not_make_a_bar_that_still_forms_a_closed_one() {
    let desk = Desk::new(30);
    let left = forming() + HOUR - desk.time.now().ms();
    desk.time.advance_ms(left - 20_000);
    desk.venue.inner().late_reads_ms = [15_000].into();
    let offset_ms = || block_on(desk.market.clock_offset_ms(&venue("double")));
    assert_eq!(offset_ms(), Ok(0), "asked for once more");
    assert_eq!(desk.candles(1).unwrap(), [forming() - HOUR]);

    for (minutes, kept) in [(1, true), (8, true), (1, false)] {
        desk.time.advance_ms(minutes * 60_000);
        desk.venue.inner().late_reads_ms = [2100; 3].into();
        match offset_ms() {
            Ok(offset_ms) => assert!(kept && offset_ms == 0, "the last good one, for ten minutes"),
            Err(why) => assert!(!kept && why.0.contains("came too late"), "{why}"),
        }
    }
    desk.venue.inner().late_reads_ms = [1900; 3].into();
    assert_eq!(offset_ms(), Ok(950), "at most half of it is wrong");
}

#[test]
fn a_book_whose_amounts_cannot_be_added_up_is_no_answer() {
    let desk = Desk::new(1);
    let most = || vec![(price("99"), Qty::new(Decimal::MAX)); 2];
    desk.venue.inner().book = Book { bids: most(), asks: most() };
    let (venue, symbol) = (venue("double"), symbol("BTC/USDT"));
    let why = block_on(desk.market.depth(&venue, &symbol, qty("2"))).unwrap_err().0;
    assert!(why.contains("order book of BTC/USDT"), "{why}");
}

#[test]
fn missing_bars_are_asked_for_again_once_and_then_told_once() {
    let desk = Desk::new(60);
    desk.venue.inner().candles.get_mut(&symbol("BTC/USDT")).unwrap().remove(40);
    assert_eq!(desk.candles(50).unwrap().len(), 50);
    let notes = desk.market.take_notes();
    assert!(notes.iter().any(|note| note.contains("lacks 1 bars")), "{notes:?}");
    desk.time.advance_ms(HOUR);
    desk.add(bar(forming() + HOUR));
    desk.candles(50).unwrap();
    assert_eq!(desk.market.take_notes(), Vec::<String>::new());
}

#[test]
fn doubled_and_shuffled_candles_come_out_in_order_and_broken_ones_are_refused() {
    let desk = Desk::new(30);
    {
        let mut inner = desk.venue.inner();
        let all = inner.candles.get_mut(&symbol("BTC/USDT")).unwrap();
        let copies: Vec<Candle> = all[20..25].to_vec();
        all.splice(10..10, copies);
    }
    assert_eq!(desk.candles(30).unwrap().len(), 30);
    let desk = Desk::new(30);
    desk.venue.inner().candles.get_mut(&symbol("BTC/USDT")).unwrap()[5].close = f64::NAN;
    let refused = desk.candles(30).unwrap_err();
    assert!(refused.contains("finite"), "{refused}");
}

#[test]
fn prefetched_candles_are_there_when_they_are_asked_for() {
    let desk = Desk::new(120);
    let want = Want {
        venue: venue("double"),
        symbol: symbol("BTC/USDT"),
        timeframe: Timeframe::H1,
        limit: 100,
    };
    block_on(desk.market.prefetch(&[want]));
    let calls = desk.calls();
    assert_eq!(desk.candles(100).unwrap().len(), 100);
    assert_eq!(desk.calls(), calls);
}

#[test]
fn f055_a_price_needs_both_sides_of_a_book_that_is_not_crossed() {
    let desk = Desk::new(1);
    let good = desk.quote();
    assert_eq!(desk.price(good.clone()), Some((price("100"), desk.time.now())));
    let zero = price("0");
    for bad in [
        TickerQuote { bid: None, ..good.clone() },
        TickerQuote { ask: Some(zero), ..good.clone() },
        TickerQuote { last: zero, ..good.clone() },
        TickerQuote { last: price("-1"), ..good.clone() },
        TickerQuote { bid: Some(price("102")), ..good.clone() },
        TickerQuote { as_of: Some(desk.time.now().plus_ms(HOUR)), ..good.clone() },
        TickerQuote { symbol: symbol("ETH/USDT"), ..good },
    ] {
        assert_eq!(desk.price(bad.clone()), None, "{bad:?}");
    }
}

#[test]
fn f054_a_price_keeps_the_venues_own_date_and_is_never_from_the_future() {
    let desk = Desk::new(1);
    let now = desk.time.now();
    for (told, shown) in [
        (Some(now.plus_ms(-90_000)), now.plus_ms(-90_000)),
        (Some(now.plus_ms(900)), now),
        (None, now),
    ] {
        let quote = TickerQuote { as_of: told, ..desk.quote() };
        assert_eq!(desk.price(quote), Some((price("100"), shown)));
    }
}

#[test]
fn the_market_table_is_read_every_hour_and_a_halved_one_is_refused() {
    let desk = Desk::new(1);
    let markets = || block_on(desk.market.markets(&venue("double")));
    assert_eq!(markets().unwrap().len(), 3);
    let reads = desk.venue.inner().reads;
    markets().unwrap();
    assert_eq!(desk.venue.inner().reads, reads);
    let all = desk.venue.inner().markets.clone();
    desk.venue.inner().markets.retain(|symbol, _| symbol.base == ticker("BTC"));
    desk.time.advance_ms(HOUR);
    assert_eq!(markets().unwrap().len(), 3);
    assert!(desk.market.take_notes()[0].contains("has 1 markets, the last one had 3"));
    let mut two = all;
    two.remove(&symbol("BNB/USDT"));
    desk.venue.inner().markets = two;
    desk.time.advance_ms(60_000);
    assert_eq!(markets().unwrap().len(), 2);
    desk.venue.inner().down = true;
    desk.time.advance_ms(2 * HOUR);
    assert_eq!(markets().unwrap().len(), 2, "it outlives a short outage");
    desk.time.advance_ms(6 * HOUR);
    markets().unwrap_err();
}

#[test]
fn a_venue_that_gives_no_market_table_is_asked_once_a_minute() {
    let desk = Desk::new(1);
    desk.venue.inner().down = true;
    let markets = || block_on(desk.market.markets(&venue("double")));
    let refused = markets().unwrap_err();
    let reads = desk.venue.inner().reads;
    assert_eq!(markets().unwrap_err(), refused);
    assert_eq!(desk.venue.inner().reads, reads, "not asked again at once");
    desk.venue.inner().down = false;
    desk.time.advance_ms(60_000);
    assert_eq!(markets().unwrap().len(), 3);
}

#[test]
fn the_stablecoins_own_market_tells_its_price_in_dollars() {
    for (market, last, peg) in [("USDT/USD", "0.65", "0.65"), ("USDC/USDT", "1.25", "0.8")] {
        let desk = Desk::new(1);
        {
            let mut inner = desk.venue.inner();
            let rules = MarketRules::unlimited(symbol(market));
            inner.markets.insert(symbol(market), rules);
            inner.prices.insert(symbol(market), price(last));
        }
        let found = block_on(desk.market.peg(&ticker("USDT"))).unwrap().unwrap();
        assert_eq!(found.price, price(peg));
    }
    let desk = Desk::new(1);
    assert_eq!(block_on(desk.market.peg(&ticker("USDT"))), Ok(None), "no market could tell");
}

/// In a crisis the stablecoin's own market may be the first that halts.
#[test]
fn f057_a_market_of_the_stablecoin_that_does_not_tell_is_no_missing_market() {
    let desk = Desk::new(1);
    let list = |market: &str, active: bool| {
        let rules = MarketRules::unlimited(symbol(market));
        let rules = MarketRules { active, ..rules };
        desk.venue.inner().markets.insert(symbol(market), rules);
        desk.time.advance_ms(HOUR);
    };
    let say = |market: &str, last: &str, minutes_old: i64| {
        let as_of = Some(desk.time.now().plus_ms(-minutes_old * 60_000));
        let (last, sides) = (price(last), Some(price(last)));
        let quote = TickerQuote { symbol: symbol(market), last, bid: sides, ask: sides, as_of };
        desk.venue.inner().quotes = Some(vec![quote]);
    };
    let peg = || block_on(desk.market.peg(&ticker("USDT")));
    list("USDT/USD", true);
    assert!(peg().unwrap_err().0.contains("USDT/USD at double"), "no price");
    say("USDT/USD", "1", 31);
    assert!(peg().unwrap_err().0.contains("USDT/USD at double"), "an old price");
    list("USDT/USD", false);
    say("USDT/USD", "1", 0);
    assert!(peg().unwrap_err().0.contains("USDT/USD at double"), "halted");
    list("USDC/USDT", true);
    say("USDC/USDT", "1.25", 30);
    assert_eq!(peg().unwrap().unwrap().price, price("0.8"), "another one tells");
}

impl Desk {
    /// Lists markets and lets each tell its last price, bid and ask.
    fn tell(&self, markets: &[(&str, [&str; 3])]) {
        let quote = |(name, [last, bid, ask]): &(&str, [&str; 3])| TickerQuote {
            symbol: symbol(name),
            last: price(last),
            bid: Some(price(bid)),
            ask: Some(price(ask)),
            as_of: Some(self.time.now()),
        };
        let mut inner = self.venue.inner();
        inner.quotes = Some(markets.iter().map(quote).collect());
        for (name, _) in markets {
            inner.markets.insert(symbol(name), MarketRules::unlimited(symbol(name)));
        }
    }

    fn peg(&self, stablecoin: &str) -> Result<Option<Price>, String> {
        let told = block_on(self.market.peg(&ticker(stablecoin)));
        told.map(|point| point.map(|point| point.price)).map_err(|error| error.0)
    }
}

/// In March 2023 USDC fell to 0.88, and USDT was worth a dollar.
#[test]
fn f057_another_coin_that_falls_is_no_price_of_the_stablecoin() {
    let desk = Desk::new(1);
    let fell = ("USDC/USDT", ["0.9", "0.899", "0.901"]);
    desk.tell(&[fell]);
    let why = desk.peg("USDT").unwrap_err();
    assert!(why.contains("USDC/USDT at double") && why.contains("which of them moved"), "{why}");

    let desk = Desk::new(1);
    desk.tell(&[fell, ("DAI/USDT", ["1.001", "1", "1.002"])]);
    let told = desk.peg("USDT").unwrap().unwrap().to_f64();
    assert!((told - 0.999).abs() < 1e-4, "a third coin tells which of them moved: {told}");

    let desk = Desk::new(1);
    desk.tell(&[fell, ("USDT/USD", ["1.002", "1.001", "1.003"])]);
    assert_eq!(desk.peg("USDT"), Ok(Some(price("1.002"))), "dollars are asked first");

    let desk = Desk::new(1);
    desk.tell(&[("USDC/USDT", ["0.98", "0.979", "0.981"])]);
    let told = desk.peg("USDT").unwrap().unwrap().to_f64();
    assert!(told > 1.02, "within what two coins differ by: {told}");
    assert_eq!(desk.peg("USD"), Ok(Some(price("1"))), "a dollar is a dollar");
}

#[test]
fn f057_a_single_wild_trade_of_the_stablecoin_counts_as_its_book_allows() {
    let desk = Desk::new(1);
    for (last, told) in [("0.2", "0.999"), ("7", "1.001"), ("1", "1")] {
        desk.tell(&[("USDT/USD", [last, "0.999", "1.001"])]);
        assert_eq!(desk.peg("USDT"), Ok(Some(price(told))), "{last}");
    }
    desk.tell(&[("USDT/USD", ["1", "0.7", "0.71"])]);
    assert_eq!(desk.peg("USDT"), Ok(Some(price("0.71"))), "nor is a fall hidden");
}

#[test]
fn f106_a_paper_account_on_a_live_market_fills_from_its_book_and_never_writes() {
    let desk = Desk::new(30);
    let mut account = PaperAccount::default();
    account.deposit(&venue("double"), &ticker("USDT"), qty("1000"));
    let models = CostModels::default();
    let mut paper = PaperBroker::new(&desk.market, ticker("USDT"), models, account);
    desk.venue.inner().book = Book {
        bids: vec![(price("99"), qty("5"))],
        asks: vec![(price("101"), qty("1")), (price("103"), qty("5"))],
    };
    let order = intent(0, "BTC/USDT", Side::Buy, "2", desk.time.now());
    let outcome = block_on(paper.place(&order));
    assert_eq!(outcome.fills()[0].price, price("102"), "{outcome:?}");
    let order = intent(1, "BTC/USDT", Side::Sell, "1.5", desk.time.now());
    let outcome = block_on(paper.place(&order));
    assert_eq!(outcome.fills()[0].price, price("99"), "{outcome:?}");
    block_on(paper.look_up(&order));
    block_on(paper.balances(&venue("double"))).unwrap();
    assert_eq!(desk.venue.inner().writes, 0);
}
