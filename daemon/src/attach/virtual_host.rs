//! The door between attachments and the kernel that they are for: `vhci` in the daemon, a simulation where the data path
//! is measured and tested.

use std::{fmt::Debug, io, os::fd::BorrowedFd};

use p2pusb_protocol::Speed;

use crate::{error::Result, usb::BusPath};

/// A host with virtual ports, into which devices are plugged that arrive over a socket.
pub(crate) trait VirtualHost: Debug + Send + Sync {
    /// All ports of all controllers.
    fn ports(&self) -> Result<Vec<Port>>;

    /// Attaches a device on a free port; `socket` is the kernel's end of the socketpair. `before` is called with a port
    /// before the kernel sees the device there; it may be called with another one first, which was taken meanwhile.
    fn attach(
        &self,
        socket: BorrowedFd<'_>,
        device_id: u32,
        speed: Speed,
        before: &mut dyn FnMut(&Port),
    ) -> Result<Port>;

    /// Takes a device off its port. A port that is free already is no error.
    fn detach(&self, port: &Port) -> io::Result<()>;

    /// Has the drivers of an attached device let go of it, while it still answers.
    ///
    /// Blocks until they have.
    fn deauthorize(&self, port: &Port) -> io::Result<()>;

    /// Whether a device of this speed could be attached now.
    fn has_free_port(&self, speed: Speed) -> Result<bool> {
        Ok(self.ports()?.iter().any(|port| port.is_free_for(speed)))
    }

    /// How this port is now.
    fn port(&self, number: u32) -> Result<Option<Port>> {
        Ok(self.ports()?.into_iter().find(|port| port.number == number))
    }

    /// The number of the port behind a bus path of this machine.
    fn port_of(&self, bus_path: &BusPath) -> Option<u32> {
        self.ports().ok()?.into_iter().find(|port| port.bus_path == bus_path.as_str()).map(|port| port.number)
    }
}

/// One port, numbered as in vhci's status files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    /// Which `vhci_hcd.N`.
    pub(super) controller: u32,
    /// The port's number over all controllers.
    pub(super) number: u32,
    pub(super) super_speed: bool,
    /// Nothing is attached.
    pub(super) free: bool,
    /// The bus path of whatever is attached to it.
    pub(super) bus_path: String,
}

impl Port {
    /// Whether a device of this speed could be attached to it now.
    pub(crate) fn is_free_for(&self, speed: Speed) -> bool {
        self.free && self.super_speed == matches!(speed, Speed::Super | Speed::SuperPlus)
    }
}
