//! Orders on their way out: each is judged, written down and sent before the next one is looked at.

use crate::amount::Price;
use crate::asset::{Ticker, VenueId};
use crate::cycle::{CycleOptions, World, write_checkpoint};
use crate::decision::Reason;
use crate::guard::Objection;
use crate::limits::{Limits, Tally, judge_depth};
use crate::order::{ClientOrderId, Intent, Outcome, PlannedOrder};
use crate::plan::{AssetView, Plan};
use crate::policy::Policy;
use crate::ports::{Broker, Clock, MarketData, PortError, Store, StoreError};
use crate::record::Execution;
use crate::state::State;
use crate::time::Timestamp;
use rust_decimal::Decimal;

/// The orders of one distribution, and what became of them.
pub(crate) struct Executor<'a> {
    policy: &'a Policy,
    options: &'a CycleOptions,
    assets: &'a [AssetView],
    now: Timestamp,
    tally: Tally,
    /// What was sent, in order.
    pub(crate) executions: Vec<Execution>,
    /// Orders that were not sent or not executed, and why.
    missed: Vec<(PlannedOrder, Reason)>,
}

impl<'a> Executor<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        options: &'a CycleOptions,
        assets: &'a [AssetView],
        plan: &Plan,
        state: &State,
        now: Timestamp,
    ) -> Self {
        Self {
            policy,
            options,
            assets,
            now,
            tally: Tally::new(plan.targets.total, state.day.on(now)),
            executions: Vec::new(),
            missed: Vec::new(),
        }
    }

    /// Sends the orders one after the other. Each must pass by what is true when its turn comes: an
    /// order before it may have taken long, ended unknown or used up a cap. Makes no other choices.
    pub(crate) async fn send<C: Clock, M: MarketData, B: Broker, S: Store>(
        &mut self,
        world: &mut World<'_, C, M, B, S>,
        state: &mut State,
        orders: &[PlannedOrder],
    ) -> Result<(), StoreError> {
        for order in orders {
            match self.judge(world, state, order).await {
                Ok(()) => self.place(world, state, order).await?,
                Err(reason) => self.missed.push((order.clone(), reason)),
            }
        }
        Ok(())
    }

    async fn judge<C: Clock, M: MarketData, B: Broker, S: Store>(
        &mut self,
        world: &World<'_, C, M, B, S>,
        state: &mut State,
        order: &PlannedOrder,
    ) -> Result<(), Reason> {
        let symbol = &order.symbol;
        if [&symbol.base, &symbol.quote]
            .into_iter()
            .any(|ticker| is_frozen(self.policy, state, &order.venue, ticker))
        {
            return Err(Reason::UnresolvedOrder);
        }
        if let Some(cause) = world.broker.closed(&order.venue) {
            return Err(Reason::ExchangeClosed { cause });
        }
        let limits = &self.policy.settings.limits;
        judge_book(world.market, order, self.assets, limits).await?;
        self.tally.take(order.value, limits)?;
        state.day = self.tally.day;
        Ok(())
    }

    /// Writes the intent down, then sends it.
    async fn place<C: Clock, M: MarketData, B: Broker, S: Store>(
        &mut self,
        world: &mut World<'_, C, M, B, S>,
        state: &mut State,
        order: &PlannedOrder,
    ) -> Result<(), StoreError> {
        let leg = u32::try_from(self.executions.len()).unwrap_or(u32::MAX);
        let id = ClientOrderId::derive(&self.options.deployment, state.cycle, leg, 0);
        let intent = Intent {
            id: match self.options.tags.get(&order.venue) {
                Some(tag) => id.with_tag(tag),
                None => id,
            },
            cycle: state.cycle,
            leg,
            order: order.clone(),
            reference_price: reference_price(order, self.assets),
            created_at: self.now,
        };
        world.store.write_intents(std::slice::from_ref(&intent))?;
        let outcome = world.broker.place(&intent).await;
        world.store.write_outcome(&intent.id, &outcome, world.clock.now())?;
        write_checkpoint(world)?;
        match &outcome {
            Outcome::Filled { .. } | Outcome::Partial { .. } => {}
            Outcome::Rejected { reason } => {
                let reason = Reason::OrderRejected { reason: reason.clone() };
                self.missed.push((order.clone(), reason));
            }
            Outcome::Unknown { .. } => {
                state.unresolved.push(intent.clone());
                self.missed.push((order.clone(), Reason::UnresolvedOrder));
            }
        }
        self.executions.push(Execution { intent, outcome });
        Ok(())
    }

    /// Nothing of a refused plan is sent.
    pub(crate) fn refuse(
        &mut self,
        orders: &[PlannedOrder],
        objections: &[Objection],
        notes: &mut Vec<String>,
    ) {
        let first = objections.first().map_or_else(String::new, ToString::to_string);
        for objection in objections {
            notes.push(format!("the guard refused the plan: {objection}"));
        }
        let reason = Reason::GuardRefused { objection: first };
        self.missed.extend(orders.iter().map(|order| (order.clone(), reason.clone())));
    }

    /// Says of the assets of every missed order why it was missed.
    pub(crate) fn explain(&self, reasons: &mut [Option<Reason>]) {
        for (order, reason) in &self.missed {
            for (asset, slot) in self.assets.iter().zip(&mut *reasons) {
                if concerns(order, asset) {
                    *slot = Some(reason.clone());
                }
            }
        }
    }
}

/// Whether the book of its market holds an order now.
pub(crate) async fn judge_book<M: MarketData>(
    market: &M,
    order: &PlannedOrder,
    assets: &[AssetView],
    limits: &Limits,
) -> Result<(), Reason> {
    let depth = market
        .depth(&order.venue, &order.symbol, order.amount)
        .await
        .map_err(|PortError(cause)| Reason::ExchangeUnavailable { cause })?;
    judge_depth(order, &depth, reference_price(order, assets), limits)
}

/// Whether an order with an unknown outcome touches the asset. The stablecoin is never frozen: what
/// an order takes of it shows in the balances that the next one is sized by.
pub(crate) fn is_frozen(policy: &Policy, state: &State, venue: &VenueId, ticker: &Ticker) -> bool {
    *ticker != policy.stablecoin
        && state.unresolved.iter().any(|intent| {
            let order = &intent.order;
            order.venue == *venue && (order.symbol.base == *ticker || order.symbol.quote == *ticker)
        })
}

pub(crate) fn concerns(order: &PlannedOrder, asset: &AssetView) -> bool {
    order.symbol.base == asset.ticker || order.symbol.quote == asset.ticker
}

/// Quote per base, from the prices the plan was made with.
fn reference_price(order: &PlannedOrder, assets: &[AssetView]) -> Price {
    let price = |ticker: &Ticker| {
        assets.iter().find(|asset| asset.ticker == *ticker).map(|asset| asset.price.get())
    };
    let base = price(&order.symbol.base).unwrap_or_default();
    let quote = price(&order.symbol.quote).unwrap_or(Decimal::ONE);
    Price::new(base.checked_div(quote).unwrap_or_default())
}
