//! vhci ports: attaching a device to one, and taking all away, where each free one gets a device that never answers.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// `VDEV_ST_NULL` of the kernel's usbip_common.h: a port that nothing is attached to.
const FREE: &str = "004";

/// USB speeds as the kernel numbers them, by what the status files call the hub of a port.
const SPEEDS: [(&str, u8); 2] = [("hs", 3), ("ss", 5)];

/// Fills every free port listed in the `status` files of `folder` and holds them until standard input ends.
pub(crate) fn fill(folder: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(folder);
    let mut held = Vec::new();
    for (port, speed) in free_ports(folder)? {
        let (ours, kernels) = UnixStream::pair()?;
        attach(folder, port, speed, &kernels)?;
        held.push(ours);
    }
    println!("took {} ports", held.len());
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Attaches whatever is at the other end of `kernels` to a port.
pub(crate) fn attach(folder: &Path, port: u32, speed: u8, kernels: &UnixStream) -> Result<(), String> {
    // The device id is what an exporter would call it: bus and number, here one that no host uses.
    let request = format!("{port} {} {} {speed}", kernels.as_raw_fd(), (99 << 16) + port);
    fs::write(folder.join("attach"), &request).map_err(|error| format!("attach {request}: {error}"))
}

/// The numbers and speeds of the free ports of all controllers.
fn free_ports(folder: &Path) -> Result<Vec<(u32, u8)>, Box<dyn Error>> {
    let mut free = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != "status" && !name.to_string_lossy().starts_with("status.") {
            continue;
        }
        for line in fs::read_to_string(entry.path())?.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [hub, port, FREE, ..] = fields[..]
                && let Some((_, speed)) = SPEEDS.iter().find(|(name, _)| *name == hub)
            {
                free.push((port.parse()?, *speed));
            }
        }
    }
    free.sort_unstable();
    Ok(free)
}
