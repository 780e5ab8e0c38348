//! Devices as an exporter describes them.

use serde::{Deserialize, Serialize};

use crate::{error::FieldError, limits::MAX_INTERFACES, list, text, wire_enum::wire_enum};

wire_enum! {
    /// The speed that a device runs at.
    pub enum Speed {
        /// Not known, or one that this version has no name for.
        Unknown = 0 => "unknown",
        /// 1.5 Mbit/s.
        Low = 1 => "low",
        /// 12 Mbit/s.
        Full = 2 => "full",
        /// 480 Mbit/s.
        High = 3 => "high",
        /// 5 Gbit/s.
        Super = 4 => "super",
        /// 10 or 20 Gbit/s.
        SuperPlus = 5 => "super-plus",
    }
    unknown => Unknown
}

impl Speed {
    /// The speed in a device's `speed` attribute in sysfs, in Mbit/s, without the line's end.
    /// [`Speed::Unknown`] where the kernel does not know it or writes something new.
    pub fn from_sysfs(speed: &str) -> Self {
        match speed {
            "1.5" => Self::Low,
            "12" => Self::Full,
            "480" => Self::High,
            "5000" => Self::Super,
            "10000" | "20000" => Self::SuperPlus,
            _ => Self::Unknown,
        }
    }
}

/// What one interface of a device is, in the numbers that the USB-IF assigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InterfaceClass {
    /// bInterfaceClass.
    pub class: u8,
    /// bInterfaceSubClass.
    pub subclass: u8,
    /// bInterfaceProtocol.
    pub protocol: u8,
}

/// A device that the exporter offers. The same id again replaces what was said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedDevice {
    /// The exporter's id of the share: ASCII letters, digits and `_`, at most
    /// [`MAX_DEVICE_ID`](crate::MAX_DEVICE_ID) of them.
    #[serde(serialize_with = "text::serialize_device_id")]
    pub id: String,
    /// idVendor.
    pub vendor_id: u16,
    /// idProduct.
    pub product_id: u16,
    /// bDeviceClass; 0 where the interfaces say what the device is.
    pub class: u8,
    /// The manufacturer's name, for people; empty where the device has none.
    #[serde(serialize_with = "text::serialize")]
    pub manufacturer: String,
    /// The product's name, for people; empty where the device has none.
    #[serde(serialize_with = "text::serialize")]
    pub product: String,
    /// The speed that it runs at on the exporter.
    pub speed: Speed,
    /// The interfaces of its configuration, at most [`MAX_INTERFACES`].
    #[serde(
        serialize_with = "list::serialize::<_, _, MAX_INTERFACES>",
        deserialize_with = "list::deserialize::<_, _, MAX_INTERFACES>"
    )]
    pub interfaces: Vec<InterfaceClass>,
    /// Whether it can be attached now: nobody claims it, this peer included.
    pub available: bool,
}

impl OfferedDevice {
    pub(crate) fn validate(&self) -> Result<(), FieldError> {
        text::validate_device_id(&self.id)?;
        text::validate("manufacturer", &self.manufacturer)?;
        text::validate("product", &self.product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_from_sysfs() {
        let speeds = ["1.5", "12", "480", "5000", "10000", "20000", "unknown", ""];
        let names: Vec<&str> = speeds.iter().map(|speed| Speed::from_sysfs(speed).as_str()).collect();
        let expected = ["low", "full", "high", "super", "super-plus", "super-plus", "unknown", "unknown"];
        assert_eq!(names, expected);
    }
}
