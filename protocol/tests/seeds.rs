//! Runs the seeds of the fuzz targets, and what the fuzzer has found beside them, through the targets' checks.

use std::{fs, path::Path};

#[path = "support/frames.rs"]
mod frames;
#[path = "support/lanes.rs"]
mod lanes;

/// Calls `check` with each input of a target: those written by hand, and those that the fuzzer has found.
fn for_each_seed(target: &str, check: impl Fn(&[u8])) {
    for kind in ["seeds", "corpus"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
        let mut count = 0;
        for entry in fs::read_dir(&folder).expect("the folder of the seeds") {
            let path = entry.expect("an entry").path();
            println!("{}", path.display());
            check(&fs::read(&path).expect("a seed"));
            count += 1;
        }
        assert!(count > 0, "no seed in {}", folder.display());
    }
}

#[test]
fn control_frames() {
    for_each_seed("control_frames", |bytes| {
        frames::read_control(bytes);
        frames::read_pairing(bytes);
    });
}

#[test]
fn lane_frames() {
    for_each_seed("lane_frames", frames::read_lane);
}

#[test]
fn lane_machines() {
    for_each_seed("lane_machines", |bytes| {
        lanes::run_together(bytes);
        lanes::run_hostile(bytes);
        lanes::run_hostile_exporter(bytes);
    });
}
