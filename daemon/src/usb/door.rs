//! The door between what peers ask for and what drives the devices: libusb in the daemon, a simulation where the data
//! path is measured and tested.

use std::{fmt::Debug, sync::Arc};

use p2pusb_protocol::UrbStatus;
use tokio::sync::mpsc;

use super::{Completion, DeviceInfo, GiveBackReport, OpenDevice, Transfer, TransferType, UsbError, UsbHost};

/// What devices are opened with. See [`UsbHost`], the one with real devices.
pub trait Host: Debug + Send + Sync {
    /// See [`UsbHost::open`].
    ///
    /// # Errors
    ///
    /// Why the device can't be had.
    fn open(self: Arc<Self>, info: &DeviceInfo) -> Result<Arc<dyn Device>, UsbError>;
}

/// A device that was opened. Each method is described at [`OpenDevice`], the real one.
#[allow(clippy::missing_errors_doc)]
pub trait Device: Debug + Send + Sync {
    /// See [`OpenDevice::endpoint`].
    fn endpoint(&self, address: u8) -> Option<TransferType>;
    /// See [`OpenDevice::submit`].
    fn submit(&self, transfer: Transfer, tag: u64, done: &mpsc::Sender<Completion>) -> Result<(), UrbStatus>;
    /// See [`OpenDevice::cancel`].
    fn cancel(&self, endpoint: u8, tag: u64);
    /// See [`OpenDevice::set_configuration`].
    fn set_configuration(&self, value: u8) -> Result<(), UrbStatus>;
    /// See [`OpenDevice::set_interface`].
    fn set_interface(&self, interface: u8, alternate: u8) -> Result<(), UrbStatus>;
    /// See [`OpenDevice::clear_halt`].
    fn clear_halt(&self, endpoint: u8) -> Result<(), UrbStatus>;
    /// See [`OpenDevice::reset`].
    fn reset(&self) -> Result<(), UrbStatus>;
    /// See [`OpenDevice::give_back`].
    fn give_back(self: Arc<Self>) -> GiveBackReport;
}

impl Host for UsbHost {
    fn open(self: Arc<Self>, info: &DeviceInfo) -> Result<Arc<dyn Device>, UsbError> {
        let device = UsbHost::open(&self, info)?;
        Ok(device)
    }
}

impl Device for OpenDevice {
    fn endpoint(&self, address: u8) -> Option<TransferType> {
        self.endpoint(address)
    }

    fn submit(&self, transfer: Transfer, tag: u64, done: &mpsc::Sender<Completion>) -> Result<(), UrbStatus> {
        self.submit(transfer, tag, done)
    }

    fn cancel(&self, endpoint: u8, tag: u64) {
        self.cancel(endpoint, tag);
    }

    fn set_configuration(&self, value: u8) -> Result<(), UrbStatus> {
        self.set_configuration(value)
    }

    fn set_interface(&self, interface: u8, alternate: u8) -> Result<(), UrbStatus> {
        self.set_interface(interface, alternate)
    }

    fn clear_halt(&self, endpoint: u8) -> Result<(), UrbStatus> {
        self.clear_halt(endpoint)
    }

    fn reset(&self) -> Result<(), UrbStatus> {
        self.reset()
    }

    fn give_back(self: Arc<Self>) -> GiveBackReport {
        OpenDevice::give_back(self)
    }
}
