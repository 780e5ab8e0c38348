//! The kernel's virtual USB controllers: finding a free port, attaching and detaching.
//!
//! All controllers are driven through the attributes of `vhci_hcd.0` (drivers/usb/usbip/vhci_sysfs.c):
//! `nports` counts the ports of all of them; `status`, `status.1`, … list one controller's ports each, the
//! high speed half first, then the SuperSpeed half, with port numbers that count through all controllers;
//! `attach` takes `PORT FD DEVID SPEED`; `detach` takes `PORT`.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd as _},
    path::{Path, PathBuf},
};

use p2pusb_protocol::Speed;

use crate::error::{Error, Result};

const PLATFORM: &str = "/sys/devices/platform";

/// A vhci port's state: enum usbip_device_status in usbip_common.h.
const PORT_FREE: u32 = 4;

/// No machine has more controllers than this (Kconfig: USBIP_VHCI_NR_HCS is at most 128).
const MAX_CONTROLLERS: usize = 128;

/// The kernel's virtual USB host.
#[derive(Debug, Clone)]
pub(super) struct Vhci {
    folder: PathBuf,
}

/// One port, numbered as in the status files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// Which `vhci_hcd.N`.
    pub(super) controller: u32,
    /// The port's number over all controllers.
    pub(super) number: u32,
    super_speed: bool,
    free: bool,
    /// Where the kernel has put the device; empty before it is enumerated.
    pub(super) bus_path: String,
}

/// enum usb_device_speed in include/uapi/linux/usb/ch9.h.
fn kernel_speed(speed: Speed) -> u32 {
    match speed {
        Speed::Low => 1,
        Speed::Full => 2,
        Speed::High | Speed::Unknown => 3,
        // vhci knows no faster one (valid_args in vhci_sysfs.c).
        Speed::Super | Speed::SuperPlus => 5,
    }
}

fn parse_status(controller: u32, text: &str) -> Vec<Port> {
    let port = |line: &str| {
        let mut columns = line.split_whitespace();
        let super_speed = match columns.next()? {
            "hs" => false,
            "ss" => true,
            _ => return None,
        };
        let number = columns.next()?.parse().ok()?;
        let free = columns.next()?.parse() == Ok(PORT_FREE);
        // speed, dev, sockfd
        let bus_path = columns.nth(3).filter(|path| *path != "0-0").unwrap_or_default().to_owned();
        Some(Port { controller, number, super_speed, free, bus_path })
    };
    text.lines().filter_map(port).collect()
}

impl Vhci {
    /// The kernel's, if it has one.
    pub(super) fn open() -> Result<Self> {
        Self::open_at(Path::new(PLATFORM))
    }

    fn open_at(platform: &Path) -> Result<Self> {
        let folder = platform.join("vhci_hcd.0");
        if folder.join("attach").exists() {
            Ok(Self { folder })
        } else {
            Err(Error::KernelSupportMissing(
                "the module vhci_hcd is not there; load it with `modprobe vhci_hcd`".to_owned(),
            ))
        }
    }

    /// All ports of all controllers.
    pub(super) fn ports(&self) -> Result<Vec<Port>> {
        let mut ports = Vec::new();
        for controller in 0..MAX_CONTROLLERS {
            let name = if controller == 0 { "status".to_owned() } else { format!("status.{controller}") };
            match fs::read_to_string(self.folder.join(&name)) {
                Ok(text) => ports.extend(parse_status(controller as u32, &text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(Error::failed(format!("can't read the vhci ports ({name})"), error)),
            }
        }
        Ok(ports)
    }

    /// Attaches a device on a free port; `socket` is the kernel's end of the socketpair.
    ///
    /// The kernel keeps no reservation, so another program may take the port between the look and the
    /// write: then (-EBUSY) the next one is tried.
    pub(super) fn attach(&self, socket: impl AsFd, device_id: u32, speed: Speed) -> Result<Port> {
        let wants_super = matches!(speed, Speed::Super | Speed::SuperPlus);
        let candidates = self.ports()?.into_iter().filter(|port| port.free && port.super_speed == wants_super);
        for port in candidates {
            let fd = socket.as_fd().as_raw_fd();
            let line = format!("{} {fd} {device_id} {}", port.number, kernel_speed(speed));
            match fs::write(self.folder.join("attach"), line) {
                Ok(()) => return Ok(port),
                Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => continue,
                Err(error) => return Err(Error::failed("the kernel refused to attach a device to a vhci port", error)),
            }
        }
        Err(Error::NoFreePort(speed))
    }

    /// Whether a device of this speed could be attached now.
    pub(super) fn has_free_port(&self, speed: Speed) -> Result<bool> {
        let wants_super = matches!(speed, Speed::Super | Speed::SuperPlus);
        Ok(self.ports()?.iter().any(|port| port.free && port.super_speed == wants_super))
    }

    /// Takes a device off its port. A port that is free already is no error.
    pub(super) fn detach(&self, port: &Port) -> io::Result<()> {
        match fs::write(self.folder.join("detach"), port.number.to_string()) {
            // vhci_sysfs.c answers -EINVAL for a port with nothing attached.
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => Ok(()),
            other => other,
        }
    }

    /// How this port is now.
    pub(super) fn port(&self, number: u32) -> Result<Option<Port>> {
        Ok(self.ports()?.into_iter().find(|port| port.number == number))
    }
}

impl Port {
    /// Nothing is attached.
    pub(super) fn is_free(&self) -> bool {
        self.free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00010002 000012 9-1
hs  0001 004 000 00000000 000000 0-0
ss  0008 004 000 00000000 000000 0-0
";
    const STATUS_1: &str = "hub port sta spd dev      sockfd local_busid
hs  0016 004 000 00000000 000000 0-0
ss  0024 005 000 00000000 000000 0-0
";

    #[test]
    fn ports_are_read_over_all_controllers() {
        let folder = tempfile::tempdir().unwrap();
        let vhci = folder.path().join("vhci_hcd.0");
        fs::create_dir(&vhci).unwrap();
        assert!(matches!(Vhci::open_at(folder.path()), Err(Error::KernelSupportMissing(_))));
        for (name, text) in [("status", STATUS), ("status.1", STATUS_1), ("attach", ""), ("detach", "")] {
            fs::write(vhci.join(name), text).unwrap();
        }
        let vhci = Vhci::open_at(folder.path()).unwrap();
        let ports = vhci.ports().unwrap();
        let facts: Vec<_> =
            ports.iter().map(|p| (p.controller, p.number, p.super_speed, p.free, p.bus_path.as_str())).collect();
        assert_eq!(
            facts,
            [
                (0, 0, false, false, "9-1"),
                (0, 1, false, true, ""),
                (0, 8, true, true, ""),
                (1, 16, false, true, ""),
                (1, 24, true, false, "")
            ]
        );
        assert_eq!(vhci.attach(io::stdout(), 7, Speed::SuperPlus).unwrap().number, 8);
        assert_eq!(fs::read_to_string(vhci.folder.join("attach")).unwrap(), "8 1 7 5");
    }

    #[test]
    fn full_ports_are_an_error_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let vhci = folder.path().join("vhci_hcd.0");
        fs::create_dir(&vhci).unwrap();
        fs::write(vhci.join("attach"), "").unwrap();
        fs::write(vhci.join("status"), STATUS.replace(" 004 ", " 006 ")).unwrap();
        let vhci = Vhci::open_at(folder.path()).unwrap();
        assert!(matches!(vhci.attach(io::stdout(), 7, Speed::High), Err(Error::NoFreePort(Speed::High))));
    }
}
