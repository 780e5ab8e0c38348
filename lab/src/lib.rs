//! What `cargo xtask` and the scenario tests know about the lab: its scenarios and its machines.
//!
//! A scenario is a bash file in `lab/scenarios`; a machine is a program in `lab/machines` that boots a guest on this
//! machine's own root and runs a scenario in it. `lab/README.md` tells how to write and run one.

pub mod machine;
pub mod scenario;

use std::path::{Path, PathBuf};

/// The folder `lab/` of the source tree that this crate was built from.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
