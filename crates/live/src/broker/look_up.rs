//! What became of an order: evidence is collected until it proves one outcome.

use super::LiveBroker;
use super::books::{Balances, fault, total};
use super::evidence::{Pending, Settled};
use super::matching::{distinct, executed, is_another, is_by_cost, mismatch};
use super::place::{Booked, unknown};
use crate::time::milliseconds;
use keel_core::amount::Qty;
use keel_core::order::{ClientOrderId, Fill, Intent, Outcome, Side};
use keel_core::time::Timestamp;
use keel_venues::api::{
    ApiError, ExchangeApi, OrderState, OrderStatus, OwnTrade, Reference, Refusal,
};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Clocks may differ by this much before the fence.
const SKEW_MS: i64 = 2000;
/// What a venue's own queue may hold an order for, after its validity was checked.
const MARGIN_MS: i64 = 10_000;
/// Look-ups by id that must find nothing.
const ABSENT: u32 = 3;
/// The same when the balances from before the order are not known, as after a crash.
const ABSENT_WITHOUT_BALANCES: u32 = 6;
/// Look-ups by id that must find nothing before a contradiction goes to the operator: venues that lag
/// behind catch up until then.
const CONTRADICTED: u32 = 10;
/// An order older than this whose balances are not known may have left the venue's history.
const HISTORY_MS: i64 = 48 * 3_600_000;
/// Orders that are asked for one by one in a look-up, because no list names them.
const ASKED_MAX: usize = 20;
/// Lists are asked from this long before the order, because clocks differ.
const LIST_OVERLAP_MS: i64 = 120_000;
/// An order may be so much older than a clock said that was set since.
const SET_SINCE_MS: i64 = 86_400_000;

/// What an order's evidence says.
#[derive(Debug)]
pub(super) enum Verdict {
    Known(Outcome),
    /// Not yet; the reason.
    Waits(String),
    /// The sources disagree.
    Quarantine(String),
}

/// What a venue shows of an order.
enum Sighting {
    Order(Box<OrderState>),
    /// Its executions, but not the order.
    Trades(Vec<OwnTrade>),
    /// Nothing anywhere.
    Nothing,
    /// Something that may be it.
    Doubtful(String),
}

/// Why the executions of an order that is over are not known.
enum Gap {
    /// They could not be read.
    Unread(String),
    /// What is shown cannot be all, or not all of it right.
    Unclear(String, Vec<Fill>),
}

impl LiveBroker {
    pub(super) async fn look_up_when_due(&mut self, intent: &Intent) -> Outcome {
        let now_ms = self.time.monotonic_ms();
        // After a restart: it left before now, whatever the clock said when it was written down.
        let mut new = self.new_pending(intent, self.time.now());
        new.is_rebuilt = true;
        let pending = self.pending.entry(intent.id.clone()).or_insert(new);
        if let Some(cause) = &pending.quarantine {
            return unknown(format!("quarantined: {cause}"));
        }
        if now_ms < pending.next_ms {
            return unknown(format!("{}; looked up again at {}", pending.cause, pending.next_at));
        }
        self.look_up_now(intent, Booked::Found).await
    }

    pub(super) async fn look_up_now(&mut self, intent: &Intent, when: Booked) -> Outcome {
        let api = match self.api(&intent.order.venue) {
            Ok(api) => api,
            Err(error) => return unknown(error.to_string()),
        };
        let (now, now_ms) = (self.time.now(), self.time.monotonic_ms());
        if let Some(pending) = self.pending.get_mut(&intent.id) {
            pending.begin_look_up(now, now_ms);
        }
        // What is read from here on may be as old as this moment by the time it has been read.
        let is_past_fence = self.is_past_fence(intent, &api);
        let verdict = match self.find(intent, &api).await {
            Err(ApiError::Refused { refusal: Refusal::Market, message, .. }) => {
                self.count_absence(intent);
                let cause = format!("the venue has no such market any more: {message}");
                self.conclude_doubtful(intent, &api, cause, is_past_fence).await
            }
            Err(error) => Verdict::Waits(format!("the look-up got no answer: {error}")),
            Ok(Sighting::Order(state)) => self.conclude(intent, &api, *state).await,
            Ok(Sighting::Trades(trades)) => {
                self.conclude_from_trades(intent, &api, trades, is_past_fence).await
            }
            Ok(Sighting::Doubtful(cause)) => {
                self.conclude_doubtful(intent, &api, cause, is_past_fence).await
            }
            Ok(Sighting::Nothing) => self.conclude_absent(intent, &api, is_past_fence).await,
        };
        let verdict = match verdict {
            // The operator may have looked before the venue can have shown everything.
            Verdict::Known(_) if self.is_released(intent) && !is_past_fence => {
                let fence = self.fence(intent, &api);
                Verdict::Waits(format!("what the venue shows after {fence} will count"))
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Known(outcome) => self.settle(intent, outcome, when),
            Verdict::Waits(cause) => {
                if let Some(pending) = self.pending.get_mut(&intent.id) {
                    pending.cause.clone_from(&cause);
                }
                unknown(cause)
            }
            Verdict::Quarantine(cause) => self.quarantine(intent, cause),
        }
    }

    /// Asks for the order by the venue's name, then by ours, then in the lists.
    async fn find(
        &mut self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
    ) -> Result<Sighting, ApiError> {
        let symbol = &intent.order.symbol;
        let wire_id = api.wire_id(&intent.id);
        let known = self.pending.get(&intent.id).and_then(|p| p.venue_order_id.clone());
        // Another order under this id is for the operator, and after their word it is in nobody's way.
        let is_released = self.is_released(intent);
        let counts =
            |state: &OrderState| !is_released || is_another(intent, &wire_id, state).is_none();
        let by_name = known.as_deref().map(Reference::Venue);
        for reference in by_name.into_iter().chain([Reference::Client(&intent.id)]) {
            if let Some(state) = present(api.order(symbol, reference).await)?.filter(counts) {
                return Ok(Sighting::Order(Box::new(state)));
            }
        }
        self.count_absence(intent);
        let since = self.not_before(intent).plus_ms(-LIST_OVERLAP_MS);
        let mut listed = api.open_orders(Some(symbol)).await?;
        listed.extend(api.closed_orders(symbol, since).await?);
        if let Some(at) = listed.iter().position(|order| {
            (order.client_id == wire_id || known.as_deref() == Some(&*order.venue_order_id))
                && counts(order)
        }) {
            return Ok(Sighting::Order(Box::new(listed.swap_remove(at))));
        }
        let trades = api.own_trades(symbol, since).await?;
        let (mut ours, others): (Vec<OwnTrade>, Vec<OwnTrade>) =
            trades.into_iter().partition(|trade| {
                trade.client_id.as_deref() == Some(&*wire_id)
                    || known.as_deref() == Some(&*trade.venue_order_id)
            });
        ours.retain(|trade| !is_released || trade.side == intent.order.side);
        if !ours.is_empty() {
            return Ok(Sighting::Trades(ours));
        }
        self.unexplained_trade(intent, api, &wire_id, &listed, others).await
    }

    fn count_absence(&mut self, intent: &Intent) {
        let now_ms = self.time.monotonic_ms();
        if let Some(pending) = self.pending.get_mut(&intent.id) {
            pending.absent.add(now_ms);
        }
    }

    /// Executions whose order is not named may be those of the order that is looked for. Each order is
    /// asked for once, and not all of them in one look-up.
    async fn unexplained_trade(
        &mut self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
        wire_id: &str,
        listed: &[OrderState],
        trades: Vec<OwnTrade>,
    ) -> Result<Sighting, ApiError> {
        let named: BTreeSet<&str> = listed
            .iter()
            .filter(|order| !order.client_id.is_empty())
            .map(|order| order.venue_order_id.as_str())
            .collect();
        let mut asked = 0;
        for trade in trades {
            let order = trade.venue_order_id;
            let is_other = |known: &Pending| known.others.contains(&order);
            if trade.client_id.is_some()
                || named.contains(order.as_str())
                || trade.side != intent.order.side
                || self.pending.get(&intent.id).is_some_and(is_other)
                || self.booked_for(intent, &trade.fill.trade_id).is_some()
            {
                continue;
            }
            if asked == ASKED_MAX {
                return Ok(Sighting::Doubtful(format!(
                    "there are executions of more than {ASKED_MAX} orders without an id of ours; \
                     the next look-up goes on with them"
                )));
            }
            asked += 1;
            match present(api.order(&intent.order.symbol, Reference::Venue(&order)).await)? {
                Some(state) if state.client_id == wire_id => {
                    return Ok(Sighting::Order(Box::new(state)));
                }
                Some(_) => {
                    if let Some(pending) = self.pending.get_mut(&intent.id) {
                        pending.others.insert(order);
                    }
                }
                None => {
                    return Ok(Sighting::Doubtful(format!(
                        "execution {} belongs to an order that the venue does not show",
                        trade.fill.trade_id
                    )));
                }
            }
        }
        Ok(Sighting::Nothing)
    }

    /// What an order that the venue shows means for the intent.
    pub(super) async fn conclude(
        &mut self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
        state: OrderState,
    ) -> Verdict {
        let (offset_ms, is_rebuilt) = self
            .pending
            .get(&intent.id)
            .map_or((0, false), |known| (known.offset_ms, known.is_rebuilt));
        let wire_id = api.wire_id(&intent.id);
        let made = self.not_before(intent)..=self.fence(intent, api).plus_ms(offset_ms);
        // Where nobody knows how the clocks stood, 128 bits say more than a time.
        let made = (!is_rebuilt || state.client_id != wire_id).then_some(made);
        let is_released = self.is_released(intent);
        let cause = is_another(intent, &wire_id, &state)
            .or_else(|| mismatch(intent, &state, made).filter(|_| !is_released));
        if let Some(cause) = cause {
            return Verdict::Quarantine(format!(
                "the venue shows order {} for this id, but {cause}",
                state.venue_order_id
            ));
        }
        if let Some(pending) = self.pending.get_mut(&intent.id) {
            pending.seen(&state.venue_order_id);
        }
        if state.status == OrderStatus::Open {
            return Verdict::Waits("accepted, and not over yet".to_owned());
        }
        if state.status == OrderStatus::Rejected && !state.executed.is_positive() {
            return Verdict::Known(Outcome::Rejected {
                reason: format!(
                    "the venue refused order {} after it had acknowledged it",
                    state.venue_order_id
                ),
            });
        }
        match self.fills_of(intent, api, &state).await {
            Err(Gap::Unread(cause)) => Verdict::Waits(cause),
            Err(Gap::Unclear(cause, shown)) => self.unclear(intent, cause, shown),
            // The base amount of an order by cost follows from the price.
            Ok(fills) => {
                let is_filled = state.status == OrderStatus::Filled && state.amount.is_none();
                self.known(intent, fills, is_filled)
            }
        }
    }

    /// What contradicts itself is waited for, since venues lag behind, and then for the operator to
    /// decide. After their word `shown` counts, when as many look-ups as an absence needs found no more.
    fn unclear(&mut self, intent: &Intent, cause: String, shown: Vec<Fill>) -> Verdict {
        let now_ms = self.time.monotonic_ms();
        let Some(pending) = self.pending.get_mut(&intent.id) else { return Verdict::Waits(cause) };
        pending.unclear.add(now_ms);
        match (pending.is_released, pending.unclear.count) {
            (false, count) if count >= CONTRADICTED => Verdict::Quarantine(cause),
            (true, count) if count >= ABSENT_WITHOUT_BALANCES => self.known(intent, shown, false),
            _ => Verdict::Waits(cause),
        }
    }

    fn is_released(&self, intent: &Intent) -> bool {
        self.pending.get(&intent.id).is_some_and(|pending| pending.is_released)
    }

    /// The outcome of an order that is over, from its complete executions. What is booked for another
    /// order is not booked again, whoever it belongs to.
    fn known(&self, intent: &Intent, mut fills: Vec<Fill>, is_filled: bool) -> Verdict {
        let booked = fills.iter().find_map(|fill| {
            let (trade, other) = (&fill.trade_id, self.booked_for(intent, &fill.trade_id)?);
            Some(format!("execution {trade} of this order is already booked for order {other}"))
        });
        match booked {
            Some(cause) if !self.is_released(intent) => return Verdict::Quarantine(cause),
            Some(_) => fills.retain(|fill| self.booked_for(intent, &fill.trade_id).is_none()),
            None if is_filled => return Verdict::Known(Outcome::Filled { fills }),
            None => {}
        }
        Verdict::Known(if executed(&fills) >= intent.order.amount {
            Outcome::Filled { fills }
        } else {
            Outcome::Partial { fills }
        })
    }

    /// The other order of ours for which an execution is booked.
    fn booked_for(&self, intent: &Intent, trade_id: &str) -> Option<&ClientOrderId> {
        let order = &intent.order;
        let claims = |(id, settled): &(&ClientOrderId, &Settled)| {
            **id != intent.id
                && settled.venue == order.venue
                && settled.symbol == order.symbol
                && settled.trades.contains(trade_id)
        };
        self.settled.iter().find(claims).map(|(id, _)| id)
    }

    /// The executions of an order, once they add up to what the order says.
    async fn fills_of(
        &self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
        state: &OrderState,
    ) -> Result<Vec<Fill>, Gap> {
        let is_hollow = state.status == OrderStatus::Filled && !state.executed.is_positive();
        let is_all = |fills: &[Fill]| !is_hollow && executed(fills) == state.executed;
        if let (listed, None) = distinct(state.fills.iter().cloned())
            && is_all(&listed)
        {
            return Ok(listed);
        }
        let trades = api
            .order_trades(&intent.order.symbol, &state.venue_order_id)
            .await
            .map_err(|error| Gap::Unread(format!("its executions could not be read: {error}")))?;
        let trades = trades
            .into_iter()
            .filter(|trade| trade.venue_order_id == state.venue_order_id)
            .map(|trade| trade.fill);
        let (fills, fault) = distinct(trades);
        if fault.is_none() && is_all(&fills) {
            return Ok(fills);
        }
        let sum = executed(&fills);
        let (shown, differ) = distinct(fills.into_iter().chain(state.fills.iter().cloned()));
        let cause = fault.or(differ).unwrap_or_else(|| {
            if is_hollow {
                "called filled, yet without an executed amount".to_owned()
            } else {
                let all = state.executed;
                format!("{all} were executed, and the executions shown add up to {sum}")
            }
        });
        Err(Gap::Unclear(cause, shown))
    }

    /// The order itself is gone from the venue's memory, its executions are there.
    async fn conclude_from_trades(
        &mut self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
        trades: Vec<OwnTrade>,
        is_past_fence: bool,
    ) -> Verdict {
        let order = &intent.order;
        let venue_ids: BTreeSet<&String> =
            trades.iter().map(|trade| &trade.venue_order_id).collect();
        let is_one = venue_ids.len() == 1 && trades.iter().all(|trade| trade.side == order.side);
        if let (Some(pending), Some(id), true) =
            (self.pending.get_mut(&intent.id), venue_ids.first(), is_one)
        {
            pending.seen(id);
        }
        let (fills, fault) = distinct(trades.into_iter().map(|trade| trade.fill));
        if !is_one {
            let cause = "executions of several orders carry this order's id".to_owned();
            return if self.is_released(intent) {
                self.unclear(intent, cause, fills)
            } else {
                Verdict::Quarantine(cause)
            };
        }
        if let Some(cause) = fault {
            return self.unclear(intent, cause, fills);
        }
        if !is_by_cost(api.facts(), intent) && executed(&fills) >= order.amount {
            return self.known(intent, fills, true);
        }
        if !is_past_fence {
            return Verdict::Waits("the venue shows executions, but not the order".to_owned());
        }
        let base_moved: Decimal = fills
            .iter()
            .flat_map(|fill| super::books::moves(&order.symbol, order.side, fill))
            .filter(|(ticker, _)| *ticker == order.symbol.base)
            .map(|(_, amount)| amount)
            .sum();
        match self.unexplained(intent, api).await {
            Err(cause) => Verdict::Waits(cause),
            Ok(Some((base, _))) if base == base_moved => self.known(intent, fills, false),
            Ok(_) => {
                let cause = "the venue shows a part of the executions, not the order, and the \
                             balances do not say that this is all";
                self.unclear(intent, cause.to_owned(), fills)
            }
        }
    }

    /// Something may be the order, or nobody can be asked: the operator looks, and then only what is
    /// found counts.
    async fn conclude_doubtful(
        &mut self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
        cause: String,
        is_past_fence: bool,
    ) -> Verdict {
        match self.pending.get(&intent.id) {
            Some(pending) if pending.is_released => {
                self.conclude_absent(intent, api, is_past_fence).await
            }
            Some(pending) if pending.absent.count >= CONTRADICTED => Verdict::Quarantine(cause),
            _ => Verdict::Waits(cause),
        }
    }

    /// Nothing was found anywhere. It was never accepted when that can no longer change and the
    /// balances agree.
    async fn conclude_absent(
        &mut self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
        is_past_fence: bool,
    ) -> Verdict {
        let Some(pending) = self.pending.get(&intent.id).cloned() else {
            return Verdict::Waits("not looked for yet".to_owned());
        };
        let now = self.time.now();
        let fence = self.fence(intent, api);
        if !is_past_fence {
            return Verdict::Waits(format!(
                "not found; the venue may still accept it until {fence}"
            ));
        }
        let contradiction = |cause: String| {
            if pending.absent.count < CONTRADICTED {
                Verdict::Waits(cause)
            } else {
                Verdict::Quarantine(cause)
            }
        };
        if pending.exists {
            return contradiction(
                "the venue acknowledged the order, and now shows neither it nor executions"
                    .to_owned(),
            );
        }
        let needed = if pending.before.is_some() { ABSENT } else { ABSENT_WITHOUT_BALANCES };
        if pending.absent.count < needed {
            return Verdict::Waits(format!(
                "not found in {} of {needed} look-ups after which it counts as absent",
                pending.absent.count
            ));
        }
        let is_old = now.since_ms(intent.created_at) > HISTORY_MS;
        if pending.before.is_none() && !pending.is_released && is_old {
            return Verdict::Quarantine(
                "not found, but it is so old that the venue may have forgotten it".to_owned(),
            );
        }
        match self.unexplained(intent, api).await {
            Err(cause) => Verdict::Waits(cause),
            Ok(Some(moved)) if looks_executed(intent, moved) => contradiction(format!(
                "the venue shows no such order, but {} {} moved without explanation",
                moved.0, intent.order.symbol.base
            )),
            Ok(moved) => Verdict::Known(Outcome::Rejected {
                reason: format!(
                    "never accepted: past {fence} not found by id in {} look-ups, nor among open \
                     and finished orders and own trades{}",
                    pending.absent.count,
                    if moved.is_some() { ", and the balances agree" } else { "" }
                ),
            }),
        }
    }

    /// Before this moment, by the venue's clock, the order was not sent. It is never in the future: what
    /// is asked for from there would not be shown.
    pub(super) fn not_before(&self, intent: &Intent) -> Timestamp {
        let now = self.venue_now(&intent.order.venue);
        let Some(pending) = self.pending.get(&intent.id) else { return intent.created_at.min(now) };
        let at = intent.created_at.plus_ms(pending.offset_ms).min(now);
        if pending.is_rebuilt { at.plus_ms(-SET_SINCE_MS) } else { at }
    }

    /// After this moment an order that is absent will not appear any more.
    fn fence(&self, intent: &Intent, api: &Arc<dyn ExchangeApi>) -> Timestamp {
        let sent_at = match self.pending.get(&intent.id) {
            Some(pending) if pending.is_rebuilt => pending.sent_at,
            Some(pending) => pending.sent_at.max(intent.created_at),
            None => self.started_at.max(intent.created_at),
        };
        sent_at.plus_ms(fence_ms(api))
    }

    fn is_past_fence(&self, intent: &Intent, api: &Arc<dyn ExchangeApi>) -> bool {
        self.pending.get(&intent.id).is_some_and(|pending| {
            self.time.monotonic_ms() - pending.counted_from_ms > fence_ms(api)
        })
    }

    /// What moved in base and quote since before the order, beyond what our fills explain. `None`
    /// when the balances from before are not known.
    async fn unexplained(
        &self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
    ) -> Result<Option<(Decimal, Decimal)>, String> {
        let Some(before) = self.pending.get(&intent.id).and_then(|p| p.before.clone()) else {
            return Ok(None);
        };
        let balances: Balances = api
            .balances()
            .await
            .map_err(|error| format!("not found, and the balances could not be read: {error}"))?;
        if let Some(cause) = fault(&balances) {
            return Err(format!("not found, and {cause}"));
        }
        let books = self.books();
        let account = books.accounts.get(&intent.order.venue).cloned().unwrap_or_default();
        drop(books);
        let moved = |ticker| {
            let get = |map: &std::collections::BTreeMap<_, Decimal>| {
                map.get(ticker).copied().unwrap_or_default()
            };
            let now = total(balances.get(ticker).copied().unwrap_or_default());
            let by_fills = get(&account.booked) - get(&before.booked);
            now - get(&before.totals) - by_fills
        };
        let symbol = &intent.order.symbol;
        Ok(Some((moved(&symbol.base), moved(&symbol.quote))))
    }
}

/// How long after sending an order can still appear.
fn fence_ms(api: &Arc<dyn ExchangeApi>) -> i64 {
    milliseconds(api.facts().validity) + SKEW_MS + MARGIN_MS
}

/// A look-up that says "no such order" in either way.
pub(super) fn present(
    answer: Result<Option<OrderState>, ApiError>,
) -> Result<Option<OrderState>, ApiError> {
    match answer {
        Err(ApiError::Refused { refusal: Refusal::NotFound, .. }) => Ok(None),
        other => other,
    }
}

/// Whether unexplained movements of base and quote look like an execution of the order. A deposit
/// or withdrawal moves one of them only, unless it happens to be of the order's own amount.
fn looks_executed(intent: &Intent, (base, quote): (Decimal, Decimal)) -> bool {
    let sign = match intent.order.side {
        Side::Buy => Decimal::ONE,
        Side::Sell => -Decimal::ONE,
    };
    let (base, quote) = (base * sign, -quote * sign);
    let five_percent = Decimal::new(5, 2);
    let amount = intent.order.amount;
    let near = |value: Decimal, of: Qty| (value - of.get()).abs() <= of.get() * five_percent;
    base > Decimal::ZERO && (quote > Decimal::ZERO || near(base, amount))
}
