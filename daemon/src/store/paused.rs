//! Shares that follow from a rule and that their owner has taken back for now. They have no file of their own.

use std::{collections::BTreeSet, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};

#[derive(Default, Serialize, Deserialize)]
struct File {
    /// The ids of the shares.
    paused: BTreeSet<String>,
}

impl Store {
    fn paused_path(&self) -> PathBuf {
        self.root.join("paused.toml")
    }

    /// The ids of derived shares that are paused, whether their devices are plugged in or not.
    pub fn paused(&self) -> Result<BTreeSet<String>, StoreError> {
        Ok(self.load::<File>(&self.paused_path())?.unwrap_or_default().paused)
    }

    /// Writes them all.
    pub fn save_paused(&self, paused: &BTreeSet<String>) -> Result<(), StoreError> {
        self.save(&self.paused_path(), &File { paused: paused.clone() })
    }
}
