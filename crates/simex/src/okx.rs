//! The OKX v5 dialect.

use crate::world::{Call, Reply, World};

/// Answers a request.
pub fn handle(_world: &mut World, _call: &Call) -> Reply {
    Reply { status: 404, headers: Vec::new(), body: Vec::new() }
}
