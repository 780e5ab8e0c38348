//! The whole data path of two daemons, natively, between a simulated kernel and simulated devices.
//!
//! For tests and measurements; the program `p2pusbd` has nothing of it. A [`SimDaemon`] is what the supervisor puts
//! together, without a bus, with a [`SimKernel`] where `vhci` would be and a [`SimHost`] where libusb would be. Two of
//! them, in one process or in two, are paired with a ticket.

mod daemon;
mod pattern;

pub use self::{
    daemon::{Shown, SimAttachment, SimDaemon},
    pattern::pattern,
};
pub use crate::{
    attach::sim::{Done, Driver, Finished, OneByOne, SimKernel, SimPort, Urb},
    usb::sim::{Behaviour, Counts, Model, SimDevice, SimEndpoint, SimHost, report, report_age},
};
