//! `org.p2pusb1.Device`

use zbus::{OwnedObjectPath, Result, proxy};

use crate::InterfaceClass;

/// A USB device plugged into this machine.
#[proxy(interface = "org.p2pusb1.Device", default_service = "org.p2pusb1")]
pub trait Device {
    /// Identity across plugs.
    #[zbus(property(emits_changed_signal = "const"))]
    fn stable_id(&self) -> Result<String>;

    /// Where it is plugged, such as `1-2.3`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn bus_path(&self) -> Result<String>;

    /// Its folder below `/sys`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn sysfs_path(&self) -> Result<String>;

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

    /// Class, subclass and protocol of each interface of the current configuration.
    #[zbus(property(emits_changed_signal = "const"))]
    fn interfaces(&self) -> Result<Vec<InterfaceClass>>;

    /// See [`crate::values::Speed`].
    #[zbus(property(emits_changed_signal = "const"))]
    fn speed(&self) -> Result<String>;

    /// See [`crate::values::DeviceState`].
    #[zbus(property)]
    fn state(&self) -> Result<String>;

    /// See [`crate::values::Exclusion`].
    #[zbus(property)]
    fn excluded(&self) -> Result<String>;

    /// The share that offers it, or "/".
    #[zbus(property)]
    fn share(&self) -> Result<OwnedObjectPath>;
}
