//! What udev is told of a device that is attached: whose it is.
//!
//! The rules of this project (`udev-rules/`) import a file with the name of the device's bus path, which is there before the
//! kernel sees the device, into the device's properties, and hand them on to all that hangs from it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tracing::warn;

use crate::peer::PeerId;

/// The folder of these files, in the daemon's runtime folder; the rules have its whole name.
const FOLDER: &str = "attached";

/// The names of one attachment's device.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// Whose device it is.
    pub(super) peer: PeerId,
    /// What people call that peer.
    pub(super) label: &'a str,
    /// The attachment's number.
    pub(super) attachment: u32,
    /// The id of the device's share there.
    pub(super) remote_id: &'a str,
}

/// The file of a device that is attached, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Named(PathBuf);

impl Named {
    /// Tells udev about the device that will be at this bus path.
    pub(super) fn new(runtime: &Path, bus_path: &str, names: &Names<'_>) -> io::Result<Self> {
        let folder = runtime.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let file = folder.join(bus_path);
        fs::write(&file, names.text())?;
        Ok(Self(file))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            warn!("{} is left over: {error}", self.0.display());
        }
    }
}

impl Names<'_> {
    /// As `IMPORT{file}` reads it: see udev(7). The label is the peer's own choice, and a line is a property.
    fn text(&self) -> String {
        let Self { peer, label, attachment, remote_id } = self;
        let plain = |c: char| if c.is_alphanumeric() || " -_.@".contains(c) { c } else { '_' };
        let label: String = label.chars().map(plain).collect();
        format!(
            "P2PUSB_PEER={peer}\nP2PUSB_PEER_LABEL={label}\nP2PUSB_ATTACHMENT={attachment}\nP2PUSB_REMOTE_ID={remote_id}\n"
        )
    }
}

/// Forgets what a daemon that was killed has told udev. Devices that it had attached are gone with it.
pub(crate) fn forget_all(runtime: &Path) -> io::Result<()> {
    match fs::remove_dir_all(runtime.join(FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_there_for_as_long_as_the_device() {
        let runtime = tempfile::tempdir().unwrap();
        let peer = iroh::SecretKey::from_bytes(&[3; 32]).public().into();
        // A label that would be a property of its own.
        let names = Names { peer, label: "evil\nP2PUSB_SHARE=\"1\"", attachment: 7, remote_id: "0a1b2c3d" };
        let named = Named::new(runtime.path(), "9-1", &names).unwrap();
        let text = fs::read_to_string(runtime.path().join("attached/9-1")).unwrap();
        let expected = format!(
            "P2PUSB_PEER={peer}\nP2PUSB_PEER_LABEL=evil_P2PUSB_SHARE__1_\nP2PUSB_ATTACHMENT=7\nP2PUSB_REMOTE_ID=0a1b2c3d\n"
        );
        assert_eq!(text, expected);
        drop(named);
        assert!(!runtime.path().join("attached/9-1").exists());

        std::mem::forget(Named::new(runtime.path(), "9-2", &names).unwrap());
        forget_all(runtime.path()).unwrap();
        assert!(!runtime.path().join("attached").exists());
        forget_all(runtime.path()).unwrap();
    }
}
