//! The adapters of Binance and OKX over real connections against the simulated exchange, which was
//! written from the venues' documents without a look at the adapters.
#![allow(clippy::unwrap_used)]

use keel_core::amount::{Price, Qty};
use keel_core::asset::Symbol;
use keel_core::order::{ClientOrderId, Side};
use keel_core::time::{Timeframe, Timestamp};
use keel_simex::faults::{Action, Fault, When};
use keel_simex::prices::Place;
use keel_simex::rules::MarketStatus;
use keel_simex::server::Double;
use keel_simex::{Simex, SimexConfig};
use keel_venues::api::{
    Answer, ApiError, ExchangeApi, MarketOrder, OrderAmount, OrderState, OrderStatus, Placed,
    Reference, Refusal,
};
use keel_venues::client::{Gates, HttpOptions, HttpTransport, RetryPolicy, measure_clock};
use keel_venues::venue::{Connection, Keys, venue};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

struct Venue {
    api: Box<dyn ExchangeApi>,
    transport: Arc<HttpTransport>,
}

const VENUES: [(&str, Double, Place, &str); 2] = [
    ("binance", Double::Binance, Place::Binance, "POST /api/v3/order"),
    ("okx", Double::Okx, Place::Okx, "POST /api/v5/trade/order"),
];

fn connect(simex: &Simex, id: &str, double: Double, place: Place) -> Venue {
    connect_with(simex, id, double, place, HttpOptions::default())
}

fn connect_with(
    simex: &Simex,
    id: &str,
    double: Double,
    place: Place,
    options: HttpOptions,
) -> Venue {
    let row = venue(id).unwrap();
    let url = simex.url(double);
    let transport = HttpTransport::new(&url, row.facts, &Gates::default(), options).unwrap();
    let transport = Arc::new(transport);
    let key = &simex.config().venues[&place].keys[0];
    let secret = |text: &String| Zeroizing::new(text.clone());
    let api = (row.connect)(Connection {
        transport: transport.clone(),
        urls: BTreeMap::from([("api".to_owned(), url)]),
        keys: Some(Keys {
            api_key: secret(&key.key),
            secret: secret(&key.secret),
            password: Some(secret(&key.passphrase)),
        }),
        sandbox: false,
    });
    Venue { api, transport }
}

fn market() -> Symbol {
    "BTC/USDT".parse().unwrap()
}

fn order(number: u32, side: Side, amount: OrderAmount) -> MarketOrder {
    MarketOrder {
        id: ClientOrderId::derive("simulated", 1, number, 0),
        symbol: market(),
        side,
        amount,
        reference_price: Price::new("60000".parse().unwrap()),
    }
}

fn base(text: &str) -> OrderAmount {
    OrderAmount::Base(Qty::new(text.parse().unwrap()))
}

/// The order as the venue tells it, by both names.
async fn told(api: &dyn ExchangeApi, order: &MarketOrder, placed: &Placed) -> OrderState {
    let id = match placed {
        Placed::Accepted { venue_order_id } => venue_order_id.clone(),
        Placed::State(state) => state.venue_order_id.clone(),
    };
    let by_id = api.order(&order.symbol, Reference::Venue(&id)).await.unwrap().unwrap();
    let by_name = api.order(&order.symbol, Reference::Client(&order.id)).await.unwrap().unwrap();
    assert_eq!(by_id, by_name);
    assert_eq!(by_id.client_id, api.wire_id(&order.id));
    by_id
}

fn refusal<T: std::fmt::Debug>(answer: Answer<T>) -> Refusal {
    match answer {
        Err(ApiError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_can_be_asked_is_answered() {
    let simex = Simex::start(SimexConfig::default()).await.unwrap();
    for (id, double, place, _) in VENUES {
        let venue = connect(&simex, id, double, place);
        let api = &*venue.api;
        let sample = measure_clock(api, HttpOptions::default().clock).await.unwrap();
        venue.transport.set_clock_offset(sample.offset_ms);
        let markets = api.markets().await.unwrap();
        let rules = &markets[&market()];
        assert!(rules.active && rules.amount_step.is_positive(), "{id}: {rules:?}");
        let newest = api.candles(&market(), Timeframe::H1, None, 50).await.unwrap();
        assert_eq!(newest.len(), 50, "{id}");
        let since = Timestamp::from_ms(newest[10].open_time_ms);
        let some = api.candles(&market(), Timeframe::H1, Some(since), 5).await.unwrap();
        let starts = |candles: &[keel_core::candle::Candle]| -> Vec<i64> {
            candles.iter().map(|candle| candle.open_time_ms).collect()
        };
        assert_eq!(starts(&some), starts(&newest[10..15]), "{id}");
        let symbols = [market(), "ETH/USDT".parse().unwrap(), "ETH/BTC".parse().unwrap()];
        let quotes = api.tickers(&symbols).await.unwrap();
        assert_eq!(quotes.len(), 3, "{id}");
        assert!(quotes.iter().all(|quote| quote.bid < quote.ask && quote.as_of.is_some()));
        let book = api.book(&market(), 20).await.unwrap();
        assert!(book.bids[0].0 < book.asks[0].0, "{id}");
        let balances = api.balances().await.unwrap();
        assert_eq!(balances[&"USDT".parse().unwrap()].free.to_string(), "10000", "{id}");
        let rights = api.key_rights().await.unwrap();
        assert_eq!((rights.trade, rights.withdraw), (Some(true), Some(false)), "{id}");
        simex.set_withdraw_right(place, true);
        assert_eq!(api.key_rights().await.unwrap().withdraw, Some(true), "{id}");
        assert!(api.open_orders(None).await.unwrap().is_empty(), "{id}");
        let nobodys = ClientOrderId::derive("nobody", 1, 1, 1);
        assert_eq!(api.order(&market(), Reference::Client(&nobodys)).await, Ok(None), "{id}");
    }
}

#[tokio::test]
async fn orders_are_placed_found_and_explained_by_their_executions() {
    let simex = Simex::start(SimexConfig::default()).await.unwrap();
    for (id, double, place, _) in VENUES {
        let venue = connect(&simex, id, double, place);
        let api = &*venue.api;
        let since = api.time().await.unwrap().plus_ms(-60_000);
        let orders = [
            order(0, Side::Buy, base("0.02")),
            order(1, Side::Buy, OrderAmount::Quote("600".parse().unwrap())),
            order(2, Side::Sell, base("0.01")),
        ];
        for order in &orders {
            let placed = api.market_order(order).await.unwrap();
            let state = told(api, order, &placed).await;
            assert_eq!((state.status, state.side), (OrderStatus::Filled, order.side), "{id}");
            let trades = api.order_trades(&market(), &state.venue_order_id).await.unwrap();
            let executed: Qty = trades.iter().map(|trade| trade.fill.amount).sum();
            assert_eq!(executed, state.executed, "{id}");
            let (asked, by_cost) = match order.amount {
                OrderAmount::Base(amount) => (Some(amount), false),
                OrderAmount::Quote(_) => (None, true),
            };
            assert_eq!(state.amount, asked, "{id}");
            assert!(by_cost || Some(state.executed) == asked, "{id}");
        }
        let trades = api.own_trades(&market(), since).await.unwrap();
        let closed = api.closed_orders(&market(), since).await.unwrap();
        assert_eq!(closed.len(), 3, "{id}");
        assert!(trades.windows(2).all(|pair| pair[0].fill.at <= pair[1].fill.at), "{id}");
        // What was bought and sold, less the fees, is what is held.
        let bitcoin = "BTC".parse().unwrap();
        let mut held = Qty::ZERO;
        for trade in &trades {
            let fill = &trade.fill;
            held += if trade.side == Side::Buy { fill.amount } else { -fill.amount };
            if fill.fee.asset == bitcoin {
                held += -fill.fee.amount;
            }
        }
        assert_eq!(api.balances().await.unwrap()[&bitcoin].free, held, "{id}");
    }
    assert_eq!(simex.oracle().faults(), Vec::<&str>::new());
}

#[tokio::test]
async fn refusals_are_told_by_their_kind() {
    let simex = Simex::start(SimexConfig::default()).await.unwrap();
    for (id, double, place, _) in VENUES {
        let venue = connect(&simex, id, double, place);
        let api = &*venue.api;
        let much = order(0, Side::Buy, base("5"));
        assert_eq!(refusal(api.market_order(&much).await), Refusal::Funds, "{id}");
        let little = order(1, Side::Buy, base("0.00000001"));
        assert_eq!(refusal(api.market_order(&little).await), Refusal::Parameters, "{id}");
        let mut unknown = order(2, Side::Buy, base("1"));
        unknown.symbol = "NOPE/USDT".parse().unwrap();
        assert_eq!(refusal(api.market_order(&unknown).await), Refusal::Market, "{id}");
        venue.transport.set_clock_offset(-120_000);
        let late = order(4, Side::Buy, base("0.01"));
        assert_eq!(refusal(api.market_order(&late).await), Refusal::Clock, "{id}");
        assert!(api.balances().await.is_ok(), "{id}: a read measures the clock again");
        assert!(venue.transport.clock_offset().abs() < 2000, "{id}");
        simex.set_market(place, "BTC/USDT", MarketStatus::Halted);
        let halted = api.market_order(&order(3, Side::Buy, base("0.01"))).await;
        assert!(
            matches!(refusal(halted), Refusal::Market | Refusal::Other),
            "{id}: an order in a halted market"
        );
        assert!(!api.markets().await.unwrap()[&market()].active, "{id}");
        simex.set_revoked(place, true);
        assert_eq!(refusal(api.balances().await), Refusal::Auth, "{id}");
    }
    for place in [Place::Binance, Place::Okx] {
        assert!(simex.orders(place).iter().all(|order| order.executed.is_zero()));
    }
}

#[tokio::test]
async fn an_order_whose_answer_is_lost_is_unknown_and_can_be_found() {
    let simex = Simex::start(SimexConfig::default()).await.unwrap();
    for (id, double, place, endpoint) in VENUES {
        let venue = connect(&simex, id, double, place);
        let api = &*venue.api;
        let busy = Action::Status { code: 503, body: "{}".to_owned(), headers: BTreeMap::new() };
        let faults = [
            Action::Drop,
            Action::ResetAt(30),
            Action::Body(keel_simex::faults::Body::Html),
            Action::Body(keel_simex::faults::Body::Cut),
        ];
        for (number, (when, action)) in faults
            .into_iter()
            .map(|action| (When::After, action))
            .chain([
                (When::After, busy.clone()),
                (When::Before, Action::Drop),
                (When::Before, busy),
            ])
            .enumerate()
        {
            simex.fault(Fault::next(endpoint, when, action.clone()).at(id));
            let sent = order(u32::try_from(number).unwrap(), Side::Buy, base("0.01"));
            let answer = api.market_order(&sent).await;
            assert!(matches!(answer, Err(ApiError::Unknown(_))), "{id} {action:?}: {answer:?}");
            simex.clear_faults();
            let found = api.order(&market(), Reference::Client(&sent.id)).await.unwrap();
            assert_eq!(found.is_some(), when == When::After, "{id} {action:?}");
            if let Some(found) = found {
                assert_eq!(found.status, OrderStatus::Filled, "{id}");
            }
            // Too many failed writes in a row would close the way for the next one.
            assert!(api.market_order(&order(100, Side::Sell, base("9"))).await.is_err());
        }
    }
    assert!(simex.oracle().duplicates().is_empty());
}

/// Sixty reads of the account are the burst of the documented limit; here the venue grants ten times
/// as much, and none of the hundred has to wait.
#[tokio::test]
async fn a_limit_that_the_venue_publishes_is_used() {
    let mut config = SimexConfig::default();
    config.venues.get_mut(&Place::Binance).unwrap().limit_factor = 10;
    let simex = Simex::start(config).await.unwrap();
    let at_once = RetryPolicy { tries: 1, base: Duration::ZERO, total: Duration::ZERO };
    let options = HttpOptions { retry: at_once, ..HttpOptions::default() };
    let (id, double, place, _) = VENUES[0];
    let api = connect_with(&simex, id, double, place, options).api;
    api.markets().await.unwrap();
    for number in 0..100 {
        let answer = api.balances().await;
        assert!(answer.is_ok(), "{number}: {answer:?}");
    }
}
