//! Takes the input as what happens on a lane, once with two ends that keep to the rules over
//! connections that are lost, and once with either end that does not.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/support/lanes.rs"]
mod lanes;

// The model looks at every URB after every step, so long inputs are slow and find nothing that shorter
// ones do not.
const LONGEST: usize = 2048;

fuzz_target!(|bytes: &[u8]| {
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    lanes::run_together(bytes);
    lanes::run_hostile(bytes);
    lanes::run_hostile_exporter(bytes);
});
