//! What is known of a device without opening it.

use std::{cmp::Ordering, collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use bytes::Bytes;
use p2pusb_protocol::{InterfaceClass, Speed};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest bus path, in bytes. The kernel allows five hubs in a row, which makes `255-255.255.255.255.255.255`.
const MAX_BUS_PATH: usize = 32;

/// How many bytes of the serial number's SHA-256 a stable id carries: too many for two devices of one desk to collide by
/// chance, few enough to be typed.
const SERIAL_HASH_BYTES: usize = 8;

/// Where a device is plugged: `1-2.3` is port 3 of the hub at port 2 of bus 1, and `usb1` is bus 1's root hub.
///
/// It is the kernel's name of the device below `/sys/bus/usb/devices`. Bus paths are ordered by number, so `1-2` comes
/// before `1-10`, and a hub before what is plugged into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BusPath(String);

/// A text that is no bus path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a bus path such as 1-2.3 or usb1")]
pub struct InvalidBusPath;

impl BusPath {
    /// The bus path as the kernel writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a bus itself, thus a root hub.
    pub fn is_root_hub(&self) -> bool {
        self.0.starts_with("usb")
    }

    /// The kernel's name of one of the device's interfaces, such as `1-2.3:1.0`.
    pub(super) fn interface(&self, configuration: u8, interface: u8) -> String {
        format!("{}:{configuration}.{interface}", self.0)
    }

    /// The bus, then the ports along the way.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.trim_start_matches("usb").split(['-', '.']).map(|number| number.parse().unwrap_or(u32::MAX))
    }
}

impl FromStr for BusPath {
    type Err = InvalidBusPath;

    fn from_str(text: &str) -> Result<Self, InvalidBusPath> {
        // What is accepted here becomes part of file names, so nothing but the exact form will do.
        let number = |text: &str| {
            let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits && !text.starts_with('0')
        };
        let valid = text.len() <= MAX_BUS_PATH
            && match text.strip_prefix("usb") {
                Some(bus) => number(bus),
                None => text.split_once('-').is_some_and(|(bus, ports)| number(bus) && ports.split('.').all(number)),
            };
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidBusPath) }
    }
}

impl TryFrom<String> for BusPath {
    type Error = InvalidBusPath;

    fn try_from(text: String) -> Result<Self, InvalidBusPath> {
        text.parse()
    }
}

impl From<BusPath> for String {
    fn from(path: BusPath) -> Self {
        path.0
    }
}

impl fmt::Display for BusPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl Ord for BusPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(other.numbers()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for BusPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a device is to this machine, which decides whether it may be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A device that is plugged in here.
    Ordinary,
    /// A hub that is plugged in here, or attached.
    Hub,
    /// A bus itself.
    RootHub,
    /// A device on a virtual port (`vhci_hcd`): this daemon or another USB/IP tool attached it.
    Vhci,
}

/// A device that is plugged in here, as sysfs describes it.
///
/// Two values are equal when they describe the same device at the same place in the same state.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Where it is plugged.
    pub bus_path: BusPath,
    /// Its folder in sysfs, without symbolic links: `/sys/devices/…`.
    pub sysfs: PathBuf,
    /// The number of its bus, as in `/dev/bus/usb/BBB/DDD`.
    pub bus_number: u8,
    /// Its number on the bus. The kernel gives a new one at each plugging.
    pub device_number: u8,
    /// The vendor id of the device descriptor.
    pub vendor_id: u16,
    /// The product id of the device descriptor.
    pub product_id: u16,
    /// The class code of the device descriptor; 0 where the interfaces say it.
    pub class: u8,
    /// Who made it: the device's own text, else the hardware database's, else empty. No control characters.
    pub manufacturer: String,
    /// What it is: the device's own text, else the hardware database's, else empty. No control characters.
    pub product: String,
    /// The serial number, exactly as the device gives it. It identifies its owner, so it stays in here.
    pub(super) serial: Option<Vec<u8>>,
    /// How fast it is connected.
    pub speed: Speed,
    /// The value of the active configuration; `None` while it has none.
    pub configuration: Option<u8>,
    /// The classes of all alternate settings of all configurations, each once, in the descriptors' order.
    pub interfaces: Vec<InterfaceClass>,
    /// The device descriptor and all configurations, raw, as the device gave them to the kernel.
    pub descriptors: Bytes,
    /// What it is to this machine.
    pub kind: DeviceKind,
    /// The udev properties whose names begin with `P2PUSB_`, which local rules may set.
    pub properties: BTreeMap<String, String>,
}

impl DeviceInfo {
    /// The identity of the device across plugs.
    ///
    /// With a serial number it is `vid:pid:` and 16 hexadecimal digits that follow from the serial number and don't
    /// reveal it, so the device is known wherever it is plugged. Without one it is [`place_id`](Self::place_id). Where
    /// two plugged devices have the same stable id (some makers give all their devices one serial number), only the
    /// place tells them apart.
    pub fn stable_id(&self) -> String {
        match &self.serial {
            Some(serial) => {
                let hash = Sha256::digest(serial);
                let mut id = format!("{:04x}:{:04x}:", self.vendor_id, self.product_id);
                for byte in &hash[..SERIAL_HASH_BYTES] {
                    id.push_str(&format!("{byte:02x}"));
                }
                id
            }
            None => self.place_id(),
        }
    }

    /// The identity of a device of this kind at this place: `vid:pid@buspath`.
    pub fn place_id(&self) -> String {
        format!("{:04x}:{:04x}@{}", self.vendor_id, self.product_id, self.bus_path)
    }

    /// The same with that serial number.
    #[cfg(test)]
    pub(crate) fn with_serial(self, serial: &str) -> Self {
        Self { serial: Some(serial.as_bytes().to_vec()), ..self }
    }

    /// The serial number, for rules to look at. It identifies its owner, so it must not be shown.
    pub(crate) fn serial(&self) -> Option<&[u8]> {
        self.serial.as_deref()
    }

    /// Whether the device has a serial number.
    pub fn has_serial(&self) -> bool {
        self.serial.is_some()
    }
}

impl fmt::Debug for DeviceInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeviceInfo")
            .field("bus_path", &self.bus_path)
            .field("sysfs", &self.sysfs)
            .field("bus_number", &self.bus_number)
            .field("device_number", &self.device_number)
            .field("vendor_id", &format_args!("{:04x}", self.vendor_id))
            .field("product_id", &format_args!("{:04x}", self.product_id))
            .field("class", &self.class)
            .field("manufacturer", &self.manufacturer)
            .field("product", &self.product)
            .field("serial", &self.serial.as_ref().map(|_| "redacted"))
            .field("speed", &self.speed)
            .field("configuration", &self.configuration)
            .field("interfaces", &self.interfaces)
            .field("descriptors", &format_args!("{} bytes", self.descriptors.len()))
            .field("kind", &self.kind)
            .field("properties", &self.properties)
            .finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Some device at `1-1`.
    pub(in crate::usb) fn device() -> DeviceInfo {
        DeviceInfo {
            bus_path: "1-1".parse().unwrap(),
            sysfs: "/sys/devices/pci0/usb1/1-1".into(),
            bus_number: 1,
            device_number: 7,
            vendor_id: 0x0781,
            product_id: 0x5567,
            class: 0,
            manufacturer: "Acme".into(),
            product: "Disk".into(),
            serial: None,
            speed: Speed::High,
            configuration: Some(1),
            interfaces: Vec::new(),
            descriptors: Bytes::new(),
            kind: DeviceKind::Ordinary,
            properties: BTreeMap::new(),
        }
    }

    #[test]
    fn bus_paths_are_exactly_the_kernels() {
        for valid in ["usb1", "usb12", "1-1", "1-2.3", "255-255.255.255.255.255.255"] {
            assert_eq!(valid.parse::<BusPath>().unwrap().to_string(), valid);
        }
        let invalid = [
            "",
            "usb",
            "usb0",
            "usb01",
            "1",
            "1-",
            "-1",
            "1-1.",
            "1-.1",
            "1-1:1.0",
            "0-1",
            "1-01",
            "1-0",
            "1-1000",
            "../1-1",
            "1-1/",
            "1-1 ",
            " 1-1",
            "1-1\n",
            "a-1",
            "1-1.2.3.4.5.6.7.8.9.10.11.12.13.14",
        ];
        for invalid in invalid {
            assert_eq!(invalid.parse::<BusPath>(), Err(InvalidBusPath), "{invalid:?}");
        }
    }

    #[test]
    fn bus_paths_are_in_numeric_order() {
        let expected = ["usb1", "1-2", "1-2.1", "1-2.10", "1-10", "usb2", "2-1", "10-1"];
        let mut paths: Vec<BusPath> = expected.iter().rev().map(|path| path.parse().unwrap()).collect();
        paths.sort();
        assert_eq!(paths.iter().map(BusPath::as_str).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_serial_number_makes_a_device_known_anywhere() {
        let with = |serial: &str, path: &str| {
            let serial = Some(serial.as_bytes().to_vec());
            DeviceInfo { serial, bus_path: path.parse().unwrap(), ..device() }.stable_id()
        };
        // `printf 4C530001 | sha256sum`
        assert_eq!(with("4C530001", "1-1"), "0781:5567:b2632926fc0c6b32");
        assert_eq!(with("4C530001", "1-1"), with("4C530001", "2-4"));
        assert_ne!(with("4C530001", "1-1"), with("4C530002", "1-1"));
    }

    #[test]
    fn without_a_serial_number_the_place_counts() {
        assert_eq!(device().stable_id(), "0781:5567@1-1");
        assert_eq!(device().stable_id(), device().place_id());
    }

    proptest! {
        #[test]
        fn a_serial_number_shows_up_nowhere(serial in "[A-Z0-9]{6,20}") {
            let device = DeviceInfo { serial: Some(serial.clone().into_bytes()), ..device() };
            let bytes = format!("{:?}", serial.as_bytes());
            prop_assert!(!device.stable_id().to_uppercase().contains(&serial));
            let debug = format!("{device:?}");
            prop_assert!(!debug.contains(&serial) && !debug.contains(&bytes), "{}", debug);
        }

        #[test]
        fn any_text_is_a_bus_path_or_not(text: String) {
            if let Ok(path) = text.parse::<BusPath>() {
                prop_assert_eq!(path.as_str(), text.as_str());
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.'));
            }
        }
    }
}
