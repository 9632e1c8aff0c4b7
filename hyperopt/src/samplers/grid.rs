//! Every point of the space: affordable here, and then there is no luck in the search.

use super::{Sampler, Visit};

pub(super) const SAMPLER: Sampler =
    Sampler { name: "grid", doc: "every point of the space", visit: Visit::All };
