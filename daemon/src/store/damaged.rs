//! Files that can't be understood. Each is set aside and reported, and nothing else is lost with it.

use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};

use tracing::warn;

use super::{FOLDERS, Store, StoreError};

/// What the name of a file ends in that was set aside.
const SUFFIX: &str = ".damaged";

/// How many such files are reported at most; the journal has them all.
const PROBLEMS_MAX: usize = 32;

impl Store {
    /// Moves a file away that can't be understood.
    pub(super) fn set_aside(&self, path: &Path, why: impl Display) -> Result<(), StoreError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(SUFFIX);
        let aside = PathBuf::from(aside);
        fs::rename(path, &aside).map_err(StoreError::io(path))?;
        warn!("{} can't be understood and was set aside as {}: {why}", path.display(), aside.display());
        Ok(())
    }

    /// A sentence for each file that was set aside, by this process or an earlier one, and that nobody has removed since.
    pub fn problems(&self) -> Result<Vec<String>, StoreError> {
        let mut aside = Vec::new();
        for folder in FOLDERS.iter().map(|name| self.folder(name)).chain([self.root.clone()]) {
            for entry in fs::read_dir(&folder).map_err(StoreError::io(&folder))? {
                let path = entry.map_err(StoreError::io(&folder))?.path();
                if path.as_os_str().as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
                    aside.push(path);
                }
            }
        }
        aside.sort();
        aside.truncate(PROBLEMS_MAX);
        Ok(aside.iter().map(|path| self.problem(path)).collect())
    }

    fn problem(&self, path: &Path) -> String {
        let path_shown = path.display();
        let lost = match path.strip_prefix(&self.root).ok().and_then(|name| name.to_str()).unwrap_or_default() {
            "identity.key.damaged" => "this machine has a new identity, and its peers have to be paired again",
            "paused.toml.damaged" => "devices that a rule shares and that were taken back are shared again",
            "tickets.toml.damaged" => "tickets that were made before it do not work",
            "port.damaged" | "version.damaged" => "nothing was lost with it",
            name if name.starts_with("peers/") => "the peer that it was about has to be paired again",
            name if name.starts_with("shares/") => "the device that it was about is not shared",
            name if name.starts_with("pins/") => "the share whose PIN it was can't be used until it has another one",
            name if name.starts_with("attachments/") => "the device that it was about is not attached again by itself",
            _ => "what it said does not count",
        };
        format!("a damaged file was set aside as {path_shown}: {lost}; remove it when you have seen to that")
    }

    /// Reads a text that is not there at first. One that is no text counts as an empty one, which nothing is written as.
    pub(super) fn read_text(path: &Path) -> Result<Option<String>, StoreError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(String::new())),
            Err(source) => Err(StoreError::Io { path: path.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::{AttachmentRecord, PeerRecord, PinRecord, ShareRecord, TicketRecord};

    const PEER: &str = "peers/";
    const SHARE: &str = "shares/00c0ffee.toml";
    const PIN: &str = "pins/00c0ffee.toml";

    /// Everything that a state folder can hold, as it is read back.
    #[derive(Debug, PartialEq)]
    struct All {
        identity: [u8; 32],
        port: Option<u16>,
        tickets: Vec<TicketRecord>,
        paused: BTreeSet<String>,
        peers: Vec<PeerRecord>,
        shares: Vec<ShareRecord>,
        pins: Vec<PinRecord>,
        attachments: Vec<AttachmentRecord>,
    }

    fn write(folder: &Path) -> All {
        /// A record of which nothing but what has to be there is there.
        fn record<T: serde::de::DeserializeOwned>(text: &str) -> T {
            toml::from_str(text).unwrap()
        }
        let store = Store::open(folder).unwrap();
        let peer = iroh::SecretKey::from_bytes(&[9; 32]).public().to_string();
        store.save_last_port(47_800).unwrap();
        store.save_tickets(&[record("digest = 'ab'\nexpires = 7\nstate = 'open'")]).unwrap();
        store.save_paused(&["00c0ffee".to_owned()].into()).unwrap();
        store.save_peer(&record(&format!("endpoint_id = '{peer}'\nlabel = 'workshop'"))).unwrap();
        let share = "id = '00c0ffee'\nstable_id = 'stable'\nproduct = 'Disk'\nowner_uid = 7";
        store.save_share(&record(share)).unwrap();
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$bXNhbHRtc2FsdG1zYWx0$qMfXbRuCDaBWyGNsbzY4G5hTMPWvo5rCYhLHHjcmTmM";
        store.save_pin(&record(&format!("share = '00c0ffee'\nhash = '{hash}'"))).unwrap();
        let attachment = format!(
            "endpoint_id = '{peer}'\nremote_id = '00c0ffee'\nproduct = 'Disk'\nowner_uid = 7\nid = '0781:5567'\ninterfaces = []"
        );
        store.save_attachment(&record(&attachment)).unwrap();
        store.identity().unwrap();
        read(&store)
    }

    fn read(store: &Store) -> All {
        All {
            identity: store.identity().unwrap().to_bytes(),
            port: store.last_port().unwrap(),
            tickets: store.tickets().unwrap(),
            paused: store.paused().unwrap(),
            peers: store.peers().unwrap(),
            shares: store.shares().unwrap(),
            pins: store.pins().unwrap(),
            attachments: store.attachments().unwrap(),
        }
    }

    /// Every file below the folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
        }
        all.sort();
        all
    }

    #[test]
    fn each_file_may_be_damaged_and_nothing_else_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        let names: Vec<_> =
            files(folder.path()).iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_owned()).collect();
        assert_eq!(names.len(), 9, "{names:?}");
        for name in names {
            for damage in [&b""[..], b"\xff\xfe\x00", b"[half", b"= 5"] {
                let folder = tempfile::tempdir().unwrap();
                let mut expected = write(folder.path());
                let path = folder.path().join(&name);
                fs::write(&path, damage).unwrap();

                let store = Store::open(folder.path()).unwrap();
                let found = read(&store);
                match name.to_str().unwrap() {
                    "identity.key" => {
                        assert_ne!(found.identity, expected.identity);
                        expected.identity = found.identity;
                    }
                    "port" => expected.port = None,
                    "tickets.toml" => expected.tickets.clear(),
                    "paused.toml" => expected.paused.clear(),
                    SHARE => expected.shares.clear(),
                    PIN => expected.pins.clear(),
                    peer if peer.starts_with(PEER) => expected.peers.clear(),
                    "version" => assert_eq!(fs::read_to_string(&path).unwrap(), "1\n"),
                    _ => expected.attachments.clear(),
                }
                assert_eq!(found, expected, "{name:?}");
                let aside = folder.path().join(format!("{}.damaged", name.display()));
                assert_eq!(fs::read(&aside).unwrap(), damage, "{name:?}");
                let problems = store.problems().unwrap();
                assert!(problems.len() == 1 && problems[0].contains(aside.to_str().unwrap()), "{problems:?}");
                // The next process knows it, too, until somebody has seen to it.
                assert_eq!(Store::open(folder.path()).unwrap().problems().unwrap(), problems);
                fs::remove_file(aside).unwrap();
                assert_eq!(store.problems().unwrap(), [""; 0]);
                assert_eq!(read(&store), expected, "{name:?}");
            }
        }
    }

    #[test]
    fn what_is_toml_but_says_nothing_that_can_be_is_damaged_too() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        let store = Store::open(folder.path()).unwrap();
        fs::write(folder.path().join("peers/a.toml"), "endpoint_id = \"no key\"\nlabel = \"x\"\n").unwrap();
        let share = "id = \"../../etc\"\nstable_id = \"stable\"\nproduct = \"Disk\"\nowner_uid = 0\n";
        fs::write(folder.path().join("shares/a.toml"), share).unwrap();
        let attachment = "endpoint_id = \"7\"\nremote_id = \"00c0ffee\"\nproduct = \"Disk\"\nowner_uid = 0\n";
        fs::write(folder.path().join("attachments/a.toml"), attachment).unwrap();
        fs::write(folder.path().join("pins/a.toml"), "share = \"00c0ffee\"\nhash = \"1234\"\n").unwrap();
        let found = read(&store);
        assert_eq!((found.peers.len(), found.shares.len(), found.attachments.len()), (1, 1, 1));
        assert_eq!(found.pins.len(), 1);
        assert_eq!(store.problems().unwrap().len(), 4);
    }

    #[test]
    fn everything_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        for file in files(folder.path()) {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
        }
    }
}
