//! `org.p2pusb1.Share`

use zbus::{Fd, ObjectPath, OwnedObjectPath, Result, proxy};

use crate::Options;

/// A grant that offers a device to peers.
#[proxy(interface = "org.p2pusb1.Share", default_service = "org.p2pusb1")]
pub trait Share {
    /// End it, and the claim on it; answers when the device is back with this machine.
    fn revoke(&self, options: &Options<'_>) -> Result<()>;

    /// Say anew which peers may claim the device; empty for all.
    fn set_peers(&self, peers: &[ObjectPath<'_>], options: &Options<'_>) -> Result<()>;

    /// Say anew how long a claim outlives its connection, in seconds.
    fn set_grace(&self, grace: u32, options: &Options<'_>) -> Result<()>;

    /// Take the device back for now, or give it again.
    fn set_paused(&self, paused: bool, options: &Options<'_>) -> Result<()>;

    /// Say anew how fast the device may be used, in bytes in a second; 0 for no limit.
    fn set_bandwidth(&self, bandwidth: u64, options: &Options<'_>) -> Result<()>;

    /// Have it ask for another PIN, which is read from the file descriptor, up to its end.
    fn set_pin(&self, pin: Fd<'_>, options: &Options<'_>) -> Result<()>;

    /// Have it ask for no PIN.
    fn clear_pin(&self, options: &Options<'_>) -> Result<()>;

    /// The device, or "/" while it is not plugged in.
    #[zbus(property)]
    fn device(&self) -> Result<OwnedObjectPath>;

    /// The device's identity across plugs.
    #[zbus(property(emits_changed_signal = "const"))]
    fn stable_id(&self) -> Result<String>;

    /// The product's name, or "".
    #[zbus(property(emits_changed_signal = "const"))]
    fn product(&self) -> Result<String>;

    /// The peers that may claim it; empty for all.
    #[zbus(property)]
    fn peers(&self) -> Result<Vec<OwnedObjectPath>>;

    /// The same as the udev property or the rule names them that the share comes from; empty if none does.
    #[zbus(property)]
    fn peer_names(&self) -> Result<Vec<String>>;

    /// When it ends, in microseconds since the epoch; 0 for never.
    #[zbus(property)]
    fn expires(&self) -> Result<u64>;

    /// Whether it ends with its first claim.
    #[zbus(property)]
    fn once(&self) -> Result<bool>;

    /// When the device may be claimed; empty for always.
    #[zbus(property)]
    fn windows(&self) -> Result<Vec<String>>;

    /// How long one claim may last, in seconds; 0 for as long as it likes.
    #[zbus(property)]
    fn session_limit(&self) -> Result<u32>;

    /// The ids under which the device may come back.
    #[zbus(property)]
    fn follows(&self) -> Result<Vec<String>>;

    /// Whether it asks for a PIN.
    #[zbus(property)]
    fn pin_protected(&self) -> Result<bool>;

    /// See [`crate::values::ShareOrigin`].
    #[zbus(property)]
    fn origin(&self) -> Result<String>;

    /// See [`crate::values::ShareState`].
    #[zbus(property)]
    fn state(&self) -> Result<String>;

    /// The peer that has claimed it, or "/".
    #[zbus(property)]
    fn claimed_by(&self) -> Result<OwnedObjectPath>;

    /// The peers that wait for it, the next one first.
    #[zbus(property)]
    fn queue(&self) -> Result<Vec<OwnedObjectPath>>;

    /// How long a claim outlives its connection, in seconds.
    #[zbus(property)]
    fn grace(&self) -> Result<u32>;

    /// When the claim ends if the peer is not back, in microseconds since the epoch; 0 while it is not lost.
    #[zbus(property)]
    fn reconnect_deadline(&self) -> Result<u64>;

    /// The user that made it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn owner_uid(&self) -> Result<u32>;

    /// Whether somebody is asked about each claim.
    #[zbus(property)]
    fn ask(&self) -> Result<bool>;

    /// How fast it may be used, in bytes in a second; 0 for no limit.
    #[zbus(property)]
    fn bandwidth(&self) -> Result<u64>;

    /// Bytes that its claim has read from the device.
    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_in(&self) -> Result<u64>;

    /// Bytes that its claim has written to the device.
    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_out(&self) -> Result<u64>;

    /// Requests of its claim that have been completed.
    #[zbus(property(emits_changed_signal = "false"))]
    fn urbs(&self) -> Result<u64>;

    /// Those of them that failed.
    #[zbus(property(emits_changed_signal = "false"))]
    fn urb_errors(&self) -> Result<u64>;

    /// How long its claim has been without a connection, in microseconds.
    #[zbus(property(emits_changed_signal = "false"))]
    fn lost_usec(&self) -> Result<u64>;
}
