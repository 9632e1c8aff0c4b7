//! Sending an order, once, and waiting a little for what becomes of it.

use super::LiveBroker;
use super::evidence::{Before, Pending, Settled};
use super::look_up::Verdict;
use super::{books, matching};
use keel_core::asset::{Symbol, VenueId};
use keel_core::order::{ClientOrderId, Fill, Intent, Outcome, Side};
use keel_core::time::Timestamp;
use keel_venues::api::{ApiError, ExchangeApi, MarketOrder, OrderAmount, Placed, Refusal};
use std::sync::Arc;
use std::time::Duration;

/// So long an order is followed before its outcome is called unknown.
const FOLLOW_MS: i64 = 10_000;

/// How a fill relates to the last reading of the balances.
#[derive(Clone, Copy)]
pub(super) enum Booked {
    /// It came after it.
    AfterReading,
    /// It was found later, and may be in it.
    Found,
}

impl LiveBroker {
    /// Why nothing is sent to the venue, if nothing is.
    pub(super) fn shut(&self, venue: &VenueId) -> Option<String> {
        if let Some(reason) = self.halted.get(venue) {
            return Some(format!("trading at {venue} is halted: {reason}"));
        }
        if self.is_traded_elsewhere(venue) {
            return Some(format!(
                "funds at {venue} were exchanged without an order of ours; the account is compared first"
            ));
        }
        self.watch.overdue(venue, self.time.monotonic_ms())
    }

    pub(super) async fn send(&mut self, intent: &Intent) -> Outcome {
        let venue = &intent.order.venue;
        if let Some(cause) = self.shut(venue) {
            return rejected(format!("not sent: {cause}"));
        }
        if self.pending.contains_key(&intent.id) || self.settled.contains_key(&intent.id) {
            return unknown("this order was already sent; it is looked up, never sent again");
        }
        let api = match self.api(venue) {
            Ok(api) => api,
            Err(error) => return rejected(format!("not sent: {error}")),
        };
        self.note_before(intent);
        let order = MarketOrder {
            id: intent.id.clone(),
            symbol: intent.order.symbol.clone(),
            side: intent.order.side,
            amount: OrderAmount::Base(intent.order.amount),
            reference_price: intent.reference_price,
        };
        let answer = api.market_order(&order).await;
        let (now, now_ms) = (self.time.now(), self.time.monotonic_ms());
        if let Some(pending) = self.pending.get_mut(&intent.id) {
            // It left at the latest now: the transport may have waited for its limiter first.
            pending.left(now, now_ms);
        }
        self.touch(intent);
        match self.first_verdict(intent, &api, answer).await {
            Verdict::Known(outcome) => self.settle(intent, outcome, Booked::AfterReading),
            Verdict::Waits(cause) => self.follow(intent, cause).await,
            Verdict::Quarantine(cause) => self.quarantine(intent, cause),
        }
    }

    /// Notes the balances before an order, so that its effect can be told from theirs.
    fn note_before(&mut self, intent: &Intent) {
        let symbol = &intent.order.symbol;
        let mut pending = self.new_pending(intent, self.time.now());
        pending.before = {
            let books = self.books();
            books.accounts.get(&intent.order.venue).and_then(|account| {
                let tickers = [&symbol.base, &symbol.quote];
                let totals = tickers
                    .into_iter()
                    .map(|ticker| Some((ticker.clone(), account.expected(ticker)?)))
                    .collect::<Option<_>>()?;
                let booked = tickers
                    .into_iter()
                    .filter_map(|ticker| Some((ticker.clone(), *account.booked.get(ticker)?)))
                    .collect();
                Some(Before { totals, booked })
            })
        };
        self.pending.insert(intent.id.clone(), pending);
        self.markets.entry(intent.order.venue.clone()).or_default().insert(symbol.clone());
    }

    pub(super) fn new_pending(&self, intent: &Intent, sent_at: Timestamp) -> Pending {
        Pending::new(sent_at, self.offset_ms(&intent.order.venue), self.time.monotonic_ms())
    }

    fn touch(&self, intent: &Intent) {
        let now = self.time.now();
        let mut books = self.books();
        let account = books.accounts.entry(intent.order.venue.clone()).or_default();
        account.touch(&intent.order.symbol.base, now);
        account.touch(&intent.order.symbol.quote, now);
    }

    /// What the answer to the order itself says.
    async fn first_verdict(
        &mut self,
        intent: &Intent,
        api: &Arc<dyn ExchangeApi>,
        answer: Result<Placed, ApiError>,
    ) -> Verdict {
        match answer {
            Ok(Placed::State(state)) => self.conclude(intent, api, state).await,
            Ok(Placed::Accepted { venue_order_id }) => {
                if let Some(pending) = self.pending.get_mut(&intent.id) {
                    pending.seen(&venue_order_id);
                }
                Verdict::Waits("accepted, and not over yet".to_owned())
            }
            Err(ApiError::NotSent(cause)) => {
                Verdict::Known(Outcome::Rejected { reason: format!("not sent: {cause}") })
            }
            Err(ApiError::Refused { refusal: Refusal::DuplicateId, message, .. }) => {
                // It says that an order with this id exists, not what became of it.
                if let Some(pending) = self.pending.get_mut(&intent.id) {
                    pending.exists = true;
                }
                Verdict::Waits(format!("the venue says that the order id was used: {message}"))
            }
            Err(ApiError::Refused { refusal: Refusal::NotFound, message, .. }) => {
                Verdict::Waits(format!("an answer that fits no new order: {message}"))
            }
            Err(error @ ApiError::Refused { refusal, .. }) => {
                if matches!(refusal, Refusal::Market | Refusal::Parameters) {
                    self.doubted.insert(intent.order.venue.clone());
                }
                Verdict::Known(Outcome::Rejected { reason: error.to_string() })
            }
            Err(ApiError::Unknown(cause)) => Verdict::Waits(cause),
        }
    }

    /// Looks the order up on its schedule for a little while.
    async fn follow(&mut self, intent: &Intent, mut cause: String) -> Outcome {
        let until_ms = self.time.monotonic_ms() + FOLLOW_MS;
        while let Some(due_ms) = self.pending.get(&intent.id).map(|pending| pending.next_ms) {
            let now_ms = self.time.monotonic_ms();
            if due_ms > until_ms || now_ms > until_ms {
                break;
            }
            let wait = u64::try_from(due_ms - now_ms).unwrap_or(0);
            self.time.sleep(Duration::from_millis(wait)).await;
            match self.look_up_now(intent, Booked::AfterReading).await {
                Outcome::Unknown { cause: newer } => cause = newer,
                known => return known,
            }
        }
        Outcome::Unknown { cause }
    }

    /// Books an outcome. From here on it is history: what comes later is late.
    pub(super) fn settle(&mut self, intent: &Intent, outcome: Outcome, when: Booked) -> Outcome {
        let venue = &intent.order.venue;
        let not_before = self.not_before(intent);
        self.pending.remove(&intent.id);
        for fill in outcome.fills() {
            self.book(venue, &intent.order.symbol, intent.order.side, fill, when);
        }
        if matches!(when, Booked::Found) {
            // Executions that were seen while nobody knew of what are looked at again.
            self.watch.rewind(venue, &intent.order.symbol, not_before);
        }
        let settled = Settled::new(intent, &outcome, self.venue_now(venue));
        self.settled.insert(intent.id.clone(), settled);
        let facts = self.venues.get(venue).map(|api| api.facts());
        let by_cost = facts.is_some_and(|facts| matching::is_by_cost(facts, intent));
        if let Some(more) = matching::overfill(intent, by_cost, outcome.fills()) {
            self.halt(venue, format!("order {} {more}", intent.id));
        }
        outcome
    }

    /// Books what an execution moved.
    pub(super) fn book(
        &self,
        venue: &VenueId,
        symbol: &Symbol,
        side: Side,
        fill: &Fill,
        when: Booked,
    ) {
        let now = self.time.now();
        let mut books = self.books();
        let account = books.accounts.entry(venue.clone()).or_default();
        for (ticker, amount) in books::moves(symbol, side, fill) {
            match when {
                Booked::AfterReading => account.book(&ticker, amount, now),
                Booked::Found => account.book_found(&ticker, amount, now),
            }
        }
    }

    /// The sources disagree: from here only the operator decides.
    pub(super) fn quarantine(&mut self, intent: &Intent, cause: String) -> Outcome {
        let new = self.new_pending(intent, self.time.now());
        let pending = self.pending.entry(intent.id.clone()).or_insert(new);
        self.notes.push(quarantined(&intent.id, &cause));
        let cause = pending.quarantine.get_or_insert(cause).clone();
        unknown(format!("quarantined: {cause}"))
    }
}

fn rejected(reason: String) -> Outcome {
    Outcome::Rejected { reason }
}

pub(super) fn unknown(cause: impl Into<String>) -> Outcome {
    Outcome::Unknown { cause: cause.into() }
}

/// What the operator is told of an order in quarantine.
pub(super) fn quarantined(id: &ClientOrderId, cause: &str) -> String {
    format!("order {id} is in quarantine, its assets are left alone: {cause}")
}
