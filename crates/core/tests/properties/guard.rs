//! The guard refuses what a broken planner might ask for: each planted bug, by name.

use crate::portfolio::Portfolio;
use keel_core::amount::{Money, Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::decision::Reason;
use keel_core::guard::{review, review_again};
use keel_core::market::MarketRules;
use keel_core::order::{OrderKind, PlannedOrder, Side};
use keel_core::plan::{AssetView, Markets, Plan, plan};
use keel_core::policy::Settings;
use keel_core::signal::Signal;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

fn north() -> VenueId {
    "north".parse().unwrap()
}

fn asset(name: &str, level: u32, price: &str, free: &str, cap: f64, signal: Signal) -> AssetView {
    AssetView {
        ticker: name.parse().unwrap(),
        level,
        venue: north(),
        price: Price::new(decimal(price)),
        free: Qty::new(decimal(free)),
        market_cap: Some(cap),
        position: signal,
        trend: signal,
        blocked: None,
    }
}

fn rules(name: &str, step: &str, min_cost: &str) -> (Symbol, MarketRules) {
    let rules = MarketRules {
        amount_step: Qty::new(decimal(step)),
        min_amount: Qty::new(decimal(step)),
        max_amount: Some(Qty::new(decimal("1000"))),
        min_cost: decimal(min_cost),
        ..MarketRules::unlimited(symbol(name))
    };
    (symbol(name), rules)
}

/// BTC and two capped altcoins are bought, ADA goes: a part of it directly into BTC.
fn portfolio() -> Portfolio {
    let mut here: Markets = [
        rules("BTC/USDT", "0.0001", "5"),
        rules("ETH/USDT", "0.001", "5"),
        rules("SOL/USDT", "0.01", "5"),
        rules("ADA/USDT", "0.1", "5"),
        rules("ADA/BTC", "0.1", "0.0001"),
    ]
    .into();
    // Less than the holding, so that the rest goes through the stablecoin.
    here.get_mut(&symbol("ADA/BTC")).unwrap().max_amount = Some(Qty::new(decimal("500")));
    Portfolio {
        settings: Settings { max_alt_coin_ratio: 0.2, ..Settings::default() },
        stablecoin: "USDT".parse().unwrap(),
        stablecoin_free: BTreeMap::from([(north(), Money::new(decimal("4000")))]),
        assets: vec![
            asset("BTC", 1, "50000", "0.05", 1.2e12, Signal::Buy),
            asset("ETH", 2, "2500", "0", 3e11, Signal::Buy),
            asset("SOL", 2, "150", "1", 1e11, Signal::Buy),
            asset("ADA", 2, "5", "800", 5e10, Signal::Sell),
            asset("DOT", 2, "7", "0", 1e10, Signal::Sell),
        ],
        markets: BTreeMap::from([(north(), here)]),
        constrain_funding: true,
    }
}

fn order<'p>(plan: &'p mut Plan, name: &str) -> &'p mut PlannedOrder {
    plan.orders.iter_mut().find(|order| order.symbol == symbol(name)).unwrap()
}

/// Changes the amount and keeps the value right, so that only the amount is wrong.
fn set_amount(order: &mut PlannedOrder, amount: &str, price: &str) {
    order.amount = Qty::new(decimal(amount));
    order.value = order.amount.value_at(Price::new(decimal(price))).unwrap();
}

fn shift_weight(plan: &mut Plan, asset: usize, by: &str) {
    let by = decimal(by);
    let total = plan.targets.total.get();
    let target = &mut plan.targets.assets[asset];
    target.ratio += by;
    target.target = Money::new(target.ratio * total);
    plan.targets.stablecoin.ratio -= by;
    plan.targets.stablecoin.target = Money::new(plan.targets.stablecoin.ratio * total);
}

/// A bug: its name, the words of the objection it must meet, and how it is planted.
type Bug = (&'static str, &'static str, fn(&mut Portfolio, &mut Plan));

const BUGS: &[Bug] = &[
    ("amount off the grid", "not a multiple", |_, plan| {
        let order = order(plan, "ETH/USDT");
        let amount = (order.amount.get() - decimal("0.0005")).to_string();
        set_amount(order, &amount, "2500");
    }),
    ("nothing to trade", "expected", |_, plan| set_amount(order(plan, "ETH/USDT"), "0", "2500")),
    ("negative amount", "expected", |_, plan| set_amount(order(plan, "ETH/USDT"), "-1", "2500")),
    ("below the market's smallest amount", "expected", |portfolio, _| {
        let here = portfolio.markets.get_mut(&north()).unwrap();
        here.get_mut(&symbol("ETH/USDT")).unwrap().min_amount = Qty::new(decimal("500"));
    }),
    ("above the market's largest amount", "at most", |portfolio, _| {
        let here = portfolio.markets.get_mut(&north()).unwrap();
        here.get_mut(&symbol("ADA/BTC")).unwrap().max_amount = Some(Qty::new(decimal("1")));
    }),
    ("below the market's smallest cost", "cost", |portfolio, _| {
        let here = portfolio.markets.get_mut(&north()).unwrap();
        here.get_mut(&symbol("ADA/BTC")).unwrap().min_cost = decimal("10");
    }),
    ("below the operator's minimum", "expected a value", |portfolio, _| {
        portfolio.settings.min_order_value = Money::new(decimal("100000"));
    }),
    ("oversell through the stablecoin", "is free", |portfolio, _| {
        portfolio.assets[3].free = Qty::new(decimal("600"));
    }),
    ("oversell without funding rules", "is free", |portfolio, plan| {
        portfolio.constrain_funding = false;
        set_amount(order(plan, "ADA/USDT"), "700", "5");
    }),
    ("overbuy", "is free", |portfolio, _| {
        portfolio.stablecoin_free.insert(north(), Money::new(decimal("100")));
    }),
    ("beyond the target", "beyond its target", |_, plan| {
        set_amount(order(plan, "ETH/USDT"), "1.5", "2500");
    }),
    ("sold below the target", "below its target", |_, plan| {
        let mut order = order(plan, "ETH/USDT").clone();
        order.symbol = symbol("BTC/USDT");
        order.side = Side::Sell;
        set_amount(&mut order, "0.05", "50000");
        plan.orders = vec![order];
    }),
    ("bought and sold at once", "bought and sold", |_, plan| {
        let mut order = order(plan, "ADA/BTC").clone();
        order.kind = OrderKind::Stable;
        order.symbol = symbol("BTC/USDT");
        order.side = Side::Sell;
        set_amount(&mut order, "0.001", "50000");
        plan.orders.push(order);
    }),
    ("weight raised", "SOL weighs", |_, plan| shift_weight(plan, 2, "0.01")),
    ("weight lowered", "BTC weighs", |_, plan| shift_weight(plan, 0, "-0.3")),
    ("weight for an asset that is out", "ADA weighs", |_, plan| shift_weight(plan, 3, "0.05")),
    ("negative weight", "ADA weighs", |_, plan| shift_weight(plan, 3, "-0.05")),
    ("weights that do not sum to 1", "sum to", |_, plan| {
        plan.targets.stablecoin.ratio += decimal("0.000000000000000001");
    }),
    ("a weight is missing", "weights for", |_, plan| {
        plan.targets.assets.pop();
    }),
    ("altcoin cap exceeded", "altcoins weigh", |portfolio, _| {
        portfolio.settings.max_alt_coin_ratio = 0.1;
    }),
    ("target that does not follow from the weight", "target", |_, plan| {
        plan.targets.assets[1].target = Money::new(decimal("9000"));
    }),
    ("total that is not there", "total", |_, plan| {
        plan.targets.total = Money::new(decimal("20000"));
    }),
    ("order for a blocked asset", "is blocked", |portfolio, _| {
        portfolio.assets[1].blocked = Some(Reason::Paused);
    }),
    ("direct order for a blocked partner", "is blocked", |portfolio, _| {
        portfolio.assets[3].blocked = Some(Reason::UnresolvedOrder);
    }),
    ("buy without a position signal", "two buy signals", |portfolio, _| {
        portfolio.assets[2].position = Signal::Sell;
    }),
    ("buy without a trend signal", "two buy signals", |portfolio, _| {
        portfolio.assets[2].trend = Signal::None;
    }),
    ("wrong value", "worth", |_, plan| {
        let order = order(plan, "ETH/USDT");
        order.value += Money::new(decimal("0.01"));
    }),
    ("unknown market", "no such active market", |_, plan| {
        order(plan, "ETH/USDT").symbol = symbol("ETH/BTC");
    }),
    ("halted market", "no such active market", |portfolio, _| {
        let here = portfolio.markets.get_mut(&north()).unwrap();
        here.get_mut(&symbol("ETH/USDT")).unwrap().active = false;
    }),
    ("asset outside the portfolio", "not in the portfolio", |portfolio, plan| {
        let here = portfolio.markets.get_mut(&north()).unwrap();
        here.extend([rules("DOGE/USDT", "1", "5")]);
        order(plan, "ETH/USDT").symbol = symbol("DOGE/USDT");
    }),
    ("another venue", "no such active market", |_, plan| {
        order(plan, "ETH/USDT").venue = "south".parse().unwrap();
    }),
    ("another venue that has the market", "is held at", |portfolio, plan| {
        let south: VenueId = "south".parse().unwrap();
        portfolio.markets.insert(south.clone(), portfolio.markets[&north()].clone());
        portfolio.stablecoin_free.insert(south.clone(), Money::new(decimal("9000")));
        order(plan, "ETH/USDT").venue = south;
    }),
    ("the same buy twice", "twice", |portfolio, plan| {
        // Funds and targets have room for both.
        portfolio.stablecoin_free.insert(north(), Money::new(decimal("4000")));
        let order = order(plan, "ETH/USDT");
        set_amount(order, "0.1", "2500");
        let again = order.clone();
        plan.orders.push(again);
    }),
    ("the same sell twice", "twice", |_, plan| {
        let order = order(plan, "ADA/USDT");
        set_amount(order, "10", "5");
        let again = order.clone();
        plan.orders.push(again);
    }),
    ("a stable order that is called direct", "kind", |_, plan| {
        order(plan, "ETH/USDT").kind = OrderKind::Direct;
    }),
    ("a direct order that is called stable", "kind", |_, plan| {
        order(plan, "ADA/BTC").kind = OrderKind::Stable;
    }),
];

#[test]
fn a_valid_plan_is_approved() {
    let portfolio = portfolio();
    let plan = portfolio.ask(plan);
    let symbols: Vec<String> =
        plan.orders.iter().map(|order| format!("{} {}", order.side, order.symbol)).collect();
    assert_eq!(
        symbols,
        ["sell ADA/BTC", "sell ADA/USDT", "buy BTC/USDT", "buy ETH/USDT", "buy SOL/USDT"][..],
        "the bugs below are planted in these"
    );
    let approved = portfolio.ask(|input| review(input, &plan)).unwrap();
    assert_eq!(approved.orders(), plan.orders);
}

#[test]
fn every_planted_bug_is_refused_for_its_own_reason() {
    let mut passed = Vec::new();
    for (name, words, bug) in BUGS {
        let mut portfolio = portfolio();
        let mut plan = portfolio.ask(plan);
        bug(&mut portfolio, &mut plan);
        match portfolio.ask(|input| review(input, &plan).map(|_| ())) {
            Ok(()) => passed.push(format!("{name}: approved")),
            Err(objections) => {
                if !objections.iter().any(|objection| objection.to_string().contains(words)) {
                    passed.push(format!("{name}: expected `{words}`, got {objections:?}"));
                }
            }
        }
    }
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

/// Orders that were sized again: each is refused when it exceeds what was planned or what is there.
#[test]
fn orders_sized_again_stay_within_the_plan() {
    let portfolio = portfolio();
    let plan = portfolio.ask(plan);
    let stable = |side: Side| -> Vec<PlannedOrder> {
        let wanted = |order: &&PlannedOrder| order.kind == OrderKind::Stable && order.side == side;
        plan.orders.iter().filter(wanted).cloned().collect()
    };
    let ask = |portfolio: &Portfolio, orders: &[PlannedOrder]| {
        portfolio.ask(|input| review_again(input, &plan, orders).map(|_| ()))
    };
    let with = |side: Side, change: fn(&mut PlannedOrder)| {
        let mut orders = stable(side);
        orders.iter_mut().for_each(change);
        ask(&portfolio, &orders)
    };
    let (sells, buys) = (stable(Side::Sell), stable(Side::Buy));
    assert_eq!(ask(&portfolio, &sells), Ok(()));
    let mut rich = portfolio.clone();
    rich.stablecoin_free.insert(north(), Money::new(decimal("20000")));
    assert_eq!(ask(&rich, &buys), Ok(()));
    assert!(ask(&portfolio, &[buys.clone(), buys.clone()].concat()).is_err(), "bought twice");
    assert!(ask(&rich, &[buys.clone(), buys.clone()].concat()).is_err(), "twice, with funds");
    assert!(ask(&rich, &[sells.clone(), sells.clone()].concat()).is_err(), "sold twice");

    let more = |order: &mut PlannedOrder| {
        order.amount += Qty::new(Decimal::ONE);
        let price = order.value.get() / (order.amount.get() - Decimal::ONE);
        order.value = order.amount.value_at(Price::new(price)).unwrap();
    };
    assert!(with(Side::Sell, more).is_err(), "more than was planned is sold");
    assert!(with(Side::Buy, more).is_err(), "more than was wished is bought");
    assert!(with(Side::Buy, |order| order.side = Side::Sell).is_err(), "a buy became a sell");
    assert!(
        with(Side::Sell, |order| order.kind = OrderKind::Direct).is_err(),
        "a new direct order"
    );
    assert!(with(Side::Sell, |order| order.symbol = symbol("BTC/USDT")).is_err(), "another asset");

    let mut poor = portfolio.clone();
    poor.stablecoin_free.insert(north(), Money::new(decimal("10")));
    assert!(ask(&poor, &buys).is_err(), "the funds are gone");
    let mut sold = portfolio.clone();
    sold.assets[3].free = Qty::ZERO;
    assert!(ask(&sold, &sells).is_err(), "the units are gone");
    let wished: Ticker = "DOT".parse().unwrap();
    let mut unplanned = buys[0].clone();
    unplanned.symbol.base = wished;
    assert!(ask(&rich, &[unplanned]).is_err(), "nobody wished for it");
}
