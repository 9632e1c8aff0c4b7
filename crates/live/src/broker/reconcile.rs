//! Compares what the venues show with what we know: late executions, foreign orders, another
//! instance of ourselves.

use super::LiveBroker;
use super::evidence::Settled;
use super::look_up::present;
use super::place::Booked;
use crate::renew;
use crate::time::clock_offset_ms;
use keel_core::asset::{Symbol, VenueId};
use keel_core::order::ClientOrderId;
use keel_core::time::Timestamp;
use keel_venues::api::{
    ApiError, ExchangeApi, OrderState, OrderStatus, OwnTrade, Reference, Refusal,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Executions may show up this much later than their own time says.
const OVERLAP_MS: i64 = 300_000;
/// How far back the first look goes when there is no mark: the executions of a lost journal. A little less
/// than the day that Binance lists in one question; beyond it three are needed for each market.
const FIRST_LOOK_MS: i64 = 86_400_000 - 600_000;
/// How far back any look goes: the journal's ids are known for longer than this.
const LONGEST_LOOK_MS: i64 = 7 * 86_400_000;
/// Markets with an own order within this time are read every time.
const ACTIVE_MS: i64 = 3_600_000;
/// Of the others, so many in turn.
const IN_TURN: usize = 5;
/// Orders that are asked for one by one, because no list names them, in one pass.
const ASKED_MAX: usize = 20;
/// So long after an execution a venue may not show its order yet.
const NAME_LAG_MS: i64 = 600_000;
/// Orders leave so long after the last comparison: later a second instance could go unseen.
const COMPARED_MS_MAX: i64 = 5 * 60_000;
/// Remembered names of orders, at most.
const NAMES_MAX: usize = 10_000;

/// Until when the executions of each market were read.
pub(super) type Marks = BTreeMap<VenueId, BTreeMap<Symbol, Timestamp>>;

/// What is remembered between two passes.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) marks: Marks,
    /// When each venue was last compared, in time that really passed.
    compared_ms: BTreeMap<VenueId, i64>,
    /// Why the last comparison failed, where it did.
    failed: BTreeMap<VenueId, String>,
    /// How far the venues' clocks are ahead of ours, milliseconds.
    offsets_ms: BTreeMap<VenueId, i64>,
    /// Client ids of the venue's orders; empty for an order without one.
    names: BTreeMap<(VenueId, String), String>,
    /// Foreign orders and executions that were already said.
    said: BTreeSet<(VenueId, String)>,
    /// Venues that are not compared for now.
    left_out: BTreeSet<VenueId>,
    turn: usize,
}

impl Watch {
    pub(super) fn is_reconciled(&self, venue: &VenueId) -> bool {
        self.compared_ms.contains_key(venue)
    }

    /// Why the venue is not traded, if its last comparison is missing or too long ago.
    pub(super) fn overdue(&self, venue: &VenueId, now_ms: i64) -> Option<String> {
        let Some(at_ms) = self.compared_ms.get(venue) else {
            return Some(format!("the account at {venue} was not reconciled since the start"));
        };
        let cause = self.failed.get(venue).map(|cause| format!(": {cause}")).unwrap_or_default();
        (now_ms - at_ms > COMPARED_MS_MAX).then(|| {
            format!(
                "the account at {venue} was not compared with the exchange for more than \
                 {} minutes{cause}",
                COMPARED_MS_MAX / 60_000
            )
        })
    }

    /// Keeps why a venue could not be read, and gives the words for it.
    fn fail(&mut self, venue: &VenueId, cause: String) -> String {
        let known = self.failed.entry(venue.clone()).or_default();
        renew(known, cause);
        known.clone()
    }

    pub(super) fn offset_ms(&self, venue: &VenueId) -> i64 {
        self.offsets_ms.get(venue).copied().unwrap_or(0)
    }

    /// The executions of a market are read again from that moment on.
    pub(super) fn rewind(&mut self, venue: &VenueId, symbol: &Symbol, to: Timestamp) {
        if let Some(mark) = self.marks.get_mut(venue).and_then(|marks| marks.get_mut(symbol)) {
            *mark = to.min(*mark);
        }
    }
}

/// What a pass found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Venues at which nothing is sent now, and why.
    pub halted: BTreeMap<VenueId, String>,
    /// Venues that could not be read, and why; the others go on.
    pub unread: BTreeMap<VenueId, String>,
}

/// What one venue shows.
struct View {
    open: Vec<OrderState>,
    trades: BTreeMap<Symbol, Vec<OwnTrade>>,
    /// Client ids by the venue's order id.
    names: BTreeMap<String, String>,
    /// Markets that the venue does not have any more.
    gone: Vec<Symbol>,
}

/// Whose order it is; with the 32 digits of its id, or as many as the venue keeps.
enum Owner {
    Foreign,
    /// The journal has it, under whatever tag it was sent.
    Ours(String),
    /// It was sent with our key, and the journal does not have it.
    Stray(String),
}

impl LiveBroker {
    /// Reads open orders and executions of every venue and compares them with what is known.
    /// `known_ids` are the ids of the journal's orders of the last eight days at least. To be called at start, before anything
    /// is sent, and every minute. One venue that does not answer does not keep the others.
    pub async fn reconcile(
        &mut self,
        known_ids: &BTreeSet<String>,
        now: Timestamp,
    ) -> Reconciliation {
        let mut result = Reconciliation::default();
        let mut venues = self.measure_clocks(&mut result).await;
        venues.retain(|venue| !self.watch.left_out.contains(venue));
        let wanted: Vec<Vec<(Symbol, Timestamp)>> =
            venues.iter().map(|venue| self.due(venue, now)).collect();
        self.watch.turn = self.watch.turn.wrapping_add(IN_TURN);
        let this = &*self;
        let views = futures_util::future::join_all(
            venues.iter().zip(&wanted).map(|(venue, wanted)| this.view(venue, wanted)),
        )
        .await;
        for ((venue, view), wanted) in venues.into_iter().zip(views).zip(wanted) {
            match view {
                Err(error) => {
                    result.unread.insert(venue, error.to_string());
                }
                Ok(view) => {
                    let expected = wanted.len() - view.gone.len();
                    let complete = self.compare(&venue, view, known_ids);
                    if complete.len() == expected && self.is_traded_elsewhere(&venue) {
                        // What was traded is known now. From here on it would be something new.
                        drop(self.read_balances(&venue).await);
                        if let Some(account) = self.books().accounts.get_mut(&venue) {
                            account.traded_elsewhere = false;
                        }
                    }
                    let now = now.plus_ms(self.offset_ms(&venue));
                    let marks = self.watch.marks.entry(venue.clone()).or_default();
                    marks.extend(complete.into_iter().map(|symbol| (symbol, now)));
                    self.forget_old(&venue);
                    self.watch.failed.remove(&venue);
                    self.watch.compared_ms.insert(venue, self.time.monotonic_ms());
                }
            }
        }
        for (venue, cause) in &mut result.unread {
            *cause = self.watch.fail(venue, std::mem::take(cause));
        }
        result.notes = self.take_notes();
        result.halted = self.halted.clone();
        result
    }

    /// Whether an account waits for a comparison before anything else is sent to its venue.
    #[must_use]
    pub fn wants_comparison(&self) -> bool {
        self.books().accounts.values().any(|account| account.traded_elsewhere)
    }

    pub(super) fn is_traded_elsewhere(&self, venue: &VenueId) -> bool {
        self.books().accounts.get(venue).is_some_and(|account| account.traded_elsewhere)
    }

    /// Leaves these venues out of the comparison from now on, and no others: they reject the key.
    pub fn leave_out(&mut self, venues: BTreeSet<VenueId>) {
        self.watch.left_out = venues;
    }

    /// Reads the venues' clocks, since everything they show is dated by them. Returns the venues
    /// that answered.
    async fn measure_clocks(&mut self, result: &mut Reconciliation) -> Vec<VenueId> {
        let time = &*self.time;
        let answers =
            futures_util::future::join_all(self.venues.iter().map(|(venue, api)| async move {
                (venue.clone(), clock_offset_ms(&**api, time).await)
            }))
            .await;
        let mut venues = Vec::new();
        for (venue, answer) in answers {
            match answer {
                Ok(offset_ms) => {
                    self.watch.offsets_ms.insert(venue.clone(), offset_ms);
                    venues.push(venue);
                }
                Err(error) => {
                    result.unread.insert(venue, error.to_string());
                }
            }
        }
        venues
    }

    /// The markets to read, and since when by the venue's clock: all at first and when somebody else
    /// traded, otherwise those with orders of ours and some of the others in turn.
    fn due(&self, venue: &VenueId, now: Timestamp) -> Vec<(Symbol, Timestamp)> {
        let Some(markets) = self.markets.get(venue) else { return Vec::new() };
        let marks = self.watch.marks.get(venue);
        let is_all = !self.watch.is_reconciled(venue) || self.is_traded_elsewhere(venue);
        let now = now.plus_ms(self.offset_ms(venue));
        let active: BTreeSet<&Symbol> = self
            .settled
            .values()
            .filter(|settled| settled.venue == *venue && now.since_ms(settled.at) < ACTIVE_MS)
            .map(|settled| &settled.symbol)
            .collect();
        let count = markets.len().max(1);
        let in_turn: BTreeSet<usize> =
            (0..IN_TURN).map(|i| (self.watch.turn.wrapping_add(i)) % count).collect();
        markets
            .iter()
            .enumerate()
            .filter(|(i, symbol)| is_all || active.contains(symbol) || in_turn.contains(i))
            .map(|(_, symbol)| {
                let mark = marks.and_then(|marks| marks.get(symbol));
                let since =
                    mark.map_or(now.plus_ms(-FIRST_LOOK_MS), |mark| mark.plus_ms(-OVERLAP_MS));
                (symbol.clone(), since.max(now.plus_ms(-LONGEST_LOOK_MS)))
            })
            .collect()
    }

    async fn view(
        &self,
        venue: &VenueId,
        wanted: &[(Symbol, Timestamp)],
    ) -> Result<View, ApiError> {
        let api = self.api(venue).map_err(|error| ApiError::NotSent(error.to_string()))?;
        let mut open = open_orders(&api, wanted).await?;
        self.drop_over(&api, &mut open).await?;
        let mut names: BTreeMap<String, String> = open
            .iter()
            .map(|order| (order.venue_order_id.clone(), order.client_id.clone()))
            .collect();
        let mut trades = api.own_trades_in(wanted).await?;
        let mut gone = Vec::new();
        let mut asked = 0;
        for (symbol, since) in wanted {
            let Some(found) = trades.get(symbol) else {
                gone.push(symbol.clone());
                continue;
            };
            let named =
                self.name_orders(venue, &api, symbol, *since, found, &mut names, &mut asked).await;
            match named {
                // Nothing is executed there any more, and the others must go on.
                Err(ApiError::Refused { refusal: Refusal::Market, .. }) => {
                    gone.push(symbol.clone());
                    trades.remove(symbol);
                }
                answer => answer?,
            }
        }
        Ok(View { open, trades, names, gone })
    }

    /// A list may lag behind: an order that we know to be over is open only when the order itself says
    /// so, too. One that was called rejected should not be there at all.
    async fn drop_over(
        &self,
        api: &Arc<dyn ExchangeApi>,
        open: &mut Vec<OrderState>,
    ) -> Result<(), ApiError> {
        let mut over = BTreeSet::new();
        for order in &*open {
            let settled = digits_of(&order.client_id).and_then(|digits| self.settled_as(&digits));
            if settled.is_none_or(|(_, settled)| settled.was_rejected()) {
                continue;
            }
            let reference = Reference::Venue(&order.venue_order_id);
            let is_open = match present(api.order(&order.symbol, reference).await) {
                Err(ApiError::Refused { refusal: Refusal::Market, .. }) => false,
                answer => answer?.is_some_and(|state| state.status == OrderStatus::Open),
            };
            if !is_open {
                over.insert(order.venue_order_id.clone());
            }
        }
        open.retain(|order| !over.contains(&order.venue_order_id));
        Ok(())
    }

    /// The settled order of that id, of which the venue may keep a part only.
    fn settled_as(&self, digits: &str) -> Option<(&ClientOrderId, &Settled)> {
        self.settled.iter().find(|(id, _)| id.as_str().starts_with(digits))
    }

    /// Finds the client ids of executions that do not carry them.
    #[expect(clippy::too_many_arguments, reason = "one pass over one market, with its counters")]
    async fn name_orders(
        &self,
        venue: &VenueId,
        api: &Arc<dyn ExchangeApi>,
        symbol: &Symbol,
        since: Timestamp,
        trades: &[OwnTrade],
        names: &mut BTreeMap<String, String>,
        asked: &mut usize,
    ) -> Result<(), ApiError> {
        let nameless = |names: &BTreeMap<String, String>, trade: &OwnTrade| {
            trade.client_id.is_none()
                && !names.contains_key(&trade.venue_order_id)
                && !self.watch.names.contains_key(&(venue.clone(), trade.venue_order_id.clone()))
        };
        if !trades.iter().any(|trade| nameless(names, trade)) {
            return Ok(());
        }
        for order in api.closed_orders(symbol, since).await? {
            names.insert(order.venue_order_id, order.client_id);
        }
        for trade in trades {
            if nameless(names, trade) && *asked < ASKED_MAX {
                *asked += 1;
                let reference = Reference::Venue(&trade.venue_order_id);
                let found = present(api.order(symbol, reference).await)?;
                if found.is_some() || self.venue_now(venue).since_ms(trade.fill.at) > NAME_LAG_MS {
                    let name = found.map(|order| order.client_id).unwrap_or_default();
                    names.insert(trade.venue_order_id.clone(), name);
                }
            }
        }
        Ok(())
    }

    /// Returns the markets whose executions could all be told apart.
    fn compare(
        &mut self,
        venue: &VenueId,
        view: View,
        known_ids: &BTreeSet<String>,
    ) -> Vec<Symbol> {
        if self.watch.names.len() > NAMES_MAX {
            self.watch.names.clear();
        }
        if self.watch.said.len() > NAMES_MAX {
            self.watch.said.clear();
        }
        for (order, name) in view.names {
            self.watch.names.insert((venue.clone(), order), name);
        }
        for symbol in view.gone {
            if self.watch.said.insert((venue.clone(), symbol.to_string())) {
                self.notes.push(format!("{venue}: there is no market {symbol} any more"));
            }
        }
        for order in view.open {
            self.compare_open(venue, &order, known_ids);
        }
        let mut complete = Vec::new();
        for (symbol, trades) in view.trades {
            let mut all_named = true;
            for trade in trades {
                let name = trade.client_id.clone().or_else(|| {
                    self.watch.names.get(&(venue.clone(), trade.venue_order_id.clone())).cloned()
                });
                match name {
                    Some(name) => self.compare_trade(venue, &symbol, &trade, &name, known_ids),
                    None => all_named = false,
                }
            }
            if all_named {
                complete.push(symbol);
            }
        }
        complete
    }

    fn owner(&self, venue: &VenueId, client_id: &str, known_ids: &BTreeSet<String>) -> Owner {
        let Some(digits) = digits_of(client_id) else { return Owner::Foreign };
        let is_tagged = || self.tags.get(venue).is_some_and(|tag| digits.starts_with(tag.as_str()));
        if self.is_known(&digits, known_ids) {
            Owner::Ours(digits)
        } else if is_tagged() {
            Owner::Stray(digits)
        } else {
            Owner::Foreign
        }
    }

    fn is_known(&self, digits: &str, known_ids: &BTreeSet<String>) -> bool {
        let starts = |id: &str| id.starts_with(digits);
        known_ids.range(digits.to_owned()..).next().is_some_and(|id| starts(id))
            || self.pending.keys().chain(self.settled.keys()).any(|id| starts(id.as_str()))
    }

    fn compare_open(&mut self, venue: &VenueId, order: &OrderState, known_ids: &BTreeSet<String>) {
        let name = &order.venue_order_id;
        match self.owner(venue, &order.client_id, known_ids) {
            Owner::Foreign => {
                let watched =
                    self.markets.get(venue).is_some_and(|known| known.contains(&order.symbol));
                if watched && self.watch.said.insert((venue.clone(), name.clone())) {
                    self.notes.push(format!(
                        "{venue}: order {name} in {} is not ours; what it locks is left alone",
                        order.symbol
                    ));
                }
            }
            Owner::Stray(digits) => {
                self.second_instance(venue, name, &digits, order.created_at);
            }
            Owner::Ours(digits) => {
                let was = self.settled_as(&digits).map(|(id, known)| (id, &known.outcome));
                if let Some((id, outcome)) = was {
                    let reason = format!("order {id} was {outcome} and is open at the venue");
                    self.halt(venue, reason);
                }
            }
        }
    }

    fn compare_trade(
        &mut self,
        venue: &VenueId,
        symbol: &Symbol,
        trade: &OwnTrade,
        name: &str,
        known_ids: &BTreeSet<String>,
    ) {
        let digits = match self.owner(venue, name, known_ids) {
            Owner::Ours(digits) => digits,
            Owner::Stray(digits) => {
                self.second_instance(venue, &trade.venue_order_id, &digits, Some(trade.fill.at));
                return;
            }
            Owner::Foreign => {
                let order = (venue.clone(), trade.venue_order_id.clone());
                let started_at = self.started_at.plus_ms(self.offset_ms(venue));
                if trade.fill.at >= started_at && self.watch.said.insert(order) {
                    self.notes.push(format!(
                        "{venue}: {} {} {symbol} was executed for order {}, which is not ours",
                        trade.side, trade.fill.amount, trade.venue_order_id
                    ));
                }
                return;
            }
        };
        let settled = self.settled.iter_mut().find(|(id, _)| id.as_str().starts_with(&digits));
        // Without an entry it is looked up, or it was settled before this process and too long ago for
        // the checkpoint: its executions are in the journal.
        if let Some((id, settled)) = settled
            && settled.trades.insert(trade.fill.trade_id.clone())
        {
            if settled.symbol != *symbol || settled.side.is_some_and(|side| side != trade.side) {
                let reason = format!(
                    "execution {} of a {} of {} {symbol} carries the id of order {id}, which was \
                     another one",
                    trade.fill.trade_id, trade.side, trade.fill.amount
                );
                self.halt(venue, reason);
                return;
            }
            let reason = format!(
                "late fill: execution {} of {} {} came after order {id} was {}",
                trade.fill.trade_id, trade.fill.amount, symbol.base, settled.outcome
            );
            self.late.push((id.clone(), trade.fill.clone()));
            self.book(venue, symbol, trade.side, &trade.fill, Booked::Found);
            self.halt(venue, reason);
        }
    }

    /// `at` is when it was made or executed, by the venue's clock.
    fn second_instance(
        &mut self,
        venue: &VenueId,
        order: &str,
        digits: &str,
        at: Option<Timestamp>,
    ) {
        let reason = format!(
            "second instance or lost journal: order {order} at {venue} was sent with our key as \
             {digits}, which the journal does not know"
        );
        let at = at.map(|at| at.plus_ms(-self.offset_ms(venue)));
        // The other instance trades the whole portfolio, not one venue of it.
        let venues: Vec<VenueId> = self.venues.keys().cloned().collect();
        for other in venues {
            let is_known = at.is_some_and(|at| {
                self.resumed_at.get(&other).is_some_and(|resumed_at| at <= *resumed_at)
            });
            if !is_known {
                self.add_reason(&other, &reason);
            }
        }
    }
}

/// The digits of an id that may be ours, without what venues add to them.
fn digits_of(client_id: &str) -> Option<String> {
    let digits: String = client_id
        .strip_prefix("t-")
        .unwrap_or(client_id)
        .chars()
        .filter(|character| *character != '-')
        .map(|character| character.to_ascii_lowercase())
        .collect();
    (digits.len() >= 16).then_some(digits)
}

/// Open orders of all markets, or of the wanted ones where the venue insists on a market.
async fn open_orders(
    api: &Arc<dyn ExchangeApi>,
    wanted: &[(Symbol, Timestamp)],
) -> Result<Vec<OrderState>, ApiError> {
    match api.open_orders(None).await {
        Err(ApiError::Refused { refusal: Refusal::Parameters, .. }) => {
            let mut open = Vec::new();
            for (symbol, _) in wanted {
                match api.open_orders(Some(symbol)).await {
                    Err(ApiError::Refused { refusal: Refusal::Market, .. }) => {}
                    answer => open.extend(answer?),
                }
            }
            Ok(open)
        }
        answer => answer,
    }
}
