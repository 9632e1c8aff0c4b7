//! A world and what happens in it, from a file.

use crate::config::SimexConfig;
use crate::server::Double;
use crate::simex::Simex;
use crate::world::Call;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Something that happens, as a request to the control plane.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Seconds by the machine's clock since the start.
    pub after_seconds: u64,
    /// Path below `/_simex/`.
    pub path: String,
    /// Body.
    pub body: Value,
}

/// A scenario file.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// The world; what is left out is as in the demo.
    pub world: SimexConfig,
    /// What happens, in order of time.
    pub events: Vec<Event>,
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or holds something unknown.
    pub fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))
    }
}

/// Lets the events of a scenario happen.
pub async fn play(simex: &Simex, events: &[Event]) {
    let start = tokio::time::Instant::now();
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.after_seconds);
    for event in events {
        tokio::time::sleep_until(start + Duration::from_secs(event.after_seconds)).await;
        let call = Call {
            method: "POST".to_owned(),
            path: format!("/_simex/{}", event.path),
            body: event.body.to_string().into_bytes(),
            ..Call::default()
        };
        let reply = simex.with(|world| crate::control::handle(world, &call));
        let answer = String::from_utf8_lossy(&reply.body).into_owned();
        let double = Double::Control.name();
        tracing::info!(double, path = event.path, status = reply.status, answer, "event");
    }
}
