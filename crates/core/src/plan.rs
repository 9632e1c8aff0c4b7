//! The plan: which orders bring the holdings to their targets, and why an asset gets none.

use crate::amount::{Money, Price, Qty};
use crate::asset::{Symbol, Ticker, VenueId};
use crate::decision::Reason;
use crate::market::MarketRules;
use crate::order::{OrderKind, PlannedOrder, Side};
use crate::policy::Settings;
use crate::signal::{Signal, effective};
use crate::targets::{Target, TargetInput, Targets, nothing_to_distribute, targets};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// The markets of one venue, by symbol.
pub type Markets = BTreeMap<Symbol, MarketRules>;

/// What is known about one tradable asset.
#[derive(Clone, Debug)]
pub struct AssetView {
    /// Our name.
    pub ticker: Ticker,
    /// 1 major, 2 and above altcoin.
    pub level: u32,
    /// Where it is held and traded.
    pub venue: VenueId,
    /// Price in the primary stablecoin; zero when none is known (then `blocked` says so).
    pub price: Price,
    /// Amount that can be traded.
    pub free: Qty,
    /// Market capitalisation in USD, if known.
    pub market_cap: Option<f64>,
    /// Position signal.
    pub position: Signal,
    /// Trend signal.
    pub trend: Signal,
    /// Why it must not be traded, if it must not. It still has a value and a target.
    pub blocked: Option<Reason>,
}

impl AssetView {
    /// `free * price`, zero on overflow of the decimal range.
    #[must_use]
    pub fn value(&self) -> Money {
        self.free.value_at(self.price).unwrap_or(Money::ZERO)
    }
}

/// Everything the plan depends on.
#[derive(Clone, Debug)]
pub struct PlanInput<'a> {
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The primary stablecoin.
    pub stablecoin: &'a Ticker,
    /// Its free amount on each venue.
    pub stablecoin_free: &'a BTreeMap<VenueId, Money>,
    /// The tradable assets, in the order of the configuration.
    pub assets: &'a [AssetView],
    /// The markets of each venue.
    pub markets: &'a BTreeMap<VenueId, &'a Markets>,
    /// Whether buys are cut to what their venue has and its sells bring.
    pub constrain_funding: bool,
}

/// A wish to buy against the stablecoin, before funds are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct BuyWish {
    /// Index of the asset in [`PlanInput::assets`].
    pub asset: usize,
    /// What should be bought, in the primary stablecoin.
    pub wanted: Money,
}

/// Orders and the reasons for missing ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What the portfolio should look like.
    pub targets: Targets,
    /// In the order of execution: direct, sells, buys.
    pub orders: Vec<PlannedOrder>,
    /// What the buys among `orders` were made from; they are sized again after the sells settled.
    pub buy_wishes: Vec<BuyWish>,
    /// Per asset: why there is no order, or why it stops short of the target.
    pub reasons: Vec<Option<Reason>>,
}

/// What is left to do for one asset while the plan is made.
struct Left {
    sell: Money,
    /// Units that can still be sold.
    units: Qty,
    /// The whole holding goes.
    sell_all: bool,
    /// A direct order took a part of the sell.
    matched: bool,
    buy: Money,
}

/// Sections 5 and 6 of the specification.
#[must_use]
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let target_inputs: Vec<TargetInput> = input
        .assets
        .iter()
        .map(|asset| TargetInput {
            level: asset.level,
            market_cap: asset.market_cap,
            position: asset.position,
            trend: asset.trend,
            value: asset.value(),
        })
        .collect();
    let stablecoin_value = input.stablecoin_free.values().copied().sum();
    let targets = targets(&target_inputs, stablecoin_value, input.settings);
    let mut reasons: Vec<Option<Reason>> = vec![None; input.assets.len()];
    if nothing_to_distribute(targets.total) {
        let minimum = input.settings.min_order_value;
        for (asset, reason) in input.assets.iter().zip(&mut reasons) {
            let too_small = || Reason::BelowMinOrder { value: targets.total, minimum };
            *reason = asset.blocked.clone().or_else(|| Some(too_small()));
        }
        return Plan { targets, orders: Vec::new(), buy_wishes: Vec::new(), reasons };
    }
    let mut left: Vec<Left> = input
        .assets
        .iter()
        .zip(&targets.assets)
        .zip(&mut reasons)
        .map(|((asset, target), reason)| {
            let (left, why) = wanted(asset, target, input.settings);
            *reason = why;
            left
        })
        .collect();

    let mut orders = match_directly(input, &mut left);
    orders.extend(sell_the_rest(input, &mut left, &mut reasons));
    let mut proceeds: BTreeMap<&VenueId, Money> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.kind == OrderKind::Stable) {
        *proceeds.entry(&order.venue).or_default() += order.value;
    }
    let available: BTreeMap<VenueId, Money> = input
        .markets
        .keys()
        .map(|venue| {
            let free = input.stablecoin_free.get(venue).copied().unwrap_or_default();
            let brought = proceeds.get(venue).copied().unwrap_or_default();
            (venue.clone(), free + brought)
        })
        .collect();
    let buy_wishes: Vec<BuyWish> = left
        .iter()
        .enumerate()
        .filter(|(_, left)| left.buy.is_positive())
        .map(|(asset, left)| BuyWish { asset, wanted: left.buy })
        .collect();
    let funding =
        input.constrain_funding.then_some(Funding { available: &available, haircut: None });
    let buys = size_buys(input, &buy_wishes, funding);
    for (asset, reason) in buys.reasons {
        reasons[asset] = Some(reason);
    }
    orders.extend(buys.orders);
    Plan { targets, orders, buy_wishes, reasons }
}

/// How much of an asset is to be sold or bought, or why nothing is.
fn wanted(asset: &AssetView, target: &Target, settings: &Settings) -> (Left, Option<Reason>) {
    let nothing = Left {
        sell: Money::ZERO,
        units: asset.free,
        sell_all: false,
        matched: false,
        buy: Money::ZERO,
    };
    if let Some(blocked) = &asset.blocked {
        return (nothing, Some(blocked.clone()));
    }
    let minimum = settings.min_order_value;
    let (position, trend) = effective(asset.position, asset.trend);
    let value = asset.value();
    if position == Signal::Sell && value > minimum {
        return (Left { sell: value, sell_all: true, ..nothing }, None);
    }
    if target.change < -minimum {
        let sell_all = target.ratio.is_zero();
        return (Left { sell: -target.change, sell_all, ..nothing }, None);
    }
    if target.change > minimum && position == Signal::Buy && trend == Signal::Buy {
        return (Left { buy: target.change, ..nothing }, None);
    }
    let reason = if asset.position == Signal::None || asset.trend == Signal::None {
        Reason::WarmingUp
    } else if target.ratio.is_zero() && trend != Signal::Buy {
        Reason::NotTrending
    } else if target.ratio.is_zero() && position != Signal::Buy {
        Reason::PositionNotBuy
    } else if let (true, Some(drift)) = (target.change.is_zero(), target.drift) {
        Reason::BelowThreshold { drift, threshold: settings.rebalance_threshold }
    } else {
        Reason::BelowMinOrder { value: target.change.abs(), minimum }
    };
    (nothing, Some(reason))
}

/// Sells matched with buys on the same venue, one order instead of two.
fn match_directly(input: &PlanInput<'_>, left: &mut [Left]) -> Vec<PlannedOrder> {
    let mut orders = Vec::new();
    let sellers: Vec<usize> = (0..left.len()).filter(|i| left[*i].sell.is_positive()).collect();
    let buyers: Vec<usize> = (0..left.len()).filter(|i| left[*i].buy.is_positive()).collect();
    for seller in sellers {
        for &buyer in &buyers {
            let (sold, bought) = (&input.assets[seller], &input.assets[buyer]);
            if sold.venue != bought.venue || !left[seller].sell.is_positive() {
                continue;
            }
            let mut value = left[seller].sell.min(left[buyer].buy);
            let Some(markets) = input.markets.get(&sold.venue) else { continue };
            let Some((rules, side)) = direct_market(markets, &sold.ticker, &bought.ticker) else {
                continue;
            };
            if side == Side::Buy && input.constrain_funding {
                // The seller's units pay for this order, at a price that moves until it arrives. The
                // room for that is kept once for the whole holding: cut from what an earlier match
                // left, it would be too small for the move of that earlier match.
                let spent = sold.free - left[seller].units;
                let most = sold.free.times(input.settings.balance_adjustment_factor_buy);
                let units = most.map(|most| (most - spent).max(Qty::ZERO));
                let payable = units.and_then(|units| units.value_at(sold.price));
                value = value.min(payable.unwrap_or_default());
            }
            let (base, quote) = match side {
                Side::Buy => (bought, sold),
                Side::Sell => (sold, bought),
            };
            let Some(amount) = value.quantity_at(base.price) else { continue };
            let amount = match side {
                Side::Buy => amount,
                Side::Sell => amount.min(left[seller].units),
            };
            let Ok((amount, value)) =
                rounded(amount, base.price, quote.price, rules, input.settings)
            else {
                continue;
            };
            left[seller].sell -= value;
            left[seller].matched = true;
            left[buyer].buy -= value;
            // A seller's own units that this order takes: the base itself, or the quote it pays.
            let units = match side {
                Side::Sell => Some(amount),
                Side::Buy => value.quantity_at(sold.price),
            };
            left[seller].units = (left[seller].units - units.unwrap_or(Qty::ZERO)).max(Qty::ZERO);
            orders.push(PlannedOrder {
                kind: OrderKind::Direct,
                venue: sold.venue.clone(),
                symbol: rules.symbol.clone(),
                side,
                amount,
                value,
            });
        }
    }
    orders
}

fn direct_market<'m>(
    markets: &'m Markets,
    sold: &Ticker,
    bought: &Ticker,
) -> Option<(&'m MarketRules, Side)> {
    let active = |base: &Ticker, quote: &Ticker| {
        markets.get(&Symbol::new(base.clone(), quote.clone())).filter(|rules| rules.active)
    };
    active(bought, sold)
        .map(|rules| (rules, Side::Buy))
        .or_else(|| active(sold, bought).map(|rules| (rules, Side::Sell)))
}

/// The amount on the market's grid and its value, or why there is no such order.
fn rounded(
    amount: Qty,
    base_price: Price,
    quote_price: Price,
    rules: &MarketRules,
    settings: &Settings,
) -> Result<(Qty, Money), Reason> {
    let amount = rules.max_amount.map_or(amount, |max| amount.min(max));
    let amount = amount.floor_to(rules.amount_step);
    let too_small = Reason::BelowMarketMinimum {
        amount,
        minimum_amount: rules.min_amount,
        minimum_cost: rules.min_cost,
    };
    let Some(value) = amount.value_at(base_price) else { return Err(too_small) };
    let cost = value.get().checked_div(quote_price.get()).unwrap_or(Decimal::ZERO);
    if !amount.is_positive() || amount < rules.min_amount || cost < rules.min_cost {
        return Err(too_small);
    }
    if value < settings.min_order_value {
        return Err(Reason::BelowMinOrder { value, minimum: settings.min_order_value });
    }
    Ok((amount, value))
}

/// The market of an asset against the stablecoin, or why it cannot be used.
fn stable_market<'m>(input: &PlanInput<'m>, asset: &AssetView) -> Result<&'m MarketRules, Reason> {
    let symbol = Symbol::new(asset.ticker.clone(), input.stablecoin.clone());
    match input.markets.get(&asset.venue).and_then(|markets| markets.get(&symbol)) {
        None => Err(Reason::NoMarket),
        Some(rules) if !rules.active => Err(Reason::MarketHalted),
        Some(rules) => Ok(rules),
    }
}

const STABLE_PRICE: Price = Price::new(Decimal::ONE);

fn sell_the_rest(
    input: &PlanInput<'_>,
    left: &mut [Left],
    reasons: &mut [Option<Reason>],
) -> Vec<PlannedOrder> {
    let mut orders = Vec::new();
    for (i, left) in left.iter_mut().enumerate() {
        let asset = &input.assets[i];
        if !left.sell.is_positive() {
            continue;
        }
        let order = stable_market(input, asset).and_then(|rules| {
            let exact = left.sell.quantity_at(asset.price).ok_or(Reason::NoPrice)?;
            // Selling everything sells the units themselves; a division could lose the last digit.
            let amount = if left.sell_all { left.units } else { exact.min(left.units) };
            let (amount, value) =
                rounded(amount, asset.price, STABLE_PRICE, rules, input.settings)?;
            Ok(PlannedOrder {
                kind: OrderKind::Stable,
                venue: asset.venue.clone(),
                symbol: rules.symbol.clone(),
                side: Side::Sell,
                amount,
                value,
            })
        });
        match order {
            Ok(order) => orders.push(order),
            // What a direct order left over may well be dust; the asset was traded all the same.
            Err(_) if left.matched => {}
            Err(reason) => reasons[i] = Some(reason),
        }
    }
    orders
}

/// Sells cut to what is free now: direct orders may have taken more of an asset than was planned,
/// because prices move. Sells that become too small are left out.
#[must_use]
pub fn fit_sells(input: &PlanInput<'_>, sells: &[PlannedOrder]) -> Vec<PlannedOrder> {
    sells
        .iter()
        .filter_map(|sell| {
            let asset = input.assets.iter().find(|asset| asset.ticker == sell.symbol.base)?;
            if sell.amount <= asset.free {
                return Some(sell.clone());
            }
            let rules = stable_market(input, asset).ok()?;
            let amount = asset.free.times(input.settings.balance_adjustment_factor_sell)?;
            let (amount, value) =
                rounded(amount, asset.price, STABLE_PRICE, rules, input.settings).ok()?;
            Some(PlannedOrder { amount, value, ..sell.clone() })
        })
        .collect()
}

/// What buys may be paid with.
#[derive(Clone, Copy, Debug)]
pub struct Funding<'a> {
    /// Stablecoin per venue.
    pub available: &'a BTreeMap<VenueId, Money>,
    /// When the wishes exceed this part of what is available, they are cut to it: room for fees and
    /// for a price that moves before the order arrives. `None` cuts to exactly what is available.
    pub haircut: Option<Decimal>,
}

impl Funding<'_> {
    fn spendable(&self, venue: &VenueId) -> Money {
        let available = self.available.get(venue).copied().unwrap_or_default();
        let factor = self.haircut.unwrap_or(Decimal::ONE);
        available.times(factor).unwrap_or_default().max(Money::ZERO)
    }
}

/// The wishes at venues that can pay for more than what an earlier haircut left there.
///
/// While a venue is short, each cycle spends all but the haircut. The next one would spend all but
/// the haircut of that, and so on, in ever smaller orders; a portfolio would not come to rest. What
/// is less than the haircut of all that is wished for there is left alone.
#[must_use]
pub fn worth_buying(
    input: &PlanInput<'_>,
    wishes: &[BuyWish],
    funding: Funding<'_>,
) -> Vec<BuyWish> {
    let held_back = Decimal::ONE - funding.haircut.unwrap_or(Decimal::ONE);
    let mut wanted_at: BTreeMap<&VenueId, (Money, Money)> = BTreeMap::new();
    for wish in wishes {
        let asset = &input.assets[wish.asset];
        if stable_market(input, asset).is_ok() {
            let (wanted, targets) = wanted_at.entry(&asset.venue).or_default();
            *wanted += wish.wanted;
            *targets += asset.value() + wish.wanted;
        }
    }
    let is_worth_it = |wish: &&BuyWish| {
        let venue = &input.assets[wish.asset].venue;
        let (wanted, targets) = wanted_at.get(venue).copied().unwrap_or_default();
        let spendable = funding.spendable(venue);
        spendable >= wanted || spendable >= targets.times(held_back).unwrap_or_default()
    };
    wishes.iter().filter(is_worth_it).cloned().collect()
}

/// Buys made from wishes, and why some were dropped or cut. Reasons are by asset index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SizedBuys {
    /// In the order of the wishes.
    pub orders: Vec<PlannedOrder>,
    /// Index of the asset and what happened to its wish.
    pub reasons: Vec<(usize, Reason)>,
}

/// Turns wishes into orders. With `funding`, the buys of a venue together never exceed what it has:
/// they are scaled down in proportion. Used for the plan, and again after the sells have settled.
#[must_use]
pub fn size_buys(
    input: &PlanInput<'_>,
    wishes: &[BuyWish],
    funding: Option<Funding<'_>>,
) -> SizedBuys {
    let mut sized = SizedBuys::default();
    // A wish without a market takes no share of the funds.
    let mut payable: Vec<(&BuyWish, &MarketRules)> = Vec::with_capacity(wishes.len());
    let mut wanted_at: BTreeMap<&VenueId, Money> = BTreeMap::new();
    for wish in wishes {
        let asset = &input.assets[wish.asset];
        match stable_market(input, asset) {
            Ok(rules) => {
                *wanted_at.entry(&asset.venue).or_default() += wish.wanted;
                payable.push((wish, rules));
            }
            Err(reason) => sized.reasons.push((wish.asset, reason)),
        }
    }
    for (wish, rules) in payable {
        let asset = &input.assets[wish.asset];
        let wanted_here = wanted_at.get(&asset.venue).copied().unwrap_or_default();
        let value = match funding.map(|funding| funding.spendable(&asset.venue)) {
            Some(spendable) if wanted_here > spendable => {
                let share = wish.wanted.fraction_of(wanted_here).unwrap_or_default();
                spendable.times(share).unwrap_or_default()
            }
            _ => wish.wanted,
        };
        let is_short = value < wish.wanted;
        if is_short {
            let missing = wish.wanted - value;
            let elsewhere = funding.is_some_and(|funding| {
                funding
                    .available
                    .iter()
                    .any(|(venue, free)| *venue != asset.venue && free.is_positive())
            });
            sized.reasons.push((
                wish.asset,
                if elsewhere {
                    Reason::FundsOnOtherExchange { missing }
                } else {
                    Reason::InsufficientFunds { missing }
                },
            ));
        }
        let order = value
            .quantity_at(asset.price)
            .ok_or(Reason::NoPrice)
            .and_then(|amount| rounded(amount, asset.price, STABLE_PRICE, rules, input.settings));
        match order {
            Ok((amount, value)) => sized.orders.push(PlannedOrder {
                kind: OrderKind::Stable,
                venue: asset.venue.clone(),
                symbol: rules.symbol.clone(),
                side: Side::Buy,
                amount,
                value,
            }),
            // Being short of funds explains a dropped buy better than the minimum it then missed.
            Err(_) if is_short => {}
            Err(reason) => sized.reasons.push((wish.asset, reason)),
        }
    }
    sized
}
