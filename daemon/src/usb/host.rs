//! libusb, and the thread that runs its event loop.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusb::{Context, UsbContext};

use super::{DeviceInfo, OpenDevice, UsbError, cancel::Canceller};

/// How long [`UsbHost::stop`] waits for devices that somebody is still giving back.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How long the event thread rests when libusb's event loop fails again and again.
const EVENT_RETRY: Duration = Duration::from_millis(100);

/// libusb, with the threads `usb-events` and `usb-cancel`.
pub struct UsbHost {
    context: Context,
    canceller: Arc<Canceller>,
    devices: Mutex<Devices>,
    /// Told when a device was closed.
    closed: Condvar,
    /// Tells the event thread to end.
    stop: Arc<AtomicBool>,
    events: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Devices {
    open: usize,
    stopping: bool,
}

impl UsbHost {
    /// Starts libusb. Works on machines without USB, too, where there is nothing to open.
    ///
    /// # Errors
    ///
    /// When libusb can't be used here or the threads can't be started.
    pub fn start() -> Result<Arc<Self>, UsbError> {
        // sysfs and udev tell what is there. libusb would wake every device to look at it.
        rusb::disable_device_discovery().map_err(UsbError::NoUsb)?;
        let context = Context::new().map_err(UsbError::NoUsb)?;
        let canceller = Canceller::start().map_err(UsbError::io("starting the thread", "usb-cancel"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let run = {
            let (context, stop) = (context.clone(), stop.clone());
            move || run_events(&context, &stop)
        };
        let events = thread::Builder::new()
            .name("usb-events".into())
            .spawn(run)
            .map_err(UsbError::io("starting the thread", "usb-events"))?;
        Ok(Arc::new(Self {
            context,
            canceller: Arc::new(canceller),
            devices: Mutex::default(),
            closed: Condvar::new(),
            stop,
            events: Mutex::new(Some(events)),
        }))
    }

    /// Takes a device away from its kernel drivers, resets it and claims all its interfaces. What was done is undone if
    /// it fails.
    ///
    /// Blocks, for as long as the drivers take to let go.
    ///
    /// # Errors
    ///
    /// [`UsbError::NotFound`] when the device is not there any more or is another one, [`UsbError::Busy`] when another
    /// program has it, [`UsbError::Hub`], [`UsbError::PermissionDenied`], [`UsbError::Stopping`], and what libusb says.
    pub fn open(self: &Arc<Self>, info: &DeviceInfo) -> Result<Arc<OpenDevice>, UsbError> {
        let slot = Slot::new(self)?;
        OpenDevice::open(&self.context, self.canceller.clone(), slot, info).map(Arc::new)
    }

    /// Opens nothing any more, waits until all devices are given back, and ends the event thread. Further calls do
    /// nothing. Blocks.
    ///
    /// It gives no device back by itself: that is for whoever opened it. If one is still open after 20 seconds, the
    /// thread stays, for without it nothing could be given back at all.
    pub fn stop(&self) {
        let mut devices = self.devices();
        devices.stopping = true;
        let (devices, _) = self
            .closed
            .wait_timeout_while(devices, STOP_PATIENCE, |devices| devices.open > 0)
            .unwrap_or_else(PoisonError::into_inner);
        if devices.open > 0 {
            tracing::error!(open = devices.open, "stopping with USB devices that were not given back");
            return;
        }
        drop(devices);
        self.end_events();
    }

    /// How many devices are open.
    pub fn open_devices(&self) -> usize {
        self.devices().open
    }

    fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_events(&self) {
        self.stop.store(true, Ordering::Release);
        self.context.interrupt_handle_events();
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(events) = events {
            events.thread().unpark();
            // A panic in there has been reported by the panic hook.
            let _ = events.join();
        }
    }
}

impl Drop for UsbHost {
    fn drop(&mut self) {
        // Every open device holds the host, so there is none.
        self.end_events();
    }
}

impl fmt::Debug for UsbHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UsbHost").field("open", &self.open_devices()).finish_non_exhaustive()
    }
}

/// The event thread.
fn run_events(context: &Context, stop: &AtomicBool) {
    let mut failing = false;
    // An interruption between this look and the next line is not lost: libusb keeps it for the next call.
    while !stop.load(Ordering::Acquire) {
        match context.handle_events(None) {
            Ok(()) | Err(rusb::Error::Interrupted) => failing = false,
            Err(error) => {
                if failing {
                    thread::park_timeout(EVENT_RETRY);
                } else {
                    tracing::error!(%error, "libusb's event loop failed");
                }
                failing = true;
            }
        }
    }
}

/// A device's place among the open ones.
pub(super) struct Slot(Arc<UsbHost>);

impl Slot {
    fn new(host: &Arc<UsbHost>) -> Result<Self, UsbError> {
        let mut devices = host.devices();
        if devices.stopping {
            return Err(UsbError::Stopping);
        }
        devices.open += 1;
        Ok(Self(host.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.devices().open -= 1;
        self.0.closed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::device::tests::device;

    #[test]
    fn it_starts_and_stops_on_any_machine() {
        let host = UsbHost::start().unwrap();
        // Nothing is at this place, whatever else is plugged in.
        let nowhere = DeviceInfo { bus_number: 255, device_number: 255, ..device() };
        assert!(matches!(host.open(&nowhere), Err(UsbError::NotFound(_))));
        assert_eq!(host.open_devices(), 0);
        host.stop();
        assert!(matches!(host.open(&nowhere), Err(UsbError::Stopping)));
        host.stop();
    }

    #[test]
    fn several_hosts_live_side_by_side() {
        let hosts: Vec<_> = (0..3).map(|_| UsbHost::start().unwrap()).collect();
        drop(hosts);
    }
}
