//! What is plugged in here, and the libusb thread that drives it.
//!
//! * [`enumerate`] and [`Hotplug`] say what is plugged in, as [`DeviceInfo`]. They read sysfs and never talk to a
//!   device.
//! * [`dependence`] says what this machine would lose if a device were given to a peer.
//! * [`UsbHost`] owns libusb. [`UsbHost::open`] takes a device away from its kernel drivers and gives an
//!   [`OpenDevice`]; [`OpenDevice::give_back`] returns it. In between, [`OpenDevice::submit`] starts transfers, as many
//!   at a time as the caller likes, and their [`Completion`]s arrive on the caller's channel.
//! * [`recovery`] returns the devices of a daemon that did not get to do so itself.
//!
//! Three kinds of threads meet here. The caller's submit and ask for cancellations, and wait for neither. One thread
//! named `usb-events` runs libusb's event loop and nothing else: whatever it waited for, every device would wait for.
//! One named `usb-cancel` cancels transfers, because the kernel makes whoever cancels wait until the host controller has
//! let go. Everything that takes a device's time (claiming, configurations, alternate settings, halts, resets, giving
//! back) blocks and says so; call it where blocking is allowed.
//!
//! Nearly all `unsafe` of this room is in `transfer.rs`, which speaks to libusb's asynchronous interface; the rest is in
//! `usbfs.rs`, which hands libusb a device's file, and where `open.rs` brings the two together.

mod cancel;
mod dependence;
mod descriptor;
#[cfg(test)]
#[path = "../../fuzz/checks/descriptors.rs"]
mod descriptor_check;
mod device;
mod door;
mod error;
mod host;
mod hotplug;
#[cfg(test)]
mod lying_descriptors;
mod open;
pub mod recovery;
#[doc(hidden)]
pub mod sim;
mod special;
mod status;
mod sysfs;
mod transfer;
mod usbfs;

pub use dependence::dependence;
pub(crate) use descriptor::interfaces_of;
pub use descriptor::{Configuration, Descriptors, Endpoint, Interface, TransferType};
pub use device::{BusPath, DeviceInfo, DeviceKind, InvalidBusPath};
pub use door::{Device, Host};
pub use error::UsbError;
pub use host::UsbHost;
pub use hotplug::{Hotplug, HotplugEvent};
pub use open::{GiveBackReport, OpenDevice};
pub use special::{SpecialRequest, special_request};
pub use sysfs::enumerate;
pub use transfer::{Completion, Transfer, TransferData};
