//! The kernel's virtual USB controllers: finding a free port, attaching and detaching.
//!
//! All controllers are driven through the attributes of `vhci_hcd.0` (drivers/usb/usbip/vhci_sysfs.c):
//! `nports` counts the ports of all of them; `status`, `status.1`, … list one controller's ports each, the
//! high speed half first, then the SuperSpeed half, with port numbers that count through all controllers;
//! `attach` takes `PORT FD DEVID SPEED`; `detach` takes `PORT`.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, BorrowedFd},
    path::{Path, PathBuf},
};

use p2pusb_protocol::Speed;

use super::virtual_host::{Port, VirtualHost};
use crate::error::{Error, Result};

const PLATFORM: &str = "/sys/devices/platform";

/// A vhci port's state: enum usbip_device_status in usbip_common.h.
const PORT_FREE: u32 = 4;

/// No machine has more controllers than this (Kconfig: USBIP_VHCI_NR_HCS is at most 128).
const MAX_CONTROLLERS: usize = 128;

/// The kernel's virtual USB host.
#[derive(Debug, Clone)]
pub(crate) struct Vhci {
    platform: PathBuf,
    folder: PathBuf,
}

/// The buses of one controller: a high speed one, and a SuperSpeed one where the kernel has it.
#[derive(Debug, Default)]
struct Buses {
    high: Option<u32>,
    super_: Option<u32>,
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

fn parse_status(controller: u32, buses: &Buses, text: &str) -> Vec<Port> {
    let (mut high, mut super_) = (0, 0);
    let port = |line: &str| {
        let mut columns = line.split_whitespace();
        let (super_speed, bus, count) = match columns.next()? {
            "hs" => (false, buses.high, &mut high),
            "ss" => (true, buses.super_, &mut super_),
            _ => return None,
        };
        // A root hub's ports count from 1, in the order of the lines.
        *count += 1;
        let bus_path = format!("{}-{count}", bus?);
        let number = columns.next()?.parse().ok()?;
        let free = columns.next()?.parse() == Ok(PORT_FREE);
        Some(Port { controller, number, super_speed, free, bus_path })
    };
    text.lines().filter_map(port).collect()
}

impl Vhci {
    /// The kernel's. Whether it has one is seen whenever it is asked for: the module may be loaded any time.
    pub(super) fn new() -> Self {
        Self::at(Path::new(PLATFORM))
    }

    fn at(platform: &Path) -> Self {
        Self { platform: platform.to_owned(), folder: platform.join("vhci_hcd.0") }
    }

    fn buses(&self, controller: usize) -> Buses {
        let mut buses = Buses::default();
        let Ok(entries) = fs::read_dir(self.platform.join(format!("vhci_hcd.{controller}"))) else { return buses };
        for entry in entries.flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.strip_prefix("usb")?.parse().ok());
            let Some(number) = number else { continue };
            match fs::read_to_string(entry.path().join("speed")).map(|speed| Speed::from_sysfs(speed.trim())) {
                Ok(Speed::High) => buses.high = Some(number),
                Ok(Speed::Super | Speed::SuperPlus) => buses.super_ = Some(number),
                _ => {}
            }
        }
        buses
    }

    /// The folder of whatever is plugged into a port.
    fn folder_of(&self, port: &Port) -> PathBuf {
        let bus = port.bus_path.split_once('-').map_or("", |(bus, _)| bus);
        self.platform.join(format!("vhci_hcd.{}", port.controller)).join(format!("usb{bus}")).join(&port.bus_path)
    }
}

impl VirtualHost for Vhci {
    fn ports(&self) -> Result<Vec<Port>> {
        if !self.folder.join("attach").exists() {
            return Err(Error::KernelSupportMissing(
                "the module vhci_hcd is not there; load it with `modprobe vhci_hcd`".to_owned(),
            ));
        }
        let mut ports = Vec::new();
        for controller in 0..MAX_CONTROLLERS {
            let name = if controller == 0 { "status".to_owned() } else { format!("status.{controller}") };
            match fs::read_to_string(self.folder.join(&name)) {
                Ok(text) => ports.extend(parse_status(controller as u32, &self.buses(controller), &text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(Error::failed(format!("can't read the vhci ports ({name})"), error)),
            }
        }
        // A port is free for the controller before the hub's driver has noticed that its device is gone. A
        // device attached in between would inherit requests that were meant for the old one.
        for port in &mut ports {
            port.free &= !self.folder_of(port).exists();
        }
        Ok(ports)
    }

    /// The kernel keeps no reservation, so another program may take the port between the look and the
    /// write: then (-EBUSY) the next one is tried.
    fn attach(
        &self,
        socket: BorrowedFd<'_>,
        device_id: u32,
        speed: Speed,
        before: &mut dyn FnMut(&Port),
    ) -> Result<Port> {
        for port in self.ports()?.into_iter().filter(|port| port.is_free_for(speed)) {
            let line = format!("{} {} {device_id} {}", port.number, socket.as_raw_fd(), kernel_speed(speed));
            before(&port);
            match fs::write(self.folder.join("attach"), line) {
                Ok(()) => return Ok(port),
                Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => continue,
                Err(error) => return Err(Error::failed("the kernel refused to attach a device to a vhci port", error)),
            }
        }
        Err(Error::NoFreePort(speed))
    }

    fn detach(&self, port: &Port) -> io::Result<()> {
        match fs::write(self.folder.join("detach"), port.number.to_string()) {
            // vhci_sysfs.c answers -EINVAL for a port with nothing attached.
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => Ok(()),
            other => other,
        }
    }

    /// Documentation/usb/authorization.rst.
    fn deauthorize(&self, port: &Port) -> io::Result<()> {
        fs::write(self.folder_of(port).join("authorized"), "0")
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    const STATUS: &str = "hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00010002 000012 5-1
hs  0001 004 000 00000000 000000 0-0
ss  0008 004 000 00000000 000000 0-0
";
    const STATUS_1: &str = "hub port sta spd dev      sockfd local_busid
hs  0016 004 000 00000000 000000 0-0
ss  0024 005 000 00000000 000000 0-0
";

    fn buses(platform: &Path, controller: u32, first: u32) {
        for (number, speed) in [(first, "480"), (first + 1, "5000")] {
            let hub = platform.join(format!("vhci_hcd.{controller}/usb{number}"));
            fs::create_dir_all(&hub).unwrap();
            fs::write(hub.join("speed"), format!("{speed}\n")).unwrap();
        }
    }

    #[test]
    fn ports_are_read_over_all_controllers() {
        let folder = tempfile::tempdir().unwrap();
        let vhci = folder.path().join("vhci_hcd.0");
        fs::create_dir(&vhci).unwrap();
        assert!(matches!(Vhci::at(folder.path()).ports(), Err(Error::KernelSupportMissing(_))));
        for (name, text) in [("status", STATUS), ("status.1", STATUS_1), ("attach", ""), ("detach", "")] {
            fs::write(vhci.join(name), text).unwrap();
        }
        buses(folder.path(), 0, 5);
        buses(folder.path(), 1, 7);
        // The controller has forgotten it, the hub has not.
        fs::create_dir(vhci.join("usb5/5-2")).unwrap();
        let vhci = Vhci::at(folder.path());
        let ports = vhci.ports().unwrap();
        let facts: Vec<_> =
            ports.iter().map(|p| (p.controller, p.number, p.super_speed, p.free, p.bus_path.as_str())).collect();
        assert_eq!(
            facts,
            [
                (0, 0, false, false, "5-1"),
                (0, 1, false, false, "5-2"),
                (0, 8, true, true, "6-1"),
                (1, 16, false, true, "7-1"),
                (1, 24, true, false, "8-1")
            ]
        );
        assert_eq!(vhci.attach(io::stdout().as_fd(), 7, Speed::SuperPlus, &mut |_| ()).unwrap().number, 8);
        assert_eq!(fs::read_to_string(vhci.folder.join("attach")).unwrap(), "8 1 7 5");
    }

    #[test]
    fn full_ports_are_an_error_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let vhci = folder.path().join("vhci_hcd.0");
        fs::create_dir(&vhci).unwrap();
        buses(folder.path(), 0, 5);
        fs::write(vhci.join("attach"), "").unwrap();
        fs::write(vhci.join("status"), STATUS.replace(" 004 ", " 006 ")).unwrap();
        let vhci = Vhci::at(folder.path());
        assert!(matches!(
            vhci.attach(io::stdout().as_fd(), 7, Speed::High, &mut |_| ()),
            Err(Error::NoFreePort(Speed::High))
        ));
    }
}
