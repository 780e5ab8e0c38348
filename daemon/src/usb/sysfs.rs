//! What sysfs says of the devices that are plugged in.
//!
//! Reading sysfs wakes no device and needs no rights. Everything in there may vanish between two reads.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use bytes::Bytes;
use p2pusb_protocol::{InterfaceClass, Speed, clip};

use super::{BusPath, Descriptors, DeviceInfo, DeviceKind, UsbError};

/// Where the kernel lists all USB devices, with one symbolic link each.
pub(super) const DEVICES: &str = "/sys/bus/usb/devices";

/// The name of the platform device that virtual ports hang from, without its number.
const VHCI: &str = "vhci_hcd";

/// The class code of hubs.
const CLASS_HUB: u8 = 9;

/// How the names of the udev properties begin that are ours.
const PROPERTY_PREFIX: &str = "P2PUSB_";

/// What is plugged in, in the order of the bus paths: devices, hubs and root hubs, those on virtual ports included.
///
/// A device that is being plugged or unplugged meanwhile may be missing; [`Hotplug`](super::Hotplug), created before,
/// will tell. A kernel without USB has an empty list.
///
/// # Errors
///
/// When sysfs can't be read at all.
pub fn enumerate() -> Result<Vec<DeviceInfo>, UsbError> {
    scan(Path::new(DEVICES))
}

fn scan(devices: &Path) -> Result<Vec<DeviceInfo>, UsbError> {
    let entries = match fs::read_dir(devices) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(UsbError::io("listing", devices)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(UsbError::io("listing", devices))?.file_name();
        // Interfaces, such as `1-2:1.0`, are in the list, too.
        let Some(bus_path) = name.to_str().and_then(|name| BusPath::from_str(name).ok()) else { continue };
        match find(devices, &bus_path) {
            Ok(info) => found.push(info),
            Err(UsbError::NotFound(_)) => {}
            Err(error) => tracing::warn!(P2PUSB_DEVICE = %bus_path, %error, "a USB device can't be read"),
        }
    }
    found.sort_by(|a, b| a.bus_path.cmp(&b.bus_path));
    Ok(found)
}

/// The device at that place, among those that are listed in the folder `devices`.
fn find(devices: &Path, bus_path: &BusPath) -> Result<DeviceInfo, UsbError> {
    let link = devices.join(bus_path.as_str());
    let sysfs = fs::canonicalize(&link).map_err(|error| failed(bus_path, link, error))?;
    let device = udev::Device::from_syspath(&sysfs).ok();
    read(bus_path, &sysfs, device.as_ref())
}

/// The device whose folder is `sysfs`. `device`: the same for udev, where it knows it.
pub(super) fn read(bus_path: &BusPath, sysfs: &Path, device: Option<&udev::Device>) -> Result<DeviceInfo, UsbError> {
    let folder = Folder { bus_path, sysfs };
    let device_number = folder.number("devnum")?;
    let raw = folder.bytes("descriptors")?;
    let descriptors = Descriptors::parse(&raw).ok_or_else(|| {
        let source = io::Error::new(io::ErrorKind::InvalidData, "not a device descriptor");
        UsbError::Io { action: "understanding", path: sysfs.join("descriptors"), source }
    })?;
    let configuration = folder.configuration()?;
    let interfaces = descriptors.classes;
    let serial = folder.optional("serial")?.map(|serial| serial.trim_ascii().to_vec());
    let property = |name: &str| device.and_then(|device| device.property_value(name)).and_then(|value| value.to_str());
    let text = |attribute: &str, fallback: &str| -> Result<String, UsbError> {
        let own = folder.optional(attribute)?.unwrap_or_default();
        let own = clip(String::from_utf8_lossy(&own).trim());
        Ok(if own.is_empty() { clip(property(fallback).unwrap_or_default().trim()) } else { own })
    };
    let info = DeviceInfo {
        bus_path: bus_path.clone(),
        sysfs: sysfs.to_owned(),
        bus_number: folder.number("busnum")?,
        device_number,
        vendor_id: descriptors.vendor_id,
        product_id: descriptors.product_id,
        class: descriptors.class,
        manufacturer: text("manufacturer", "ID_VENDOR_FROM_DATABASE")?,
        product: text("product", "ID_MODEL_FROM_DATABASE")?,
        serial: serial.filter(|serial| !serial.is_empty()),
        speed: Speed::from_sysfs(&folder.text("speed")?),
        configuration,
        kind: kind(bus_path, sysfs, descriptors.class, &interfaces),
        interfaces,
        descriptors: Bytes::from(raw),
        properties: device.map(properties).unwrap_or_default(),
    };
    // One device may have gone and another one come while we read.
    if folder.number("devnum")? != device_number {
        return Err(UsbError::NotFound(bus_path.clone()));
    }
    Ok(info)
}

/// The active configuration of the device whose folder is `sysfs`, as of now; `None` while it has none.
pub(super) fn configuration(bus_path: &BusPath, sysfs: &Path) -> Result<Option<u8>, UsbError> {
    Folder { bus_path, sysfs }.configuration()
}

/// The alternate setting of an interface, as of now; 0 where the kernel doesn't say.
pub(super) fn alternate(bus_path: &BusPath, sysfs: &Path, configuration: u8, interface: u8) -> u8 {
    let attribute = format!("{}/bAlternateSetting", bus_path.interface(configuration, interface));
    Folder { bus_path, sysfs }.text(&attribute).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The driver of a device or of an interface, by its folder; `None` while it has none.
pub(super) fn driver(sysfs: &Path) -> Option<String> {
    let link = fs::read_link(sysfs.join("driver")).ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

fn kind(bus_path: &BusPath, sysfs: &Path, class: u8, interfaces: &[InterfaceClass]) -> DeviceKind {
    if bus_path.is_root_hub() {
        DeviceKind::RootHub
    } else if class == CLASS_HUB || interfaces.iter().any(|interface| interface.class == CLASS_HUB) {
        DeviceKind::Hub
    } else if is_virtual(sysfs) {
        DeviceKind::Vhci
    } else {
        DeviceKind::Ordinary
    }
}

/// Whether that folder of sysfs is below a virtual port.
pub(super) fn is_virtual(sysfs: &Path) -> bool {
    sysfs.iter().any(|part| part.to_str().is_some_and(|part| part.starts_with(VHCI)))
}

fn properties(device: &udev::Device) -> BTreeMap<String, String> {
    device
        .properties()
        .filter_map(|entry| Some((entry.name().to_str()?.to_owned(), entry.value().to_str()?.to_owned())))
        .filter(|(name, _)| name.starts_with(PROPERTY_PREFIX))
        .collect()
}

/// A device's folder in sysfs.
struct Folder<'a> {
    bus_path: &'a BusPath,
    sysfs: &'a Path,
}

impl Folder<'_> {
    fn bytes(&self, attribute: &str) -> Result<Vec<u8>, UsbError> {
        let path = self.sysfs.join(attribute);
        fs::read(&path).map_err(|error| failed(self.bus_path, path, error))
    }

    /// An attribute that not every device has. That it is missing does not mean that the device is gone.
    fn optional(&self, attribute: &str) -> Result<Option<Vec<u8>>, UsbError> {
        match self.bytes(attribute) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(UsbError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn text(&self, attribute: &str) -> Result<String, UsbError> {
        Ok(String::from_utf8_lossy(&self.bytes(attribute)?).trim().to_owned())
    }

    fn number(&self, attribute: &str) -> Result<u8, UsbError> {
        self.text(attribute)?.parse().map_err(|error| {
            let source = io::Error::new(io::ErrorKind::InvalidData, error);
            UsbError::Io { action: "understanding", path: self.sysfs.join(attribute), source }
        })
    }

    /// The kernel leaves the attribute empty while there is no configuration.
    fn configuration(&self) -> Result<Option<u8>, UsbError> {
        let attribute = "bConfigurationValue";
        if self.text(attribute)?.is_empty() { Ok(None) } else { self.number(attribute).map(Some) }
    }
}

/// An attribute that is not there, or has no device behind it any more, means that the device is gone.
fn failed(bus_path: &BusPath, path: PathBuf, source: io::Error) -> UsbError {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => UsbError::NotFound(bus_path.clone()),
        _ => UsbError::Io { action: "reading", path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A tree like sysfs's, with devices by their path below `devices`.
    struct Tree(TempDir);

    impl Tree {
        fn new() -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(tree.listed()).unwrap();
            tree
        }

        fn listed(&self) -> PathBuf {
            self.0.path().join("bus")
        }

        fn add(&self, path: &str, attributes: &[(&str, &[u8])]) -> PathBuf {
            let folder = self.0.path().join("devices").join(path);
            fs::create_dir_all(&folder).unwrap();
            let descriptors: &[u8] = &[
                18, 1, 0, 2, 0, 0, 0, 64, 0x81, 0x07, 0x67, 0x55, 0, 1, 1, 2, 3,
                1, // a device with one configuration
                9, 2, 32, 0, 1, 1, 0, 0x80, 50, 9, 4, 0, 0, 2, 8, 6, 0x50, 0, // a disk
                7, 5, 0x81, 2, 0, 2, 0, 7, 5, 0x02, 2, 0, 2, 0,
            ];
            let usual: [(&str, &[u8]); 5] = [
                ("busnum", b"1\n"),
                ("devnum", b"7\n"),
                ("speed", b"480\n"),
                ("bConfigurationValue", b"1\n"),
                ("descriptors", descriptors),
            ];
            for (name, value) in usual.iter().chain(attributes) {
                fs::write(folder.join(name), value).unwrap();
            }
            symlink(&folder, self.listed().join(folder.file_name().unwrap())).unwrap();
            folder
        }
    }

    #[test]
    fn a_kernel_without_usb_has_no_devices() {
        assert_eq!(scan(Path::new("/nowhere/bus/usb/devices")).unwrap(), []);
    }

    #[test]
    fn devices_are_read_in_order() {
        let tree = Tree::new();
        let texts: [(&str, &[u8]); 3] =
            [("manufacturer", b" Acme\x1b[31m \n"), ("product", b"Disk\n"), ("serial", b"00A1\n")];
        tree.add("pci0/usb1/1-10", &texts);
        tree.add("pci0/usb1/1-2", &[("bConfigurationValue", b"\n"), ("speed", b"1.5\n"), ("serial", b"  \n")]);
        tree.add("pci0/usb1", &[]);
        tree.add("platform/vhci_hcd.0/usb3/3-1", &[]);
        tree.add("pci0/usb1/1-10/1-10:1.0", &[]);
        let found = scan(&tree.listed()).unwrap();
        let paths: Vec<&str> = found.iter().map(|info| info.bus_path.as_str()).collect();
        assert_eq!(paths, ["usb1", "1-2", "1-10", "3-1"]);
        let kinds: Vec<DeviceKind> = found.iter().map(|info| info.kind).collect();
        assert_eq!(kinds, [DeviceKind::RootHub, DeviceKind::Ordinary, DeviceKind::Ordinary, DeviceKind::Vhci]);
        let [_, plain, disk, _] = &found[..] else { panic!() };
        assert_eq!((disk.vendor_id, disk.product_id, disk.bus_number, disk.device_number), (0x0781, 0x5567, 1, 7));
        assert_eq!((disk.manufacturer.as_str(), disk.product.as_str()), ("Acme[31m", "Disk"));
        assert_eq!((disk.speed, disk.configuration), (Speed::High, Some(1)));
        assert_eq!(disk.interfaces, [InterfaceClass { class: 8, subclass: 6, protocol: 0x50 }]);
        assert_eq!(disk.serial.as_deref(), Some(&b"00A1"[..]));
        assert_eq!((plain.speed, plain.configuration, plain.interfaces.len()), (Speed::Low, None, 1));
        assert_eq!((plain.serial.as_deref(), plain.product.as_str()), (None, ""));
    }

    #[test]
    fn devices_that_vanish_or_make_no_sense_are_left_out() {
        let tree = Tree::new();
        tree.add("usb1/1-1", &[("descriptors", b"nonsense")]);
        tree.add("usb1/1-2", &[("devnum", b"many\n")]);
        let vanishing = tree.add("usb1/1-3", &[]);
        fs::remove_file(vanishing.join("descriptors")).unwrap();
        fs::remove_dir_all(tree.add("usb1/1-4", &[])).unwrap();
        tree.add("usb1/1-5", &[]);
        let found = scan(&tree.listed()).unwrap();
        assert_eq!(found.iter().map(|info| info.bus_path.as_str()).collect::<Vec<_>>(), ["1-5"]);
    }

    #[test]
    fn hubs_are_told_by_class() {
        let hub = InterfaceClass { class: 9, subclass: 0, protocol: 0 };
        let path: BusPath = "1-2".parse().unwrap();
        assert_eq!(kind(&path, Path::new("/sys/devices/usb1/1-2"), 9, &[]), DeviceKind::Hub);
        assert_eq!(kind(&path, Path::new("/sys/devices/usb1/1-2"), 0, &[hub]), DeviceKind::Hub);
        let below_vhci = Path::new("/sys/devices/platform/vhci_hcd.0/usb1/1-2");
        assert_eq!(kind(&path, below_vhci, 9, &[hub]), DeviceKind::Hub);
        assert_eq!(kind(&path, below_vhci, 8, &[]), DeviceKind::Vhci);
    }
}
