//! `org.p2pusb1.Attachment`

use zbus::{OwnedObjectPath, Result, proxy};

use crate::Options;

/// A remote device in use here.
#[proxy(interface = "org.p2pusb1.Attachment", default_service = "org.p2pusb1")]
pub trait Attachment {
    /// Give it back; answers when the device is gone from this machine.
    fn detach(&self, options: &Options<'_>) -> Result<()>;

    /// The remote device.
    #[zbus(property(emits_changed_signal = "const"))]
    fn remote_device(&self) -> Result<OwnedObjectPath>;

    /// The peer that it comes from.
    #[zbus(property(emits_changed_signal = "const"))]
    fn peer(&self) -> Result<OwnedObjectPath>;

    /// The product's name, or "".
    #[zbus(property)]
    fn product(&self) -> Result<String>;

    /// See [`crate::values::AttachmentState`].
    #[zbus(property)]
    fn state(&self) -> Result<String>;

    /// Why it ended, see [`crate::values::EndReason`]; "" while it has not.
    #[zbus(property)]
    fn last_error(&self) -> Result<String>;

    /// Where it is plugged here, such as `9-1`; "" until the kernel has enumerated it.
    #[zbus(property)]
    fn local_bus_path(&self) -> Result<String>;

    /// Its device object here, or "/".
    #[zbus(property)]
    fn local_device(&self) -> Result<OwnedObjectPath>;

    /// The number of the virtual host controller.
    #[zbus(property)]
    fn controller(&self) -> Result<u32>;

    /// The port number as in the controller's status files.
    #[zbus(property)]
    fn port(&self) -> Result<u32>;

    /// When it was asked for, in microseconds since the epoch.
    #[zbus(property)]
    fn since(&self) -> Result<u64>;

    /// How long it outlives its connection, in seconds.
    #[zbus(property)]
    fn grace(&self) -> Result<u32>;

    /// When it ends if the peer is not back, in microseconds since the epoch; 0 while it is not lost.
    #[zbus(property)]
    fn reconnect_deadline(&self) -> Result<u64>;

    /// When it is going to end by itself, in microseconds since the epoch; 0 while that is not near.
    #[zbus(property)]
    fn ends_at(&self) -> Result<u64>;

    /// Whether it is attached again by itself.
    #[zbus(property)]
    fn keep(&self) -> Result<bool>;

    /// The ids under which it is attached again by itself, besides its own.
    #[zbus(property)]
    fn follow(&self) -> Result<Vec<String>>;

    /// Bytes of data that have come from the device.
    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_in(&self) -> Result<u64>;

    /// Bytes of data that have gone to the device.
    #[zbus(property(emits_changed_signal = "false"))]
    fn bytes_out(&self) -> Result<u64>;

    /// USB requests completed.
    #[zbus(property(emits_changed_signal = "false"))]
    fn urbs(&self) -> Result<u64>;

    /// The user that asked for it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn owner_uid(&self) -> Result<u32>;

    /// Requests that failed.
    #[zbus(property(emits_changed_signal = "false"))]
    fn urb_errors(&self) -> Result<u64>;

    /// How long it has been without a connection, in microseconds.
    #[zbus(property(emits_changed_signal = "false"))]
    fn lost_usec(&self) -> Result<u64>;
}
