//! Gives back what a daemon that was killed had taken.
//!
//! When a process ends, the kernel gives up its claims, but it does not look for drivers: a disk would stay without its
//! driver until it is plugged anew. So whoever opens a device leaves a record of it first, and whoever comes later, the
//! next daemon or `p2pusbd --cleanup`, can have the kernel look.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{BusPath, Descriptors, DeviceInfo, UsbError, sysfs};

/// The folder for the records, in the daemon's runtime folder.
const CLAIMS: &str = "claims";

/// What a device was like before it was taken. It is kept in a file with the bus path as its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClaimRecord {
    /// The device's number on its bus, which is another one after the next plugging.
    pub device_number: u8,
    /// The vendor id.
    pub vendor_id: u16,
    /// The product id.
    pub product_id: u16,
    /// The active configuration; absent while it had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<u8>,
    /// The interfaces that had a driver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<DrivenInterface>,
}

/// An interface that had a kernel driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DrivenInterface {
    /// The interface's number.
    pub number: u8,
    /// The driver's name.
    pub driver: String,
}

impl ClaimRecord {
    /// What there is to say of a device that was not taken yet.
    pub fn of(info: &DeviceInfo) -> Self {
        let descriptors = Descriptors::parse(&info.descriptors).unwrap_or_default();
        let active = info.configuration.and_then(|value| descriptors.configuration(value));
        let interfaces = active.map(|active| {
            let driver = |number| sysfs::driver(&info.sysfs.join(info.bus_path.interface(active.value, number)));
            let numbers = active.interface_numbers().into_iter();
            numbers.filter_map(|number| Some(DrivenInterface { number, driver: driver(number)? })).collect()
        });
        Self {
            device_number: info.device_number,
            vendor_id: info.vendor_id,
            product_id: info.product_id,
            configuration: info.configuration,
            interfaces: interfaces.unwrap_or_default(),
        }
    }
}

/// Records that the device is about to be taken. Call it before [`UsbHost::open`](super::UsbHost::open), while the
/// drivers are still there; `runtime` is the daemon's runtime folder.
///
/// # Errors
///
/// When the record can't be written. Without it, the device should not be taken.
pub fn record(runtime: &Path, info: &DeviceInfo) -> Result<(), UsbError> {
    let folder = runtime.join(CLAIMS);
    fs::create_dir_all(&folder).map_err(UsbError::io("creating", &folder))?;
    let path = folder.join(info.bus_path.as_str());
    let text = toml::to_string(&ClaimRecord::of(info))
        .map_err(|error| UsbError::BadRecord { path: path.clone(), reason: error.to_string() })?;
    // Whoever reads it may come at any moment. It needs no sync: after a reboot there are no claims.
    let draft = folder.join(format!(".{}.new", info.bus_path));
    fs::write(&draft, text).map_err(UsbError::io("writing", &draft))?;
    fs::rename(&draft, &path).map_err(UsbError::io("writing", &path))
}

/// Removes the record of a device that was given back. It is no error if there is none.
///
/// # Errors
///
/// When the record can't be removed.
pub fn forget(runtime: &Path, bus_path: &BusPath) -> Result<(), UsbError> {
    let path = runtime.join(CLAIMS).join(bus_path.as_str());
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(UsbError::io("removing", path)(error)),
        _ => Ok(()),
    }
}

/// Gives back every device that there is a record of: brings its configuration back and has the kernel look for drivers
/// of the interfaces that had one and have none. Returns the devices for which it did something. Devices that were
/// unplugged meanwhile are fine as they are, and interfaces that a process has claimed are left alone.
///
/// Blocks: as long as the drivers take to begin. Call it when no daemon runs, or before the first device is opened.
///
/// # Errors
///
/// When the folder with the records can't be read. What fails for one device is logged, and its record stays for the
/// next time.
pub fn give_back_all(runtime: &Path) -> Result<Vec<BusPath>, UsbError> {
    give_back_in(runtime, Path::new("/sys"))
}

fn give_back_in(runtime: &Path, sys: &Path) -> Result<Vec<BusPath>, UsbError> {
    let folder = runtime.join(CLAIMS);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(UsbError::io("listing", folder)(error)),
    };
    let mut given = Vec::new();
    for entry in entries {
        let path = entry.map_err(UsbError::io("listing", &folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Drafts are no records yet.
        let Ok(bus_path) = BusPath::from_str(name) else { continue };
        match give_back(&path, &bus_path, sys).and_then(|acted| forget(runtime, &bus_path).map(|()| acted)) {
            Ok(true) => {
                tracing::info!(P2PUSB_DEVICE = %bus_path, "gave back a device that an earlier daemon had taken");
                given.push(bus_path);
            }
            Ok(false) => {}
            Err(error) => tracing::error!(P2PUSB_DEVICE = %bus_path, %error, "a device could not be given back"),
        }
    }
    Ok(given)
}

fn give_back(path: &Path, bus_path: &BusPath, sys: &Path) -> Result<bool, UsbError> {
    let text = fs::read_to_string(path).map_err(UsbError::io("reading", path))?;
    let record: ClaimRecord = toml::from_str(&text)
        .map_err(|error| UsbError::BadRecord { path: path.to_owned(), reason: error.message().to_owned() })?;
    let bus = sys.join("bus/usb");
    let device = bus.join("devices").join(bus_path.as_str());
    let info = match fs::canonicalize(&device) {
        Ok(sysfs) => sysfs::read(bus_path, &sysfs, None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(UsbError::io("reading", device)(error)),
    };
    let info = match info {
        Ok(info) => info,
        Err(UsbError::NotFound(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    let same = (info.device_number, info.vendor_id, info.product_id)
        == (record.device_number, record.vendor_id, record.product_id);
    let Some(configuration) = record.configuration.filter(|_| same) else { return Ok(false) };
    if info.configuration != Some(configuration) {
        // The kernel looks for drivers by itself then.
        write(&info.sysfs.join("bConfigurationValue"), &configuration.to_string())?;
        return Ok(true);
    }
    let mut acted = false;
    for interface in record.interfaces {
        let name = bus_path.interface(configuration, interface.number);
        if sysfs::driver(&info.sysfs.join(&name)).is_none() {
            write(&bus.join("drivers_probe"), &name)?;
            acted = true;
        }
    }
    Ok(acted)
}

/// Writes to an attribute of sysfs, which must be there.
fn write(path: &Path, text: &str) -> Result<(), UsbError> {
    let mut file = fs::OpenOptions::new().append(true).open(path).map_err(UsbError::io("opening", path))?;
    // In one piece: every write to such a file is a command.
    file.write_all(text.as_bytes()).map_err(UsbError::io("writing", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use bytes::Bytes;
    use tempfile::TempDir;

    use super::*;
    use crate::usb::device::tests::device;

    const DESCRIPTORS: [u8; 45] = [
        18, 1, 0, 2, 0, 0, 0, 64, 0x81, 0x07, 0x67, 0x55, 0, 1, 1, 2, 3, 1, // one configuration
        9, 2, 27, 0, 2, 1, 0, 0x80, 50, // two interfaces
        9, 4, 0, 0, 0, 8, 6, 0x50, 0, 9, 4, 1, 0, 0, 3, 0, 0, 0,
    ];

    /// A machine with one device, whose interface 0 has a driver.
    struct Fixture {
        root: TempDir,
        info: DeviceInfo,
    }

    impl Fixture {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let sysfs = root.path().join("sys/devices/usb1/1-1");
            for interface in ["1-1:1.0", "1-1:1.1"] {
                fs::create_dir_all(sysfs.join(interface)).unwrap();
            }
            let attributes: [(&str, &[u8]); 5] = [
                ("busnum", b"1\n"),
                ("devnum", b"7\n"),
                ("speed", b"480\n"),
                ("bConfigurationValue", b"1\n"),
                ("descriptors", &DESCRIPTORS),
            ];
            for (name, value) in attributes {
                fs::write(sysfs.join(name), value).unwrap();
            }
            let bus = root.path().join("sys/bus/usb");
            fs::create_dir_all(bus.join("devices")).unwrap();
            symlink(&sysfs, bus.join("devices/1-1")).unwrap();
            fs::write(bus.join("drivers_probe"), "").unwrap();
            let serial = Some(b"SECRET".to_vec());
            let info = DeviceInfo { sysfs, serial, descriptors: Bytes::from_static(&DESCRIPTORS), ..device() };
            let fixture = Self { root, info };
            fixture.bind("usb-storage");
            fixture
        }

        fn runtime(&self) -> &Path {
            self.root.path()
        }

        fn bind(&self, driver: &str) {
            symlink(Path::new("/sys/bus/usb/drivers").join(driver), self.info.sysfs.join("1-1:1.0/driver")).unwrap();
        }

        fn unbind(&self) {
            fs::remove_file(self.info.sysfs.join("1-1:1.0/driver")).unwrap();
        }

        fn give_back(&self) -> Vec<String> {
            let given = give_back_in(self.runtime(), &self.root.path().join("sys")).unwrap();
            given.iter().map(ToString::to_string).collect()
        }

        fn probed(&self) -> String {
            fs::read_to_string(self.root.path().join("sys/bus/usb/drivers_probe")).unwrap()
        }

        fn recorded(&self) -> bool {
            self.runtime().join("claims/1-1").exists()
        }
    }

    #[test]
    fn an_interface_that_lost_its_driver_is_probed_again() {
        let fixture = Fixture::new();
        record(fixture.runtime(), &fixture.info).unwrap();
        fixture.unbind();
        assert_eq!(fixture.give_back(), ["1-1"]);
        assert_eq!(fixture.probed(), "1-1:1.0");
        assert!(!fixture.recorded());
        assert!(fixture.give_back().is_empty());
    }

    #[test]
    fn what_has_a_driver_is_left_alone() {
        let fixture = Fixture::new();
        record(fixture.runtime(), &fixture.info).unwrap();
        assert!(fixture.give_back().is_empty());
        assert_eq!(fixture.probed(), "");
        assert!(!fixture.recorded());
    }

    #[test]
    fn another_configuration_is_brought_back() {
        let fixture = Fixture::new();
        record(fixture.runtime(), &fixture.info).unwrap();
        let attribute = fixture.info.sysfs.join("bConfigurationValue");
        fs::write(&attribute, "").unwrap();
        assert_eq!(fixture.give_back(), ["1-1"]);
        assert_eq!(fs::read_to_string(attribute).unwrap(), "1");
        assert_eq!(fixture.probed(), "");
    }

    #[test]
    fn another_device_in_its_place_is_none_of_ours() {
        let fixture = Fixture::new();
        record(fixture.runtime(), &fixture.info).unwrap();
        fixture.unbind();
        fs::write(fixture.info.sysfs.join("devnum"), "8\n").unwrap();
        assert!(fixture.give_back().is_empty());
        assert_eq!(fixture.probed(), "");
        assert!(!fixture.recorded());
    }

    #[test]
    fn an_unplugged_device_leaves_nothing_behind() {
        let fixture = Fixture::new();
        record(fixture.runtime(), &fixture.info).unwrap();
        fs::remove_file(fixture.root.path().join("sys/bus/usb/devices/1-1")).unwrap();
        assert!(fixture.give_back().is_empty());
        assert!(!fixture.recorded());
    }

    #[test]
    fn what_fails_stays_for_the_next_time() {
        let fixture = Fixture::new();
        record(fixture.runtime(), &fixture.info).unwrap();
        fixture.unbind();
        let probe = fixture.root.path().join("sys/bus/usb/drivers_probe");
        fs::remove_file(&probe).unwrap();
        assert!(fixture.give_back().is_empty());
        assert!(fixture.recorded());
        fs::write(probe, "").unwrap();
        assert_eq!(fixture.give_back(), ["1-1"]);
    }

    #[test]
    fn records_are_forgotten_and_hold_no_secret() {
        let fixture = Fixture::new();
        forget(fixture.runtime(), &fixture.info.bus_path).unwrap();
        record(fixture.runtime(), &fixture.info).unwrap();
        let text = fs::read_to_string(fixture.runtime().join("claims/1-1")).unwrap();
        assert!(text.contains("usb-storage") && !text.contains("SECRET"), "{text}");
        assert_eq!(toml::from_str::<ClaimRecord>(&text).unwrap(), ClaimRecord::of(&fixture.info));
        forget(fixture.runtime(), &fixture.info.bus_path).unwrap();
        assert!(!fixture.recorded());
        assert!(give_back_in(&fixture.runtime().join("nowhere"), Path::new("/sys")).unwrap().is_empty());
    }

    #[test]
    fn nonsense_is_no_record() {
        let fixture = Fixture::new();
        fs::create_dir(fixture.runtime().join(CLAIMS)).unwrap();
        for name in ["1-1", ".1-1.new", "..", "notes"] {
            let _ = fs::write(fixture.runtime().join(CLAIMS).join(name), "nonsense");
        }
        assert!(fixture.give_back().is_empty());
        assert_eq!(fixture.probed(), "");
    }
}
