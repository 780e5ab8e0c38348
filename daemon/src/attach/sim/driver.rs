//! What drives the devices of a simulated kernel.

use std::sync::{
    Arc, Mutex, PoisonError,
    mpsc::{self, SyncSender},
};

use bytes::Bytes;

use super::port::{Done, SimPort};

/// A driver: whoever submits URBs.
pub trait Driver: Send + Sync {
    /// A URB that was submitted for this driver has ended. Runs on the port's thread, and must not wait; it may submit
    /// and unlink.
    fn complete(&self, port: &SimPort, done: Done<'_>);
}

/// A URB, as a driver fills it in.
#[derive(Debug, Clone)]
pub struct Urb {
    /// The endpoint's address, with the direction in bit 7; 0x00 for control.
    pub endpoint: u8,
    /// For control.
    pub setup: [u8; 8],
    /// As in include/linux/usb.h.
    pub flags: u32,
    /// How much is asked for; for OUT the length of `data`.
    pub length: u32,
    /// What is sent.
    pub data: Bytes,
    /// Whatever the driver wants to find in [`Done`].
    pub context: u64,
}

impl Urb {
    /// Asks for data.
    pub fn input(endpoint: u8, length: u32) -> Self {
        Self { endpoint, setup: [0; 8], flags: 0, length, data: Bytes::new(), context: 0 }
    }

    /// Sends data.
    pub fn output(endpoint: u8, data: Bytes) -> Self {
        Self { endpoint, setup: [0; 8], flags: 0, length: data.len() as u32, data, context: 0 }
    }

    /// A control request, with data for those that send some.
    pub fn control(setup: [u8; 8], data: Bytes) -> Self {
        let length = u16::from_le_bytes([setup[6], setup[7]]).into();
        Self { endpoint: 0, setup, flags: 0, length, data, context: 0 }
    }

    /// With something that the driver wants to find again.
    #[must_use]
    pub fn with_context(mut self, context: u64) -> Self {
        self.context = context;
        self
    }

    /// Whether data comes from the device.
    pub fn is_input(&self) -> bool {
        let tells = if self.endpoint & 0x0f == 0 { self.setup[0] } else { self.endpoint };
        tells & 0x80 != 0
    }
}

/// How a URB ended, for whoever waited for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// 0 or a negative errno.
    pub status: i32,
    /// How many bytes went.
    pub actual_length: u32,
    /// What came.
    pub data: Vec<u8>,
}

/// A driver that submits one URB at a time and waits for it.
#[derive(Debug)]
pub struct OneByOne {
    finished: SyncSender<Finished>,
    waiter: Mutex<mpsc::Receiver<Finished>>,
}

impl OneByOne {
    /// A driver.
    pub fn new() -> Arc<Self> {
        let (finished, waiter) = mpsc::sync_channel(1);
        Arc::new(Self { finished, waiter: Mutex::new(waiter) })
    }

    /// Runs one URB. Blocks until it has ended, which it does at the latest when the port does.
    pub fn run(self: &Arc<Self>, port: &SimPort, urb: Urb) -> Finished {
        let waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        let driver: Arc<dyn Driver> = self.clone();
        let gone = Finished { status: -nix::libc::ENODEV, actual_length: 0, data: Vec::new() };
        match port.submit(urb, &driver) {
            Some(_) => waiter.recv().unwrap_or(gone),
            None => gone,
        }
    }
}

impl Driver for OneByOne {
    fn complete(&self, _port: &SimPort, done: Done<'_>) {
        let Done { status, actual_length, data, .. } = done;
        // There is room: one at a time.
        let _ = self.finished.try_send(Finished { status, actual_length, data: data.to_vec() });
    }
}
