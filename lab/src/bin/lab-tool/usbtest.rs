//! Runs the cases of the kernel's driver usbtest, as the kernel's tools/usb/testusb.c does.

use std::io;

use crate::usbfs::{self, Device};

/// `struct usbtest_param_64`: five numbers, padding, and the seconds and microseconds that it took.
const PARAMETERS: usize = 40;
/// Where the seconds begin.
const SECONDS: usize = 24;
/// `USBTEST_REQUEST_64`, which reads and writes its parameters.
const REQUEST: u32 = usbfs::request(3, b'U', 100, PARAMETERS);

/// Runs a case with the numbers `[case, iterations, length, vary, sglen]` on the device's first interface. Prints
/// `passed SECONDS`, or `failed` and why.
pub(crate) fn run(bus_path: &str, numbers: [u32; 5]) -> io::Result<()> {
    let device = Device::open(bus_path)?;
    let mut parameters = [0; PARAMETERS];
    for (field, number) in parameters.chunks_exact_mut(4).zip(numbers) {
        field.copy_from_slice(&number.to_ne_bytes());
    }
    match device.ask_driver(0, REQUEST, &mut parameters) {
        Ok(()) => {
            let number = |start: usize| {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&parameters[start..start + 8]);
                i64::from_ne_bytes(bytes)
            };
            println!("passed {}.{:06}", number(SECONDS), number(SECONDS + 8));
        }
        Err(error) => println!("failed: {error}"),
    }
    Ok(())
}
