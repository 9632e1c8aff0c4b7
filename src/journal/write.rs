//! Writing: intents before orders leave, outcomes after, and cycles as a whole.

use super::chain::{Table, of_text};
use super::{Durability, Journal};
use keel_core::amount::Price;
use keel_core::decision::DecisionRecord;
use keel_core::order::{ClientOrderId, Fill, Intent, Outcome};
use keel_core::ports::{Store, StoreError};
use keel_core::record::CycleRecord;
use keel_core::state::State;
use keel_core::time::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use rust_decimal::Decimal;

/// A decision as it is stored and digested.
pub(super) fn decision_columns(decision: &DecisionRecord) -> [String; 16] {
    let mut flags = Vec::new();
    if decision.capped {
        flags.push("capped");
    }
    if decision.cap_stale {
        flags.push("cap_stale");
    }
    let reason = decision.reason.as_ref();
    [
        decision.ticker.to_string(),
        decision.venue.as_ref().map_or_else(String::new, ToString::to_string),
        decision.price.map_or_else(String::new, |price: Price| price.to_string()),
        decision.free.to_string(),
        decision.value.to_string(),
        decision.market_cap.map_or_else(String::new, |cap| cap.to_string()),
        i8::from(decision.position).to_string(),
        i8::from(decision.trend).to_string(),
        decision.dominance.to_string(),
        decision.ratio.to_string(),
        decision.target.to_string(),
        decision.change.to_string(),
        flags.join(" "),
        decision.action().to_owned(),
        reason.map_or_else(String::new, |reason| reason.code().to_owned()),
        reason.map_or_else(String::new, ToString::to_string),
    ]
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError(Box::new(error))
}

impl Journal {
    fn begin(&mut self) -> Result<(), rusqlite::Error> {
        if !self.in_transaction {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.in_transaction = true;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), rusqlite::Error> {
        if self.in_transaction {
            self.connection.execute_batch("COMMIT")?;
            self.in_transaction = false;
        }
        Ok(())
    }

    fn insert_intents(&mut self, intents: &[Intent]) -> Result<(), rusqlite::Error> {
        self.begin()?;
        for intent in intents {
            let order = &intent.order;
            let text = [
                intent.id.to_string(),
                intent.cycle.to_string(),
                intent.leg.to_string(),
                order.kind.name().to_owned(),
                order.venue.to_string(),
                order.symbol.to_string(),
                order.side.to_string(),
                order.amount.to_string(),
                order.value.to_string(),
                intent.reference_price.to_string(),
                intent.created_at.ms().to_string(),
            ];
            self.connection
                .prepare_cached("INSERT INTO intents VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)")?
                .execute(rusqlite::params_from_iter(&text))?;
            self.chain.row(Table::Intents, &text);
        }
        match self.durability {
            Durability::EachWrite => self.end(),
            Durability::Groups { .. } => Ok(()),
        }
    }

    fn insert_outcome(
        &mut self,
        id: &ClientOrderId,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<(), rusqlite::Error> {
        self.begin()?;
        // The cycle that is being written; its digest covers this row.
        let cycle = self.last_cycle + 1;
        let detail = match outcome {
            Outcome::Rejected { reason } => reason.as_str(),
            Outcome::Unknown { cause } => cause.as_str(),
            Outcome::Filled { .. } | Outcome::Partial { .. } => "",
        };
        let text = [id.as_str(), &cycle.to_string(), outcome.name(), detail, &at.ms().to_string()];
        self.connection
            .prepare_cached(
                "INSERT INTO outcomes (id, cycle, outcome, detail, at_ms) VALUES (?1,?2,?3,?4,?5)",
            )?
            .execute(params![text[0], cycle, text[2], text[3], at.ms()])?;
        self.chain.row(Table::Outcomes, &text);
        let venue: String = self
            .connection
            .prepare_cached("SELECT venue FROM intents WHERE id = ?1")?
            .query_row([id.as_str()], |row| row.get(0))?;
        for fill in outcome.fills() {
            let text = [
                venue.clone(),
                fill.trade_id.clone(),
                id.to_string(),
                cycle.to_string(),
                fill.price.to_string(),
                fill.amount.to_string(),
                fill.cost.to_string(),
                fill.fee.asset.to_string(),
                fill.fee.amount.to_string(),
                fill.at.ms().to_string(),
            ];
            // The same execution reported twice is one execution.
            let new = self
                .connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO fills (venue, trade_id, id, cycle, price, amount, cost,
                     fee_asset, fee_amount, at_ms) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
                )?
                .execute(rusqlite::params_from_iter(&text))?;
            if new == 1 {
                self.chain.row(Table::Fills, &text);
            }
        }
        Ok(())
    }

    /// An execution that came after the outcome of its order was known.
    fn insert_late(
        &mut self,
        id: &ClientOrderId,
        fill: &Fill,
        at: Timestamp,
    ) -> Result<(), rusqlite::Error> {
        let (asked, was): (String, String) = self.connection.query_row(
            "SELECT i.amount, COALESCE(o.outcome, '') FROM intents i LEFT JOIN outcomes o ON o.id = i.id
             WHERE i.id = ?1 ORDER BY o.place DESC LIMIT 1",
            [id.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let booked: Vec<String> = self
            .connection
            .prepare_cached("SELECT amount FROM fills WHERE id = ?1")?
            .query_map([id.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let number = |text: &String| text.parse::<Decimal>().unwrap_or_default();
        let executed = booked.iter().map(number).sum::<Decimal>() + fill.amount.get();
        let fills = vec![fill.clone()];
        let is_filled = was == "filled" || executed >= number(&asked);
        let outcome =
            if is_filled { Outcome::Filled { fills } } else { Outcome::Partial { fills } };
        self.insert_outcome(id, &outcome, at)
    }

    fn insert_cycle(&mut self, record: &CycleRecord) -> Result<(), rusqlite::Error> {
        self.begin()?;
        for (place, decision) in record.decisions.iter().enumerate() {
            let columns = decision_columns(decision);
            let (cycle, place) = (record.cycle.to_string(), place.to_string());
            let mut text: Vec<&str> = vec![&cycle, &place];
            text.extend(columns.iter().map(String::as_str));
            self.connection
                .prepare_cached(
                    "INSERT INTO decisions VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
                )?
                .execute(rusqlite::params_from_iter(&text))?;
            self.chain.row(Table::Decisions, &text);
        }
        let notes = record.notes.join("\n");
        let text = [
            record.cycle.to_string(),
            record.at.ms().to_string(),
            record.trigger.name().to_owned(),
            record.total_before.to_string(),
            record.total_after.to_string(),
            record.stablecoin_after.to_string(),
            notes,
        ];
        let digest = self.chain.seal(&text);
        self.connection
            .prepare_cached("INSERT INTO cycles VALUES (?1,?2,?3,?4,?5,?6,?7,?8)")?
            .execute(params![
                record.cycle,
                record.at.ms(),
                text[2],
                text[3],
                text[4],
                text[5],
                text[6],
                digest
            ])?;
        self.last_cycle = record.cycle;
        self.fold(record.at)
    }

    /// Adds executions that came after the outcomes of their orders were known. They become durable with
    /// what is written next.
    ///
    /// # Errors
    /// When they could not be written.
    pub fn write_late(
        &mut self,
        late: &[(ClientOrderId, Fill)],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        late.iter().try_for_each(|(id, fill)| self.insert_late(id, fill, at)).map_err(failed)
    }

    /// Writes the state and makes everything so far durable. A clean stop ends with this.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn flush(&mut self, state: &State, checkpoint: Option<String>) -> Result<(), StoreError> {
        let state = serde_json::to_string(state).map_err(failed)?;
        self.replace_state(&state, checkpoint).map_err(failed)?;
        self.cycles_in_group = 0;
        Ok(())
    }

    fn replace_state(
        &mut self,
        state: &str,
        checkpoint: Option<String>,
    ) -> Result<(), rusqlite::Error> {
        let broker = checkpoint.unwrap_or_default();
        let digest = of_text(&[state, &broker]);
        self.begin()?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO state VALUES (1,?1,?2,?3,?4)")?
            .execute(params![self.last_cycle, state, broker, digest])?;
        self.end()
    }

    /// The state as it was written last; that of the beginning before the first cycle has ended.
    fn last_state(&self) -> Result<String, StoreError> {
        let known = self
            .connection
            .prepare_cached("SELECT state FROM state")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional());
        match known.map_err(failed)? {
            Some(state) => Ok(state),
            None => serde_json::to_string(&State::default()).map_err(failed),
        }
    }
}

impl Store for Journal {
    fn write_intents(&mut self, intents: &[Intent]) -> Result<(), StoreError> {
        self.insert_intents(intents).map_err(failed)
    }

    fn write_outcome(
        &mut self,
        id: &ClientOrderId,
        outcome: &Outcome,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert_outcome(id, outcome, at).map_err(failed)
    }

    fn write_checkpoint(
        &mut self,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        if self.durability != Durability::EachWrite {
            return Ok(());
        }
        // What the orders since then changed is read from their rows when the journal is opened.
        let state = self.last_state()?;
        self.replace_state(&state, checkpoint()).map_err(failed)
    }

    fn commit(
        &mut self,
        record: &CycleRecord,
        state: &State,
        checkpoint: &dyn Fn() -> Option<String>,
    ) -> Result<(), StoreError> {
        self.insert_cycle(record).map_err(failed)?;
        self.cycles_in_group += 1;
        match self.durability {
            Durability::Groups { cycles } if self.cycles_in_group < cycles => Ok(()),
            _ => self.flush(state, checkpoint()),
        }
    }
}
