//! Reads the input as a control stream and as a pairing stream.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "lanes have a target of their own")]
#[path = "../../tests/support/frames.rs"]
mod frames;

fuzz_target!(|bytes: &[u8]| {
    frames::read_control(bytes);
    frames::read_pairing(bytes);
});
