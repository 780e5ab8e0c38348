//! What this machine would lose if a device were given away.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::{DeviceInfo, sysfs};

/// How deep below its device a disk can be: hub, device, interface, host, target, unit, `block`, disk, partition, and
/// some to spare.
const MAX_DEPTH: usize = 16;

/// How many layers (partition, encryption, volume group, …) may be between a disk and its file system.
const MAX_LAYERS: usize = 8;

/// The keys 1 to 31 of Linux's input layer, which are those from Esc to S. What has all of them is a keyboard; it is
/// how udev tells them, too.
const KEYBOARD_KEYS: u64 = 0xffff_fffe;

/// The item of a HID report descriptor that begins what security keys speak: the usage page 0xf1d0 of the FIDO Alliance
/// (Client to Authenticator Protocol, 11.2.8.1).
const FIDO_USAGE_PAGE: [u8; 3] = [0x06, 0xd0, 0xf1];

/// bInterfaceClass of smart cards and their readers (Device Class: Smart Card, CCID, 4.8), as sysfs writes it.
const SMART_CARD_CLASS: &str = "0b";

/// Why taking the device would hurt this machine: each a part of a sentence for people, such as "a file system on it is
/// mounted at /home". Empty if nothing is known that speaks against it.
///
/// It reads what the kernel tells and never talks to the device. What can't be read counts as not there.
pub fn dependence(info: &DeviceInfo) -> Vec<String> {
    Machine { sys: Path::new("/sys"), proc: Path::new("/proc") }.dependence(&info.sysfs)
}

struct Machine<'a> {
    sys: &'a Path,
    proc: &'a Path,
}

/// Block devices, by their numbers, with the names that people know them by.
type BlockDevices = BTreeMap<(u32, u32), BlockDevice>;

struct BlockDevice {
    name: String,
    /// Another block device that this one was built on.
    on: Option<String>,
}

impl Machine<'_> {
    fn dependence(&self, device: &Path) -> Vec<String> {
        let mut disks = BlockDevices::new();
        block_devices(device, MAX_DEPTH, &mut disks);
        let mut reasons = self.mounts(&disks);
        reasons.extend(self.swaps(&disks));
        if reasons.is_empty() {
            // Something that has the disk open without mounting it, such as a volume group or a RAID.
            let built = disks.values().filter_map(|disk| disk.on.as_ref().map(|on| (on, &disk.name)));
            reasons.extend(built.map(|(on, name)| format!("{name} is built on its {on}")));
        }
        if self.is_only_keyboard(device) {
            reasons.push("it is this machine's only keyboard".into());
        }
        reasons.extend(signs_in(device));
        if sysfs::is_virtual(device) {
            // What this daemon itself has attached is never asked about: it is never shared.
            reasons.push("another USB/IP program has attached it here".into());
        }
        reasons
    }

    fn mounts(&self, disks: &BlockDevices) -> Vec<String> {
        let mut points = Vec::new();
        // A service may have been given a smaller view of the file systems than the machine has.
        for process in ["1", "self"] {
            let Ok(mounts) = fs::read_to_string(self.proc.join(process).join("mountinfo")) else { continue };
            for mount in mounts.lines().filter_map(Mount::parse) {
                let held = disks.contains_key(&mount.number)
                    || mount
                        .source
                        .is_some_and(|source| node(&source).is_some_and(|number| disks.contains_key(&number)));
                if held && !points.contains(&mount.point) {
                    points.push(mount.point);
                }
            }
        }
        points.iter().map(|point| format!("a file system on it is mounted at {}", point.display())).collect()
    }

    fn swaps(&self, disks: &BlockDevices) -> Option<String> {
        let swaps = fs::read_to_string(self.proc.join("swaps")).ok()?;
        let mut areas = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        areas
            .any(|area| node(&unescape(area)).is_some_and(|number| disks.contains_key(&number)))
            .then(|| "this machine swaps to it".into())
    }

    fn is_only_keyboard(&self, device: &Path) -> bool {
        let Ok(inputs) = fs::read_dir(self.sys.join("class/input")) else { return false };
        let keyboards: Vec<PathBuf> = inputs
            .filter_map(|input| fs::canonicalize(input.ok()?.path()).ok())
            .filter(|input| is_keyboard(input))
            // What programs and peers make up is no substitute for a keyboard that is there.
            .filter(|input| !sysfs::is_virtual(input) && !input.starts_with(self.sys.join("devices/virtual")))
            .collect();
        !keyboards.is_empty() && keyboards.iter().all(|keyboard| keyboard.starts_with(device))
    }
}

/// Whether people sign in with it: a security key, or a smart card.
fn signs_in(device: &Path) -> Option<String> {
    let interfaces = folders(device).filter(|folder| folder.join("bInterfaceClass").exists()).collect::<Vec<_>>();
    let is_key = |report: &[u8]| report.windows(FIDO_USAGE_PAGE.len()).any(|item| item == FIDO_USAGE_PAGE);
    let reports = interfaces.iter().flat_map(|interface| folders(interface)).map(|hid| hid.join("report_descriptor"));
    if reports.filter_map(|report| fs::read(report).ok()).any(|report| is_key(&report)) {
        return Some("it is a security key, with which somebody signs in".to_owned());
    }
    let class = |interface: &PathBuf| fs::read_to_string(interface.join("bInterfaceClass"));
    let mut classes = interfaces.iter().filter_map(|interface| class(interface).ok());
    let is_card = classes.any(|class| class.trim() == SMART_CARD_CLASS);
    is_card.then(|| "it is a smart card or its reader, with which somebody signs in".to_owned())
}

/// The folders in a folder of sysfs; links are other devices'.
fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// Whether that input device, by its folder in sysfs, is a keyboard.
fn is_keyboard(input: &Path) -> bool {
    let Ok(keys) = fs::read_to_string(input.join("capabilities/key")) else { return false };
    // Words from the highest to the lowest, in hexadecimal.
    let lowest = keys.split_whitespace().next_back().and_then(|word| u64::from_str_radix(word, 16).ok());
    lowest.is_some_and(|keys| keys & KEYBOARD_KEYS == KEYBOARD_KEYS)
}

/// Collects the block devices in that folder of sysfs and below.
fn block_devices(folder: &Path, depth: usize, found: &mut BlockDevices) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let is_block = folder.ends_with("block");
    for entry in entries.flatten() {
        // Not into symbolic links: they lead elsewhere, and around in circles.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if is_block {
            block_device(&entry.path(), None, MAX_LAYERS, found);
        } else if depth > 0 {
            block_devices(&entry.path(), depth - 1, found);
        }
    }
}

/// Collects the block device with that folder in sysfs, its partitions, and what is built on any of them.
fn block_device(folder: &Path, on: Option<&str>, layers: usize, found: &mut BlockDevices) {
    let Some(number) = fs::read_to_string(folder.join("dev")).ok().and_then(|text| device_number(text.trim())) else {
        return;
    };
    let kernel_name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = fs::read_to_string(folder.join("dm/name")).map_or(kernel_name, |name| name.trim().to_owned());
    if found.insert(number, BlockDevice { name: name.clone(), on: on.map(str::to_owned) }).is_some() || layers == 0 {
        return;
    }
    for holder in fs::read_dir(folder.join("holders")).into_iter().flatten().flatten() {
        if let Ok(holder) = fs::canonicalize(holder.path()) {
            block_device(&holder, Some(&name), layers - 1, found);
        }
    }
    for part in fs::read_dir(folder).into_iter().flatten().flatten() {
        if part.path().join("partition").exists() {
            block_device(&part.path(), on, layers - 1, found);
        }
    }
}

/// A line of `mountinfo`.
struct Mount {
    number: (u32, u32),
    point: PathBuf,
    /// The file that it was mounted from. Some file systems (btrfs) have a device number of their own, and only this
    /// leads to the disk.
    source: Option<PathBuf>,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let number = device_number(fields.nth(2)?)?;
        let point = unescape(fields.nth(1)?);
        let source = fields.skip_while(|field| *field != "-").nth(2).map(unescape);
        Some(Self { number, point, source: source.filter(|source| source.starts_with("/dev")) })
    }
}

/// `8:17`.
fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The number of the block device behind a file in `/dev`.
fn node(path: &Path) -> Option<(u32, u32)> {
    let metadata = fs::metadata(path).ok().filter(|metadata| metadata.file_type().is_block_device())?;
    Some((libc::major(metadata.rdev()), libc::minor(metadata.rdev())))
}

/// The kernel writes spaces, tabs, line ends and backslashes of file names as a backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A machine with one disk with two partitions at one device and one keyboard at another.
    struct Fixture(TempDir);

    impl Fixture {
        fn new() -> Self {
            let fixture = Self(tempfile::tempdir().unwrap());
            let disk = "sys/devices/pci0/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/block/sda";
            fixture.write(&format!("{disk}/dev"), "8:0\n");
            for (partition, number) in [("sda1", "8:1\n"), ("sda2", "8:2\n")] {
                fixture.write(&format!("{disk}/{partition}/dev"), number);
                fixture.write(&format!("{disk}/{partition}/partition"), "1\n");
                fs::create_dir_all(fixture.path(&format!("{disk}/{partition}/holders"))).unwrap();
            }
            fixture.keyboard("pci0/usb1/1-2/1-2:1.0/0003:1234:5678.0001/input/input3", "input3");
            fixture.mounts("");
            fixture
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn keyboard(&self, device: &str, name: &str) {
            self.write(
                &format!("sys/devices/{device}/capabilities/key"),
                "1000000000007 ff9f207ac14057ff fffffffffffffffe\n",
            );
            fs::create_dir_all(self.path("sys/class/input")).unwrap();
            let class = self.path("sys/class/input").join(name);
            symlink(self.path("sys/devices").join(device), class).unwrap();
        }

        fn mounts(&self, mounts: &str) {
            self.write("proc/self/mountinfo", &format!("22 1 0:20 / / rw - tmpfs tmpfs rw\n{mounts}"));
        }

        fn dependence(&self, device: &str) -> Vec<String> {
            let (sys, proc) = (self.path("sys"), self.path("proc"));
            Machine { sys: &sys, proc: &proc }.dependence(&self.path("sys/devices/pci0/usb1").join(device))
        }
    }

    #[test]
    fn an_idle_disk_is_free() {
        assert!(Fixture::new().dependence("1-1").is_empty());
    }

    #[test]
    fn mounted_partitions_are_in_use() {
        let fixture = Fixture::new();
        fixture.mounts("40 22 8:2 / /media/my\\040stick rw,nosuid shared:5 - ext4 /dev/sda2 rw\n41 22 8:16 / /srv rw - ext4 /dev/sdb rw\n");
        assert_eq!(fixture.dependence("1-1"), ["a file system on it is mounted at /media/my stick"]);
        assert!(!fixture.dependence("1-2").iter().any(|reason| reason.contains("mounted")));
    }

    #[test]
    fn the_whole_disk_may_be_mounted() {
        let fixture = Fixture::new();
        fixture.mounts("40 22 8:0 / /mnt rw - vfat /dev/sda rw\n");
        assert_eq!(fixture.dependence("1-1"), ["a file system on it is mounted at /mnt"]);
    }

    #[test]
    fn what_is_built_on_a_partition_counts() {
        let fixture = Fixture::new();
        fixture.write("sys/devices/virtual/block/dm-0/dev", "253:0\n");
        fixture.write("sys/devices/virtual/block/dm-0/dm/name", "crypt-home\n");
        let partition = "sys/devices/pci0/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/block/sda/sda2";
        symlink(fixture.path("sys/devices/virtual/block/dm-0"), fixture.path(partition).join("holders/dm-0")).unwrap();
        assert_eq!(fixture.dependence("1-1"), ["crypt-home is built on its sda2"]);
        fixture.mounts("40 22 253:0 / /home rw - ext4 /dev/mapper/crypt-home rw\n");
        assert_eq!(fixture.dependence("1-1"), ["a file system on it is mounted at /home"]);
    }

    #[test]
    fn the_only_keyboard_is_in_use() {
        let fixture = Fixture::new();
        assert_eq!(fixture.dependence("1-2"), ["it is this machine's only keyboard"]);
        // One of a program and one of a peer don't replace it, and a mouse is none.
        fixture.keyboard("virtual/input/input4", "input4");
        fixture.keyboard("platform/vhci_hcd.0/usb3/3-1/3-1:1.0/input/input5", "input5");
        fixture.write("sys/devices/pci0/usb1/1-3/input/input6/capabilities/key", "1f0000 0 0 0 0\n");
        symlink(fixture.path("sys/devices/pci0/usb1/1-3/input/input6"), fixture.path("sys/class/input/input6"))
            .unwrap();
        assert_eq!(fixture.dependence("1-2"), ["it is this machine's only keyboard"]);
        fixture.keyboard("platform/i8042/serio0/input/input0", "input0");
        assert!(fixture.dependence("1-2").is_empty());
    }

    #[test]
    fn what_is_on_a_virtual_port_is_in_use_by_whoever_attached_it() {
        let fixture = Fixture::new();
        let device = "sys/devices/platform/vhci_hcd.3/usb9/9-1";
        fixture.write(&format!("{device}/busnum"), "9\n");
        let (sys, proc) = (fixture.path("sys"), fixture.path("proc"));
        let machine = Machine { sys: &sys, proc: &proc };
        assert_eq!(machine.dependence(&fixture.path(device)), ["another USB/IP program has attached it here"]);
    }

    #[test]
    fn what_somebody_signs_in_with_is_told_from_other_things() {
        let fixture = Fixture::new();
        let device = |port: u8, class: &str, report: &[u8]| {
            let interface = format!("sys/devices/pci0/usb1/1-{port}/1-{port}:1.0");
            fixture.write(&format!("{interface}/bInterfaceClass"), class);
            fixture.write(&format!("{interface}/0003:1050:0120.0002/driver"), "");
            fs::write(fixture.path(&format!("{interface}/0003:1050:0120.0002/report_descriptor")), report).unwrap();
            fixture.dependence(&format!("1-{port}"))
        };
        let key = device(5, "03\n", &[0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01]);
        assert_eq!(key, ["it is a security key, with which somebody signs in"]);
        let card = device(6, "0b\n", &[]);
        assert_eq!(card, ["it is a smart card or its reader, with which somebody signs in"]);
        assert!(device(7, "03\n", &[0x05, 0x01, 0x09, 0x02, 0xa1, 0x01]).is_empty(), "a mouse");
        assert!(device(8, "ff\n", &[0x06, 0xd1, 0xf1]).is_empty());
    }

    #[test]
    fn a_machine_without_anything_is_survived() {
        let empty = tempfile::tempdir().unwrap();
        let machine = Machine { sys: empty.path(), proc: empty.path() };
        assert!(machine.dependence(Path::new("/nowhere")).is_empty());
    }
}
