//! Paired peers: one file each. No file, no peer.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::{peer::Trust, policy::Bandwidth};

/// A paired peer as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// The public key, 64 hexadecimal digits.
    #[serde(deserialize_with = "super::checked::endpoint_id")]
    pub endpoint_id: String,
    /// What people call it; the peer's host name at first.
    pub label: String,
    /// Where it was last found: `IP:PORT` or a relay's URL.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// When it was paired, in microseconds since the epoch.
    #[serde(default)]
    pub paired: u64,
    /// What this machine thinks of it.
    #[serde(default)]
    pub trust: Trust,
    /// The id of the only share that it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When the pairing ends, in microseconds since the epoch; 0 for never.
    #[serde(default)]
    pub until: u64,
    /// How fast it may use what is shared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// When it was last connected, as far as this was kept, in microseconds since the epoch; 0 for never.
    #[serde(default)]
    pub last_seen: u64,
}

impl Store {
    fn peer_path(&self, endpoint_id: &str) -> PathBuf {
        self.folder("peers").join(format!("{}.toml", endpoint_id.get(..16).unwrap_or(endpoint_id)))
    }

    /// All paired peers.
    pub fn peers(&self) -> Result<Vec<PeerRecord>, StoreError> {
        self.load_all("peers")
    }

    /// Writes one peer.
    pub fn save_peer(&self, peer: &PeerRecord) -> Result<(), StoreError> {
        self.save(&self.peer_path(&peer.endpoint_id), peer)
    }

    /// Forgets one peer.
    pub fn remove_peer(&self, endpoint_id: &str) -> Result<(), StoreError> {
        self.remove(&self.peer_path(endpoint_id))
    }
}
