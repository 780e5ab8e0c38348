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

use std::sync::Arc;

/// This machine's kernel.
pub(crate) fn kernel() -> Arc<dyn VirtualHost> {
    Arc::new(vhci::Vhci::new())
}
