//! The paper broker: an account that exists only here, filled at the market's prices.

use crate::models::CostModels;
use keel_core::amount::{Price, Qty};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::limits::Depth;
use keel_core::market::MarketRules;
use keel_core::order::{Fee, Fill, Intent, Outcome, PlannedOrder, Side};
use keel_core::ports::{Broker, MarketData, PortError};
use keel_core::state::Balance;
use keel_core::time::Timeframe;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Decimal places of the books. Costs are rounded up, proceeds down, fees up: never in our favour.
const BOOK_PLACES: u32 = 12;
/// Significant digits of a traded price, more than any venue's tick needs.
const PRICE_DIGITS: u32 = 12;

/// Amounts by venue and asset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaperAccount(BTreeMap<VenueId, BTreeMap<Ticker, Qty>>);

impl PaperAccount {
    /// Adds to a balance.
    pub fn deposit(&mut self, venue: &VenueId, ticker: &Ticker, amount: Qty) {
        *self.0.entry(venue.clone()).or_default().entry(ticker.clone()).or_default() += amount;
    }

    /// What is there.
    #[must_use]
    pub fn free(&self, venue: &VenueId, ticker: &Ticker) -> Qty {
        self.0.get(venue).and_then(|held| held.get(ticker)).copied().unwrap_or_default()
    }

    /// Every balance.
    pub fn iter(&self) -> impl Iterator<Item = (&VenueId, &Ticker, Qty)> {
        self.0
            .iter()
            .flat_map(|(venue, held)| held.iter().map(move |(ticker, qty)| (venue, ticker, *qty)))
    }
}

/// Fills market orders from an account, at the prices and by the rules of `market`.
#[derive(Debug)]
pub struct PaperBroker<'m, M> {
    market: &'m M,
    stablecoin: Ticker,
    models: CostModels,
    account: PaperAccount,
}

impl<'m, M: MarketData> PaperBroker<'m, M> {
    /// A broker for `account`. Volumes are read from the markets against `stablecoin`.
    #[must_use]
    pub const fn new(
        market: &'m M,
        stablecoin: Ticker,
        models: CostModels,
        account: PaperAccount,
    ) -> Self {
        Self { market, stablecoin, models, account }
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> &PaperAccount {
        &self.account
    }

    /// Adds or, with a negative amount, takes money, as a deposit or withdrawal would.
    pub fn deposit(&mut self, venue: &VenueId, ticker: &Ticker, amount: Qty) {
        self.account.deposit(venue, ticker, amount);
    }

    /// Base units traded in the last hour, if candles tell.
    async fn hourly_volume(&self, venue: &VenueId, base: &Ticker) -> Option<Decimal> {
        let symbol = Symbol::new(base.clone(), self.stablecoin.clone());
        let window = self.market.candles(venue, &symbol, Timeframe::H1, 1).await.ok()?;
        keel_core::amount::decimal_from_recorded(*window.volume().last()?)
    }

    /// How much is filled, and at which price, by the cost models.
    async fn by_models(&self, order: &PlannedOrder, price: Price, step: Qty) -> (Qty, Decimal) {
        let volume = self.hourly_volume(&order.venue, &order.symbol.base).await;
        let wanted = order.amount.get();
        let filled = Qty::new(self.models.fillable(wanted, volume)).floor_to(step);
        let share = volume.and_then(|volume| filled.get().checked_div(volume));
        let offset = self.models.price_offset(share);
        let factor = match order.side {
            Side::Buy => Decimal::ONE + offset,
            Side::Sell => Decimal::ONE - offset,
        };
        (filled, price.get() * factor)
    }

    /// The same from the venue's own order book, where there is one: spread and impact are in it.
    async fn by_book(&self, order: &PlannedOrder) -> Result<Option<(Qty, Decimal)>, String> {
        let depth = self
            .market
            .depth(&order.venue, &order.symbol, order.amount)
            .await
            .map_err(|PortError(cause)| cause)?;
        let Depth::Book { bids, asks } = depth else { return Ok(None) };
        let side = if order.side == Side::Buy { asks } else { bids };
        let (mut filled, mut cost) = (Decimal::ZERO, Decimal::ZERO);
        for (price, available) in side {
            let taken = (order.amount.get() - filled).min(available.get());
            filled += taken;
            cost += taken.checked_mul(price.get()).ok_or("the book is beyond the decimal range")?;
        }
        let average = cost.checked_div(filled).ok_or("the order book is empty")?;
        Ok(Some((Qty::new(filled), average)))
    }

    async fn fill(&mut self, intent: &Intent) -> Result<(Decimal, Fill), String> {
        let order = &intent.order;
        let (venue, symbol) = (&order.venue, &order.symbol);
        let markets = self.market.markets(venue).await.map_err(|PortError(cause)| cause)?;
        let rules = markets
            .get(symbol)
            .filter(|rules| rules.active)
            .ok_or_else(|| format!("{symbol} is not an active market"))?;
        let point = self
            .market
            .prices(venue, std::slice::from_ref(symbol))
            .await
            .map_err(|PortError(cause)| cause)?
            .first()
            .copied()
            .flatten()
            .ok_or_else(|| format!("{symbol} has no price"))?;
        let wanted = order.amount.get();
        let (filled, price) = match self.by_book(order).await? {
            Some((filled, price)) => (filled.floor_to(rules.amount_step), price),
            None => self.by_models(order, point.price, rules.amount_step).await,
        };
        let price = price
            .round_sf(PRICE_DIGITS)
            .filter(|price| *price > Decimal::ZERO)
            .ok_or_else(|| "the price is beyond the decimal range".to_owned())?;
        check_filters(rules, order.amount, point.price)?;
        let exact = filled
            .get()
            .checked_mul(price)
            .ok_or_else(|| "the order is beyond the decimal range".to_owned())?;
        let (cost, received, received_asset, paid, paid_asset) = match order.side {
            Side::Buy => {
                let cost = round(exact, RoundingStrategy::AwayFromZero);
                (cost, filled.get(), &symbol.base, cost, &symbol.quote)
            }
            Side::Sell => {
                let cost = round(exact, RoundingStrategy::ToZero);
                (cost, cost, &symbol.quote, filled.get(), &symbol.base)
            }
        };
        let free = self.account.free(venue, paid_asset).get();
        if paid > free {
            return Err(format!("insufficient balance: {paid} {paid_asset} needed, {free} free"));
        }
        let fee = round(self.models.fee(received), RoundingStrategy::AwayFromZero).min(received);
        let (received_asset, paid_asset) = (received_asset.clone(), paid_asset.clone());
        self.account.deposit(venue, &paid_asset, Qty::new(-paid));
        self.account.deposit(venue, &received_asset, Qty::new(received - fee));
        Ok((
            wanted,
            Fill {
                trade_id: format!("paper-{}-{}", intent.cycle, intent.leg),
                price: Price::new(price),
                amount: filled,
                cost,
                fee: Fee { asset: received_asset, amount: Qty::new(fee) },
                at: intent.created_at,
            },
        ))
    }
}

fn round(value: Decimal, how: RoundingStrategy) -> Decimal {
    value.round_dp_with_strategy(BOOK_PLACES, how)
}

/// What a venue checks before it takes an order.
fn check_filters(rules: &MarketRules, amount: Qty, price: Price) -> Result<(), String> {
    let step = rules.amount_step.get();
    if !step.is_zero() && !(amount.get() % step).is_zero() {
        return Err(format!("LOT_SIZE: {amount} is not a multiple of {step}"));
    }
    if !amount.is_positive() || amount < rules.min_amount {
        return Err(format!("LOT_SIZE: {amount} is below {}", rules.min_amount));
    }
    if let Some(max) = rules.max_amount.filter(|max| amount > *max) {
        return Err(format!("MARKET_LOT_SIZE: {amount} is above {max}"));
    }
    let cost = amount.get().checked_mul(price.get()).unwrap_or(Decimal::MAX);
    if cost < rules.min_cost {
        return Err(format!("NOTIONAL: {cost} is below {}", rules.min_cost));
    }
    Ok(())
}

impl<M: MarketData> Broker for PaperBroker<'_, M> {
    async fn balances(&self, venue: &VenueId) -> Result<BTreeMap<Ticker, Balance>, PortError> {
        Ok(self
            .account
            .0
            .get(venue)
            .into_iter()
            .flatten()
            .map(|(ticker, free)| (ticker.clone(), Balance { free: *free, used: Qty::ZERO }))
            .collect())
    }

    async fn place(&mut self, intent: &Intent) -> Outcome {
        match self.fill(intent).await {
            Err(reason) => Outcome::Rejected { reason },
            Ok((_, fill)) if !fill.amount.is_positive() => Outcome::Partial { fills: Vec::new() },
            Ok((wanted, fill)) if fill.amount.get() < wanted => {
                Outcome::Partial { fills: vec![fill] }
            }
            Ok((_, fill)) => Outcome::Filled { fills: vec![fill] },
        }
    }

    async fn look_up(&mut self, _intent: &Intent) -> Outcome {
        // The account and the journal are committed together, so an order without an outcome never
        // touched the account.
        Outcome::Rejected { reason: "the paper account has no such order".to_owned() }
    }

    fn checkpoint(&self) -> Option<String> {
        serde_json::to_string(&self.account).ok()
    }
}
