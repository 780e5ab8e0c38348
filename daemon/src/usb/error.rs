//! What can go wrong with a device outside of a transfer.

use std::{io, path::PathBuf};

use super::BusPath;

/// An error of the USB room. No text contains a serial number.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsbError {
    /// The device is not plugged in any more, or another one took its place.
    #[error("USB device {0} is not plugged in any more")]
    NotFound(BusPath),
    /// Another program or another USB/IP tool uses the device.
    #[error("USB device {device} is in use by {user}")]
    Busy {
        /// Which device.
        device: BusPath,
        /// Who has it, as far as the kernel tells: a driver's name, or "another program".
        user: String,
    },
    /// A hub. Its ports belong to this machine's kernel, so it can't be taken.
    #[error("{0} is a hub, and hubs can't be taken from the kernel")]
    Hub(BusPath),
    /// The kernel refused to let this process at the device.
    #[error("no permission to open USB device {device}: {source}")]
    PermissionDenied {
        /// Which device.
        device: BusPath,
        /// What the kernel said.
        source: io::Error,
    },
    /// libusb can't be used on this machine at all.
    #[error("USB can't be used on this machine: {0}")]
    NoUsb(#[source] rusb::Error),
    /// The host is being stopped and opens nothing any more.
    #[error("the USB host is stopping")]
    Stopping,
    /// A file or a socket of the system failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried, such as "reading".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// libusb, or the device behind it, failed.
    #[error("{action} USB device {device}: {source}")]
    Libusb {
        /// What was tried, such as "claiming interface 0 of".
        action: String,
        /// Which device.
        device: BusPath,
        /// What libusb said.
        source: rusb::Error,
    },
    /// A claim record could not be understood.
    #[error("{} is not a claim record: {reason}", path.display())]
    BadRecord {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl UsbError {
    /// An [`UsbError::Io`], for use with `map_err`.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
