//! Where the recorded data lies, which is not part of the repository.

use std::path::PathBuf;

/// `../shared/<path>` beside the checkout, or below `KEEL_SHARED`. Prints why a test does nothing
/// when it is absent.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("KEEL_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        Some(found)
    } else {
        println!("skipped: {} is absent; set KEEL_SHARED to the shared folder", found.display());
        None
    }
}
