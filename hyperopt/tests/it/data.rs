//! Where the shared data lies.

use std::path::{Path, PathBuf};

/// The shared directory, or `None` (and a line saying so) where it is absent.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("KEEL_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = root.join(part);
    if path.is_dir() {
        Some(path)
    } else {
        #[expect(clippy::print_stdout, reason = "the test harness shows it")]
        {
            println!(
                "skipped: {} is absent; set KEEL_SHARED to the shared directory",
                path.display()
            );
        }
        None
    }
}
