//! Attachments that are wanted: one file each, from the time when the device was attached until somebody ends it. A
//! remote device is named by its peer and the id of the share there, which outlives plugs and reboots.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::{
    config::Grace,
    policy::{Follows, Known},
};

/// A wanted attachment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRecord {
    /// The peer's public key, 64 hexadecimal digits.
    #[serde(deserialize_with = "super::checked::endpoint_id")]
    pub endpoint_id: String,
    /// The id of the share there.
    pub remote_id: String,
    /// What the device called itself when it was attached.
    pub product: String,
    /// How long it outlives its connection; where it is not there, the settings say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// The user who attached it.
    pub owner_uid: u32,
    /// What the device was offered as when somebody attached it.
    #[serde(flatten)]
    pub known: Known,
    /// Under which other ids it is attached again.
    #[serde(default, skip_serializing_if = "Follows::is_empty")]
    pub follow: Follows,
}

impl Store {
    fn attachment_path(&self, endpoint_id: &str, remote_id: &str) -> PathBuf {
        let peer = endpoint_id.get(..16).unwrap_or(endpoint_id);
        // A peer's ids are letters, digits and `_`: the protocol sees to that.
        self.folder("attachments").join(format!("{peer}-{remote_id}.toml"))
    }

    /// All wanted attachments.
    pub fn attachments(&self) -> Result<Vec<AttachmentRecord>, StoreError> {
        self.load_all("attachments")
    }

    /// Writes one.
    pub fn save_attachment(&self, attachment: &AttachmentRecord) -> Result<(), StoreError> {
        self.save(&self.attachment_path(&attachment.endpoint_id, &attachment.remote_id), attachment)
    }

    /// Removes one, if it is there.
    pub fn remove_attachment(&self, endpoint_id: &str, remote_id: &str) -> Result<(), StoreError> {
        self.remove(&self.attachment_path(endpoint_id, remote_id))
    }
}
