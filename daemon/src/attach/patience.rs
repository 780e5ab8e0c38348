//! How long the kernel waits for an attached disk.
//!
//! A disk is silent for as long as its connection is lost. The kernel takes one that does not answer a SCSI command in
//! time for a broken one, and resets it; so it has to have more patience than the grace time of the attachment. The
//! udev rule gives every attached disk what the default takes, whenever it runs, and this what a longer one takes.

use std::{fs, io, path::Path, time::Duration};

/// What a command may take besides the grace time: the four seconds in which nobody knows that the connection is lost,
/// and the time until what was waiting is sent and answered.
const MARGIN: Duration = Duration::from_secs(30);

/// Lets the kernel wait for the disk with this folder in sysfs for longer than the grace time, if it does not already.
pub(crate) fn wait_longer(disk: &Path, grace: Duration) -> io::Result<()> {
    let file = disk.join("timeout");
    let needed = (grace + MARGIN).as_secs();
    let seconds: u64 = fs::read_to_string(&file)?.trim().parse().unwrap_or(0);
    if seconds < needed { fs::write(file, needed.to_string()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_given_more_time_and_never_less() {
        let disk = tempfile::tempdir().unwrap();
        let file = disk.path().join("timeout");
        for (before, grace, after) in
            [("30\n", 60, "90"), ("90\n", 60, "90\n"), ("90\n", 5, "90\n"), ("90\n", 200, "230")]
        {
            fs::write(&file, before).unwrap();
            wait_longer(disk.path(), Duration::from_secs(grace)).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), after, "{before:?} and {grace}");
        }
        fs::remove_file(&file).unwrap();
        assert_eq!(wait_longer(disk.path(), Duration::ZERO).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
