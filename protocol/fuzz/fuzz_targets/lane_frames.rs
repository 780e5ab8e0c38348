//! Reads the input as a lane.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the other streams have a target of their own")]
#[path = "../../tests/support/frames.rs"]
mod frames;

fuzz_target!(|bytes: &[u8]| frames::read_lane(bytes));
