//! Importer sessions: the local kernel on one side, a peer's lanes on the other.

mod ahead;
mod iso;
mod named;
mod patience;
mod pump;
mod session;
#[doc(hidden)]
pub mod sim;
#[cfg(test)]
mod tests;
mod usbip;
#[cfg(test)]
#[path = "../../fuzz/checks/usbip_commands.rs"]
mod usbip_check;
mod vhci;
mod virtual_host;

pub(crate) use self::{
    named::forget_all as forget_names,
    patience::wait_longer,
    session::{Place, Request, run},
    virtual_host::VirtualHost,
};

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// This machine's kernel.
pub(crate) fn kernel() -> Arc<dyn VirtualHost> {
    Arc::new(vhci::Vhci::new())
}

/// What went through an attachment.
#[derive(Debug, Default)]
pub struct Counters {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    urbs: AtomicU64,
}

impl Counters {
    fn count(&self, input: bool, bytes: u32) {
        self.urbs.fetch_add(1, Ordering::Relaxed);
        let counter = if input { &self.bytes_in } else { &self.bytes_out };
        counter.fetch_add(bytes.into(), Ordering::Relaxed);
    }

    /// Bytes read from the device.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes written to the device.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// URBs completed.
    pub fn urbs(&self) -> u64 {
        self.urbs.load(Ordering::Relaxed)
    }
}
