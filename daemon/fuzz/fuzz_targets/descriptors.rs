//! Reads the input as what a device says of itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/descriptors.rs"]
mod check;
#[allow(dead_code, reason = "the rest of the USB room uses more of it")]
#[path = "../../src/usb/descriptor.rs"]
mod descriptor;

fuzz_target!(|bytes: &[u8]| check::check(bytes));
