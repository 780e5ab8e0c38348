//! A simulated kernel, behind the same door as `vhci`.
//!
//! It is for tests and measurements of everything between the kernel's socket and the device: nothing here is in the
//! shipped program. A [`SimKernel`] has as many ports as are asked for. Each port that something is attached to has a
//! thread, `sim-port-N`, that speaks vhci's side of USB/IP: it enumerates the device, says so, and then carries the URBs
//! of whatever [`Driver`]s the test brings. An answer that vhci would not take ends the port, as it does there, and is
//! kept for [`SimKernel::complaints`].

mod driver;
mod enumerate;
mod kernel;
mod port;
mod wire;

pub use self::{
    driver::{Driver, Finished, OneByOne, Urb},
    kernel::SimKernel,
    port::{Done, SimPort},
};
