//! A simulated kernel and its ports.

use std::{
    collections::BTreeMap,
    io,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use p2pusb_protocol::Speed;
use tokio::sync::mpsc;

use super::{enumerate::Enumerate, port::SimPort};
use crate::{
    attach::virtual_host::{Port, VirtualHost},
    error::{Error, Result},
    usb::{BusPath, DeviceKind, HotplugEvent, sim::info},
};

/// As many ports as Debian's kernel has, half of them for SuperSpeed.
const PORTS: u32 = 240;
/// The buses that the ports are on.
const HIGH_SPEED_BUS: u32 = 100;
const SUPER_SPEED_BUS: u32 = 101;
/// What is plugged in and out and has not been told yet.
const HOTPLUG_QUEUE: usize = 64;

/// A simulated kernel. Clones are the same one.
#[derive(Debug, Clone)]
pub struct SimKernel {
    ports: Arc<Mutex<Ports>>,
    hotplug: mpsc::Sender<HotplugEvent>,
}

#[derive(Debug, Default)]
struct Ports {
    attached: BTreeMap<u32, SimPort>,
    /// What was said of devices that are gone.
    complaints: Vec<String>,
}

impl SimKernel {
    /// A kernel, and what it tells of devices that come and go.
    pub fn new() -> (Self, mpsc::Receiver<HotplugEvent>) {
        let (hotplug, events) = mpsc::channel(HOTPLUG_QUEUE);
        (Self { ports: Arc::default(), hotplug }, events)
    }

    /// The device on a port.
    pub fn port(&self, number: u32) -> Option<SimPort> {
        self.ports_now().attached.get(&number).cloned()
    }

    /// Everything that the daemon said and vhci would not have taken.
    pub fn complaints(&self) -> Vec<String> {
        let ports = self.ports_now();
        let attached = ports.attached.values().flat_map(SimPort::complaints);
        ports.complaints.iter().cloned().chain(attached).collect()
    }

    fn ports_now(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a port until its device is gone.
    fn serve(&self, number: u32, bus_path: BusPath, speed: Speed, port: &SimPort, socket: &UnixStream) {
        let (hotplug, path) = (self.hotplug.clone(), bus_path.clone());
        Enumerate::start(port, move |descriptors| {
            let info = info(path, DeviceKind::Vhci, "attached".to_owned(), speed, descriptors);
            // Nobody may listen any longer.
            let _ = hotplug.blocking_send(HotplugEvent::Bound(info));
        });
        port.run(socket);
        let _ = self.hotplug.blocking_send(HotplugEvent::Removed(bus_path));
        let mut ports = self.ports_now();
        ports.attached.remove(&number);
        ports.complaints.extend(port.complaints());
    }
}

fn is_super(number: u32) -> bool {
    number >= PORTS / 2
}

fn bus_path(number: u32) -> String {
    match number.checked_sub(PORTS / 2) {
        Some(at) => format!("{SUPER_SPEED_BUS}-{}", at + 1),
        None => format!("{HIGH_SPEED_BUS}-{}", number + 1),
    }
}

impl VirtualHost for SimKernel {
    fn ports(&self) -> Result<Vec<Port>> {
        let ports = self.ports_now();
        let port = |number| Port {
            controller: 0,
            number,
            super_speed: is_super(number),
            free: !ports.attached.contains_key(&number),
            bus_path: bus_path(number),
        };
        Ok((0..PORTS).map(port).collect())
    }

    fn attach(
        &self,
        socket: BorrowedFd<'_>,
        device_id: u32,
        speed: Speed,
        before: &mut dyn FnMut(&Port),
    ) -> Result<Port> {
        let failed = |error: io::Error| Error::failed("the simulated kernel refused to attach a device", error);
        let port = self.ports()?.into_iter().find(|port| port.is_free_for(speed)).ok_or(Error::NoFreePort(speed))?;
        before(&port);
        let socket = UnixStream::from(socket.try_clone_to_owned().map_err(failed)?);
        socket.set_nonblocking(true).map_err(failed)?;
        let path: BusPath =
            port.bus_path.parse().map_err(|error| Error::failed("a simulated port has a bad bus path", error))?;
        let sim = SimPort::new(device_id).map_err(failed)?;
        self.ports_now().attached.insert(port.number, sim.clone());
        let (kernel, number) = (self.clone(), port.number);
        thread::Builder::new()
            .name(format!("sim-port-{number}"))
            .spawn(move || kernel.serve(number, path, speed, &sim, &socket))
            .map_err(failed)?;
        Ok(port)
    }

    fn detach(&self, port: &Port) -> io::Result<()> {
        if let Some(port) = self.port(port.number) {
            port.stop();
        }
        Ok(())
    }

    fn deauthorize(&self, port: &Port) -> io::Result<()> {
        let port = self.port(port.number).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        port.let_go();
        Ok(())
    }
}
