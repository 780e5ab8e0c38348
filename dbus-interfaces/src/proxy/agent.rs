//! `org.p2pusb1.Agent`

use zbus::{ObjectPath, Result, proxy};

use crate::Options;

/// A client's object that asks people. The daemon calls it by this.
#[proxy(interface = "org.p2pusb1.Agent")]
pub trait Agent {
    /// Whether somebody wants to pair with this machine and sees the same code on it.
    fn request_pairing(&self, endpoint_id: &str, label: &str, code: &str, details: &Options<'_>) -> Result<bool>;

    /// Whether this peer may have what is shared by this share.
    fn request_attach(&self, peer: &ObjectPath<'_>, share: &ObjectPath<'_>, details: &Options<'_>) -> Result<bool>;

    /// Nobody waits for the answer any longer.
    fn cancel(&self) -> Result<()>;

    /// The daemon has forgotten the agent.
    #[zbus(no_reply)]
    fn release(&self) -> Result<()>;
}
