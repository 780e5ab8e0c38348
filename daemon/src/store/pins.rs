//! PINs of shares: one file each, apart from what the share is. Only a hash of the PIN is kept.

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::pin::PinHash;

/// The PIN of a share as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinRecord {
    /// The share's id.
    #[serde(deserialize_with = "super::checked::share_id")]
    pub share: String,
    /// What is kept of the PIN.
    pub hash: PinHash,
    /// The endpoint ids of the peers that have shown it and are not asked again.
    #[serde(default)]
    pub shown: Vec<String>,
}

impl Store {
    /// All PINs.
    pub fn pins(&self) -> Result<Vec<PinRecord>, StoreError> {
        self.load_all("pins")
    }

    /// Writes one PIN.
    pub fn save_pin(&self, pin: &PinRecord) -> Result<(), StoreError> {
        self.save(&self.folder("pins").join(format!("{}.toml", pin.share)), pin)
    }

    /// Removes one PIN.
    pub fn remove_pin(&self, share: &str) -> Result<(), StoreError> {
        self.remove(&self.folder("pins").join(format!("{share}.toml")))
    }
}
