//! Reads the input as what the kernel writes into its socket.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "the data path uses more of it")]
#[path = "../../src/buffers.rs"]
mod buffers;
#[path = "../checks/usbip_commands.rs"]
mod check;
#[allow(dead_code, reason = "the answers are made by the pump")]
#[path = "../../src/attach/iso.rs"]
mod iso;
#[allow(dead_code, reason = "the answers are made by the pump")]
#[path = "../../src/attach/usbip.rs"]
mod usbip;

fuzz_target!(|bytes: &[u8]| check::check(bytes));
