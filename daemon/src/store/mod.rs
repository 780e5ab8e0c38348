//! What outlives the process, under `/var/lib/p2pusb`:
//!
//! ```text
//! version                   the layout's version
//! port                      the UDP port of the last run
//! identity.key              this machine's secret key, mode 0600
//! paused.toml               shares that follow from a rule and are taken back for now
//! tickets.toml              digests of the tickets that are still open or were used, mode 0600
//! peers/ID.toml             one paired peer
//! shares/ID.toml            one share
//! pins/SHARE-ID.toml        the hash of the PIN that a share asks for, mode 0600
//! attachments/PEER-ID.toml  one attachment that is wanted
//! ```
//!
//! Each file is written whole beside its place, synced and renamed, so that a power cut leaves the old one
//! or the new one. A file that can't be understood is set aside under the name `*.damaged` and reported; nothing
//! else is lost with it. All of them have the mode 0600 in a folder of mode 0700; what is secret has a file of its own.

mod atomic;
mod attachments;
mod checked;
mod damaged;
mod identity;
mod paused;
mod peers;
mod pins;
mod shares;
mod tickets;

use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    attachments::AttachmentRecord,
    peers::PeerRecord,
    pins::PinRecord,
    shares::ShareRecord,
    tickets::{TicketRecord, TicketState},
};

/// The version of this layout.
const VERSION: u32 = 1;

/// The folders of files that there are many of.
const FOLDERS: [&str; 4] = ["peers", "shares", "pins", "attachments"];

/// The state folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What can go wrong with the state folder.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A later release wrote this folder.
    #[error(
        "{path} was written by a later release (layout {found}, this release knows {VERSION}); install that release again"
    )]
    TooNew {
        /// The folder.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A value could not be written as TOML.
    #[error("{path} can't be written: {source}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: toml::ser::Error,
    },
}

impl StoreError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl Store {
    /// Opens the folder, and makes it where it is missing.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into() };
        for folder in FOLDERS.iter().map(|name| store.folder(name)) {
            fs::create_dir_all(&folder).map_err(StoreError::io(&folder))?;
        }
        match store.number("version")? {
            Some(found) if found > VERSION => Err(StoreError::TooNew { path: store.root, found }),
            Some(_) => Ok(store),
            None => {
                let path = store.root.join("version");
                atomic::write(&path, format!("{VERSION}\n").as_bytes()).map_err(StoreError::io(&path))?;
                Ok(store)
            }
        }
    }

    /// The UDP port of the last run: peers look for us there.
    pub fn last_port(&self) -> Result<Option<u16>, StoreError> {
        self.number("port")
    }

    /// Remembers the UDP port of this run.
    pub fn save_last_port(&self, port: u16) -> Result<(), StoreError> {
        let path = self.root.join("port");
        atomic::write(&path, format!("{port}\n").as_bytes()).map_err(StoreError::io(&path))
    }

    /// Whether anything could be kept now: a file is written and removed.
    pub fn probe(&self) -> Result<(), StoreError> {
        let path = self.root.join("probe");
        fs::write(&path, "p2pusb\n").map_err(StoreError::io(&path))?;
        match fs::remove_file(&path) {
            // Somebody else has asked at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(StoreError::io(&path)),
        }
    }

    /// What is in a file with one number; a damaged one is set aside and counts as missing.
    fn number<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let path = self.root.join(name);
        let Some(text) = Self::read_text(&path)? else { return Ok(None) };
        match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(error) => self.set_aside(&path, error).map(|()| None),
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn save<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), StoreError> {
        let text = toml::to_string(value).map_err(|source| StoreError::Encode { path: path.to_owned(), source })?;
        atomic::write(path, text.as_bytes()).map_err(StoreError::io(path))
    }

    /// Reads one file; a damaged one is set aside and counts as missing.
    fn load<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, StoreError> {
        let Some(text) = Self::read_text(path)? else { return Ok(None) };
        match toml::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.set_aside(path, error.message()).map(|()| None),
        }
    }

    fn load_all<T: DeserializeOwned>(&self, folder: &str) -> Result<Vec<T>, StoreError> {
        let folder = self.folder(folder);
        let mut all = Vec::new();
        for entry in fs::read_dir(&folder).map_err(StoreError::io(&folder))? {
            let path = entry.map_err(StoreError::io(&folder))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                all.extend(self.load(&path)?);
            }
        }
        Ok(all)
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { path: path.to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Follows, Known};

    #[test]
    fn grace_times_are_kept_and_a_share_of_an_earlier_release_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let earlier = "id = \"00c0ffee\"\nstable_id = \"stable\"\nproduct = \"Disk\"\nowner_uid = 0\n";
        let path = folder.path().join("shares/00c0ffee.toml");
        fs::write(&path, earlier).unwrap();
        let mut share = store.shares().unwrap().remove(0);
        assert_eq!(share.grace, None);
        share.grace = Some(5.try_into().unwrap());
        store.save_share(&share).unwrap();
        assert_eq!(store.shares().unwrap(), [share]);
        // A time that nobody may choose is a damaged file.
        fs::write(&path, format!("{earlier}grace = 3601\n")).unwrap();
        assert_eq!(store.shares().unwrap(), []);
        assert!(path.with_extension("toml.damaged").exists());
    }

    #[test]
    fn wanted_attachments_are_told_apart_by_peer_and_device() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let record = |key: u8, remote_id: &str| AttachmentRecord {
            endpoint_id: iroh::SecretKey::from_bytes(&[key; 32]).public().to_string(),
            remote_id: remote_id.to_owned(),
            product: "Disk".to_owned(),
            grace: Some(200.try_into().unwrap()),
            owner_uid: 1000,
            known: Known::new(0x0781, 0x5567, &[]),
            follow: Follows::try_from(vec!["0781:*".to_owned()]).unwrap(),
        };
        let all = [record(1, "0000000a"), record(1, "0000000b"), record(2, "0000000a")];
        for record in &all {
            store.save_attachment(record).unwrap();
        }
        let mut kept = store.attachments().unwrap();
        kept.sort_by_key(|record| all.iter().position(|other| other == record));
        assert_eq!(kept, all);
        store.remove_attachment(&all[1].endpoint_id, &all[1].remote_id).unwrap();
        store.remove_attachment(&all[1].endpoint_id, &all[1].remote_id).unwrap();
        let kept = store.attachments().unwrap();
        assert!(kept.len() == 2 && kept.contains(&all[0]) && kept.contains(&all[2]), "{kept:?}");
    }

    #[test]
    fn the_identity_stays_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = store.identity().unwrap();
        assert_eq!(store.identity().unwrap().to_bytes(), first.to_bytes());
        let mode = fs::metadata(folder.path().join("identity.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_later_layout_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("version"), "2\n").unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::TooNew { found: 2, .. })));
    }

    #[test]
    fn tickets_are_private_and_read_back() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let tickets = vec![TicketRecord {
            digest: "ab".to_owned(),
            expires: 7,
            state: TicketState::Open,
            scope: Some("00c0ffee".to_owned()),
            access_usec: 9,
        }];
        store.save_tickets(&tickets).unwrap();
        assert_eq!(store.tickets().unwrap(), tickets);
        let mode = fs::metadata(folder.path().join("tickets.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
