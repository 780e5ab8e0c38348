//! Shares: one file each. A share outlives the plug, so it names the device by its stable id.

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::{
    config::Grace,
    policy::{Follows, Terms},
    usb::BusPath,
};

/// A share as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRecord {
    /// Eight hexadecimal digits.
    #[serde(deserialize_with = "super::checked::share_id")]
    pub id: String,
    /// Which device.
    pub stable_id: String,
    /// What the device called itself when it was shared.
    pub product: String,
    /// The endpoint ids of the peers that may claim it; none means every paired peer.
    #[serde(default)]
    pub peers: Vec<String>,
    /// It may be taken from this machine although it is in use here: whoever shared it has said so.
    #[serde(default)]
    pub force: bool,
    /// How long a claim on it outlives its connection; where it is not there, the settings say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// Until when, at which hours, and for how long at a time.
    #[serde(flatten)]
    pub terms: Terms,
    /// The user who shared it.
    pub owner_uid: u32,
    /// Its owner has taken it back for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Under which ids the device may come back.
    #[serde(default, skip_serializing_if = "Follows::is_empty")]
    pub follows: Follows,
    /// Where it was plugged in last, unless something else has been there since; known only of a device that is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<BusPath>,
    /// It asks for a PIN, which is kept elsewhere. Should that be lost, it still asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pin: bool,
}

impl Store {
    /// All shares.
    pub fn shares(&self) -> Result<Vec<ShareRecord>, StoreError> {
        self.load_all("shares")
    }

    /// Writes one share.
    pub fn save_share(&self, share: &ShareRecord) -> Result<(), StoreError> {
        self.save(&self.folder("shares").join(format!("{}.toml", share.id)), share)
    }

    /// Removes one share.
    pub fn remove_share(&self, id: &str) -> Result<(), StoreError> {
        self.remove(&self.folder("shares").join(format!("{id}.toml")))
    }
}
