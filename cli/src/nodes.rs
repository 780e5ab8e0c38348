//! What appeared in `/dev` with a device: where a driver is bound when `attach` returns, people want to know
//! `/dev/ttyUSB0` rather than a bus path.

use std::{fs, path::Path};

/// How deep below a USB device its device nodes are: interface, driver's bus, port, class, node.
const DEPTH_MAX: usize = 12;

/// How many folders are looked at; a device with more is not worth the wait.
const FOLDERS_MAX: usize = 2000;

/// The device nodes below the folder of a USB device in sysfs, as paths below `/dev`, sorted. Its own node,
/// which libusb uses, is not among them. Empty where no driver has made one (yet): a disk takes a second.
pub(crate) fn below(sysfs: &Path) -> Vec<String> {
    let mut nodes = Vec::new();
    let mut left = FOLDERS_MAX;
    walk(sysfs, DEPTH_MAX, &mut left, &mut nodes);
    nodes.sort();
    nodes
}

fn walk(folder: &Path, depth: usize, left: &mut usize, nodes: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        // Symbolic links lead out of the device, and back into it.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if *left == 0 || depth == 0 {
            return;
        }
        *left -= 1;
        let path = entry.path();
        nodes.extend(node(&path));
        walk(&path, depth - 1, left, nodes);
    }
}

/// The node that this folder of sysfs stands for.
fn node(folder: &Path) -> Option<String> {
    if !folder.join("dev").exists() {
        return None;
    }
    let uevent = fs::read_to_string(folder.join("uevent")).ok()?;
    let name = uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    // A USB device behind a hub has a node of its own, too.
    (!name.starts_with("bus/usb/")).then(|| format!("/dev/{name}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nodes_of_drivers_are_found_and_nothing_else() {
        let sysfs = tempfile::tempdir().unwrap();
        let device = sysfs.path().join("9-1");
        let make = |path: &str, uevent: &str| {
            let folder = device.join(path);
            fs::create_dir_all(&folder).unwrap();
            if !uevent.is_empty() {
                fs::write(folder.join("dev"), "188:0\n").unwrap();
                fs::write(folder.join("uevent"), uevent).unwrap();
            }
        };
        make("", "DEVNAME=bus/usb/009/002\n");
        make("9-1:1.0/ttyUSB0/tty/ttyUSB0", "MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n");
        make("9-1:1.1/host4/target4:0:0/4:0:0:0/block/sdb", "DEVNAME=sdb\n");
        make("9-1:1.1/host4/target4:0:0/4:0:0:0/bsg/4:0:0:0", "DEVNAME=bsg/4:0:0:0\n");
        make("9-1:1.2/without", "");
        make("9-1.1", "DEVNAME=bus/usb/009/003\n");
        symlink(&device, device.join("9-1:1.0/subsystem")).unwrap();
        assert_eq!(below(&device), ["/dev/bsg/4:0:0:0", "/dev/sdb", "/dev/ttyUSB0"]);
        assert_eq!(below(&sysfs.path().join("gone")), [] as [String; 0]);
    }
}
