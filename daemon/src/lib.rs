//! The p2pusb daemon.
//!
//! `p2pusbd` shares local USB devices with paired machines and attaches theirs through the kernel's
//! `vhci_hcd`. The rooms of this crate, in the order of one URB's way through them:
//!
//! * [`attach`]: importer sessions; speaks USB/IP with the local kernel,
//! * [`net`]: the iroh endpoint, links to peers, pairing, tickets,
//! * [`share`]: exporter sessions; lanes end here,
//! * [`usb`]: what is plugged in here, and the libusb thread that drives it.
//!
//! Beside the data path stand [`engine`], the one owner of all state, [`bus`], which translates it to
//! D-Bus, [`policy`], which decides who may do what, [`pin`], what somebody has to know beside that, [`store`], what outlives the process, and [`sd`],
//! the service manager. See ARCHITECTURE.md for the map.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod attach;
mod buffers;
pub mod bus;
pub mod config;
pub mod counters;
mod diagnose;
pub mod engine;
pub mod error;
#[cfg(test)]
mod fuzz_seeds;
pub mod net;
pub mod peer;
mod people;
pub mod pin;
pub mod policy;
mod reload;
pub mod sd;
pub mod share;
#[doc(hidden)]
pub mod sim;
mod stop;
pub mod store;
pub mod supervisor;
pub mod usb;
