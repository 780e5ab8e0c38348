//! `org.p2pusb1.Peer`

use zbus::{OwnedObjectPath, Result, proxy};

use crate::Options;

/// Another p2pusbd, known by its endpoint id.
#[proxy(interface = "org.p2pusb1.Peer", default_service = "org.p2pusb1")]
pub trait Peer {
    /// End the pairing, and with it every claim and attachment between the two machines.
    fn forget(&self, options: &Options<'_>) -> Result<()>;

    /// Call it something else on this machine.
    fn set_label(&self, label: &str, options: &Options<'_>) -> Result<()>;

    /// Block it, or end that; see [`crate::values::Trust`].
    fn set_trust(&self, trust: &str, options: &Options<'_>) -> Result<()>;

    /// Its endpoint id, 64 hexadecimal digits.
    #[zbus(property(emits_changed_signal = "const"))]
    fn endpoint_id(&self) -> Result<String>;

    /// Its name for people.
    #[zbus(property)]
    fn label(&self) -> Result<String>;

    /// See [`crate::values::Trust`].
    #[zbus(property)]
    fn trust(&self) -> Result<String>;

    /// The only share that it may use, `/` for no such limit.
    #[zbus(property)]
    fn scope(&self) -> Result<OwnedObjectPath>;

    /// When the pairing ends, in microseconds since the epoch; 0 for never.
    #[zbus(property)]
    fn until(&self) -> Result<u64>;

    /// See [`crate::values::PeerState`].
    #[zbus(property)]
    fn state(&self) -> Result<String>;

    /// Why the last connection failed or ended, for people; "" for nothing.
    #[zbus(property)]
    fn last_error(&self) -> Result<String>;

    /// See [`crate::values::PathKind`].
    #[zbus(property, name = "Path")]
    fn path_kind(&self) -> Result<String>;

    /// Round-trip time in microseconds, 0 while not connected.
    #[zbus(property(emits_changed_signal = "false"))]
    fn rtt_usec(&self) -> Result<u64>;

    /// When it was last connected, in microseconds since the epoch; 0 for never.
    #[zbus(property)]
    fn last_seen(&self) -> Result<u64>;

    /// How fast it may use what is shared with it, in bytes in a second; 0 for no limit.
    #[zbus(property)]
    fn bandwidth(&self) -> Result<u64>;

    /// Say how fast it may use what is shared with it, in bytes in a second; 0 for no limit.
    fn set_bandwidth(&self, bandwidth: u64, options: &Options<'_>) -> Result<()>;
}
