//! A device that was taken from the kernel's drivers, until it is given back.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use p2pusb_protocol::UrbStatus;
use rusb::Context;
use tokio::sync::mpsc;

use super::{
    BusPath, Completion, Configuration, Descriptors, DeviceInfo, DeviceKind, Transfer, TransferType, UsbError,
    cancel::Canceller,
    descriptor::{EndpointMap, EndpointSet},
    host::Slot,
    status, sysfs,
    transfer::Transfers,
    usbfs::DeviceFile,
};

/// How long to wait for transfers to end after they were cancelled. A host controller that works takes milliseconds.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// The driver with which another USB/IP tool exports devices.
const USBIP_HOST: &str = "usbip-host";

/// The driver of whatever is claimed through usbfs, by this daemon or another program.
const USBFS: &str = "usbfs";

/// A device that this process drives.
///
/// Give it back with [`give_back`](Self::give_back); dropping it does the same, wherever that happens to be.
pub struct OpenDevice {
    bus_path: BusPath,
    transfers: Transfers,
    /// What changes the device as a whole goes one after the other. `None` once it was given back.
    control: Mutex<Option<Control>>,
}

/// How giving a device back went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GiveBackReport {
    /// The device was unplugged, so there was nothing to give.
    pub gone: bool,
    /// The interfaces that have their kernel driver again, with its name.
    pub restored: Vec<(u8, String)>,
    /// The interfaces that had a kernel driver and could not be given back to it, with its name.
    pub lost: Vec<(u8, String)>,
    /// How many transfers the host controller did not let go of.
    pub stuck: usize,
}

struct Control {
    bus_path: BusPath,
    sysfs: PathBuf,
    device: DeviceFile,
    descriptors: Descriptors,
    /// The active configuration.
    configuration: Option<u8>,
    /// The configuration that the device had when it was opened.
    original: Option<u8>,
    /// Which interfaces had which driver when the device was opened.
    drivers: Vec<(u8, String)>,
    /// The interfaces that are claimed.
    claimed: Vec<u8>,
    /// The alternate settings that are not 0.
    alternates: Vec<(u8, u8)>,
    /// Dropped last, when everything else is back.
    _slot: Slot,
}

impl OpenDevice {
    pub(super) fn open(
        context: &Context,
        canceller: Arc<Canceller>,
        slot: Slot,
        info: &DeviceInfo,
    ) -> Result<Self, UsbError> {
        if matches!(info.kind, DeviceKind::Hub | DeviceKind::RootHub) {
            return Err(UsbError::Hub(info.bus_path.clone()));
        }
        if let Some(user) = sysfs::driver(&info.sysfs).filter(|driver| driver == USBIP_HOST) {
            return Err(UsbError::Busy { device: info.bus_path.clone(), user });
        }
        let device = DeviceFile::open(context, info)?;
        // The numbers in the file's name may have passed to another device. From here on they can't: the file stays
        // with the device that it was opened for, and fails once that is gone.
        let now = sysfs::read(&info.bus_path, &info.sysfs, None)?;
        let numbers = |info: &DeviceInfo| (info.bus_number, info.device_number);
        if numbers(&now) != numbers(info) || now.descriptors != info.descriptors {
            return Err(UsbError::NotFound(info.bus_path.clone()));
        }
        let handle = device.raw().ok_or_else(|| UsbError::NotFound(info.bus_path.clone()))?;
        let splits_bulk = device.splits_bulk();
        let mut control = Control {
            bus_path: info.bus_path.clone(),
            sysfs: info.sysfs.clone(),
            device,
            descriptors: Descriptors::parse(&now.descriptors).unwrap_or_default(),
            configuration: now.configuration,
            original: now.configuration,
            drivers: Vec::new(),
            claimed: Vec::new(),
            alternates: Vec::new(),
            _slot: slot,
        };
        control.drivers = control.present_drivers();
        if let Err(error) = control.claim().and_then(|()| control.start_afresh()) {
            control.release();
            control.restore_drivers();
            return Err(error);
        }
        tracing::info!(P2PUSB_DEVICE = %info.bus_path, drivers = ?control.drivers, "took the device");
        // SAFETY: the handle is open. `finish` closes it, with `control`, only after `Transfers::close` was true, and
        // leaves it open for ever otherwise.
        let transfers = unsafe { Transfers::new(handle, control.endpoints(), splits_bulk, canceller) };
        Ok(Self { bus_path: info.bus_path.clone(), transfers, control: Mutex::new(Some(control)) })
    }

    /// Where the device is plugged.
    pub fn bus_path(&self) -> &BusPath {
        &self.bus_path
    }

    /// The type of an endpoint in the active configuration and the present alternate settings; `None` where there is no
    /// such endpoint. 0x00 and 0x80 are the control endpoint.
    pub fn endpoint(&self, address: u8) -> Option<TransferType> {
        self.transfers.endpoint(address)
    }

    /// Starts a transfer. However it ends, exactly one [`Completion`] with its
    /// endpoint and `tag` is put into `done`, within the kernel's own time: no timeout is added. After an error there is
    /// none.
    ///
    /// Any number of transfers may be in flight, each with a place in `done` reserved for its completion. It does not
    /// wait for the device. Like everything that asks the kernel for something, it waits while the kernel changes an
    /// alternate setting of this device, clears a halt or cancels a transfer.
    ///
    /// # Errors
    ///
    /// The status that the URB is to be completed with:
    /// * `Gone`: unplugged or given back,
    /// * `NoEndpoint`: not in the present configuration and alternate settings, or they are being changed,
    /// * `Invalid`: the endpoint's type, the direction, the setup packet, the packets and the data don't go together; the
    ///   setup
    ///   packet is a [special request](super::special_request); the tag is in flight on this endpoint already; a
    ///   control transfer of more than 4096 bytes, which usbfs does not carry,
    /// * `NoMemory`: more than usbfs has memory for, or no place left in `done`,
    /// * `Failed`: anything else.
    pub fn submit(&self, transfer: Transfer, tag: u64, done: &mpsc::Sender<Completion>) -> Result<(), UrbStatus> {
        self.transfers.submit(transfer, tag, done)
    }

    /// Has the transfer that was submitted with this endpoint and tag cancelled. Returns at once; its completion comes
    /// when the host controller has let go of it, and says `Cancelled` unless it was over before. Nothing happens when
    /// there is no such transfer.
    pub fn cancel(&self, endpoint: u8, tag: u64) {
        self.transfers.cancel(endpoint, tag);
    }

    /// How many transfers are in flight.
    pub fn in_flight(&self) -> usize {
        self.transfers.in_flight()
    }

    /// SET_CONFIGURATION: cancels all transfers, gives up all interfaces, sets the configuration and claims the
    /// interfaces that there are then. 0 is the state without configuration. The active configuration, too, is set
    /// again, which brings its alternate settings back to 0 and clears its halts.
    ///
    /// Blocks.
    ///
    /// # Errors
    ///
    /// The status that the URB is to be completed with; `Stalled` for a value that the device does not have.
    pub fn set_configuration(&self, value: u8) -> Result<(), UrbStatus> {
        self.change(
            |_| Ok(EndpointSet::all()),
            |control| {
                control.release();
                let set = match value {
                    0 => blocking(|| control.device.unconfigure()),
                    value => blocking(|| control.device.set_active_configuration(value)),
                };
                control.refresh().and(set)
            },
        )
    }

    /// SET_INTERFACE: cancels the transfers of that interface and chooses one of its alternate settings.
    ///
    /// Blocks.
    ///
    /// # Errors
    ///
    /// As for [`set_configuration`](Self::set_configuration).
    pub fn set_interface(&self, interface: u8, alternate: u8) -> Result<(), UrbStatus> {
        let endpoints = |control: &Control| {
            let configuration = control.active().filter(|_| control.claimed.contains(&interface));
            configuration.map(|active| EndpointSet::of_interface(active, interface)).ok_or(UrbStatus::Stalled)
        };
        self.change(endpoints, |control| {
            blocking(|| control.device.set_alternate_setting(interface, alternate))?;
            control.alternates.retain(|(number, _)| *number != interface);
            if alternate != 0 {
                control.alternates.push((interface, alternate));
            }
            Ok(())
        })
    }

    /// CLEAR_FEATURE(ENDPOINT_HALT): clears the halt and both sides' data toggles. Transfers on the endpoint stay.
    ///
    /// Blocks.
    ///
    /// # Errors
    ///
    /// As for [`set_configuration`](Self::set_configuration).
    pub fn clear_halt(&self, endpoint: u8) -> Result<(), UrbStatus> {
        let control = self.control();
        let control = control.as_ref().ok_or(UrbStatus::Gone)?;
        blocking(|| control.device.clear_halt(endpoint))
    }

    /// Resets the device's port. It keeps its configuration, and all alternate settings are 0 then.
    ///
    /// Blocks.
    ///
    /// # Errors
    ///
    /// The status that the URB is to be completed with; `Gone` when the device came back as another one, which the
    /// kernel tells as unplugging and plugging.
    pub fn reset(&self) -> Result<(), UrbStatus> {
        self.change(
            |_| Ok(EndpointSet::all()),
            |control| {
                control.release();
                let reset = match blocking(|| control.device.reset()) {
                    // What libusb says of a device that has to be enumerated anew.
                    Err(UrbStatus::Stalled) => Err(UrbStatus::Gone),
                    other => other,
                };
                control.refresh().and(reset)
            },
        )
    }

    /// Gives the device back to the kernel: cancels all transfers and waits for their completions, gives up the
    /// interfaces, resets the device, brings its configuration back to what it was and has its drivers take it. From the
    /// first moment on, [`submit`](Self::submit) and all others say `Gone`. It is safe after unplugging, and does
    /// nothing the second time.
    ///
    /// Blocks: as long as the drivers take to begin with the device, and at most 5 seconds for transfers that the host
    /// controller does not let go of. Such a device is given back all the same, but a part of it stays open until this
    /// process ends.
    pub fn give_back(self: Arc<Self>) -> GiveBackReport {
        self.finish()
    }

    /// Runs a change of the device while the transfers on some endpoints are held off.
    fn change(
        &self,
        endpoints: impl FnOnce(&Control) -> Result<EndpointSet, UrbStatus>,
        change: impl FnOnce(&mut Control) -> Result<(), UrbStatus>,
    ) -> Result<(), UrbStatus> {
        let mut control = self.control();
        let control = control.as_mut().ok_or(UrbStatus::Gone)?;
        let result = if self.transfers.hold(endpoints(control)?, CANCEL_PATIENCE) {
            change(control)
        } else {
            tracing::error!(P2PUSB_DEVICE = %self.bus_path, "the host controller does not let go of a transfer");
            Err(UrbStatus::Failed)
        };
        self.transfers.release(control.endpoints());
        result
    }

    fn control(&self) -> MutexGuard<'_, Option<Control>> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self) -> GiveBackReport {
        let idle = self.transfers.close(CANCEL_PATIENCE);
        let stuck = self.transfers.in_flight();
        let Some(mut control) = self.control().take() else { return GiveBackReport::default() };
        let mut report = control.give_back();
        if idle {
            drop(control);
        } else {
            report.stuck = stuck;
            // libusb still has transfers of it, or somebody is about to cancel one.
            std::mem::forget(control.device);
        }
        log(&self.bus_path, &report);
        report
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for OpenDevice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenDevice")
            .field("bus_path", &self.bus_path)
            .field("transfers", &self.transfers)
            .finish_non_exhaustive()
    }
}

impl Control {
    fn active(&self) -> Option<&Configuration> {
        self.descriptors.configuration(self.configuration?)
    }

    /// The endpoints that there are now.
    fn endpoints(&self) -> EndpointMap {
        let alternate = |interface| {
            let found = self.alternates.iter().find(|(number, _)| *number == interface);
            found.map_or(0, |(_, alternate)| *alternate)
        };
        // Of interfaces that others have taken meanwhile, nothing is ours.
        let active = self.active().map(|active| Configuration {
            value: active.value,
            interfaces: active.interfaces.iter().filter(|i| self.claimed.contains(&i.number)).cloned().collect(),
        });
        EndpointMap::new(active.as_ref(), alternate)
    }

    fn interface_folder(&self, configuration: u8, interface: u8) -> PathBuf {
        self.sysfs.join(self.bus_path.interface(configuration, interface))
    }

    /// The kernel drivers that the interfaces have now.
    fn present_drivers(&self) -> Vec<(u8, String)> {
        let Some(active) = self.active() else { return Vec::new() };
        let driver = |number: u8| sysfs::driver(&self.interface_folder(active.value, number));
        let numbers = active.interface_numbers().into_iter();
        let drivers = numbers.filter_map(|number| Some((number, driver(number)?)));
        drivers.filter(|(_, driver)| driver != USBFS).collect()
    }

    /// Takes all interfaces of the active configuration.
    fn claim(&mut self) -> Result<(), UsbError> {
        let Some(active) = self.active() else { return Ok(()) };
        let (value, numbers) = (active.value, active.interface_numbers());
        for number in numbers {
            // With this, taking an interface from its driver and claiming it are one step, and no driver can come
            // between. It is off again before anything is released: drivers of several interfaces can only begin when
            // all of them are free.
            let claimed = self.device.set_auto_detach_kernel_driver(true).and_then(|()| {
                let claimed = self.device.claim_interface(number);
                self.device.set_auto_detach_kernel_driver(false).and(claimed)
            });
            match claimed {
                Ok(()) => self.claimed.push(number),
                Err(source) => return Err(self.claim_error(value, number, source)),
            }
            match sysfs::alternate(&self.bus_path, &self.sysfs, value, number) {
                0 => {}
                alternate => self.alternates.push((number, alternate)),
            }
        }
        Ok(())
    }

    fn claim_error(&self, configuration: u8, number: u8, source: rusb::Error) -> UsbError {
        let device = self.bus_path.clone();
        match source {
            rusb::Error::NoDevice => UsbError::NotFound(device),
            rusb::Error::Busy => {
                let driver = sysfs::driver(&self.interface_folder(configuration, number));
                let user = driver.filter(|driver| driver != USBFS).unwrap_or_else(|| "another program".into());
                UsbError::Busy { device, user }
            }
            source => UsbError::Libusb { action: format!("claiming interface {number} of"), device, source },
        }
    }

    /// Resets the device, as the kernel that gets to see it now expects after plugging it in: its last driver may have
    /// been taken off in the middle of a command, of which the device is still waiting for the rest.
    fn start_afresh(&mut self) -> Result<(), UsbError> {
        self.release();
        let device = self.bus_path.clone();
        self.device.reset().map_err(|source| match source {
            // What libusb says of a device that comes back as another one.
            rusb::Error::NotFound | rusb::Error::NoDevice => UsbError::NotFound(device.clone()),
            source => UsbError::Libusb { action: "resetting".to_owned(), device: device.clone(), source },
        })?;
        self.configuration = sysfs::configuration(&self.bus_path, &self.sysfs)?;
        self.claim()
    }

    /// Gives up all interfaces. The kernel brings their alternate settings back to 0. False: the device is gone.
    fn release(&mut self) -> bool {
        let mut there = true;
        for number in self.claimed.drain(..) {
            if let Err(error) = self.device.release_interface(number) {
                there &= error != rusb::Error::NoDevice;
                tracing::debug!(P2PUSB_DEVICE = %self.bus_path, number, %error, "an interface was not released");
            }
        }
        self.alternates.clear();
        there
    }

    /// Finds out what configuration the device has after a change that gave up all interfaces, and claims them again.
    fn refresh(&mut self) -> Result<(), UrbStatus> {
        self.configuration = sysfs::configuration(&self.bus_path, &self.sysfs).map_err(|_| UrbStatus::Gone)?;
        self.claim().map_err(|error| {
            tracing::warn!(P2PUSB_DEVICE = %self.bus_path, %error, "an interface was lost");
            match error {
                UsbError::NotFound(_) => UrbStatus::Gone,
                _ => UrbStatus::Failed,
            }
        })
    }

    /// Has the drivers that the interfaces had take them again.
    fn restore_drivers(&mut self) -> GiveBackReport {
        let mut report = GiveBackReport::default();
        for (number, driver) in self.drivers.drain(..) {
            match self.device.attach_kernel_driver(number) {
                // Busy: it has one already, because the driver of another interface took this one, too, or because
                // setting the configuration did it.
                Ok(()) | Err(rusb::Error::Busy) => report.restored.push((number, driver)),
                Err(rusb::Error::NoDevice) => report.gone = true,
                Err(error) => {
                    tracing::debug!(P2PUSB_DEVICE = %self.bus_path, number, driver, %error, "no driver took it");
                    report.lost.push((number, driver));
                }
            }
        }
        report
    }

    fn give_back(&mut self) -> GiveBackReport {
        if !self.release() {
            return GiveBackReport { gone: true, ..GiveBackReport::default() };
        }
        // What was cancelled may have left the device in the middle of a command; its own driver is to find it as if
        // it had just been plugged in. The kernel's usbip-host does the same. It brings alternate settings back, too.
        if let Err(error) = self.device.reset() {
            tracing::debug!(P2PUSB_DEVICE = %self.bus_path, %error, "not reset");
        }
        if self.configuration != self.original {
            let set = match self.original {
                Some(value) => self.device.set_active_configuration(value),
                None => self.device.unconfigure(),
            };
            if let Err(error) = set {
                tracing::debug!(P2PUSB_DEVICE = %self.bus_path, %error, "the configuration stays");
            }
        }
        self.restore_drivers()
    }
}

/// Runs one of libusb's blocking calls.
fn blocking(call: impl FnOnce() -> rusb::Result<()>) -> Result<(), UrbStatus> {
    // libusb has one error for most of what the kernel says, but leaves the kernel's own where it was.
    nix::errno::Errno::clear();
    call().map_err(|error| status::failed(error, io::Error::last_os_error().raw_os_error()))
}

fn log(bus_path: &BusPath, report: &GiveBackReport) {
    let GiveBackReport { gone, restored, lost, stuck } = report;
    if *stuck > 0 {
        tracing::error!(P2PUSB_DEVICE = %bus_path, stuck, "gave back the device, but some transfers are stuck");
    }
    if !lost.is_empty() {
        tracing::warn!(P2PUSB_DEVICE = %bus_path, drivers = ?lost, "gave back the device, but these drivers did not take it");
    }
    if *gone {
        tracing::info!(P2PUSB_DEVICE = %bus_path, "the device was unplugged while it was taken");
    } else {
        tracing::info!(P2PUSB_DEVICE = %bus_path, drivers = ?restored, "gave back the device");
    }
}
