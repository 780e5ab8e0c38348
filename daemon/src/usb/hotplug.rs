//! What is being plugged and unplugged.

use std::{
    collections::HashSet,
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use futures_lite::StreamExt;
use tokio_udev::{AsyncMonitorSocket, Event, EventType, MonitorBuilder};

use super::{BusPath, DeviceInfo, UsbError, sysfs};

/// What is there while udevd runs.
const UDEV_CONTROL: &str = "/run/udev/control";

/// A change of what is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HotplugEvent {
    /// A device was plugged in, and the kernel has configured it. A device that [`enumerate`](super::enumerate) has
    /// found already may be told once more.
    Added(DeviceInfo),
    /// The kernel is done with a device that was plugged in: it is configured, and each of its interfaces has found its
    /// driver or none. It may not have been told as added before.
    Bound(DeviceInfo),
    /// A device was unplugged. It may be one that was never told of.
    Removed(BusPath),
    /// Something about a device is different: its configuration, its driver, its udev properties.
    Changed(DeviceInfo),
    /// udev's rules have run for a disk, or what else speaks SCSI: its folder in sysfs, which is in that of its USB device.
    /// It is told when the disk is found, and each time when something about it is different.
    Disk(PathBuf),
}

/// Listens for devices being plugged and unplugged.
///
/// With udevd it tells of a device when udev's rules have run, without udevd when the kernel has announced it. Create it
/// before the first [`enumerate`](super::enumerate), so that nothing falls between the two.
pub struct Hotplug {
    socket: AsyncMonitorSocket,
    /// The devices that were told as added by this value and not removed since.
    told: HashSet<BusPath>,
}

impl Hotplug {
    /// Begins to listen. What happens from now on is kept until [`next`](Self::next) asks for it, as far as the kernel's
    /// buffer reaches.
    ///
    /// Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the kernel gives no socket for it.
    pub fn new() -> Result<Self, UsbError> {
        let (builder, group) = if Path::new(UDEV_CONTROL).exists() {
            (MonitorBuilder::new(), "udev")
        } else {
            (MonitorBuilder::new_kernel(), "kernel")
        };
        let socket = builder
            .and_then(|builder| builder.match_subsystem_devtype("usb", "usb_device"))
            .and_then(|builder| builder.match_subsystem_devtype("scsi", "scsi_device"))
            .and_then(|builder| builder.listen())
            .and_then(AsyncMonitorSocket::new)
            .map_err(UsbError::io("listening for events of group", group))?;
        tracing::debug!(group, "listening for USB devices");
        Ok(Self { socket, told: HashSet::new() })
    }

    /// Waits for the next change. Safe to be cancelled: no event gets lost.
    ///
    /// # Errors
    ///
    /// When the socket fails. The list of devices is then uncertain: begin anew, with a new `Hotplug`.
    pub async fn next(&mut self) -> Result<HotplugEvent, UsbError> {
        loop {
            let event = match self.socket.next().await {
                Some(Ok(event)) => event,
                Some(Err(source)) => return Err(lost(source)),
                None => return Err(lost(io::ErrorKind::UnexpectedEof.into())),
            };
            if let Some(event) = self.translate(&event) {
                return Ok(event);
            }
        }
    }

    fn translate(&mut self, event: &Event) -> Option<HotplugEvent> {
        let kind = event.event_type();
        if event.subsystem().is_some_and(|subsystem| subsystem == "scsi") {
            return (kind != EventType::Remove).then(|| HotplugEvent::Disk(event.syspath().to_owned()));
        }
        let bus_path = BusPath::from_str(event.sysname().to_str()?).ok()?;
        if kind == EventType::Remove {
            self.told.remove(&bus_path);
            return Some(HotplugEvent::Removed(bus_path));
        }
        let info = match sysfs::read(&bus_path, event.syspath(), Some(event)) {
            Ok(info) => info,
            // Gone already. Its removal is told next.
            Err(UsbError::NotFound(_)) => return None,
            Err(error) => {
                tracing::warn!(P2PUSB_DEVICE = %bus_path, %error, "a USB device can't be read");
                return None;
            }
        };
        // The kernel announces a device before it chooses a configuration, and its binding to the driver that did. A
        // device without configuration could not be described, so it waits for that.
        if kind == EventType::Add && info.configuration.is_none() {
            return None;
        }
        let new = self.told.insert(bus_path);
        if kind == EventType::Bind {
            return Some(HotplugEvent::Bound(info));
        }
        if new { Some(HotplugEvent::Added(info)) } else { Some(HotplugEvent::Changed(info)) }
    }
}

fn lost(source: io::Error) -> UsbError {
    UsbError::Io { action: "listening for events of", path: "udev".into(), source }
}

impl fmt::Debug for Hotplug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Hotplug").field("told", &self.told).finish_non_exhaustive()
    }
}
