//! Points drawn at random, none twice.

use super::{Sampler, Visit};

pub(super) const SAMPLER: Sampler = Sampler {
    name: "random",
    doc: "points drawn at random, none twice",
    visit: Visit::Suggested(|space, history, dice| history.unvisited(space, dice)),
};
