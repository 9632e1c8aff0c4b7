//! Balances as the venue gives them, checked against the last answer and our own fills.

use super::LiveBroker;
use super::books::{Balances, Judged, fault};
use keel_core::asset::VenueId;
use keel_core::ports::PortError;
use std::time::Duration;

/// Answers from before our fills are asked for again this often.
const STALE_READS: u32 = 3;
const STALE_WAIT: Duration = Duration::from_secs(1);

impl LiveBroker {
    pub(super) async fn read_balances(&self, venue: &VenueId) -> Result<Balances, PortError> {
        let api = self.api(venue)?;
        let mut reads = 0;
        loop {
            let answer = api.balances().await.map_err(|error| PortError(error.to_string()))?;
            if let Some(cause) = fault(&answer) {
                return Err(PortError(cause));
            }
            let now = self.time.now();
            let judged =
                self.books().accounts.entry(venue.clone()).or_default().judge(&answer, now);
            match judged {
                Judged::Good(balances) => return Ok(balances),
                Judged::Incomplete(cause) => return Err(PortError(cause)),
                Judged::Stale(balances) => {
                    reads += 1;
                    if reads > STALE_READS {
                        self.books().notes.push(format!(
                            "{venue}: the balances are from before our last fills; the smaller \
                             amounts are used"
                        ));
                        return Ok(balances);
                    }
                }
            }
            self.time.sleep(STALE_WAIT).await;
        }
    }
}
