//! `org.p2pusb1.RemoteDevice`

use zbus::{OwnedFd, OwnedObjectPath, Result, proxy};

use crate::{InterfaceClass, Options};

/// A device that a peer offers.
#[proxy(interface = "org.p2pusb1.RemoteDevice", default_service = "org.p2pusb1")]
pub trait RemoteDevice {
    /// Use it here; answers with the attachment when the kernel has set the device's configuration.
    fn attach(&self, options: &Options<'_>) -> Result<OwnedObjectPath>;

    /// The same, for as long as the file descriptor is open somewhere.
    fn attach_with_guard(&self, options: &Options<'_>) -> Result<(OwnedObjectPath, OwnedFd)>;

    /// The peer that offers it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn peer(&self) -> Result<OwnedObjectPath>;

    /// The id of the share on the peer.
    #[zbus(property(emits_changed_signal = "const"))]
    fn remote_id(&self) -> Result<String>;

    /// `idVendor`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn vendor_id(&self) -> Result<u16>;

    /// `idProduct`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn product_id(&self) -> Result<u16>;

    /// The manufacturer's name, or "".
    #[zbus(property(emits_changed_signal = "const"))]
    fn manufacturer(&self) -> Result<String>;

    /// The product's name, or "".
    #[zbus(property(emits_changed_signal = "const"))]
    fn product(&self) -> Result<String>;

    /// `bDeviceClass`; 0 where each interface has its own.
    #[zbus(property(emits_changed_signal = "const"))]
    fn class(&self) -> Result<u8>;

    /// Class, subclass and protocol of each interface.
    #[zbus(property(emits_changed_signal = "const"))]
    fn interfaces(&self) -> Result<Vec<InterfaceClass>>;

    /// See [`crate::values::Speed`].
    #[zbus(property(emits_changed_signal = "const"))]
    fn speed(&self) -> Result<String>;

    /// False while somebody, this machine included, has claimed it.
    #[zbus(property)]
    fn available(&self) -> Result<bool>;

    /// The attachment that uses it here, or "/".
    #[zbus(property)]
    fn attachment(&self) -> Result<OwnedObjectPath>;
}
