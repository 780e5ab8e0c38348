//! The inputs of the fuzz targets in `daemon/fuzz`, for the ordinary tests.

use std::{fs, path::Path};

/// Calls `check` with each input of a target: those written by hand, and those that the fuzzer has found.
pub(crate) fn each(target: &str, check: impl Fn(&[u8])) {
    for kind in ["seeds", "corpus"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
        let mut count = 0;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            check(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count > 0, "nothing in {}", folder.display());
    }
}
