//! A device's file below `/dev/bus/usb`.

use std::{
    fs::{File, OpenOptions},
    io,
    ops::Deref,
    os::fd::AsRawFd,
    path::PathBuf,
    ptr::NonNull,
};

use rusb::{Context, DeviceHandle, UsbContext, ffi};

use super::{DeviceInfo, UsbError};

/// The kernel passes transfers of any length to this host controller in one piece
/// (`USBDEVFS_CAP_BULK_SCATTER_GATHER`).
const SCATTER_GATHER: u32 = 0x08;

/// The request that asks what usbfs can do here (`USBDEVFS_GET_CAPABILITIES`).
const GET_CAPABILITIES: libc::Ioctl = libc::_IOR::<u32>(b'U' as u32, 26);

/// An open device, with its file. The kernel takes everything back when the file is closed.
pub(super) struct DeviceFile {
    // libusb uses the file as long as the handle is open, so the handle goes first.
    handle: DeviceHandle<Context>,
    file: File,
}

impl DeviceFile {
    /// Opens the device's file and hands it to libusb. Nothing is claimed yet.
    pub(super) fn open(context: &Context, info: &DeviceInfo) -> Result<Self, UsbError> {
        let path = PathBuf::from(format!("/dev/bus/usb/{:03}/{:03}", info.bus_number, info.device_number));
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(|source| match source.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => UsbError::NotFound(info.bus_path.clone()),
                Some(libc::EACCES | libc::EPERM) => {
                    UsbError::PermissionDenied { device: info.bus_path.clone(), source }
                }
                _ => UsbError::Io { action: "opening", path, source },
            })?;
        // SAFETY: the file is open, and `DeviceFile` keeps it open until the handle is closed.
        let handle = unsafe { context.open_device_with_fd(file.as_raw_fd()) }.map_err(|source| match source {
            rusb::Error::NoDevice => UsbError::NotFound(info.bus_path.clone()),
            source => UsbError::Libusb { action: "opening".into(), device: info.bus_path.clone(), source },
        })?;
        Ok(Self { handle, file })
    }

    /// libusb's handle.
    pub(super) fn raw(&self) -> Option<NonNull<ffi::libusb_device_handle>> {
        NonNull::new(self.handle.as_raw())
    }

    /// Whether libusb splits long bulk transfers, because the host controller has no scatter-gather.
    pub(super) fn splits_bulk(&self) -> bool {
        let mut capabilities = 0_u32;
        // SAFETY: the request writes one u32 to where the argument points.
        let answer = unsafe { libc::ioctl(self.file.as_raw_fd(), GET_CAPABILITIES, &raw mut capabilities) };
        if answer < 0 {
            tracing::debug!(error = %io::Error::last_os_error(), "usbfs does not tell what it can do");
        }
        answer < 0 || capabilities & SCATTER_GATHER == 0
    }
}

impl Deref for DeviceFile {
    type Target = DeviceHandle<Context>;

    fn deref(&self) -> &Self::Target {
        &self.handle
    }
}
